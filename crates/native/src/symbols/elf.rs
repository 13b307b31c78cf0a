//! What is needed of an ELF file besides its debug information.

use gimli::RunTimeEndian;
use object::elf;
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SectionFlags, SegmentFlags};

use super::table::{Binding, Symbol, SymbolTable};

/// A file, parsed as far as its headers.
pub(crate) struct Elf<'a> {
    pub(crate) file: object::File<'a>,
    segments: Segments,
}

/// The segments of a file that are loaded.
#[derive(Clone, Debug)]
pub(crate) struct Segments(Vec<Load>);

/// A `PT_LOAD` segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Load {
    offset: u64,
    file_size: u64,
    address: u64,
    executable: bool,
}

/// Pages are at least this large on every machine, and segments are mapped in whole pages.
const PAGE: u64 = 0x1000;

impl<'a> Elf<'a> {
    /// `None` if it is no ELF file.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        if !bytes.starts_with(&elf::ELFMAG) {
            return None;
        }
        let file = object::File::parse(bytes).ok()?;
        let loads = file.segments().map(|segment| {
            let (offset, file_size) = segment.file_range();
            let executable =
                matches!(segment.flags(), SegmentFlags::Elf { p_flags, .. } if (p_flags & elf::PF_X).0 != 0);
            Load { offset, file_size, address: segment.address(), executable }
        });
        let segments = Segments(loads.collect());
        Some(Self { file, segments })
    }

    pub(crate) fn endian(&self) -> RunTimeEndian {
        if self.file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big }
    }

    pub(crate) fn build_id(&self) -> Option<&'a [u8]> {
        self.file.build_id().ok().flatten().filter(|id| !id.is_empty())
    }

    /// See [`Segments::address_of_offset`].
    pub(crate) fn address_of_offset(&self, offset: u64) -> Option<u64> {
        self.segments.address_of_offset(offset)
    }

    pub(crate) fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The bytes at a virtual address, up to the end of its segment in the file.
    pub(crate) fn code_at(&self, bytes: &'a [u8], address: u64) -> Option<&'a [u8]> {
        let load =
            self.segments.0.iter().find(|load| {
                load.executable && address.checked_sub(load.address).is_some_and(|at| at < load.file_size)
            })?;
        let start = usize::try_from(load.offset.checked_add(address - load.address)?).ok()?;
        let end = usize::try_from(load.offset.checked_add(load.file_size)?).ok()?;
        bytes.get(start..end.min(bytes.len()))
    }

    /// Functions of `.symtab`, if there is one with any.
    pub(crate) fn symbols(&self) -> Vec<Symbol<'a>> {
        self.functions(self.file.symbols())
    }

    /// Functions of `.dynsym`.
    pub(crate) fn dynamic_symbols(&self) -> Vec<Symbol<'a>> {
        self.functions(self.file.dynamic_symbols())
    }

    fn functions<'f>(&self, symbols: impl Iterator<Item = object::Symbol<'a, 'f>>) -> Vec<Symbol<'a>>
    where
        'a: 'f,
    {
        let is_code = |flags: SectionFlags| matches!(flags, SectionFlags::Elf { sh_flags, .. } if (sh_flags & elf::SHF_EXECINSTR).0 != 0);
        let code: Vec<_> = self.file.sections().filter(|section| is_code(section.flags())).map(|s| s.index()).collect();
        let function = |symbol: object::Symbol<'a, 'f>| {
            let in_code = symbol.section_index().is_some_and(|section| code.contains(&section));
            let name = without_version(symbol.name_bytes().ok()?);
            if name.is_empty() {
                return None;
            }
            let wanted = match symbol.kind() {
                object::SymbolKind::Text => !symbol.is_undefined(),
                // Labels of assembly; those with `$` tell code from data on ARM.
                object::SymbolKind::Unknown | object::SymbolKind::Label => in_code && !name.starts_with(b"$"),
                _ => false,
            };
            let binding = match (symbol.is_weak(), symbol.is_global()) {
                (true, _) => Binding::Weak,
                (false, true) => Binding::Global,
                (false, false) => Binding::Local,
            };
            let (address, size) = (symbol.address(), symbol.size());
            wanted.then_some(Symbol { address, size, name, binding, is_plt: false })
        };
        symbols.filter_map(function).collect()
    }

    /// Where code ends.
    pub(crate) fn code_end(&self) -> u64 {
        let ends = self.segments.0.iter().filter(|load| load.executable);
        ends.map(|load| load.address.saturating_add(load.file_size)).max().unwrap_or(0)
    }

    /// A table of `symbols` and of the procedure linkage table.
    pub(crate) fn table(&self, mut symbols: Vec<Symbol<'a>>) -> SymbolTable<'a> {
        symbols.extend(super::plt::symbols(&self.file));
        SymbolTable::new(symbols, self.code_end())
    }
}

impl Segments {
    /// The file's own virtual address of the code at a file offset.
    ///
    /// The bias is that of the segment which holds the offset; there may be several with different ones. Segments are
    /// mapped in whole pages, so that the bytes before and after one (its neighbours', where linkers don't align them)
    /// are mapped with it; only if no executable segment holds the offset itself is it looked for there.
    pub(crate) fn address_of_offset(&self, offset: u64) -> Option<u64> {
        let inside = |load: &&Load| offset.checked_sub(load.offset).is_some_and(|at| at < load.file_size);
        let around = |load: &&Load| {
            let end = load.offset.saturating_add(load.file_size).checked_next_multiple_of(PAGE);
            offset >= load.offset & !(PAGE - 1) && end.is_none_or(|end| offset < end)
        };
        let executable = || self.0.iter().filter(|load| load.executable);
        let load = executable().find(inside).or_else(|| executable().find(around));
        let load = load.or_else(|| self.0.iter().find(inside))?;
        Some(offset.wrapping_sub(load.offset).wrapping_add(load.address))
    }
}

/// `read` of `read@@GLIBC_2.2.5`: linkers write the version into the names of `.symtab`.
fn without_version(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == b'@').next().unwrap_or(name)
}
