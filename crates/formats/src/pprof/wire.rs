//! The top level of a protobuf message as a stream of fields, so that a message of any size is read with a buffer the
//! size of its largest field.

use std::io::Read;

use burnmark_model::Position;

use crate::{Error, Format};

/// How much is read at a time.
const BLOCK: usize = 256 << 10;

/// Fields up to this number are known, and none has a fixed size.
pub(super) const LAST_KNOWN: u64 = 15;

/// A top-level field's value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A number.
    Varint(u64),
    /// A text, message or packed list.
    Bytes(&'a [u8]),
    /// One of these that was not wanted.
    Skipped,
}

/// A top-level field.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) value: Value<'a>,
    /// Where the field begins in the input.
    pub(super) position: u64,
}

/// What comes next: the head of a field.
enum Head {
    Varint(u64),
    Bytes(u64),
    /// A field of fixed size; pprof has none.
    Skipped,
}

/// The fields of a message that is read as a stream.
pub(super) struct Fields<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    /// Offset of `buffer[start]` in the input.
    offset: u64,
    ended: bool,
}

impl<R: Read> Fields<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), start: 0, offset: 0, ended: false }
    }

    /// Bytes consumed so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The number of the next field, or `None` at the input's end.
    pub(super) fn peek(&mut self) -> Result<Option<u64>, Error> {
        let offset = self.offset;
        let tag = self.varint(true)?;
        // A number that was read is still in the buffer.
        self.start -= (self.offset - offset) as usize;
        self.offset = offset;
        Ok(tag.map(|tag| tag >> 3))
    }

    /// The next field, or `None` at the input's end. `limit` tells the largest length that a field of a number may have;
    /// where that is `None`, such fields are skipped without being held.
    pub(super) fn next(&mut self, limit: impl Fn(u64) -> Option<usize>) -> Result<Option<Field<'_>>, Error> {
        loop {
            let position = self.offset;
            let Some(tag) = self.varint(true)? else { return Ok(None) };
            let number = tag >> 3;
            if number == 0 || number > 0x1fff_ffff {
                return Err(malformed(position, format!("{number} is no field number: damaged, or no pprof file")));
            }
            match self.head(tag, position)? {
                Head::Skipped => {}
                Head::Varint(value) => return Ok(Some(Field { number, value: Value::Varint(value), position })),
                Head::Bytes(length) => match limit(number) {
                    None => {
                        self.skip(length, position)?;
                        return Ok(Some(Field { number, value: Value::Skipped, position }));
                    }
                    Some(limit) if length > limit as u64 => {
                        let what =
                            format!("a field of {length} bytes (field {number}) is longer than the {limit} allowed");
                        return Err(malformed(position, what));
                    }
                    Some(_) => {
                        let length = length as usize;
                        if !self.fill(length)? {
                            return Err(cut_off(position));
                        }
                        let start = self.start;
                        self.advance(length);
                        let value = Value::Bytes(&self.buffer[start..start + length]);
                        return Ok(Some(Field { number, value, position }));
                    }
                },
            }
        }
    }

    fn head(&mut self, tag: u64, position: u64) -> Result<Head, Error> {
        let number = |value: Option<u64>| value.ok_or_else(|| cut_off(position));
        match tag & 7 {
            0 => Ok(Head::Varint(number(self.varint(false)?)?)),
            2 => Ok(Head::Bytes(number(self.varint(false)?)?)),
            1 if tag >> 3 > LAST_KNOWN => self.skip(8, position).map(|()| Head::Skipped),
            5 if tag >> 3 > LAST_KNOWN => self.skip(4, position).map(|()| Head::Skipped),
            kind => {
                let what = format!(
                    "wire type {kind} (field {}) is not used in pprof files: damaged, or no pprof file",
                    tag >> 3
                );
                Err(malformed(position, what))
            }
        }
    }

    /// A number; `None` at the input's end if that is allowed here.
    fn varint(&mut self, end_allowed: bool) -> Result<Option<u64>, Error> {
        let position = self.offset;
        self.fill(10)?;
        let rest = &self.buffer[self.start..];
        if rest.is_empty() && end_allowed {
            return Ok(None);
        }
        match parse_varint(rest) {
            Some((value, length)) => {
                self.advance(length);
                Ok(Some(value))
            }
            None if rest.len() < 10 => Err(cut_off(position)),
            None => Err(malformed(position, "a number of more than 64 bits: damaged, or no pprof file")),
        }
    }

    /// Makes at least `wanted` bytes available, unless the input ends before.
    fn fill(&mut self, wanted: usize) -> Result<bool, Error> {
        while self.buffer.len() - self.start < wanted && !self.ended {
            if self.start > 0 {
                self.buffer.drain(..self.start);
                self.start = 0;
            }
            let before = self.buffer.len();
            // The buffer grows with what has really arrived, never with what a length claims.
            self.buffer.resize(before + BLOCK.max(before), 0);
            let read = read_some(&mut self.input, &mut self.buffer[before..]);
            self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
            self.ended = read? == 0;
        }
        Ok(self.buffer.len() - self.start >= wanted)
    }

    fn advance(&mut self, length: usize) {
        self.start += length;
        self.offset += length as u64;
    }

    fn skip(&mut self, mut length: u64, position: u64) -> Result<(), Error> {
        while length > 0 {
            if !self.fill(1)? {
                return Err(cut_off(position));
            }
            let now = length.min((self.buffer.len() - self.start) as u64);
            self.advance(now as usize);
            length -= now;
        }
        Ok(())
    }
}

/// Reads what is there, once.
fn read_some(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// The number at the start of `bytes` and its length in bytes; `None` if it is cut off or too long.
#[inline]
pub(super) fn parse_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    match bytes {
        [one @ ..0x80, ..] => Some((u64::from(*one), 1)),
        [one, two @ ..0x80, ..] => Some((u64::from(one & 0x7f) | u64::from(*two) << 7, 2)),
        _ => parse_long_varint(bytes),
    }
}

fn parse_long_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        if index == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Appends a number.
pub(super) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn malformed(position: u64, message: impl Into<String>) -> Error {
    Error::malformed(Format::Pprof, Position::Byte(position), message)
}

fn cut_off(position: u64) -> Error {
    malformed(position, "the file ends in the middle of a field: copy it again, or wait until it is complete")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_come_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            push_varint(&mut bytes, value);
            assert_eq!(parse_varint(&bytes), Some((value, bytes.len())));
            assert_eq!(parse_varint(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(parse_varint(&[0xff; 11]), None);
    }

    #[test]
    fn fields_are_read_across_blocks_and_unknown_ones_skipped() {
        let mut bytes = vec![0x38, 5];
        bytes.push(0x32);
        push_varint(&mut bytes, 3 * BLOCK as u64);
        bytes.extend(std::iter::repeat_n(b'x', 3 * BLOCK));
        bytes.extend([0xa2, 0x06, 1, 9]);
        bytes.extend([0x81, 0x01, 1, 2, 3, 4, 5, 6, 7, 8]);
        let limit = |number| (number == 6).then_some(1 << 20);
        let mut fields = Fields::new(bytes.as_slice());
        let first = fields.next(limit).unwrap().unwrap();
        assert_eq!(first, Field { number: 7, value: Value::Varint(5), position: 0 });
        assert_eq!((fields.peek().unwrap(), fields.offset()), (Some(6), 2));
        let Value::Bytes(text) = fields.next(limit).unwrap().unwrap().value else { panic!("a text") };
        assert_eq!(text.len(), 3 * BLOCK);
        assert_eq!(fields.peek().unwrap(), Some(100));
        assert_eq!(fields.next(limit).unwrap().map(|field| (field.number, field.value)), Some((100, Value::Skipped)));
        assert!(fields.next(limit).unwrap().is_none() && fields.peek().unwrap().is_none());
        assert_eq!(fields.offset(), bytes.len() as u64);
    }

    #[test]
    fn a_length_that_is_not_there_takes_no_memory() {
        let mut bytes = vec![0x32];
        push_varint(&mut bytes, 60 << 20);
        let mut fields = Fields::new(bytes.as_slice());
        let text = fields.next(|_| Some(64 << 20)).unwrap_err().to_string();
        assert!(text.contains("byte 0") && text.contains("middle of a field"), "{text}");
        assert!(fields.buffer.capacity() <= 4 * BLOCK);
    }
}
