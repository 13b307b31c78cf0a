//! One measured figure: the vocabulary between readers of results, budgets and the log.

use serde::{Deserialize, Serialize};

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Less is better: latencies, memory, error rates.
    Lower,
    /// More is better: throughput.
    Higher,
}

impl Direction {
    /// How much better `after` is than `before`, in percent of `before`: 500 → 50 ms is 90 where lower is better.
    /// `None` when `before` is 0 or one of them is not finite.
    ///
    /// ```
    /// use burnmark_journal::Direction;
    ///
    /// assert_eq!(Direction::Lower.improvement_percent(500.0, 50.0), Some(90.0));
    /// assert_eq!(Direction::Higher.improvement_percent(100.0, 150.0), Some(50.0));
    /// assert_eq!(Direction::Lower.improvement_percent(0.0, 50.0), None);
    /// ```
    pub fn improvement_percent(self, before: f64, after: f64) -> Option<f64> {
        if before == 0.0 || !before.is_finite() || !after.is_finite() {
            return None;
        }
        let gain = match self {
            Self::Lower => before - after,
            Self::Higher => after - before,
        };
        Some(gain / before.abs() * 100.0)
    }
}

/// A figure of one run of a load test, benchmark or program, in the unit its name ends in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Name with its unit at the end: `p95_latency_ms`, `throughput_rps`, `memory_mb`.
    pub name: String,
    /// The unit: `ms`, `s`, `rps`, `MB`, `%`, or empty for plain counts.
    pub unit: String,
    /// Which way is better.
    pub direction: Direction,
    /// The figure itself, finite.
    pub value: f64,
    /// 95 % interval of the figure, where the source tells enough to have one: from the runs of a benchmark, or from
    /// blocks of time within one run (what differs from run to run is not in it then).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ci: Option<[f64; 2]>,
    /// How many observations it was made from, where known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub n: Option<u64>,
    /// Median of the observations.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub p50: Option<f64>,
    /// 95th percentile of the observations.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub p95: Option<f64>,
    /// 99th percentile of the observations.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub p99: Option<f64>,
}

impl Metric {
    /// A figure of which nothing else is known. `unit` is the text that tables show.
    pub fn new(name: impl Into<String>, unit: &str, direction: Direction, value: f64) -> Self {
        let (name, unit) = (name.into(), unit.to_owned());
        Self { name, unit, direction, value, ci: None, n: None, p50: None, p95: None, p99: None }
    }
}
