//! The profile: the one vocabulary between burnmark's crates. Every reader produces a [`Profile`], every product
//! consumes one.
//!
//! It is plain data. It does no I/O, knows no file format, and computes no statistics.
//!
//! Invariants:
//! - Every id in a table points at an existing entry of the table it names: ids are only handed out by `intern`.
//! - A stack's parent has a smaller id than the stack itself (parents first), so one pass over the table in order, or
//!   in reverse, visits callers before callees, or callees before callers. Nothing recurses over stacks.
//! - All columns of [`Samples`] have the same length.
//! - For every value type the absolute values of all samples sum to at most `i64::MAX`: any sum over samples fits.
//! - A profile built from the same samples in the same order is the same profile: see [`Profile::compacted`].
//!
//! ```
//! use burnmark_model::{Frame, Function, Profile, Sample, ValueType};
//!
//! let mut profile = Profile::new(vec![ValueType::samples()]);
//! let mut stack = None;
//! for name in ["main", "parse"] {
//!     let function = Function::named(profile.strings.intern(name));
//!     let function = profile.functions.intern(function);
//!     let frame = profile.frames.intern(Frame::of(function));
//!     stack = Some(profile.push_frame(stack, frame));
//! }
//! profile.samples.push(Sample { stack, ..Sample::default() }, &[3]).unwrap();
//! assert_eq!(profile.samples.total(0), 3);
//! ```

mod import;
mod meta;
mod profile;
mod samples;
mod slots;
mod table;
mod warning;
mod zeroed;

pub use import::Importer;
pub use meta::Meta;
pub use profile::{
    Frame, FrameId, Function, FunctionId, Label, LabelSet, LabelSetId, LabelValue, Module, ModuleId, ModuleKind,
    Process, ProcessId, Profile, Stack, StackId, StringId, Thread, ThreadId, ValueType,
};
pub use samples::{Sample, Samples, ValueOverflow};
pub use slots::{Folds, Path, Paths, Slots};
pub use table::{Id, Strings, Table};
pub use warning::{Parsed, Position, Warning};
pub use zeroed::Zeroed;
