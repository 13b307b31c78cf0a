//! Can results before and after be compared? What a reader of the comparison should know.

use std::collections::BTreeSet;

use crate::metrics::Measured;

/// Request counts that differ by less than this part are told by nobody.
const SAME_COUNT: f64 = 0.10;

/// In sentences, where the results of both sides differ by more than what was measured: by the tool, by units, by the number
/// of observations.
pub fn differences(before: &[Measured], after: &[Measured]) -> Vec<String> {
    let mut notes = Vec::new();
    let tools = [before, after].map(|side| side.iter().map(|run| run.source.name()).collect::<BTreeSet<_>>());
    if !before.is_empty() && !after.is_empty() && tools[0] != tools[1] {
        let [before, after] = tools.map(|tools| tools.into_iter().collect::<Vec<_>>().join(", "));
        notes.push(format!(
            "the results are of different tools, {before} before and {after} after: what and how they measure differs, too"
        ));
    }
    notes.extend(units(before, after));
    let counts = [before, after].map(observations);
    if let [Some(before), Some(after)] = counts
        && (before - after).abs() > SAME_COUNT * before.max(after)
    {
        notes.push(format!(
            "{before:.0} requests or runs a file before, {after:.0} after: what is of fewer is less sure, and what grows with \
             their number can't be compared"
        ));
    }
    notes
}

/// Figures of the same name, its unit aside, that the sides have in different units.
fn units(before: &[Measured], after: &[Measured]) -> Vec<String> {
    let figures = |side: &[Measured]| -> BTreeSet<(String, String)> {
        let metrics = side.iter().flat_map(|run| &run.metrics);
        metrics.map(|metric| (metric.name.clone(), metric.unit.clone())).collect()
    };
    let (before, after) = (figures(before), figures(after));
    let mut notes = Vec::new();
    for (name, unit) in before.difference(&after) {
        let stem = stem(name);
        let mut others = after.difference(&before);
        if let Some((_, other)) = others.find(|(other, of)| self::stem(other) == stem && of != unit) {
            notes.push(format!("{stem} is in {unit:?} before and in {other:?} after: they are not compared"));
        }
    }
    notes
}

/// The name without what follows its last `_`, where that is a unit by its length: `p95_latency` of `p95_latency_ms`.
fn stem(name: &str) -> &str {
    match name.rsplit_once('_') {
        Some((stem, unit)) if unit.len() <= 5 => stem,
        _ => name,
    }
}

/// How many observations a file of this side is made from.
fn observations(side: &[Measured]) -> Option<f64> {
    let of = |run: &Measured| run.metrics.iter().filter_map(|metric| metric.n).max();
    let counts: Vec<u64> = side.iter().filter_map(of).collect();
    (!counts.is_empty()).then(|| counts.iter().sum::<u64>() as f64 / counts.len() as f64)
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use crate::metrics::Source;
    use crate::{Direction, Metric};

    fn run(source: Source, name: &str, unit: &str, n: u64) -> Measured {
        let metric = Metric { n: Some(n), ..Metric::new(name, unit, Direction::Lower, 1.0) };
        Measured { source, metrics: vec![metric], thresholds: Vec::new(), notes: Vec::new(), warnings: Vec::new() }
    }

    #[test]
    fn what_differs_is_told() {
        let ours = run(Source::K6Points, "p95_latency_ms", "ms", 1_000);
        assert_eq!(differences(slice::from_ref(&ours), slice::from_ref(&ours)), Vec::<String>::new());
        assert_eq!(differences(slice::from_ref(&ours), &[]), Vec::<String>::new());
        for (other, told) in [
            (run(Source::Autocannon, "p95_latency_ms", "ms", 1_000), "k6 points before and autocannon after"),
            (run(Source::K6Points, "p95_latency_s", "s", 1_000), "p95_latency is in \"ms\" before and in \"s\" after"),
            (run(Source::K6Points, "p95_latency_ms", "ms", 500), "1000 requests or runs a file before, 500 after"),
        ] {
            let notes = differences(slice::from_ref(&ours), &[other]);
            assert!(notes.len() == 1 && notes[0].contains(told), "{told}: {notes:?}");
        }
        let nearly = run(Source::K6Points, "p95_latency_ms", "ms", 1_050);
        assert_eq!(differences(&[ours], &[nearly]), Vec::<String>::new());
    }
}
