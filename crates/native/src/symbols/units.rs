//! Which units of debug information may be read for an address.
//!
//! addr2line follows inlined functions by recursion and keeps every range it meets. For what compilers write that is
//! right; made-up debug information of a few megabytes could overflow the stack, or fill the memory. So every unit that
//! an address leads to is walked once before addr2line sees it, without recursion.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use gimli::{Abbreviation, Abbreviations, DebugAbbrevOffset, EntriesRaw, Reader, Unit, UnitHeader, UnitOffset};

use super::debug::guarded;
use super::split::SplitUnit;

/// Deepest nesting of entries in a unit. Compilers stay below 100.
const DEEPEST: isize = 2000;

/// Units that one address may lie in. More than one is rare.
const MOST_UNITS: usize = 32;

/// The units of a file, by address. Shared by threads.
pub(super) struct Units {
    /// Start, end, and index of the unit, sorted by start; with the highest end so far.
    ranges: Vec<(u64, u64, usize, u64)>,
    /// Units that don't tell their ranges: addr2line finds those in their lines.
    anywhere: Vec<usize>,
    /// Offset of each unit's header, and whether the unit is fit to be read.
    units: Vec<(gimli::DebugInfoOffset, OnceLock<bool>)>,
    /// Whether any unit keeps its information in another file.
    any_split: bool,
    /// The abbreviations of all units, with their offsets: half of what it takes to read a unit's head.
    abbreviations: HashMap<usize, Arc<Abbreviations>, RandomState>,
}

impl Units {
    /// Reads the headers of all units. `None` if they are damaged.
    pub(super) fn parse<R: Reader<Offset = usize>>(dwarf: &gimli::Dwarf<R>) -> Option<Self> {
        let (ranges, anywhere, units, any_split) = Default::default();
        let mut index = Self { ranges, anywhere, units, any_split, abbreviations: HashMap::default() };
        let mut headers = dwarf.units();
        // addr2line goes no further than the first damaged header either, and units it can't read it leaves out.
        while let Ok(Some(header)) = headers.next() {
            let Some(offset) = header.debug_info_offset() else { continue };
            let Ok(abbreviations) = index.abbreviations_of(dwarf, &header) else { continue };
            let Ok(unit) = Unit::new_with_abbreviations(dwarf, header, abbreviations) else { continue };
            let number = index.units.len();
            index.units.push((offset, OnceLock::new()));
            index.any_split |= unit.dwo_id.is_some();
            if !index.add_ranges(dwarf, &unit, number)? && unit.line_program.is_some() {
                index.anywhere.push(number);
            }
        }
        index.ranges.sort_unstable();
        let mut highest = 0;
        for range in &mut index.ranges {
            highest = range.1.max(highest);
            range.3 = highest;
        }
        Some(index)
    }

    /// The abbreviations of a unit, read once: many units may share them.
    fn abbreviations_of<R: Reader<Offset = usize>>(
        &mut self,
        dwarf: &gimli::Dwarf<R>,
        header: &UnitHeader<R>,
    ) -> gimli::Result<Arc<Abbreviations>> {
        Ok(match self.abbreviations.entry(header.debug_abbrev_offset().0) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => place.insert(dwarf.abbreviations(header)?).clone(),
        })
    }

    /// Lets `dwarf`, of the same file, have what was read already.
    pub(super) fn share<R: Reader<Offset = usize>>(&self, dwarf: &mut gimli::Dwarf<R>) {
        for (offset, abbreviations) in &self.abbreviations {
            dwarf.abbreviations_cache.set::<R>(DebugAbbrevOffset(*offset), abbreviations.clone());
        }
    }

    /// Whether the unit has ranges; `None` if there are more in all than a file may have.
    fn add_ranges<R: Reader<Offset = usize>>(
        &mut self,
        dwarf: &gimli::Dwarf<R>,
        unit: &Unit<R>,
        number: usize,
    ) -> Option<bool> {
        let mut any = false;
        let Ok(mut ranges) = dwarf.unit_ranges(unit) else { return Some(false) };
        while let Ok(Some(range)) = ranges.next() {
            if range.begin < range.end {
                if self.ranges.len() == MOST_RANGES {
                    return None;
                }
                self.ranges.push((range.begin, range.end, number, 0));
                any = true;
            }
        }
        Some(any)
    }

    /// Whether all units that the address may lie in are fit to be read.
    pub(super) fn are_fit<R: Reader<Offset = usize>>(&self, dwarf: &gimli::Dwarf<R>, address: u64) -> bool {
        let Some(covering) = self.covering(address) else { return false };
        covering.into_iter().all(|unit| {
            let (offset, fit) = &self.units[unit];
            let is_fit = || is_fit(dwarf, &dwarf.unit(dwarf.debug_info.header_from_offset(*offset)?)?);
            *fit.get_or_init(|| is_fit().unwrap_or(false))
        })
    }

    /// The units that an address may lie in; `None` if they are too many.
    fn covering(&self, address: u64) -> Option<Vec<usize>> {
        let after = self.ranges.partition_point(|range| range.0 <= address);
        let mut covering = self.anywhere.clone();
        for (steps, range) in self.ranges[..after].iter().rev().enumerate() {
            if range.3 <= address {
                break;
            }
            if range.1 > address {
                covering.push(range.2);
            }
            // Far more overlapping ranges than any linker leaves.
            if steps > 100_000 || covering.len() > self.anywhere.len() + MOST_UNITS {
                return None;
            }
        }
        Some(covering)
    }

    /// Whether any unit keeps its information in a file of its own.
    pub(super) fn any_split(&self) -> bool {
        self.any_split
    }

    /// The units of these addresses that keep their information in files of their own.
    pub(super) fn split<R: Reader<Offset = usize>>(
        &self,
        dwarf: &gimli::Dwarf<R>,
        addresses: impl Iterator<Item = u64>,
    ) -> Vec<SplitUnit> {
        if !self.any_split {
            return Vec::new();
        }
        let mut units: Vec<usize> = addresses.filter_map(|address| self.covering(address)).flatten().collect();
        units.sort_unstable();
        units.dedup();
        units.into_iter().filter_map(|unit| guarded(|| split_unit(dwarf, self.units[unit].0))).collect()
    }
}

fn split_unit<R: Reader<Offset = usize>>(dwarf: &gimli::Dwarf<R>, offset: gimli::DebugInfoOffset) -> Option<SplitUnit> {
    let unit = dwarf.unit(dwarf.debug_info.header_from_offset(offset).ok()?).ok()?;
    let id = unit.dwo_id?.0;
    let name = dwarf.attr_string(&unit, unit.dwo_name().ok()??).ok()?;
    let bytes = |text: &R| text.to_slice().map(|text| text.into_owned()).unwrap_or_default();
    Some(SplitUnit {
        id,
        skeleton: offset,
        folder: unit.comp_dir.as_ref().map(bytes).unwrap_or_default(),
        name: bytes(&name),
    })
}

/// Ranges of units in a file. Chromium has fewer than a million.
const MOST_RANGES: usize = 1 << 24;

/// Walks a unit: its entries nest as far as compilers nest them, and the lists of ranges it names are no longer together
/// than the sections they are in (with some sharing).
pub(super) fn is_fit<R: Reader<Offset = usize>>(dwarf: &gimli::Dwarf<R>, unit: &Unit<R>) -> gimli::Result<bool> {
    let mut budget = MOST_RANGES_SHARED;
    let mut input = unit.header.range_from(unit.header.root_offset()..)?;
    let mut depth = 0_isize;
    // By code, from 1 on: all entries of a unit have one of a few hundred forms.
    let mut forms: Vec<Option<Form<'_>>> = Vec::new();
    while !input.is_empty() {
        if depth > DEEPEST {
            return Ok(false);
        }
        let code = input.read_uleb128()?;
        let Some(place) = code.checked_sub(1) else {
            depth -= 1;
            continue;
        };
        let known = usize::try_from(place).ok().and_then(|place| forms.get(place).copied().flatten());
        let form = match known {
            Some(form) => form,
            None => {
                let form = Form::of(unit, code)?;
                if place < MOST_FORMS {
                    let place = place as usize;
                    forms.resize(forms.len().max(place + 1), None);
                    forms[place] = Some(form);
                }
                form
            }
        };
        depth += isize::from(form.abbreviation.has_children());
        match form.length {
            Some(length) => input.skip(length)?,
            None => {
                let start = UnitOffset(0);
                let mut entry = EntriesRaw::new(input.clone(), unit.encoding(), &unit.abbreviations, start);
                if !ranges_fit(dwarf, unit, form, &mut entry, &mut budget)? {
                    return Ok(false);
                }
                input.skip(entry.next_offset().0)?;
            }
        }
    }
    Ok(true)
}

/// Forms of entries that are remembered.
const MOST_FORMS: u64 = 1 << 12;

/// What an abbreviation says of its entries.
#[derive(Clone, Copy)]
struct Form<'a> {
    abbreviation: &'a Abbreviation,
    has_ranges: bool,
    /// Bytes of an entry, if it has no ranges and all of them are as long.
    length: Option<usize>,
}

impl<'a> Form<'a> {
    fn of<R: Reader<Offset = usize>>(unit: &'a Unit<R>, code: u64) -> gimli::Result<Self> {
        let abbreviation = unit.abbreviations.get(code).ok_or(gimli::Error::InvalidAbbreviationCode(code))?;
        let attributes = abbreviation.attributes();
        let has_ranges = attributes.iter().any(|attribute| attribute.name() == gimli::DW_AT_ranges);
        let length = attributes.iter().map(|attribute| attribute.size(&unit.header)).sum::<Option<usize>>();
        Ok(Self { abbreviation, has_ranges, length: length.filter(|_| !has_ranges) })
    }
}

/// Passes an entry; false if there are more ranges in its lists than are left in `budget`.
fn ranges_fit<R: Reader<Offset = usize>>(
    dwarf: &gimli::Dwarf<R>,
    unit: &Unit<R>,
    form: Form<'_>,
    entry: &mut EntriesRaw<'_, R>,
    budget: &mut u32,
) -> gimli::Result<bool> {
    let attributes = form.abbreviation.attributes();
    if !form.has_ranges {
        entry.skip_attributes(attributes)?;
        return Ok(true);
    }
    for specification in attributes {
        let attribute = entry.read_attribute(*specification)?;
        if attribute.name() != gimli::DW_AT_ranges {
            continue;
        }
        let Some(list) = dwarf.attr_ranges_offset(unit, attribute.value())? else { continue };
        let mut ranges = dwarf.raw_ranges(unit, list)?;
        while ranges.next()?.is_some() {
            *budget -= 1;
            if *budget == 0 {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Ranges that one unit's entries may name together: 32 bytes of memory each.
const MOST_RANGES_SHARED: u32 = 1 << 23;
