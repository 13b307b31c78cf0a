//! Where the files of modules are.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::recording::{CodeKind, ModuleRow};

/// Finds the files that a recording's modules and their debug information are in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FileFinder {
    /// The machine (and boot) that was recorded: what the process really mapped if it still runs and that is permitted,
    /// else the path in its mount namespace, else the path.
    ThisMachine,
    /// A folder with a copy of the recorded machine's files, such as an image's root.
    Root(PathBuf),
    /// These files only, by the path that was recorded.
    Only(HashMap<PathBuf, PathBuf>),
    /// Several places at once.
    Places(Places),
}

/// Places to look in. What is found is taken only if its build-id is the recorded one; without a recorded one the first
/// file of the name is taken. Debug information is found by build-id or checksum only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Folders that perf keeps files in by build-id, such as `~/.debug`: `.build-id/ab/cdef…/{elf,vdso,kallsyms,vmlinux}`
    /// (before Linux 4.9 `.build-id/ab/cdef…` itself is the file).
    pub build_id_caches: Vec<PathBuf>,
    /// Folders with debug files: laid out like `/usr/lib/debug` (`.build-id/ab/cdef….debug`, and paths), or just holding
    /// files by their names. Modules themselves are looked for here, too.
    pub debug_folders: Vec<PathBuf>,
    /// Folders that stand for the recorded machine's `/`.
    pub roots: Vec<PathBuf>,
    /// What this machine has: see [`OwnFiles`].
    pub own: OwnFiles,
    /// Texts like `/proc/kallsyms`, of the recorded kernel.
    pub kallsyms: Vec<PathBuf>,
    /// Kernels with symbols (ELF), to be taken if their build-id is the recorded kernel's.
    pub vmlinux: Vec<PathBuf>,
}

/// How far this machine's own files are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnFiles {
    /// Not at all: what was recorded is another machine.
    #[default]
    No,
    /// By path and build-id, but not through processes: what ran has ended.
    Files,
    /// The recorded processes may run still.
    Running,
}

/// Where a file may be, and how sure it is that it is the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    /// It is the mapped file itself, whatever its name is now.
    pub(crate) exact: bool,
    /// It lies where only its build-id, which must be known, can tell that it is the right one.
    pub(crate) by_build_id: bool,
}

impl Candidate {
    pub(crate) fn by_name(path: PathBuf) -> Self {
        Self { path, exact: false, by_build_id: false }
    }

    fn by_build_id(path: PathBuf) -> Self {
        Self { path, exact: false, by_build_id: true }
    }
}

/// The folder of system-wide debug files.
const DEBUG: &str = "/usr/lib/debug";

impl FileFinder {
    /// Files that may be this module's, best first. `tid` is another thread of its process, whose main thread may be
    /// gone.
    pub(crate) fn candidates(&self, module: &ModuleRow, tid: Option<i32>) -> Vec<Candidate> {
        let path = Path::new(OsStr::from_bytes(&module.path));
        let named = bare(&module.path);
        match self {
            Self::ThisMachine => running(module, tid).into_iter().chain([Candidate::by_name(named.into())]).collect(),
            Self::Root(root) => vec![Candidate::by_name(below(root, named))],
            Self::Only(files) => files.get(path).cloned().map(Candidate::by_name).into_iter().collect(),
            Self::Places(places) => places.candidates(module, tid),
        }
    }

    /// Files that may hold the debug information of a file with this build-id and debug link (a name; its own path tells
    /// where to look for it).
    pub(crate) fn debug_files(&self, module: &ModuleRow, build_id: Option<&[u8]>, link: Option<&OsStr>) -> DebugFiles {
        let mut files = DebugFiles::default();
        let folders = self.debug_folders();
        if let Some(id) = build_id.and_then(BuildIdPath::new) {
            files.by_id.extend(folders.iter().map(|folder| folder.join(id.debug())));
            if let Self::Places(places) = self {
                files.by_id.extend(places.build_id_caches.iter().map(|cache| cache.join(id.folder()).join("debug")));
            }
        }
        // A file name, and no path that leads elsewhere.
        let link = link.map(Path::new).filter(|link| link.file_name() == Some(link.as_os_str()));
        if let (Some(link), Some(folder)) = (link, bare(&module.path).parent()) {
            for path in [folder.join(link), folder.join(".debug").join(link)] {
                let row = ModuleRow { path: path.as_os_str().as_bytes().into(), start: 0, end: 0, ..module.clone() };
                let beside = self.candidates(&row, None).into_iter().filter(|candidate| !candidate.exact);
                files.by_link.extend(beside.map(|candidate| candidate.path));
            }
            files.by_link.extend(folders.iter().map(|kept| below(kept, folder).join(link)));
            files.by_link.extend(folders.iter().map(|kept| kept.join(link)));
        }
        if let Some(name) = bare(&module.path).file_name() {
            let mut debug = name.to_owned();
            debug.push(".debug");
            files.by_id.extend(folders.iter().map(|kept| kept.join(&debug)));
        }
        files
    }

    /// Folders laid out like `/usr/lib/debug`.
    fn debug_folders(&self) -> Vec<PathBuf> {
        match self {
            Self::ThisMachine => vec![DEBUG.into()],
            Self::Root(root) => vec![below(root, Path::new(DEBUG))],
            Self::Only(_) => Vec::new(),
            Self::Places(places) => {
                let given =
                    places.debug_folders.iter().flat_map(|given| [given.clone(), below(given, Path::new(DEBUG))]);
                let roots = places.roots.iter().map(|root| below(root, Path::new(DEBUG)));
                given.chain(roots).chain((places.own != OwnFiles::No).then(|| DEBUG.into())).collect()
            }
        }
    }

    /// Roots of the recorded machine's files.
    pub(crate) fn roots(&self) -> Vec<PathBuf> {
        match self {
            Self::ThisMachine => vec!["/".into()],
            Self::Root(root) => vec![root.clone()],
            Self::Only(_) => Vec::new(),
            Self::Places(places) => {
                let own = (places.own != OwnFiles::No).then(|| "/".into());
                places.roots.iter().cloned().chain(own).collect()
            }
        }
    }

    /// The map of a process's run-time code, where one is given.
    pub(crate) fn jit_map(&self, pid: i32) -> Option<PathBuf> {
        let Self::Only(files) = self else { return None };
        files.get(Path::new(&format!("/tmp/perf-{pid}.map"))).cloned()
    }

    /// Whether addresses and pids may still mean here what they meant when it was recorded.
    pub(crate) fn is_this_machine(&self) -> bool {
        match self {
            Self::ThisMachine => true,
            Self::Places(places) => places.own != OwnFiles::No,
            Self::Root(_) | Self::Only(_) => false,
        }
    }

    /// Whether processes that were recorded may run still.
    pub(crate) fn may_run(&self) -> bool {
        match self {
            Self::ThisMachine => true,
            Self::Places(places) => places.own == OwnFiles::Running,
            Self::Root(_) | Self::Only(_) => false,
        }
    }

    /// ELF notes of the kernel that runs here.
    pub(crate) fn kernel_notes(&self) -> Option<PathBuf> {
        self.is_this_machine().then(|| "/sys/kernel/notes".into())
    }

    /// Texts with the kernel's symbols, best first. `build_id` is the recorded kernel's, if it is known.
    pub(crate) fn kallsyms(&self, build_id: &[u8]) -> Vec<PathBuf> {
        let own = || PathBuf::from(KALLSYMS);
        match self {
            Self::ThisMachine => vec![own()],
            Self::Root(root) => vec![below(root, &own())],
            Self::Only(files) => files.get(Path::new("[kernel.kallsyms]")).cloned().into_iter().collect(),
            Self::Places(places) => {
                let roots = places.roots.iter().map(|root| below(root, &own()));
                let here = (places.own != OwnFiles::No).then(own);
                places
                    .kallsyms
                    .iter()
                    .cloned()
                    .chain(places.cached(build_id, "kallsyms"))
                    .chain(roots)
                    .chain(here)
                    .collect()
            }
        }
    }

    /// Kernels with symbols: they are right if their build-id is the recorded one.
    pub(crate) fn vmlinux(&self, build_id: &[u8]) -> Vec<PathBuf> {
        let Self::Places(places) = self else { return Vec::new() };
        let Some(id) = BuildIdPath::new(build_id) else { return places.vmlinux.clone() };
        let kept = self.debug_folders().into_iter().map(|folder| folder.join(id.debug()));
        places.vmlinux.iter().cloned().chain(places.cached(build_id, "vmlinux")).chain(kept).collect()
    }
}

/// Where the kernel that runs here tells its symbols.
pub(crate) const KALLSYMS: &str = "/proc/kallsyms";

impl Places {
    fn candidates(&self, module: &ModuleRow, tid: Option<i32>) -> Vec<Candidate> {
        let named = bare(&module.path);
        let mut found = Vec::new();
        let what = if module.kind == CodeKind::Vdso { "vdso" } else { "elf" };
        found.extend(self.cached(&module.build_id, what).map(Candidate::by_build_id));
        if let Some(id) = BuildIdPath::new(&module.build_id) {
            let folders = self.debug_folders.iter().chain(&self.roots).map(|folder| folder.join(id.folder()));
            found.extend(folders.map(Candidate::by_build_id));
        }
        found.extend(self.roots.iter().map(|root| Candidate::by_name(below(root, named))));
        for folder in &self.debug_folders {
            found.push(Candidate::by_name(below(folder, named)));
            found.extend(named.file_name().map(|name| Candidate::by_name(folder.join(name))));
        }
        if self.own == OwnFiles::Running {
            found.extend(running(module, tid));
        }
        if self.own != OwnFiles::No {
            found.push(Candidate::by_name(named.into()));
        }
        found
    }

    /// What perf's caches have of a build-id.
    fn cached(&self, build_id: &[u8], what: &'static str) -> impl Iterator<Item = PathBuf> {
        let folder = BuildIdPath::new(build_id).map(|id| id.folder());
        let folders = self.build_id_caches.iter().flat_map(move |cache| folder.as_ref().map(|id| cache.join(id)));
        folders.flat_map(move |folder| [folder.join(what), folder])
    }
}

/// Files that may hold a module's debug information, best first.
#[derive(Debug, Default)]
pub(crate) struct DebugFiles {
    /// To be taken if their build-id is the module's.
    pub(crate) by_id: Vec<PathBuf>,
    /// To be taken if their checksum is that of the link.
    pub(crate) by_link: Vec<PathBuf>,
}

/// A build-id as file names: `.build-id/ab/cdef…`.
struct BuildIdPath(String);

impl BuildIdPath {
    fn new(id: &[u8]) -> Option<Self> {
        // Shorter ones are none.
        (id.len() >= 4).then(|| Self(id.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    fn folder(&self) -> PathBuf {
        Path::new(".build-id").join(&self.0[..2]).join(&self.0[2..])
    }

    fn debug(&self) -> PathBuf {
        self.folder().with_extension("debug")
    }
}

/// The path without what the kernel adds when the file is deleted.
pub(crate) fn bare(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path.strip_suffix(b" (deleted)").unwrap_or(path)))
}

/// A module's file as its process has it, if that still runs: what is mapped, or the path in its mount namespace.
fn running(module: &ModuleRow, tid: Option<i32>) -> Vec<Candidate> {
    let path = Path::new(OsStr::from_bytes(&module.path));
    let process = PathBuf::from(format!("/proc/{}", module.pid));
    let mapped = process.join(format!("map_files/{:x}-{:x}", module.start, module.end));
    // The pid or the address may mean something else by now: the link tells.
    let same = |link: &PathBuf| std::fs::read_link(link).is_ok_and(|target| target == path);
    let links = [mapped, process.join("exe")].into_iter().filter(same);
    let mut found: Vec<Candidate> = links.map(|path| Candidate { path, exact: true, by_build_id: false }).collect();
    let threads = tid.filter(|tid| *tid != module.pid).map(|tid| process.join(format!("task/{tid}/root")));
    found.extend(
        [process.join("root")]
            .into_iter()
            .chain(threads)
            .map(|root| Candidate::by_name(below(&root, bare(&module.path)))),
    );
    found
}

/// `path` below `root`, whether or not it starts with a slash.
pub(crate) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
