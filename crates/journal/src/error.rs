//! What can go wrong.

/// An error of the journal. Texts say what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading the input failed.
    #[error("reading failed: {0}")]
    Read(#[from] std::io::Error),
    /// The input has nothing in it.
    #[error("it is empty: the tool that should have written it may have failed")]
    Empty,
    /// A layout of results that is not known.
    #[error("these are no results of a tool that is known: {seen}; what is read: {}", crate::metrics::known())]
    UnknownResults {
        /// What was seen instead.
        seen: String,
    },
    /// A layout that is known, but without what makes it one.
    #[error("it looks like {source_name}, but {what}")]
    BadResults {
        /// What it looks like.
        source_name: &'static str,
        /// What is wrong, where, and what to do.
        what: String,
    },
    /// A document that is larger than what is held in memory.
    #[error(
        "it has more than {limit} MB and is no list of lines: take raw points (k6 --out json), which are read line by line"
    )]
    TooLarge {
        /// The limit, in millions of bytes.
        limit: u64,
    },
    /// Text that is no memory over time.
    #[error(
        "no memory over time in it: {seen}; what is read: process.memoryUsage() lines, CSV with a column of times, mprof's .dat"
    )]
    UnknownSeries {
        /// What was seen instead.
        seen: String,
    },
    /// A series that can't have a slope.
    #[error("no slope can be told: {why}")]
    NoTrend {
        /// Why not, and what to do.
        why: String,
    },
    /// Lines of several runs or processes where one series should be.
    #[error("several runs in one file: {what}")]
    SeveralRuns {
        /// Where, and what to do.
        what: String,
    },
    /// A budget that is not understood.
    #[error("the budget is not understood: {what}")]
    BadBudget {
        /// What and where.
        what: String,
    },
}
