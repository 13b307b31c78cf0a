//! Readers of what load tests and benchmarks write: bytes in, figures with names, units and directions out.
//!
//! The tool is found by content. Units are converted here and nowhere else: latencies and times are milliseconds,
//! memory is megabytes (10⁶ bytes), rates are percent. A `null`, an empty cell, a percentile that the tool does not
//! write are absent: never 0.

mod artillery;
mod autocannon;
mod collect;
mod criterion;
mod csv;
mod heap;
mod hyperfine;
mod json;
mod k6;
mod k6_points;
mod locust;
mod lookup;
mod memory;
mod oha;
mod own;
mod values;

#[cfg(test)]
mod tests;

use std::io::BufRead;

use burnmark_model::Warning;

pub(crate) use csv::{cells as csv_cells, separator as csv_separator};
pub use heap::measured as of_growth;
pub(crate) use lines::Lines;
pub use lookup::{Lookup, find};
pub use memory::measured as of_series;
pub(crate) use values::mean_interval;

use crate::{Error, Metric};

pub(crate) mod lines;

/// The largest document that is read as a whole.
pub(crate) const LARGEST_DOCUMENT: u64 = 64_000_000;

/// What wrote the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// k6's raw points: `k6 run --out json=FILE`.
    K6Points,
    /// `k6 run --summary-export FILE`: a threshold's `true` means that it failed.
    K6SummaryExport,
    /// What k6 hands to `handleSummary(data)`.
    K6HandleSummary,
    /// k6's summary with a schema version, from 1.5 on: `--new-machine-readable-summary`.
    K6Summary,
    /// `artillery run -o FILE` of version 1.
    Artillery1,
    /// `artillery run -o FILE` of version 2.
    Artillery2,
    /// locust's `PREFIX_stats.csv`.
    LocustStats,
    /// locust's `PREFIX_stats_history.csv`.
    LocustHistory,
    /// `autocannon --json`.
    Autocannon,
    /// `hyperfine --export-json FILE`.
    Hyperfine,
    /// `oha --output-format json`.
    Oha,
    /// criterion's `estimates.json`.
    Criterion,
    /// Lines of `process.memoryUsage()`.
    MemoryUsage,
    /// Memory over time as CSV.
    MemoryCsv,
    /// memory_profiler's `mprofile_….dat`.
    Mprof,
    /// `burnmark metrics --json`.
    Burnmark,
    /// V8 heap snapshots.
    HeapSnapshots,
    /// A running process, watched.
    Process,
    /// Somebody's word.
    Given,
    /// Profiles: what an operation cost.
    Profiles,
}

impl Source {
    /// The name that tables and JSON have.
    pub fn name(self) -> &'static str {
        match self {
            Self::K6Points => "k6 points",
            Self::K6SummaryExport => "k6 summary export",
            Self::K6HandleSummary => "k6 handleSummary data",
            Self::K6Summary => "k6 summary",
            Self::Artillery1 => "artillery 1",
            Self::Artillery2 => "artillery 2",
            Self::LocustStats => "locust stats",
            Self::LocustHistory => "locust stats history",
            Self::Autocannon => "autocannon",
            Self::Hyperfine => "hyperfine",
            Self::Oha => "oha",
            Self::Criterion => "criterion estimates",
            Self::MemoryUsage => "process.memoryUsage()",
            Self::MemoryCsv => "memory CSV",
            Self::Mprof => "mprof",
            Self::Burnmark => "burnmark metrics",
            Self::HeapSnapshots => "heap snapshots",
            Self::Process => "process",
            Self::Given => "given figures",
            Self::Profiles => "profiles",
        }
    }
}

/// What is read, for messages.
pub(crate) fn known() -> &'static str {
    "k6 (--out json, --summary-export, handleSummary), artillery, locust (_stats.csv, _stats_history.csv), autocannon \
     --json, hyperfine --export-json, oha, criterion's estimates.json, process.memoryUsage() lines, CSV of memory over \
     time, mprof's .dat, burnmark metrics --json"
}

/// A limit that the tool itself was given, and what it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    /// The tool's name of the metric.
    pub metric: String,
    /// The limit as the tool writes it: `p(95)<200`.
    pub limit: String,
    /// Whether it was kept.
    pub passed: bool,
}

/// What a file of results says.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// What wrote it.
    pub source: Source,
    /// The figures. Names are distinct.
    pub metrics: Vec<Metric>,
    /// The tool's own limits.
    pub thresholds: Vec<Threshold>,
    /// What a reader of the figures should know: what they are of, what the tool does not measure.
    pub notes: Vec<String>,
    /// What was wrong with the input and did not prevent reading the rest.
    pub warnings: Vec<Warning>,
}

impl Measured {
    /// The figure of this name, in the unit that the name ends in.
    pub fn find(&self, name: &str) -> Lookup {
        find(&self.metrics, name)
    }
}

/// Reads results. Lists of lines (k6's points, CSV, memory lines) are read line by line in bounded memory; documents of
/// up to 64 MB as a whole.
///
/// ```
/// let results = br#"{"results": [{"command": "sleep 1", "mean": 1.5, "times": [1.4, 1.6]}]}"#;
/// let measured = burnmark_journal::metrics::read(&results[..]).unwrap();
/// assert_eq!(measured.metrics[0].name, "mean_time_ms");
/// assert_eq!(measured.metrics[0].value, 1500.0);
/// ```
///
/// # Errors
/// When the input can't be read, or is no layout that is known.
pub fn read(input: impl BufRead) -> Result<Measured, Error> {
    let mut runs = read_runs(input)?;
    match (runs.pop(), runs.len()) {
        (Some(run), 0) => Ok(run),
        (_, others) => {
            let what = format!("it is a list of {} runs: give one of them", others + 1);
            Err(Error::BadResults { source_name: Source::Burnmark.name(), what })
        }
    }
}

/// Reads results of one run, or of all runs of the list that `burnmark metrics --json` writes of several files.
///
/// # Errors
/// When the input can't be read, or is no layout that is known.
pub fn read_runs(input: impl BufRead) -> Result<Vec<Measured>, Error> {
    let mut lines = Lines::new(input);
    let start = lines.peek()?;
    let first = start.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => Err(Error::Empty),
        Some(b'{') if k6_points::sniff(start) => k6_points::read(lines).map(one),
        Some(b'[') if own::sniff_list(start) => documents(&lines.document()?),
        Some(b'{' | b'[') if !crate::series::sniff_lines(start) => documents(&lines.document()?),
        _ if locust::sniff(start) => locust::read(lines).map(one),
        _ => memory::read(lines).map(one),
    }
}

fn one(measured: Measured) -> Vec<Measured> {
    vec![measured]
}

/// A JSON document as a whole: of one run, or our own list of several.
fn documents(bytes: &[u8]) -> Result<Vec<Measured>, Error> {
    let json::Document(value) = serde_json::from_slice(bytes).map_err(|error| Error::UnknownResults {
        seen: match error.classify() {
            serde_json::error::Category::Data => error.to_string(),
            _ => format!("it begins like JSON, but is none: {error}; a run that was cut off leaves such files"),
        },
    })?;
    match own::list(&value) {
        Some(runs) => runs.iter().map(document).collect(),
        None => document(&value).map(one),
    }
}

fn document(value: &serde_json::Value) -> Result<Measured, Error> {
    let sniffed = [k6::read, artillery::read, autocannon::read, hyperfine::read, oha::read, criterion::read, own::read];
    for reader in sniffed {
        if let Some(read) = reader(value) {
            let measured = read?;
            if measured.metrics.is_empty() {
                let what = "nothing was measured in it: did any request or run succeed?".to_owned();
                return Err(Error::BadResults { source_name: measured.source.name(), what });
            }
            return Ok(measured);
        }
    }
    Err(Error::UnknownResults { seen: json::seen(value) })
}
