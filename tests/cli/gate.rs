//! `burnmark gate`: budgets against results, profiles, snapshots and baselines; the exit code is the answer.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::metrics::fixture;
use crate::support::{Run, burnmark_in, folder, program};

fn gate(folder: &Path, budget: &str, args: &[&str]) -> Run {
    std::fs::write(folder.join("budget.json"), budget).expect("it is written");
    burnmark_in(folder, &[&["gate", "--budget", "budget.json"], args].concat())
}

fn other(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn statuses(run: &Run) -> Vec<String> {
    let checks = run.json()["checks"].as_array().expect("a list").clone();
    checks.iter().map(|check| check["status"].as_str().expect("a word").to_owned()).collect()
}

/// The fixture's p95 is about 155 ms, its p99 about 200.
#[test]
fn figures_pass_warn_and_fail() {
    let folder = folder();
    let results = fixture("k6/summary-export.json");
    for (limit, code, status) in [
        (r#"{"max": 1000}"#, 0, "pass"),
        (r#"{"max": 1000, "warn": 20}"#, 0, "warn"),
        (r#"{"max": 20}"#, 3, "fail"),
        (r#"{"min": 1000}"#, 3, "fail"),
    ] {
        let budget = format!("{{ // a comment\n \"metrics\": {{\"p95_latency_ms\": {limit},}},}}");
        let run = gate(folder.path(), &budget, &[&results, "--json"]);
        assert_eq!((run.code, run.json()["verdict"].as_str()), (code, Some(status)), "{}", run.stdout);
        assert_eq!(run.json()["schema"], "burnmark.gate/1");
        assert_eq!(statuses(&run), [status]);
    }
}

#[test]
fn raw_points_have_an_interval_that_can_cross_the_limit() {
    let folder = folder();
    let results = fixture("k6/points.ndjson");
    let json = burnmark_in(folder.path(), &["metrics", &results, "--json"]).ok().json();
    let metrics = json["metrics"].as_array().expect("a list");
    let p95 = metrics.iter().find(|metric| metric["name"] == "p95_latency_ms").expect("it is there");
    let (value, high) = (p95["value"].as_f64().expect("a number"), p95["ci"][1].as_f64().expect("a number"));
    let budget = format!("{{\"metrics\": {{\"p95_latency_ms\": {{\"max\": {}}}}}}}", (value + high) / 2.0);
    let run = gate(folder.path(), &budget, &[&results, "--json"]);
    assert_eq!((run.code, statuses(&run)), (0, vec!["inconclusive".to_owned()]));
    assert_eq!(gate(folder.path(), &budget, &[&results, "--strict"]).code, 4);
    let stern = budget.replacen('{', "{\"policy\": {\"inconclusive\": \"fail\"}, ", 1);
    assert_eq!(gate(folder.path(), &stern, &[&results]).code, 3);
}

#[test]
fn missing_evidence_fails_or_under_strict_is_told() {
    let folder = folder();
    let results = fixture("autocannon/home.json");
    let budget = r#"{"metrics": {"p95_latency_ms": {"max": 1000}}}"#;
    let run = gate(folder.path(), budget, &[&results]);
    assert_eq!(run.code, 3, "{}", run.stdout);
    assert!(run.stdout.contains("missing") && run.stdout.contains("p97_5"), "{}", run.stdout);
    let lenient = r#"{"metrics": {"p95_latency_ms": {"max": 1000}}, "policy": {"missing": "warn"}}"#;
    assert_eq!(gate(folder.path(), lenient, &[&results]).code, 0);
    assert_eq!(gate(folder.path(), lenient, &[&results, "--strict"]).code, 4);
}

#[test]
fn budgets_that_are_not_understood_are_errors_with_their_place() {
    let folder = folder();
    let results = fixture("autocannon/home.json");
    gate(folder.path(), "{\n \"metrics\": {\"a\": {\"maxx\": 1}}\n}", &[&results])
        .fails(1, &["budget.json", "unknown field `maxx`", "line 2"]);
    burnmark_in(folder.path(), &["gate", &results]).fails(1, &["there is no .burnmark/budget.json here", "--budget"]);
    burnmark_in(folder.path(), &["gate", "--budget", "budget.json"]).fails(2, &["INPUT"]);
    gate(folder.path(), "{\"metrics\": {\"a\": {\"max\": 1}}}", &["absent.json"])
        .fails(1, &["cannot open absent.json"]);
    gate(folder.path(), "{\"metrics\": {\"a\": {\"max\": 1}}}", &[&results, "-o", "x.pdf"])
        .fails(1, &["use .md, .csv or .json"]);
}

#[test]
fn functions_of_a_profile() {
    let folder = folder();
    // 70 of 100 in render, 20 of them in JSON.parse below it.
    let stacks = "main;render 50\nmain;render;JSON.parse 20\nmain;parse_url 30\n";
    std::fs::write(folder.path().join("app.folded"), stacks).expect("it is written");
    for (limit, code, status) in [
        (r#"{"name": "JSON.parse", "max_share_pct": 50}"#, 0, "pass"),
        (r#"{"name": "JSON.parse", "max_share_pct": 15}"#, 3, "fail"),
        (r#"{"name": "JSON.parse", "max_share_pct": 22}"#, 0, "inconclusive"),
        (r#"{"name": "render", "max_share_pct": 60}"#, 3, "fail"),
        (r#"{"name": "render", "max_share_pct": 65, "by": "self"}"#, 0, "pass"),
        (r#"{"name": "JSON.stringify", "max_share_pct": 15}"#, 3, "missing"),
        (r#"{"name": "JSON.stringify", "max_share_pct": 15, "if_absent": "pass"}"#, 0, "pass"),
    ] {
        let run =
            gate(folder.path(), &format!("{{\"functions\": {{\"match\": [{limit}]}}}}"), &["app.folded", "--json"]);
        assert_eq!((run.code, statuses(&run)), (code, vec![status.to_owned()]), "{limit}\n{}", run.stdout);
    }
    // A real recording, with times.
    let budget = r#"{"functions": {"match": [{"name": "fib", "max_share_pct": 1, "if_absent": "pass"}]}}"#;
    let run = gate(folder.path(), budget, &[&other("cpuprofile/node20.cpuprofile"), "--json"]);
    assert!(matches!(run.code, 0 | 3) && run.json()["checks"][0]["ci"].is_array(), "{}", run.stdout);
    // Less of it than in the baseline.
    let faster = "main;render 90\nmain;render;JSON.parse 5\nmain;parse_url 5\n";
    std::fs::write(folder.path().join("after.folded"), faster).expect("it is written");
    let budget = r#"{"functions": {"match": [{"name": "JSON.parse", "max_share_pct": 15, "max_regression_pct": 10}]}}"#;
    let run = gate(folder.path(), budget, &["after.folded", "--baseline", "app.folded", "--json"]);
    assert_eq!((run.code, statuses(&run)), (0, vec!["pass".to_owned(), "pass".to_owned()]), "{}", run.stdout);
    let run = gate(folder.path(), budget, &["app.folded", "--baseline", "after.folded", "--json"]);
    assert_eq!((run.code, statuses(&run)), (3, vec!["fail".to_owned(), "fail".to_owned()]), "{}", run.stdout);
}

#[test]
fn a_baseline_and_steps_of_severity() {
    let folder = folder();
    let write = |name: &str, value: f64| {
        let text = format!(
            "{{\"schema\": \"burnmark.metrics/1\", \"metrics\": [{{\"name\": \"p99_latency_ms\", \"unit\": \"ms\", \
             \"direction\": \"lower\", \"value\": {value}}}]}}"
        );
        std::fs::write(folder.path().join(name), text).expect("it is written");
    };
    write("before.json", 100.0);
    for (value, code, status, severity) in [
        (99.0, 0, "pass", None),
        (106.0, 0, "warn", Some("minor")),
        (112.0, 3, "fail", Some("moderate")),
        (125.0, 3, "fail", Some("severe")),
    ] {
        write("after.json", value);
        let budget = r#"{"metrics": {"p99_latency_ms": {"max_regression_pct": 10}}}"#;
        let run = gate(folder.path(), budget, &["after.json", "--baseline", "before.json", "--json"]);
        assert_eq!((run.code, statuses(&run)), (code, vec![status.to_owned()]), "{value}");
        assert_eq!(run.json()["checks"][0]["severity"].as_str(), severity, "{value}");
    }
}

#[test]
fn growth_of_heaps_and_of_memory() {
    let folder = folder();
    let (before, after) = (other("heap/node22-before.heapsnapshot.zst"), other("heap/node22.heapsnapshot.zst"));
    let budget = r#"{"metrics": {"heap_growth_mb": {"max": 0}, "heap_mb": {"max": 1000}}}"#;
    let run = gate(folder.path(), budget, &[&before, &after, "--json"]);
    assert_eq!((run.code, statuses(&run)), (3, vec!["fail".to_owned(), "pass".to_owned()]), "{}", run.stdout);
    let slope = r#"{"metrics": {"heap_slope_mb_per_h": {"max": 500}}}"#;
    assert_eq!(gate(folder.path(), slope, &[&before, &after]).code, 3, "snapshots have no times");
    assert_eq!(gate(folder.path(), slope, &[&fixture("memory/leak.ndjson")]).code, 3);
    assert_eq!(gate(folder.path(), slope, &[&fixture("memory/steady.ndjson")]).code, 0);
}

#[test]
fn verdicts_for_people_and_for_github() {
    let folder = folder();
    let results = fixture("k6/summary-export.json");
    let budget = r#"{"metrics": {"p95_latency_ms": {"max": 20}, "throughput_rps": {"min": 1}, "x|y`<b>": {"max": 1}}}"#;
    let run = gate(folder.path(), budget, &[&results, "--md", "-o", "verdict.md", "-o", "verdict.json"]);
    assert_eq!(run.code, 3);
    assert!(
        run.stdout.starts_with("### ❌ burnmark gate: the budget is broken: 1 fail, 1 missing, 1 pass"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("<details>") && !run.stdout.contains("<b>"), "{}", run.stdout);
    assert!(run.stdout.contains("own threshold http_req_duration p(99)&lt;150 was crossed"), "{}", run.stdout);
    let written = std::fs::read_to_string(folder.path().join("verdict.md")).expect("it was written");
    assert_eq!(written, run.stdout);
    assert!(folder.path().join("verdict.json").is_file());
    let table = gate(folder.path(), budget, &[&results]).stdout;
    assert!(table.contains("✗ fail") && table.contains("≤ 20 ms") && !table.contains('\x1b'), "{table}");

    let summary = folder.path().join("summary.md");
    std::fs::write(&summary, "before\n").expect("it is written");
    let arguments = ["gate", "--budget", "budget.json", &results, "--github"];
    let status = Command::new(program())
        .args(arguments)
        .current_dir(folder.path())
        .env("GITHUB_STEP_SUMMARY", &summary)
        .output()
        .expect("burnmark starts");
    assert_eq!(status.status.code(), Some(3));
    let text = std::fs::read_to_string(&summary).expect("it is there");
    assert!(text.starts_with("before\n### ❌ burnmark gate"), "{text}");
    let without = Command::new(program())
        .args(arguments)
        .current_dir(folder.path())
        .env_remove("GITHUB_STEP_SUMMARY")
        .output()
        .expect("burnmark starts");
    assert_eq!(without.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&without.stderr).contains("GITHUB_STEP_SUMMARY"));
}

#[test]
fn one_run_given_twice_is_not_two() {
    let folder = folder();
    let results = fixture("k6/points.ndjson");
    let copy = folder.path().join("copy.ndjson").display().to_string();
    std::fs::copy(&results, &copy).expect("there is room");
    for again in [&results, &copy] {
        let run = gate(folder.path(), r#"{"metrics": {"p95_latency_ms": {"max": 1000}}}"#, &[&results, again]);
        assert_eq!(run.code, 1, "{}", run.stdout);
        assert!(run.stderr.contains("a run counts once"), "{}", run.stderr);
    }
}

#[test]
fn damaged_results_are_no_pass() {
    let folder = folder();
    let text = std::fs::read(fixture("k6/points.ndjson")).expect("the fixture is there");
    std::fs::write(folder.path().join("cut.ndjson"), &text[..text.len() / 2]).expect("there is room");
    let run = gate(folder.path(), r#"{"metrics": {"p95_latency_ms": {"max": 100000}}}"#, &["cut.ndjson", "--json"]);
    assert_eq!(statuses(&run), ["inconclusive"]);
    assert!(run.json()["notes"][0].as_str().is_some_and(|note| note.contains("cut.ndjson")), "{}", run.stdout);
    assert_eq!(
        gate(folder.path(), r#"{"metrics": {"p95_latency_ms": {"max": 100000}}}"#, &["cut.ndjson", "--strict"]).code,
        4
    );
}

#[test]
fn snapshots_out_of_order_are_no_evidence() {
    let folder = folder();
    let budget = r#"{"metrics": {"heap_leak_suspects": {"max": 0}}}"#;
    let snapshot = |number: u32| other(&format!("heap/library/leak-{number}.heapsnapshot.zst"));
    let [first, second, third] = [1, 2, 3].map(snapshot);
    assert_eq!(gate(folder.path(), budget, &[&first, &second, &third]).code, 3);
    let run = gate(folder.path(), budget, &[&third, &first, &second]);
    assert!(run.code == 1 && run.stderr.contains("the earliest first"), "{}{}", run.stdout, run.stderr);
    let run = gate(folder.path(), budget, &[&first, &first, &first]);
    assert!(run.code == 1 && run.stderr.contains("counts once"), "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_budget_without_an_end_is_refused() {
    let folder = folder();
    let run = burnmark_in(folder.path(), &["gate", "--budget", "/dev/zero", &fixture("k6/points.ndjson")]);
    assert!(run.code == 1 && run.stderr.contains("no end"), "{}", run.stderr);
}

#[test]
fn few_requests_are_no_pass_whatever_wrote_them() {
    let folder = folder();
    // 49 requests; 72 bound a 95th percentile.
    for file in ["k6/run.ndjson", "k6/run-export.json", "k6/run-data.json"] {
        let run = |metric: &str, more: &[&str]| {
            let budget = format!("{{\"metrics\": {{\"{metric}\": {{\"max\": 100000}}}}}}");
            gate(folder.path(), &budget, &[&[fixture(file).as_str(), "--json"], more].concat())
        };
        assert_eq!(statuses(&run("p95_latency_ms", &[])), ["inconclusive"], "{file}");
        assert!(run("p95_latency_ms", &[]).stdout.contains("72 and more are needed"));
        assert_eq!(run("p95_latency_ms", &["--strict"]).code, 4);
        assert_eq!(statuses(&run("p50_latency_ms", &[])), ["pass"], "{file}");
    }
    let ten = r#"{"aggregate": {"requestsCompleted": 10, "latency": {"min": 1, "median": 2, "p95": 3, "p99": 4}, "rps": {"mean": 1},
                  "codes": {"200": 10}, "errors": {}}}"#;
    std::fs::write(folder.path().join("ten.json"), ten).expect("it is written");
    let budget = r#"{"metrics": {"p99_latency_ms": {"max": 1000}}}"#;
    assert_eq!(statuses(&gate(folder.path(), budget, &["ten.json", "--json"])), ["inconclusive"]);
}

#[test]
fn results_that_contradict_themselves_are_refused() {
    let folder = folder();
    let budget = r#"{"metrics": {"p95_latency_ms": {"max": 1000}}}"#;
    let judged = |fields: &str| {
        let text = format!(
            "{{\"schema\": \"burnmark.metrics/1\", \"metrics\": [{{\"name\": \"p95_latency_ms\", {fields}}}]}}"
        );
        std::fs::write(folder.path().join("x.json"), text).expect("it is written");
        gate(folder.path(), budget, &["x.json"])
    };
    assert_eq!(judged(r#""unit": "ms", "direction": "lower", "value": 5"#).code, 0);
    for (fields, field) in [
        (r#""unit": "s", "direction": "lower", "value": 5"#, "unit: it is \"s\""),
        (r#""unit": "ms", "direction": "higher", "value": 5"#, "direction"),
        (r#""unit": "ms", "direction": "lower", "value": 5, "ci": [9, 1]"#, "ci"),
        (r#""unit": "ms", "direction": "lower", "value": 5, "n": 0"#, "n: 5 was made of nothing"),
    ] {
        judged(fields).fails(1, &["cannot read x.json", "metrics[0], p95_latency_ms", field]);
    }
}

/// What GitHub would make something of: cells, code, HTML, links, people, issues, emoji, formulas.
const HOSTILE: &str = "a|b`c`<img src=x>@me #7 GH-7 12:34:56 :rocket: :100: :+1: https://e.com www.e.com [x](y) $z$ **w** ~v~ \u{202e}\u{1b}[31m";

#[test]
fn hostile_names_stay_text_for_github() {
    let folder = folder();
    let name = serde_json::to_string(HOSTILE).expect("JSON");
    let results = format!(
        "{{\"schema\": \"burnmark.metrics/1\", \"metrics\": [{{\"name\": {name}, \"unit\": {name}, \"direction\": \"lower\", \"value\": 5}}]}}"
    );
    std::fs::write(folder.path().join("|:fire:@you<b>.json"), results).expect("it is written");
    let file = "|:fire:@you<b>.json";
    let budget = format!("{{\"metrics\": {{{name}: {{\"max\": 1}}, \"not :tada: there\": {{\"max\": 1}}}}}}");
    let verdict = gate(folder.path(), &budget, &[file, "--md"]).stdout;
    let table = burnmark_in(folder.path(), &["metrics", file, "--md"]).ok().stdout;
    for text in [&verdict, &table] {
        crate::inert::check(text, "gate or metrics");
        assert!(!text.contains(['\u{202e}', '\u{1b}']), "{text}");
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        let columns = |row: &&&str| row.matches('|').count();
        assert!(rows.iter().all(|row| columns(&row) == columns(&&rows[0])) && rows.len() >= 3, "{text}");
    }
    assert!(table.contains("12:34:56"), "{table}");
    let terminal = burnmark_in(folder.path(), &["metrics", file]).ok().stdout;
    assert!(!terminal.contains('\u{1b}') && !terminal.contains('\u{202e}'), "{terminal}");
}

#[test]
fn numbers_that_are_none() {
    let folder = folder();
    let results = fixture("k6/points.ndjson");
    for number in ["NaN", "1e999", "-Infinity", "\"5\"", "null"] {
        let run = gate(
            folder.path(),
            &format!("{{\"metrics\": {{\"p95_latency_ms\": {{\"max\": {number}}}}}}}"),
            &[&results],
        );
        assert_eq!(run.code, 1, "{number}: {}{}", run.stdout, run.stderr);
    }
    for arguments in [
        ["trend", &results, "--max-slope", "NaN"],
        ["trend", &results, "--max-slope=-1", "--json"],
        ["trend", &results, "--warmup", "nan%"],
        ["trend", &results, "--warmup", "inf"],
        ["trend", &results, "--every", "-1"],
        ["trend", &results, "--every", "0"],
        ["trend", &results, "-d", "5"],
        ["log", "add", "--per-op", "1"],
        ["log", "add", "--per-op", "nan,1"],
    ] {
        assert_eq!(burnmark_in(folder.path(), &arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn a_figure_that_rose_from_zero_is_beyond_every_percentage() {
    let folder = folder();
    let (refused, home) = (fixture("autocannon/refused.json"), fixture("autocannon/home.json"));
    let budget = r#"{"metrics": {"errors": {"max_regression_pct": 10}}}"#;
    let run = gate(folder.path(), budget, &[&refused, "--baseline", &home, "--json"]);
    assert_eq!((statuses(&run), run.code), (vec!["fail".to_owned()], 3), "{}", run.stdout);
    let run = gate(folder.path(), budget, &[&home, "--baseline", &home, "--json"]);
    assert_eq!((statuses(&run), run.code), (vec!["pass".to_owned()], 0), "{}", run.stdout);
}

/// The list that `metrics --json` writes of several files is as good as the files.
#[test]
fn a_list_of_runs_is_the_runs() {
    let folder = folder();
    let run = |at: usize, value: f64| {
        let text = format!(
            "{{\"schema\": \"burnmark.metrics/1\", \"metrics\": [{{\"name\": \"p95_latency_ms\", \"unit\": \"ms\", \
             \"direction\": \"lower\", \"value\": {value}}}]}}"
        );
        std::fs::write(folder.path().join(format!("{at}.json")), text).expect("there is room");
        format!("{at}.json")
    };
    let before: Vec<String> = (0..4).map(|at| run(at, 100.0 + at as f64)).collect();
    let after: Vec<String> = (4..8).map(|at| run(at, 150.0 + at as f64)).collect();
    let list = |files: &[String], name: &str| {
        let words: Vec<&str> = ["metrics", "--json"].into_iter().chain(files.iter().map(String::as_str)).collect();
        let text = burnmark_in(folder.path(), &words).ok().stdout;
        std::fs::write(folder.path().join(name), text).expect("there is room");
    };
    list(&before, "before.json");
    list(&after, "after.json");
    let budget = r#"{"metrics": {"p95_latency_ms": {"max_regression_pct": 10}}}"#;
    let lists = gate(folder.path(), budget, &["after.json", "--baseline", "before.json", "--json"]);
    let mut words: Vec<&str> = after.iter().map(String::as_str).collect();
    for file in &before {
        words.extend(["--baseline", file]);
    }
    words.push("--json");
    let files = gate(folder.path(), budget, &words);
    assert_eq!((lists.json(), lists.code), (files.json(), 3));
    assert_eq!(lists.json()["checks"][0]["runs"], 4);
}
