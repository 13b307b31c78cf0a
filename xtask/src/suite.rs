//! The whole test suite in one command, the long comparison with perf, the benchmarks.

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;

use crate::setup::{self, Runner};
use crate::shell;
use crate::{heap, leaks, long, overhead, perfdata};

/// Where nextest leaves what each test printed (.config/nextest.toml).
const JUNIT: &str = "target/nextest/default/junit.xml";

/// How many cases `proof laws` draws for each law; some laws take ten milliseconds for each.
const LAW_CASES: &str = "3000";

/// The word that a line of a test's output begins with when it could not test something here.
const SKIP: &str = "SKIP";

#[derive(Args)]
pub(crate) struct TestOptions {
    /// Install nothing, use what is there
    #[arg(long)]
    no_setup: bool,
    /// Only tests whose names contain one of these
    names: Vec<String>,
}

#[derive(Args)]
pub(crate) struct BenchOptions {
    /// Only the benchmarks of this crate, such as burnmark-formats
    #[arg(short, long)]
    package: Option<String>,
    /// Passed on to the benchmarks: part of a name, or criterion's options after --
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// What is to be proven.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Proof {
    Accuracy,
    Leaks,
    Laws,
}

#[derive(Args)]
pub(crate) struct ProofOptions {
    /// That stacks are right, that leaks are named, or that laws hold for profiles nobody has drawn yet
    #[arg(value_enum, default_value_t = Proof::Accuracy)]
    what: Proof,
    /// Versions of Node for `leaks`
    #[arg(long, value_delimiter = ',', default_value = leaks::NODES)]
    nodes: Vec<String>,
}

#[derive(Args)]
pub(crate) struct CalibrateOptions {
    /// All of it: 300 resampled pairs, 60 pairs run, 30 comparisons; half an hour on a machine that does nothing else
    #[arg(long)]
    full: bool,
    /// Record for so many minutes at most; the next call goes on with what is in target/calibrate
    #[arg(long)]
    minutes: Option<f64>,
    /// This burnmark instead of the one built from the checkout
    #[arg(long)]
    burnmark: Option<String>,
}

/// Sets the machine up, runs every test of the workspace and the examples in the docs, and says what was skipped.
pub(crate) fn test(root: &Path, options: &TestOptions) -> Result<bool> {
    let started = Instant::now();
    let missing = if options.no_setup { Vec::new() } else { setup::packages(root)? };
    let runner = setup::runner(root)?;
    let names: Vec<&str> = options.names.iter().map(String::as_str).collect();

    let (passed, skipped) = match &runner {
        Runner::Nextest(program) => nextest(root, program, &names)?,
        Runner::CargoTest => cargo_test(root, &names)?,
    };
    // nextest runs no doctests.
    let examples = !names.is_empty() || shell::succeeds(shell::cargo(root, &["test", "--doc", "--workspace"]))?;

    if !skipped.is_empty() {
        shell::loud("SKIPPED on this machine", &skipped);
    }
    if !missing.is_empty() {
        shell::loud("MISSING on this machine", &missing);
    }
    let verdict = |good: bool| if good { "passed" } else { "FAILED" };
    eprintln!(
        "\ntests {}, examples in the docs {}, {} skipped in part, {:.0} s",
        verdict(passed),
        if names.is_empty() { verdict(examples) } else { "not run" },
        skipped.len(),
        started.elapsed().as_secs_f64()
    );
    Ok(passed && examples)
}

/// Every comparison with perf, at full length and with the optimized burnmark, its tables shown; or the leaks; or the
/// laws.
pub(crate) fn proof(root: &Path, options: &ProofOptions) -> Result<bool> {
    if options.what == Proof::Leaks {
        return leaks::run(root, &options.nodes);
    }
    if options.what == Proof::Accuracy {
        setup::packages(root)?;
    }
    let Runner::Nextest(program) = setup::runner(root)? else {
        anyhow::bail!("the proof needs cargo-nextest: `cargo install cargo-nextest --locked`");
    };
    if options.what == Proof::Laws {
        return laws(root, &program);
    }
    let arguments =
        ["nextest", "run", "--release", "--test", "oracles", "--no-capture", "-E", "test(/^(accuracy|unwind)::/)"];
    let mut command = shell::command(root, program, &arguments);
    command.env("BURNMARK_PROOF", "full");
    shell::succeeds(command)
}

/// The property tests of all libraries, with more cases, and with others at each run; tests always draw the same ones
/// (`.cargo/config.toml`).
fn laws(root: &Path, nextest: &Path) -> Result<bool> {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_nanos() as u64;
    println!("PROPTEST_RNG_SEED={seed} draws these cases again");
    let arguments = ["nextest", "run", "--workspace", "--lib", "--test", "laws"];
    let mut command = shell::command(root, nextest, &arguments);
    command.env("PROPTEST_CASES", LAW_CASES).env("PROPTEST_RNG_SEED", seed.to_string());
    shell::succeeds(command)
}

/// `burnmark diff` on pairs that are known to be the same, and on pairs that are known to differ.
pub(crate) fn calibrate(root: &Path, options: &CalibrateOptions) -> Result<bool> {
    let programs = "target/fixtures";
    let built = shell::succeeds(shell::command(root, "fixtures/programs/build", &[programs, "phases"]))?
        && (options.burnmark.is_some()
            || shell::succeeds(shell::cargo(root, &["build", "--release", "--bin", "burnmark"]))?);
    let burnmark = options.burnmark.as_deref().unwrap_or("target/release/burnmark");
    let profile: &[&str] = if options.full { &["--release"] } else { &[] };
    let folder = if options.full { "target/calibrate/full" } else { "target/calibrate/short" };
    let run = [&["run"], profile, &["--example", "calibrate", "--", burnmark, programs, folder]].concat();
    let full: &[&str] = if options.full { &["--full"] } else { &[] };
    let minutes = options.minutes.map(|minutes| minutes.to_string());
    let minutes: Vec<&str> = minutes.iter().flat_map(|minutes| ["--minutes", minutes]).collect();
    Ok(built && shell::succeeds(shell::cargo(root, &[&run, full, &minutes].concat()))?)
}

/// Every benchmark, or those of one crate.
pub(crate) fn bench(root: &Path, options: &BenchOptions) -> Result<bool> {
    match options.arguments.split_first() {
        Some((first, rest)) if first == "overhead" => return overhead::run(root, rest),
        Some((first, rest)) if first == "long" => return long::run(root, rest),
        Some((first, rest)) if first == "perfdata" => return perfdata::run(root, rest),
        Some((first, rest)) if first == "heap" => return heap::run(root, rest),
        _ => {}
    }
    let which = options.package.as_deref().map_or(vec!["--workspace"], |package| vec!["--package", package]);
    let arguments: Vec<&str> = options.arguments.iter().map(String::as_str).collect();
    // Without `--bench` cargo would run the libraries' unit tests too.
    shell::succeeds(shell::cargo(root, &[&["bench"], &which[..], &["--bench", "*", "--"], &arguments].concat()))
}

/// Runs the tests with nextest; whether they passed, and what they skipped.
fn nextest(root: &Path, program: &Path, names: &[&str]) -> Result<(bool, Vec<String>)> {
    let report = root.join(JUNIT);
    if report.exists() {
        std::fs::remove_file(&report).context("cannot remove the last run's report")?;
    }
    let passed = shell::succeeds(shell::command(root, program, &[&["nextest", "run", "--workspace"], names].concat()))?;
    // No report is written when the tests don't compile.
    let skipped = std::fs::read_to_string(&report).map(|xml| skipped_in_junit(&xml)).unwrap_or_default();
    Ok((passed, skipped))
}

/// Runs the tests with cargo alone, their output passed on at the end.
fn cargo_test(root: &Path, names: &[&str]) -> Result<(bool, Vec<String>)> {
    let all = ["test", "--workspace", "--all-targets", "--no-fail-fast", "--"];
    let mut command = shell::cargo(root, &[&all[..], names, &["--show-output"]].concat());
    command.stderr(std::process::Stdio::inherit());
    let output = command.output().context("cannot start `cargo test`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    Ok((output.status.success(), text.lines().filter(|line| is_skip(line)).map(str::to_owned).collect()))
}

/// `test: reason` for each line of a test's output that says so, in nextest's order.
fn skipped_in_junit(xml: &str) -> Vec<String> {
    let mut test = "";
    let mut skipped = Vec::new();
    for line in xml.lines() {
        let mut text = line.trim_start();
        if let Some((_, name)) = text.strip_prefix("<testcase ").and_then(|rest| rest.split_once("name=\"")) {
            test = name.split('"').next().unwrap_or_default();
        }
        for opening in ["<system-out>", "<system-err>"] {
            text = text.strip_prefix(opening).unwrap_or(text);
        }
        if is_skip(text) {
            let text = text.split("</system-").next().unwrap_or_default();
            skipped.push(unescaped(&format!("{test}: {text}")));
        }
    }
    skipped
}

fn is_skip(line: &str) -> bool {
    line.strip_prefix(SKIP).is_some_and(|rest| rest.starts_with([' ', ':', 'P']))
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_found_in_the_report() {
        let xml = concat!(
            "<testsuite name=\"a\">\n    <testcase name=\"live::attach\" classname=\"a\" time=\"0.1\">\n",
            "        <system-out>\nrunning 1 test\ntest live::attach ... ok\n</system-out>\n",
            "        <system-err>SKIP: perf_event_open is &lt;refused&gt;\nmore</system-err>\n    </testcase>\n",
            "    <testcase name=\"b\" classname=\"a\">\n        <system-err>SKIPPED no perf</system-err>\n",
            "    </testcase>\n    <testcase name=\"skip\">SKIPS are no skips</testcase>\n</testsuite>\n",
        );
        let expected = ["live::attach: SKIP: perf_event_open is <refused>", "b: SKIPPED no perf"];
        assert_eq!(skipped_in_junit(xml), expected);
    }
}
