//! Names of the kernel's functions.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Looked, names};
use crate::modules::{ModuleFile, same_build_id};
use crate::recording::{CodeKind, Recording};
use crate::symbols::{Elf, FileFinder, KALLSYMS, Kallsyms, Named, NoKernelSymbols, demangle};

/// The names of the kernel that was recorded.
pub(crate) struct Kernel {
    /// Its build-id; empty if that is not known.
    build_id: Box<[u8]>,
    /// The build-id of the one that runs here.
    own_id: Option<String>,
    found: Result<Arc<Kallsyms>, Missing>,
}

/// Reads the names of the kernel with this build-id, recorded in this boot (empty if they are not known).
pub(crate) fn read(build_id: &[u8], boot_id: &str, finder: &FileFinder) -> Kernel {
    let own_id = finder.kernel_notes().and_then(|path| names::gnu_build_id(&std::fs::read(path).ok()?));
    let found = find(build_id, boot_id, own_id.as_deref(), finder);
    Kernel { build_id: build_id.into(), own_id, found }
}

/// The kernel's index among the modules, if there are frames in it.
pub(super) fn module(recording: &Recording) -> Option<usize> {
    let module = recording.modules.iter().position(|module| module.kind == CodeKind::Kernel)?;
    recording.frames.iter().any(|frame| frame.module as usize == module).then_some(module)
}

/// The same as [`read`], unless it was `known` already.
pub(super) fn known_or_read(
    known: Option<Kernel>,
    recording: &Recording,
    module: usize,
    finder: &FileFinder,
) -> Kernel {
    let build_id = &recording.modules[module].build_id;
    // Later records may have told it.
    let known = known.filter(|kernel| kernel.build_id == *build_id);
    known.unwrap_or_else(|| read(build_id, &recording.boot_id, finder))
}

/// Names the frames of the kernel, which is this module, or notes why it can't.
pub(super) fn look_up(recording: &Recording, module: usize, kernel: Kernel, looked: &mut Looked<'_>) {
    let Kernel { own_id, found, .. } = kernel;
    let found = match found {
        Ok(found) => found,
        Err(no_kernel) => {
            looked.no_kernel = Some(no_kernel);
            return;
        }
    };
    let row = &recording.modules[module];
    looked.kernel_build_id = if row.build_id.is_empty() { own_id } else { Some(names::hex(&row.build_id)) };
    // The kernel lies elsewhere after each boot; a recording may tell where it was.
    let moved = found.start().filter(|_| row.start != 0).map_or(0, |here| here.wrapping_sub(row.start));
    let mut indices: BTreeMap<String, u32> = BTreeMap::from([("[kernel.kallsyms]".into(), 0)]);
    for (index, frame) in recording.frames.iter().enumerate().filter(|(_, frame)| frame.module as usize == module) {
        let Some(found) = found.find(frame.address.wrapping_add(moved)) else { continue };
        // Modules don't move along with it.
        if moved != 0 && found.module != "[kernel.kallsyms]" {
            continue;
        }
        let name = demangle(found.name);
        looked.located[index].functions = vec![Named { name, file: None, line: 0, column: 0, start_line: 0 }];
        let next = looked.kernel_modules.len() as u32;
        let module = *indices.entry(found.module.into()).or_insert(next);
        if module == next {
            looked.kernel_modules.push(found.module.into());
        }
        looked.kernel_module[index] = module;
    }
}

/// The names of the kernel that runs here, as long as somebody has them: two recordings that are read at the same time
/// need them once.
static RUNNING: Mutex<Weak<Kallsyms>> = Mutex::new(Weak::new());

fn read_names(path: &Path) -> Result<Arc<Kallsyms>, NoKernelSymbols> {
    if path != Path::new(KALLSYMS) {
        return Kallsyms::read(path).map(Arc::new);
    }
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(names) = running.upgrade() {
        return Ok(names);
    }
    let names = Arc::new(Kallsyms::read(path)?);
    *running = Arc::downgrade(&names);
    Ok(names)
}

type Missing = (NoKernelSymbols, &'static str);

/// The symbols of the recorded kernel.
fn find(build_id: &[u8], boot_id: &str, own_id: Option<&str>, finder: &FileFinder) -> Result<Arc<Kallsyms>, Missing> {
    let mut why = None;
    for path in finder.kallsyms(build_id).into_iter().filter(|path| path.exists()) {
        if path == Path::new(KALLSYMS) {
            if !build_id.is_empty() && own_id != Some(&names::hex(build_id)) {
                why.get_or_insert((
                    NoKernelSymbols::Unreadable,
                    "the recorded kernel is not the one that runs here (--buildid-dir says where its kallsyms is)",
                ));
                continue;
            }
            if !names::same_boot(boot_id, finder) {
                why.get_or_insert((NoKernelSymbols::Unreadable, "it was recorded before the last boot"));
                continue;
            }
        }
        match read_names(&path) {
            Ok(found) => return Ok(found),
            Err(error @ NoKernelSymbols::Unreadable) => {
                why.get_or_insert((error, "/proc/kallsyms can't be read"));
            }
            Err(error @ NoKernelSymbols::Restricted) => {
                why.get_or_insert((
                    error,
                    "/proc/kallsyms hides addresses (kptr_restrict): run as root, or set kernel.kptr_restrict to 0",
                ));
            }
        }
    }
    let kernels = finder.vmlinux(build_id);
    let kernel = kernels.iter().find_map(|path| {
        let file = ModuleFile::open(path).ok()?.0;
        let elf = Elf::parse(file.bytes())?;
        if !build_id.is_empty() && !same_build_id(build_id, elf.build_id().unwrap_or_default()) {
            return None;
        }
        Kallsyms::of_elf(&elf).ok().map(Arc::new)
    });
    kernel.ok_or(why.unwrap_or((NoKernelSymbols::Unreadable, "/proc/kallsyms can't be read")))
}
