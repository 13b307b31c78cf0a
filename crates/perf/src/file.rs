//! The perf.data file as a source of records: what `perf record` wrote, in file mode or pipe mode, from kernel 3.2 on.
//!
//! The layout is that of `tools/perf/Documentation/perf.data-file-format.txt` in the kernel's tree. [`Reader::open`]
//! reads what stands before the records, [`Reader::read`] hands the records out in the order of their times: perf marks
//! with `FINISHED_ROUND` how far they can be sorted, so that memory does not grow with the file. A file without such
//! marks is sorted within windows of some million records.
//!
//! It is not a reader of AUX area data (Intel PT and the like), which is skipped with a warning, nor of files of the
//! other byte order, which are refused.
//!
//! Invariants:
//! - Damage costs the records it hits, and no others that can be found: it is a [`Warning`], never an error.
//! - No more than 64 MB + 4 × the bytes of the records is ever allocated, whatever the file says.
//!
//! ```no_run
//! use burnmark_perf::file::{Input, Map, Reader};
//! use burnmark_perf::record::Record;
//!
//! let map = Map::of(&std::fs::File::open("perf.data")?)?;
//! let reader = Reader::open(Input::Bytes(&map))?;
//! let mut samples = 0;
//! let end = reader.read(&mut |head, run| {
//!     for item in run {
//!         let layout = &head.events[usize::from(item.event)].layout;
//!         samples += usize::from(matches!(Record::decode(item.bytes, layout), Ok(Record::Sample(_))));
//!     }
//! })?;
//! println!("{samples} samples, {} warnings", end.warnings.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ahead;
mod attr;
mod damage;
mod feature;
mod head;
mod inflate;
mod map;
mod names;
mod queue;
mod reader;
mod scan;
mod store;
mod stream;

pub use attr::Event;
pub use damage::Warning;
pub use feature::{BuildId, Clock, Features};
pub use head::Head;
pub use map::Map;
pub use reader::{Ended, Input, Item, Reader, Take};

/// Why a file can't be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input could not be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It doesn't begin as perf.data files do.
    #[error("not a perf.data file (byte 0 has no PERFILE2): name the file that `perf record` wrote")]
    NotPerfData,
    /// Recorded on a machine of the other byte order.
    #[error(
        "a perf.data file of a machine with the other byte order (byte 0): convert it there with \
         `perf script | burnmark top -`"
    )]
    ByteOrder,
    /// Written by a perf of before 2010.
    #[error("a perf.data file of the first version (byte 0, PERFFILE), which no perf since 2.6.35 writes: record anew")]
    Version1,
    /// The header is cut or makes no sense.
    #[error("the header of the perf.data file is damaged: {what} (byte {at}); record anew, or fetch the file again")]
    Header {
        /// What is wrong.
        what: &'static str,
        /// Where.
        at: u64,
    },
    /// A file in file mode came through a pipe, and its records begin too far in.
    #[error("the records begin only at byte {at}: give the file itself, not a pipe")]
    FarData {
        /// Where they begin.
        at: u64,
    },
}

#[cfg(test)]
#[path = "file/tests.rs"]
mod tests;
