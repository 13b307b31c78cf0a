//! What `/proc` tells about a process that runs already.

use std::path::Path;

use crate::Error;
use crate::recorder::{FileId, Mapped};

/// A process as `/proc` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessMaps {
    /// Its pid.
    pub pid: i32,
    /// The text of `/proc/PID/maps`.
    pub maps: Vec<u8>,
    /// Its threads: tid and name.
    pub threads: Vec<(i32, Vec<u8>)>,
}

impl ProcessMaps {
    /// Reads it from a folder such as `/proc/123`. Never stops the process. Threads that end meanwhile are left out.
    ///
    /// # Errors
    /// If the process is gone, or the maps may not be read.
    pub fn read(folder: &Path, pid: i32) -> Result<Self, Error> {
        let at = |name: &str| folder.join(name);
        let error = |path: &Path, source| Error::Process { path: path.into(), source };
        let tasks = at("task");
        let mut threads: Vec<(i32, Vec<u8>)> = Vec::new();
        for entry in std::fs::read_dir(&tasks).map_err(|source| error(&tasks, source))? {
            let Ok(entry) = entry else { continue };
            let tid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let (Some(tid), Ok(comm)) = (tid, std::fs::read(entry.path().join("comm"))) {
                threads.push((tid, comm.strip_suffix(b"\n").unwrap_or(&comm).to_vec()));
            }
        }
        threads.sort();
        let path = at("maps");
        let mut maps = std::fs::read(&path).map_err(|source| error(&path, source))?;
        if maps.is_empty() {
            // The main thread has ended while others go on: only their folders show the maps then.
            let others = threads.iter().map(|(tid, _)| tasks.join(tid.to_string()).join("maps"));
            maps = others.filter_map(|path| std::fs::read(path).ok()).find(|maps| !maps.is_empty()).unwrap_or_default();
        }
        Ok(Self { pid, maps, threads })
    }
}

/// The executable mappings in the text of `/proc/PID/maps` (`proc_pid_maps(5)`). Lines that make no sense are skipped.
pub fn parse_maps(text: &[u8]) -> impl Iterator<Item = Mapped<'_>> {
    text.split(|byte| *byte == b'\n').filter_map(parse_line)
}

fn parse_line(line: &[u8]) -> Option<Mapped<'_>> {
    let mut rest = line;
    let mut field = || {
        let length = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let (field, after) = rest.split_at(length);
        rest = after.strip_prefix(b" ").unwrap_or(after);
        std::str::from_utf8(field).ok().filter(|field| !field.is_empty())
    };
    let hex = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let (start, end) = field()?.split_once('-')?;
    let (start, end) = (hex(start)?, hex(end)?);
    let executable = field()?.as_bytes().get(2) == Some(&b'x');
    let offset = hex(field()?)?;
    let (major, minor) = field()?.split_once(':')?;
    let device = (u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
    let inode = field()?.parse().ok()?;
    if !executable || start >= end {
        return None;
    }
    let path = rest.trim_ascii_start();
    let file = FileId { device, inode, build_id: &[] };
    Some(Mapped { start, end, offset, file, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps_are_read() {
        let text = b"55d0c8c00000-55d0c8c02000 r--p 00000000 08:01 131 /usr/bin/cat\n\
            55d0c8c02000-55d0c8c07000 r-xp 00002000 08:01 131                        /usr/bin/my cat (deleted)\n\
            7f00-8f00 r-xp 00000000 00:00 0 \n\
            ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n\
            rubbish\n1-2\n9-8 r-xp 0 0:0 0\n";
        let maps: Vec<_> = parse_maps(text).collect();
        assert_eq!(maps.len(), 3);
        let file = FileId { device: (8, 1), inode: 131, build_id: &[] };
        let path = b"/usr/bin/my cat (deleted)".as_slice();
        assert_eq!(maps[0], Mapped { start: 0x55d0c8c02000, end: 0x55d0c8c07000, offset: 0x2000, file, path });
        assert_eq!((maps[1].path, maps[2].path), (b"".as_slice(), b"[vsyscall]".as_slice()));
    }

    #[test]
    fn our_own_process_is_read() {
        let own = ProcessMaps::read(Path::new("/proc/self"), std::process::id() as i32).unwrap();
        let here = our_own_process_is_read as fn() as usize as u64;
        assert!(parse_maps(&own.maps).any(|map| (map.start..map.end).contains(&here)));
        assert!(own.threads.iter().any(|(tid, name)| *tid == own.pid && !name.is_empty()));
    }

    #[test]
    fn a_process_that_is_gone_is_an_error_that_names_the_file() {
        let error = ProcessMaps::read(Path::new("/proc/0"), 0).unwrap_err();
        assert!(error.to_string().contains("/proc/0/task"), "{error}");
    }
}
