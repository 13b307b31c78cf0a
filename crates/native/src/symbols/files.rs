//! Where the files of modules are.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::recording::ModuleRow;

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
}

/// Where a file may be, and how sure it is that it is the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    /// It is the mapped file itself, whatever its name is now.
    pub(crate) exact: bool,
}

impl FileFinder {
    /// Files that may be this module's, best first.
    pub(crate) fn candidates(&self, module: &ModuleRow) -> Vec<Candidate> {
        let path = Path::new(OsStr::from_bytes(&module.path));
        let by_name = |path: PathBuf| Candidate { path, exact: false };
        let bare = module.path.strip_suffix(b" (deleted)").map(|path| Path::new(OsStr::from_bytes(path)));
        match self {
            Self::ThisMachine => {
                let process = PathBuf::from(format!("/proc/{}", module.pid));
                let mapped = process.join(format!("map_files/{:x}-{:x}", module.start, module.end));
                // The pid or the address may mean something else by now: the link tells.
                let same = |link: &PathBuf| std::fs::read_link(link).is_ok_and(|target| target == path);
                let links = [mapped, process.join("exe")].into_iter().filter(same);
                let links = links.map(|path| Candidate { path, exact: true });
                let named = bare.unwrap_or(path);
                links.chain([by_name(below(&process.join("root"), named)), by_name(named.into())]).collect()
            }
            Self::Root(root) => vec![by_name(below(root, bare.unwrap_or(path)))],
            Self::Only(files) => files.get(path).cloned().map(by_name).into_iter().collect(),
        }
    }

    /// Folders laid out like `/usr/lib/debug`.
    pub(crate) fn debug_folders(&self) -> Vec<PathBuf> {
        match self {
            Self::ThisMachine => vec!["/usr/lib/debug".into()],
            Self::Root(root) => vec![root.join("usr/lib/debug")],
            Self::Only(_) => Vec::new(),
        }
    }

    /// ELF notes of the kernel.
    pub(crate) fn kernel_notes(&self) -> Option<PathBuf> {
        matches!(self, Self::ThisMachine).then(|| "/sys/kernel/notes".into())
    }

    /// The kernel's symbols.
    pub(crate) fn kallsyms(&self) -> Option<PathBuf> {
        match self {
            Self::ThisMachine => Some("/proc/kallsyms".into()),
            Self::Root(root) => Some(root.join("proc/kallsyms")),
            Self::Only(files) => files.get(Path::new("[kernel.kallsyms]")).cloned(),
        }
    }
}

/// `path` below `root`, whether or not it starts with a slash.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// A module's file in memory.
#[derive(Debug)]
pub(crate) struct Mapped {
    map: Mmap,
    pub(crate) metadata: Metadata,
}

impl Mapped {
    /// Maps a regular file. A device or a pipe of that name is neither opened for long nor waited for.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(std::io::Error::other("not a regular file"));
        }
        // SAFETY: the map is read-only. Should the file be cut while it is read, the process gets a SIGBUS: linkers and
        // package managers write a new file and rename it, as cutting a program that runs would kill that as well.
        #[allow(unsafe_code, reason = "modules and their debug information are too large to be copied into memory")]
        let map = unsafe { Mmap::map(&file) }?;
        Ok(Self { map, metadata })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Whether this is surely another file than the one that was mapped: another inode on the same device. Overlay and
    /// btrfs show other devices to `stat` than to `mmap`: there nothing can be told.
    pub(crate) fn replaced(&self, module: &ModuleRow) -> bool {
        let device = libc::makedev(module.device.0, module.device.1);
        module.inode != 0 && self.metadata.dev() == device && self.metadata.ino() != module.inode
    }
}
