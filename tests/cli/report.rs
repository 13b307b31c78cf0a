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
    let sides = ["report", "--before", "old.perf", "--after", "new.perf"];
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
    assert!(text.contains("bottleneck: hot\n"), "the heaviest before, if nobody says another: {text}");
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
