//! What can go wrong when reading a heap snapshot.

use std::io;

/// Why a heap snapshot could not be read. Texts say what is wrong, where, and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system failed to deliver bytes.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// There is not one byte of input.
    #[error("the input is empty: whatever wrote it may have failed, or may not have finished yet")]
    Empty,
    /// It does not begin as a heap snapshot does.
    #[error(
        "this is no V8 heap snapshot: it does not begin with {{\"snapshot\":{{\"meta\":…}}}}; \
         write one with `v8.writeHeapSnapshot()`, `node --heapsnapshot-signal=SIGUSR2` or Chrome DevTools"
    )]
    NotASnapshot,
    /// The snapshot ends before it is complete.
    #[error(
        "the snapshot ends at byte {end}, in {section}, after {got}; missing: {missing}. The process was probably killed \
         or ran out of disk while writing it: take the snapshot again, and wait until the file stops growing"
    )]
    Truncated {
        /// How many bytes there are.
        end: u64,
        /// The section that breaks off.
        section: &'static str,
        /// How far it got: `12 of 57,604 nodes`.
        got: String,
        /// What is not there.
        missing: String,
    },
    /// The snapshot breaks the rules of its format.
    #[error("the snapshot is damaged at byte {position}: {what}; take it again, or check how it was copied")]
    Malformed {
        /// Offset from 0.
        position: u64,
        /// What is wrong.
        what: String,
    },
    /// The header describes something that can't be read.
    #[error("the snapshot's header (`meta`) {0}: open it in Chrome DevTools, and report its producer to us")]
    Header(String),
    /// The system gives no more memory.
    #[error(
        "there is no room for another {bytes} bytes of memory ({source}): raise the limit (`ulimit -d`, the container's), \
         or read it on a machine with more"
    )]
    Memory {
        /// How many bytes were asked for.
        bytes: u64,
        /// What the system said.
        source: io::Error,
    },
    /// More of something than the numbers here can count.
    #[error("the snapshot has {count} {what}, more than {limit}: it can't be read here")]
    TooLarge {
        /// How many.
        count: u64,
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
}

/// An error at a byte.
pub(crate) fn malformed(position: u64, what: impl Into<String>) -> Error {
    Error::Malformed { position, what: what.into() }
}
