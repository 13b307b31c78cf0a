//! `burnmark.diff/1`.

use burnmark_analysis::RankBy;
use burnmark_analysis::diff::{Diff, DiffRow, Facts, Values};
use serde_json::{Value, json};

use super::{DiffReport, RunTimes, headline, hint};
use crate::top::json::to_text;

pub(super) fn render(diff: &Diff, report: &DiffReport) -> String {
    let counts = diff.counts;
    to_text(&json!({
        "schema": "burnmark.diff/1",
        "headline": headline(diff),
        "before": side(&report.names[0], &diff.facts[0], diff.matched[0]),
        "after": side(&report.names[1], &diff.facts[1], diff.matched[1]),
        "summary": {
            "regressed": counts.regressed,
            "improved": counts.improved,
            "unchanged": counts.unchanged,
            "inconclusive": counts.inconclusive,
        },
        "evidence": diff.evidence.word(),
        "detectable": diff.detectable,
        "compared": if diff.per_op { "cost_per_operation" } else { "share" },
        "by": match diff.by { RankBy::SelfValue => "self", RankBy::Total => "total" },
        "threshold": diff.threshold,
        "q": diff.q,
        "inflation": diff.inflation,
        "whole": diff.whole.as_ref().map(row),
        "times": report.times.iter().map(times).collect::<Vec<_>>(),
        "rows": diff.rows.iter().map(row).collect::<Vec<_>>(),
        "warnings": diff.warnings,
        "hint": hint(diff),
        "next": report.next,
    }))
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

fn row(row: &DiffRow) -> Value {
    let identity = &row.identity;
    json!({
        "function": identity.name,
        "module": identity.module,
        "file": identity.file,
        "line": (identity.line > 0).then_some(identity.line),
        "before": values(&row.before),
        "after": values(&row.after),
        "delta": row.delta,
        "ci": row.interval,
        "q": row.q,
        "verdict": row.verdict.word(),
        "samples": row.hits,
    })
}

fn values(values: &Values) -> Value {
    match values.cost {
        Some(cost) => {
            json!({ "self_share": values.self_share, "total_share": values.total_share, "cost": cost })
        }
        None => json!({ "self_share": values.self_share, "total_share": values.total_share }),
    }
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
