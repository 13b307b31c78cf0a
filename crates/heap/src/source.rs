//! The bytes of a snapshot: a file that is mapped, or memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memmap2::Mmap;

use crate::Error;

/// Where a snapshot's bytes are.
///
/// Integers of a file are read by position in blocks, so that a large file does not stay resident; its map is for the
/// strings, which are looked at when they are asked for.
#[derive(Debug)]
pub struct Source {
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Mapped { file: File, map: Mmap },
    Memory(Vec<u8>),
}

impl Source {
    /// Maps an open file. It must not be written to or cut while the snapshot is in use.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Io`]: pipes and directories can't be mapped.
    pub fn file(file: File) -> Result<Self, Error> {
        if file.metadata()?.len() == 0 {
            return Err(Error::Empty);
        }
        #[allow(unsafe_code, reason = "a snapshot is larger than what is looked at of its strings")]
        // SAFETY: the map is read-only, and bytes that change under it are treated as any damaged input.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self { bytes: Bytes::Mapped { file, map } })
    }

    /// Takes bytes in memory.
    ///
    /// # Errors
    /// [`Error::Empty`].
    pub fn memory(bytes: Vec<u8>) -> Result<Self, Error> {
        if bytes.is_empty() { Err(Error::Empty) } else { Ok(Self { bytes: Bytes::Memory(bytes) }) }
    }

    /// All bytes.
    pub(crate) fn all(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped { map, .. } => map,
            Bytes::Memory(bytes) => bytes,
        }
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.all().len()
    }

    /// The bytes from `start` to `end`, which lie within. Those of a file are read into `buffer`.
    pub(crate) fn block<'a>(&'a self, start: usize, end: usize, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        match &self.bytes {
            Bytes::Memory(bytes) => Ok(&bytes[start..end]),
            Bytes::Mapped { file, .. } => {
                if buffer.len() < end - start {
                    buffer.resize(end - start, 0);
                }
                let block = &mut buffer[..end - start];
                file.read_exact_at(block, start as u64)?;
                Ok(block)
            }
        }
    }
}
