//! Files that real programs wrote, against what pprof finds in them.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/pprof")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(name)).expect("the fixture is there")
}

/// Self and total value of every function, but those without any.
fn top(profile: &Profile) -> BTreeMap<String, (i64, i64)> {
    let mut rows: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for (index, sample) in profile.samples.iter().enumerate() {
        let value = profile.samples.values(profile.default_value)[index];
        let mut met = HashSet::new();
        for (depth, frame) in profile.frames_leaf_first(sample.stack).enumerate() {
            let name = profile.frame_name(frame).into_owned();
            let row = rows.entry(name.clone()).or_default();
            row.0 += if depth == 0 { value } else { 0 };
            row.1 += if met.insert(name) { value } else { 0 };
        }
    }
    rows.retain(|_, row| *row != (0, 0));
    rows
}

/// The same from what `go tool pprof -top` prints: flat, flat%, sum%, cum, cum%, name.
fn printed_top(text: &str) -> BTreeMap<String, (i64, i64)> {
    let number = |text: &str| text.trim_end_matches(char::is_alphabetic).parse::<i64>().expect("a whole number");
    let table = text.lines().skip_while(|line| !line.trim_start().starts_with("flat")).skip(1);
    let rows = table.map(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let name = columns[5..].join(" ");
        let name = name.trim_end_matches(" (inline)").trim_end_matches(" (partial-inline)");
        (name.to_owned(), (number(columns[0]), number(columns[3])))
    });
    rows.collect()
}

#[test]
fn real_files_hold_what_pprof_finds_in_them() {
    for (name, functions) in [("go-cpu", 40), ("go-heap", 7), ("go-mutex", 2)] {
        let parsed = read_bytes(fixture(&format!("{name}.pb.gz"))).unwrap();
        assert_eq!(warnings(&parsed), [""; 0], "{name}");
        let expected = printed_top(&std::fs::read_to_string(fixtures().join(format!("{name}.top.txt"))).unwrap());
        assert!(expected.len() >= functions, "{name}: {}", expected.len());
        assert_eq!(top(&parsed.profile), expected, "{name}");
        // And again after our own writer.
        let again =
            read_bytes(written(&parsed.profile, &WriteOptions { compress: true, ..Default::default() })).unwrap();
        assert_eq!(top(&again.profile), expected, "{name}");
        assert_eq!(again.profile.meta, parsed.profile.meta, "{name}");
    }
}

#[test]
fn what_the_files_say_of_themselves_is_kept() {
    let cpu = read_bytes(fixture("go-cpu.pb.gz")).unwrap().profile;
    assert_eq!(cpu.meta.period, Some(10_000_000));
    assert!(cpu.meta.start_unix_ns.is_some() && cpu.meta.duration_ns.is_some());
    let labels: HashSet<_> = cpu
        .label_sets
        .iter()
        .flat_map(|(_, set)| set.iter())
        .map(|label| cpu.strings.get(label.key).to_owned())
        .collect();
    assert_eq!(labels, HashSet::from(["route".to_owned(), "tenant".to_owned()]));
    let inlined = cpu.frames.iter().any(|(_, frame)| frame.inline_depth > 0);
    assert!(inlined && cpu.modules.len() == 1);
    let heap = read_bytes(fixture("go-heap.pb.gz")).unwrap().profile;
    let types: Vec<_> = heap.value_types.iter().map(|value| value.name.as_str()).collect();
    assert_eq!(types, ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"]);
    assert_eq!((heap.default_value, heap.meta.period), (3, Some(65536)));
    // The mutex's period counts contentions, its default value is a time.
    let mutex = read_bytes(fixture("go-mutex.pb.gz")).unwrap().profile;
    assert_eq!(mutex.meta.other["period"], "1 contentions/count");
}

/// Hot code for the `pprof` crate to sample.
#[inline(never)]
fn burn(until: std::time::Instant) -> u64 {
    let mut sum = 0u64;
    while std::time::Instant::now() < until {
        for number in 0..10_000u64 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(number));
        }
    }
    sum
}

#[test]
#[ignore = "writes fixtures/pprof/rust.pb"]
fn make_rust_fixture() {
    let guard = pprof::ProfilerGuardBuilder::default().frequency(997).build().expect("signals can be taken");
    std::hint::black_box(burn(std::time::Instant::now() + std::time::Duration::from_millis(400)));
    let file = guard.report().build().and_then(|report| report.pprof()).expect("a report");
    std::fs::write(fixtures().join("rust.pb"), file.encode_to_vec()).expect("the folder is there");
}

#[test]
fn the_pprof_crates_own_files_are_read() {
    let bytes = fixture("rust.pb");
    // The crate's decoder, which shares nothing with ours but the messages' types, is the oracle.
    let file = protos::Profile::decode(bytes.as_slice()).unwrap();
    let parsed = read_bytes(bytes).unwrap();
    assert_eq!(warnings(&parsed), [""; 0]);
    let profile = &parsed.profile;
    assert_eq!(profile.samples.len(), file.sample.len());
    let total: i64 = file.sample.iter().map(|sample| sample.value[0]).sum();
    assert_eq!(profile.samples.total(0), total);
    let burning = top(profile).into_iter().filter(|(name, _)| name.contains("burn")).map(|(_, row)| row.1).max();
    let last = profile.default_value;
    assert!(burning.unwrap_or(0) * 10 > profile.samples.total(last) * 9, "nearly all samples are in `burn`");
    let thread = profile.threads.get(profile.samples.get(0).thread.unwrap());
    assert!(thread.name.is_some());
}

#[test]
fn damaged_files_neither_panic_nor_hang() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for name in ["go-cpu.pb.gz", "go-mutex.pb.gz", "rust.pb"] {
        let packed = fixture(name);
        let mut raw = Vec::new();
        if flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut raw).is_err() {
            raw.clone_from(&packed);
        }
        for round in 0..200 {
            // Mostly the message, sometimes the gzip around it.
            let mut bytes = if round % 4 == 3 { packed.clone() } else { raw.clone() };
            if round % 5 == 0 {
                bytes.truncate(random(bytes.len()));
            }
            for _ in 0..=random(6) {
                if !bytes.is_empty() {
                    let at = random(bytes.len());
                    bytes[at] = random(256) as u8;
                }
            }
            let options = ReadOptions { format: Some(Format::Pprof), ..ReadOptions::default() };
            if let Ok((_, parsed)) = crate::read(Input::Bytes(bytes), &options) {
                // What could be read can be written, and read again.
                let again = read_bytes(written(&parsed.profile, &WriteOptions::default())).unwrap();
                assert_eq!(again.profile.samples.len(), parsed.profile.samples.len());
            }
        }
    }
}
