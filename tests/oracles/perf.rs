//! perf's side of a comparison.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::counts::Counts;

/// What separates the columns of a report: no name has it in it.
const SEPARATOR: &str = "\x01";

/// One row of `perf report`.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    /// Share with callees, in percent, where it was asked for.
    pub(crate) children: Option<f64>,
    pub(crate) samples: u64,
    pub(crate) module: String,
    pub(crate) symbol: String,
}

/// Samples in each function itself, by `perf report --no-children --no-inline --stdio -n`.
pub(crate) fn self_counts(data: &Path) -> Counts {
    let mut counts = Counts::default();
    for row in report(data, &["--no-children", "-F", "sample,dso,sym"], false) {
        counts.add(&row.module, &row.symbol, row.samples);
    }
    counts
}

/// Each function with its callees, by `perf report --children`.
pub(crate) fn with_children(data: &Path) -> Vec<Row> {
    report(data, &["--children", "-F", "overhead_children,sample,dso,sym"], true)
}

fn report(data: &Path, fields: &[&str], children: bool) -> Vec<Row> {
    let output = Command::new("perf")
        .args(["report", "--no-inline", "--stdio", "-n", "-g", "none", "--percent-limit", "0", "-t", SEPARATOR, "-i"])
        .arg(data)
        .args(fields)
        .stdin(Stdio::null())
        .output()
        .expect("perf starts");
    assert!(output.status.success(), "perf report: {}", String::from_utf8_lossy(&output.stderr));
    parsed(&String::from_utf8_lossy(&output.stdout), children)
}

/// The rows of a report: `[children%] samples, module, [.] symbol`.
fn parsed(text: &str, children: bool) -> Vec<Row> {
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    rows.map(|line| {
        let mut fields = line.split(SEPARATOR).map(str::trim);
        let mut next = || fields.next().unwrap_or_else(|| panic!("a row has too few columns: {line:?}"));
        let children = children.then(|| {
            let share = next();
            share.trim_end_matches('%').parse().unwrap_or_else(|error| panic!("{error}: {line:?}"))
        });
        let samples = next().parse().unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let (module, symbol) = (next(), next());
        // `[k]`, `[.]` and so on say where it ran.
        let symbol = symbol.split_once("] ").map_or(symbol, |(_, symbol)| symbol);
        Row { children, samples, module: module.to_owned(), symbol: symbol.to_owned() }
    })
    .collect()
}

/// The text of `perf script --no-inline`.
pub(crate) fn script(data: &Path) -> Vec<u8> {
    let output = Command::new("perf").args(["script", "--no-inline", "-i"]).arg(data).stdin(Stdio::null()).output();
    let output = output.expect("perf starts");
    assert!(output.status.success(), "perf script: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// `perf record` at this frequency, with call chains by frame pointers, into `data`; what to record is added to it.
pub(crate) fn record(data: &Path, frequency: u32) -> Command {
    let mut command = Command::new("perf");
    command.args(["record", "-q", "-g", "-F", &frequency.to_string(), "-o"]).arg(data);
    command
}

/// `perf record` at this frequency with registers and stack copies, as much as it takes by itself.
pub(crate) fn record_dwarf(data: &Path, frequency: u32) -> Command {
    let mut command = Command::new("perf");
    command.args(["record", "-q", "--call-graph", "dwarf", "-F", &frequency.to_string(), "-o"]).arg(data);
    command
}

/// The outermost frame of each sample's stack, by `perf script`.
pub(crate) fn roots(data: &Path) -> Vec<(String, u64)> {
    let output = Command::new("perf")
        .args(["script", "--no-inline", "--max-stack", "5000", "-F", "comm,tid,ip,sym", "-i"])
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .expect("perf starts");
    assert!(output.status.success(), "perf script: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let outermost = |sample: &str| {
        let frame = sample.lines().skip(1).filter(|line| !line.trim().is_empty()).last()?;
        // An address, and a name if it is known.
        Some((frame.trim().split_once(' ').map_or("", |(_, name)| name).trim().to_owned(), 1))
    };
    text.split("\n\n").filter_map(outermost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_parsed() {
        let text = "# To display\n#\n    12.50%\x01 3615       \x01shares              \x01[.] epsilon\n     0.10%\x01 2\
                    \x01[kernel.kallsyms]\x01[k] 0xffff\n     1.00%\x01 1\x01libx.so\x01[.] operator[] (int)\n\n";
        let rows = parsed(text, true);
        let row = |children, samples, module: &str, symbol: &str| Row {
            children: Some(children),
            samples,
            module: module.to_owned(),
            symbol: symbol.to_owned(),
        };
        let expected = [
            row(12.5, 3615, "shares", "epsilon"),
            row(0.1, 2, "[kernel.kallsyms]", "0xffff"),
            row(1.0, 1, "libx.so", "operator[] (int)"),
        ];
        assert_eq!(rows, expected);
    }
}
