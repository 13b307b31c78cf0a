//! Does it keep its budget? Figures, profiles and baselines against limits.
//!
//! A value beyond its limit fails; one within, whose interval reaches beyond, is inconclusive; what was not measured is
//! missing, and that is never a pass.

mod figures;
mod functions;

#[cfg(test)]
mod tests;

use crate::budget::{Budget, Then};
use crate::metrics::Measured;
pub use functions::{FunctionShare, is_meant};

/// What the budget is held against.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Results, with the names of their files. Several of one tool are runs of the same.
    pub results: Vec<(String, Measured)>,
    /// Results before the change.
    pub baseline: Vec<(String, Measured)>,
    /// Per entry of the budget's functions, its share in each profile; empty where there is no profile.
    pub functions: Vec<Vec<FunctionShare>>,
    /// Likewise before the change.
    pub functions_before: Vec<Vec<FunctionShare>>,
    /// Whether there is a baseline at all: without one, how much worse something is can't be told.
    pub has_baseline: bool,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Within the limit, as far as can be told.
    Pass,
    /// Worth a look.
    Warn,
    /// Within the limit, but the interval reaches beyond it.
    Inconclusive,
    /// Not measured.
    Missing,
    /// Beyond the limit.
    Fail,
}

impl Status {
    /// The word, as tables and JSON have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Inconclusive => "inconclusive",
            Self::Missing => "missing",
            Self::Fail => "fail",
        }
    }
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKind {
    /// The value, from above.
    Max,
    /// The value, from below.
    Min,
    /// A function's share in percent, from above.
    MaxShare,
    /// How much worse than the baseline, in percent of it.
    MaxRegression,
    /// Nothing: how much worse than the baseline, against the steps of severity.
    Regression,
}

impl LimitKind {
    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Min => "min",
            Self::MaxShare => "max_share_pct",
            Self::MaxRegression => "max_regression_pct",
            Self::Regression => "regression",
        }
    }
}

/// One limit, held against the evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The figure or function, as the budget has it.
    pub what: String,
    /// What is limited.
    pub kind: LimitKind,
    /// What came of it.
    pub status: Status,
    /// The value, in `unit`; absent if it was not measured.
    pub value: Option<f64>,
    /// The value's unit.
    pub unit: String,
    /// 95 % interval of what is limited: of the value, or of the change in percent.
    pub ci: Option<[f64; 2]>,
    /// The limit: of the value, or of the change in percent. Absent if nothing is limited.
    pub limit: Option<f64>,
    /// The value of the baseline.
    pub baseline: Option<f64>,
    /// How much worse than the baseline, in percent of it; negative is better.
    pub change_pct: Option<f64>,
    /// How far beyond the limit, or worse than the baseline, by the budget's steps.
    pub severity: Option<&'static str>,
    /// In words, where the numbers don't say all.
    pub why: Option<String>,
    /// Runs that the value is of.
    pub runs: usize,
}

impl Check {
    /// A check of which nothing is known yet.
    fn new(what: &str, kind: LimitKind, limit: Option<f64>) -> Self {
        Self {
            what: what.to_owned(),
            kind,
            status: Status::Missing,
            value: None,
            unit: String::new(),
            ci: None,
            limit,
            baseline: None,
            change_pct: None,
            severity: None,
            why: None,
            runs: 0,
        }
    }
}

/// What a gate says.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// The worst of the checks, as the budget's policy has it.
    pub verdict: Status,
    /// Every limit, in the budget's order.
    pub checks: Vec<Check>,
    /// What was held against it and is not in the checks.
    pub notes: Vec<String>,
}

impl Gate {
    /// The exit code: 3 if a limit was broken, 4 if `strict` and evidence is missing or inconclusive, else 0.
    pub fn exit_code(&self, strict: bool) -> u8 {
        let in_doubt = |check: &Check| matches!(check.status, Status::Missing | Status::Inconclusive);
        match self.verdict {
            Status::Fail => 3,
            _ if strict && self.checks.iter().any(in_doubt) => 4,
            _ => 0,
        }
    }

    /// How many checks came out so.
    pub fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }
}

/// Holds the evidence against the budget.
///
/// ```
/// use burnmark_journal::budget::Budget;
/// use burnmark_journal::gate::{Evidence, Status, gate};
///
/// let budget = Budget::parse(br#"{"metrics": {"mean_time_ms": {"max": 1000}, "memory_mb": {"max": 50}}}"#).unwrap();
/// let run = br#"{"results": [{"command": "sleep 1", "mean": 1.5}]}"#;
/// let run = burnmark_journal::metrics::read(&run[..]).unwrap();
/// let evidence = Evidence { results: vec![("run.json".to_owned(), run)], ..Evidence::default() };
/// let gate = gate(&budget, &evidence);
/// assert_eq!(gate.checks[0].status, Status::Fail);
/// assert_eq!(gate.checks[1].status, Status::Missing);
/// assert_eq!(gate.exit_code(false), 3);
/// ```
pub fn gate(budget: &Budget, evidence: &Evidence) -> Gate {
    let mut checks = Vec::new();
    for (name, limit) in &budget.metrics {
        checks.extend(figures::check(name, limit, evidence, &budget.policy));
    }
    for (index, function) in budget.functions.matching.iter().enumerate() {
        checks.extend(functions::check(index, function, evidence, &budget.policy));
    }
    if evidence.results.iter().any(|(_, measured)| !measured.warnings.is_empty()) {
        // What could not be read may be what lies beyond.
        let of_figures = checks.iter_mut().filter(|check| check.kind != LimitKind::MaxShare);
        for check in of_figures.filter(|check| check.status == Status::Pass) {
            check.status = Status::Inconclusive;
            check.why =
                Some("a part of the results is missing or damaged: what is not there may lie beyond".to_owned());
        }
    }
    let verdict = checks.iter().map(|check| counts_as(check.status, budget)).max().unwrap_or(Status::Missing);
    Gate { verdict, checks, notes: notes(evidence) }
}

/// What a check makes of the whole.
fn counts_as(status: Status, budget: &Budget) -> Status {
    let policy = match status {
        Status::Missing => budget.policy.missing,
        Status::Inconclusive => budget.policy.inconclusive,
        other => return other,
    };
    match policy {
        Then::Fail => Status::Fail,
        Then::Warn => Status::Inconclusive,
    }
}

/// What a reader should know beside the checks: limits that the tools themselves were given.
fn notes(evidence: &Evidence) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, measured) in &evidence.results {
        notes.extend(measured.warnings.iter().map(|warning| format!("{name}: {warning}")));
        for threshold in measured.thresholds.iter().filter(|threshold| !threshold.passed) {
            let (source, metric, limit) = (measured.source.name(), &threshold.metric, &threshold.limit);
            notes.push(format!("{name}: {source}'s own threshold {metric} {limit} was crossed"));
        }
    }
    notes
}

/// The name of the step that a percentage has reached.
fn severity(percent: f64, steps: &[f64]) -> Option<&'static str> {
    const NAMES: [&str; 5] = ["minor", "moderate", "severe", "critical", "catastrophic"];
    let reached = steps.iter().filter(|step| percent >= **step).count();
    reached.checked_sub(1).map(|step| NAMES[step.min(NAMES.len() - 1)])
}
