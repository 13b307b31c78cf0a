//! What an entry holds: the JSON of `schema/entry-1.json`. Optional parts are absent where nothing is known.

use serde::{Deserialize, Serialize};

use super::ulid::Ulid;
use crate::Direction;

/// The version of the format. More keys may come; those that are there keep their meaning.
pub const SCHEMA: &str = "burnmark.entry/1";

/// One row of the log, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// [`SCHEMA`]
    pub schema: String,
    /// Sorts by time.
    pub id: Ulid,
    /// SHA-256 of what was put in: the same inputs and texts have the same key.
    pub key: String,
    /// When it was added, UTC, RFC 3339.
    pub time: String,
    /// Where in the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitFacts>,
    /// What was slow, in the words of whoever added it.
    pub bottleneck: String,
    /// What was changed.
    pub change: String,
    /// What kind of work the bottleneck is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The entry that this one corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<Ulid>,
    /// What was measured.
    #[serde(flatten)]
    pub evidence: Evidence,
    /// Files kept with the log.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Files that the evidence was made from.
    #[serde(default)]
    pub inputs: Vec<InputFile>,
    /// SHA-256 of the entry's file with this text empty.
    pub seal: String,
}

/// What was measured, and what follows from it: everything that tables show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Of the first metric.
    pub verdict: Verdict,
    /// Where it was measured.
    #[serde(default)]
    pub env: Env,
    /// Figures before and after. The first one stands in the log's row.
    #[serde(default)]
    pub metrics: Vec<MetricChange>,
    /// How the profiles were compared, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileComparison>,
    /// Functions with the most time before, by self time.
    #[serde(default)]
    pub top_before: Vec<Consumer>,
    /// Likewise after.
    #[serde(default)]
    pub top_after: Vec<Consumer>,
    /// Functions that changed, then some that are undecided or did not.
    #[serde(default)]
    pub functions: Vec<FunctionChange>,
    /// Budgets, and whether they are kept.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// What was not looked for.
    #[serde(default)]
    pub unexpected: Vec<Finding>,
    /// What to work on next.
    #[serde(default)]
    pub priorities: Vec<Priority>,
    /// What else could be gained.
    #[serde(default)]
    pub opportunities: Vec<Opportunity>,
    /// Heap snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heap: Option<HeapEvidence>,
    /// What a reader must know: that the environment changed, that samples have no times.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// What the evidence says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Better, and surely so.
    Improved,
    /// Worse, and surely so.
    Regressed,
    /// Surely no change that counts.
    Unchanged,
    /// It can't be told.
    Inconclusive,
    /// Measured too seldom to be tested.
    #[default]
    NotTested,
}

impl Verdict {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Improved => "improved",
            Self::Regressed => "regressed",
            Self::Unchanged => "unchanged",
            Self::Inconclusive => "inconclusive",
            Self::NotTested => "not tested",
        }
    }
}

impl From<burnmark_analysis::diff::Verdict> for Verdict {
    fn from(verdict: burnmark_analysis::diff::Verdict) -> Self {
        use burnmark_analysis::diff::Verdict as Of;
        match verdict {
            Of::Improved => Self::Improved,
            Of::Regressed => Self::Regressed,
            Of::Unchanged => Self::Unchanged,
            Of::Inconclusive => Self::Inconclusive,
        }
    }
}

/// Where in the history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitFacts {
    /// The commit before the change, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The commit that was checked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// Its branch; none where HEAD is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Whether tracked files differed from it, the log's own left out; unknown without `git`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
}

/// Where it was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Env {
    /// The processor's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// The kernel's release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The language runtime, as whoever added the entry calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// What differed between before and after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}

/// How a figure is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// It was measured on both sides.
    #[default]
    Measured,
    /// Somebody expects it.
    Projected,
    /// It follows from something that was measured.
    Inferred,
}

impl Known {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Projected => "projected",
            Self::Inferred => "inferred",
        }
    }
}

/// A figure before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricChange {
    /// `p95_latency_ms`; for the share of a function its name.
    pub name: String,
    /// `ms`, `rps`, `MB`, `%`, or empty.
    pub unit: String,
    /// Which way is better.
    pub direction: Direction,
    /// Absent if it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<f64>,
    /// Absent if it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<f64>,
    /// Percent of before, positive where it got better; absent if before is 0 or one was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub improvement_pct: Option<f64>,
    /// 95 % interval of the improvement, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
    /// Two-sided p-value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// False discovery rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<f64>,
    /// What interval and verdict rest on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Runs before and after.
    pub n: [u64; 2],
    /// How it is known.
    pub evidence: Known,
    /// What it says.
    pub verdict: Verdict,
}

/// How the profiles were compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileComparison {
    /// `cpu/nanoseconds`
    pub value: String,
    /// `runs`, `within_run`, `none`: what the verdicts rest on.
    pub evidence: String,
    /// `share` or `cost_per_operation`.
    pub compared: String,
    /// Runs before and after.
    pub runs: [u64; 2],
    /// Samples before and after.
    pub samples: [u64; 2],
    /// Functions that regressed.
    pub regressed: u64,
    /// Functions that improved.
    pub improved: u64,
    /// Functions that surely did not change.
    pub unchanged: u64,
    /// Functions of which it can't be told.
    pub inconclusive: u64,
}

/// A function and its part of the time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Consumer {
    /// Its name.
    pub function: String,
    /// The module's last path component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Samples that end in it, as a fraction.
    pub self_share: f64,
    /// Samples that have it on their stack, as a fraction.
    pub total_share: f64,
    /// What kind of work it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// A hint for that kind, never a claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

/// What became of a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionChange {
    /// Its name.
    pub function: String,
    /// The module's last path component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Self share, or cost per operation in the value's unit.
    pub before: f64,
    /// Likewise.
    pub after: f64,
    /// The change of it.
    pub delta: f64,
    /// 95 % interval of the change.
    pub ci: [f64; 2],
    /// False discovery rate; absent if it was not tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<f64>,
    /// What it says.
    pub verdict: Verdict,
}

/// Whether a budget is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Kept.
    Pass,
    /// Kept, and close to the limit.
    Warn,
    /// Not kept.
    Fail,
    /// It can't be told.
    Inconclusive,
    /// There is no figure.
    #[default]
    Missing,
}

impl Status {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Missing => "missing",
        }
    }
}

/// A limit of a budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The metric's name; of a function, which share of it.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// Before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<f64>,
    /// After.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<f64>,
    /// 95 % interval: of the value, or where the change is limited of [`Self::change_pct`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
    /// How much worse than before, in percent, where that is limited; negative is better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_pct: Option<f64>,
    /// The limit in words: `≤ 200 ms`.
    pub target: String,
    /// Whether it is kept.
    pub status: Status,
    /// How far beyond the limit, or how much worse, by the budget's steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// In words, where the numbers don't say all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Runs that the value is the mean of; 0 where there is none.
    #[serde(default)]
    pub runs: u64,
}

/// What was not looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// In a sentence; names of functions stand between backticks.
    pub finding: String,
    /// What it rests on; absent where a person says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rank {
    /// A tenth of the time or more.
    High,
    /// From a thirtieth.
    Medium,
    /// Less.
    Low,
}

impl Rank {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// What to work on next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Priority {
    /// The function, or the category of several.
    pub what: String,
    /// Its part of the time after the change, as a fraction: no more than this can be gained there.
    pub share: f64,
    /// What kind of work it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// A hint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// By the share.
    pub priority: Rank,
}

/// What else could be gained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opportunity {
    /// In a sentence; names of functions stand between backticks.
    pub opportunity: String,
    /// How much; said by a person, or the most that the share allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<String>,
    /// How much work; only people know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// How much it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// How it is known.
    pub evidence: Known,
}

/// What heap snapshots say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeapEvidence {
    /// In order.
    pub snapshots: Vec<HeapSize>,
    /// What retains more and more, the likeliest first.
    pub retained: Vec<RetainedObject>,
}

/// The size of a heap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeapSize {
    /// The file's name.
    pub snapshot: String,
    /// Seconds since the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<i64>,
    /// Bytes.
    pub size: u64,
}

/// Objects that pile up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetainedObject {
    /// The class.
    pub object: String,
    /// New ones that are still there.
    pub count: u64,
    /// Bytes by which what they hang on grew.
    pub size: i64,
    /// The likely cause.
    pub cause: String,
    /// `indication`, `suspect`, `probable`: how sure it is.
    pub tier: String,
}

/// A file kept with the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What it is: `flame graph before`, `diff`, `report`, `attached`.
    pub role: String,
    /// Below the log's folder: `attachments/<first 16 digits of the hash>/<name>`.
    pub path: String,
    /// Of its content.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// A file that the evidence was made from. It stays where it is: the hash tells whether another is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// `before`, `after`, `metrics before`, `metrics after`, `heap`, `budget`.
    pub role: String,
    /// The file's name, without its folder.
    pub name: String,
    /// Of its content; absent if it came through a pipe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}
