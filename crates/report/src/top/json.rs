//! `burnmark.top/1`.

use burnmark_analysis::{RankBy, Ranking, Row, Summary};
use burnmark_model::{Profile, ValueType};
use serde_json::{Map, Number, Value, json};

use super::{kind, subject};

pub(super) fn render(profile: &Profile, ranking: &Ranking<'_>, summary: &Summary<'_>) -> String {
    let value_type = ranking.value_type;
    let value = |stored| number(stored, value_type.denominator);
    let rows: Vec<Value> = ranking.rows.iter().map(|row| row_json(row, value_type)).collect();
    let document = json!({
        "schema": "burnmark.top/1",
        "value_type": { "type": value_type.name, "unit": value_type.unit },
        "total": value(ranking.total),
        "samples": ranking.samples,
        "by": match ranking.by { RankBy::SelfValue => "self", RankBy::Total => "total" },
        "merge_by": subject(ranking.merge_by),
        "rows": rows,
        "hidden": {
            "rows": ranking.hidden.rows,
            "self": value(ranking.hidden.self_value),
            "self_share": ranking.hidden.self_share,
        },
        "summary": summary_json(summary, value_type),
        "meta": meta_json(profile),
    });
    to_text(&document)
}

fn row_json(row: &Row<'_>, value_type: &ValueType) -> Value {
    let place = &row.place;
    json!({
        "rank": row.rank,
        "function": place.name,
        "module": place.module,
        "module_path": place.module_path,
        "file": place.file,
        "line": (place.line > 0).then_some(place.line),
        "self": number(row.self_value, value_type.denominator),
        "total": number(row.total_value, value_type.denominator),
        "self_share": row.self_share,
        "total_share": row.total_share,
        "kind": kind(place.kind),
    })
}

/// The summary's keys, shared with `burnmark.info/1`.
pub(crate) fn summary_json(summary: &Summary<'_>, value_type: &ValueType) -> Value {
    let unsymbolized: Vec<Value> = summary
        .unsymbolized
        .iter()
        .map(|module| {
            json!({
                "module": module.name,
                "module_path": module.path,
                "self": number(module.self_value, value_type.denominator),
                "self_share": module.share,
            })
        })
        .collect();
    json!({
        "duration_ns": summary.duration_ns,
        "threads": summary.threads,
        "processes": summary.processes,
        "lost": summary.lost,
        "complete_stacks": summary.complete_stacks,
        "complete_share": summary.complete_share,
        "without_symbols": unsymbolized,
    })
}

/// What is known of how a profile was made. Other keys of the input come first, so that they can't replace ours.
pub(crate) fn meta_json(profile: &Profile) -> Value {
    let meta = &profile.meta;
    let mut map: Map<String, Value> =
        meta.other.iter().map(|(key, value)| (key.clone(), Value::from(value.clone()))).collect();
    let known = [
        ("producer", json!(meta.producer)),
        ("command", json!(meta.command)),
        ("kernel", json!(meta.kernel)),
        ("cpu", json!(meta.cpu)),
        ("event", json!(meta.event)),
        ("period", json!(meta.period)),
        ("frequency_hz", json!(meta.frequency_hz)),
        ("start_unix_ns", json!(meta.start_unix_ns)),
        ("notes", json!(meta.notes)),
    ];
    map.extend(known.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)));
    map.into()
}

/// A stored value as it really is: whole where it is whole.
pub(crate) fn number(stored: i64, denominator: u32) -> Number {
    let denominator = i64::from(denominator.max(1));
    if stored % denominator == 0 {
        return Number::from(stored / denominator);
    }
    // The quotient of two finite numbers, the second not 0, is finite.
    Number::from_f64(stored as f64 / denominator as f64).unwrap_or_else(|| Number::from(0))
}

/// The document in lines, with a line end.
pub(crate) fn to_text(document: &Value) -> String {
    format!("{document:#}\n")
}
