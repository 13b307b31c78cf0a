//! criterion's `estimates.json`: nanoseconds, with confidence intervals of its own.

use serde_json::Value;

use super::collect::Collect;
use super::json::number;
use super::{Measured, Source};
use crate::{Direction, Error, Metric};

/// Reads the estimates, if they are some.
pub(super) fn read(document: &Value) -> Option<Result<Measured, Error>> {
    document.get("mean")?.get("confidence_interval")?;
    document.get("median")?.get("point_estimate")?;
    let mut collect = Collect::new(Source::Criterion);
    // The slope of time over iterations is criterion's best estimate; it is null where every sample is one iteration.
    for (name, key) in
        [("slope_time_ms", "slope"), ("mean_time_ms", "mean"), ("p50_time_ms", "median"), ("stddev_time_ms", "std_dev")]
    {
        let Some(estimate) = document.get(key) else { continue };
        let Some(nanoseconds) = number(estimate, &["point_estimate"]) else { continue };
        let interval = &estimate["confidence_interval"];
        let is_95 = number(interval, &["confidence_level"]).is_some_and(|level| (level - 0.95).abs() < 1e-9);
        let ci = match (number(interval, &["lower_bound"]), number(interval, &["upper_bound"])) {
            (Some(low), Some(high)) if is_95 && low <= high => Some([low / 1e6, high / 1e6]),
            _ => None,
        };
        collect.push(Metric { ci, ..Metric::new(name, "ms", Direction::Lower, nanoseconds / 1e6) });
    }
    Some(Ok(collect.finish()))
}
