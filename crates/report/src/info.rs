//! What is in a profile.

use burnmark_analysis::Summary;
use burnmark_model::{Position, Profile, ValueType, Warning};
use serde_json::{Map, Value, json};

use crate::names::{cut_bytes, printable};
use crate::numbers::{Scale, count};
use crate::summary;
use crate::top::json::{meta_json, number, summary_json, to_text};

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
            "{} of {} frames, {} functions, {} modules",
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

/// `burnmark.info/1`.
pub fn info_json(profile: &Profile, summary: &Summary<'_>, format: &str, warnings: &[Warning]) -> String {
    let default = profile.value_types.get(profile.default_value).cloned().unwrap_or_else(ValueType::samples);
    let mut document = Map::new();
    document.insert("schema".into(), "burnmark.info/1".into());
    document.insert("format".into(), format.into());
    document.insert("samples".into(), summary.samples.into());
    if let Value::Object(keys) = summary_json(summary, &default) {
        document.extend(keys);
    }
    let values = summary.values.iter().map(|value| {
        json!({
            "type": value.value_type.name,
            "unit": value.value_type.unit,
            "total": number(value.total, value.value_type.denominator),
        })
    });
    document.insert("value_types".into(), values.collect());
    document.insert("default_value_type".into(), profile.default_value.into());
    document.insert("warnings".into(), warnings.iter().map(warning_json).collect());
    document.insert("meta".into(), meta_json(profile));
    to_text(&document.into())
}

fn warning_json(warning: &Warning) -> Value {
    let mut value = json!({ "message": warning.message, "count": warning.count });
    match warning.position {
        Some(Position::Byte(offset)) => value["position"] = json!({ "byte": offset }),
        Some(Position::Line(line)) => value["position"] = json!({ "line": line }),
        None => {}
    }
    value
}
