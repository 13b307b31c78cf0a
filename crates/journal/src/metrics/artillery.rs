//! artillery's reports. Version 1 has one latency; version 2 has counters, rates and summaries by name.

use serde_json::{Map, Value};

use super::collect::{Collect, Statistic};
use super::json::{count, number};
use super::{Measured, Source};
use crate::{Direction, Error};

const STATISTICS: [(&str, &str); 9] = [
    ("mean", "mean"),
    ("min", "min"),
    ("p50", "median"),
    ("p75", "p75"),
    ("p90", "p90"),
    ("p95", "p95"),
    ("p99", "p99"),
    ("p99_9", "p999"),
    ("max", "max"),
];

/// Reads the report, if it is one.
pub(super) fn read(document: &Value) -> Option<Result<Measured, Error>> {
    let aggregate = document.get("aggregate")?;
    if let (Some(counters), Some(_)) = (object(aggregate, "counters"), object(aggregate, "summaries")) {
        return Some(Ok(version_2(aggregate, counters)));
    }
    if aggregate.get("latency").is_some() || aggregate.get("requestsCompleted").is_some() {
        return Some(Ok(version_1(aggregate)));
    }
    let what = "its aggregate has neither summaries (version 2) nor latency (version 1)".to_owned();
    Some(Err(Error::BadResults { source_name: "artillery", what }))
}

fn object<'a>(value: &'a Value, key: &str) -> Option<&'a Map<String, Value>> {
    value.get(key)?.as_object()
}

fn statistics(of: &Value) -> [Statistic<'static>; 9] {
    STATISTICS.map(|(name, key)| (name, number(of, &[key])))
}

/// The sum of the counts of status codes from 400 on, by a map of codes.
fn failed_codes<'a>(codes: impl Iterator<Item = (&'a str, &'a Value)>) -> f64 {
    let failed = codes.filter(|(code, _)| code.parse::<u16>().is_ok_and(|code| code >= 400));
    failed.filter_map(|(_, count)| count.as_f64()).sum()
}

fn version_1(aggregate: &Value) -> Measured {
    let mut collect = Collect::new(Source::Artillery1);
    let requests = count(aggregate, &["requestsCompleted"]);
    if requests.is_none_or(|requests| requests > 0)
        && let Some(latency) = aggregate.get("latency")
    {
        collect.statistics(("latency_ms", "ms", 1.0), "", requests, &statistics(latency));
    }
    collect.add("throughput_rps", "rps", Direction::Higher, number(aggregate, &["rps", "mean"]));
    let codes = object(aggregate, "codes").into_iter().flatten().map(|(code, count)| (code.as_str(), count));
    let errors = object(aggregate, "errors").into_iter().flatten().filter_map(|(_, count)| count.as_f64()).sum::<f64>();
    add_errors(&mut collect, requests.map(|requests| requests as f64), errors + failed_codes(codes), errors);
    if let Some(session) = aggregate.get("scenarioDuration") {
        let sessions = count(aggregate, &["scenariosCompleted"]);
        if sessions.is_none_or(|sessions| sessions > 0) {
            collect.statistics(("session_ms", "ms", 1.0), "", sessions, &statistics(session));
        }
    }
    if let Some(custom) = object(aggregate, "customStats") {
        for (name, of) in custom {
            collect.statistics((name, "", 1.0), "", None, &statistics(of));
        }
    }
    collect.note("latency is the time to the first byte");
    collect.finish()
}

/// `requests` were answered; `transport` errors had no answer.
fn add_errors(collect: &mut Collect, requests: Option<f64>, errors: f64, transport: f64) {
    collect.add("requests", "", Direction::Higher, requests);
    collect.add("errors", "", Direction::Lower, requests.map(|_| errors));
    let all = requests.map(|requests| requests + transport).filter(|all| *all > 0.0);
    collect.add("error_rate_pct", "%", Direction::Lower, all.map(|all| errors / all * 100.0));
}

fn version_2(aggregate: &Value, counters: &Map<String, Value>) -> Measured {
    let mut collect = Collect::new(Source::Artillery2);
    let counter = |name: &str| counters.get(name).and_then(Value::as_f64);
    for (name, of) in object(aggregate, "summaries").into_iter().flatten() {
        let n = count(of, &["count"]);
        if n == Some(0) {
            continue;
        }
        let (what, unit, label) = summary(name);
        collect.statistics((&what, unit, 1.0), label, n, &statistics(of));
    }
    let requests = counter("http.responses").or_else(|| counter("http.requests"));
    collect.add("throughput_rps", "rps", Direction::Higher, number(aggregate, &["rates", "http.request_rate"]));
    let of_prefix = |prefix: &'static str| {
        counters.iter().filter_map(move |(name, count)| Some((name.strip_prefix(prefix)?, count)))
    };
    let transport: f64 = of_prefix("errors.").filter_map(|(_, count)| count.as_f64()).sum();
    let failed = failed_codes(of_prefix("http.codes."));
    add_errors(&mut collect, requests, transport + failed, transport);
    collect.add("failed_users", "", Direction::Lower, counter("vusers.failed"));
    let bytes = counter("http.downloaded_bytes");
    collect.add("received_mb", "MB", Direction::Lower, bytes.map(|bytes| bytes / 1e6));
    collect.note("http.response_time, here latency, is the time to the first byte");
    collect.finish()
}

/// What a summary is of: the name's part with its unit, the unit, the label.
fn summary(name: &str) -> (String, &'static str, &str) {
    if let Some(label) = name.strip_prefix("http.response_time") {
        return ("latency_ms".to_owned(), "ms", label.trim_start_matches('.'));
    }
    if let Some(label) = name.strip_prefix("plugins.metrics-by-endpoint.response_time.") {
        return ("latency_ms".to_owned(), "ms", label);
    }
    match name {
        "vusers.session_length" => ("session_ms".to_owned(), "ms", ""),
        // Of custom histograms nobody knows the unit.
        _ => (name.to_owned(), "", ""),
    }
}
