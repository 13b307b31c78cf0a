//! The first step of reading: tables and samples as they are in the file.

use std::io::Read;

use burnmark_model::Position;
use pprof::protos::{Function, Mapping, ValueType};
use prost::Message;

use super::samples::Samples;
use super::wire::{Field, Fields, Value, malformed, parse_varint};
use super::{Line, Location};
use crate::budget::Budget;
use crate::ids::Ids;
use crate::warnings::Warnings;
use crate::{Error, Format};

/// Largest text; names of 10 MB exist.
const MAX_TEXT: usize = 64 << 20;
/// Largest message; it bounds what decoding one can take. A sample with a stack of a million frames fits.
const MAX_MESSAGE: usize = 16 << 20;

/// A file's tables and samples.
#[derive(Default)]
pub(super) struct Raw {
    pub(super) value_types: Vec<ValueType>,
    pub(super) mappings: Vec<Mapping>,
    pub(super) mapping_ids: Ids,
    pub(super) functions: Vec<Function>,
    pub(super) function_ids: Ids,
    pub(super) locations: Vec<RawLocation>,
    pub(super) location_ids: Ids,
    /// The lines of all locations.
    pub(super) lines: Vec<Line>,
    pub(super) strings: StringTable,
    pub(super) samples: Samples,
    pub(super) drop_frames: i64,
    pub(super) keep_frames: i64,
    pub(super) time_nanos: i64,
    pub(super) duration_nanos: i64,
    pub(super) period_type: Option<ValueType>,
    pub(super) period: i64,
    pub(super) comments: Vec<i64>,
    pub(super) default_sample_type: i64,
    pub(super) doc_url: i64,
    pub(super) warnings: Warnings,
    /// The file's (decompressed) length.
    pub(super) length: u64,
}

/// A location, its lines being in [`Raw::lines`].
pub(super) struct RawLocation {
    pub(super) mapping_id: u64,
    pub(super) address: u64,
    /// Innermost first.
    pub(super) lines: std::ops::Range<usize>,
    pub(super) position: u64,
}

/// The texts, one after the other.
#[derive(Default)]
pub(super) struct StringTable {
    bytes: String,
    ends: Vec<usize>,
}

impl StringTable {
    /// The text at an index.
    pub(super) fn get(&self, index: i64) -> Option<&str> {
        let index = usize::try_from(index).ok()?;
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(&self.bytes[start..end])
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether the text was proper UTF-8.
    fn push(&mut self, text: &[u8]) -> bool {
        let lossy = String::from_utf8_lossy(text);
        self.bytes.push_str(&lossy);
        self.ends.push(self.bytes.len());
        matches!(lossy, std::borrow::Cow::Borrowed(_))
    }
}

/// Reads a whole file.
pub(super) fn collect(input: impl Read, budget: &mut Budget) -> Result<Raw, Error> {
    let mut raw = Raw::default();
    let mut fields = Fields::new(input, |number| match number {
        6 => Some(MAX_TEXT),
        1..=15 => Some(MAX_MESSAGE),
        _ => None,
    });
    while let Some(field) = fields.next()? {
        let held = add_field(&mut raw, &field)?;
        budget.take(held, field.position)?;
    }
    raw.samples.close();
    raw.length = fields.offset();
    Ok(raw)
}

/// Takes in one field, and tells about how much memory that took.
fn add_field(raw: &mut Raw, field: &Field<'_>) -> Result<u64, Error> {
    let position = field.position;
    let bytes = match (field.number, &field.value) {
        (1..=6 | 11 | 13, Value::Bytes(bytes)) => *bytes,
        (7..=10 | 12..=15, Value::Varint(number)) => return Ok(add_number(raw, field.number, *number as i64)),
        (1..=15, _) => {
            let what = format!("field {} has the wrong wire type: damaged, or no pprof file", field.number);
            return Err(malformed(position, what));
        }
        _ => return Ok(0),
    };
    Ok(match field.number {
        1 => {
            raw.value_types.push(decode(bytes, position)?);
            // Every sample has a value per type.
            64
        }
        2 => raw.samples.add(bytes, position).map_err(|error| undecodable(&error, position))?,
        3 => {
            let mapping: Mapping = decode(bytes, position)?;
            add_id(&mut raw.mapping_ids, mapping.id, raw.mappings.len(), "mapping", &mut raw.warnings, position);
            raw.mappings.push(mapping);
            128
        }
        4 => add_location(raw, bytes, position)?,
        5 => {
            let function: Function = decode(bytes, position)?;
            add_id(&mut raw.function_ids, function.id, raw.functions.len(), "function", &mut raw.warnings, position);
            raw.functions.push(function);
            96
        }
        6 => {
            if !raw.strings.push(bytes) {
                raw.warnings.add(
                    "a text is not UTF-8: what can't be shown is replaced by U+FFFD",
                    Some(Position::Byte(position)),
                );
            }
            if raw.strings.len() == 1 && !bytes.is_empty() {
                raw.warnings.add("the first text must be empty, and is not", Some(Position::Byte(position)));
            }
            // An index to the profile's string will stand beside it.
            bytes.len() as u64 + 16
        }
        11 => {
            raw.period_type = Some(decode(bytes, position)?);
            0
        }
        _ => {
            let mut rest = bytes;
            while !rest.is_empty() {
                let Some((index, length)) = parse_varint(rest) else {
                    return Err(malformed(position, "the list of comments is damaged"));
                };
                raw.comments.push(index as i64);
                rest = &rest[length..];
            }
            8 * bytes.len() as u64
        }
    })
}

fn add_number(raw: &mut Raw, field: u64, number: i64) -> u64 {
    let target = match field {
        7 => &mut raw.drop_frames,
        8 => &mut raw.keep_frames,
        9 => &mut raw.time_nanos,
        10 => &mut raw.duration_nanos,
        12 => &mut raw.period,
        13 => {
            raw.comments.push(number);
            return 8;
        }
        14 => &mut raw.default_sample_type,
        _ => &mut raw.doc_url,
    };
    *target = number;
    0
}

fn add_location(raw: &mut Raw, bytes: &[u8], position: u64) -> Result<u64, Error> {
    let location: Location = decode(bytes, position)?;
    add_id(&mut raw.location_ids, location.id, raw.locations.len(), "location", &mut raw.warnings, position);
    let first = raw.lines.len();
    raw.lines.extend(location.line);
    let lines = first..raw.lines.len();
    let held = 128 + 64 * lines.len() as u64;
    raw.locations.push(RawLocation { mapping_id: location.mapping_id, address: location.address, lines, position });
    Ok(held)
}

fn add_id(ids: &mut Ids, id: u64, index: usize, what: &str, warnings: &mut Warnings, position: u64) {
    let position = Some(Position::Byte(position));
    if id == 0 {
        warnings.add(&format!("a {what} has the id 0, which is reserved"), position);
    }
    let index = index as u32;
    if ids.add(id, index) != index {
        warnings.add(&format!("a {what} has the id of another one: the first is taken"), position);
    }
}

fn decode<M: Message + Default>(bytes: &[u8], position: u64) -> Result<M, Error> {
    M::decode(bytes).map_err(|error| undecodable(&error, position))
}

fn undecodable(error: &prost::DecodeError, position: u64) -> Error {
    Error::malformed(Format::Pprof, Position::Byte(position), format!("{error}: damaged, or no pprof file"))
}
