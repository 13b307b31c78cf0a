//! The files of modules: each is opened once, by whoever needs it first, and kept.
//!
//! While recording, a module is opened when a sample first meets it: later its process may be gone, and with it the
//! mount namespace that the file is to be seen in. What is kept is a memory map, which holds no descriptor and lives on
//! when the file is deleted.

mod jit_files;
mod roots;

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use memmap2::Mmap;

use crate::recording::{CodeKind, ModuleRow};
use crate::symbols::{Candidate, Elf, FileFinder, JitMap, bare, below, vdso_image};
use jit_files::JitFiles;
use roots::Roots;

/// Files that are kept open at once; a process may have 65,530 memory maps. More are opened again at the end.
const MOST_KEPT: usize = 16_384;

/// How often opening a module is tried: each process that maps it is another chance.
const MOST_TRIES: u8 = 8;

/// Why there is no file for a module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoFile {
    /// There is none of its name.
    #[error("file not found")]
    NotFound,
    /// There is one of its name, but with another build-id.
    #[error("the file's build-id is another one: it was replaced after being mapped")]
    OtherBuildId {
        /// The path.
        path: PathBuf,
        /// Its build-id; empty if it has none.
        found: Box<[u8]>,
    },
    /// There is one of its name, but it is another file than the mapped one.
    #[error("the file was deleted or replaced after being mapped")]
    Replaced,
    /// The system refuses it.
    #[error("the file can't be read: {0}")]
    Unreadable(Box<str>),
    /// It is of another kind.
    #[error("not an ELF file")]
    NotElf,
    /// It is memory.
    #[error("code without a file, made at run time")]
    MadeAtRunTime,
    /// Its image is not that of the vdso here.
    #[error("this process's vdso is of another kind, and that of the recorded one can't be read")]
    OtherVdso,
    /// It is a guest's, or the kernel's.
    #[error("not a file of this system")]
    Foreign,
}

impl NoFile {
    /// Whether it may be found yet: through another process that has it mapped.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::NotFound | Self::OtherBuildId { .. } | Self::Replaced | Self::Unreadable(_))
    }
}

/// A task that has a module mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) pid: i32,
    pub(crate) tid: i32,
}

/// The files of one recording's modules. It is shared by the recorder, which opens them in time, and
/// [`finish`](crate::finish).
#[derive(Debug)]
pub struct Modules {
    finder: FileFinder,
    slots: Mutex<HashMap<u32, Slot, RandomState>>,
    roots: Mutex<Roots>,
    jit: Mutex<JitFiles>,
}

#[derive(Clone, Debug)]
enum Slot {
    Open(Arc<ModuleFile>),
    Failed { why: NoFile, tries: u8 },
}

impl Modules {
    /// No file is opened yet.
    pub fn new(finder: FileFinder) -> Self {
        Self { finder, slots: Mutex::default(), roots: Mutex::default(), jit: Mutex::default() }
    }

    /// Where files are looked for.
    pub fn finder(&self) -> &FileFinder {
        &self.finder
    }

    /// The file of the module with this index, checked to be the one that was mapped. `task` has it mapped, too, if that
    /// is known. A file that could not be opened is tried again, as long as that may help.
    pub(crate) fn open(&self, index: u32, module: &ModuleRow, task: Option<Task>) -> Result<Arc<ModuleFile>, NoFile> {
        let mut slots = locked(&self.slots);
        let tries = match slots.get(&index) {
            Some(Slot::Open(file)) => return Ok(file.clone()),
            Some(Slot::Failed { why, tries }) if *tries >= MOST_TRIES => return Err(why.clone()),
            Some(Slot::Failed { tries, .. }) => *tries,
            None => 0,
        };
        match self.look(module, task) {
            Ok(file) => {
                let file = Arc::new(file);
                if slots.len() < MOST_KEPT {
                    slots.insert(index, Slot::Open(file.clone()));
                }
                Ok(file)
            }
            Err(why) => {
                slots.insert(index, Slot::Failed { why: why.clone(), tries: tries + 1 });
                Err(why)
            }
        }
    }

    /// The debug file of a module whose own file isn't to be found.
    pub(crate) fn open_debug_file_alone(&self, module: &ModuleRow) -> Option<Arc<ModuleFile>> {
        let id = Some(&module.build_id[..]).filter(|id| !id.is_empty())?;
        let files = self.finder.debug_files(module, Some(id), None);
        let files = files.by_id.iter().filter_map(|path| Some(ModuleFile::open(path).ok()?.0));
        let is_its = |file: &ModuleFile| Elf::parse(file.bytes()).and_then(|elf| elf.build_id()) == Some(id);
        files.into_iter().find(is_its).map(Arc::new)
    }

    /// A process runs: what it sees is held, so that its files can be opened when it is gone. `again` after an exec.
    pub(crate) fn note(&self, task: Task, again: bool) {
        if self.finder.may_run() {
            locked(&self.roots).note(task.pid, task.tid, again);
        }
    }

    /// A process was forked.
    pub(crate) fn forked(&self, child: i32, parent: i32) {
        if self.finder.may_run() {
            locked(&self.roots).forked(child, parent);
        }
    }

    /// Holds the map of a process's run-time code open, if there is one by now; `time` is the sample's. Returns whether
    /// there is nothing more to be done.
    pub(crate) fn hold_jit(&self, task: Task, time: u64) -> bool {
        !self.finder.may_run() || {
            let root = locked(&self.roots).path(task.pid);
            locked(&self.jit).hold(task, time, root.as_deref())
        }
    }

    /// The map of a process's run-time code.
    pub(crate) fn jit(&self, pid: i32) -> Option<JitMap> {
        let root = locked(&self.roots).path(pid);
        locked(&self.jit).read(pid, &self.finder, root.as_deref())
    }

    fn look(&self, module: &ModuleRow, task: Option<Task>) -> Result<ModuleFile, NoFile> {
        match module.kind {
            CodeKind::File => self.find(module, task),
            CodeKind::Vdso => vdso_image(module, &self.finder)
                .map(|image| ModuleFile { bytes: Bytes::Memory(image), path: "[vdso]".into() })
                .or_else(|| self.find(module, task).ok())
                .ok_or(NoFile::OtherVdso),
            CodeKind::Anonymous => Err(NoFile::MadeAtRunTime),
            CodeKind::Kernel | CodeKind::Foreign => Err(NoFile::Foreign),
        }
    }

    fn find(&self, module: &ModuleRow, task: Option<Task>) -> Result<ModuleFile, NoFile> {
        let mut candidates =
            self.finder.candidates(module, task.filter(|task| task.pid == module.pid).map(|task| task.tid));
        if let Some(task) = task.filter(|task| task.pid != module.pid && self.finder.may_run()) {
            let theirs = ModuleRow { pid: task.pid, ..module.clone() };
            let theirs = self.finder.candidates(&theirs, Some(task.tid));
            candidates = theirs.into_iter().chain(candidates).collect();
        }
        let held = |pid: i32| locked(&self.roots).path(pid).map(|root| below(&root, bare(&module.path)));
        let tasks = [Some(module.pid), task.map(|task| task.pid)];
        let held = tasks.into_iter().flatten().filter_map(held).map(Candidate::by_name);
        // Before what our own tree has under that path: it is another file.
        let own = candidates.pop();
        candidates.extend(held.chain(own));
        let mut reason = None;
        for candidate in candidates {
            match check(module, candidate) {
                Ok(file) => return Ok(file),
                Err(NoFile::NotFound) => {}
                Err(why) => _ = reason.get_or_insert(why),
            }
        }
        Err(reason.unwrap_or(NoFile::NotFound))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a file, if it is the module's.
fn check(module: &ModuleRow, candidate: Candidate) -> Result<ModuleFile, NoFile> {
    let (file, metadata) = match ModuleFile::open(&candidate.path) {
        Ok(opened) => opened,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Err(NoFile::NotFound);
        }
        // A cache keeps a folder where another keeps the file.
        Err(_) if candidate.by_build_id => return Err(NoFile::NotFound),
        Err(error) => return Err(NoFile::Unreadable(error.to_string().into())),
    };
    let elf = Elf::parse(file.bytes()).ok_or(NoFile::NotElf)?;
    let found = elf.build_id().unwrap_or_default();
    if !module.build_id.is_empty() {
        if !same_build_id(&module.build_id, found) {
            let found = found.into();
            return Err(NoFile::OtherBuildId { path: candidate.path, found });
        }
    } else if candidate.by_build_id {
        return Err(NoFile::NotFound);
    } else if !candidate.exact && (module.path.ends_with(b" (deleted)") || replaced(&metadata, module)) {
        return Err(NoFile::Replaced);
    }
    Ok(file)
}

/// Kernels before 5.13 pad the build-id with zeros to 20 bytes.
pub(crate) fn same_build_id(recorded: &[u8], found: &[u8]) -> bool {
    !found.is_empty() && recorded.strip_prefix(found).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

/// Whether this is surely another file than the one that was mapped: another inode on the same device. Overlay and
/// btrfs show other devices to `stat` than to `mmap`: there nothing can be told.
fn replaced(metadata: &Metadata, module: &ModuleRow) -> bool {
    let device = libc::makedev(module.device.0, module.device.1);
    module.inode != 0 && metadata.dev() == device && metadata.ino() != module.inode
}

/// A module's file, or its debug file, in memory.
#[derive(Debug)]
pub(crate) struct ModuleFile {
    bytes: Bytes,
    path: PathBuf,
}

#[derive(Debug)]
enum Bytes {
    Map(Mmap),
    Memory(Vec<u8>),
}

impl ModuleFile {
    /// Maps a regular file. A device or a pipe of that name is neither opened for long nor waited for.
    pub(crate) fn open(path: &Path) -> std::io::Result<(Self, Metadata)> {
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(std::io::Error::other("not a regular file"));
        }
        // SAFETY: the map is read-only. Should the file be cut while it is read, the process gets a SIGBUS: linkers and
        // package managers write a new file and rename it, as cutting a program that runs would kill that as well.
        #[allow(unsafe_code, reason = "modules and their debug information are too large to be copied into memory")]
        let map = unsafe { Mmap::map(&file) }?;
        Ok((Self { bytes: Bytes::Map(map), path: path.into() }, metadata))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Map(map) => map,
            Bytes::Memory(bytes) => bytes,
        }
    }

    /// Where it was found: a path that may mean nothing any more.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
