//! locust's CSV files: `PREFIX_stats.csv`, a row per request and one for all; `PREFIX_stats_history.csv`, rows over
//! time.

use std::io::BufRead;

use burnmark_model::Position;

use super::collect::{Collect, braced};
use super::csv::cells;
use super::lines::Line;
use super::{Lines, Measured, Source};
use crate::{Direction, Error};

/// Whether the header is one of locust's.
pub(super) fn sniff(start: &[u8]) -> bool {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let header = String::from_utf8_lossy(line);
    header.contains("Type") && header.contains("Name") && header.contains("Requests/s")
        || header.starts_with("\"Method\"") && header.contains("\"# requests\"")
}

/// The columns of a row.
struct Row<'a> {
    header: &'a [String],
    cells: &'a [String],
}

impl Row<'_> {
    fn text(&self, name: &str) -> &str {
        let at = self.header.iter().position(|column| column == name);
        at.and_then(|at| self.cells.get(at)).map_or("", |cell| cell.trim())
    }

    /// A number; `N/A`, which locust writes where nothing was measured, is none.
    fn number(&self, name: &str) -> Option<f64> {
        self.text(name).parse::<f64>().ok().filter(|number| number.is_finite())
    }

    /// What request it is of; empty for all together.
    fn label(&self) -> Option<String> {
        let (kind, name) = (self.text("Type"), self.text("Name"));
        match name {
            "" => None,
            "Aggregated" | "Total" if kind.is_empty() || kind == "None" => Some(String::new()),
            _ if kind.is_empty() => Some(name.to_owned()),
            _ => Some(format!("{kind} {name}")),
        }
    }
}

/// Reads either file.
pub(super) fn read<R: BufRead>(mut lines: Lines<R>) -> Result<Measured, Error> {
    let header = match lines.next()? {
        Some(Line::Whole(line)) => cells(&String::from_utf8_lossy(line), ','),
        _ => return Err(Error::Empty),
    };
    let is_history = header.iter().any(|column| column == "Timestamp");
    let source = if is_history { Source::LocustHistory } else { Source::LocustStats };
    let needed = if is_history { "Total Request Count" } else { "Request Count" };
    if !header.iter().any(|column| column == needed) {
        let what = format!("it has no column {needed:?}: files of locust 1.0 and later are understood");
        return Err(Error::BadResults { source_name: source.name(), what });
    }
    let mut collect = Collect::new(source);
    let mut history = History::default();
    while let Some(line) = lines.next()? {
        let line = match line {
            Line::Whole(line) => String::from_utf8_lossy(line).into_owned(),
            Line::Cut(_) => String::new(),
        };
        let position = Some(Position::Line(lines.number));
        if line.trim().is_empty() {
            continue;
        }
        let cells = cells(&line, ',');
        let row = Row { header: &header, cells: &cells };
        if cells.len() != header.len() {
            let what = "a row has another number of columns than the header: it is left out";
            collect.warn(what.to_owned(), position);
        } else if is_history {
            history.take(&row);
        } else if let Some(label) = row.label() {
            stats(&mut collect, &row, &label);
        } else {
            collect.warn("a row has no name: it is left out".to_owned(), position);
        }
    }
    if is_history {
        history.finish(&mut collect);
    }
    let measured = collect.finish();
    if measured.metrics.is_empty() {
        let what = "it has no row with a request that was answered".to_owned();
        return Err(Error::BadResults { source_name: source.name(), what });
    }
    Ok(measured)
}

fn stats(collect: &mut Collect, row: &Row<'_>, label: &str) {
    let requests = row.number("Request Count").filter(|requests| *requests >= 0.0);
    if requests.is_some_and(|requests| requests > 0.0) {
        let statistics = [
            ("mean", row.number("Average Response Time")),
            ("min", row.number("Min Response Time")),
            ("p50", row.number("Median Response Time")),
            ("p75", row.number("75%")),
            ("p90", row.number("90%")),
            ("p95", row.number("95%")),
            ("p98", row.number("98%")),
            ("p99", row.number("99%")),
            ("p99_9", row.number("99.9%")),
            ("max", row.number("Max Response Time")),
        ];
        collect.statistics(("latency_ms", "ms", 1.0), label, requests.map(|requests| requests as u64), &statistics);
    }
    let label = braced(label);
    let mut add = |name: &str, unit, direction, value| collect.add(&format!("{name}{label}"), unit, direction, value);
    add("throughput_rps", "rps", Direction::Higher, row.number("Requests/s"));
    add("requests", "", Direction::Higher, requests);
    let failures = row.number("Failure Count");
    add("errors", "", Direction::Lower, failures);
    let rate = requests.filter(|requests| *requests > 0.0).and_then(|requests| Some(failures? / requests * 100.0));
    add("error_rate_pct", "%", Direction::Lower, rate);
}

/// The rows of all requests together over time.
#[derive(Default)]
struct History {
    first: Option<(f64, f64)>,
    last: Vec<(&'static str, Option<f64>)>,
    end: Option<(f64, f64)>,
    windows: Vec<(&'static str, Vec<f64>)>,
}

/// A row a second for two months: more is not kept.
const MOST_WINDOWS: usize = 5_000_000;

impl History {
    fn take(&mut self, row: &Row<'_>) {
        if row.label().as_deref() != Some("") {
            return;
        }
        let (Some(time), Some(requests)) = (row.number("Timestamp"), row.number("Total Request Count")) else { return };
        if requests <= 0.0 {
            // Nothing was measured yet: the zeros of such a row are none.
            self.first.get_or_insert((time, requests));
            return;
        }
        self.first.get_or_insert((time, requests));
        self.end = Some((time, requests));
        self.last = vec![
            ("mean", row.number("Total Average Response Time")),
            ("min", row.number("Total Min Response Time")),
            ("p50", row.number("Total Median Response Time")),
            ("max", row.number("Total Max Response Time")),
            ("failures", row.number("Total Failure Count")),
        ];
        if self.windows.is_empty() {
            self.windows = vec![("95%", Vec::new()), ("99%", Vec::new())];
        }
        for (column, values) in &mut self.windows {
            values.extend(row.number(column));
            values.truncate(MOST_WINDOWS);
        }
    }

    fn finish(self, collect: &mut Collect) {
        let Some((end, requests)) = self.end else { return };
        let statistics: Vec<_> = self.last.iter().filter(|(name, _)| *name != "failures").copied().collect();
        collect.statistics(("latency_ms", "ms", 1.0), "", Some(requests as u64), &statistics);
        for ((_, mut values), name) in self.windows.into_iter().zip(["p95", "p99"]) {
            values.sort_unstable_by(f64::total_cmp);
            let median = values.get(values.len() / 2).copied();
            collect.add(&format!("window_{name}_latency_ms"), "ms", Direction::Lower, median);
            collect.add(&format!("worst_window_{name}_latency_ms"), "ms", Direction::Lower, values.last().copied());
        }
        let (start, before) = self.first.unwrap_or((end, requests));
        let rate = (end > start).then(|| (requests - before) / (end - start));
        collect.add("throughput_rps", "rps", Direction::Higher, rate);
        collect.add("requests", "", Direction::Higher, Some(requests));
        let failures = self.last.iter().find(|(name, _)| *name == "failures").and_then(|(_, value)| *value);
        collect.add("errors", "", Direction::Lower, failures);
        collect.add("error_rate_pct", "%", Direction::Lower, failures.map(|failures| failures / requests * 100.0));
        collect.note(
            "percentiles of a history are of windows of ten seconds: the median one and the worst one are given; \
             PREFIX_stats.csv has those of the whole run",
        );
    }
}
