//! From a recording to a profile.

use std::collections::HashMap;
use std::path::PathBuf;

use burnmark_model::{Meta, ValueType};

use super::*;
use crate::FileFinder;
use crate::procfs::ProcessMaps;
use crate::recorder::{Event, Mapped, Recorder, SampleEvent};
use crate::recording::{NONE, SampleRow};
use burnmark_perf::record::Mode;

const KERNEL: u64 = 0xffff_ffff_8100_0000;

fn meta(event: &str) -> Meta {
    Meta { event: Some(event.into()), ..Meta::default() }
}

fn sample(recorder: &mut Recorder, time: u64, chain: &[(Mode, u64)]) {
    recorder.sample(&SampleEvent { pid: 7, tid: 7, time, period: 1000, event: 0 }, chain.iter().copied());
}

fn finished(recording: &Recording, finder: &FileFinder) -> Parsed {
    finish(recording.clone(), &Modules::new(finder.clone()), &SymbolOptions::default(), &Progress::default()).parsed
}

fn only(files: &[(&str, &std::path::Path)]) -> FileFinder {
    FileFinder::Only(
        files.iter().map(|(name, path)| (PathBuf::from(name), path.to_path_buf())).collect::<HashMap<_, _>>(),
    )
}

/// The names of a sample's frames, from the root on.
fn names(profile: &Profile, index: usize) -> Vec<String> {
    let frames: Vec<_> = profile.frames_leaf_first(profile.samples.stacks()[index]).collect();
    frames.into_iter().rev().map(|frame| profile.frame_name(frame).into_owned()).collect()
}

#[inline(never)]
fn outermost(sum: u64) -> u64 {
    inlined(sum).wrapping_add(1)
}

#[inline(always)]
fn inlined(sum: u64) -> u64 {
    std::hint::black_box(sum).wrapping_mul(std::hint::black_box(7))
}

/// A recording of addresses in this very program.
fn own_recording() -> Recording {
    let mut recorder = Recorder::new(meta("cpu-clock"));
    let pid = std::process::id() as i32;
    recorder.load(&ProcessMaps::read(std::path::Path::new("/proc/self"), pid).unwrap(), 10);
    let start = outermost as fn(u64) -> u64 as usize as u64;
    for step in 0..3000 {
        let chain = [(Mode::Kernel, KERNEL + step), (Mode::User, start + step % 80), (Mode::User, start + step * 97)];
        recorder.sample(&SampleEvent { pid, tid: pid, time: 100 + step, period: 10, event: 0 }, chain);
    }
    recorder.into_recording()
}

#[test]
fn value_types_follow_the_event() {
    for (event, name, unit) in
        [("cpu-clock", "cpu", "nanoseconds"), ("task-clock:u", "cpu", "nanoseconds"), ("cycles", "cycles", "events")]
    {
        let mut recorder = Recorder::new(meta(event));
        sample(&mut recorder, 5, &[]);
        let profile = finished(recorder.recording(), &only(&[])).profile;
        assert_eq!(profile.value_types, [ValueType::samples(), ValueType::new(name, unit)]);
        assert_eq!((profile.default_value, profile.samples.total(0), profile.samples.total(1)), (1, 1, 1000));
        assert_eq!(profile.samples.get(0).time_ns, Some(5));
    }
    let profile = finished(&Recording::default(), &only(&[])).profile;
    assert_eq!((profile.value_types, profile.default_value), (vec![ValueType::samples()], 0));
}

#[test]
fn our_own_functions_are_found_with_inlined_ones() {
    assert_eq!(outermost(2), 15);
    let recording = own_recording();
    let Parsed { profile, .. } = finished(&recording, &FileFinder::ThisMachine);
    let outer = "burnmark_native::finish::tests::outermost";
    let frames: Vec<_> =
        profile.frames.iter().map(|(id, frame)| (profile.frame_name(id).into_owned(), *frame)).collect();
    let found = frames.iter().find(|(name, _)| name == outer).unwrap().1;
    let function = profile.functions.get(found.function.unwrap());
    assert!(profile.strings.get(function.file.unwrap()).ends_with("finish/tests.rs"));
    assert!(profile.strings.get(function.system_name.unwrap()).starts_with('_'));
    let module = profile.modules.get(found.module.unwrap());
    assert_eq!((module.kind, module.memory), (ModuleKind::User, [0; 3]));
    // The test is built without optimization; what says `always` is inlined all the same.
    let inner = frames.iter().find(|(name, frame)| name.ends_with("tests::inlined") && frame.inline_depth == 1);
    assert!(inner.is_some());

    let options = SymbolOptions { inlines: false, ..SymbolOptions::default() };
    let flat = finish(recording.clone(), &Modules::new(FileFinder::ThisMachine), &options, &Progress::default())
        .parsed
        .profile;
    assert!(flat.frames.iter().all(|(_, frame)| frame.inline_depth == 0));
}

#[test]
fn any_number_of_threads_gives_the_same_profile() {
    let recording = own_recording();
    let profile = |threads| {
        let progress = Progress::default();
        let options = SymbolOptions { threads, ..SymbolOptions::default() };
        let parsed = finish(recording.clone(), &Modules::new(FileFinder::ThisMachine), &options, &progress).parsed;
        let (done, total) = progress.get();
        assert_eq!((done, total), (recording.frames.len(), recording.frames.len()));
        parsed
    };
    let one = profile(1);
    assert!(one.profile.frames.len() > 1000);
    assert_eq!(one, profile(3));
    assert_eq!(one, profile(8));
}

#[test]
fn a_kernel_without_symbols_is_one_frame_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let kallsyms = folder.path().join("kallsyms");
    std::fs::write(&kallsyms, "0000000000000000 T _text\n").unwrap();
    let mut recorder = Recorder::new(meta("cycles"));
    let mapping = Mapped { start: 0x1000, end: 0x2000, path: b"/home/ann/prog", ..Mapped::default() };
    recorder.event(&Event::Map { pid: 7, mapping, executable: true, time: 1 });
    sample(&mut recorder, 5, &[(Mode::Kernel, KERNEL), (Mode::Kernel, KERNEL + 9), (Mode::User, 0x1234)]);
    sample(&mut recorder, 6, &[(Mode::Kernel, KERNEL + 64), (Mode::User, 0x1234)]);
    let recording = recorder.into_recording();
    let Parsed { profile, warnings } = finished(&recording, &only(&[("[kernel.kallsyms]", &kallsyms)]));
    assert_eq!(names(&profile, 0), ["prog+0x234", "[kernel]"]);
    assert_eq!(profile.samples.stacks()[0], profile.samples.stacks()[1]);
    assert!(profile.meta.notes[0].contains("kptr_restrict"), "{:?}", profile.meta.notes);
    // The program isn't there either: named with its samples, and without who owns it.
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].message, "no symbols for ~/prog: file not found");
    assert_eq!(warnings[0].count, 2);
    assert_eq!(profile.meta.other["no_symbols.~/prog"], "2 samples: file not found");
    // Its addresses are file offsets, which pprof's mapping says.
    let module = profile.modules.iter().find(|(_, module)| profile.strings.get(module.path) == "~/prog").unwrap().1;
    assert_eq!(module.memory, [0, i64::MAX as u64, 0]);
    assert_eq!(profile.meta.complete_stacks, Some(0));
    assert_eq!(profile.meta.other["stacks_end_in.~/prog"], "2");

    std::fs::write(&kallsyms, format!("{KERNEL:x} T entry\n{:x} t work\t[mod]\n", KERNEL + 9)).unwrap();
    let profile = finished(&recording, &only(&[("[kernel.kallsyms]", &kallsyms)])).profile;
    assert_eq!(names(&profile, 0), ["prog+0x234", "work", "entry"]);
    let modules: Vec<_> = profile.modules.iter().map(|(_, m)| (profile.strings.get(m.path), m.kind)).collect();
    let kernel = ModuleKind::Kernel;
    assert_eq!(modules, [("~/prog", ModuleKind::User), ("[mod]", kernel), ("[kernel.kallsyms]", kernel)]);
    assert_eq!(profile.meta.notes, [""; 0]);
}

#[test]
fn stacks_that_become_the_same_are_one_and_all_others_stay_apart() {
    let folder = tempfile::tempdir().unwrap();
    let kallsyms = folder.path().join("kallsyms");
    std::fs::write(&kallsyms, "0000000000000000 T _text\n").unwrap();
    let finder = only(&[("[kernel.kallsyms]", &kallsyms)]);
    // Code without a file: a module of each process, and in the profile one.
    let recorder = || {
        let mut recorder = Recorder::new(meta("cycles"));
        for pid in [7, 8] {
            let mapping = Mapped { start: 0x1000, end: 0x2000, path: b"//anon", ..Mapped::default() };
            recorder.event(&Event::Map { pid, mapping, executable: true, time: 1 });
        }
        recorder
    };
    let mut random = 1u64;
    let mut below = |bound: u64| {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (random >> 33) % bound
    };
    let (mut all, mut alone) = (recorder(), Vec::new());
    for time in 10..400 {
        let pid = 7 + below(2) as i32;
        let event = SampleEvent { pid, tid: pid, time, period: 1, event: 0 };
        // The same few addresses as leaves and as callers, and kernel frames here and there.
        let chain: Vec<_> = (0..1 + below(6))
            .map(|_| match below(3) {
                0 => (Mode::Kernel, KERNEL + below(3)),
                1 => (Mode::User, 0x1234 + below(2)),
                _ => (Mode::User, 0x5000),
            })
            .collect();
        all.sample(&event, chain.iter().copied());
        let mut one = recorder();
        one.sample(&event, chain.iter().copied());
        alone.push(finished(one.recording(), &finder).profile);
    }
    let profile = finished(all.recording(), &finder).profile;
    let distinct: std::collections::HashSet<_> = profile.stacks.iter().map(|(_, stack)| *stack).collect();
    assert_eq!(distinct.len(), profile.stacks.len());
    assert!(profile.stacks.len() + 100 < all.recording().stacks.len(), "many become the same");
    for (index, alone) in alone.iter().enumerate() {
        assert_eq!(names(&profile, index), names(alone, 0));
    }
}

#[test]
fn stacks_that_reach_the_start_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let kallsyms = folder.path().join("kallsyms");
    let text = format!("{KERNEL:x} T schedule\n{:x} T ret_from_fork_asm\n", KERNEL + 0x100);
    std::fs::write(&kallsyms, text).unwrap();
    let mut recorder = Recorder::new(meta("cpu-clock"));
    sample(&mut recorder, 1, &[(Mode::Kernel, KERNEL), (Mode::Kernel, KERNEL + 0x110)]);
    sample(&mut recorder, 2, &[(Mode::Kernel, KERNEL)]);
    sample(&mut recorder, 3, &[]);
    sample(&mut recorder, 4, &[(Mode::User, 0x1234)]);
    let profile = finished(recorder.recording(), &only(&[("[kernel.kallsyms]", &kallsyms)])).profile;
    assert_eq!(profile.meta.complete_stacks, Some(1));
    assert_eq!(profile.meta.other["stacks_end_in.[kernel.kallsyms]"], "1");
    assert_eq!(profile.meta.other["stacks_end_in.[unknown]"], "2");
}

#[test]
fn kernel_addresses_of_another_boot_have_no_names() {
    let mut recorder = Recorder::new(meta("cpu-clock"));
    recorder.set_boot_id("00000000-0000-0000-0000-000000000000\n");
    sample(&mut recorder, 1, &[(Mode::Kernel, KERNEL + 0x1000)]);
    let profile = finished(recorder.recording(), &FileFinder::ThisMachine).profile;
    assert_eq!(names(&profile, 0), ["[kernel]"]);
    assert!(profile.meta.notes[0].contains("boot"), "{:?}", profile.meta.notes);
    assert!(!format!("{:?}", profile.meta).contains("00000000"), "the boot is not told");
}

#[test]
fn periods_that_overflow_are_counted_as_samples_only() {
    let mut recorder = Recorder::new(meta("cycles"));
    for time in 0..3 {
        recorder.sample(&SampleEvent { pid: 7, tid: 7, time, period: u64::MAX, event: 0 }, []);
    }
    let Parsed { profile, warnings } = finished(recorder.recording(), &only(&[]));
    assert_eq!((profile.samples.total(0), profile.samples.total(1)), (3, i64::MAX));
    assert_eq!((warnings.len(), warnings[0].count), (1, 2));
}

#[test]
fn lost_samples_and_threads_are_told() {
    let mut recorder = Recorder::new(meta("cycles"));
    recorder.event(&Event::Name { pid: 7, tid: 7, name: b"prog", exec: true, time: 1 });
    recorder.event(&Event::Lost { count: 12, time: 2 });
    recorder.event(&Event::Lost { count: u64::MAX, time: 3 });
    sample(&mut recorder, 5, &[]);
    let profile = finished(recorder.recording(), &only(&[])).profile;
    assert_eq!(profile.meta.lost, Some(u64::MAX));
    let thread = profile.threads.get(profile.samples.get(0).thread.unwrap());
    let process = profile.processes.get(thread.process);
    assert_eq!((thread.tid, process.pid), (Some(7), Some(7)));
    assert_eq!(profile.strings.get(thread.name.unwrap()), "prog");
    assert_eq!(profile.strings.get(process.name.unwrap()), "prog");
}

#[test]
fn a_very_deep_stack_is_finished() {
    let mut recorder = Recorder::new(meta("cycles"));
    let chain: Vec<_> = (0..100_000).map(|address| (Mode::User, address)).collect();
    sample(&mut recorder, 1, &chain);
    let profile = finished(recorder.recording(), &only(&[])).profile;
    assert_eq!(profile.frames_leaf_first(profile.samples.stacks()[0]).count(), 100_000);
}

#[test]
fn rows_that_a_spool_may_hold_are_survived() {
    let mut recording = own_recording();
    recording.samples.push(SampleRow { time: u64::MAX, period: 0, stack: NONE, thread: 0 });
    let profile = finished(&recording, &only(&[])).profile;
    assert_eq!(profile.samples.len(), recording.samples.len());
}

#[test]
fn each_event_is_a_value_type() {
    let mut recorder = Recorder::new(Meta::default());
    let event = |name: &str, period| crate::EventRow { name: name.into(), period };
    *recorder.events_mut() = vec![event("cpu-clock:u", 0), event("page-faults", 7), event("sched:sched_switch", 0)];
    for (time, event, period) in [(1, 0, 100), (2, 1, 7), (3, 0, 100), (4, 2, 1), (5, 1, 9), (6, 9, 1000)] {
        recorder.sample(&SampleEvent { pid: 7, tid: 7, time, period, event }, []);
    }
    let profile = finished(recorder.recording(), &only(&[])).profile;
    let values: Vec<_> = profile.value_types.iter().map(|value| format!("{}/{}", value.name, value.unit)).collect();
    let expected = "cpu-clock:u/count cpu-clock/nanoseconds page-faults/count page-faults/events \
                    sched:sched_switch/count sched:sched_switch/events";
    assert_eq!(values.join(" "), expected);
    let totals: Vec<_> = (0..6).map(|column| profile.samples.total(column)).collect();
    // An event that nobody knows counts as the last.
    assert_eq!((totals, profile.default_value), (vec![2, 200, 2, 16, 2, 1001], 1));
    assert_eq!(profile.samples.values(3), [0, 7, 0, 0, 9, 0]);
}

/// A kernel lies elsewhere after each boot; a recording of another kernel is not named by this one's symbols.
#[test]
fn kernel_frames_are_named_by_their_own_kernel_wherever_it_lay() {
    use crate::{OwnFiles, Places};
    let folder = tempfile::tempdir().unwrap();
    let kallsyms = folder.path().join("kallsyms");
    let text = "ffffffff81000000 T startup_64\nffffffff81000000 T _text\nffffffff81000100 t helper\n\
        ffffffff81000140 T work\nffffffffc0000000 t init\t[ext4]\n";
    std::fs::write(&kallsyms, text).unwrap();
    let mut recorder = Recorder::new(Meta::default());
    recorder.set_build_ids([(b"[kernel.kallsyms]".as_slice(), [7_u8; 20].as_slice())].into_iter());
    recorder.event(&Event::Kernel { start: 0xffff_ffff_9b00_0000 });
    let sample = SampleEvent { pid: 7, tid: 7, time: 1, period: 1, event: 0 };
    let frames = [0xffff_ffff_9b00_0120, 0xffff_ffff_9b00_0150, 0xffff_ffff_c000_0004].map(|at| (Mode::Kernel, at));
    recorder.sample(&sample, frames);
    let recording = recorder.into_recording();
    let names = |places: Places| {
        let profile = finished(&recording, &FileFinder::Places(places)).profile;
        let names: Vec<String> =
            profile.frames.iter().map(|(frame, _)| profile.frame_name(frame).into_owned()).collect();
        (names, profile.meta.notes.join(" "))
    };
    let (named, _) = names(Places { kallsyms: vec![kallsyms], ..Places::default() });
    assert!(named.contains(&"helper".to_owned()) && named.contains(&"work".to_owned()), "{named:?}");
    assert!(!named.contains(&"init".to_owned()), "modules are not moved along: {named:?}");
    let (nameless, notes) = names(Places { own: OwnFiles::Files, ..Places::default() });
    assert_eq!(nameless, ["[kernel]"]);
    assert!(notes.contains("not the one that runs here"), "{notes}");
}
