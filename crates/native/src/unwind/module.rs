//! One module's unwind tables, shared by all processes that map it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use gimli::{BaseAddresses, LittleEndian, UnwindContext, UnwindSection};
use object::{Object, ObjectSection};

use super::registers::Machine;
use super::rule::{Rules, Section, Slice, Source, Way, bytes_of};
use super::walk::is_trampoline;
use crate::modules::ModuleFile;
use crate::symbols::{Elf, Segments, guarded};

/// Tables of one function longer than this are hostile: real ones have a few hundred bytes.
const LONGEST_FUNCTION: usize = 1 << 20;

/// Tables that would take more memory than this when decompressed are not read.
const MOST_DECOMPRESSED: u64 = 256 << 20;

/// The most that compression can do: deflate's ratio, and a margin for zstd.
const MOST_COMPRESSION: u64 = 4096;

/// A module's file and the rules found in it so far.
#[derive(Debug)]
pub(super) struct Module {
    file: Arc<ModuleFile>,
    segments: Segments,
    machine: Machine,
    bases: BaseAddresses,
    frame_header: Option<Bytes>,
    eh_frame: Option<Tables>,
    debug_frame: Option<Tables>,
    /// By offset in the file.
    ways: HashMap<u64, Way, RandomState>,
    /// The Go toolchain made it.
    pub(super) is_go: bool,
    pub(super) rules: Rules,
}

/// A section's bytes.
#[derive(Debug)]
enum Bytes {
    InFile(Range<usize>),
    Decompressed(Vec<u8>),
}

impl Bytes {
    fn of<'a>(&'a self, image: &'a [u8]) -> &'a [u8] {
        match self {
            Self::InFile(range) => image.get(range.clone()).unwrap_or_default(),
            Self::Decompressed(bytes) => bytes,
        }
    }
}

/// A section of unwind tables and, where the linker made none, an index of it.
#[derive(Debug)]
struct Tables {
    bytes: Bytes,
    /// Made when it is first needed: first address and offset of each function's table, by address.
    index: Option<Vec<(u64, usize)>>,
}

impl Module {
    /// `None` if the file is not of this machine, or there are no tables in it.
    pub(super) fn new(file: Arc<ModuleFile>, machine: Machine) -> Option<Self> {
        guarded(|| Self::parse(file, machine))
    }

    fn parse(file: Arc<ModuleFile>, machine: Machine) -> Option<Self> {
        let bytes = file.bytes();
        let elf = Elf::parse(bytes)?;
        let architecture = match machine {
            Machine::X86_64 => object::Architecture::X86_64,
            Machine::Aarch64 => object::Architecture::Aarch64,
        };
        if elf.file.architecture() != architecture || !elf.file.is_little_endian() || !elf.file.is_64() {
            return None;
        }
        let address = |name: &str| elf.file.section_by_name(name).map_or(0, |section| section.address());
        let bases = BaseAddresses::default()
            .set_eh_frame_hdr(address(".eh_frame_hdr"))
            .set_eh_frame(address(".eh_frame"))
            .set_text(address(".text"))
            .set_got(address(".got"));
        let section = |name: &str| load(&elf, bytes, name);
        let tables = |name: &str| section(name).map(|bytes| Tables { bytes, index: None });
        let (frame_header, eh_frame) = (section(".eh_frame_hdr"), tables(".eh_frame"));
        let debug_frame = tables(".debug_frame");
        if eh_frame.is_none() && debug_frame.is_none() {
            return None;
        }
        let segments = elf.segments().clone();
        let (ways, rules) = Default::default();
        let is_go = elf.file.section_by_name(".go.buildinfo").is_some();
        Some(Self { segments, machine, bases, frame_header, eh_frame, debug_frame, ways, is_go, rules, file })
    }

    /// How to get to the caller of the code at a file offset.
    pub(super) fn way(&mut self, offset: u64, context: &mut UnwindContext<usize>) -> Way {
        if let Some(way) = self.ways.get(&offset) {
            return *way;
        }
        let way = guarded(|| Some(self.look(offset, context))).unwrap_or(Way::Unknown);
        self.ways.insert(offset, way);
        way
    }

    fn look(&mut self, offset: u64, context: &mut UnwindContext<usize>) -> Way {
        let Some(address) = self.segments.address_of_offset(offset) else { return Way::Unknown };
        for section in [Section::EhFrame, Section::DebugFrame] {
            let way = match section {
                Section::EhFrame => self.look_in_eh_frame(address, context),
                Section::DebugFrame => self.look_in_debug_frame(address, context),
            };
            match way {
                // A table that ends before the trampoline it is next to.
                Some(Way::Rule(rule)) if !rule.is_signal && self.is_trampoline(offset) => break,
                Some(way) => return way,
                None => {}
            }
        }
        if self.is_trampoline(offset) { Way::Trampoline } else { Way::Unknown }
    }

    fn look_in_eh_frame(&mut self, address: u64, context: &mut UnwindContext<usize>) -> Option<Way> {
        let image = self.file.bytes();
        let tables = self.eh_frame.as_mut()?;
        let in_header = self.frame_header.as_ref().map(|header| header.of(image));
        let mut frames = gimli::EhFrame::new(tables.bytes.of(image), LittleEndian);
        frames.set_address_size(8);
        frames.set_vendor(vendor(self.machine));
        let offset = match in_header.and_then(|header| by_header(header, &self.bases, address)) {
            Some(offset) => offset,
            None => {
                let index = tables.index.get_or_insert_with(|| index(&frames, &self.bases));
                by_index(index, address)?
            }
        };
        let wanted = Wanted { section: Section::EhFrame, offset, address, bases: &self.bases, machine: self.machine };
        translate(&frames, wanted, context, &mut self.rules)
    }

    fn look_in_debug_frame(&mut self, address: u64, context: &mut UnwindContext<usize>) -> Option<Way> {
        let image = self.file.bytes();
        let tables = self.debug_frame.as_mut()?;
        let mut frames = gimli::DebugFrame::new(tables.bytes.of(image), LittleEndian);
        frames.set_address_size(8);
        frames.set_vendor(vendor(self.machine));
        let index = tables.index.get_or_insert_with(|| index(&frames, &self.bases));
        let offset = by_index(index, address)?;
        let wanted =
            Wanted { section: Section::DebugFrame, offset, address, bases: &self.bases, machine: self.machine };
        translate(&frames, wanted, context, &mut self.rules)
    }

    /// Where in the file functions with tables begin.
    #[cfg(test)]
    pub(super) fn functions(&self) -> Vec<u64> {
        let tables = self.eh_frame.as_ref().expect("it has tables");
        let mut frames = gimli::EhFrame::new(tables.bytes.of(self.file.bytes()), LittleEndian);
        frames.set_address_size(8);
        // The C library's code is loaded as far from its place in the file as in memory.
        index(&frames, &self.bases).into_iter().map(|(address, _)| address).collect()
    }

    /// The bytes of an expression that a rule speaks of.
    pub(super) fn expression(&self, index: u32) -> Option<(&[u8], gimli::Encoding)> {
        let kept = self.rules.expression(index)?;
        let tables = match kept.section {
            Section::EhFrame => self.eh_frame.as_ref(),
            Section::DebugFrame => self.debug_frame.as_ref(),
        };
        Some((bytes_of(kept.expression, tables?.bytes.of(self.file.bytes()))?, kept.encoding))
    }

    /// The code that ends at a file offset, as much of it as an instruction may have.
    pub(super) fn code_before(&self, offset: u64) -> &[u8] {
        let end = usize::try_from(offset).unwrap_or(usize::MAX);
        self.file.bytes().get(end.saturating_sub(8)..end).unwrap_or_default()
    }

    /// Whether signal handlers return to a file offset or to the byte after it: it is looked up as a return address.
    fn is_trampoline(&self, offset: u64) -> bool {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let code = self.file.bytes().get(at..).unwrap_or_default();
        is_trampoline(self.machine, code) || is_trampoline(self.machine, code.get(1..).unwrap_or_default())
    }
}

fn vendor(machine: Machine) -> gimli::Vendor {
    match machine {
        Machine::X86_64 => gimli::Vendor::Default,
        Machine::Aarch64 => gimli::Vendor::AArch64,
    }
}

/// A section's bytes, where they are in the file if that is possible.
fn load(elf: &Elf<'_>, file: &[u8], name: &str) -> Option<Bytes> {
    let section = elf.file.section_by_name(name)?;
    let range = section.compressed_file_range().ok()?;
    if range.format == object::CompressionFormat::None {
        // A debug file has the section's header, but not its bytes.
        let (start, size) = section.file_range()?;
        let start = usize::try_from(start).ok()?;
        let range = start..start.checked_add(usize::try_from(size).ok()?)?;
        return (!file.get(range.clone())?.is_empty()).then_some(Bytes::InFile(range));
    }
    let possible = range.compressed_size.saturating_mul(MOST_COMPRESSION);
    if range.uncompressed_size > MOST_DECOMPRESSED.min(possible) {
        return None;
    }
    section.uncompressed_data().ok().map(Cow::into_owned).map(Bytes::Decompressed)
}

/// The offset of the table for an address, by the linker's binary search table.
fn by_header(header: &[u8], bases: &BaseAddresses, address: u64) -> Option<usize> {
    let header = gimli::EhFrameHdr::new(header, LittleEndian).parse(bases, 8).ok()?;
    let entry = header.table()?.lookup(address, bases).ok()?.direct().ok()?;
    // Not `pointer_to_offset`, which subtracts what a damaged file says.
    let start = bases.eh_frame.section?;
    usize::try_from(entry.checked_sub(start)?).ok()
}

/// First address and offset of each function's table, sorted. What can't be read is left out.
fn index<'a, S: UnwindSection<Slice<'a>>>(frames: &S, bases: &BaseAddresses) -> Vec<(u64, usize)> {
    let mut index = Vec::new();
    let mut entries = frames.entries(bases);
    while let Ok(Some(entry)) = entries.next() {
        if let gimli::CieOrFde::Fde(partial) = entry
            && let Ok(function) = partial.parse(S::cie_from_offset)
        {
            index.push((function.initial_address(), partial.offset()));
        }
    }
    index.sort_unstable();
    index
}

fn by_index(index: &[(u64, usize)], address: u64) -> Option<usize> {
    let after = index.partition_point(|(start, _)| *start <= address);
    Some(index.get(after.checked_sub(1)?)?.1)
}

/// A function's table, by its offset in its section, and the address that it is asked for.
struct Wanted<'a> {
    section: Section,
    offset: usize,
    address: u64,
    bases: &'a BaseAddresses,
    machine: Machine,
}

/// The rule for an address; `None` if the table is not for that.
fn translate<'a, S: UnwindSection<Slice<'a>>>(
    frames: &S,
    wanted: Wanted<'_>,
    context: &mut UnwindContext<usize>,
    rules: &mut Rules,
) -> Option<Way> {
    let Wanted { section, offset, address, bases, machine } = wanted;
    let function = frames.fde_from_offset(bases, offset.into(), S::cie_from_offset).ok()?;
    if !function.contains(address) {
        return None;
    }
    if function.entry_len() > LONGEST_FUNCTION {
        return Some(Way::Unknown);
    }
    let Ok(row) = function.unwind_info_for_address(frames, bases, context, address) else { return Some(Way::Unknown) };
    let source = Source {
        machine,
        section,
        bytes: frames.section().slice(),
        encoding: function.cie().encoding(),
        return_column: function.cie().return_address_register(),
        is_signal: function.is_signal_trampoline(),
    };
    Some(rules.translate(row, source))
}
