//! Everything that is not a sample: what happened to processes and their memory, and what was lost.

use super::sample::{ReadValues, read_values};
use super::{Mode, Words};
use crate::cursor::{Cursor, DecodeError};
use crate::layout::*;
use perf_event_open_sys::bindings as sys;

/// The trailer of records other than samples: who wrote the record, and when. Fields are `None` if the event was not
/// asked for them, or has no `sample_id_all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SampleId {
    /// Process that was running; -1 for one past its exit.
    pub pid: Option<i32>,
    /// Thread that was running.
    pub tid: Option<i32>,
    /// Nanoseconds on the clock the event was opened with.
    pub time: Option<u64>,
    /// Event id.
    pub id: Option<u64>,
    /// Event id that differs for each inherited event.
    pub stream_id: Option<u64>,
    /// CPU number.
    pub cpu: Option<u32>,
}

/// Memory mapped with `PROT_EXEC` (or any, with `is_data`): `MMAP` of kernels before 3.12, and of the kernel's own text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mmap<'a> {
    /// Process; -1 is the kernel.
    pub pid: i32,
    /// Thread.
    pub tid: i32,
    /// First address.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// File, or a name in brackets, or `//anon`. Bytes as the kernel has them.
    pub path: &'a [u8],
    /// Not executable.
    pub is_data: bool,
    /// [`Mode::Kernel`] for the kernel's text and modules.
    pub mode: Mode,
    /// Trailer.
    pub id: SampleId,
}

/// Which file was mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileId<'a> {
    /// Device and inode; all zero for memory without a file.
    Inode {
        /// Major number of the device.
        major: u32,
        /// Minor number of the device.
        minor: u32,
        /// Inode number.
        inode: u64,
        /// Generation of the inode.
        generation: u64,
    },
    /// The file's build-id, up to 20 bytes.
    BuildId(&'a [u8]),
}

/// Memory mapped, with the file's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mmap2<'a> {
    /// Process; -1 is the kernel.
    pub pid: i32,
    /// Thread.
    pub tid: i32,
    /// First address.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Which file.
    pub file: FileId<'a>,
    /// `PROT_*` bits.
    pub protection: u32,
    /// `MAP_*` bits.
    pub flags: u32,
    /// File, or a name in brackets, or `//anon`. Bytes as the kernel has them.
    pub path: &'a [u8],
    /// Not executable.
    pub is_data: bool,
    /// [`Mode::Kernel`] for the kernel's text and modules.
    pub mode: Mode,
    /// Trailer.
    pub id: SampleId,
}

/// A thread's name was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comm<'a> {
    /// Process.
    pub pid: i32,
    /// Thread.
    pub tid: i32,
    /// The name, up to 15 bytes.
    pub comm: &'a [u8],
    /// By `execve`: the old program's memory is gone.
    pub is_exec: bool,
    /// Trailer.
    pub id: SampleId,
}

/// A thread or process came (`FORK`) or went (`EXIT`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// Process.
    pub pid: i32,
    /// Parent process; the same as `pid` for a new thread.
    pub parent_pid: i32,
    /// Thread.
    pub tid: i32,
    /// Parent thread.
    pub parent_tid: i32,
    /// Nanoseconds on the clock the event was opened with.
    pub time: u64,
    /// Trailer.
    pub id: SampleId,
}

/// Records that found no room in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Event id; `None` in `LOST_SAMPLES`.
    pub event: Option<u64>,
    /// How many.
    pub lost: u64,
    /// Trailer.
    pub id: SampleId,
}

/// Sampling was stopped because it took too much time, or goes on again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// Nanoseconds.
    pub time: u64,
    /// Event id.
    pub event: u64,
    /// Event id that differs for each inherited event.
    pub stream: u64,
    /// Trailer.
    pub id: SampleId,
}

/// A thread got or left the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// It left the CPU.
    pub is_out: bool,
    /// It left the CPU, but could have gone on.
    pub is_preempted: bool,
    /// `SWITCH_CPU_WIDE` only: (process, thread) that comes next (`is_out`), or came before.
    pub other: Option<(i32, i32)>,
    /// Trailer: the thread itself.
    pub id: SampleId,
}

/// Counter values of a thread at its exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read<'a> {
    /// Process.
    pub pid: i32,
    /// Thread.
    pub tid: i32,
    /// The values.
    pub values: ReadValues<'a>,
    /// Trailer.
    pub id: SampleId,
}

/// New data in the AUX area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aux {
    /// Offset in bytes.
    pub offset: u64,
    /// Length in bytes.
    pub size: u64,
    /// `PERF_AUX_FLAG_*`.
    pub flags: u64,
    /// Trailer.
    pub id: SampleId,
}

/// Instruction tracing of a thread started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItraceStart {
    /// Process.
    pub pid: i32,
    /// Thread.
    pub tid: i32,
    /// Trailer.
    pub id: SampleId,
}

/// The namespaces a process is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespaces<'a> {
    /// Process.
    pub pid: i32,
    /// Thread.
    pub tid: i32,
    words: Words<'a>,
    /// Trailer.
    pub id: SampleId,
}

impl<'a> Namespaces<'a> {
    /// (device, inode) of each: net, uts, ipc, pid, user, mnt, cgroup.
    pub fn links(&self) -> impl Iterator<Item = (u64, u64)> + use<'a> {
        let mut words = self.words.iter();
        std::iter::from_fn(move || Some((words.next()?, words.next()?)))
    }
}

/// A piece of kernel text with a name came or went (BPF programs, trampolines).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ksymbol<'a> {
    /// First address.
    pub address: u64,
    /// Length in bytes.
    pub len: u32,
    /// `PERF_RECORD_KSYMBOL_TYPE_*`.
    pub symbol_type: u16,
    /// It went.
    pub is_unregister: bool,
    /// Its name.
    pub name: &'a [u8],
    /// Trailer.
    pub id: SampleId,
}

/// A BPF program came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BpfEvent {
    /// `PERF_BPF_EVENT_*`: 1 loaded, 2 unloaded.
    pub event_type: u16,
    /// Not used yet.
    pub flags: u16,
    /// Program id.
    pub program: u32,
    /// Program tag.
    pub tag: [u8; 8],
    /// Trailer.
    pub id: SampleId,
}

/// A cgroup was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup<'a> {
    /// Its id.
    pub cgroup: u64,
    /// Its path below the cgroup file system's root.
    pub path: &'a [u8],
    /// Trailer.
    pub id: SampleId,
}

/// Kernel text was patched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPoke<'a> {
    /// First address.
    pub address: u64,
    /// Bytes before.
    pub old: &'a [u8],
    /// Bytes after.
    pub new: &'a [u8],
    /// Trailer.
    pub id: SampleId,
}

/// Which hardware resource an event got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuxOutputHwId {
    /// The resource.
    pub hw_id: u64,
    /// Trailer.
    pub id: SampleId,
}

/// The user half of one or more samples' call chains, taken when the thread went back to user mode (Linux 6.19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallchainDeferred<'a> {
    /// The same number as in the samples' chains ([`super::Callchain::deferred_cookie`]).
    pub cookie: u64,
    /// The user half.
    pub callchain: super::Callchain<'a>,
    /// Trailer.
    pub id: SampleId,
}

/// Decodes the trailer; `cursor` stands at its first byte.
pub(super) fn sample_id(cursor: &mut Cursor<'_>, layout: &SampleLayout) -> Result<SampleId, DecodeError> {
    if !layout.sample_id_all {
        return Ok(SampleId::default());
    }
    let mut id = SampleId::default();
    if layout.has(SAMPLE_TID) {
        id.pid = Some(cursor.i32("sample_id.pid")?);
        id.tid = Some(cursor.i32("sample_id.tid")?);
    }
    id.time = cursor.u64_if(layout.has(SAMPLE_TIME), "sample_id.time")?;
    id.id = cursor.u64_if(layout.has(SAMPLE_ID), "sample_id.id")?;
    id.stream_id = cursor.u64_if(layout.has(SAMPLE_STREAM_ID), "sample_id.stream_id")?;
    if layout.has(SAMPLE_CPU) {
        id.cpu = Some(cursor.u32("sample_id.cpu")?);
        cursor.u32("sample_id.res")?;
    }
    id.id = cursor.u64_if(layout.has(SAMPLE_IDENTIFIER), "sample_id.identifier")?.or(id.id);
    Ok(id)
}

pub(super) fn mmap<'a>(misc: u16, cursor: &mut Cursor<'a>, id: SampleId) -> Result<Mmap<'a>, DecodeError> {
    Ok(Mmap {
        pid: cursor.i32("pid")?,
        tid: cursor.i32("tid")?,
        start: cursor.u64("addr")?,
        len: cursor.u64("len")?,
        offset: cursor.u64("pgoff")?,
        path: cursor.string(),
        is_data: has_misc(misc, sys::PERF_RECORD_MISC_MMAP_DATA),
        mode: Mode::from_misc(misc),
        id,
    })
}

pub(super) fn mmap2<'a>(misc: u16, cursor: &mut Cursor<'a>, id: SampleId) -> Result<Mmap2<'a>, DecodeError> {
    let (pid, tid) = (cursor.i32("pid")?, cursor.i32("tid")?);
    let start = cursor.u64("addr")?;
    let len = cursor.u64("len")?;
    let offset = cursor.u64("pgoff")?;
    let file = if has_misc(misc, sys::PERF_RECORD_MISC_MMAP_BUILD_ID) {
        let at = cursor.position();
        let field = cursor.take(24, "build_id")?;
        let size = field[0];
        // One byte of size, three reserved, then up to 20 bytes.
        let build_id = field[4..].get(..usize::from(size));
        FileId::BuildId(build_id.ok_or_else(|| cursor.impossible("build_id_size", at, u64::from(size)))?)
    } else {
        FileId::Inode {
            major: cursor.u32("maj")?,
            minor: cursor.u32("min")?,
            inode: cursor.u64("ino")?,
            generation: cursor.u64("ino_generation")?,
        }
    };
    Ok(Mmap2 {
        pid,
        tid,
        start,
        len,
        offset,
        file,
        protection: cursor.u32("prot")?,
        flags: cursor.u32("flags")?,
        path: cursor.string(),
        is_data: has_misc(misc, sys::PERF_RECORD_MISC_MMAP_DATA),
        mode: Mode::from_misc(misc),
        id,
    })
}

pub(super) fn comm<'a>(misc: u16, cursor: &mut Cursor<'a>, id: SampleId) -> Result<Comm<'a>, DecodeError> {
    Ok(Comm {
        pid: cursor.i32("pid")?,
        tid: cursor.i32("tid")?,
        comm: cursor.string(),
        is_exec: has_misc(misc, sys::PERF_RECORD_MISC_COMM_EXEC),
        id,
    })
}

pub(super) fn task(cursor: &mut Cursor<'_>, id: SampleId) -> Result<Task, DecodeError> {
    Ok(Task {
        pid: cursor.i32("pid")?,
        parent_pid: cursor.i32("ppid")?,
        tid: cursor.i32("tid")?,
        parent_tid: cursor.i32("ptid")?,
        time: cursor.u64("time")?,
        id,
    })
}

pub(super) fn lost(cursor: &mut Cursor<'_>, has_event: bool, id: SampleId) -> Result<Lost, DecodeError> {
    Ok(Lost { event: cursor.u64_if(has_event, "id")?, lost: cursor.u64("lost")?, id })
}

pub(super) fn throttle(cursor: &mut Cursor<'_>, id: SampleId) -> Result<Throttle, DecodeError> {
    Ok(Throttle { time: cursor.u64("time")?, event: cursor.u64("id")?, stream: cursor.u64("stream_id")?, id })
}

pub(super) fn switch(
    misc: u16,
    cursor: &mut Cursor<'_>,
    is_cpu_wide: bool,
    id: SampleId,
) -> Result<Switch, DecodeError> {
    let other = if is_cpu_wide { Some((cursor.i32("next_prev_pid")?, cursor.i32("next_prev_tid")?)) } else { None };
    let is_out = has_misc(misc, sys::PERF_RECORD_MISC_SWITCH_OUT);
    let is_preempted = is_out && has_misc(misc, sys::PERF_RECORD_MISC_SWITCH_OUT_PREEMPT);
    Ok(Switch { is_out, is_preempted, other, id })
}

pub(super) fn read<'a>(cursor: &mut Cursor<'a>, layout: &SampleLayout, id: SampleId) -> Result<Read<'a>, DecodeError> {
    Ok(Read { pid: cursor.i32("pid")?, tid: cursor.i32("tid")?, values: read_values(cursor, layout.read_format)?, id })
}

pub(super) fn aux(cursor: &mut Cursor<'_>, id: SampleId) -> Result<Aux, DecodeError> {
    Ok(Aux { offset: cursor.u64("aux_offset")?, size: cursor.u64("aux_size")?, flags: cursor.u64("flags")?, id })
}

pub(super) fn itrace_start(cursor: &mut Cursor<'_>, id: SampleId) -> Result<ItraceStart, DecodeError> {
    Ok(ItraceStart { pid: cursor.i32("pid")?, tid: cursor.i32("tid")?, id })
}

pub(super) fn namespaces<'a>(cursor: &mut Cursor<'a>, id: SampleId) -> Result<Namespaces<'a>, DecodeError> {
    let (pid, tid) = (cursor.i32("pid")?, cursor.i32("tid")?);
    let count = cursor.u64("nr_namespaces")?;
    Ok(Namespaces { pid, tid, words: cursor.words(count.saturating_mul(2), "link_info")?, id })
}

pub(super) fn ksymbol<'a>(cursor: &mut Cursor<'a>, id: SampleId) -> Result<Ksymbol<'a>, DecodeError> {
    Ok(Ksymbol {
        address: cursor.u64("addr")?,
        len: cursor.u32("len")?,
        symbol_type: cursor.u16("ksym_type")?,
        is_unregister: u32::from(cursor.u16("flags")?) & sys::PERF_RECORD_KSYMBOL_FLAGS_UNREGISTER != 0,
        name: cursor.string(),
        id,
    })
}

pub(super) fn bpf_event(cursor: &mut Cursor<'_>, id: SampleId) -> Result<BpfEvent, DecodeError> {
    let (event_type, flags) = (cursor.u16("type")?, cursor.u16("flags")?);
    let program = cursor.u32("id")?;
    let mut tag = [0; 8];
    tag.copy_from_slice(cursor.take(8, "tag")?);
    Ok(BpfEvent { event_type, flags, program, tag, id })
}

pub(super) fn cgroup<'a>(cursor: &mut Cursor<'a>, id: SampleId) -> Result<Cgroup<'a>, DecodeError> {
    Ok(Cgroup { cgroup: cursor.u64("id")?, path: cursor.string(), id })
}

pub(super) fn text_poke<'a>(cursor: &mut Cursor<'a>, id: SampleId) -> Result<TextPoke<'a>, DecodeError> {
    let address = cursor.u64("addr")?;
    let old_len = cursor.u16("old_len")?;
    let new_len = cursor.u16("new_len")?;
    let old = cursor.take(u64::from(old_len), "bytes")?;
    let new = cursor.take(u64::from(new_len), "bytes")?;
    Ok(TextPoke { address, old, new, id })
}

pub(super) fn callchain_deferred<'a>(
    cursor: &mut Cursor<'a>,
    id: SampleId,
) -> Result<CallchainDeferred<'a>, DecodeError> {
    let cookie = cursor.u64("cookie")?;
    let count = cursor.u64("nr")?;
    let words = cursor.words(count, "ips")?;
    Ok(CallchainDeferred { cookie, callchain: super::Callchain { words }, id })
}

fn has_misc(misc: u16, bit: u32) -> bool {
    u32::from(misc) & bit != 0
}
