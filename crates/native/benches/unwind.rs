//! Samples a second from registers and a copied stack to an interned stack, decoding included.
//!
//! The samples are perf's (`--call-graph dwarf`, 8 KB of stack) of an interpreter, made anew when the bench starts:
//! PERL runs a recursive function. The same samples with `fp` tell what decoding and interning alone cost.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use burnmark_native::{CallGraph, FileFinder, Modules, PerfDataOptions, read_perf_data};
use burnmark_perf::file::{Input, Map, Reader};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const PERL: &str = "sub f { my $n = shift; $n < 2 ? $n : f($n - 1) + f($n - 2) } f(24)";

/// What perf recorded; `None` if it can't.
fn perf_data(folder: &Path) -> Option<Map> {
    let data = folder.join("perf.data");
    let mut perf = Command::new("perf");
    perf.args(["record", "-q", "-F", "4999", "--call-graph", "dwarf", "-o"])
        .arg(&data)
        .args(["--", "perl", "-e", PERL]);
    perf.status().ok().filter(|status| status.success())?;
    Map::of(&std::fs::File::open(data).ok()?).ok()
}

fn unwind(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder for the samples");
    let Some(map) = perf_data(folder.path()) else {
        eprintln!("SKIPPED: perf can't sample here");
        return;
    };
    let read = |call_graph: CallGraph, modules: &Arc<Modules>| {
        let reader = Reader::open(Input::Bytes(&map)).expect("perf has written it");
        let options = PerfDataOptions { modules: Some(modules.clone()), call_graph, ..PerfDataOptions::default() };
        read_perf_data(reader, &options).expect("it can be read").0
    };
    let modules = Arc::new(Modules::new(FileFinder::ThisMachine));
    let recording = read(CallGraph::Auto, &modules);
    let frames: usize = recording.samples.iter().map(|sample| recording.frames_leaf_first(sample.stack).count()).sum();
    let samples = recording.samples.len();
    println!("{samples} samples, {:.1} frames each", frames as f64 / samples.max(1) as f64);
    let mut group = criterion.benchmark_group("unwind");
    group.sample_size(20).throughput(Throughput::Elements(samples as u64));
    for (name, call_graph) in [("auto", CallGraph::Auto), ("dwarf", CallGraph::Dwarf), ("fp", CallGraph::FramePointers)]
    {
        group.bench_function(name, |bencher| bencher.iter(|| black_box(read(call_graph, &modules))));
    }
    group.finish();
}

criterion_group!(benches, unwind);
criterion_main!(benches);
