//! Damaged snapshots: whatever bytes come, the answer is a report or an error, never a panic, and errors say where.

mod common;

use burnmark_heap::{Error, Source, overview, path, profile};
use common::{SMALL, read, use_all};
use proptest::prelude::*;

#[test]
fn the_small_snapshot_is_read() {
    let snapshot = read(SMALL.as_bytes()).expect("it is whole");
    assert_eq!((snapshot.node_count(), snapshot.edge_count()), (12, 17));
    assert_eq!(snapshot.warnings(), []);
    // The value hangs on the key alone, though the table refers to it as well.
    assert_eq!(snapshot.dominator(10), 5);
    // The elements are their array's, and the detached div's name says so, as its text's does.
    assert_eq!((snapshot.shallow(2), snapshot.shallow(3)), (24 + 64, 0));
    assert_eq!((snapshot.name(6).as_ref(), snapshot.name(7).as_ref()), ("Detached <div id=\"a\">", "Detached Text"));
    assert_eq!(snapshot.class_name(snapshot.class_of(6)), "Detached <div>");
    assert_eq!(snapshot.name(11), "texté😀");
    use_all(&snapshot);
}

/// A process that was killed while it wrote: at every byte.
#[test]
fn a_snapshot_that_breaks_off_says_how_far_it_got() {
    let strings = SMALL.find("\"strings\"").expect("there are strings") + "\"strings\":[".len();
    for end in 1..SMALL.len() {
        match read(&SMALL.as_bytes()[..end]) {
            Ok(snapshot) => {
                assert!(end >= strings, "cut at {end}");
                let cut = snapshot.warnings().iter().any(|warning| warning.message.contains("ends within its strings"));
                assert!(cut || end + 2 >= SMALL.len(), "cut at {end}: {:?}", snapshot.warnings());
                use_all(&snapshot);
            }
            Err(Error::Truncated { end: at, got, missing, .. }) => {
                assert_eq!(at, end as u64);
                assert!(!got.is_empty() && !missing.is_empty());
            }
            Err(Error::NotASnapshot) => assert!(end < 14, "cut at {end}"),
            Err(error) => panic!("cut at {end}: {error}"),
        }
    }
    let nodes = SMALL.find("\n,3,4,11").expect("a node");
    let error = read(&SMALL.as_bytes()[..nodes]).expect_err("half of it").to_string();
    assert!(error.contains("in the nodes, after 5 of 12 nodes"), "{error}");
    let edges = SMALL.find("\n,1,1,14").expect("an edge");
    let error = read(&SMALL.as_bytes()[..edges]).expect_err("half of it").to_string();
    assert!(error.contains("in the edges, after 3 of 17 edges"), "{error}");
}

/// Of two objects with one id it can't be told which is which in another snapshot.
#[test]
fn ids_that_occur_twice_do_not_grow() {
    let text = SMALL.replacen("\n,0,8,19,40,1", "\n,0,8,1,72057594037927936,1", 1);
    assert_ne!(text, SMALL);
    use_all(&read(text.as_bytes()).expect("it can be read"));
}

#[test]
fn errors_say_where() {
    let changed = |from: &str, to: &str| {
        let at = SMALL.find(from).expect("it is there");
        let text = SMALL.replacen(from, to, 1);
        (at as u64, read(text.as_bytes()).expect_err("it is wrong"))
    };
    let position = |error: &Error| match error {
        Error::Malformed { position, .. } => *position,
        error => panic!("{error}"),
    };
    for (from, to, words) in [
        ("3,2,5,24,4,0,0", "3,2,5,x4,4,0,0", "a number should be"),
        ("3,2,5,24,4,0,0", "99,2,5,24,4,0,0", "type 99"),
        ("3,2,5,24,4,0,0", "3,2,5000000000,24,4,0,0", "32 bits"),
        ("2,13,56", "2,13,57", "where no node begins"),
        ("2,13,56", "2,13,84", "where no node begins"),
    ] {
        let (at, error) = changed(from, to);
        assert!((at..at + 30).contains(&position(&error)), "{from} at {at}: {error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(changed("3,2,5,24,4,0,0", "3,2,5,24,5,0,0").1.to_string().contains("claim 18 edges, but there are 17"));
    assert!(changed("3,2,5,24", "3,99,5,24").1.to_string().contains("name 99, but there are 21 strings"));
    assert!(changed("\"self_size\"", "\"selfsize\"").1.to_string().contains("no field self_size"));
    assert!(matches!(changed("{\"snapshot\"", "{\"shots\"").1, Error::NotASnapshot));
    assert!(matches!(read(b"[1,2]"), Err(Error::NotASnapshot)));
    assert!(matches!(Source::memory(Vec::new()), Err(Error::Empty)));
}

/// Sizes of more than 4 GiB stay what they are.
#[test]
fn large_sizes_are_kept() {
    let text = SMALL.replacen("6,6,16,48,0", "6,6,16,9000000000,0", 1).replacen("1,3,7,64,2", "1,3,7,4294967295,2", 1);
    let snapshot = read(text.as_bytes()).expect("it is whole");
    assert_eq!((snapshot.shallow(7), snapshot.shallow(2)), (9_000_000_000, 24 + 4_294_967_295));
    use_all(&snapshot);
}

/// A chain of many objects: no recursion, no quadratic time.
#[test]
fn a_long_list_is_no_trouble() {
    let count = 200_000;
    let nodes: Vec<String> = (0..count)
        .map(|node| {
            format!("{},1,{},16,{}", if node == 0 { 0 } else { 1 }, node * 2 + 1, if node + 1 == count { 0 } else { 1 })
        })
        .collect();
    let edges: Vec<String> = (1..count).map(|node| format!("0,1,{}", node * 5)).collect();
    let text = format!(
        r#"{{"snapshot":{{"meta":{{"node_fields":["type","name","id","self_size","edge_count"],"node_types":[["synthetic","object"]],
        "edge_fields":["type","name_or_index","to_node"],"edge_types":[["property"]]}},"node_count":{count},"edge_count":{}}},
        "nodes":[{}],"edges":[{}],"strings":["","next"]}}"#,
        count - 1,
        nodes.join(","),
        edges.join(",")
    );
    let snapshot = read(text.as_bytes()).expect("it is whole");
    assert_eq!(snapshot.retained(1), 16 * (count - 1));
    let steps = path(&snapshot, count as u32 - 1);
    assert!(steps.len() <= 500);
    overview(&snapshot, 5);
    assert!(profile(&snapshot).samples.len() < 10);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Bytes changed, taken out and put in anywhere.
    #[test]
    fn no_damage_makes_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6)) {
        let mut bytes = SMALL.as_bytes().to_vec();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => { bytes.remove(at); }
                // Digits and brackets are the likeliest to be taken for something.
                2 => bytes.insert(at, b"0123456789,[]{}\"\\ "[usize::from(byte) % 18]),
                _ => bytes[at] = b"0123456789"[usize::from(byte) % 10],
            }
        }
        if let Ok(snapshot) = read(&bytes) {
            use_all(&snapshot);
        }
    }
}
