//! Every way in which a limit can come out.

use super::*;
use crate::metrics::Source;
use crate::{Direction, Metric};

fn budget(text: &str) -> Budget {
    Budget::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn run(metrics: &[(&str, &str, f64, Option<[f64; 2]>)]) -> (String, Measured) {
    let metrics = metrics
        .iter()
        .map(|(name, unit, value, ci)| {
            let direction = if name.contains("rps") { Direction::Higher } else { Direction::Lower };
            Metric { ci: *ci, ..Metric::new(*name, unit, direction, *value) }
        })
        .collect();
    let (thresholds, notes, warnings) = Default::default();
    ("run.json".to_owned(), Measured { source: Source::K6Points, metrics, thresholds, notes, warnings })
}

fn judged(text: &str, results: Vec<(String, Measured)>, baseline: Vec<(String, Measured)>) -> Gate {
    let has_baseline = !baseline.is_empty();
    gate(&budget(text), &Evidence { results, baseline, has_baseline, ..Evidence::default() })
}

fn p95(value: f64, ci: Option<[f64; 2]>) -> Vec<(String, Measured)> {
    vec![run(&[("p95_latency_ms", "ms", value, ci)])]
}

const MAX: &str = r#"{"metrics": {"p95_latency_ms": {"max": 200, "warn": 150}}}"#;

#[test]
fn a_maximum_by_its_value_and_interval() {
    for (value, ci, status) in [
        (100.0, None, Status::Pass),
        (200.0, None, Status::Warn),
        (150.0, None, Status::Pass),
        (151.0, None, Status::Warn),
        (200.1, None, Status::Fail),
        // Beyond by its value, though the interval reaches within.
        (201.0, Some([100.0, 300.0]), Status::Fail),
        (190.0, Some([170.0, 210.0]), Status::Inconclusive),
        (100.0, Some([90.0, 210.0]), Status::Inconclusive),
        (140.0, Some([120.0, 160.0]), Status::Pass),
    ] {
        let gate = judged(MAX, p95(value, ci), Vec::new());
        assert_eq!(gate.checks[0].status, status, "{value} {ci:?}");
        assert_eq!(gate.exit_code(false), if status == Status::Fail { 3 } else { 0 });
        let strict = match status {
            Status::Fail => 3,
            Status::Inconclusive => 4,
            _ => 0,
        };
        assert_eq!(gate.exit_code(true), strict, "{value} {ci:?}");
    }
}

#[test]
fn a_minimum_is_the_other_way_round() {
    let text = r#"{"metrics": {"throughput_rps": {"min": 100, "warn": 120}}}"#;
    for (value, ci, status) in [
        (130.0, None, Status::Pass),
        (110.0, None, Status::Warn),
        (99.0, None, Status::Fail),
        (130.0, Some([90.0, 170.0]), Status::Inconclusive),
    ] {
        let gate = judged(text, vec![run(&[("throughput_rps", "rps", value, ci)])], Vec::new());
        assert_eq!(gate.checks[0].status, status, "{value} {ci:?}");
    }
}

#[test]
fn missing_evidence_is_never_a_pass() {
    let gate = judged(MAX, vec![run(&[("p99_latency_ms", "ms", 1.0, None)])], Vec::new());
    assert_eq!((gate.checks[0].status, gate.verdict, gate.exit_code(false)), (Status::Missing, Status::Fail, 3));
    assert!(gate.checks[0].why.as_ref().is_some_and(|why| why.contains("p99_latency_ms")), "{gate:?}");
    let lenient = MAX.replace("}}}", r#"}}, "policy": {"missing": "warn"}}"#);
    let gate = judged(&lenient, Vec::new(), Vec::new());
    assert_eq!((gate.verdict, gate.exit_code(false), gate.exit_code(true)), (Status::Inconclusive, 0, 4));
    let stern = MAX.replace("}}}", r#"}}, "policy": {"inconclusive": "fail"}}"#);
    assert_eq!(judged(&stern, p95(190.0, Some([170.0, 210.0])), Vec::new()).exit_code(false), 3);
    // A run without the figure may be the bad one.
    let runs = vec![run(&[("p95_latency_ms", "ms", 10.0, None)]), run(&[("requests", "", 1.0, None)])];
    assert_eq!(judged(MAX, runs, Vec::new()).checks[0].status, Status::Missing);
    // No baseline, no regression told.
    let gate = judged(r#"{"metrics": {"p95_latency_ms": {"max_regression_pct": 5}}}"#, p95(1.0, None), Vec::new());
    assert_eq!(gate.checks[0].status, Status::Missing);
    assert!(gate.checks[0].why.as_ref().is_some_and(|why| why.contains("--baseline")));
}

#[test]
fn regressions_against_a_baseline() {
    let text = r#"{"metrics": {"p95_latency_ms": {"max_regression_pct": 10}}}"#;
    for (before, after, status, severity) in [
        (100.0, 109.0, Status::Warn, Some("minor")),
        (100.0, 104.0, Status::Pass, None),
        (100.0, 90.0, Status::Pass, None),
        (100.0, 111.0, Status::Fail, Some("moderate")),
        (100.0, 150.0, Status::Fail, Some("severe")),
        (0.0, 0.0, Status::Pass, None),
        (0.0, 1.0, Status::Fail, Some("severe")),
        (0.0, -1.0, Status::Pass, None),
    ] {
        let gate = judged(text, p95(after, None), p95(before, None));
        assert_eq!((gate.checks[0].status, gate.checks[0].severity), (status, severity), "{before} {after}");
    }
    // Less throughput is worse.
    let text = r#"{"metrics": {"throughput_rps": {"max_regression_pct": 10}}}"#;
    let rps = |value| vec![run(&[("throughput_rps", "rps", value, None)])];
    assert_eq!(judged(text, rps(80.0), rps(100.0)).checks[0].status, Status::Fail);
    assert_eq!(judged(text, rps(120.0), rps(100.0)).checks[0].status, Status::Pass);
    assert_eq!(judged(text, rps(120.0), rps(0.0)).checks[0].status, Status::Inconclusive);
    // A limit of the value alone: the baseline is shown, and warned of.
    let gate = judged(MAX, p95(130.0, None), p95(100.0, None));
    let kinds: Vec<(LimitKind, Status)> = gate.checks.iter().map(|check| (check.kind, check.status)).collect();
    assert_eq!(kinds, [(LimitKind::Max, Status::Pass), (LimitKind::Regression, Status::Warn)]);
}

/// Runs that differ by 8 %, with a spread that hides or shows it. Golden numbers: exp of
/// `scipy.stats.ttest_ind(log(after), log(before), equal_var=False).confidence_interval()` for three runs a side.
#[test]
fn several_runs_tell_how_sure_a_regression_is() {
    let text = r#"{"metrics": {"p95_latency_ms": {"max_regression_pct": 10}}}"#;
    let runs = |values: &[f64]| values.iter().flat_map(|value| p95(*value, None)).collect::<Vec<_>>();
    let gate = judged(text, runs(&[107.0, 108.0, 109.0]), runs(&[99.0, 100.0, 101.0]));
    let check = &gate.checks[0];
    assert_eq!((check.status, check.runs), (Status::Inconclusive, 3));
    let [low, high] = check.ci.expect("three runs a side");
    assert!((low - 5.661_2).abs() < 1e-3 && (high - 10.391_6).abs() < 1e-3, "{low} {high}");
    // From none to some: the runs tell how sure that is.
    let risen = |after: &[f64]| judged(text, runs(after), runs(&[0.0, 0.0, 0.0])).checks[0].status;
    assert_eq!([risen(&[5.0, 6.0, 7.0]), risen(&[0.0, 0.0, 5.0])], [Status::Fail, Status::Inconclusive]);
    // Five a side: by ranks.
    let tight = judged(text, runs(&[106.0, 106.1, 106.2, 106.3, 106.4]), runs(&[100.0, 100.1, 100.2, 100.3, 100.4]));
    assert_eq!(tight.checks[0].status, Status::Warn, "{:?}", tight.checks);
    let wide = judged(text, runs(&[85.0, 95.0, 105.0, 120.0, 130.0]), runs(&[80.0, 90.0, 100.0, 110.0, 120.0]));
    assert_eq!(wide.checks[0].status, Status::Inconclusive);
    // Of several runs the mean counts, with its interval.
    let gate = judged(MAX, runs(&[180.0, 190.0, 200.0]), Vec::new());
    assert_eq!((gate.checks[0].value, gate.checks[0].status), (Some(190.0), Status::Inconclusive));
}

#[test]
fn slopes_are_held_to_their_limit_as_every_figure_is() {
    let text = r#"{"metrics": {"heap_slope_mb_per_h": {"max": 5}}}"#;
    for (value, ci, status) in [
        (100.0, [90.0, 110.0], Status::Fail),
        (8.0, [-20.0, 30.0], Status::Fail),
        (1.0, [-20.0, 30.0], Status::Inconclusive),
        (1.0, [0.0, 2.0], Status::Pass),
    ] {
        let gate = judged(text, vec![run(&[("heap_slope_mb_per_h", "MB/h", value, Some(ci))])], Vec::new());
        assert_eq!(gate.checks[0].status, status, "{value} {ci:?}");
    }
}

fn of(name: &str, value: f64, n: Option<u64>) -> (String, Measured) {
    let mut run = run(&[(name, "ms", value, None)]);
    run.1.metrics[0].n = n;
    run
}

/// How many are needed: the smallest n with 1 − pⁿ ≥ 97.5 %, by hand.
#[test]
fn percentiles_of_few_values_are_no_pass() {
    for (name, needed) in [
        ("p50_latency_ms", 6),
        ("p95_latency_ms", 72),
        ("p99_latency_ms{/a}", 368),
        ("p97_5_latency_ms", 146),
        ("p99_9_latency_ms", 3_688),
    ] {
        let at: f64 = name[1..].split("_l").next().expect("a part").replace('_', ".").parse().expect("a number");
        assert!(1.0 - (at / 100.0).powi(needed) >= 0.975 && 1.0 - (at / 100.0).powi(needed - 1) < 0.975, "{name}");
        for (n, value, status) in [
            (Some(needed as u64), 100.0, Status::Pass),
            (Some(needed as u64 - 1), 100.0, Status::Inconclusive),
            (Some(1), 160.0, Status::Inconclusive),
            (Some(1), 300.0, Status::Fail),
            (None, 100.0, Status::Pass),
        ] {
            let text = format!("{{\"metrics\": {{\"{name}\": {{\"max\": 200, \"warn\": 150}}}}}}");
            let gate = judged(&text, vec![of(name, value, n)], Vec::new());
            assert_eq!(gate.checks[0].status, status, "{name} {n:?}");
            assert_eq!(
                gate.exit_code(true),
                [0, 4, 3][[Status::Pass, Status::Inconclusive, Status::Fail]
                    .iter()
                    .position(|known| *known == status)
                    .expect("one of these")]
            );
        }
    }
    // Runs add up; a mean needs none of this; a baseline of few values is no evidence either.
    let text = r#"{"metrics": {"p95_latency_ms": {"max": 200}}}"#;
    let runs = |n| vec![of("p95_latency_ms", 100.0, Some(n)), of("p95_latency_ms", 101.0, Some(n))];
    assert_eq!(judged(text, runs(36), Vec::new()).checks[0].status, Status::Pass);
    assert_eq!(judged(text, runs(35), Vec::new()).checks[0].status, Status::Inconclusive);
    let mean = judged(
        r#"{"metrics": {"mean_latency_ms": {"max": 200}}}"#,
        vec![of("mean_latency_ms", 1.0, Some(3))],
        Vec::new(),
    );
    assert_eq!(mean.checks[0].status, Status::Pass);
    let text = r#"{"metrics": {"p95_latency_ms": {"max_regression_pct": 10}}}"#;
    let before = |n| vec![of("p95_latency_ms", 100.0, Some(n))];
    assert_eq!(judged(text, before(500), before(500)).checks[0].status, Status::Pass);
    assert_eq!(judged(text, before(500), before(5)).checks[0].status, Status::Inconclusive);
}

#[test]
fn figures_in_different_units_are_not_mixed() {
    let named = |unit: &str| vec![run(&[("wait", unit, 1.0, None)])];
    let text = r#"{"metrics": {"wait": {"max": 2, "max_regression_pct": 10}}}"#;
    let both = judged(text, [named("s"), named("ms")].concat(), Vec::new());
    assert_eq!(both.checks[0].status, Status::Missing);
    assert!(both.checks[0].why.as_ref().is_some_and(|why| why.contains("differs between files")));
    let gate = judged(text, named("s"), named("ms"));
    assert_eq!((gate.checks[0].status, gate.checks[1].status), (Status::Pass, Status::Missing));
}

#[test]
fn files_of_different_tools_are_not_mixed() {
    let mut other = run(&[("p95_latency_ms", "ms", 10.0, None)]);
    other.1.source = Source::Artillery2;
    let gate = judged(MAX, vec![run(&[("p95_latency_ms", "ms", 10.0, None)]), other], Vec::new());
    assert_eq!(gate.checks[0].status, Status::Missing);
    assert!(gate.checks[0].why.as_ref().is_some_and(|why| why.contains("several tools")));
}

fn profile(share: f64, half: f64, known: bool) -> FunctionShare {
    FunctionShare {
        file: "app.pb.gz".to_owned(),
        share,
        interval: [(share - half).max(0.0), share + half],
        timed: true,
        effective: 1_000.0,
        functions: if known { vec!["JSON.parse".to_owned()] } else { Vec::new() },
    }
}

fn of_functions(text: &str, after: Vec<FunctionShare>, before: Vec<FunctionShare>) -> Gate {
    let has_baseline = !before.is_empty();
    let evidence =
        Evidence { functions: vec![after], functions_before: vec![before], has_baseline, ..Evidence::default() };
    gate(&budget(text), &evidence)
}

#[test]
fn functions_by_their_share() {
    let text = r#"{"functions": {"match": [{"name": "JSON.parse", "max_share_pct": 15, "warn_share_pct": 12}]}}"#;
    for (share, half, status) in [
        (0.10, 0.02, Status::Pass),
        (0.13, 0.01, Status::Warn),
        (0.14, 0.02, Status::Inconclusive),
        (0.16, 0.02, Status::Fail),
    ] {
        let gate = of_functions(text, vec![profile(share, half, true)], Vec::new());
        assert_eq!(gate.checks[0].status, status, "{share} {half}");
    }
    let absent = of_functions(text, vec![profile(0.0, 0.003, false)], Vec::new());
    assert_eq!((absent.checks[0].status, absent.exit_code(false)), (Status::Missing, 3));
    // The baseline has it: the name is right, and it is gone.
    let gone = of_functions(text, vec![profile(0.0, 0.003, false)], vec![profile(0.2, 0.02, true)]);
    assert_eq!(gone.checks[0].status, Status::Pass);
    let allowed = text.replace("\"max_share", "\"if_absent\": \"pass\", \"max_share");
    assert_eq!(of_functions(&allowed, vec![profile(0.0, 0.003, false)], Vec::new()).checks[0].status, Status::Pass);
    assert_eq!(of_functions(text, Vec::new(), Vec::new()).checks[0].status, Status::Missing);
    // Runs that differ from one to the next.
    let runs = [0.05, 0.12, 0.2].map(|share| profile(share, 0.01, true));
    assert_eq!(of_functions(text, runs.to_vec(), Vec::new()).checks[0].status, Status::Inconclusive);
}

#[test]
fn functions_against_a_baseline() {
    let text = r#"{"functions": {"match": [{"name": "JSON.parse", "max_regression_pct": 20}]}}"#;
    for (before, after, half, status) in [
        (0.10, 0.11, 0.001, Status::Pass),
        (0.10, 0.13, 0.001, Status::Fail),
        (0.10, 0.11, 0.02, Status::Inconclusive),
        (0.0, 0.1, 0.01, Status::Inconclusive),
    ] {
        let gate = of_functions(text, vec![profile(after, half, true)], vec![profile(before, half, true)]);
        assert_eq!(gate.checks[0].status, status, "{before} {after} {half}");
    }
    assert_eq!(of_functions(text, vec![profile(0.1, 0.01, true)], Vec::new()).checks[0].status, Status::Missing);
}

#[test]
fn names_end_where_words_end() {
    for (wanted, function, meant) in [
        ("JSON.parse", "JSON.parse", true),
        ("JSON.parse", "Builtin:JSON.parse", true),
        ("parse", "parse_url", false),
        ("parse", "url::parse::<u8>", true),
        ("parse", "reparse", false),
        ("operator+", "operator++", true),
        ("[kernel]", "[kernel]", true),
        ("größe", "größer", false),
        ("", "x", true),
    ] {
        assert_eq!(is_meant(wanted, function), meant, "{wanted} in {function}");
    }
}
