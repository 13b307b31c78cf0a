//! `oha --output-format json`: seconds.

use serde_json::Value;

use super::collect::Collect;
use super::json::number;
use super::{Measured, Source};
use crate::{Direction, Error};

/// Reads the result, if it is one.
pub(super) fn read(document: &Value) -> Option<Result<Measured, Error>> {
    let (summary, percentiles) = (document.get("summary")?, document.get("latencyPercentiles")?);
    summary.get("requestsPerSec")?;
    let mut collect = Collect::new(Source::Oha);
    let answers = document.get("statusCodeDistribution").and_then(Value::as_object);
    let counts = |failed: bool| -> f64 {
        let codes = answers.into_iter().flatten();
        let wanted = codes.filter(|(code, _)| !failed || code.parse::<u16>().is_ok_and(|code| code >= 400));
        wanted.filter_map(|(_, count)| count.as_f64()).sum()
    };
    let answered = counts(false);
    let of = |key: &str| number(percentiles, &[key]);
    if answered > 0.0 || answers.is_none() {
        let statistics = [
            ("mean", number(summary, &["average"])),
            ("min", number(summary, &["fastest"])),
            ("p50", of("p50")),
            ("p75", of("p75")),
            ("p90", of("p90")),
            ("p95", of("p95")),
            ("p99", of("p99")),
            ("p99_9", of("p99.9")),
            ("max", number(summary, &["slowest"])),
        ];
        let n = answers.map(|_| answered as u64);
        collect.statistics(("latency_ms", "ms", 1e3), "", n, &statistics);
        collect.add("throughput_rps", "rps", Direction::Higher, number(summary, &["requestsPerSec"]));
    }
    if answers.is_some() {
        let broken = document.get("errorDistribution").and_then(Value::as_object).into_iter().flatten();
        // Requests that the end of the run cut off are no errors of the server.
        let broken = broken.filter(|(what, _)| !what.contains("deadline"));
        let transport: f64 = broken.filter_map(|(_, count)| count.as_f64()).sum();
        let errors = transport + counts(true);
        collect.add("requests", "", Direction::Higher, Some(answered));
        collect.add("errors", "", Direction::Lower, Some(errors));
        let all = answered + transport;
        collect.add("error_rate_pct", "%", Direction::Lower, (all > 0.0).then(|| errors / all * 100.0));
    }
    Some(Ok(collect.finish()))
}
