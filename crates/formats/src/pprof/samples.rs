//! Samples as the file has them, packed: a file has millions, and what they refer to comes after them.

use foldhash::fast::RandomState;
use indexmap::IndexSet;
use pprof::protos::Sample;
use prost::{DecodeError, Message};

use super::lists::Lists;
use super::wire::{parse_varint, push_varint};

/// Packed samples are kept in pieces of about this size, so that they can be freed while the profile is built.
const CHUNK: usize = 1 << 20;
/// A sample's columns in the profile: stack, thread, time and labels.
const SAMPLE_COLUMNS: u64 = 20;

/// All samples, and what they share.
#[derive(Default)]
pub(super) struct Samples {
    pub(super) lists: Lists,
    /// Every distinct list of labels, the numbers of those that are numbers left out: they are the sample's own.
    pub(super) shapes: IndexSet<Box<[RawLabel]>, RandomState>,
    pub(super) packed: Packed,
    last_shape: usize,
    fields: Fields,
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
    /// Index into [`Samples::lists`].
    pub(super) list: usize,
    /// Index into [`Samples::shapes`].
    pub(super) shape: usize,
    pub(super) values: Vec<i64>,
    /// One for each label without a text.
    pub(super) numbers: Vec<i64>,
}

/// What a sample has but for its list of locations.
#[derive(Default)]
struct Fields {
    values: Vec<i64>,
    labels: Vec<RawLabel>,
    numbers: Vec<i64>,
}

impl Samples {
    /// Takes in a sample's message, and tells about how much memory that takes.
    pub(super) fn add(&mut self, message: &[u8], position: u64) -> Result<u64, DecodeError> {
        let known = self.fields.scan(message).and_then(|list| self.lists.intern(list));
        let (list, mut held) = match known {
            Some(known) => known,
            None => {
                let list = self.fields.decode(message)?;
                self.lists.intern(&list).expect("just encoded")
            }
        };
        self.fields.take_numbers();
        let Fields { values, labels, numbers } = &self.fields;
        if self.shapes.get_index(self.last_shape).is_none_or(|last| **last != labels[..]) {
            self.last_shape = match self.shapes.get_index_of(&labels[..]) {
                Some(known) => known,
                None => {
                    held += 32 * labels.len() as u64 + 64;
                    self.shapes.insert_full(labels[..].into()).0
                }
            };
        }
        held += self.packed.push(position, [list, self.last_shape], values, numbers) as u64;
        Ok(held + SAMPLE_COLUMNS + 8 * values.len() as u64)
    }

    /// Frees what only [`Samples::add`] needs.
    pub(super) fn close(&mut self) {
        self.lists.close();
        self.fields = Fields::default();
    }
}

impl Fields {
    /// Reads a message as samples nearly always are, and returns its list of locations; `None` for anything else.
    fn scan<'a>(&mut self, message: &'a [u8]) -> Option<&'a [u8]> {
        self.values.clear();
        self.labels.clear();
        let (mut list, mut rest) = (None, message);
        while let [tag, after @ ..] = rest {
            let (length, start) = parse_varint(after)?;
            let (body, next) = after[start..].split_at_checked(usize::try_from(length).ok()?)?;
            match tag {
                0x0a if list.is_none() => list = Some(body),
                0x12 => self.scan_values(body)?,
                0x1a => self.labels.push(scan_label(body)?),
                _ => return None,
            }
            rest = next;
        }
        Some(list.unwrap_or_default())
    }

    fn scan_values(&mut self, mut packed: &[u8]) -> Option<()> {
        while !packed.is_empty() {
            let (value, length) = parse_varint(packed)?;
            self.values.push(value as i64);
            packed = &packed[length..];
        }
        Some(())
    }

    /// Reads any message, and returns its list of locations.
    fn decode(&mut self, message: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let sample = Sample::decode(message)?;
        self.values = sample.value;
        let label = |label: &pprof::protos::Label| RawLabel {
            key: label.key,
            text: label.str,
            number: label.num,
            unit: label.num_unit,
        };
        self.labels = sample.label.iter().map(label).collect();
        let mut list = Vec::new();
        sample.location_id.iter().for_each(|id| push_varint(&mut list, *id));
        Ok(list)
    }

    /// Takes the numbers out of the labels.
    fn take_numbers(&mut self) {
        self.numbers.clear();
        let numbers = self.labels.iter_mut().filter(|label| label.text == 0);
        self.numbers.extend(numbers.map(|label| std::mem::take(&mut label.number)));
    }
}

fn scan_label(message: &[u8]) -> Option<RawLabel> {
    let (mut label, mut rest) = (RawLabel::default(), message);
    while let [tag, after @ ..] = rest {
        let (number, length) = parse_varint(after)?;
        let field = match tag {
            0x08 => &mut label.key,
            0x10 => &mut label.text,
            0x18 => &mut label.number,
            0x20 => &mut label.unit,
            _ => return None,
        };
        *field = number as i64;
        rest = &after[length..];
    }
    Some(label)
}

/// Samples as runs of numbers: where, list, shape, values, numbers of labels.
#[derive(Default)]
pub(super) struct Packed {
    chunks: Vec<Vec<u8>>,
    last_position: u64,
}

impl Packed {
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    fn push(&mut self, position: u64, indices: [usize; 2], values: &[i64], numbers: &[i64]) -> usize {
        if self.chunks.last().is_none_or(|chunk| chunk.len() >= CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK + 1024));
        }
        let chunk = self.chunks.last_mut().expect("one was just added");
        let before = chunk.len();
        push_varint(chunk, position - self.last_position);
        self.last_position = position;
        indices.iter().for_each(|index| push_varint(chunk, *index as u64));
        for list in [values, numbers] {
            push_varint(chunk, list.len() as u64);
            list.iter().for_each(|number| push_varint(chunk, zigzag(*number)));
        }
        chunk.len() - before
    }

    /// Hands out every sample in order, freeing them on the way.
    pub(super) fn drain<E>(self, mut take: impl FnMut(&RawSample) -> Result<(), E>) -> Result<(), E> {
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
                sample.shape = next() as usize;
                for list in [&mut sample.values, &mut sample.numbers] {
                    list.clear();
                    (0..next()).for_each(|_| list.push(unzigzag(next())));
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
