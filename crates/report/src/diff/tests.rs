use burnmark_analysis::MergeBy;
use burnmark_analysis::diff::{DiffOptions, diff as compare, reduce};
use burnmark_model::{Sample, ValueType};

use super::*;
use crate::testing::{Builder, NASTY, nasty};

/// 4,000 samples over ten seconds; `hot` of every 20 are in `hot`, others in `steady`, and one in a nasty name.
fn run(hot: usize, extra: Option<&str>) -> burnmark_model::Profile {
    let mut builder = Builder::new(vec![ValueType::samples()]);
    let stacks = [
        builder.stack(&["main", "hot"]),
        builder.stack(&["main", "steady"]),
        builder.stack(&["main", extra.unwrap_or("steady")]),
    ];
    for index in 0..4_000_usize {
        // 7 has no common divisor with 20: the pattern is even in every block.
        let turn = index * 7 % 20;
        let stack = if turn < hot {
            stacks[0]
        } else if turn == 19 {
            stacks[2]
        } else {
            stacks[1]
        };
        let sample = Sample { stack, time_ns: Some(index as i64 * 2_500_000), ..Sample::default() };
        builder.profile.samples.push(sample, &[1]).expect("small values");
    }
    builder.profile
}

fn compared(per_op: bool) -> Diff {
    let [before, after] = [run(4, Some(NASTY[1])), run(8, Some(NASTY[2]))]
        .map(|profile| vec![reduce(&profile, 0, MergeBy::Function).expect("valid")]);
    let operations = per_op.then(|| [vec![100.0], vec![100.0]]);
    compare(&before, &after, &DiffOptions { operations, ..DiffOptions::default() }).expect("valid")
}

fn report() -> DiffReport {
    DiffReport {
        names: ["old.pb.gz".to_owned(), "new.pb.gz".to_owned()],
        limit: Some(30),
        times: vec![RunTimes {
            name: "wall",
            runs: [vec![1.0e9, 1.1e9, 1.2e9, 1.3e9], vec![2.0e9, 2.1e9, 2.2e9, 2.4e9]],
            shift: burnmark_analysis::stats::ranks::mann_whitney(
                &[1.0e9, 1.1e9, 1.2e9, 1.3e9],
                &[2.0e9, 2.1e9, 2.2e9, 2.4e9],
            ),
        }],
        next: Some("burnmark compare --runs 5 -- BEFORE… --vs AFTER…".to_owned()),
    }
}

#[test]
fn terminal() {
    let text = diff(&compared(false), &report(), &TableForm::Terminal { width: 110, colours: false });
    insta::assert_snapshot!(text);
}

/// On 80 columns no line of the table is broken.
#[test]
fn narrow_terminals_show_what_is_compared() {
    let text = diff(&compared(false), &report(), &TableForm::Terminal { width: 80, colours: false });
    let table: Vec<&str> = text.lines().skip(1).take(5).collect();
    assert!(table.iter().all(|line| crate::names::width(line) <= 80), "{text}");
    assert!(table[0].contains("self %") && !table[0].contains("total %") && table[0].contains("95 % interval"));
    let wide = diff(&compared(false), &report(), &TableForm::Terminal { width: 100, colours: false });
    assert!(wide.lines().nth(1).is_some_and(|header| header.contains("total %")), "{wide}");
}

#[test]
fn costs_per_operation() {
    let text = diff(&compared(true), &report(), &TableForm::Terminal { width: 110, colours: false });
    insta::assert_snapshot!(text);
}

#[test]
fn markdown() {
    insta::assert_snapshot!(diff(&compared(false), &report(), &TableForm::Markdown));
}

#[test]
fn csv() {
    insta::assert_snapshot!(diff(&compared(false), &report(), &TableForm::Csv).replace("\r\n", "␍\n"));
}

#[test]
fn json_has_what_the_contract_names() {
    let text = diff(&compared(false), &report(), &TableForm::Json);
    let json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(json["schema"], "burnmark.diff/1");
    assert_eq!(json["evidence"], "within_run");
    for key in ["regressed", "improved", "unchanged", "inconclusive"] {
        assert!(json["summary"][key].is_u64(), "{key}");
    }
    assert!(json["detectable"].as_f64().is_some_and(|change| change > 0.0 && change < 0.1), "{text}");
    let rows = json["rows"].as_array().expect("rows");
    let hot = rows.iter().find(|row| row["function"] == "hot").expect("hot is there");
    assert_eq!(hot["verdict"], "regressed");
    assert_eq!(hot["module"], serde_json::Value::Null);
    // By hand: 4 and 8 of 20.
    assert!((hot["before"]["self_share"].as_f64().expect("a number") - 0.2).abs() < 1e-9);
    assert!((hot["after"]["total_share"].as_f64().expect("a number") - 0.4).abs() < 1e-9);
    let delta = hot["delta"].as_f64().expect("a number");
    let interval = [0, 1].map(|at| hot["ci"][at].as_f64().expect("a number"));
    assert!((delta - 0.2).abs() < 1e-9 && interval[0] < delta && delta < interval[1] && interval[0] > 0.0);
    assert!(hot["q"].as_f64().is_some_and(|q| q < 0.001));
}

/// Names that would break out of a cell, and inputs without times.
#[test]
fn nasty_names_and_no_times() {
    let profile = nasty();
    let runs = vec![reduce(&profile, 0, MergeBy::Function).expect("valid")];
    let other = vec![reduce(&run(4, Some(NASTY[4])), 0, MergeBy::Function).expect("valid")];
    let compared = compare(&runs, &other, &DiffOptions::default()).expect("valid");
    for form in [TableForm::Terminal { width: 80, colours: true }, TableForm::Markdown, TableForm::Csv] {
        let text = diff(&compared, &DiffReport { limit: None, ..report() }, &form);
        assert!(!text.contains(NASTY[4]) && !text.contains('\x07') && !text.contains('\u{202e}'), "{text}");
    }
}
