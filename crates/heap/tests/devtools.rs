//! Every number that Chrome DevTools computes of a snapshot, for every node: fixtures/heap has what its own engine says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burnmark_heap::{ReadOptions, Shapes, Snapshot, Source, diff};
use serde_json::Value;

fn unpacked(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/heap").join(name);
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    zstd::decode_all(file).expect("the fixture is whole")
}

fn read(name: &str, shapes: Option<Shapes>) -> Snapshot {
    let source = Source::memory(unpacked(&format!("{name}.heapsnapshot.zst"))).expect("not empty");
    Snapshot::read(source, &ReadOptions { shapes, ..ReadOptions::default() }).expect("a snapshot")
}

fn key(location: Option<burnmark_heap::Location>, name: &str) -> String {
    let place = location.map(|place| format!("{},{},{}", place.script, place.line, place.column));
    format!("{},{name}", place.unwrap_or_default())
}

fn same_nodes(snapshot: &Snapshot, devtools: &Value) {
    let nodes = devtools["nodes"].as_array().expect("nodes");
    assert_eq!(snapshot.node_count() as usize, nodes.len());
    for (node, theirs) in (0..).zip(nodes) {
        let ours = [
            i64::from(snapshot.id(node)),
            snapshot.shallow(node) as i64,
            snapshot.retained(node) as i64,
            i64::from(snapshot.distance(node)),
            i64::from(snapshot.dominator(node)),
        ];
        let theirs: Vec<i64> = theirs.as_array().expect("a row").iter().filter_map(Value::as_i64).collect();
        assert_eq!(ours.as_slice(), theirs, "node {node}: id, shallow, retained, distance, dominator");
    }
}

/// Says only what differs: there are hundreds of classes.
fn same_rows<T: PartialEq + std::fmt::Debug>(ours: BTreeMap<String, T>, theirs: &BTreeMap<String, T>) {
    let keys = ours.keys().chain(theirs.keys()).filter(|key| ours.get(*key) != theirs.get(*key));
    let different: Vec<_> = keys.map(|key| (key, ours.get(key), theirs.get(key))).collect();
    assert!(different.is_empty(), "class, ours, DevTools': {different:#?}");
}

fn same_classes(snapshot: &Snapshot, devtools: &Value) {
    let number = |row: &Value, key: &str| row[key].as_i64().expect("a number");
    let rows = devtools["rows"].as_array().expect("rows").iter();
    let theirs: BTreeMap<String, [i64; 4]> = rows
        .map(|row| {
            let key = row["key"].as_str().expect("a key").to_owned();
            (key, ["count", "distance", "self", "retained"].map(|field| number(row, field)))
        })
        .collect();
    let classes = snapshot.classes();
    let ours = classes.iter().map(|class| {
        let sums = class.sums;
        let numbers = [sums.count as i64, i64::from(sums.distance), sums.shallow as i64, sums.retained as i64];
        (key(class.location, &class.name), numbers)
    });
    same_rows(ours.collect(), &theirs);

    let statistics = snapshot.statistics();
    let said = &devtools["statistics"];
    let number = |path: &str| said.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path}"));
    assert_eq!(statistics.total, number("/total"));
    assert_eq!(statistics.native, number("/native/total"));
    assert_eq!(statistics.typed_arrays, number("/native/typedArrays"));
    assert_eq!(statistics.code, number("/v8heap/code"));
    assert_eq!(statistics.js_arrays, number("/v8heap/jsArrays"));
    assert_eq!(statistics.strings, number("/v8heap/strings"));
    assert_eq!(statistics.system, number("/v8heap/system"));
}

fn same_diff(name: &str, after: &Snapshot, devtools: &Value) {
    let before = read(&format!("{name}-before"), Some(after.shapes()));
    let rows = devtools["diff"].as_array().expect("a difference").iter();
    let theirs: BTreeMap<String, [u64; 4]> = rows
        .map(|row| {
            let number = |key: &str| row[key].as_u64().expect("a number");
            let key = row["key"].as_str().expect("a key").to_owned();
            (key, [number("added"), number("removed"), number("addedSize"), number("removedSize")])
        })
        .collect();
    let diffs = diff(&before, after);
    let ours = diffs
        .iter()
        .map(|row| (key(row.location, &row.name), [row.added, row.removed, row.added_size, row.removed_size]));
    same_rows(ours.collect(), &theirs);
    assert!(theirs.len() > 5, "the fixture has a difference");
}

#[track_caller]
fn same(name: &str) {
    let devtools: Value = serde_json::from_slice(&unpacked(&format!("{name}.devtools.json.zst"))).expect("JSON");
    let snapshot = read(name, None);
    assert_eq!(snapshot.warnings(), []);
    same_nodes(&snapshot, &devtools);
    same_classes(&snapshot, &devtools);
    if !devtools["diff"].is_null() {
        same_diff(name, &snapshot, &devtools);
    }
}

#[test]
fn node_12() {
    same("node12");
}

#[test]
fn node_14() {
    same("node14");
}

#[test]
fn node_16() {
    same("node16");
}

#[test]
fn node_18() {
    same("node18");
}

#[test]
fn node_20() {
    same("node20");
}

#[test]
fn node_22() {
    same("node22");
}

#[test]
fn node_24() {
    same("node24");
}

#[test]
fn node_26() {
    same("node26");
}

#[test]
fn chromium_with_detached_dom() {
    same("chromium");
    let snapshot = read("chromium", None);
    let detached = (0..snapshot.node_count())
        .filter(|node| snapshot.detachedness(*node) == burnmark_heap::Detachedness::Detached)
        .count();
    assert!(detached > 40, "the page keeps lists that are out of the document: {detached}");
}

/// Names of edges are read again from the input: the same ones, wherever they lie.
#[test]
fn edges_have_the_names_that_are_written() {
    let bytes = unpacked("node22.heapsnapshot.zst");
    let json: Value = serde_json::from_slice(&bytes).expect("JSON");
    let snapshot = read("node22", None);
    let (edges, strings) = (json["edges"].as_array().expect("edges"), json["strings"].as_array().expect("strings"));
    let mut next = 0;
    for node in 0..snapshot.node_count() {
        for edge in snapshot.edges(node) {
            let name = &edges[next + 1];
            let name = if edge.kind.is_indexed() {
                name.to_string()
            } else {
                strings[name.as_u64().expect("an index") as usize].as_str().expect("a string").to_owned()
            };
            assert_eq!(snapshot.edge_text(&edge), name, "edge {}", next / 3);
            assert_eq!(u64::from(edge.to) * 7, edges[next + 2].as_u64().expect("an index"));
            next += 3;
        }
    }
    assert_eq!(next, edges.len());
}
