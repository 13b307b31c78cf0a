//! Damage of every kind, on real files: nothing but what was hit is lost, and nothing breaks.

use super::*;
use crate::record::{HEADER_LEN, Header};

const FIXTURES: [&str; 12] = [
    "callchains",
    "stacks",
    "groups",
    "tracepoint",
    "events",
    "zstd",
    "pipe",
    "pipe-zstd",
    "switch",
    "per-thread",
    "kernel",
    "clock",
];

fn fixture(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/perfdata");
    std::fs::read(folder.join(format!("{name}.data"))).expect("the fixture is there")
}

/// A record that was handed out: where it was, when, and what it is.
type Seen = (u64, u64, Vec<u8>);

fn read(input: Input<'_>) -> Result<(Vec<Seen>, Ended), Error> {
    let mut seen = Vec::new();
    let ended = Reader::open(input)?.read(&mut |_, run| {
        seen.extend(run.iter().map(|item| (item.position, item.time, item.bytes.to_vec())));
    })?;
    Ok((seen, ended))
}

fn whole(bytes: &[u8]) -> Vec<Seen> {
    let (seen, ended) = read(Input::Bytes(bytes)).expect("it can be read");
    assert_eq!(ended.warnings, []);
    seen
}

fn texts(ended: &Ended) -> String {
    ended.warnings.iter().map(|warning| format!("{}\n", warning.message)).collect()
}

/// The offsets that records begin at, in file mode.
fn starts(bytes: &[u8]) -> Vec<usize> {
    let word = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let (mut at, end) = (word(40), word(40) + word(48));
    let mut starts = Vec::new();
    while at < end {
        starts.push(at);
        at += usize::from(Header::peek(&bytes[at..]).unwrap().size);
    }
    starts
}

#[test]
fn what_is_no_perf_data_is_refused() {
    let open = |bytes: &[u8]| Reader::open(Input::Bytes(bytes)).map(drop);
    assert!(matches!(open(b""), Err(Error::NotPerfData)));
    assert!(matches!(open(b"\x7fELF    "), Err(Error::NotPerfData)));
    assert!(matches!(open(b"PERFFILE\x68\0\0\0\0\0\0\0"), Err(Error::Version1)));
    let error = open(b"2ELIFREP\0\0\0\0\0\0\0\x68").unwrap_err();
    assert!(matches!(error, Error::ByteOrder) && error.to_string().contains("perf script"));
    assert!(matches!(open(b"PERFILE2"), Err(Error::Header { .. })));
    assert!(matches!(open(&fixture("stacks")[..104]), Err(Error::Header { at: 24, .. })));
}

#[test]
fn times_never_go_back() {
    for name in FIXTURES {
        let times: Vec<u64> = whole(&fixture(name)).iter().map(|seen| seen.1).collect();
        assert!(times.is_sorted(), "{name}");
    }
}

/// Cut anywhere: all records that are whole are handed out, and the warning counts what is missing.
#[test]
fn a_file_that_is_cut_keeps_what_is_before() {
    for name in ["callchains", "events", "switch"] {
        let bytes = fixture(name);
        let (all, starts) = (whole(&bytes), starts(&bytes));
        let end = starts[starts.len() - 1];
        for cut in (starts[0]..end).step_by(37) {
            let (seen, ended) = read(Input::Bytes(&bytes[..cut])).unwrap();
            let last = starts.iter().rposition(|start| *start <= cut).unwrap();
            let mut expected: Vec<&Seen> = all.iter().filter(|seen| seen.0 < starts[last] as u64).collect();
            expected.sort_by_key(|seen| seen.1);
            assert_eq!(seen.iter().collect::<Vec<_>>(), expected, "{name} cut at {cut}");
            assert!(texts(&ended).contains("missing at its end"), "{name} cut at {cut}: {}", texts(&ended));
            let (streamed, ended) = read(Input::Stream(Box::new(&bytes[..cut]))).unwrap();
            assert_eq!(streamed, seen);
            assert!(texts(&ended).contains("missing at its end"));
        }
    }
}

/// perf writes the length last: a killed perf leaves 0 there and nothing after the records.
#[test]
fn a_killed_writer_leaves_all_records() {
    for name in ["callchains", "stacks", "zstd"] {
        let mut bytes = fixture(name);
        let all = whole(&bytes);
        let word = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        let end = word(40) + word(48);
        bytes[48..56].fill(0);
        for input in [Input::Bytes(&bytes[..end]), Input::Stream(Box::new(&bytes[..end]))] {
            let (seen, ended) = read(input).unwrap();
            assert_eq!(seen, all, "{name}");
            assert!(texts(&ended).contains("killed") && ended.warnings.len() == 1, "{}", texts(&ended));
        }
    }
}

/// A length that lies does not hide records.
#[test]
fn a_length_that_lies_hides_nothing() {
    let mut bytes = fixture("callchains");
    let all = whole(&bytes);
    let starts = starts(&bytes);
    let short = (starts[40] - starts[0]) as u64;
    bytes[48..56].copy_from_slice(&short.to_ne_bytes());
    let (seen, ended) = read(Input::Bytes(&bytes)).unwrap();
    assert!(all.iter().all(|record| seen.contains(record)));
    assert!(texts(&ended).contains("length"), "{}", texts(&ended));
}

/// Holes of zeros, as a full disk or a crash leaves them: what is before and after is there.
#[test]
fn holes_cost_only_what_is_in_them() {
    for name in ["callchains", "stacks", "events", "kernel"] {
        let bytes = fixture(name);
        let (all, starts) = (whole(&bytes), starts(&bytes));
        let samples = |seen: &[Seen]| seen.iter().filter(|seen| Header::peek(&seen.2).unwrap().kind == 9).count();
        for (from, len) in [(starts[starts.len() / 2], 4096), (starts[starts.len() / 3] + 3, 1000), (starts[20], 8)] {
            let mut holed = bytes.clone();
            let to = (from + len).min(starts[starts.len() - 12]);
            holed[from..to].fill(0);
            let (seen, ended) = read(Input::Bytes(&holed)).unwrap();
            // A record that begins in the hole is lost, and one that the hole cuts may be found or not.
            let safe = |record: &&Seen| {
                let (start, end) = (record.0 as usize, record.0 as usize + record.2.len());
                end <= from || start >= to
            };
            let lost: Vec<_> = all.iter().filter(safe).filter(|record| !seen.contains(record)).collect();
            assert!(lost.is_empty(), "{name}: {} records outside of {from}..{to} are lost", lost.len());
            assert!(samples(&seen) > 0);
            let text = texts(&ended);
            assert!(text.contains("damaged and left out") || text.contains("samples"), "{name} {from}: {text}");
        }
    }
}

/// What is compressed can't be read on after damage, and all that came before is there.
#[test]
fn damaged_compression_keeps_what_is_before() {
    let bytes = fixture("zstd");
    let all = whole(&bytes);
    let compressed = starts(&bytes).into_iter().filter(|at| Header::peek(&bytes[*at..]).unwrap().kind == 81);
    let compressed: Vec<usize> = compressed.collect();
    assert!(!compressed.is_empty());
    for at in compressed {
        let mut damaged = bytes.clone();
        let size = usize::from(Header::peek(&bytes[at..]).unwrap().size);
        damaged[at + HEADER_LEN + size / 2..at + size].fill(0x55);
        let (seen, ended) = read(Input::Bytes(&damaged)).unwrap();
        let (before, _) = read(Input::Bytes(&bytes[..at])).unwrap();
        let kept = before.iter().all(|record| seen.contains(record));
        assert!(kept && seen.len() <= all.len() + 8, "{} of {} records", seen.len(), all.len());
        assert!(!ended.warnings.is_empty());
    }
}

/// Records that come out of order by more than a round are told of, and handed out all the same.
#[test]
fn disorder_within_a_window_is_put_right() {
    let mut queue = queue::Queue::default();
    let store = store::Store::new(&[]);
    let entry = |time: u64| queue::Entry { time, at: 0, chunk: store::IN_FILE, event: 0 };
    for time in [5, 1, 9, 3] {
        assert!(queue.push(entry(time), 8));
    }
    assert!(!queue.round(&store), "the first round says nothing of what follows");
    let half: Vec<u64> = queue.half().iter().map(|entry| entry.time).collect();
    assert_eq!(half, [1, 3]);
    assert!(!queue.push(entry(2), 8), "3 is out already");
    assert!(queue.push(entry(4), 8));
    let rest: Vec<u64> = queue.rest().iter().map(|entry| entry.time).collect();
    assert_eq!(rest, [2, 4, 5, 9]);
}

/// Every step of a generator gives 64 bits (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// A damaged copy: bytes changed (mostly in headers), pieces cut out, doubled, zeroed, or the end missing.
fn damaged(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for _ in 0..=random.below(6) {
        let len = damaged.len();
        let near = if random.below(2) == 0 { len } else { len.min(2048) };
        let at = random.below(near);
        match random.below(8) {
            0..3 => damaged[at] = random.next() as u8,
            3 => damaged[at] = [0, 0xff, 0x7f, 0x80, 8, 1][random.below(6)],
            4 => {
                let end = (at & !7).saturating_add(8).min(len);
                let word = [0, u64::MAX, 1 << 32, len as u64, random.next()][random.below(5)];
                let word = word.to_ne_bytes();
                damaged[at & !7..end].copy_from_slice(&word[..end - (at & !7)]);
            }
            5 => damaged.truncate(random.below(len).max(16)),
            6 => damaged[at..(at + 300).min(len)].fill(0),
            _ => drop(damaged.drain(at..(at + 1 + at % 90).min(len))),
        }
        if damaged.len() < 16 {
            break;
        }
    }
    damaged
}

/// 2,000 variants of each file, mapped and streamed: an error or records, never a panic; decoding them neither.
#[test]
fn two_thousand_damaged_variants_of_each_file() {
    let mut records = 0_u64;
    for name in FIXTURES {
        let bytes = fixture(name);
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for round in 0..2000 {
            let variant = damaged(&bytes, &mut random);
            let input = if round % 2 == 0 { Input::Bytes(&variant) } else { Input::Stream(Box::new(&variant[..])) };
            let Ok(reader) = Reader::open(input) else { continue };
            let ended = reader.read(&mut |head, run| {
                for item in run {
                    records += 1;
                    assert!(item.bytes.len() >= HEADER_LEN);
                    let _ = crate::record::Record::decode(item.bytes, &head.layout(item.event));
                }
            });
            assert!(ended.is_ok(), "{name}, variant {round}: damage is no error");
        }
    }
    assert!(records > 100_000, "{records} records");
}
