//! `autocannon --json`: latencies in whole milliseconds, without a 95th percentile.

use serde_json::Value;

use super::collect::Collect;
use super::json::{count, number};
use super::{Measured, Source};
use crate::{Direction, Error, Metric};

/// Reads the result, if it is one.
pub(super) fn read(document: &Value) -> Option<Result<Measured, Error>> {
    let (latency, requests) = (document.get("latency")?, document.get("requests")?);
    if latency.get("p97_5").is_none() || document.get("non2xx").is_none() {
        return None;
    }
    let mut collect = Collect::new(Source::Autocannon);
    let answered = count(requests, &["total"]);
    if answered.is_some_and(|answered| answered > 0) {
        let of = |key: &str| number(latency, &[key]);
        let statistics = [
            ("mean", of("mean").or_else(|| of("average"))),
            ("min", of("min")),
            ("p50", of("p50")),
            ("p75", of("p75")),
            ("p90", of("p90")),
            ("p97_5", of("p97_5")),
            ("p99", of("p99")),
            ("p99_9", of("p99_9")),
            ("max", of("max")),
        ];
        collect.statistics(("latency_ms", "ms", 1.0), "", count(latency, &["totalCount"]).or(answered), &statistics);
        if let Some(rate) = number(requests, &["mean"]).or_else(|| number(requests, &["average"])) {
            let n = count(document, &["samples"]);
            collect.push(Metric { n, ..Metric::new("throughput_rps", "rps", Direction::Higher, rate) });
        }
        let bytes = number(document, &["throughput", "mean"]).or_else(|| number(document, &["throughput", "average"]));
        collect.add("received_mb_per_s", "MB/s", Direction::Higher, bytes.map(|bytes| bytes / 1e6));
        collect.note("latency is counted in whole milliseconds, and there is no p95: p97_5 is its nearest");
    }
    let answered = answered.map(|answered| answered as f64);
    collect.add("requests", "", Direction::Higher, answered);
    let transport = number(document, &["errors"]);
    let failed = [&["4xx"], &["5xx"]].map(|key| number(document, key).unwrap_or(0.0)).iter().sum::<f64>();
    let errors = transport.map(|transport| transport + failed);
    collect.add("errors", "", Direction::Lower, errors);
    collect.add("timeouts", "", Direction::Lower, number(document, &["timeouts"]));
    if let (Some(answered), Some(transport), Some(errors)) = (answered, transport, errors)
        && answered + transport > 0.0
    {
        collect.add("error_rate_pct", "%", Direction::Lower, Some(errors / (answered + transport) * 100.0));
    }
    Some(Ok(collect.finish()))
}
