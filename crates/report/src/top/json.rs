//! `burnmark.top/1`, and what it shares with `burnmark.info/1`.

use std::collections::BTreeMap;

use burnmark_analysis::{RankBy, Ranking, Row, Summary};
use burnmark_model::{Profile, ValueType};
use serde::Serialize;
use serde_json::{Number, Value, json};

use super::{kind, subject};

#[derive(Serialize)]
struct Top<'a> {
    schema: &'static str,
    value_type: TypeJson<'a>,
    total: Number,
    samples: usize,
    by: &'static str,
    merge_by: &'static str,
    rows: Vec<RowJson<'a>>,
    hidden: HiddenJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Value>,
    #[serde(flatten)]
    summary: SummaryJson<'a>,
    meta: BTreeMap<&'a str, Value>,
}

#[derive(Serialize)]
struct TypeJson<'a> {
    r#type: &'a str,
    unit: &'a str,
}

#[derive(Serialize)]
struct RowJson<'a> {
    rank: usize,
    function: &'a str,
    module: Option<&'a str>,
    module_path: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    #[serde(rename = "self")]
    self_value: Number,
    total: Number,
    self_share: f64,
    total_share: f64,
    kind: &'static str,
    category: Option<&'a str>,
    action: Option<&'a str>,
}

#[derive(Serialize)]
struct HiddenJson {
    rows: usize,
    #[serde(rename = "self")]
    self_value: Number,
    self_share: f64,
}

/// The summary's keys. What is not known is null.
#[derive(Serialize)]
pub(crate) struct SummaryJson<'a> {
    threads: Option<usize>,
    processes: Option<usize>,
    duration_ns: Option<i64>,
    lost: Option<u64>,
    complete_stacks: Option<u64>,
    complete_share: Option<f64>,
    without_symbols: Vec<UnsymbolizedJson<'a>>,
}

#[derive(Serialize)]
struct UnsymbolizedJson<'a> {
    module: Option<&'a str>,
    module_path: Option<&'a str>,
    #[serde(rename = "self")]
    self_value: Number,
    self_share: f64,
}

pub(super) fn render(
    profile: &Profile,
    ranking: &Ranking<'_>,
    summary: &Summary<'_>,
    findings: Option<Value>,
) -> String {
    let value_type = ranking.value_type;
    let value = |stored| number(stored, value_type.denominator);
    to_text(&Top {
        schema: "burnmark.top/1",
        value_type: TypeJson { r#type: &value_type.name, unit: &value_type.unit },
        total: value(ranking.total),
        samples: ranking.samples,
        by: match ranking.by {
            RankBy::SelfValue => "self",
            RankBy::Total => "total",
        },
        merge_by: subject(ranking.merge_by),
        rows: ranking.rows.iter().map(|row| row_json(row, value_type)).collect(),
        hidden: HiddenJson {
            rows: ranking.hidden.rows,
            self_value: value(ranking.hidden.self_value),
            self_share: ranking.hidden.self_share,
        },
        findings,
        summary: summary_json(summary),
        meta: meta_json(profile),
    })
}

fn row_json<'a>(row: &'a Row<'_>, value_type: &ValueType) -> RowJson<'a> {
    let place = &row.place;
    RowJson {
        rank: row.rank,
        function: &place.name,
        module: place.module,
        module_path: place.module_path,
        file: place.file,
        line: (place.line > 0).then_some(place.line),
        self_value: number(row.self_value, value_type.denominator),
        total: number(row.total_value, value_type.denominator),
        self_share: row.self_share,
        total_share: row.total_share,
        kind: kind(place.kind),
        category: row.category.map(|category| category.name.as_str()),
        action: row.category.map(|category| category.action.as_str()),
    }
}

/// The summary's part of a document.
pub(crate) fn summary_json<'a>(summary: &'a Summary<'_>) -> SummaryJson<'a> {
    SummaryJson {
        threads: summary.threads,
        processes: summary.processes,
        duration_ns: summary.duration_ns,
        lost: summary.lost,
        complete_stacks: summary.complete_stacks,
        complete_share: summary.complete_share,
        without_symbols: summary
            .unsymbolized
            .iter()
            .map(|module| UnsymbolizedJson {
                module: module.name,
                module_path: module.path,
                self_value: number(module.self_value, summary.value_type.denominator),
                self_share: module.share,
            })
            .collect(),
    }
}

/// What is known of how a profile was made. A key of the input's own never replaces one of ours.
pub(crate) fn meta_json(profile: &Profile) -> BTreeMap<&str, Value> {
    let meta = &profile.meta;
    let mut map: BTreeMap<&str, Value> =
        meta.other.iter().map(|(key, value)| (key.as_str(), Value::from(value.as_str()))).collect();
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
    map.extend(known.into_iter().filter(|(_, value)| !value.is_null()));
    map
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
pub(crate) fn to_text(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document);
    text.expect("keys are texts and writing to memory does not fail") + "\n"
}
