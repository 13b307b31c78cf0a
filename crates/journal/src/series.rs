//! Memory over time: what programs print of themselves, CSV, and what samplers write.

mod time;

use std::collections::BTreeMap;
use std::io::BufRead;

use burnmark_model::{Position, Warning};

use crate::Error;
use crate::metrics::lines::Line;
use crate::metrics::{Lines, Source, csv_cells, csv_separator};
pub(crate) use time::timestamp;
use time::{after_key, epoch};

/// Points of a series that are kept; of more, the lower of two neighbours is.
const MOST_POINTS: usize = 1_000_000;

/// More bytes than this are none: no 64-bit machine can address them.
const MOST_BYTES: f64 = 9_223_372_036_854_775_808.0;

/// How many usual distances of points a time goes back by, where another run begins.
const ANOTHER_RUN: f64 = 10.0;

/// The most series of a file.
const MOST_SERIES: usize = 100;

/// What `process.memoryUsage()` has, and what it is called here.
const NODE_KEYS: [(&str, &str); 5] = [
    ("rss", "rss"),
    ("heapTotal", "heap_total"),
    ("heapUsed", "heap_used"),
    ("external", "external"),
    ("arrayBuffers", "array_buffers"),
];

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Seconds; from when does not matter.
    pub time: f64,
    /// Bytes.
    pub bytes: f64,
}

/// One quantity over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// `rss`, `heap_used`, …, or a column's name in small letters, without its unit.
    pub name: String,
    /// In order of time.
    pub points: Vec<Point>,
    /// The largest value of all, in bytes.
    pub most: f64,
}

impl Series {
    /// A series without points.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), points: Vec::new(), most: 0.0 }
    }

    /// Adds a point. Of more than a million the lower of two neighbours is kept: trends look at low points.
    pub fn push(&mut self, point: Point) {
        if self.points.len() >= MOST_POINTS {
            let lower = |pair: &[Point]| *pair.iter().min_by(|a, b| a.bytes.total_cmp(&b.bytes)).unwrap_or(&pair[0]);
            self.points = self.points.chunks(2).map(lower).collect();
        }
        self.most = self.most.max(point.bytes);
        self.points.push(point);
    }
}

/// What a file of memory over time says.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSet {
    /// What wrote it.
    pub source: Source,
    /// The series, in the order in which the source has them.
    pub series: Vec<Series>,
    /// Whether times are known; if not, they are the points' numbers.
    pub timed: bool,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// What was wrong with the input.
    pub warnings: Vec<Warning>,
}

impl SeriesSet {
    /// The series of this name; without one the one that tells most of leaks: the heap in use, private memory, resident
    /// memory, else the first.
    pub fn choose(&self, name: Option<&str>) -> Option<&Series> {
        let plain = |text: &str| text.to_ascii_lowercase().replace(['_', '-', ' '], "");
        let find = |name: &str| self.series.iter().find(|series| plain(&series.name) == plain(name));
        match name {
            Some(name) => find(name),
            None => ["heap_used", "anon", "rss"].iter().find_map(|name| find(name)).or(self.series.first()),
        }
    }
}

/// Reads memory over time. `every`: seconds between points of an input that has no times.
///
/// ```
/// let lines = b"1000 { rss: 50000000 }\n1060 { rss: 50100000 }\n";
/// let set = burnmark_journal::series::read(&lines[..], None).unwrap();
/// assert_eq!(set.series[0].points[1].time, 1060.0);
/// ```
///
/// # Errors
/// When the input can't be read or holds no memory over time.
pub fn read(input: impl BufRead, every: Option<f64>) -> Result<SeriesSet, Error> {
    read_lines(Lines::new(input), every)
}

pub(crate) fn read_lines<R: BufRead>(mut lines: Lines<R>, every: Option<f64>) -> Result<SeriesSet, Error> {
    let start = lines.peek()?;
    if start.trim_ascii().is_empty() {
        return Err(Error::Empty);
    }
    let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let header = String::from_utf8_lossy(&first[..first.len().min(4 << 10)]).trim_end().to_owned();
    let is_node = sniff_lines(start);
    let mut read = Reading::new(every);
    if header.starts_with("CMDLINE ") || header.starts_with("MEM ") {
        read.mprof(&mut lines)?;
    } else if let Some(columns) = Columns::new(&header) {
        read.csv(&mut lines, &columns)?;
    } else if is_node {
        read.node(&mut lines)?;
    } else {
        return Err(Error::UnknownSeries {
            seen: format!("it begins {:?}", header.chars().take(60).collect::<String>()),
        });
    }
    read.finish()
}

/// Whether text has keys of `process.memoryUsage()` near its beginning.
pub(crate) fn sniff_lines(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&start[..start.len().min(2 << 10)]);
    ["rss", "heapUsed", "heapTotal"].iter().any(|key| after_key(&text, key).is_some())
}

/// Columns of CSV.
struct Columns {
    separator: char,
    time: Option<usize>,
    /// Position, name, bytes of a unit.
    memory: Vec<(usize, String, f64)>,
    /// Names that more than one column has.
    twice: Vec<String>,
    /// The position of process ids.
    pid: Option<usize>,
    width: usize,
    has_kilobytes: bool,
    time_name: String,
}

impl Columns {
    /// `None` if the header has no column of memory.
    fn new(header: &str) -> Option<Self> {
        let separator = csv_separator(header);
        let cells = csv_cells(header, separator);
        if cells.iter().any(|cell| cell.trim().parse::<f64>().is_ok() || cell.contains(['{', '}', '=', ':'])) {
            return None;
        }
        let time = cells.iter().position(|cell| is_time(cell));
        let pid = cells.iter().position(|cell| cell.trim().eq_ignore_ascii_case("pid"));
        let mut memory: Vec<(usize, String, f64)> = Vec::new();
        let mut twice = Vec::new();
        let mut has_kilobytes = false;
        for (at, cell) in cells.iter().enumerate().filter(|(at, _)| Some(*at) != time) {
            if let Some((name, scale)) = memory_column(cell).filter(|_| memory.len() < MOST_SERIES) {
                has_kilobytes |= scale == 1024.0;
                let is_known = |name: &str| memory.iter().any(|(_, known, _)| known == name);
                let other = (2..).map(|number| format!("{name}_{number}")).find(|other| !is_known(other));
                match other.filter(|_| is_known(&name)) {
                    Some(other) => {
                        twice.push(name);
                        memory.push((at, other, scale));
                    }
                    None => memory.push((at, name, scale)),
                }
            }
        }
        let time_name = time.map(|at| cells[at].clone()).unwrap_or_default();
        let is_table = cells.len() > 1 || time.is_none();
        (!memory.is_empty() && is_table).then_some(Self {
            separator,
            time,
            memory,
            twice,
            pid,
            width: cells.len(),
            has_kilobytes,
            time_name,
        })
    }
}

fn is_time(cell: &str) -> bool {
    let name = cell.trim().to_ascii_lowercase();
    let words = ["time", "date", "elapsed", "uptime", "seconds"];
    matches!(name.as_str(), "t" | "ts" | "s" | "sec" | "ms" | "x") || words.iter().any(|word| name.contains(word))
}

/// A column of memory: its name without the unit, and bytes of a unit.
fn memory_column(cell: &str) -> Option<(String, f64)> {
    let name: String = cell
        .trim()
        .chars()
        .flat_map(|char| match char {
            // heapUsed, heap used (MB) and heap_used_mb are one.
            'A'..='Z' => vec!['_', char.to_ascii_lowercase()],
            'a'..='z' | '0'..='9' => vec![char],
            _ => vec!['_'],
        })
        .collect();
    let joined = name
        .replace("_m_b", "_mb")
        .replace("_k_b", "_kb")
        .replace("_g_b", "_gb")
        .replace("_ki_b", "_kib")
        .replace("_mi_b", "_mib")
        .replace("_gi_b", "_gib")
        .replace("_r_s_s", "rss");
    let words: Vec<&str> = joined.split('_').filter(|word| !word.is_empty()).collect();
    let unit = |word: &str| match word {
        "b" | "byte" | "bytes" => Some(1.0),
        // As ps and /proc write them.
        "k" | "kb" | "kib" => Some(1024.0),
        "mb" => Some(1e6),
        "mib" => Some(1_048_576.0),
        "gb" => Some(1e9),
        "gib" => Some(1_073_741_824.0),
        _ => None,
    };
    let is_memory = words.iter().any(|word| {
        ["rss", "heap", "mem", "vms", "pss", "uss", "anon", "external", "buffers", "used"]
            .iter()
            .any(|part| word.starts_with(part))
    });
    let scale = words.last().and_then(|word| unit(word));
    // A lone letter is a unit only of what is memory: `phase_b` counts no bytes.
    let is_letter = matches!(words.last(), Some(&("b" | "k"))) && !cell.contains(['(', '[']);
    if !is_memory && (scale.is_none() || is_letter) || words.iter().any(|word| matches!(*word, "pct" | "percent")) {
        return None;
    }
    let kept: Vec<&str> = words.iter().copied().filter(|word| unit(word).is_none()).collect();
    // A column may be called by its unit alone: `MB`.
    let name = if kept.is_empty() { "memory".to_owned() } else { kept.join("_") };
    Some((name, scale.unwrap_or(1.0)))
}

/// Reading in progress.
struct Reading {
    source: Source,
    every: Option<f64>,
    series: Vec<Series>,
    /// Points with and without a time.
    timed: usize,
    untimed: usize,
    /// The latest time so far, how often it went back, the furthest such step and its line.
    latest: f64,
    backwards: usize,
    furthest: (f64, u64),
    /// The process that wrote the lines, where they tell.
    pid: Option<String>,
    /// What the first cell that is not understood is, where, and what to write instead.
    refused: Option<String>,
    notes: Vec<String>,
    warnings: Vec<Warning>,
}

/// What is gathered of one `process.memoryUsage()`.
#[derive(Default)]
struct Record {
    values: BTreeMap<&'static str, f64>,
    time: Option<f64>,
    open: bool,
}

impl Reading {
    fn new(every: Option<f64>) -> Self {
        let (series, refused, notes, warnings, furthest) = Default::default();
        let (source, latest) = (Source::MemoryUsage, f64::NEG_INFINITY);
        Self {
            source,
            every,
            series,
            timed: 0,
            untimed: 0,
            latest,
            backwards: 0,
            furthest,
            pid: None,
            refused,
            notes,
            warnings,
        }
    }

    fn warn(&mut self, message: &str, line: u64) {
        match self.warnings.iter_mut().find(|warning| warning.message == message) {
            Some(known) => known.count += 1,
            None => {
                let position = Some(Position::Line(line));
                self.warnings.push(Warning { message: message.to_owned(), position, count: 1 });
            }
        }
    }

    /// Keeps what is wrong with the first cell that is not understood.
    fn refuse(&mut self, cell: &str, line: u64, why: &str) {
        let cell = || cell.trim().chars().take(40).collect::<String>();
        self.refused.get_or_insert_with(|| format!("{:?} in line {line} is {why}", cell()));
    }

    /// Takes a note of the process that wrote a line.
    fn process(&mut self, pid: &str, line: u64) -> Result<(), Error> {
        let pid = pid.trim_matches(['"', '\'', ' ']);
        let known = self.pid.get_or_insert_with(|| pid.to_owned());
        if known == pid {
            return Ok(());
        }
        let what = format!(
            "line {line} is of process {pid}, the ones before are of {known}: give each process a file of its own, as \
             `grep` by its id makes it"
        );
        Err(Error::SeveralRuns { what })
    }

    /// Adds what was measured at one time.
    fn add<'a>(&mut self, time: Option<f64>, values: impl Iterator<Item = (&'a str, f64)>, line: u64) {
        let number = self.timed + self.untimed;
        match time {
            Some(time) => {
                self.timed += 1;
                if time < self.latest {
                    self.backwards += 1;
                    if self.latest - time > self.furthest.0 {
                        self.furthest = (self.latest - time, line);
                    }
                }
                // A step back counts once: from there on time may go on.
                self.latest = time;
            }
            None => self.untimed += 1,
        }
        let time = time.unwrap_or(number as f64 * self.every.unwrap_or(1.0));
        for (name, bytes) in values {
            if !(0.0..MOST_BYTES).contains(&bytes) {
                let why = "a value is no number of bytes (negative, not finite, or beyond 2^63): it is left out";
                self.warn(why, line);
                continue;
            }
            let at = self.series.iter().position(|series| series.name == name).unwrap_or_else(|| {
                self.series.push(Series::new(name));
                self.series.len() - 1
            });
            self.series[at].push(Point { time, bytes });
        }
    }

    fn node<R: BufRead>(&mut self, lines: &mut Lines<R>) -> Result<(), Error> {
        self.source = Source::MemoryUsage;
        let mut record = Record::default();
        while let Some(line) = lines.next()? {
            let (Line::Whole(bytes) | Line::Cut(bytes)) = line;
            let text = String::from_utf8_lossy(bytes).into_owned();
            let found: Vec<(&'static str, f64)> =
                NODE_KEYS.iter().filter_map(|(key, name)| Some((*name, quantity(after_key(&text, key)?)?))).collect();
            // A key again: another record begins, though the one before was not closed.
            if found.iter().any(|(name, _)| record.values.contains_key(name)) {
                self.flush(&mut record, lines.number);
            }
            // Other lines of a log may be of others.
            let is_record = record.open || !found.is_empty();
            if let Some(pid) = after_key(&text, "pid").filter(|_| is_record) {
                let pid: String =
                    pid.trim_start_matches(['"', '\'']).chars().take_while(char::is_ascii_digit).collect();
                if !pid.is_empty() {
                    self.process(&pid, lines.number)?;
                }
            }
            record.values.extend(found);
            if let Some(time) = time::of_line(&text) {
                record.time = Some(time);
            }
            match (text.rfind('{'), text.rfind('}')) {
                (Some(open), close) if close.is_none_or(|close| close < open) => record.open = true,
                (_, Some(_)) => record.open = false,
                _ => {}
            }
            if !record.open {
                self.flush(&mut record, lines.number);
            }
        }
        if record.open && !record.values.is_empty() {
            self.warn("the last record is not closed: its values so far are taken", lines.number);
        }
        self.flush(&mut record, lines.number);
        Ok(())
    }

    fn flush(&mut self, record: &mut Record, line: u64) {
        let Record { values, time, .. } = std::mem::take(record);
        if values.is_empty() {
            // A line with a time alone may stand above its record.
            record.time = time;
            return;
        }
        self.add(time, values.into_iter(), line);
    }

    fn csv<R: BufRead>(&mut self, lines: &mut Lines<R>, columns: &Columns) -> Result<(), Error> {
        self.source = Source::MemoryCsv;
        if columns.has_kilobytes {
            self.notes.push("kB are 1,024 bytes, as ps and /proc write them".to_owned());
        }
        for name in &columns.twice {
            self.warn(&format!("several columns are called {name}: the others are {name}_2 and so on here"), 1);
        }
        lines.next()?;
        while let Some(line) = lines.next()? {
            let (Line::Whole(bytes) | Line::Cut(bytes)) = line;
            let text = String::from_utf8_lossy(bytes).into_owned();
            if text.trim().is_empty() {
                continue;
            }
            let cells = csv_cells(&text, columns.separator);
            if cells.len() != columns.width {
                self.warn("a row has another number of columns than the header: it is left out", lines.number);
                continue;
            }
            if let Some(at) = columns.pid {
                self.process(&cells[at], lines.number)?;
            }
            let time = match columns.time {
                Some(at) => {
                    let found = timestamp(cells[at].trim()).or_else(|| epoch(&cells[at], &columns.time_name));
                    if found.is_none() {
                        self.refuse(
                            &cells[at],
                            lines.number,
                            "no time that is understood: write seconds, or \
                                     2026-01-31T12:00:00Z",
                        );
                        self.warn("a row has no time that is understood: it is left out", lines.number);
                        continue;
                    }
                    found
                }
                None => None,
            };
            let values = columns.memory.iter().filter_map(|(at, name, scale)| {
                let bytes = cells[*at].trim().parse::<f64>().ok()?;
                Some((name.as_str(), bytes * scale))
            });
            let values: Vec<_> = values.collect();
            if values.len() < columns.memory.len() {
                let is_refused = |cell: &&String| cell.trim().parse::<f64>().is_err();
                let cell = columns.memory.iter().map(|(at, ..)| &cells[*at]).find(is_refused);
                let cell = cell.map_or("", String::as_str);
                let has_separators = cell.contains([',', '\'', ' ', '_', '.'])
                    && cell.chars().all(|char| char.is_ascii_digit() || ",' _.".contains(char));
                let why = if has_separators { "no number: it has separators, write digits alone" } else { "no number" };
                self.refuse(cell, lines.number, why);
                self.warn("a row has a cell of memory that is no number: the cell is left out", lines.number);
            }
            self.add(time, values.into_iter(), lines.number);
        }
        Ok(())
    }

    fn mprof<R: BufRead>(&mut self, lines: &mut Lines<R>) -> Result<(), Error> {
        self.source = Source::Mprof;
        while let Some(line) = lines.next()? {
            let (Line::Whole(bytes) | Line::Cut(bytes)) = line;
            let text = String::from_utf8_lossy(bytes).into_owned();
            let words: Vec<&str> = text.split_whitespace().collect();
            let number = |at: usize| words.get(at).and_then(|word: &&str| word.parse::<f64>().ok());
            match words.first() {
                Some(&"MEM") => match (number(1), number(2)) {
                    (Some(mib), Some(time)) if time.is_finite() => {
                        self.add(Some(time), std::iter::once(("rss", mib * 1_048_576.0)), lines.number);
                    }
                    _ => self.warn("a line MEM has no size and time: it is left out", lines.number),
                },
                // Children, functions and the command line are another matter.
                Some(&("CHLD" | "FUNC" | "CMDLINE")) | None => {}
                Some(_) => self.warn("a line is not of mprof's: it is left out", lines.number),
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<SeriesSet, Error> {
        self.series.retain(|series| !series.points.is_empty());
        if self.series.is_empty() {
            let seen = self.refused.unwrap_or_else(|| "no line has a number of bytes".to_owned());
            return Err(Error::UnknownSeries { seen });
        }
        let some_timed = self.timed > 0;
        if some_timed && self.untimed > 0 {
            let why = format!(
                "{} of {} points have no time: give all of them one, or none and say --every SECONDS",
                self.untimed,
                self.timed + self.untimed
            );
            return Err(Error::NoTrend { why });
        }
        if some_timed && self.every.is_some() {
            self.notes.push("the input has times of its own: --every is not used".to_owned());
        }
        self.in_order()?;
        for series in &mut self.series {
            series.points.sort_by(|a, b| a.time.total_cmp(&b.time));
        }
        let timed = some_timed || self.every.is_some();
        let Self { source, series, notes, warnings, .. } = self;
        Ok(SeriesSet { source, series, timed, notes, warnings })
    }
}

impl Reading {
    /// Lines may come late, or the newest first. Where time goes far back a few times only, another run begins.
    fn in_order(&mut self) -> Result<(), Error> {
        let times = || self.series.iter().flat_map(|series| &series.points).map(|point| point.time);
        let (least, most) = times().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), time| (a.min(time), b.max(time)));
        let usual = (most - least) / self.timed.max(1) as f64;
        let (back, line) = self.furthest;
        if back > ANOTHER_RUN * usual && self.backwards * ANOTHER_RUN as usize <= self.timed {
            let what = format!(
                "at line {line} time goes back by {back:.0} s: give each run a file of its own, as `head -n {}` and \
                 `tail -n +{line}` make them",
                line - 1
            );
            return Err(Error::SeveralRuns { what });
        }
        if self.backwards > 0 {
            self.notes.push("the lines are not in order of time: they were sorted by it".to_owned());
        }
        Ok(())
    }
}

/// A number at the beginning of a text, in bytes: `45`, `45.2 MB`, `'45 MiB'`.
fn quantity(text: &str) -> Option<f64> {
    let text = text.trim_start_matches(['\'', '"', ' ']);
    let end = text.find(|char: char| !(char.is_ascii_digit() || matches!(char, '.' | '_' | 'e' | 'E' | '+' | '-')));
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    let number: f64 = digits.replace('_', "").parse().ok()?;
    let unit: String = rest.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    let scale = match unit.to_ascii_lowercase().as_str() {
        "kb" => 1e3,
        "kib" => 1024.0,
        "mb" => 1e6,
        "mib" => 1_048_576.0,
        "gb" => 1e9,
        "gib" => 1_073_741_824.0,
        _ => 1.0,
    };
    Some(number * scale)
}

#[cfg(test)]
mod tests;
