//! A writer of perf.data files, for what no machine here records.

/// Bits of `perf_event_attr.sample_type`.
pub(crate) const IP: u64 = 1;
pub(crate) const TID: u64 = 1 << 1;
pub(crate) const TIME: u64 = 1 << 2;
pub(crate) const CALLCHAIN: u64 = 1 << 5;
pub(crate) const BRANCH_STACK: u64 = 1 << 11;
pub(crate) const REGS_USER: u64 = 1 << 12;
pub(crate) const STACK_USER: u64 = 1 << 13;

/// Kinds of records.
pub(crate) const MMAP: u32 = 1;
pub(crate) const COMM: u32 = 3;
pub(crate) const FORK: u32 = 7;
pub(crate) const SAMPLE: u32 = 9;
pub(crate) const CALLCHAIN_DEFERRED: u32 = 22;
pub(crate) const FINISHED_ROUND: u32 = 68;

/// `PERF_RECORD_MISC_USER`
pub(crate) const USER: u16 = 2;

/// `PERF_CONTEXT_USER`, `PERF_CONTEXT_KERNEL`
pub(crate) const CONTEXT_USER: u64 = -512_i64 as u64;
pub(crate) const CONTEXT_KERNEL: u64 = -128_i64 as u64;

/// The one event of a file: task-clock, with a fixed period.
#[derive(Clone, Copy, Default)]
pub(crate) struct Attr {
    pub(crate) sample_type: u64,
    pub(crate) branch_sample_type: u64,
    pub(crate) regs_user: u64,
    pub(crate) stack_user: u32,
}

impl Attr {
    /// `struct perf_event_attr` as of version 5; every record has a trailer (`sample_id_all`).
    fn bytes(self) -> Vec<u8> {
        let mut attr = [0_u8; 112];
        let mut put = |at: usize, word: u64| attr[at..at + 8].copy_from_slice(&word.to_ne_bytes());
        put(0, 1 | 112 << 32);
        put(8, 1);
        put(16, 1000);
        put(24, self.sample_type);
        put(40, 1 << 18);
        put(72, self.branch_sample_type);
        put(80, self.regs_user);
        put(88, self.stack_user.into());
        attr.to_vec()
    }
}

/// A record with a body of words.
pub(crate) fn record(kind: u32, misc: u16, words: &[u64]) -> Vec<u8> {
    let size = u16::try_from(8 + words.len() * 8).expect("no record is longer");
    let header = u64::from(kind) | u64::from(misc) << 32 | u64::from(size) << 48;
    std::iter::once(&header).chain(words).flat_map(|word| word.to_ne_bytes()).collect()
}

/// Two numbers of 32 bits in a word.
pub(crate) fn pair(first: i32, second: i32) -> u64 {
    u64::from(first as u32) | u64::from(second as u32) << 32
}

/// A text in words, with a NUL at its end.
pub(crate) fn text(text: &str) -> Vec<u64> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize((bytes.len() + 1).next_multiple_of(8), 0);
    bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes"))).collect()
}

/// A mapping of a file from its first byte on; `trailer` is that of [`TID`] and [`TIME`].
pub(crate) fn mapping(pid: i32, start: u64, len: u64, path: &str, trailer: &[u64]) -> Vec<u8> {
    record(MMAP, USER, &[&[pair(pid, pid), start, len, 0][..], &text(path), trailer].concat())
}

/// A file in file mode. `arch` is what its header says of the machine.
pub(crate) fn file(attr: Attr, records: &[u8], arch: Option<&str>) -> Vec<u8> {
    const ARCH: u64 = 1 << 6;
    let attr = attr.bytes();
    let data_at = 104 + attr.len() + 16;
    let words = [
        u64::from_ne_bytes(*b"PERFILE2"),
        104,
        (attr.len() + 16) as u64,
        104,
        (attr.len() + 16) as u64,
        data_at as u64,
        records.len() as u64,
        0,
        0,
        if arch.is_some() { ARCH } else { 0 },
        0,
        0,
        0,
    ];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend(&attr);
    bytes.extend([0; 16]);
    bytes.extend(records);
    if let Some(arch) = arch {
        let text_at = (bytes.len() + 16) as u64;
        bytes.extend([text_at, 4 + 64].iter().flat_map(|word| word.to_ne_bytes()));
        bytes.extend(64_u32.to_ne_bytes());
        let mut text = arch.as_bytes().to_vec();
        text.resize(64, 0);
        bytes.extend(text);
    }
    bytes
}
