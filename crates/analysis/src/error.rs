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
    /// Values below 0 have no share.
    #[error("{value_type} has negative values, as differences have: compare the two profiles it was made of instead")]
    NegativeValues {
        /// Name and unit of the value type.
        value_type: String,
    },
    /// Two value types that measure different things.
    #[error(
        "{before} before and {after} after measure different things and can't be compared: --value chooses one that \
         both have (`burnmark info` lists them)"
    )]
    NotComparable {
        /// Name and unit before.
        before: String,
        /// Name and unit after.
        after: String,
    },
    /// A side without samples.
    #[error("there is nothing to compare: no sample {side} has a value; if filters were given, they leave none")]
    NothingToCompare {
        /// `before` or `after`.
        side: &'static str,
    },
    /// Counts of operations that don't fit.
    #[error(
        "--per-op needs a number over 0 for each run: {before} before and {after} after, such as --per-op 1000,1000"
    )]
    BadOperations {
        /// Runs before.
        before: usize,
        /// Runs after.
        after: usize,
    },
}
