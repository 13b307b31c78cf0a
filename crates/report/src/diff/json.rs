//! `burnmark.diff/1`.

use burnmark_analysis::RankBy;
use burnmark_analysis::diff::{Diff, DiffRow, Facts, Values};
use serde::Serialize;
use serde_json::{Value, json};

use super::{DiffReport, RunTimes, headline, hint};
use crate::top::json::to_text;

/// The document. Keys are in alphabetical order, as in all that is made of values.
#[derive(Serialize)]
struct Document<'a> {
    after: Value,
    before: Value,
    by: &'static str,
    compared: &'static str,
    detectable: Option<f64>,
    evidence: &'static str,
    headline: String,
    hint: Option<String>,
    inflation: Option<f64>,
    next: &'a Option<String>,
    q: f64,
    rows: Vec<Row<'a>>,
    schema: &'static str,
    summary: Value,
    threshold: f64,
    times: Vec<Value>,
    warnings: &'a [String],
    whole: Option<Row<'a>>,
}

/// A row: there may be tens of thousands.
#[derive(Serialize)]
struct Row<'a> {
    after: ValuesJson,
    before: ValuesJson,
    ci: [f64; 2],
    delta: f64,
    file: &'a Option<String>,
    function: &'a str,
    line: Option<u32>,
    module: &'a Option<String>,
    q: Option<f64>,
    samples: f64,
    verdict: &'static str,
}

#[derive(Serialize)]
struct ValuesJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    self_share: f64,
    total_share: f64,
}

pub(super) fn render(diff: &Diff, report: &DiffReport) -> String {
    let counts = diff.counts;
    to_text(&Document {
        schema: "burnmark.diff/1",
        headline: headline(diff),
        before: side(&report.names[0], &diff.facts[0], diff.matched[0]),
        after: side(&report.names[1], &diff.facts[1], diff.matched[1]),
        summary: json!({
            "regressed": counts.regressed,
            "improved": counts.improved,
            "unchanged": counts.unchanged,
            "inconclusive": counts.inconclusive,
        }),
        evidence: diff.evidence.word(),
        detectable: diff.detectable,
        compared: if diff.per_op { "cost_per_operation" } else { "share" },
        by: match diff.by {
            RankBy::SelfValue => "self",
            RankBy::Total => "total",
        },
        threshold: diff.threshold,
        q: diff.q,
        inflation: diff.inflation,
        whole: diff.whole.as_ref().map(row),
        times: report.times.iter().map(times).collect(),
        rows: diff.rows.iter().map(row).collect(),
        warnings: &diff.warnings,
        hint: hint(diff),
        next: &report.next,
    })
}

fn side(name: &str, facts: &[Facts], matched: f64) -> Value {
    json!({
        "name": name,
        "runs": facts.len(),
        "matched_share": matched,
        "profiles": facts.iter().map(|facts| json!({
            "value_type": { "type": facts.value_type.name, "unit": facts.value_type.unit },
            "samples": facts.samples,
            "total": facts.total,
            "timed": facts.timed,
            "duration_ns": facts.duration_ns,
            "threads": facts.threads,
            "event": facts.event,
            "frequency_hz": facts.frequency_hz,
            "kernel": facts.kernel,
            "cpu": facts.cpu,
            "command": facts.command,
        })).collect::<Vec<_>>(),
    })
}

fn row(row: &DiffRow) -> Row<'_> {
    let identity = &row.identity;
    Row {
        function: &identity.name,
        module: &identity.module,
        file: &identity.file,
        line: (identity.line > 0).then_some(identity.line),
        before: values(&row.before),
        after: values(&row.after),
        delta: row.delta,
        ci: row.interval,
        q: row.q,
        verdict: row.verdict.word(),
        samples: row.hits,
    }
}

fn values(values: &Values) -> ValuesJson {
    let Values { self_share, total_share, cost } = *values;
    ValuesJson { cost, self_share, total_share }
}

fn times(times: &RunTimes) -> Value {
    json!({
        "name": times.name,
        "unit": "nanoseconds",
        "before": times.runs[0],
        "after": times.runs[1],
        "test": times.shift.map(|shift| json!({
            "medians": shift.medians,
            "shift": shift.shift,
            "ci": shift.interval,
            "p": shift.p,
        })),
    })
}
