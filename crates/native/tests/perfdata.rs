//! Whole perf.data files against perf's own account of their samples (`perf script`), and against a second reader.

use std::path::PathBuf;

use burnmark_native::{PerfDataOptions, Recording, read_perf_data};
use burnmark_perf::file::{Input, Reader};
use burnmark_perf::record::Record;

/// Files with perf's account beside them.
const FILES: [&str; 8] = ["events", "zstd", "pipe", "pipe-zstd", "switch", "per-thread", "kernel", "clock"];

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/perfdata").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(&format!("{name}.data"))).expect("the fixture is there")
}

/// A sample as perf tells of it.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    comm: String,
    tid: i32,
    /// 0 if it has none.
    time: u64,
    event: String,
    addresses: Vec<u64>,
}

/// perf's account: a line `comm tid [seconds.nanoseconds:] event: [address]`, then an address a line.
fn told(name: &str) -> Vec<Told> {
    let text = std::fs::read_to_string(fixture(&format!("{name}.script"))).expect("the fixture is there");
    let mut all: Vec<Told> = Vec::new();
    let address = |text: &str| u64::from_str_radix(text, 16).expect("an address");
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with('\t') {
            // In pipe mode a symbol follows that was not asked for.
            all.last_mut().expect("a sample's line comes first").addresses.push(address(words[0]));
            continue;
        }
        let event = words.iter().rposition(|word| word.ends_with(':')).expect("an event");
        let has_time = words[event - 1].ends_with(':');
        let time = words[event - 1].trim_end_matches(':');
        let time = time.split_once('.').filter(|_| has_time).map_or(0, |(seconds, ns)| {
            seconds.parse::<u64>().expect("seconds") * 1_000_000_000 + ns.parse::<u64>().expect("nanoseconds")
        });
        let tid = event - 1 - usize::from(has_time);
        all.push(Told {
            comm: words[..tid].join(" "),
            tid: words[tid].parse().expect("a tid"),
            time,
            event: words[event].trim_end_matches(':').to_owned(),
            addresses: words[event + 1..].iter().map(|word| address(word)).collect(),
        });
    }
    all
}

/// The same from our two readings of a file: addresses from its records, everything else from the recording. perf tells
/// the offset in the file of user addresses in call chains, as far as it knows the mapping: there the recording's
/// address, which is that offset, takes the place of the record's if it is what perf `told`.
fn ours(input: impl Fn() -> Input<'static>, told: &[Told]) -> Vec<Told> {
    let mut addresses: Vec<Vec<u64>> = Vec::new();
    let reader = Reader::open(input()).expect("it can be opened");
    let mut take = |head: &burnmark_perf::file::Head, run: &[burnmark_perf::file::Item<'_>]| {
        for item in run {
            let layout = &head.events[usize::from(item.event)].layout;
            if let Ok(Record::Sample(sample)) = Record::decode(item.bytes, layout) {
                addresses.push(sample.frames().map(|(_, address)| address).collect());
            }
        }
    };
    let ended = reader.read(&mut take).expect("it can be read");
    assert_eq!(ended.warnings, []);
    let recording = recording(input());
    assert_eq!(recording.samples.len(), addresses.len());
    let row = |(index, mut addresses): (usize, Vec<u64>)| {
        let sample = recording.samples.get(index);
        let frames: Vec<_> = recording.frames_leaf_first(sample.stack).collect();
        assert_eq!(frames.len(), addresses.len());
        for (at, frame) in frames.iter().enumerate() {
            if told.get(index).and_then(|told| told.addresses.get(at)) == Some(&frame.address) {
                addresses[at] = frame.address;
            }
        }
        let thread = &recording.threads[sample.thread as usize];
        Told {
            comm: String::from_utf8_lossy(&thread.name).into_owned(),
            tid: thread.tid,
            time: sample.time,
            event: recording.events[usize::from(recording.event_of(index))].name.to_string(),
            addresses,
        }
    };
    addresses.into_iter().enumerate().map(row).collect()
}

fn recording(input: Input<'_>) -> Recording {
    let reader = Reader::open(input).expect("it can be opened");
    let (recording, warnings) = read_perf_data(reader, &PerfDataOptions::default()).expect("it can be read");
    assert_eq!(warnings, []);
    recording
}

/// Same samples, same order, same threads under the same names, same events, same addresses.
#[test]
fn samples_are_those_of_perf_script() {
    for name in FILES {
        let bytes: &'static [u8] = bytes(name).leak();
        let told = told(name);
        assert!(told.len() >= 10, "{name}: {} samples", told.len());
        assert_eq!(ours(|| Input::Bytes(bytes), &told), told, "{name}, mapped");
        assert_eq!(ours(|| Input::Stream(Box::new(bytes)), &told), told, "{name}, streamed");
    }
}

/// A stream that comes a few bytes at a time is read like the file.
#[test]
fn pieces_of_a_stream_make_no_difference() {
    struct Slow(&'static [u8], usize);
    impl std::io::Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 = self.1 % 13 + 1;
            let len = self.0.len().min(buffer.len()).min(self.1);
            buffer[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }
    for name in ["stacks", "pipe-zstd", "groups", "events"] {
        let bytes: &'static [u8] = bytes(name).leak();
        let whole = recording(Input::Bytes(bytes));
        assert_eq!(recording(Input::Stream(Box::new(Slow(bytes, 0)))).samples, whole.samples, "{name}");
    }
}

#[test]
fn the_header_becomes_metadata() {
    for name in ["events", "pipe"] {
        let recording = recording(Input::Bytes(&bytes(name)));
        let meta = &recording.meta;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        assert!(text(&meta.producer).starts_with("perf 6."), "{meta:?}");
        assert!(text(&meta.kernel).starts_with("6.") && text(&meta.cpu).contains("EPYC"), "{meta:?}");
        assert!(text(&meta.command).starts_with("perf record -- "), "{meta:?}");
        assert!(meta.duration_ns.is_some_and(|ns| ns > 10_000_000), "{meta:?}");
        assert_eq!(meta.other["machine"], "x86_64");
    }
    let meta = recording(Input::Bytes(&bytes("events"))).meta;
    assert_eq!((meta.event.as_deref(), meta.frequency_hz), (Some("cpu-clock, page-faults"), Some(299)));
}

/// A second reader counts the same samples, with the same times and periods, in the same order.
#[test]
fn another_reader_finds_the_same() {
    use linux_perf_data::linux_perf_event_reader::EventRecord;
    use linux_perf_data::{PerfFileReader, PerfFileRecord};
    for name in ["callchains", "stacks", "events", "zstd", "switch", "kernel"] {
        let bytes = bytes(name);
        let PerfFileReader { mut perf_file, mut record_iter } =
            PerfFileReader::parse_file(std::io::Cursor::new(&bytes[..])).expect("it can be opened");
        let mut theirs = Vec::new();
        while let Some(record) = record_iter.next_record(&mut perf_file).expect("it can be read") {
            let PerfFileRecord::EventRecord { record, .. } = record else { continue };
            if let Ok(EventRecord::Sample(sample)) = record.parse() {
                theirs.push((sample.timestamp.unwrap_or_default(), sample.period.unwrap_or_default(), sample.tid));
            }
        }
        let ours = recording(Input::Bytes(&bytes));
        let thread = |thread: u32| Some(ours.threads[thread as usize].tid);
        let row = |row: burnmark_native::SampleRow| (row.time, row.period, thread(row.thread));
        assert_eq!(ours.samples.iter().map(row).collect::<Vec<_>>(), theirs, "{name}");
    }
}
