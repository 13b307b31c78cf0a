//! Real snapshots of every producer, cut down to a few hundred nodes, then damaged in 2,000 ways each: the answer is a
//! report or an error, never a panic or a hang.

mod common;

use std::path::PathBuf;

use common::{read, use_all};
use serde_json::{Value, json};

/// Nodes that are left of a fixture.
const NODES: usize = 150;
/// Damaged variants of each.
const VARIANTS: usize = 2_000;

/// The first nodes of a fixture, with the edges and strings that they need, as V8 would write them.
fn cut_down(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/heap/{name}.heapsnapshot.zst"));
    let text = zstd::decode_all(std::fs::File::open(path).expect("the fixture is there")).expect("it is whole");
    let mut snapshot: Value = serde_json::from_slice(&text).expect("JSON");
    let meta = &snapshot["snapshot"]["meta"];
    let at = |list: &str, field: &str| {
        let fields = meta[list].as_array().expect("fields");
        (fields.iter().position(|known| known == field).expect("a field"), fields.len())
    };
    let (_, place) = at("location_fields", "object_index");
    let ((name_at, fields), (count_at, _)) = (at("node_fields", "name"), at("node_fields", "edge_count"));
    let numbers = |list: &str| -> Vec<u64> {
        snapshot[list].as_array().expect("a list").iter().map(|number| number.as_u64().expect("a number")).collect()
    };
    let (nodes, edges, locations) = (numbers("nodes"), numbers("edges"), numbers("locations"));
    let (kept, mut kept_edges, mut strings) = (NODES * fields, Vec::new(), Vec::new());
    let mut text = |index: u64| {
        strings.push(snapshot["strings"][index as usize].clone());
        strings.len() as u64 - 1
    };
    let mut next = 0;
    let mut kept_nodes = nodes[..kept].to_vec();
    for node in kept_nodes.chunks_mut(fields) {
        node[name_at] = text(node[name_at]);
        let count = node[count_at] as usize;
        node[count_at] = 0;
        for edge in edges[next..next + 3 * count].chunks(3).filter(|edge| edge[2] < kept as u64) {
            let is_index = matches!(edge[0], 1 | 4);
            kept_edges.extend([edge[0], if is_index { edge[1] } else { text(edge[1]) }, edge[2]]);
            node[count_at] += 1;
        }
        next += 3 * count;
    }
    let locations: Vec<u64> = locations.chunks(place).filter(|at| at[0] < kept as u64).flatten().copied().collect();
    snapshot["snapshot"]["node_count"] = json!(NODES);
    snapshot["snapshot"]["edge_count"] = json!(kept_edges.len() / 3);
    let list = |numbers: &[u64], fields: usize| {
        let record = |record: &[u64]| record.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        numbers.chunks(fields).map(record).collect::<Vec<_>>().join("\n,")
    };
    let text = format!(
        "{{\"snapshot\":{},\n\"nodes\":[{}\n],\n\"edges\":[{}\n],\n\"locations\":[{}\n],\n\"strings\":{}}}",
        snapshot["snapshot"],
        list(&kept_nodes, fields),
        list(&kept_edges, 3),
        list(&locations, place),
        Value::from(strings)
    );
    text.into_bytes()
}

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

fn damaged(whole: &[u8], random: &mut Random) -> Vec<u8> {
    const LIKELY: &[u8] = b"0123456789,[]{}\"\\ \n";
    let mut bytes = whole.to_vec();
    if random.below(8) == 0 {
        bytes.truncate(1 + random.below(bytes.len()));
    }
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] = random.below(256) as u8,
            1 => bytes[at] = LIKELY[random.below(10)],
            2 => {
                bytes.remove(at);
            }
            3 => bytes.insert(at, LIKELY[random.below(LIKELY.len())]),
            // A piece is lost, or there twice.
            4 => drop(bytes.drain(at..(at + random.below(200)).min(whole.len().min(bytes.len())).max(at))),
            _ => {
                let piece = bytes[at..(at + random.below(200)).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
        }
        if bytes.is_empty() {
            bytes.push(b'{');
        }
    }
    bytes
}

#[track_caller]
fn survives(name: &str) {
    let whole = cut_down(name);
    let snapshot = read(&whole).expect("what is cut down is a snapshot");
    assert_eq!(snapshot.warnings(), []);
    assert_eq!(snapshot.node_count() as usize, NODES);
    use_all(&snapshot);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut read_anyway = 0;
    for _ in 0..VARIANTS {
        if let Ok(snapshot) = read(&damaged(&whole, &mut random)) {
            use_all(&snapshot);
            read_anyway += 1;
        }
    }
    assert!((VARIANTS / 20..VARIANTS).contains(&read_anyway), "{read_anyway} of {VARIANTS} can be read");
}

#[test]
fn node_12() {
    survives("node12");
}

#[test]
fn node_14() {
    survives("node14");
}

#[test]
fn node_16() {
    survives("node16");
}

#[test]
fn node_18() {
    survives("node18");
}

#[test]
fn node_20() {
    survives("node20");
}

#[test]
fn node_22() {
    survives("node22");
}

#[test]
fn node_24() {
    survives("node24");
}

#[test]
fn node_26() {
    survives("node26");
}

#[test]
fn chromium() {
    survives("chromium");
}
