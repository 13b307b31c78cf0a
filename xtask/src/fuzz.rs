//! The fuzzers of crates/perf/fuzz and crates/heap/fuzz: libFuzzer on the stable compiler, which has the coverage pass
//! that it needs.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;

use crate::shell;

/// What `cargo fuzz` passes to the compiler without a sanitizer.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                        -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
                        -Ccodegen-units=1";

/// What is read.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    Perfdata,
    Heap,
}

#[derive(Args)]
pub(crate) struct FuzzOptions {
    /// Which files to damage
    #[arg(value_enum, default_value_t = What::Perfdata)]
    what: What,

    /// Executions
    #[arg(long, default_value_t = 1_000_000)]
    runs: u64,
    /// Seconds at most
    #[arg(long, default_value_t = 3600)]
    seconds: u64,
}

/// Builds a fuzzer and runs it on its seeds (fixtures/perfdata, crates/heap/fuzz/seeds) and what earlier runs added to
/// them. Inputs that broke something are left in target/fuzz/found: those are to become files of fixtures/perfdata/damaged,
/// or tests of crates/heap.
pub(crate) fn run(root: &Path, options: &FuzzOptions) -> Result<bool> {
    let target = root.join("target/fuzz");
    // The longest input, in bytes: the snapshot that has everything is small.
    let (manifest, program, seeds, folder, longest) = match options.what {
        What::Perfdata => ("crates/perf/fuzz/Cargo.toml", "perf_data", "fixtures/perfdata", "corpus", 65_536),
        What::Heap => ("crates/heap/fuzz/Cargo.toml", "heap_snapshot", "crates/heap/fuzz/seeds", "corpus-heap", 4_096),
    };
    let (corpus, found) = (target.join(folder), target.join("found"));
    for folder in [&corpus, &found] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let triple = host(root)?;
    let arguments = ["build", "--release", "--manifest-path", manifest, "--target", &triple];
    let mut build = shell::cargo(root, &arguments);
    build.env("RUSTFLAGS", COVERAGE).env("CARGO_TARGET_DIR", &target);
    if !shell::succeeds(build)? {
        return Ok(false);
    }
    let program = target.join(&triple).join("release").join(program);
    let artifacts = format!("-artifact_prefix={}/", found.display());
    let (runs, seconds) = (format!("-runs={}", options.runs), format!("-max_total_time={}", options.seconds));
    let seeds = root.join(seeds);
    let mut arguments = vec![runs, seconds, artifacts, format!("-max_len={longest}")];
    // A hang is an input that takes ten seconds; memory beyond the bound is a finding, too.
    let bounds = ["-timeout=10", "-rss_limit_mb=1024", "-malloc_limit_mb=160", "-print_final_stats=1"];
    arguments.extend(bounds.map(str::to_owned));
    arguments.extend([&corpus, &seeds].map(|folder| folder.display().to_string()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    shell::succeeds(shell::command(root, program, &arguments))
}

/// The compiler's own target: named, so that build scripts are not built with the fuzzer's flags.
fn host(root: &Path) -> Result<String> {
    let output = shell::command(root, "rustc", &["-vV"]).output().context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not tell its host")?.to_owned())
}
