//! `burnmark metrics`: what tools wrote, as a user sees it.

use std::path::PathBuf;

use crate::support::{burnmark_in, burnmark_with, folder};

pub(crate) fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/metrics").join(name);
    path.to_str().expect("a path in UTF-8").to_owned()
}

#[test]
fn every_tool_is_known_by_what_it_wrote() {
    let folder = folder();
    for (file, source, name) in [
        ("k6/points.ndjson", "k6 points", "p95_latency_ms"),
        ("k6/summary-export.json", "k6 summary export", "p95_latency_ms"),
        ("k6/handle-summary.json", "k6 handleSummary data", "p99_latency_ms"),
        ("k6/machine-summary.json", "k6 summary", "p90_latency_ms"),
        ("artillery/v1.json", "artillery 1", "p99_latency_ms"),
        ("artillery/v2.json", "artillery 2", "p99_9_latency_ms"),
        ("locust/run_stats.csv", "locust stats", "p98_latency_ms"),
        ("locust/run_stats_history.csv", "locust stats history", "window_p95_latency_ms"),
        ("autocannon/home.json", "autocannon", "p97_5_latency_ms"),
        ("hyperfine/one.json", "hyperfine", "mean_time_ms"),
        ("memory/leak.ndjson", "process.memoryUsage()", "heap_slope_mb_per_h"),
        ("mprof/grow.dat", "mprof", "memory_mb"),
    ] {
        let json = burnmark_in(folder.path(), &["metrics", &fixture(file), "--json"]).ok().json();
        assert_eq!((&json["schema"], &json["source"]), (&"burnmark.metrics/1".into(), &source.into()), "{file}");
        let metric = json["metrics"].as_array().expect("a list").iter().find(|metric| metric["name"] == name);
        let metric = metric.unwrap_or_else(|| panic!("{file} has no {name}: {json}"));
        assert!(metric["value"].is_f64() && metric["direction"] == "lower" && metric["unit"].is_string(), "{metric}");
        // The table has the same names.
        let table = burnmark_in(folder.path(), &["metrics", &fixture(file)]).ok().stdout;
        assert!(table.contains(name) && table.contains(source), "{table}");
    }
}

#[test]
fn a_threshold_of_k6_that_is_true_in_the_export_failed() {
    let folder = folder();
    for file in ["k6/summary-export.json", "k6/handle-summary.json"] {
        let json = burnmark_in(folder.path(), &["metrics", &fixture(file), "--json"]).ok().json();
        let passed = |limit: &str| {
            let known = json["thresholds"].as_array().expect("a list").iter().find(|known| known["limit"] == limit);
            known.map(|known| known["passed"].clone())
        };
        assert_eq!((passed("p(95)<200"), passed("p(99)<150")), (Some(true.into()), Some(false.into())), "{file}");
    }
    let table = burnmark_in(folder.path(), &["metrics", &fixture("k6/summary-export.json")]).ok().stdout;
    assert!(table.contains("http_req_duration p(99)<150: crossed"), "{table}");
}

#[test]
fn forms_and_several_files() {
    let folder = folder();
    let two = [fixture("hyperfine/one.json"), fixture("autocannon/home.json")];
    let markdown = burnmark_in(folder.path(), &["metrics", &two[0], &two[1], "--md"]).ok().stdout;
    assert!(markdown.contains("| metric | value | unit |") && markdown.matches("### ").count() == 2, "{markdown}");
    let csv = burnmark_in(folder.path(), &["metrics", &two[0], &two[1], "--csv"]).ok().stdout;
    assert!(csv.starts_with("file,source,metric,value,unit,better,n,ci_low,ci_high\r\n"), "{csv}");
    let json = burnmark_in(folder.path(), &["metrics", &two[0], &two[1], "--json"]).ok().json();
    assert_eq!(json.as_array().map(Vec::len), Some(2));
    // What was printed is read again, also through a pipe.
    let once = burnmark_in(folder.path(), &["metrics", &two[0], "--json"]).ok();
    let again = burnmark_with(folder.path(), &["metrics", "-", "--json"], once.stdout.as_bytes()).ok().json();
    assert_eq!(again["metrics"], once.json()["metrics"]);
}

/// The bytes as `gzip` and `zstd` make them.
fn compressed(bytes: &[u8]) -> [(&'static str, Vec<u8>); 2] {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, bytes).expect("in memory");
    [("gz", gzip.finish().expect("in memory")), ("zst", zstd::encode_all(bytes, 3).expect("in memory"))]
}

#[test]
fn results_are_read_compressed_wherever_they_are_given() {
    let folder = folder();
    let folder = folder.path();
    std::fs::write(folder.join("budget.json"), r#"{"metrics": {"p95_latency_ms": {"max": 1000}}}"#).expect("room");
    for file in ["k6/points.ndjson", "artillery/v2.json", "locust/run_stats.csv"] {
        let bytes = std::fs::read(fixture(file)).expect("a fixture");
        let plain = burnmark_in(folder, &["metrics", &fixture(file), "--json"]).ok().json();
        for (ending, bytes) in compressed(&bytes) {
            // Found by content: the name may say nothing.
            for name in [format!("results.{ending}"), "results".to_owned()] {
                std::fs::write(folder.join(&name), &bytes).expect("room");
                let read = burnmark_in(folder, &["metrics", &name, "--json"]).ok().json();
                assert_eq!(read["metrics"], plain["metrics"], "{file} as {name}");
            }
            let piped = burnmark_with(folder, &["metrics", "-", "--json"], &bytes).ok().json();
            assert_eq!(piped["metrics"], plain["metrics"], "{file} as {ending} through a pipe");
            let name = format!("results.{ending}");
            burnmark_in(folder, &["gate", "--budget", "budget.json", &name]).ok();
            let pair = format!("{},{name}", fixture(file));
            let report =
                burnmark_in(folder, &["report", "--bottleneck", "b", "--change", "c", "--metrics", &pair, "--json"]);
            let report = report.ok().json();
            let p95 = report["metrics"].as_array().expect("figures").iter().find(|it| it["name"] == "p95_latency_ms");
            let p95 = p95.expect("a figure");
            assert!(p95["before"].is_f64() && p95["before"] == p95["after"], "{file} as {ending}: {p95}");
            // Cut off: refused or told, never read as if it were whole.
            std::fs::write(folder.join("cut"), &bytes[..bytes.len() / 2]).expect("room");
            let cut = burnmark_in(folder, &["metrics", "cut"]);
            assert!(cut.code == 1 || cut.stderr.contains("warning"), "{file} as {ending}: {}", cut.stdout);
        }
    }
}

#[test]
fn what_is_not_understood_is_refused_with_what_was_seen() {
    let folder = folder();
    std::fs::write(folder.path().join("other.json"), "{\"hello\": 1}").expect("it is written");
    burnmark_in(folder.path(), &["metrics", "other.json"])
        .fails(1, &["cannot read other.json", "an object with the keys \"hello\"", "what is read: k6"]);
    burnmark_with(folder.path(), &["metrics", "-"], b"").fails(1, &["standard input", "it is empty"]);
    burnmark_in(folder.path(), &["metrics", "absent.json"]).fails(1, &["cannot open absent.json"]);
    burnmark_in(folder.path(), &["metrics", "."]).fails(1, &["is a directory"]);
    burnmark_in(folder.path(), &["metrics"]).fails(2, &["FILE"]);
}

#[test]
fn damage_is_a_warning_with_its_line() {
    let folder = folder();
    let mut points = std::fs::read(fixture("k6/points.ndjson")).expect("the fixture");
    points.extend_from_slice(b"{\"type\":\"Point\",\"me");
    let run = burnmark_with(folder.path(), &["metrics", "-"], &points).ok();
    assert!(run.stderr.contains("no point of k6's: it is skipped (line "), "{}", run.stderr);
    assert!(run.stdout.contains("p95_latency_ms"));
}
