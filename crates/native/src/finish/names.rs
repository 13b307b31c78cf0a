//! What names and machines tell about a recording.

use crate::symbols::{FileFinder, Located};

/// Where threads of user programs start: C libraries' (glibc, musl), the dynamic linker's, Go's.
const USER_STARTS: [&str; 24] = [
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
    "runtime.mstart",
    "runtime.clone",
    "runtime.clone.abi0",
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

/// Whether kernel addresses of a recording made in this boot are those of the kernel that the finder knows: they change
/// with each boot. A recording that doesn't tell (it is empty) is believed.
pub(super) fn same_boot(recorded: &str, finder: &FileFinder) -> bool {
    let FileFinder::ThisMachine = finder else { return true };
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    recorded.is_empty() || boot_id.trim().is_empty() || recorded == boot_id.trim()
}

/// The build-id among ELF notes (`/sys/kernel/notes`), in hexadecimal: each note has the lengths of name and content,
/// its type (3 is a build-id), then both, padded to four bytes.
pub(super) fn gnu_build_id(mut notes: &[u8]) -> Option<String> {
    loop {
        let word = |at: usize| Some(u32::from_ne_bytes(notes.get(at..at + 4)?.try_into().ok()?));
        let (name, content, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let start = 12_usize.checked_add(name.checked_next_multiple_of(4)?)?;
        let end = start.checked_add(content)?;
        if kind == 3 && notes.get(12..12_usize.checked_add(name)?)? == b"GNU\0" {
            return notes.get(start..end).map(hex);
        }
        notes = notes.get(end.checked_next_multiple_of(4)?..)?;
    }
}

/// Bytes in lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that hexadecimal digits stand for.
pub(super) fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if digits.len().is_multiple_of(2) { digits.as_bytes().chunks(2).map(pair).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_searched_for_the_build_id() {
        let note = |name: &[u8], kind: u32, content: &[u8]| {
            let mut note = Vec::new();
            note.extend((name.len() as u32).to_ne_bytes());
            note.extend((content.len() as u32).to_ne_bytes());
            note.extend(kind.to_ne_bytes());
            for part in [name, content] {
                note.extend(part);
                note.resize(note.len().next_multiple_of(4), 0);
            }
            note
        };
        let notes = [note(b"Linux\0", 3, b"abc"), note(b"GNU\0", 1, b"x"), note(b"GNU\0", 3, &[0xab, 1, 2])].concat();
        assert_eq!(gnu_build_id(&notes).as_deref(), Some("ab0102"));
        for length in 0..notes.len() - 1 {
            assert_eq!(gnu_build_id(&notes[..length]), None, "{length}");
        }
        assert_eq!(gnu_build_id(&[0xff; 64]), None);
    }
}
