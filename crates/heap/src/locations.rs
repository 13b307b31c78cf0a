//! Source locations: few places that many objects share.

use std::collections::HashMap;

use burnmark_model::{Position, Warning};
use foldhash::fast::RandomState;

use crate::column::Column;
use crate::error::malformed;
use crate::header::Header;
use crate::read::{parse, ranges, small};
use crate::scan::Sections;
use crate::source::Source;
use crate::{Error, Location};

/// Where closures and constructors are in the source.
#[derive(Debug)]
pub(crate) struct Locations {
    /// By node, if any has one: which of the places; a number beyond them is none.
    place: Column<u32>,
    places: Vec<Location>,
}

impl Locations {
    #[inline(always)]
    pub(crate) fn of(&self, node: u32) -> Option<Location> {
        self.places.get(*self.place.get(node as usize)? as usize).copied()
    }
}

/// Locations are not needed for the graph: what is wrong with them is a warning.
pub(crate) fn read(
    source: &Source,
    sections: &Sections,
    header: &Header,
    nodes: usize,
    warnings: &mut Vec<Warning>,
) -> Result<Locations, Error> {
    let none = || Ok(Locations { place: Column::new(0)?, places: Vec::new() });
    let (Some(layout), Some(list)) = (&header.locations, &sections.locations) else { return none() };
    let mut warn = |what: String| {
        warnings.push(Warning { message: what, position: Some(Position::Byte(list.start as u64)), count: 1 });
    };
    if !list.complete || list.count() % layout.fields as u64 != 0 {
        warn("the list of source locations is damaged: classes are not told apart by place".to_owned());
        return none();
    }
    let parts = ranges(list, layout.fields).iter().map(|_| PlacePart::default()).collect();
    let parsed = parse(source, list, layout.fields, parts, None, |part: &mut PlacePart, _, records| {
        for (record, position) in records.iter() {
            let node = record[layout.object] / header.nodes.fields as u64;
            if node >= nodes as u64 {
                return Err(malformed(position, format!("a location of node {node}, which is not there")));
            }
            let field = |at: usize, what| small(record[at], what, position);
            let location = Location {
                script: field(layout.script, "a script's id")?,
                line: field(layout.line, "a line")?,
                column: field(layout.column, "a column")?,
            };
            let next = part.places.len() as u32;
            let place = *part.known.entry(location).or_insert(next);
            if place == next {
                part.places.push(location);
            }
            part.nodes.push((node as u32, place));
        }
        Ok(())
    });
    let parts = match parsed {
        Ok(parts) => parts,
        Err(Error::Io(error)) => return Err(Error::Io(error)),
        Err(error) => {
            warn(format!("source locations can't be read, classes are not told apart by place: {error}"));
            return none();
        }
    };
    if parts.iter().all(|part| part.nodes.is_empty()) {
        return none();
    }
    let mut locations = Locations { place: Column::filled(nodes, u32::MAX)?, places: Vec::new() };
    let mut known: HashMap<Location, u32, RandomState> = HashMap::default();
    let place = &mut locations.place[..];
    for part in parts {
        let mut number = |location: &Location| {
            let next = locations.places.len() as u32;
            let number = *known.entry(*location).or_insert(next);
            if number == next {
                locations.places.push(*location);
            }
            number
        };
        let numbers: Vec<u32> = part.places.iter().map(&mut number).collect();
        // The last one of a node counts.
        part.nodes.iter().for_each(|(node, own)| place[*node as usize] = numbers[*own as usize]);
    }
    Ok(locations)
}

/// Locations of one block: many share a place.
#[derive(Default)]
struct PlacePart {
    nodes: Vec<(u32, u32)>,
    places: Vec<Location>,
    known: HashMap<Location, u32, RandomState>,
}
