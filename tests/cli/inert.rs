//! Names of profiles and results are nothing but names in Markdown: one that is everything that GitHub knows goes through
//! every table.

use pulldown_cmark::{Event, Options, Parser, Tag};

use crate::log::write;
use crate::support::{burnmark_in, folder};

const HOSTILE: &str = "a|b \\| `c` ``<b>x</b> :smile: :+1: @user #123 GH-12 [l](http://e.xyz) ![i](http://e.xyz/i.png) http://e.xyz \
                       www.e.xyz **d** ~~e~~ $f$ <!-- /burnmark:log --> </details>\n\n# g\n- [x] h\r\n| i | j |";

/// What GitHub makes more of wherever it stands in text, but in code.
const LIVE: [&str; 15] = [
    ":smile:", ":+1:", ":rocket:", ":100:", ":fire:", ":tada:", "@user", "@me", "@you", "#123", "#7", "GH-", "http://",
    "https://", "www.",
];

fn profile(counts: [usize; 2]) -> String {
    let long = format!("{HOSTILE}{}", "|@x`".repeat(2_500));
    let node = |id: usize, name: &str, children: &[usize]| {
        serde_json::json!({"id": id, "hitCount": 0, "children": children, "callFrame":
            {"functionName": name, "scriptId": "1", "url": "file:///a|b<b>@user.js", "lineNumber": 1, "columnNumber": 1}})
    };
    let samples: Vec<usize> = counts.iter().zip([2, 3]).flat_map(|(count, id)| vec![id; *count]).collect();
    let deltas = vec![1_000; samples.len()];
    let nodes = [node(1, "(root)", &[2, 3]), node(2, HOSTILE, &[]), node(3, &long, &[])];
    serde_json::json!({"nodes": nodes, "startTime": 0, "endTime": samples.len() * 1_000, "samples": samples, "timeDeltas": deltas})
        .to_string()
}

/// Tables are whole, and there is no markup but ours.
#[track_caller]
pub(crate) fn check(markdown: &str, what: &str) {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH
        | Options::ENABLE_GFM;
    let (mut tables, mut text) = (0, String::new());
    for event in Parser::new_ext(markdown, options) {
        match &event {
            Event::Text(part) => text.push_str(part),
            _ => {
                for live in LIVE {
                    assert!(!text.contains(live), "{what}: {live} in {text}");
                }
                text.clear();
            }
        }
        match event {
            Event::Start(Tag::Table(_)) => tables += 1,
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                assert!(dest_url.starts_with(".burnmark/attachments/"), "{what}: a link to {dest_url}");
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let html = html.trim();
                let ours = ["<!-- -->", "<!-- burnmark:log -->", "<!-- /burnmark:log -->", "<!-- burnmark:report -->"];
                let folds = html == "</details>" || html.starts_with("<details><summary>") && !html.contains("<b>");
                assert!(folds || ours.contains(&html), "{what}: {html}");
            }
            Event::Start(tag @ (Tag::Emphasis | Tag::Strikethrough | Tag::CodeBlock(_) | Tag::BlockQuote(_))) => {
                panic!("{what}: {tag:?}")
            }
            Event::Start(Tag::Heading { .. }) | Event::Code(_) => {}
            Event::InlineMath(_) | Event::DisplayMath(_) | Event::TaskListMarker(_) | Event::FootnoteReference(_) => {
                panic!("{what}: {event:?}")
            }
            _ => {}
        }
    }
    assert!(tables > 0, "{what} has a table: {markdown}");
    assert!(!markdown.lines().any(|line| line.starts_with("# g") || line.starts_with("| i | j |")), "{what}");
    assert!(markdown.lines().all(|line| line.len() < 20_000), "{what}: names are cut");
}

#[test]
fn names_are_names_in_every_table() {
    let folder = folder();
    let folder = folder.path();
    write(folder, "old.cpuprofile", &profile([600, 400]));
    write(folder, "new.cpuprofile", &profile([200, 800]));
    let metric = |value: f64| {
        serde_json::json!({"schema": "burnmark.metrics/1", "metrics":
            [{"name": format!("p95 {HOSTILE}"), "unit": HOSTILE, "direction": "lower", "value": value}]})
        .to_string()
    };
    write(folder, "old.json", &metric(500.0));
    write(folder, "new.json", &metric(50.0));
    let budget = serde_json::json!({"metrics": {format!("p95 {HOSTILE}"): {"max": 60}, HOSTILE: {"max": 1}},
        "functions": {"match": [{"name": HOSTILE, "max_share_pct": 5}]}});
    write(folder, "budget.json", &budget.to_string());
    let printed = |arguments: &[&str]| burnmark_in(folder, arguments).stdout;
    check(&printed(&["top", "old.cpuprofile", "--md", "--hints", "--findings"]), "top");
    check(&printed(&["diff", "old.cpuprofile", "new.cpuprofile", "--md"]), "diff");
    check(&printed(&["metrics", "new.json", "--md"]), "metrics");
    let gate = ["gate", "--budget", "budget.json", "new.json", "new.cpuprofile", "--baseline", "old.json", "--md"];
    check(&printed(&gate), "gate");
    let evidence = ["--before", "old.cpuprofile", "--after", "new.cpuprofile", "--metrics", "old.json,new.json"];
    let words = ["--budget", "budget.json", "--finding", HOSTILE, "--opportunity", HOSTILE, "--category", HOSTILE];
    let more = ["--runtime", HOSTILE, "--bottleneck", HOSTILE, "--change", HOSTILE];
    check(&printed(&[&["report"][..], &evidence, &words, &more].concat()), "report");
    for label in ["one", "two"] {
        let metric = format!("{label} {HOSTILE}=5,4");
        burnmark_in(folder, &[&["log", "add", "--metric", &metric][..], &evidence, &words, &more].concat()).ok();
    }
    burnmark_in(folder, &["log", "render", "LOG.md"]).ok();
    let log = std::fs::read_to_string(folder.join("LOG.md")).expect("it was written");
    check(&log, "log render");
    check(&printed(&["log", "list", "--md"]), "log list");
    check(&printed(&["log", "show"]), "log show");
    burnmark_in(folder, &["log", "render", "LOG.md", "--check"]).ok();
}

/// Logs of GitHub's workflows: what it takes for a command begins a line (`::name::`) or stands anywhere (`##[name]`).
#[test]
fn names_are_no_commands_to_a_runner() {
    let folder = folder();
    let folder = folder.path();
    let names = "::error file=x::gone;::stop-commands::t 60\n##[add-mask]a 40\n";
    write(folder, "old.folded", names);
    write(folder, "new.folded", &names.replace("60", "20"));
    let metrics = serde_json::json!({"schema": "burnmark.metrics/1", "metrics":
        [{"name": "::warning::x", "unit": "ms", "direction": "lower", "value": 5.0}]});
    write(folder, "m.json", &metrics.to_string());
    write(folder, "budget.json", r###"{"metrics": {"::warning::x": {"max": 4}}}"###);
    burnmark_in(
        folder,
        &["log", "add", "--bottleneck", "::error::b", "--change", "##[error]c", "--metric", "::a::b=2,1"],
    )
    .ok();
    for arguments in [
        &["top", "old.folded", "--hints", "--findings"][..],
        &["top", "old.folded", "--csv"],
        &["top", "old.folded", "--md"],
        &["diff", "old.folded", "new.folded"],
        &["diff", "old.folded", "new.folded", "--csv"],
        &["diff", "old.folded", "new.folded", "--md"],
        &["metrics", "m.json"],
        &["metrics", "m.json", "--csv"],
        &["gate", "--budget", "budget.json", "m.json"],
        &["gate", "--budget", "budget.json", "m.json", "--md"],
        &["report", "--before", "old.folded", "--after", "new.folded"],
        &["log", "list"],
        &["log", "show"],
        &["log", "render"],
        &["top", "::error::absent"],
    ] {
        let run = burnmark_in(folder, arguments);
        let mut lines = run.stdout.lines().chain(run.stderr.lines());
        let command = lines.find(|line| line.trim_start().starts_with("::") || line.contains("##["));
        assert_eq!(command, None, "{arguments:?}: {}", run.stdout);
        let names = ["error", "stop-commands", "add-mask", "warning"];
        assert!(names.iter().any(|name| (run.stdout.clone() + &run.stderr).contains(name)), "{arguments:?}");
    }
}

/// Names of files and what stands in them reach the terminal in errors, warnings and notes, too.
#[test]
fn messages_do_nothing_to_a_terminal() {
    let folder = folder();
    let folder = folder.path();
    write(folder, "main.folded", "main 60\nmain;work 40\n");
    write(folder, "budget.json", r#"{"\u001b[31mkey": 1}"#);
    write(folder, "rules.toml", "[[rule]]\ncategory = \"\\u001b[31mx\"\nfunction = [\"*\"]\n");
    write(folder, "torn.toml", "[[rule]\u{1b}[31m\n\u{9b}31m\u{202e}\n");
    write(folder, "a\u{1b}[31mb.folded", "main 1\n");
    let gate = |budget| ["gate", "--budget", budget, "main.folded"];
    for arguments in [
        &["top", "absent\u{1b}[31m\u{9b}\u{202e}"][..],
        &["trend", "a\u{1b}[31mb.folded"],
        &["convert", "a\u{1b}[31mb.folded", "-o", "c\u{1b}]0;t\u{7}.pb.gz"],
        &["flame", "a\u{1b}[31mb.folded", "-o", "c\u{1b}]0;t\u{7}.svg"],
        &gate("budget.json"),
        &["top", "main.folded", "--findings", "--rules", "rules.toml"],
        &["top", "main.folded", "--findings", "--rules", "torn.toml"],
        &["top", "main.folded", "--value", "\u{1b}[31mx"],
    ] {
        let run = burnmark_in(folder, arguments);
        let text = run.stdout + &run.stderr;
        let raw = text.chars().find(|char| char.is_control() && *char != '\n' || *char == '\u{202e}');
        assert_eq!(raw, None, "{arguments:?}: {text:?}");
        assert!(text.contains("\\x1b") || text.contains("\\u{1b}"), "{arguments:?}: {text:?}");
    }
}
