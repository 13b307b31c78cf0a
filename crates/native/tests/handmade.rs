//! perf.data files of machines and kernels that are not here: written by hand, with known answers.

#[path = "written/mod.rs"]
#[allow(dead_code, reason = "each test needs other parts")]
mod written;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use burnmark_native::{CodeKind, FileFinder, FrameRow, Modules, NONE, PerfDataOptions, Recording, read_perf_data};
use burnmark_perf::file::{Input, Reader};
use written::*;

fn read(bytes: &[u8], modules: Arc<Modules>) -> Recording {
    let reader = Reader::open(Input::Bytes(bytes)).expect("it can be opened");
    let options = PerfDataOptions { modules: Some(modules), ..PerfDataOptions::default() };
    let (recording, warnings) = read_perf_data(reader, &options).expect("memory can be read");
    assert_eq!(warnings, []);
    recording
}

fn no_files() -> Arc<Modules> {
    Arc::new(Modules::new(FileFinder::Only(HashMap::new())))
}

/// The addresses of each sample's stack, leaf first, with what lies there.
fn stacks(recording: &Recording) -> Vec<Vec<(Option<CodeKind>, u64)>> {
    let kind = |frame: FrameRow| recording.modules.get(frame.module as usize).map(|module| module.kind);
    let stack = |stack| recording.frames_leaf_first(stack).map(|frame| (kind(frame), frame.address)).collect();
    recording.samples.iter().map(|sample| stack(sample.stack)).collect()
}

/// `perf record --call-graph dwarf` on aarch64: 33 registers (`PERF_REG_ARM64_*`), a copy of the stack, signed return
/// addresses. The program told the return addresses itself.
#[test]
fn aarch64_stacks_are_unwound() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/unwind");
    let sample = std::fs::read(folder.join("aarch64.sample")).expect("the fixture is there");
    let words: Vec<u64> =
        sample.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect();
    let (registers, rest) = words.split_at(33);
    let (stack, expected) = rest.split_at(rest.len() - 7);
    let pc = registers[32];
    let attr = Attr {
        sample_type: IP | TID | TIME | REGS_USER | STACK_USER,
        regs_user: (1 << 33) - 1,
        stack_user: (stack.len() * 8) as u32,
        ..Attr::default()
    };
    let elf = folder.join("aarch64.elf");
    let len = std::fs::metadata(&elf).expect("the fixture is there").len().next_multiple_of(4096);
    let size = (stack.len() * 8) as u64;
    let body = [&[pc, pair(7, 7), 2000, 2][..], registers, &[size], stack, &[size]].concat();
    let records = [mapping(7, 0x40_0000, len, "/bin/program", &[pair(7, 7), 1000]), record(SAMPLE, USER, &body)];
    let bytes = file(attr, &records.concat(), Some("aarch64"));
    let only = HashMap::from([("/bin/program".into(), elf)]);
    let modules = Arc::new(Modules::new(FileFinder::Only(only)));
    let recording = read(&bytes, modules);
    let callers: Vec<u64> = recording
        .frames_leaf_first(recording.samples.get(0).stack)
        .skip(1)
        .map(|frame| frame.address + 0x40_0000)
        .collect();
    // What saw these was called by `_start`, which nothing calls.
    assert_eq!((&callers[..7], callers.len()), (expected, 8));
}

/// `perf record --call-graph lbr`: the user half of the call chain is where the frame pointer happened to lead; what the
/// processor remembers of calls takes its place.
#[test]
fn calls_that_the_processor_remembers_are_the_user_half() {
    const CALL_STACK: u64 = 1 << 11;
    let attr = Attr {
        sample_type: IP | TID | TIME | CALLCHAIN | BRANCH_STACK,
        branch_sample_type: 1 | CALL_STACK,
        ..Attr::default()
    };
    let chain = [CONTEXT_KERNEL, 0xffff_ffff_8100_0010, CONTEXT_USER, 0x5000, 0xdead];
    // From, to, flags: the latest call first. 0x3333 called what runs at 0x5000.
    let calls = [0x3333, 0x5000, 0, 0x2222, 0x3000, 0, 0x1111, 0x2000, 0];
    let body = [&[0xffff_ffff_8100_0010, pair(7, 8), 2000, 5][..], &chain, &[3], &calls].concat();
    let bytes = file(attr, &record(SAMPLE, 1, &body), None);
    let kernel = (Some(CodeKind::Kernel), 0xffff_ffff_8100_0010);
    let user = [0x5000, 0x3334, 0x2223, 0x1112].map(|address| (None, address));
    assert_eq!(stacks(&read(&bytes, no_files())), [[&[kernel][..], &user].concat()]);
    // Branches that are no call stack say nothing of it.
    let attr = Attr { branch_sample_type: 1, ..attr };
    let bytes = file(attr, &record(SAMPLE, 1, &body), None);
    let user = [0x5000, 0xdead].map(|address| (None, address));
    assert_eq!(stacks(&read(&bytes, no_files())), [[&[kernel][..], &user].concat()]);
}

/// Linux 6.19: the user half of several samples comes in a record of its own when the thread leaves the kernel. It is
/// theirs that have its cookie.
#[test]
fn the_deferred_user_half_is_joined_to_its_samples() {
    const DEFERRED: u64 = -640_i64 as u64;
    let attr = Attr { sample_type: IP | TID | TIME | CALLCHAIN, ..Attr::default() };
    let sample = |tid: i32, time: u64, ip: u64, cookie: u64| {
        let body = [ip, pair(7, tid), time, 4, CONTEXT_KERNEL, ip, DEFERRED, cookie];
        record(SAMPLE, 1, &body)
    };
    let rest = |tid: i32, time: u64, cookie: u64, user: &[u64]| {
        let body = [&[cookie, user.len() as u64 + 1, CONTEXT_USER][..], user, &[pair(7, tid), time]].concat();
        record(CALLCHAIN_DEFERRED, USER, &body)
    };
    const KERNEL: u64 = 0xffff_ffff_8100_0000;
    let records = [
        sample(7, 1000, KERNEL + 1, 11),
        sample(8, 1100, KERNEL + 2, 11),
        sample(7, 1200, KERNEL + 3, 11),
        rest(7, 1300, 11, &[0x4000, 0x3000]),
        // Another stay in the kernel, of which the second half was lost.
        sample(8, 1400, KERNEL + 4, 12),
        rest(8, 1500, 13, &[0x6000]),
        sample(7, 1600, KERNEL + 5, 14),
    ];
    let recording = read(&file(attr, &records.concat(), None), no_files());
    let mut found: Vec<(i32, u64, Vec<u64>)> = Vec::new();
    for (sample, stack) in recording.samples.iter().zip(stacks(&recording)) {
        let tid = recording.threads[sample.thread as usize].tid;
        found.push((tid, sample.time, stack.into_iter().map(|(_, address)| address).collect()));
    }
    found.sort_by_key(|(_, time, _)| *time);
    let expected = [
        (7, 1000, vec![KERNEL + 1, 0x4000, 0x3000]),
        (8, 1100, vec![KERNEL + 2]),
        (7, 1200, vec![KERNEL + 3, 0x4000, 0x3000]),
        (8, 1400, vec![KERNEL + 4]),
        (7, 1600, vec![KERNEL + 5]),
    ];
    assert_eq!(found, expected);
    assert!(recording.samples.iter().all(|sample| sample.stack != NONE));
}

/// Records are decoded ahead, block by block (2,048 records, or 131,072 frames): samples still see the names and mappings
/// of their time, wherever a block ends.
#[test]
fn samples_see_what_came_before_them_and_nothing_later() {
    let attr = Attr { sample_type: IP | TID | TIME | CALLCHAIN, ..Attr::default() };
    let chain = |index: u64| (0..1 + index * 7 % 300).map(move |depth| 0x40_0000 + index % 40 * 0x1000 + depth * 16);
    let mut records = Vec::new();
    let mut expected = Vec::new();
    for index in 0..6000_u64 {
        let trailer = [pair(7, 7), 10 * index];
        if index % 700 == 0 {
            records.extend(record(COMM, 0, &[&[pair(7, 7)][..], &text(&format!("n{index:06}")), &trailer].concat()));
        }
        if index == 3333 {
            records.extend(mapping(7, 0x40_0000, 0x10_0000, "/bin/program", &trailer));
        }
        let words: Vec<u64> = std::iter::once(CONTEXT_USER).chain(chain(index)).collect();
        let body = [&[0x40_0000, pair(7, 7), 10 * index + 1, words.len() as u64][..], &words].concat();
        records.extend(record(SAMPLE, USER, &body));
        let place =
            |address: u64| if index < 3333 { (None, address) } else { (Some(CodeKind::File), address - 0x40_0000) };
        let name = format!("n{:06}", index / 700 * 700);
        expected.push((name, 10 * index + 1, chain(index).map(place).collect::<Vec<_>>()));
    }
    let recording = read(&file(attr, &records, None), no_files());
    let name = |thread: u32| String::from_utf8_lossy(&recording.threads[thread as usize].name).into_owned();
    let found = recording.samples.iter().zip(stacks(&recording));
    let found: Vec<_> = found.map(|(sample, stack)| (name(sample.thread), sample.time, stack)).collect();
    assert!(found == expected, "6,000 samples in order, each with its own stack");
}

/// Copies of the stack without registers: nothing can be unwound, the kernel's call chain stays, whatever is in it.
#[test]
fn without_registers_the_call_chain_stays() {
    const CONTEXT_HYPERVISOR: u64 = -32_i64 as u64;
    let attr = Attr { sample_type: IP | TID | TIME | CALLCHAIN | STACK_USER, stack_user: 8, ..Attr::default() };
    let (kernel, hypervisor) = (0xffff_ffff_8100_0010, 0x4000);
    let chain = [CONTEXT_KERNEL, kernel, CONTEXT_USER, 0x5000, CONTEXT_HYPERVISOR, hypervisor];
    let sample = |time| {
        let body = [&[0x5000, pair(7, 7), time, chain.len() as u64][..], &chain, &[8, 0x1234, 8]].concat();
        record(SAMPLE, USER, &body)
    };
    let records = [mapping(7, 0x5000, 0x1000, "/bin/program", &[pair(7, 7), 1000]), sample(2000), sample(3000)];
    let recording = read(&file(attr, &records.concat(), None), no_files());
    let expected =
        vec![(Some(CodeKind::Kernel), kernel), (Some(CodeKind::File), 0), (Some(CodeKind::Foreign), hypervisor)];
    assert_eq!(stacks(&recording), [expected.clone(), expected]);
}
