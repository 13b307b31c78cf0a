//! `PERF_RECORD_SAMPLE`: one look at one thread.

use super::callchain::{Callchain, Mode};
use crate::cursor::{Cursor, DecodeError, Words};
use crate::layout::*;
use perf_event_open_sys::bindings as sys;

/// One sample. A field is `None` if the event was not asked for it. Field order and meaning: `perf_event_open(2)` and
/// `perf_output_sample` in the kernel's `kernel/events/core.c`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// The header's `misc` bits.
    pub misc: u16,
    /// Instruction pointer; its mode is [`Sample::mode`].
    pub ip: Option<u64>,
    /// Process; -1 for a thread past its exit, 0 for the idle task.
    pub pid: Option<i32>,
    /// Thread.
    pub tid: Option<i32>,
    /// Nanoseconds on the clock the event was opened with.
    pub time: Option<u64>,
    /// Data address.
    pub addr: Option<u64>,
    /// Event id: the same for an inherited event and the one that was opened.
    pub id: Option<u64>,
    /// Event id that differs for each inherited event.
    pub stream_id: Option<u64>,
    /// CPU number.
    pub cpu: Option<u32>,
    /// Events since the previous sample: what this sample stands for.
    pub period: Option<u64>,
    /// Counter values of the event or of its group.
    pub read: Option<ReadValues<'a>>,
    /// Call chain by the kernel.
    pub callchain: Option<Callchain<'a>>,
    /// Tracepoint payload and the like.
    pub raw: Option<&'a [u8]>,
    /// Last branches (LBR and the like).
    pub branches: Option<BranchStack<'a>>,
    /// Registers of the thread's user half.
    pub regs_user: Option<Registers<'a>>,
    /// Copy of the user stack from the stack pointer up; only what the kernel could really copy.
    pub stack_user: Option<&'a [u8]>,
    /// Weight as one number; with `PERF_SAMPLE_WEIGHT_STRUCT` three numbers of 32, 16 and 16 bits.
    pub weight: Option<u64>,
    /// Where the data came from, `union perf_mem_data_src`.
    pub data_src: Option<u64>,
    /// Why a hardware transaction was aborted.
    pub transaction: Option<u64>,
    /// Registers at the interrupt, kernel or user.
    pub regs_intr: Option<Registers<'a>>,
    /// Physical data address.
    pub phys_addr: Option<u64>,
    /// Cgroup id.
    pub cgroup: Option<u64>,
    /// Size in bytes of the data address's page.
    pub data_page_size: Option<u64>,
    /// Size in bytes of the instruction's page.
    pub code_page_size: Option<u64>,
    /// Snapshot of the AUX area.
    pub aux: Option<&'a [u8]>,
}

impl<'a> Sample<'a> {
    /// The mode that [`Sample::ip`] was in.
    pub fn mode(&self) -> Mode {
        Mode::from_misc(self.misc)
    }

    /// Whether `ip` is exactly the instruction that caused the event.
    pub fn is_exact_ip(&self) -> bool {
        u32::from(self.misc) & sys::PERF_RECORD_MISC_EXACT_IP != 0
    }

    /// The stack's addresses, leaf first, each with its mode: the call chain if there is one with any address, else `ip`.
    /// Where the hardware kept a call stack (`perf record --call-graph lbr`), that is the user half.
    pub fn frames(&self) -> impl Iterator<Item = (Mode, u64)> + use<'a> {
        let mode = self.mode();
        let chain = self.callchain.unwrap_or_default();
        let by_hardware = self.branches.filter(|branches| branches.is_call_stack && chain.has_user_half());
        let calls = by_hardware.map(BranchStack::calls).into_iter().flatten();
        let keeps_user = by_hardware.is_none();
        let mut chain = chain.frames(mode).filter(move |(mode, _)| keeps_user || *mode != Mode::User);
        let first = chain.next();
        let leaf = if first.is_none() && keeps_user { self.ip.map(|ip| (mode, ip)) } else { first };
        leaf.into_iter().chain(chain).chain(calls.map(|address| (Mode::User, address)))
    }
}

/// Decodes the fields after the header; `cursor` ends at the record's end. Fields are read in the order that they are
/// written here, which is the kernel's.
pub(super) fn decode<'a>(misc: u16, cursor: &mut Cursor<'a>, layout: &SampleLayout) -> Result<Sample<'a>, DecodeError> {
    let has = |bit: u64| layout.has(bit);
    let identifier = cursor.u64_if(has(SAMPLE_IDENTIFIER), "identifier")?;
    let ip = cursor.u64_if(has(SAMPLE_IP), "ip")?;
    let task = if has(SAMPLE_TID) { Some((cursor.i32("pid")?, cursor.i32("tid")?)) } else { None };
    Ok(Sample {
        misc,
        ip,
        pid: task.map(|(pid, _)| pid),
        tid: task.map(|(_, tid)| tid),
        time: cursor.u64_if(has(SAMPLE_TIME), "time")?,
        addr: cursor.u64_if(has(SAMPLE_ADDR), "addr")?,
        id: cursor.u64_if(has(SAMPLE_ID), "id")?.or(identifier),
        stream_id: cursor.u64_if(has(SAMPLE_STREAM_ID), "stream_id")?,
        // Its upper half is reserved.
        cpu: cursor.u64_if(has(SAMPLE_CPU), "cpu")?.map(low_half),
        period: cursor.u64_if(has(SAMPLE_PERIOD), "period")?,
        read: if has(SAMPLE_READ) { Some(read_values(cursor, layout.read_format)?) } else { None },
        callchain: if has(SAMPLE_CALLCHAIN) { Some(callchain(cursor)?) } else { None },
        raw: if has(SAMPLE_RAW) { Some(raw(cursor)?) } else { None },
        branches: if has(SAMPLE_BRANCH_STACK) { Some(branch_stack(cursor, layout)?) } else { None },
        regs_user: registers_if(has(SAMPLE_REGS_USER), cursor, layout.sample_regs_user, "regs_user")?,
        stack_user: if has(SAMPLE_STACK_USER) { Some(stack_user(cursor)?) } else { None },
        weight: cursor.u64_if(layout.sample_type & (SAMPLE_WEIGHT | SAMPLE_WEIGHT_STRUCT) != 0, "weight")?,
        data_src: cursor.u64_if(has(SAMPLE_DATA_SRC), "data_src")?,
        transaction: cursor.u64_if(has(SAMPLE_TRANSACTION), "transaction")?,
        regs_intr: registers_if(has(SAMPLE_REGS_INTR), cursor, layout.sample_regs_intr, "regs_intr")?,
        phys_addr: cursor.u64_if(has(SAMPLE_PHYS_ADDR), "phys_addr")?,
        cgroup: cursor.u64_if(has(SAMPLE_CGROUP), "cgroup")?,
        data_page_size: cursor.u64_if(has(SAMPLE_DATA_PAGE_SIZE), "data_page_size")?,
        code_page_size: cursor.u64_if(has(SAMPLE_CODE_PAGE_SIZE), "code_page_size")?,
        aux: if has(SAMPLE_AUX) { Some(aux(cursor)?) } else { None },
    })
}

/// The half of a word that comes first in memory, as `u32`s are laid out in it.
fn low_half(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}

fn callchain<'a>(cursor: &mut Cursor<'a>) -> Result<Callchain<'a>, DecodeError> {
    let count = cursor.u64("callchain.nr")?;
    Ok(Callchain { words: cursor.words(count, "callchain.ips")? })
}

fn aux<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], DecodeError> {
    let size = cursor.u64("aux.size")?;
    cursor.take(size, "aux.data")
}

/// One counter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadValue {
    /// The count, not scaled.
    pub value: u64,
    /// Event id, if asked for.
    pub id: Option<u64>,
    /// Samples of this event that were lost, if asked for (`PERF_FORMAT_LOST`, Linux 6.0).
    pub lost: Option<u64>,
}

/// Counter values of one event, or of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadValues<'a> {
    /// Nanoseconds the event was enabled.
    pub time_enabled: Option<u64>,
    /// Nanoseconds it really counted.
    pub time_running: Option<u64>,
    single: Option<ReadValue>,
    group: Words<'a>,
    has_id: bool,
    has_lost: bool,
}

impl<'a> ReadValues<'a> {
    /// The values, a group's leader first.
    pub fn values(&self) -> impl Iterator<Item = ReadValue> + use<'a> {
        let mut words = self.group.iter();
        let (has_id, has_lost) = (self.has_id, self.has_lost);
        let group = std::iter::from_fn(move || {
            let value = words.next()?;
            let id = if has_id { words.next() } else { None };
            let lost = if has_lost { words.next() } else { None };
            Some(ReadValue { value, id, lost })
        });
        self.single.into_iter().chain(group)
    }
}

/// `struct read_format`: what a sample holds with `PERF_SAMPLE_READ`, and what `read(2)` of an event gives.
pub(crate) fn read_values<'a>(cursor: &mut Cursor<'a>, format: u64) -> Result<ReadValues<'a>, DecodeError> {
    let has = |bit: u64| format & bit != 0;
    let (has_id, has_lost) = (has(FORMAT_ID), has(FORMAT_LOST));
    let is_group = has(FORMAT_GROUP);
    let first = cursor.u64(if is_group { "read.nr" } else { "read.value" })?;
    let time_enabled = cursor.u64_if(has(FORMAT_TIME_ENABLED), "read.time_enabled")?;
    let time_running = cursor.u64_if(has(FORMAT_TIME_RUNNING), "read.time_running")?;
    let (mut single, mut group) = (None, Words::default());
    if is_group {
        let per_value = 1 + u64::from(has_id) + u64::from(has_lost);
        group = cursor.words(first.saturating_mul(per_value), "read.values")?;
    } else {
        let id = cursor.u64_if(has_id, "read.id")?;
        let lost = cursor.u64_if(has_lost, "read.lost")?;
        single = Some(ReadValue { value: first, id, lost });
    }
    Ok(ReadValues { time_enabled, time_running, single, group, has_id, has_lost })
}

fn raw<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], DecodeError> {
    let size = cursor.u32("raw.size")?;
    let data = cursor.take(u64::from(size), "raw.data")?;
    cursor.align();
    Ok(data)
}

fn stack_user<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], DecodeError> {
    let size = cursor.u64("stack_user.size")?;
    if size == 0 {
        return Ok(&[]);
    }
    let data = cursor.take(size, "stack_user.data")?;
    // The kernel reserves `size` bytes and tells afterwards how many it could fill.
    let filled = cursor.u64("stack_user.dyn_size")?;
    Ok(&data[..data.len().min(usize::try_from(filled).unwrap_or(usize::MAX))])
}

/// Width of the registers of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterAbi {
    /// There are none: the thread has no user half (a kernel thread).
    None,
    /// A 32-bit process.
    Bits32,
    /// A 64-bit process.
    Bits64,
}

/// Registers in a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers<'a> {
    /// Width.
    pub abi: RegisterAbi,
    /// One bit per register that is there, numbered as in the machine's `asm/perf_regs.h`.
    pub mask: u64,
    values: Words<'a>,
}

impl Registers<'_> {
    /// The register with this number of `asm/perf_regs.h` (x86: `PERF_REG_X86_*`).
    pub fn get(&self, register: u32) -> Option<u64> {
        let bit = 1_u64.checked_shl(register)?;
        if self.mask & bit == 0 {
            return None;
        }
        self.values.get((self.mask & (bit - 1)).count_ones() as usize)
    }
}

fn registers_if<'a>(
    is_there: bool,
    cursor: &mut Cursor<'a>,
    mask: u64,
    field: &'static str,
) -> Result<Option<Registers<'a>>, DecodeError> {
    if is_there { registers(cursor, mask, field).map(Some) } else { Ok(None) }
}

fn registers<'a>(cursor: &mut Cursor<'a>, mask: u64, field: &'static str) -> Result<Registers<'a>, DecodeError> {
    let at = cursor.position();
    let abi = match cursor.u64(field)? {
        0 => return Ok(Registers { abi: RegisterAbi::None, mask: 0, values: Words::default() }),
        1 => RegisterAbi::Bits32,
        2 => RegisterAbi::Bits64,
        other => return Err(cursor.impossible(field, at, other)),
    };
    let values = cursor.words(u64::from(mask.count_ones()), field)?;
    Ok(Registers { abi, mask, values })
}

/// One branch taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Branch {
    /// Address of the branch.
    pub from: u64,
    /// Where it went.
    pub to: u64,
    /// `struct perf_branch_entry` flags: mispredicted, predicted, in transaction, abort, 16 bits of cycles, type.
    pub flags: u64,
}

/// Last branches, the most recent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BranchStack<'a> {
    /// Position of the first in the hardware's own buffer; -1 is not known.
    pub hw_index: Option<i64>,
    /// They are the calls that have not returned yet, not just any branches.
    pub is_call_stack: bool,
    words: Words<'a>,
}

impl<'a> BranchStack<'a> {
    /// The branches, the most recent first.
    pub fn branches(&self) -> impl Iterator<Item = Branch> + use<'a> {
        let mut words = self.words.iter();
        std::iter::from_fn(move || Some(Branch { from: words.next()?, to: words.next()?, flags: words.next()? }))
    }

    /// The stack that a call stack shows, leaf first: where the latest call went, then each call. These are given as the
    /// address after their first byte, so that they are looked up at `address - 1` like return addresses.
    fn calls(self) -> impl Iterator<Item = u64> + use<'a> {
        let leaf = self.branches().next().map(|branch| branch.to);
        leaf.into_iter().chain(self.branches().map(|branch| branch.from.wrapping_add(1)))
    }
}

fn branch_stack<'a>(cursor: &mut Cursor<'a>, layout: &SampleLayout) -> Result<BranchStack<'a>, DecodeError> {
    let count = cursor.u64("branch_stack.nr")?;
    let hw_index =
        cursor.u64_if(layout.branch_sample_type & BRANCH_HW_INDEX != 0, "branch_stack.hw_idx")?.map(|v| v as i64);
    let words = cursor.words(count.saturating_mul(3), "branch_stack.entries")?;
    if layout.branch_sample_type & BRANCH_COUNTERS != 0 {
        cursor.words(count, "branch_stack.counters")?;
    }
    let is_call_stack = layout.branch_sample_type & BRANCH_CALL_STACK != 0 && count > 0;
    Ok(BranchStack { hw_index, is_call_stack, words })
}
