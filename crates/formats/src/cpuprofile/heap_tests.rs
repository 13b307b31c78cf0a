use std::collections::BTreeMap;
use std::path::Path;

use burnmark_model::{Parsed, Profile};
use serde::Deserialize;

use crate::{Error, Format, Input, ReadOptions};

fn read(text: &str) -> Result<Parsed, Error> {
    let (format, parsed) = crate::read(Input::Bytes(text.into()), &ReadOptions::default())?;
    assert_eq!(format, Format::Heapprofile);
    Ok(parsed)
}

#[derive(Deserialize, PartialEq, Debug, Default)]
struct Row {
    objects: i64,
    bytes: i64,
}

#[derive(Deserialize, PartialEq, Debug, Default)]
struct Expected {
    objects: i64,
    bytes: i64,
    #[serde(rename = "self")]
    self_values: BTreeMap<String, Row>,
    total: BTreeMap<String, Row>,
}

/// A frame as `expect.js` names it.
fn name(profile: &Profile, frame: burnmark_model::FrameId) -> String {
    let function = profile.frames.get(frame).function.expect("all frames have a function");
    let function = profile.functions.get(function);
    let name = profile.strings.get(function.name);
    match function.file {
        Some(file) => format!("{name} {}:{}", profile.strings.get(file), function.start_line),
        None => name.to_owned(),
    }
}

fn found(profile: &Profile) -> Expected {
    let mut found =
        Expected { objects: profile.samples.total(0), bytes: profile.samples.total(1), ..Expected::default() };
    for index in 0..profile.samples.len() {
        let (objects, bytes) = (profile.samples.values(0)[index], profile.samples.values(1)[index]);
        let mut stack: Vec<String> =
            profile.frames_leaf_first(profile.samples.get(index).stack).map(|frame| name(profile, frame)).collect();
        let add = |table: &mut BTreeMap<String, Row>, name: String| {
            let row = table.entry(name).or_default();
            row.objects += objects;
            row.bytes += bytes;
        };
        let leaf = stack.first().cloned().unwrap_or_else(|| "(root)".to_owned());
        add(&mut found.self_values, leaf);
        stack.sort();
        stack.dedup();
        stack.into_iter().for_each(|name| add(&mut found.total, name));
    }
    found
}

#[track_caller]
fn same(fixture: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/heapprofile");
    let text = std::fs::read_to_string(folder.join(format!("{fixture}.heapprofile"))).unwrap();
    let expected = std::fs::read_to_string(folder.join(format!("{fixture}.expected.json"))).unwrap();
    let expected: Expected = serde_json::from_str(&expected).unwrap();
    let parsed = read(&text).unwrap();
    assert_eq!(parsed.warnings, []);
    let types: Vec<String> =
        parsed.profile.value_types.iter().map(|value| format!("{}/{}", value.name, value.unit)).collect();
    assert_eq!(types, ["samples/count", "inuse_space/bytes"]);
    assert_eq!(parsed.profile.default_value, 1);
    assert_eq!(found(&parsed.profile), expected);
}

#[test]
fn node_20() {
    same("node20");
}

#[test]
fn node_12() {
    same("node12");
}

fn node(id: i64, size: i64, children: &str) -> String {
    format!(
        r#"{{"callFrame":{{"functionName":"f{id}","scriptId":"7","url":"a.js","lineNumber":{id},"columnNumber":4}},"selfSize":{size},"id":{id},"children":[{children}]}}"#
    )
}

#[test]
fn without_samples_there_are_bytes_alone() {
    let text = format!(r#"{{"head":{}}}"#, node(1, 0, &[node(2, 30, ""), node(3, 12, "")].join(",")));
    let parsed = read(&text).unwrap();
    assert_eq!((parsed.profile.value_types.len(), parsed.profile.samples.total(0)), (1, 42));
    assert_eq!(parsed.profile.samples.len(), 2);
}

#[test]
fn what_does_not_fit_is_left_out_with_a_warning() {
    let head = node(1, 0, &[node(2, -5, ""), node(3, 12, "")].join(","));
    let text =
        format!(r#"{{"head":{head},"samples":[{{"size":12,"nodeId":3,"ordinal":1}},{{"nodeId":9}},{{"size":1}}]}}"#);
    let parsed = read(&text).unwrap();
    // The node of the second is not there: V8 does that.
    assert_eq!((parsed.profile.samples.total(0), parsed.profile.samples.total(1)), (2, 12));
    let messages: Vec<&str> = parsed.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(messages, ["a node has a size below zero: it counts for nothing"]);
    assert!(read(&text[..text.len() - 4]).unwrap_err().to_string().starts_with("not valid heapprofile"));
}

/// Deeper than any stack.
#[test]
fn a_deep_tree_is_read() {
    let depth = 100_000;
    let open: String = (1..=depth)
        .map(|id| format!(r#"{{"callFrame":{{"functionName":"f","url":"","lineNumber":0,"columnNumber":0}},"selfSize":1,"id":{id},"children":["#))
        .collect();
    let parsed = read(&format!(r#"{{"head":{open}{}}}"#, "]}".repeat(depth))).unwrap();
    assert_eq!(parsed.profile.samples.total(0), depth as i64);
}
