//! Budgets beside what was measured, for the table of targets. Whether a build passes is a gate's business.

use super::entry::{Evidence, Status, Target};
use crate::budget::{Budget, MetricLimit};
use crate::metrics::{Lookup, find};
use crate::{Direction, Metric};

/// The budget's figures before and after, each with its limit. What was not measured is missing.
pub fn targets(budget: &Budget, evidence: &Evidence) -> Vec<Target> {
    let side = |side: usize| -> Vec<Metric> {
        let values = evidence.metrics.iter().filter_map(|metric| {
            let value = [metric.before, metric.after][side]?;
            Some(Metric::new(metric.name.clone(), &metric.unit, metric.direction, value))
        });
        values.collect()
    };
    let (before, after) = (side(0), side(1));
    let found = |metrics: &[Metric], name: &str| match find(metrics, name) {
        Lookup::Found(metric) => Some(*metric),
        Lookup::Ambiguous(_) | Lookup::Missing(_) => None,
    };
    let target = |(name, limit): &(String, MetricLimit)| {
        let (baseline, current) = (found(&before, name), found(&after, name));
        let unit = current.as_ref().or(baseline.as_ref()).map(|metric| metric.unit.clone()).unwrap_or_default();
        Target {
            metric: name.clone(),
            target: words(limit, &unit),
            unit,
            baseline: baseline.as_ref().map(|metric| metric.value),
            current: current.as_ref().map(|metric| metric.value),
            status: status(limit, baseline.as_ref(), current.as_ref()),
        }
    };
    budget.metrics.iter().map(target).collect()
}

/// The limit in words.
fn words(limit: &MetricLimit, unit: &str) -> String {
    let part =
        |sign: &str, value: Option<f64>| value.map(|value| format!("{sign} {value} {unit}").trim_end().to_owned());
    let worse = limit.max_regression_pct.map(|percent| format!("at most {percent} % worse"));
    let limits = [part("≤", limit.max), part("≥", limit.min), worse];
    let mut parts: Vec<String> = limits.into_iter().flatten().collect();
    if parts.is_empty() {
        parts.extend(part("warn at", limit.warn));
    }
    parts.join(", ")
}

fn status(limit: &MetricLimit, baseline: Option<&Metric>, current: Option<&Metric>) -> Status {
    let Some(current) = current else { return Status::Missing };
    let value = current.value;
    if limit.max.is_some_and(|max| value > max) || limit.min.is_some_and(|min| value < min) {
        return Status::Fail;
    }
    if let Some(allowed) = limit.max_regression_pct {
        let change = baseline.and_then(|baseline| current.direction.improvement_percent(baseline.value, value));
        match change {
            None => return Status::Missing,
            Some(better) if -better > allowed => return Status::Fail,
            Some(_) => {}
        }
    }
    let from_below = limit.max.is_none() && (limit.min.is_some() || current.direction == Direction::Higher);
    match limit.warn {
        Some(warn) if from_below && value < warn => Status::Warn,
        Some(warn) if !from_below && value > warn => Status::Warn,
        _ => Status::Pass,
    }
}

#[cfg(test)]
mod tests {
    use super::super::gather::metrics;
    use super::*;

    #[test]
    fn every_limit_has_its_status() {
        let budget = Budget::parse(
            br#"{"metrics": {
                "p95_latency_ms": {"max": 200, "warn": 150},
                "p95_latency_s": {"max": 0.1},
                "p50_latency_ms": {"max_regression_pct": 10},
                "p99_latency_ms": {"max_regression_pct": 10},
                "throughput_rps": {"min": 100, "warn": 120},
                "memory_mb": {"max": 512}
            }}"#,
        )
        .expect("a budget");
        let run = |values: [f64; 3]| {
            let names = ["p95_latency_ms", "p50_latency_ms", "p99_latency_ms"];
            let lower = names.iter().zip(values).map(|(name, value)| Metric::new(*name, "ms", Direction::Lower, value));
            lower.chain([Metric::new("throughput_rps", "rps", Direction::Higher, values[0])]).collect::<Vec<_>>()
        };
        let evidence = Evidence {
            metrics: metrics(&[run([500.0, 10.0, 10.0])], &[run([110.0, 12.0, 10.5])]),
            ..Evidence::default()
        };
        let found = targets(&budget, &evidence);
        let shown: Vec<(&str, &str, Status)> =
            found.iter().map(|target| (target.metric.as_str(), target.target.as_str(), target.status)).collect();
        assert_eq!(
            shown,
            [
                ("p95_latency_ms", "≤ 200 ms", Status::Pass),
                ("p95_latency_s", "≤ 0.1 s", Status::Fail),
                ("p50_latency_ms", "at most 10 % worse", Status::Fail),
                ("p99_latency_ms", "at most 10 % worse", Status::Pass),
                ("throughput_rps", "≥ 100 rps", Status::Warn),
                ("memory_mb", "≤ 512", Status::Missing),
            ]
        );
        assert_eq!((found[0].baseline, found[0].current), (Some(500.0), Some(110.0)));
        assert_eq!((found[5].baseline, found[5].current), (None, None));
    }
}
