//! Functions matched across builds of a real program: the figures of fixtures/matching/README.md.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::burnmark_in;

/// Self samples by the linker's names, or by V8's with their places.
fn weights(path: &Path) -> BTreeMap<String, f64> {
    if path.to_string_lossy().ends_with(".cpuprofile.gz") {
        return script_weights(path);
    }
    let text = std::fs::read_to_string(path).expect("the fixture is there");
    let mut weights = BTreeMap::new();
    for line in text.lines() {
        let (name, count) = line.rsplit_once(' ').expect("a count");
        *weights.entry(name.to_owned()).or_default() += count.parse::<f64>().expect("a number");
    }
    weights
}

fn script_weights(path: &Path) -> BTreeMap<String, f64> {
    let file = std::fs::File::open(path).expect("the fixture is there");
    let json: serde_json::Value = serde_json::from_reader(flate2::read::GzDecoder::new(file)).expect("it is JSON");
    let nodes = json["nodes"].as_array().expect("nodes").iter();
    let hits = nodes.map(|node| (node["callFrame"].to_string(), node["hitCount"].as_f64().expect("a number")));
    hits.filter(|(_, hits)| *hits > 0.0).collect()
}

/// The share of the weight of one in names that the other has.
fn common(one: &BTreeMap<String, f64>, other: &BTreeMap<String, f64>) -> f64 {
    let known: f64 = one.iter().filter(|(name, _)| other.contains_key(*name)).map(|(_, weight)| weight).sum();
    known / one.values().sum::<f64>()
}

#[test]
fn most_of_the_weight_is_matched_across_builds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/matching");
    // How much at most by the linker's names (Rust's have hashes in them, C++'s do not, JavaScript's have lines), and at
    // least as matched.
    for (before, after, most, least) in [
        ("o3c16", "o3c1", 0.06, [0.91, 0.97]),
        ("o3c16", "o2c16", 0.06, [0.98, 0.92]),
        ("o3c16", "release-8", 0.06, [0.98, 0.98]),
        ("release-3", "o3c16", 0.06, [0.95, 0.94]),
        ("v0-c16", "v0-release-8", 0.06, [0.98, 0.98]),
        ("o3c16", "v0-c16", 0.06, [0.89, 0.88]),
        ("node-20", "node-22", 0.71, [0.77, 0.66]),
        ("leveldb-o2", "leveldb-o3", 0.99, [0.77, 0.98]),
        ("tsc-5.4", "tsc-5.5", 0.30, [0.88, 0.90]),
        ("rollup-min-4", "rollup-min-5", 0.73, [0.98, 0.98]),
    ] {
        let names = [before, after].map(|name| match folder.join(format!("{name}.folded")).exists() {
            true => format!("{name}.folded"),
            false => format!("{name}.cpuprofile.gz"),
        });
        let [b, a] = names.each_ref().map(|name| weights(&folder.join(name)));
        let json = burnmark_in(&folder, &["diff", &names[0], &names[1], "--json"]).ok().json();
        let matched = ["before", "after"].map(|side| json[side]["matched_share"].as_f64().expect("a share"));
        println!("{before} {after}: {:.3} {:.3} by name, {matched:.3?} matched", common(&b, &a), common(&a, &b));
        assert!(common(&b, &a) < most && common(&a, &b) < most, "the linker's names differ");
        assert!(matched[0] >= least[0] && matched[1] >= least[1], "{before} {after}: {matched:?}");
    }
}
