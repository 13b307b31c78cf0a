//! One module: its file, its debug file, and the names of the addresses asked for.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use rayon::prelude::*;

use super::debug::{self, Lookup, Sections};
use super::demangle::{Demangler, Name, is_mangled};
use super::elf::Elf;
use super::files::FileFinder;
use super::split::{self, Split};
use super::starts::Starts;
use super::table::{Symbol, SymbolTable};
use super::{JitMap, Located, Named, Request, mini};
use crate::finish::Progress;
use crate::modules::{ModuleFile, Modules, NoFile};
use crate::recording::{CodeKind, ModuleRow};

/// Addresses that one thread looks up at least: each parses the headers of all units anew.
const CHUNK: usize = 2048;

/// What symbols a module has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SymbolState {
    /// All of its functions.
    Full,
    /// Only what it exports: it is stripped.
    Exported,
    /// Those that a JIT compiler wrote down.
    JitMap {
        /// Lines of its map that make no sense.
        skipped: u64,
    },
    /// None: it is stripped, and exports nothing.
    Stripped,
    /// None: its file makes no sense.
    Damaged,
    /// None: there is no file.
    NoFile(NoFile),
}

impl std::fmt::Display for SymbolState {
    /// Why names are missing, and what can be done.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full => f.write_str("some addresses lie in no symbol"),
            Self::JitMap { skipped: 0 } => f.write_str("the compiler's map has no function there"),
            Self::JitMap { skipped } => write!(f, "the compiler's map has no function there, and {skipped} bad lines"),
            Self::Exported => f.write_str("the file is stripped to what it exports; install its debug symbols"),
            Self::Stripped => f.write_str("the file is stripped; install its debug symbols"),
            Self::Damaged => f.write_str("the file is damaged"),
            Self::NoFile(why) => why.fmt(f),
        }
    }
}

/// The outcome for a module.
#[derive(Clone, Debug)]
pub(crate) struct Symbolized {
    /// One per request, in order.
    pub(crate) located: Vec<Located>,
    /// The file's build-id, or the recorded one.
    pub(crate) build_id: Vec<u8>,
    /// Whether addresses are the module's virtual addresses; else they are what was asked for.
    pub(crate) is_virtual: bool,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
    pub(crate) state: SymbolState,
}

/// How to look up.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) modules: &'a Modules,
    pub(crate) inlines: bool,
    /// Addresses are the modules' own; else they are offsets in their files.
    pub(crate) are_virtual: bool,
    pub(crate) progress: &'a Progress,
}

/// Looks up addresses of a module, which must be distinct. Call it inside a thread pool.
pub(crate) fn symbolize(index: u32, module: &ModuleRow, requests: &[Request], wanted: Wanted<'_>) -> Symbolized {
    let missing = |why: SymbolState| {
        wanted.progress.add_done(requests.len());
        let located = requests.iter().map(|request| Located { address: request.address, ..Located::default() });
        let build_id = module.build_id.to_vec();
        Symbolized { located: located.collect(), build_id, is_virtual: false, file: None, state: why }
    };
    if module.kind == CodeKind::Anonymous {
        return match wanted.modules.jit(module.pid) {
            Some(map) => by_jit_map(&map, requests, wanted),
            None => missing(SymbolState::NoFile(NoFile::MadeAtRunTime)),
        };
    }
    let opened = wanted.modules.open(index, module, None).or_else(|why| {
        // The debug file alone will do, where it needn't tell how the file is laid out.
        let debug = if wanted.are_virtual { wanted.modules.open_debug_file_alone(module) } else { None };
        debug.ok_or(why)
    });
    match opened {
        Ok(file) => debug::guarded(|| with_image(module, &file, Requests::All(requests), wanted))
            .unwrap_or_else(|| missing(SymbolState::Damaged)),
        Err(why) => missing(SymbolState::NoFile(why)),
    }
}

/// Looks addresses of a module up as they come, until no more can: the result has one per request, in their order.
/// `None` if [`symbolize`] is to do it when all are known.
pub(crate) fn symbolize_coming(
    module: &ModuleRow,
    file: &ModuleFile,
    coming: &Receiver<Vec<Request>>,
    wanted: Wanted<'_>,
) -> Option<Symbolized> {
    debug::guarded(|| with_image(module, file, Requests::Coming(coming), wanted))
}

/// What is to be looked up.
#[derive(Clone, Copy)]
enum Requests<'a> {
    All(&'a [Request]),
    Coming(&'a Receiver<Vec<Request>>),
}

/// Names code that was made at run time.
fn by_jit_map(map: &JitMap, requests: &[Request], wanted: Wanted<'_>) -> Symbolized {
    let located = requests.iter().map(|request| {
        let functions = map.find(request.address_in_code()).into_iter().collect();
        Located { address: request.address, functions, starts_thread: false }
    });
    let located = located.collect();
    wanted.progress.add_done(requests.len());
    let state = SymbolState::JitMap { skipped: map.skipped() };
    Symbolized { located, build_id: Vec::new(), is_virtual: false, file: None, state }
}

fn with_image(module: &ModuleRow, file: &ModuleFile, requests: Requests<'_>, wanted: Wanted<'_>) -> Option<Symbolized> {
    let bytes = file.bytes();
    let elf = Elf::parse(bytes)?;
    let own_symbols = elf.symbols();
    let own_debug = Sections::load(&elf);
    let debug_file = if own_symbols.is_empty() || own_debug.is_none() {
        open_debug_file(module, &elf, wanted.modules.finder())
    } else {
        None
    };
    let debug_elf = debug_file.as_ref().and_then(|file| Elf::parse(file.bytes()));
    let sections = own_debug.or_else(|| debug_elf.as_ref().and_then(Sections::load));
    let mut symbols = own_symbols;
    if symbols.is_empty() {
        symbols = debug_elf.as_ref().map(Elf::symbols).unwrap_or_default();
    }
    let mini = if symbols.is_empty() { mini::unpack(&elf) } else { None };
    if let Some(mini) = mini.as_deref().and_then(Elf::parse) {
        symbols = mini.symbols();
        // What is exported is left out there.
        if !symbols.is_empty() {
            symbols.extend(elf.dynamic_symbols());
        }
    }
    let exported = symbols.is_empty();
    if exported {
        symbols = elf.dynamic_symbols();
    }
    let state = match (exported && sections.is_none(), symbols.is_empty()) {
        (false, _) => SymbolState::Full,
        (true, false) => SymbolState::Exported,
        (true, true) => SymbolState::Stripped,
    };
    let table = elf.table(symbols);
    let virtual_address = |request: &Request| match wanted.are_virtual {
        true => Some(request.address_in_code()),
        false => elf.address_of_offset(request.address_in_code()),
    };
    let known = match requests {
        Requests::All(requests) => requests,
        // Which files have the information depends on the addresses.
        Requests::Coming(_) if sections.as_ref().is_some_and(Sections::may_be_split) => return None,
        Requests::Coming(_) => &[],
    };
    let addresses = known.iter().filter_map(virtual_address);
    let split = sections.as_ref().map(|sections| sections.split(addresses)).unwrap_or_default();
    let split = split::open(&split, module, wanted.modules.finder());
    let split = Split::load(&split);
    let image = Image { bytes, starts: Starts::of(&elf, &table), table, elf, sections, split: &split };
    let located = match requests {
        Requests::All(requests) => image.locate_all(requests, wanted),
        Requests::Coming(coming) => image.locate_coming(coming, wanted),
    };
    let build_id = image.elf.build_id().unwrap_or(&module.build_id).to_vec();
    Some(Symbolized { located, build_id, is_virtual: true, file: Some(file.path().into()), state })
}

/// The file that a distribution keeps a stripped module's symbols and debug information in: found by build-id, or by
/// `.gnu_debuglink`, which has a name and a CRC-32.
fn open_debug_file(module: &ModuleRow, elf: &Elf<'_>, finder: &FileFinder) -> Option<ModuleFile> {
    use object::Object;
    let link = elf.file.gnu_debuglink().ok().flatten();
    let files = finder.debug_files(module, elf.build_id(), link.map(|link| OsStr::from_bytes(link.0)));
    let open = |path: &PathBuf| ModuleFile::open(path).ok().map(|(file, _)| file);
    let is_same = |file: &ModuleFile| {
        elf.build_id().is_some() && Elf::parse(file.bytes()).is_some_and(|debug| debug.build_id() == elf.build_id())
    };
    let by_id = files.by_id.iter().filter_map(open).find(is_same);
    by_id.or_else(|| {
        let checksum = link?.1;
        files.by_link.iter().filter_map(open).find(|file| crc32fast::hash(file.bytes()) == checksum)
    })
}

/// A module ready for look-ups; shared by threads.
struct Image<'a> {
    bytes: &'a [u8],
    elf: Elf<'a>,
    table: SymbolTable<'a>,
    sections: Option<Sections<'a>>,
    split: &'a Split<'a>,
    starts: Option<Starts<'a>>,
}

impl Image<'_> {
    fn locate_all(&self, requests: &[Request], wanted: Wanted<'_>) -> Vec<Located> {
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_unstable_by_key(|index| requests[*index].address);
        let threads = rayon::current_num_threads();
        let size = requests.len().div_ceil(threads).max(CHUNK);
        let chunks: Vec<Vec<(usize, Located)>> = order
            .par_chunks(size)
            .map(|chunk| {
                let mut worker = self.worker(wanted);
                let located = chunk.iter().map(|index| {
                    let located = worker.locate(requests[*index], wanted.inlines);
                    wanted.progress.add_done(1);
                    (*index, located)
                });
                located.collect()
            })
            .collect();
        let mut located = vec![Located::default(); requests.len()];
        for (index, found) in chunks.into_iter().flatten() {
            located[index] = found;
        }
        located
    }

    fn locate_coming(&self, coming: &Receiver<Vec<Request>>, wanted: Wanted<'_>) -> Vec<Located> {
        let mut worker = self.worker(wanted);
        let mut located: Vec<Located> = Vec::new();
        for batch in coming {
            let before = located.len();
            located.resize_with(before + batch.len(), Located::default);
            let mut order: Vec<usize> = (0..batch.len()).collect();
            order.sort_unstable_by_key(|index| batch[*index].address);
            for index in order {
                located[before + index] = worker.locate(batch[index], wanted.inlines);
            }
            wanted.progress.add_done(batch.len());
        }
        located
    }

    fn worker(&self, wanted: Wanted<'_>) -> Worker<'_> {
        Worker {
            image: self,
            are_virtual: wanted.are_virtual,
            lookup: self.sections.as_ref().and_then(|sections| sections.lookup(self.split)),
            demangler: Demangler::default(),
        }
    }
}

impl Image<'_> {
    /// Whether the symbol names the function better than the debug information does: that may have the plain name only
    /// where the linker's tells namespace and types; or of several names the one that is not meant to be seen
    /// (`__GI___libc_read`). Names of clones (`f.part.0`) are not better: they would tear a function apart.
    fn is_better(&self, symbol: &Symbol<'_>, name: Option<&[u8]>) -> bool {
        let Some(name) = name else { return true };
        !is_mangled(name) && (is_mangled(symbol.name) || self.table.is_alias(symbol.address, name))
    }
}

struct Worker<'a> {
    image: &'a Image<'a>,
    are_virtual: bool,
    lookup: Option<Lookup<'a>>,
    demangler: Demangler,
}

impl Worker<'_> {
    fn locate(&mut self, request: Request, inlines: bool) -> Located {
        let back = u64::from(request.is_return);
        let asked = request.address_in_code();
        let before = if self.are_virtual { Some(asked) } else { self.image.elf.address_of_offset(asked) };
        let Some(before) = before else {
            return Located { address: request.address, ..Located::default() };
        };
        let address = before.wrapping_add(back);
        let asked = if request.is_return && self.is_signal_trampoline(address) { address } else { before };
        let symbol = self.image.table.find(asked).copied();
        let mut functions = self.lookup.as_mut().map(|lookup| lookup.find(asked)).unwrap_or_default();
        functions.reverse();
        if !inlines {
            functions.truncate(1);
        }
        let Some(outermost) = functions.first_mut() else {
            let functions: Vec<Named> = symbol.map(|symbol| self.by_symbol(&symbol)).into_iter().collect();
            let starts = |starts: &Starts<'_>| starts.contain(asked);
            let starts_thread = functions.is_empty() && self.image.starts.as_ref().is_some_and(starts);
            return Located { address, functions, starts_thread };
        };
        if let Some(symbol) = symbol
            && self.image.is_better(&symbol, outermost.name.as_deref())
        {
            outermost.name = Some(symbol.name.to_vec().into());
        }
        let fallback = symbol.map_or(b"".as_slice(), |symbol| symbol.name);
        if outermost.name.is_none() && fallback.is_empty() {
            return Located { address, ..Located::default() };
        }
        let named = |function| debug::named(function, fallback, &mut self.demangler);
        let functions = functions.into_iter().map(named).collect();
        Located { address, functions, starts_thread: false }
    }

    fn by_symbol(&mut self, symbol: &Symbol<'_>) -> Named {
        let mut name = self.demangler.name(symbol.name);
        if symbol.is_plt {
            let system = name.system.map(|system| format!("{system}@plt").into());
            name = Name { shown: format!("{}@plt", name.shown).into(), system };
        }
        Named { name, file: None, line: 0, column: 0, start_line: 0 }
    }

    /// A handler returns to the trampoline's first instruction; nothing called it from before.
    /// The bytes are `mov $__NR_rt_sigreturn, %rax; syscall`, by which debuggers know it, too.
    fn is_signal_trampoline(&self, address: u64) -> bool {
        const RT_SIGRETURN: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];
        self.image.elf.code_at(self.image.bytes, address).is_some_and(|code| code.starts_with(&RT_SIGRETURN))
    }
}
