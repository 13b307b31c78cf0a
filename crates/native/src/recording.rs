//! The raw recording: what is kept while sampling, before any symbol is looked up.

use burnmark_model::Meta;

/// Stands for "no module", "no parent", "no stack".
pub const NONE: u32 = u32::MAX;

/// What the code of a module is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodeKind {
    /// A mapped file; frame addresses are file offsets.
    File,
    /// The kernel and its modules; frame addresses are absolute.
    Kernel,
    /// The vdso; frame addresses are offsets in its image.
    Vdso,
    /// Executable memory without a file (a JIT compiler's); frame addresses are absolute, and mean something in the
    /// module's process only.
    Anonymous,
    /// A hypervisor, or a guest of this host; frame addresses are absolute, and nothing is known of them.
    Foreign,
}

/// A module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModuleRow {
    /// Path as the kernel tells it, in the process's mount namespace, with its ` (deleted)`; or a name in brackets.
    pub path: Box<[u8]>,
    /// What it is.
    pub kind: CodeKind,
    /// Device (major, minor) and inode of the file; zeros if not known.
    pub device: (u32, u32),
    /// See `device`.
    pub inode: u64,
    /// Build-id of the file that was mapped, if the records had it; else empty.
    pub build_id: Box<[u8]>,
    /// The process that mapped it first.
    pub pid: i32,
    /// First address of that mapping.
    pub start: u64,
    /// End of that mapping.
    pub end: u64,
}

/// A process under one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProcessRow {
    /// Its pid.
    pub pid: i32,
    /// Its name; empty if not known.
    pub name: Box<[u8]>,
}

/// A thread under one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ThreadRow {
    /// Index of its process.
    pub process: u32,
    /// Its tid.
    pub tid: i32,
    /// Its name; empty if not known.
    pub name: Box<[u8]>,
}

/// An event that was sampled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventRow {
    /// Its name, as perf spells it: `cpu-clock`, `cycles:u`, …
    pub name: Box<str>,
    /// What a sample stands for whose record doesn't tell: nanoseconds or events.
    pub period: u64,
}

/// A place in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameRow {
    /// Index of the module, or [`NONE`] for a user address that lies in no known mapping.
    pub module: u32,
    /// In the terms of the module's kind; absolute without a module.
    pub address: u64,
    /// Whether it is where a call returns to, so that the call itself is to be found just before it. What was
    /// interrupted (the leaf, and later the frame below a signal trampoline) is not.
    pub is_return: bool,
}

/// A stack as one step of a prefix tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StackRow {
    /// Index of the callers' stack, which is smaller than this one's; [`NONE`] at the root.
    pub parent: u32,
    /// Index of the frame.
    pub frame: u32,
}

/// A sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRow {
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub time: u64,
    /// What it stands for: nanoseconds or events.
    pub period: u64,
    /// Index of the stack; [`NONE`] is the empty stack.
    pub stack: u32,
    /// Index of the thread.
    pub thread: u32,
}

/// All samples in the order they came, as columns: 24 bytes each, and what is made of them takes the columns over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampleRows {
    pub(crate) times: Vec<u64>,
    pub(crate) periods: Vec<u64>,
    pub(crate) stacks: Vec<u32>,
    pub(crate) threads: Vec<u32>,
}

/// From so many samples on, columns grow by a quarter instead of twofold: there may be tens of millions.
const MANY: usize = 1 << 20;

impl SampleRows {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Adds a sample.
    pub fn push(&mut self, row: SampleRow) {
        let Self { times, periods, stacks, threads } = self;
        let len = times.len();
        if len >= MANY && len == times.capacity() {
            times.reserve_exact(len / 4);
            periods.reserve_exact(len / 4);
            stacks.reserve_exact(len / 4);
            threads.reserve_exact(len / 4);
        }
        times.push(row.time);
        periods.push(row.period);
        stacks.push(row.stack);
        threads.push(row.thread);
    }

    /// The sample at `index`.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn get(&self, index: usize) -> SampleRow {
        let Self { times, periods, stacks, threads } = self;
        SampleRow { time: times[index], period: periods[index], stack: stacks[index], thread: threads[index] }
    }

    /// The last one.
    pub fn last(&self) -> Option<SampleRow> {
        self.len().checked_sub(1).map(|last| self.get(last))
    }

    /// All of them in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = SampleRow> + ExactSizeIterator {
        self.range(0..self.len())
    }

    /// Those of a range in order.
    ///
    /// # Panics
    /// If they are not all there.
    pub fn range(
        &self,
        range: std::ops::Range<usize>,
    ) -> impl DoubleEndedIterator<Item = SampleRow> + ExactSizeIterator {
        range.map(|index| self.get(index))
    }

    /// Gives back the room to grow.
    pub(crate) fn shrink(&mut self) {
        self.times.shrink_to_fit();
        self.periods.shrink_to_fit();
        self.stacks.shrink_to_fit();
        self.threads.shrink_to_fit();
    }

    /// Drops those from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.times.truncate(len);
        self.periods.truncate(len);
        self.stacks.truncate(len);
        self.threads.truncate(len);
    }
}

/// Samples that were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostRow {
    /// When it was noticed, in nanoseconds of CLOCK_MONOTONIC.
    pub time: u64,
    /// How many.
    pub count: u64,
}

/// A recording. Every index in a row is below the length of the table it names; tables only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// How it was made.
    pub meta: Meta,
    /// The boot it was made in: kernel addresses mean nothing after another. It is not written into profiles.
    pub boot_id: String,
    /// All modules.
    pub modules: Vec<ModuleRow>,
    /// All processes.
    pub processes: Vec<ProcessRow>,
    /// All threads.
    pub threads: Vec<ThreadRow>,
    /// All frames.
    pub frames: Vec<FrameRow>,
    /// All stacks, parents first.
    pub stacks: Vec<StackRow>,
    /// All samples in the order they came.
    pub samples: SampleRows,
    /// The events that were sampled; empty if it is one and the metadata names it.
    pub events: Vec<EventRow>,
    /// The index of each sample's event; samples past the end are of event 0, so that it is empty for one event.
    pub sample_events: Vec<u16>,
    /// What was lost, in the order it was noticed.
    pub lost: Vec<LostRow>,
}

impl Recording {
    /// The event of a sample.
    pub fn event_of(&self, sample: usize) -> u16 {
        self.sample_events.get(sample).copied().unwrap_or_default()
    }

    /// Adds a sample of an event.
    pub(crate) fn push_sample(&mut self, row: SampleRow, event: u16) {
        if event != 0 {
            self.sample_events.resize(self.samples.len(), 0);
            self.sample_events.push(event);
        }
        self.samples.push(row);
    }

    /// Samples lost as records told, in total.
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().fold(0, |sum, row| sum.saturating_add(row.count))
    }

    /// The frames of a stack from leaf to root.
    pub fn frames_leaf_first(&self, stack: u32) -> impl Iterator<Item = FrameRow> {
        std::iter::successors(self.stacks.get(stack as usize), |row| self.stacks.get(row.parent as usize))
            .map(|row| self.frames[row.frame as usize])
    }
}
