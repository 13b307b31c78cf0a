//! pprof's protobuf format ([profile.proto](https://github.com/google/pprof/blob/main/proto/profile.proto)), which is
//! also what burnmark records.
//!
//! [`collect`] keeps a file's tables, then [`build`] makes the profile from them and one sample after the other. Samples
//! mostly come first in a file and what they refer to last, so it is gone through twice, each time as a stream; once is
//! enough where it says that samples are last, as burnmark writes them.
//!
//! A burnmark recording's samples have the labels of [`keys`]. Metadata that pprof has no field for is kept in comments
//! `burnmark.KEY=VALUE` (see [`comments`]). An index of 0 into the string table means "not there"; an empty text that *is*
//! there has an index of its own.

mod build;
mod collect;
mod comments;
mod labels;
mod paths;
mod prune;
mod samples;
mod sniff;
mod stacks;
mod wire;
mod write;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

use burnmark_model::Parsed;
use prost::Message;

use wire::Fields;

use crate::again::Again;
use crate::budget::Budget;
use crate::{Error, Format, ReadOptions};

pub(crate) use sniff::sniff;
pub(crate) use write::write;

/// Label keys that are columns of the profile.
mod keys {
    /// The thread's name, a text.
    pub(super) const THREAD: &str = "thread";
    /// The thread's tid, a number.
    pub(super) const TID: &str = "tid";
    /// The process's pid, a number.
    pub(super) const PID: &str = "pid";
    /// The process's name, a text.
    pub(super) const COMM: &str = "comm";
    /// When the sample was taken, a number in nanoseconds.
    pub(super) const TIME: &str = "end_timestamp_ns";
    /// The unit of [`TIME`].
    pub(super) const NANOSECONDS: &str = "nanoseconds";
}

/// A location with its lines. As in the `pprof` crate, with the columns that profile.proto has had since 2023.
#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

/// A function at a location, and the place in it.
#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
    #[prost(int64, tag = "3")]
    column: i64,
}

/// Reads a pprof file.
pub(crate) fn read(mut input: Again, options: &ReadOptions) -> Result<Parsed, Error> {
    let mut budget = Budget::new(Format::Pprof, options.max_decompressed);
    let mut fields = Fields::new(input.reader(options)?);
    let mut tables = collect::collect(&mut fields, &mut budget, true)?;
    if tables.samples_follow {
        match build::build(tables, fields, budget) {
            Ok(Some(parsed)) => return Ok(parsed),
            // It is not as the file says, or that may be the reason. Of a stream that failed there is no more to read.
            Ok(None) | Err(Error::Malformed { .. }) => {}
            Err(error) => return Err(error),
        }
        budget = Budget::new(Format::Pprof, options.max_decompressed);
        tables = collect::collect(&mut Fields::new(input.reader(options)?), &mut budget, false)?;
    } else {
        drop(fields);
    }
    let parsed = build::build(tables, Fields::new(input.reader(options)?), budget)?;
    Ok(parsed.expect("nothing else was left to follow"))
}
