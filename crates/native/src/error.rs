//! What can go wrong.

use std::path::PathBuf;

/// An error of this crate. Damage that can be survived is a warning in the result instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of `/proc` about a process could not be read.
    #[error("{path}: {source}; the process may have ended, or belong to another user: then run as root", path = path.display())]
    Process {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The spool could not be created, written or read.
    #[error("{path}: {source}; the recording's temporary file is beside the recording and needs a folder that can be written to, with free space", path = path.display())]
    Spool {
        /// The spool.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file is no spool, or one of another version.
    #[error("{path}: not a burnmark spool of version {expected} (byte 0); it can be deleted, or finished by the burnmark that wrote it", path = path.display())]
    NotASpool {
        /// The file.
        path: PathBuf,
        /// The version that can be read.
        expected: u8,
    },
}
