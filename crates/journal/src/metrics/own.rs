//! `burnmark metrics --json`, or what others write in its shape: believed only where it does not contradict itself.

use serde::Deserialize;
use serde_json::Value;

use super::collect::Collect;
use super::lookup::{better, unit_of_name};
use super::{Measured, Source};
use crate::{Direction, Error, Metric};

/// Reads figures, if they are some.
pub(super) fn read(document: &Value) -> Option<Result<Measured, Error>> {
    let schema = document.get("schema")?.as_str()?;
    let version = schema.strip_prefix("burnmark.metrics/")?;
    let bad = |what: String| Error::BadResults { source_name: Source::Burnmark.name(), what };
    if version != "1" {
        return Some(Err(bad(format!("its schema is {schema}: a newer burnmark wrote it"))));
    }
    Some(metrics(&document["metrics"]).map_err(bad))
}

/// The documents of a list, each of a run.
pub(super) fn list(document: &Value) -> Option<&[Value]> {
    let runs = document.as_array().filter(|runs| !runs.is_empty())?;
    let is_own = |run: &Value| run["schema"].as_str().is_some_and(|schema| schema.starts_with("burnmark.metrics/"));
    runs.iter().all(is_own).then_some(runs)
}

/// Whether a list begins with a document of ours, before what its figures are called is looked at.
pub(super) fn sniff_list(start: &[u8]) -> bool {
    const SCHEMA: &[u8] = b"\"burnmark.metrics/";
    start[..start.len().min(256)].windows(SCHEMA.len()).any(|window| window == SCHEMA)
}

fn metrics(list: &Value) -> Result<Measured, String> {
    let list = list.as_array().ok_or("it has no list \"metrics\"")?;
    let mut collect = Collect::new(Source::Burnmark);
    let mut names = std::collections::HashMap::new();
    for (at, value) in list.iter().enumerate() {
        let metric = Metric::deserialize(value).map_err(|error| format!("metrics[{at}]: {error}"))?;
        if let Some(what) = contradiction(&metric) {
            return Err(format!("metrics[{at}], {}: {what}", metric.name));
        }
        if let Some(first) = names.insert(metric.name.clone(), at) {
            return Err(format!("metrics[{first}] and metrics[{at}] are both called {}", metric.name));
        }
        collect.push(metric);
    }
    Ok(collect.finish())
}

/// What can't be so of a figure, with its field.
fn contradiction(metric: &Metric) -> Option<String> {
    let Metric { name, unit, direction, value, ci, n, p50, p95, p99 } = metric;
    if name.trim().is_empty() {
        return Some("name: it has none".to_owned());
    }
    if let Some(named) = unit_of_name(name).filter(|named| !unit.is_empty() && named != unit) {
        return Some(format!("unit: it is {unit:?}, and the name says {named:?}"));
    }
    if let Some(known) = better(name).filter(|known| known != direction) {
        let word = |direction: &Direction| if *direction == Direction::Lower { "lower" } else { "higher" };
        return Some(format!("direction: it is {:?}, of which {:?} is better", word(direction), word(&known)));
    }
    if let Some([low, high]) = ci.filter(|[low, high]| low > high) {
        return Some(format!("ci: it ends at {high} before it begins at {low}"));
    }
    if *n == Some(0) {
        return Some(format!("n: {value} was made of nothing"));
    }
    let order = [p50, p95, p99].map(|bound| *bound);
    let falls = order.iter().flatten().zip(order.iter().flatten().skip(1)).any(|(low, high)| low > high);
    falls.then(|| "p50, p95, p99: a higher percentile is smaller than a lower one".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::read;

    fn with(fields: &str) -> String {
        format!(
            "{{\"schema\": \"burnmark.metrics/1\", \"metrics\": [{{\"name\": \"errors\", \"unit\": \"\", \"direction\": \"lower\", \"value\": 0}}, {{{fields}}}]}}"
        )
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_its_field() {
        let latency = r#""name": "p95_latency_ms", "unit": "ms", "direction": "lower", "value": 5"#;
        let full = format!("{latency}, \"n\": 9, \"ci\": [4, 6], \"p50\": 1, \"p95\": 5, \"p99\": 5");
        assert_eq!(read(with(&full).as_bytes()).expect("it is right").metrics.len(), 2);
        for (fields, part) in [
            (
                latency.replace("\"ms\"", "\"s\""),
                "metrics[1], p95_latency_ms: unit: it is \"s\", and the name says \"ms\"",
            ),
            (latency.replace("lower", "higher"), "metrics[1], p95_latency_ms: direction: it is \"higher\""),
            (latency.replace("lower", "sideways"), "metrics[1]: unknown variant `sideways`"),
            (
                latency.replace("p95_latency_ms", "errors").replace("\"ms\"", "\"\""),
                "metrics[0] and metrics[1] are both called errors",
            ),
            (latency.replace("p95_latency_ms", " "), "name: it has none"),
            (latency.replace("value\": 5", "value\": null"), "metrics[1]: invalid type: null"),
            (latency.replace("value\": 5", "value\": \"5\""), "metrics[1]: invalid type: string"),
            (latency.replace("value\": 5", "value\": 5, \"value\": 6"), "the key \"value\" is there twice at line 1"),
            (latency.replace("value\": 5", "value\": 1e999"), "number out of range"),
            (format!("{latency}, \"ci\": [6, 4]"), "ci: it ends at 4 before it begins at 6"),
            (format!("{latency}, \"ci\": [6]"), "metrics[1]: invalid length 1"),
            (format!("{latency}, \"n\": 0"), "n: 5 was made of nothing"),
            (format!("{latency}, \"n\": -3"), "metrics[1]: invalid value: integer `-3`"),
            (format!("{latency}, \"p50\": 9, \"p99\": 8"), "a higher percentile is smaller"),
        ] {
            let error = read(with(&fields).as_bytes()).expect_err(&fields).to_string();
            assert!(error.contains(part), "{error:?} should say {part:?}");
        }
        // Throughput is better when higher; a figure of one's own may be either way.
        let rps = r#""name": "throughput_rps", "unit": "rps", "direction": "lower", "value": 5"#;
        assert!(read(with(rps).as_bytes()).is_err());
        let own = r#""name": "time_between_failures_h", "unit": "h", "direction": "higher", "value": 5"#;
        assert!(read(with(own).as_bytes()).is_ok());
        // Less than nothing is left out, which is told.
        let read = read(with(&latency.replace(" 5", " -5")).as_bytes()).expect("the rest is right");
        assert!(read.metrics.len() == 1 && read.warnings[0].message.contains("p95_latency_ms is negative"));
    }
}
