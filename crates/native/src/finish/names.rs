//! What names and machines tell about a recording.

use crate::recording::Recording;
use crate::symbols::{FileFinder, Located};

/// Where threads of user programs start: C libraries' (glibc, musl), the dynamic linker's, Go's.
const USER_STARTS: [&str; 21] = [
    "_start",
    "_dl_start",
    "_dl_start_user",
    "_dlstart",
    "_start_c",
    "__libc_start_main",
    "__libc_start_main_impl",
    "__libc_start_main_stage2",
    "__libc_start_call_main",
    "libc_start_main_stage2",
    "start_thread",
    "clone",
    "__clone",
    "clone3",
    "__clone3",
    "__clone_internal",
    "thread_start",
    "runtime.goexit",
    "runtime.goexit.abi0",
    "runtime.rt0_go.abi0",
    "runtime.mstart.abi0",
];

/// Where threads of the kernel start: kernel threads, and the idle threads of each CPU.
const KERNEL_STARTS: [&str; 10] = [
    "ret_from_fork",
    "ret_from_fork_asm",
    "ret_from_kernel_thread",
    "secondary_startup_64",
    "secondary_startup_64_no_verify",
    "common_startup_64",
    "start_secondary",
    "x86_64_start_kernel",
    "start_kernel",
    "__secondary_switched",
];

/// Whether a stack whose outermost frame this is reaches its thread's start.
pub(super) fn starts_thread(root: &Located, is_kernel: bool) -> bool {
    let Some(outermost) = root.functions.first() else { return root.starts_thread };
    let name = &*outermost.name.shown;
    if is_kernel { KERNEL_STARTS.contains(&name) } else { root.starts_thread || USER_STARTS.contains(&name) }
}

/// Whether kernel addresses of the recording are those of the kernel that the finder knows: they change with each boot.
/// A recording that doesn't tell is believed.
pub(super) fn same_boot(recording: &Recording, finder: &FileFinder) -> bool {
    let FileFinder::ThisMachine = finder else { return true };
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    recording.boot_id.is_empty() || boot_id.trim().is_empty() || recording.boot_id == boot_id.trim()
}
