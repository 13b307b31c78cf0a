//! Functions matched across builds of a real program: the figures of fixtures/matching/README.md.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::burnmark_in;

fn weights(path: &Path) -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(path).expect("the fixture is there");
    let mut weights = BTreeMap::new();
    for line in text.lines() {
        let (name, count) = line.rsplit_once(' ').expect("a count");
        *weights.entry(name.to_owned()).or_default() += count.parse::<f64>().expect("a number");
    }
    weights
}

/// The share of the weight of one in names that the other has.
fn common(one: &BTreeMap<String, f64>, other: &BTreeMap<String, f64>) -> f64 {
    let known: f64 = one.iter().filter(|(name, _)| other.contains_key(*name)).map(|(_, weight)| weight).sum();
    known / one.values().sum::<f64>()
}

#[test]
fn most_of_the_weight_is_matched_across_builds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/matching");
    // How much at most by the linker's names (Rust's have hashes in them, C++'s do not), and at least as matched.
    for (before, after, most, least) in [
        ("o3c16", "o3c1", 0.06, [0.91, 0.97]),
        ("o3c16", "o2c16", 0.06, [0.98, 0.92]),
        ("o3c16", "release-8", 0.06, [0.98, 0.98]),
        ("release-3", "o3c16", 0.06, [0.95, 0.94]),
        ("v0-c16", "v0-release-8", 0.06, [0.98, 0.98]),
        ("o3c16", "v0-c16", 0.06, [0.89, 0.88]),
        ("node-20", "node-22", 0.71, [0.77, 0.66]),
    ] {
        let [b, a] = [before, after].map(|name| weights(&folder.join(format!("{name}.folded"))));
        let names = [before, after].map(|name| format!("{name}.folded"));
        let json = burnmark_in(&folder, &["diff", &names[0], &names[1], "--json"]).ok().json();
        let matched = ["before", "after"].map(|side| json[side]["matched_share"].as_f64().expect("a share"));
        println!("{before} {after}: {:.3} {:.3} by name, {matched:.3?} matched", common(&b, &a), common(&a, &b));
        assert!(common(&b, &a) < most && common(&a, &b) < most, "the linker's names differ");
        assert!(matched[0] >= least[0] && matched[1] >= least[1], "{before} {after}: {matched:?}");
    }
}
