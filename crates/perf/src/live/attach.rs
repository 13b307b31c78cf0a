//! Events bound to tasks: one per thread and CPU, inherited by what the thread starts.
//!
//! Threads that are born while we attach are the difficulty. One whose parent was attached already has inherited its
//! events and must not get a second set; one whose parent was not must. A FORK record tells: only an enabled event writes
//! one, and a thread's events are enabled after all of them are open, so with a FORK record the child has them all.
//! Without one the child is attached; should it have inherited some events as well, [`Owners`] drops their samples.

use super::error::Error;
use super::open;
use super::rings::Rings;
use super::roots::Root;
use super::target::TargetSet;
use super::{proc, sys};
use crate::layout::{SAMPLE_IDENTIFIER, SampleLayout};
use crate::record::{Header, Record};
use perf_event_open_sys::bindings::{self, perf_event_attr};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Rounds of looking for new threads: each finds only those born during the one before.
const MAX_PASSES: usize = 64;

/// Descriptors kept free for files that the recorder itself has to open.
const SPARE_FILES: u64 = 64;

/// Threads attached between two looks at the rings, which fill from the first one on.
const TAKE_EVERY: usize = 64;

/// What came of attaching.
#[derive(Default)]
pub(super) struct Attached {
    /// All events, enabled.
    pub(super) events: Vec<OwnedFd>,
    /// Processes that were found.
    pub(super) processes: HashSet<u32>,
    /// Threads that have events of their own.
    pub(super) threads: usize,
    /// Threads left out since no more files may be open.
    pub(super) left_out: usize,
    /// Child processes left out since they are not ours.
    pub(super) not_permitted: HashSet<u32>,
    pub(super) owners: Owners,
}

/// Attaches to all threads of `roots` (or to the thread alone, where one was asked for), and of their descendants if
/// `follows_children`.
pub(super) fn attach(
    asked: &[Root],
    follows_children: bool,
    attr: &perf_event_attr,
    rings: &mut Rings,
    layout: &SampleLayout,
    targets: &mut TargetSet,
) -> Result<Attached, Error> {
    let limit = sys::raise_file_limit().unwrap_or(1024);
    let room = limit.saturating_sub(open_files() + SPARE_FILES);
    let roots: &[u32] = &asked.iter().map(|root| root.pid).collect::<Vec<_>>();
    let mut attached = Attached::default();
    let mut seen = HashSet::new();
    for pass in 0..MAX_PASSES {
        // All threads are listed before the first is attached: whoever is on the list has inherited nothing.
        let listed = list(asked, roots, follows_children);
        if pass > 0 {
            // Taken after the list was made: who is on it has had the time to write a FORK record.
            rings.take(layout, targets);
            seen.extend(rings.taken().filter_map(|record| forked_thread(record, layout)));
        }
        attached.processes.extend(listed.iter().map(|&(pid, _)| pid));
        let new: Vec<(u32, u32)> = listed.into_iter().filter(|&(_, tid)| seen.insert(tid)).collect();
        if new.is_empty() {
            break;
        }
        for (done, (pid, tid)) in new.into_iter().enumerate() {
            if done % TAKE_EVERY == 0 {
                rings.take(layout, targets);
            }
            let needed = (attached.events.len() + rings.outputs().len()) as u64;
            if needed > room {
                attached.left_out += 1;
                continue;
            }
            match attach_thread(tid, attr, rings) {
                Ok(events) if events.is_empty() => {}
                Ok(events) => {
                    attached.threads += 1;
                    if pass > 0 {
                        attached.owners.attach(tid as i32, &events);
                    }
                    attached.events.extend(events);
                }
                Err(error) => refused(error, pid, roots, &mut attached)?,
            }
        }
    }
    if attached.events.is_empty() && attached.left_out > 0 {
        return Err(Error::TooManyFiles {
            limit,
            needed: rings.outputs().len() as u64 * 2 + open_files() + SPARE_FILES,
        });
    }
    Ok(attached)
}

/// All threads to attach to, as (process, thread).
fn list(asked: &[Root], roots: &[u32], follows_children: bool) -> Vec<(u32, u32)> {
    let descendants = if follows_children { proc::descendants(roots) } else { Vec::new() };
    let mut threads: Vec<(u32, u32)> = Vec::new();
    for root in asked {
        match root.thread {
            Some(tid) => threads.push((root.pid, tid)),
            None => threads.extend(proc::tasks(root.pid).into_iter().map(|tid| (root.pid, tid))),
        }
    }
    threads.extend(descendants.into_iter().flat_map(|pid| proc::tasks(pid).into_iter().map(move |tid| (pid, tid))));
    threads
}

/// The events of one thread: none if it has exited.
fn attach_thread(tid: u32, attr: &perf_event_attr, rings: &Rings) -> io::Result<Vec<OwnedFd>> {
    let mut events = Vec::with_capacity(rings.outputs().len());
    for (cpu, owner) in rings.outputs() {
        match sys::open_event(attr, tid as i32, cpu) {
            Ok(event) => {
                sys::set_output(event.as_fd(), owner)?;
                events.push(event);
            }
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(Vec::new()),
            // The CPU went offline.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
            Err(error) => return Err(error),
        }
    }
    for event in &events {
        sys::enable(event.as_fd())?;
    }
    Ok(events)
}

/// Sorts out why a thread of `pid` could not be attached: fatal for what was asked for, a note for what came with it.
fn refused(error: io::Error, pid: u32, roots: &[u32], attached: &mut Attached) -> Result<(), Error> {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => attached.left_out += 1,
        Some(libc::EACCES | libc::EPERM) if !roots.contains(&pid) => {
            attached.not_permitted.insert(pid);
        }
        Some(libc::EACCES | libc::EPERM) => {
            let owner = proc::status(pid).ok_or(Error::NoSuchProcess { pid })?.uid;
            return Err(Error::NotOurs { pid, owner, ours: sys::effective_uid() });
        }
        _ => return Err(open::refusal(error)),
    }
    Ok(())
}

/// How many files this process has open.
fn open_files() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(64, |entries| entries.count() as u64)
}

fn forked_thread(record: &[u8], layout: &SampleLayout) -> Option<u32> {
    if Header::peek(record)?.kind != bindings::PERF_RECORD_FORK {
        return None;
    }
    match Record::decode(record, layout) {
        Ok(Record::Fork(fork)) => u32::try_from(fork.tid).ok(),
        _ => None,
    }
}

/// Which events count for a thread that may have two sets of them.
#[derive(Default)]
pub(super) struct Owners {
    /// Threads attached after the first pass → ids of their own events, and their offspring → the same.
    events: HashMap<i32, Arc<Vec<u64>>>,
}

impl Owners {
    fn attach(&mut self, tid: i32, events: &[OwnedFd]) {
        let ids: Vec<u64> = events.iter().filter_map(|event| sys::event_id(event.as_fd()).ok()).collect();
        if !ids.is_empty() {
            self.events.insert(tid, ids.into());
        }
    }

    /// Whether the record is a sample that another event of the same thread has taken as well. Learns of forks on the
    /// way: feed it every record in time order.
    pub(super) fn is_duplicate(&mut self, record: &[u8], layout: &SampleLayout) -> bool {
        if self.events.is_empty() || !layout.has(SAMPLE_IDENTIFIER) {
            return false;
        }
        match Header::peek(record).map(|header| header.kind) {
            Some(bindings::PERF_RECORD_SAMPLE) => {
                let Some(ids) = layout.peek_thread(record).and_then(|(_, tid)| self.events.get(&tid)) else {
                    return false;
                };
                layout.peek_id(record).is_some_and(|id| !ids.contains(&id))
            }
            Some(bindings::PERF_RECORD_FORK) => {
                if let Ok(Record::Fork(fork)) = Record::decode(record, layout)
                    && let Some(ids) = self.events.get(&fork.parent_tid).cloned()
                {
                    self.events.insert(fork.tid, ids);
                }
                false
            }
            Some(bindings::PERF_RECORD_EXIT) => {
                if let Ok(Record::Exit(exit)) = Record::decode(record, layout) {
                    self.events.remove(&exit.tid);
                }
                false
            }
            _ => false,
        }
    }
}

/// What `read(2)` of an event says it lost.
pub(super) fn lost_of(event: &OwnedFd, layout: &SampleLayout) -> Option<u64> {
    use std::io::Read as _;
    let mut bytes = [0; 64];
    let len = File::from(event.try_clone().ok()?).read(&mut bytes).ok()?;
    let mut cursor = crate::cursor::Cursor::new(&bytes[..len], 0, 0);
    crate::record::read_values(&mut cursor, layout.read_format).ok()?.values().next()?.lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{SAMPLE_TID, SAMPLE_TIME};

    const LAYOUT: SampleLayout = SampleLayout {
        sample_type: SAMPLE_IDENTIFIER | SAMPLE_TID | SAMPLE_TIME,
        read_format: 0,
        branch_sample_type: 0,
        sample_regs_user: 0,
        sample_regs_intr: 0,
        sample_id_all: false,
    };

    fn record(kind: u32, words: &[u64]) -> Vec<u8> {
        let size = (8 + words.len() * 8) as u16;
        let mut bytes = [kind.to_ne_bytes().as_slice(), &[0, 0], &size.to_ne_bytes()].concat();
        bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        bytes
    }

    fn sample(tid: u64, event: u64) -> Vec<u8> {
        record(bindings::PERF_RECORD_SAMPLE, &[event, 7 | tid << 32, 0])
    }

    /// FORK and EXIT: pid and parent's, tid and parent's, time.
    fn task(kind: u32, tid: u64, parent: u64) -> Vec<u8> {
        record(kind, &[7 | 7 << 32, tid | parent << 32, 0])
    }

    #[test]
    fn a_thread_with_two_sets_of_events_counts_by_its_own() {
        // Thread 20 has inherited event 1 and was given events 5 and 6.
        let mut owners = Owners { events: HashMap::from([(20, Arc::new(vec![5, 6]))]) };
        let mut is_duplicate = |record: Vec<u8>| owners.is_duplicate(&record, &LAYOUT);
        assert!(is_duplicate(sample(20, 1)));
        assert!(!is_duplicate(sample(20, 5)) && !is_duplicate(sample(20, 6)));
        // Others are not touched, nor is what 20 starts, which inherits both.
        assert!(!is_duplicate(sample(10, 1)) && !is_duplicate(sample(21, 1)));
        assert!(!is_duplicate(task(bindings::PERF_RECORD_FORK, 21, 20)));
        assert!(!is_duplicate(task(bindings::PERF_RECORD_FORK, 22, 21)));
        assert!(is_duplicate(sample(22, 1)) && !is_duplicate(sample(22, 5)));
        // Its id may be given to another thread.
        assert!(!is_duplicate(task(bindings::PERF_RECORD_EXIT, 22, 21)));
        assert!(!is_duplicate(sample(22, 1)));
    }

    #[test]
    fn forks_are_found_among_records() {
        assert_eq!(forked_thread(&task(bindings::PERF_RECORD_FORK, 21, 20), &LAYOUT), Some(21));
        assert_eq!(forked_thread(&task(bindings::PERF_RECORD_EXIT, 21, 20), &LAYOUT), None);
        assert_eq!(forked_thread(&[], &LAYOUT), None);
    }
}
