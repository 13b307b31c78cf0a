//! The questions that are answered, a sheet each.

use burnmark_heap::{EdgeKind, Growth, Location, Overview, Snapshot, Step, Suspect, shown};

use super::cell::Cell;
use super::sheet::{Column, Sheet};
use super::{HeapInput, HeapObject, HeapView};
use crate::numbers::count;

/// Steps of a path that are shown at its beginning and end.
const HEAD: usize = 3;
const TAIL: usize = 6;

pub(super) fn all(input: &HeapInput<'_>, view: &HeapView) -> Vec<Sheet> {
    let mut sheets = Vec::new();
    if !view.objects.is_empty() {
        for object in &view.objects {
            sheets.push(held_by(input.snapshot, object.node, &object.path));
            sheets.push(refers_to(input.snapshot, object, view.limit));
        }
        return sheets;
    }
    if let Some(growth) = &view.growth {
        sheets.push(suspects(input.snapshot, growth));
        sheets.push(comparison(view));
        sheets.push(retained_objects(growth));
        sheets.push(class_growth(growth, view.limit));
        sheets.push(kept(growth, view.limit));
    } else {
        sheets.push(summary(input.snapshot, view));
    }
    sheets.push(classes(input.snapshot, view));
    if let Some(overview) = &view.overview {
        sheets.extend(retainers(input.snapshot, overview));
        sheets.extend(groups(input.snapshot, overview));
    }
    sheets
}

/// A path in one line; long ones are cut in the middle.
pub(super) fn path_text(snapshot: &Snapshot, path: &[Step]) -> String {
    let one = |step: &Step| {
        let label = snapshot.label(step.node);
        match step.edge.as_str() {
            "" => label,
            edge => format!("{edge} {label}"),
        }
    };
    // The root says nothing.
    let path = path.split_first().map_or(path, |(_, rest)| rest);
    if path.len() <= HEAD + TAIL + 1 {
        return path.iter().map(one).collect::<Vec<_>>().join(" → ");
    }
    let head = path[..HEAD].iter().map(one).collect::<Vec<_>>().join(" → ");
    let tail = path[path.len() - TAIL..].iter().map(one).collect::<Vec<_>>().join(" → ");
    format!("{head} → … {} more … → {tail}", path.len() - HEAD - TAIL)
}

fn named(snapshot: &Snapshot, node: u32) -> String {
    format!("{} @{}", snapshot.label(node), snapshot.id(node))
}

fn place(location: Option<Location>) -> String {
    location.map_or(String::new(), |at| format!("script {}:{}:{}", at.script, at.line + 1, at.column + 1))
}

fn summary(snapshot: &Snapshot, view: &HeapView) -> Sheet {
    let mut sheet =
        Sheet::new("Heap", [Column("what", "what"), Column(">size", ">size_bytes"), Column(">%", ">share")]);
    let statistics = snapshot.statistics();
    let total = statistics.total.max(1) as f64;
    let rows = [
        ("total", statistics.total),
        ("code", statistics.code),
        ("strings", statistics.strings),
        ("JS arrays", statistics.js_arrays),
        ("typed arrays", statistics.typed_arrays),
        ("other native", statistics.native.saturating_sub(statistics.typed_arrays)),
        ("system", statistics.system),
    ];
    for (what, size) in rows {
        sheet.rows.push(vec![what.into(), Cell::Bytes(size.into()), Cell::Share(size as f64 / total)]);
    }
    if let Some(size) = view.sizes.last() {
        sheet.notes.push(format!("{}: {} nodes, {} edges", size.name, count(size.nodes), count(size.edges)));
    }
    sheet
}

fn classes(snapshot: &Snapshot, view: &HeapView) -> Sheet {
    let columns = [CLASS, COUNT, SHALLOW, RETAINED, Column(">%", ">retained_share"), Column(">distance", ">distance")];
    let mut sheet = Sheet::new("Classes by retained size", columns);
    let total = snapshot.total_size().max(1) as f64;
    for class in view.classes.iter().take(view.limit) {
        let sums = &class.sums;
        let name = match class.location {
            Some(_) => format!("{} ({})", class.name, place(class.location)),
            None => class.name.clone(),
        };
        sheet.rows.push(vec![
            name.into(),
            Cell::Count(sums.count.into()),
            Cell::Bytes(sums.shallow.into()),
            Cell::Bytes(sums.retained.into()),
            Cell::Share(sums.retained as f64 / total),
            Cell::Distance(sums.distance),
        ]);
    }
    if let Some(more) = view.classes.len().checked_sub(view.limit).filter(|more| *more > 0) {
        sheet.notes.push(format!("… {} more classes (--limit 0 shows all)", count(more)));
    }
    sheet
}

const OBJECT: Column = Column("object", "object");
const CLASS: Column = Column("class", "class");
const COUNT: Column = Column(">count", ">count");
const SHALLOW: Column = Column(">shallow", ">shallow_bytes");
const RETAINED: Column = Column(">retained", ">retained_bytes");
const HELD_BY: Column = Column("held by", "held_by");

/// Objects that hold much, with their paths.
fn retainers(snapshot: &Snapshot, overview: &Overview) -> [Sheet; 2] {
    let mut biggest = Sheet { below: 1, ..Sheet::new("Biggest retainers", [OBJECT, RETAINED, HELD_BY]) };
    for retainer in &overview.biggest {
        biggest.rows.push(vec![
            named(snapshot, retainer.node).into(),
            Cell::Bytes(snapshot.retained(retainer.node).into()),
            path_text(snapshot, &retainer.path).into(),
        ]);
    }
    let columns = [OBJECT, RETAINED, Column("through", "through"), HELD_BY];
    let mut accumulations = Sheet { below: 2, ..Sheet::new("Where memory accumulates", columns) };
    for point in &overview.accumulations {
        accumulations.rows.push(vec![
            named(snapshot, point.node).into(),
            Cell::Bytes(snapshot.retained(point.node).into()),
            Cell::Members(point.members.iter().take(3).cloned().collect()),
            path_text(snapshot, &point.path).into(),
        ]);
    }
    [biggest, accumulations]
}

/// What there are many of.
fn groups(snapshot: &Snapshot, overview: &Overview) -> [Sheet; 4] {
    let columns = [CLASS, COUNT, SHALLOW, RETAINED, Column("largest", "largest")];
    let mut detached = Sheet::new("Detached DOM", columns);
    for group in &overview.detached {
        detached.rows.push(vec![
            group.name.clone().into(),
            Cell::Count(group.count.into()),
            Cell::Bytes(group.shallow.into()),
            Cell::Bytes(group.retained.into()),
            named(snapshot, group.largest).into(),
        ]);
    }
    let columns =
        [Column("string", "string"), COUNT, Column(">size", ">size_bytes"), Column(">wasted", ">wasted_bytes")];
    let mut strings = Sheet::new("Duplicated strings", columns);
    for group in &overview.strings {
        strings.rows.push(vec![
            Cell::Excerpt(group.name.clone(), 60),
            Cell::Count(group.count.into()),
            Cell::Bytes(group.shallow.into()),
            Cell::Bytes(group.retained.into()),
        ]);
    }
    let used = Column(">used by objects", ">used_by_objects");
    let columns = [OBJECT, Column(">size", ">size_bytes"), Column(">slots", ">slots"), used];
    let mut collections = Sheet::new("Sparse and oversized collections", columns);
    for collection in &overview.collections {
        collections.rows.push(vec![
            named(snapshot, collection.node).into(),
            Cell::Bytes(collection.shallow.into()),
            Cell::Count(collection.slots.into()),
            Cell::Count(collection.used.into()),
        ]);
    }
    if !collections.rows.is_empty() {
        collections.notes.push("small integers don't show in a snapshot: arrays of numbers look empty".to_owned());
    }
    let columns = [Column("function", "function"), Column("place", "place"), COUNT, RETAINED];
    let mut closures = Sheet::new("Functions by source location", columns);
    for group in &overview.closures {
        let name = if group.name.is_empty() { "(anonymous)".to_owned() } else { group.name.clone() };
        closures.rows.push(vec![
            name.into(),
            place(group.location).into(),
            Cell::Count(group.count.into()),
            Cell::Bytes(group.retained.into()),
        ]);
    }
    [detached, strings, collections, closures]
}

fn suspects(snapshot: &Snapshot, growth: &Growth) -> Sheet {
    let columns = [
        Column(">#", ">rank"),
        Column("what grows", "what"),
        Column(">growth", ">growth_bytes"),
        Column(">retained now", ">retained_bytes"),
        Column(">% of growth", ">growth_share"),
        Column(">per iteration", ">objects_per_iteration"),
        Column("likely cause", "cause"),
        Column("evidence", "evidence"),
        Column("under", "under"),
        Column("growth per interval", ">growth_per_interval_bytes"),
        Column("hint", "hint"),
        HELD_BY,
    ];
    let mut sheet = Sheet { below: 4, ..Sheet::new("Leak suspects", columns) };
    for (index, suspect) in growth.suspects.iter().enumerate() {
        sheet.rows.push(suspect_row(snapshot, index, suspect));
    }
    if growth.suspects.is_empty() && growth.same_process {
        sheet.notes.push("nothing grew in every interval by at least 64 KiB and 1 % of all growth".to_owned());
    }
    if !growth.same_process {
        let note = "the snapshots are of different processes: classes can be compared, objects can't";
        sheet.notes.push(note.to_owned());
    }
    if growth.totals.len() == 2 && growth.same_process {
        let note = "two snapshots show one step, which may be a warm-up: take a third, and pass --iterations";
        sheet.notes.push(note.to_owned());
    }
    sheet
}

fn suspect_row(snapshot: &Snapshot, index: usize, suspect: &Suspect) -> Vec<Cell> {
    let steps = if suspect.growth.len() > 1 { suspect.growth.clone() } else { Vec::new() };
    vec![
        Cell::Count(index as i128 + 1),
        suspect.what.clone().into(),
        Cell::Change(Some(suspect.growth.iter().map(|step| i128::from(*step)).sum())),
        Cell::Bytes(suspect.retained.into()),
        Cell::Share(suspect.share),
        Cell::Rate(suspect.per_iteration, suspect.constant),
        suspect.cause.name().into(),
        suspect.tier.name().into(),
        named(snapshot, suspect.node).into(),
        Cell::Changes(steps),
        suspect.hint.clone().into(),
        path_text(snapshot, &suspect.path).into(),
    ]
}

/// As optimization logs have it.
fn comparison(view: &HeapView) -> Sheet {
    let columns = [
        Column("Snapshot", "snapshot"),
        Column("Time", ">time_s"),
        Column(">Heap Size", ">heap_size_bytes"),
        Column(">Delta", ">delta_bytes"),
    ];
    let mut sheet = Sheet::new("Heap Snapshot Comparison", columns);
    let start = view.sizes.first().and_then(|size| size.written);
    for (index, size) in view.sizes.iter().enumerate() {
        let time = start.zip(size.written).map(|(start, written)| written as i64 - start as i64);
        let before = index.checked_sub(1).map(|before| view.sizes[before].total);
        sheet.rows.push(vec![
            size.name.clone().into(),
            Cell::Seconds(time),
            Cell::Bytes(size.total.into()),
            Cell::Change(before.map(|before| i128::from(size.total) - i128::from(before))),
        ]);
    }
    sheet
}

/// As optimization logs have it.
fn retained_objects(growth: &Growth) -> Sheet {
    let columns = [
        Column("Object Type", "object_type"),
        Column(">Count", ">count"),
        Column(">Size", ">size_bytes"),
        Column("Likely Cause", "likely_cause"),
    ];
    let mut sheet = Sheet::new("Retained Objects Analysis", columns);
    for suspect in &growth.suspects {
        sheet.rows.push(vec![
            suspect.what.clone().into(),
            Cell::Count(suspect.born.iter().sum::<u64>().into()),
            Cell::Bytes(suspect.growth.iter().map(|step| i128::from(*step)).sum()),
            suspect.cause.name().into(),
        ]);
    }
    sheet
}

fn class_growth(growth: &Growth, limit: usize) -> Sheet {
    let columns = [
        CLASS,
        Column(">count", ">count_per_snapshot"),
        Column(">Δ count", ">count_growth"),
        Column(">Δ shallow", ">shallow_growth_bytes"),
        Column(">Δ retained", ">retained_growth_bytes"),
    ];
    let mut sheet = Sheet::new("Growth by class", columns);
    for row in &growth.classes {
        let delta = |column: &[u64]| {
            i128::from(column.last().copied().unwrap_or(0)) - i128::from(column.first().copied().unwrap_or(0))
        };
        if delta(&row.shallow) <= 0 || sheet.rows.len() == limit {
            break;
        }
        sheet.rows.push(vec![
            row.name.clone().into(),
            Cell::Counts(row.count.clone()),
            Cell::Count(delta(&row.count)),
            Cell::Change(Some(delta(&row.shallow))),
            Cell::Change(Some(delta(&row.retained))),
        ]);
    }
    sheet
}

fn kept(growth: &Growth, limit: usize) -> Sheet {
    let title = "Born between the first two snapshots and still there";
    let columns = [CLASS, COUNT, SHALLOW];
    let mut sheet = Sheet::new(title, columns);
    for (class, n, size) in growth.kept.iter().take(limit) {
        sheet.rows.push(vec![class.clone().into(), Cell::Count((*n).into()), Cell::Bytes((*size).into())]);
    }
    sheet
}

fn held_by(snapshot: &Snapshot, node: u32, path: &[Step]) -> Sheet {
    let columns =
        [HELD_BY, OBJECT, SHALLOW, RETAINED, Column(">distance", ">distance"), Column("dominates", "dominates")];
    let mut sheet = Sheet::new("Object", columns);
    for step in path {
        sheet.rows.push(vec![
            step.edge.clone().into(),
            named(snapshot, step.node).into(),
            Cell::Bytes(snapshot.shallow(step.node).into()),
            Cell::Bytes(snapshot.retained(step.node).into()),
            Cell::Distance(snapshot.distance(step.node)),
            Cell::Yes(step.dominates),
        ]);
    }
    let held: Vec<String> = snapshot.retainers(node).take(20).map(|node| named(snapshot, node)).collect();
    sheet.notes.push(format!("{} is held by: {}", named(snapshot, node), held.join(", ")));
    sheet
}

/// What an object refers to.
fn refers_to(snapshot: &Snapshot, object: &HeapObject, limit: usize) -> Sheet {
    let columns = [Column("edge", "edge"), OBJECT, SHALLOW, RETAINED, Column("dominates", "dominates")];
    let mut sheet = Sheet::new("Refers to", columns);
    for edge in object.edges.iter().take(limit) {
        let weak = if edge.kind == EdgeKind::Weak { " (weak)" } else { "" };
        sheet.rows.push(vec![
            (shown(edge.kind, &snapshot.edge_text(edge)) + weak).into(),
            named(snapshot, edge.to).into(),
            Cell::Bytes(snapshot.shallow(edge.to).into()),
            Cell::Bytes(snapshot.retained(edge.to).into()),
            Cell::Yes(snapshot.dominator(edge.to) == object.node),
        ]);
    }
    if let Some(more) = object.edges.len().checked_sub(limit).filter(|more| *more > 0) {
        sheet.notes.push(format!("… {} more (--limit 0 shows all)", count(more)));
    }
    sheet
}
