//! From comparisons to what an entry keeps of them.

use std::collections::BTreeMap;

use burnmark_analysis::diff::{Diff, DiffRow, Facts};
use burnmark_analysis::matching::Identity;
use burnmark_analysis::stats::median;
use burnmark_analysis::stats::ranks::{LEAST_RUNS, mann_whitney};
use burnmark_heap::Growth;
use burnmark_model::ValueType;

use super::entry::{
    Consumer, Env, Evidence, Finding, FunctionChange, HeapEvidence, HeapSize, Known, MetricChange, Opportunity,
    Priority, ProfileComparison, Rank, RetainedObject, Verdict,
};
use super::texts::{kept, tidy};
use crate::{Direction, Metric};

/// Functions of each ranking that an entry keeps.
const TOP: usize = 10;

/// Functions that did not surely change, of those an entry keeps.
const UNDECIDED: usize = 20;

/// Functions that changed, of those an entry keeps.
const CHANGED: usize = 50;

/// Letters of the last part of a function's path that name it.
const SHORTEST_PART: usize = 5;

/// What to work on next: so many.
const NEXT: usize = 5;

/// A function that was not there before and takes this part of the time is told.
const NEW_SHARE: f64 = 0.01;

/// A p-value below this is a verdict.
const SIGNIFICANT: f64 = 0.05;

/// What kind of work a function does, and a hint for that kind.
pub type Label = (Option<String>, Option<String>);

/// How to keep a comparison of profiles.
pub struct GatherOptions<'a> {
    /// What was slow, in somebody's words: a function that is named there gives the figure of the log's row.
    pub bottleneck: &'a str,
    /// Whether home folders stay as they are.
    pub keep_args: bool,
    /// Operations of each run before and after, if costs are compared.
    pub operations: Option<[f64; 2]>,
    /// Says what kind of work a function does.
    pub label: &'a dyn Fn(&Identity) -> Label,
}

/// Metrics of both sides, each of one run or several, joined by name. Those of one side only are kept too, with nothing
/// on the other. With 4 runs a side and more they are tested.
pub fn metrics(before: &[Vec<Metric>], after: &[Vec<Metric>]) -> Vec<MetricChange> {
    let mut order: Vec<(&str, &str, Direction)> = Vec::new();
    let mut values: BTreeMap<(&str, &str), [Vec<f64>; 2]> = BTreeMap::new();
    for (side, runs) in [before, after].into_iter().enumerate() {
        for metric in runs.iter().flatten().filter(|metric| metric.value.is_finite()) {
            let name = (metric.name.as_str(), metric.unit.as_str());
            let known = values.entry(name).or_insert_with(|| {
                order.push((name.0, name.1, metric.direction));
                Default::default()
            });
            known[side].push(metric.value);
        }
    }
    order.iter().map(|(name, unit, direction)| metric(name, unit, *direction, &values[&(*name, *unit)])).collect()
}

fn metric(name: &str, unit: &str, direction: Direction, runs: &[Vec<f64>; 2]) -> MetricChange {
    let [before, after] = runs.each_ref().map(|runs| median(runs.iter().copied()));
    let improvement = |after: Option<f64>| direction.improvement_percent(before?, after?);
    let enough = runs.iter().all(|runs| runs.len() >= LEAST_RUNS);
    let shift = if enough { mann_whitney(&runs[0], &runs[1]) } else { None };
    let mut change = MetricChange {
        name: kept(name, false),
        unit: unit.to_owned(),
        direction,
        before,
        after,
        improvement_pct: improvement(after),
        ci: None,
        p: shift.map(|shift| shift.p),
        q: None,
        method: shift.map(|_| "Mann–Whitney over runs".to_owned()),
        n: [runs[0].len() as u64, runs[1].len() as u64],
        evidence: Known::Measured,
        verdict: Verdict::NotTested,
    };
    if let (Some(shift), Some(before)) = (shift, before) {
        let ends = shift.interval.map(|end| direction.improvement_percent(before, before + end));
        change.ci = ends[0].zip(ends[1]).map(|(a, b)| [a.min(b), a.max(b)]);
        change.verdict = match (shift.p < SIGNIFICANT, change.improvement_pct) {
            (true, Some(percent)) if percent > 0.0 => Verdict::Improved,
            (true, Some(percent)) if percent < 0.0 => Verdict::Regressed,
            _ => Verdict::Inconclusive,
        };
    }
    change
}

/// Everything that a comparison of profiles tells.
pub fn profiles(diff: &Diff, options: &GatherOptions<'_>) -> Evidence {
    let named = named_in(diff, options.bottleneck);
    // A cost is a figure for the row; without one it is the share of a function.
    let headline = if diff.per_op { named } else { headline_of(diff, options.bottleneck) };
    let mut evidence = Evidence {
        env: env(diff, options),
        profile: Some(comparison(diff)),
        top_before: top(diff, options, 0),
        top_after: top(diff, options, 1),
        functions: functions(diff, options),
        notes: diff.warnings.iter().map(|warning| kept(warning, options.keep_args)).collect(),
        ..Evidence::default()
    };
    evidence.metrics.extend(cost(diff));
    evidence.metrics.extend(options.operations.and_then(|operations| wall(diff, operations)));
    evidence.metrics.extend(headline.map(|row| share(diff, row, named.is_some(), options)));
    if let Some(row) = headline.filter(|_| named.is_none()) {
        evidence.notes.push(format!(
            "no function of the profiles is named as the bottleneck, so the share of `{}` is no verdict: a share also \
             changes when other functions do; name the function (--bottleneck), or give what was counted (--per-op)",
            kept(&row.identity.name, options.keep_args)
        ));
    }
    evidence.unexpected = unexpected(diff, headline, named, options);
    evidence.priorities = priorities(&evidence.top_after);
    evidence.opportunities = opportunities(&evidence.priorities);
    evidence
}

/// The function that the entry is about: the heaviest before of those that the words name, in full or by the last part of
/// the path; else of those whose type they name.
fn named_in<'d>(diff: &'d Diff, bottleneck: &str) -> Option<&'d DiffRow> {
    let is_named = |row: &&DiffRow| {
        let name = row.identity.name.as_str();
        let last = path(name).last().filter(|last| last.len() >= SHORTEST_PART);
        (name.len() > 1 && has_word(bottleneck, name)) || last.is_some_and(|last| has_word(bottleneck, last))
    };
    let is_type = |part: &&str| part.len() >= SHORTEST_PART && part.starts_with(char::is_uppercase);
    let has_type = |row: &&DiffRow| path(&row.identity.name).filter(is_type).any(|part| has_word(bottleneck, part));
    heaviest(diff.rows.iter().filter(is_named)).or_else(|| heaviest(diff.rows.iter().filter(has_type)))
}

/// The parts of a function's path, without arguments of functions and templates: `a`, `B`, `c` of `a::B<int>::c(x::y)`.
fn path(name: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let parts = name.split(move |c: char| {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => return depth == 0 && matches!(c, '.' | ':'),
        }
        false
    });
    parts.map(|part| part.split(['<', '(', '[']).next().unwrap_or(part)).filter(|part| !part.is_empty())
}

fn heaviest<'d>(rows: impl Iterator<Item = &'d DiffRow>) -> Option<&'d DiffRow> {
    let heaviest = rows.max_by(|a, b| a.before.self_share.total_cmp(&b.before.self_share));
    heaviest.filter(|row| row.before.self_share > 0.0)
}

/// The function whose figure stands in the row if there is no other, and whose kind of work is the entry's: one that the
/// words name; else the one whose self value surely fell most, as that is what was changed; else the heaviest before.
pub fn headline_of<'d>(diff: &'d Diff, bottleneck: &str) -> Option<&'d DiffRow> {
    let improved = diff.rows.iter().filter(|row| Verdict::from(row.verdict) == Verdict::Improved);
    let whole = diff.whole.as_ref().and_then(|whole| Some([whole.before.cost?, whole.after.cost?])).unwrap_or([1.0; 2]);
    let fall = |row: &DiffRow| row.before.self_share * whole[0] - row.after.self_share * whole[1];
    let fell_most = || improved.filter(|row| fall(row) > 0.0).max_by(|a, b| fall(a).total_cmp(&fall(b)));
    named_in(diff, bottleneck).or_else(fell_most).or_else(|| heaviest(diff.rows.iter()))
}

/// Whether the text has the name, not as a part of a longer one.
fn has_word(text: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

fn comparison(diff: &Diff) -> ProfileComparison {
    let value = diff.facts[1].first().map(|facts| format!("{}/{}", facts.value_type.name, facts.value_type.unit));
    ProfileComparison {
        value: value.unwrap_or_default(),
        evidence: diff.evidence.word().to_owned(),
        compared: if diff.per_op { "cost_per_operation" } else { "share" }.to_owned(),
        runs: diff.facts.each_ref().map(|runs| runs.len() as u64),
        samples: diff.facts.each_ref().map(|runs| runs.iter().map(|facts| facts.samples as u64).sum()),
        regressed: diff.counts.regressed as u64,
        improved: diff.counts.improved as u64,
        unchanged: diff.counts.unchanged as u64,
        inconclusive: diff.counts.inconclusive as u64,
    }
}

fn env(diff: &Diff, options: &GatherOptions<'_>) -> Env {
    let last = |of: fn(&Facts) -> &Option<String>| {
        diff.facts.iter().rev().flatten().find_map(|facts| of(facts).clone()).map(|text| kept(&text, options.keep_args))
    };
    let environment = ["the kernel", "the CPU", "the event"];
    let changed = diff.warnings.iter().filter(|warning| environment.iter().any(|what| warning.starts_with(what)));
    Env {
        cpu: last(|facts| &facts.cpu),
        kernel: last(|facts| &facts.kernel),
        runtime: None,
        changed: changed.map(|warning| kept(warning, options.keep_args)).collect(),
    }
}

fn module(identity: &Identity, keep: bool) -> Option<String> {
    identity.module.as_deref().map(|module| kept(module, keep))
}

/// The functions with the most self time on one side.
fn top(diff: &Diff, options: &GatherOptions<'_>, side: usize) -> Vec<Consumer> {
    let values = |row: &DiffRow| if side == 0 { row.before } else { row.after };
    let mut rows: Vec<&DiffRow> = diff.rows.iter().filter(|row| values(row).self_share > 0.0).collect();
    rows.sort_by(|a, b| {
        let by_share = values(b).self_share.total_cmp(&values(a).self_share);
        by_share.then_with(|| a.identity.name.cmp(&b.identity.name))
    });
    let consumer = |row: &&DiffRow| {
        let (category, action) = (options.label)(&row.identity);
        Consumer {
            function: kept(&row.identity.name, options.keep_args),
            module: module(&row.identity, options.keep_args),
            self_share: values(row).self_share,
            total_share: values(row).total_share,
            category,
            action,
        }
    };
    rows.iter().take(TOP).map(consumer).collect()
}

/// Those that changed, then those whose undecided change is largest.
fn functions(diff: &Diff, options: &GatherOptions<'_>) -> Vec<FunctionChange> {
    let is_changed = |row: &&DiffRow| matches!(Verdict::from(row.verdict), Verdict::Improved | Verdict::Regressed);
    let changed = diff.rows.iter().filter(is_changed).take(CHANGED);
    let others = diff.rows.iter().filter(|row| !is_changed(row) && row.q.is_some()).take(UNDECIDED);
    let kept_row = |row: &DiffRow| FunctionChange {
        function: kept(&row.identity.name, options.keep_args),
        module: module(&row.identity, options.keep_args),
        before: row.before.cost.unwrap_or(row.before.self_share),
        after: row.after.cost.unwrap_or(row.after.self_share),
        delta: row.delta,
        ci: row.interval,
        q: row.q,
        verdict: row.verdict.into(),
    };
    changed.chain(others).map(kept_row).collect()
}

/// The name of the cost of an operation, its unit, and what brings the value into it.
fn cost_name(value: &ValueType) -> (String, &str, f64) {
    match value.unit.as_str() {
        "nanoseconds" => (format!("{}_ms_per_op", value.name), "ms", 1e-6),
        unit => (format!("{}_per_op", value.name), unit, 1.0),
    }
}

/// The cost of an operation, if operations were counted.
fn cost(diff: &Diff) -> Option<MetricChange> {
    let row = diff.whole.as_ref()?;
    let (name, unit, scale) = cost_name(&diff.facts[1].first()?.value_type);
    let (before, after) = (row.before.cost?, row.after.cost?);
    Some(MetricChange { name, unit: unit.to_owned(), ..changed(diff, row, [before, after], scale) })
}

/// The time that an operation took, by how long the runs were recorded for.
fn wall(diff: &Diff, operations: [f64; 2]) -> Option<MetricChange> {
    let side = |side: usize| {
        diff.facts[side].iter().map(|facts| wall_ms(facts, operations[side])).collect::<Option<Vec<f64>>>()
    };
    let runs = [side(0)?, side(1)?];
    runs.iter().all(|runs| !runs.is_empty()).then(|| metric(WALL, "ms", Direction::Lower, &runs))
}

const WALL: &str = "wall_ms_per_op";

fn wall_ms(facts: &Facts, operations: f64) -> Option<f64> {
    Some(facts.duration_ns? as f64 / 1e6 / operations).filter(|ms| ms.is_finite() && *ms > 0.0)
}

/// What every run before and after cost and took per operation: what budgets are held against.
pub fn of_runs(diff: &Diff, operations: [f64; 2]) -> [Vec<Vec<Metric>>; 2] {
    let run = |facts: &Facts, operations: f64| {
        let (name, unit, scale) = cost_name(&facts.value_type);
        let figure = |name: &str, unit, value| Metric::new(name, unit, Direction::Lower, value);
        let wall = wall_ms(facts, operations).map(|ms| figure(WALL, "ms", ms));
        wall.into_iter().chain([figure(&name, unit, facts.total * scale / operations)]).collect()
    };
    [0, 1].map(|side| diff.facts[side].iter().map(|facts| run(facts, operations[side])).collect())
}

/// The part of the time that a function takes. Of one that nobody named it is no verdict.
fn share(diff: &Diff, row: &DiffRow, is_named: bool, options: &GatherOptions<'_>) -> MetricChange {
    let name = format!("share of {}", kept(&row.identity.name, options.keep_args));
    let values = [row.before.self_share, row.after.self_share];
    let mut change = MetricChange { name, unit: "%".to_owned(), ..changed(diff, row, values, 100.0) };
    // With counted operations the row's verdict is on its cost.
    if diff.per_op || !is_named {
        change.ci = None;
        change.q = None;
        change.method = None;
        change.verdict = Verdict::NotTested;
    }
    change
}

fn changed(diff: &Diff, row: &DiffRow, values: [f64; 2], scale: f64) -> MetricChange {
    let [before, after] = values;
    let improvement = |after: f64| Direction::Lower.improvement_percent(before, after);
    // Nothing takes less than no time, wherever an interval ends.
    let ends = row.interval.map(|end| improvement((before + end).max(0.0)));
    MetricChange {
        name: String::new(),
        unit: String::new(),
        direction: Direction::Lower,
        before: Some(before * scale),
        after: Some(after * scale),
        improvement_pct: improvement(after),
        ci: ends[0].zip(ends[1]).map(|(a, b)| [a.min(b), a.max(b)]),
        p: None,
        q: row.q,
        method: Some(diff.evidence.word().to_owned()),
        n: diff.facts.each_ref().map(|runs| runs.len() as u64),
        evidence: Known::Measured,
        verdict: row.verdict.into(),
    }
}

/// What nobody asked for: functions that grew by more than what shrank explains, new ones, a change that did nothing.
fn unexpected(
    diff: &Diff,
    headline: Option<&DiffRow>,
    named: Option<&DiffRow>,
    options: &GatherOptions<'_>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let runs = match diff.evidence.word() {
        "runs" => "several runs",
        "within_run" => "one run each",
        _ => "samples without times",
    };
    let evidence = |row: &DiffRow| {
        let q = row.q.map_or(String::new(), |q| format!(", q {q:.3}"));
        let [before, after] = [row.before, row.after].map(|values| values.self_share * 100.0);
        Some(format!("self {before:.2} % before, {after:.2} % after{q}; {runs}"))
    };
    // Where one share falls the others grow: by as much as this, if nothing else changed.
    let scale = match headline {
        Some(row) if !diff.per_op && row.before.self_share < 1.0 => {
            (1.0 - row.after.self_share) / (1.0 - row.before.self_share)
        }
        _ => 1.0,
    };
    for row in &diff.rows {
        let name = kept(&row.identity.name, options.keep_args);
        let before = row.before.cost.unwrap_or(row.before.self_share);
        let is_named = named.is_some_and(|named| named.identity == row.identity);
        let grew = Verdict::from(row.verdict) == Verdict::Regressed && row.interval[0] > before * (scale - 1.0);
        if row.before.total_share == 0.0 && row.after.self_share >= NEW_SHARE {
            found.push(Finding { finding: format!("`{name}` was not there before"), evidence: evidence(row) });
        } else if is_named && Verdict::from(row.verdict) != Verdict::Improved {
            let finding = match Verdict::from(row.verdict) {
                Verdict::Regressed => format!("`{name}`, which it is about, takes more than before"),
                Verdict::Unchanged => format!("`{name}`, which it is about, takes as much as before"),
                _ => format!("it can't be told whether `{name}`, which it is about, changed"),
            };
            found.push(Finding { finding, evidence: evidence(row) });
        } else if grew {
            found.push(Finding { finding: format!("`{name}` takes more than before"), evidence: evidence(row) });
        }
    }
    found.truncate(TOP);
    found
}

fn priorities(top: &[Consumer]) -> Vec<Priority> {
    let rank = |share: f64| match share {
        0.1.. => Rank::High,
        0.03.. => Rank::Medium,
        _ => Rank::Low,
    };
    let priority = |consumer: &Consumer| Priority {
        what: consumer.function.clone(),
        share: consumer.self_share,
        category: consumer.category.clone(),
        action: consumer.action.clone(),
        priority: rank(consumer.self_share),
    };
    top.iter().take(NEXT).map(priority).collect()
}

/// The most that could be gained, as Amdahl's law has it. What it takes to gain it, only people know.
fn opportunities(priorities: &[Priority]) -> Vec<Opportunity> {
    let worthwhile = priorities.iter().filter(|priority| priority.priority != Rank::Low);
    let opportunity = |priority: &Priority| Opportunity {
        opportunity: format!("less time in `{}`", priority.what),
        gain: Some(format!("at most {:.1} % of the time", priority.share * 100.0)),
        effort: None,
        priority: Some(priority.priority.word().to_owned()),
        evidence: Known::Projected,
    };
    worthwhile.map(opportunity).collect()
}

/// What heap snapshots tell: sizes in order, with the seconds since 1970 at which they were written where known.
pub fn retained(sizes: &[(String, Option<u64>, u64)], growth: Option<&Growth>) -> HeapEvidence {
    let start = sizes.first().and_then(|(_, written, _)| *written);
    let seconds = |written: Option<u64>| Some(written? as i64 - start? as i64);
    let size = |(name, written, size): &(String, Option<u64>, u64)| HeapSize {
        snapshot: tidy(name),
        seconds: seconds(*written),
        size: *size,
    };
    let suspects = growth.map(|growth| growth.suspects.as_slice()).unwrap_or_default();
    let object = |suspect: &burnmark_heap::Suspect| RetainedObject {
        object: kept(&suspect.what, false),
        count: suspect.born.iter().sum(),
        size: suspect.growth.iter().sum(),
        cause: suspect.cause.name().to_owned(),
        tier: suspect.tier.name().to_owned(),
    };
    HeapEvidence { snapshots: sizes.iter().map(size).collect(), retained: suspects.iter().map(object).collect() }
}

/// Puts the parts together. The verdict is that of the first figure that was tested, unless the figure of the log's row,
/// which was not, went the other way.
pub fn conclude(evidence: &mut Evidence) {
    let tested = evidence.metrics.iter().map(|metric| metric.verdict).find(|verdict| *verdict != Verdict::NotTested);
    let row = evidence.metrics.first().filter(|metric| metric.evidence == Known::Measured);
    let percent = row.and_then(|metric| metric.improvement_pct).unwrap_or(0.0);
    evidence.verdict = match tested.unwrap_or_default() {
        Verdict::Improved if percent < 0.0 => Verdict::Inconclusive,
        Verdict::Regressed if percent > 0.0 => Verdict::Inconclusive,
        verdict => verdict,
    };
    let finite = |value: &Option<f64>| value.is_none_or(f64::is_finite);
    for metric in &mut evidence.metrics {
        for value in [&mut metric.before, &mut metric.after, &mut metric.improvement_pct, &mut metric.p, &mut metric.q]
        {
            if !finite(value) {
                *value = None;
            }
        }
        metric.ci = metric.ci.filter(|ends| ends.iter().all(|end| end.is_finite()));
    }
    // JSON has no number for what is beyond all numbers.
    evidence
        .functions
        .retain(|row| [row.before, row.after, row.delta, row.ci[0], row.ci[1]].iter().all(|v| v.is_finite()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word_of_its_own() {
        for (text, name, found) in [
            ("slow in parse()", "parse", true),
            ("parser is slow", "parse", false),
            ("reparse", "parse", false),
            ("reparse, then parse", "parse", true),
            ("JSON.parse of it", "JSON.parse", true),
            ("a::b::hash<T>", "a::b::hash<T>", true),
            ("", "x", false),
        ] {
            assert_eq!(has_word(text, name), found, "{name} in {text}");
        }
    }
    #[test]
    fn a_path_has_no_arguments() {
        for (name, parts) in [
            (
                "v8::internal::JsonParser<unsigned char>::ParseJsonValue",
                vec!["v8", "internal", "JsonParser", "ParseJsonValue"],
            ),
            ("a::f(std::string, b::C)", vec!["a", "f"]),
            ("app.Parser.next", vec!["app", "Parser", "next"]),
            ("<a::B as c::D>::run", vec!["run"]),
            ("operator>>", vec!["operator>>"]),
            ("", vec![]),
        ] {
            assert_eq!(path(name).collect::<Vec<_>>(), parts, "{name}");
        }
    }
}
