//! Samples as the file has them.

use std::borrow::Cow;

use pprof::protos::Sample;
use prost::{DecodeError, Message};

use super::wire::{parse_varint, push_varint};

/// A label as indices into the string table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct RawLabel {
    pub(super) key: i64,
    pub(super) text: i64,
    pub(super) number: i64,
    pub(super) unit: i64,
}

/// What a sample has beside its list of locations.
#[derive(Default)]
pub(super) struct RawSample {
    pub(super) values: Vec<i64>,
    pub(super) labels: Vec<RawLabel>,
}

impl RawSample {
    /// Takes over what a sample's message says, and returns its list of location ids, leaf first: numbers as they are
    /// encoded, which may be damaged.
    pub(super) fn read<'a>(&mut self, message: &'a [u8]) -> Result<Cow<'a, [u8]>, DecodeError> {
        match self.scan(message) {
            Some(list) => Ok(list.into()),
            None => self.decode(message).map(Cow::from),
        }
    }

    /// Reads a message as samples nearly always are; `None` for anything else.
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

    /// Reads any message.
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
