//! What GitHub makes of it: the Markdown is parsed back.

use burnmark_journal::Direction;
use burnmark_journal::log::{
    Attachment, Consumer, Entry, Evidence, Finding, FunctionChange, HeapEvidence, HeapSize, Known, MetricChange,
    Opportunity, Priority, ProfileComparison, Rank, RetainedObject, Row, SCHEMA, Status, Target, Ulid, Verdict,
};
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::*;
use crate::TableForm;
use crate::names::printable;

/// Names and words that mean something to GitHub, or to a terminal.
const HOSTILE: &[&str] = &[
    "a|b",
    "a\\|b",
    "`code`",
    "``",
    "<script>alert(1)</script>",
    "<!-- /burnmark:log -->",
    "</details>",
    "line\nbreak\r\n| new | row |",
    "# heading",
    "- item",
    "1. item",
    "**bold** _it_ ~~gone~~",
    "[link](http://example.com)",
    "![image](http://example.com/x.png)",
    "<http://example.com>",
    "http://example.com www.example.com a@example.com",
    "@user #12 &amp; &lt;b&gt;",
    "a :smile: b :+1: GH-12 gh-7",
    "$x$ `$` $",
    "\u{1b}[31mred\u{7}\0",
    "\u{202e}right to left",
    "trailing\\",
    "[^1]: note",
    "[x] done",
    "函数::名",
    "---",
    "|",
    "   ",
    "",
];

/// An entry with the same words everywhere.
fn entry(words: &str, rows: usize) -> Entry {
    let text = words.to_owned();
    let consumer = Consumer {
        function: text.clone(),
        module: Some(text.clone()),
        self_share: 0.25,
        total_share: 0.5,
        category: Some(text.clone()),
        action: Some(text.clone()),
    };
    let change = FunctionChange {
        function: text.clone(),
        module: None,
        before: 0.25,
        after: 0.5,
        delta: 0.25,
        ci: [0.2, 0.3],
        q: Some(0.001),
        verdict: Verdict::Regressed,
    };
    let metric = MetricChange {
        name: text.clone(),
        unit: text.clone(),
        direction: Direction::Lower,
        before: Some(500.0),
        after: Some(50.0),
        improvement_pct: Some(90.0),
        ci: Some([85.0, 95.0]),
        p: Some(0.01),
        q: None,
        method: None,
        n: [4, 4],
        evidence: Known::Measured,
        verdict: Verdict::Improved,
    };
    let target = Target {
        metric: text.clone(),
        unit: "ms".into(),
        baseline: None,
        current: Some(50.0),
        target: text.clone(),
        status: Status::Fail,
        severity: Some(text.clone()),
        why: Some(text.clone()),
        runs: 4,
        ..Target::default()
    };
    let undecided = FunctionChange { verdict: Verdict::Inconclusive, ..change.clone() };
    let evidence = Evidence {
        verdict: Verdict::Improved,
        env: burnmark_journal::log::Env {
            runtime: Some(text.clone()),
            changed: vec![text.clone()],
            ..Default::default()
        },
        metrics: vec![metric; rows],
        profile: Some(ProfileComparison {
            value: "cpu/nanoseconds".into(),
            evidence: "runs".into(),
            compared: "share".into(),
            runs: [4, 4],
            samples: [1_000, 2_000],
            regressed: 1,
            improved: 2,
            unchanged: 3,
            inconclusive: 4,
        }),
        top_before: vec![consumer.clone(); rows],
        top_after: vec![consumer; rows],
        functions: [vec![change; rows], vec![undecided; rows]].concat(),
        targets: vec![target; rows],
        unexpected: vec![Finding { finding: text.clone(), evidence: Some(text.clone()) }; rows],
        priorities: vec![
            Priority {
                what: text.clone(),
                share: 0.2,
                category: Some(text.clone()),
                action: None,
                priority: Rank::High
            };
            rows
        ],
        opportunities: vec![
            Opportunity {
                opportunity: text.clone(),
                gain: Some(text.clone()),
                effort: None,
                priority: Some(text.clone()),
                evidence: Known::Projected,
            };
            rows
        ],
        heap: Some(HeapEvidence {
            snapshots: vec![HeapSize { snapshot: text.clone(), seconds: Some(5), size: 1 << 20 }; rows],
            retained: vec![
                RetainedObject {
                    object: text.clone(),
                    count: 7,
                    size: 1_000,
                    cause: text.clone(),
                    tier: "suspect".into()
                };
                rows
            ],
        }),
        notes: vec![format!("note {text}")],
    };
    Entry {
        schema: SCHEMA.to_owned(),
        id: Ulid::after(None, 1_700_000_000_000),
        key: String::new(),
        time: "2026-11-21T08:00:00Z".into(),
        git: None,
        bottleneck: text.clone(),
        change: text.clone(),
        category: Some(text),
        supersedes: None,
        evidence,
        attachments: vec![Attachment {
            role: words.to_owned(),
            path: "attachments/0123456789abcdef/x.svg".into(),
            sha256: "0".repeat(64),
            bytes: 10,
        }],
        inputs: Vec::new(),
        seal: "0".repeat(64),
    }
}

/// What a reader sees.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// Cells of each row of each table, the header first.
    tables: Vec<Vec<Vec<String>>>,
    headings: Vec<String>,
    links: Vec<String>,
    html: Vec<String>,
}

/// What GitHub makes of text after Markdown: pictures of codes, links to people and issues. Comments part texts.
fn check_text(text: &str) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_+-".contains(c);
    let parts: Vec<&str> = text.split(':').collect();
    let codes = &parts[1..parts.len().max(2) - 1];
    let is_code = |code: &&str| code.chars().all(is_name) && code.contains(char::is_alphabetic) || *code == "+1";
    assert!(!codes.iter().any(is_code), "a picture in {text:?}");
    for (mark, is_next) in [
        ("@", (|c| c.is_ascii_alphanumeric()) as fn(char) -> bool),
        ("#", |c| c.is_ascii_digit()),
        ("gh-", |c| c.is_ascii_digit()),
    ] {
        let lower = text.to_ascii_lowercase();
        let mut found = lower.match_indices(mark).filter(|(at, mark)| lower[at + mark.len()..].starts_with(is_next));
        assert_eq!(found.next(), None, "a link in {text:?}");
    }
    let mut addresses = text.match_indices("://").filter(|(at, _)| text[..*at].ends_with(char::is_alphanumeric));
    assert!(addresses.next().is_none() && !text.contains("www."), "a link in {text:?}");
}

fn seen(markdown: &str) -> Seen {
    let mut seen = Seen::default();
    let mut run = String::new();
    let mut text = String::new();
    // What GitHub knows.
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH
        | Options::ENABLE_GFM;
    for event in Parser::new_ext(markdown, options) {
        match &event {
            Event::Text(part) => run.push_str(part),
            _ => check_text(&std::mem::take(&mut run)),
        }
        match event {
            Event::Start(Tag::Table(_)) => seen.tables.push(Vec::new()),
            Event::Start(Tag::TableHead | Tag::TableRow) => {
                seen.tables.last_mut().expect("a table").push(Vec::new());
            }
            Event::Start(Tag::TableCell | Tag::Heading { .. }) => text.clear(),
            Event::End(TagEnd::TableCell) => {
                let row = seen.tables.last_mut().and_then(|table| table.last_mut()).expect("a row");
                row.push(std::mem::take(&mut text));
            }
            Event::End(TagEnd::Heading(_)) => seen.headings.push(std::mem::take(&mut text)),
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                seen.links.push(dest_url.to_string())
            }
            Event::Html(html) | Event::InlineHtml(html) if html.trim() != "<!-- -->" => {
                seen.html.push(html.trim().to_owned());
            }
            Event::Start(tag @ (Tag::Emphasis | Tag::Strikethrough | Tag::CodeBlock(_) | Tag::BlockQuote(_))) => {
                panic!("{tag:?} in {markdown}");
            }
            Event::Text(part) | Event::Code(part) => text.push_str(&part),
            Event::InlineMath(part) | Event::DisplayMath(part) => panic!("a formula {part} in {markdown}"),
            Event::TaskListMarker(_) | Event::FootnoteReference(_) => panic!("{event:?} in {markdown}"),
            _ => {}
        }
    }
    seen
}

/// Blanks left out: Markdown trims and joins them.
fn solid(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

const SECTIONS: [&str; 12] = [
    "Current vs Target",
    "Before vs After",
    "Flame Graph Summary",
    "Changed Functions",
    "Top Time Consumers",
    "Unexpected Findings",
    "Optimization Priorities",
    "Heap Snapshot Comparison",
    "Retained Objects Analysis",
    "Remaining Opportunities",
    "Evidence",
    "",
];

/// The words are shown as they are, in every cell, and are nothing but words.
fn check(words: &str) {
    let entry = entry(words, 2);
    let options = JournalOptions { bytes: None, log: Some("a folder/.burnmark".into()) };
    let markdown = report(&entry, &options);
    let seen = seen(&markdown);
    assert_eq!(seen.headings, SECTIONS[..11], "{markdown}");
    assert_eq!(seen.links, ["a%20folder/.burnmark/attachments/0123456789abcdef/x.svg"], "{markdown}");
    let html: Vec<&str> = seen.html.iter().map(String::as_str).collect();
    let folds = ["Functions that did not change, or of which it can't be told", "Top time consumers before the change"]
        .map(|text| format!("<details><summary>{text}</summary>"));
    assert_eq!(html, [REPORT_MARK, &folds[0], "</details>", &folds[1], "</details>"], "{markdown}");
    assert_eq!(seen.tables.len(), 12, "{markdown}");
    for table in &seen.tables {
        let columns = table[0].len();
        assert!(table.iter().all(|row| row.len() == columns), "{table:?}");
        assert_eq!(table.len(), if table[0][0] == "Top consumer before" { 2 } else { 3 }, "{table:?}");
    }
    let expected = |text: &str, is_name: bool| match (text.trim().is_empty(), is_name) {
        (true, false) => String::new(),
        (_, false) => solid(&printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))),
        (_, true) => solid(&printable(text)),
    };
    let consumers =
        seen.tables.iter().find(|table| table[0] == ["Function", "Time %", "Category", "Action"]).expect("there");
    let row: Vec<String> = consumers[1].iter().map(|cell| solid(cell)).collect();
    let word = expected(words, false);
    assert_eq!(row, [expected(words, true), "25.00".to_owned(), word.clone(), word], "{markdown}");
}

#[test]
fn hostile_words_are_words() {
    for words in HOSTILE {
        check(words);
    }
}

#[test]
fn a_summary_that_folds_shows_words_as_they_are() {
    let entries: Vec<Entry> = ["last", "<b>&\n`x` @me</summary>"].map(|words| entry(words, 1)).into_iter().collect();
    let first = Entry { id: Ulid::after(None, 1), ..entries[1].clone() };
    let row = |number, entry| Row { number, entry, replaces: Vec::new() };
    let markdown = log(&[row(1, &first), row(2, &entries[0])], &JournalOptions::default());
    let html = seen(&markdown).html;
    let expected = "<details><summary>Iteration 1: &lt;b&gt;&amp; `x` <code>@me&lt;/summary&gt;</code></summary>";
    assert!(html.contains(&expected.to_owned()), "{html:?}");
    assert_eq!(html.iter().filter(|html| *html == "</details>").count(), 3);
}

#[test]
fn rows_are_cut_and_never_sections() {
    for long in [10_usize, 10_000] {
        for hostile in ["|@", "函"] {
            let entry = entry(&hostile.repeat(long), 30);
            for bytes in [COMMENT_BYTES, SUMMARY_BYTES] {
                let markdown = report(&entry, &JournalOptions { bytes: Some(bytes), log: None });
                assert!(markdown.len() <= bytes, "{} of {bytes} for {long} × {hostile}", markdown.len());
                let seen = seen(&markdown);
                assert_eq!(seen.headings, SECTIONS[..11]);
                assert!(seen.tables.iter().all(|table| table.len() > 1), "every table has a row");
                assert!(
                    markdown.starts_with(&format!("{REPORT_MARK}\n\n**Verdict: improved**")),
                    "the verdict is first"
                );
            }
            let whole = report(&entry, &JournalOptions::default());
            assert_eq!(seen(&whole).tables[0].len(), 31, "nothing is cut where there is room");
        }
    }
    let entries: Vec<Entry> =
        (0..2_000).map(|number| Entry { id: Ulid::after(None, number), ..entry("words", 3) }).collect();
    let rows: Vec<Row<'_>> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| Row { number: index + 1, entry, replaces: Vec::new() })
        .collect();
    let markdown = log(&rows, &JournalOptions { bytes: Some(COMMENT_BYTES), log: None });
    assert!(markdown.len() <= COMMENT_BYTES && markdown.contains("more rows"), "{}", markdown.len());
}

#[test]
fn what_was_not_measured_is_said() {
    let mut entry = entry("x", 1);
    let metric = &mut entry.evidence.metrics[0];
    (metric.after, metric.improvement_pct, metric.ci) = (None, None, None);
    let table = &seen(&report(&entry, &JournalOptions::default())).tables[1];
    assert_eq!(table[1], ["x", "500 x", "not measured", "n/a"]);
    entry.evidence = Evidence::default();
    let markdown = report(&entry, &JournalOptions::default());
    assert!(markdown.contains("**Verdict: not tested**") && seen(&markdown).tables.is_empty());
    let list = log_list(&[Row { number: 1, entry: &entry, replaces: Vec::new() }], &TableForm::Markdown);
    assert_eq!(seen(&list).tables[0][1], ["1", "x", "x", "n/a", "n/a", "n/a"]);
}

#[test]
fn improvements_say_how_they_are_known() {
    let metric =
        |evidence, verdict, n| MetricChange { evidence, verdict, n, ..entry("x", 1).evidence.metrics[0].clone() };
    for (metric, text) in [
        (metric(Known::Measured, Verdict::Improved, [4, 4]), "90.0 % [85.0 … 95.0], improved"),
        (metric(Known::Projected, Verdict::NotTested, [0, 0]), "90.0 % [85.0 … 95.0], projected"),
        (metric(Known::Measured, Verdict::NotTested, [1, 1]), "90.0 % [85.0 … 95.0], one run each"),
        (metric(Known::Measured, Verdict::NotTested, [2, 3]), "90.0 % [85.0 … 95.0], 2 and 3 runs"),
    ] {
        assert_eq!(tables::improvement(&metric), text);
    }
    for (value, text) in
        [(500.0, "500"), (50.25, "50.25"), (0.012_345, "0.01235"), (12_345.678, "12,346"), (-1.5, "-1.500"), (0.0, "0")]
    {
        assert_eq!(tables::figure(value), text);
    }
}

#[test]
fn the_terminal_keeps_to_its_columns() {
    for words in HOSTILE
        .iter()
        .chain(&["a long bottleneck with many words in it, longer than any terminal is wide, and then some more"])
    {
        let entry = entry(words, 1);
        let rows = [Row { number: 1, entry: &entry, replaces: Vec::new() }];
        let text = log_list(&rows, &TableForm::Terminal { width: 120, colours: false });
        assert!((2..=3).contains(&text.lines().count()), "{text}");
        assert!(text.lines().all(|line| crate::names::width(line) <= 120), "{text}");
        assert!(text.lines().nth(1).is_some_and(|line| line.starts_with('1')), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}

#[test]
fn figures_are_never_cut() {
    let long = "a long bottleneck with many words in it, longer than any terminal is wide, and then some more";
    let mut entry = entry(long, 1);
    entry.evidence.metrics[0].unit = "ms".to_owned();
    let rows = [Row { number: 1, entry: &entry, replaces: Vec::new() }];
    for columns in [64, 72, 80, 100, 120, 200] {
        let text = log_list(&rows, &TableForm::Terminal { width: columns, colours: false });
        for figure in ["500 ms", "50 ms", "90.0 % [85.0 … 95.0], improved"] {
            assert!(text.contains(figure), "{figure} at {columns} columns:\n{text}");
        }
        assert!(text.lines().all(|line| crate::names::width(line) <= columns), "{columns}:\n{text}");
    }
}

#[test]
fn json_is_the_entry() {
    let entry = entry("x", 1);
    let row = Row { number: 3, entry: &entry, replaces: vec![entry.id] };
    let json: serde_json::Value = serde_json::from_str(&log_json(&[row])).expect("JSON");
    assert_eq!((&json["schema"], &json["entries"][0]["number"]), (&"burnmark.log/1".into(), &3.into()));
    let back: Entry = serde_json::from_value(json["entries"][0].clone()).expect("an entry");
    assert_eq!(back, entry);
    let json: serde_json::Value = serde_json::from_str(&report_json(&entry)).expect("JSON");
    assert_eq!(json["schema"], "burnmark.report/1");
    assert!(json.get("id").is_none() && json["metrics"][0]["improvement_pct"] == 90.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_words_are_words(words in "[ -~\n]{0,40}|\\PC{0,40}|[|`<>\\\\*_\\[\\]()!#@&$~:;./ a\n-]{0,30}") {
        check(&words);
    }
}
