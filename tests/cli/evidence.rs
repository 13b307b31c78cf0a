//! What `burnmark log add` and `burnmark report` make of their evidence.

use std::path::Path;

use crate::log::{perf_script, write};
use crate::support::{burnmark_in, folder};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/");
const SIDES: [&str; 5] = ["report", "--before", "old.perf", "--after", "new.perf"];

/// `hot` has 60 % before and 30 % after.
fn profiles(folder: &Path) {
    write(folder, "old.perf", &perf_script(6));
    write(folder, "new.perf", &perf_script(3));
}

#[test]
fn a_budget_is_held_against_profiles_and_figures_as_a_gate_does() {
    let folder = folder();
    let folder = folder.path();
    profiles(folder);
    let budget = r#"{"metrics": {"p95_latency_ms": {"max": 200}, "throughput_rps": {"min": 90, "max_regression_pct": 5},
        "cpu-clock_ms_per_op": {"max": 5000}},
        "functions": {"match": [{"name": "hot", "max_share_pct": 15}, {"name": "steady", "max_share_pct": 70.5},
        {"name": "none", "max_share_pct": 5}]}}"#;
    write(folder, "budget.json", budget);
    let more = ["--budget", "budget.json", "--metric", "throughput_rps=100,94", "--per-op", "1,1"];
    let figures = ["--projected", "p95_latency_ms=500,50"];
    let text = burnmark_in(folder, &[&SIDES[..], &more, &figures].concat()).ok().stdout;
    for row in [
        // What somebody expects is not met.
        "| p95_latency_ms | not measured | not measured | ≤ 200 | missing |",
        "| throughput_rps | 100 rps | 94 rps | ≥ 90 rps | pass |",
        "| throughput_rps | 100 rps | 94 rps, 6 % worse | at most 5 % worse | fail, minor |",
        "| cpu-clock_ms_per_op | 1,000 ms | 1,000 ms | ≤ 5000 ms | pass |",
        "| total share of none | not measured | not measured | ≤ 5 % | missing |",
    ] {
        assert!(text.contains(row), "{row} in {text}");
    }
    assert!(text.contains("| total share of hot | 60 % | 30 % \\["), "{text}");
    assert!(text.contains("| ≤ 15 % | fail, severe |"), "{text}");
    assert!(text.contains("| ≤ 70.5 % | inconclusive |"), "the interval reaches beyond: {text}");
    assert!(text.contains("- targets: 2 missed, 2 without evidence, 1 in doubt, 2 met\n"), "{text}");
    // The same words as the gate itself.
    let gate =
        burnmark_in(folder, &["gate", "--budget", "budget.json", "new.perf", "--baseline", "old.perf", "--json"]);
    let json = burnmark_in(folder, &[&SIDES[..], &more, &["--json"]].concat()).ok().json();
    let of = |name: &str| {
        let targets = json["targets"].as_array().expect("targets");
        targets.iter().find(|target| target["metric"] == format!("total share of {name}")).expect("its row").clone()
    };
    for check in
        gate.json()["checks"].as_array().expect("checks").iter().filter(|check| check["kind"] == "max_share_pct")
    {
        let ours = of(check["what"].as_str().expect("a name"));
        assert_eq!((&ours["status"], &ours["ci"]), (&check["status"], &check["ci"]), "{check}");
    }
    // Several runs: all of them count.
    for run in 0..3 {
        write(folder, &format!("b{run}.perf"), &perf_script(6 - run % 2));
        write(folder, &format!("a{run}.perf"), &perf_script(3).replace("100.0", &format!("10{run}.0")));
    }
    let runs = ["report", "--before", "b0.perf", "b1.perf", "--after", "a0.perf", "a1.perf", "a2.perf"];
    let json = burnmark_in(folder, &[&runs[..], &["--budget", "budget.json", "--json"]].concat()).ok().json();
    let hot = json["targets"].as_array().expect("targets").iter().find(|row| row["metric"] == "total share of hot");
    assert_eq!(hot.expect("its row")["runs"], 3);
    let baseline = hot.expect("its row")["baseline"].as_f64().expect("a number");
    assert!((baseline - 55.0).abs() < 1e-9, "{baseline}");
}

#[test]
fn rules_of_ones_own_make_categories() {
    let folder = folder();
    let folder = folder.path();
    profiles(folder);
    write(
        folder,
        "rules.toml",
        "[[category]]\nname = \"pricing\"\naction = \"ask the pricing team\"\n[[rule]]\ncategory = \"pricing\"\nfunction = [\"hot\"]\n",
    );
    let json = burnmark_in(folder, &[&SIDES[..], &["--rules", "rules.toml", "--json"]].concat()).ok().json();
    assert_eq!((&json["category"], &json["top_before"][0]["category"]), (&"pricing".into(), &"pricing".into()));
    assert_eq!(json["top_after"][1]["action"], "ask the pricing team");
    assert!(json["unexpected"].to_string().contains("`hot`, pricing"), "{:#}", json["unexpected"]);
    burnmark_in(folder, &[&SIDES[..], &["--rules", "none.toml"]].concat()).fails(1, &["none.toml"]);
    let add = ["log", "add", "--bottleneck", "b", "--change", "c", "--no-flame", "--rules", "rules.toml"];
    burnmark_in(folder, &[&add[..], &SIDES[1..]].concat()).ok();
    let shown = burnmark_in(folder, &["log", "show"]).ok().stdout;
    assert!(shown.contains("- category: pricing\n") && shown.contains("| pricing | ask the pricing team |"), "{shown}");
}

#[test]
fn the_category_is_that_of_what_changed() {
    let folder = folder();
    let folder = folder.path();
    write(folder, "old.folded", "main;ZSTD_compress 5000\nmain;malloc 4000\nmain;x 1000\n");
    write(folder, "new.folded", "main;ZSTD_compress 5000\nmain;malloc 400\nmain;x 1000\n");
    let report = ["report", "--before", "old.folded", "--after", "new.folded", "--per-op", "1,1", "--json"];
    let category = |words: &str| {
        burnmark_in(folder, &[&report[..], &["--bottleneck", words]].concat()).ok().json()["category"].clone()
    };
    assert_eq!(category("too slow"), "allocation");
    assert_eq!(category("ZSTD_compress"), "compression", "words that name a function are right");
    // Nothing fell: the heaviest.
    let same = ["report", "--before", "old.folded", "--after", "old.folded", "--json"];
    assert_eq!(burnmark_in(folder, &same).ok().json()["category"], "compression");
}

fn heap(folder: &Path, names: [&str; 2]) {
    for (name, fixture) in names.iter().zip(["node22-before", "node22"]) {
        std::fs::copy(format!("{FIXTURES}heap/{fixture}.heapsnapshot.zst"), folder.join(name)).expect("there is room");
    }
}

#[test]
fn snapshots_have_the_times_of_their_names() {
    let folder = folder();
    let folder = folder.path();
    let files = |names: [&str; 2]| std::fs::File::options().write(true).open(folder.join(names[0])).expect("there");
    for names in [
        ["Heap-20260101T115800.heapsnapshot.zst", "Heap-20260101T120001.heapsnapshot.zst"],
        ["Heap.20260101.115800.7.0.001.heapsnapshot.zst", "Heap.20260101.120001.7.0.002.heapsnapshot.zst"],
    ] {
        heap(folder, names);
        let text = burnmark_in(folder, &["report", "--heap", names[0], names[1]]).ok().stdout;
        assert!(text.contains("zst` | 121 s | "), "{text}");
        assert!(!text.contains("last change"), "{text}");
    }
    let names = ["1.heapsnapshot.zst", "2.heapsnapshot.zst"];
    heap(folder, names);
    let earlier = std::time::SystemTime::now() - std::time::Duration::from_secs(1_000);
    files(names).set_modified(earlier).expect("it can be set");
    let text = burnmark_in(folder, &["report", "--heap", names[0], names[1]]).ok().stdout;
    assert!(text.contains("| 1,00") && text.contains("files' last change: a copy may have another"), "{text}");
    // A copy's: the first is the youngest.
    files(names).set_modified(earlier + std::time::Duration::from_secs(9_000)).expect("it can be set");
    let text = burnmark_in(folder, &["report", "--heap", names[0], names[1]]).ok().stdout;
    assert!(text.contains("is not known") && text.contains("`2.heapsnapshot.zst` | – |"), "{text}");
}

#[test]
fn one_snapshot_is_not_compared_with_itself() {
    let folder = folder();
    let folder = folder.path();
    heap(folder, ["1.heapsnapshot.zst", "2.heapsnapshot.zst"]);
    let add = ["log", "add", "--bottleneck", "b", "--change", "c", "--heap", "2.heapsnapshot.zst"];
    burnmark_in(folder, &add).ok();
    let shown = burnmark_in(folder, &["log", "render"]).ok().stdout;
    assert!(shown.contains("| heap: not measured | ") && shown.contains(" | n/a |"), "{shown}");
    assert!(
        shown.contains("### Heap Snapshot\n\n| Snapshot | Heap Size |\n|---|--:|\n| `2.heapsnapshot.zst` | "),
        "{shown}"
    );
    assert!(!shown.contains("0.0 %") && !shown.contains("Delta"), "{shown}");
}

#[test]
fn iterations_and_snapshots_that_do_not_fit_are_refused() {
    let folder = folder();
    let folder = folder.path();
    let names = ["1.heapsnapshot.zst", "2.heapsnapshot.zst"];
    heap(folder, names);
    for command in [&["heap"][..], &["report", "--heap"]] {
        let run = |arguments: &[&str]| burnmark_in(folder, &[command, arguments].concat());
        run(&[names[0], names[1], "--iterations", "100,50"]).fails(1, &["100 comes before 50", "0,100,200"]);
        run(&[names[0], names[1], "--iterations", "100,100"]).fails(1, &["100 comes before 100"]);
        run(&[names[0], names[1], "--iterations", "0,1,2"]).fails(1, &["each of the 2 snapshots", "has 3"]);
        run(&[names[0], "--iterations", "5"]).fails(1, &["two snapshots and more"]);
        run(&[names[0], names[1], "--iterations", "0,100"]).ok();
    }
    burnmark_in(folder, &["report", "--heap", names[1], names[0]]).fails(1, &["earliest first"]);
}

#[test]
fn results_that_differ_by_more_than_the_change_are_told() {
    let folder = folder();
    let folder = folder.path();
    let k6 = format!("{FIXTURES}metrics/k6/points.ndjson");
    let autocannon = format!("{FIXTURES}metrics/autocannon/home.json");
    let text = burnmark_in(folder, &["report", "--metrics", &format!("{k6},{autocannon}")]).ok().stdout;
    assert!(text.contains("different tools, k6 points before and autocannon after"), "{text}");
    assert!(text.contains("requests or runs a file before"), "{text}");
    let figures = |unit: &str, value: f64| {
        format!(
            r#"{{"schema": "burnmark.metrics/1", "metrics": [{{"name": "p95_latency_{unit}", "unit": "{unit}", "direction": "lower", "value": {value}}}]}}"#
        )
    };
    write(folder, "ms.json", &figures("ms", 500.0));
    write(folder, "s.json", &figures("s", 0.4));
    let text = burnmark_in(folder, &["report", "--metrics", "ms.json,s.json"]).ok().stdout;
    assert!(text.contains("p95_latency is in \"ms\" before and in \"s\" after"), "{text}");
    write(folder, "again.json", &figures("ms", 501.0));
    let alike = burnmark_in(folder, &["report", "--metrics", "ms.json,again.json"]).ok().stdout;
    assert!(!alike.contains("- note:"), "{alike}");
    let same = burnmark_in(folder, &["report", "--metrics", "ms.json,ms.json"]).ok().stdout;
    assert!(same.contains("- note: results: before and after are the same"), "{same}");
}

#[test]
fn a_figure_has_one_value() {
    let folder = folder();
    let folder = folder.path();
    let twice = ["report", "--metric", "x_ms=1,2", "--metric", "x_ms=3,4"];
    burnmark_in(folder, &twice).fails(1, &["--metric x_ms is given twice"]);
    write(folder, "run.json", r#"{"results": [{"command": "a", "mean": 1.5}]}"#);
    let both = ["report", "--metric", "mean_time_ms=1,2", "--metrics", "run.json,run.json"];
    burnmark_in(folder, &both).fails(1, &["--metric mean_time_ms", "leave it out"]);
    burnmark_in(folder, &["report", "--metric", "x_ms=4,3", "--projected", "x_ms=4,1"]).ok();
}
