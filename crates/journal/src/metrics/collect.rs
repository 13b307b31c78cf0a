//! Putting figures together.

use std::collections::HashSet;

use burnmark_model::{Position, Warning};

use super::{Measured, Source, Threshold};
use crate::{Direction, Metric};

/// The most figures of a file: some tools make one for every URL.
const MOST_METRICS: usize = 20_000;

/// The longest name: URLs can have any length.
const LONGEST_NAME: usize = 300;

/// The most different warnings of a file.
const MOST_WARNINGS: usize = 100;

/// What has been read so far.
pub(super) struct Collect {
    measured: Measured,
    names: HashSet<String>,
    left_out: usize,
}

/// A statistic of times or sizes: the part of the name, and the value.
pub(super) type Statistic<'a> = (&'a str, Option<f64>);

impl Collect {
    pub(super) fn new(source: Source) -> Self {
        let measured =
            Measured { source, metrics: Vec::new(), thresholds: Vec::new(), notes: Vec::new(), warnings: Vec::new() };
        Self { measured, names: HashSet::new(), left_out: 0 }
    }

    /// Adds a figure. What is no finite number, or made of nothing, is not one; of two with one name the first stays.
    pub(super) fn push(&mut self, mut metric: Metric) {
        if !metric.value.is_finite() || metric.n == Some(0) {
            return;
        }
        if metric.value < 0.0 && !may_be_negative(&metric.name) {
            self.warn(format!("{} is negative: it is left out", metric.name), None);
            return;
        }
        if metric.name.len() > LONGEST_NAME {
            let end = (0..=LONGEST_NAME).rev().find(|end| metric.name.is_char_boundary(*end)).unwrap_or(0);
            metric.name.truncate(end);
            metric.name.push('…');
        }
        if self.measured.metrics.len() >= MOST_METRICS {
            self.left_out += 1;
        } else if self.names.insert(metric.name.clone()) {
            self.measured.metrics.push(metric);
        } else {
            self.warn(format!("{} is there twice: the first is taken", metric.name), None);
        }
    }

    /// Adds a plain figure, if it was measured.
    pub(super) fn add(&mut self, name: &str, unit: &str, direction: Direction, value: Option<f64>) {
        if let Some(value) = value {
            self.push(Metric::new(name, unit, direction, value));
        }
    }

    /// Adds statistics of one thing that is better when smaller: `p95` of `latency_ms` with a label becomes
    /// `p95_latency_ms{label}`. `scale` brings values into `unit`. The mean carries the percentiles.
    pub(super) fn statistics(
        &mut self,
        (what, unit, scale): (&str, &str, f64),
        label: &str,
        n: Option<u64>,
        statistics: &[Statistic<'_>],
    ) {
        let of = |name: &str| {
            let found = statistics.iter().find(|(statistic, _)| *statistic == name);
            found.and_then(|(_, value)| *value).filter(|value| value.is_finite()).map(|value| value * scale)
        };
        for (statistic, value) in statistics {
            let Some(value) = value else { continue };
            let name = format!("{statistic}_{what}{}", braced(label));
            let mut metric = Metric { n, ..Metric::new(name, unit, Direction::Lower, value * scale) };
            if *statistic == "mean" {
                (metric.p50, metric.p95, metric.p99) = (of("p50"), of("p95"), of("p99"));
            }
            self.push(metric);
        }
    }

    /// How many figures there are.
    pub(super) fn len(&self) -> usize {
        self.measured.metrics.len()
    }

    /// Gives the figures from the `from`-th on, named `STATISTIC_…`, their intervals by statistic.
    pub(super) fn set_intervals(&mut self, from: usize, intervals: &[(String, [f64; 2])]) {
        for metric in self.measured.metrics.iter_mut().skip(from) {
            let of = |(statistic, _): &&(String, [f64; 2])| {
                metric.name.strip_prefix(statistic.as_str()).is_some_and(|rest| rest.starts_with('_'))
            };
            // `p99` begins `p99_9` as well: the longest name is meant.
            let found = intervals.iter().filter(of).max_by_key(|(statistic, _)| statistic.len());
            metric.ci = found.map(|(_, interval)| *interval);
        }
    }

    pub(super) fn threshold(&mut self, metric: &str, limit: &str, passed: bool) {
        let (metric, limit) = (metric.to_owned(), limit.to_owned());
        self.measured.thresholds.push(Threshold { metric, limit, passed });
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.measured.notes.push(note.into());
    }

    /// Adds a warning; one that was there before is counted.
    pub(super) fn warn(&mut self, message: String, position: Option<Position>) {
        let warnings = &mut self.measured.warnings;
        if let Some(known) = warnings.iter_mut().find(|warning| warning.message == message) {
            known.count += 1;
        } else if warnings.len() < MOST_WARNINGS {
            warnings.push(Warning { message, position, count: 1 });
        }
    }

    pub(super) fn finish(mut self) -> Measured {
        if self.left_out > 0 {
            let message = format!("{} figures beyond the first {MOST_METRICS} are left out", self.left_out);
            self.warn(message, None);
        }
        self.measured
    }
}

/// Times, sizes, rates and counts have no less than nothing; what changes has, and what a script measures of its own may.
fn may_be_negative(name: &str) -> bool {
    let base = name.split('{').next().unwrap_or_default();
    let is_ours = ["latency_ms", "_time_ms", "session_ms", "iteration_ms", "_mb", "_rps", "_pct", "errors", "requests"];
    ["slope", "growth"].iter().any(|word| base.contains(word)) || !is_ours.iter().any(|end| base.ends_with(end))
}

/// The label's part of a name.
pub(super) fn braced(label: &str) -> String {
    if label.is_empty() { String::new() } else { format!("{{{label}}}") }
}
