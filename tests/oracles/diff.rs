//! The numbers of `burnmark diff` are those that numpy and scipy compute of the same recordings: fixtures/diff/oracle.py.

use std::path::Path;

use crate::support::burnmark_in;

#[test]
fn numbers_are_those_of_scipy() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/diff");
    let text = std::fs::read_to_string(folder.join("expected.json")).expect("the fixture is there");
    let expected: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let one = ["before-1.perf.gz", "after-1.perf.gz"];
    let several = ["--before", "before-*.perf.gz", "--after", "after-*.perf.gz"];
    for (name, inputs, options) in [
        ("self", &one[..], &[][..]),
        ("total", &one, &["--by", "total"]),
        ("per-op", &one, &["--per-op", "1,1"]),
        ("runs", &several, &[]),
        ("runs per-op", &several, &["--per-op", "1,1"]),
    ] {
        let run = burnmark_in(&folder, &[&["diff", "--json"], inputs, options].concat()).ok();
        let json = run.json();
        let rows = json["rows"].as_array().expect("rows");
        let expected = expected[name].as_object().expect("functions");
        assert_eq!(rows.len(), expected.len(), "{name}");
        for row in rows {
            let text = |key: &str| row[key].as_str().expect("a text");
            let function = format!("{}|{}", text("function"), text("module"));
            let theirs = expected.get(&function).unwrap_or_else(|| panic!("{name}: {function} is not there"));
            // Costs are nanoseconds, of which a sample has 2,506,265.
            let (key, unit) = match name {
                "total" => ("total_share", 1.0),
                "self" | "runs" => ("self_share", 1.0),
                _ => ("cost", 2_506_265.0),
            };
            let ours = [&row["before"][key], &row["after"][key], &row["delta"], &row["ci"][0], &row["ci"][1]];
            for (at, ours) in ours.into_iter().enumerate() {
                let ours = ours.as_f64().expect("a number") / unit;
                let theirs = theirs[at].as_f64().expect("a number");
                assert!((ours - theirs).abs() <= 1e-7 * theirs.abs().max(1.0), "{name}, {function}: {row}, {theirs}");
            }
            match (row["q"].as_f64(), theirs[5].as_f64()) {
                (Some(ours), Some(theirs)) => assert!((ours - theirs).abs() < 1e-7, "{name}, {function}: {row}"),
                (ours, theirs) => assert_eq!(ours, theirs, "{name}, {function}: {row}"),
            }
        }
    }
}
