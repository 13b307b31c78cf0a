//! What is in a profile.

use std::collections::BTreeMap;

use burnmark_analysis::Summary;
use burnmark_journal::log::texts::utc;
use burnmark_model::{Position, Profile, Warning};
use serde::Serialize;
use serde_json::{Number, Value};

use crate::names::{cut_bytes, printable};
use crate::numbers::{Scale, count};
use crate::summary;
use crate::top::json::{SummaryJson, meta_json, number, summary_json, to_text};

/// Bytes of a text from the input that are shown.
const LONGEST: usize = 500;

/// For people: one `what: value` per line. `format` is the input's format.
pub fn info(profile: &Profile, summary: &Summary<'_>, format: &str, warnings: &[Warning]) -> String {
    let meta = &profile.meta;
    let text = |text: &str| cut_bytes(&printable(text), LONGEST).into_owned();
    let mut lines: Vec<(String, String)> = vec![("format".into(), text(format))];
    let known =
        [("made by", &meta.producer), ("command", &meta.command), ("kernel", &meta.kernel), ("processor", &meta.cpu)];
    lines.extend(known.iter().filter_map(|(what, value)| Some(((*what).to_owned(), text(value.as_deref()?)))));
    let began = meta.start_unix_ns.and_then(|start| u64::try_from(start / 1_000_000).ok());
    lines.extend(began.map(|start| ("began".to_owned(), utc(start))));
    if let Some(hz) = meta.frequency_hz {
        lines.push(("frequency".into(), format!("{} Hz", count(hz))));
    }
    lines.push(("holds".into(), summary::sampled(summary)));
    for (index, value) in summary.values.iter().enumerate() {
        let total = Scale::new(value.value_type, value.total).text(value.total);
        let shown = if index == profile.default_value && summary.values.len() > 1 {
            " (shown unless --value says)"
        } else {
            ""
        };
        let name = format!("{}/{}", value.value_type.name, value.value_type.unit);
        lines.push(("value".into(), format!("{}: {total}{shown}", text(&name))));
    }
    lines.push((
        "stacks".into(),
        format!(
            "{}, with {} frames of {} functions in {} modules",
            count(profile.stacks.len()),
            count(profile.frames.len()),
            count(profile.functions.len()),
            count(profile.modules.len()),
        ),
    ));
    lines.extend(summary::remarks(summary).into_iter().map(|line| ("note".into(), line)));
    lines.extend(meta.other.iter().map(|(key, value)| (text(key), text(value))));
    lines.extend(warnings.iter().map(|warning| ("warning".into(), text(&warning.to_string()))));
    lines.into_iter().map(|(what, value)| format!("{what}: {value}\n")).collect()
}

#[derive(Serialize)]
struct Info<'a> {
    schema: &'static str,
    format: &'a str,
    samples: usize,
    #[serde(flatten)]
    summary: SummaryJson<'a>,
    value_types: Vec<ValueJson<'a>>,
    warnings: Vec<WarningJson<'a>>,
    meta: BTreeMap<&'a str, Value>,
}

#[derive(Serialize)]
struct ValueJson<'a> {
    r#type: &'a str,
    unit: &'a str,
    total: Number,
    /// Whether it is shown when none is asked for.
    default: bool,
}

#[derive(Serialize)]
struct WarningJson<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<PositionJson>,
    count: u64,
}

/// `{"line": 3}` or `{"byte": 700}`.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum PositionJson {
    Byte(u64),
    Line(u64),
}

/// `burnmark.info/1`. `format` is the input's format.
pub fn info_json(profile: &Profile, summary: &Summary<'_>, format: &str, warnings: &[Warning]) -> String {
    let values = summary.values.iter().enumerate().map(|(index, value)| ValueJson {
        r#type: &value.value_type.name,
        unit: &value.value_type.unit,
        total: number(value.total, value.value_type.denominator),
        default: index == profile.default_value,
    });
    let warnings = warnings.iter().map(|warning| WarningJson {
        message: &warning.message,
        position: warning.position.map(|position| match position {
            Position::Byte(offset) => PositionJson::Byte(offset),
            Position::Line(line) => PositionJson::Line(line),
        }),
        count: warning.count,
    });
    to_text(&Info {
        schema: "burnmark.info/1",
        format,
        samples: summary.samples,
        summary: summary_json(summary),
        value_types: values.collect(),
        warnings: warnings.collect(),
        meta: meta_json(profile),
    })
}
