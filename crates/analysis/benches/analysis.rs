//! Rank, filter and tree over a profile of the size of a minute's recording of a large program: 60,000 samples with
//! 40,000 stacks of 40 to 59 frames, of which a few hundred functions in 20 modules occur. Throughput is in steps of the
//! prefix tree.

use std::hint::black_box;

use burnmark_analysis::{CallTree, Direction, Filter, MergeBy, RankOptions, TreeOptions, filter, rank};
use burnmark_model::{Frame, Function, Module, Profile, Sample, ValueType};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use regex::Regex;

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
            let path = profile.strings.intern(&format!("/usr/lib/lib{}.so", index % 20));
            let module = profile.modules.intern(Module::at(path));
            profile.frames.intern(Frame { module: Some(module), ..Frame::of(function) })
        })
        .collect();
    let mut state = 1;
    let mut stacks = Vec::new();
    for _ in 0..40_000 {
        // Most calls go where others went before: few choices near the root, many near the leaf.
        let mut stack = None;
        for depth in 0..40 + random(&mut state) % 20 {
            let choices = 1 + depth / 4;
            let frame = frames[(depth * 197 + (random(&mut state) % choices).pow(2) * 31) % frames.len()];
            stack = Some(profile.push_frame(stack, frame));
        }
        stacks.push(stack);
    }
    for _ in 0..60_000 {
        let stack = stacks[random(&mut state) % stacks.len()];
        profile.samples.push(Sample { stack, ..Sample::default() }, &[1]).expect("small values");
    }
    profile
}

fn analyses(criterion: &mut Criterion) {
    let profile = profile();
    let mut group = criterion.benchmark_group("analysis");
    group.throughput(Throughput::Elements(profile.stacks.len() as u64));
    group.sample_size(20);
    group.bench_function("rank", |bencher| {
        bencher.iter(|| rank(black_box(&profile), &RankOptions::default()).expect("valid").rows.len());
    });
    for (name, direction, min_share) in
        [("tree", Direction::FromRoot, 0.0), ("tree, inverted, 0.01 %", Direction::FromLeaf, 0.000_1)]
    {
        let options = TreeOptions { direction, min_share, ..TreeOptions::default() };
        group.bench_function(name, |bencher| {
            bencher.iter(|| CallTree::new(black_box(&profile), &options).expect("valid").nodes.len());
        });
    }
    let focus = Filter { focus: vec![Regex::new("function_1.*7$").expect("valid")], ..Filter::default() };
    let merge = Filter { merge_by: Some(MergeBy::Module), ..Filter::default() };
    for (name, wanted) in [("focus", focus), ("merge by module", merge)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| filter(black_box(&profile), &wanted).expect("valid").samples.len());
        });
    }
    group.finish();
}

criterion_group!(benches, analyses);
criterion_main!(benches);
