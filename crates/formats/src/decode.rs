//! Decompression and text encodings as layers over [`Read`]: bounded, and with errors that say where.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

use crate::Error;
use crate::error::Damage;

/// How data is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// gzip (RFC 1952), one or more members.
    Gzip,
    /// Zstandard (RFC 8878), one or more frames.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

impl Compression {
    /// The compression whose magic number the data starts with.
    pub(crate) fn of(prefix: &[u8]) -> Option<Self> {
        const ZSTD: u32 = 0xFD2F_B528;
        const ZSTD_SKIPPABLE: u32 = 0x184D_2A50;
        if prefix.starts_with(&[0x1f, 0x8b]) {
            return Some(Self::Gzip);
        }
        let magic = u32::from_le_bytes(*prefix.first_chunk()?);
        (magic == ZSTD || magic & !0xf == ZSTD_SKIPPABLE).then_some(Self::Zstd)
    }
}

/// A source of bytes that can be handed to another thread.
pub(crate) type Source = Box<dyn Read + Send>;

/// Compressed data: counts its bytes, and knows whether an error was its own, and not the decompressor's.
struct Raw {
    source: Source,
    count: u64,
    failed: bool,
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer);
        match &read {
            Ok(length) => self.count += *length as u64,
            Err(error) => self.failed |= error.kind() != io::ErrorKind::Interrupted,
        }
        read
    }
}

type Compressed = BufReader<Raw>;

const BUFFER: usize = 128 << 10;

enum Decoder {
    Gzip(Box<GzDecoder<Compressed>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Compressed>>),
    /// The end was reached, or an error was given out.
    Done,
}

/// A decompressor: all members or frames of the input as one stream, up to a bound.
pub(crate) struct Decompressed {
    decoder: Decoder,
    compression: Compression,
    produced: u64,
    limit: u64,
}

impl Decompressed {
    /// Decompresses `source`; an error instead of byte `limit + 1`.
    pub(crate) fn new(source: Source, compression: Compression, limit: u64) -> io::Result<Self> {
        let source = BufReader::with_capacity(BUFFER, Raw { source, count: 0, failed: false });
        let decoder = match compression {
            Compression::Gzip => Decoder::Gzip(Box::new(GzDecoder::new(source))),
            Compression::Zstd => Decoder::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(source)?)),
        };
        Ok(Self { decoder, compression, produced: 0, limit })
    }

    /// Bytes of the next member, if the current one has none left. 0 at the end of all.
    fn read_on(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Of nothing, nothing is read: that is not the end.
        while !buffer.is_empty() {
            let decoder = match &mut self.decoder {
                Decoder::Done => return Ok(0),
                Decoder::Zstd(decoder) => return decoder.read(buffer),
                Decoder::Gzip(decoder) => decoder,
            };
            let length = decoder.read(buffer)?;
            if length > 0 {
                return Ok(length);
            }
            // At the end of a member a decoder stays at its end: the next member takes a new one.
            if decoder.get_mut().fill_buf()?.is_empty() {
                return Ok(0);
            }
            let Decoder::Gzip(decoder) = std::mem::replace(&mut self.decoder, Decoder::Done) else {
                return Ok(0);
            };
            let mut source = decoder.into_inner();
            let next = skip_zeros(&mut source)?;
            self.decoder = Decoder::Gzip(Box::new(GzDecoder::new(source)));
            match next {
                Some(0x1f) => {}
                Some(_) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "its end is followed by something else"));
                }
                None => self.decoder = Decoder::Done,
            }
        }
        Ok(0)
    }

    /// Says where and how decompression failed.
    fn error(&self, error: io::Error) -> io::Error {
        let source = match &self.decoder {
            Decoder::Gzip(decoder) => decoder.get_ref(),
            Decoder::Zstd(decoder) => decoder.get_ref(),
            Decoder::Done => return error,
        };
        if source.get_ref().failed {
            return error;
        }
        let damage = match error.kind() {
            io::ErrorKind::UnexpectedEof => Damage::Truncated,
            _ => Damage::Corrupt(error.to_string()),
        };
        let position = source.get_ref().count - source.buffer().len() as u64;
        Error::Compressed { compression: self.compression, damage, position, produced: self.produced }.into()
    }
}

/// Skips zero bytes between or after members: tapes and block devices pad with them. The byte that follows, if any.
fn skip_zeros(source: &mut Compressed) -> io::Result<Option<u8>> {
    loop {
        let buffer = source.fill_buf()?;
        let length = buffer.len();
        if length == 0 {
            return Ok(None);
        }
        let zeros = buffer.iter().position(|byte| *byte != 0).unwrap_or(length);
        let next = buffer.get(zeros).copied();
        source.consume(zeros);
        if next.is_some() {
            return Ok(next);
        }
    }
}

impl Read for Decompressed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.read_on(buffer) {
            Ok(length) => {
                self.produced += length as u64;
                if self.produced > self.limit {
                    return Err(Error::TooLarge { limit: self.limit }.into());
                }
                Ok(length)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.error(error)),
        }
    }
}

/// A Unicode encoding that a byte order mark announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// UTF-8 with a mark.
    Utf8,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
}

impl Encoding {
    /// The encoding that the mark at the start announces.
    pub(crate) fn of(prefix: &[u8]) -> Option<Self> {
        match prefix {
            [0xef, 0xbb, 0xbf, ..] => Some(Self::Utf8),
            [0xff, 0xfe, ..] => Some(Self::Utf16Le),
            [0xfe, 0xff, ..] => Some(Self::Utf16Be),
            _ => None,
        }
    }

    /// Length of its mark in bytes.
    pub(crate) fn mark(self) -> usize {
        match self {
            Self::Utf8 => 3,
            Self::Utf16Le | Self::Utf16Be => 2,
        }
    }

    /// Appends the UTF-8 of all whole units of `bytes`; returns how many bytes that took. Lone surrogates become
    /// U+FFFD; a high one at the end waits for the next call unless this is the `last`.
    fn decode(self, bytes: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
        let unit = |pair: &[u8; 2]| match self {
            Self::Utf16Be => u16::from_be_bytes(*pair),
            _ => u16::from_le_bytes(*pair),
        };
        let (pairs, rest) = bytes.as_chunks::<2>();
        let waits = !last && pairs.last().is_some_and(|pair| (0xd800..0xdc00).contains(&unit(pair)));
        let whole = pairs.len() - usize::from(waits);
        for decoded in char::decode_utf16(pairs[..whole].iter().map(unit)) {
            let decoded = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
        }
        if last && !rest.is_empty() {
            out.extend_from_slice(char::REPLACEMENT_CHARACTER.encode_utf8(&mut [0; 4]).as_bytes());
            return bytes.len();
        }
        whole * 2
    }

    /// The start of a text in this encoding as UTF-8. `prefix` begins with the mark and may end within a character.
    pub(crate) fn decode_prefix(self, prefix: &[u8]) -> Vec<u8> {
        let text = prefix.get(self.mark()..).unwrap_or_default();
        if self == Self::Utf8 {
            return text.to_vec();
        }
        let mut out = Vec::with_capacity(text.len());
        self.decode(text, false, &mut out);
        out
    }
}

/// UTF-16 as UTF-8. The source is past the mark.
pub(crate) struct Utf16 {
    source: Source,
    encoding: Encoding,
    /// Bytes read that are not decoded yet.
    raw: Vec<u8>,
    text: Vec<u8>,
    /// How much of `text` has been given out.
    given: usize,
    ended: bool,
}

impl Utf16 {
    /// Decodes `source`.
    pub(crate) fn new(source: Source, encoding: Encoding) -> Self {
        Self { source, encoding, raw: Vec::new(), text: Vec::new(), given: 0, ended: false }
    }
}

impl Read for Utf16 {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() && !self.ended {
            let kept = self.raw.len();
            self.raw.resize(kept + BUFFER, 0);
            let length = match self.source.read(&mut self.raw[kept..]) {
                Ok(length) => length,
                Err(error) => {
                    self.raw.truncate(kept);
                    return Err(error);
                }
            };
            self.raw.truncate(kept + length);
            self.ended = length == 0;
            self.text.clear();
            self.given = 0;
            let used = self.encoding.decode(&self.raw, self.ended, &mut self.text);
            self.raw.drain(..used);
        }
        let length = buffer.len().min(self.text.len() - self.given);
        buffer[..length].copy_from_slice(&self.text[self.given..self.given + length]);
        self.given += length;
        Ok(length)
    }
}
