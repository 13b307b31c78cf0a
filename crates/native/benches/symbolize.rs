//! Addresses a second from a recording to names, lines and inlined functions; samples a second into a recording.
//!
//! The addresses are of this very program (optimized, line tables only), spread evenly over its code. Peers on the
//! same 20,000 addresses of the same file (user + system seconds, two-core machine under load, best of three):
//! `addr2line -f -i -C` of binutils 2.40: 0.83; `llvm-addr2line -f -i -C` of LLVM 14: 0.69; one thread here, with the
//! profile made of it: 0.47.
//!
//! A whole recording: `perf record -F 999 -g -o p.data -- rustc -O --edition 2021 --crate-type lib big.rs` (9,800 samples
//! in rustc's own libraries of 350 MB), then, one after the other on two cores under heavy load, best of two: `burnmark
//! top p.data` 0.34 CPU seconds, 116 MB (most of it mapped files); `perf script --no-inline -i p.data` 1.32 CPU seconds,
//! 114 MB.

use std::hint::black_box;
use std::path::Path;

use burnmark_model::Meta;
use burnmark_native::{
    FileFinder, Mode, Modules, ProcessMaps, Progress, Recorder, Recording, SampleEvent, SymbolOptions, finish,
    parse_maps,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ADDRESSES: u64 = 20_000;
const DEPTH: u64 = 30;

/// This process, and its program's code.
fn own() -> (Recorder, i32, u64, u64) {
    let pid = std::process::id() as i32;
    let process = ProcessMaps::read(Path::new("/proc/self"), pid).expect("our own process can be read");
    let program = std::env::current_exe().expect("we run from a file");
    let code = parse_maps(&process.maps).find(|map| Path::new(&*String::from_utf8_lossy(map.path)) == program);
    let (start, end) = code.map(|map| (map.start, map.end)).expect("our code is mapped");
    let mut recorder = Recorder::new(Meta { event: Some("cpu-clock".into()), ..Meta::default() });
    recorder.load(&process, 0);
    (recorder, pid, start, end)
}

fn recording() -> Recording {
    let (mut recorder, pid, start, end) = own();
    let step = (end - start) / ADDRESSES;
    for index in 0..ADDRESSES {
        let sample = SampleEvent { pid, tid: pid, time: index, period: 1, event: 0 };
        recorder.sample(&sample, [(Mode::User, start + index * step)]);
    }
    recorder.into_recording()
}

fn symbolize(criterion: &mut Criterion) {
    let recording = recording();
    let mut group = criterion.benchmark_group("symbolize");
    group.sample_size(10).throughput(Throughput::Elements(ADDRESSES));
    for threads in [1, 2] {
        let modules = Modules::new(FileFinder::ThisMachine);
        let options = SymbolOptions { threads, ..SymbolOptions::default() };
        group.bench_function(format!("own program, {threads} threads"), |bencher| {
            bencher.iter(|| black_box(finish(recording.clone(), &modules, &options, &Progress::default())));
        });
    }
    group.finish();
}

fn record(criterion: &mut Criterion) {
    let (mut recorder, pid, start, end) = own();
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(1000));
    let mut time = 0;
    group.bench_function("samples of 30 frames, 500 stacks", |bencher| {
        bencher.iter(|| {
            for index in 0..1000 {
                time += 1;
                let sample = SampleEvent { pid, tid: pid, time, period: 1, event: 0 };
                let frame = |depth| (Mode::User, start + (depth * 4099 + (index % 500) * depth * 64) % (end - start));
                recorder.sample(&sample, (0..DEPTH).map(frame));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, symbolize, record);
criterion_main!(benches);
