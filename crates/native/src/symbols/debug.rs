//! Functions, inlined functions and lines from DWARF.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use addr2line::{Context, LookupContinuation, LookupResult};
use foldhash::fast::RandomState;
use gimli::{EndianSlice, RunTimeEndian};
use object::{Object, ObjectSection};

use super::demangle::Demangler;
use super::elf::Elf;
use super::split::{Split, SplitUnit};
use super::units::Units;

/// Debug information that would take more memory than this when decompressed is not read.
pub(super) const MOST_DECOMPRESSED: u64 = 8 << 30;

/// No compression of real debug information comes near this factor, which is that of deflate at its best.
const MOST_COMPRESSION: u64 = 1032;

/// Functions inlined into each other at one address; more are left out.
const MOST_INLINED: usize = 500;

type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

/// The debug sections of a file, decompressed where needed.
pub(super) struct Sections<'a> {
    sections: gimli::DwarfSections<Cow<'a, [u8]>>,
    endian: RunTimeEndian,
    units: Units,
}

impl<'a> Sections<'a> {
    /// `None` if there is no debug information.
    pub(super) fn load(elf: &Elf<'a>) -> Option<Self> {
        elf.file.section_by_name(".debug_info").or_else(|| elf.file.section_by_name(".debug_line"))?;
        let mut budget = MOST_DECOMPRESSED;
        let load = |id: gimli::SectionId| -> Result<Cow<'a, [u8]>, gimli::Error> {
            let is_used = USED.contains(&id);
            Ok(is_used.then(|| section(elf, id.name(), &mut budget)).flatten().unwrap_or_default())
        };
        let sections = gimli::DwarfSections::load(load).ok()?;
        let endian = elf.endian();
        let units = guarded(|| Units::parse(&sections.borrow(|section| EndianSlice::new(section, endian))))?;
        Some(Self { sections, endian, units })
    }

    /// Whether there may be such units.
    pub(super) fn may_be_split(&self) -> bool {
        self.units.any_split()
    }

    /// The units at these addresses that are in files of their own.
    pub(super) fn split(&self, addresses: impl Iterator<Item = u64>) -> Vec<SplitUnit> {
        self.units.split(&self.sections.borrow(|section| EndianSlice::new(section, self.endian)), addresses)
    }

    /// A lookup of its own for each thread: it caches what it parses. `None` if the information is damaged.
    pub(super) fn lookup<'s>(&'s self, split: &'s Split<'a>) -> Option<Lookup<'s>> {
        let mut dwarf = self.sections.borrow(|section| EndianSlice::new(section, self.endian));
        self.units.share(&mut dwarf);
        let dwarf = Arc::new(dwarf);
        let context = guarded(|| Context::from_arc_dwarf(dwarf.clone()).ok())?;
        Some(Lookup { context, dwarf, units: &self.units, split, endian: self.endian, files: HashMap::default() })
    }
}

/// What functions, inlined functions and lines are found by. The table of addresses is not: it is often incomplete, and
/// what the units themselves tell is what [`Units`] has checked.
const USED: [gimli::SectionId; 9] = [
    gimli::SectionId::DebugAbbrev,
    gimli::SectionId::DebugAddr,
    gimli::SectionId::DebugInfo,
    gimli::SectionId::DebugLine,
    gimli::SectionId::DebugLineStr,
    gimli::SectionId::DebugRanges,
    gimli::SectionId::DebugRngLists,
    gimli::SectionId::DebugStr,
    gimli::SectionId::DebugStrOffsets,
];

pub(super) fn section<'a>(elf: &Elf<'a>, name: &str, budget: &mut u64) -> Option<Cow<'a, [u8]>> {
    let section = elf.file.section_by_name(name)?;
    let compressed = section.compressed_file_range().ok()?;
    if compressed.format != object::CompressionFormat::None {
        let possible = compressed.compressed_size.saturating_mul(MOST_COMPRESSION).saturating_add(PAGE);
        *budget = budget.checked_sub(compressed.uncompressed_size)?;
        if compressed.uncompressed_size > possible {
            return None;
        }
    }
    section.uncompressed_data().ok()
}

const PAGE: u64 = 0x1000;

/// A function as debug information names it.
pub(super) struct DebugFunction<'a> {
    /// The linker's name if it is known, else the plain one; `None` where only a line is known.
    pub(super) name: Option<Cow<'a, [u8]>>,
    pub(super) file: Option<Arc<str>>,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// Looks addresses up in one file's debug information.
pub(super) struct Lookup<'a> {
    context: Context<Slice<'a>>,
    dwarf: Arc<gimli::Dwarf<Slice<'a>>>,
    units: &'a Units,
    split: &'a Split<'a>,
    endian: RunTimeEndian,
    files: HashMap<Box<str>, Arc<str>, RandomState>,
}

impl<'a> Lookup<'a> {
    /// The functions at a virtual address, innermost first; empty if nothing is known or it is damaged.
    pub(super) fn find(&mut self, address: u64) -> Vec<DebugFunction<'a>> {
        let Self { context, dwarf, units, split, endian, files } = self;
        let find = || {
            if !units.are_fit(dwarf, address) {
                return None;
            }
            let mut found = context.find_frames(address);
            let frames = loop {
                match found {
                    LookupResult::Output(frames) => break frames.ok()?,
                    LookupResult::Load { load, continuation } => {
                        found = continuation.resume(split.get(load.dwo_id, &load.parent, *endian).map(Arc::new));
                    }
                }
            };
            collect(frames, files)
        };
        guarded(find).unwrap_or_default()
    }
}

fn collect<'a>(
    mut frames: addr2line::FrameIter<'_, Slice<'a>>,
    files: &mut HashMap<Box<str>, Arc<str>, RandomState>,
) -> Option<Vec<DebugFunction<'a>>> {
    let mut found = Vec::new();
    while found.len() < MOST_INLINED {
        let Ok(Some(frame)) = frames.next() else { break };
        let location = frame.location.as_ref();
        let file = location.and_then(|location| location.file).map(|file| match files.get(file) {
            Some(file) => file.clone(),
            None => {
                let shared: Arc<str> = file.into();
                files.insert(file.into(), shared.clone());
                shared
            }
        });
        found.push(DebugFunction {
            name: frame.function.map(|function| Cow::Borrowed(function.name.slice())),
            file,
            line: location.and_then(|location| location.line).unwrap_or(0),
            column: location.and_then(|location| location.column).unwrap_or(0),
        });
    }
    Some(found)
}

/// What `read` returns, or `None` if it panics: debug and unwind information is any bytes, and its readers are large.
/// (gimli 0.34 subtracts with overflow on some tables of `.eh_frame_hdr`.)
pub(crate) fn guarded<T>(read: impl FnOnce() -> Option<T>) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).ok().flatten()
}

/// Puts names in, as people write them.
pub(super) fn named(function: DebugFunction<'_>, fallback: &[u8], demangler: &mut Demangler) -> super::Named {
    let name = demangler.name(function.name.as_deref().unwrap_or(fallback));
    super::Named { name, file: function.file, line: function.line, column: function.column, start_line: 0 }
}
