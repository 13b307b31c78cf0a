//! Records for what was there before sampling started: the same bytes the kernel would have written.
//!
//! They carry the time at which the events were enabled, though `/proc` is read after that: what a process maps in
//! between comes as a record too, and applying it a second time changes nothing.

use super::proc;
use crate::layout::*;
use crate::record::HEADER_LEN;
use perf_event_open_sys::bindings as sys;

/// Appends COMM records of the process's threads and MMAP2 records of its executable mappings to `out`. `false` if its
/// maps could not be read. With `replaces`, records of the process may be missing, that of an exec among them: what was
/// known of it is replaced.
pub(super) fn process(pid: u32, time: u64, replaces: bool, layout: &SampleLayout, out: &mut Vec<u8>) -> bool {
    for tid in proc::tasks(pid) {
        if let Some(comm) = proc::comm(pid, tid) {
            let mut body = ids(pid, tid);
            push_string(&mut body, &comm);
            // The main thread may have been renamed; only the program's name is that of the process.
            let is_program = replaces && tid == pid && proc::exec_names(pid).contains(&comm);
            let misc = sys::PERF_RECORD_MISC_USER | if is_program { sys::PERF_RECORD_MISC_COMM_EXEC } else { 0 };
            push_record(sys::PERF_RECORD_COMM, misc, &body, (pid, tid, time), layout, out);
        }
    }
    let Some(maps) = proc::maps(pid) else { return !proc::is_alive(pid as i32) };
    for line in maps.split(|&byte| byte == b'\n') {
        if let Some(map) = parse_map(line).filter(|map| map.protection & libc::PROT_EXEC as u32 != 0) {
            let body = mmap2_body(pid, &map);
            push_record(sys::PERF_RECORD_MMAP2, sys::PERF_RECORD_MISC_USER, &body, (pid, pid, time), layout, out);
        }
    }
    true
}

#[derive(Debug, PartialEq, Eq)]
struct Map {
    start: u64,
    end: u64,
    protection: u32,
    flags: u32,
    offset: u64,
    major: u32,
    minor: u32,
    inode: u64,
    path: Vec<u8>,
}

/// `start-end perms offset major:minor inode   path`, see proc_pid_maps(5).
fn parse_map(line: &[u8]) -> Option<Map> {
    let mut fields = line.splitn(6, |&byte| byte == b' ');
    let mut field = || fields.next().and_then(|field| str::from_utf8(field).ok());
    let (start, end) = field()?.split_once('-')?;
    let permissions = field()?.as_bytes();
    let offset = field()?;
    let (major, minor) = field()?.split_once(':')?;
    let inode = field()?;
    let path = fields.next().unwrap_or_default();
    let path = &path[path.iter().position(|&byte| byte != b' ').unwrap_or(path.len())..];
    let has = |at: usize, letter: u8, bit: i32| if permissions.get(at) == Some(&letter) { bit as u32 } else { 0 };
    Some(Map {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        protection: has(0, b'r', libc::PROT_READ) | has(1, b'w', libc::PROT_WRITE) | has(2, b'x', libc::PROT_EXEC),
        flags: has(3, b's', libc::MAP_SHARED) | has(3, b'p', libc::MAP_PRIVATE),
        offset: u64::from_str_radix(offset, 16).ok()?,
        major: u32::from_str_radix(major, 16).ok()?,
        minor: u32::from_str_radix(minor, 16).ok()?,
        inode: inode.parse().ok()?,
        // What the kernel's own records say of memory without a file.
        path: if path.is_empty() { b"//anon".to_vec() } else { unescape(path) },
    })
}

/// A newline in a path is written `\012`, and nothing else is escaped.
fn unescape(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, tail)) = rest.split_first() {
        if let Some(tail) = rest.strip_prefix(b"\\012") {
            out.push(b'\n');
            rest = tail;
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

fn ids(pid: u32, tid: u32) -> Vec<u8> {
    [pid.to_ne_bytes(), tid.to_ne_bytes()].concat()
}

fn mmap2_body(pid: u32, map: &Map) -> Vec<u8> {
    let mut body = ids(pid, pid);
    for word in [map.start, map.end.saturating_sub(map.start), map.offset] {
        body.extend(word.to_ne_bytes());
    }
    body.extend(map.major.to_ne_bytes());
    body.extend(map.minor.to_ne_bytes());
    body.extend(map.inode.to_ne_bytes());
    // The inode's generation is not in /proc.
    body.extend(0_u64.to_ne_bytes());
    body.extend(map.protection.to_ne_bytes());
    body.extend(map.flags.to_ne_bytes());
    push_string(&mut body, &map.path);
    body
}

/// NUL-terminated and padded to 8 bytes.
fn push_string(body: &mut Vec<u8>, text: &[u8]) {
    // A record's size is 16 bits; no path of the kernel is longer than a page.
    body.extend(&text[..text.len().min(4096)]);
    body.push(0);
    body.resize(body.len().next_multiple_of(8), 0);
}

fn push_record(
    kind: u32,
    misc: u32,
    body: &[u8],
    (pid, tid, time): (u32, u32, u64),
    layout: &SampleLayout,
    out: &mut Vec<u8>,
) {
    let size = HEADER_LEN + body.len() + layout.trailer_len();
    out.extend(kind.to_ne_bytes());
    out.extend((misc as u16).to_ne_bytes());
    out.extend((size as u16).to_ne_bytes());
    out.extend(body);
    if !layout.sample_id_all {
        return;
    }
    if layout.has(SAMPLE_TID) {
        out.extend(ids(pid, tid));
    }
    if layout.has(SAMPLE_TIME) {
        out.extend(time.to_ne_bytes());
    }
    let rest = SAMPLE_ID | SAMPLE_STREAM_ID | SAMPLE_CPU | SAMPLE_IDENTIFIER;
    out.resize(out.len() + (layout.sample_type & rest).count_ones() as usize * 8, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{FileId, Header, Record};

    #[test]
    fn lines_of_maps() {
        let map = parse_map(b"7f01-7f02 r-xp 00001000 fe:01 1234    /usr/lib/a b\\012c.so (deleted)").expect("a map");
        assert_eq!((map.start, map.end, map.offset), (0x7f01, 0x7f02, 0x1000));
        assert_eq!((map.major, map.minor, map.inode), (0xfe, 1, 1234));
        assert_eq!((map.protection, map.flags), (5, 2));
        assert_eq!(map.path, b"/usr/lib/a b\nc.so (deleted)");
        assert_eq!(parse_map(b"7f01-7f02 rwxs 0 00:00 0").expect("a map").path, b"//anon");
        assert_eq!(parse_map(b"nonsense"), None);
        assert_eq!(parse_map(b""), None);
    }

    /// What is made of our own process decodes to what `/proc` says of it.
    #[test]
    fn own_process() {
        let layout = SampleLayout {
            sample_type: SAMPLE_TID | SAMPLE_TIME | SAMPLE_CPU | SAMPLE_IDENTIFIER,
            sample_id_all: true,
            ..SampleLayout::default()
        };
        let pid = std::process::id();
        let mut bytes = Vec::new();
        assert!(process(pid, 77, false, &layout, &mut bytes));
        let (mut rest, mut threads, mut maps) = (bytes.as_slice(), Vec::new(), Vec::new());
        while let Some(header) = Header::peek(rest) {
            let record = Record::decode(rest, &layout).expect("is whole");
            assert_eq!(record.time(), Some(77));
            match record {
                Record::Comm(comm) => threads.push((comm.tid as u32, comm.comm.to_vec())),
                Record::Mmap2(map) => maps.push(map),
                other => panic!("{other:?}"),
            }
            rest = &rest[usize::from(header.size)..];
        }
        let name = std::fs::read(format!("/proc/{pid}/comm")).expect("own name");
        assert!(threads.contains(&(pid, name.trim_ascii_end().to_vec())), "{threads:?}");
        let here = own_process as fn() as usize as u64;
        let ours =
            maps.iter().find(|map| (map.start..map.start + map.len).contains(&here)).expect("this code is mapped");
        let exe = std::fs::read_link("/proc/self/exe").expect("own program");
        assert_eq!(ours.path, std::os::unix::ffi::OsStrExt::as_bytes(exe.as_os_str()));
        let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(exe).expect("own program"));
        assert!(matches!(ours.file, FileId::Inode { inode: found, .. } if found == inode));
        assert!(maps.iter().any(|map| map.path == b"[vdso]"));
        assert!(maps.iter().all(|map| map.protection & 4 != 0));
    }
}
