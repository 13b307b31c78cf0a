//! The log of optimizations: what was slow, what was changed, what came of it, with the evidence attached.
//!
//! ```text
//! .burnmark/
//!   iterations/<ULID>-<slug>.json               one file an entry, never edited: branches merge without conflict
//!   attachments/<16 digits of the hash>/<name>  flame graphs, differences, whatever was attached
//! ```
//!
//! Duties: an entry is written after its attachments, each file whole or not at all, so that what a crash leaves is at
//! worst an attachment that nobody names; [`verify`] tells, [`repair`] mends. No path from an entry leads out of the
//! folder. The caller names the folder, gives the time, and makes the texts fit for whoever may read them
//! ([`texts::kept`]).
//!
//! ```
//! use burnmark_journal::log::{self, Draft};
//!
//! let folder = tempfile::tempdir()?;
//! let draft = Draft { key: log::texts::key([("change", "cache")]), bottleneck: "parsing".into(), change: "cache".into(), ..Draft::default() };
//! let added = log::add(folder.path(), &draft)?;
//! assert!(!added.existed && log::add(folder.path(), &draft)?.existed);
//! let read = log::read(folder.path())?;
//! assert_eq!(log::rows(&read.entries)[0].entry.bottleneck, "parsing");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alike;
mod attach;
mod entry;
mod error;
mod gather;
pub mod git;
mod store;
mod targets;
pub mod texts;
mod ulid;
mod verify;

#[cfg(test)]
mod tests;

pub use alike::differences;
pub use attach::{Content, NewAttachment, hash_file, resolve};
pub use entry::{
    Attachment, Consumer, Entry, Env, Evidence, Finding, FunctionChange, GitFacts, HeapEvidence, HeapSize, InputFile,
    Known, MetricChange, Opportunity, Priority, ProfileComparison, Rank, RetainedObject, SCHEMA, Status, Target,
    Verdict,
};
pub use error::Error;
pub use gather::{GatherOptions, Label, conclude, headline_of, metrics, of_runs, profiles, retained};
pub use store::{Added, Draft, Read, Row, Stored, add, find, is_log, read, rows};
pub use targets::targets;
pub use texts::time_in_name;
pub use ulid::Ulid;
pub use verify::{Problem, Verified, repair, verify};

/// The log's folder, where none is named.
pub const FOLDER: &str = ".burnmark";
