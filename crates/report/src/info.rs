//! What is in a profile.

use std::collections::BTreeMap;

use burnmark_analysis::Summary;
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
    lines.extend(meta.start_unix_ns.map(|start| ("began".to_owned(), utc(start))));
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

/// `2026-11-21 08:15:00 UTC`, of nanoseconds since 1970. The calendar is Howard Hinnant's `civil_from_days`: years begin
/// in March, so that a leap day is the last of one.
fn utc(unix_ns: i64) -> String {
    let seconds = unix_ns.div_euclid(1_000_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let since = days + 719_468;
    let (era, day) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02} UTC", second % 60)
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

#[cfg(test)]
mod tests {
    /// As `date -u` writes them.
    #[test]
    fn moments_are_written_as_dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_795_249_000, "2026-11-21 08:16:40 UTC"),
            (4_107_542_399, "2100-02-28 23:59:59 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(super::utc(seconds * 1_000_000_000), text);
        }
    }
}
