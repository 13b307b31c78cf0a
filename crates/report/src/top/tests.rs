use burnmark_analysis::{MergeBy, RankOptions, rank, summarize};
use burnmark_model::{Position, ValueType, Warning};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::*;
use crate::names::{printable, width};
use crate::testing::{Builder, NASTY, nasty};

fn table(profile: &Profile, value: usize, form: TableForm) -> String {
    let ranking = rank(profile, &RankOptions { value, ..RankOptions::default() }).expect("valid");
    top(profile, &ranking, &summarize(profile, value).expect("valid"), &form)
}

#[test]
fn terminal_at_80_columns() {
    insta::assert_snapshot!(table(&nasty(), 1, TableForm::Terminal { width: 80, colours: false }));
}

#[test]
fn terminal_at_160_columns() {
    insta::assert_snapshot!(table(&nasty(), 0, TableForm::Terminal { width: 160, colours: false }));
}

#[test]
fn terminal_with_a_limit_and_lines() {
    let profile = nasty();
    let options = RankOptions { value: 1, merge_by: MergeBy::Line, limit: Some(3), ..RankOptions::default() };
    let ranking = rank(&profile, &options).expect("valid");
    let form = TableForm::Terminal { width: 100, colours: true };
    let text = top(&profile, &ranking, &summarize(&profile, 1).expect("valid"), &form);
    insta::assert_snapshot!(text.replace('\x1b', "␛"));
}

#[test]
fn markdown() {
    insta::assert_snapshot!(table(&nasty(), 1, TableForm::Markdown));
}

#[test]
fn csv() {
    insta::assert_snapshot!(table(&nasty(), 1, TableForm::Csv).replace("\r\n", "␍\n"));
}

#[test]
fn json() {
    insta::assert_snapshot!(table(&nasty(), 1, TableForm::Json));
}

fn warnings() -> Vec<Warning> {
    vec![
        Warning { message: "cut \x1b[1m".to_owned(), position: Some(Position::Line(3)), count: 2 },
        Warning { message: "odd".to_owned(), position: None, count: 1 },
    ]
}

#[test]
fn info_for_people() {
    let profile = nasty();
    insta::assert_snapshot!(crate::info(&profile, &summarize(&profile, 1).expect("valid"), "pprof", &warnings()));
}

#[test]
fn info_as_json() {
    let profile = nasty();
    insta::assert_snapshot!(crate::info_json(&profile, &summarize(&profile, 1).expect("valid"), "pprof", &warnings()));
}

/// Whatever the names: tables fit where they can fit, columns stand below one another, nothing steers the terminal.
#[test]
fn terminal_tables_fit_and_are_harmless() {
    for columns in (50..200).step_by(7) {
        let text = table(&nasty(), 1, TableForm::Terminal { width: columns, colours: false });
        let rows: Vec<&str> = text.lines().take(24).collect();
        assert!(rows.iter().all(|row| width(row) <= columns), "{columns}:\n{text}");
        assert!(rows.iter().all(|row| width(row) == width(rows[0])), "{columns}:\n{text}");
        assert!(!text.contains(|char: char| char.is_control() && char != '\n'));
        assert!(!text.contains('\u{202e}'));
    }
}

/// The cells of the first table, as a CommonMark parser with GitHub's tables reads them.
fn cells_of_markdown(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![Vec::new()];
    let mut in_table = false;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Table(_)) => in_table = true,
            Event::End(TagEnd::Table) => in_table = false,
            Event::End(TagEnd::TableRow | TagEnd::TableHead) => rows.push(Vec::new()),
            Event::Start(Tag::TableCell) => rows.last_mut().expect("a row").push(String::new()),
            Event::Text(text) | Event::Code(text) if in_table => {
                rows.last_mut().and_then(|row| row.last_mut()).expect("a cell").push_str(&text);
            }
            Event::Html(html) | Event::InlineHtml(html) => assert_eq!(&*html, "<!-- -->"),
            Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::Emphasis | Tag::Strong) => panic!("{event:?}"),
            _ => {}
        }
    }
    rows
}

#[test]
fn markdown_says_what_it_should_to_a_parser() {
    let profile = nasty();
    let rows = cells_of_markdown(&table(&profile, 1, TableForm::Markdown));
    for (row, name) in rows[1..].iter().zip(NASTY) {
        assert_eq!(row.len(), 7, "{row:?}");
        assert_eq!(row[1].trim(), printable(name).trim());
        assert_eq!(row[2], "lib|odd (deleted).so");
    }
    assert_eq!(rows[0], ["#", "function", "module", "self %", "self ms", "total %", "total ms"]);
}

/// RFC 4180, read by its grammar.
fn records_of_csv(text: &str) -> Vec<Vec<String>> {
    let mut records = vec![vec![String::new()]];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let record = records.last_mut().expect("a record");
        let field = record.last_mut().expect("a field");
        match char {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(String::new()),
            '\r' if !quoted => assert_eq!(chars.peek(), Some(&'\n')),
            '\n' if !quoted => records.push(vec![String::new()]),
            _ => field.push(char),
        }
    }
    assert!(!quoted);
    assert_eq!(records.pop(), Some(vec![String::new()]), "the last line ends");
    records
}

#[test]
fn csv_says_what_it_should_to_a_parser() {
    let records = records_of_csv(&table(&nasty(), 1, TableForm::Csv));
    assert!(records.iter().all(|record| record.len() == 10));
    for (record, name) in records[1..].iter().zip(NASTY) {
        let name = printable(name);
        let formula = name.trim_start().starts_with(['=', '+', '-', '@']);
        assert_eq!(record[1], if formula { format!("'{name}") } else { name.into_owned() });
    }
}

#[test]
fn json_keeps_names_as_they_are() {
    let json: serde_json::Value = serde_json::from_str(&table(&nasty(), 1, TableForm::Json)).expect("JSON");
    for (row, name) in json["rows"].as_array().expect("rows").iter().zip(NASTY) {
        assert_eq!(row["function"], name);
    }
}

#[test]
fn negative_and_fractional_values() {
    let mut builder = Builder::new(vec![ValueType { denominator: 100, ..ValueType::new("cost", "count") }]);
    for (name, value) in [("slower", 250), ("faster", -1_150_000), ("same", 1), ("gone", 0)] {
        let stack = builder.stack(&["main", name]);
        builder.sample(stack, &[value]);
    }
    let profile = builder.profile;
    insta::assert_snapshot!(table(&profile, 0, TableForm::Terminal { width: 80, colours: false }));
    let json: serde_json::Value = serde_json::from_str(&table(&profile, 0, TableForm::Json)).expect("JSON");
    assert_eq!(json["total"], -11_497.49);
    assert_eq!(json["rows"][0]["self"], -11_500);
    assert_eq!(json["rows"][1]["self"], 2.5);
}

/// With categories: values go before names become unreadable, then the category goes.
#[test]
fn categories_leave_room_for_names() {
    let mut builder = Builder::new(vec![ValueType::new("cpu", "nanoseconds")]);
    for (name, module, value) in [
        ("serde_json::de::Deserializer::parse_any_value", "/srv/shop-service-a1b2", 1_400_000_000),
        ("inflate_fast", "/usr/lib/libz.so.1.2.13", 600_000_000),
        ("shop::cart::checkout_total_of_everything", "/srv/shop-service-a1b2", 400_000_000),
    ] {
        let frame = builder.frame(name, Some((module, burnmark_model::ModuleKind::User)), 0);
        let stack = builder.stack_of(&[frame]);
        builder.sample(stack, &[value]);
    }
    let mut ranking = rank(&builder.profile, &RankOptions::default()).expect("valid");
    ranking.categorize(burnmark_analysis::Rules::shipped());
    let summary = summarize(&builder.profile, 0).expect("valid");
    let at = |width| {
        let text = top(&builder.profile, &ranking, &summary, &TableForm::Terminal { width, colours: false });
        assert!(text.lines().take(4).all(|line| crate::names::width(line) <= width), "{text}");
        text.lines().take(4).map(|line| format!("{line}\n")).collect::<String>()
    };
    insta::assert_snapshot!([60, 80, 100, 130].map(at).join("\n"));
    let rows = cells_of_markdown(&top(&builder.profile, &ranking, &summary, &TableForm::Markdown));
    assert_eq!(rows[0], ["#", "function", "module", "category", "self %", "self ms", "total %", "total ms"]);
    assert_eq!((&*rows[1][3], &*rows[2][3], &*rows[3][3]), ("serialization", "compression", ""));
}

#[test]
fn nothing_is_a_table_too() {
    let profile = Profile::new(vec![ValueType::samples()]);
    insta::assert_snapshot!(table(&profile, 0, TableForm::Terminal { width: 80, colours: true }), @r"
    nothing to show
    0 samples
    ");
    assert_eq!(table(&profile, 0, TableForm::Csv).lines().count(), 1);
    assert!(table(&profile, 0, TableForm::Json).contains("\"rows\": []"));
}
