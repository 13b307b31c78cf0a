//! The log for scripts.

use burnmark_journal::log::{Entry, Row, Verified};
use serde_json::{Value, json};

/// `burnmark.log/1`: the entries as they are kept, each with its row's number and what it replaces.
pub fn log_json(rows: &[Row<'_>]) -> String {
    let entries: Vec<Value> = rows.iter().map(row).collect();
    text(&json!({"schema": "burnmark.log/1", "entries": entries}))
}

fn row(row: &Row<'_>) -> Value {
    let mut value = entry(row.entry);
    let replaces: Vec<String> = row.replaces.iter().map(ToString::to_string).collect();
    value["number"] = row.number.into();
    value["replaces"] = replaces.into();
    value
}

/// `burnmark.report/1`: what an entry would keep.
pub fn report_json(of: &Entry) -> String {
    let mut value = entry(of);
    value["schema"] = "burnmark.report/1".into();
    for unknown in ["id", "key", "seal", "time"] {
        if let Some(keys) = value.as_object_mut() {
            keys.remove(unknown);
        }
    }
    text(&value)
}

/// `burnmark.log/1` with what is wrong.
pub fn verify_json(verified: &Verified) -> String {
    let problems = verified
        .problems
        .iter()
        .map(|problem| json!({"path": problem.path, "what": problem.what, "mendable": problem.mendable}));
    text(&json!({
        "schema": "burnmark.log/1",
        "entries": verified.entries,
        "attachments": verified.attachments,
        "problems": problems.collect::<Vec<_>>(),
        "mended": verified.mended,
    }))
}

fn entry(entry: &Entry) -> Value {
    // An entry has only what JSON has: its numbers are finite, its keys texts.
    serde_json::to_value(entry).unwrap_or_default()
}

fn text(value: &Value) -> String {
    format!("{value:#}\n")
}
