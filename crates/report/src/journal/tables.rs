//! The tables of the log, each from what an entry keeps.

use burnmark_journal::log::{
    Consumer, Entry, Evidence, FunctionChange, HeapSize, Known, MetricChange, Row, Status, Target, Verdict,
};

use super::document::{Cell, Table};
use crate::heap::bytes;
use crate::numbers::{Scale, count, counted, decimal, percent};

/// A figure: four digits that count, whole numbers as they are.
pub(super) fn figure(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return decimal(value, 0);
    }
    let magnitude = value.abs().max(1e-9).log10().floor() as i32;
    decimal(value, usize::try_from(3 - magnitude).unwrap_or(0).min(9))
}

impl Cell {
    /// A figure with its unit.
    fn value(value: Option<f64>, unit: &str) -> Self {
        match (value, unit) {
            (None, _) => Self::plain("not measured"),
            (Some(value), "") => Self::plain(figure(value)),
            // Units come from files.
            (Some(value), unit) => Self::Text(format!("{} {unit}", figure(value))),
        }
    }
}

/// A signed number with a real minus.
fn signed(value: f64, decimals: usize) -> String {
    decimal(value, decimals).replace('-', "−")
}

/// A figure with its unit in one line: beside long names GitHub makes columns as narrow as they can be.
fn unbroken(figure: &str) -> String {
    figure.replace(' ', "\u{a0}")
}

/// A change, with its sign.
fn change(value: f64) -> String {
    let text = signed(value, 2);
    if value > 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { format!("+{text}") } else { text }
}

/// How much better it got, and how sure that is.
pub(super) fn improvement(metric: &MetricChange) -> String {
    let Some(percent) = metric.improvement_pct else { return "n/a".to_owned() };
    let mut text = format!("{} %", signed(percent, 1));
    if let Some([low, high]) = metric.ci {
        text += &format!(" [{} … {}]", signed(low, 1), signed(high, 1));
    }
    text += &match (metric.evidence, metric.verdict) {
        (Known::Projected | Known::Inferred, _) => format!(", {}", metric.evidence.word()),
        (_, Verdict::NotTested) if metric.n == [1, 1] => ", one run each".to_owned(),
        (_, Verdict::NotTested) if metric.n == [0, 0] => String::new(),
        (_, Verdict::NotTested) if metric.n[0] == metric.n[1] => format!(", {} runs each", metric.n[0]),
        (_, Verdict::NotTested) => format!(", {} and {} runs", metric.n[0], metric.n[1]),
        (_, verdict) => format!(", {}", verdict.word()),
    };
    text
}

/// One row an entry.
pub(super) fn iterations(rows: &[Row<'_>]) -> Table {
    let cells = |row: &Row<'_>| {
        let entry = row.entry;
        let [metric, before, after, improvement] = row_figures(entry);
        let before = match (metric.into_text(), before) {
            (metric, before) if metric.is_empty() => before,
            (metric, before) => Cell::Text(format!("{metric}: {}", before.into_text())),
        };
        vec![
            Cell::plain(row.number.to_string()),
            Cell::Sentence(entry.bottleneck.clone()),
            Cell::Sentence(entry.change.clone()),
            before,
            after,
            improvement,
        ]
    };
    Table {
        title: String::new(),
        columns: &[">#", "Bottleneck", "Change", ">Before", ">After", ">Improvement"],
        rows: rows.iter().map(cells).collect(),
        notes: Vec::new(),
    }
}

/// The figures of an entry's row: name, before, after, improvement. Where there is no other, the sizes of the first and the
/// last heap snapshot; one alone was not compared.
pub(super) fn row_figures(entry: &Entry) -> [Cell; 4] {
    if let Some(metric) = entry.evidence.metrics.first() {
        return [
            Cell::Text(metric.name.clone()),
            Cell::value(metric.before, &metric.unit),
            Cell::value(metric.after, &metric.unit),
            Cell::plain(improvement(metric)),
        ];
    }
    let snapshots = entry.evidence.heap.as_ref().map_or(&[][..], |heap| &heap.snapshots);
    let Some(last) = snapshots.last() else { return ["", "n/a", "n/a", "n/a"].map(Cell::plain) };
    let first = snapshots.first().filter(|_| snapshots.len() > 1);
    let lower = burnmark_journal::Direction::Lower;
    let change = first.and_then(|first| lower.improvement_percent(first.size as f64, last.size as f64));
    [
        Cell::plain("heap"),
        Cell::plain(first.map_or("not measured".to_owned(), |first| bytes(first.size.into()))),
        Cell::plain(bytes(last.size.into())),
        Cell::plain(change.map_or("n/a".to_owned(), |percent| format!("{} %", signed(percent, 1)))),
    ]
}

/// Budgets: baseline, current value with its interval, and whether the limit is kept; why not, below.
pub(super) fn targets(evidence: &Evidence) -> Table {
    let targets = &evidence.targets;
    let cells = |target: &Target| {
        let interval = |unit: &str| match target.ci {
            Some([low, high]) => format!(" [{} … {}]{unit}", figure(low), figure(high)),
            None => String::new(),
        };
        let mut current = Cell::value(target.current, &target.unit).into_text();
        match target.change_pct {
            Some(worse) if worse >= 0.0 => current += &format!(", {} % worse{}", figure(worse), interval(" %")),
            Some(better) => current += &format!(", {} % better{}", figure(-better), interval(" % worse")),
            None => current += &interval(""),
        }
        let severity = target.severity.as_ref().filter(|_| target.status != Status::Pass);
        let severity = severity.map_or(String::new(), |severity| format!(", {severity}"));
        vec![
            Cell::Text(target.metric.clone()),
            Cell::value(target.baseline, &target.unit),
            Cell::Text(current),
            Cell::Text(target.target.clone()),
            Cell::Text(format!("{}{severity}", target.status.word())),
        ]
    };
    let reason = |target: &Target| Some(format!("{}: {}", target.metric, target.why.as_ref()?));
    let mut notes: Vec<String> = Vec::new();
    for note in targets.iter().filter_map(reason) {
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    if targets.iter().any(|target| target.runs > 1) {
        notes.push("values of several runs are their means, with 95 % intervals".to_owned());
    }
    Table {
        title: "Current vs Target".to_owned(),
        columns: &["Metric", ">Baseline", ">Current", ">Target", "Status"],
        rows: targets.iter().map(cells).collect(),
        notes,
    }
}

/// How many of the targets are met, in a few words.
pub(super) fn met(evidence: &Evidence) -> String {
    let count = |status: Status| evidence.targets.iter().filter(|target| target.status == status).count();
    let words = [
        (Status::Fail, "missed"),
        (Status::Missing, "without evidence"),
        (Status::Inconclusive, "in doubt"),
        (Status::Warn, "met with a warning"),
        (Status::Pass, "met"),
    ];
    let counts = words.map(|(status, word)| (count(status), word)).into_iter().filter(|(count, _)| *count > 0);
    counts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// Figures.
pub(super) fn metrics(evidence: &Evidence) -> Table {
    let rows = evidence.metrics.iter().map(|metric| {
        vec![
            Cell::Text(metric.name.clone()),
            Cell::value(metric.before, &metric.unit),
            Cell::value(metric.after, &metric.unit),
            Cell::plain(improvement(metric)),
        ]
    });
    // Costs and shares of profiles are those of all runs together.
    let is_median = |metric: &MetricChange| {
        metric.method.as_ref().is_none_or(|method| method.starts_with("Mann")) && !metric.name.starts_with("share of ")
    };
    let several = |metric: &&MetricChange| metric.n.iter().any(|runs| *runs > 1);
    let (medians, means): (Vec<_>, Vec<_>) = evidence.metrics.iter().filter(several).partition(|it| is_median(it));
    let note = match (medians.is_empty(), means.is_empty()) {
        (true, _) => None,
        (false, true) => Some("values of several runs are their medians"),
        (false, false) => Some("values of several runs are their medians, costs and shares of profiles means"),
    };
    Table {
        title: "Before vs After".to_owned(),
        columns: &["Metric", ">Before", ">After", ">Improvement"],
        rows: rows.collect(),
        notes: note.map(str::to_owned).into_iter().collect(),
    }
}

/// Where the time goes.
pub(super) fn consumers(title: &str, consumers: &[Consumer]) -> Table {
    let rows = consumers.iter().map(|consumer| {
        vec![
            Cell::Name(consumer.function.clone()),
            Cell::plain(percent(consumer.self_share)),
            Cell::text(consumer.category.as_deref()),
            Cell::text(consumer.action.as_deref()),
        ]
    });
    Table {
        title: title.to_owned(),
        columns: &["Function", ">Time %", "Category", "Action"],
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

/// The flame graphs in words.
pub(super) fn flame(entry: &Entry) -> Table {
    let top = |consumers: &[Consumer]| match consumers.first() {
        Some(top) => Cell::Sentence(format!("`{}` ({} %)", top.function, percent(top.self_share))),
        None => Cell::plain("–"),
    };
    let evidence = &entry.evidence;
    let row = vec![
        top(&evidence.top_before),
        top(&evidence.top_after),
        Cell::Sentence(entry.bottleneck.clone()),
        Cell::Sentence(entry.change.clone()),
    ];
    let any = !evidence.top_before.is_empty() || !evidence.top_after.is_empty();
    Table {
        title: "Flame Graph Summary".to_owned(),
        columns: &["Top consumer before", "Top consumer after", "Key bottleneck", "How resolved"],
        rows: if any { vec![row] } else { Vec::new() },
        notes: Vec::new(),
    }
}

const SHARES: &str =
    "shares sum to 100 %, so where one falls others grow: --per-op BEFORE,AFTER (operations done) compares costs";

/// Functions that changed, or of which it can't be told.
pub(super) fn functions(evidence: &Evidence, changed: bool) -> Table {
    let is_changed = |row: &&FunctionChange| matches!(row.verdict, Verdict::Improved | Verdict::Regressed);
    let rows: Vec<&FunctionChange> = evidence.functions.iter().filter(|row| is_changed(row) == changed).collect();
    let profile = evidence.profile.as_ref();
    let per_op = profile.is_some_and(|profile| profile.compared != "share");
    let unit = profile.and_then(|profile| profile.value.rsplit_once('/')).map_or("", |(_, unit)| unit);
    let value = burnmark_model::ValueType::new("cost", unit);
    let largest = rows.iter().map(|row| row.before.max(row.after)).fold(0.0, f64::max);
    let scale = Scale::new(&value, largest as i64);
    let shown = |amount: f64| match (per_op, scale.unit) {
        (false, _) => format!("{} %", percent(amount)),
        (true, "") => figure(amount),
        (true, _) => scale.text(amount as i64),
    };
    let changed_by = |row: &FunctionChange| {
        let [low, high] = row.ci;
        let of = if per_op && row.before > 0.0 { 100.0 / row.before } else { 100.0 };
        let unit = if per_op { "%" } else { "points" };
        if per_op && row.before == 0.0 {
            return "new".to_owned();
        }
        let interval = format!("[{} … {}] {unit}", change(low * of), change(high * of));
        format!("{} {}", change(row.delta * of), unbroken(&interval))
    };
    let cells = rows.iter().map(|row| {
        vec![
            Cell::Name(row.function.clone()),
            Cell::plain(unbroken(&shown(row.before))),
            Cell::plain(unbroken(&shown(row.after))),
            Cell::plain(changed_by(row)),
            Cell::plain(row.verdict.word()),
        ]
    });
    Table {
        title: if changed { "Changed Functions".to_owned() } else { String::new() },
        columns: &["Function", ">Before", ">After", ">Change", "Verdict"],
        rows: cells.collect(),
        notes: if changed && !per_op { vec![SHARES.to_owned()] } else { Vec::new() },
    }
}

/// What was not looked for.
pub(super) fn unexpected(evidence: &Evidence) -> Table {
    let rows = evidence.unexpected.iter().map(|finding| {
        let evidence = finding.evidence.clone().map_or(Cell::plain("–"), Cell::Sentence);
        vec![Cell::Sentence(finding.finding.clone()), evidence]
    });
    Table {
        title: "Unexpected Findings".to_owned(),
        columns: &["Finding", "Evidence"],
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

/// What to work on next.
pub(super) fn priorities(evidence: &Evidence) -> Table {
    let rows = evidence.priorities.iter().enumerate().map(|(index, priority)| {
        vec![
            Cell::plain((index + 1).to_string()),
            Cell::Name(priority.what.clone()),
            Cell::plain(percent(priority.share)),
            Cell::text(priority.category.as_deref()),
            Cell::text(priority.action.as_deref()),
            Cell::plain(priority.priority.word()),
        ]
    });
    Table {
        title: "Optimization Priorities".to_owned(),
        columns: &[">#", "Function", ">Time %", "Category", "Action", "Priority"],
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

/// Sizes of heaps.
pub(super) fn heap_sizes(evidence: &Evidence) -> Table {
    let sizes = evidence.heap.as_ref().map(|heap| heap.snapshots.as_slice()).unwrap_or_default();
    let cells = |(index, size): (usize, &HeapSize)| {
        let delta = index.checked_sub(1).map(|before| i128::from(size.size) - i128::from(sizes[before].size));
        let delta = delta.map_or("–".to_owned(), |delta| {
            if delta > 0 { format!("+{}", bytes(delta)) } else { bytes(delta).replace('-', "−") }
        });
        let time = size.seconds.map_or("–".to_owned(), |seconds| format!("{} s", count(seconds)));
        vec![
            Cell::Name(size.snapshot.clone()),
            Cell::plain(time),
            Cell::plain(bytes(size.size.into())),
            Cell::plain(delta),
        ]
    };
    let rows = sizes.iter().enumerate().map(cells);
    if sizes.len() == 1 {
        let row = rows.flatten().enumerate().filter(|(column, _)| column % 2 == 0).map(|(_, cell)| cell);
        return Table {
            title: "Heap Snapshot".to_owned(),
            columns: &["Snapshot", ">Heap Size"],
            rows: vec![row.collect()],
            notes: Vec::new(),
        };
    }
    Table {
        title: "Heap Snapshot Comparison".to_owned(),
        columns: &["Snapshot", ">Time", ">Heap Size", ">Delta"],
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

/// What piles up.
pub(super) fn retained(evidence: &Evidence) -> Table {
    let objects = evidence.heap.as_ref().map(|heap| heap.retained.as_slice()).unwrap_or_default();
    let rows = objects.iter().map(|object| {
        vec![
            Cell::Name(object.object.clone()),
            Cell::plain(count(object.count)),
            Cell::plain(bytes(object.size.into())),
            Cell::Text(format!("{} ({})", object.cause, object.tier)),
        ]
    });
    Table {
        title: "Retained Objects Analysis".to_owned(),
        columns: &["Object Type", ">Count", ">Size", "Likely Cause"],
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

/// What else could be gained.
pub(super) fn opportunities(evidence: &Evidence) -> Table {
    let rows = evidence.opportunities.iter().map(|opportunity| {
        vec![
            Cell::Sentence(opportunity.opportunity.clone()),
            Cell::text(opportunity.gain.as_deref()),
            Cell::text(opportunity.effort.as_deref()),
            Cell::text(opportunity.priority.as_deref()),
        ]
    });
    Table {
        title: "Remaining Opportunities".to_owned(),
        columns: &["Opportunity", "Potential Gain", "Effort", "Priority"],
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

/// What the profiles' verdicts rest on, in a sentence.
pub(super) fn basis(evidence: &Evidence) -> Option<String> {
    let profile = evidence.profile.as_ref()?;
    let [before, after] = profile.samples.map(|samples| counted(samples, "sample", "samples"));
    let runs = match (profile.evidence.as_str(), profile.runs) {
        ("runs", [before, after]) if before == after => format!("{before} runs each"),
        ("runs", [before, after]) => format!("{before} runs before, {after} after"),
        ("within_run", _) => "one run each: what differs from run to run is not seen".to_owned(),
        _ => "samples without times: intervals are a lower bound".to_owned(),
    };
    Some(format!(
        "{before} before, {after} after; {} regressed, {} improved, {} unchanged, {} inconclusive; {runs}",
        count(profile.regressed),
        count(profile.improved),
        count(profile.unchanged),
        count(profile.inconclusive)
    ))
}
