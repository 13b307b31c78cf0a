//! Reading and writing pprof, beside what `prost` takes to decode the bare messages.

use std::hint::black_box;

use burnmark_formats::{Format, Input, ReadOptions, WriteOptions, read, write};
use burnmark_model::{Frame, Function, Module, Process, Profile, Sample, StackId, Thread, ValueType};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use prost::Message;

const SAMPLES: usize = 200_000;

/// A recording: a sample per event, with thread and time, over a few thousand deep stacks.
fn recording() -> Profile {
    let mut profile = Profile::new(vec![ValueType::samples(), ValueType::new("cpu", "nanoseconds")]);
    profile.default_value = 1;
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let path = profile.strings.intern("/usr/bin/server");
    let module = profile.modules.intern(Module::at(path));
    let mut stacks: Vec<Option<StackId>> = vec![None];
    for index in 0..20_000 {
        let parent = stacks[stacks.len() - 1 - random(stacks.len().min(2000))];
        let name = profile.strings.intern(&format!("server::handler::function{}", index % 5000));
        let function = profile.functions.intern(Function::named(name));
        let frame = Frame { module: Some(module), address: Some(0x1000 + index), ..Frame::of(function) };
        let frame = profile.frames.intern(frame);
        stacks.push(Some(profile.push_frame(parent, frame)));
    }
    let name = Some(profile.strings.intern("worker"));
    let process = profile.processes.intern(Process { pid: Some(100), name });
    let threads: Vec<_> = (0..16).map(|tid| profile.threads.intern(Thread { process, tid: Some(tid), name })).collect();
    for index in 0..SAMPLES {
        let sample = Sample {
            stack: stacks[random(stacks.len())],
            thread: Some(threads[random(threads.len())]),
            time_ns: Some(1_000_000_000 + 1_001_001 * index as i64 + random(1000) as i64),
            labels: None,
        };
        profile.samples.push(sample, &[1, 1_001_001]).expect("fits");
    }
    profile
}

fn written(profile: &Profile, compress: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = WriteOptions { compress, ..WriteOptions::default() };
    write(profile, Format::Pprof, &options, &mut bytes).expect("a Vec takes anything");
    bytes
}

fn both_ways(criterion: &mut Criterion) {
    let profile = recording();
    let raw = written(&profile, false);
    let gzip = written(&profile, true);
    let mut group = criterion.benchmark_group("pprof");
    // Bytes of the message, gzipped or not.
    group.throughput(Throughput::Bytes(raw.len() as u64)).sample_size(10);
    for (name, bytes) in [("read", &raw), ("read gzip", &gzip)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || bytes.clone(),
                |bytes| {
                    let (_, parsed) = read(Input::Bytes(bytes), &ReadOptions::default()).expect("readable");
                    assert_eq!(parsed.profile.samples.len(), SAMPLES);
                    parsed
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.bench_function("prost alone", |bencher| {
        bencher.iter(|| black_box(pprof::protos::Profile::decode(raw.as_slice()).expect("decodable")));
    });
    group.bench_function("write", |bencher| bencher.iter(|| black_box(written(&profile, false))));
    group.bench_function("write gzip", |bencher| bencher.iter(|| black_box(written(&profile, true))));
    group.finish();
}

criterion_group!(benches, both_ways);
criterion_main!(benches);
