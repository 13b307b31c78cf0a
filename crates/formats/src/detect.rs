//! The formats, and how to tell them apart by content.

use std::fmt;
use std::path::Path;

use crate::{Error, cpuprofile, folded, input, perf_script, pprof};

/// A profile format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// The text `perf script` prints.
    PerfScript,
    /// One line per stack, frames joined by `;`, with a count: what `stackcollapse-*` tools write.
    Folded,
    /// The protobuf of Google's pprof, gzipped or not: what burnmark records.
    Pprof,
    /// V8's CPU profile: Node's `--cpu-prof`, Chrome DevTools.
    Cpuprofile,
    /// V8's sampling heap profile: Node's `--heap-prof`, Chrome DevTools.
    Heapprofile,
}

/// All formats, in the order in which they are tried: those with the most telling contents first.
pub const FORMATS: &[Format] =
    &[Format::Pprof, Format::Cpuprofile, Format::Heapprofile, Format::PerfScript, Format::Folded];

/// What the table of formats holds of each. A format is one entry here, and one arm in `read` and `write`.
struct Entry {
    name: &'static str,
    /// Ends of file names, without the dot; the first is the usual one.
    extensions: &'static [&'static str],
    /// Says why the input's first bytes can't be this format.
    sniff: fn(&[u8]) -> Result<(), String>,
    can_write: bool,
}

impl Format {
    const fn entry(self) -> Entry {
        match self {
            Self::PerfScript => {
                Entry { name: "perf-script", extensions: &["perf"], sniff: perf_script::sniff, can_write: false }
            }
            Self::Folded => {
                Entry { name: "folded", extensions: &["folded", "collapsed"], sniff: folded::sniff, can_write: true }
            }
            Self::Pprof => Entry { name: "pprof", extensions: &["pb", "pprof"], sniff: pprof::sniff, can_write: true },
            Self::Cpuprofile => {
                Entry { name: "cpuprofile", extensions: &["cpuprofile"], sniff: cpuprofile::sniff, can_write: false }
            }
            Self::Heapprofile => Entry {
                name: "heapprofile",
                extensions: &["heapprofile"],
                sniff: cpuprofile::sniff_heap,
                can_write: false,
            },
        }
    }

    /// The name `--format` takes.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The format of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        FORMATS.iter().copied().find(|format| format.name() == name)
    }

    /// The format an output file's name asks for, `.gz` and `.zst` aside. It may be one that can't be written.
    pub fn for_output_name(path: impl AsRef<Path>) -> Option<Self> {
        let name = path.as_ref().file_name()?.to_str()?.to_ascii_lowercase();
        let name = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        let (_, extension) = name.rsplit_once('.')?;
        FORMATS.iter().copied().find(|format| format.entry().extensions.contains(&extension))
    }

    /// Whether [`crate::write`] knows it.
    pub fn can_write(self) -> bool {
        self.entry().can_write
    }

    /// The usual end of its files' names, without the dot.
    pub fn extension(self) -> &'static str {
        self.entry().extensions[0]
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Finds the format by the first bytes of a (decompressed) input: 64 KiB are plenty.
///
/// # Errors
/// [`Error::UnknownFormat`] with the reason why each format does not fit, [`Error::NotAProfile`] for well-known inputs of
/// other kinds, [`Error::Empty`] for no bytes.
pub fn detect(prefix: &[u8]) -> Result<Format, Error> {
    if prefix.is_empty() {
        return Err(Error::Empty);
    }
    let decoded = input::decode_prefix(prefix);
    let prefix = decoded.as_deref().unwrap_or(prefix);
    if let Some(error) = foreign_by_magic(prefix) {
        return Err(error);
    }
    let mut tried = Vec::new();
    for format in FORMATS.iter().copied() {
        match (format.entry().sniff)(prefix) {
            Ok(()) => return Ok(format),
            Err(reason) => tried.push((format, reason)),
        }
    }
    Err(foreign_by_text(prefix).unwrap_or(Error::UnknownFormat { tried }))
}

/// Inputs of other kinds that begin with fixed bytes: told before any reader's guess.
fn foreign_by_magic(prefix: &[u8]) -> Option<Error> {
    const PERF_SCRIPT: &str = "convert it where it was recorded: `perf script -i FILE | burnmark top -`";
    const NO_FORMAT: &str = "`burnmark top FILE` reads it, without --format, and uncompressed if it comes through a pipe \
                             (or `perf script -i FILE | burnmark top -`)";
    const MAGICS: &[(&[u8], &str, &str)] = &[
        (b"PERFILE2", "a perf.data file", NO_FORMAT),
        (b"2ELIFREP", "a perf.data file of a machine with the other byte order", PERF_SCRIPT),
        (b"\x7fELF", "an ELF program or library", "record it: `burnmark record -- COMMAND`"),
        (b"PK\x03\x04", "a zip archive", "unpack it and name the profile in it"),
        (b"\xfd7zXZ\0", "an xz file", "decompress it: `xz -dc FILE | burnmark top -`"),
        (b"BZh", "a bzip2 file", "decompress it: `bzip2 -dc FILE | burnmark top -`"),
        (b"\x04\x22\x4d\x18", "an lz4 file", "decompress it: `lz4 -dc FILE | burnmark top -`"),
        (b"FLR\0", "a Java Flight Recorder file", "convert it to folded text with async-profiler's `jfrconv --cpu`"),
        (b"\x89PNG", "a picture", "name the profile it was drawn from"),
        (b"%PDF", "a PDF document", "name the profile it was made from"),
        (b"SQLite format 3\0", "an SQLite database", "export the profile from the tool that made it"),
        (
            b"v8-version,",
            "a V8 isolate log of --prof",
            "record with `node --cpu-prof` instead, and read the .cpuprofile",
        ),
        (
            b"# callgrind format",
            "a callgrind profile",
            "it holds a call graph, no stacks; see it with callgrind_annotate",
        ),
    ];
    let (_, what, advice) = MAGICS.iter().find(|(magic, ..)| prefix.starts_with(magic))?;
    Some(Error::NotAProfile { what, advice })
}

/// Inputs of other kinds that are known by words in their text: asked when no reader wants them.
fn foreign_by_text(prefix: &[u8]) -> Option<Error> {
    const MARKS: &[(&[&str], &str, &str)] = &[
        (
            &["\"snapshot\"", "\"node_fields\""],
            "a V8 heap snapshot",
            "it says what holds memory, not where time goes: `burnmark heap FILE` reads it",
        ),
        (
            &["speedscope.app/file-format-schema"],
            "a speedscope file",
            "export folded text or pprof from the tool that made it",
        ),
        (
            &["\"meta\"", "\"preprocessedProfileVersion\""],
            "a Firefox Profiler file",
            "export folded text or pprof from the tool that made it",
        ),
        (
            &["\"meta\"", "\"geckoThreads\""],
            "a Gecko profile",
            "export folded text or pprof from the tool that made it",
        ),
        (
            &["\"traceEvents\""],
            "a Chrome trace",
            "save the CPU profile (.cpuprofile) from the Performance panel's JavaScript Profiler instead",
        ),
        (&["<svg"], "an SVG picture", "name the profile it was drawn from"),
        (&["<html"], "a web page", "name the profile it was made from"),
        (&["<!DOCTYPE html"], "a web page", "name the profile it was made from"),
        (&["heap profile:"], "a legacy pprof heap profile", "convert it: `pprof -proto PROGRAM FILE`"),
        (&["--- contention"], "a legacy pprof contention profile", "convert it: `pprof -proto PROGRAM FILE`"),
    ];
    let text = String::from_utf8_lossy(prefix);
    let (_, what, advice) = MARKS.iter().find(|(words, ..)| words.iter().all(|word| text.contains(word)))?;
    Some(Error::NotAProfile { what, advice })
}
