//! How many bytes of perf script text are read in a second, on one thread and as many as the reader chooses, beside a
//! peer in the same run: inferno's folding of the same text.
//!
//! `BURNMARK_BENCH_PERF_SCRIPT=FILE` takes a real text instead of the made ones. For whole commands, `perf script >
//! x.txt` of a large recording and `burnmark convert x.txt -o x.folded` beside `inferno-collapse-perf x.txt` tell more:
//! there the peer's text output, too, is a part of the work.

use std::fmt::Write as _;
use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;

use burnmark_formats::{Format, Input, ReadOptions, read};
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use inferno::collapse::Collapse;
use inferno::collapse::perf::{Folder, Options};

/// A text with the shape of a real one: few symbols at many addresses, and stacks that mostly begin like others.
struct Shape {
    bytes: usize,
    symbols: u64,
    /// Frames that all stacks have, and how many more at most.
    depth: (u64, u64),
    /// How many different stacks there are.
    stacks: u64,
}

/// A compiler's, unwound by DWARF: long names, stacks of 20 frames or so.
const SHORT: Shape = Shape { bytes: 64 << 20, symbols: 11_812, depth: (4, 32), stacks: 40_000 };
/// A type checker's in JavaScript, with a JIT map: stacks of 60 frames or so.
const DEEP: Shape = Shape { bytes: 64 << 20, symbols: 8_000, depth: (20, 100), stacks: 12_000 };

fn random(state: u64) -> impl FnMut(u64) -> u64 {
    let mut state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |bound| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

fn text_of(shape: &Shape) -> Vec<u8> {
    let mut text = String::with_capacity(shape.bytes + 100_000);
    let mut next = random(1);
    let mut sample = 0u64;
    while text.len() < shape.bytes {
        sample += 1;
        let (seconds, micros) = (2000 + sample / 997, sample * 1003 % 1_000_000);
        let thread = next(2);
        let _ = writeln!(
            text,
            "worker {thread} {:5}/{:<5} {seconds:5}.{micros:06}:    1003009 cpu-clock: ",
            4711,
            4711 + thread
        );
        // A stack is a path in a tree: its frames follow from its number.
        let stack = next(shape.stacks);
        let mut of_stack = random(stack + 7);
        let depth = shape.depth.0 + of_stack(shape.depth.1);
        for level in (0..depth).rev() {
            let symbol = random((stack >> (2 * (depth - level).min(20))) * 131 + level)(shape.symbols);
            let offset = next(6) * 0x1f + 4;
            let address = 0x10_0000 + symbol * 0x400 + offset;
            let generic = "core::iter::adapters::".repeat((symbol % 4) as usize);
            let _ = writeln!(
                text,
                "\t{address:16x} <{generic}module_{}::Type{symbol} as Trait>::method_{symbol}+0x{offset:x} (/usr/lib/librustc_driver-{}.so)",
                symbol % 97,
                symbol % 5
            );
        }
        text.push('\n');
    }
    text.into_bytes()
}

fn ours(path: &std::path::Path, threads: usize) -> usize {
    let file = File::open(path).expect("the text was written");
    let options = ReadOptions { format: Some(Format::PerfScript), threads, ..ReadOptions::default() };
    let (_, parsed) = read(Input::file(file).expect("it is a file"), &options).expect("it can be read");
    parsed.profile.samples.len()
}

fn peer(path: &std::path::Path, threads: usize) -> usize {
    let mut options = Options::default();
    options.nthreads = threads;
    let mut folded = Vec::new();
    Folder::from(options).collapse_file(Some(path), &mut folded).expect("the peer reads it");
    folded.len()
}

fn compare(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, text: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("there is room for temporary files");
    file.write_all(text).expect("there is room for temporary files");
    let path = file.path();
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(10);
    group.bench_function(format!("{name}/burnmark, 1 thread"), |bench| bench.iter(|| black_box(ours(path, 1))));
    group.bench_function(format!("{name}/burnmark"), |bench| bench.iter(|| black_box(ours(path, 0))));
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    group.bench_function(format!("{name}/inferno, 1 thread"), |bench| bench.iter(|| black_box(peer(path, 1))));
    group.bench_function(format!("{name}/inferno, {all} threads"), |bench| bench.iter(|| black_box(peer(path, all))));
}

fn perf_script(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("perf script");
    match std::env::var_os("BURNMARK_BENCH_PERF_SCRIPT") {
        Some(path) => compare(&mut group, "given", &std::fs::read(path).expect("the file named can be read")),
        None => {
            compare(&mut group, "short stacks", &text_of(&SHORT));
            compare(&mut group, "deep stacks", &text_of(&DEEP));
        }
    }
    group.finish();
}

criterion_group!(benches, perf_script);
criterion_main!(benches);
