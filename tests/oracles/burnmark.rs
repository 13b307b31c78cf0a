//! burnmark's side of a comparison.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::counts::{Counts, Function};
use crate::support::{burnmark_in, program};

/// Samples in each function itself, from `top --json --limit 0`.
pub(crate) fn counts(top: &Value) -> Counts {
    let mut counts = Counts::default();
    for row in rows(top) {
        let (module, name) = names(row);
        counts.add(module, name, row["self"].as_u64().unwrap_or_else(|| panic!("no whole number: {row}")));
    }
    // Functions that only call others are no samples of their own.
    counts.0.retain(|_, samples| *samples > 0);
    counts
}

/// Each function's share with its callees.
pub(crate) fn total_shares(top: &Value) -> BTreeMap<Function, f64> {
    let mut shares = BTreeMap::new();
    for row in rows(top) {
        let (module, name) = names(row);
        let mut key = Counts::default();
        key.add(module, name, 1);
        let share = row["total_share"].as_f64().unwrap_or_else(|| panic!("no share: {row}"));
        for function in key.0.into_keys().filter(|(_, name)| !name.is_empty()) {
            let before = shares.insert(function, share);
            assert_eq!(before, None, "two rows of one function: {row}");
        }
    }
    shares
}

/// The self counts of a recording, in samples, inlined functions counted as what they were inlined into.
pub(crate) fn recorded_counts(folder: &Path, recording: &str, more: &[&str]) -> Counts {
    let arguments = ["top", recording, "--no-inline", "--json", "--limit", "0", "--value", "samples"];
    counts(&burnmark_in(folder, &[&arguments[..], more].concat()).ok().json())
}

/// `burnmark record` at this frequency into `output`; what to record is added to it.
pub(crate) fn record(folder: &Path, output: &str, frequency: u32) -> Command {
    let mut command = Command::new(program());
    command.args(["record", "-F", &frequency.to_string(), "-o", output]).current_dir(folder);
    command
}

fn rows(top: &Value) -> &[Value] {
    top["rows"].as_array().unwrap_or_else(|| panic!("no rows: {top}"))
}

fn names(row: &Value) -> (&str, &str) {
    let module = row["module_path"].as_str().or(row["module"].as_str()).unwrap_or_default();
    (module, row["function"].as_str().unwrap_or_default())
}
