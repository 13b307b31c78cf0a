//! Readers and writers of profile formats: bytes to [`burnmark_model::Profile`] and back, and detection of the format
//! by content.
//!
//! It takes open files, streams or bytes; it opens no path, prints nothing, and talks to no process. Formats with a
//! crate of their own (`perf.data`, heap snapshots) are not here.
//!
//! Invariants:
//! - No input makes it panic, recurse, hang, or take memory that does not follow the input's content: what is
//!   decompressed is streamed and bounded by [`ReadOptions::max_decompressed`], a line by 64 MiB.
//! - The same input gives the same profile on any number of threads.
//! - Damage that can be survived is a [`burnmark_model::Warning`] with a position; everything else an [`Error`].
//!
//! ```
//! use burnmark_formats::{Format, Input, ReadOptions, WriteOptions, read, write};
//!
//! let text = b"main;parse 3\nmain;parse;read 2\nmain;parse 1\n".to_vec();
//! let (format, parsed) = read(Input::Bytes(text), &ReadOptions::default())?;
//! assert_eq!(format, Format::Folded);
//! assert_eq!(parsed.profile.samples.total(0), 6);
//!
//! let mut out = Vec::new();
//! write(&parsed.profile, Format::Folded, &WriteOptions::default(), &mut out)?;
//! assert_eq!(out, b"main;parse 4\nmain;parse;read 2\n");
//! # Ok::<(), burnmark_formats::Error>(())
//! ```

mod again;
mod blocks;
mod budget;
mod cpuprofile;
mod decode;
mod detect;
mod error;
mod folded;
mod ids;
mod input;
mod json;
mod modules;
mod perf_script;
mod pprof;
mod warnings;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use burnmark_model::{Parsed, Profile};

use again::Again;

pub use decode::Compression;
pub use detect::{FORMATS, Format, detect};
pub use error::{Damage, Error};
pub use input::Input;

/// How to read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// The input's format; `None` finds it by content.
    pub format: Option<Format>,
    /// How many bytes may come out of decompression; what is held of the input in memory may take an eighth of that, also
    /// where nothing is compressed. 8 GiB by default.
    pub max_decompressed: u64,
    /// Worker threads; 0 chooses by the machine and the input's size.
    pub threads: usize,
    /// Counts the bytes of the raw (still compressed) input that have been consumed.
    pub progress: Option<Arc<AtomicU64>>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { format: None, max_decompressed: 8 << 30, threads: 0, progress: None }
    }
}

/// How to write.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// The value type to write, for formats that hold only one (folded); `None` takes the profile's default.
    pub value: Option<usize>,
    /// Whether to gzip, for formats that are usually gzipped (pprof).
    pub compress: bool,
    /// Above how many samples they are merged, for formats that hold every sample with its time (pprof): samples of the
    /// same stack, thread and labels within the same 100 ms become one. `None` keeps every sample.
    pub merge_above: Option<usize>,
}

/// Reads a profile, and tells the format it was in.
///
/// gzip and zstd, also one in the other, are seen through, and so are UTF-16 and byte order marks.
///
/// # Errors
/// See [`Error`].
pub fn read(input: Input, options: &ReadOptions) -> Result<(Format, Parsed), Error> {
    let opened = input::open(input, options)?;
    let format = match options.format {
        Some(format) => format,
        None => detect(&opened.prefix)?,
    };
    drop(opened.prefix);
    let parsed = match format {
        Format::PerfScript => perf_script::read(opened.input, options)?,
        Format::Folded => folded::read(opened.input, options)?,
        Format::Pprof => pprof::read(Again::new(opened.input, opened.file), options)?,
        Format::Cpuprofile => cpuprofile::read(opened.input, options)?,
        Format::Heapprofile => cpuprofile::read_heap(opened.input, options)?,
    };
    Ok((format, parsed))
}

/// Writes a profile.
///
/// # Errors
/// [`Error::CannotWrite`] for formats that are only read, [`Error::NoSuchValue`], and what writing to `out` gives.
pub fn write(profile: &Profile, format: Format, options: &WriteOptions, out: &mut dyn Write) -> Result<(), Error> {
    match format {
        Format::Folded => folded::write(profile, options, out),
        Format::Pprof => pprof::write(profile, options, out),
        Format::PerfScript | Format::Cpuprofile | Format::Heapprofile => Err(Error::CannotWrite { format }),
    }
}
