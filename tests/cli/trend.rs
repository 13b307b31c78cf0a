//! `burnmark trend`: files, lines without times, a process that is watched.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::metrics::fixture;
use crate::support::{burnmark_in, burnmark_with, folder};

#[test]
fn leaks_and_what_is_none() {
    let folder = folder();
    let json = burnmark_in(folder.path(), &["trend", &fixture("memory/leak.ndjson"), "--json"]).ok().json();
    assert_eq!((&json["schema"], &json["verdict"]), (&"burnmark.trend/1".into(), &"leak".into()), "{json}");
    assert!(json["slope_per_hour"].as_f64() > Some(0.0) && json["ci"][0].as_f64() > Some(0.0));
    assert!(json["points"].as_u64() > Some(100) && json["warmup_dropped"].as_u64() > Some(100));
    for name in ["steady", "warmup"] {
        let file = fixture(&format!("memory/{name}.ndjson"));
        let json = burnmark_in(folder.path(), &["trend", &file, "--json"]).ok().json();
        assert_ne!(json["verdict"], "leak", "{name}: {json}");
    }
    let rss = burnmark_in(folder.path(), &["trend", &fixture("memory/leak.ndjson"), "--series", "rss"]).ok();
    assert!(rss.stdout.contains("rss +"), "{}", rss.stdout);
    burnmark_in(folder.path(), &["trend", &fixture("memory/leak.ndjson"), "--series", "x"])
        .fails(1, &["has no series x", "heap_used"]);
}

#[test]
fn plots_and_other_forms() {
    let folder = folder();
    let file = fixture("memory/leak.ndjson");
    let run = burnmark_in(folder.path(), &["trend", &file, "-o", "x.svg", "-o", "x.csv", "-o", "x.md"]).ok();
    assert!(
        run.stdout.contains("▲ leak") && run.stdout.contains('┤') && run.stdout.contains("warm-up"),
        "{}",
        run.stdout
    );
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("it was written");
    assert!(read("x.svg").starts_with("<svg") && read("x.svg").contains("leak"));
    assert!(read("x.md").contains("| leak |"));
    // The points that were written are read again, with the same result.
    let again = burnmark_in(folder.path(), &["trend", "x.csv", "--json"]).ok().json();
    let first = burnmark_in(folder.path(), &["trend", &file, "--json"]).ok().json();
    let slope = |json: &serde_json::Value| json["slope_per_hour"].as_f64().expect("a number");
    assert!((slope(&again) / slope(&first) - 1.0).abs() < 1e-6);
    assert_eq!(again["verdict"], "leak");
    burnmark_in(folder.path(), &["trend", &file, "-o", "x.png"]).fails(1, &["use .svg, .csv, .md or .json"]);
}

#[test]
fn lines_without_times_need_to_be_told() {
    let folder = folder();
    let plain = fixture("memory/plain.ndjson");
    burnmark_in(folder.path(), &["trend", &plain]).fails(1, &["has no times", "--every"]);
    let json = burnmark_in(folder.path(), &["trend", &plain, "--every", "50ms", "--json"]).ok().json();
    assert!(json["seconds"].as_f64() > Some(1.0), "{json}");
    burnmark_with(folder.path(), &["trend", "-"], b"{ rss: 1 }\n").fails(1, &["standard input", "no times"]);
    burnmark_with(folder.path(), &["trend", "-", "--every", "1"], b"{ rss: 1 }\n").fails(1, &["no slope can be told"]);
    burnmark_in(folder.path(), &["trend"]).fails(2, &["--pid"]);
}

/// A process that keeps 2 MB more every 50 ms.
#[test]
fn a_process_is_watched() {
    let script = "const kept = []; setInterval(() => kept.push(Buffer.alloc(2e6, 1)), 50); process.stdin.resume(); \
                  process.stdin.on('end', () => process.exit()); console.log('ready');";
    let mut child = Command::new("node")
        .args(["-e", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node is installed (cargo xtask test)");
    let mut ready = [0; 5];
    let stdout = child.stdout.as_mut().expect("it is piped");
    std::io::Read::read_exact(stdout, &mut ready).expect("it is ready");
    let folder = folder();
    let pid = child.id().to_string();
    let arguments =
        ["trend", "--pid", &pid, "-d", "3", "--every", "30ms", "--warmup", "10%", "--json", "-o", "mem.csv"];
    let json = burnmark_in(folder.path(), &arguments).ok().json();
    // 40 MB a second, but for a busy machine.
    assert!(json["slope_per_hour"].as_f64() > Some(3_600.0 * 4e6), "{json}");
    assert_eq!((&json["verdict"], &json["series"]), (&"leak".into(), &"anon".into()), "{json}");
    assert!(
        std::fs::read_to_string(folder.path().join("mem.csv")).is_ok_and(|text| text.starts_with("time_s,anon_bytes"))
    );
    let _ = child.stdin.take().map(|mut stdin| stdin.flush());
    child.wait().expect("it ends");
    burnmark_in(folder.path(), &["trend", "--pid", "4194304", "-d", "1"]).fails(1, &["cannot watch process 4194304"]);
}

/// A point a second, but for an hour; 50 MB before it, 80 MB after.
#[test]
fn a_gap_is_no_leak_and_is_told() {
    let folder = folder();
    let seconds = (0..1_800).chain(5_400..7_200);
    let level = |second: i32| if second < 5_000 { 50_000_000 } else { 80_000_000 };
    let rows: String =
        seconds.map(|second| format!("{second},{}\n", level(second) + second * 7_919 % 99_991)).collect();
    std::fs::write(folder.path().join("gap.csv"), format!("time,rss\n{rows}")).expect("it is written");
    let run = burnmark_in(folder.path(), &["trend", "gap.csv", "-o", "gap.svg"]).ok();
    assert!(
        run.stdout.contains("stable") && run.stdout.contains("points stop once, for up to 3601 s"),
        "{}",
        run.stdout
    );
    let svg = std::fs::read_to_string(folder.path().join("gap.svg")).expect("it was written");
    assert_eq!(svg.matches("<polyline").count(), 2, "no line goes across the gap");
    let json = burnmark_in(folder.path(), &["trend", "gap.csv", "--json"]).ok().json();
    assert_eq!(
        (&json["verdict"], &json["gaps"], &json["points"]),
        (&"stable".into(), &1.into(), &900.into()),
        "{json}"
    );
    let metrics = burnmark_in(folder.path(), &["metrics", "gap.csv"]).ok();
    assert!(metrics.stderr.contains("points stop once"), "{}", metrics.stderr);
    // Nor is it a pass: what happened in the gap is not known.
    std::fs::write(folder.path().join("b.json"), r#"{"metrics": {"rss_slope_mb_per_h": {"max": 500}}}"#)
        .expect("it is written");
    let gate = burnmark_in(folder.path(), &["gate", "-b", "b.json", "gap.csv", "--json"]).json();
    assert_eq!(gate["checks"][0]["status"], "inconclusive", "{gate}");
    // Two runs behind each other are none.
    std::fs::write(folder.path().join("two.csv"), format!("time,rss\n{rows}{rows}")).expect("it is written");
    for command in ["trend", "metrics"] {
        burnmark_in(folder.path(), &[command, "two.csv"])
            .fails(1, &["two.csv", "several runs in one file", "at line 3602 time goes back"]);
    }
    // What is no number of bytes is counted.
    std::fs::write(folder.path().join("odd.csv"), format!("time,rss\n{rows}7300,NaN\n7301,-1\n7302,1e308\n"))
        .expect("it is written");
    let run = burnmark_in(folder.path(), &["trend", "odd.csv"]).ok();
    assert!(run.stderr.contains("no number of bytes") && run.stderr.contains("3 times"), "{}", run.stderr);
}
