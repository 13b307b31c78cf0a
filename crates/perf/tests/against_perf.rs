//! The decoder against perf's own account (`perf script -D`) of the same records: every record of `fixtures/perfdata`,
//! every field that perf prints.

use burnmark_perf::record::{
    FileId, Header, Mmap, Mmap2, Namespaces, Read, Record, RegisterAbi, Registers, Sample, SampleLayout, Task,
};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;

/// What is needed of a perf.data file: see `tools/perf/Documentation/perf.data-file-format.txt` in the kernel's tree.
struct PerfData {
    bytes: Vec<u8>,
    layouts: Vec<SampleLayout>,
    /// Event id → index of its layout.
    events: HashMap<u64, usize>,
    data: std::ops::Range<usize>,
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/perfdata").join(name)
}

fn open(name: &str) -> PerfData {
    let bytes = std::fs::read(fixture(&format!("{name}.data"))).expect("fixture is there");
    assert_eq!(&bytes[..8], b"PERFILE2");
    let word = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes")) as usize;
    let (attr_size, attrs, attrs_len) = (word(16), word(24), word(32));
    let (mut layouts, mut events) = (Vec::new(), HashMap::new());
    for at in (attrs..attrs + attrs_len).step_by(attr_size) {
        let (ids, ids_len) = (word(at + attr_size - 16), word(at + attr_size - 8));
        events.extend((ids..ids + ids_len).step_by(8).map(|id| (word(id) as u64, layouts.len())));
        layouts.push(SampleLayout::from_attr_bytes(&bytes[at..at + attr_size - 16]).expect("attr is whole"));
    }
    let data = word(40)..word(40) + word(48);
    PerfData { bytes, layouts, events, data }
}

impl PerfData {
    /// (offset in the file, bytes, layout) of each record.
    fn records(&self) -> impl Iterator<Item = (usize, &[u8], &SampleLayout)> {
        let mut at = self.data.start;
        std::iter::from_fn(move || {
            let rest = self.bytes.get(at..self.data.end).filter(|rest| !rest.is_empty())?;
            let record = &rest[..usize::from(Header::peek(rest)?.size)];
            let first = &self.layouts[0];
            let event = first.peek_id(record).and_then(|id| self.events.get(&id));
            let found = (at, record, event.map_or(first, |&index| &self.layouts[index]));
            at += record.len();
            Some(found)
        })
    }
}

/// perf's account: offset of the record → its lines, without time, offset and details perf alone knows.
fn account(name: &str, has_cpu: bool) -> BTreeMap<usize, (u64, String)> {
    let text = std::fs::read_to_string(fixture(&format!("{name}.dump"))).expect("fixture is there");
    let mut account = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if line.starts_with(|first: char| first.is_ascii_digit()) {
            let line = if has_cpu { line.split_once(' ').expect("a CPU number").1 } else { line };
            let mut words = line.splitn(4, ' ');
            let mut word = || words.next().expect("time, offset, size and text");
            let time: u64 = word().parse().expect("a time");
            let at = usize::from_str_radix(&word()[2..], 16).expect("an offset");
            let (size, text) = (word(), word());
            current = Some(at);
            account.insert(at, (time, format!("{size} {}\n", text.trim())));
        } else if let Some(at) = current {
            let entry: &mut (u64, String) = account.get_mut(&at).expect("was inserted");
            let _ = writeln!(entry.1, "{}", line.trim());
        }
    }
    account.retain(|_, (_, text)| {
        let own = ["ID_INDEX", "EVENT_UPDATE", "THREAD_MAP", "CPU_MAP", "FINISHED", "TIME_CONV"];
        !own.iter().any(|kind| text.contains(&format!("PERF_RECORD_{kind}")))
    });
    account
}

/// A record in perf's words (`tools/perf/util/event.c` and `session.c`).
fn in_perfs_words(bytes: &[u8], layout: &SampleLayout) -> Option<(u64, String)> {
    let record = Record::decode(bytes, layout).unwrap_or_else(|error| panic!("{error}"));
    let task =
        |name: &str, t: &Task| format!("PERF_RECORD_{name}({}:{}):({}:{})", t.pid, t.tid, t.parent_pid, t.parent_tid);
    let text = match &record {
        Record::Unknown { .. } => return None,
        Record::Sample(sample) => sample_in_perfs_words(sample, bytes),
        Record::Mmap(map) => mmap_in_perfs_words(map),
        Record::Mmap2(map) => mmap2_in_perfs_words(map),
        Record::Comm(comm) => {
            let exec = if comm.is_exec { " exec" } else { "" };
            let name = String::from_utf8_lossy(comm.comm);
            format!("PERF_RECORD_COMM{exec}: {name}:{}/{}", comm.pid, comm.tid)
        }
        Record::Fork(fork) => task("FORK", fork),
        Record::Exit(exit) => task("EXIT", exit),
        Record::Switch(switch) => {
            let preempt = if switch.is_preempted { " preempt" } else { "" };
            format!("PERF_RECORD_SWITCH {}{preempt}", if switch.is_out { "OUT" } else { "IN" })
        }
        Record::Namespaces(namespaces) => namespaces_in_perfs_words(namespaces),
        Record::Cgroup(cgroup) => {
            format!("PERF_RECORD_CGROUP cgroup: {} {}", cgroup.cgroup, String::from_utf8_lossy(cgroup.path))
        }
        Record::Read(read) => read_in_perfs_words(read),
        other => panic!("no fixture has {other:?}"),
    };
    let time = record.time().unwrap_or(0);
    let lines: String = text.lines().map(|line| format!("{}\n", line.trim())).collect();
    Some((time, format!("[{:#x}]: {lines}", bytes.len())))
}

fn mmap_in_perfs_words(map: &Mmap<'_>) -> String {
    let (start, len, offset) = (map.start, map.len, hex(map.offset));
    let path = String::from_utf8_lossy(map.path);
    let kind = if map.is_data { 'r' } else { 'x' };
    format!("PERF_RECORD_MMAP {}/{}: [{start:#x}({len:#x}) @ {offset}]: {kind} {path}", map.pid, map.tid)
}

fn mmap2_in_perfs_words(map: &Mmap2<'_>) -> String {
    let file = match map.file {
        FileId::Inode { major, minor, inode, generation } => format!("{major:02x}:{minor:02x} {inode} {generation}"),
        FileId::BuildId(id) => format!("<{}>", id.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    };
    let letter = |bit: u32, letter: char| if map.protection & bit != 0 { letter } else { '-' };
    let shared = if map.flags & 1 != 0 { 's' } else { 'p' };
    format!(
        "PERF_RECORD_MMAP2 {}/{}: [{:#x}({:#x}) @ {} {file}]: {}{}{}{shared} {}",
        map.pid,
        map.tid,
        map.start,
        map.len,
        hex(map.offset),
        letter(1, 'r'),
        letter(2, 'w'),
        letter(4, 'x'),
        String::from_utf8_lossy(map.path)
    )
}

fn namespaces_in_perfs_words(namespaces: &Namespaces<'_>) -> String {
    let links: Vec<_> = namespaces.links().collect();
    let link = |at: usize, name: &str| format!("{at}/{name}: {}/{:#x}", links[at].0, links[at].1);
    format!(
        "PERF_RECORD_NAMESPACES {}/{} - nr_namespaces: {}\n[{}, {}, {}, {}, \n{}, {}, {}]",
        namespaces.pid,
        namespaces.tid,
        links.len(),
        link(0, "net"),
        link(1, "uts"),
        link(2, "ipc"),
        link(3, "pid"),
        link(4, "user"),
        link(5, "mnt"),
        link(6, "cgroup")
    )
}

fn read_in_perfs_words(read: &Read<'_>) -> String {
    let value = read.values.values().next().expect("one value");
    format!(
        "PERF_RECORD_READ: {} {} EVENT {}\n... time enabled : {}\n... time running : {}\n... id           : {}\n... lost         : {}",
        read.pid,
        read.tid,
        value.value,
        read.values.time_enabled.unwrap_or(0),
        read.values.time_running.unwrap_or(0),
        value.id.expect("id is asked for"),
        value.lost.expect("lost is asked for")
    )
}

fn sample_in_perfs_words(sample: &Sample<'_>, record: &[u8]) -> String {
    let (pid, tid) = (sample.pid.expect("TID is asked for"), sample.tid.expect("TID is asked for"));
    let mut text = format!(
        "PERF_RECORD_SAMPLE(IP, {:#x}): {pid}/{tid}: {:#x} period: PERIOD addr: {}\n",
        sample.misc,
        sample.ip.expect("IP is asked for"),
        hex(sample.addr.unwrap_or(0))
    );
    for (at, word) in sample.callchain.iter().flat_map(|chain| chain.words.iter()).enumerate() {
        let _ = writeln!(text, "..... {at:2}: {word:016x}");
    }
    for (name, registers) in [("user", &sample.regs_user), ("intr", &sample.regs_intr)] {
        if let Some(registers) = registers.filter(|registers| registers.abi != RegisterAbi::None) {
            registers_in_perfs_words(name, &registers, &mut text);
        }
    }
    if let Some(stack) = sample.stack_user {
        // perf counts from the size in front of the copy.
        let offset = stack.as_ptr() as usize - 8 - record.as_ptr() as usize;
        let _ = writeln!(text, "... ustack: size {}, offset {offset:#x}", stack.len());
    }
    if let Some(weight) = sample.weight {
        let _ = writeln!(text, "... weight: {},{:#x},{:#x}", weight as u32, weight >> 32 & 0xffff, weight >> 48);
    }
    if let Some(source) = sample.data_src {
        let _ = writeln!(text, ". data_src: {source:#x}");
    }
    if let Some(address) = sample.phys_addr {
        let _ = writeln!(text, ".. phys_addr: {address:#x}");
    }
    if let Some(read) = &sample.read {
        let values: Vec<_> = read.values().collect();
        let _ = writeln!(text, ".... group nr {}", values.len());
        for value in values {
            let (id, lost) = (value.id.expect("id is asked for"), value.lost.expect("lost is asked for"));
            let _ = writeln!(text, "..... id {id:016x}, value {:016x}, lost {lost}", value.value);
        }
    }
    text
}

fn registers_in_perfs_words(name: &str, registers: &Registers<'_>, text: &mut String) {
    let names = ["AX", "BX", "CX", "DX", "SI", "DI", "BP", "SP", "IP", "FLAGS", "CS", "SS", "DS", "ES", "FS", "GS"];
    let _ = writeln!(text, "... {name} regs: mask {:#x} ABI 64-bit", registers.mask);
    for register in 0..64 {
        if let Some(value) = registers.get(register) {
            let name = names.get(register as usize).map_or(format!("R{}", register.wrapping_sub(8)), |n| n.to_string());
            let _ = writeln!(text, ".... {name:5} 0x{value:016x}");
        }
    }
}

/// As C's `%#lx`: no prefix for zero.
fn hex(value: u64) -> String {
    if value == 0 { "0".to_owned() } else { format!("{value:#x}") }
}

/// Both accounts must tell the same of the same records, no record more and none less.
fn compare(name: &str, has_cpu: bool) -> PerfData {
    let file = open(name);
    let mut account = account(name, has_cpu);
    let mut compared = 0;
    for (at, bytes, layout) in file.records() {
        let Some((time, ours)) = in_perfs_words(bytes, layout) else {
            assert!(Header::peek(bytes).expect("a header").kind >= 64, "no kernel record is unknown");
            continue;
        };
        let (perf_time, perf) = account.remove(&at).unwrap_or_else(|| panic!("perf has no record at {at:#x}"));
        assert_eq!(normalized(&ours), normalized(&perf), "{name}.data, byte {at:#x}");
        assert_eq!(time, perf_time, "{name}.data, byte {at:#x}");
        assert_eq!(layout.peek_time(bytes).unwrap_or(0), time);
        compared += 1;
    }
    assert!(account.is_empty(), "records that only perf found: {account:?}");
    assert!(compared > 40, "{compared} records");
    file
}

/// perf prints the period of the attribute where the sample has none, and the event's name: both are not in the record.
fn normalized(text: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in text.split_whitespace() {
        match words.last() {
            Some(&"period:") => words.push("PERIOD"),
            _ => words.push(if ["cpu-clock", "sched:sched_process_exec"].contains(&word) { "EVENT" } else { word }),
        }
    }
    words.join(" ")
}

#[test]
fn call_chains() {
    let file = compare("callchains", false);
    let periods = file.records().filter_map(|(_, bytes, layout)| match Record::decode(bytes, layout) {
        Ok(Record::Sample(sample)) => sample.period,
        _ => None,
    });
    // A timer at 499 Hz: each sample stands for the same time.
    let periods: Vec<u64> = periods.collect();
    assert!(periods.len() > 100);
    assert!(periods.into_iter().all(|period| period == 1_000_000_000 / 499));
}

#[test]
fn registers_and_stacks() {
    let file = compare("stacks", false);
    let mut clipped = 0;
    for (_, bytes, layout) in file.records() {
        if let Ok(Record::Sample(sample)) = Record::decode(bytes, layout) {
            let registers = sample.regs_user.expect("registers are asked for");
            // The kernel's chain and the registers are taken at the same moment.
            if sample.mode() == burnmark_perf::record::Mode::User {
                assert_eq!(registers.get(8), sample.ip);
            }
            clipped += usize::from(sample.stack_user.is_some_and(|stack| !stack.is_empty() && stack.len() < 8192));
        }
    }
    assert!(clipped > 10, "{clipped} stacks end before the copy's room does");
}

#[test]
fn groups_and_rare_fields() {
    compare("groups", false);
}

#[test]
fn events_with_different_layouts_and_build_ids() {
    let file = compare("tracepoint", true);
    assert_eq!(file.layouts.len(), 2);
    assert_ne!(file.layouts[0], file.layouts[1]);
    let programs: Vec<_> = file
        .records()
        .filter_map(|(_, bytes, layout)| match Record::decode(bytes, layout) {
            Ok(Record::Sample(sample)) => sample.raw,
            _ => None,
        })
        .collect();
    // `perf script` prints these as filename=…, in this order by CPU.
    let holds = |raw: &&[u8], text: &[u8]| raw.windows(text.len()).any(|window| window == text);
    assert_eq!(programs.len(), 4);
    for name in [b"/usr/bin/sh\0".as_slice(), b"/bin/true\0", b"/usr/bin/xz\0", b"/usr/bin/wc\0"] {
        assert!(programs.iter().any(|raw| holds(raw, name)), "{}", String::from_utf8_lossy(name));
    }
}

/// Any byte of any record set to anything, and any record cut anywhere: an error or a record, never a panic.
#[test]
fn damaged_records_do_no_harm() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let (mut whole, mut broken) = (0, 0);
    for name in ["callchains", "stacks", "groups", "tracepoint"] {
        let file = open(name);
        for (_, bytes, layout) in file.records() {
            for round in 0..60 {
                let mut damaged = bytes.to_vec();
                for _ in 0..=round % 4 {
                    // Mostly within the first fields: that is where the lengths are.
                    let reach = if round % 2 == 0 { damaged.len() } else { damaged.len().min(160) };
                    let at = next() as usize % reach;
                    damaged[at] = [0, 0xff, 0x7f, next() as u8][round % 4];
                }
                if round % 3 == 0 {
                    damaged.truncate(next() as usize % (damaged.len() + 1));
                }
                match Record::decode(&damaged, layout) {
                    Ok(record) => {
                        whole += 1;
                        walk(&record);
                    }
                    Err(error) => {
                        broken += 1;
                        assert!(!error.to_string().is_empty());
                    }
                }
                let _ = (layout.peek_time(&damaged), layout.peek_id(&damaged), layout.peek_thread(&damaged));
            }
        }
    }
    assert!(whole > 1000 && broken > 1000, "{whole} decoded, {broken} refused");
}

/// Touches everything that is decoded late.
fn walk(record: &Record<'_>) {
    if let Record::Sample(sample) = record {
        let frames = sample.frames().count();
        let words = sample.callchain.map_or(0, |chain| chain.words.len());
        assert!(frames <= words + 1);
        sample.read.iter().for_each(|read| assert!(read.values().count() < 10_000));
        sample.branches.iter().for_each(|branches| assert!(branches.branches().count() < 10_000));
        sample.regs_user.iter().for_each(|registers| (0..70).for_each(|at| _ = registers.get(at)));
    }
    let _ = (record.time(), format!("{record:?}").len());
}
