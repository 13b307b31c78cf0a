//! Finding a figure by the name that a budget has.

use crate::{Direction, Metric};

/// What came of looking for a figure.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// It is there; in the unit and under the name that was asked for.
    Found(Box<Metric>),
    /// There are several, of different requests or commands: their names.
    Ambiguous(Vec<String>),
    /// It was not measured. Names that are near.
    Missing(Vec<String>),
}

/// Units that a name can end in: what multiplies a value to come to the first of its group.
const UNITS: [&[(&str, f64, &str)]; 4] = [
    &[("_ms", 1.0, "ms"), ("_us", 1e-3, "µs"), ("_ns", 1e-6, "ns"), ("_seconds", 1e3, "s"), ("_s", 1e3, "s")],
    &[
        ("_mb", 1.0, "MB"),
        ("_kb", 1e-3, "kB"),
        ("_gb", 1e3, "GB"),
        ("_bytes", 1e-6, "B"),
        ("_kib", 1.024e-3, "KiB"),
        ("_mib", 1.048_576, "MiB"),
        ("_gib", 1_073.741_824, "GiB"),
    ],
    &[
        ("_mb_per_h", 1.0, "MB/h"),
        ("_mb_per_hour", 1.0, "MB/h"),
        ("_kb_per_h", 1e-3, "kB/h"),
        ("_mib_per_h", 1.048_576, "MiB/h"),
        ("_mb_per_min", 60.0, "MB/min"),
    ],
    &[("_pct", 1.0, "%"), ("_percent", 1.0, "%"), ("_ratio", 100.0, "")],
];

/// Words that mean the same.
const SAME: [(&str, &str); 12] = [
    ("requests_per_second", "throughput_rps"),
    ("requests_per_sec", "throughput_rps"),
    ("req_per_sec", "throughput_rps"),
    ("response_time", "latency"),
    ("average_", "mean_"),
    ("avg_", "mean_"),
    ("median_", "p50_"),
    ("p999_", "p99_9_"),
    ("p99.9_", "p99_9_"),
    ("rss_mb", "memory_mb"),
    ("failure_rate", "error_rate"),
    ("heap_used_slope", "heap_slope"),
];

/// The figure called `wanted`. Other units than those of the figures (`p95_latency_s`, `memory_mib`), usual other words
/// (`avg_`, `median_`, `latency_p95_ms`) are understood.
pub fn find(metrics: &[Metric], wanted: &str) -> Lookup {
    if let Some(metric) = metrics.iter().find(|metric| metric.name == wanted) {
        return Lookup::Found(Box::new(metric.clone()));
    }
    let (base, label) = split_label(wanted);
    let wanted_base = usual(base);
    let (stem, group, scale, unit) = unit_of(&wanted_base);
    let is_it = |metric: &&Metric| {
        let (name, of) = split_label(&metric.name);
        let (other, other_group, ..) = unit_of(name);
        of == label && other == stem && other_group == group
    };
    if let Some(metric) = metrics.iter().find(is_it) {
        let (_, _, from, _) = unit_of(split_label(&metric.name).0);
        return Lookup::Found(Box::new(scaled(metric, wanted, from / scale, unit)));
    }
    if label.is_empty() {
        let labelled = metrics.iter().filter(|metric| {
            let (name, of) = split_label(&metric.name);
            let (other, other_group, ..) = unit_of(name);
            !of.is_empty() && other == stem && other_group == group
        });
        let names: Vec<String> = labelled.map(|metric| metric.name.clone()).collect();
        if !names.is_empty() {
            return Lookup::Ambiguous(names);
        }
    }
    Lookup::Missing(near(metrics, &wanted_base))
}

fn scaled(metric: &Metric, name: &str, factor: f64, unit: &str) -> Metric {
    let scale = |value: f64| value * factor;
    Metric {
        name: name.to_owned(),
        unit: if unit.is_empty() { metric.unit.clone() } else { unit.to_owned() },
        direction: metric.direction,
        value: scale(metric.value),
        ci: metric.ci.map(|bounds| bounds.map(scale)),
        n: metric.n,
        p50: metric.p50.map(scale),
        p95: metric.p95.map(scale),
        p99: metric.p99.map(scale),
    }
}

/// The name before its label, and the label.
fn split_label(name: &str) -> (&str, &str) {
    match name.split_once('{') {
        Some((base, label)) => (base, label.trim_end_matches('}')),
        None => (name, ""),
    }
}

/// The name without its unit, the unit's group, what brings it to the group's first unit, its symbol.
fn unit_of(name: &str) -> (&str, Option<usize>, f64, &'static str) {
    for (group, units) in UNITS.iter().enumerate() {
        for (suffix, scale, symbol) in *units {
            // `iterations_per_s` is a rate, not a time.
            if let Some(stem) = name.strip_suffix(suffix).filter(|stem| !stem.is_empty() && !stem.ends_with("_per")) {
                return (stem, Some(group), *scale, symbol);
            }
        }
    }
    (name, None, 1.0, "")
}

/// The unit that a name ends in.
pub(super) fn unit_of_name(name: &str) -> Option<&'static str> {
    let (base, _) = split_label(name);
    if base == "throughput_rps" {
        return Some("rps");
    }
    let (_, group, _, unit) = unit_of(base);
    group.map(|_| unit).filter(|unit| !unit.is_empty())
}

/// Which way the figures are better whose names every reader here uses for the same.
pub(super) fn better(name: &str) -> Option<Direction> {
    let (base, _) = split_label(name);
    let (stem, ..) = unit_of(base);
    let lower = ["latency", "errors", "error_rate", "memory", "heap", "failed_runs", "timeouts", "heap_leak_suspects"];
    match stem {
        "throughput_rps" | "checks_passed" => Some(Direction::Higher),
        _ if lower.contains(&stem) || ["_latency", "_slope", "heap_growth"].iter().any(|end| stem.ends_with(end)) => {
            Some(Direction::Lower)
        }
        _ => None,
    }
}

/// The name in our words.
fn usual(name: &str) -> String {
    let mut name = name.to_ascii_lowercase();
    for (other, ours) in SAME {
        if name.starts_with(other) || name.contains(&format!("_{other}")) {
            name = name.replacen(other, ours, 1);
        }
    }
    if name == "rps" || name == "throughput" {
        return "throughput_rps".to_owned();
    }
    // latency_p95_ms
    let mut words: Vec<&str> = name.split('_').collect();
    let is_statistic = |word: &&str| {
        matches!(*word, "mean" | "min" | "max" | "avg" | "median")
            || word.strip_prefix('p').is_some_and(|digits| digits.parse::<f64>().is_ok())
    };
    if words.len() > 1 && words[0] == "latency" && is_statistic(&words[1]) {
        words.swap(0, 1);
        let first = match words[0] {
            "avg" => "mean",
            "median" => "p50",
            other => other,
        };
        return std::iter::once(first).chain(words[1..].iter().copied()).collect::<Vec<_>>().join("_");
    }
    name
}

/// Up to three names that share most words with the wanted one.
fn near(metrics: &[Metric], wanted: &str) -> Vec<String> {
    let words: Vec<&str> = wanted.split('_').collect();
    let shared = |name: &str| name.split(['_', '{']).filter(|word| word.len() > 1 && words.contains(word)).count();
    let mut names: Vec<(usize, &str)> = metrics
        .iter()
        .map(|metric| (shared(&metric.name), metric.name.as_str()))
        .filter(|(count, _)| *count > 0)
        .collect();
    names.sort_by_key(|(count, name)| (std::cmp::Reverse(*count), name.len()));
    names.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Vec<Metric> {
        let metric = |name: &str, unit: &str, value| Metric::new(name, unit, Direction::Lower, value);
        vec![
            Metric { ci: Some([190.0, 210.0]), ..metric("p95_latency_ms", "ms", 200.0) },
            metric("memory_mb", "MB", 512.0),
            metric("throughput_rps", "rps", 100.0),
            metric("error_rate_pct", "%", 1.0),
            metric("mean_time_ms{a}", "ms", 1.0),
            metric("mean_time_ms{b}", "ms", 2.0),
            metric("heap_slope_mb_per_h", "MB/h", 5.0),
        ]
    }

    #[track_caller]
    fn value(name: &str) -> f64 {
        match find(&metrics(), name) {
            Lookup::Found(metric) => metric.value,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn names_units_and_words() {
        assert_eq!(value("p95_latency_ms"), 200.0);
        assert_eq!(value("p95_latency_s"), 0.2);
        assert_eq!(value("latency_p95_ms"), 200.0);
        assert_eq!(value("p95_response_time_us"), 200_000.0);
        assert_eq!(value("memory_bytes"), 512e6);
        assert_eq!(value("memory_gb"), 0.512);
        assert!((value("memory_mib") - 488.281_25).abs() < 1e-9);
        assert_eq!((value("rps"), value("requests_per_second"), value("throughput")), (100.0, 100.0, 100.0));
        assert_eq!((value("error_rate_percent"), value("error_rate_ratio")), (1.0, 0.01));
        assert_eq!((value("heap_slope_kb_per_h"), value("heap_used_slope_mb_per_h")), (5_000.0, 5.0));
        assert_eq!((value("avg_time_ms{b}"), value("mean_time_s{a}")), (2.0, 0.001));
        let Lookup::Found(found) = find(&metrics(), "p95_latency_s") else { panic!("it is there") };
        assert_eq!((found.ci, found.unit.as_str()), (Some([0.19, 0.21]), "s"));
    }

    #[test]
    fn what_is_not_there_is_said() {
        assert_eq!(
            find(&metrics(), "p99_latency_ms"),
            Lookup::Missing(vec!["p95_latency_ms".into(), "mean_time_ms{a}".into(), "mean_time_ms{b}".into()])
        );
        assert!(matches!(find(&metrics(), "mean_time_ms"), Lookup::Ambiguous(names) if names.len() == 2));
        assert_eq!(find(&metrics(), "p95_latency"), Lookup::Missing(vec!["p95_latency_ms".into()]));
        assert_eq!(find(&[], "x"), Lookup::Missing(Vec::new()));
    }
}
