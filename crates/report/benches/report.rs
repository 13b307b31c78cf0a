//! Tables and flame graphs of 40,000 distinct stacks; beside our flame graph inferno's own, from the same stacks as
//! folded text (which it sorts).

use std::hint::black_box;

use burnmark_analysis::{RankOptions, rank, summarize};
use burnmark_model::{Frame, Function, Profile, Sample, ValueType};
use burnmark_report::{FlameOptions, TableForm, flame, top};
use criterion::{Criterion, criterion_group, criterion_main};

/// Knuth's 64-bit linear congruential generator.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

fn profile() -> Profile {
    let mut profile = Profile::new(vec![ValueType::samples()]);
    let frames: Vec<_> = (0..10_000)
        .map(|index| {
            let name = profile.strings.intern(&format!("crate_{}::module::function_{index}", index % 70));
            let function = profile.functions.intern(Function::named(name));
            profile.frames.intern(Frame::of(function))
        })
        .collect();
    let mut state = 1;
    for _ in 0..40_000 {
        let mut stack = None;
        for depth in 0..40 + random(&mut state) % 20 {
            let choices = 1 + depth / 4;
            let frame = frames[(depth * 197 + (random(&mut state) % choices).pow(2) * 31) % frames.len()];
            stack = Some(profile.push_frame(stack, frame));
        }
        profile.samples.push(Sample { stack, ..Sample::default() }, &[1]).expect("small values");
    }
    profile
}

fn folded(profile: &Profile) -> Vec<String> {
    let line = |sample: Sample| {
        let mut names: Vec<_> = profile.frames_leaf_first(sample.stack).map(|id| profile.frame_name(id)).collect();
        names.reverse();
        names.join(";") + " 1"
    };
    profile.samples.iter().map(line).collect()
}

fn pictures(criterion: &mut Criterion) {
    let profile = profile();
    let lines = folded(&profile);
    let mut group = criterion.benchmark_group("report");
    group.sample_size(20);
    for (name, reverse) in [("flame", false), ("flame, reverse", true)] {
        let options = FlameOptions { reverse, ..FlameOptions::default() };
        group.bench_function(name, |bencher| {
            bencher.iter(|| flame(black_box(&profile), &options, &mut std::io::sink()).expect("drawn").frames);
        });
    }
    group.bench_function("inferno alone, from folded text", |bencher| {
        bencher.iter(|| {
            let mut options = inferno::flamegraph::Options::default();
            let lines = lines.iter().map(String::as_str);
            inferno::flamegraph::from_lines(&mut options, lines, std::io::sink()).expect("drawn");
        });
    });
    let ranking = rank(&profile, &RankOptions::default()).expect("valid");
    let summary = summarize(&profile, 0).expect("valid");
    let rows = ranking.rows.len();
    for (name, form) in [("table", TableForm::Terminal { width: 120, colours: true }), ("json", TableForm::Json)] {
        group.bench_function(format!("{name} of {rows} rows"), |bencher| {
            bencher.iter(|| top(black_box(&profile), &ranking, &summary, &form).len());
        });
    }
    group.finish();
}

criterion_group!(benches, pictures);
criterion_main!(benches);
