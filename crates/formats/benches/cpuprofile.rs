//! Reading a large V8 CPU profile, beside what `serde_json` takes for the bare document.

use std::fmt::Write as _;
use std::hint::black_box;

use burnmark_formats::{Format, Input, ReadOptions, read};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// A profile with as many nodes and samples as `node --cpu-prof tsc` gives: 60 MB.
fn document() -> String {
    let (nodes, samples) = (250_000u64, 75_000u64);
    let mut text = String::from(r#"{"nodes":["#);
    let mut state = 1u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    // A child's id is above its parent's: every node's first child is the next one, as in a real, deep tree.
    for id in 1..=nodes {
        let function = random(20_000);
        let _ = write!(
            text,
            r#"{}{{"id":{id},"callFrame":{{"functionName":"function{function}","scriptId":"{}","url":"file:///srv/app/node_modules/package{}/lib/index.js","lineNumber":{},"columnNumber":{}}},"hitCount":{},"parent":{},"positionTicks":[{{"line":{},"ticks":1}}]}}"#,
            if id == 1 { "" } else { "," },
            function / 20,
            function / 20,
            function * 3,
            function % 80,
            random(3),
            if id == 1 { 0 } else { id - 1 - random(id.min(40) - 1) },
            function * 3 + 2,
        );
    }
    text.push_str(r#"],"startTime":1000000,"endTime":90000000,"samples":["#);
    for index in 0..samples {
        let _ = write!(text, "{}{}", if index == 0 { "" } else { "," }, 1 + random(nodes));
    }
    text.push_str(r#"],"timeDeltas":["#);
    for index in 0..samples {
        let _ = write!(text, "{}{}", if index == 0 { "" } else { "," }, 900 + random(400));
    }
    text.push_str("]}");
    text
}

fn cpuprofile(criterion: &mut Criterion) {
    let text = document();
    let mut group = criterion.benchmark_group("cpuprofile");
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(10);
    group.bench_function("read", |bencher| {
        bencher.iter_batched(
            || text.clone().into_bytes(),
            |bytes| {
                let (format, parsed) = read(Input::Bytes(bytes), &ReadOptions::default()).expect("readable");
                assert_eq!((format, parsed.profile.samples.len()), (Format::Cpuprofile, 75_000));
                parsed
            },
            criterion::BatchSize::PerIteration,
        );
    });
    group.bench_function("serde_json::Value", |bencher| {
        bencher.iter(|| black_box(serde_json::from_str::<serde_json::Value>(&text).expect("JSON")));
    });
    group.finish();
}

criterion_group!(benches, cpuprofile);
criterion_main!(benches);
