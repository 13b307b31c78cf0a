//! What is written is read back, whatever happens to the end of the file.

use burnmark_model::Meta;
use proptest::prelude::*;

use super::*;
use crate::recording::{
    CodeKind, EventRow, FrameRow, LostRow, ModuleRow, NONE, ProcessRow, Recording, SampleRow, StackRow, ThreadRow,
};

/// A recording that grows by `step` rows of everything at a time.
fn grow(recording: &mut Recording, step: u64) {
    let at = |length: usize, of: u64| (length as u64 % of) as u32;
    for index in 0..step {
        let Recording { modules, processes, threads, frames, stacks, samples, lost, .. } = &mut *recording;
        let kinds = [CodeKind::File, CodeKind::Kernel, CodeKind::Vdso, CodeKind::Anonymous, CodeKind::Foreign];
        modules.push(ModuleRow {
            path: format!("/lib/{}\u{fe}", modules.len()).into_bytes().into(),
            kind: kinds[modules.len() % 5],
            device: (8, 1),
            inode: u64::MAX - index,
            build_id: vec![7; modules.len() % 21].into(),
            pid: -1,
            start: index << 12,
            end: u64::MAX,
        });
        processes.push(ProcessRow { pid: index as i32 - 1, name: vec![0xff, index as u8].into() });
        threads.push(ThreadRow { process: at(threads.len(), 1), tid: i32::MAX, name: Box::default() });
        let module = if frames.len() % 3 == 0 { NONE } else { at(frames.len(), 2) % modules.len() as u32 };
        frames.push(FrameRow { module, address: index.wrapping_mul(0x9e37_79b9_7f4a_7c15), is_return: index % 2 == 0 });
        let parent = if stacks.is_empty() { NONE } else { stacks.len() as u32 - 1 };
        stacks.push(StackRow { parent, frame: frames.len() as u32 - 1 });
        let stack = if samples.len() % 4 == 0 { NONE } else { stacks.len() as u32 - 1 };
        let (time, period) = (1_000_000 * index, 1_001_001 - index % 2);
        lost.push(LostRow { time: index, count: u64::MAX });
        let event = [0, 0, 3, 0, 1, 0, 0][samples.len() % 7];
        recording.push_sample(SampleRow { time, period, stack, thread: 0 }, event);
    }
}

fn events() -> Vec<EventRow> {
    ["cycles:u", "", "é"].iter().zip(0..).map(|(name, period)| EventRow { name: (*name).into(), period }).collect()
}

fn meta() -> Meta {
    Meta {
        producer: Some("burnmark 0.1".into()),
        event: Some("cpu-clock".into()),
        period: Some(-3),
        frequency_hz: Some(999),
        lost: Some(u64::MAX),
        notes: vec!["a".into(), String::new()],
        other: [("k".to_owned(), "v".to_owned())].into(),
        ..Meta::default()
    }
}

/// Three frames, and what was recorded when each was written.
fn spooled(folder: &Path) -> (PathBuf, Vec<(u64, Recording)>) {
    let path = folder.join("spool");
    let mut spool = Spool::create(&path).unwrap();
    let mut recording = Recording { meta: meta(), boot_id: "b".into(), events: events(), ..Recording::default() };
    let mut states = vec![(spool.len(), Recording::default())];
    for step in [2, 1, 3] {
        grow(&mut recording, step);
        spool.append(&recording).unwrap();
        states.push((spool.len(), recording.clone()));
        spool.append(&recording).unwrap();
        assert_eq!(spool.len(), states.last().unwrap().0, "nothing new, nothing written");
        recording.meta.duration_ns = Some(step as i64);
    }
    (path, states)
}

#[test]
fn everything_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (path, states) = spooled(folder.path());
    let (recording, warnings) = read_spool(&path).unwrap();
    assert_eq!(recording, states.last().unwrap().1);
    assert_eq!(warnings, []);
}

#[test]
fn cut_at_any_byte_it_gives_all_whole_frames() {
    let folder = tempfile::tempdir().unwrap();
    let (path, states) = spooled(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    for length in 0..MAGIC.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert_eq!(read_spool(&path).unwrap(), (Recording::default(), vec![]), "a recorder that had just started");
    }
    for length in MAGIC.len()..=bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let (recording, warnings) = read_spool(&path).unwrap();
        let (end, expected) = states.iter().rfind(|(end, _)| *end <= length as u64).unwrap();
        assert_eq!(&recording, expected, "cut at {length}");
        assert_eq!(warnings.len(), usize::from(*end != length as u64), "cut at {length}");
        let position = warnings.first().map(|warning| warning.position);
        assert_eq!(position.unwrap_or(Some(Position::Byte(*end))), Some(Position::Byte(*end)));
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, states) = spooled(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    for at in MAGIC.len()..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        let (recording, warnings) = read_frames(&bytes[MAGIC.len()..]);
        let (_, expected) = states.iter().rfind(|(end, _)| *end <= at as u64).unwrap();
        assert_eq!(&recording, expected, "byte {at}");
        assert_eq!(warnings.len(), 1);
    }
}

#[test]
fn a_file_that_is_no_spool_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for bytes in [b"bmspool\x01".as_slice(), b"bmspook", b"#!/bin/sh\n"] {
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(read_spool(&path), Err(Error::NotASpool { expected: 2, .. })));
    }
    assert!(matches!(read_spool(&folder.path().join("none")), Err(Error::Spool { .. })));
    assert!(matches!(Spool::create(&path), Err(Error::Spool { .. })), "what is there is not overwritten");
}

#[test]
fn a_full_disk_leaves_whole_frames() {
    // /dev/full takes no byte, and can't be created anew.
    let mut spool = Spool {
        path: "/dev/full".into(),
        file: File::options().write(true).open("/dev/full").unwrap(),
        good: 8,
        written: Lengths::default(),
        meta: Vec::new(),
        buffer: Vec::new(),
    };
    let mut recording = Recording::default();
    grow(&mut recording, 3);
    let error = spool.append(&recording).unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    assert_eq!((spool.len(), spool.written), (8, Lengths::default()));
}

#[test]
fn a_sample_takes_few_bytes() {
    let mut recording = Recording::default();
    grow(&mut recording, 1);
    let mut time = 0;
    for index in 0..100_000_u64 {
        time += 1_001_001 + (index * 7919) % 5000;
        recording.samples.push(SampleRow { time, period: 1_001_001, stack: 0, thread: 0 });
    }
    let mut out = Vec::new();
    rows::encode(&recording, &Lengths::default(), &Lengths::of(&recording), None, &mut out);
    assert!(out.len() < 800_000, "{}", out.len());
}

#[test]
fn many_samples_become_several_frames() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let mut recording = Recording::default();
    grow(&mut recording, 1);
    let row = recording.samples.get(0);
    (recording.samples.len()..2 * SAMPLES_PER_FRAME + 5).for_each(|_| recording.samples.push(row));
    Spool::create(&path).unwrap().append(&recording).unwrap();
    assert_eq!(read_spool(&path).unwrap().0, recording);
}

proptest! {
    /// Frames with a right checksum and any payload: never a panic, and never a row that points at nothing.
    #[test]
    fn payloads_of_any_bytes_are_survived(payloads in proptest::collection::vec(proptest::collection::vec(prop_oneof![0..6_u8, any::<u8>()], 0..60), 1..4)) {
        let mut frames = Vec::new();
        for payload in &payloads {
            frames.extend((payload.len() as u32).to_le_bytes());
            frames.extend(crc32fast::hash(payload).to_le_bytes());
            frames.extend(payload);
        }
        let (recording, _) = read_frames(&frames);
        check_references(&recording);
    }

    /// The same, starting from a real payload of which bytes are changed.
    #[test]
    fn changed_payloads_are_survived(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4)) {
        let mut recording = Recording { meta: meta(), ..Recording::default() };
        grow(&mut recording, 3);
        let mut payload = Vec::new();
        let meta = rows::encode_meta(&recording);
        rows::encode(&recording, &Lengths::default(), &Lengths::of(&recording), Some(&meta), &mut payload);
        for (at, byte) in changes {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        let mut read = Recording::default();
        rows::decode(&payload, &mut read);
        check_references(&read);
    }
}

fn check_references(recording: &Recording) {
    let below = |index: u32, length: usize| index == NONE || (index as usize) < length;
    assert!(recording.threads.iter().all(|row| (row.process as usize) < recording.processes.len()));
    assert!(recording.frames.iter().all(|row| below(row.module, recording.modules.len())));
    for (index, row) in recording.stacks.iter().enumerate() {
        assert!(below(row.parent, index) && (row.frame as usize) < recording.frames.len());
    }
    for row in recording.samples.iter() {
        assert!(below(row.stack, recording.stacks.len()) && (row.thread as usize) < recording.threads.len());
    }
}
