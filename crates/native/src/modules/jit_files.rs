//! The maps that JIT compilers write of their code: `/tmp/perf-PID.map`, as their process sees that path and its pid.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{Read, Seek};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use foldhash::fast::RandomState;

use super::Task;
use crate::symbols::{FileFinder, JitMap, below};

/// Descriptors that are held for maps.
const MOST_HELD: usize = 256;

/// A process that has no map yet is looked at again after so many nanoseconds.
const AGAIN_NS: u64 = 200_000_000;

/// Bytes of a map that are read. Those of large applications have some 10 MB.
const LARGEST: u64 = 256 << 20;

/// What is known of the maps of processes that run.
#[derive(Debug, Default)]
pub(super) struct JitFiles {
    processes: HashMap<i32, Process, RandomState>,
    held: usize,
}

#[derive(Debug, Default)]
struct Process {
    file: Option<File>,
    /// When to look again.
    next: u64,
    /// Its pid in its own namespace.
    inner: i32,
    /// When it started, in seconds since 1970: older files are of another process with that pid.
    started: Option<i64>,
}

impl JitFiles {
    /// Holds the process's map open, if there is one: the process, and what it sees, may be gone at the end. Returns
    /// whether that is done.
    pub(super) fn hold(&mut self, task: Task, time: u64, root: Option<&Path>) -> bool {
        let process = self.processes.entry(task.pid).or_insert_with(|| Process {
            inner: inner_pid(task.pid).unwrap_or(task.pid),
            started: started(task.pid),
            ..Process::default()
        });
        if process.file.is_some() || self.held >= MOST_HELD {
            return true;
        }
        if time < process.next {
            return false;
        }
        process.next = time.saturating_add(AGAIN_NS);
        let live = PathBuf::from(format!("/proc/{}/root", task.pid));
        let thread = PathBuf::from(format!("/proc/{}/task/{}/root", task.pid, task.tid));
        let roots = [Some(&*live), Some(&*thread), root].into_iter().flatten();
        process.file = roots.filter_map(|root| open(root, process.inner, process.started)).next();
        self.held += usize::from(process.file.is_some());
        process.file.is_some()
    }

    /// Reads the map of a process.
    pub(super) fn read(&self, pid: i32, finder: &FileFinder, root: Option<&Path>) -> Option<JitMap> {
        let known = self.processes.get(&pid);
        let (inner, started) = known.map_or((pid, None), |process| (process.inner, process.started));
        let held = known.and_then(|process| process.file.as_ref()?.try_clone().ok());
        let mut file = held.or_else(|| {
            if let Some(given) = finder.jit_map(pid) {
                return File::open(given).ok();
            }
            let own = [PathBuf::from(format!("/proc/{pid}/root"))];
            let own = own.into_iter().filter(|_| finder.may_run()).chain(root.map(Into::into)).chain(finder.roots());
            own.filter_map(|root| open(&root, inner, started)).next()
        })?;
        let mut text = Vec::new();
        file.rewind().ok()?;
        file.take(LARGEST).read_to_end(&mut text).ok()?;
        Some(JitMap::parse(text))
    }
}

/// The map below a root, if it is a file of its own and not older than the process.
fn open(root: &Path, inner: i32, started: Option<i64>) -> Option<File> {
    let path = below(root, Path::new(&format!("/tmp/perf-{inner}.map")));
    // Anybody may put a link there that leads elsewhere.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    let metadata: Metadata = file.metadata().ok()?;
    // Clocks of file systems lag behind by some milliseconds.
    let is_older = started.is_some_and(|started| metadata.mtime() < started - 1);
    (metadata.is_file() && !is_older).then_some(file)
}

/// The pid that a process has in its own namespace: the last of `NSpid` in `/proc/PID/status`.
fn inner_pid(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().next_back()?.parse().ok()
}

/// When a process started, in seconds since 1970.
fn started(pid: i32) -> Option<i64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the start is the 20th field after it, in hundredths of a second.
    let ticks: i64 = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()?;
    let machine = std::fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = machine.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
    Some(boot + ticks / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_has_started_a_moment_ago() {
        let pid = std::process::id() as i32;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        assert!((now - 600..=now + 1).contains(&started(pid).unwrap()));
        assert_eq!(inner_pid(pid), Some(pid));
    }

    #[test]
    fn maps_that_are_links_or_older_than_their_process_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        let map = folder.path().join("tmp/perf-77.map");
        std::fs::write(&map, "10 10 f\n").unwrap();
        assert!(open(folder.path(), 77, None).is_some());
        assert!(open(folder.path(), 77, Some(i64::MAX)).is_none());
        std::fs::rename(&map, folder.path().join("other")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("other"), &map).unwrap();
        assert!(open(folder.path(), 77, None).is_none());
    }
}
