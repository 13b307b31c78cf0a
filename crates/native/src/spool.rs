//! A recording's temporary file: what is recorded is appended to it at least once a second, so that a recorder that is
//! killed loses no more than that.
//!
//! Layout: an eight-byte magic with the version, then frames of `length: u32`, `crc32: u32` (of the payload; both
//! little-endian) and the payload. A payload holds the rows that each table gained since the frame before; see
//! [`rows`]. Frames are whole or worthless: reading ends before the first one that is cut, fails its checksum, or
//! names a row that doesn't exist.

mod bytes;
mod rows;

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use burnmark_model::{Position, Warning};

use crate::Error;
use crate::recording::Recording;
use rows::Lengths;

/// The version of the layout.
const VERSION: u8 = 2;
const MAGIC: [u8; 8] = *b"bmspool\x02";
const HEADER: usize = 8;

/// Samples in one frame at most: it bounds what is built in memory before writing.
const SAMPLES_PER_FRAME: usize = 1 << 20;

/// A spool that is being written.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: File,
    /// Length of the file up to the end of its last whole frame.
    good: u64,
    written: Lengths,
    meta: Vec<u8>,
    buffer: Vec<u8>,
}

impl Spool {
    /// Starts a spool. A file that is there is an error: it may be a recording that was not finished.
    ///
    /// # Errors
    /// If the file can't be created, or is there.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let error = |source| Error::Spool { path: path.into(), source };
        let file = File::options().write(true).create_new(true).open(path).map_err(error)?;
        // The disk is full: an empty file must not be in the way of the next recording.
        Self::begin(file, path).inspect_err(|_| drop(std::fs::remove_file(path)))
    }

    /// Starts a spool in an empty file that is, or will be, at `path`.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn begin(mut file: File, path: &Path) -> Result<Self, Error> {
        file.write_all(&MAGIC).map_err(|source| Error::Spool { path: path.into(), source })?;
        Ok(Self {
            path: path.into(),
            file,
            good: MAGIC.len() as u64,
            written: Lengths::default(),
            meta: Vec::new(),
            buffer: Vec::new(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        self.good
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.good == MAGIC.len() as u64
    }

    /// Appends what `recording`, always the same one, gained since the last time. Call it at least once a second. After
    /// an error it can be tried again: the file is cut back to its last whole frame.
    ///
    /// # Errors
    /// If the disk is full, for example.
    pub fn append(&mut self, recording: &Recording) -> Result<(), Error> {
        loop {
            let until = Lengths::of(recording).limited(&self.written, SAMPLES_PER_FRAME);
            let meta = rows::encode_meta(recording);
            if until == self.written && meta == self.meta {
                return Ok(());
            }
            self.buffer.clear();
            self.buffer.resize(HEADER, 0);
            rows::encode(recording, &self.written, &until, (meta != self.meta).then_some(&meta[..]), &mut self.buffer);
            let payload = &self.buffer[HEADER..];
            let length =
                u32::try_from(payload.len()).map_err(|_| self.error(std::io::ErrorKind::FileTooLarge.into()))?;
            let checksum = crc32fast::hash(payload);
            self.buffer[..4].copy_from_slice(&length.to_le_bytes());
            self.buffer[4..HEADER].copy_from_slice(&checksum.to_le_bytes());
            self.write_frame()?;
            self.written = until;
            self.meta = meta;
        }
    }

    fn write_frame(&mut self) -> Result<(), Error> {
        let written = self.file.seek(SeekFrom::Start(self.good)).and_then(|_| self.file.write_all(&self.buffer));
        if let Err(source) = written {
            // What was written of the frame goes; if that fails too, the reader stops at its checksum.
            let _ = self.file.set_len(self.good);
            return Err(self.error(source));
        }
        self.good += self.buffer.len() as u64;
        Ok(())
    }

    fn error(&self, source: std::io::Error) -> Error {
        Error::Spool { path: self.path.clone(), source }
    }

    /// Deletes the file: the recording is finished. That somebody else has deleted it is no error.
    ///
    /// # Errors
    /// If it can't be deleted.
    pub fn remove(self) -> Result<(), Error> {
        match std::fs::remove_file(&self.path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Spool { path: self.path, source })
            }
            _ => Ok(()),
        }
    }
}

/// Reads a spool back: everything in whole frames, with a warning about what comes after them. A file that ends within
/// its first bytes is of a recorder that ended before it had sampled anything: an empty recording.
///
/// # Errors
/// If the file can't be read, or is no spool of this version.
pub fn read_spool(path: &Path) -> Result<(Recording, Vec<Warning>), Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Spool { path: path.into(), source })?;
    if bytes.len() < MAGIC.len() && MAGIC.starts_with(&bytes) {
        return Ok((Recording::default(), Vec::new()));
    }
    let frames = bytes.strip_prefix(&MAGIC).ok_or_else(|| Error::NotASpool { path: path.into(), expected: VERSION })?;
    Ok(read_frames(frames))
}

fn read_frames(frames: &[u8]) -> (Recording, Vec<Warning>) {
    let mut recording = Recording::default();
    let mut at = 0;
    while at < frames.len() {
        let end = match next_frame(&frames[at..]) {
            Ok(payload) if rows::decode(payload, &mut recording) => at + HEADER + payload.len(),
            Ok(_) => return (recording, vec![cut(frames, at, "a frame that makes no sense")]),
            Err(what) => return (recording, vec![cut(frames, at, what)]),
        };
        at = end;
    }
    (recording, Vec::new())
}

fn next_frame(rest: &[u8]) -> Result<&[u8], &'static str> {
    let word = |at: usize| Some(u32::from_le_bytes(rest.get(at..at + 4)?.try_into().ok()?));
    let (Some(length), Some(checksum)) = (word(0), word(4)) else { return Err("a frame that is cut") };
    let payload = rest[HEADER..].get(..length as usize).ok_or("a frame that is cut")?;
    if crc32fast::hash(payload) == checksum { Ok(payload) } else { Err("a frame with a wrong checksum") }
}

fn cut(frames: &[u8], at: usize, what: &str) -> Warning {
    Warning {
        message: format!(
            "the recording ends in {what}: its last {} bytes are left out; what was sampled before is complete",
            frames.len() - at
        ),
        position: Some(Position::Byte((MAGIC.len() + at) as u64)),
        count: 1,
    }
}

#[cfg(test)]
#[path = "spool/tests.rs"]
mod tests;
