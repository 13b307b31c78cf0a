//! A whole round of an optimization, as a user goes through it: profile, fix, profile again, compare, keep the evidence,
//! hold the budget, report. The service and its load are in `fixtures/service`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sampling::sampling_works;
use crate::support::{burnmark_in, folder, program};

const REQUESTS: &str = "4000";

/// What the service must keep: its parsing may not come back, and answers must be quick.
const BUDGET: &str = r#"{
  // Milliseconds, whatever the machine: the load is on loopback.
  "metrics": {"p95_latency_ms": {"max": 1000}, "error_rate_pct": {"max": 0}, "requests": {"min": 1500}},
  "functions": {"match": [{"name": "JsonParser", "max_share_pct": 15, "if_absent": "pass"}]}
}"#;

fn service(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/service").join(file)
}

/// Records the service under its load: `NAME.pb.gz` and `NAME.ndjson`.
fn measured(folder: &Path, name: &str, flags: &[&str]) {
    let port_file = folder.join(format!("{name}.port"));
    let mut recorder = Command::new(program())
        .args(["record", "-F", "997", "-o", &format!("{name}.pb.gz"), "--", "node", "--perf-basic-prof"])
        .arg(service("server.js"))
        .args(["--requests", REQUESTS, "--port-file"])
        .arg(&port_file)
        .args(flags)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("burnmark starts");
    let start = Instant::now();
    let port = loop {
        if let Ok(port) = std::fs::read_to_string(&port_file) {
            break port;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "the service does not start");
        std::thread::sleep(Duration::from_millis(20));
    };
    let load = Command::new("node")
        .arg(service("load.js"))
        .args([&port, REQUESTS, &format!("{name}.ndjson")])
        .current_dir(folder)
        .status();
    assert!(load.expect("node starts").success());
    assert!(recorder.wait().expect("burnmark ends").success());
}

/// The share of all frames of JSON's parser, by themselves.
fn parsing(folder: &Path, profile: &str) -> f64 {
    let top = burnmark_in(folder, &["top", profile, "--limit", "0", "--json"]).ok().json();
    let rows = top["rows"].as_array().expect("rows").iter();
    let parser = rows.filter(|row| row["function"].as_str().is_some_and(|name| name.contains("JsonParser")));
    parser.map(|row| row["self_share"].as_f64().expect("a share")).sum()
}

#[test]
fn a_round_of_an_optimization() {
    let has_node = Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok_and(|it| it.success());
    if !sampling_works() || !has_node {
        return;
    }
    let folder = folder();
    let folder = folder.path();
    std::fs::write(folder.join("budget.json"), BUDGET).expect("there is room");
    let prose =
        "# How we made search fast\n\nOur words.\n\n<!-- burnmark:log -->\n<!-- /burnmark:log -->\n\nMore words.\n";
    std::fs::write(folder.join("LOG.md"), prose).expect("there is room");

    // Profile: where does the time go? The table says what kind of work it is, and where to look.
    measured(folder, "before", &[]);
    let top = burnmark_in(folder, &["top", "before.pb.gz", "--findings", "--hints"]).ok().stdout;
    assert!(top.contains("serialization (high)") && top.contains("% serialization: serialize less"), "{top}");
    let budget = ["gate", "--budget", "budget.json"];
    let broken = burnmark_in(folder, &[&budget[..], &["before.ndjson", "before.pb.gz"]].concat());
    assert_eq!(broken.code, 3, "{}{}", broken.stdout, broken.stderr);

    // The fix, measured the same way.
    measured(folder, "after", &["--parse-once"]);
    let (old, new) = (parsing(folder, "before.pb.gz"), parsing(folder, "after.pb.gz"));
    assert!(old > 0.1 && new < old / 4.0, "{old} {new}");
    let per_request = format!("{REQUESTS},{REQUESTS}");
    let diff = ["diff", "before.pb.gz", "after.pb.gz", "--per-op", &per_request, "--json"];
    let diff = burnmark_in(folder, &diff).ok().json();
    assert!(diff["summary"]["improved"].as_u64().is_some_and(|improved| improved > 0), "{diff}");

    // The entry, once, with its evidence.
    let add = [
        "log",
        "add",
        "--bottleneck",
        "JsonParser: the catalogue is parsed for every request",
        "--change",
        "parse it once (--parse-once)",
        "--before",
        "before.pb.gz",
        "--after",
        "after.pb.gz",
        "--per-op",
        &per_request,
        "--metrics",
        "before.ndjson,after.ndjson",
    ];
    let id = burnmark_in(folder, &add).ok().stdout;
    assert_eq!(burnmark_in(folder, &add).ok().stdout, id, "the same entry is not added twice");
    burnmark_in(folder, &["log", "verify"]).ok();

    // The budget holds now, against the baseline too.
    let kept = [&budget[..], &["after.ndjson", "after.pb.gz", "--baseline", "before.ndjson", "before.pb.gz"]].concat();
    burnmark_in(folder, &kept).ok();

    // The report, and the log between its marks.
    let report =
        ["report", "--before", "before.pb.gz", "--after", "after.pb.gz", "--metrics", "before.ndjson,after.ndjson"];
    burnmark_in(folder, &[&report[..], &["-o", "report.md"]].concat()).ok();
    let report = std::fs::read_to_string(folder.join("report.md")).expect("it was written");
    assert!(report.contains(r"p95_latency_ms") && report.contains("serialization"), "{report}");
    burnmark_in(folder, &["log", "render", "LOG.md"]).ok();
    burnmark_in(folder, &["log", "render", "LOG.md", "--check"]).ok();
    let log = std::fs::read_to_string(folder.join("LOG.md")).expect("it is there");
    assert!(log.starts_with("# How we made search fast\n\nOur words.\n") && log.ends_with("More words.\n"), "{log}");
    insta::assert_snapshot!(masked(&log));
}

/// Without what differs from run to run and from machine to machine: numbers, ids, which functions the tables name.
fn masked(log: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut section = "";
    for line in log.lines() {
        section = line.strip_prefix("### ").or(line.strip_prefix("## ")).unwrap_or(section);
        // Whether there are such depends on what the run met.
        if ["Unexpected Findings", "Remaining Opportunities"].contains(&section) {
            continue;
        }
        // So does what an improvement came with.
        let came_with = line.strip_suffix(" went the other way").and_then(|line| line.rsplit_once("; "));
        let line = came_with.map_or(line, |(line, _)| line);
        let is_row = line.starts_with('|') && lines.last().is_some_and(|last| last.starts_with("|-") || last == "| …");
        let text = match line {
            _ if line.starts_with("| share of ") => "| share of …".to_owned(),
            _ if is_row && !["Iteration Log", "Before vs After"].contains(&section) => "| …".to_owned(),
            _ if line.starts_with("- where: ") => "- where: …".to_owned(),
            _ => {
                let text: String = line.split_inclusive(|char: char| !char.is_ascii_alphanumeric()).map(mask).collect();
                let text =
                    ["#.#", "#,#", "#.#", "−#", "+#"].iter().fold(text, |text, number| text.replace(number, "#"));
                ["improved", "regressed", "unchanged", "inconclusive"]
                    .iter()
                    .fold(text, |text, verdict| text.replace(verdict, "VERDICT"))
            }
        };
        if text != "| …" || lines.last() != Some(&text) {
            lines.push(text);
        }
    }
    lines.join("\n")
}

/// A word, or `#` if it has a digit.
fn mask(word: &str) -> String {
    let body = word.trim_end_matches(|char: char| !char.is_ascii_alphanumeric());
    if body.bytes().any(|byte| byte.is_ascii_digit()) { format!("#{}", &word[body.len()..]) } else { word.to_owned() }
}
