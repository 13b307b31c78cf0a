//! What was asked for, and whether it still runs.

use super::error::Error;
use super::target::Target;
use super::{open, proc, sys};
use std::collections::HashSet;
use std::os::fd::{AsRawFd, OwnedFd};

/// With more targets than this, the usual limit of open files may not do: each takes one.
const MANY: usize = 256;

/// A process or thread that was asked for.
pub(super) struct Root {
    /// The process.
    pub(super) pid: u32,
    /// The thread, if threads were asked for.
    pub(super) thread: Option<u32>,
    /// Becomes readable at the process's exit; `None` for threads, and where the kernel has no pidfds (before 5.3).
    pidfd: Option<OwnedFd>,
    pub(super) is_gone: bool,
}

impl Root {
    /// What to poll for the exit.
    pub(super) fn poll_fd(&self) -> Option<libc::pollfd> {
        let fd = self.pidfd.as_ref().filter(|_| !self.is_gone)?.as_raw_fd();
        Some(libc::pollfd { fd, events: libc::POLLIN, revents: 0 })
    }

    /// Finds out whether it has ended, by what poll said or `/proc` says.
    pub(super) fn look(&mut self, polled: &[libc::pollfd]) {
        self.is_gone = self.is_gone
            || match (&self.pidfd, self.thread) {
                (Some(fd), _) => polled.iter().any(|poll| poll.fd == fd.as_raw_fd() && poll.revents != 0),
                (None, Some(tid)) => proc::status(tid).is_none_or(|status| status.is_zombie),
                (None, None) => !proc::is_alive(self.pid as i32),
            };
    }
}

/// Checks what was asked for. With `skips_missing`, what has exited is left out as long as anything is left.
pub(super) fn open(target: &Target, skips_missing: bool) -> Result<Vec<Root>, Error> {
    let (ids, are_threads) = match target {
        Target::All => return Ok(Vec::new()),
        Target::Command(pid) => (vec![*pid], false),
        Target::Pids(pids) => (pids.clone(), false),
        Target::Threads(tids) => (tids.clone(), true),
    };
    if ids.len() > MANY {
        // Where it can't be raised, the exits of some are looked for in `/proc`.
        let _ = sys::raise_file_limit();
    }
    let (mut roots, mut seen, mut missing) = (Vec::new(), HashSet::new(), None);
    for id in ids.into_iter().filter(|&id| seen.insert(id)) {
        match if are_threads { thread(id) } else { process(id) } {
            Ok(root) => roots.push(root),
            Err(error @ (Error::NoSuchProcess { .. } | Error::Zombie { .. })) if skips_missing => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match missing {
        _ if !roots.is_empty() => Ok(roots),
        Some(error) => Err(error),
        None => Err(Error::NoTarget),
    }
}

fn process(pid: u32) -> Result<Root, Error> {
    open::check_process(pid)?;
    let pidfd = match sys::pidfd_open(pid as i32) {
        Ok(fd) => Some(fd),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Err(Error::NoSuchProcess { pid }),
        Err(_) => None,
    };
    Ok(Root { pid, thread: None, pidfd, is_gone: false })
}

fn thread(tid: u32) -> Result<Root, Error> {
    match proc::status(tid) {
        Some(status) if !status.is_zombie => {
            Ok(Root { pid: status.tgid, thread: Some(tid), pidfd: None, is_gone: false })
        }
        Some(_) => Err(Error::Zombie { pid: tid }),
        None => Err(Error::NoSuchThread { tid }),
    }
}
