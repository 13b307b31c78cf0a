//! What a record contains depends on the event that wrote it: [`SampleLayout`] is that part of its `perf_event_attr`.

use crate::cursor::{Cursor, DecodeError, i32_at, u64_at};
use crate::record::{HEADER_LEN, Header};
use perf_event_open_sys::bindings as sys;

/// `PERF_SAMPLE_IP`
pub const SAMPLE_IP: u64 = sys::PERF_SAMPLE_IP as u64;
/// `PERF_SAMPLE_TID`
pub const SAMPLE_TID: u64 = sys::PERF_SAMPLE_TID as u64;
/// `PERF_SAMPLE_TIME`
pub const SAMPLE_TIME: u64 = sys::PERF_SAMPLE_TIME as u64;
/// `PERF_SAMPLE_ADDR`
pub const SAMPLE_ADDR: u64 = sys::PERF_SAMPLE_ADDR as u64;
/// `PERF_SAMPLE_READ`
pub const SAMPLE_READ: u64 = sys::PERF_SAMPLE_READ as u64;
/// `PERF_SAMPLE_CALLCHAIN`
pub const SAMPLE_CALLCHAIN: u64 = sys::PERF_SAMPLE_CALLCHAIN as u64;
/// `PERF_SAMPLE_ID`
pub const SAMPLE_ID: u64 = sys::PERF_SAMPLE_ID as u64;
/// `PERF_SAMPLE_CPU`
pub const SAMPLE_CPU: u64 = sys::PERF_SAMPLE_CPU as u64;
/// `PERF_SAMPLE_PERIOD`
pub const SAMPLE_PERIOD: u64 = sys::PERF_SAMPLE_PERIOD as u64;
/// `PERF_SAMPLE_STREAM_ID`
pub const SAMPLE_STREAM_ID: u64 = sys::PERF_SAMPLE_STREAM_ID as u64;
/// `PERF_SAMPLE_RAW`
pub const SAMPLE_RAW: u64 = sys::PERF_SAMPLE_RAW as u64;
/// `PERF_SAMPLE_BRANCH_STACK`
pub const SAMPLE_BRANCH_STACK: u64 = sys::PERF_SAMPLE_BRANCH_STACK as u64;
/// `PERF_SAMPLE_REGS_USER`
pub const SAMPLE_REGS_USER: u64 = sys::PERF_SAMPLE_REGS_USER as u64;
/// `PERF_SAMPLE_STACK_USER`
pub const SAMPLE_STACK_USER: u64 = sys::PERF_SAMPLE_STACK_USER as u64;
/// `PERF_SAMPLE_WEIGHT`
pub const SAMPLE_WEIGHT: u64 = sys::PERF_SAMPLE_WEIGHT as u64;
/// `PERF_SAMPLE_DATA_SRC`
pub const SAMPLE_DATA_SRC: u64 = sys::PERF_SAMPLE_DATA_SRC as u64;
/// `PERF_SAMPLE_IDENTIFIER`
pub const SAMPLE_IDENTIFIER: u64 = sys::PERF_SAMPLE_IDENTIFIER as u64;
/// `PERF_SAMPLE_TRANSACTION`
pub const SAMPLE_TRANSACTION: u64 = sys::PERF_SAMPLE_TRANSACTION as u64;
/// `PERF_SAMPLE_REGS_INTR`
pub const SAMPLE_REGS_INTR: u64 = sys::PERF_SAMPLE_REGS_INTR as u64;
/// `PERF_SAMPLE_PHYS_ADDR`
pub const SAMPLE_PHYS_ADDR: u64 = sys::PERF_SAMPLE_PHYS_ADDR as u64;
/// `PERF_SAMPLE_AUX`
pub const SAMPLE_AUX: u64 = sys::PERF_SAMPLE_AUX as u64;
/// `PERF_SAMPLE_CGROUP`
pub const SAMPLE_CGROUP: u64 = sys::PERF_SAMPLE_CGROUP as u64;
/// `PERF_SAMPLE_DATA_PAGE_SIZE`
pub const SAMPLE_DATA_PAGE_SIZE: u64 = sys::PERF_SAMPLE_DATA_PAGE_SIZE as u64;
/// `PERF_SAMPLE_CODE_PAGE_SIZE`
pub const SAMPLE_CODE_PAGE_SIZE: u64 = sys::PERF_SAMPLE_CODE_PAGE_SIZE as u64;
/// `PERF_SAMPLE_WEIGHT_STRUCT`
pub const SAMPLE_WEIGHT_STRUCT: u64 = sys::PERF_SAMPLE_WEIGHT_STRUCT as u64;

/// `PERF_FORMAT_TOTAL_TIME_ENABLED`
pub const FORMAT_TIME_ENABLED: u64 = sys::PERF_FORMAT_TOTAL_TIME_ENABLED as u64;
/// `PERF_FORMAT_TOTAL_TIME_RUNNING`
pub const FORMAT_TIME_RUNNING: u64 = sys::PERF_FORMAT_TOTAL_TIME_RUNNING as u64;
/// `PERF_FORMAT_ID`
pub const FORMAT_ID: u64 = sys::PERF_FORMAT_ID as u64;
/// `PERF_FORMAT_GROUP`
pub const FORMAT_GROUP: u64 = sys::PERF_FORMAT_GROUP as u64;
/// `PERF_FORMAT_LOST`
pub const FORMAT_LOST: u64 = sys::PERF_FORMAT_LOST as u64;

/// `PERF_SAMPLE_BRANCH_CALL_STACK`
pub const BRANCH_CALL_STACK: u64 = sys::PERF_SAMPLE_BRANCH_CALL_STACK as u64;
/// `PERF_SAMPLE_BRANCH_HW_INDEX`
pub const BRANCH_HW_INDEX: u64 = sys::PERF_SAMPLE_BRANCH_HW_INDEX as u64;
/// `PERF_SAMPLE_BRANCH_COUNTERS`
pub const BRANCH_COUNTERS: u64 = sys::PERF_SAMPLE_BRANCH_COUNTERS as u64;

/// The bits of an event's attributes that decide which fields its records have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SampleLayout {
    /// `PERF_SAMPLE_*` bits (the `SAMPLE_*` constants here).
    pub sample_type: u64,
    /// `PERF_FORMAT_*` bits (the `FORMAT_*` constants here).
    pub read_format: u64,
    /// `PERF_SAMPLE_BRANCH_*` bits.
    pub branch_sample_type: u64,
    /// One bit per register in the user registers of a sample, numbered as in the machine's `asm/perf_regs.h`.
    pub sample_regs_user: u64,
    /// The same for the registers at the interrupt.
    pub sample_regs_intr: u64,
    /// Whether records other than samples end with a [`crate::record::SampleId`].
    pub sample_id_all: bool,
}

impl SampleLayout {
    /// The layout of a `perf_event_attr` in its binary form (host byte order), as perf.data files keep it. Attributes of
    /// older kernels are shorter: what they lack is zero.
    pub fn from_attr_bytes(attr: &[u8]) -> Result<SampleLayout, DecodeError> {
        let mut cursor = Cursor::new(attr, 24, 0);
        let sample_type = cursor.u64("sample_type")?;
        let read_format = cursor.u64("read_format")?;
        let flags = cursor.u64("flags")?;
        Ok(SampleLayout {
            sample_type,
            read_format,
            branch_sample_type: u64_at(attr, 72).unwrap_or(0),
            sample_regs_user: u64_at(attr, 80).unwrap_or(0),
            sample_regs_intr: u64_at(attr, 96).unwrap_or(0),
            // Bit 18 of the flag word that starts with `disabled`.
            sample_id_all: flags & (1 << 18) != 0,
        })
    }

    /// Whether samples have all fields of `bits`.
    pub fn has(&self, bits: u64) -> bool {
        self.sample_type & bits == bits
    }

    /// Length in bytes of the trailer of records other than samples.
    pub fn trailer_len(&self) -> usize {
        let fields = SAMPLE_TID | SAMPLE_TIME | SAMPLE_ID | SAMPLE_STREAM_ID | SAMPLE_CPU | SAMPLE_IDENTIFIER;
        if self.sample_id_all { (self.sample_type & fields).count_ones() as usize * 8 } else { 0 }
    }

    /// The time of any kernel record without decoding the rest of it; `None` if it has none or is too short.
    pub fn peek_time(&self, record: &[u8]) -> Option<u64> {
        if !self.has(SAMPLE_TIME) {
            return None;
        }
        if Header::peek(record)?.kind == sys::PERF_RECORD_SAMPLE {
            return u64_at(record, self.offset_in_sample(SAMPLE_TIME));
        }
        let after = SAMPLE_TIME | SAMPLE_ID | SAMPLE_STREAM_ID | SAMPLE_CPU | SAMPLE_IDENTIFIER;
        self.word_from_end(record, after)
    }

    /// The (process, thread) a kernel record was written in, without decoding the rest of it. For a sample that is the
    /// thread sampled; -1 is a thread that was already past its exit.
    pub fn peek_thread(&self, record: &[u8]) -> Option<(i32, i32)> {
        if !self.has(SAMPLE_TID) {
            return None;
        }
        let at = if Header::peek(record)?.kind == sys::PERF_RECORD_SAMPLE {
            self.offset_in_sample(SAMPLE_TID)
        } else {
            record.len().checked_sub(self.trailer_len()).filter(|_| self.sample_id_all)?
        };
        Some((i32_at(record, at)?, i32_at(record, at + 4)?))
    }

    /// The event id of any kernel record, without decoding the rest of it: it tells which event's layout is the right
    /// one where several events share a stream. Reliable only if all of them use `PERF_SAMPLE_IDENTIFIER`.
    pub fn peek_id(&self, record: &[u8]) -> Option<u64> {
        let is_sample = Header::peek(record)?.kind == sys::PERF_RECORD_SAMPLE;
        if self.has(SAMPLE_IDENTIFIER) {
            return if is_sample { u64_at(record, HEADER_LEN) } else { self.word_from_end(record, SAMPLE_IDENTIFIER) };
        }
        if !self.has(SAMPLE_ID) {
            return None;
        }
        if is_sample {
            return u64_at(record, self.offset_in_sample(SAMPLE_ID));
        }
        self.word_from_end(record, SAMPLE_ID | SAMPLE_STREAM_ID | SAMPLE_CPU)
    }

    /// Where `field`, one of the fields of fixed length, starts in a sample.
    fn offset_in_sample(&self, field: u64) -> usize {
        let order = [SAMPLE_IDENTIFIER, SAMPLE_IP, SAMPLE_TID, SAMPLE_TIME, SAMPLE_ADDR, SAMPLE_ID];
        let before = order.iter().take_while(|&&bit| bit != field).filter(|&&bit| self.has(bit)).count();
        HEADER_LEN + before * 8
    }

    /// The trailer's word that has those of `fields` that are present from itself on to the end.
    fn word_from_end(&self, record: &[u8], fields: u64) -> Option<u64> {
        if !self.sample_id_all {
            return None;
        }
        let distance = (self.sample_type & fields).count_ones() as usize * 8;
        u64_at(record, record.len().checked_sub(distance).filter(|&at| at >= HEADER_LEN)?)
    }
}
