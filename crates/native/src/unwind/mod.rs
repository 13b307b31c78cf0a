//! Unwinding: from the registers and the copied stack of a sample to its user frames.
//!
//! For each frame the unwind tables (CFI) of its module give a [`Rule`](rule::Rule), which is found once per module and
//! address and shared by all processes that map the module; a cache by process and address is in front of that. Unlike
//! a debugger's tables the rules restore every register: `_dl_runtime_resolve` finds its caller by `rbx`, realigned
//! functions by `r10`, and only a whole set of registers gets there. Nothing is allocated per sample.
//!
//! | where | `auto` | `dwarf` |
//! |---|---|---|
//! | the module has a table for the address | that | that |
//! | a signal trampoline without a table | what the kernel put on the stack | the same |
//! | anything else | the frame pointer; a leaf that has pushed nothing: its return address | the end |
//! | the copied stack ends | the process's memory, if the frame there is still the same; else the kernel's chain, if it is known where to join | the process's memory |
//!
//! Callers are looked up at their return address − 1; a leaf, and what a signal interrupted, at its address.

mod expression;
mod join;
mod module;
mod registers;
mod rule;
mod stack;
mod walk;

use burnmark_perf::live::{CLASSES, StackLengths};
use burnmark_perf::record::Registers as RecordedRegisters;
use gimli::UnwindContext;

use crate::modules::{Modules, Task};
use crate::recording::ModuleRow;
use crate::spaces::Spaces;
use module::Module;
pub use registers::Machine;
use registers::Registers;
use rule::Way;
use stack::{Memory, StackCopy};
use walk::{Caller, Stop};

/// Frames of one stack; what lies beyond is left out. 64 KB of stack, the most that the kernel copies, hold no more
/// frames than this on aarch64, where the smallest has 16 bytes.
const MOST_FRAMES: usize = 4096;

/// Slots of the cache of places. A power of two.
const CACHE_SLOTS: usize = 1 << 12;

/// Threads whose last stacks are remembered. A power of two.
const LAST_STACKS: usize = 1 << 6;

/// Return addresses of a thread's last stack that are remembered.
const MOST_FETCHED: usize = 128;

/// A return address that lies this far beyond the end of the copy is on another stack.
const OTHER_STACK: u64 = 8 << 20;

/// How user stacks are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallGraph {
    /// Unwind tables where there are any, frame pointers where not, the kernel's chain past the end of the copy.
    #[default]
    Auto,
    /// The kernel's chain of frame pointers only.
    FramePointers,
    /// Unwind tables only.
    Dwarf,
}

/// What unwinding needs to know.
#[derive(Clone, Copy, Debug)]
pub struct UnwindOptions {
    /// How.
    pub call_graph: CallGraph,
    /// The machine that was recorded; `None` if it is one whose stacks can't be unwound.
    pub machine: Option<Machine>,
    /// The sampled processes run here and now, so that their memory tells of stacks that are longer than their copies.
    pub reads_memory: bool,
}

impl UnwindOptions {
    /// For processes that are sampled here and now.
    pub fn here(call_graph: CallGraph) -> Self {
        Self { call_graph, machine: Machine::host(), reads_memory: true }
    }
}

/// How unwound stacks ended: counts of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackEnds {
    /// At code that the unwind tables say nothing calls: the thread's start.
    pub start: u64,
    /// Beyond the copied stack, with the kernel's chain of frame pointers from there on.
    pub joined: u64,
    /// At the end of the copied stack: a longer copy would tell more.
    pub truncated: u64,
    /// At a return address on a stack that was not copied (that of what a signal handler or a stack switch left).
    pub other_stack: u64,
    /// At code without unwind tables and without a frame pointer.
    pub no_tables: u64,
    /// At something that can't be: damaged tables, an overwritten stack, a circle.
    pub damaged: u64,
    /// At the most frames a stack may have.
    pub too_deep: u64,
    /// Of all these, those that were longer than the copied stack: what was not copied was read from the process or
    /// taken from the kernel's chain, or is missing.
    pub beyond_copy: u64,
    /// Of those, the ones that went on on another stack: what lies there is right only while the process is still in the
    /// same handler, so it has to be read soon.
    pub left_stack: u64,
    /// Whole stacks, by how much of their copy they took.
    pub whole: [u64; CLASSES],
}

impl StackEnds {
    /// Those of two unwinders together.
    pub(crate) fn plus(self, other: &Self) -> Self {
        Self {
            start: self.start + other.start,
            joined: self.joined + other.joined,
            truncated: self.truncated + other.truncated,
            other_stack: self.other_stack + other.other_stack,
            no_tables: self.no_tables + other.no_tables,
            damaged: self.damaged + other.damaged,
            too_deep: self.too_deep + other.too_deep,
            beyond_copy: self.beyond_copy + other.beyond_copy,
            left_stack: self.left_stack + other.left_stack,
            whole: std::array::from_fn(|class| self.whole[class] + other.whole[class]),
        }
    }

    /// How long a copy these stacks needed.
    pub fn lengths(&self) -> StackLengths {
        StackLengths { unwound: self.total(), cut: self.beyond_copy - self.left_stack, whole: self.whole }
    }

    /// All unwound stacks.
    pub fn total(&self) -> u64 {
        let Self { start, joined, truncated, other_stack, no_tables, damaged, too_deep, .. } = self;
        start + joined + truncated + other_stack + no_tables + damaged + too_deep
    }
}

/// A frame of the user half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserFrame {
    pub(crate) address: u64,
    /// It is where a call returns to.
    pub(crate) is_return: bool,
}

/// What code lies where, and in which files.
#[derive(Clone, Copy)]
pub(crate) struct CodeMap<'a> {
    pub(crate) spaces: &'a Spaces,
    pub(crate) rows: &'a [ModuleRow],
    pub(crate) files: Option<&'a Modules>,
}

/// A sample's user half.
#[derive(Clone, Copy)]
pub(crate) struct UserHalf<'a> {
    pub(crate) task: Task,
    pub(crate) registers: RecordedRegisters<'a>,
    /// From the stack pointer up.
    pub(crate) stack: &'a [u8],
    /// The kernel's chain, leaf first; empty if there is none.
    pub(crate) chain: &'a [u64],
}

/// What lies at an address of a process, as it was found last.
#[derive(Clone, Copy, Debug)]
struct Place {
    generation: u64,
    address: u64,
    pid: i32,
    /// Whether there is code at all.
    is_mapped: bool,
    /// [`crate::NONE`] outside of any module with tables.
    module: u32,
    offset: u64,
    way: Way,
}

/// Why unwinding came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Start,
    Joined,
    NotCopied(u64),
    NoTables,
    Damaged,
    TooDeep,
}

/// How far a stack was walked.
struct Walk {
    registers: Registers,
    /// Those of the frame before.
    callee: Registers,
    /// The frame was interrupted, it has called nobody.
    is_leaf: bool,
    /// It was found by tables.
    by_tables: bool,
    /// It is among the frames that are handed out.
    is_told: bool,
    /// Where these begin.
    first: usize,
    /// Where their return addresses were.
    slots: Vec<u64>,
}

impl Walk {
    fn from_leaf(leaf: Registers, first: usize, mut slots: Vec<u64>) -> Self {
        slots.clear();
        Self { registers: leaf, callee: leaf, is_leaf: true, by_tables: false, is_told: false, first, slots }
    }
}

/// Unwinds samples.
#[derive(Debug)]
pub(crate) struct Unwinder {
    options: UnwindOptions,
    /// By the recording's index; the inner `None`: it has no tables or can't be read.
    modules: Vec<Option<Option<Box<Module>>>>,
    cache: Vec<Option<Place>>,
    context: UnwindContext<usize>,
    memory: Memory,
    ends: StackEnds,
    /// Where the return addresses of each thread's last stack were, from the leaf on, by tid.
    slots: Vec<Vec<u64>>,
}

impl Unwinder {
    pub(crate) fn new(options: UnwindOptions) -> Self {
        let (modules, memory, ends) = Default::default();
        let (cache, slots) = (vec![None; CACHE_SLOTS], vec![Vec::new(); LAST_STACKS]);
        Self { options, modules, cache, context: UnwindContext::new(), memory, ends, slots }
    }

    pub(crate) fn ends(&self) -> &StackEnds {
        &self.ends
    }

    /// Appends the user frames, leaf first. `false` if this sample is not to be unwound: then the kernel's chain is all
    /// there is.
    pub(crate) fn unwind(&mut self, half: &UserHalf<'_>, code: CodeMap<'_>, frames: &mut Vec<UserFrame>) -> bool {
        let Some(machine) = self.options.machine.filter(|_| self.options.call_graph != CallGraph::FramePointers) else {
            return false;
        };
        let Some(leaf) = Registers::recorded(machine, &half.registers) else { return false };
        let stack = StackCopy { start: leaf.stack_pointer(), bytes: half.stack, beyond: None };
        let first = frames.len();
        let slots = std::mem::take(&mut self.slots[half.task.tid as usize % LAST_STACKS]);
        stack.fetch(&slots);
        let mut walk = Walk::from_leaf(leaf, first, slots);
        let mut end = self.walk(&mut walk, stack, half.task, code, frames);
        self.slots[half.task.tid as usize % LAST_STACKS] = std::mem::take(&mut walk.slots);
        if end == End::Start {
            let used = walk.registers.stack_pointer().saturating_sub(stack.start);
            self.ends.whole[StackLengths::class(used)] += 1;
        }
        if let End::NotCopied(slot) = end {
            self.ends.beyond_copy += 1;
            self.ends.left_stack += u64::from(is_elsewhere(slot, stack));
            let copied = frames.len();
            end = self.walk_beyond(&mut walk, stack, half.task, code, frames).unwrap_or(end);
            if end != End::Start
                && self.options.call_graph == CallGraph::Auto
                && let Some(rest) = join::rest_of_chain(half.chain, leaf.ip, leaf.frame_pointer(), stack, slot)
            {
                frames.truncate(copied);
                self.join(rest, half.task, code, frames);
                end = End::Joined;
            }
        }
        // Nothing but the leaf: the kernel could read more.
        if self.options.call_graph == CallGraph::Auto && end != End::Start && frames.len() == first + 1 {
            self.join(half.chain.get(1..).unwrap_or_default(), half.task, code, frames);
            end = if frames.len() == first + 1 { end } else { End::Joined };
        }
        self.count(end, stack);
        true
    }

    /// Appends callers that the kernel found. It takes every word for a frame that a frame pointer points to.
    fn join(&mut self, rest: &[u64], task: Task, code: CodeMap<'_>, frames: &mut Vec<UserFrame>) {
        for address in rest {
            if !self.place(task, address.wrapping_sub(1), code).is_mapped {
                break;
            }
            frames.push(UserFrame { address: *address, is_return: true });
        }
    }

    /// Goes on where the copy ends, in the memory of the process as it is now: the frames that far out have mostly
    /// stayed what they were. That they have is checked by the return address into the first of them.
    fn walk_beyond(
        &mut self,
        walk: &mut Walk,
        stack: StackCopy<'_>,
        task: Task,
        code: CodeMap<'_>,
        frames: &mut Vec<UserFrame>,
    ) -> Option<End> {
        if !self.options.reads_memory {
            return None;
        }
        let mut memory = std::mem::take(&mut self.memory);
        let (slot, ip, machine) = (walk.registers.ip_slot, walk.registers.ip, walk.registers.machine);
        let mut end = None;
        let mut is_readable = true;
        if let Some(slot) = slot
            && let Some(beyond) = memory.of(task.pid)
        {
            match beyond.word(slot).map(|word| machine.code_address(word)) {
                Some(now) if now == ip => {
                    let stack = StackCopy { beyond: Some(&beyond), ..stack };
                    end = Some(self.walk(walk, stack, task, code, frames));
                }
                Some(_) => {}
                None => is_readable = false,
            }
        }
        if !is_readable {
            memory.forget(task.pid);
        }
        self.memory = memory;
        end
    }

    /// From frame to frame. A walk that ended as something was not copied can go on with more memory.
    fn walk(
        &mut self,
        walk: &mut Walk,
        stack: StackCopy<'_>,
        task: Task,
        code: CodeMap<'_>,
        frames: &mut Vec<UserFrame>,
    ) -> End {
        loop {
            if frames.len() - walk.first >= MOST_FRAMES {
                return End::TooDeep;
            }
            let Walk { registers, callee, is_leaf, by_tables, is_told, first, slots } = &mut *walk;
            let ip = registers.ip;
            if ip == 0 && frames.len() > *first {
                return End::Start;
            }
            let place = self.place(task, ip.wrapping_sub(u64::from(!*is_leaf)), code);
            // Tables that don't know of a switch of stacks lead anywhere.
            if !place.is_mapped && frames.len() > *first {
                if !std::mem::take(by_tables) || self.options.call_graph != CallGraph::Auto {
                    return End::Damaged;
                }
                *registers = *callee;
                *is_leaf = false;
                match self.by_frame_pointer(registers, stack, task, code) {
                    Ok(_) => continue,
                    Err(Stop::NotCopied(slot)) => {
                        *is_told = true;
                        return End::NotCopied(slot);
                    }
                    Err(Stop::Damaged) => return End::Damaged,
                }
            }
            if !std::mem::replace(is_told, true) {
                frames.push(UserFrame { address: ip, is_return: !*is_leaf });
            }
            *callee = *registers;
            *by_tables = matches!(place.way, Way::Rule(_));
            let module = self.modules.get(place.module as usize).and_then(|module| module.as_ref()?.as_deref());
            let is_go = module.is_some_and(|module| module.is_go);
            let step = match (place.way, module) {
                (Way::Start, _) => return End::Start,
                (Way::Rule(_), Some(module)) if !*is_leaf && switches_stack(module, registers, stack) => {
                    self.by_frame_pointer(registers, stack, task, code)
                }
                (Way::Rule(rule), Some(module)) => walk::by_rule(registers, callee, module, &rule, stack, *is_leaf),
                (Way::Trampoline, _) => walk::by_signal_frame(registers, stack),
                _ if self.options.call_graph == CallGraph::Auto => {
                    match self.without_tables(registers, stack, task, *is_leaf, code) {
                        Err(Stop::Damaged) => return End::NoTables,
                        step => step,
                    }
                }
                _ => return End::NoTables,
            };
            match step {
                Ok(caller) => {
                    if is_go {
                        walk::restore_frame_pointer(registers, callee, stack);
                    }
                    *is_leaf = caller == Caller::Interrupted;
                    *is_told = false;
                    slots.extend(registers.ip_slot.filter(|_| slots.len() < MOST_FETCHED));
                }
                Err(Stop::NotCopied(slot)) => return End::NotCopied(slot),
                Err(Stop::Damaged) => return End::Damaged,
            }
        }
    }

    /// To the caller of code that has no tables.
    fn without_tables(
        &mut self,
        registers: &mut Registers,
        stack: StackCopy<'_>,
        task: Task,
        is_leaf: bool,
        code: CodeMap<'_>,
    ) -> Result<Caller, Stop> {
        if is_leaf {
            let mut caller = *registers;
            if walk::by_return_address(&mut caller, stack).is_some() && self.was_called(task, caller.ip, code) {
                *registers = caller;
                return Ok(Caller::Called);
            }
        }
        self.by_frame_pointer(registers, stack, task, code)
    }

    /// By the frame pointer, and only to what is code.
    fn by_frame_pointer(
        &mut self,
        registers: &mut Registers,
        stack: StackCopy<'_>,
        task: Task,
        code: CodeMap<'_>,
    ) -> Result<Caller, Stop> {
        let mut caller = *registers;
        let step = walk::by_frame_pointer(&mut caller, stack)?;
        if caller.ip != 0 && !self.place(task, caller.ip.wrapping_sub(1), code).is_mapped {
            return Err(Stop::Damaged);
        }
        *registers = caller;
        Ok(step)
    }

    /// Whether there is a call just before an address.
    fn was_called(&mut self, task: Task, address: u64, code: CodeMap<'_>) -> bool {
        let Some(machine) = self.options.machine else { return false };
        let place = self.place(task, address.wrapping_sub(1), code);
        let module = self.modules.get(place.module as usize).and_then(|module| module.as_ref()?.as_deref());
        module.is_some_and(|module| walk::ends_in_call(machine, module.code_before(place.offset.wrapping_add(1))))
    }

    fn place(&mut self, task: Task, address: u64, code: CodeMap<'_>) -> Place {
        let (pid, generation) = (task.pid, code.spaces.generation_of(task.pid));
        let slot = (address ^ (address >> 12) ^ ((pid as u64) << 5)) as usize % CACHE_SLOTS;
        if let Some(place) = self.cache[slot]
            && (place.generation, place.address, place.pid) == (generation, address, pid)
        {
            return place;
        }
        let (module, is_mapped) = (crate::NONE, false);
        let mut place = Place { generation, address, pid, is_mapped, module, offset: 0, way: Way::Unknown };
        if let Some(found) = code.spaces.find(pid, address) {
            place.is_mapped = true;
            self.open(found.module, task, code);
            let module = self.modules.get_mut(found.module as usize).and_then(|module| module.as_mut()?.as_deref_mut());
            if let Some(module) = module {
                place.module = found.module;
                place.offset = found.offset;
                place.way = module.way(found.offset, &mut self.context);
            }
        }
        self.cache[slot] = Some(place);
        place
    }

    /// Opens a module, if that is still to be done.
    fn open(&mut self, index: u32, task: Task, code: CodeMap<'_>) {
        let at = index as usize;
        if self.modules.len() < code.rows.len() {
            self.modules.resize_with(code.rows.len(), || None);
        }
        let (Some(files), Some(machine), Some(row)) = (code.files, self.options.machine, code.rows.get(at)) else {
            return;
        };
        let Some(slot) = self.modules.get_mut(at).filter(|slot| slot.is_none()) else { return };
        *slot = match files.open(index, row, Some(task)) {
            Ok(file) => Some(Module::new(file, machine).map(Box::new)),
            Err(why) if why.may_pass() => None,
            Err(_) => Some(None),
        };
    }

    fn count(&mut self, end: End, stack: StackCopy<'_>) {
        let ends = &mut self.ends;
        let count = match end {
            End::Start => &mut ends.start,
            End::Joined => &mut ends.joined,
            End::NotCopied(slot) if is_elsewhere(slot, stack) => &mut ends.other_stack,
            End::NotCopied(_) => &mut ends.truncated,
            End::NoTables => &mut ends.no_tables,
            End::Damaged => &mut ends.damaged,
            End::TooDeep => &mut ends.too_deep,
        };
        *count += 1;
    }
}

/// Whether an address that was not copied is too far away to be of the same stack.
fn is_elsewhere(slot: u64, stack: StackCopy<'_>) -> bool {
    slot.checked_sub(stack.end().saturating_sub(8)).is_none_or(|beyond| beyond >= OTHER_STACK)
}

/// Go's tables say nothing of frame pointers, nor of its switches between the stacks of goroutines and threads (`systemstack`), but the
/// frame pointers lead across.
fn switches_stack(module: &Module, registers: &Registers, stack: StackCopy<'_>) -> bool {
    let is_elsewhere = |fp: u64| fp != 0 && !stack.contains(fp);
    module.is_go && registers.frame_pointer().is_some_and(is_elsewhere)
}

#[cfg(test)]
mod tests;
