//! Opens heap snapshots: files are mapped; what is compressed, or comes through a pipe, goes into a temporary file first,
//! so that memory holds no more than the graph.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::UNIX_EPOCH;

use anyhow::{Context, bail};
use burnmark_heap::{ReadOptions, Shapes, Snapshot, Source};

use crate::{output, progress};

/// What `info` calls it.
pub(crate) const NAME: &str = "heapsnapshot";

/// Why snapshots that are not [`burnmark_heap::in_order`] tell nothing of growth.
pub(crate) const OUT_OF_ORDER: &str = "the snapshots are not in the order in which they were taken, or not of one \
     process: the numbers of objects only grow; name the earliest first";

/// Said where names of snapshots have no times.
const OF_FILES: &str = "times of the heap snapshots are those of the files' last change: a copy may have another";

/// Said where those can't be right either.
const NO_TIMES: &str = "when the heap snapshots were taken is not known: their names don't say it (as Node's do, \
     Heap.YYYYMMDD.HHMMSS…), and the files' last changes don't follow one another in this order";

/// What a snapshot begins with, blanks left out.
const BEGINS: &[u8] = b"{\"snapshot\":{";

/// How much of a file is looked at to see whether it is a snapshot.
const PREFIX: usize = 4 << 10;

/// Whether a file is a heap snapshot, compressed or not. What can only be read once is not looked at.
pub(crate) fn is_snapshot(path: &Path) -> anyhow::Result<bool> {
    if output::is_stdout(path) || !path.is_file() {
        return Ok(false);
    }
    let Ok(file) = File::open(path) else { return Ok(false) };
    let mut prefix = Vec::new();
    // Whoever reads it next says what is wrong with it.
    if plain(Box::new(file)).and_then(|plain| plain.take(PREFIX as u64).read_to_end(&mut prefix)).is_err() {
        return Ok(false);
    }
    let prefix = prefix.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&prefix);
    let text = prefix.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
    Ok(text.take(BEGINS.len()).eq(BEGINS.iter().copied()))
}

/// How often the program had done its work at each snapshot: a number for each, each larger than the one before.
pub(crate) fn check_iterations(iterations: &[u64], snapshots: usize) -> anyhow::Result<()> {
    if snapshots < 2 {
        bail!("--iterations needs two snapshots and more: name the earlier ones, too");
    }
    if iterations.len() != snapshots {
        bail!("--iterations needs a number for each of the {snapshots} snapshots, and has {}", iterations.len());
    }
    if let Some(pair) = iterations.windows(2).find(|pair| pair[0] >= pair[1]) {
        bail!(
            "--iterations: {} comes before {}: give what was done since the start at each snapshot, such as 0,100,200",
            pair[0],
            pair[1]
        );
    }
    Ok(())
}

/// When the snapshots were taken, in seconds: as their names say, or else as their files were last changed; and what there
/// is to say about that. One alone has nothing to be compared with.
pub(crate) fn times(paths: &[PathBuf]) -> (Vec<Option<u64>>, Option<&'static str>) {
    if paths.len() < 2 {
        return (vec![None; paths.len()], None);
    }
    let named = |path: &PathBuf| burnmark_journal::log::time_in_name(&path.file_name()?.to_string_lossy());
    let named: Option<Vec<u64>> = paths.iter().map(named).collect();
    let is_ordered = |times: &[u64]| times.windows(2).all(|pair| pair[0] <= pair[1]);
    if let Some(times) = named.filter(|times| is_ordered(times)) {
        return (times.into_iter().map(Some).collect(), None);
    }
    let changed = |path: &PathBuf| {
        let time = std::fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
        Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
    };
    let changed: Option<Vec<u64>> = paths.iter().map(changed).collect();
    // A copy or a clone changes files at once, in any order: equal times are none.
    match changed.filter(|times| times.windows(2).all(|pair| pair[0] < pair[1])) {
        Some(times) => (times.into_iter().map(Some).collect(), Some(OF_FILES)),
        None => (vec![None; paths.len()], Some(NO_TIMES)),
    }
}

/// Reads a snapshot, and prints its warnings. `shapes`: those of the snapshot it is to be compared with.
pub(crate) fn open(path: &Path, max_decompressed: u64, shapes: Option<Shapes>) -> anyhow::Result<Snapshot> {
    let name = if output::is_stdout(path) { "standard input".to_owned() } else { path.display().to_string() };
    let cannot = || format!("cannot read {name}");
    let (file, length) = plain_file(path, max_decompressed).with_context(cannot)?;
    let counter = Arc::new(AtomicU64::new(0));
    let following = progress::bytes(format!("reading {name}"), Some(length), Arc::clone(&counter));
    let source = Source::file(file).with_context(cannot)?;
    let snapshot = Snapshot::read(source, &ReadOptions { shapes, progress: Some(counter) }).with_context(cannot)?;
    drop(following);
    output::print_warnings(&name, snapshot.warnings());
    Ok(snapshot)
}

/// The snapshot as a file that can be mapped, and its length.
fn plain_file(path: &Path, limit: u64) -> anyhow::Result<(File, u64)> {
    if output::is_stdout(path) {
        return spooled(Box::new(io::stdin()), limit);
    }
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        bail!("it is a directory: name a snapshot in it");
    }
    if !metadata.is_file() {
        return spooled(Box::new(file), limit);
    }
    let mut magic = [0; 4];
    let length = file.read(&mut magic)?;
    file.rewind()?;
    if is_compressed(&magic[..length]) { spooled(Box::new(file), limit) } else { Ok((file, metadata.len())) }
}

fn is_compressed(magic: &[u8]) -> bool {
    magic.starts_with(&[0x1f, 0x8b]) || magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

/// The bytes with compression taken off.
fn plain(source: Box<dyn Read>) -> io::Result<Box<dyn Read>> {
    let mut source = BufReader::with_capacity(128 << 10, source);
    let prefix = io::BufRead::fill_buf(&mut source)?;
    Ok(if prefix.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(source))
    } else if is_compressed(prefix) {
        Box::new(zstd::stream::read::Decoder::with_buffer(source)?)
    } else {
        Box::new(source)
    })
}

/// Copies what is read into a temporary file. Compressed data that breaks off gives what came before: the reader says what
/// is missing.
fn spooled(source: Box<dyn Read>, limit: u64) -> anyhow::Result<(File, u64)> {
    let mut plain = plain(source)?;
    let mut file = tempfile::tempfile().context("cannot make a temporary file")?;
    let mut buffer = vec![0; 256 << 10];
    let mut length = 0;
    loop {
        match plain.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                length += read as u64;
                if length > limit {
                    bail!("it has more than {limit} bytes: raise the bound with --max-decompressed if you trust it");
                }
                let written = file.write_all(&buffer[..read]);
                written.context("cannot write the temporary file (TMPDIR chooses its folder)")?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && length > 0 => {
                output::say("warning: the compressed data breaks off: reading what came out of it");
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    file.rewind()?;
    Ok((file, length))
}
