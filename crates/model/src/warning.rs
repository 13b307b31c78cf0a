//! Damage that could be survived, and what a reader returns.

use crate::Profile;

/// A place in an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Position {
    /// Offset in the (decompressed) input, from 0.
    Byte(u64),
    /// Line number, from 1.
    Line(u64),
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Byte(offset) => write!(f, "byte {offset}"),
            Self::Line(line) => write!(f, "line {line}"),
        }
    }
}

/// Something in the input that was not understood or was wrong, and did not prevent reading the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What it is, what was done about it, and what can be done if that is not good enough.
    pub message: String,
    /// Where it was met first.
    pub position: Option<Position>,
    /// How often it was met.
    pub count: u64,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match (self.position, self.count) {
            (Some(position), 0 | 1) => write!(f, " ({position})"),
            (Some(position), count) => write!(f, " ({count} times, first at {position})"),
            (None, 0 | 1) => Ok(()),
            (None, count) => write!(f, " ({count} times)"),
        }
    }
}

/// What a reader returns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The profile.
    pub profile: Profile,
    /// What was wrong with the input.
    pub warnings: Vec<Warning>,
}

impl From<Profile> for Parsed {
    fn from(profile: Profile) -> Self {
        Self { profile, warnings: Vec::new() }
    }
}
