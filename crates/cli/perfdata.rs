//! perf.data files: found by their first bytes, read, unwound and symbolized.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context;
use burnmark_formats::Input;
use burnmark_model::Parsed;
use burnmark_native::{
    FileFinder, ModuleReport, Modules, OwnFiles, PerfDataOptions, Places, SymbolOptions, perf_data_profile,
};
use burnmark_perf::file::{self, Map, Reader};

use crate::args::ReadArgs;
use crate::{output, progress};

/// What `info` calls the format.
pub(crate) const NAME: &str = "perf-data";

/// Modules in the table of those that were not found.
const MISSING_SHOWN: usize = 10;

/// An input, told apart.
pub(crate) enum Sniffed {
    /// perf's.
    PerfData(Source),
    /// Any other.
    Other(Input),
}

/// Where the bytes of a perf.data file are.
pub(crate) enum Source {
    File(File),
    Stream(Box<dyn Read>),
}

/// Bytes after which a decompressor has made its first ones: zstd's blocks have up to 128 KiB, and come whole.
const FIRST_BLOCK: u64 = 160 << 10;

/// Looks at an input's first bytes; of a compressed one at those that are in it.
pub(crate) fn sniff(input: Input, max_decompressed: u64) -> anyhow::Result<Sniffed> {
    match input {
        Input::File { file, len } => {
            let mut start = [0; 8];
            let read = file.read_at(&mut start, 0)?;
            if is_perf_data(&start[..read]) {
                return Ok(Sniffed::PerfData(Source::File(file)));
            }
            let at_start = || -> std::io::Result<At> { Ok(At { file: file.try_clone()?, at: 0 }) };
            if is_compressed(&start[..read]) && holds_perf_data(inflated(BufReader::new(at_start()?))?) {
                let contents = inflated(BufReader::new(at_start()?))?.take(max_decompressed);
                return Ok(Sniffed::PerfData(Source::Stream(Box::new(contents))));
            }
            Ok(Sniffed::Other(Input::File { file, len }))
        }
        Input::Stream(mut stream) => {
            let mut start = Vec::new();
            (&mut stream).take(8).read_to_end(&mut start)?;
            if is_perf_data(&start) {
                return Ok(Sniffed::PerfData(Source::Stream(Box::new(Cursor::new(start).chain(stream)))));
            }
            let mut compressed = is_compressed(&start);
            if compressed {
                (&mut stream).take(FIRST_BLOCK).read_to_end(&mut start)?;
                compressed = holds_perf_data(inflated(&start[..])?);
            }
            let whole = Cursor::new(start).chain(stream);
            if compressed {
                let contents = inflated(BufReader::new(whole))?.take(max_decompressed);
                return Ok(Sniffed::PerfData(Source::Stream(Box::new(contents))));
            }
            Ok(Sniffed::Other(Input::Stream(Box::new(whole))))
        }
        other => Ok(Sniffed::Other(other)),
    }
}

fn is_perf_data(start: &[u8]) -> bool {
    [&b"PERFILE2"[..], b"2ELIFREP", b"PERFFILE"].contains(&start)
}

/// Whether it is of gzip, or of zstd.
fn is_compressed(start: &[u8]) -> bool {
    start.starts_with(&GZIP) || start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What is in compressed bytes.
fn inflated<'r>(mut raw: impl BufRead + 'r) -> std::io::Result<Box<dyn Read + 'r>> {
    if raw.fill_buf()?.starts_with(&GZIP) {
        return Ok(Box::new(flate2::bufread::MultiGzDecoder::new(raw)));
    }
    Ok(Box::new(zstd::stream::read::Decoder::with_buffer(raw)?))
}

/// Whether a perf.data file begins there. One that can't be decompressed is told of by who reads it next.
fn holds_perf_data(contents: impl Read) -> bool {
    let mut magic = Vec::new();
    contents.take(8).read_to_end(&mut magic).is_ok() && is_perf_data(&magic)
}

/// Reads a file from its start, whatever its offset is.
struct At {
    file: File,
    at: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Reads, unwinds and symbolizes. `counter` counts the bytes that are read, for `following` to show.
pub(crate) fn read(
    source: Source,
    args: &ReadArgs,
    name: &str,
    counter: Arc<AtomicU64>,
    following: progress::Follower,
) -> anyhow::Result<Parsed> {
    let context = || format!("cannot read {name}");
    let map = match &source {
        Source::File(file) => Some(Map::of(file).with_context(context)?),
        Source::Stream(_) => None,
    };
    let input = match (source, &map) {
        (Source::File(_), map) => file::Input::Bytes(map.as_deref().unwrap_or_default()),
        (Source::Stream(stream), _) => file::Input::Stream(stream),
    };
    let mut reader = Reader::open(input).with_context(context)?;
    reader.progress(counter);
    reader.limit_decompressed(args.max_decompressed);
    let modules = Arc::new(Modules::new(finder(args)));
    let keep_args = args.recorded.keep_args;
    let options = PerfDataOptions { keep_args, modules: Some(modules.clone()), ..PerfDataOptions::default() };
    let homes = std::env::var("HOME").into_iter().collect();
    let symbols = SymbolOptions { keep_paths: keep_args, homes, ..SymbolOptions::default() };
    let state = burnmark_native::Progress::default();
    let read = || {
        std::thread::scope(|scope| {
            let is_read = || {
                drop(following);
                if let Some(map) = &map {
                    scope.spawn(|| map.release());
                }
            };
            perf_data_profile(reader, &options, &symbols, &state, is_read)
        })
    };
    let (finished, mut warnings) =
        progress::during("looking up symbols", || state.get(), read).with_context(context)?;
    let Parsed { profile, warnings: of_symbols } = finished.parsed;
    warnings.extend(of_symbols);
    tell_missing(&finished.modules);
    Ok(Parsed { profile, warnings })
}

/// Where to look for the files of modules.
pub(crate) fn finder(args: &ReadArgs) -> FileFinder {
    let given = &args.recorded;
    let build_id_caches = if given.buildid_dir.is_empty() {
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".debug")).into_iter().collect()
    } else {
        given.buildid_dir.clone()
    };
    FileFinder::Places(Places {
        build_id_caches,
        debug_folders: given.debug_dir.clone(),
        roots: given.symfs.clone(),
        // Another machine's files are there: those of this one that have the same paths are others.
        own: if given.symfs.is_empty() { OwnFiles::Files } else { OwnFiles::No },
        ..Places::default()
    })
}

/// Prints which modules were not found, or are others than those recorded.
pub(crate) fn tell_missing(modules: &[ModuleReport]) {
    let missing: Vec<&ModuleReport> =
        modules.iter().filter(|module| module.file.is_none() && module.nameless > 0).collect();
    if missing.is_empty() {
        return;
    }
    output::say("modules that were not found here (--symfs, --debug-dir or --buildid-dir say where to look):");
    output::say("  samples  build-id          module");
    for module in missing.iter().take(MISSING_SHOWN) {
        let id = if module.build_id.is_empty() { "not recorded" } else { &module.build_id };
        let id = id.get(..16).unwrap_or(id);
        output::say(&format!("  {:>7}  {id:<16}  {}: {}", module.nameless, module.path, module.symbols));
    }
    if missing.len() > MISSING_SHOWN {
        output::say(&format!("  … and {} more", missing.len() - MISSING_SHOWN));
    }
}
