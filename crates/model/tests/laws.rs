//! Laws of the profile's tables.

use burnmark_model::{
    Frame, Function, Label, LabelValue, Module, Process, Profile, Sample, StackId, Thread, ValueOverflow, ValueType,
};
use proptest::prelude::*;

/// One sample in plain terms: stack from root to leaf, thread, time, label, values.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    frames: Vec<(u8, u8, bool)>,
    thread: Option<u8>,
    time: Option<i64>,
    label: Option<u8>,
    values: [i64; 2],
}

fn plain() -> impl Strategy<Value = Plain> {
    let frame = (0..4u8, 0..3u8, any::<bool>());
    (
        prop::collection::vec(frame, 0..6),
        prop::option::of(0..3u8),
        prop::option::of(-5..100i64),
        prop::option::of(0..3u8),
        [-9..9i64, 0..1000i64],
    )
        .prop_map(|(frames, thread, time, label, values)| Plain { frames, thread, time, label, values })
}

fn value_types() -> Vec<ValueType> {
    vec![ValueType::samples(), ValueType::new("cpu", "nanoseconds")]
}

fn add(profile: &mut Profile, sample: &Plain) {
    let mut stack = None;
    for (function, module, inlined) in &sample.frames {
        let name = profile.strings.intern(&format!("f{function}"));
        let function = profile.functions.intern(Function::named(name));
        let path = profile.strings.intern(&format!("/lib/m{module}.so"));
        let module = profile.modules.intern(Module::at(path));
        let frame = Frame { module: Some(module), inline_depth: u32::from(*inlined), ..Frame::of(function) };
        let frame = profile.frames.intern(frame);
        stack = Some(profile.push_frame(stack, frame));
    }
    let thread = sample.thread.map(|tid| {
        let process = profile.processes.intern(Process { pid: Some(1), name: None });
        let name = profile.strings.intern(&format!("thread {tid}"));
        profile.threads.intern(Thread { process, tid: Some(tid.into()), name: Some(name) })
    });
    let labels = sample.label.map(|label| {
        let key = profile.strings.intern("request");
        profile.label_sets.intern(Box::new([Label { key, value: LabelValue::Number(label.into(), None) }]))
    });
    profile.samples.push(Sample { stack, thread, time_ns: sample.time, labels }, &sample.values).expect("small values");
}

fn build(samples: &[Plain]) -> Profile {
    let mut profile = Profile::new(value_types());
    samples.iter().for_each(|sample| add(&mut profile, sample));
    profile
}

fn frames(profile: &Profile, stack: Option<StackId>) -> Vec<(u8, u8, bool)> {
    let mut frames = profile
        .frames_leaf_first(stack)
        .map(|id| {
            let frame = profile.frames.get(id);
            let digit = |text: &str| text.bytes().find(u8::is_ascii_digit).map_or(0, |digit| digit - b'0');
            let module = profile.module_name(frame.module.expect("every frame has one"));
            (digit(&profile.frame_name(id)), digit(module), frame.inline_depth > 0)
        })
        .collect::<Vec<_>>();
    frames.reverse();
    frames
}

fn read_back(profile: &Profile) -> Vec<Plain> {
    profile
        .samples
        .iter()
        .enumerate()
        .map(|(index, sample)| Plain {
            frames: frames(profile, sample.stack),
            thread: sample.thread.map(|id| profile.threads.get(id).tid.expect("set") as u8),
            time: sample.time_ns,
            label: sample.labels.map(|id| match profile.label_sets.get(id)[0].value {
                LabelValue::Number(number, _) => number as u8,
                LabelValue::Text(_) => unreachable!("labels here are numbers"),
            }),
            values: [profile.samples.values(0)[index], profile.samples.values(1)[index]],
        })
        .collect()
}

proptest! {
    #[test]
    fn samples_come_back_as_they_went_in(samples in prop::collection::vec(plain(), 0..20)) {
        let profile = build(&samples);
        prop_assert_eq!(read_back(&profile), samples);
        for (id, stack) in profile.stacks.iter() {
            prop_assert!(stack.parent.is_none_or(|parent| parent < id), "parents first");
        }
    }

    #[test]
    fn parts_merged_in_order_are_the_whole(samples in prop::collection::vec(plain(), 0..30), cuts in prop::collection::vec(0..30usize, 0..4)) {
        let mut cuts = cuts.into_iter().map(|cut| cut.min(samples.len())).collect::<Vec<_>>();
        cuts.push(samples.len());
        cuts.sort_unstable();
        let mut merged = Profile::new(value_types());
        let mut start = 0;
        for cut in cuts {
            merged.append(&build(&samples[start..cut])).expect("small values");
            start = cut;
        }
        prop_assert_eq!(&merged, &build(&samples).compacted().expect("small values"));
        prop_assert_eq!(read_back(&merged), samples);
    }

    #[test]
    fn compacting_drops_what_no_sample_uses(samples in prop::collection::vec(plain(), 0..20), unused in prop::collection::vec(plain(), 0..20)) {
        let mut profile = Profile::new(value_types());
        for sample in &unused {
            add(&mut profile, sample);
        }
        profile.samples = burnmark_model::Samples::new(2);
        samples.iter().for_each(|sample| add(&mut profile, sample));
        prop_assert_eq!(profile.compacted().expect("small values"), build(&samples).compacted().expect("small values"));
    }
}

#[test]
fn other_value_types_become_columns_of_their_own() {
    let sample = Plain { frames: vec![(1, 1, false)], thread: None, time: None, label: None, values: [1, 20] };
    let mut profile = build(std::slice::from_ref(&sample));
    let mut other = build(&[sample]);
    other.value_types[1].name = "cycles".to_owned();
    profile.append(&other).expect("small values");
    assert_eq!(profile.value_types.len(), 3);
    assert_eq!(profile.samples.values(0), [1, 1]);
    assert_eq!(profile.samples.values(1), [20, 0]);
    assert_eq!(profile.samples.values(2), [0, 20]);
}

#[test]
fn a_type_that_an_input_has_twice_stays_twice() {
    let types = vec![ValueType::samples(), ValueType::samples()];
    let mut profile = Profile::new(types);
    profile.samples.push(Sample::default(), &[1, 2]).expect("small values");
    let copy = profile.compacted().expect("small values");
    assert_eq!((copy.samples.values(0), copy.samples.values(1)), (&[1][..], &[2][..]));
}

#[test]
fn values_that_would_overflow_a_sum_are_refused_and_change_nothing() {
    let mut profile = Profile::new(vec![ValueType::samples()]);
    profile.samples.push(Sample::default(), &[i64::MAX - 1]).expect("fits");
    assert_eq!(profile.samples.push(Sample::default(), &[-2]), Err(ValueOverflow { column: 0 }));
    assert_eq!(profile.samples.push(Sample::default(), &[i64::MIN]), Err(ValueOverflow { column: 0 }));
    assert_eq!((profile.samples.len(), profile.samples.total(0)), (1, i64::MAX - 1));
    profile.samples.push(Sample::default(), &[-1]).expect("fits");
    assert_eq!(profile.samples.total(0), i64::MAX - 2);
}

#[test]
fn stacks_of_any_depth_are_copied_without_recursion() {
    let mut profile = Profile::new(vec![ValueType::samples()]);
    let name = profile.strings.intern("f");
    let function = profile.functions.intern(Function::named(name));
    let frame = profile.frames.intern(Frame::of(function));
    let stack = (0..300_000).fold(None, |stack, _| Some(profile.push_frame(stack, frame)));
    profile.samples.push(Sample { stack, ..Sample::default() }, &[1]).expect("fits");
    let copy = profile.compacted().expect("fits");
    assert_eq!(copy.frames_leaf_first(copy.samples.get(0).stack).count(), 300_000);
}

#[test]
fn frames_without_a_symbol_say_what_is_known() {
    let mut profile = Profile::default();
    let path = profile.strings.intern("/usr/lib/libc.so.6");
    let module = profile.modules.intern(Module::at(path));
    let bare = Frame { function: None, module: None, address: None, line: 0, column: 0, inline_depth: 0 };
    let mut name = |frame| {
        let id = profile.frames.intern(frame);
        profile.frame_name(id).into_owned()
    };
    assert_eq!(name(bare), "[unknown]");
    assert_eq!(name(Frame { address: Some(0x10), ..bare }), "0x10");
    assert_eq!(name(Frame { module: Some(module), ..bare }), "[libc.so.6]");
    assert_eq!(name(Frame { module: Some(module), address: Some(0x10), ..bare }), "libc.so.6+0x10");
}

#[test]
fn columns_are_samples_pushed_one_by_one() {
    let mut profile = Profile::new(vec![ValueType::samples(), ValueType::new("cpu", "nanoseconds")]);
    let name = profile.strings.intern("f");
    let function = profile.functions.intern(Function::named(name));
    let frame = profile.frames.intern(Frame::of(function));
    let stack = Some(profile.push_frame(None, frame));
    for (stack, time_ns) in [(stack, 7), (None, 8), (stack, i64::MAX)] {
        profile.samples.push(Sample { stack, time_ns: Some(time_ns), ..Sample::default() }, &[1, 40]).expect("fits");
    }
    let columns = |last: i64| {
        let values = vec![vec![1; 3], vec![40, 40, last]];
        burnmark_model::Samples::from_columns(vec![stack, None, stack], vec![None; 3], vec![7, 8, i64::MAX], values)
    };
    assert_eq!(columns(40).as_ref(), Ok(&profile.samples));
    assert_eq!(columns(i64::MAX - 79), Err(ValueOverflow { column: 1 }));
    assert_eq!(columns(i64::MIN), Err(ValueOverflow { column: 1 }));
    assert!(columns(i64::MAX - 80).is_ok_and(|mut samples| samples.push(Sample::default(), &[1, 1]).is_err()));
}
