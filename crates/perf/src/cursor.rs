//! The one place where record bytes are read: every length is checked here, and byte order is decided here.
//!
//! Only records in the host's byte order are read for now; a reader of foreign perf.data files changes this file.

use thiserror::Error;

/// Why a record could not be decoded. Positions are byte offsets from the record's first byte.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A field reaches past the record's end.
    #[error(
        "record of type {kind}: field `{field}` at byte {at} needs {needed} bytes, the record has {available} left \
         (damaged, or decoded with another event's layout)"
    )]
    Short {
        /// `PERF_RECORD_*` number of the record, or 0 where it is not known.
        kind: u32,
        /// Name of the field as in `perf_event_open(2)`.
        field: &'static str,
        /// Offset of the field's first byte.
        at: usize,
        /// Bytes the field needs (saturated).
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// The header's own size is smaller than a header, or larger than the bytes given.
    #[error("record of type {kind}: its header says {size} bytes (byte 6), {available} bytes are there")]
    Size {
        /// `PERF_RECORD_*` number of the record.
        kind: u32,
        /// Size as the header gives it.
        size: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// A field has a value that no kernel writes.
    #[error("record of type {kind}: field `{field}` at byte {at} has the impossible value {value}")]
    Value {
        /// `PERF_RECORD_*` number of the record.
        kind: u32,
        /// Name of the field as in `perf_event_open(2)`.
        field: &'static str,
        /// Offset of the field's first byte.
        at: usize,
        /// What was read.
        value: u64,
    },
}

/// A checked reader over the bytes of one record.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    kind: u32,
}

impl<'a> Cursor<'a> {
    /// Reads `bytes` from offset `at`; `kind` only names the record in errors.
    pub(crate) fn new(bytes: &'a [u8], at: usize, kind: u32) -> Self {
        Cursor { bytes, at, kind }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: u64, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let available = self.remaining();
        let needed = usize::try_from(len).unwrap_or(usize::MAX);
        if needed > available {
            return Err(DecodeError::Short { kind: self.kind, field, at: self.at, needed, available });
        }
        let taken = &self.bytes[self.at..self.at + needed];
        self.at += needed;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64, field)?);
        Ok(array)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_ne_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_ne_bytes)
    }

    pub(crate) fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        self.array(field).map(i32::from_ne_bytes)
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_ne_bytes)
    }

    /// `Some` of the next u64 if the field is there at all.
    pub(crate) fn u64_if(&mut self, present: bool, field: &'static str) -> Result<Option<u64>, DecodeError> {
        if present { self.u64(field).map(Some) } else { Ok(None) }
    }

    /// The next `count` u64s, unread.
    pub(crate) fn words(&mut self, count: u64, field: &'static str) -> Result<Words<'a>, DecodeError> {
        self.take(count.saturating_mul(8), field).map(|bytes| Words { bytes })
    }

    /// Everything that is left, up to the first NUL: strings are NUL-terminated and padded with NULs to 8 bytes.
    pub(crate) fn string(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        self.at = self.bytes.len();
        match rest.iter().position(|&byte| byte == 0) {
            Some(end) => &rest[..end],
            None => rest,
        }
    }

    /// Skips to the next multiple of 8, or to the end if that is nearer.
    pub(crate) fn align(&mut self) {
        self.at = self.at.next_multiple_of(8).min(self.bytes.len());
    }

    pub(crate) fn impossible(&self, field: &'static str, at: usize, value: u64) -> DecodeError {
        DecodeError::Value { kind: self.kind, field, at, value }
    }
}

/// A run of u64s inside a record, read one by one: the bytes need not be aligned.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Words<'a> {
    bytes: &'a [u8],
}

impl<'a> Words<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / 8
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their bytes, in the file's order.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The word at `index`.
    pub fn get(&self, index: usize) -> Option<u64> {
        let at = index.checked_mul(8)?;
        word(self.bytes.get(at..at.checked_add(8)?)?)
    }

    /// All words in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u64> + Clone + use<'a> {
        self.bytes.chunks_exact(8).map(|chunk| word(chunk).unwrap_or_default())
    }
}

impl std::fmt::Debug for Words<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

fn word(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_ne_bytes)
}

/// The u64 at `at`, if it lies inside `bytes`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    word(bytes.get(at..at.checked_add(8)?)?)
}

/// The i32 at `at`, if it lies inside `bytes`.
pub(crate) fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(i32::from_ne_bytes)
}
