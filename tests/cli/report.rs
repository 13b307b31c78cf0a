//! `burnmark report`: the whole before and after.

use crate::log::{perf_script, write};
use crate::support::{burnmark_in, folder};

const SECTIONS: [&str; 7] = [
    "## Before vs After",
    "## Flame Graph Summary",
    "## Changed Functions",
    "## Top Time Consumers",
    "## Optimization Priorities",
    "## Remaining Opportunities",
    "<details>",
];

#[test]
fn the_report_has_its_verdict_first_and_every_table() {
    let folder = folder();
    let folder = folder.path();
    write(folder, "old.perf", &perf_script(6));
    write(folder, "new.perf", &perf_script(3));
    let bare = ["report", "--before", "old.perf", "--after", "new.perf"];
    let sides = [&bare[..], &["--bottleneck", "hot"]].concat();
    write(folder, "budget.json", r#"{"metrics": {"throughput_rps": {"min": 200}}} // of the service"#);
    let more = ["-o", "report.md", "--metric", "throughput_rps=100,150", "--budget", "budget.json"];
    let run = burnmark_in(folder, &[&sides[..], &more].concat()).ok();
    assert!(run.stdout.is_empty() && run.stderr.contains("wrote report.md"), "{}", run.stderr);
    let text = std::fs::read_to_string(folder.join("report.md")).expect("it was written");
    assert!(
        text.starts_with("<!-- burnmark:report -->\n\n**Verdict: improved**, share of hot: 60 % → 30 % (50.0 % ["),
        "{text}"
    );
    for section in SECTIONS {
        assert!(text.contains(&format!("\n{section}")), "{section} in {text}");
    }
    assert!(text.contains("| throughput_rps | 100 rps | 150 rps | 50.0 % |"), "{text}");
    assert!(text.contains("| throughput_rps | 100 rps | 150 rps | ≥ 200 rps | fail, severe |"), "{text}");
    assert!(text.contains("bottleneck: hot\n"), "{text}");
    let unnamed = burnmark_in(folder, &bare).ok().stdout;
    assert!(unnamed.contains("bottleneck: hot\n"), "what fell most, if nobody says another: {unnamed}");
    assert!(!text.contains("/home/ann"), "{text}");
    assert!(!folder.join(".burnmark").exists(), "nothing is kept");

    let json = burnmark_in(folder, &[&sides[..], &["--json"]].concat()).ok().json();
    assert_eq!((&json["schema"], &json["verdict"]), (&"burnmark.report/1".into(), &"improved".into()));
    assert_eq!(json["top_before"][0]["function"], "hot");
    burnmark_in(folder, &[&sides[..], &["-o", "report.json"]].concat()).ok();
    let written = std::fs::read_to_string(folder.join("report.json")).expect("it was written");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&written).expect("JSON"), json);
    burnmark_in(folder, &[&sides[..], &["-o", "report.pdf"]].concat()).fails(1, &["report.pdf", ".md or .json"]);
    burnmark_in(folder, &[&sides[..], &["-o", "x.md", "--json"]].concat())
        .fails(1, &["x.md is Markdown", "name it .json"]);
    assert!(!folder.join("x.md").exists());
    burnmark_in(folder, &[&sides[..], &["-o", "x.json", "--json"]].concat()).ok();
    burnmark_in(folder, &["report"]).fails(1, &["no evidence", "--before"]);
    burnmark_in(folder, &["report", "--before", "none*", "--after", "new.perf"]).fails(1, &["none*"]);
}

#[test]
fn a_comment_has_room_for_every_section() {
    let folder = folder();
    let folder = folder.path();
    let stacks = |count: usize| {
        (0..2_000).map(|index| format!("main;{}{index} {}\n", "f|".repeat(400), count + index)).collect::<String>()
    };
    write(folder, "old.folded", &stacks(10));
    write(folder, "new.folded", &stacks(100));
    let sides = ["report", "--before", "old.folded", "--after", "new.folded"];
    let small = burnmark_in(folder, &[&sides[..], &["--github", "comment"]].concat()).ok().stdout;
    assert!(small.len() <= 60_000, "{}", small.len());
    let whole = burnmark_in(folder, &sides).ok().stdout;
    let headings =
        |text: &str| text.lines().filter(|line| line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(headings(&small), headings(&whole));
}

/// A share grows when others shrink: only of a function that somebody named is it a verdict.
#[test]
fn the_share_of_a_function_that_nobody_named_is_no_verdict() {
    let folder = folder();
    let folder = folder.path();
    write(folder, "old.folded", "main;b 1000\nmain;c 500\nmain;JSON.parse 500\n");
    write(folder, "new.folded", "main;b 1000\nmain;c 500\nmain;JSON.parse 50\n");
    let sides = ["report", "--before", "old.folded", "--after", "new.folded"];
    for more in [&["--bottleneck", "requests are slow"][..], &[]] {
        let text = burnmark_in(folder, &[&sides[..], more].concat()).ok().stdout;
        assert!(text.contains("**Verdict: not tested**, share of JSON.parse: 25 % → 3.2"), "{text}");
        assert!(text.contains("is no verdict") && text.contains("--bottleneck"), "{text}");
        assert!(text.contains("- category: serialization"), "of the row's function: {text}");
    }
    let named = [&sides[..], &["--bottleneck", "JSON.parse is slow"]].concat();
    let losing =
        ["--metric", "error_rate_pct=0,3", "--metric", "throughput_rps=100,90", "--metric", "p95_latency_ms=9,8"];
    let text = burnmark_in(folder, &[&named[..], &losing].concat()).ok().stdout;
    assert!(text.contains("**Verdict: improved**, share of JSON.parse"), "{text}");
    assert!(text.contains("; error_rate_pct and throughput_rps went the other way"), "{text}");
}

#[test]
fn the_same_file_on_both_sides_is_told() {
    let folder = folder();
    let folder = folder.path();
    write(folder, "old.folded", "main;b 1000\n");
    write(folder, "copy.folded", "main;b 1000\n");
    let run = burnmark_in(folder, &["report", "--before", "old.folded", "--after", "copy.folded"]).ok();
    for text in [&run.stdout, &run.stderr] {
        assert!(text.contains("before and after are the same"), "{text}");
    }
    let run = burnmark_in(folder, &["diff", "old.folded", "copy.folded"]).ok();
    assert!(run.stdout.contains("before and after are the same"), "{}", run.stdout);
    write(folder, "copy.folded", "main;b 1001\n");
    let run = burnmark_in(folder, &["diff", "old.folded", "copy.folded"]).ok();
    assert!(!run.stdout.contains("are the same"), "{}", run.stdout);
}
