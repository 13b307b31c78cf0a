//! No file makes reading allocate more than 64 MB + 4 × its bytes (of records, decompressed), until the profile is there:
//! real ones, damaged ones, and those made to do harm. Every allocation is counted. One test: the limit is one for all.

#[path = "written/mod.rs"]
#[allow(dead_code, reason = "each test needs other parts")]
mod written;

use std::alloc::System;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use burnmark_native::{FileFinder, Modules, PerfDataOptions, Progress, SymbolOptions, finish, read_perf_data};
use burnmark_perf::file::{Input, Reader};
use cap::Cap;
use written::*;

#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);

const BASE: usize = 64 << 20;

/// Reads a file to the end. Symbols are in other files, which don't count.
fn read(input: Input<'_>) {
    let Ok(reader) = Reader::open(input) else { return };
    let modules = Arc::new(Modules::new(FileFinder::Only(HashMap::new())));
    let options = PerfDataOptions { modules: Some(modules.clone()), ..PerfDataOptions::default() };
    let (recording, _) = read_perf_data(reader, &options).expect("memory can be read");
    let options = SymbolOptions { threads: 2, ..SymbolOptions::default() };
    drop(finish(recording, &modules, &options, &Progress::default()));
}

/// Damaged copies of a file: bytes and words changed, mostly in headers.
fn damaged(bytes: &[u8], count: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let bytes = bytes.to_vec();
    (0..count).map(move |_| {
        let mut copy = bytes.clone();
        for _ in 0..random() % 6 + 1 {
            let near = if random() % 2 == 0 { copy.len() } else { copy.len().min(1024) };
            let at = (random() as usize % (near - 8)) & !7;
            let word = [0, u64::MAX, 1 << 31, 1 << 40, random()][random() as usize % 5];
            if random() % 2 == 0 {
                copy[at..at + 8].copy_from_slice(&word.to_ne_bytes());
            } else {
                copy[at + random() as usize % 8] = random() as u8;
            }
        }
        copy
    })
}

/// A number that is different each time.
fn number(index: u64) -> u64 {
    index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

const PLAIN: Attr = Attr { sample_type: IP | TID | TIME, branch_sample_type: 0, regs_user: 0, stack_user: 0 };
const CHAINS: Attr = Attr { sample_type: IP | TID | TIME | CALLCHAIN, ..PLAIN };

/// Files of about 8 MB in which nothing ever comes twice.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    const LEN: u64 = 8 << 20;
    let many = |each: u64, make: &dyn Fn(u64) -> Vec<u8>| (0..LEN / each).flat_map(make).collect::<Vec<u8>>();
    let trailer = |pid: i32, index: u64| [pair(pid, pid), index];
    let chains = many(8 * 1000, &|index| {
        let chain = (0..990).map(|frame| number(index * 1000 + frame)).collect::<Vec<_>>();
        record(SAMPLE, USER, &[&[chain[0], pair(7, 7), index, 991, CONTEXT_USER][..], &chain].concat())
    });
    let short = many(40, &|index| record(SAMPLE, USER, &[number(index), pair(7, 7), index, 0]));
    let bare = many(16, &|index| record(SAMPLE, USER, &[number(index)]));
    let threads = many(32, &|index| {
        let pid = index as i32 & 0x3f_ffff;
        record(SAMPLE, USER, &[number(index), pair(pid, pid), index])
    });
    let names = many(48, &|index| {
        let (pid, name) = (index as i32, format!("{index}"));
        record(COMM, 0, &[&[pair(pid, pid)][..], &text(&name), &trailer(pid, index)].concat())
    });
    let forks = many(56, &|index| {
        let (pid, parent) = (index as i32 + 8, index as i32 / 2 + 7);
        record(FORK, 0, &[&[pair(pid, parent), pair(pid, parent), index][..], &trailer(pid, index)].concat())
    });
    let maps = many(72, &|index| mapping(7, index << 12, 1 << 12, &format!("/{index}"), &trailer(7, index)));
    // A process with many mappings, and children that each change one of their own.
    let mut copies: Vec<u8> =
        (0..20_000).flat_map(|index| mapping(7, index << 12, 1 << 12, "/program", &trailer(7, index))).collect();
    for child in 8..4000 {
        let time = 100_000 + child as u64;
        let fork = [&[pair(child, 7), pair(child, 7), time][..], &trailer(child, time)].concat();
        copies.extend(record(FORK, 0, &fork));
        copies.extend(mapping(child, 1 << 40, 1 << 12, "/mine", &trailer(child, time + 1)));
    }
    vec![
        ("copies of mappings", file(PLAIN, &copies, None)),
        ("frames", file(CHAINS, &chains, None)),
        ("samples", file(CHAINS, &short, None)),
        ("samples of nothing but an address", file(Attr { sample_type: IP, ..PLAIN }, &bare, None)),
        ("threads", file(PLAIN, &threads, None)),
        ("names", file(PLAIN, &names, None)),
        ("forks", file(PLAIN, &forks, None)),
        ("modules", file(PLAIN, &maps, None)),
    ]
}

#[test]
fn memory_is_bounded_by_the_file() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/perfdata");
    let mut round = 0;
    let mut check = |what: &str, bytes: &[u8], most: usize| {
        round += 1;
        let input = if round % 2 == 0 { Input::Bytes(bytes) } else { Input::Stream(Box::new(bytes)) };
        // It is shown when an allocation goes beyond the limit: that ends the process.
        eprintln!("{what}");
        ALLOCATED.set_limit(ALLOCATED.allocated() + most).expect("it is above what is allocated");
        read(input);
        ALLOCATED.set_limit(usize::MAX).expect("there is no higher limit");
    };
    let mut fixtures: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        if path.extension().is_some_and(|extension| extension == "data") {
            fixtures.push((path.display().to_string(), std::fs::read(&path).expect("it can be read")));
        }
    }
    assert!(fixtures.len() > 10);
    for (name, bytes) in &fixtures {
        check(name, bytes, BASE + 4 * bytes.len());
        for variant in damaged(bytes, 15) {
            check(name, &variant, BASE + 4 * variant.len());
        }
    }
    drop(fixtures);
    for (name, bytes) in hostile() {
        check(name, &bytes, BASE + 4 * bytes.len());
    }
    // Samples are kept once: 24 bytes each with a quarter of room to grow, and 8 more of a profile's.
    const SAMPLES: u64 = 1_500_000;
    let sample = |index: u64| {
        // In rounds, so that few wait.
        let round = if index.is_multiple_of(1000) { record(FINISHED_ROUND, 0, &[]) } else { Vec::new() };
        [round, record(SAMPLE, USER, &[index % 64, pair(7, 7), index, 0])].concat()
    };
    let samples: Vec<u8> = (0..SAMPLES).flat_map(sample).collect();
    let bytes = file(CHAINS, &samples, None);
    drop(samples);
    for _ in 0..2 {
        check("samples of few stacks", &bytes, (32 << 20) + 38 * SAMPLES as usize);
    }
}
