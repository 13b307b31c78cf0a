//! Lines of an input, of bounded length.

use std::io::{BufRead, Read};

use super::LARGEST_DOCUMENT;
use crate::Error;

/// How much of an input is looked at to find out what it is.
const PREFIX: usize = 64 << 10;

/// The longest line; of a longer one the rest is skipped.
const LONGEST_LINE: usize = 1 << 20;

/// An input whose beginning can be looked at.
pub(crate) struct Lines<R> {
    input: R,
    /// What was looked at and not read yet.
    start: Vec<u8>,
    at: usize,
    /// Number of the line last read, from 1.
    pub(crate) number: u64,
    line: Vec<u8>,
}

/// A line without its end.
pub(crate) enum Line<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// Its beginning: it is longer than a megabyte.
    Cut(&'a [u8]),
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, start: Vec::new(), at: 0, number: 0, line: Vec::new() }
    }

    /// The input's beginning, without a byte order mark. UTF-16, which PowerShell's `>` writes, becomes UTF-8.
    pub(crate) fn peek(&mut self) -> Result<&[u8], Error> {
        if self.start.is_empty() {
            self.input.by_ref().take(PREFIX as u64).read_to_end(&mut self.start)?;
            if self.start.starts_with(&[0xff, 0xfe]) {
                self.start = self.utf_16()?;
            }
            if self.start.starts_with(b"\xef\xbb\xbf") {
                self.at = 3;
            }
        }
        Ok(&self.start[self.at..])
    }

    /// All of an input in UTF-16 with the lower byte first.
    fn utf_16(&mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = std::mem::take(&mut self.start);
        self.input.by_ref().take(LARGEST_DOCUMENT).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST_DOCUMENT {
            return Err(Error::TooLarge { limit: LARGEST_DOCUMENT / 1_000_000 });
        }
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        Ok(String::from_utf16_lossy(&units).into_bytes())
    }

    /// Everything that is left.
    pub(crate) fn document(mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = self.start.split_off(self.at);
        self.input.by_ref().take(LARGEST_DOCUMENT).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST_DOCUMENT {
            return Err(Error::TooLarge { limit: LARGEST_DOCUMENT / 1_000_000 });
        }
        Ok(bytes)
    }

    /// The next line, without `\n` or `\r\n`; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Line<'_>>, Error> {
        self.line.clear();
        let mut seen = false;
        let mut cut = false;
        loop {
            let from_start = self.at < self.start.len();
            let chunk = if from_start { &self.start[self.at..] } else { self.input.fill_buf()? };
            if chunk.is_empty() {
                break;
            }
            seen = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let text = &chunk[..end.unwrap_or(chunk.len())];
            let room = LONGEST_LINE.saturating_sub(self.line.len());
            cut |= text.len() > room;
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            let used = end.map_or(chunk.len(), |end| end + 1);
            if from_start {
                self.at += used
            } else {
                self.input.consume(used)
            }
            if end.is_some() {
                break;
            }
        }
        if !seen {
            return Ok(None);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        Ok(Some(if cut { Line::Cut(&self.line) } else { Line::Whole(&self.line) }))
    }
}
