//! `burnmark.heap/1`.

use burnmark_heap::{Group, Snapshot, Step, Suspect};
use serde_json::{Value, json};

use super::cell::reached;
use super::{HeapInput, HeapView};
use crate::top::json::to_text;

pub(super) fn render(input: &HeapInput<'_>, view: &HeapView) -> String {
    let snapshot = input.snapshot;
    let snapshots: Vec<Value> = view
        .sizes
        .iter()
        .map(|size| {
            json!({
                "file": size.name, "nodes": size.nodes, "edges": size.edges, "total_size": size.total,
                "written_unix_s": size.written,
            })
        })
        .collect();
    let classes = view.classes.iter().take(view.limit).map(|class| {
        json!({
            "name": class.name, "count": class.sums.count, "shallow": class.sums.shallow,
            "retained": class.sums.retained, "distance": reached(class.sums.distance), "location": place(class.location),
        })
    });
    let classes: Vec<Value> = classes.collect();
    let statistics = snapshot.statistics();
    let mut document = json!({
        "schema": "burnmark.heap/1",
        "snapshots": snapshots,
        "statistics": {
            "total": statistics.total, "native": statistics.native, "typed_arrays": statistics.typed_arrays,
            "code": statistics.code, "js_arrays": statistics.js_arrays, "strings": statistics.strings,
            "system": statistics.system,
        },
        "classes": classes,
        "growth": [],
        "suspects": [],
    });
    if let Some(growth) = &view.growth {
        let rows = growth.classes.iter().take(view.limit).map(|row| {
            json!({
                "name": row.name, "location": place(row.location), "count": row.count, "shallow": row.shallow,
                "retained": row.retained,
            })
        });
        document["growth"] = rows.collect();
        document["same_process"] = growth.same_process.into();
        document["suspects"] =
            growth.suspects.iter().enumerate().map(|(index, suspect)| suspect_json(snapshot, index, suspect)).collect();
        let kept = growth.kept.iter().take(view.limit);
        document["kept"] =
            kept.map(|(name, count, shallow)| json!({"name": name, "count": count, "shallow": shallow})).collect();
    }
    if let Some(overview) = &view.overview {
        overview_json(snapshot, overview, &mut document);
    }
    let objects = view.objects.iter().map(|asked| {
        let node = &asked.node;
        let mut object = object(snapshot, *node);
        object["path"] = path_json(snapshot, &asked.path);
        let edges = asked.edges.iter().take(view.limit).map(|edge| {
            json!({
                "type": edge.kind.name(), "name": snapshot.edge_text(edge), "to": snapshot.id(edge.to),
                "to_name": snapshot.label(edge.to), "retained": snapshot.retained(edge.to),
            })
        });
        object["edges"] = edges.collect();
        object["retainers"] =
            snapshot.retainers(*node).take(100).map(|node| snapshot.id(node)).collect::<Vec<_>>().into();
        object
    });
    document["objects"] = objects.collect();
    to_text(&document)
}

fn overview_json(snapshot: &Snapshot, overview: &burnmark_heap::Overview, document: &mut Value) {
    let biggest = overview.biggest.iter().map(|retainer| {
        let mut object = object(snapshot, retainer.node);
        object["path"] = path_json(snapshot, &retainer.path);
        object
    });
    document["biggest"] = biggest.collect();
    let points = overview.accumulations.iter().map(|point| {
        let mut object = object(snapshot, point.node);
        let members = point.members.iter();
        object["members"] =
            members.map(|(name, count, size)| json!({"name": name, "count": count, "retained": size})).collect();
        object["path"] = path_json(snapshot, &point.path);
        object
    });
    document["accumulations"] = points.collect();
    document["detached"] = overview.detached.iter().map(|group| group_json(snapshot, group)).collect();
    document["duplicated_strings"] = overview.strings.iter().map(|group| group_json(snapshot, group)).collect();
    document["closures"] = overview.closures.iter().map(|group| group_json(snapshot, group)).collect();
    let collections = overview.collections.iter().map(|collection| {
        let mut object = object(snapshot, collection.node);
        object["slots"] = collection.slots.into();
        object["used"] = collection.used.into();
        object
    });
    document["collections"] = collections.collect();
}

fn object(snapshot: &Snapshot, node: u32) -> Value {
    json!({
        "id": snapshot.id(node), "name": snapshot.label(node), "type": snapshot.kind(node).name(),
        "shallow": snapshot.shallow(node), "retained": snapshot.retained(node), "distance": reached(snapshot.distance(node)),
    })
}

fn group_json(snapshot: &Snapshot, group: &Group) -> Value {
    json!({
        "name": group.name, "location": place(group.location), "count": group.count, "shallow": group.shallow,
        "retained": group.retained, "largest_id": snapshot.id(group.largest),
    })
}

fn suspect_json(snapshot: &Snapshot, index: usize, suspect: &Suspect) -> Value {
    json!({
        "rank": index + 1, "what": suspect.what, "owner": object(snapshot, suspect.node),
        "cause": suspect.cause.name(), "tier": suspect.tier.name(), "growth": suspect.growth, "born": suspect.born,
        "retained": suspect.retained, "share": suspect.share, "per_iteration": suspect.per_iteration,
        "constant": suspect.constant, "hint": suspect.hint, "path": path_json(snapshot, &suspect.path),
    })
}

fn path_json(snapshot: &Snapshot, path: &[Step]) -> Value {
    let steps = path.iter().map(|step| {
        json!({
            "edge": step.edge, "id": snapshot.id(step.node), "name": snapshot.label(step.node),
            "retained": snapshot.retained(step.node), "dominates": step.dominates,
        })
    });
    steps.collect()
}

fn place(location: Option<burnmark_heap::Location>) -> Value {
    location.map_or(Value::Null, |at| json!({"script": at.script, "line": at.line, "column": at.column}))
}
