//! Split debug information: what `-gsplit-dwarf` leaves in a `.dwo` file for each unit.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use gimli::{EndianSlice, RunTimeEndian};

use super::debug::{MOST_DECOMPRESSED, guarded, section};
use super::elf::Elf;
use super::files::{FileFinder, bare};
use super::units::is_fit;
use crate::modules::ModuleFile;
use crate::recording::ModuleRow;

/// Files that are opened for one module. Chromium has 40,000, of which a recording's samples meet a part.
const MOST_FILES: usize = 16_384;

/// Where a unit says its file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SplitUnit {
    pub(super) id: u64,
    /// The unit in the module's own debug information that stands for it.
    pub(super) skeleton: gimli::DebugInfoOffset,
    /// The folder it was compiled in.
    pub(super) folder: Vec<u8>,
    /// Path from there.
    pub(super) name: Vec<u8>,
}

/// A file that holds a unit.
#[derive(Debug)]
pub(super) struct SplitFile {
    id: u64,
    skeleton: gimli::DebugInfoOffset,
    file: ModuleFile,
}

/// The files that hold the units.
pub(super) fn open(units: &[SplitUnit], module: &ModuleRow, finder: &FileFinder) -> Vec<SplitFile> {
    let mut files = Vec::new();
    for unit in units.iter().take(MOST_FILES) {
        let is_it = |file: &ModuleFile| guarded(|| holds(file.bytes(), unit.id)) == Some(true);
        let opened = paths(unit, module, finder).into_iter().filter_map(|path| Some(ModuleFile::open(&path).ok()?.0));
        if let Some(file) = opened.into_iter().find(is_it) {
            files.push(SplitFile { id: unit.id, skeleton: unit.skeleton, file });
        }
    }
    files
}

/// Where it was written, as the finder sees that; else beside the module, and where debug files are.
fn paths(unit: &SplitUnit, module: &ModuleRow, finder: &FileFinder) -> Vec<PathBuf> {
    let name = Path::new(OsStr::from_bytes(&unit.name));
    let written = Path::new(OsStr::from_bytes(&unit.folder)).join(name);
    let beside = bare(&module.path).parent().into_iter().flat_map(|folder| {
        let file = name.file_name().map(|file| folder.join(file));
        [Some(folder.join(name)), file].into_iter().flatten()
    });
    let mut paths = Vec::new();
    for path in [written].into_iter().chain(beside) {
        let path = path.as_os_str().as_bytes().into();
        let row = ModuleRow { path, start: 0, end: 0, build_id: Box::default(), ..module.clone() };
        paths.extend(finder.candidates(&row, None).into_iter().map(|candidate| candidate.path));
    }
    paths
}

fn holds(bytes: &[u8], id: u64) -> Option<bool> {
    let elf = Elf::parse(bytes)?;
    let sections = load(&elf, &mut MOST_DECOMPRESSED.clone());
    let mut dwarf = sections.borrow(|section| EndianSlice::new(section, elf.endian()));
    dwarf.file_type = gimli::DwarfFileType::Dwo;
    Some(unit_of(&dwarf, id).is_some())
}

fn unit_of<'a>(
    dwarf: &gimli::Dwarf<EndianSlice<'a, RunTimeEndian>>,
    id: u64,
) -> Option<gimli::Unit<EndianSlice<'a, RunTimeEndian>>> {
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next() {
        let unit = dwarf.unit(header).ok()?;
        if unit.dwo_id.is_some_and(|found| found.0 == id) {
            return Some(unit);
        }
    }
    None
}

/// The debug sections of those files.
pub(super) struct Split<'a> {
    units: HashMap<u64, Loaded<'a>, RandomState>,
}

struct Loaded<'a> {
    sections: gimli::DwarfSections<Cow<'a, [u8]>>,
    skeleton: gimli::DebugInfoOffset,
    /// Whether it is fit to be read.
    fit: OnceLock<bool>,
}

impl<'a> Split<'a> {
    pub(super) fn load(files: &'a [SplitFile]) -> Self {
        let mut budget = MOST_DECOMPRESSED;
        let load = |file: &'a SplitFile| {
            let sections = load(&Elf::parse(file.file.bytes())?, &mut budget);
            Some((file.id, Loaded { sections, skeleton: file.skeleton, fit: OnceLock::new() }))
        };
        Self { units: files.iter().filter_map(load).collect() }
    }

    /// What is asked for while looking an address up.
    pub(super) fn get<'s>(
        &'s self,
        id: gimli::DwoId,
        parent: &gimli::Dwarf<EndianSlice<'s, RunTimeEndian>>,
        endian: RunTimeEndian,
    ) -> Option<gimli::Dwarf<EndianSlice<'s, RunTimeEndian>>> {
        let loaded = self.units.get(&id.0)?;
        let mut dwarf = loaded.sections.borrow(|section| EndianSlice::new(section, endian));
        dwarf.make_dwo(parent);
        let is_fit = || {
            let skeleton = parent.unit(parent.debug_info.header_from_offset(loaded.skeleton).ok()?).ok()?;
            let mut unit = unit_of(&dwarf, id.0)?;
            unit.copy_relocated_attributes(&skeleton);
            is_fit(&dwarf, &unit).ok()
        };
        loaded.fit.get_or_init(|| is_fit().unwrap_or(false)).then_some(dwarf)
    }
}

fn load<'a>(elf: &Elf<'a>, budget: &mut u64) -> gimli::DwarfSections<Cow<'a, [u8]>> {
    let load = |id: gimli::SectionId| -> Result<Cow<'a, [u8]>, gimli::Error> {
        Ok(id.dwo_name().and_then(|name| section(elf, name, budget)).unwrap_or_default())
    };
    gimli::DwarfSections::load(load).unwrap_or_default()
}
