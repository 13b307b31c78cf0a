//! k6's summaries, of three layouts, and what its metrics mean.
//!
//! - `--summary-export`: values lie beside the thresholds, and a threshold's `true` means that it *failed*.
//! - `handleSummary(data)`: values lie in `values`, and a threshold has `ok`.
//! - the machine-readable summary with a schema version: metrics are a list.

use serde_json::{Map, Value};

use super::collect::Collect;
use super::json::{number, short};
use super::{Measured, Source};
use crate::{Direction, Error};

/// What a metric of k6 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Rate,
    Trend,
}

impl Kind {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "rate" => Self::Rate,
            "trend" => Self::Trend,
            _ => return None,
        })
    }

    /// By the values that are there, where no type is written.
    fn from_values(values: &Map<String, Value>) -> Option<Self> {
        let has = |key: &str| values.contains_key(key);
        if has("passes") && has("fails") {
            Some(Self::Rate)
        } else if has("count") && !has("avg") && !has("med") {
            Some(Self::Counter)
        } else if has("avg") || has("med") || values.keys().any(|key| key.starts_with("p(")) {
            Some(Self::Trend)
        } else if has("value") {
            Some(Self::Gauge)
        } else {
            None
        }
    }
}

/// What its values are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contains {
    Time,
    Data,
    Default,
}

impl Contains {
    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "time" => Self::Time,
            "data" => Self::Data,
            _ => Self::Default,
        }
    }

    /// Of k6's own metrics, where it is not written.
    fn of_builtin(name: &str) -> Self {
        let times = ["http_req_", "browser_web_vital_", "browser_http_req_"];
        let is_time = matches!(name, "iteration_duration" | "group_duration" | "ws_connecting" | "ws_session_duration")
            || matches!(name, "ws_ping" | "grpc_req_duration")
            || times.iter().any(|prefix| name.starts_with(prefix));
        match name {
            "data_sent" | "data_received" => Self::Data,
            _ if is_time => Self::Time,
            _ => Self::Default,
        }
    }
}

/// Statistics of a metric, by our names.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Of a trend: `mean`, `p95`, … with values.
    pub(super) trend: Vec<(String, f64)>,
    /// Of a trend or rate: how many values.
    pub(super) n: Option<u64>,
    /// Of a counter.
    pub(super) count: Option<f64>,
    /// Of a counter, per second.
    pub(super) per_second: Option<f64>,
    /// Of a rate, as a fraction; of a gauge its last value.
    pub(super) value: Option<f64>,
    /// Of a rate: how often it was true.
    pub(super) matches: Option<f64>,
    /// Of a gauge.
    pub(super) most: Option<f64>,
}

/// Adds the figures of a metric. `name` may have tags behind it: `http_req_duration{status:200}`.
pub(super) fn add(collect: &mut Collect, name: &str, kind: Kind, contains: Contains, figures: &Figures) {
    let (base, tags) = match name.split_once('{') {
        Some((base, tags)) => (base, tags.trim_end_matches('}')),
        None => (name, ""),
    };
    match kind {
        Kind::Trend => {
            let what = match (base, contains) {
                ("http_req_duration", _) => "latency_ms".to_owned(),
                ("iteration_duration", _) => "iteration_ms".to_owned(),
                (_, Contains::Time) if !base.ends_with("_ms") => format!("{base}_ms"),
                _ => base.to_owned(),
            };
            let unit = if contains == Contains::Time || what.ends_with("_ms") { "ms" } else { "" };
            let statistics: Vec<_> = figures.trend.iter().map(|(name, value)| (name.as_str(), Some(*value))).collect();
            collect.statistics((&what, unit, 1.0), tags, figures.n, &statistics);
        }
        Kind::Counter => counter(collect, base, tags, contains, figures),
        Kind::Rate => {
            let (what, direction) = match base {
                "http_req_failed" => ("error_rate_pct".to_owned(), Direction::Lower),
                "checks" => ("checks_passed_pct".to_owned(), Direction::Higher),
                _ => (format!("{base}_pct"), direction(base, Direction::Higher)),
            };
            let label = super::collect::braced(tags);
            if figures.n != Some(0) {
                collect.add(&(what + &label), "%", direction, figures.value.map(|value| value * 100.0));
            }
            if base == "http_req_failed" {
                collect.add(&format!("errors{label}"), "", Direction::Lower, figures.matches);
            }
        }
        // How many users there were is the load, not a result.
        Kind::Gauge if matches!(base, "vus" | "vus_max") => {}
        Kind::Gauge => {
            let label = super::collect::braced(tags);
            collect.add(&format!("{base}{label}"), "", direction(base, Direction::Lower), figures.value);
            collect.add(&format!("max_{base}{label}"), "", direction(base, Direction::Lower), figures.most);
        }
    }
}

fn counter(collect: &mut Collect, base: &str, tags: &str, contains: Contains, figures: &Figures) {
    let label = super::collect::braced(tags);
    let (count, rate) = match base {
        "http_reqs" => ("requests".to_owned(), "throughput_rps".to_owned()),
        "data_received" => ("received_mb".to_owned(), "received_mb_per_s".to_owned()),
        "data_sent" => ("sent_mb".to_owned(), "sent_mb_per_s".to_owned()),
        // Bytes are counted in megabytes, which the name says.
        _ if contains == Contains::Data => (format!("{base}_mb"), format!("{base}_mb_per_s")),
        _ => (base.to_owned(), format!("{base}_per_s")),
    };
    let scale = if contains == Contains::Data { 1e-6 } else { 1.0 };
    let (unit, rate_unit) = match (base, contains) {
        ("http_reqs", _) => ("", "rps"),
        (_, Contains::Data) => ("MB", "MB/s"),
        _ => ("", "/s"),
    };
    let direction = direction(base, Direction::Higher);
    collect.add(&(count + &label), unit, direction, figures.count.map(|count| count * scale));
    collect.add(&(rate + &label), rate_unit, direction, figures.per_second.map(|rate| rate * scale));
}

/// Which way a metric of the script's own is better: by what its name says.
fn direction(name: &str, otherwise: Direction) -> Direction {
    let bad = ["fail", "error", "timeout", "dropped", "reject", "retries", "latency", "duration"];
    if bad.iter().any(|word| name.contains(word)) { Direction::Lower } else { otherwise }
}

/// Our name of a statistic of k6: `p(99.9)` is `p99_9`.
pub(super) fn statistic(name: &str) -> Option<String> {
    Some(match name {
        "avg" => "mean".to_owned(),
        "med" => "p50".to_owned(),
        "min" | "max" => name.to_owned(),
        _ => {
            let at = name.strip_prefix("p(")?.strip_suffix(')')?;
            at.parse::<f64>().ok().filter(|at| (0.0..=100.0).contains(at))?;
            format!("p{}", at.replace('.', "_"))
        }
    })
}

/// Reads a summary, if it is one.
pub(super) fn read(document: &Value) -> Option<Result<Measured, Error>> {
    if let Some(metrics) = document.get("results").and_then(|results| results.get("metrics")) {
        return Some(listed(document, metrics.as_array()?));
    }
    let metrics = document.get("metrics")?.as_object()?;
    let is_k6 = ["http_reqs", "iterations", "vus", "data_sent", "http_req_duration"];
    if document.get("root_group").is_none() && !is_k6.iter().any(|name| metrics.contains_key(*name)) {
        return None;
    }
    let is_data = document.get("state").is_some()
        || metrics.values().any(|metric| metric.get("values").is_some_and(Value::is_object));
    Some(Ok(keyed(metrics, is_data)))
}

/// The layouts where metrics are keys.
fn keyed(metrics: &Map<String, Value>, is_data: bool) -> Measured {
    let mut collect = Collect::new(if is_data { Source::K6HandleSummary } else { Source::K6SummaryExport });
    for (name, metric) in metrics {
        let values = if is_data { metric.get("values") } else { Some(metric) };
        let Some(values) = values.and_then(Value::as_object) else {
            collect.warn(format!("the metric {} has no values: it is left out", short(name)), None);
            continue;
        };
        let kind = metric.get("type").and_then(Value::as_str).and_then(Kind::from_name);
        let Some(kind) = kind.or_else(|| Kind::from_values(values)) else {
            collect.warn(format!("the metric {} is of no kind that is known: it is left out", short(name)), None);
            continue;
        };
        let base = name.split('{').next().unwrap_or_default();
        let contains = metric.get("contains").and_then(Value::as_str);
        let contains = contains.map_or_else(|| Contains::of_builtin(base), Contains::from_name);
        let mut figures = figures(values, kind, None);
        figures.n = figures.n.or_else(|| observations(metrics, name, is_data));
        add(&mut collect, name, kind, contains, &figures);
        thresholds(&mut collect, name, metric, is_data);
    }
    if !is_data {
        collect.note("in this export a threshold's `true` means that it failed: it is read that way");
    }
    if !metrics.keys().any(|name| name.starts_with("http_req_duration")) {
        collect.note("no HTTP requests were made");
    }
    collect.finish()
}

/// How many values a trend of k6's own has, which these layouts say elsewhere: one a request, or one an iteration.
fn observations(metrics: &Map<String, Value>, name: &str, is_data: bool) -> Option<u64> {
    let counter = match name {
        "iteration_duration" => "iterations",
        _ if name.starts_with("http_req_") && !name.contains('{') && name != "http_req_failed" => "http_reqs",
        _ => return None,
    };
    let counter = metrics.get(counter)?;
    let count = number(counter, if is_data { &["values", "count"] } else { &["count"] })?;
    (count > 0.0).then_some(count as u64)
}

fn thresholds(collect: &mut Collect, name: &str, metric: &Value, is_data: bool) {
    for (limit, result) in metric.get("thresholds").and_then(Value::as_object).into_iter().flatten() {
        let passed = match (result, is_data) {
            // `--summary-export` writes whether the limit was crossed.
            (Value::Bool(failed), false) => Some(!failed),
            (Value::Bool(_), true) => None,
            (result, _) => result.get("ok").and_then(Value::as_bool),
        };
        match passed {
            Some(passed) => collect.threshold(name, limit, passed),
            None => collect.warn(format!("the threshold {} of {} is not understood", short(limit), short(name)), None),
        }
    }
}

fn figures(values: &Map<String, Value>, kind: Kind, seconds: Option<f64>) -> Figures {
    let of = |key: &str| values.get(key).and_then(Value::as_f64).filter(|value| value.is_finite());
    match kind {
        Kind::Trend => {
            let count = of("count").filter(|count| *count >= 0.0).map(|count| count as u64);
            // Without values k6 writes zeros, which are no measurement.
            let nothing = count == Some(0)
                || count.is_none() && values.values().filter_map(Value::as_f64).all(|value| value == 0.0);
            let known = values.keys().filter_map(|key| Some((statistic(key)?, of(key)?)));
            Figures { trend: if nothing { Vec::new() } else { known.collect() }, n: count, ..Figures::default() }
        }
        Kind::Counter => {
            let count = of("count");
            let per_second = of("rate").or_else(|| Some(count? / seconds.filter(|seconds| *seconds > 0.0)?));
            Figures { count, per_second, ..Figures::default() }
        }
        Kind::Rate => {
            let matches = of("passes").or_else(|| of("matches"));
            let total = of("total").or_else(|| Some(of("passes")? + of("fails")?));
            let value = of("rate").or_else(|| of("value"));
            Figures { value, matches, n: total.map(|total| total.max(0.0) as u64), ..Figures::default() }
        }
        Kind::Gauge => Figures { value: of("value"), most: of("max"), ..Figures::default() },
    }
}

/// The layout with a schema version, where metrics are a list and counters have no rate.
fn listed(document: &Value, metrics: &[Value]) -> Result<Measured, Error> {
    let bad = |what: String| Error::BadResults { source_name: Source::K6Summary.name(), what };
    let version = document.get("version").and_then(Value::as_str).unwrap_or_default();
    if !version.starts_with("1.") {
        return Err(bad(format!("its version is {}: 1.x is understood", short(version))));
    }
    let mut collect = Collect::new(Source::K6Summary);
    let seconds = number(document, &["config", "duration"]);
    let checks = document["results"]["checks"]["metrics"].as_array().into_iter().flatten();
    for metric in metrics.iter().chain(checks.filter(|metric| metric["type"] == "rate")) {
        let name = metric.get("name").and_then(Value::as_str).unwrap_or_default();
        let kind = metric.get("type").and_then(Value::as_str).and_then(Kind::from_name);
        let (Some(kind), Some(values)) = (kind, metric.get("values").and_then(Value::as_object)) else {
            collect.warn(format!("the metric {} has no known type or no values: it is left out", short(name)), None);
            continue;
        };
        // It divides the checks into those that passed and those that failed.
        let name = if name == "checks_succeeded" { "checks" } else { name };
        if name == "checks_failed" {
            continue;
        }
        let contains = Contains::from_name(metric["contains"].as_str().unwrap_or_default());
        add(&mut collect, name, kind, contains, &figures(values, kind, seconds));
        thresholds(&mut collect, name, metric, true);
    }
    Ok(collect.finish())
}
