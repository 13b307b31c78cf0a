//! The first step of reading: tables and samples as they are in the file.

use std::collections::HashMap;
use std::io::Read;

use burnmark_model::Position;
use foldhash::fast::RandomState;
use indexmap::IndexSet;
use pprof::protos::{Function, Mapping, Sample, ValueType};
use prost::Message;

use super::wire::{Field, Fields, Value, malformed, parse_varint, push_varint};
use super::{Line, Location};
use crate::budget::Budget;
use crate::warnings::Warnings;
use crate::{Error, Format};

/// Largest text; names of 10 MB exist.
const MAX_TEXT: usize = 64 << 20;
/// Largest message; it bounds what decoding one can take. A sample with a stack of a million frames fits.
const MAX_MESSAGE: usize = 16 << 20;
/// Packed samples are kept in pieces of about this size, so that they can be freed while the profile is built.
const CHUNK: usize = 1 << 20;
/// A sample's columns in the profile: stack, thread, time and labels.
const SAMPLE_COLUMNS: u64 = 20;

/// Entries by the ids the file gives them, which may be any number.
pub(super) type Ids = HashMap<u64, u32, RandomState>;

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
    /// Every distinct list of location ids, leaf first.
    pub(super) lists: IndexSet<Box<[u64]>, RandomState>,
    pub(super) samples: Packed,
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

/// Samples as runs of numbers: where, list, values, labels.
#[derive(Default)]
pub(super) struct Packed {
    chunks: Vec<Vec<u8>>,
    last_position: u64,
}

/// A label as indices into the string table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct RawLabel {
    pub(super) key: i64,
    pub(super) text: i64,
    pub(super) number: i64,
    pub(super) unit: i64,
}

/// A sample unpacked.
#[derive(Default)]
pub(super) struct RawSample {
    pub(super) position: u64,
    /// Index into [`Raw::lists`].
    pub(super) list: usize,
    pub(super) values: Vec<i64>,
    pub(super) labels: Vec<RawLabel>,
}

impl Packed {
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    fn push(&mut self, position: u64, list: usize, sample: &Sample) -> usize {
        if self.chunks.last().is_none_or(|chunk| chunk.len() >= CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK + 1024));
        }
        let chunk = self.chunks.last_mut().expect("one was just added");
        let before = chunk.len();
        push_varint(chunk, position - self.last_position);
        self.last_position = position;
        push_varint(chunk, list as u64);
        push_varint(chunk, sample.value.len() as u64);
        sample.value.iter().for_each(|value| push_varint(chunk, zigzag(*value)));
        push_varint(chunk, sample.label.len() as u64);
        for label in &sample.label {
            for number in [label.key, label.str, label.num, label.num_unit] {
                push_varint(chunk, zigzag(number));
            }
        }
        chunk.len() - before
    }

    /// Hands out every sample in order, freeing them on the way.
    pub(super) fn drain(self, mut take: impl FnMut(&RawSample) -> Result<(), Error>) -> Result<(), Error> {
        let mut sample = RawSample::default();
        for chunk in self.chunks {
            let mut rest = chunk.as_slice();
            while !rest.is_empty() {
                let mut next = || {
                    let (value, length) = parse_varint(rest).expect("packed by us");
                    rest = &rest[length..];
                    value
                };
                sample.position += next();
                sample.list = next() as usize;
                sample.values.clear();
                sample.labels.clear();
                for _ in 0..next() {
                    sample.values.push(unzigzag(next()));
                }
                for _ in 0..next() {
                    let [key, text, number, unit] = std::array::from_fn(|_| unzigzag(next()));
                    sample.labels.push(RawLabel { key, text, number, unit });
                }
                take(&sample)?;
            }
        }
        Ok(())
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Reads a whole file.
pub(super) fn collect(input: impl Read, budget: &mut Budget) -> Result<Raw, Error> {
    let mut raw = Raw::default();
    let mut fields = Fields::new(input, |number| match number {
        6 => Some(MAX_TEXT),
        1..=15 => Some(MAX_MESSAGE),
        _ => None,
    });
    let mut sample = Sample::default();
    while let Some(field) = fields.next()? {
        let held = add_field(&mut raw, &mut sample, &field)?;
        budget.take(held, field.position)?;
    }
    raw.length = fields.offset();
    Ok(raw)
}

/// Takes in one field, and tells about how much memory that took.
fn add_field(raw: &mut Raw, sample: &mut Sample, field: &Field<'_>) -> Result<u64, Error> {
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
        2 => add_sample(raw, sample, bytes, position)?,
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

fn add_sample(raw: &mut Raw, sample: &mut Sample, bytes: &[u8], position: u64) -> Result<u64, Error> {
    sample.clear();
    sample.merge(bytes).map_err(|error| undecodable(&error, position))?;
    let (list, held) = match raw.lists.get_index_of(sample.location_id.as_slice()) {
        Some(list) => (list, 0),
        None => {
            let list: Box<[u64]> = sample.location_id.as_slice().into();
            (raw.lists.insert_full(list).0, 8 * sample.location_id.len() as u64 + 48)
        }
    };
    let packed = raw.samples.push(position, list, sample);
    Ok(held + packed as u64 + SAMPLE_COLUMNS + 8 * sample.value.len() as u64)
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
    match ids.entry(id) {
        std::collections::hash_map::Entry::Vacant(entry) => {
            entry.insert(index as u32);
        }
        std::collections::hash_map::Entry::Occupied(_) => {
            warnings.add(&format!("a {what} has the id of another one: the first is taken"), position);
        }
    }
}

fn decode<M: Message + Default>(bytes: &[u8], position: u64) -> Result<M, Error> {
    M::decode(bytes).map_err(|error| undecodable(&error, position))
}

fn undecodable(error: &prost::DecodeError, position: u64) -> Error {
    Error::malformed(Format::Pprof, Position::Byte(position), format!("{error}: damaged, or no pprof file"))
}
