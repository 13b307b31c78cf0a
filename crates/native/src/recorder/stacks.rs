//! From a sample's addresses to rows of the recording.
//!
//! Samples of a thread mostly share their outer frames with the one before, and those are not looked up again.

use burnmark_perf::record::Mode;

use super::known::ChainKey;
use super::rows::Path;
use super::{ChainFrame, ChainHash, Mapped, Recorder, SampleEvent, push_chain};
use crate::modules::Task;
use crate::recording::{CodeKind, FrameRow, NONE, SampleRow};

/// Slots of the cache of frames. A power of two.
const CACHE_SLOTS: usize = 1 << 15;

/// Threads whose last stacks are remembered. A power of two.
const LAST_STACKS: usize = 1 << 9;

/// No count of changes.
const NEVER: u64 = u64::MAX;

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

/// A frame of a thread's last stack, and the stack that it is the leaf of.
#[derive(Clone, Copy, Debug)]
struct Step {
    frame: ChainFrame,
    path: Path,
}

/// What is known of a thread since its last sample.
#[derive(Debug, Default)]
pub(super) struct Last {
    task: Task,
    /// Its row, and [`Recorder::names`] when that was looked up.
    row: Option<(u32, u64)>,
    /// Of the process's address space: addresses mean something else in another.
    generation: u64,
    /// [`Spaces::changes`] when that was looked up.
    changes: u64,
    /// Its last stack, outermost frame first.
    steps: Vec<Step>,
}

impl Last {
    /// Keeps what a stack (leaf first) shares with the last one, and returns how many frames those are.
    fn shared(&mut self, chain: &[ChainFrame]) -> usize {
        let same = chain.iter().rev().zip(&self.steps).take_while(|(frame, step)| **frame == step.frame).count();
        self.steps.truncate(same);
        same
    }

    fn push(&mut self, frame: ChainFrame, path: Path) {
        if self.steps.len() < MOST_STEPS {
            self.steps.push(Step { frame, path });
        }
    }
}

/// The last stacks of threads, by tid. Where two threads meet, they are looked up anew.
#[derive(Debug, Default)]
pub(super) struct LastStacks(Vec<Last>);

impl LastStacks {
    /// Takes a thread's out, to be put back.
    fn take(&mut self, task: Task) -> Last {
        if self.0.is_empty() {
            self.0.resize_with(LAST_STACKS, Last::default);
        }
        let mut last = std::mem::take(&mut self.0[task.tid as usize % LAST_STACKS]);
        if last.task != task {
            last.steps.clear();
            last = Last { task, steps: last.steps, changes: NEVER, ..Last::default() };
        }
        last
    }

    fn put_back(&mut self, last: Last) {
        let slot = last.task.tid as usize % LAST_STACKS;
        self.0[slot] = last;
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
        let mut last = self.last_of(sample);
        let stack = self.stack(sample, chain, &mut last);
        let stack = stack.or_else(|| self.leaf_alone(sample, chain, last.generation));
        self.push_sample(sample, stack, last);
    }

    /// Takes in a sample with a hash of its stack; `frames` are asked for if it is not known, leaf first.
    pub(crate) fn hashed_sample<I>(&mut self, sample: &SampleEvent, hash: ChainHash, frames: impl FnOnce() -> I)
    where
        I: Iterator<Item = (Mode, u64)>,
    {
        let mut last = self.last_of(sample);
        let key = ChainKey { hash, generation: last.generation, pid: sample.pid };
        let mut stack = self.known.get(&key);
        if stack.is_none() {
            let mut chain = std::mem::take(&mut self.chain);
            chain.clear();
            push_chain(&mut chain, frames());
            stack = self.stack(sample, &chain, &mut last);
            match stack {
                Some(stack) if stack != NONE => self.known.put(&key, stack, self.room.known),
                Some(_) => {}
                None => stack = self.leaf_alone(sample, &chain, last.generation),
            }
            self.chain = chain;
        }
        self.push_sample(sample, stack, last);
    }

    /// What is known of a sample's thread, brought up to date.
    fn last_of(&mut self, sample: &SampleEvent) -> Last {
        let mut last = self.last.take(Task { pid: sample.pid, tid: sample.tid });
        let known = last.row.filter(|(_, names)| *names == self.names);
        last.row = known.or_else(|| Some((self.thread_row(sample.pid, sample.tid)?, self.names)));
        let changes = self.spaces.changes();
        if last.changes != changes {
            let generation = self.spaces.generation_of(sample.pid);
            if last.generation != generation {
                last.steps.clear();
            }
            (last.generation, last.changes) = (generation, changes);
        }
        last
    }

    fn push_sample(&mut self, sample: &SampleEvent, stack: Option<u32>, last: Last) {
        let has_room = self.recording.samples.len() < self.room.samples;
        match stack.zip(last.row).filter(|_| has_room) {
            Some((stack, (thread, _))) => {
                let SampleEvent { time, period, event, .. } = *sample;
                self.recording.push_sample(SampleRow { time, period, stack, thread }, event);
            }
            None => self.beyond.left_out += 1,
        }
        self.last.put_back(last);
        self.tick(sample.time);
    }

    /// The row of a whole stack.
    fn stack(&mut self, sample: &SampleEvent, chain: &[ChainFrame], last: &mut Last) -> Option<u32> {
        let shared = last.shared(chain);
        let mut path = last.steps.last().map_or_else(|| self.stack_ids.root(), |step| step.path);
        let new = &chain[..chain.len() - shared];
        let mut rows = std::mem::take(&mut self.frame_rows);
        rows.clear();
        let is_whole = new.iter().rev().all(|frame| {
            let row = self.frame(sample, *frame, last.generation);
            rows.extend(row);
            row.is_some()
        });
        let stacks = &mut self.recording.stacks;
        self.stack_ids.fetch(stacks, path, &rows);
        let steps = rows.iter().zip(new.iter().rev()).try_for_each(|(row, frame)| {
            path = self.stack_ids.step(stacks, path, *row, self.room.stacks)?;
            last.push(*frame, path);
            Some(())
        });
        self.frame_rows = rows;
        steps.filter(|()| is_whole).map(|()| path.stack)
    }

    /// The stack of a sample's innermost frame only, when there is no room for more: self times stay right.
    fn leaf_alone(&mut self, sample: &SampleEvent, chain: &[ChainFrame], generation: u64) -> Option<u32> {
        let row = self.frame(sample, *chain.first()?, generation)?;
        // There are no more of these than frames.
        let path = self.stack_ids.step(&mut self.recording.stacks, self.stack_ids.root(), row, usize::MAX)?;
        self.beyond.cut += 1;
        Some(path.stack)
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
        let row = if is_user { self.user_frame(sample, frame) } else { self.frame_elsewhere(frame)? };
        let row = self.frame_ids.intern(&mut self.recording.frames, row, self.room.frames)?;
        self.cache.0[slot] = Some(Cached { generation, pid, looked_up: frame, row });
        Some(row)
    }

    /// A frame that is not of a process. Its module is added if it is new.
    pub(super) fn frame_elsewhere(&mut self, frame: ChainFrame) -> Option<FrameRow> {
        match frame.mode {
            Mode::Kernel => self.kernel_frame(frame),
            Mode::Hypervisor => self.foreign_frame(b"[hypervisor]", frame),
            Mode::GuestKernel => self.foreign_frame(b"[guest.kernel.kallsyms]", frame),
            Mode::GuestUser => self.foreign_frame(b"[guest]", frame),
            Mode::User | Mode::Unknown => None,
        }
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
        let found = self.spaces.find(sample.pid, asked);
        match found.or_else(|| self.spaces.find_before_exec(sample.pid, asked)) {
            Some(found) => {
                self.open(found.module, sample);
                FrameRow { module: found.module, address: found.offset.wrapping_add(address - asked), is_return }
            }
            None => FrameRow { module: NONE, address, is_return },
        }
    }

    /// Opens a module's file, if that is still to be done.
    pub(super) fn open(&mut self, module: u32, sample: &SampleEvent) {
        let Some(modules) = &self.modules else { return };
        if self.opened.len() < self.recording.modules.len() {
            self.opened.resize(self.recording.modules.len(), false);
        }
        let index = module as usize;
        if self.opened.get(index) == Some(&true) {
            return;
        }
        if index >= self.recording.modules.len() {
            self.to_open.push((module, *sample));
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
