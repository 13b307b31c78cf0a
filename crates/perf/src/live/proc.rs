//! What `/proc` says about processes. A process can go at any time: then the answer is `None` or what was left of it.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};

/// What is needed to know of a process before sampling it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    /// The process that this id belongs to: differs from the id for a thread.
    pub(super) tgid: u32,
    /// Real user.
    pub(super) uid: u32,
    /// It has exited.
    pub(super) is_zombie: bool,
}

/// The status of a process or thread.
pub(super) fn status(pid: u32) -> Option<Status> {
    let text = read_text(&format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    Some(Status {
        tgid: field("Tgid:")?.parse().ok()?,
        uid: field("Uid:")?.split_whitespace().next()?.parse().ok()?,
        is_zombie: field("State:")?.starts_with(['Z', 'X']),
    })
}

/// Whether the process still runs: a zombie does not, unless threads of it go on after its main thread.
pub(super) fn is_alive(pid: i32) -> bool {
    let Ok(pid) = u32::try_from(pid) else { return false };
    match status(pid) {
        None => false,
        Some(status) if !status.is_zombie => true,
        Some(_) => tasks(pid).iter().any(|&tid| tid != pid && status(tid).is_some_and(|thread| !thread.is_zombie)),
    }
}

/// The ids of a process's threads, in the kernel's order (main thread first).
pub(crate) fn tasks(pid: u32) -> Vec<u32> {
    numbers(&format!("/proc/{pid}/task"))
}

/// The ids of all processes.
pub(super) fn processes() -> Vec<u32> {
    numbers("/proc")
}

/// All processes below `roots`, children of children included, without the roots themselves.
pub(crate) fn descendants(roots: &[u32]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in processes() {
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut todo = roots.to_vec();
    while let Some(pid) = todo.pop() {
        // Removal ends it even if `/proc` changed into a ring while it was read.
        for child in children.remove(&pid).unwrap_or_default() {
            if !roots.contains(&child) {
                found.push(child);
            }
            todo.push(child);
        }
    }
    found
}

/// The parent's id: the second field after the name in parentheses, which may itself contain any character.
fn parent(pid: u32) -> Option<u32> {
    let text = read_text(&format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The name of a thread, as bytes without the newline.
pub(super) fn comm(pid: u32, tid: u32) -> Option<Vec<u8>> {
    let mut name = fs::read(format!("/proc/{pid}/task/{tid}/comm")).ok()?;
    if name.last() == Some(&b'\n') {
        name.pop();
    }
    Some(name)
}

/// The names that an exec may have given a process's main thread: those of its program and, if that is a link or a
/// script, of its first words.
pub(super) fn exec_names(pid: u32) -> Vec<Vec<u8>> {
    use std::os::unix::ffi::OsStringExt as _;
    let program = fs::read_link(format!("/proc/{pid}/exe")).map(|path| path.into_os_string().into_vec());
    let program = program.unwrap_or_default();
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = words.split(|&byte| byte == 0).take(2);
    let paths = std::iter::once(program.strip_suffix(b" (deleted)").unwrap_or(&program)).chain(words);
    let names = paths.filter_map(|path| path.rsplit(|&byte| byte == b'/').next()).filter(|name| !name.is_empty());
    // A thread's name has room for so many bytes.
    names.map(|name| name[..name.len().min(15)].to_vec()).collect()
}

/// `/proc/PID/maps`, or that of a thread that is left when the main thread is gone.
pub(super) fn maps(pid: u32) -> Option<Vec<u8>> {
    let text = fs::read(format!("/proc/{pid}/maps")).ok().filter(|text| !text.is_empty());
    text.or_else(|| tasks(pid).iter().find_map(|tid| fs::read(format!("/proc/{pid}/task/{tid}/maps")).ok()))
}

/// The CPUs that are online, from the kernel's list (`0-3,8`).
pub(super) fn online_cpus() -> io::Result<Vec<i32>> {
    let text = read_text("/sys/devices/system/cpu/online")?;
    let cpus = parse_cpu_list(text.trim());
    cpus.filter(|cpus| !cpus.is_empty()).ok_or_else(|| io::Error::other(format!("not a list of CPUs: {text:?}")))
}

fn parse_cpu_list(text: &str) -> Option<Vec<i32>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (i32, i32) = (first.parse().ok()?, last.parse().ok()?);
        // No kernel has more than 8192 CPUs; this only bounds a damaged file.
        cpus.extend((first..=last).take(1 << 16));
    }
    Some(cpus)
}

fn numbers(folder: &str) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn read_text(path: &str) -> io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.read_to_end(&mut bytes)?;
    // A process may have any bytes in its name.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        assert_eq!(parse_cpu_list("0"), Some(vec![0]));
        assert_eq!(parse_cpu_list("0-2,5,7-8"), Some(vec![0, 1, 2, 5, 7, 8]));
        assert_eq!(parse_cpu_list(""), None);
        assert_eq!(parse_cpu_list("a-b"), None);
        assert_eq!(
            online_cpus().expect("sysfs is mounted").len(),
            std::thread::available_parallelism().map_or(1, usize::from)
        );
    }

    #[test]
    fn own_process() {
        let pid = std::process::id();
        let own = status(pid).expect("own status");
        assert_eq!((own.tgid, own.is_zombie), (pid, false));
        assert!(is_alive(pid as i32));
        assert!(tasks(pid).contains(&pid));
        assert!(!is_alive(0x7fff_fff0));
        assert!(descendants(&[std::os::unix::process::parent_id()]).contains(&pid));
    }
}
