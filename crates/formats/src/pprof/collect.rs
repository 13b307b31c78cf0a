//! The first step of reading: the tables as they are in the file.

use std::io::Read;

use burnmark_model::Position;
use pprof::protos::{Function, Mapping, ValueType};
use prost::Message;

use super::wire::{Field, Fields, LAST_KNOWN, Value, malformed, parse_varint};
use super::{Line, Location, comments};
use crate::budget::Budget;
use crate::ids::Ids;
use crate::warnings::Warnings;
use crate::{Error, Format};

/// Largest text; names of 10 MB exist.
const MAX_TEXT: usize = 64 << 20;
/// Largest message; it bounds what decoding one can take. A sample with a stack of a million frames fits.
pub(super) const MAX_MESSAGE: usize = 16 << 20;
/// The field of a sample.
pub(super) const SAMPLE: u64 = 2;

/// A file's tables: all but its samples.
#[derive(Default)]
pub(super) struct Tables {
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
    /// The (decompressed) length of what was gone through.
    pub(super) length: u64,
    /// Whether that was all but the samples.
    pub(super) samples_follow: bool,
}

impl Tables {
    fn say_samples_are_last(&self) -> bool {
        self.comments.iter().any(|comment| self.strings.get(*comment) == Some(comments::SAMPLES_LAST))
    }
}

/// A location, its lines being in [`Tables::lines`].
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

/// Goes through a whole file; or up to its samples, if `may_stop` and it says that they are last.
pub(super) fn collect<R: Read>(fields: &mut Fields<R>, budget: &mut Budget, may_stop: bool) -> Result<Tables, Error> {
    let mut tables = Tables::default();
    let limit = |number| match number {
        SAMPLE => None,
        6 => Some(MAX_TEXT),
        1..=LAST_KNOWN => Some(MAX_MESSAGE),
        _ => None,
    };
    let mut look = may_stop;
    // They are held later; but if they will be too many, that is known now.
    let mut samples = budget.clone();
    while let Some(number) = fields.peek()? {
        if number == SAMPLE && std::mem::take(&mut look) && tables.say_samples_are_last() {
            tables.samples_follow = true;
            break;
        }
        let Some(field) = fields.next(limit)? else { break };
        if field.number == SAMPLE && field.value == Value::Skipped {
            samples.take(sample_bytes(tables.value_types.len()), field.position)?;
        } else {
            let held = add_field(&mut tables, &field)?;
            budget.take(held, field.position)?;
        }
    }
    tables.length = fields.offset();
    Ok(tables)
}

/// About how much memory a sample with so many values takes in the profile: stack, thread, time, labels and values.
pub(super) fn sample_bytes(values: usize) -> u64 {
    20 + 8 * values as u64
}

/// Takes in one field, and tells about how much memory that took.
fn add_field(tables: &mut Tables, field: &Field<'_>) -> Result<u64, Error> {
    let position = field.position;
    let bytes = match (field.number, &field.value) {
        (1 | 3..=6 | 11 | 13, Value::Bytes(bytes)) => *bytes,
        (7..=10 | 12..=15, Value::Varint(number)) => return Ok(add_number(tables, field.number, *number as i64)),
        (1..=15, _) => {
            let what = format!("field {} has the wrong wire type: damaged, or no pprof file", field.number);
            return Err(malformed(position, what));
        }
        _ => return Ok(0),
    };
    Ok(match field.number {
        1 => {
            tables.value_types.push(decode(bytes, position)?);
            // Every sample has a value per type.
            64
        }
        3 => {
            let mapping: Mapping = decode(bytes, position)?;
            let Tables { mapping_ids, mappings, warnings, .. } = tables;
            add_id(mapping_ids, mapping.id, mappings.len(), "mapping", warnings, position);
            mappings.push(mapping);
            128
        }
        4 => add_location(tables, bytes, position)?,
        5 => {
            let function: Function = decode(bytes, position)?;
            let Tables { function_ids, functions, warnings, .. } = tables;
            add_id(function_ids, function.id, functions.len(), "function", warnings, position);
            functions.push(function);
            96
        }
        6 => {
            if !tables.strings.push(bytes) {
                tables.warnings.add(
                    "a text is not UTF-8: what can't be shown is replaced by U+FFFD",
                    Some(Position::Byte(position)),
                );
            }
            if tables.strings.len() == 1 && !bytes.is_empty() {
                tables.warnings.add("the first text must be empty, and is not", Some(Position::Byte(position)));
            }
            // An index to the profile's string will stand beside it.
            bytes.len() as u64 + 16
        }
        11 => {
            tables.period_type = Some(decode(bytes, position)?);
            0
        }
        _ => {
            let mut rest = bytes;
            while !rest.is_empty() {
                let Some((index, length)) = parse_varint(rest) else {
                    return Err(malformed(position, "the list of comments is damaged"));
                };
                tables.comments.push(index as i64);
                rest = &rest[length..];
            }
            8 * bytes.len() as u64
        }
    })
}

fn add_number(tables: &mut Tables, field: u64, number: i64) -> u64 {
    let target = match field {
        7 => &mut tables.drop_frames,
        8 => &mut tables.keep_frames,
        9 => &mut tables.time_nanos,
        10 => &mut tables.duration_nanos,
        12 => &mut tables.period,
        13 => {
            tables.comments.push(number);
            return 8;
        }
        14 => &mut tables.default_sample_type,
        _ => &mut tables.doc_url,
    };
    *target = number;
    0
}

fn add_location(tables: &mut Tables, bytes: &[u8], position: u64) -> Result<u64, Error> {
    let location: Location = decode(bytes, position)?;
    add_id(&mut tables.location_ids, location.id, tables.locations.len(), "location", &mut tables.warnings, position);
    let first = tables.lines.len();
    tables.lines.extend(location.line);
    let lines = first..tables.lines.len();
    let held = 128 + 64 * lines.len() as u64;
    tables.locations.push(RawLocation { mapping_id: location.mapping_id, address: location.address, lines, position });
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

pub(super) fn undecodable(error: &prost::DecodeError, position: u64) -> Error {
    Error::malformed(Format::Pprof, Position::Byte(position), format!("{error}: damaged, or no pprof file"))
}
