//! Profiles for tests: arbitrary small ones, and naive readings of them to compare with.

use burnmark_model::{
    Frame, Function, Module, ModuleKind, Process, Profile, Sample, Stack, StackId, Thread, ValueType,
};
use proptest::prelude::*;

use crate::{FrameKind, MergeBy};

/// A frame as texts: function, module, line, inline depth.
pub(crate) type Spec = (Option<&'static str>, Option<&'static str>, u32, u32);

/// A sample as texts: frames from the root, thread, time, values.
#[derive(Clone, Debug)]
pub(crate) struct SampleSpec {
    pub(crate) frames: Vec<Spec>,
    pub(crate) thread: Option<(i64, i64, Option<&'static str>)>,
    pub(crate) time: Option<i64>,
    pub(crate) values: [i64; 2],
}

const FUNCTIONS: [&str; 5] = ["main", "parse", "f", "g", "h<T>"];
const MODULES: [&str; 3] = ["/bin/app", "/lib/libc.so.6", "[kernel.kallsyms]"];

fn spec() -> impl Strategy<Value = Spec> {
    let function = proptest::option::weighted(0.8, proptest::sample::select(&FUNCTIONS[..]));
    let module = proptest::option::weighted(0.8, proptest::sample::select(&MODULES[..]));
    (function, module, 0..3_u32, prop_oneof![3 => Just(0_u32), 1 => 1..3_u32])
}

pub(crate) fn sample_specs(values: std::ops::Range<i64>) -> impl Strategy<Value = Vec<SampleSpec>> {
    let thread = (1..3_i64, 1..5_i64, proptest::option::of(proptest::sample::select(&["io", "cpu"][..])));
    let sample = (
        proptest::collection::vec(spec(), 0..7),
        proptest::option::weighted(0.8, thread),
        proptest::option::weighted(0.8, 1_000..1_100_i64),
        [values.clone(), values],
    );
    let sample = sample.prop_map(|(frames, thread, time, values)| SampleSpec { frames, thread, time, values });
    proptest::collection::vec(sample, 0..40)
}

pub(crate) fn build(samples: &[SampleSpec]) -> Profile {
    let mut profile = Profile::new(vec![ValueType::samples(), ValueType::new("cpu", "nanoseconds")]);
    for spec in samples {
        let mut stack = None;
        for frame in &spec.frames {
            stack = Some(push(&mut profile, stack, *frame));
        }
        let thread = spec.thread.map(|(pid, tid, name)| {
            let name = name.map(|name| profile.strings.intern(name));
            let process = profile.processes.intern(Process { pid: Some(pid), name: None });
            profile.threads.intern(Thread { process, tid: Some(tid), name })
        });
        let sample = Sample { stack, thread, time_ns: spec.time, labels: None };
        profile.samples.push(sample, &spec.values).expect("small values");
    }
    profile
}

/// The stack of one more frame.
pub(crate) fn push(profile: &mut Profile, parent: Option<StackId>, (name, path, line, depth): Spec) -> StackId {
    let function = name.map(|name| {
        let (name, file) = (profile.strings.intern(name), profile.strings.intern("src/app.rs"));
        profile.functions.intern(Function { file: Some(file), start_line: 1, ..Function::named(name) })
    });
    let module = path.map(|path| {
        let kind = if path.starts_with('[') { ModuleKind::Kernel } else { ModuleKind::User };
        let path = profile.strings.intern(path);
        profile.modules.intern(Module { kind, ..Module::at(path) })
    });
    let frame = Frame { function, module, address: None, line, column: 0, inline_depth: depth };
    let frame = profile.frames.intern(frame);
    profile.stacks.intern(Stack { parent, frame })
}

/// One chain of calls of distinct functions this deep, with a sample at every `every`th depth.
pub(crate) fn chain(depth: usize, every: usize, names: usize) -> Profile {
    let mut profile = Profile::new(vec![ValueType::samples()]);
    let mut stack = None;
    for level in 1..=depth {
        let name = profile.strings.intern(&format!("f{}", level % names));
        let function = profile.functions.intern(Function::named(name));
        let frame = profile.frames.intern(Frame::of(function));
        stack = Some(profile.push_frame(stack, frame));
        if level.is_multiple_of(every) {
            profile.samples.push(Sample { stack, ..Sample::default() }, &[1]).expect("small values");
        }
    }
    profile
}

/// What a row or node shows of a frame, told independently of the code under test.
pub(crate) type Shown = (String, Option<String>, u32, FrameKind);

pub(crate) fn shown((function, path, line, _): Spec, merge_by: MergeBy) -> Shown {
    let module = path.map(|path| path.rsplit('/').next().unwrap_or(path).to_owned());
    let bare = module.clone().map(|module| module.replace(['[', ']'], ""));
    let kind = if path == Some(MODULES[2]) { FrameKind::Kernel } else { FrameKind::Native };
    let unnamed = bare.map_or("[unknown]".to_owned(), |module| format!("[{module}]"));
    let name = match merge_by {
        MergeBy::Module => module.clone().unwrap_or(unnamed),
        MergeBy::Function | MergeBy::Line => function.map_or(unnamed, str::to_owned),
    };
    let line = match (merge_by, function) {
        (MergeBy::Line, _) => line,
        (MergeBy::Function, Some(_)) => 1,
        _ => 0,
    };
    (name, module, line, kind)
}

/// The frames of a stack as shown, from the root; runs of one module are one frame.
pub(crate) fn shown_stack(frames: &[Spec], merge_by: MergeBy) -> Vec<Shown> {
    let mut stack: Vec<Shown> = frames.iter().map(|frame| shown(*frame, merge_by)).collect();
    if merge_by == MergeBy::Module {
        stack.dedup();
    }
    stack
}

pub(crate) fn merge_by() -> impl Strategy<Value = MergeBy> {
    prop_oneof![Just(MergeBy::Function), Just(MergeBy::Line), Just(MergeBy::Module)]
}
