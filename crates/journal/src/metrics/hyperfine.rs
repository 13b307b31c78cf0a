//! `hyperfine --export-json`: seconds, with the times of all runs.

use serde_json::Value;

use super::collect::{Collect, braced};
use super::json::number;
use super::values::{mean_interval, median_interval};
use super::{Measured, Source};
use crate::{Direction, Error, Metric};

/// Reads the export, if it is one.
pub(super) fn read(document: &Value) -> Option<Result<Measured, Error>> {
    let results = document.get("results")?.as_array()?;
    let is_one = |result: &Value| result.get("command").is_some_and(Value::is_string) && result.get("mean").is_some();
    if results.is_empty() || !results.iter().all(is_one) {
        return None;
    }
    let mut collect = Collect::new(Source::Hyperfine);
    for result in results {
        let command = result["command"].as_str().unwrap_or_default();
        one(&mut collect, result, if results.len() > 1 { command } else { "" });
    }
    Some(Ok(collect.finish()))
}

fn one(collect: &mut Collect, result: &Value, label: &str) {
    let times: Vec<f64> = match result.get("times").and_then(Value::as_array) {
        Some(times) => times.iter().filter_map(Value::as_f64).filter(|time| time.is_finite()).collect(),
        None => Vec::new(),
    };
    let n = (!times.is_empty()).then_some(times.len() as u64);
    let scaled = |interval: Option<[f64; 2]>| interval.map(|bounds| bounds.map(|bound| bound * 1e3));
    for (name, key, ci) in [
        ("mean_time_ms", "mean", scaled(mean_interval(&times))),
        ("p50_time_ms", "median", scaled(median_interval(&times))),
        ("min_time_ms", "min", None),
        ("max_time_ms", "max", None),
        ("user_time_ms", "user", None),
        ("system_time_ms", "system", None),
        ("stddev_time_ms", "stddev", None),
    ] {
        if let Some(seconds) = number(result, &[key]) {
            let name = format!("{name}{}", braced(label));
            collect.push(Metric { ci, n, ..Metric::new(name, "ms", Direction::Lower, seconds * 1e3) });
        }
    }
    if let Some(bytes) = result.get("memory_usage_byte").and_then(Value::as_array) {
        let peak = bytes
            .iter()
            .filter_map(Value::as_f64)
            .fold(None, |most: Option<f64>, bytes| Some(most.map_or(bytes, |most| most.max(bytes))));
        collect.add(&format!("memory_mb{}", braced(label)), "MB", Direction::Lower, peak.map(|bytes| bytes / 1e6));
    }
    if let Some(codes) = result.get("exit_codes").and_then(Value::as_array) {
        // A null is a run that a signal ended.
        let failed = codes.iter().filter(|code| code.as_i64() != Some(0)).count();
        collect.add(&format!("failed_runs{}", braced(label)), "", Direction::Lower, Some(failed as f64));
        if failed > 0 {
            collect.note(format!("{failed} of {} runs failed{}", codes.len(), braced(label)));
        }
    }
}
