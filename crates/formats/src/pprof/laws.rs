//! The law: writing and reading keeps everything.

use burnmark_model::{
    Frame, Function, Label, LabelValue, Meta, Module, ModuleKind, Process, Profile, Sample, Thread, ValueType,
};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

use super::tests::{read_bytes, written};
use crate::WriteOptions;

/// Name, whether the linker's name differs, file, line of definition.
type Defined = (String, bool, Option<String>, u32);
/// A label's text, or its number and unit.
type Value = Result<String, (i64, Option<String>)>;
/// tid, name, pid, comm.
type Known = (Option<i64>, Option<String>, Option<i64>, Option<String>);

#[derive(Clone, Debug)]
struct Code {
    /// From the outermost to the innermost inlined function.
    functions: Vec<Option<Defined>>,
    module: Option<(String, Option<String>, ModuleKind, [u64; 3])>,
    address: Option<u64>,
    line: u32,
    column: u32,
}

#[derive(Clone, Debug)]
struct Event {
    stack: Vec<usize>,
    thread: Option<Known>,
    time_ns: Option<i64>,
    labels: Vec<(String, Value)>,
    values: Vec<i64>,
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,2}",
        Just(String::new()),
        Just("main".into()),
        Just("[unknown]".into()),
        Just("burnmark.note=x".into()),
        Just("</script>\n;\0\u{2028}é".into()),
        any::<String>(),
    ]
}

fn kind() -> impl Strategy<Value = ModuleKind> {
    prop_oneof![Just(ModuleKind::User), Just(ModuleKind::Kernel), Just(ModuleKind::Jit)]
}

fn code() -> impl Strategy<Value = Code> {
    let function = of((text(), any::<bool>(), of(text()), 0..5u32));
    let number = prop_oneof![0..3u32, any::<u32>()];
    let module = of((text(), of(text()), kind(), prop::array::uniform3(prop_oneof![0..2u64, any::<u64>()])));
    (vec(function, 1..4), module, of(prop_oneof![1..4u64, 1..=u64::MAX]), number.clone(), number)
        .prop_map(|(functions, module, address, line, column)| Code { functions, module, address, line, column })
}

fn event(codes: usize, values: usize) -> impl Strategy<Value = Event> {
    let value = prop_oneof![-3..3i64, Just(i64::MAX / 64), Just(i64::MIN / 64)];
    // Keys of columns are no labels.
    let key = text().prop_filter("a column's key", |key| !["thread", "tid", "pid", "comm"].contains(&key.as_str()));
    let label = prop_oneof![text().prop_map(Ok), (any::<i64>(), of(text())).prop_map(Err)];
    (
        vec(0..codes, 0..6),
        of((of(any::<i64>()), of(text()), of(any::<i64>()), of(text()))),
        of(prop_oneof![0..3i64, i64::MIN + 1..=i64::MAX]),
        vec((key, label), 0..3),
        vec(value, values),
    )
        .prop_map(|(stack, thread, time_ns, labels, values)| Event { stack, thread, time_ns, labels, values })
}

fn meta() -> impl Strategy<Value = Meta> {
    let number = || of(prop_oneof![Just(0i64), any::<i64>()]);
    let count = || of(any::<u64>());
    (
        prop::array::uniform5(of(text())),
        prop::array::uniform3(number()),
        (count(), count(), count()),
        vec(text(), 0..3),
        btree_map(prop_oneof![text(), Just("a=%b%3D".into())], text(), 0..3),
    )
        .prop_map(|(texts, numbers, (frequency_hz, lost, complete_stacks), notes, other)| {
            let [producer, command, kernel, cpu, event] = texts;
            let [period, start_unix_ns, duration_ns] = numbers;
            Meta {
                producer,
                command,
                kernel,
                cpu,
                event,
                period,
                frequency_hz,
                start_unix_ns,
                duration_ns,
                lost,
                complete_stacks,
                notes,
                other,
            }
        })
}

fn value_types() -> impl Strategy<Value = Vec<ValueType>> {
    let value = (prop_oneof![Just("cpu".to_owned()), text()], text(), prop_oneof![Just(1), Just(100u32)]);
    vec(value.prop_map(|(name, unit, denominator)| ValueType { name, unit, denominator }), 1..4)
}

fn build(codes: &[Code], events: &[Event], value_types: Vec<ValueType>) -> Profile {
    let mut profile = Profile::new(value_types);
    for event in events {
        let mut stack = None;
        for code in event.stack.iter().map(|index| &codes[*index]) {
            for frame in frames(&mut profile, code) {
                let frame = profile.frames.intern(frame);
                stack = Some(profile.push_frame(stack, frame));
            }
        }
        let thread = event.thread.as_ref().map(|(tid, name, pid, comm)| {
            let comm = comm.as_ref().map(|comm| profile.strings.intern(comm));
            let process = profile.processes.intern(Process { pid: *pid, name: comm });
            let name = name.as_ref().map(|name| profile.strings.intern(name));
            profile.threads.intern(Thread { process, tid: *tid, name })
        });
        let labels = event.labels.iter().map(|(key, value)| Label {
            key: profile.strings.intern(key),
            value: match value {
                Ok(text) => LabelValue::Text(profile.strings.intern(text)),
                Err((number, unit)) => {
                    LabelValue::Number(*number, unit.as_ref().map(|unit| profile.strings.intern(unit)))
                }
            },
        });
        let labels: Box<[Label]> = labels.collect();
        let labels = (!labels.is_empty()).then(|| profile.label_sets.intern(labels));
        let sample = Sample { stack, thread, time_ns: event.time_ns, labels };
        profile.samples.push(sample, &event.values).expect("values are small");
    }
    profile
}

fn frames(profile: &mut Profile, code: &Code) -> Vec<Frame> {
    let module = code.module.as_ref().map(|(path, build_id, kind, memory)| Module {
        path: profile.strings.intern(path),
        build_id: build_id.as_ref().map(|id| profile.strings.intern(id)),
        kind: *kind,
        memory: *memory,
    });
    let module = module.map(|module| profile.modules.intern(module));
    let mut frames = Vec::new();
    for (depth, function) in code.functions.iter().enumerate() {
        let function = function.as_ref().map(|(name, mangled, file, start_line)| Function {
            name: profile.strings.intern(name),
            system_name: mangled.then(|| profile.strings.intern(&format!("_Z{name}"))),
            file: file.as_ref().map(|file| profile.strings.intern(file)),
            start_line: *start_line,
        });
        let function = function.map(|function| profile.functions.intern(function));
        let Code { address, line, column, .. } = *code;
        frames.push(Frame { function, module, address, line, column, inline_depth: depth as u32 });
    }
    frames
}

/// A sample in words, so that profiles with different ids can be compared.
fn describe(profile: &Profile, index: usize) -> String {
    let text = |id| profile.strings.get(id).to_owned();
    let sample = profile.samples.get(index);
    let frames: Vec<_> = profile
        .frames_leaf_first(sample.stack)
        .map(|frame| {
            let frame = profile.frames.get(frame);
            let function = frame.function.map(|id| profile.functions.get(id));
            let function = function.map(|function| {
                (text(function.name), function.system_name.map(text), function.file.map(text), function.start_line)
            });
            let module = frame.module.map(|id| profile.modules.get(id));
            let module =
                module.map(|module| (text(module.path), module.build_id.map(text), module.kind, module.memory));
            (function, module, frame.address, frame.line, frame.column, frame.inline_depth)
        })
        .collect();
    // A thread of which nothing is known is no thread.
    let thread = sample.thread.map(|id| profile.threads.get(id)).and_then(|thread| {
        let process = profile.processes.get(thread.process);
        let known = (thread.tid, thread.name.map(text), process.pid, process.name.map(text));
        (known != (None, None, None, None)).then_some(known)
    });
    let labels: Vec<_> = sample
        .labels
        .iter()
        .flat_map(|id| profile.label_sets.get(*id))
        .map(|label| match label.value {
            LabelValue::Text(value) => (text(label.key), Ok(text(value))),
            LabelValue::Number(number, unit) => (text(label.key), Err((number, unit.map(text)))),
        })
        .collect();
    let values: Vec<_> = (0..profile.samples.columns()).map(|column| profile.samples.values(column)[index]).collect();
    format!("{frames:?} {thread:?} {:?} {labels:?} {values:?}", sample.time_ns)
}

fn assert_same(one: &Profile, other: &Profile) {
    assert_eq!(one.meta, other.meta);
    assert_eq!(one.value_types, other.value_types);
    assert_eq!(one.default_value, other.default_value);
    assert_eq!(one.samples.len(), other.samples.len());
    for index in 0..one.samples.len() {
        assert_eq!(describe(one, index), describe(other, index), "sample {index}");
    }
}

proptest! {
    #[test]
    fn writing_and_reading_keeps_everything(
        (codes, (types, events)) in (vec(code(), 1..6), value_types()).prop_flat_map(|(codes, types)| {
            let event = event(codes.len(), types.len());
            (Just(codes), (Just(types), vec(event, 0..12)))
        }),
        meta in meta(),
        default in any::<prop::sample::Index>(),
        compress in any::<bool>(),
    ) {
        let mut profile = build(&codes, &events, types);
        profile.meta = meta;
        profile.default_value = default.index(profile.value_types.len());
        let bytes = written(&profile, &WriteOptions { compress, ..WriteOptions::default() });
        prop_assert_eq!(&bytes, &written(&profile, &WriteOptions { compress, ..WriteOptions::default() }));
        let parsed = read_bytes(bytes).expect("what was written is readable");
        prop_assert_eq!(&parsed.warnings, &vec![]);
        assert_same(&profile, &parsed.profile);
    }
}
