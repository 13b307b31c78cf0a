//! The questions that are answered, a sheet each.

use burnmark_heap::{EdgeKind, Growth, Location, Overview, Snapshot, Step, Suspect, shown};

use super::sheet::Sheet;
use super::{HeapInput, HeapObject, HeapView};
use crate::numbers::{count, decimal, percent};

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
        sheets.extend(overview_sheets(input.snapshot, overview));
    }
    sheets
}

/// Bytes in a unit that suits them.
pub(crate) fn bytes(bytes: i128) -> String {
    let size = bytes.unsigned_abs() as f64;
    let sign = if bytes < 0 { "-" } else { "" };
    match size {
        0.0..10_240.0 => format!("{sign}{} B", count(bytes.unsigned_abs() as i128)),
        10_240.0..10_485_760.0 => format!("{sign}{} KiB", decimal(size / 1024.0, 1)),
        10_485_760.0..10_737_418_240.0 => format!("{sign}{} MiB", decimal(size / 1_048_576.0, 1)),
        _ => format!("{sign}{} GiB", decimal(size / 1_073_741_824.0, 2)),
    }
}

fn change(delta: i128) -> String {
    if delta > 0 { format!("+{}", bytes(delta)) } else { bytes(delta) }
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

fn distance(distance: i32) -> String {
    match distance {
        ..0 => "–".to_owned(),
        100_000_000.. => "system".to_owned(),
        _ => distance.to_string(),
    }
}

fn summary(snapshot: &Snapshot, view: &HeapView) -> Sheet {
    let mut sheet = Sheet::new("Heap", &["what", ">size", ">%"]);
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
        sheet.rows.push(vec![what.to_owned(), bytes(size.into()), percent(size as f64 / total)]);
    }
    if let Some(size) = view.sizes.last() {
        sheet.notes.push(format!("{}: {} nodes, {} edges", size.name, count(size.nodes), count(size.edges)));
    }
    sheet
}

fn classes(snapshot: &Snapshot, view: &HeapView) -> Sheet {
    let mut sheet =
        Sheet::new("Classes by retained size", &["class", ">count", ">shallow", ">retained", ">%", ">distance"]);
    let total = snapshot.total_size().max(1) as f64;
    for class in view.classes.iter().take(view.limit) {
        let sums = &class.sums;
        let name = match class.location {
            Some(_) => format!("{} ({})", class.name, place(class.location)),
            None => class.name.clone(),
        };
        sheet.rows.push(vec![
            name,
            count(sums.count),
            bytes(sums.shallow.into()),
            bytes(sums.retained.into()),
            percent(sums.retained as f64 / total),
            distance(sums.distance),
        ]);
    }
    if let Some(more) = view.classes.len().checked_sub(view.limit).filter(|more| *more > 0) {
        sheet.notes.push(format!("… {} more classes (--limit 0 shows all)", count(more)));
    }
    sheet
}

fn overview_sheets(snapshot: &Snapshot, overview: &Overview) -> Vec<Sheet> {
    let mut biggest = Sheet { below: 1, ..Sheet::new("Biggest retainers", &["object", ">retained", "held by"]) };
    for retainer in &overview.biggest {
        biggest.rows.push(vec![
            named(snapshot, retainer.node),
            bytes(snapshot.retained(retainer.node).into()),
            path_text(snapshot, &retainer.path),
        ]);
    }
    let columns = ["object", ">retained", "through", "held by"];
    let mut accumulations = Sheet { below: 2, ..Sheet::new("Where memory accumulates", &columns) };
    for point in &overview.accumulations {
        let members = point.members.iter().take(3);
        let members: Vec<String> =
            members.map(|(class, n, size)| format!("{} {class} ({})", count(*n), bytes((*size).into()))).collect();
        accumulations.rows.push(vec![
            named(snapshot, point.node),
            bytes(snapshot.retained(point.node).into()),
            members.join(", "),
            path_text(snapshot, &point.path),
        ]);
    }
    let mut detached = Sheet::new("Detached DOM", &["class", ">count", ">shallow", ">retained", "largest"]);
    for group in &overview.detached {
        detached.rows.push(vec![
            group.name.clone(),
            count(group.count),
            bytes(group.shallow.into()),
            bytes(group.retained.into()),
            named(snapshot, group.largest),
        ]);
    }
    let mut strings = Sheet::new("Duplicated strings", &["string", ">count", ">size", ">wasted"]);
    for group in &overview.strings {
        let text: String = group.name.chars().take(60).collect();
        let row = vec![text, count(group.count), bytes(group.shallow.into()), bytes(group.retained.into())];
        strings.rows.push(row);
    }
    let mut collections =
        Sheet::new("Sparse and oversized collections", &["object", ">size", ">slots", ">used by objects"]);
    for collection in &overview.collections {
        collections.rows.push(vec![
            named(snapshot, collection.node),
            bytes(collection.shallow.into()),
            count(collection.slots),
            count(collection.used),
        ]);
    }
    if !collections.rows.is_empty() {
        collections.notes.push("small integers don't show in a snapshot: arrays of numbers look empty".to_owned());
    }
    let mut closures = Sheet::new("Functions by source location", &["function", "place", ">count", ">retained"]);
    for group in &overview.closures {
        let name = if group.name.is_empty() { "(anonymous)".to_owned() } else { group.name.clone() };
        closures.rows.push(vec![name, place(group.location), count(group.count), bytes(group.retained.into())]);
    }
    vec![biggest, accumulations, detached, strings, collections, closures]
}

fn suspects(snapshot: &Snapshot, growth: &Growth) -> Sheet {
    let columns = [
        ">#",
        "what grows",
        ">growth",
        ">retained now",
        ">% of growth",
        ">per iteration",
        "likely cause",
        "evidence",
        "under",
        "growth per interval",
        "hint",
        "held by",
    ];
    let mut sheet = Sheet { below: 4, ..Sheet::new("Leak suspects", &columns) };
    for (index, suspect) in growth.suspects.iter().enumerate() {
        sheet.rows.push(suspect_row(snapshot, index, suspect));
    }
    if growth.suspects.is_empty() && growth.same_process {
        sheet.notes.push("nothing that grew in every interval by 64 KiB or 1 % of all growth".to_owned());
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

fn suspect_row(snapshot: &Snapshot, index: usize, suspect: &Suspect) -> Vec<String> {
    let steps: Vec<String> = suspect.growth.iter().map(|step| change((*step).into())).collect();
    let per_iteration = suspect.per_iteration.map_or(String::new(), |rate| {
        if suspect.constant { format!("{} each", decimal(rate, 0)) } else { decimal(rate, 2) }
    });
    vec![
        (index + 1).to_string(),
        suspect.what.clone(),
        change(suspect.growth.iter().map(|step| i128::from(*step)).sum()),
        bytes(suspect.retained.into()),
        percent(suspect.share),
        per_iteration,
        suspect.cause.name().to_owned(),
        suspect.tier.name().to_owned(),
        named(snapshot, suspect.node),
        if steps.len() > 1 { steps.join(" ") } else { String::new() },
        suspect.hint.clone(),
        path_text(snapshot, &suspect.path),
    ]
}

/// As optimization logs have it.
fn comparison(view: &HeapView) -> Sheet {
    let mut sheet = Sheet::new("Heap Snapshot Comparison", &["Snapshot", "Time", ">Heap Size", ">Delta"]);
    let start = view.sizes.first().and_then(|size| size.written);
    for (index, size) in view.sizes.iter().enumerate() {
        let time = match (start, size.written) {
            (Some(start), Some(written)) => format!("{} s", written as i64 - start as i64),
            _ => String::new(),
        };
        let delta = match index.checked_sub(1).map(|before| view.sizes[before].total) {
            Some(before) => change(i128::from(size.total) - i128::from(before)),
            None => "–".to_owned(),
        };
        sheet.rows.push(vec![size.name.clone(), time, bytes(size.total.into()), delta]);
    }
    sheet
}

/// As optimization logs have it.
fn retained_objects(growth: &Growth) -> Sheet {
    let mut sheet = Sheet::new("Retained Objects Analysis", &["Object Type", ">Count", ">Size", "Likely Cause"]);
    for suspect in &growth.suspects {
        sheet.rows.push(vec![
            suspect.what.clone(),
            count(suspect.born.iter().sum::<u64>()),
            bytes(suspect.growth.iter().sum::<i64>().into()),
            suspect.cause.name().to_owned(),
        ]);
    }
    sheet
}

fn class_growth(growth: &Growth, limit: usize) -> Sheet {
    let columns = ["class", ">count", ">Δ count", ">Δ shallow", ">Δ retained"];
    let mut sheet = Sheet::new("Growth by class", &columns);
    for row in &growth.classes {
        let delta = |column: &[u64]| {
            i128::from(column.last().copied().unwrap_or(0)) - i128::from(column.first().copied().unwrap_or(0))
        };
        if delta(&row.shallow) <= 0 || sheet.rows.len() == limit {
            break;
        }
        let counts: Vec<String> = row.count.iter().map(|n| count(*n)).collect();
        sheet.rows.push(vec![
            row.name.clone(),
            counts.join(" → "),
            count(delta(&row.count)),
            change(delta(&row.shallow)),
            change(delta(&row.retained)),
        ]);
    }
    sheet
}

fn kept(growth: &Growth, limit: usize) -> Sheet {
    let title = "Born between the first two snapshots and still there";
    let mut sheet = Sheet::new(title, &["class", ">count", ">shallow"]);
    for (class, n, size) in growth.kept.iter().take(limit) {
        sheet.rows.push(vec![class.clone(), count(*n), bytes((*size).into())]);
    }
    sheet
}

fn held_by(snapshot: &Snapshot, node: u32, path: &[Step]) -> Sheet {
    let mut sheet = Sheet::new("Object", &["held by", "object", ">shallow", ">retained", ">distance", "dominates"]);
    for step in path {
        sheet.rows.push(vec![
            step.edge.clone(),
            named(snapshot, step.node),
            bytes(snapshot.shallow(step.node).into()),
            bytes(snapshot.retained(step.node).into()),
            distance(snapshot.distance(step.node)),
            if step.dominates { "yes" } else { "" }.to_owned(),
        ]);
    }
    let held: Vec<String> = snapshot.retainers(node).take(20).map(|node| named(snapshot, node)).collect();
    sheet.notes.push(format!("{} is held by: {}", named(snapshot, node), held.join(", ")));
    sheet
}

/// What an object refers to.
fn refers_to(snapshot: &Snapshot, object: &HeapObject, limit: usize) -> Sheet {
    let mut sheet = Sheet::new("Refers to", &["edge", "object", ">shallow", ">retained", "dominates"]);
    for edge in object.edges.iter().take(limit) {
        let weak = if edge.kind == EdgeKind::Weak { " (weak)" } else { "" };
        sheet.rows.push(vec![
            shown(edge.kind, &snapshot.edge_text(edge)) + weak,
            named(snapshot, edge.to),
            bytes(snapshot.shallow(edge.to).into()),
            bytes(snapshot.retained(edge.to).into()),
            if snapshot.dominator(edge.to) == object.node { "yes" } else { "" }.to_owned(),
        ]);
    }
    if let Some(more) = object.edges.len().checked_sub(limit).filter(|more| *more > 0) {
        sheet.notes.push(format!("… {} more (--limit 0 shows all)", count(more)));
    }
    sheet
}
