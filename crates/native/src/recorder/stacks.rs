//! From a sample's addresses to rows of the recording.
//!
//! Samples of a thread mostly share their outer frames with the one before, and those are not looked up again.

use burnmark_perf::record::Mode;

use super::{ChainFrame, Mapped, Recorder, SampleEvent, push_chain};
use crate::modules::Task;
use crate::recording::{CodeKind, FrameRow, NONE, SampleRow, StackRow};

/// Slots of the cache of frames. A power of two.
const CACHE_SLOTS: usize = 1 << 13;

/// Frames of a thread's last stack that are remembered, from the outermost on.
const MOST_STEPS: usize = 512;

/// A frame that was looked up.
#[derive(Clone, Copy, Debug)]
struct Cached {
    generation: u64,
    pid: i32,
    looked_up: ChainFrame,
    row: u32,
}

/// Frames that were looked up last, by address.
#[derive(Debug)]
pub(super) struct FrameCache(Vec<Option<Cached>>);

impl Default for FrameCache {
    fn default() -> Self {
        Self(vec![None; CACHE_SLOTS])
    }
}

/// A frame of a thread's last stack, and the row of the stack that it is the leaf of.
#[derive(Clone, Copy, Debug)]
struct Step {
    frame: ChainFrame,
    stack: u32,
}

/// A thread's last stack, outermost frame first.
#[derive(Debug, Default)]
pub(super) struct LastStack {
    steps: Vec<Step>,
    /// Of the process's address space: addresses mean something else in another.
    generation: u64,
}

impl LastStack {
    /// Keeps what a stack (leaf first) shares with it, and returns how many frames those are and their row.
    fn shared(&mut self, chain: &[ChainFrame], generation: u64) -> (usize, u32) {
        if self.generation != generation {
            self.steps.clear();
            self.generation = generation;
        }
        let same = chain.iter().rev().zip(&self.steps).take_while(|(frame, step)| **frame == step.frame).count();
        self.steps.truncate(same);
        (same, self.steps.last().map_or(NONE, |step| step.stack))
    }

    fn push(&mut self, frame: ChainFrame, stack: u32) {
        if self.steps.len() < MOST_STEPS {
            self.steps.push(Step { frame, stack });
        }
    }
}

impl Recorder {
    /// Takes in a sample with its stack's addresses, leaf first, each with the mode it ran in.
    pub fn sample(&mut self, sample: &SampleEvent, frames: impl IntoIterator<Item = (Mode, u64)>) {
        let mut chain = std::mem::take(&mut self.chain);
        chain.clear();
        push_chain(&mut chain, frames.into_iter());
        self.intern_sample(sample, &chain);
        self.chain = chain;
    }

    /// Takes in a sample with its whole stack, leaf first.
    pub(crate) fn intern_sample(&mut self, sample: &SampleEvent, chain: &[ChainFrame]) {
        let thread = self.thread_row(sample.pid, sample.tid);
        let mut last = self.threads.get_mut(&sample.tid).map(|thread| std::mem::take(&mut thread.last));
        let known = last.get_or_insert_default();
        let generation = self.spaces.generation_of(sample.pid);
        let (shared, stack) = known.shared(chain, generation);
        let stack = chain[..chain.len() - shared].iter().rev().try_fold(stack, |parent, frame| {
            let row = StackRow { parent, frame: self.frame(sample, *frame, generation)? };
            let stack = self.stack_ids.intern(&mut self.recording.stacks, row, self.room.stacks)?;
            known.push(*frame, stack);
            Some(stack)
        });
        if let (Some(thread), Some(last)) = (self.threads.get_mut(&sample.tid), last) {
            thread.last = last;
        }
        let stack = stack.or_else(|| self.leaf_alone(sample, chain, generation));
        let has_room = self.recording.samples.len() < self.room.samples;
        match stack.zip(thread).filter(|_| has_room) {
            Some((stack, thread)) => {
                let SampleEvent { time, period, event, .. } = *sample;
                self.recording.push_sample(SampleRow { time, period, stack, thread }, event);
            }
            None => self.beyond.left_out += 1,
        }
        self.tick(sample.time);
    }

    /// The stack of a sample's innermost frame only, when there is no room for more: self times stay right.
    fn leaf_alone(&mut self, sample: &SampleEvent, chain: &[ChainFrame], generation: u64) -> Option<u32> {
        let row = StackRow { parent: NONE, frame: self.frame(sample, *chain.first()?, generation)? };
        // There are no more of these than frames.
        let stack = self.stack_ids.intern(&mut self.recording.stacks, row, usize::MAX)?;
        self.beyond.cut += 1;
        Some(stack)
    }

    /// The row of a frame; `generation` is that of the sample's process.
    fn frame(&mut self, sample: &SampleEvent, frame: ChainFrame, generation: u64) -> Option<u32> {
        let is_user = matches!(frame.mode, Mode::User | Mode::Unknown);
        // Elsewhere an address means the same in every process.
        let (generation, pid) = if is_user { (generation, sample.pid) } else { (0, 0) };
        let address = frame.address;
        let slot = (address ^ (address >> 12) ^ ((pid as u64) << 5)) as usize % CACHE_SLOTS;
        if let Some(hit) = self.cache.0[slot]
            && (hit.generation, hit.pid, hit.looked_up) == (generation, pid, frame)
        {
            return Some(hit.row);
        }
        let row = match frame.mode {
            Mode::Kernel => self.kernel_frame(frame)?,
            Mode::Hypervisor => self.foreign_frame(b"[hypervisor]", frame)?,
            Mode::GuestKernel => self.foreign_frame(b"[guest.kernel.kallsyms]", frame)?,
            Mode::GuestUser => self.foreign_frame(b"[guest]", frame)?,
            Mode::User | Mode::Unknown => self.user_frame(sample, frame),
        };
        let row = self.frame_ids.intern(&mut self.recording.frames, row, self.room.frames)?;
        self.cache.0[slot] = Some(Cached { generation, pid, looked_up: frame, row });
        Some(row)
    }

    fn kernel_frame(&mut self, frame: ChainFrame) -> Option<FrameRow> {
        if self.kernel_module.is_none() {
            let mapping = Mapped { path: b"[kernel.kallsyms]", start: self.kernel_start, ..Mapped::default() };
            self.kernel_module = self.module(0, &mapping, CodeKind::Kernel);
        }
        Some(FrameRow { module: self.kernel_module?, address: frame.address, is_return: frame.is_return })
    }

    fn foreign_frame(&mut self, path: &[u8], frame: ChainFrame) -> Option<FrameRow> {
        let mapping = Mapped { path, ..Mapped::default() };
        let module = self.module(0, &mapping, CodeKind::Foreign)?;
        Some(FrameRow { module, address: frame.address, is_return: frame.is_return })
    }

    fn user_frame(&mut self, sample: &SampleEvent, frame: ChainFrame) -> FrameRow {
        let ChainFrame { address, is_return, .. } = frame;
        // A call at the very end of a mapping returns to the first byte after it.
        let asked = if is_return { address.wrapping_sub(1) } else { address };
        match self.spaces.find(sample.pid, asked) {
            Some(found) => {
                self.open(found.module, sample);
                FrameRow { module: found.module, address: found.offset.wrapping_add(address - asked), is_return }
            }
            None => FrameRow { module: NONE, address, is_return },
        }
    }

    /// Opens a module's file, if that is still to be done.
    fn open(&mut self, module: u32, sample: &SampleEvent) {
        let Some(modules) = &self.modules else { return };
        if self.opened.len() < self.recording.modules.len() {
            self.opened.resize(self.recording.modules.len(), false);
        }
        let index = module as usize;
        if self.opened.get(index) == Some(&true) {
            return;
        }
        let task = Task { pid: sample.pid, tid: sample.tid };
        modules.note(task, false);
        if self.recording.modules[index].kind == CodeKind::Anonymous {
            // The module is of one process and its children, which write to one map.
            let task = Task { pid: self.recording.modules[index].pid, ..task };
            self.opened[index] = modules.hold_jit(task, sample.time);
        } else {
            let open = modules.open(module, &self.recording.modules[index], Some(task));
            self.opened[index] = !open.is_err_and(|why| why.may_pass());
        }
    }
}
