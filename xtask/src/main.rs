//! The project's own chores: `cargo xtask test` sets a fresh machine up and runs every test, the others check what no
//! compiler checks.
//!
//! Light on purpose: it is built before anything else, and depends on no crate of burnmark's.

mod fixtures;
mod fuzz;
mod heap;
mod leaks;
mod licences;
mod long;
mod overhead;
mod perfdata;
mod setup;
mod shell;
mod source;
mod structure;
mod suite;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own chores", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Set up what the tests need, then run every test of the workspace
    Test(suite::TestOptions),
    /// Run what CI runs: .ci/run
    Ci,
    /// Check which crate depends on which, where `unsafe` stands, that each format has its fixture
    Structure,
    /// Check the licences of all dependencies, and known vulnerabilities where cargo-deny is installed
    Licences,
    /// Build the small target programs of fixtures/programs into target/fixtures
    Fixtures(fixtures::FixtureOptions),
    /// Sample programs with perf and burnmark at once and compare, at full length; `proof leaks` runs the programs that
    /// leak under several versions of Node, `proof laws` the property tests on cases not seen before
    Proof(suite::ProofOptions),
    /// Feed damaged perf.data files (`fuzz heap`: heap snapshots) to the reader until one breaks it
    Fuzz(fuzz::FuzzOptions),
    /// Count the false alarms of `burnmark diff`, and what of planted changes it finds: benches/README.md
    Calibrate(suite::CalibrateOptions),
    /// Run the benchmarks; `bench overhead` measures what recorders cost a database, `bench long` a long
    /// recording, `bench perfdata FILE` how fast perf.data is read, `bench heap FILE…` how fast heap snapshots are
    Bench(suite::BenchOptions),
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one task; false when it ran and found something wrong, which it has then printed.
fn run(task: Task) -> Result<bool> {
    let root = shell::root();
    match task {
        Task::Test(options) => suite::test(&root, &options),
        Task::Ci => shell::succeeds(shell::command(&root, ".ci/run", &[])),
        Task::Structure => structure::report(&root),
        Task::Licences => licences::report(&root),
        Task::Fixtures(options) => fixtures::report(&root, &options),
        Task::Proof(options) => suite::proof(&root, &options),
        Task::Fuzz(options) => fuzz::run(&root, &options),
        Task::Calibrate(options) => suite::calibrate(&root, &options),
        Task::Bench(options) => suite::bench(&root, &options),
    }
}
