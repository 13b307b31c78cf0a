//! From events to a recording.

use burnmark_perf::record::Mode;

use super::*;
use crate::recording::{FrameRow, SampleRow};

const SELF: SampleEvent = SampleEvent { pid: 7, tid: 7, time: 1000, period: 5, event: 0 };

fn map(pid: i32, start: u64, end: u64, offset: u64, path: &[u8], time: u64) -> Event<'_> {
    let mapping = Mapped { start, end, offset, path, ..Mapped::default() };
    Event::Map { pid, mapping, executable: true, time }
}

fn path_of(recorder: &Recorder, frame: FrameRow) -> String {
    let module = recorder.recording().modules.get(frame.module as usize);
    module.map_or("?".into(), |module| String::from_utf8_lossy(&module.path).into_owned())
}

/// The last sample's stack, from the leaf on: module, address, whether a return address.
fn last_stack(recorder: &Recorder) -> Vec<(String, u64, bool)> {
    let stack = recorder.recording().samples.last().unwrap().stack;
    let frames = recorder.recording().frames_leaf_first(stack);
    frames.map(|frame| (path_of(recorder, frame), frame.address, frame.is_return)).collect()
}

#[test]
fn a_sample_takes_24_bytes() {
    assert_eq!(size_of::<SampleRow>(), 24);
}

#[test]
fn kernel_and_user_halves_and_which_addresses_are_return_addresses() {
    let mut recorder = Recorder::new(Meta::default());
    recorder.event(&map(7, 0x1000, 0x2000, 0x100, b"/bin/a", 1));
    recorder.event(&map(7, 0x2000, 0x3000, 0x100, b"/bin/b", 1));
    let kernel = 0xffff_ffff_8100_0000;
    let chain = [
        (Mode::Kernel, kernel + 1),
        (Mode::Kernel, kernel + 2),
        (Mode::User, 0x1010),
        // A call that is the very last instruction of its mapping returns to the next one.
        (Mode::User, 0x2000),
        (Mode::User, 0x9999),
    ];
    recorder.sample(&SELF, chain);
    let name = |name: &str| name.to_owned();
    assert_eq!(
        last_stack(&recorder),
        [
            (name("[kernel.kallsyms]"), kernel + 1, false),
            (name("[kernel.kallsyms]"), kernel + 2, true),
            (name("/bin/a"), 0x110, false),
            (name("/bin/a"), 0x1100, true),
            (name("?"), 0x9999, true),
        ]
    );
}

#[test]
fn the_same_stack_is_kept_once_and_prefixes_are_shared() {
    let mut recorder = Recorder::new(Meta::default());
    recorder.event(&map(7, 0x1000, 0x2000, 0, b"/bin/a", 1));
    for time in 0..100 {
        recorder.sample(&SampleEvent { time, ..SELF }, [(Mode::User, 0x1010), (Mode::User, 0x1020)]);
        recorder.sample(&SampleEvent { time, ..SELF }, [(Mode::User, 0x1018), (Mode::User, 0x1020)]);
    }
    let recording = recorder.into_recording();
    assert_eq!((recording.frames.len(), recording.stacks.len(), recording.samples.len()), (3, 3, 200));
}

#[test]
fn samples_take_the_mappings_of_their_moment() {
    let mut recorder = Recorder::new(Meta::default());
    recorder.event(&map(7, 0x1000, 0x2000, 0, b"/bin/a", 1));
    recorder.sample(&SELF, [(Mode::User, 0x1010)]);
    recorder.event(&map(7, 0x1000, 0x2000, 0, b"/bin/b", 2000));
    recorder.sample(&SELF, [(Mode::User, 0x1010)]);
    let paths: Vec<_> = recorder.recording().frames.iter().map(|frame| path_of(&recorder, *frame)).collect();
    assert_eq!(paths, ["/bin/a", "/bin/b"]);
    // Memory that is no longer executable holds no code.
    let mapping = Mapped { start: 0x1000, end: 0x2000, path: b"/data", ..Mapped::default() };
    recorder.event(&Event::Map { pid: 7, mapping, executable: false, time: 3000 });
    recorder.sample(&SELF, [(Mode::User, 0x1010)]);
    assert_eq!(last_stack(&recorder), [("?".to_owned(), 0x1010, false)]);
}

#[test]
fn code_without_a_file_belongs_to_its_process() {
    let mut recorder = Recorder::new(Meta::default());
    for (pid, path) in
        [(1, b"//anon".as_slice()), (2, b""), (3, b"/memfd:jit (deleted)"), (4, b"[vdso]"), (5, b"[vdso]")]
    {
        recorder.event(&map(pid, 0x5000, 0x6000, 0x77, path, 1));
        recorder.sample(&SampleEvent { pid, tid: pid, ..SELF }, [(Mode::User, 0x5010)]);
    }
    let modules: Vec<_> = recorder.recording().modules.iter().map(|module| (&module.path[..], module.kind)).collect();
    let anon = (b"[anon]".as_slice(), CodeKind::Anonymous);
    assert_eq!(modules, [anon, anon, (b"/memfd:jit (deleted)", CodeKind::File), (b"[vdso]", CodeKind::Vdso)]);
    let addresses: Vec<_> = recorder.recording().frames.iter().map(|frame| frame.address).collect();
    assert_eq!(addresses, [0x5010, 0x5010, 0x87, 0x10]);
}

#[test]
fn threads_and_processes_have_the_names_of_their_moment() {
    let mut recorder = Recorder::new(Meta::default());
    let name = |tid, name: &'static str, exec, time| Event::Name { pid: 7, tid, name: name.as_bytes(), exec, time };
    let sample = |recorder: &mut Recorder, pid, tid| recorder.sample(&SampleEvent { pid, tid, ..SELF }, []);
    recorder.event(&name(7, "shell", true, 1));
    recorder.event(&Event::Fork { pid: 7, tid: 8, parent_pid: 7, parent_tid: 7, time: 2 });
    sample(&mut recorder, 7, 8);
    recorder.event(&name(8, "worker", false, 3));
    sample(&mut recorder, 7, 8);
    // Late news of an older name changes nothing.
    recorder.event(&name(8, "old", false, 2));
    sample(&mut recorder, 7, 8);
    recorder.event(&name(7, "main", false, 4));
    sample(&mut recorder, 7, 7);
    recorder.event(&Event::Fork { pid: 9, tid: 9, parent_pid: 7, parent_tid: 8, time: 5 });
    sample(&mut recorder, 9, 9);
    recorder.event(&name(7, "other", true, 6));
    sample(&mut recorder, 7, 7);
    let recording = recorder.into_recording();
    let names = recording.samples.iter().map(|sample| {
        let thread = &recording.threads[sample.thread as usize];
        let process = &recording.processes[thread.process as usize];
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        (process.pid, text(&process.name), thread.tid, text(&thread.name))
    });
    let expected = [
        (7, "shell", 8, "shell"),
        (7, "shell", 8, "worker"),
        (7, "shell", 8, "worker"),
        (7, "shell", 7, "main"),
        (9, "shell", 9, "worker"),
        (7, "other", 7, "other"),
    ];
    assert_eq!(names.collect::<Vec<_>>(), expected.map(|(p, a, t, b)| (p, a.to_owned(), t, b.to_owned())));
}

#[test]
fn a_pid_that_is_used_again_is_another_process() {
    let mut recorder = Recorder::new(Meta::default());
    recorder.event(&Event::Name { pid: 7, tid: 7, name: b"first", exec: true, time: 1 });
    recorder.event(&map(7, 0x1000, 0x2000, 0, b"/bin/first", 2));
    recorder.event(&Event::Exit { pid: 7, tid: 7, time: 3 });
    // A sample that comes late is still told whose it is.
    recorder.sample(&SELF, [(Mode::User, 0x1010)]);
    assert_eq!(last_stack(&recorder)[0].0, "/bin/first");
    recorder.event(&Event::Fork { pid: 7, tid: 7, parent_pid: 1, parent_tid: 1, time: 2000 });
    recorder.sample(&SampleEvent { time: 2001, ..SELF }, [(Mode::User, 0x1010)]);
    assert_eq!(last_stack(&recorder)[0].0, "?");
    let names: Vec<_> = recorder.recording().processes.iter().map(|process| process.name.to_vec()).collect();
    assert_eq!(names, [b"first".to_vec(), b"".to_vec()]);
}

#[test]
fn what_ended_long_ago_is_forgotten() {
    let mut recorder = Recorder::new(Meta::default());
    for pid in 1..1000 {
        let time = pid as u64 * 1_000_000_000;
        recorder.event(&Event::Fork { pid, tid: pid, parent_pid: 1, parent_tid: 1, time });
        recorder.event(&map(pid, 0x1000, 0x2000, 0, b"/bin/a", time));
        recorder.event(&Event::Exit { pid, tid: pid, time });
    }
    assert!(recorder.spaces.len() < 15, "{}", recorder.spaces.len());
    assert!(recorder.threads.len() < 15 && recorder.processes.len() < 15);
}

#[test]
fn a_running_process_is_taken_in() {
    let mut recorder = Recorder::new(Meta::default());
    let pid = std::process::id() as i32;
    recorder.load(&ProcessMaps::read(std::path::Path::new("/proc/self"), pid).unwrap(), 10);
    let here = a_running_process_is_taken_in as fn() as usize as u64;
    recorder.sample(&SampleEvent { pid, tid: pid, ..SELF }, [(Mode::User, here)]);
    assert_eq!(last_stack(&recorder)[0].0, std::env::current_exe().unwrap().to_str().unwrap());
    assert!(!recorder.recording().threads[0].name.is_empty());
}

#[test]
fn a_deep_stack_is_as_good_as_any() {
    let mut recorder = Recorder::new(Meta::default());
    recorder.sample(&SELF, (0..100_000).map(|address| (Mode::Unknown, address)));
    let stack = recorder.recording().samples.get(0).stack;
    assert_eq!(recorder.recording().frames_leaf_first(stack).count(), 100_000);
}
