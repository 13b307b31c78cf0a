//! What the reader has to say besides the profile: damage, and the comment lines of `perf script --header`.

use std::collections::BTreeMap;

use burnmark_model::{Meta, Position, Warning};

/// Kinds of damage, and of things left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    Odd,
    OtherField,
    NotUtf8,
    PeriodOutOfRange,
    TimeOutOfRange,
    NoHeader,
    CutOff,
    ManyEvents,
}

impl Trouble {
    fn message(self) -> &'static str {
        match self {
            Self::Odd => "lines that are no part of perf script's output were left out",
            Self::OtherField => "branch stacks, registers and other fields are not read",
            Self::NotUtf8 => "names that are not UTF-8 are shown with replacement characters",
            Self::PeriodOutOfRange => "periods that are negative, or make a sum beyond 2^63, were taken as 0",
            Self::TimeOutOfRange => "times beyond 2^63 nanoseconds were left out",
            Self::NoHeader => {
                "frames without the header of their sample were left out: the text may have been cut at its start"
            }
            Self::ManyEvents => {
                "there are too many events: samples of the last ones were taken together as `other events`"
            }
            Self::CutOff => "the text ends in the middle of a frame, which was left out: it may not be complete",
        }
    }
}

/// Troubles with how often and where first they were met. Line numbers count from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Troubles(BTreeMap<Trouble, (u64, Option<u64>)>);

impl Troubles {
    pub(super) fn add(&mut self, trouble: Trouble, line: u64) {
        self.add_many(trouble, 1, Some(line));
    }

    pub(super) fn add_many(&mut self, trouble: Trouble, count: u64, line: Option<u64>) {
        let entry = self.0.entry(trouble).or_insert((0, line));
        entry.0 += count;
        entry.1 = entry.1.min(line);
    }

    /// Adds troubles whose lines were counted from behind `lines_before`.
    pub(super) fn append(&mut self, other: &Self, lines_before: u64) {
        for (trouble, (count, line)) in &other.0 {
            self.add_many(*trouble, *count, line.map(|line| line + lines_before));
        }
    }

    pub(super) fn into_warnings(self) -> Vec<Warning> {
        let warning = |(trouble, (count, line)): (Trouble, (u64, Option<u64>))| Warning {
            message: trouble.message().to_owned(),
            position: line.map(Position::Line),
            count,
        };
        self.0.into_iter().map(warning).collect()
    }
}

/// Comment lines, the first megabyte of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Comments {
    lines: Vec<Vec<u8>>,
    bytes: usize,
}

impl Comments {
    const MAX_BYTES: usize = 1 << 20;

    pub(super) fn add(&mut self, line: &[u8]) {
        self.bytes = self.bytes.saturating_add(line.len());
        if self.bytes <= Self::MAX_BYTES {
            self.lines.push(line.to_owned());
        }
    }

    pub(super) fn append(&mut self, other: &Self) {
        for line in &other.lines {
            self.add(line);
        }
        self.bytes = self.bytes.max(other.bytes);
    }
}

/// Reads what `perf script --header` tells. Host name, paths and the recorder's own arguments are not kept: profiles get
/// committed.
pub(super) fn read_comments(meta: &mut Meta, comments: &Comments) {
    for comment in &comments.lines {
        let text = String::from_utf8_lossy(comment);
        let Some((key, value)) = text.trim_start_matches('#').split_once(" : ") else { continue };
        let (key, value) = (key.trim(), value.trim());
        match key {
            "os release" => meta.kernel = Some(value.to_owned()),
            "cpudesc" => meta.cpu = Some(value.to_owned()),
            "perf version" => meta.producer = Some(format!("perf {value}")),
            "cmdline" => meta.command = recorded_command(value),
            "event" => meta.frequency_hz = meta.frequency_hz.or_else(|| frequency(value)),
            "arch" | "captured on" | "nrcpus online" | "nrcpus avail" | "total memory" => {
                meta.other.insert(key.to_owned(), value.to_owned());
            }
            _ => {}
        }
    }
}

/// The name of the program behind perf's `--`: perf joins arguments with blanks, so that is all that can be told apart.
fn recorded_command(perf_command: &str) -> Option<String> {
    let (_, command) = perf_command.split_once(" -- ")?;
    let program = command.split(' ').next()?;
    let name = program.rsplit('/').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// The frequency in `name = cycles, …, { sample_period, sample_freq } = 999, …, freq = 1, …`.
fn frequency(event: &str) -> Option<u64> {
    let (_, rest) = event.split_once("sample_freq } = ")?;
    let digits = rest.split(',').next()?;
    event.contains(", freq = 1").then(|| digits.trim().parse().ok())?
}
