//! A large file is read by several threads, by hashes of its stacks, and with names looked up meanwhile: what comes of it
//! is what the simplest way gives.

#[path = "written/mod.rs"]
#[allow(dead_code, reason = "each test needs other parts")]
mod written;

use std::collections::HashMap;
use std::sync::Arc;

use burnmark_native::{
    FileFinder, Modules, PerfDataOptions, Progress, SymbolOptions, finish, perf_data_profile, read_perf_data,
};
use burnmark_perf::file::{Input, Reader};
use written::*;

const CHAINS: Attr =
    Attr { sample_type: IP | TID | TIME | CALLCHAIN, branch_sample_type: 0, regs_user: 0, stack_user: 0 };

/// A number that looks like chance, and is the same each time.
fn number(index: u64) -> u64 {
    let mixed = (index ^ index >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 24
}

/// Files of 18 MB and more: samples of a few processes that run this program, with a few hundred stacks, mapped anew now
/// and then at other addresses.
fn records(len: u64) -> Vec<u8> {
    let mut records = Vec::new();
    let base = |pid: i32, round: u64| 0x10_0000_0000 * (1 + pid as u64) + (round << 30);
    for index in 0..50_000_u64 {
        let (pid, time) = (7 + (number(index) % 3) as i32, 1000 + index);
        if index % 10_000 == 0 {
            for pid in 7..10 {
                let trailer = [pair(pid, pid), time];
                records.extend(mapping(pid, base(pid, index / 10_000), len, "/program", &trailer));
            }
        }
        let stack = number(index ^ 0x55) % 300;
        let address = |depth: u64| match number(stack * 64 + depth) % len {
            // Few are in no file.
            offset if offset % 50 == 0 => offset,
            offset => base(pid, index / 10_000) + offset,
        };
        let chain: Vec<u64> = (0..40).map(address).collect();
        let body = [&[chain[0], pair(pid, pid), time, 41, CONTEXT_USER][..], &chain].concat();
        records.extend(record(SAMPLE, USER, &body));
    }
    records
}

#[test]
fn threads_and_hashes_change_nothing() {
    let program = std::env::current_exe().expect("it is known");
    let len = std::fs::metadata(&program).expect("it is there").len().next_multiple_of(4096);
    let mut bytes = file(CHAINS, &records(len), None);
    assert!(bytes.len() > 17 << 20);
    let only = HashMap::from([("/program".into(), program)]);
    let modules = || Arc::new(Modules::new(FileFinder::Only(only.clone())));
    let symbols = SymbolOptions { threads: 2, ..SymbolOptions::default() };
    for damage in [false, true] {
        if damage {
            let hole = bytes.len() / 3;
            bytes[hole..hole + 100_000].fill(0);
        }
        let (found, files) = (Progress::default(), modules());
        let options = PerfDataOptions { modules: Some(files.clone()), ..PerfDataOptions::default() };
        let reader = Reader::open(Input::Bytes(&bytes)).expect("it can be opened");
        let (finished, warnings) =
            perf_data_profile(reader, &options, &symbols, &found, || {}).expect("memory can be read");
        let reader = Reader::open(Input::Stream(Box::new(&bytes[..]))).expect("it can be opened");
        let (recording, expected) = read_perf_data(reader, &options).expect("memory can be read");
        assert_eq!(warnings, expected);
        assert_eq!(warnings.is_empty(), !damage, "{warnings:?}");
        let simple = finish(recording, &modules(), &symbols, &Progress::default());
        assert_eq!(finished.modules, simple.modules);
        assert!(finished.parsed.profile == simple.parsed.profile, "the profiles differ");
        let named = finished.parsed.profile.frames.iter().filter(|(_, frame)| frame.function.is_some()).count();
        assert!(named > 500, "{named} frames have names");
        let (done, total) = found.get();
        assert_eq!(done, total);
    }
}
