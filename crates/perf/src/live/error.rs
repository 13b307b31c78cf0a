//! What can keep us from sampling, and what to do about it.

use std::ffi::OsString;
use std::io;
use thiserror::Error;

/// Why sampling could not start or go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing to sample was given.
    #[error("no process to sample: give at least one PID")]
    NoTarget,
    /// No process has this id.
    #[error("there is no process {pid} (it may have exited): check the PID with `ps -p {pid}`")]
    NoSuchProcess {
        /// The id.
        pid: u32,
    },
    /// No thread has this id.
    #[error("there is no thread {tid} (it may have exited): `ls /proc/PID/task` lists the threads of a process")]
    NoSuchThread {
        /// The id.
        tid: u32,
    },
    /// The process has exited, its parent has not waited for it yet.
    #[error("process {pid} has exited already (it is a zombie): there is nothing to sample")]
    Zombie {
        /// The id.
        pid: u32,
    },
    /// The id is that of a thread.
    #[error("{tid} is a thread of process {pid}: -t {tid} samples it alone, -p {pid} the whole process")]
    IsThread {
        /// The id given.
        tid: u32,
        /// The process it belongs to.
        pid: u32,
    },
    /// The process belongs to somebody else.
    #[error(
        "not permitted to sample process {pid}: it belongs to uid {owner} (or is protected), burnmark runs as uid {ours}. \
         Run burnmark as that user or as root, or give it CAP_PERFMON (and CAP_SYS_PTRACE)"
    )]
    NotOurs {
        /// The process.
        pid: u32,
        /// Its user.
        owner: u32,
        /// Our user.
        ours: u32,
    },
    /// Whole CPUs may not be sampled.
    #[error(
        "not permitted to sample whole CPUs: kernel.perf_event_paranoid is {paranoid}. Run as root, give burnmark \
         CAP_PERFMON, or set it to 0: sysctl kernel.perf_event_paranoid=0"
    )]
    CpuNotPermitted {
        /// The setting, as text.
        paranoid: String,
    },
    /// No event at all may be opened.
    #[error(
        "not permitted to open any perf event ({source}): kernel.perf_event_paranoid is {paranoid}; above 2 some \
         distributions refuse everybody but root, and a container's seccomp filter may refuse perf_event_open. \
         Run as root or with CAP_PERFMON, set kernel.perf_event_paranoid=2 or less, or start the container with \
         --cap-add PERFMON and a seccomp profile that allows perf_event_open"
    )]
    NotPermitted {
        /// The setting, as text.
        paranoid: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A seccomp filter refuses the system call.
    #[error(
        "not permitted to open any perf event ({source}): a seccomp filter, as containers have, refuses perf_event_open. \
         Run burnmark outside the container (-p takes processes of containers too), or start the container with \
         --cap-add PERFMON and a seccomp profile that allows perf_event_open (docker run --security-opt seccomp=FILE)"
    )]
    Seccomp {
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel has no perf events.
    #[error("this kernel has no perf events ({0}): it needs CONFIG_PERF_EVENTS")]
    NotSupported(#[source] io::Error),
    /// The event asked for does not exist here.
    #[error("this machine has no event `{event}` ({source}): leave the choice to burnmark, or use cpu-clock")]
    EventMissing {
        /// Name of the event.
        event: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Not even one thread's events fit the limit of open files.
    #[error("too many open files: the limit is {limit}, sampling needs at least {needed}. Raise it with `ulimit -n`")]
    TooManyFiles {
        /// The hard limit of this process.
        limit: u64,
        /// What one thread needs.
        needed: u64,
    },
    /// Not even the smallest ring could be had.
    #[error(
        "could not lock {bytes} bytes of memory per CPU for samples ({source}): other profilers may hold \
         kernel.perf_event_mlock_kb. Raise it, raise `ulimit -l`, or end them"
    )]
    LockedMemory {
        /// Bytes per CPU that were asked for last.
        bytes: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// The command could not be started.
    #[error("cannot run {}: {}", program.to_string_lossy(), exec_reason(source))]
    Exec {
        /// The program.
        program: OsString,
        /// What the kernel said.
        source: io::Error,
    },
    /// A system call failed in a way that is not expected.
    #[error("{call} failed: {source}")]
    System {
        /// Name of the call and what for.
        call: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Error {
    /// The exit code that a shell gives for a command that could not be started: 127 not found, 126 not executable.
    pub fn exec_exit_code(&self) -> Option<u8> {
        match self {
            Error::Exec { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(127),
            Error::Exec { .. } => Some(126),
            _ => None,
        }
    }
}

fn exec_reason(source: &io::Error) -> String {
    match source.raw_os_error() {
        Some(libc::ENOENT) => "command not found (or its interpreter is missing): check the name and PATH".into(),
        Some(libc::EACCES) => "not executable, or a folder: check its permissions (`chmod +x`)".into(),
        Some(libc::ENOEXEC) => "not a program of this machine, nor a script with a `#!` line".into(),
        _ => source.to_string(),
    }
}

/// The error for a refusal of any event at all.
pub(super) fn not_permitted(source: io::Error) -> Error {
    let paranoid = paranoid();
    // What the setting permits, and root anyway, can only have been refused by a filter.
    let is_permitted = paranoid.parse::<i32>().is_ok_and(|level| level <= 2) || super::sys::effective_uid() == 0;
    if is_permitted && has_seccomp_filter() {
        Error::Seccomp { source }
    } else {
        Error::NotPermitted { paranoid, source }
    }
}

/// Whether this process runs under a seccomp filter (mode 2 in proc_pid_status(5)).
fn has_seccomp_filter() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("Seccomp:")).is_some_and(|mode| mode.trim() == "2")
}

/// The setting of `kernel.perf_event_paranoid`, for messages.
pub(crate) fn paranoid() -> String {
    std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid")
        .map_or_else(|_| "not readable".to_owned(), |text| text.trim().to_owned())
}
