//! Did it change? Two sides, each of one run or several, compared function by function and frame by frame.
//!
//! [`reduce`] makes a run small; [`diff`] compares. What two inputs need in common is [`common_value`]'s.

mod facts;
mod join;
mod joint_tree;
mod judge;
mod output;
pub(crate) mod reduce;
mod sums;

#[cfg(test)]
mod laws;

use std::cmp::Reverse;

pub use facts::{Facts, common_value};
pub use output::differential;
pub use reduce::{Reduced, align_roots, reduce};

use crate::Error;
use crate::matching::{Identity, Rename};
use crate::rank::RankBy;
use crate::stats::blocks::BLOCKS;
use join::{Joint, Run, join};
use joint_tree::JointTree;
use judge::{Judge, Judged, Quantity};
use regex::Regex;
use sums::of_functions;

/// How to compare.
#[derive(Clone, Debug)]
pub struct DiffOptions {
    /// Whether self or total values are tested.
    pub by: RankBy,
    /// Operations (requests, iterations) that each run did, before and after: then costs per operation are compared, not
    /// shares.
    pub operations: Option<[Vec<f64>; 2]>,
    /// The smallest change to be reported: a difference of shares as a fraction, 0.005 if not given; of costs a fraction
    /// of the function's cost, 0.02 if not given.
    pub threshold: Option<f64>,
    /// The false discovery rate.
    pub q: f64,
    /// Test only functions whose name one of these matches; all, if there are none. The fewer are tested, the smaller
    /// the changes that are found.
    pub only: Vec<Regex>,
    /// Whether [`Diff::nodes`] are wanted, which only flame graphs and folded stacks need.
    pub tree: bool,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self { by: RankBy::SelfValue, operations: None, threshold: None, q: 0.05, only: Vec::new(), tree: true }
    }
}

/// What happened to a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// More than before.
    Regressed,
    /// Less than before.
    Improved,
    /// The interval lies inside the threshold.
    Unchanged,
    /// Neither is sure.
    Inconclusive,
}

impl Verdict {
    /// The word, as tables and JSON have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Improved => "improved",
            Self::Unchanged => "unchanged",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// What the verdicts rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Several runs a side: what differs between runs is accounted for.
    Runs,
    /// The times within one run a side: what differs from run to run is not seen.
    WithinRun,
    /// The number of samples alone: intervals are a lower bound.
    None,
}

impl Evidence {
    /// The word, as JSON has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::WithinRun => "within_run",
            Self::None => "none",
        }
    }
}

/// Self and total value of a function on one side: shares, or costs per operation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Values {
    /// As a fraction of all samples, of those that end in it.
    pub self_share: f64,
    /// Likewise of those that have it on their stack, each counted once.
    pub total_share: f64,
    /// What is compared, if that is the cost per operation, by self or total as asked, in the value's unit.
    pub cost: Option<f64>,
}

/// A function.
#[derive(Clone, Debug, PartialEq)]
pub struct DiffRow {
    /// What it is after, or was before if it is gone.
    pub identity: Identity,
    /// Before.
    pub before: Values,
    /// After.
    pub after: Values,
    /// The change of what is compared: of a share, or of the cost per operation.
    pub delta: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
    /// The false discovery rate at which it counts as changed; `None` if it was not tested, for too few samples have it.
    pub q: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
    /// Samples of both sides.
    pub hits: f64,
}

/// How many functions there are of each verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// [`Verdict::Regressed`]
    pub regressed: usize,
    /// [`Verdict::Improved`]
    pub improved: usize,
    /// [`Verdict::Unchanged`]
    pub unchanged: usize,
    /// [`Verdict::Inconclusive`]
    pub inconclusive: usize,
}

/// A frame of the tree of both sides. Its parent has a smaller index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiffNode {
    /// The caller.
    pub parent: Option<u32>,
    /// Index into [`Diff::identities`].
    pub function: u32,
    /// What ends here, before and after: sums over runs of shares or costs, divided by the number of runs.
    pub own: [f64; 2],
    /// What goes through here.
    pub total: [f64; 2],
    /// The verdict on its total.
    pub verdict: Verdict,
    /// Its q-value, if it was tested.
    pub q: Option<f64>,
}

/// What comparing found.
#[derive(Clone, Debug)]
pub struct Diff {
    /// What the runs were, before and after.
    pub facts: [Vec<Facts>; 2],
    /// What the verdicts rest on.
    pub evidence: Evidence,
    /// Whether self or total values were tested.
    pub by: RankBy,
    /// Whether costs per operation were compared.
    pub per_op: bool,
    /// The smallest change of a function of 5 % that could have been shown with 80 % power: of its share, or with costs
    /// as a fraction of its cost.
    pub detectable: Option<f64>,
    /// How many times more the functions vary than independent samples would (median); one run a side with times only.
    pub inflation: Option<f64>,
    /// The threshold used.
    pub threshold: f64,
    /// The false discovery rate used.
    pub q: f64,
    /// The functions with a value of what is compared, on one side at least; changed ones first, by the size of the
    /// change.
    pub rows: Vec<DiffRow>,
    /// How many there are of each verdict.
    pub counts: Counts,
    /// The tree; empty if it was not wanted.
    pub nodes: Vec<DiffNode>,
    /// What the tree's nodes are.
    pub identities: Vec<Identity>,
    /// Cost per operation of everything, before and after, if costs were compared.
    pub whole: Option<DiffRow>,
    /// Functions matched under different names.
    pub renames: Vec<Rename>,
    /// Shares of the weight before and after in functions that both sides have.
    pub matched: [f64; 2],
    /// What else differs between the sides.
    pub warnings: Vec<String>,
}

/// Compares runs.
///
/// # Errors
/// When a side has no runs or no samples, or operations don't fit the runs.
pub fn diff(before: &[Reduced], after: &[Reduced], options: &DiffOptions) -> Result<Diff, Error> {
    for (side, runs) in [("before", before), ("after", after)] {
        if runs.iter().all(|run| run.totals.iter().sum::<f64>() <= 0.0) {
            return Err(Error::NothingToCompare { side });
        }
    }
    if let Some(operations) = &options.operations {
        let fit = operations[0].len() == before.len() && operations[1].len() == after.len();
        let good = operations.iter().flatten().all(|count| count.is_finite() && *count > 0.0);
        if !fit || !good {
            return Err(Error::BadOperations { before: before.len(), after: after.len() });
        }
    }
    let joint = join(before, after);
    let evidence = judge::evidence(&joint.runs);
    let judge = Judge { runs: &joint.runs, operations: options.operations.as_ref(), evidence };
    let facts = [before, after].map(|runs| runs.iter().map(|run| run.facts.clone()).collect::<Vec<_>>());
    let per_op = options.operations.is_some();

    let [own, total] = of_functions([before, after], &joint);
    let quantities = match options.by {
        RankBy::SelfValue => &own,
        RankBy::Total => &total,
    };
    let tested: Vec<(Quantity, bool)> = quantities
        .iter()
        .zip(&joint.functions)
        .map(|(quantity, identity)| (quantity.clone(), is_tested(identity, &options.only)))
        .collect();
    let tree =
        || if options.tree { nodes(&JointTree::new([before, after], &joint), &judge, options) } else { Vec::new() };
    let (judged, nodes) = rayon::join(|| judge.judge(&tested, options), tree);
    let mut rows = rows(&joint, &judge, &judged, [&own, &total]);
    // By self, what only calls others has nothing to compare.
    rows.retain(|row| {
        [row.before, row.after].iter().any(|values| match options.by {
            RankBy::SelfValue => values.self_share > 0.0,
            RankBy::Total => values.total_share > 0.0,
        })
    });
    sort(&mut rows);
    let counts = count(&rows);
    let whole = per_op.then(|| whole(&joint, &judge, options));
    let warnings =
        facts::differences(&facts[0].iter().collect::<Vec<_>>(), &facts[1].iter().collect::<Vec<_>>(), per_op);
    let identities =
        joint.functions.iter().map(|sides| sides[1].clone().or_else(|| sides[0].clone())).map(known).collect();
    Ok(Diff {
        evidence,
        by: options.by,
        per_op,
        detectable: judge.detectable(&judged),
        inflation: crate::stats::median(
            judged.iter().filter(|row| row.q.is_some()).filter_map(|row| row.estimate.inflation),
        ),
        threshold: options.threshold.unwrap_or(if per_op { 0.02 } else { 0.005 }),
        q: options.q,
        nodes,
        identities,
        whole,
        renames: joint.matched.renames(&joint.sides[0], &joint.sides[1]),
        matched: matched_share(&joint),
        facts,
        rows,
        counts,
        warnings,
    })
}

/// Every joint function is one of a side.
fn known(identity: Option<Identity>) -> Identity {
    identity.expect("a function is known on one side at least")
}

fn is_tested(identity: &[Option<Identity>; 2], only: &[Regex]) -> bool {
    only.is_empty() || identity.iter().flatten().any(|identity| only.iter().any(|regex| regex.is_match(&identity.name)))
}

fn rows(joint: &Joint, judge: &Judge<'_>, judged: &[Judged], [own, total]: [&[Quantity]; 2]) -> Vec<DiffRow> {
    let shares = Judge { operations: None, ..*judge };
    let mut rows = Vec::with_capacity(judged.len());
    for (index, judged) in judged.iter().enumerate() {
        let estimate = &judged.estimate;
        let values = |side: usize, cost: f64| Values {
            self_share: shares.mean(&own[index], side),
            total_share: shares.mean(&total[index], side),
            cost: judge.operations.is_some().then_some(cost),
        };
        let [before, after] = &joint.functions[index];
        rows.push(DiffRow {
            identity: known(after.clone().or_else(|| before.clone())),
            before: values(0, estimate.before),
            after: values(1, estimate.after),
            delta: estimate.delta,
            interval: estimate.interval,
            q: judged.q,
            verdict: judged.verdict,
            hits: judged.hits,
        });
    }
    rows
}

/// Everything as one quantity: what an operation costs in all.
fn whole(joint: &Joint, judge: &Judge<'_>, options: &DiffOptions) -> DiffRow {
    let all = |run: &Run| (run.totals.clone(), run.effective);
    let quantity: Quantity = joint.runs.each_ref().map(|runs| runs.iter().map(all).collect());
    let judged = judge.judge(&[(quantity, true)], options)[0];
    let values = |cost| Values { self_share: 1.0, total_share: 1.0, cost: Some(cost) };
    let identity = Identity::new(&crate::place::Place::group("all"), false);
    let estimate = judged.estimate;
    DiffRow {
        identity,
        before: values(estimate.before),
        after: values(estimate.after),
        delta: estimate.delta,
        interval: estimate.interval,
        q: judged.q,
        verdict: judged.verdict,
        hits: judged.hits,
    }
}

/// Changed ones first, the largest change first; then undecided ones, then the others.
fn sort(rows: &mut [DiffRow]) {
    let class = |row: &DiffRow| match row.verdict {
        Verdict::Regressed | Verdict::Improved => 0,
        Verdict::Inconclusive => 1,
        Verdict::Unchanged => 2,
    };
    rows.sort_by(|a, b| {
        class(a)
            .cmp(&class(b))
            .then_with(|| Reverse(Sortable(a.delta.abs())).cmp(&Reverse(Sortable(b.delta.abs()))))
            .then_with(|| (&a.identity.name, &a.identity.module).cmp(&(&b.identity.name, &b.identity.module)))
    });
}

/// A float in its total order.
#[derive(PartialEq)]
struct Sortable(f64);

impl Eq for Sortable {}

impl PartialOrd for Sortable {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sortable {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

fn count(rows: &[DiffRow]) -> Counts {
    let of = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    Counts {
        regressed: of(Verdict::Regressed),
        improved: of(Verdict::Improved),
        unchanged: of(Verdict::Unchanged),
        inconclusive: of(Verdict::Inconclusive),
    }
}

/// Frames with their verdicts; many-framed trees are judged by the same rules as functions.
fn nodes(tree: &JointTree, judge: &Judge<'_>, options: &DiffOptions) -> Vec<DiffNode> {
    let quantities: Vec<(Quantity, bool)> =
        (0..tree.nodes.len()).map(|index| (tree.quantity(index, true), true)).collect();
    let judged = judge.judge(&quantities, options);
    let mut nodes = Vec::with_capacity(tree.nodes.len());
    for (index, (node, judged)) in tree.nodes.iter().zip(judged).enumerate() {
        let own = tree.quantity(index, false);
        let totals = &quantities[index].0;
        nodes.push(DiffNode {
            parent: node.parent,
            function: node.function,
            own: [0, 1].map(|side| judge.mean(&own, side)),
            total: [0, 1].map(|side| judge.mean(totals, side)),
            verdict: judged.verdict,
            q: judged.q,
        });
    }
    nodes
}

/// Per side, the share of its weight in functions that both have.
fn matched_share(joint: &Joint) -> [f64; 2] {
    [0, 1].map(|side| {
        let of_function = joint.sides[side].iter().zip(&joint.matched.joint[side]);
        let known = of_function.filter(|(_, at)| joint.matched.functions[**at].iter().all(Option::is_some));
        // Rounding adds up to a little more than all.
        known.map(|((_, share), _)| share).sum::<f64>().min(1.0)
    })
}

/// The number of blocks, for texts.
pub const TIME_BLOCKS: usize = BLOCKS;
