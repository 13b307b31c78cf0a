//! Samples before, between and after what they refer to, and beside samples of other threads.

use super::super::wire::Fields;
use super::super::{build, collect};
use super::*;
use crate::budget::Budget;

/// A file's fields, each encoded, with its number.
fn fields(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut fields = Fields::new(bytes);
    let mut all = Vec::new();
    loop {
        let start = fields.offset() as usize;
        let number = match fields.next(|_| Some(1 << 20)).unwrap() {
            Some(field) => field.number,
            None => return all,
        };
        all.push((number, bytes[start..fields.offset() as usize].to_vec()));
    }
}

fn joined(fields: &[(u64, Vec<u8>)]) -> Vec<u8> {
    fields.iter().flat_map(|(_, field)| field.iter().copied()).collect()
}

/// Numbers that look random.
fn random(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// Samples of more threads than lists are remembered of, with ids of one byte, of two and of none, and inlined frames.
fn of_many_threads() -> File {
    let mut file = File::new();
    let ids: Vec<u64> = (100..160).collect();
    for id in &ids {
        file.function(*id, &format!("f{id}"));
        let inlined: Vec<u64> = (0..id % 3).map(|step| ids[(*id as usize + step as usize) % ids.len()]).collect();
        file.location(*id, &[inlined, vec![*id]].concat());
    }
    let tid = file.text("tid");
    let time = file.text("end_timestamp_ns");
    let mut state = 7;
    let mut lists = vec![Vec::new(); 70];
    for at in 0..3000 {
        let thread = random(&mut state, lists.len() as u64) as usize;
        let list: &mut Vec<u64> = &mut lists[thread];
        // What is called returns, and other things are called.
        list.drain(..(random(&mut state, 6) as usize).min(list.len()));
        for _ in 0..random(&mut state, 6) {
            // Now and then it is one that is not there.
            list.insert(0, 100 + random(&mut state, if at % 100 == 0 { 62 } else { 60 }));
        }
        list.truncate(40);
        let label = |key, num| protos::Label { key, str: 0, num, num_unit: 0 };
        let labels = vec![label(tid, thread as i64), label(time, at)];
        file.sample(&list.clone(), &[at + 1]).label = labels;
    }
    file
}

#[test]
fn a_sample_means_the_same_beside_others_as_alone() {
    let mut file = of_many_threads();
    for pattern in ["", "f11.|f12."] {
        file.profile.drop_frames = if pattern.is_empty() { 0 } else { file.text(pattern) };
        let together = stacks(&file.read());
        assert_eq!(together.len(), 3000);
        let samples = std::mem::take(&mut file.profile.sample);
        for (sample, found) in samples.iter().zip(&together).step_by(7) {
            file.profile.sample = vec![sample.clone()];
            assert_eq!(stacks(&file.read()), [found.as_str()]);
        }
        file.profile.sample = samples;
    }
}

#[test]
fn it_does_not_matter_where_samples_stand() {
    let all = fields(&of_many_threads().bytes());
    let (samples, tables): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|(number, _)| *number == 2);
    let expected = read_bytes(joined(&all)).unwrap();
    let (some, others) = samples.split_at(samples.len() / 3);
    for order in [
        [&samples[..], &tables[..], &[]].concat(),
        [&tables[..], &samples[..], &[]].concat(),
        [some, &tables[..], others].concat(),
        [&tables[..9], &samples[..], &tables[9..]].concat(),
    ] {
        assert_eq!(read_bytes(joined(&order)).unwrap().profile, expected.profile);
    }
}

#[test]
fn what_we_write_ends_with_samples_and_is_read_in_one_go() {
    let parsed = of_many_threads().read();
    let ours = fields(&written(&parsed.profile, &WriteOptions::default()));
    let first = ours.iter().position(|(number, _)| *number == 2).unwrap();
    assert_eq!((ours.len() - first, ours[first..].iter().all(|(number, _)| *number == 2)), (3000, true));
    let again = read_bytes(joined(&ours)).unwrap();
    assert_eq!((warnings(&again), stacks(&again)), (vec![], stacks(&parsed)));
    let (bytes, mut budget) = (joined(&ours), Budget::new(Format::Pprof, 1 << 30));
    let mut rest = Fields::new(&*bytes);
    let tables = collect::collect(&mut rest, &mut budget, true).unwrap();
    assert_eq!((tables.samples_follow, rest.offset()), (true, joined(&ours[..first]).len() as u64));
    let in_one_go = build::build(tables, rest, budget).unwrap().expect("only samples follow");
    assert_eq!(in_one_go.profile, again.profile);
    assert_eq!(again.profile.meta, parsed.profile.meta);

    // If it is not as it says, it is read all the same.
    let (tables, samples) = ours.split_at(first);
    for claims in [[&tables[1..], samples, &tables[..1]].concat(), [&tables[..9], samples, &tables[9..]].concat()] {
        let claims = read_bytes(joined(&claims)).unwrap();
        assert_eq!((warnings(&claims), claims.profile), (vec![], again.profile.clone()));
    }

    // In a file with its samples first the comment means nothing.
    let again = read_bytes(joined(&[samples, tables].concat())).unwrap();
    assert_eq!((again.warnings.len(), again.profile), (0, read_bytes(joined(&ours)).unwrap().profile));
}

#[test]
fn how_many_stacks_there_are_is_told_ahead_and_only_makes_room() {
    let mut profile = Profile::new(vec![ValueType::samples()]);
    let name = profile.strings.intern("f");
    let function = profile.functions.intern(burnmark_model::Function::named(name));
    for address in 1..=60_000 {
        let frame = burnmark_model::Frame { address: Some(address), ..burnmark_model::Frame::of(function) };
        let frame = profile.frames.intern(frame);
        let stack = Some(profile.push_frame(None, frame));
        profile.samples.push(Sample { stack, ..Sample::default() }, &[1]).unwrap();
    }
    let ours = written(&profile, &WriteOptions::default());
    let told = b"burnmark.stacks=60000";
    let at = ours.windows(told.len()).position(|text| text == told).expect("it is told");
    let whole = read_bytes(ours.clone()).unwrap();
    assert_eq!((whole.warnings.len(), whole.profile.stacks.len()), (0, 60_000));
    for other in [b"burnmark.stacks=99999", b"burnmark.stacks=00000", b"burnmark.stacks=-1e99"] {
        let mut claims = ours.clone();
        claims[at..at + told.len()].copy_from_slice(other);
        let parsed = read_bytes(claims).unwrap();
        assert_eq!((parsed.warnings.len(), parsed.profile), (0, whole.profile.clone()));
    }
}

#[test]
fn a_file_that_gets_shorter_while_it_is_read_is_told() {
    let all = fields(&of_many_threads().bytes());
    let mut budget = Budget::new(Format::Pprof, 1 << 30);
    let mut tables = || collect::collect(&mut Fields::new(&*joined(&all)), &mut budget, true).unwrap();
    let (before, after) = (tables(), tables());
    let built = |tables, bytes: &[u8]| build::build(tables, Fields::new(bytes), Budget::new(Format::Pprof, 1 << 30));
    assert!(built(before, &joined(&all)).is_ok());
    let error = built(after, &joined(&all[..all.len() - 1])).unwrap_err().to_string();
    assert!(error.contains("has changed while it was read"), "{error}");
}

#[test]
fn a_stream_that_breaks_off_is_not_taken_for_a_whole_one() {
    let profile = of_many_threads().read().profile;
    let whole = written(&profile, &WriteOptions { compress: true, ..WriteOptions::default() });
    for part in 2..20 {
        let error = read_bytes(whole[..whole.len() * part / 20].to_vec()).unwrap_err();
        assert!(matches!(error, Error::Compressed { .. }), "{part}: {error}");
    }
}
