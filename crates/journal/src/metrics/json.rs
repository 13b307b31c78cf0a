//! Looking into JSON documents.

use serde_json::Value;

/// A number below a path of keys; `None` if it is not there, null, or no finite number.
pub(super) fn number(value: &Value, path: &[&str]) -> Option<f64> {
    let mut at = value;
    for key in path {
        at = at.get(key)?;
    }
    at.as_f64().filter(|number| number.is_finite())
}

/// A count: a number that is not negative, rounded down.
pub(super) fn count(value: &Value, path: &[&str]) -> Option<u64> {
    number(value, path).filter(|number| *number >= 0.0).map(|number| number as u64)
}

/// What a document is, in a few words, for messages.
pub(super) fn seen(value: &Value) -> String {
    match value {
        Value::Object(object) if object.is_empty() => "an empty object".to_owned(),
        Value::Object(object) => {
            let keys: Vec<String> = object.keys().take(8).map(|key| short(key)).collect();
            let more = if object.len() > keys.len() { ", …" } else { "" };
            format!("an object with the keys {}{more}", keys.join(", "))
        }
        Value::Array(array) => match array.first() {
            Some(Value::Object(first)) => {
                let keys: Vec<String> = first.keys().take(8).map(|key| short(key)).collect();
                format!("a list of {} objects with the keys {}", array.len(), keys.join(", "))
            }
            _ => format!("a list of {} values", array.len()),
        },
        Value::String(text) => format!("the text {}", short(text)),
        other => format!("the value {other}"),
    }
}

/// A text of the input's own, quoted and not too long.
pub(super) fn short(text: &str) -> String {
    const LONGEST: usize = 40;
    let cut: String = text.chars().take(LONGEST).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{cut:?}{more}")
}
