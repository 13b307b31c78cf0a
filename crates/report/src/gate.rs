//! The verdict on a budget.

use burnmark_journal::gate::{Check, Gate, LimitKind, Status};
use serde::Serialize;

use crate::TableForm;
use crate::grid::{Grid, figure, interval};
use crate::names::printable;
use crate::numbers::counted;
use crate::top::json::to_text;
use crate::top::markdown::escaped;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    verdict: &'static str,
    checks: Vec<CheckJson<'a>>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct CheckJson<'a> {
    what: &'a str,
    kind: &'static str,
    status: &'static str,
    value: Option<f64>,
    unit: &'a str,
    limit: Option<f64>,
    ci: Option<[f64; 2]>,
    baseline: Option<f64>,
    change_pct: Option<f64>,
    severity: Option<&'static str>,
    runs: usize,
    why: Option<&'a str>,
}

/// The verdict, with a line end after its last line.
pub fn gate(gate: &Gate, form: &TableForm) -> String {
    match *form {
        TableForm::Json => json(gate),
        TableForm::Csv => grid(gate).csv(),
        TableForm::Markdown => gate_within(gate, usize::MAX),
        TableForm::Terminal { width, colours } => terminal(gate, width, colours),
    }
}

fn json(gate: &Gate) -> String {
    let checks = gate.checks.iter().map(|check| CheckJson {
        what: &check.what,
        kind: check.kind.word(),
        status: check.status.word(),
        value: check.value,
        unit: &check.unit,
        limit: check.limit,
        ci: check.ci,
        baseline: check.baseline,
        change_pct: check.change_pct,
        severity: check.severity,
        runs: check.runs,
        why: check.why.as_deref(),
    });
    let (schema, verdict) = ("burnmark.gate/1", gate.verdict.word());
    to_text(&Document { schema, verdict, checks: checks.collect(), notes: &gate.notes })
}

/// The status with a mark that is seen without colours.
fn marked(status: Status) -> &'static str {
    match status {
        Status::Pass => "✓ pass",
        Status::Warn => "! warn",
        Status::Inconclusive => "? inconclusive",
        Status::Missing => "? missing",
        Status::Fail => "✗ fail",
    }
}

/// What is limited, and the limit; of what fails with as many digits as it takes to see which is larger.
fn told(check: &Check) -> [Option<String>; 2] {
    let regression = check.kind == LimitKind::MaxRegression;
    let both = [if regression { check.change_pct } else { check.value }, check.limit];
    let short = both.map(|number| number.map(figure));
    let [Some(value), Some(limit)] = both else { return short };
    if check.status != Status::Fail || value == limit || short[0] != short[1] {
        return short;
    }
    let exact = |decimals| [value, limit].map(|number| crate::numbers::decimal(number, decimals));
    let Some([value, limit]) = (4..=17).map(exact).find(|[value, limit]| value != limit) else { return short };
    [value, limit].map(|text| Some(text.trim_end_matches('0').trim_end_matches('.').to_owned()))
}

fn with_unit(value: Option<String>, unit: &str) -> String {
    match value {
        Some(value) if unit.is_empty() => value,
        Some(value) => format!("{value} {unit}"),
        None => String::new(),
    }
}

/// What is asked for: `≤ 200 ms`, `at most 10 % worse`.
fn target(check: &Check, limit: Option<String>) -> String {
    let unit = if check.unit.is_empty() { String::new() } else { format!(" {}", check.unit) };
    match (check.kind, limit) {
        (LimitKind::Min, Some(limit)) => format!("≥ {limit}{unit}"),
        (LimitKind::MaxRegression, Some(limit)) => format!("at most {limit} % worse"),
        (LimitKind::MaxShare, Some(limit)) => format!("≤ {limit} %"),
        (_, Some(limit)) => format!("≤ {limit}{unit}"),
        (_, None) => String::new(),
    }
}

fn change(check: &Check, limited: Option<String>) -> String {
    check.change_pct.map_or(String::new(), |percent| {
        let direction = if percent > 0.0 {
            " worse"
        } else if percent < 0.0 {
            " better"
        } else {
            ""
        };
        // What fails is worse, and so has no sign.
        let failed = limited.filter(|_| check.status == Status::Fail);
        format!("{} %{direction}", failed.unwrap_or_else(|| figure(percent.abs())))
    })
}

fn grid(gate: &Gate) -> Grid {
    let columns =
        ["metric", ">baseline", ">current", ">target", ">change", "95 % interval", "severity", "status", "why"];
    let mut grid = Grid::new(&columns);
    for check in &gate.checks {
        let [compared, limit] = told(check);
        let (value, limited) = match check.kind {
            LimitKind::MaxRegression => (check.value.map(figure), compared),
            _ => (compared, None),
        };
        grid.rows.push(vec![
            check.what.clone(),
            with_unit(check.baseline.map(figure), &check.unit),
            with_unit(value, &check.unit),
            target(check, limit),
            change(check, limited),
            interval(check.ci) + if check.change_pct.is_some() && check.ci.is_some() { " %" } else { "" },
            check.severity.unwrap_or_default().to_owned(),
            marked(check.status).to_owned(),
            check.why.clone().unwrap_or_default(),
        ]);
    }
    grid.without_empty()
}

/// The verdict in a sentence.
fn headline(gate: &Gate) -> String {
    let verdict = match gate.verdict {
        Status::Pass => "the budget is kept",
        Status::Warn => "the budget is kept, with warnings",
        Status::Inconclusive | Status::Missing => {
            "the budget is not broken, but there is not the evidence to say it is kept"
        }
        Status::Fail => "the budget is broken",
    };
    let counts: Vec<String> = [Status::Fail, Status::Missing, Status::Inconclusive, Status::Warn, Status::Pass]
        .into_iter()
        .filter(|status| gate.count(*status) > 0)
        .map(|status| format!("{} {}", gate.count(status), status.word()))
        .collect();
    format!("{verdict}: {}", counts.join(", "))
}

fn terminal(gate: &Gate, width: usize, colours: bool) -> String {
    let grid = grid(gate);
    let why = grid.columns.iter().position(|column| *column == "why");
    let status = grid.columns.iter().position(|column| *column == "status");
    // Reasons stand below their row: they are sentences.
    let mut table = grid.clone();
    if let Some(why) = why {
        table.columns.remove(why);
        table.rows.iter_mut().for_each(|row| drop(row.remove(why)));
    }
    let colour = |row: usize| match gate.checks[row].status {
        Status::Pass => "32",
        Status::Fail | Status::Missing => "31",
        Status::Warn | Status::Inconclusive => "33",
    };
    let drawn = table.terminal(width, |row, column, cell| {
        if colours && Some(column) == status { format!("\x1b[{}m{cell}\x1b[0m", colour(row)) } else { cell }
    });
    let bold = |text: &str| if colours { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() };
    let mut text = bold(&headline(gate)) + "\n";
    for (index, line) in drawn.lines().enumerate() {
        text.push_str(line);
        text.push('\n');
        let reason = index.checked_sub(1).and_then(|row| gate.checks.get(row)).and_then(|check| check.why.as_ref());
        if let Some(reason) = reason {
            text.push_str(&format!("   {}\n", printable(reason)));
        }
    }
    gate.notes.iter().for_each(|note| text.push_str(&format!("note: {}\n", printable(note))));
    text
}

/// The verdict in Markdown, in at most `room` bytes: the sentence first, then what is not kept, then the rest, folded.
/// Rows are cut, never sections; empty if not even the sentence has room.
pub fn gate_within(gate: &Gate, room: usize) -> String {
    let grid = grid(gate);
    let mark = match gate.verdict {
        Status::Pass => "✅",
        Status::Warn | Status::Inconclusive | Status::Missing => "⚠️",
        Status::Fail => "❌",
    };
    let mut text = format!("### {mark} burnmark gate: {}\n", escaped(&headline(gate)));
    if text.len() > room {
        return String::new();
    }
    let is_kept = |row: &usize| gate.checks[*row].status == Status::Pass;
    let rows = 0..gate.checks.len();
    let broken: Vec<usize> = rows.clone().filter(|row| !is_kept(row)).collect();
    let kept: Vec<usize> = rows.filter(is_kept).collect();
    let folded =
        if broken.is_empty() { ("\n", "") } else { ("\n<details><summary>kept</summary>\n\n", "\n</details>\n") };
    // The second section has room for its head whatever the first one has to say.
    let head = if kept.is_empty() || broken.is_empty() { 0 } else { grid.markdown_head().len() + 160 };
    for (rows, (begin, end), others) in [(broken, ("\n", ""), head), (kept, folded, 0)] {
        if rows.is_empty() {
            continue;
        }
        // What the section ends with, and the line that says what was cut, always have room.
        let reserve = end.len() + 80 + others;
        let mut section = begin.to_owned() + &grid.markdown_head();
        if text.len() + section.len() + reserve > room {
            break;
        }
        let mut cut = 0;
        for row in rows {
            let line = grid.markdown_row(row);
            if cut > 0 || text.len() + section.len() + line.len() + reserve > room {
                cut += 1;
            } else {
                section.push_str(&line);
            }
        }
        if cut > 0 {
            section.push_str(&format!("\n… {}\n", counted(cut, "more row", "more rows")));
        }
        text.push_str(&section);
        text.push_str(end);
    }
    let mut notes = String::new();
    for note in &gate.notes {
        let line = format!("- {}\n", escaped(note));
        if text.len() + notes.len() + line.len() < room {
            notes.push_str(&line);
        }
    }
    if !notes.is_empty() {
        text.push('\n');
        text.push_str(&notes);
    }
    text
}

#[cfg(test)]
mod tests {
    use burnmark_journal::budget::Budget;
    use burnmark_journal::gate::{Evidence, gate as judge};

    use super::*;

    fn many() -> Gate {
        let limits: Vec<String> = (0..5_000).map(|at| format!("\"metric_{at}<b>|\": {{\"max\": {at}}}")).collect();
        let budget = Budget::parse(format!("{{\"metrics\": {{{}}}}}", limits.join(",")).as_bytes()).expect("a budget");
        let metrics: Vec<String> = (0..5_000)
            .map(|at| {
                format!(
                    "{{\"name\":\"metric_{at}<b>|\",\"unit\":\"ms\",\"direction\":\"lower\",\"value\":{}}}",
                    at / 2 + 900
                )
            })
            .collect();
        let run = format!("{{\"schema\":\"burnmark.metrics/1\",\"metrics\":[{}]}}", metrics.join(","));
        let run = burnmark_journal::metrics::read(run.as_bytes()).expect("ours");
        judge(&budget, &Evidence { results: vec![("x".to_owned(), run)], ..Evidence::default() })
    }

    #[test]
    fn a_summary_is_cut_by_rows_and_keeps_its_verdict() {
        let gate = many();
        let whole = gate_within(&gate, usize::MAX);
        assert!(whole.starts_with("### ❌ burnmark gate: the budget is broken: "), "{}", &whole[..80]);
        assert_eq!(whole.matches("<details>").count(), whole.matches("</details>").count());
        assert!(!whole.contains("<b>"));
        for room in [0, 50, 100, 300, 1_000, 60_000, 100_000, whole.len() - 1, whole.len()] {
            let text = gate_within(&gate, room);
            assert!(text.len() <= room, "{} in {room}", text.len());
            assert_eq!(text.matches("<details>").count(), text.matches("</details>").count(), "{room}");
            assert!(text.is_empty() || text.starts_with("### ❌"));
            assert!(text.len() < 400 || text.len() == whole.len() || text.contains("more row"), "{room}");
        }
        assert!(gate_within(&gate, 900 << 10).len() <= 900 << 10);
    }

    #[test]
    fn what_fails_is_seen_to_be_beyond() {
        for (value, limit, told) in [
            (200.000_04, 200.0, ["200.00004 ms", "≤ 200 ms"]),
            (200.004, 200.001, ["200.004 ms", "≤ 200.001 ms"]),
            (201.0, 200.0, ["201 ms", "≤ 200 ms"]),
        ] {
            let text = format!("{{\"metrics\": {{\"p95_latency_ms\": {{\"max\": {limit}}}}}}}");
            let budget = Budget::parse(text.as_bytes()).expect("a budget");
            let run = format!(
                "{{\"schema\": \"burnmark.metrics/1\", \"metrics\": [{{\"name\": \"p95_latency_ms\", \"unit\": \"ms\", \
                 \"direction\": \"lower\", \"value\": {value}}}]}}"
            );
            let run = burnmark_journal::metrics::read(run.as_bytes()).expect("ours");
            let evidence = Evidence { results: vec![("a".to_owned(), run)], ..Evidence::default() };
            let markdown = super::gate(&judge(&budget, &evidence), &TableForm::Markdown);
            assert!(told.iter().all(|part| markdown.contains(&format!("| {part} |"))), "{told:?} in {markdown}");
        }
    }
}
