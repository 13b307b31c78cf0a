//! Which records belong to what is to be sampled.

use crate::layout::SampleLayout;
use crate::record::{Header, Record};
use perf_event_open_sys::bindings as sys;
use std::collections::HashSet;

/// What to sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// These processes with all their threads.
    Pids(Vec<u32>),
    /// These threads alone, by their thread ids.
    Threads(Vec<u32>),
    /// The command held in [`super::Launched`]: from its exec on.
    Command(u32),
    /// Everything on the machine.
    All,
}

/// The processes that are sampled, kept up to date by the records themselves: feed it every record in time order.
#[derive(Debug, Default)]
pub(super) struct TargetSet {
    /// The kernel selects already (events bound to tasks), or everything is wanted.
    admits_all: bool,
    follows_children: bool,
    /// Only samples of these threads count.
    threads: Option<HashSet<i32>>,
    /// Children that were forked in records taken and not yet handed on: they may become ours.
    expected: HashSet<i32>,
    /// Ids of target processes, those that have exited included until another process takes the id.
    pids: HashSet<i32>,
    /// Those of `pids` not yet known to have exited.
    maybe_alive: HashSet<i32>,
    /// The command's process, while it has not reached its exec, and the time from which on it certainly has.
    before_exec: Option<(i32, u64)>,
}

impl TargetSet {
    pub(super) fn new(admits_all: bool, follows_children: bool) -> TargetSet {
        TargetSet { admits_all, follows_children, ..TargetSet::default() }
    }

    pub(super) fn insert(&mut self, pid: i32) {
        self.pids.insert(pid);
        self.maybe_alive.insert(pid);
    }

    /// Only samples of these threads are wanted.
    pub(super) fn limit_to_threads(&mut self, threads: impl IntoIterator<Item = i32>) {
        self.threads = Some(threads.into_iter().collect());
    }

    /// Takes note of a record ahead of its turn: see [`TargetSet::may_admit`].
    pub(super) fn expect(&mut self, record: &[u8], layout: &SampleLayout) {
        if self.admits_all || !self.follows_children {
            return;
        }
        if Header::peek(record).is_some_and(|header| header.kind == sys::PERF_RECORD_FORK)
            && let Ok(Record::Fork(fork)) = Record::decode(record, layout)
            && fork.pid != fork.parent_pid
        {
            self.expected.insert(fork.pid);
        }
    }

    /// Whether [`TargetSet::admit`] may admit samples of this thread, whatever the records before them say. For
    /// dropping those of others early; all records before the sample's moment must have been shown to
    /// [`TargetSet::expect`].
    pub(super) fn may_admit(&self, pid: i32, tid: i32) -> bool {
        if self.threads.as_ref().is_some_and(|threads| !threads.contains(&tid)) {
            return false;
        }
        self.admits_all || self.pids.contains(&pid) || self.expected.contains(&pid)
    }

    /// Those of the processes that still run, by `alive`'s answer.
    pub(super) fn living(&self, alive: impl Fn(i32) -> bool) -> Vec<i32> {
        let mut living: Vec<i32> = self.maybe_alive.iter().copied().filter(|&pid| alive(pid)).collect();
        living.sort_unstable();
        living
    }

    /// Records of `pid` are refused until its exec.
    pub(super) fn hold_until_exec(&mut self, pid: i32) {
        self.before_exec = Some((pid, u64::MAX));
    }

    /// From `time` on the command has certainly reached its exec, even if the record that says so was lost.
    pub(super) fn exec_done_at(&mut self, time: u64) {
        if let Some((_, deadline)) = &mut self.before_exec {
            *deadline = time;
        }
    }

    /// Whether a process of the set still runs, by `alive`'s answer. Asks only about those not yet known to be gone.
    pub(super) fn any_alive(&mut self, alive: impl Fn(i32) -> bool) -> bool {
        while let Some(&pid) = self.maybe_alive.iter().next() {
            if alive(pid) {
                return true;
            }
            self.maybe_alive.remove(&pid);
        }
        false
    }

    /// Whether the record is to be kept; learns of forks on the way.
    pub(super) fn admit(&mut self, record: &[u8], layout: &SampleLayout) -> bool {
        let Some(header) = Header::peek(record) else { return false };
        let pid = match header.kind {
            sys::PERF_RECORD_SAMPLE => {
                let thread = layout.peek_thread(record);
                if let (Some((_, tid)), Some(threads)) = (thread, &self.threads)
                    && !threads.contains(&tid)
                {
                    return false;
                }
                thread.map(|(pid, _)| pid)
            }
            sys::PERF_RECORD_FORK => return self.admit_fork(record, layout),
            // These begin with the process they speak of.
            sys::PERF_RECORD_MMAP
            | sys::PERF_RECORD_MMAP2
            | sys::PERF_RECORD_COMM
            | sys::PERF_RECORD_EXIT
            | sys::PERF_RECORD_READ
            | sys::PERF_RECORD_NAMESPACES => crate::cursor::i32_at(record, crate::record::HEADER_LEN),
            sys::PERF_RECORD_SWITCH | sys::PERF_RECORD_SWITCH_CPU_WIDE => {
                layout.peek_thread(record).map(|(pid, _)| pid)
            }
            // Losses and what happens to the kernel's own text concern every process.
            _ => return true,
        };
        let Some(pid) = pid else { return self.admits_all };
        if let Some((held, deadline)) = self.before_exec
            && held == pid
        {
            if !is_exec(record, layout) && layout.peek_time(record).is_none_or(|time| time < deadline) {
                return false;
            }
            self.before_exec = None;
        }
        self.admits_all || self.pids.contains(&pid)
    }

    fn admit_fork(&mut self, record: &[u8], layout: &SampleLayout) -> bool {
        let Ok(Record::Fork(fork)) = Record::decode(record, layout) else { return self.admits_all };
        self.expected.remove(&fork.pid);
        if fork.pid != fork.parent_pid {
            if self.follows_children && self.pids.contains(&fork.parent_pid) {
                self.insert(fork.pid);
            } else {
                // Somebody else's new process has taken the id of one of ours that is gone.
                self.pids.remove(&fork.pid);
                self.maybe_alive.remove(&fork.pid);
            }
        }
        self.admits_all || self.pids.contains(&fork.pid)
    }
}

fn is_exec(record: &[u8], layout: &SampleLayout) -> bool {
    matches!(Record::decode(record, layout), Ok(Record::Comm(comm)) if comm.is_exec)
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
