//! Inputs that are read more than once.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::sync::atomic::Ordering;

use tempfile::SpooledTempFile;

use crate::{Error, Input, ReadOptions, input};

/// Up to how many bytes are kept in memory of what can be read only once.
const IN_MEMORY: usize = 16 << 20;

/// An input whose start can be gone back to.
pub(crate) enum Again {
    /// A file, compressed or not, and its length.
    File(File, u64),
    /// Plain bytes.
    Bytes(Vec<u8>),
    /// What came as a stream, with compression taken off.
    Kept(SpooledTempFile),
}

impl Again {
    /// Of an input as [`input::open`] returns it, and the file that it comes from. A stream is read to its end: beyond a
    /// bound it is kept in a file without a name, where the system keeps temporary ones.
    pub(crate) fn new(input: Input, file: Option<(File, u64)>) -> Result<Self, Error> {
        Ok(match (input, file) {
            (Input::File { file, len }, _) | (Input::Stream(_), Some((file, len))) => Self::File(file, len),
            (Input::Bytes(bytes), _) => Self::Bytes(bytes),
            (Input::Stream(stream), None) => Self::Kept(keep(stream)?),
        })
    }

    /// All of it, with compression taken off. The progress of reading a file begins anew.
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
            Self::Kept(kept) => {
                kept.rewind()?;
                Box::new(kept)
            }
        })
    }
}

fn keep(mut stream: impl Read) -> Result<SpooledTempFile, Error> {
    let mut kept = tempfile::spooled_tempfile(IN_MEMORY);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let length = match stream.read(&mut buffer) {
            Ok(0) => return Ok(kept),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        io::Write::write_all(&mut kept, &buffer[..length]).map_err(|error| {
            let what = format!("{error} while it was kept in a temporary file: save it in a file, and name that");
            io::Error::new(error.kind(), what)
        })?;
    }
}
