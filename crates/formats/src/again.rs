//! Inputs that are read more than once.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, Write};
use std::sync::atomic::Ordering;

use tempfile::SpooledTempFile;

use crate::decode::Source;
use crate::{Error, Input, ReadOptions, input};

/// Up to how many bytes are kept in memory of what can be read only once.
const IN_MEMORY: usize = 16 << 20;

/// An input whose start can be gone back to.
pub(crate) enum Again {
    /// A file, compressed or not, and its length.
    File(File, u64),
    /// Plain bytes.
    Bytes(Vec<u8>),
    /// A stream, with compression taken off, and what was read of it.
    Stream(Source, SpooledTempFile),
}

impl Again {
    /// Of an input as [`input::open`] returns it, and the file that it comes from. Of a stream, what is read is kept:
    /// beyond a bound in a file without a name, where the system keeps temporary ones.
    pub(crate) fn new(input: Input, file: Option<(File, u64)>) -> Self {
        match (input, file) {
            (Input::File { file, len }, _) | (Input::Stream(_), Some((file, len))) => Self::File(file, len),
            (Input::Bytes(bytes), _) => Self::Bytes(bytes),
            (Input::Stream(stream), None) => Self::Stream(stream, tempfile::spooled_tempfile(IN_MEMORY)),
        }
    }

    /// All of it from its start, with compression taken off. The progress of reading a file begins anew.
    pub(crate) fn reader(&mut self, options: &ReadOptions) -> Result<Box<dyn Read + Send + '_>, Error> {
        Ok(match self {
            Self::File(file, len) => {
                let file = Input::File { file: file.try_clone()?, len: *len };
                if let Some(counter) = &options.progress {
                    counter.store(0, Ordering::Relaxed);
                }
                input::open(file, options)?.input.into_reader(options)
            }
            Self::Bytes(bytes) => Box::new(Cursor::new(bytes.as_slice())),
            Self::Stream(stream, kept) => {
                kept.rewind()?;
                let limit = options.max_decompressed;
                Box::new(Kept { stream, kept, is_past: false, length: 0, limit })
            }
        })
    }
}

/// What was kept, and then the rest of a stream, which is kept, too.
struct Kept<'a> {
    stream: &'a mut Source,
    kept: &'a mut SpooledTempFile,
    /// Whether all that was kept before has been read.
    is_past: bool,
    length: u64,
    limit: u64,
}

impl Read for Kept<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut length = if self.is_past { 0 } else { self.kept.read(buffer)? };
        if length == 0 {
            self.is_past = true;
            length = self.stream.read(buffer)?;
            self.kept.write_all(&buffer[..length]).map_err(|error| {
                let folder = std::env::temp_dir();
                let what = format!(
                    "{error} while it was kept in a temporary file in {}: save it in a file, and name that",
                    folder.display()
                );
                io::Error::new(error.kind(), what)
            })?;
        }
        self.length += length as u64;
        if self.length > self.limit { Err(Error::TooLarge { limit: self.limit }.into()) } else { Ok(length) }
    }
}
