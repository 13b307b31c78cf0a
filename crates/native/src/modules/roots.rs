//! File trees that are not ours: of processes in other mount namespaces, or with another root.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhash::fast::RandomState;

/// Trees that are held at most, and at most a quarter of the descriptors there may be.
const MOST_HELD: usize = 128;

/// The roots of processes, held so that what they see stays in reach when they are gone.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// `None` for processes that see what we see.
    processes: HashMap<i32, Option<Arc<Root>>, RandomState>,
    trees: Vec<Arc<Root>>,
    own: Option<Tree>,
    most: Option<usize>,
}

/// What tells trees apart: the mount namespace, and the root's device and inode.
type Tree = (PathBuf, u64, u64);

#[derive(Debug)]
struct Root {
    tree: Tree,
    folder: File,
}

impl Roots {
    /// Takes in what a process sees, once: when a sample first meets it, or it has executed another program (`again`).
    pub(super) fn note(&mut self, pid: i32, tid: i32, again: bool) {
        if !again && self.processes.contains_key(&pid) {
            return;
        }
        let own = self.own.get_or_insert_with(|| tree(Path::new("/proc/self")).unwrap_or_default()).clone();
        let process = PathBuf::from(format!("/proc/{pid}"));
        let seen = [process.join(format!("task/{tid}")), process];
        let Some((at, tree)) = seen.into_iter().find_map(|at| tree(&at).map(|tree| (at, tree))) else { return };
        let root = if tree == own { None } else { self.hold(&at, tree) };
        self.processes.insert(pid, root);
    }

    /// A child sees what its parent sees.
    pub(super) fn forked(&mut self, child: i32, parent: i32) {
        match self.processes.get(&parent).cloned() {
            Some(root) => _ = self.processes.insert(child, root),
            None => _ = self.processes.remove(&child),
        }
    }

    /// The root of a process, as a path.
    pub(super) fn path(&self, pid: i32) -> Option<PathBuf> {
        let root = self.processes.get(&pid)?.as_ref()?;
        Some(PathBuf::from(format!("/proc/self/fd/{}", root.folder.as_raw_fd())))
    }

    fn hold(&mut self, at: &Path, tree: Tree) -> Option<Arc<Root>> {
        if let Some(root) = self.trees.iter().find(|root| root.tree == tree) {
            return Some(root.clone());
        }
        if self.trees.len() >= *self.most.get_or_insert_with(most) {
            return None;
        }
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let folder = File::options().read(true).custom_flags(flags).open(at.join("root")).ok()?;
        let root = Arc::new(Root { tree, folder });
        self.trees.push(root.clone());
        Some(root)
    }
}

/// What a process, at its folder in `/proc`, sees.
fn tree(at: &Path) -> Option<Tree> {
    let namespace = std::fs::read_link(at.join("ns/mnt")).ok()?;
    let root = std::fs::metadata(at.join("root")).ok()?;
    Some((namespace, root.dev(), root.ino()))
}

fn most() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    MOST_HELD.min(soft.unwrap_or(256) / 4)
}
