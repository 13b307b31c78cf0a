//! Looking into JSON documents.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A JSON document in which no object has a key twice: which of the two was meant nobody can tell.
pub(super) struct Document(pub(super) Value);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Unique).map(Self)
    }
}

struct Unique;

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Document(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some((key, Document(value))) = map.next_entry::<String, Document>()? {
            if values.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {} is there twice", short(&key))));
            }
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

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
