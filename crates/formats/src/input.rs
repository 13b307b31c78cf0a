//! Inputs: what they are read from, with compression and text encoding taken off.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::decode::{Compression, Decompressed, Encoding, Source, Utf16};
use crate::{Error, ReadOptions};

/// Where bytes come from.
pub enum Input {
    /// An open file of this many bytes, read from its start by position: its own offset is neither used nor moved.
    /// Readers may read it in parallel.
    File {
        /// The file.
        file: File,
        /// Its length in bytes.
        len: u64,
    },
    /// Anything that can only be read once, in order: standard input, a pipe.
    Stream(Box<dyn Read + Send>),
    /// Bytes in memory.
    Bytes(Vec<u8>),
}

impl Input {
    /// The input for an open file: a regular one as [`Input::File`], a pipe or device as [`Input::Stream`].
    ///
    /// # Errors
    /// [`Error::Directory`], as `File::open` takes directories too; [`Error::Io`].
    pub fn file(file: File) -> Result<Self, Error> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(Error::Directory);
        }
        // Files of /proc say they have no bytes and have some.
        if metadata.is_file() && metadata.len() > 0 {
            return Ok(Self::File { file, len: metadata.len() });
        }
        Ok(Self::Stream(Box::new(file)))
    }

    /// The whole input as one stream. For inputs as [`open`] returns them: the bytes of a file are counted here, those
    /// of the others have been counted before.
    pub(crate) fn into_reader(self, options: &ReadOptions) -> Box<dyn Read + Send> {
        match self {
            Self::File { file, len } => {
                Box::new(Progress { inner: FileReader { file, offset: 0, len }, counter: options.progress.clone() })
            }
            Self::Stream(stream) => stream,
            Self::Bytes(bytes) => Box::new(Cursor::new(bytes)),
        }
    }
}

/// How much of an input's start is looked at to find its format.
const PREFIX: usize = 64 << 10;

/// How many times over an input may be compressed.
const MAX_LAYERS: usize = 3;

/// An input with compression and encoding taken off.
pub(crate) struct Opened {
    /// Its first bytes, at most 64 KiB. Never empty.
    pub(crate) prefix: Vec<u8>,
    /// All of it, the prefix included. It is a [`Input::File`] if the file is plain; who reads that by position adds to
    /// [`ReadOptions::progress`] himself.
    pub(crate) input: Input,
    /// The file that it comes from, as [`Input::File`] has it.
    pub(crate) file: Option<(File, u64)>,
}

/// Takes off compression and text encoding.
pub(crate) fn open(input: Input, options: &ReadOptions) -> Result<Opened, Error> {
    let input = match input {
        // The caller may have taken a pipe or a directory for a file.
        Input::File { file, .. } => Input::file(file)?,
        other => other,
    };
    let counter = options.progress.clone();
    let whole = match &input {
        Input::File { file, len } => Some((file.try_clone()?, *len)),
        _ => None,
    };
    let source: Source = match input {
        Input::File { file, len } => {
            let mut start = FileReader { file: file.try_clone()?, offset: 0, len };
            let prefix = read_prefix(&mut start)?;
            if is_plain(&prefix) {
                return opened(prefix, Input::File { file, len });
            }
            Box::new(Progress { inner: FileReader { file, offset: 0, len }, counter })
        }
        Input::Bytes(bytes) => {
            let prefix = bytes[..bytes.len().min(PREFIX)].to_vec();
            if is_plain(&prefix) {
                if let Some(counter) = counter {
                    counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                }
                return opened(prefix, Input::Bytes(bytes));
            }
            Box::new(Progress { inner: Cursor::new(bytes), counter })
        }
        Input::Stream(stream) => Box::new(Progress { inner: stream, counter }),
    };
    Ok(Opened { file: whole, ..open_stream(source, options.max_decompressed)? })
}

fn open_stream(mut source: Source, limit: u64) -> Result<Opened, Error> {
    for _ in 0..=MAX_LAYERS {
        let prefix = read_prefix(&mut source)?;
        let compression = Compression::of(&prefix);
        let encoding = Encoding::of(&prefix);
        let whole: Source = Box::new(Cursor::new(prefix.clone()).chain(source));
        match (compression, encoding) {
            (None, None) => return opened(prefix, Input::Stream(whole)),
            (None, Some(encoding)) => return open_text(whole, encoding),
            (Some(compression), _) => source = Box::new(Decompressed::new(whole, compression, limit)?),
        }
    }
    Err(Error::TooManyLayers { limit: MAX_LAYERS })
}

/// Text past its byte order mark, as UTF-8.
fn open_text(mut source: Source, encoding: Encoding) -> Result<Opened, Error> {
    source.read_exact(&mut [0; 3][..encoding.mark()])?;
    let mut text: Source = match encoding {
        Encoding::Utf8 => source,
        Encoding::Utf16Le | Encoding::Utf16Be => Box::new(Utf16::new(source, encoding)),
    };
    let prefix = read_prefix(&mut text)?;
    opened(prefix.clone(), Input::Stream(Box::new(Cursor::new(prefix).chain(text))))
}

fn opened(prefix: Vec<u8>, input: Input) -> Result<Opened, Error> {
    if prefix.is_empty() {
        return Err(Error::Empty);
    }
    Ok(Opened { prefix, input, file: None })
}

fn is_plain(prefix: &[u8]) -> bool {
    Compression::of(prefix).is_none() && Encoding::of(prefix).is_none()
}

/// The prefix of a text in UTF-16, or with a byte order mark, as plain UTF-8; `None` if it is that already.
pub(crate) fn decode_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    Some(Encoding::of(prefix)?.decode_prefix(prefix))
}

fn read_prefix(source: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut prefix = Vec::new();
    source.take(PREFIX as u64).read_to_end(&mut prefix)?;
    Ok(prefix)
}

/// Reads a file by position.
struct FileReader {
    file: File,
    offset: u64,
    len: u64,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len - self.offset).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let length = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        self.offset += length as u64;
        Ok(length)
    }
}

/// Adds what is read through it to the progress counter.
struct Progress<R> {
    inner: R,
    counter: Option<Arc<AtomicU64>>,
}

impl<R: Read> Read for Progress<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        if let Some(counter) = &self.counter {
            counter.fetch_add(length as u64, Ordering::Relaxed);
        }
        Ok(length)
    }
}
