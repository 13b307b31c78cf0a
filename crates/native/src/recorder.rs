//! From records to a [`Recording`]: every sample is resolved and interned as it comes.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use burnmark_model::{Meta, Paths};
use burnmark_perf::record::{self, Record};
use foldhash::fast::RandomState;

use crate::modules::{Modules, Task};
use crate::procfs::{ProcessMaps, parse_maps};
use crate::recording::{CodeKind, EventRow, LostRow, ModuleRow, ProcessRow, Recording, ThreadRow};
use crate::spaces::{Region, Spaces};
pub(crate) use batch::Batch;
pub(crate) use chain::{ChainFrame, push_chain};
use chain::{known_mode, push};
use known::KnownStacks;
pub(crate) use known::{ChainHash, ChainHasher};
pub(crate) use room::{Beyond, Room};
use rows::{FrameIndex, Index};
use stacks::{LastStacks, Step};
use unwinding::Unwinding;

mod batch;
mod chain;
mod known;
mod room;
mod rows;
mod stacks;
mod unwinding;

/// How long what is known of a process or thread is kept after its exit: its last samples may come later.
const KEEP_AFTER_EXIT_NS: u64 = 10_000_000_000;

/// Which file was mapped, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileId<'a> {
    /// Device (major, minor); zeros if there is none.
    pub device: (u32, u32),
    /// Inode; 0 if there is none.
    pub inode: u64,
    /// Build-id; empty if the source doesn't tell.
    pub build_id: &'a [u8],
}

/// A mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapped<'a> {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Which file.
    pub file: FileId<'a>,
    /// Its path, a name in brackets, or nothing: bytes as the kernel has them.
    pub path: &'a [u8],
}

/// What happens to processes; times are nanoseconds of the samples' clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Memory was mapped.
    Map {
        /// Process.
        pid: i32,
        /// What and where.
        mapping: Mapped<'a>,
        /// Whether code can run there. If not, what lay there is gone.
        executable: bool,
        /// When.
        time: u64,
    },
    /// A thread got a name.
    Name {
        /// Process.
        pid: i32,
        /// Thread.
        tid: i32,
        /// The name.
        name: &'a [u8],
        /// By an exec: the process's memory was replaced.
        exec: bool,
        /// When.
        time: u64,
    },
    /// A process, or a thread of one (`parent_pid` is `pid`), was started.
    Fork {
        /// Process.
        pid: i32,
        /// Thread.
        tid: i32,
        /// The process that started it.
        parent_pid: i32,
        /// The thread that started it.
        parent_tid: i32,
        /// When.
        time: u64,
    },
    /// A thread ended.
    Exit {
        /// Process.
        pid: i32,
        /// Thread.
        tid: i32,
        /// When.
        time: u64,
    },
    /// Where the kernel lies.
    Kernel {
        /// The address of its symbol `_text`.
        start: u64,
    },
    /// Samples were lost.
    Lost {
        /// How many.
        count: u64,
        /// When it was noticed.
        time: u64,
    },
}

/// A sample without its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleEvent {
    /// Process.
    pub pid: i32,
    /// Thread.
    pub tid: i32,
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub time: u64,
    /// What it stands for: nanoseconds or events.
    pub period: u64,
    /// Index of the event in [`Recording::events`]; 0 where there is only one.
    pub event: u16,
}

#[derive(Debug, Default)]
struct ThreadState {
    pid: i32,
    name: Box<[u8]>,
    name_time: u64,
    ended_at: Option<u64>,
    /// The thread's row, and [`Recorder::names`] when it was looked up.
    row: Option<(u32, u64)>,
}

#[derive(Debug, Default)]
struct ProcessState {
    name: Box<[u8]>,
    name_time: u64,
    threads: u32,
    row: Option<u32>,
}

/// Turns records into a [`Recording`].
#[derive(Debug)]
pub struct Recorder {
    recording: Recording,
    /// Shared with threads that unwind while samples are taken in.
    spaces: Arc<Spaces>,
    processes: HashMap<i32, ProcessState, RandomState>,
    threads: HashMap<i32, ThreadState, RandomState>,
    ended: VecDeque<(u64, i32)>,
    now: u64,
    module_ids: HashMap<ModuleKey, u32, RandomState>,
    process_ids: Index,
    thread_ids: Index,
    /// Grows whenever a thread or process may have got another name or process.
    names: u64,
    room: Room,
    beyond: Beyond,
    frame_ids: FrameIndex,
    stack_ids: Paths,
    last: LastStacks,
    known: KnownStacks,
    chain: Vec<ChainFrame>,
    /// Those of the stack that is being taken in.
    steps: Vec<Step>,
    unwinding: Option<Box<Unwinding>>,
    /// Those of [`Recorder::apply_batch`], one per thread.
    unwinders: Vec<Unwinding>,
    /// Build-ids by path, where records don't tell them.
    build_ids: HashMap<Box<[u8]>, Box<[u8]>, RandomState>,
    /// The address of the kernel's `_text`; 0 if not known.
    kernel_start: u64,
    /// Its module, when a sample has met it.
    kernel_module: Option<u32>,
    modules: Option<Arc<Modules>>,
    /// Per module: whether its file is open, or never will be.
    opened: Vec<bool>,
    /// Modules to be opened when they are known again, each with a sample that has met it.
    to_open: Vec<(u32, SampleEvent)>,
}

/// What makes two mappings the same module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ModuleKey {
    path: Box<[u8]>,
    device: (u32, u32),
    inode: u64,
    build_id: Box<[u8]>,
    /// Process of anonymous code; size of the vdso; else 0.
    apart: u64,
}

impl Recorder {
    /// Nothing recorded yet. `meta` can be changed later through [`Recorder::meta_mut`].
    pub fn new(meta: Meta) -> Self {
        let mut recorder = Self {
            recording: Recording { meta, ..Recording::default() },
            spaces: Arc::default(),
            processes: HashMap::default(),
            threads: HashMap::default(),
            ended: VecDeque::new(),
            now: 0,
            module_ids: HashMap::default(),
            process_ids: Index::default(),
            thread_ids: Index::default(),
            names: 0,
            room: Room::ALL,
            beyond: Beyond::default(),
            frame_ids: FrameIndex::default(),
            stack_ids: Paths::default(),
            last: LastStacks::default(),
            known: KnownStacks::default(),
            chain: Vec::new(),
            steps: Vec::new(),
            unwinding: None,
            unwinders: Vec::new(),
            build_ids: HashMap::default(),
            kernel_start: 0,
            kernel_module: None,
            modules: None,
            opened: Vec::new(),
            to_open: Vec::new(),
        };
        // The kernel's idle threads are tasks of that name (kernel/sched/idle.c); no record ever says so.
        recorder.name(0, 0, b"swapper", false, 0);
        recorder
    }

    /// What was recorded so far.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The metadata, to complete it. Tables are not to be changed but by records.
    pub fn meta_mut(&mut self) -> &mut Meta {
        &mut self.recording.meta
    }

    /// The events, to be added and completed. A recording of one event needs none.
    pub fn events_mut(&mut self) -> &mut Vec<EventRow> {
        &mut self.recording.events
    }

    /// Sets the boot that the recording is made in (`/proc/sys/kernel/random/boot_id`).
    pub fn set_boot_id(&mut self, boot_id: &str) {
        boot_id.trim().clone_into(&mut self.recording.boot_id);
    }

    /// From now on the files of modules are opened as soon as a sample meets them, for [`finish`](crate::finish) to read
    /// when their processes are gone.
    pub fn set_modules(&mut self, modules: Arc<Modules>) {
        self.modules = Some(modules);
    }

    /// Build-ids by path, for modules whose records don't tell theirs: those that are known already, and those to come.
    pub fn set_build_ids<'i>(&mut self, ids: impl Iterator<Item = (&'i [u8], &'i [u8])>) {
        self.build_ids = ids.map(|(path, id)| (path.into(), id.into())).collect();
        self.kernel_module = None;
        self.known.clear();
        for module in self.recording.modules.iter_mut().filter(|module| module.build_id.is_empty()) {
            if let Some(id) = self.build_ids.get(&module.path) {
                module.build_id = id.clone();
            }
        }
    }

    /// Bounds the tables: what finds no room is left out and counted.
    pub(crate) fn set_room(&mut self, room: Room) {
        self.room = room;
        Arc::make_mut(&mut self.spaces).set_most(room.mappings);
    }

    /// What found no room.
    pub(crate) fn beyond(&self) -> Beyond {
        self.beyond
    }

    /// The latest time that records told.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// The end.
    pub fn into_recording(self) -> Recording {
        self.recording
    }

    /// Takes in what a process was when the recorder came to it. Events are to be enabled before it is read; `time` is
    /// that of just before reading. Records from before or after may already be in, or follow.
    pub fn load(&mut self, process: &ProcessMaps, time: u64) {
        let pid = process.pid;
        if let Some(modules) = &self.modules {
            modules.note(Task { pid, tid: pid }, false);
        }
        let regions: Vec<Region> = parse_maps(&process.maps).map(|mapping| self.region(pid, &mapping, true)).collect();
        Arc::make_mut(&mut self.spaces).load(pid, &regions, time);
        for (tid, name) in &process.threads {
            self.name(pid, *tid, name, false, time);
        }
    }

    /// Takes in one record, written by the event of this index. Records that say nothing of processes, samples or losses
    /// are ignored.
    pub fn apply(&mut self, record: &Record<'_>, event: u16) {
        let time = record.time().unwrap_or(self.now);
        if let Record::Sample(sample) = record {
            let event = self.sample_event(sample, event);
            if !self.unwind(&event, sample) {
                self.sample(&event, sample.frames());
            }
        } else if let Some(event) = translate(record, time) {
            self.event(&event);
        }
    }

    /// A sample without its stack.
    pub(crate) fn sample_event(&self, sample: &record::Sample<'_>, event: u16) -> SampleEvent {
        let (pid, tid) = (sample.pid.unwrap_or(-1), sample.tid.unwrap_or(-1));
        let period = || self.recording.events.get(usize::from(event)).map_or(0, |event| event.period);
        let time = sample.time.unwrap_or(self.now);
        SampleEvent { pid, tid, time, period: sample.period.unwrap_or_else(period), event }
    }

    /// Takes in what happened to a process.
    pub fn event(&mut self, event: &Event<'_>) {
        match *event {
            Event::Map { pid, mapping, executable, time } => {
                let region = self.region(pid, &mapping, executable);
                Arc::make_mut(&mut self.spaces).map(pid, region, time);
                self.tick(time);
            }
            Event::Name { pid, tid, name, exec, time } => {
                if exec {
                    Arc::make_mut(&mut self.spaces).exec(pid, time);
                    if let Some(modules) = &self.modules {
                        modules.note(Task { pid, tid }, true);
                    }
                }
                self.name(pid, tid, name, exec, time);
                self.tick(time);
            }
            Event::Fork { pid, tid, parent_pid, parent_tid, time } => {
                self.fork(pid, tid, parent_pid, parent_tid, time);
                self.tick(time);
            }
            Event::Exit { pid, tid, time } => {
                self.thread(pid, tid).ended_at = Some(time);
                self.ended.push_back((time, tid));
                self.tick(time);
            }
            Event::Kernel { start } => {
                self.kernel_start = start;
                let kernels = self.recording.modules.iter_mut().filter(|module| module.kind == CodeKind::Kernel);
                kernels.for_each(|kernel| kernel.start = start);
            }
            Event::Lost { count, time } => self.recording.lost.push(LostRow { time, count }),
        }
    }

    fn region(&mut self, pid: i32, mapping: &Mapped<'_>, executable: bool) -> Region {
        let Mapped { start, end, .. } = *mapping;
        let (path, kind) = classify(mapping.path);
        let offset = match kind {
            CodeKind::File => mapping.offset,
            CodeKind::Vdso => 0,
            CodeKind::Kernel | CodeKind::Anonymous | CodeKind::Foreign => start,
        };
        let module = if executable { self.module(pid, &Mapped { path, ..*mapping }, kind) } else { None };
        Region { start, end, offset, module }
    }

    fn module(&mut self, pid: i32, mapping: &Mapped<'_>, kind: CodeKind) -> Option<u32> {
        let apart = match kind {
            CodeKind::Anonymous => pid as u32 as u64,
            CodeKind::Vdso => mapping.end - mapping.start.min(mapping.end),
            CodeKind::File | CodeKind::Kernel | CodeKind::Foreign => 0,
        };
        let FileId { device, inode, mut build_id } = mapping.file;
        if build_id.is_empty() && !self.build_ids.is_empty() {
            build_id = self.build_ids.get(mapping.path).map_or(&[], |id| id);
        }
        let key = ModuleKey { path: mapping.path.into(), device, inode, build_id: build_id.into(), apart };
        if let Some(id) = self.module_ids.get(&key) {
            return Some(*id);
        }
        let id = u32::try_from(self.recording.modules.len()).ok().filter(|id| (*id as usize) < self.room.modules)?;
        self.recording.modules.push(ModuleRow {
            path: key.path.clone(),
            kind,
            device,
            inode,
            build_id: build_id.into(),
            pid,
            start: mapping.start,
            end: mapping.end,
        });
        self.module_ids.insert(key, id);
        Some(id)
    }

    fn thread(&mut self, pid: i32, tid: i32) -> &mut ThreadState {
        if self.threads.len().max(self.processes.len()) >= self.room.threads {
            self.forget_all();
        }
        let thread = self.threads.entry(tid).or_insert_with(|| {
            self.processes.entry(pid).or_default().threads += 1;
            ThreadState { pid, ..ThreadState::default() }
        });
        if thread.pid != pid {
            // The tid belongs to another process now.
            self.names += 1;
            if let Some(process) = self.processes.get_mut(&thread.pid) {
                process.threads = process.threads.saturating_sub(1);
            }
            self.processes.entry(pid).or_default().threads += 1;
            *thread = ThreadState { pid, ..ThreadState::default() };
        }
        thread
    }

    /// Forgets all processes: there are more than any file can have that isn't damaged.
    fn forget_all(&mut self) {
        self.names += 1;
        self.threads.clear();
        self.processes.clear();
        self.ended.clear();
        Arc::make_mut(&mut self.spaces).clear();
    }

    fn name(&mut self, pid: i32, tid: i32, name: &[u8], exec: bool, time: u64) {
        self.names += 1;
        let thread = self.thread(pid, tid);
        if time >= thread.name_time {
            thread.name = name.into();
            thread.name_time = time;
        }
        let process = self.processes.entry(pid).or_default();
        // A process keeps the name of its program when its main thread takes another.
        let names_process = exec || (tid == pid && process.name.is_empty());
        if names_process && time >= process.name_time {
            process.name = name.into();
            process.name_time = time;
            process.row = None;
        }
    }

    fn fork(&mut self, pid: i32, tid: i32, parent_pid: i32, parent_tid: i32, time: u64) {
        self.names += 1;
        let name = self.threads.get(&parent_tid).filter(|parent| parent.pid == parent_pid);
        let name = name.map(|parent| parent.name.clone()).unwrap_or_default();
        let thread = self.thread(pid, tid);
        // A tid that is used again has a name from before; a record that came early has one from after.
        if thread.name_time < time {
            *thread = ThreadState { pid, name, name_time: time, ..ThreadState::default() };
        }
        if pid == parent_pid {
            return;
        }
        Arc::make_mut(&mut self.spaces).fork(pid, parent_pid, time);
        if let Some(modules) = &self.modules {
            modules.forked(pid, parent_pid);
        }
        let name = self.processes.get(&parent_pid).map(|parent| parent.name.clone()).unwrap_or_default();
        let process = self.processes.entry(pid).or_default();
        if process.name_time < time {
            *process = ProcessState { name, name_time: time, threads: process.threads, row: None };
        }
    }

    fn thread_row(&mut self, pid: i32, tid: i32) -> Option<u32> {
        let known = self.threads.get(&tid).filter(|thread| thread.pid == pid).and_then(|thread| thread.row);
        if let Some((row, names)) = known
            && names == self.names
        {
            return Some(row);
        }
        self.thread(pid, tid);
        let process = self.processes.entry(pid).or_default();
        if process.row.is_none() {
            let row = ProcessRow { pid, name: process.name.clone() };
            process.row = self.process_ids.intern(&mut self.recording.processes, row, self.room.threads);
        }
        let process = process.row?;
        let thread = self.threads.get_mut(&tid)?;
        let row = ThreadRow { process, tid, name: thread.name.clone() };
        let row = self.thread_ids.intern(&mut self.recording.threads, row, self.room.threads)?;
        thread.row = Some((row, self.names));
        Some(row)
    }

    /// Forgets what ended long ago.
    fn tick(&mut self, time: u64) {
        self.now = self.now.max(time);
        while let Some(&(ended_at, tid)) = self.ended.front() {
            if ended_at.saturating_add(KEEP_AFTER_EXIT_NS) > self.now {
                break;
            }
            self.ended.pop_front();
            let Some(thread) = self.threads.get(&tid).filter(|thread| thread.ended_at == Some(ended_at)) else {
                continue;
            };
            let pid = thread.pid;
            self.threads.remove(&tid);
            self.names += 1;
            if let Some(process) = self.processes.get_mut(&pid) {
                process.threads = process.threads.saturating_sub(1);
                if process.threads == 0 {
                    self.processes.remove(&pid);
                    Arc::make_mut(&mut self.spaces).remove(pid);
                }
            }
        }
    }
}

/// Name and kind of what is mapped. Memory without a file has several names, as in perf's `is_anon_memory`.
fn classify(path: &[u8]) -> (&[u8], CodeKind) {
    const NAMELESS: [&[u8]; 4] = [b"", b"//anon", b"/dev/zero", b"/anon_hugepage"];
    let bare = path.strip_suffix(b" (deleted)").unwrap_or(path);
    if path == b"[vdso]" {
        (path, CodeKind::Vdso)
    } else if NAMELESS.contains(&bare) {
        (b"[anon]", CodeKind::Anonymous)
    } else if path.starts_with(b"[") || bare.starts_with(b"/SYSV") || path.starts_with(b"anon_inode:") {
        (path, CodeKind::Anonymous)
    } else {
        (path, CodeKind::File)
    }
}

/// What a record says of processes, if anything.
fn translate<'a>(record: &Record<'a>, time: u64) -> Option<Event<'a>> {
    const PROT_EXEC: u32 = libc::PROT_EXEC as u32;
    Some(match record {
        Record::Mmap(map) if map.pid >= 0 => {
            let end = map.start.checked_add(map.len)?;
            let mapping = Mapped { start: map.start, end, offset: map.offset, file: FileId::default(), path: map.path };
            Event::Map { pid: map.pid, mapping, executable: !map.is_data, time }
        }
        // Its "file offset" is the address of the symbol that follows the name.
        Record::Mmap(map) if map.pid == -1 && map.path == b"[kernel.kallsyms]_text" => {
            Event::Kernel { start: map.offset }
        }
        Record::Mmap2(map) if map.pid >= 0 => {
            let end = map.start.checked_add(map.len)?;
            let file = match map.file {
                record::FileId::Inode { major, minor, inode, .. } => {
                    FileId { device: (major, minor), inode, build_id: &[] }
                }
                record::FileId::BuildId(build_id) => FileId { build_id, ..FileId::default() },
            };
            let mapping = Mapped { start: map.start, end, offset: map.offset, file, path: map.path };
            Event::Map { pid: map.pid, mapping, executable: map.protection & PROT_EXEC != 0, time }
        }
        Record::Comm(comm) => Event::Name { pid: comm.pid, tid: comm.tid, name: comm.comm, exec: comm.is_exec, time },
        Record::Fork(task) => Event::Fork {
            pid: task.pid,
            tid: task.tid,
            parent_pid: task.parent_pid,
            parent_tid: task.parent_tid,
            time: task.time,
        },
        Record::Exit(task) => Event::Exit { pid: task.pid, tid: task.tid, time: task.time },
        Record::Lost(lost) | Record::LostSamples(lost) => Event::Lost { count: lost.lost, time },
        _ => return None,
    })
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
