//! Heap snapshots of V8 (Node.js, Chrome): the object graph, dominators, retained sizes, classes, the difference of two.
//!
//! The numbers are those of Chrome DevTools, for every node; its own engine is the oracle of the tests. It takes bytes or
//! an open file, opens no path, prints nothing. Its graph is its own model and knows nothing of CPU profiles.
//!
//! Invariants:
//! - No input makes it panic, recurse, hang, or take memory that does not follow the input's size.
//! - The same input gives the same numbers on any number of threads.
//! - The format is read by the snapshot's `meta` alone: fields and types may come in any order, and new ones may come.
//! - Damage that leaves the graph whole is a [`burnmark_model::Warning`]; everything else an [`Error`] with its byte.
//!
//! Names of edges are a third of a snapshot: they are read again from the input when asked for.
//!
//! ```
//! use burnmark_heap::{ReadOptions, Snapshot, Source};
//!
//! let json = br#"{"snapshot":{"meta":{
//!     "node_fields":["type","name","id","self_size","edge_count"],
//!     "node_types":[["synthetic","object"],"string","number","number","number"],
//!     "edge_fields":["type","name_or_index","to_node"],
//!     "edge_types":[["property","weak"],"string_or_number","node"]},"node_count":3,"edge_count":2},
//!     "nodes":[0,0,1,0,1, 1,1,3,16,1, 1,2,5,24,0],
//!     "edges":[0,3,5, 0,3,10],
//!     "strings":["","Cache","Entry","kept"]}"#;
//! let snapshot = Snapshot::read(Source::memory(json.to_vec())?, &ReadOptions::default())?;
//! assert_eq!(snapshot.total_size(), 40);
//! assert_eq!((snapshot.name(1).as_ref(), snapshot.shallow(1), snapshot.retained(1)), ("Cache", 16, 40));
//! assert_eq!(snapshot.dominator(2), 1);
//! # Ok::<(), burnmark_heap::Error>(())
//! ```
mod bits;
mod causes;
mod classes;
mod column;
mod diff;
mod dominators;
mod edges;
mod error;
mod flood;
mod growth;
mod header;
mod ints;
mod kinds;
mod linked;
mod locations;
mod marks;
mod overview;
mod paths;
mod profile;
mod read;
mod scan;
mod shapes;
mod sizes;
mod snapshot;
mod source;
mod strings;

pub use causes::Cause;
pub use classes::{Statistics, Sums};
pub use diff::{ClassDiff, diff};
pub use edges::{Edge, EdgeName};
pub use error::Error;
pub use growth::{Census, ClassGrowth, Growth, GrowthOptions, Suspect, Tier, census, growth, in_order};
pub use kinds::{Detachedness, EdgeKind, NodeKind};
pub use overview::{Accumulation, Collection, Group, Overview, Retainer, classes_within, overview};
pub use paths::{Step, path, shown};
pub use profile::profile;
pub use shapes::Shapes;
pub use snapshot::{Class, ReadOptions, Snapshot, Timings};
pub use source::Source;

/// Where in a script something was made. Lines and columns count from 0, as V8 writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The script's number in this process.
    pub script: u32,
    /// Line, from 0.
    pub line: u32,
    /// Column, from 0.
    pub column: u32,
}
