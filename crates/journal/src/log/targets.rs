//! What a gate says of an entry's figures, as rows of the table of targets.

use super::entry::{Status, Target};
use crate::budget::{Budget, ShareOf};
use crate::gate::{self, Check, Gate, LimitKind};

impl From<gate::Status> for Status {
    fn from(status: gate::Status) -> Self {
        match status {
            gate::Status::Pass => Self::Pass,
            gate::Status::Warn => Self::Warn,
            gate::Status::Inconclusive => Self::Inconclusive,
            gate::Status::Missing => Self::Missing,
            gate::Status::Fail => Self::Fail,
        }
    }
}

/// The limits of a budget, each with what was held against it. What nobody limits is left out, unless it got worse.
pub fn targets(budget: &Budget, gate: &Gate) -> Vec<Target> {
    let is_told = |check: &&Check| check.kind != LimitKind::Regression || check.status != gate::Status::Pass;
    let target = |check: &Check| {
        let of_same = gate.checks.iter().filter(|other| other.what == check.what);
        Target {
            metric: name(check, budget),
            unit: check.unit.clone(),
            baseline: check.baseline.or_else(|| of_same.filter_map(|other| other.baseline).next()),
            current: check.value,
            ci: check.ci,
            change_pct: check.change_pct,
            target: words(check),
            status: check.status.into(),
            severity: check.severity.map(str::to_owned),
            why: check.why.clone(),
            runs: check.runs as u64,
        }
    };
    gate.checks.iter().filter(is_told).map(target).collect()
}

/// Functions are limited by their share: with what they call, or by themselves.
fn name(check: &Check, budget: &Budget) -> String {
    let is_figure = budget.metrics.iter().any(|(name, _)| *name == check.what) && check.kind != LimitKind::MaxShare;
    let function = budget.functions.matching.iter().find(|function| function.name == check.what && !is_figure);
    match function.map(|function| function.by) {
        Some(ShareOf::Total) => format!("total share of {}", check.what),
        Some(ShareOf::SelfValue) => format!("self share of {}", check.what),
        None => check.what.clone(),
    }
}

/// The limit in words.
fn words(check: &Check) -> String {
    let limit = |sign: &str| match check.limit {
        Some(limit) => format!("{sign} {limit} {}", check.unit).trim_end().to_owned(),
        None => String::new(),
    };
    match (check.kind, check.limit) {
        (LimitKind::Min, _) => limit("≥"),
        (LimitKind::MaxRegression, Some(limit)) => format!("at most {limit} % worse"),
        (LimitKind::MaxRegression | LimitKind::Regression, _) => "not worse".to_owned(),
        (LimitKind::MaxShare, Some(limit)) => format!("≤ {limit} %"),
        (LimitKind::Max | LimitKind::MaxShare, _) => limit("≤"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Evidence, FunctionShare};
    use crate::metrics::{Measured, Source};
    use crate::{Direction, Metric};

    fn run(metrics: Vec<Metric>) -> (String, Measured) {
        let none = Measured {
            source: Source::Burnmark,
            metrics,
            thresholds: Vec::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
        };
        ("run".to_owned(), none)
    }

    #[test]
    fn every_limit_has_its_status() {
        let budget = Budget::parse(
            br#"{"metrics": {
                "p95_latency_ms": {"max": 200, "warn": 150},
                "p95_latency_s": {"max": 0.1},
                "p50_latency_ms": {"max_regression_pct": 10},
                "p99_latency_ms": {"max": 12, "max_regression_pct": 10},
                "throughput_rps": {"min": 100, "warn": 120},
                "memory_mb": {"max": 512}
            }, "functions": {"match": [{"name": "f", "max_share_pct": 15, "by": "self"}]}}"#,
        )
        .expect("a budget");
        let metrics = |values: [f64; 3]| {
            let names = ["p95_latency_ms", "p50_latency_ms", "p99_latency_ms"];
            let lower = names.iter().zip(values).map(|(name, value)| Metric::new(*name, "ms", Direction::Lower, value));
            let mut metrics: Vec<Metric> = lower.collect();
            metrics[2].ci = Some([values[2] - 2.0, values[2] + 2.0]);
            metrics.push(Metric::new("throughput_rps", "rps", Direction::Higher, values[0]));
            metrics
        };
        let share = |share: f64| FunctionShare {
            file: "x.folded".to_owned(),
            share,
            interval: [share - 0.01, share + 0.01],
            timed: true,
            effective: 1_000.0,
            functions: vec!["f".to_owned()],
        };
        let evidence = Evidence {
            results: vec![run(metrics([110.0, 12.0, 10.5]))],
            baseline: vec![run(metrics([500.0, 10.0, 10.0]))],
            functions: vec![vec![share(0.2)]],
            functions_before: vec![vec![share(0.1)]],
            has_baseline: true,
        };
        let found = targets(&budget, &gate::gate(&budget, &evidence));
        let shown: Vec<(&str, &str, Status)> =
            found.iter().map(|target| (target.metric.as_str(), target.target.as_str(), target.status)).collect();
        assert_eq!(
            shown,
            [
                ("p95_latency_ms", "≤ 200 ms", Status::Pass),
                ("p95_latency_s", "≤ 0.1 s", Status::Fail),
                ("p50_latency_ms", "at most 10 % worse", Status::Fail),
                // Within, but its interval reaches beyond.
                ("p99_latency_ms", "≤ 12 ms", Status::Inconclusive),
                ("p99_latency_ms", "at most 10 % worse", Status::Inconclusive),
                ("throughput_rps", "≥ 100 rps", Status::Warn),
                // Nobody limits how much worse it may be, but it is.
                ("throughput_rps", "not worse", Status::Warn),
                ("memory_mb", "≤ 512", Status::Missing),
                ("self share of f", "≤ 15 %", Status::Fail),
            ]
        );
        assert_eq!((found[0].baseline, found[0].current), (Some(500.0), Some(110.0)));
        assert_eq!((found[3].ci, found[3].baseline), (Some([8.5, 12.5]), Some(10.0)));
        assert_eq!(found[2].severity.as_deref(), Some("severe"));
        assert_eq!((found[7].baseline, found[7].current), (None, None));
        assert!(found[7].why.as_ref().is_some_and(|why| why.contains("not measured")), "{:?}", found[7]);
        assert_eq!((found[8].baseline, found[8].current), (Some(10.0), Some(20.0)));
    }
}
