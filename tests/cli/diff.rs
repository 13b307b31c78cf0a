//! `burnmark diff` and `burnmark compare`.

use std::fmt::Write;
use std::path::Path;

use crate::sampling::sampling_works;
use crate::support::{burnmark_in, files, folder};

/// `perf script` text: 2,000 samples over two seconds, `hot` of every ten in `hot`, the others in `steady`.
fn perf_script(hot: usize) -> String {
    let mut text = String::new();
    for index in 0..2_000 {
        let leaf = if index * 3 % 10 < hot { "hot" } else { "steady" };
        let seconds = 100.0 + index as f64 / 1_000.0;
        _ = write!(
            text,
            "app 7/7 {seconds:.6}: 1000000 cpu-clock: \n\t401000 {leaf}+0x1 (/bin/app)\n\t402000 main+0x2 (/bin/app)\n\n"
        );
    }
    text
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("there is room");
}

#[test]
fn what_doubled_regressed_and_by_how_much() {
    let folder = folder();
    write(folder.path(), "old.perf", &perf_script(2));
    write(folder.path(), "new.perf", &perf_script(4));
    let run = burnmark_in(folder.path(), &["diff", "old.perf", "new.perf", "--json"]).ok();
    let json = run.json();
    assert_eq!(json["schema"], "burnmark.diff/1");
    assert_eq!(json["evidence"], "within_run");
    assert_eq!((&json["summary"]["regressed"], &json["summary"]["improved"]), (&1.into(), &1.into()));
    let row = &json["rows"].as_array().expect("rows").iter().find(|row| row["function"] == "hot").expect("hot");
    assert_eq!(row["verdict"], "regressed");
    assert!((row["delta"].as_f64().expect("a number") - 0.2).abs() < 0.005, "{row}");
    // Twice the operations for the same samples: hot costs the same, steady less.
    let run = burnmark_in(folder.path(), &["diff", "old.perf", "new.perf", "--per-op", "100,200", "--json"]).ok();
    let json = run.json();
    let verdict = |name: &str| {
        let rows = json["rows"].as_array().expect("rows");
        rows.iter().find(|row| row["function"] == name).expect("it is there")["verdict"].clone()
    };
    assert_eq!(verdict("steady"), "improved");
    assert_ne!(verdict("hot"), "regressed");
    assert_eq!(json["whole"]["verdict"], "improved");
}

/// Phases in a fixed order, as a compiler has them: what doubles within one of them can't be told by one run against
/// one, and that is said, with the command that could tell.
#[test]
fn phases_in_a_fixed_order_are_inconclusive_and_the_command_that_settles_it_is_named() {
    let folder = folder();
    for (name, hot) in [("old", 10), ("new", 20)] {
        let mut text = String::new();
        for index in 0..2_000 {
            // `hot` works in 70 to 90 % of the run only; other phases have functions of their own.
            let phase = index / 200;
            let share = if (7..9).contains(&phase) { hot * 5 } else { 0 };
            let leaf = if index * 37 % 100 < share { "hot".to_owned() } else { format!("phase{}", phase / 2) };
            let seconds = 100.0 + index as f64 / 1_000.0;
            _ = write!(text, "app 7/7 {seconds:.6}: 1000000 cpu-clock: \n\t401000 {leaf}+0x1 (/bin/app)\n\n");
        }
        write(folder.path(), &format!("{name}.perf"), &text);
    }
    let run = burnmark_in(folder.path(), &["diff", "old.perf", "new.perf"]).ok();
    assert!(run.stdout.starts_with("0 regressed, 0 improved, "), "{}", run.stdout);
    for part in ["one run against one can't tell", "has phases", "\n  burnmark compare --runs 5 -- "] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
}

#[test]
fn a_file_against_itself_has_no_changes() {
    let folder = folder();
    write(folder.path(), "a.perf", &perf_script(3));
    let run = burnmark_in(folder.path(), &["diff", "a.perf", "a.perf"]).ok();
    assert!(run.stdout.starts_with("0 regressed, 0 improved, "), "{}", run.stdout);
    assert!(run.stdout.contains("evidence: one run each"), "{}", run.stdout);
}

#[test]
fn every_output_is_written() {
    let folder = folder();
    write(folder.path(), "old.folded", "main;a 700\nmain;gone 100\nmain;b 200\n");
    write(folder.path(), "new.folded", "main;a 300\nmain;fresh 100\nmain;b 600\n");
    let outputs = ["-o", "d.svg", "-o", "d.folded", "-o", "d.md", "-o", "d.csv", "-o", "d.json"];
    let run = burnmark_in(folder.path(), &[&["diff", "old.folded", "new.folded"], &outputs[..]].concat()).ok();
    assert!(run.stdout.contains("evidence: none"), "{}", run.stdout);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("it was written");
    let mut lines: Vec<String> = read("d.folded").lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["main;a 700 300", "main;b 200 600", "main;fresh 0 100", "main;gone 100 0"]);
    let svg = read("d.svg");
    for title in ["✚ fresh (before 0.00%, after 10.00%", "✖ gone (before 10.00%, after 0.00%", "▲ b (", "▼ a ("]
    {
        assert!(svg.contains(title), "{title}");
    }
    assert!(
        svg.contains("<title>main (before 100.00%, after 100.00%, change 0.00 points"),
        "a parent has its own change"
    );
    assert!(
        read("d.md").contains("| `b` |")
            && read("d.csv").starts_with("function,")
            && read("d.json").contains("burnmark.diff/1")
    );
}

#[test]
fn several_runs_by_pattern() {
    let folder = folder();
    for run in 0..4 {
        // The runs differ a little, as runs do.
        write(folder.path(), &format!("b{run}.folded"), &format!("main;a {}\nmain;b 8000\n", 2_000 + run * 10));
        write(folder.path(), &format!("a{run}.folded"), &format!("main;a {}\nmain;b 8000\n", 3_000 - run * 10));
    }
    let run = burnmark_in(folder.path(), &["diff", "--before", "b*.folded", "--after", "a*.folded", "--json"]).ok();
    let json = run.json();
    assert_eq!(json["evidence"], "runs");
    assert_eq!(json["before"]["runs"], 4);
    let row = json["rows"].as_array().expect("rows").iter().find(|row| row["function"] == "a").expect("a").clone();
    assert_eq!(row["verdict"], "regressed");
    burnmark_in(folder.path(), &["diff", "--before", "x*", "--after", "a*.folded"]).fails(1, &["x*", "no such file"]);
}

#[test]
fn folded_stacks_against_a_recording_are_made_comparable() {
    let folder = folder();
    write(folder.path(), "new.perf", &perf_script(4));
    // As stackcollapse writes it: the command first.
    write(folder.path(), "old.folded", "app;main;hot 400\napp;main;steady 1600\n");
    let run = burnmark_in(folder.path(), &["diff", "old.folded", "new.perf", "--json", "--by", "total"]).ok();
    let json = run.json();
    assert_eq!(json["evidence"], "none");
    let rows = json["rows"].as_array().expect("rows");
    let names: Vec<&str> = rows.iter().map(|row| row["function"].as_str().expect("a name")).collect();
    assert!(!names.contains(&"app") && names.contains(&"main"), "{names:?}");
    assert!(json["warnings"].to_string().contains("names a thread or command"), "{}", json["warnings"]);
    assert!(json["warnings"].to_string().contains("have no times"), "{}", json["warnings"]);
}

#[test]
fn what_cannot_be_compared_is_refused_with_the_reason() {
    let folder = folder();
    write(folder.path(), "a.folded", "main 10\n");
    write(folder.path(), "s.heapsnapshot", "{\"snapshot\":{\"meta\":{}}}");
    let heap = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pprof/go-heap.pb.gz");
    let heap = heap.to_str().expect("a plain path");
    burnmark_in(folder.path(), &["diff", "a.folded", heap]).fails(1, &["measure different things", "--value"]);
    burnmark_in(folder.path(), &["diff", "s.heapsnapshot", "s.heapsnapshot"]).fails(1, &["burnmark heap"]);
    // A snapshot is known by its beginning, compressed or not, whatever it is called.
    let snapshot =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/heap/library/leak-1.heapsnapshot.zst"));
    std::fs::write(folder.path().join("packed"), snapshot.expect("the fixture is there")).expect("there is room");
    burnmark_in(folder.path(), &["diff", "packed", "packed"]).fails(1, &["burnmark heap"]);
    burnmark_in(folder.path(), &["diff", "a.folded", "a.folded", "-o", "x.png"]).fails(1, &[".svg"]);
    burnmark_in(folder.path(), &["diff", "a.folded"]).fails(2, &["AFTER"]);
    // Allocations by bytes and by count.
    for value in ["alloc_space", "alloc_objects"] {
        let run = burnmark_in(folder.path(), &["diff", heap, heap, "--value", value]).ok();
        assert!(run.stdout.starts_with("0 regressed, 0 improved"), "{}", run.stdout);
    }
}

/// Folded text made of a recording has nanoseconds: they are no samples, and make nothing sure.
#[test]
fn nanoseconds_in_folded_text_are_not_taken_for_samples() {
    let folder = folder();
    // Samples of 1.001001 ms.
    let text = |more: i64, unit: i64| {
        let line = |index: i64| format!("main;f{index} {}\n", (60 + 7 * index + more * (index % 3)) * unit);
        (0..12).map(line).collect::<String>()
    };
    for (name, more) in [("old", 0), ("new", 6)] {
        write(folder.path(), &format!("{name}.folded"), &text(more, 1));
        write(folder.path(), &format!("{name}.ns.folded"), &text(more, 1_001_001));
    }
    let of = |before: &str, after: &str| burnmark_in(folder.path(), &["diff", before, after, "--json"]).ok().json();
    let (counted, timed) = (of("old.folded", "new.folded"), of("old.ns.folded", "new.ns.folded"));
    for (one, other) in counted["rows"].as_array().expect("rows").iter().zip(timed["rows"].as_array().expect("rows")) {
        assert_eq!((&one["function"], &one["samples"]), (&other["function"], &other["samples"]));
        let low = |row: &serde_json::Value| row["ci"][0].as_f64().expect("a number");
        assert!((low(one) - low(other)).abs() < 1e-9, "{one} {other}");
    }
    assert_eq!(counted["summary"], timed["summary"]);
    assert_eq!(timed["summary"]["regressed"], 0);
}

#[test]
fn renames_are_told() {
    let folder = folder();
    write(folder.path(), "a.folded", "main;work::h0123456789abcdef 10\nmain;f.isra.0 10\n");
    write(folder.path(), "b.folded", "main;work::hfedcba9876543210 10\nmain;f 10\n");
    let run = burnmark_in(folder.path(), &["diff", "a.folded", "b.folded", "--show-renames"]).ok();
    assert!(run.stdout.contains("work::h0123456789abcdef") && run.stdout.contains("f.isra.0"), "{}", run.stdout);
}

#[test]
fn a_comparison_needs_two_commands_that_succeed() {
    let folder = folder();
    burnmark_in(folder.path(), &["compare", "--", "true"]).fails(1, &["two commands are needed", "--vs"]);
    burnmark_in(folder.path(), &["compare", "-d", "1", "--", "true", "--vs", "true"]).fails(1, &["running processes"]);
    let words = ["compare", "--", "sh", "-c", "echo out of paper; exit 3", "--vs", "true"];
    burnmark_in(folder.path(), &words).fails(1, &["exit status: 3", "out of paper"]);
    let words = ["compare", "--prepare", "exit 4", "--", "true", "--vs", "true"];
    burnmark_in(folder.path(), &words).fails(1, &["--prepare failed", "exit status: 4"]);
    burnmark_in(folder.path(), &["compare", "--pid-before", "1"]).fails(2, &["--pid-after"]);
    assert!(files(folder.path()).iter().all(|name| name.starts_with("burnmark-compare")));
}

/// The second command does twice the work of the first.
#[test]
fn commands_are_recorded_in_turn_and_their_costs_compared() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let count = |turns: u32| format!("i=0; while [ $i -lt {turns} ]; do i=$((i+1)); done");
    let (once, twice) = (count(250_000), count(500_000));
    let commands = ["--", "sh", "-c", &once, "--vs", "sh", "-c", &twice];
    let options =
        ["compare", "--runs", "3", "--warmup", "0", "--json", "--keep", "kept", "--prepare", "touch prepared"];
    let run = burnmark_in(folder.path(), &[&options[..], &commands[..]].concat()).ok();
    let json = run.json();
    assert_eq!(json["evidence"], "runs", "{}", run.stderr);
    assert_eq!(json["compared"], "cost_per_operation");
    let whole = &json["whole"];
    let cost = |side: &str| whole[side]["cost"].as_f64().expect("a cost");
    let ratio = cost("after") / cost("before");
    assert!((1.5..2.6).contains(&ratio), "{whole}");
    assert_eq!(whole["verdict"], "regressed", "{whole}");
    assert_eq!(json["times"].as_array().expect("times").len(), 2);
    let kept = files(&folder.path().join("kept"));
    let expected =
        ["after-1", "after-2", "after-3", "before-1", "before-2", "before-3"].map(|name| format!("{name}.pb.gz"));
    assert_eq!(kept, expected);
    assert!(folder.path().join("prepared").exists());
    // The recordings can be compared again.
    let patterns = ["diff", "--before", "kept/before-*", "--after", "kept/after-*", "--per-op", "1,1", "--json"];
    assert_eq!(burnmark_in(folder.path(), &patterns).ok().json()["whole"], json["whole"]);
    // An earlier comparison is kept.
    let again = [
        "compare", "--runs", "1", "--warmup", "0", "--keep", "kept", "--", "sh", "-c", &once, "--vs", "sh", "-c", &once,
    ];
    let run = burnmark_in(folder.path(), &again).ok();
    assert!(folder.path().join("kept-2").is_dir() && run.stderr.contains("kept-2"), "{}", run.stderr);
}

/// Ctrl-C on a terminal reaches the command, too: that it ended of it is no failure of the command.
#[test]
fn ctrl_c_stops_a_comparison_and_says_where_the_recordings_are() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let words = ["compare", "--warmup", "0", "--", "sleep", "60", "--vs", "sleep", "60"];
    let mut command = std::process::Command::new(crate::support::program());
    command.args(words).current_dir(folder.path()).stderr(std::process::Stdio::piped());
    let child = command.stdin(std::process::Stdio::null()).spawn().expect("burnmark starts");
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    crate::sampling::signal(&child, "INT");
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("stopped: what was recorded until now is in burnmark-compare"), "{stderr}");
    assert!(!stderr.contains("failed"), "{stderr}");
}

/// Two services, sampled in turn.
#[test]
fn running_processes_are_compared_by_shares() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let start = || {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "while :; do :; done"]).stdin(std::process::Stdio::null()).spawn().expect("sh starts")
    };
    let mut services = [start(), start()];
    let pids = services.each_ref().map(|service| service.id().to_string());
    let words = ["compare", "--pid-before", &pids[0], "--pid-after", &pids[1], "-d", "0.3", "--runs", "3", "--json"];
    let run = burnmark_in(folder.path(), &words);
    for service in &mut services {
        service.kill().expect("it runs");
        service.wait().expect("it ends");
    }
    let json = run.ok().json();
    assert_eq!((&json["evidence"], &json["compared"]), (&"runs".into(), &"share".into()));
    assert_eq!((&json["before"]["runs"], &json["after"]["runs"]), (&3.into(), &3.into()));
    assert_eq!(files(&folder.path().join("burnmark-compare")).len(), 6);
}
