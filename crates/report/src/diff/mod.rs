//! The table of what changed between two profiles.

mod csv;
mod json;
mod text;

use burnmark_analysis::diff::{Diff, DiffRow, Evidence, Verdict};
use burnmark_analysis::stats::{self, ranks::Shift};

use crate::TableForm;
use crate::names::printable;
use crate::numbers::{counted, decimal, duration};

/// What a table shows beyond the comparison itself.
#[derive(Clone, Debug, Default)]
pub struct DiffReport {
    /// What the sides are called, before and after.
    pub names: [String; 2],
    /// Rows at most; `None` shows all. In JSON and CSV all rows are there whatever this is.
    pub limit: Option<usize>,
    /// Wall and CPU time of the runs, where they were measured.
    pub times: Vec<RunTimes>,
    /// A command that would settle what is undecided.
    pub next: Option<String>,
}

/// One time of every run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunTimes {
    /// `wall` or `cpu`.
    pub name: &'static str,
    /// Nanoseconds of each run, before and after.
    pub runs: [Vec<f64>; 2],
    /// What the ranks say, with enough runs.
    pub shift: Option<Shift>,
}

/// The table, with a line end after its last line.
pub fn diff(diff: &Diff, report: &DiffReport, form: &TableForm) -> String {
    match *form {
        TableForm::Terminal { width, colours } => text::terminal(diff, report, width, colours),
        TableForm::Markdown => text::markdown(diff, report),
        TableForm::Csv => csv::render(diff),
        TableForm::Json => json::render(diff, report),
    }
}

/// The one line on top.
fn headline(diff: &Diff) -> String {
    let counts = diff.counts;
    let mut parts = vec![
        format!("{} regressed", counts.regressed),
        format!("{} improved", counts.improved),
        format!("{} unchanged", counts.unchanged),
    ];
    if counts.inconclusive > 0 {
        parts.push(format!("{} inconclusive", counts.inconclusive));
    }
    let mut line = parts.join(", ");
    if let Some(detectable) = diff.detectable {
        line += &match diff.per_op {
            true => format!(
                "; a function at 5 % could have shown changes ≥ {} % of its cost",
                decimal(detectable * 100.0, 1)
            ),
            false => {
                format!("; a function at 5 % could have shown changes ≥ {} points", decimal(detectable * 100.0, 1))
            }
        };
    }
    format!("{line}; evidence: {}", evidence(diff))
}

fn evidence(diff: &Diff) -> String {
    let [before, after] = diff.facts.each_ref().map(Vec::len);
    match diff.evidence {
        Evidence::Runs if before == after => format!("{before} runs each"),
        Evidence::Runs => format!("{before} runs before, {after} after"),
        Evidence::WithinRun if before == 1 && after == 1 => "one run each".to_owned(),
        Evidence::WithinRun => "too few runs: taken as one each".to_owned(),
        Evidence::None => "none (no times: intervals are a lower bound)".to_owned(),
    }
}

/// Whether one run a side could not decide what several could: changes larger than the threshold stand undecided.
pub fn hint(diff: &Diff) -> Option<String> {
    if diff.evidence == Evidence::Runs {
        return None;
    }
    let undecided = |row: &&DiffRow| {
        row.verdict == Verdict::Inconclusive && row.q.is_some() && relative(diff, row).abs() >= diff.threshold
    };
    let undecided = diff.rows.iter().filter(undecided).count();
    if undecided == 0 {
        return None;
    }
    let cause = match diff.inflation {
        Some(inflation) if inflation >= 3.0 => format!(
            ", for the program has phases (its functions vary {} times as much as independent samples)",
            decimal(inflation, 1)
        ),
        _ => String::new(),
    };
    Some(format!(
        "one run against one can't tell whether {} really changed{cause}",
        counted(undecided, "function", "functions")
    ))
}

/// The change as it is compared with the threshold.
fn relative(diff: &Diff, row: &DiffRow) -> f64 {
    if diff.per_op { row.delta / scale_of(row) } else { row.delta }
}

/// The larger of the two costs.
fn scale_of(row: &DiffRow) -> f64 {
    let larger = row.before.cost.unwrap_or(0.0).max(row.after.cost.unwrap_or(0.0));
    if larger > 0.0 { larger } else { 1.0 }
}

/// The cost before, by which changes of cost are told in percent; `None` if there was none.
fn cost_before(row: &DiffRow) -> Option<f64> {
    row.before.cost.filter(|cost| *cost > 0.0)
}

/// Lines below the table.
fn remarks(diff: &Diff, report: &DiffReport) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(report.times.iter().map(times));
    if !diff.per_op && diff.counts.regressed + diff.counts.improved > 0 {
        lines.push(
            "shares sum to 100 %, so where one grows others shrink: --per-op BEFORE,AFTER (operations done) compares costs"
                .to_owned(),
        );
    }
    if diff.matched.iter().any(|share| *share < 0.9) {
        lines.push(format!(
            "functions known to both sides hold {} % of before and {} % of after: --show-renames tells what was matched",
            decimal(diff.matched[0] * 100.0, 1),
            decimal(diff.matched[1] * 100.0, 1)
        ));
    }
    lines.extend(diff.warnings.iter().map(|warning| format!("warning: {}", printable(warning))));
    if let Some(hint) = hint(diff) {
        lines.push(match &report.next {
            Some(next) => format!("{hint}; this would:\n  {next}"),
            None => hint,
        });
    }
    lines
}

fn times(times: &RunTimes) -> String {
    let of = |ns: f64| duration(ns as i64);
    let median = |values: &[f64]| stats::median(values.iter().copied()).unwrap_or(0.0);
    match &times.shift {
        Some(shift) => format!(
            "{} time: {} before, {} after (medians), change {} [{}, {}], p = {} (Mann–Whitney)",
            times.name,
            of(shift.medians[0]),
            of(shift.medians[1]),
            signed_duration(shift.shift),
            signed_duration(shift.interval[0]),
            signed_duration(shift.interval[1]),
            decimal(shift.p, 3)
        ),
        None => format!(
            "{} time: {} before, {} after (medians; 4 runs a side are needed to test it)",
            times.name,
            of(median(&times.runs[0])),
            of(median(&times.runs[1]))
        ),
    }
}

fn signed_duration(ns: f64) -> String {
    let text = duration(ns.abs() as i64);
    if ns < 0.0 { format!("−{text}") } else { format!("+{text}") }
}

/// What was matched with what, a line each.
pub fn renames(diff: &Diff) -> String {
    use burnmark_analysis::matching::MatchedBy;
    let mut text = String::new();
    for rename in &diff.renames {
        let by = match rename.by {
            MatchedBy::Name => "name",
            MatchedBy::LooseName => "name without generics and parameters",
            MatchedBy::Order => "place in the file",
        };
        let side = |(name, module): &(String, Option<String>)| match module {
            Some(module) => format!("{} ({})", printable(name), printable(module)),
            None => printable(name).into_owned(),
        };
        let percent = decimal(rename.share * 100.0, 2);
        text += &format!("{percent:>6} %  {}\n      →  {}  [{by}]\n", side(&rename.before), side(&rename.after));
    }
    if text.is_empty() {
        text.push_str("every function has the same name on both sides\n");
    }
    text
}

#[cfg(test)]
mod tests;
