//! Samples that are unwound in parallel and taken in one after the other, as if each had been taken in alone: those of
//! one batch while the next is being unwound.
//!
//! What is unwound depends on the address spaces as they are, and what is taken in on names, too: all of a batch's samples
//! are in before a record that changes those of a process with samples in it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use burnmark_perf::record::{Mode, Record, Sample};
use foldhash::fast::RandomState;

use super::unwinding::{Unwinding, unwound};
use super::{ChainFrame, Recorder, SampleEvent, push_chain};
use crate::unwind::CodeMap;

/// Samples in a batch at most: 16 KB of stack each are 16 MB of the file.
const MOST: usize = 1024;

/// Samples that a thread takes at once, so that all end together.
const SHARE: usize = 32;

/// Samples that wait to be unwound, and others that wait to be taken in.
#[derive(Debug, Default)]
pub(crate) struct Batch<'r> {
    samples: Samples<'r>,
    unwound: Samples<'r>,
}

#[derive(Debug, Default)]
struct Samples<'r> {
    all: Vec<(SampleEvent, Sample<'r>)>,
    pids: HashSet<i32, RandomState>,
    /// Which thread has unwound each share, once they are.
    shares: Vec<Share>,
    /// What the threads have found.
    found: Vec<Stacks>,
}

/// Samples that one thread has unwound: where in its [`Stacks`] the first one's end is, and its first frame.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    thread: usize,
    first: usize,
    start: usize,
}

/// Stacks one after the other, and where each ends; `None`: that sample is not to be unwound.
#[derive(Debug, Default)]
struct Stacks {
    frames: Vec<ChainFrame>,
    ends: Vec<Option<usize>>,
    /// The shares that these are of, in order, each with its number.
    shares: Vec<(usize, Share)>,
    /// A frame of each mode but the user's.
    others: Vec<ChainFrame>,
}

impl<'r> Batch<'r> {
    /// Adds a sample; `true` if the batch is full.
    pub(crate) fn push(&mut self, event: SampleEvent, sample: Sample<'r>) -> bool {
        self.samples.pids.insert(event.pid);
        self.samples.all.push((event, sample));
        self.samples.all.len() >= MOST
    }

    fn is_empty(&self) -> bool {
        self.samples.all.is_empty() && self.unwound.all.is_empty()
    }

    /// Whether a record must not be taken in before these samples.
    pub(crate) fn ends_before(&self, record: &Record<'_>) -> bool {
        let pid = match record {
            Record::Mmap(map) => map.pid,
            Record::Mmap2(map) => map.pid,
            Record::Comm(comm) => comm.pid,
            Record::Fork(task) | Record::Exit(task) => task.pid,
            Record::Sample(_) | Record::CallchainDeferred(_) => return !self.is_empty(),
            _ => return false,
        };
        self.samples.pids.contains(&pid) || self.unwound.pids.contains(&pid)
    }
}

impl Stacks {
    /// Unwinds shares of the samples, as long as there are some that nobody has taken.
    fn unwind(
        mut self,
        unwinding: &mut Unwinding,
        samples: &[(SampleEvent, Sample<'_>)],
        code: CodeMap<'_>,
        next: &AtomicUsize,
    ) -> Self {
        self.clear();
        let mut chain = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(share) = samples.chunks(SHARE).nth(number) else { return self };
            self.shares.push((number, Share { thread: 0, first: self.ends.len(), start: self.frames.len() }));
            for (event, sample) in share {
                let is_done = unwound(unwinding, event, sample, code, &mut chain);
                self.frames.extend(is_done.then_some(&chain).into_iter().flatten());
                self.ends.push(is_done.then_some(self.frames.len()));
                if !is_done {
                    chain.clear();
                    push_chain(&mut chain, sample.frames());
                }
                // The user half that was unwound comes last.
                let is_other = |frame: &&ChainFrame| frame.mode != Mode::User;
                for frame in chain.iter().take_while(|frame| !is_done || is_other(frame)).filter(is_other) {
                    if !self.others.iter().any(|other| other.mode == frame.mode) {
                        self.others.push(*frame);
                    }
                }
            }
        }
    }

    fn clear(&mut self) {
        let Self { frames, ends, shares, others } = self;
        frames.clear();
        ends.clear();
        shares.clear();
        others.clear();
    }
}

impl Recorder {
    /// Takes in all samples of a batch, which is empty afterwards.
    pub(crate) fn apply_batch(&mut self, batch: &mut Batch<'_>) {
        while !batch.is_empty() {
            self.advance_batch(batch);
        }
    }

    /// Takes in the samples of a batch that are unwound, while those that wait are being unwound.
    pub(crate) fn advance_batch(&mut self, batch: &mut Batch<'_>) {
        let Some(options) = self.unwinding.as_ref().map(|unwinding| unwinding.options) else {
            let Batch { samples, unwound } = std::mem::take(batch);
            self.take_in(&unwound);
            samples.all.iter().for_each(|(event, sample)| self.sample(event, sample.frames()));
            return;
        };
        let Batch { samples, unwound } = batch;
        self.make_modules(&unwound.found);
        let threads = rayon::current_num_threads().min(samples.all.len().div_ceil(SHARE));
        let mut unwinders = std::mem::take(&mut self.unwinders);
        unwinders.resize_with(unwinders.len().max(threads), || Unwinding::new(options));
        // Nothing is added to these meanwhile.
        let (spaces, rows) = (self.spaces.clone(), std::mem::take(&mut self.recording.modules));
        let most_modules = std::mem::take(&mut self.room.modules);
        let files = self.modules.clone();
        let code = CodeMap { spaces: &spaces, rows: &rows, files: files.as_deref() };
        samples.found.resize_with(threads, Stacks::default);
        rayon::join(|| samples.unwind(&mut unwinders[..threads], code), || self.take_in(unwound));
        self.recording.modules = rows;
        self.room.modules = most_modules;
        self.unwinders = unwinders;
        for (module, sample) in std::mem::take(&mut self.to_open) {
            self.open(module, &sample);
        }
        unwound.all.clear();
        unwound.pids.clear();
        std::mem::swap(samples, unwound);
    }

    /// Adds the modules of frames that are nobody's.
    fn make_modules(&mut self, found: &[Stacks]) {
        for other in found.iter().flat_map(|stacks| &stacks.others) {
            // There may be no room for it: then there will be none for the sample.
            let _ = self.frame_elsewhere(*other);
        }
    }

    fn take_in(&mut self, samples: &Samples<'_>) {
        for (part, share) in samples.all.chunks(SHARE).zip(&samples.shares) {
            let Share { thread, first, mut start } = *share;
            let Stacks { frames, ends, .. } = &samples.found[thread];
            for ((event, sample), end) in part.iter().zip(&ends[first..]) {
                match end {
                    Some(end) => {
                        self.intern_sample(event, &frames[start..*end]);
                        start = *end;
                    }
                    None => self.sample(event, sample.frames()),
                }
            }
        }
    }
}

impl Samples<'_> {
    /// Unwinds all of them, with one thread each unwinder.
    fn unwind(&mut self, unwinders: &mut [Unwinding], code: CodeMap<'_>) {
        let Self { all, shares, found, .. } = self;
        let next = AtomicUsize::new(0);
        rayon::scope(|scope| {
            let mut work = unwinders.iter_mut().zip(&mut *found);
            let first = work.next();
            for (unwinder, stacks) in work {
                let (all, next) = (&*all, &next);
                scope.spawn(move |_| *stacks = std::mem::take(stacks).unwind(unwinder, all, code, next));
            }
            if let Some((unwinder, stacks)) = first {
                *stacks = std::mem::take(stacks).unwind(unwinder, all, code, &next);
            }
        });
        shares.clear();
        shares.resize(all.len().div_ceil(SHARE), Share::default());
        for (thread, stacks) in found.iter().enumerate() {
            stacks.shares.iter().for_each(|(number, share)| shares[*number] = Share { thread, ..*share });
        }
    }
}
