//! Text in blocks of whole lines, for readers that parse in parallel.

use std::io::Read;

use crate::{Error, Format};

/// How long a line of text may be.
pub(crate) const MAX_LINE: usize = 64 << 20;

/// Cuts a text into blocks of whole lines. Workers take turns in asking for the next one.
pub(crate) struct LineBlocks {
    source: Box<dyn Read + Send>,
    format: Format,
    size: usize,
    /// What followed the last newline of the block before.
    carry: Vec<u8>,
    offset: u64,
    line: u64,
    ended: bool,
}

/// Where a block begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockStart {
    /// Offset of its first byte in the text, from 0.
    pub(crate) offset: u64,
    /// Number of its first line, from 1.
    pub(crate) line: u64,
}

impl LineBlocks {
    /// Blocks of about `size` bytes of `source`.
    pub(crate) fn new(source: Box<dyn Read + Send>, format: Format, size: usize) -> Self {
        Self { source, format, size, carry: Vec::new(), offset: 0, line: 1, ended: false }
    }

    /// Puts the next block into `block`, ending with a newline unless the text does not; `None` at the end.
    ///
    /// # Errors
    /// Of the source, and [`Error::LineTooLong`]. The next call gives `None` then.
    pub(crate) fn next(&mut self, block: &mut Vec<u8>) -> Result<Option<BlockStart>, Error> {
        block.clear();
        block.append(&mut self.carry);
        let found = if self.ended { Ok(()) } else { self.fill(block) };
        if found.is_err() {
            self.stop();
        }
        found?;
        if block.is_empty() {
            return Ok(None);
        }
        let start = BlockStart { offset: self.offset, line: self.line };
        self.offset += block.len() as u64;
        self.line += memchr::memchr_iter(b'\n', block).count() as u64;
        Ok(Some(start))
    }

    /// Ends the text here.
    pub(crate) fn stop(&mut self) {
        self.ended = true;
        self.carry.clear();
    }

    /// Reads until the block has a newline; what follows the last one is carried over.
    fn fill(&mut self, block: &mut Vec<u8>) -> Result<(), Error> {
        loop {
            let known = block.len();
            let read = self.source.by_ref().take(self.size as u64).read_to_end(block)?;
            self.ended = read < self.size;
            if let Some(newline) = memchr::memrchr(b'\n', &block[known..]) {
                let end = known + newline + 1;
                self.check_length(&block[..end], known)?;
                if !self.ended {
                    self.carry.extend_from_slice(&block[end..]);
                    block.truncate(end);
                }
                return Ok(());
            }
            self.check_length(block, known)?;
            if self.ended {
                return Ok(());
            }
        }
    }

    /// Blocks are smaller than lines may be: only the first line, which earlier blocks may have begun, can be too long.
    fn check_length(&self, block: &[u8], known: usize) -> Result<(), Error> {
        let length = memchr::memchr(b'\n', &block[known..]).map_or(block.len(), |newline| known + newline);
        if length > MAX_LINE {
            return Err(Error::LineTooLong { format: self.format, line: self.line, limit: MAX_LINE });
        }
        Ok(())
    }
}
