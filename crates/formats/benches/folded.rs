//! How many bytes of folded text are read in a second, beside a peer: the obvious reader, which splits each line and
//! sums counts in a map from stack to count, and which has no frames, no stacks and no profile when it is done.

use std::collections::HashMap;
use std::hint::black_box;

use burnmark_formats::{Format, Input, ReadOptions, WriteOptions, read, write};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Folded text with the shape of a compiler's: 46,429 stacks, up to 80 frames deep, sorted as tools write it.
fn sorted_text() -> Vec<u8> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = move |bound: u64| {
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        (random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    };
    let names: Vec<String> = (0..11_812)
        .map(|name| format!("core::module_{}::{}function_{name}", name % 97, "generic::".repeat(below(4) as usize)))
        .collect();
    let mut lines = Vec::new();
    let mut stack: Vec<usize> = vec![0];
    while lines.len() < 46_429 {
        // Mostly a few frames change near the leaf, now and then many.
        let keep = stack.len() - (below(6) as usize).min(stack.len() - 1);
        stack.truncate(if below(200) == 0 { 1 + below(10) as usize } else { keep });
        for _ in 0..below(7) {
            stack.push(below(names.len() as u64) as usize);
        }
        stack.truncate(80);
        let text: Vec<&str> = stack.iter().map(|name| names[*name].as_str()).collect();
        lines.push(format!("{} {}\n", text.join(";"), 1 + below(900)));
    }
    lines.sort_unstable();
    lines.concat().into_bytes()
}

/// The same lines in an order where none shares much with the one before, as tools write that keep stacks in a hash map.
fn shuffled_text(sorted: &[u8]) -> Vec<u8> {
    let hash =
        |line: &[u8]| line.iter().fold(0u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    let mut lines: Vec<&[u8]> = sorted.split_inclusive(|byte| *byte == b'\n').collect();
    lines.sort_by_cached_key(|line| hash(line));
    lines.concat()
}

/// A tenth of the lines, ten times over: a line per sample.
fn repeated_text(shuffled: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = shuffled.split_inclusive(|byte| *byte == b'\n').collect();
    lines[..lines.len() / 10].concat().repeat(10)
}

fn naive(text: &[u8]) -> HashMap<String, u64> {
    let text = String::from_utf8_lossy(text);
    let mut sums = HashMap::new();
    for line in text.lines() {
        let (stack, count) = line.rsplit_once(' ').expect("a count");
        *sums.entry(stack.to_owned()).or_default() += count.parse::<u64>().expect("a number");
    }
    sums
}

fn benches(criterion: &mut Criterion) {
    let sorted = sorted_text();
    let shuffled = shuffled_text(&sorted);
    let repeated = repeated_text(&shuffled);
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("sorted", &sorted), ("shuffled", &shuffled), ("repeated", &repeated)] {
        let mut group = criterion.benchmark_group(format!("folded/{name}"));
        group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(10);
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        for threads in [1, 2] {
            let options = ReadOptions { threads, format: Some(Format::Folded), ..ReadOptions::default() };
            group.bench_function(format!("read, {threads} threads"), |bencher| {
                bencher.iter(|| {
                    let input = Input::file(std::fs::File::open(&path).expect("the file")).expect("a file");
                    black_box(read(input, &options).expect("folded text"))
                });
            });
        }
        group.bench_function("peer: lines into a map", |bencher| {
            bencher.iter(|| black_box(naive(&std::fs::read(&path).expect("the file"))));
        });
        group.finish();
    }
    let (_, parsed) = read(Input::Bytes(shuffled.clone()), &ReadOptions::default()).expect("folded text");
    let mut group = criterion.benchmark_group("folded/write");
    group.throughput(Throughput::Bytes(shuffled.len() as u64)).sample_size(10);
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            let mut out = Vec::with_capacity(shuffled.len());
            write(&parsed.profile, Format::Folded, &WriteOptions::default(), &mut out).expect("writing to memory");
            black_box(out)
        });
    });
    group.finish();
}

criterion_group!(folded, benches);
criterion_main!(folded);
