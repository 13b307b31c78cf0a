//! The file's header: events, their ids, features.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::attr::{self, Event};
use super::feature::{self, Features};
use super::{Error, Warning};
use crate::cursor::{Cursor, u64_at};
use crate::layout::SampleLayout;
use crate::record::HEADER_LEN;

const MAGIC: &[u8; 8] = b"PERFILE2";
const OTHER_ORDER: &[u8; 8] = b"2ELIFREP";
const FIRST_VERSION: &[u8; 8] = b"PERFFILE";

/// Length of the header in pipe mode: magic and this number.
pub(super) const PIPE_HEADER: usize = 16;
/// Length of the header in file mode.
pub(super) const FILE_HEADER: usize = 104;
/// Length of an entry of the old table of event names.
const NAME_ENTRY: usize = 72;

/// Most events in a file: their indices have 16 bits.
const MAX_EVENTS: usize = u16::MAX as usize;

/// What the file says before and beside its records. In pipe mode it grows while records are read.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// The events, in the file's order.
    pub events: Vec<Event>,
    /// Machine and recording.
    pub features: Features,
    /// Whether the file was written in pipe mode.
    pub is_pipe: bool,
    /// Event by id.
    ids: HashMap<u64, u16, RandomState>,
}

/// A piece of the file: offset and length in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) at: u64,
    pub(super) len: u64,
}

impl Section {
    fn read(header: &[u8], at: usize) -> Section {
        Section { at: u64_at(header, at).unwrap_or_default(), len: u64_at(header, at + 8).unwrap_or_default() }
    }

    pub(super) fn end(self) -> u64 {
        self.at.saturating_add(self.len)
    }
}

/// Bytes of the file from an offset on, where sections are looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) starts_at: u64,
}

impl<'a> Part<'a> {
    /// A section, or as much of it as there is.
    fn get(self, section: Section) -> &'a [u8] {
        let Some(at) = section.at.checked_sub(self.starts_at).and_then(|at| usize::try_from(at).ok()) else {
            return &[];
        };
        let rest = self.bytes.get(at..).unwrap_or_default();
        &rest[..rest.len().min(usize::try_from(section.len).unwrap_or(usize::MAX))]
    }
}

/// What the header of a file in file mode says of the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    attr_len: u64,
    attrs: Section,
    pub(super) data: Section,
    names: Section,
    features: [u64; 4],
}

/// Which of the two kinds of files it is, by the first bytes.
pub(super) fn is_pipe(start: &[u8]) -> Result<bool, Error> {
    let magic = start.first_chunk::<8>().ok_or(Error::NotPerfData)?;
    match magic {
        MAGIC => {}
        OTHER_ORDER => return Err(Error::ByteOrder),
        FIRST_VERSION => return Err(Error::Version1),
        _ => return Err(Error::NotPerfData),
    }
    let len = u64_at(start, 8).ok_or(Error::Header { what: "it ends there", at: 8 })?;
    Ok(len == PIPE_HEADER as u64)
}

impl Plan {
    /// Reads the header of file mode.
    pub(super) fn read(start: &[u8]) -> Result<Plan, Error> {
        let header = start.get(..FILE_HEADER);
        let header = header.ok_or(Error::Header { what: "it ends there", at: start.len() as u64 })?;
        let attr_len = u64_at(header, 16).unwrap_or_default();
        if attr_len < (attr::SHORTEST_ATTR + 16) as u64 || attr_len > 1 << 16 {
            return Err(Error::Header { what: "the length of an event's attributes is impossible", at: 16 });
        }
        let data = Section::read(header, 40);
        if data.at < FILE_HEADER as u64 {
            return Err(Error::Header { what: "its records begin inside it", at: 40 });
        }
        let features = std::array::from_fn(|word| u64_at(header, 72 + 8 * word).unwrap_or_default());
        Ok(Plan { attr_len, attrs: Section::read(header, 24), data, names: Section::read(header, 56), features })
    }

    /// Whether the records can't end where the header says: what follows is no table of features, which would be
    /// followed by the first of them; between them is room for those that perf meant to write and could not.
    pub(super) fn lies(&self, file: &[u8]) -> bool {
        let table = self.feature_table();
        let whole = Part { bytes: file, starts_at: 0 };
        let first = whole.get(Section { len: table.len.min(16), ..table });
        let begins = table.end()..=table.at.saturating_add(256 * 16);
        table.len > 0 && first.len() == 16 && !begins.contains(&Section::read(first, 0).at)
    }

    /// Where the table of features begins, and its length.
    pub(super) fn feature_table(&self) -> Section {
        let count: u32 = self.features.iter().map(|word| word.count_ones()).sum();
        Section { at: self.data.end(), len: u64::from(count) * 16 }
    }
}

impl Head {
    /// Reads the events of file mode. `file` must have all that stands before the records.
    pub(super) fn read_events(&mut self, plan: &Plan, file: Part<'_>, warnings: &mut Vec<Warning>) {
        let attrs = file.get(plan.attrs);
        let attr_len = plan.attr_len as usize;
        // All ids together are part of the file once, unless it lies: then its own length is the bound.
        let mut ids_left = file.bytes.len();
        for entry in attrs.chunks_exact(attr_len).take(MAX_EVENTS) {
            let (attr, section) = entry.split_at(attr_len - 16);
            let Some(event) = Event::parse(attr) else { continue };
            let ids = file.get(Section::read(section, 0));
            let ids = &ids[..ids.len().min(ids_left)];
            ids_left -= ids.len();
            self.add(event, ids.chunks_exact(8).filter_map(|id| u64_at(id, 0)));
        }
        if (attrs.len() as u64) < plan.attrs.len {
            warnings.push(Warning::at("the list of events is cut: those after it are not known", plan.attrs.at));
        }
        for entry in file.get(plan.names).chunks_exact(NAME_ENTRY) {
            self.name_by_config(entry);
        }
    }

    /// Reads the features, which stand behind the records.
    pub(super) fn read_features(&mut self, plan: &Plan, file: Part<'_>, warnings: &mut Vec<Warning>) {
        let table = plan.feature_table();
        let entries = file.get(table);
        let bits = (0..256_u64).filter(|bit| plan.features[(bit / 64) as usize] >> (bit % 64) & 1 != 0);
        if (entries.len() as u64) < table.len {
            let message = "what perf writes at the end of a file (machine, command, build-ids) is missing";
            warnings.push(Warning::at(message, table.at));
        }
        for (bit, entry) in bits.zip(entries.chunks_exact(16)) {
            let section = Section::read(entry, 0);
            let bytes = file.get(section);
            let whole = bytes.len() as u64 == section.len;
            if !self.feature(bit, bytes) || !whole {
                warnings.push(Warning::at(format!("feature {bit} of the header is damaged"), section.at));
            }
        }
    }

    /// Takes in a feature; false if it makes no sense.
    pub(super) fn feature(&mut self, feature: u64, bytes: &[u8]) -> bool {
        if feature == feature::id::EVENT_DESC {
            self.describe(bytes);
            return true;
        }
        self.features.take(feature, bytes).is_ok()
    }

    /// Names events by the ids that descriptions list, or by their place among them.
    fn describe(&mut self, bytes: &[u8]) {
        let descriptions = feature::event_descriptions(bytes);
        // Pipe mode of old perf versions has nothing else to tell of its events.
        if self.events.is_empty() {
            for description in &descriptions {
                if let Some(event) = Event::parse(description.attr) {
                    self.add(event, description.ids.iter().copied());
                }
            }
        }
        let as_many = descriptions.len() == self.events.len();
        for (place, description) in descriptions.iter().enumerate() {
            let by_id = description.ids.first().and_then(|id| self.ids.get(id)).map(|event| usize::from(*event));
            let event = by_id.or(as_many.then_some(place)).and_then(|event| self.events.get_mut(event));
            if let Some(event) = event {
                event.set_name(description.name);
            }
        }
    }

    /// `HEADER_ATTR` of pipe mode: attribute and ids; false if it makes no sense.
    pub(super) fn attr_record(&mut self, record: &[u8]) -> bool {
        let body = record.get(HEADER_LEN..).unwrap_or_default();
        let Some(len) = attr::own_len(body).filter(|len| *len <= body.len()) else { return false };
        let (attr, ids) = body.split_at(len);
        let Some(event) = Event::parse(attr) else { return false };
        if self.events.len() >= MAX_EVENTS {
            return false;
        }
        let ids = ids.chunks_exact(8).filter_map(|id| u64_at(id, 0));
        self.add(event, ids);
        true
    }

    /// `HEADER_EVENT_TYPE` of old perf versions: a number and its name.
    pub(super) fn name_by_config(&mut self, entry: &[u8]) {
        let Some(config) = u64_at(entry, 0) else { return };
        let name = Cursor::new(entry, 8, 0).string();
        for event in self.events.iter_mut().filter(|event| event.is_nameless && event.config == config) {
            event.set_name(name);
        }
    }

    /// `EVENT_UPDATE`: among other things a name for the event with an id.
    pub(super) fn event_update(&mut self, record: &[u8]) {
        const NAME: u64 = 2;
        let (Some(what), Some(id)) = (u64_at(record, 8), u64_at(record, 16)) else { return };
        let event = self.ids.get(&id).and_then(|event| self.events.get_mut(usize::from(*event)));
        if let Some(event) = event.filter(|_| what == NAME) {
            event.set_name(Cursor::new(record, 24, 0).string());
        }
    }

    fn add(&mut self, event: Event, ids: impl Iterator<Item = u64>) {
        let index = self.events.len() as u16;
        self.ids.extend(ids.map(|id| (id, index)));
        self.events.push(event);
    }

    /// The layout of an event's records.
    pub(crate) fn layout(&self, event: u16) -> SampleLayout {
        self.events.get(usize::from(event)).map_or_else(SampleLayout::default, |event| event.layout)
    }

    /// Which event wrote a record of the kernel's; `None` if its id is of none. Records that perf made up itself have
    /// the id 0, and are laid out as the first event's; so are all of a file with one event.
    pub(super) fn event_of(&self, record: &[u8]) -> Option<u16> {
        if self.events.len() <= 1 {
            return Some(0);
        }
        match self.events[0].layout.peek_id(record) {
            None | Some(0) => Some(0),
            Some(id) => self.ids.get(&id).copied(),
        }
    }
}
