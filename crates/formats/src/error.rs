//! What can go wrong when reading or writing a profile.

use std::fmt;
use std::io;

use burnmark_model::{Position, ValueOverflow};

use crate::{Compression, Format};

/// Why a profile could not be read or written. Texts say what is wrong, where, and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system failed to deliver or to take bytes.
    #[error("{0}")]
    Io(#[source] io::Error),
    /// There is not one byte of input.
    #[error("the input is empty: whatever wrote it may have failed, or may not have finished yet")]
    Empty,
    /// The path given is a directory.
    #[error("the input is a directory: name a file in it")]
    Directory,
    /// No format fits the input's first bytes.
    #[error("{}", UnknownFormatText(tried))]
    UnknownFormat {
        /// Every format that was tried, and why it does not fit.
        tried: Vec<(Format, String)>,
    },
    /// The input is something burnmark recognizes but does not read.
    #[error("this is {what}, which can't be read here: {advice}")]
    NotAProfile {
        /// What it is.
        what: &'static str,
        /// What to do instead.
        advice: &'static str,
    },
    /// Compressed data is damaged or ends early.
    #[error("the {compression} data is {damage} at byte {position} of it, after {produced} bytes came out of it: {next}", next = damage.advice())]
    Compressed {
        /// How it is compressed.
        compression: Compression,
        /// What is wrong with it.
        damage: Damage,
        /// Offset in the compressed data, from 0.
        position: u64,
        /// How many bytes were decompressed before.
        produced: u64,
    },
    /// Compressed data inside compressed data, too many times.
    #[error("the input is compressed more than {limit} times over: decompress it first")]
    TooManyLayers {
        /// How many times over it may be compressed.
        limit: usize,
    },
    /// The input is larger, decompressed, than allowed.
    #[error(
        "the input has more than {limit} bytes when decompressed: raise the bound with --max-decompressed if you trust it"
    )]
    TooLarge {
        /// [`crate::ReadOptions::max_decompressed`].
        limit: u64,
    },
    /// A line of a text format is longer than allowed.
    #[error("line {line} is longer than {limit} bytes: this is no {format} text, or it is damaged there")]
    LineTooLong {
        /// The format it was read as.
        format: Format,
        /// Line number, from 1.
        line: u64,
        /// How long lines may be.
        limit: usize,
    },
    /// The input breaks the rules of its format in a way that can't be survived.
    #[error("{}", MalformedText(*format, *position, message))]
    Malformed {
        /// The format it was read as.
        format: Format,
        /// Where.
        position: Option<Position>,
        /// What is wrong, and what to do about it.
        message: String,
    },
    /// Values sum to more than 63 bits hold.
    #[error(
        "the values of {value_type} add up to more than 2^63: split the input, or correct the value that is wrong{}",
        largest.map_or(String::new(), |largest| format!(" (the largest is at {largest})"))
    )]
    Overflow {
        /// Name and unit of the value type.
        value_type: String,
        /// Where the largest value is, if the reader kept track.
        largest: Option<Position>,
    },
    /// The format can be read only.
    #[error("{format} can't be written: choose one of {}", writable())]
    CannotWrite {
        /// The format asked for.
        format: Format,
    },
    /// There is no such value type in the profile.
    #[error("there is no value type {index} in this profile: it has {count}, counted from 0")]
    NoSuchValue {
        /// The index asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
}

/// What is wrong with compressed data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// It ends before its end mark.
    Truncated,
    /// It can't be decompressed; the decompressor's words.
    Corrupt(String),
}

impl Damage {
    fn advice(&self) -> &'static str {
        match self {
            Self::Truncated => "copy it again, or wait until it is complete",
            Self::Corrupt(_) => "copy it again",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("cut off"),
            Self::Corrupt(reason) => write!(f, "damaged ({reason})"),
        }
    }
}

impl Error {
    /// The input is not what its format demands.
    pub(crate) fn malformed(format: Format, position: impl Into<Option<Position>>, message: impl Into<String>) -> Self {
        Self::Malformed { format, position: position.into(), message: message.into() }
    }

    /// The sum of a column of `profile` would not fit.
    pub(crate) fn overflow(value_types: &[burnmark_model::ValueType], overflow: ValueOverflow) -> Self {
        let value_type = match value_types.get(overflow.column) {
            Some(value) => format!("{}/{}", value.name, value.unit),
            None => format!("column {}", overflow.column),
        };
        Self::Overflow { value_type, largest: None }
    }
}

impl Error {
    /// Adds to an overflow where the largest value is.
    pub(crate) fn with_largest(self, position: Position) -> Self {
        match self {
            Self::Overflow { value_type, .. } => Self::Overflow { value_type, largest: Some(position) },
            other => other,
        }
    }
}

/// Our own errors travel through [`io::Read`] inside an [`io::Error`]; here they come out again.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => Self::Directory,
            Err(error) => Self::Io(error),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error,
            error => Self::other(error),
        }
    }
}

struct UnknownFormatText<'a>(&'a [(Format, String)]);

impl fmt::Display for UnknownFormatText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the input's format is not recognized:")?;
        for (format, reason) in self.0 {
            write!(f, "\n  not {format}: {reason}")?;
        }
        write!(f, "\nIf you know better, say --format with one of {}", names(crate::FORMATS.iter().copied()))
    }
}

struct MalformedText<'a>(Format, Option<Position>, &'a str);

impl fmt::Display for MalformedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not valid {}", self.0)?;
        if let Some(position) = self.1 {
            write!(f, " at {position}")?;
        }
        write!(f, ": {}", self.2)
    }
}

fn writable() -> String {
    names(crate::FORMATS.iter().copied().filter(|format| format.can_write()))
}

fn names(formats: impl Iterator<Item = Format>) -> String {
    formats.map(Format::name).collect::<Vec<_>>().join(", ")
}
