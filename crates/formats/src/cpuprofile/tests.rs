use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burnmark_model::{Parsed, Profile};
use serde::Deserialize;

use crate::{Error, Format, Input, ReadOptions};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cpuprofile")
}

/// Reads bytes as a file's would be, detection included.
fn read(text: &str) -> Result<Parsed, Error> {
    let (format, parsed) = crate::read(Input::Bytes(text.into()), &ReadOptions::default())?;
    assert_eq!(format, Format::Cpuprofile);
    Ok(parsed)
}

/// A frame as `expect.js` names it.
fn name(profile: &Profile, frame: burnmark_model::FrameId) -> String {
    let Some(function) = profile.frames.get(frame).function else { return "[unknown]".into() };
    let function = profile.functions.get(function);
    let name = profile.strings.get(function.name);
    match function.file {
        Some(file) => format!("{name} {}:{}", profile.strings.get(file), function.start_line),
        None => name.to_owned(),
    }
}

/// Every sample as `leaf<…<root samples/wall @time`.
fn stacks(parsed: &Parsed) -> Vec<String> {
    let profile = &parsed.profile;
    let line = |index: usize| {
        let sample = profile.samples.get(index);
        let names: Vec<_> = profile.frames_leaf_first(sample.stack).map(|frame| name(profile, frame)).collect();
        let values: Vec<_> =
            (0..profile.samples.columns()).map(|column| profile.samples.values(column)[index].to_string()).collect();
        let time = sample.time_ns.map_or(String::new(), |time| format!(" @{time}"));
        format!("{} {}{time}", names.join("<"), values.join("/"))
    };
    (0..profile.samples.len()).map(line).collect()
}

/// A node in the shape of today.
fn node(id: i64, name: &str, rest: &str) -> String {
    let (url, line) = if name.starts_with('(') && name != "()" { ("", -1) } else { ("a.js", 10 * id) };
    let name = name.trim_matches(['(', ')'].as_slice()).to_owned();
    let name = if url.is_empty() { format!("({name})") } else { name };
    format!(
        r#"{{"id":{id},"callFrame":{{"functionName":"{name}","scriptId":"7","url":"{url}","lineNumber":{line},"columnNumber":4}}{rest}}}"#
    )
}

fn document(nodes: &[String], rest: &str) -> String {
    format!(r#"{{"nodes":[{}],"startTime":1000,"endTime":1900{rest}}}"#, nodes.join(","))
}

#[derive(Deserialize, PartialEq, Debug, Default)]
struct Row {
    samples: i64,
    wall: i64,
}

#[derive(Deserialize, PartialEq, Debug)]
struct Expected {
    samples: usize,
    wall: i64,
    first_us: i64,
    #[serde(rename = "self")]
    self_values: BTreeMap<String, Row>,
    total: BTreeMap<String, Row>,
    gc_under: BTreeMap<String, Row>,
    lines: BTreeMap<String, i64>,
}

fn found(profile: &Profile) -> Expected {
    let wall = profile.default_value;
    let mut found = Expected {
        samples: profile.samples.len(),
        wall: profile.samples.total(wall),
        first_us: profile.samples.get(0).time_ns.unwrap_or(-1) / 1000,
        self_values: BTreeMap::new(),
        total: BTreeMap::new(),
        gc_under: BTreeMap::new(),
        lines: BTreeMap::new(),
    };
    for (index, sample) in profile.samples.iter().enumerate() {
        let wall = profile.samples.values(wall)[index];
        let add = |table: &mut BTreeMap<String, Row>, name: String| {
            let row = table.entry(name).or_default();
            row.samples += profile.samples.values(0)[index];
            row.wall += wall;
        };
        let names: Vec<_> = profile.frames_leaf_first(sample.stack).map(|frame| name(profile, frame)).collect();
        let leaf = names.first().cloned().unwrap_or("(root)".into());
        if leaf == "(garbage collector)" {
            add(&mut found.gc_under, names.get(1).cloned().unwrap_or_default());
        }
        add(&mut found.self_values, leaf);
        for (index, name) in names.iter().enumerate() {
            if !names[..index].contains(name) {
                add(&mut found.total, name.clone());
            }
        }
        let leaf = profile.frames_leaf_first(sample.stack).next();
        if let Some(leaf) = leaf.filter(|leaf| profile.frames.get(*leaf).line > 0) {
            let key = format!("{} at {}", name(profile, leaf), profile.frames.get(leaf).line);
            *found.lines.entry(key).or_default() += 1;
        }
    }
    found
}

#[test]
fn real_files_hold_what_another_program_finds_in_them() {
    for file in ["node20", "node12", "nested"] {
        let text = std::fs::read_to_string(fixtures().join(format!("{file}.cpuprofile"))).unwrap();
        let expected = std::fs::read_to_string(fixtures().join(format!("{file}.expected.json"))).unwrap();
        let expected: Expected = serde_json::from_str(&expected).unwrap();
        let parsed = read(&text).unwrap();
        assert_eq!(parsed.warnings, [], "{file}");
        let found = found(&parsed.profile);
        assert_eq!(found, expected, "{file}");
        assert!(found.samples > 100 && found.gc_under.len() > 1 && found.lines.len() > 10, "{file}");
        assert_eq!(parsed.profile.value_types[parsed.profile.default_value].name, "wall");
    }
}

#[test]
fn samples_last_until_the_next_and_the_last_one_as_the_average() {
    let nodes = [node(1, "(root)", r#","children":[2,3]"#), node(2, "f", ""), node(3, "()", "")];
    let parsed = read(&document(&nodes, r#","samples":[2,3,2],"timeDeltas":[70,10,30]"#)).unwrap();
    assert_eq!(
        stacks(&parsed),
        ["f a.js:21 1/10000 @1070000", "(anonymous) a.js:31 1/30000 @1080000", "f a.js:21 1/20000 @1110000",]
    );
    assert_eq!(parsed.profile.meta.duration_ns, Some(900_000));
    let (_, module) = parsed.profile.modules.iter().next().unwrap();
    assert_eq!(parsed.profile.strings.get(module.path), "a.js");
    // One sample lasts to the end.
    let parsed = read(&document(&nodes, r#","samples":[2],"timeDeltas":[70]"#)).unwrap();
    assert_eq!(stacks(&parsed), ["f a.js:21 1/830000 @1070000"]);
}

#[test]
fn negative_deltas_put_samples_in_order_and_move_none() {
    let nodes = [node(1, "(root)", r#","children":[2,3]"#), node(2, "f", ""), node(3, "g", "")];
    let parsed = read(&document(&nodes, r#","samples":[2,3,2],"timeDeltas":[100,50,-30]"#)).unwrap();
    assert_eq!(
        stacks(&parsed),
        ["f a.js:21 1/20000 @1100000", "f a.js:21 1/30000 @1120000", "g a.js:31 1/25000 @1150000"]
    );
    assert_eq!(parsed.warnings[0].count, 1);
}

#[test]
fn garbage_collection_is_under_what_it_interrupted() {
    let gc = node(4, "(garbage collector)", "");
    let nodes = [node(1, "(root)", r#","children":[2,4]"#), node(2, "f", r#","children":[3]"#), node(3, "g", ""), gc];
    let parsed = read(&document(&nodes, r#","samples":[4,3,4,4,2],"timeDeltas":[0,1,1,1,1]"#)).unwrap();
    let names: Vec<_> = stacks(&parsed).into_iter().map(|line| line.replace(" a.js:", ":")).collect();
    assert_eq!(
        names.iter().map(|line| line.split(" 1/").next().unwrap()).collect::<Vec<_>>(),
        ["(garbage collector)", "g:31<f:21", "(garbage collector)<g:31<f:21", "(garbage collector)<g:31<f:21", "f:21"]
    );
}

#[test]
fn nodes_may_name_parents_and_have_any_ids() {
    let [big, negative] = [i64::MAX, -5];
    let nodes = [
        node(negative, "leaf", &format!(r#","parent":{big}"#)).replace("-50", "3"),
        node(1, "(root)", ""),
        node(big, "(main)", r#","parent":1"#),
    ];
    let text = document(&nodes, &format!(r#","samples":[{negative},{big}],"timeDeltas":[0,10]"#));
    assert_eq!(stacks(&read(&text).unwrap()), ["leaf a.js:4<(main) 1/10000 @1000000", "(main) 1/10000 @1010000"]);
}

#[test]
fn without_samples_hits_count_and_share_the_time() {
    let ticks = r#","hitCount":4,"positionTicks":[{"line":25,"ticks":3}]"#;
    let nodes = [node(1, "(root)", r#","children":[2,3]"#), node(2, "f", ticks), node(3, "g", r#","hitCount":2"#)];
    let parsed = read(&document(&nodes, "")).unwrap();
    assert_eq!(stacks(&parsed), ["f a.js:21 3/450000", "f a.js:21 1/150000", "g a.js:31 2/300000"]);
    let leaf = parsed.profile.frames_leaf_first(parsed.profile.samples.get(0).stack).next().unwrap();
    assert_eq!(parsed.profile.frames.get(leaf).line, 25);
    // No times at all: counts only.
    let parsed = read(&format!(r#"{{"nodes":[{}]}}"#, nodes.join(","))).unwrap();
    assert_eq!(stacks(&parsed), ["f a.js:21 3", "f a.js:21 1", "g a.js:31 2"]);
    assert_eq!(parsed.profile.value_types.len(), 1);
}

#[test]
fn samples_without_times_share_the_time() {
    let nodes = [node(1, "(root)", r#","children":[2]"#), node(2, "f", "")];
    let parsed = read(&document(&nodes, r#","samples":[2,2,1]"#)).unwrap();
    assert_eq!(stacks(&parsed), ["f a.js:21 1/300000", "f a.js:21 1/300000", " 1/300000"]);
}

#[test]
fn old_nested_trees_count_lines_from_one_unless_the_root_says_otherwise() {
    let tree = |root: i64| {
        format!(
            r#"{{"head":{{"functionName":"(root)","lineNumber":{root},"children":[
                {{"functionName":"f","url":"a.js","lineNumber":5,"columnNumber":1,"id":2,"children":[]}}],"id":1}},
                "startTime":2,"endTime":3,"samples":[2,2],"timestamps":[2000100,2000300]}}"#
        )
    };
    assert_eq!(stacks(&read(&tree(0)).unwrap())[0], "f a.js:5 1/200000 @2000100000");
    let parsed = read(&tree(-1)).unwrap();
    assert_eq!(stacks(&parsed)[0], "f a.js:6 1/200000 @2000100000");
    assert_eq!(parsed.profile.meta.duration_ns, Some(1_000_000_000));
}

#[test]
fn one_more_time_than_samples_ends_the_last_one() {
    let text = r#"{"head":{"functionName":"f","id":1,"lineNumber":0},"startTime":2,"endTime":2,"samples":[1,1],
        "timestamps":[2000000,2000300,2000350]}"#;
    let parsed = read(text).unwrap();
    assert_eq!(stacks(&parsed), ["f 1/300000 @2000000000", "f 1/50000 @2000300000"]);
    // Whole seconds say less than the samples do.
    assert_eq!((parsed.warnings.len(), parsed.profile.meta.duration_ns), (0, None));
}

#[test]
fn old_nested_trees_may_be_100_000_deep() {
    let depth = 100_000;
    let mut text = String::from(r#"{"head":"#);
    for id in 1..=depth {
        text += &format!(r#"{{"functionName":"f","url":"a.js","lineNumber":{id},"id":{id},"children":["#);
    }
    text += &"]}".repeat(depth);
    text += &format!(r#","startTime":0,"endTime":1,"samples":[{depth}],"timestamps":[5]}}"#);
    let parsed = read(&text).unwrap();
    assert_eq!(parsed.profile.frames_leaf_first(parsed.profile.samples.get(0).stack).count(), depth);
}

#[test]
fn functions_of_one_line_are_told_apart_by_column() {
    let minified = |id: i64, column: i64| {
        format!(
            r#"{{"id":{id},"parent":1,"callFrame":{{"functionName":"e","url":"m.js","lineNumber":0,"columnNumber":{column}}}}}"#
        )
    };
    let nodes = [node(1, "(root)", ""), minified(2, 10), minified(3, 900), minified(4, 10)];
    let parsed = read(&document(&nodes, r#","samples":[2,3,4],"timeDeltas":[1,1,1]"#)).unwrap();
    let profile = &parsed.profile;
    let systems: Vec<_> = profile
        .functions
        .iter()
        .map(|(_, function)| function.system_name.map(|name| profile.strings.get(name)))
        .collect();
    assert_eq!(systems, [None, Some("e@1:901")]);
}

#[test]
fn wrappers_thread_names_and_unknown_members_are_seen_through() {
    let inner = document(
        &[node(1, "(root)", r#","children":[2],"x":[{"y":[null,true]}]"#), node(2, "f", "")],
        r#","samples":[2,2],"timeDeltas":[1,1],"$vscode":{"a":[1,{}]}"#,
    );
    let parsed = read(&format!(r#" {{"id":1,"result":{{"threadName":"Worker","profile":{inner}}}}} "#)).unwrap();
    assert_eq!(parsed.profile.samples.len(), 2);
    let (_, thread) = parsed.profile.threads.iter().next().unwrap();
    assert_eq!(parsed.profile.strings.get(thread.name.unwrap()), "Worker");
}

#[test]
fn trees_that_are_none_are_refused_or_mended() {
    let nodes = [node(1, "(root)", ""), node(2, "f", r#","children":[3]"#), node(3, "g", r#","children":[2]"#)];
    let error = read(&document(&nodes, "")).unwrap_err().to_string();
    assert!(error.contains("at byte ") && error.contains("its own ancestor"), "{error}");

    let nodes = [
        node(1, "(root)", r#","children":[2,3,99]"#),
        node(2, "f", r#","children":[3]"#),
        node(3, "g", ""),
        node(3, "h", ""),
    ];
    let parsed = read(&document(&nodes, r#","samples":[3,77,3],"timeDeltas":[1,1]"#)).unwrap();
    assert_eq!(stacks(&parsed), ["g a.js:31 1/1000 @1001000", "[unknown] 1/1000 @1002000"]);
    let warnings: Vec<_> = parsed.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(
        warnings,
        [
            "a node has the id of another one: the first is taken",
            "a node is the child of two others: the first is taken",
            "a node's child or parent is not there: it is left out",
            "there are not as many times as samples: those that lack the other are left out",
            "a sample names a node that is not there: its stack is not known",
        ]
    );
}

#[test]
fn numbers_that_do_not_fit_are_errors() {
    let nodes = [node(1, "(root)", r#","children":[2]"#), node(2, "f", "")];
    for deltas in ["[9223372036854775807,1]", "[1,9223372036854775]"] {
        let text = document(&nodes, &format!(r#","samples":[2,2],"timeDeltas":{deltas}"#));
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains("do not fit"), "{error}");
    }
    let nodes =
        [node(1, "(root)", ""), node(2, "f", r#","hitCount":9223372036854775807"#), node(3, "g", r#","hitCount":5"#)];
    assert!(matches!(read(&document(&nodes, "")).unwrap_err(), Error::Overflow { .. }));
}

#[test]
fn other_json_is_not_taken_for_a_cpu_profile() {
    for (text, reason) in [
        ("[1]", "not a JSON object"),
        (r#"{"traceEvents":[{"name":"nodes"}]}"#, "trace"),
        (r#"{"head":{"callFrame":{},"selfSize":1}}"#, "heap profile"),
        (r#"{"profiles":[],"shared":{"frames":[]}}"#, "no `nodes`"),
    ] {
        assert!(super::sniff(text.as_bytes()).unwrap_err().contains(reason), "{text}");
    }
}

#[test]
fn damaged_files_neither_panic_nor_hang() {
    for file in ["node20", "nested"] {
        let bytes = std::fs::read(fixtures().join(format!("{file}.cpuprofile"))).unwrap();
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for round in 0..150 {
            let mut bytes = bytes.clone();
            if round % 3 == 0 {
                bytes.truncate(random(bytes.len()));
            }
            for _ in 0..=random(8) {
                if !bytes.is_empty() {
                    let at = random(bytes.len());
                    bytes[at] = if round % 2 == 0 { b"0123456789{}[],:\"-\\e"[random(20)] } else { random(256) as u8 };
                }
            }
            let options = ReadOptions { format: Some(Format::Cpuprofile), ..ReadOptions::default() };
            // Either is fine; to come back is the point.
            let _ = crate::read(Input::Bytes(bytes), &options);
        }
    }
}

#[test]
fn a_call_frame_that_is_known_by_its_text_is_what_it_is_when_read() {
    let long = format!(r#"{{"functionName":"{}","url":"long.js","lineNumber":1,"columnNumber":1}}"#, "n".repeat(2000));
    let frames = [
        r#"{"functionName":"a","scriptId":"1","url":"x.js","lineNumber":1,"columnNumber":2}"#,
        r#"{"functionName":"a}b","scriptId":"1","url":"x.js","lineNumber":1,"columnNumber":2}"#,
        r#"{"functionName":"a","scriptId":"1","url":"x.js","lineNumber":1,"columnNumber":3}"#,
        r#"{"functionName":"in","more":{"deep":1},"url":"x.js","lineNumber":5,"columnNumber":2}"#,
        r#"{"functionName":"half \ud800","url":"x.js","lineNumber":6,"columnNumber":2}"#,
        r#"{"functionName":null,"lineNumber":9}"#,
        "{}",
        &long,
    ];
    // The members of the node's own come before or after, or make another function of it.
    let parts =
        [("", ""), (r#""functionName":"own","#, ""), ("", r#","lineNumber":77"#), ("", r#","callFrame":{"url":"y"}"#)];
    let text = |space: &dyn Fn(usize) -> String| {
        let node = |id: usize| {
            let frame = frames[id % frames.len()].replacen('{', &format!("{{{}", space(id)), 1);
            let (before, after) = parts[id % 5 % parts.len()];
            format!(r#"{{"id":{id},{before}"callFrame":{frame}{after},"parent":{}}}"#, id / 2)
        };
        let nodes: Vec<_> = (1..=400).map(node).collect();
        let samples: Vec<_> = (1..=400).map(|id| id.to_string()).collect();
        let deltas = vec!["1"; 400].join(",");
        document(&nodes, &format!(r#","samples":[{}],"timeDeltas":[{deltas}]"#, samples.join(",")))
    };
    let known = read(&text(&|_| String::new())).unwrap();
    // White space makes every text another one.
    let unknown = read(&text(&|id| " ".repeat(id))).unwrap();
    assert!(known.profile == unknown.profile);
    let counts =
        |parsed: &Parsed| -> Vec<_> { parsed.warnings.iter().map(|all| (all.message.clone(), all.count)).collect() };
    assert_eq!(counts(&known), counts(&unknown));
    assert!(
        counts(&known).iter().any(|(message, count)| message.contains("UTF-16") && *count == 50),
        "{:?}",
        counts(&known)
    );
    let functions: std::collections::BTreeSet<_> =
        stacks(&known).iter().map(|stack| stack.split(['<', ' ']).take(2).collect::<Vec<_>>().join(" ")).collect();
    assert!(functions.len() > 20, "{functions:?}");
}
