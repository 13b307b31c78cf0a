//! Samples with nothing but a call chain and fields of fixed length: most files hold millions of them, and where each
//! field is needs to be found out once only.

use super::callchain::{Callchain, Mode};
use super::{HEADER_LEN, Header};
use crate::cursor::{Cursor, i32_at, u64_at};
use crate::layout::*;
use perf_event_open_sys::bindings as sys;

/// Fields of one word each that may stand before the call chain.
const WORDS: u64 = SAMPLE_IDENTIFIER
    | SAMPLE_IP
    | SAMPLE_TID
    | SAMPLE_TIME
    | SAMPLE_ADDR
    | SAMPLE_ID
    | SAMPLE_STREAM_ID
    | SAMPLE_CPU
    | SAMPLE_PERIOD;

/// What such samples have at least.
const NEEDED: u64 = SAMPLE_IP | SAMPLE_TID | SAMPLE_TIME | SAMPLE_CALLCHAIN;

/// Where the fields of such samples are, in bytes from the record's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainLayout {
    ip: usize,
    tid: usize,
    time: usize,
    period: Option<usize>,
    callchain: usize,
}

/// Such a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainSample<'a> {
    /// The header's `misc` bits.
    pub misc: u16,
    /// Instruction pointer; its mode is in `misc`.
    pub ip: u64,
    /// Process; -1 for a thread past its exit, 0 for the idle task.
    pub pid: i32,
    /// Thread.
    pub tid: i32,
    /// Nanoseconds on the clock the event was opened with.
    pub time: u64,
    /// Events since the previous sample, if they are told.
    pub period: Option<u64>,
    /// Call chain by the kernel.
    pub callchain: Callchain<'a>,
}

impl PlainLayout {
    /// For samples of this layout; `None` if they have other fields, or lack one that is needed.
    pub fn of(layout: &SampleLayout) -> Option<Self> {
        let fields = layout.sample_type;
        if fields & !(WORDS | SAMPLE_CALLCHAIN) != 0 || fields & NEEDED != NEEDED {
            return None;
        }
        // The order of the kernel's `perf_output_sample`.
        let order = [
            SAMPLE_IDENTIFIER,
            SAMPLE_IP,
            SAMPLE_TID,
            SAMPLE_TIME,
            SAMPLE_ADDR,
            SAMPLE_ID,
            SAMPLE_STREAM_ID,
            SAMPLE_CPU,
            SAMPLE_PERIOD,
        ];
        let place = |field: u64| {
            let before = order.iter().take_while(|other| **other != field).filter(|other| fields & **other != 0);
            HEADER_LEN + 8 * before.count()
        };
        Some(Self {
            ip: place(SAMPLE_IP),
            tid: place(SAMPLE_TID),
            time: place(SAMPLE_TIME),
            period: (fields & SAMPLE_PERIOD != 0).then(|| place(SAMPLE_PERIOD)),
            callchain: HEADER_LEN + 8 * (fields & WORDS).count_ones() as usize,
        })
    }

    /// The sample that a whole record is; `None` if it is no sample, its fields don't fit into it, or part of its call
    /// chain comes later. [`super::Record::decode`] tells which.
    pub fn read<'a>(&self, record: &'a [u8]) -> Option<PlainSample<'a>> {
        let header = Header::peek(record)?;
        if header.kind != sys::PERF_RECORD_SAMPLE || usize::from(header.size) != record.len() {
            return None;
        }
        let count = u64_at(record, self.callchain)?;
        let words = Cursor::new(record, self.callchain + 8, header.kind).words(count, "callchain.ips").ok()?;
        let callchain = Callchain { words };
        if callchain.has_deferred_half() {
            return None;
        }
        Some(PlainSample {
            misc: header.misc,
            ip: u64_at(record, self.ip)?,
            pid: i32_at(record, self.tid)?,
            tid: i32_at(record, self.tid + 4)?,
            time: u64_at(record, self.time)?,
            period: match self.period {
                Some(at) => Some(u64_at(record, at)?),
                None => None,
            },
            callchain,
        })
    }
}

impl<'a> PlainSample<'a> {
    /// The stack's addresses as [`super::Sample::frames`] gives them.
    pub fn frames(&self) -> impl Iterator<Item = (Mode, u64)> + use<'a> {
        let mode = Mode::from_misc(self.misc);
        let mut chain = self.callchain.frames(mode);
        let leaf = chain.next().unwrap_or((mode, self.ip));
        std::iter::once(leaf).chain(chain)
    }
}
