//! Filters, call trees, ranking and summaries of a [`burnmark_model::Profile`].
//!
//! It draws nothing and formats nothing: results are numbers and borrowed names, for `burnmark_report` to show.
//!
//! Invariants:
//! - No function recurses over stacks; time and memory are linear in samples and in distinct stacks, but where a
//!   function says otherwise (inverted trees).
//! - Every result conserves weight: what is not shown or not expanded is counted and reported.
//! - Results depend on the samples, not on the order of the profile's tables or of its samples.
//! - Values may be negative (differences); sums never overflow, for a profile bounds them.
//!
//! ```
//! use burnmark_analysis::{RankOptions, rank};
//! use burnmark_model::{Frame, Function, Profile, Sample, ValueType};
//!
//! let mut profile = Profile::new(vec![ValueType::samples()]);
//! let mut stack = None;
//! for name in ["main", "parse", "parse"] {
//!     let function = Function::named(profile.strings.intern(name));
//!     let function = profile.functions.intern(function);
//!     let frame = profile.frames.intern(Frame::of(function));
//!     stack = Some(profile.push_frame(stack, frame));
//! }
//! profile.samples.push(Sample { stack, ..Sample::default() }, &[3]).unwrap();
//!
//! let ranking = rank(&profile, &RankOptions::default()).unwrap();
//! let parse = &ranking.rows[0];
//! assert_eq!((&*parse.place.name, parse.self_value, parse.total_value), ("parse", 3, 3));
//! ```

pub mod diff;
mod error;
mod filter;
mod findings;
mod links;
pub mod matching;
mod place;
mod rank;
mod rules;
mod share;
pub mod stats;
mod summary;
mod tree;
mod weights;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod testing;

pub use error::Error;
pub use filter::{Filter, ThreadSelector, filter};
pub use findings::{Finding, FindingKind, Priority, findings};
pub use place::{FrameKind, MergeBy, Place};
pub use rank::{Hidden, RankBy, RankOptions, Ranking, Row, rank};
pub use rules::{Category, CategoryShare, Rules, RulesError};
pub use share::{Share, share};
pub use summary::{Summary, UnsymbolizedModule, ValueTotal, summarize};
pub use tree::{CallTree, Cut, Direction, Node, Roots, TreeOptions};
