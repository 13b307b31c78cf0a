//! `burnmark heap`: one snapshot, two, damaged ones, and the other commands on them.

use std::path::PathBuf;

use crate::support::{burnmark_in, burnmark_with, folder};

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/heap").join(name);
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn unpacked(name: &str) -> Vec<u8> {
    zstd::decode_all(std::fs::File::open(fixture(name)).expect("the fixture is there")).expect("it is whole")
}

#[test]
fn one_snapshot_says_what_retains_memory() {
    let folder = folder();
    let snapshot = fixture("node22.heapsnapshot.zst");
    let json = burnmark_in(folder.path(), &["heap", &snapshot, "--json", "--nodes", "nodes.csv"]).ok().json();
    assert_eq!(json["schema"], "burnmark.heap/1");
    let nodes = json["snapshots"][0]["nodes"].as_u64().expect("a number");
    let csv = std::fs::read_to_string(folder.path().join("nodes.csv")).expect("it was written");
    assert_eq!(csv.lines().count() as u64, nodes + 1);
    assert!(csv.starts_with("id,type,name,shallow,retained,distance,dominator_id\n"));
    assert!(json["biggest"][0]["path"].as_array().is_some_and(|path| path.len() > 1));

    let table = burnmark_in(folder.path(), &["heap", &snapshot, "--class", "^Thing$", "--limit", "0"]).ok().stdout;
    assert!(table.contains("Classes by retained size") && table.contains("Thing"), "{table}");
    let id = json["biggest"][0]["id"].to_string();
    let path = burnmark_in(folder.path(), &["heap", &snapshot, "--path", &id]).ok().stdout;
    assert!(path.contains(&format!("@{id}")) && path.contains("is held by"), "{path}");
    burnmark_in(folder.path(), &["heap", &snapshot, "--id", "4000000001"]).fails(1, &["no object @4000000001"]);
}

#[test]
fn two_snapshots_say_what_grew() {
    let folder = folder();
    let (before, after) = (fixture("node22-before.heapsnapshot.zst"), fixture("node22.heapsnapshot.zst"));
    let run = burnmark_in(folder.path(), &["heap", &before, &after, "--json", "--limit", "0"]).ok().json();
    assert_eq!(run["same_process"], true);
    let things = run["growth"].as_array().expect("rows").iter().find(|row| row["name"] == "Thing").expect("Things");
    assert_eq!(things["count"], serde_json::json!([200, 300]));
    let markdown = burnmark_in(folder.path(), &["heap", &before, &after, "--md"]).ok().stdout;
    assert!(markdown.contains("| Snapshot | Time | Heap Size | Delta |"), "{markdown}");
    let arguments = ["heap", &before, &after, "--iterations", "1"];
    burnmark_in(folder.path(), &arguments).fails(1, &["--iterations needs a number for each of the 2 snapshots"]);
}

#[test]
fn a_pipe_and_a_cut_snapshot_are_read_as_far_as_they_go() {
    let folder = folder();
    let whole = unpacked("node12.heapsnapshot.zst");
    let csv = burnmark_with(folder.path(), &["heap", "-", "--csv"], &whole).ok().stdout;
    assert!(csv.contains("Classes by retained size"), "{csv}");
    let cut = &whole[..whole.len() / 3];
    burnmark_with(folder.path(), &["heap", "-"], cut)
        .fails(1, &["the snapshot ends at byte", "missing:", "take the snapshot again"]);
}

#[test]
fn the_dominator_tree_is_a_flame_graph() {
    let folder = folder();
    let snapshot = fixture("chromium.heapsnapshot.zst");
    burnmark_in(folder.path(), &["flame", &snapshot, "-o", "heap.svg"]).ok();
    let svg = std::fs::read_to_string(folder.path().join("heap.svg")).expect("it was drawn");
    assert!(svg.contains("Detached"), "classes are frames");
    let table = burnmark_in(folder.path(), &["heap", &snapshot]).ok().stdout;
    assert!(table.contains("Detached DOM") && table.contains("Detached <li>"), "{table}");
}
