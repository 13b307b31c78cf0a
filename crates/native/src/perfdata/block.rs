//! Records decoded ahead of their turn: while one block of a run is taken in, another thread decodes the next. Decoding
//! depends on nothing that was taken in before.

use std::ops::Range;

use burnmark_perf::file::{Head, Item};
use burnmark_perf::record::{DecodeError, Mode, PlainLayout, Record, Sample};

use crate::recorder::{ChainFrame, ChainHash, ChainHasher, SampleEvent, push_chain};

/// Items of a block at most, as many as are unwound together, several times.
const ITEMS: usize = 4096;

/// Bytes of a block at most, and those of one more item: 1024 samples with 16 KB of stack each.
const BYTES: usize = 16 << 20;

/// Frames of a block at most, and those of one more stack: 2 MB.
const FRAMES: usize = 1 << 17;

/// What is to be done with an item.
#[derive(Debug)]
pub(super) enum Step<'r> {
    /// A sample whose stack is all in its record, which is plain: a hash of it, and the index in the run.
    Plain(SampleEvent, ChainHash, usize),
    /// A sample whose stack is all in its record: the next frames of the block, up to this one.
    Stack(SampleEvent, usize),
    /// A sample whose stack is to be unwound.
    Unwind(Box<Sample<'r>>, u16),
    /// Anything else.
    Other(Box<Record<'r>>, u16),
    /// It can't be decoded: the index in the run.
    Failed(usize, DecodeError),
}

impl Step<'_> {
    /// The hash of a stack that may be known.
    pub(super) fn hash(&self) -> Option<ChainHash> {
        if let Step::Plain(_, hash, _) = self { Some(*hash) } else { None }
    }
}

/// A decoded part of a run.
#[derive(Debug, Default)]
pub(super) struct Block<'r> {
    pub(super) steps: Vec<Step<'r>>,
    /// Stacks one after the other, each leaf first.
    pub(super) frames: Vec<ChainFrame>,
    /// Where its first item is in the run, and the first one after it.
    pub(super) items: Range<usize>,
}

/// How a file's samples are laid out, where they are plain.
#[derive(Debug, Default)]
pub(super) struct Plain {
    /// By event.
    layouts: Vec<Option<PlainLayout>>,
    hasher: ChainHasher,
}

impl Plain {
    /// Takes over the events that are known.
    pub(super) fn describe(&mut self, head: &Head) {
        self.layouts = head.events.iter().map(|event| PlainLayout::of(&event.layout)).collect();
    }

    /// The frames of an item that a [`Step::Plain`] was made of, leaf first.
    pub(super) fn frames<'r>(&self, item: &Item<'r>) -> impl Iterator<Item = (Mode, u64)> + use<'r> {
        let layout = self.layouts.get(usize::from(item.event)).copied().flatten();
        layout.and_then(|layout| layout.read(item.bytes)).into_iter().flat_map(|plain| plain.frames())
    }

    fn step(&self, head: &Head, item: &Item<'_>, index: usize) -> Option<Step<'static>> {
        let plain = self.layouts.get(usize::from(item.event))?.as_ref()?.read(item.bytes)?;
        let period = plain.period.unwrap_or(head.events[usize::from(item.event)].period);
        let sample = SampleEvent { pid: plain.pid, tid: plain.tid, time: plain.time, period, event: item.event };
        Some(Step::Plain(sample, self.hasher.hash(&plain), index))
    }
}

impl<'r> Block<'r> {
    /// Decodes items of a run from one on; `frames` is room that is used again.
    pub(super) fn decode(
        head: &Head,
        plain: &Plain,
        run: &[Item<'r>],
        first: usize,
        mut frames: Vec<ChainFrame>,
    ) -> Self {
        frames.clear();
        let most = run.len().min(first + ITEMS);
        let mut steps = Vec::with_capacity(most - first);
        let (mut end, mut bytes) = (first, 0);
        for (index, item) in run.iter().enumerate().take(most).skip(first) {
            if frames.len() >= FRAMES || bytes >= BYTES {
                break;
            }
            end = index + 1;
            bytes += item.bytes.len();
            if let Some(step) = plain.step(head, item, index) {
                steps.push(step);
                continue;
            }
            let Some(event) = head.events.get(usize::from(item.event)) else { continue };
            steps.push(match Record::decode(item.bytes, &event.layout) {
                Ok(Record::Sample(sample)) if !is_deferred(&sample) => match (sample.stack_user, sample.time) {
                    (Some(_), _) => Step::Unwind(Box::new(sample), item.event),
                    (None, Some(time)) => {
                        push_chain(&mut frames, sample.frames());
                        let period = sample.period.unwrap_or(event.period);
                        let (pid, tid) = (sample.pid.unwrap_or(-1), sample.tid.unwrap_or(-1));
                        Step::Stack(SampleEvent { pid, tid, time, period, event: item.event }, frames.len())
                    }
                    (None, None) => Step::Other(Box::new(Record::Sample(sample)), item.event),
                },
                Ok(record) => Step::Other(Box::new(record), item.event),
                Err(error) => Step::Failed(index, error),
            });
        }
        Self { steps, frames, items: first..end }
    }
}

/// Whether the user half of a sample's call chain comes later.
fn is_deferred(sample: &Sample<'_>) -> bool {
    sample.callchain.is_some_and(|chain| chain.deferred_cookie().is_some())
}
