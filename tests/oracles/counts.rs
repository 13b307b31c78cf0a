//! Samples per function, from whoever counted them, and when two counts agree.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A function: its module's file name and its own name; an empty name for code without a symbol.
pub(crate) type Function = (String, String);

/// Samples in each function itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts(pub(crate) BTreeMap<Function, u64>);

/// How many of the hottest functions are compared.
const HOTTEST: usize = 10;

/// Shares of two recorders may differ by two points whatever their number of samples: they don't start in the same
/// microsecond, and each one's interrupts land in what it sees of the other's.
const POINTS: f64 = 0.02;

/// By chance alone shares differ by more than four standard errors once in 16,000 comparisons.
const STANDARD_ERRORS: f64 = 4.0;

/// One function's shares by two recorders.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Compared {
    pub(crate) function: Function,
    pub(crate) shares: [f64; 2],
    pub(crate) allowed: f64,
}

impl Compared {
    pub(crate) fn agrees(&self) -> bool {
        (self.shares[0] - self.shares[1]).abs() <= self.allowed
    }
}

impl Counts {
    pub(crate) fn add(&mut self, module: &str, name: &str, samples: u64) {
        *self.0.entry((module_name(module), canonical(name, module))).or_default() += samples;
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub(crate) fn share(&self, function: &Function) -> f64 {
        self.0.get(function).copied().unwrap_or(0) as f64 / self.total().max(1) as f64
    }

    fn hottest(&self) -> Vec<&Function> {
        let mut functions: Vec<_> = self.0.iter().collect();
        functions.sort_by_key(|(function, samples)| (std::cmp::Reverse(**samples), *function));
        functions.into_iter().take(HOTTEST).map(|(function, _)| function).collect()
    }
}

/// Compares the functions that are among the ten hottest of either count, the hottest first.
pub(crate) fn compare(ours: &Counts, theirs: &Counts) -> Vec<Compared> {
    let mut functions = theirs.hottest();
    functions.extend(ours.hottest().into_iter().filter(|function| !theirs.hottest().contains(function)));
    functions
        .into_iter()
        .map(|function| {
            let shares = [ours.share(function), theirs.share(function)];
            let allowed = allowed_difference(shares, [ours.total(), theirs.total()]);
            Compared { function: function.clone(), shares, allowed }
        })
        .collect()
}

/// max(2 points, 4 standard errors of the difference of two shares): sqrt(p (1 - p) (1/n + 1/m)), p of both together.
pub(crate) fn allowed_difference(shares: [f64; 2], samples: [u64; 2]) -> f64 {
    let [n, m] = samples.map(|samples| samples.max(1) as f64);
    let p = (shares[0] * n + shares[1] * m) / (n + m);
    let error = (p * (1.0 - p) * (1.0 / n + 1.0 / m)).sqrt();
    POINTS.max(STANDARD_ERRORS * error)
}

/// The comparison as a table to read.
pub(crate) fn table(title: &str, ours: &Counts, theirs: &Counts, rows: &[Compared]) -> String {
    let mut text = format!("{title}: burnmark {} samples, perf {} samples\n", ours.total(), theirs.total());
    for row in rows {
        let (module, name) = &row.function;
        let name = if name.is_empty() { "(no symbol)" } else { name };
        let [a, b] = row.shares.map(|share| share * 100.0);
        let verdict = if row.agrees() { "" } else { "  <-- DIFFERS" };
        let difference = a - b;
        let allowed = row.allowed * 100.0;
        let _ = writeln!(text, "{a:7.2} % {b:7.2} % {difference:+6.2} (±{allowed:.2})  {name} [{module}]{verdict}");
    }
    text
}

/// A module's file name; `[kernel]` for whatever a tool calls the kernel itself.
fn module_name(module: &str) -> String {
    if module.starts_with("[kernel.") || module == "[kernel]" || module == "[guest.kernel.kallsyms]" {
        return "[kernel]".to_owned();
    }
    let path = module.strip_suffix(" (deleted)").unwrap_or(module);
    let name = if path.starts_with('[') { path } else { path.rsplit('/').next().unwrap_or(path) };
    if name.is_empty() { "[unknown]" } else { name }.to_owned()
}

/// A name without what one tool shows and another doesn't: a Rust hash, a symbol version, spaces. Empty for an address.
fn canonical(name: &str, module: &str) -> String {
    let bracketed = name.trim_matches(['[', ']']);
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let address = |text: &str| text.strip_prefix("0x").map_or(text.len() == 16 && hex(text), hex);
    let offset = name.rsplit_once('+').is_some_and(|(before, after)| {
        address(after) && (module_name(before) == module_name(module) || before.starts_with('['))
    });
    if name.is_empty() || address(name) || offset || bracketed == "unknown" {
        return String::new();
    }
    if name.starts_with('[') && module_name(bracketed) == module_name(module).trim_matches(['[', ']']) {
        return String::new();
    }
    let name = match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => path,
        _ => name,
    };
    let name = if name.contains("operator") { name } else { name.split('@').next().unwrap_or(name) };
    name.split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(&str, u64)]) -> Counts {
        let mut counts = Counts::default();
        for (name, samples) in rows {
            counts.add("/usr/bin/a", name, *samples);
        }
        counts
    }

    #[test]
    fn equal_shares_agree_and_shifted_ones_do_not() {
        let theirs = counts(&[("f", 5000), ("g", 3000), ("h", 2000)]);
        assert!(compare(&theirs, &theirs).iter().all(Compared::agrees));
        // Half the samples, the same shares within one point.
        let ours = counts(&[("f", 2550), ("g", 1450), ("h", 1000)]);
        assert!(compare(&ours, &theirs).iter().all(Compared::agrees));
        let ours = counts(&[("f", 5500), ("g", 2500), ("h", 2000)]);
        let wrong: Vec<_> = compare(&ours, &theirs).into_iter().filter(|row| !row.agrees()).collect();
        assert_eq!(wrong.len(), 2, "{wrong:?}");
    }

    #[test]
    fn a_function_that_only_one_side_knows_is_compared() {
        let theirs = counts(&[("f", 5000), ("g", 5000)]);
        let ours = counts(&[("f", 5000), ("x", 5000)]);
        let wrong: Vec<_> = compare(&ours, &theirs).into_iter().filter(|row| !row.agrees()).collect();
        assert_eq!(wrong.len(), 2, "{wrong:?}");
    }

    #[test]
    fn few_samples_are_allowed_more() {
        assert_eq!(allowed_difference([0.5, 0.5], [100_000, 100_000]), 0.02);
        let few = allowed_difference([0.5, 0.5], [200, 200]);
        assert!((few - 4.0 * (0.25f64 / 100.0).sqrt()).abs() < 1e-12, "{few}");
    }

    #[test]
    fn names_of_two_tools_meet() {
        for (name, module, expected) in [
            ("core::fmt::write::h0123456789abcdef", "/bin/a", "core::fmt::write"),
            ("clock_gettime@@GLIBC_2.17", "/lib/libc.so.6", "clock_gettime"),
            ("std::map<int, int>::find(int const&)", "/bin/a", "std::map<int,int>::find(intconst&)"),
            ("0x00007f0012", "/bin/a", ""),
            ("a+0x12", "/bin/a", ""),
            ("0000000000000000", "[unknown]", ""),
            ("[a]", "/bin/a", ""),
            ("[kernel.kallsyms]+0x12", "[kernel.kallsyms]", ""),
            ("[unknown]", "/bin/a", ""),
            ("x+0x12", "/bin/a", "x+0x12"),
        ] {
            assert_eq!(canonical(name, module), expected, "{name}");
        }
        assert_eq!(module_name("[kernel.kallsyms]"), module_name("[kernel]"));
        assert_eq!(module_name("/usr/lib/x.so (deleted)"), "x.so");
        assert_eq!(module_name("[vdso]"), "[vdso]");
    }
}
