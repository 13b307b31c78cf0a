//! Opens results of load tests and memory over time: files or standard input, compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};
use burnmark_journal::metrics::{self, Measured};
use burnmark_journal::series::{self, SeriesSet};

use crate::{output, snapshots};

/// How much of an input is looked at to see whether it is a profile.
const PREFIX: u64 = 64 << 10;

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Figures, or memory over time.
    Results,
    /// Samples.
    Profile,
    /// A V8 heap snapshot.
    Snapshot,
    /// It could be folded stacks, which any text can look like.
    Unsure,
}

/// Looks at an input. Standard input can only be read once: it is taken for results.
pub(crate) fn kind(path: &Path) -> anyhow::Result<Kind> {
    if output::is_stdout(path) {
        return Ok(Kind::Results);
    }
    if snapshots::is_snapshot(path)? {
        return Ok(Kind::Snapshot);
    }
    if path.extension().is_some_and(|extension| extension == "heapsnapshot") {
        return Ok(Kind::Snapshot);
    }
    let mut prefix = Vec::new();
    // Whoever reads it next says what is wrong with it.
    if reader(path)?.take(PREFIX).read_to_end(&mut prefix).is_err() {
        return Ok(Kind::Results);
    }
    Ok(match burnmark_formats::detect(&prefix) {
        _ if prefix.starts_with(b"PERFILE2") => Kind::Profile,
        Ok(burnmark_formats::Format::Folded) => Kind::Unsure,
        Ok(_) => Kind::Profile,
        Err(_) => Kind::Results,
    })
}

/// What the path is called in messages.
pub(crate) fn name(path: &Path) -> String {
    if output::is_stdout(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// The bytes with compression taken off.
fn reader(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    let source: Box<dyn Read> = if output::is_stdout(path) {
        Box::new(io::stdin())
    } else {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            bail!("{} is a directory: name a file in it", path.display());
        }
        Box::new(file)
    };
    let mut source = BufReader::with_capacity(128 << 10, source);
    let start = source.fill_buf().with_context(|| format!("cannot read {}", name(path)))?;
    Ok(if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(source)))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(BufReader::new(zstd::stream::read::Decoder::with_buffer(source)?))
    } else {
        Box::new(source)
    })
}

/// Reads the figures of one run or of each of a list, with their names, and prints warnings.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<(String, Measured)>> {
    let runs = metrics::read_runs(reader(path)?).with_context(|| format!("cannot read {}", name(path)))?;
    let several = runs.len() > 1;
    let named = |(index, run)| {
        let number = if several { format!(" [{}]", index + 1) } else { String::new() };
        (name(path) + &number, run)
    };
    let runs: Vec<(String, Measured)> = runs.into_iter().enumerate().map(named).collect();
    runs.iter().for_each(|(name, run)| output::print_warnings(name, &run.warnings));
    Ok(runs)
}

/// Reads memory over time, and prints warnings.
pub(crate) fn read_series(path: &Path, every: Option<f64>) -> anyhow::Result<SeriesSet> {
    let set = series::read(reader(path)?, every).with_context(|| format!("cannot read {}", name(path)))?;
    output::print_warnings(&name(path), &set.warnings);
    Ok(set)
}
