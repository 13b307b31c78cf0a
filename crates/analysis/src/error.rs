//! What can go wrong.

/// Why an analysis could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `--from` or `--to` on samples without times.
    #[error(
        "{flag} needs samples with times, and this profile has none: leave {flag} out, or use an input that keeps times"
    )]
    NoTimes {
        /// The flag that was used.
        flag: &'static str,
    },
    /// `--thread` on samples without threads.
    #[error(
        "{flag} needs samples that name their thread, and this profile has none: leave {flag} out, or use an input that keeps threads"
    )]
    NoThreads {
        /// The flag that was used.
        flag: &'static str,
    },
    /// `--pid` on processes without a pid.
    #[error(
        "{flag} needs process ids, and this profile names none: leave {flag} out, or use --thread with the name of a thread"
    )]
    NoPids {
        /// The flag that was used.
        flag: &'static str,
    },
    /// A value type that the profile doesn't have.
    #[error("there is no value type number {wanted}: the profile has {available}")]
    NoSuchValue {
        /// Index asked for, from 0.
        wanted: usize,
        /// How many there are.
        available: usize,
    },
    /// A share that is not between 0 and 1.
    #[error("a share is a number from 0 to 1, not {0}")]
    BadShare(String),
}
