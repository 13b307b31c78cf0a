//! k6's raw points (`--out json`): a line is a metric's declaration or one of its values.

use std::collections::BTreeMap;
use std::io::BufRead;

use burnmark_model::Position;
use serde::Deserialize;

use super::collect::Collect;
use super::k6::{Contains, Figures, Kind, add};
use super::lines::Line;
use super::values::Values;
use super::{Lines, Measured, Source};
use crate::Error;
use crate::series::timestamp;

/// The most metrics: a script may make one per request by mistake.
const MOST_METRICS: usize = 2_000;

/// Percentiles that are taken of raw values.
const PERCENTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99_9", 0.999)];

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    metric: String,
    data: Data,
}

#[derive(Deserialize, Default)]
struct Data {
    #[serde(rename = "type")]
    kind: Option<String>,
    contains: Option<String>,
    time: Option<String>,
    value: Option<f64>,
}

/// A metric over the run.
struct Metric {
    kind: Option<Kind>,
    contains: Contains,
    values: Values,
    last: Option<(f64, f64)>,
}

/// Whether the first line is one of k6's.
pub(super) fn sniff(start: &[u8]) -> bool {
    let line = start.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let has = |part: &[u8]| line.windows(part.len()).any(|window| window == part);
    has(b"\"metric\"") && has(b"\"data\"") && (has(b"\"Metric\"") || has(b"\"Point\""))
}

/// Reads all points.
pub(super) fn read<R: BufRead>(mut lines: Lines<R>) -> Result<Measured, Error> {
    let mut collect = Collect::new(Source::K6Points);
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    let mut span: Option<[f64; 2]> = None;
    while let Some(line) = lines.next()? {
        let (line, whole) = match line {
            Line::Whole(line) => (line, true),
            Line::Cut(line) => (line, false),
        };
        if line.trim_ascii().is_empty() {
            continue;
        }
        let entry: Result<Entry, _> = serde_json::from_slice(line);
        let position = Some(Position::Line(lines.number));
        match entry {
            Ok(entry) => {
                if let Err(what) = one(entry, &mut metrics, &mut span) {
                    collect.warn(what.to_owned(), position);
                }
            }
            Err(_) if !whole => collect.warn("a line of more than a megabyte is skipped".to_owned(), position),
            Err(_) => collect.warn("a line is no point of k6's: it is skipped".to_owned(), position),
        }
    }
    let seconds = span.map(|[first, last]| last - first).filter(|seconds| *seconds > 0.0);
    let mut is_exact = true;
    for (name, metric) in &metrics {
        let Some(kind) = metric.kind else {
            collect.warn(format!("points of {name} come without its declaration: they are left out"), None);
            continue;
        };
        if metric.values.count() > 0 {
            is_exact &= metric.values.is_exact();
            add_metric(&mut collect, name, kind, metric, seconds);
        }
    }
    if !is_exact {
        collect.note("of more than a million values percentiles are within 0.1 %");
    }
    if let Some(seconds) = seconds {
        collect.note(format!("rates are over the {seconds:.1} s from the first point to the last"));
    }
    let measured = collect.finish();
    if measured.metrics.is_empty() {
        let bad = |what: String| Err(Error::BadResults { source_name: Source::K6Points.name(), what });
        if !metrics.is_empty() && metrics.values().all(|metric| metric.kind.is_none()) {
            return bad(
                "it has points, but not the lines with \"type\":\"Metric\" that say what they are of: was the \
                        beginning of the file cut off, or filtered by \"Point\"? Give the whole file"
                    .to_owned(),
            );
        }
        let what = "no metric has a value: did the run make any request?".to_owned();
        return bad(what);
    }
    Ok(measured)
}

fn one(entry: Entry, metrics: &mut BTreeMap<String, Metric>, span: &mut Option<[f64; 2]>) -> Result<(), &'static str> {
    let known = metrics.len();
    let metric = match metrics.get_mut(&entry.metric) {
        Some(metric) => metric,
        None if known >= MOST_METRICS => return Err("there are more than 2,000 metrics: the rest is left out"),
        None => metrics.entry(entry.metric.clone()).or_insert_with(|| Metric {
            kind: None,
            contains: Contains::Default,
            values: Values::default(),
            last: None,
        }),
    };
    match entry.kind.as_str() {
        "Metric" => {
            metric.kind = entry.data.kind.as_deref().and_then(Kind::from_name);
            metric.contains = Contains::from_name(entry.data.contains.as_deref().unwrap_or_default());
            Ok(())
        }
        "Point" => {
            let value =
                entry.data.value.filter(|value| value.is_finite()).ok_or("a point has no value: it is left out")?;
            let time = entry.data.time.as_deref().and_then(timestamp).ok_or("a point has no time: it is left out")?;
            let [first, last] = span.get_or_insert([time, time]);
            (*first, *last) = (first.min(time), last.max(time));
            metric.values.push(time, value);
            if metric.last.is_none_or(|(at, _)| at <= time) {
                metric.last = Some((time, value));
            }
            Ok(())
        }
        _ => Err("a line is neither a metric nor a point: it is skipped"),
    }
}

fn add_metric(collect: &mut Collect, name: &str, kind: Kind, metric: &Metric, seconds: Option<f64>) {
    let values = &metric.values;
    let n = values.count();
    let figures = match kind {
        Kind::Trend => {
            let mut trend = Vec::new();
            let range = values.range();
            trend.extend(values.mean().map(|mean| ("mean".to_owned(), mean)));
            trend.extend(range.map(|[least, _]| ("min".to_owned(), least)));
            let percentiles = values.percentiles(&PERCENTILES.map(|(_, at)| at));
            let mut intervals: Vec<(String, [f64; 2])> = Vec::new();
            intervals.extend(values.mean_interval().map(|interval| ("mean".to_owned(), interval)));
            for ((name, _), found) in PERCENTILES.iter().zip(percentiles) {
                let Some((value, interval)) = found else { continue };
                trend.push(((*name).to_owned(), value));
                intervals.extend(interval.map(|interval| ((*name).to_owned(), interval)));
            }
            trend.extend(range.map(|[_, most]| ("max".to_owned(), most)));
            let before = collect.len();
            add(collect, name, kind, metric.contains, &Figures { trend, n: Some(n), ..Figures::default() });
            collect.set_intervals(before, &intervals);
            return;
        }
        Kind::Counter => Figures {
            count: Some(values.sum()),
            per_second: seconds.map(|seconds| values.sum() / seconds),
            ..Figures::default()
        },
        Kind::Rate => Figures { value: values.mean(), matches: Some(values.sum()), n: Some(n), ..Figures::default() },
        Kind::Gauge => Figures {
            value: metric.last.map(|(_, value)| value),
            most: values.range().map(|[_, most]| most),
            ..Figures::default()
        },
    };
    add(collect, name, kind, metric.contains, &figures);
}
