//! perf and burnmark on the same perf.data, one by its own report, the other by perf's script: every sample counts.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::counts::{Counts, Function};
use crate::machine::{fixture_program, high_frequency, perf_works};
use crate::support::{burnmark_with, folder};
use crate::{burnmark, perf};

/// Records a command with perf, and compares `perf script --no-inline | burnmark top --no-inline -` with `perf report`.
fn agrees_to_the_sample(command: &[&str], options: &[&str], at_least: u64) {
    let folder = folder();
    let data = folder.path().join("perf.data");
    let mut record = perf::record(&data, high_frequency());
    let status = record.args(options).arg("--").args(command).stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(status.expect("perf starts").success());

    let theirs = perf::self_counts(&data);
    assert!(theirs.total() >= at_least, "only {} samples", theirs.total());
    let text = perf::script(&data);
    let arguments = ["top", "--no-inline", "--json", "--limit", "0", "--value", "cpu-clock:ppp/count", "-"];
    let top = burnmark_with(folder.path(), &arguments, &text).ok().json();
    assert_eq!(top["samples"], theirs.total());
    assert_eq!(top["total"], theirs.total());
    let (bare, total) = (bare_headers(&text), theirs.total());
    same(burnmark::counts(&top), theirs, bare);

    totals_agree(folder.path(), &data, &text, bare as f64 / total as f64);
}

/// Samples whose call chain is empty: perf's script says nothing of where they were, though its report knows.
fn bare_headers(text: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().peekable();
    let mut bare = 0;
    while let Some(line) = lines.next() {
        let starts = |line: &str| !line.is_empty() && !line.starts_with([' ', '\t']);
        bare += u64::from(starts(line) && lines.peek().is_none_or(|next| next.is_empty() || starts(next)));
    }
    bare
}

/// The counts are equal; samples that the text has no stack of must be the only ones that burnmark lacks.
fn same(mut ours: Counts, theirs: Counts, bare: u64) {
    let homeless = ours.0.remove(&("[unknown]".to_owned(), "[nostack]".to_owned())).unwrap_or_default();
    assert_eq!(homeless, bare, "samples without a stack");
    let mut lacking = 0;
    for (function, samples) in &theirs.0 {
        let found = ours.0.remove(function).unwrap_or_default();
        assert!(found <= *samples, "{function:?}: burnmark has {found}, perf {samples}");
        if bare == 0 {
            assert_eq!(found, *samples, "{function:?}");
        }
        lacking += samples - found;
    }
    assert_eq!(ours, Counts::default(), "functions that only burnmark has");
    assert_eq!(lacking, bare, "samples that only perf has");
}

/// The shares with callees agree with `perf report --children`, which counts recursion once as well, as far as perf
/// prints them (in hundredths of a percent) and but for the share of samples that the text has no stack of.
fn totals_agree(folder: &Path, data: &Path, text: &[u8], bare: f64) {
    let arguments = ["top", "--no-inline", "--json", "--limit", "0", "--by", "total", "-"];
    let top = burnmark_with(folder, &arguments, text).ok().json();
    let ours = burnmark::total_shares(&top);
    let mut theirs: BTreeMap<Function, Vec<f64>> = BTreeMap::new();
    for row in perf::with_children(data) {
        let mut key = Counts::default();
        key.add(&row.module, &row.symbol, 1);
        let function = key.0.into_keys().next().expect("one was added");
        theirs.entry(function).or_default().push(row.children.expect("it was asked for"));
    }
    let mut compared = 0;
    for (function, shares) in &theirs {
        // perf tells callers without a symbol apart by address, and functions of one name (overloads, whose arguments
        // it does not print) by symbol: their shares may overlap and don't add up.
        let ([theirs], false) = (shares.as_slice(), function.1.is_empty()) else { continue };
        let ours = ours.get(function).copied().unwrap_or_default() * 100.0;
        let allowed = 0.0051 + 100.0 * bare;
        assert!((ours - theirs).abs() <= allowed, "{function:?}: burnmark {ours:.4} %, perf {theirs} %");
        compared += 1;
    }
    assert!(compared > 20, "only {compared} functions were compared");
}

#[test]
fn a_program_with_threads_and_recursion() {
    let Some(shares) = fixture_program("shares").filter(|_| perf_works()) else { return };
    agrees_to_the_sample(&[&shares.to_string_lossy(), "1"], &[], 2000);
}

#[test]
fn a_tree_of_processes() {
    let Some(forks) = fixture_program("forks").filter(|_| perf_works()) else { return };
    agrees_to_the_sample(&[&forks.to_string_lossy(), "0.3"], &[], 1000);
}

#[test]
fn rust_names() {
    let Some(rusty) = fixture_program("rusty").filter(|_| perf_works()) else { return };
    agrees_to_the_sample(&[&rusty.to_string_lossy(), "0.5"], &[], 500);
}

#[test]
fn mangled_templates() {
    let Some(inlined) = fixture_program("inlined").filter(|_| perf_works()) else { return };
    agrees_to_the_sample(&[&inlined.to_string_lossy(), "0.5"], &[], 500);
}

#[test]
fn stacks_that_perf_unwound() {
    let Some(shares) = fixture_program("shares").filter(|_| perf_works()) else { return };
    agrees_to_the_sample(&[&shares.to_string_lossy(), "0.5"], &["--call-graph", "dwarf,8192", "-F", "499"], 100);
}

#[test]
fn a_compiler_and_its_children() {
    if !perf_works() || Command::new("gcc").arg("--version").output().is_err() {
        return;
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/programs/inlined.cpp");
    agrees_to_the_sample(&["g++", "-O2", "-c", "-o", "/dev/null", source], &[], 1000);
}
