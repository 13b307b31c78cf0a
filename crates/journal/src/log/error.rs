//! What can go wrong with a log.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the log. Texts say what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder of the log can't be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `make`, …
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file among the entries is none.
    #[error("{} is no log entry: {why}; `burnmark log verify` looks at all of them", path.display())]
    BadEntry {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column where they are known.
        why: String,
    },
    /// No entry has this id.
    #[error("the log has no entry {wanted:?}: `burnmark log list` shows ids and numbers")]
    NoSuchEntry {
        /// What was asked for.
        wanted: String,
    },
    /// Several entries begin with this.
    #[error("{wanted} could be any of {}: write more of the id", ids.join(", "))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// Ids that begin with it.
        ids: Vec<String>,
    },
    /// A path of the log leads out of its folder.
    #[error("{path} is refused: {why}; what belongs to the log lies in its folder")]
    OutsideLog {
        /// The path.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A text that is no id.
    #[error("{text:?} is no entry id: ids have 26 letters and digits, as `burnmark log list` shows them")]
    BadId {
        /// The text.
        text: String,
    },
    /// What is found about a commit is not what was asked for.
    #[error("{what}")]
    Git {
        /// What is wrong, and what to do.
        what: String,
    },
}

impl Error {
    /// An error of the file system at `path`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
