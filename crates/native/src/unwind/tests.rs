//! Stored samples, samples made by hand, hostile tables. Live programs are in tests/oracles/unwind.rs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::recording::CodeKind;
use crate::spaces::Region;
use crate::symbols::FileFinder;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/unwind").join(name)
}

fn words(name: &str) -> Vec<u64> {
    let bytes = std::fs::read(fixture(name)).expect("the fixture is there");
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect()
}

fn row(path: &str, start: u64, end: u64) -> ModuleRow {
    let (device, inode, build_id) = Default::default();
    ModuleRow { path: path.as_bytes().into(), kind: CodeKind::File, device, inode, build_id, pid: 7, start, end }
}

/// A process with one module, and what unwinds it.
struct World {
    spaces: Spaces,
    rows: Vec<ModuleRow>,
    files: Modules,
    unwinder: Unwinder,
}

const TASK: Task = Task { pid: 7, tid: 7 };

impl World {
    /// `file` mapped at `start`, from its first byte on.
    fn new(file: &Path, start: u64, machine: Machine, call_graph: CallGraph) -> Self {
        let size = std::fs::metadata(file).expect("the file is there").len();
        let end = start + size.next_multiple_of(4096);
        let mut spaces = Spaces::default();
        spaces.map(7, Region { start, end, offset: 0, module: Some(0) }, 1);
        let files = Modules::new(FileFinder::Only(HashMap::from([("/module".into(), file.into())])));
        let unwinder = Unwinder::new(UnwindOptions { call_graph, machine: Some(machine), reads_memory: false });
        Self { spaces, rows: vec![row("/module", start, end)], files, unwinder }
    }

    fn walk(&mut self, registers: Registers, bytes: &[u8]) -> (End, Vec<UserFrame>) {
        let stack = StackCopy { start: registers.stack_pointer(), bytes, beyond: None };
        let mut frames = Vec::new();
        let code = CodeMap { spaces: &self.spaces, rows: &self.rows, files: Some(&self.files) };
        let mut walk = Walk::from_leaf(registers, 0, Vec::new());
        let end = self.unwinder.walk(&mut walk, stack, TASK, code, &mut frames);
        (end, frames)
    }
}

/// The stored sample: registers, stack, and what the program saw itself.
fn aarch64_sample() -> (Registers, Vec<u8>, Vec<u64>) {
    let words = words("aarch64.sample");
    let (registers, rest) = words.split_at(33);
    let (stack, expected) = rest.split_at(rest.len() - 7);
    let mut leaf = Registers::new(Machine::Aarch64, registers[32]);
    (0..32).for_each(|number| leaf.set(number, Some(registers[usize::from(number)])));
    (leaf, stack.iter().flat_map(|word| word.to_le_bytes()).collect(), expected.to_vec())
}

#[test]
fn a_stored_sample_of_aarch64_with_signed_return_addresses() {
    let (leaf, stack, expected) = aarch64_sample();
    let signed = stack
        .chunks_exact(8)
        .filter(|word| word[6..8] != [0, 0] && word[..6].starts_with(&expected[2].to_le_bytes()[..6]));
    assert!(signed.count() > 0, "the return addresses in the sample are signed");
    for call_graph in [CallGraph::Auto, CallGraph::Dwarf] {
        let mut world = World::new(&fixture("aarch64.elf"), 0x40_0000, Machine::Aarch64, call_graph);
        let (end, frames) = world.walk(leaf, &stack);
        assert_eq!(end, End::Start);
        let addresses: Vec<u64> = frames.iter().map(|frame| frame.address).collect();
        assert_eq!(addresses[0], leaf.ip);
        assert_eq!(addresses[1..8], expected);
        // `begin` was called by `_start`, which nothing calls.
        assert_eq!(addresses.len(), 9);
        let returns: Vec<bool> = frames.iter().map(|frame| frame.is_return).collect();
        assert_eq!(returns, [false, true, true, true, true, true, true, true, true]);
    }
}

#[test]
fn a_module_may_lie_anywhere() {
    let (mut leaf, stack, expected) = aarch64_sample();
    // As if a loader had put it elsewhere: all code addresses differ by the same, with their signatures kept.
    let shift = 0x5555_0000_0000;
    let code = 0x40_0000..0x40_1000;
    let moved: Vec<u8> = stack
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")))
        .map(|word| if code.contains(&Machine::Aarch64.code_address(word)) { word + shift } else { word })
        .flat_map(u64::to_le_bytes)
        .collect();
    leaf.ip += shift;
    leaf.set(30, leaf.get(30).map(|link| link + shift));
    let mut world = World::new(&fixture("aarch64.elf"), 0x40_0000 + shift, Machine::Aarch64, CallGraph::Auto);
    let (end, frames) = world.walk(leaf, &moved);
    assert_eq!(end, End::Start);
    assert_eq!(frames[7].address, expected[6] + shift);
}

#[test]
fn a_copy_that_ends_early_says_where() {
    let (leaf, stack, _) = aarch64_sample();
    let mut world = World::new(&fixture("aarch64.elf"), 0x40_0000, Machine::Aarch64, CallGraph::Auto);
    let (_, whole) = world.walk(leaf, &stack);
    let mut shortest = usize::MAX;
    for length in (0..stack.len()).rev().step_by(8) {
        let (end, frames) = world.walk(leaf, &stack[..length]);
        assert!(whole.starts_with(&frames), "{length}: frames are left out at the end only");
        assert!(frames.len() <= shortest, "{length}");
        shortest = frames.len();
        if let End::NotCopied(slot) = end {
            assert!(slot >= leaf.stack_pointer() + length as u64 - 7, "{length}: {slot:x} was copied");
        }
    }
    // The leaf's caller is in the link register.
    assert_eq!(shortest, 2);
}

/// A generator of numbers that are the same every time.
fn numbers(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 20
    }
}

#[test]
fn damaged_tables_and_stacks_never_panic() {
    let (leaf, stack, _) = aarch64_sample();
    let file = std::fs::read(fixture("aarch64.elf")).expect("the fixture is there");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("damaged");
    let mut next = numbers(1);
    for round in 0..1500 {
        let (mut file, mut stack) = (file.clone(), stack.clone());
        for _ in 0..=next() % 8 {
            // Headers of the file, the tables, section headers; the code itself is only looked at.
            let at = next() as usize % file.len();
            file[at] = next() as u8;
            let at = next() as usize % stack.len();
            stack[at] = next() as u8;
        }
        std::fs::write(&path, &file).expect("there is room");
        let call_graph = if round % 2 == 0 { CallGraph::Auto } else { CallGraph::Dwarf };
        let mut world = World::new(&path, 0x40_0000, Machine::Aarch64, call_graph);
        let (_, frames) = world.walk(leaf, &stack);
        assert!(frames.len() <= MOST_FRAMES);
    }
}

#[test]
fn frame_pointers_in_a_circle_end() {
    // Code in no file, so that only frame pointers tell.
    let mut spaces = Spaces::default();
    spaces.map(7, Region { start: 0x1000, end: 0x2000, offset: 0x1000, module: Some(0) }, 1);
    let anonymous = ModuleRow { kind: CodeKind::Anonymous, ..row("", 0x1000, 0x2000) };
    let options = UnwindOptions { call_graph: CallGraph::Auto, machine: Some(Machine::X86_64), reads_memory: false };
    let mut unwinder = Unwinder::new(options);
    let (rows, files) = ([anonymous], Modules::new(FileFinder::Only(HashMap::new())));
    let code = CodeMap { spaces: &spaces, rows: &rows, files: Some(&files) };
    let memory: Vec<u64> = vec![0x7010, 0x1111, 0x7000, 0x1222];
    let bytes: Vec<u8> = memory.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut leaf = Registers::new(Machine::X86_64, 0x1000);
    leaf.set(7, Some(0x7000));
    leaf.set(6, Some(0x7000));
    let mut frames = Vec::new();
    let stack = StackCopy { start: 0x7000, bytes: &bytes, beyond: None };
    let end = unwinder.walk(&mut Walk::from_leaf(leaf, 0, Vec::new()), stack, TASK, code, &mut frames);
    assert_eq!(end, End::NoTables);
    assert_eq!(frames.iter().map(|frame| frame.address).collect::<Vec<_>>(), [0x1000, 0x1111, 0x1222]);
}

/// Where the kernel puts registers for a handler, and the trampoline's code: what is found there is what was put there.
#[test]
fn signal_frames_without_tables() {
    for (machine, ip_at, sp_at) in [(Machine::X86_64, 168, 160), (Machine::Aarch64, 312 + 8 * 32, 312 + 8 * 31)] {
        let mut bytes = vec![0_u8; 1024];
        let mut put = |at: usize, word: u64| bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        put(ip_at, 0x1234);
        put(sp_at, 0x9000);
        let mut registers = Registers::new(machine, 0x1000);
        registers.set(machine.stack_pointer(), Some(0x7000));
        let stack = StackCopy { start: 0x7000, bytes: &bytes, beyond: None };
        assert_eq!(walk::by_signal_frame(&mut registers, stack), Ok(Caller::Interrupted));
        assert_eq!((registers.ip, registers.stack_pointer()), (0x1234, 0x9000));
        let short = StackCopy { start: 0x7000, bytes: &bytes[..100], beyond: None };
        registers.set(machine.stack_pointer(), Some(0x7000));
        assert!(matches!(walk::by_signal_frame(&mut registers, short), Err(Stop::NotCopied(_))));
    }
}

#[test]
fn calls_are_known_by_their_bytes() {
    let is_call = |bytes: &[u8]| walk::ends_in_call(Machine::X86_64, bytes);
    assert!(is_call(&[0x90, 0x90, 0x90, 0xe8, 1, 2, 3, 4]), "call rel32");
    assert!(is_call(&[0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0]), "call *%rax");
    assert!(is_call(&[0x90, 0x90, 0xff, 0x15, 1, 2, 3, 4]), "call *x(%rip)");
    assert!(!is_call(&[0x90; 8]));
    assert!(!is_call(&[]));
    assert!(walk::ends_in_call(Machine::Aarch64, &0x9400_0010_u32.to_le_bytes()), "bl");
    assert!(walk::ends_in_call(Machine::Aarch64, &0xd63f_0100_u32.to_le_bytes()), "blr x8");
    assert!(!walk::ends_in_call(Machine::Aarch64, &0xd503_201f_u32.to_le_bytes()), "nop");
}

/// The short forms of expressions say what gimli says.
#[test]
fn short_forms_agree_with_gimli() {
    let encoding = gimli::Encoding { address_size: 8, format: gimli::Format::Dwarf32, version: 4 };
    // breg7 8; breg16 0; lit15; and; lit11; ge; lit3; shl; plus
    let plt = [0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22];
    for ip in 0x1000..0x1020 {
        let mut registers = Registers::new(Machine::X86_64, ip);
        registers.set(7, Some(0x7000));
        let value = expression::evaluate(&plt, encoding, None, &registers, |_| None);
        assert_eq!(value, Some(0x7008 + if ip & 15 >= 11 { 8 } else { 0 }), "{ip:x}");
    }
    // breg6 -8; deref
    let mut registers = Registers::new(Machine::X86_64, 0);
    registers.set(6, Some(0x7010));
    let read = |address: u64| (address == 0x7008).then_some(0x4321);
    assert_eq!(expression::evaluate(&[0x76, 0x78, 0x06], encoding, None, &registers, read), Some(0x4321));
    assert_eq!(expression::evaluate(&[0x76, 0x78, 0x06], encoding, None, &registers, |_| None), None);
    // A jump to itself, and what is not there.
    assert_eq!(expression::evaluate(&[0x2f, 0xfd, 0xff], encoding, Some(0), &registers, read), None);
    assert_eq!(expression::evaluate(&[0x96; 2], encoding, Some(5), &registers, read), Some(5));
    assert_eq!(expression::evaluate(&[], encoding, None, &registers, read), None);
}

/// Every function of the C library that runs this test has a rule, and what handlers return to is told apart.
#[test]
fn all_functions_of_the_c_library_have_rules() {
    let Some(path) = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/usr/lib/libc.so.6"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .filter(|_| Machine::host() == Some(Machine::X86_64))
    else {
        return;
    };
    let (file, _) = crate::modules::ModuleFile::open(Path::new(path)).expect("it can be read");
    let mut module = Module::new(file.into(), Machine::X86_64).expect("it has tables");
    let mut context = UnwindContext::new();
    let (mut rules, mut signals, mut starts) = (0, 0, 0);
    for offset in module.functions() {
        match module.way(offset, &mut context) {
            Way::Rule(rule) if rule.is_signal => signals += 1,
            Way::Rule(_) => rules += 1,
            Way::Start => starts += 1,
            Way::Trampoline | Way::Unknown => panic!("no rule at offset {offset:#x}"),
        }
    }
    assert!(rules > 2000 && signals >= 1 && starts >= 1, "{rules} rules, {signals} signal frames, {starts} starts");
}
