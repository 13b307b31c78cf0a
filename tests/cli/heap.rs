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

#[test]
fn an_object_is_shown_with_what_it_refers_to() {
    let folder = folder();
    let snapshot = fixture("node22.heapsnapshot.zst");
    let json = burnmark_in(folder.path(), &["heap", &snapshot, "--json"]).ok().json();
    let id = json["biggest"][0]["id"].to_string();
    let object = burnmark_in(folder.path(), &["heap", &snapshot, "--id", &id, "--json"]).ok().json();
    let edges = object["objects"][0]["edges"].as_array().expect("edges");
    assert!(!edges.is_empty() && edges.iter().all(|edge| edge["to"].is_u64() && edge["name"].is_string()), "{edges:?}");
    let table = burnmark_in(folder.path(), &["heap", &snapshot, "--id", &id, "--limit", "1"]).ok().stdout;
    assert!(table.contains("Refers to") && table.contains(&format!("@{}", edges[0]["to"])), "{table}");
    let path = burnmark_in(folder.path(), &["heap", &snapshot, "--path", &id]).ok().stdout;
    assert!(!path.contains("Refers to"), "{path}");
}

/// What grows, why and where stands in the table whole, however narrow the terminal.
#[test]
fn suspects_are_not_cut() {
    let folder = folder();
    let snapshots = ["leak-1", "leak-2", "leak-3"].map(|name| fixture(&format!("library/{name}.heapsnapshot.zst")));
    let [first, second, third] = &snapshots;
    let table = burnmark_in(folder.path(), &["heap", first, second, third, "--iterations", "60,160,260"]).ok().stdout;
    let suspects = table.split("Heap Snapshot Comparison").next().expect("the first table");
    for whole in ["Report ", "cache without eviction", "1 each", "probable", "under: ", "growth per interval: +"] {
        assert!(suspects.contains(whole), "{whole}: {suspects}");
    }
    let clean = ["clean-1", "clean-2", "clean-3"].map(|name| fixture(&format!("library/{name}.heapsnapshot.zst")));
    let [first, second, third] = &clean;
    let table = burnmark_in(folder.path(), &["heap", first, second, third]).ok().stdout;
    assert!(table.contains("nothing grew in every interval by at least 64 KiB and 1 % of all growth"), "{table}");
}

/// The fields of a line of CSV.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for char in line.chars() {
        match char {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            char => fields.last_mut().expect("there is one").push(char),
        }
    }
    fields
}

/// Machines get plain numbers, with the unit in the column's name, and no number where there is none.
#[test]
fn csv_and_json_have_plain_numbers() {
    let folder = folder();
    let (before, after) = (fixture("node22-before.heapsnapshot.zst"), fixture("node22.heapsnapshot.zst"));
    let leaks = ["leak-1", "leak-2", "leak-3"].map(|name| fixture(&format!("library/{name}.heapsnapshot.zst")));
    let chromium = fixture("chromium.heapsnapshot.zst");
    let runs = [
        vec![after.as_str(), "--limit", "0"],
        vec![&chromium],
        vec![&before, &after],
        vec![&leaks[0], &leaks[1], &leaks[2], "--iterations", "60,160,260"],
        vec![&after, "--id", "1"],
    ];
    let mut tables = std::collections::BTreeSet::new();
    for run in &runs {
        let csv = burnmark_in(folder.path(), &[&["heap", "--csv"], &run[..]].concat()).ok().stdout;
        let mut header = Vec::new();
        for line in csv.lines() {
            let fields = fields(line);
            if fields[0] == "table" || line.is_empty() {
                header = fields;
                continue;
            }
            tables.insert(fields[0].clone());
            assert_eq!(fields.len(), header.len(), "{line}");
            for (name, value) in header.iter().zip(&fields) {
                let numbers = || value.split(' ').filter(|number| !number.is_empty());
                assert!(!name.contains(' ') && name.is_ascii(), "{name}");
                if name.ends_with("_bytes") || name.ends_with("_s") || name.contains("count") || name == "rank" {
                    assert!(numbers().all(|number| number.parse::<i64>().is_ok()), "{name}: {value} in {line}");
                } else if name.ends_with("share") {
                    assert!(value.parse::<f64>().is_ok_and(|share| (0.0..=1.5).contains(&share)), "{name}: {value}");
                } else if name == "distance" && !value.is_empty() {
                    assert!(value.parse::<u32>().is_ok_and(|distance| distance < 10_000), "{name}: {value} in {line}");
                }
            }
        }
    }
    for table in ["Heap", "Leak suspects", "Heap Snapshot Comparison", "Growth by class", "Detached DOM", "Object"] {
        assert!(tables.contains(table), "{table}: {tables:?}");
    }
    let arguments = ["heap", &after, "--json", "--limit", "0", "--nodes", "nodes.csv"];
    let json = burnmark_in(folder.path(), &arguments).ok().json();
    let distances: Vec<&serde_json::Value> =
        json["classes"].as_array().expect("rows").iter().map(|row| &row["distance"]).collect();
    assert!(distances.iter().all(|distance| distance.is_null() || distance.as_u64().is_some_and(|far| far < 10_000)));
    let nodes = std::fs::read_to_string(folder.path().join("nodes.csv")).expect("it was written");
    let distances: Vec<String> = nodes.lines().skip(1).map(|line| fields(line)[5].clone()).collect();
    assert!(distances.iter().any(String::is_empty) && distances.iter().any(|distance| distance == "1"));
    assert!(
        distances.iter().all(|distance| distance.is_empty() || distance.parse::<u32>().is_ok_and(|far| far < 10_000))
    );
}

/// The two tables of optimization logs are numbers in the JSON of `report` and `log`: those of `heap`.
#[test]
fn tables_of_logs_have_plain_numbers_in_json() {
    let folder = folder();
    let leaks = ["leak-1", "leak-2", "leak-3"].map(|name| fixture(&format!("library/{name}.heapsnapshot.zst")));
    let snapshots = leaks.each_ref().map(String::as_str);
    let run = |before: &[&str], after: &[&str]| {
        burnmark_in(folder.path(), &[before, &snapshots, &["--iterations", "60,160,260"], after].concat()).ok()
    };
    let heap = run(&["heap"], &["--json"]).json();
    let sizes: Vec<u64> = heap["snapshots"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|snapshot| snapshot["total_size"].as_u64().expect("a number"))
        .collect();
    let suspect = &heap["suspects"][0];
    let sum = |numbers: &serde_json::Value| -> i64 {
        numbers.as_array().expect("numbers").iter().map(|number| number.as_i64().expect("a number")).sum()
    };
    run(&["log", "add", "--bottleneck", "heap grows", "--change", "none yet", "--heap"], &[]);
    let log = burnmark_in(folder.path(), &["log", "list", "--json"]).ok().json();
    let report = run(&["report", "--heap"], &["--json"]).json();
    for entry in [&report, &log["entries"][0]] {
        let evidence = &entry["heap"];
        let rows = evidence["snapshots"].as_array().expect("rows");
        assert_eq!(
            rows.iter().map(|row| row["size"].as_u64()).collect::<Vec<_>>(),
            [0, 1, 2].map(|at| Some(sizes[at]))
        );
        assert!(rows.iter().all(|row| row.get("seconds").is_none_or(serde_json::Value::is_i64)), "{evidence}");
        let first = &evidence["retained"][0];
        assert_eq!(first["object"], suspect["what"]);
        assert_eq!(first["cause"], suspect["cause"]);
        assert_eq!(first["count"].as_i64(), Some(sum(&suspect["born"])), "{evidence}");
        assert_eq!(first["size"].as_i64(), Some(sum(&suspect["growth"])), "{evidence}");
    }
}

/// Allocation profiles: V8's and pprof's, by bytes and by objects.
#[test]
fn allocation_profiles_are_profiles() {
    let folder = folder();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let v8 =
        ["node12", "node20"].map(|name| root.join(format!("heapprofile/{name}.heapprofile")).display().to_string());
    let top = burnmark_in(folder.path(), &["top", &v8[1], "--json", "--limit", "0"]).ok().json();
    assert_eq!(top["value_type"]["type"].as_str().or(top["value_type"].as_str()), Some("inuse_space"), "{top}");
    let rows = top["rows"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["function"] == "Row").expect("what allocates most is listed");
    assert_eq!(row["self"], 2_638_336);
    burnmark_in(folder.path(), &["flame", &v8[1], "-o", "heap.svg"]).ok();
    let svg = std::fs::read_to_string(folder.path().join("heap.svg")).expect("it was drawn");
    assert!(svg.contains("nest"), "functions are frames");
    for value in ["inuse_space", "samples"] {
        let diff = burnmark_in(folder.path(), &["diff", &v8[0], &v8[1], "--value", value, "--json"]).ok().json();
        assert!(diff["rows"].as_array().is_some_and(|rows| rows.iter().any(|row| row["function"] == "nest")), "{diff}");
    }
    let go = root.join("pprof/go-heap.pb.gz").display().to_string();
    for value in ["inuse_space", "alloc_space", "inuse_objects", "alloc_objects"] {
        burnmark_in(folder.path(), &["top", &go, "--value", value]).ok();
        burnmark_in(folder.path(), &["diff", &go, &go, "--value", value]).ok();
    }
}
