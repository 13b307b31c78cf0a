//! Samples that are unwound in parallel and taken in one after the other, as if each had been taken in alone.
//!
//! What is unwound depends on the address spaces as they are: a batch ends before a record that changes those of a
//! process with samples in it.

use std::collections::HashSet;

use burnmark_perf::record::{Record, Sample};
use foldhash::fast::RandomState;

use super::unwinding::{Unwinding, unwound};
use super::{ChainFrame, Recorder, SampleEvent};
use crate::unwind::CodeMap;

/// Samples in a batch at most: 16 KB of stack each are 16 MB of the file.
const MOST: usize = 1024;

/// Samples that are worth a thread.
const SHARE: usize = 8;

/// Samples that wait.
#[derive(Debug, Default)]
pub(crate) struct Batch<'r> {
    samples: Vec<(SampleEvent, Sample<'r>)>,
    pids: HashSet<i32, RandomState>,
}

impl<'r> Batch<'r> {
    /// Adds a sample; `true` if the batch is full.
    pub(crate) fn push(&mut self, event: SampleEvent, sample: Sample<'r>) -> bool {
        self.pids.insert(event.pid);
        self.samples.push((event, sample));
        self.samples.len() >= MOST
    }

    /// Whether a record must not be taken in before these samples.
    pub(crate) fn ends_before(&self, record: &Record<'_>) -> bool {
        let pid = match record {
            Record::Mmap(map) => map.pid,
            Record::Mmap2(map) => map.pid,
            Record::Comm(comm) => comm.pid,
            Record::Fork(task) | Record::Exit(task) => task.pid,
            Record::Sample(_) | Record::CallchainDeferred(_) => return !self.samples.is_empty(),
            _ => return false,
        };
        self.pids.contains(&pid)
    }
}

/// A thread's part of the work: stacks one after the other, and where each ends.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) unwinding: Unwinding,
    frames: Vec<ChainFrame>,
    /// `None`: that sample is not to be unwound.
    ends: Vec<Option<usize>>,
}

impl Worker {
    fn work(&mut self, samples: &[(SampleEvent, Sample<'_>)], code: CodeMap<'_>) {
        self.frames.clear();
        self.ends.clear();
        let mut chain = Vec::new();
        for (event, sample) in samples {
            let is_done = unwound(&mut self.unwinding, event, sample, code, &mut chain);
            self.frames.extend(is_done.then_some(&chain).into_iter().flatten());
            self.ends.push(is_done.then_some(self.frames.len()));
        }
    }
}

impl Recorder {
    /// Takes in the samples of a batch, which is empty afterwards.
    pub(crate) fn apply_batch(&mut self, batch: &mut Batch<'_>) {
        if batch.samples.is_empty() {
            return;
        }
        let samples = std::mem::take(&mut batch.samples);
        batch.pids.clear();
        let Some(options) = self.unwinding.as_ref().map(|unwinding| unwinding.options) else {
            samples.iter().for_each(|(event, sample)| self.sample(event, sample.frames()));
            return;
        };
        let threads = rayon::current_num_threads().min(samples.len().div_ceil(SHARE)).max(1);
        let new = || Worker { unwinding: Unwinding::new(options), frames: Vec::new(), ends: Vec::new() };
        let mut workers = std::mem::take(&mut self.workers);
        workers.resize_with(workers.len().max(threads), new);
        let share = samples.len().div_ceil(threads).max(1);
        let code = CodeMap { spaces: &self.spaces, rows: &self.recording.modules, files: self.modules.as_deref() };
        let mut parts = samples.chunks(share).zip(&mut workers);
        let first = parts.next();
        rayon::scope(|scope| {
            for (part, worker) in parts {
                scope.spawn(move |_| worker.work(part, code));
            }
            if let Some((part, worker)) = first {
                worker.work(part, code);
            }
        });
        for (part, worker) in samples.chunks(share).zip(&workers) {
            let mut start = 0;
            for ((event, sample), end) in part.iter().zip(&worker.ends) {
                match end {
                    Some(end) => {
                        self.intern_sample(event, &worker.frames[start..*end]);
                        start = *end;
                    }
                    None => self.sample(event, sample.frames()),
                }
            }
        }
        self.workers = workers;
    }
}
