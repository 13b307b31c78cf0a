//! From a sample's addresses to rows of the recording.
//!
//! Samples of a thread mostly share their outer frames with the one before, and those are not looked up again.

use burnmark_model::Path;
use burnmark_perf::record::Mode;

use super::known::ChainKey;
use super::rows::step;
use super::{ChainFrame, ChainHash, Mapped, Recorder, SampleEvent, push_chain};
use crate::modules::Task;
use crate::recording::{CodeKind, FrameRow, NONE, SampleRow, StackRow};
use crate::spaces::FoundRegion;

/// Threads whose last stacks are remembered. A power of two.
const LAST_STACKS: usize = 1 << 9;

/// No count of changes.
const NEVER: u64 = u64::MAX;

/// Frames of a thread's last stack that are remembered, from the outermost on.
const MOST_STEPS: usize = 512;

/// Regions that are remembered of a thread.
const MOST_NEAR: usize = 8;

/// Steps of a stack from the leaf on that are looked up at once.
const FETCHED: usize = 8;

/// Frames from the leaf on that may be new.
const FETCHED_FRAMES: usize = 3;

/// A frame of a stack, and the path that leads to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    frame: ChainFrame,
    row: FrameRow,
    path: Path,
    /// The stack that it is the leaf of; [`NONE`] if that has not been looked up.
    stack: u32,
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
    /// Where its frames were lately, the latest to be found first.
    near: Vec<FoundRegion>,
}

impl Last {
    /// Keeps what a stack (leaf first) shares with the last one, and returns how many frames those are.
    fn shared(&mut self, chain: &[ChainFrame]) -> usize {
        let same = chain.iter().rev().zip(&self.steps).take_while(|(frame, step)| **frame == step.frame).count();
        self.steps.truncate(same);
        same
    }

    /// Nothing that was found still holds.
    fn forget(&mut self) {
        self.steps.clear();
        self.near.clear();
    }

    fn push(&mut self, steps: &[Step]) {
        let room = MOST_STEPS.saturating_sub(self.steps.len());
        self.steps.extend_from_slice(&steps[..steps.len().min(room)]);
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
            last.forget();
            last = Last { task, steps: last.steps, near: last.near, changes: NEVER, ..Last::default() };
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
        let stack = stack.or_else(|| self.leaf_alone(sample, chain, &mut last));
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
                None => stack = self.leaf_alone(sample, &chain, &mut last),
            }
            self.chain = chain;
        }
        self.push_sample(sample, stack, last);
    }

    /// Fetches what is known of stacks by their hashes: what is taken in next is found faster.
    pub(crate) fn fetch_known(&self, hashes: impl Iterator<Item = ChainHash>) {
        self.known.fetch(hashes);
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
                last.forget();
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

    /// The row of a whole stack, which is added if it is new.
    fn stack(&mut self, sample: &SampleEvent, chain: &[ChainFrame], last: &mut Last) -> Option<u32> {
        let shared = last.shared(chain);
        let callers = self.callers(last);
        let new = &chain[..chain.len() - shared];
        let mut steps = std::mem::take(&mut self.steps);
        steps.clear();
        let mut path = last.steps.last().map_or_else(|| self.stack_ids.root(), |step| step.path);
        steps.extend(new.iter().rev().map_while(|frame| {
            let row = self.place(sample, *frame, last)?;
            path = step(&self.stack_ids, path, &row);
            Some(Step { frame: *frame, row, path, stack: NONE })
        }));
        let (known, mut at) = self.longest_known(&mut steps).unwrap_or((0, callers));
        let mut done = known;
        for step in &mut steps[known..] {
            let Some(frame) = self.frame(sample, step) else { break };
            let row = StackRow { parent: at, frame };
            let added = self.add_stack(step.path, row, self.room.stacks);
            let Some(added) = added else { break };
            (at, step.stack) = (added, added);
            done += 1;
        }
        last.push(&steps[..done]);
        self.steps = steps;
        (done == new.len()).then_some(at)
    }

    /// The stack of what a thread's new stack shares with its last.
    fn callers(&self, last: &mut Last) -> u32 {
        let Some(step) = last.steps.last_mut() else { return NONE };
        if step.stack == NONE {
            step.stack = self.find_stack(step.path).unwrap_or(NONE);
            debug_assert!(step.stack != NONE, "what a stack begins with is in the table");
        }
        step.stack
    }

    /// How many steps are known, from the outermost on, and the stack of the last of these.
    fn longest_known(&self, steps: &mut [Step]) -> Option<(usize, u32)> {
        self.stack_ids.fetch(steps.iter().rev().take(FETCHED).map(|step| step.path));
        self.frame_ids.fetch(steps.iter().rev().take(FETCHED_FRAMES).map(|step| &step.row));
        steps.iter_mut().enumerate().rev().find_map(|(index, step)| {
            step.stack = self.find_stack(step.path)?;
            Some((index + 1, step.stack))
        })
    }

    fn find_stack(&self, path: Path) -> Option<u32> {
        self.stack_ids.find(path).map(|stack| stack as u32)
    }

    /// Adds a stack that was not found; `None` if there are `most` already.
    fn add_stack(&mut self, path: Path, row: StackRow, most: usize) -> Option<u32> {
        if self.recording.stacks.len() >= most {
            return None;
        }
        let stack = self.stack_ids.add(path)?;
        self.recording.stacks.push(row);
        Some(stack as u32)
    }

    /// The stack of a sample's innermost frame only, when there is no room for more: self times stay right.
    fn leaf_alone(&mut self, sample: &SampleEvent, chain: &[ChainFrame], last: &mut Last) -> Option<u32> {
        let frame = *chain.first()?;
        let row = self.place(sample, frame, last)?;
        let path = step(&self.stack_ids, self.stack_ids.root(), &row);
        let step = Step { frame, row, path, stack: NONE };
        let stack = self.find_stack(path).or_else(|| {
            let row = StackRow { parent: NONE, frame: self.frame(sample, &step)? };
            // There are no more of these than frames.
            self.add_stack(path, row, usize::MAX)
        });
        self.beyond.cut += u64::from(stack.is_some());
        stack
    }

    /// The row of a frame, which is added if it is new.
    fn frame(&mut self, sample: &SampleEvent, step: &Step) -> Option<u32> {
        let before = self.recording.frames.len();
        let row = self.frame_ids.intern(&mut self.recording.frames, step.row, self.room.frames)?;
        if self.recording.frames.len() > before && step.row.module != NONE && is_user(step.frame.mode) {
            self.open(step.row.module, sample);
        }
        Some(row)
    }

    /// What a frame is.
    fn place(&mut self, sample: &SampleEvent, frame: ChainFrame, last: &mut Last) -> Option<FrameRow> {
        if is_user(frame.mode) { Some(self.user_frame(sample, frame, last)) } else { self.frame_elsewhere(frame) }
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

    fn user_frame(&mut self, sample: &SampleEvent, frame: ChainFrame, last: &mut Last) -> FrameRow {
        let ChainFrame { address, is_return, .. } = frame;
        // A call at the very end of a mapping returns to the first byte after it.
        let asked = if is_return { address.wrapping_sub(1) } else { address };
        let near = last.near.iter().find(|region| region.holds(asked)).copied();
        let region = near.or_else(|| {
            let region = self.spaces.find_region(sample.pid, asked)?;
            last.near.truncate(MOST_NEAR - 1);
            last.near.insert(0, region);
            self.open(region.module, sample);
            Some(region)
        });
        let found = region.map(|region| region.at(asked));
        match found.or_else(|| self.spaces.find_before_exec(sample.pid, asked)) {
            Some(found) => {
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

fn is_user(mode: Mode) -> bool {
    matches!(mode, Mode::User | Mode::Unknown)
}
