//! What can go wrong.

/// Why a picture could not be drawn, or a document not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The profile has no samples.
    #[error("there is nothing to draw: the profile has no samples; if filters were given, they leave none")]
    NoSamples,
    /// The samples have no value above 0.
    #[error("there is nothing to draw: no sample has a value of {value_type} above 0; --value chooses another")]
    NoValue {
        /// Name and unit of the value type.
        value_type: String,
    },
    /// The profile could not be analysed.
    #[error(transparent)]
    Analysis(#[from] burnmark_analysis::Error),
    /// inferno drew something else than it was asked to: a defect, not a property of the input.
    #[error("the flame graph came out damaged ({0}): please report this")]
    Drawing(&'static str),
    /// The marks between which a document's rendered part stands are not a pair.
    #[error("line {line}: {why}")]
    Marks {
        /// From 1.
        line: usize,
        /// What is wrong, and what to do.
        why: &'static str,
    },
    /// Writing failed.
    #[error("writing the flame graph failed")]
    Io(#[from] std::io::Error),
}
