//! Perf records: bytes of a ring buffer, a perf.data file or a test → typed records that borrow from them.
//!
//! The layout is that of `enum perf_event_type` in the kernel's `include/uapi/linux/perf_event.h`. Every length is
//! checked against the record's end: no bytes make decoding panic, read outside, or allocate.
//!
//! ```
//! use burnmark_perf::record::{Record, SampleLayout};
//!
//! // PERF_RECORD_LOST: 3 records of event 7 found no room.
//! let mut bytes = Vec::new();
//! bytes.extend(2_u32.to_ne_bytes());
//! bytes.extend(0_u16.to_ne_bytes());
//! bytes.extend(24_u16.to_ne_bytes());
//! bytes.extend(7_u64.to_ne_bytes());
//! bytes.extend(3_u64.to_ne_bytes());
//! let Record::Lost(lost) = Record::decode(&bytes, &SampleLayout::default())? else { unreachable!() };
//! assert_eq!((lost.event, lost.lost), (Some(7), 3));
//! # Ok::<(), burnmark_perf::record::DecodeError>(())
//! ```

mod callchain;
mod plain;
mod sample;
mod sideband;

pub use crate::cursor::{DecodeError, Words};
pub use crate::layout::SampleLayout;
pub use callchain::{Callchain, Mode};
pub use plain::{PlainLayout, PlainSample};
pub(crate) use sample::read_values;
pub use sample::{Branch, BranchStack, ReadValue, ReadValues, RegisterAbi, Registers, Sample};
pub use sideband::{
    Aux, AuxOutputHwId, BpfEvent, CallchainDeferred, Cgroup, Comm, FileId, ItraceStart, Ksymbol, Lost, Mmap, Mmap2,
    Namespaces, Read, SampleId, Switch, Task, TextPoke, Throttle,
};

use crate::cursor::Cursor;
use perf_event_open_sys::bindings as sys;

/// Length in bytes of a record's header.
pub const HEADER_LEN: usize = 8;

/// `PERF_RECORD_CALLCHAIN_DEFERRED`, newer than the bindings.
const RECORD_CALLCHAIN_DEFERRED: u32 = 22;

/// The first eight bytes of every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// `PERF_RECORD_*` number. From 64 on they are perf.data's own.
    pub kind: u32,
    /// `PERF_RECORD_MISC_*` bits.
    pub misc: u16,
    /// Length of the record in bytes, header included.
    pub size: u16,
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` if there are fewer than eight bytes. `size` is not checked.
    pub fn peek(bytes: &[u8]) -> Option<Header> {
        let mut cursor = Cursor::new(bytes.get(..HEADER_LEN)?, 0, 0);
        Some(Header { kind: cursor.u32("type").ok()?, misc: cursor.u16("misc").ok()?, size: cursor.u16("size").ok()? })
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "nearly all records of a stream are samples, and none is kept")]
pub enum Record<'a> {
    /// One look at one thread.
    Sample(Sample<'a>),
    /// Memory mapped.
    Mmap(Mmap<'a>),
    /// Memory mapped, with the file's identity.
    Mmap2(Mmap2<'a>),
    /// A thread's name was set, or `execve`.
    Comm(Comm<'a>),
    /// A process or thread came.
    Fork(Task),
    /// A thread went; the process if it was its last one.
    Exit(Task),
    /// Records that found no room in the ring.
    Lost(Lost),
    /// Samples the hardware dropped.
    LostSamples(Lost),
    /// Sampling was stopped: it took too much time.
    Throttle(Throttle),
    /// Sampling goes on.
    Unthrottle(Throttle),
    /// A thread got or left the CPU (event bound to a task).
    Switch(Switch),
    /// A thread got or left the CPU (event bound to a CPU).
    SwitchCpuWide(Switch),
    /// Counter values of a thread at its exit.
    Read(Read<'a>),
    /// New data in the AUX area.
    Aux(Aux),
    /// Instruction tracing started.
    ItraceStart(ItraceStart),
    /// The namespaces a process is in.
    Namespaces(Namespaces<'a>),
    /// Named kernel text came or went.
    Ksymbol(Ksymbol<'a>),
    /// A BPF program came or went.
    BpfEvent(BpfEvent),
    /// A cgroup was made.
    Cgroup(Cgroup<'a>),
    /// Kernel text was patched.
    TextPoke(TextPoke<'a>),
    /// Which hardware resource an event got.
    AuxOutputHwId(AuxOutputHwId),
    /// User half of call chains.
    CallchainDeferred(CallchainDeferred<'a>),
    /// A type this version does not know, perf.data's own included.
    Unknown {
        /// Its header.
        header: Header,
        /// The bytes after the header, trailer included.
        payload: &'a [u8],
    },
}

impl<'a> Record<'a> {
    /// Decodes the record at the start of `bytes`, which may go on after it ([`Header::size`]).
    pub fn decode(bytes: &'a [u8], layout: &SampleLayout) -> Result<Record<'a>, DecodeError> {
        let short = |size| DecodeError::Size { kind: 0, size, available: bytes.len() };
        let Header { kind, misc, size } = Header::peek(bytes).ok_or(short(HEADER_LEN))?;
        let size = usize::from(size);
        let bytes = match bytes.get(..size) {
            Some(bytes) if size >= HEADER_LEN => bytes,
            _ => return Err(DecodeError::Size { kind, size, available: bytes.len() }),
        };
        match kind {
            sys::PERF_RECORD_SAMPLE => {
                let mut cursor = Cursor::new(bytes, HEADER_LEN, kind);
                sample::decode(misc, &mut cursor, layout).map(Record::Sample)
            }
            sys::PERF_RECORD_MMAP..=RECORD_CALLCHAIN_DEFERRED => decode_sideband(kind, misc, bytes, layout),
            _ => {
                Ok(Record::Unknown { header: Header { kind, misc, size: size as u16 }, payload: &bytes[HEADER_LEN..] })
            }
        }
    }

    /// Nanoseconds on the clock the event was opened with, if the record has a time.
    pub fn time(&self) -> Option<u64> {
        match self {
            Record::Sample(sample) => sample.time,
            other => other.sample_id()?.time,
        }
    }

    /// The trailer of a record that is not a sample.
    pub fn sample_id(&self) -> Option<&SampleId> {
        Some(match self {
            Record::Sample(_) | Record::Unknown { .. } => return None,
            Record::Mmap(r) => &r.id,
            Record::Mmap2(r) => &r.id,
            Record::Comm(r) => &r.id,
            Record::Fork(r) | Record::Exit(r) => &r.id,
            Record::Lost(r) | Record::LostSamples(r) => &r.id,
            Record::Throttle(r) | Record::Unthrottle(r) => &r.id,
            Record::Switch(r) | Record::SwitchCpuWide(r) => &r.id,
            Record::Read(r) => &r.id,
            Record::Aux(r) => &r.id,
            Record::ItraceStart(r) => &r.id,
            Record::Namespaces(r) => &r.id,
            Record::Ksymbol(r) => &r.id,
            Record::BpfEvent(r) => &r.id,
            Record::Cgroup(r) => &r.id,
            Record::TextPoke(r) => &r.id,
            Record::AuxOutputHwId(r) => &r.id,
            Record::CallchainDeferred(r) => &r.id,
        })
    }
}

fn decode_sideband<'a>(
    kind: u32,
    misc: u16,
    bytes: &'a [u8],
    layout: &SampleLayout,
) -> Result<Record<'a>, DecodeError> {
    // The trailer is found from the end, so that fields a newer kernel adds before it do no harm.
    let trailer = layout.trailer_len();
    let body = bytes.len().checked_sub(trailer).filter(|&at| at >= HEADER_LEN).ok_or(DecodeError::Short {
        kind,
        field: "sample_id",
        at: HEADER_LEN,
        needed: trailer,
        available: bytes.len() - HEADER_LEN,
    })?;
    let id = sideband::sample_id(&mut Cursor::new(bytes, body, kind), layout)?;
    let cursor = &mut Cursor::new(&bytes[..body], HEADER_LEN, kind);
    Ok(match kind {
        sys::PERF_RECORD_MMAP => Record::Mmap(sideband::mmap(misc, cursor, id)?),
        sys::PERF_RECORD_MMAP2 => Record::Mmap2(sideband::mmap2(misc, cursor, id)?),
        sys::PERF_RECORD_COMM => Record::Comm(sideband::comm(misc, cursor, id)?),
        sys::PERF_RECORD_FORK => Record::Fork(sideband::task(cursor, id)?),
        sys::PERF_RECORD_EXIT => Record::Exit(sideband::task(cursor, id)?),
        sys::PERF_RECORD_LOST => Record::Lost(sideband::lost(cursor, true, id)?),
        sys::PERF_RECORD_LOST_SAMPLES => Record::LostSamples(sideband::lost(cursor, false, id)?),
        sys::PERF_RECORD_THROTTLE => Record::Throttle(sideband::throttle(cursor, id)?),
        sys::PERF_RECORD_UNTHROTTLE => Record::Unthrottle(sideband::throttle(cursor, id)?),
        sys::PERF_RECORD_SWITCH => Record::Switch(sideband::switch(misc, cursor, false, id)?),
        sys::PERF_RECORD_SWITCH_CPU_WIDE => Record::SwitchCpuWide(sideband::switch(misc, cursor, true, id)?),
        sys::PERF_RECORD_READ => Record::Read(sideband::read(cursor, layout, id)?),
        sys::PERF_RECORD_AUX => Record::Aux(sideband::aux(cursor, id)?),
        sys::PERF_RECORD_ITRACE_START => Record::ItraceStart(sideband::itrace_start(cursor, id)?),
        sys::PERF_RECORD_NAMESPACES => Record::Namespaces(sideband::namespaces(cursor, id)?),
        sys::PERF_RECORD_KSYMBOL => Record::Ksymbol(sideband::ksymbol(cursor, id)?),
        sys::PERF_RECORD_BPF_EVENT => Record::BpfEvent(sideband::bpf_event(cursor, id)?),
        sys::PERF_RECORD_CGROUP => Record::Cgroup(sideband::cgroup(cursor, id)?),
        sys::PERF_RECORD_TEXT_POKE => Record::TextPoke(sideband::text_poke(cursor, id)?),
        sys::PERF_RECORD_AUX_OUTPUT_HW_ID => Record::AuxOutputHwId(AuxOutputHwId { hw_id: cursor.u64("hw_id")?, id }),
        RECORD_CALLCHAIN_DEFERRED => Record::CallchainDeferred(sideband::callchain_deferred(cursor, id)?),
        _ => Record::Unknown { header: Header { kind, misc, size: bytes.len() as u16 }, payload: &bytes[HEADER_LEN..] },
    })
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
