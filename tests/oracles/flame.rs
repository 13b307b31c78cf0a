//! Flame graphs as a reader sees them: opened in a headless browser, which says what it has drawn.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::machine::{fixture_program, sampling_works, skipped};
use crate::support::{burnmark_in, burnmark_with, folder};

/// Stacks with known shares of 100, with siblings that sorted text would split (`foo.bar` sorts before `foo;y`) and
/// names that must be escaped.
const STACKS: &str = "main;parse 30
main;foo.bar 20
main;foo;x 10
main;foo;y 15
main;foo.bar;z 5
main;</title><script>alert(\"1\")</script>&amp'] 12
main;größe→日本 8
";

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Added to a copy of the picture: when the picture's own script has run, it writes what is on the screen into an
/// element, then clicks a frame and writes that again. Errors on the way are written as well.
const MEASURE: &str = include_str!("measure.js");

/// A frame on the screen, in pixels.
#[derive(Debug, Clone, PartialEq)]
struct Frame {
    /// The tooltip without its last parenthesis.
    name: String,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    label: String,
    label_width: f64,
    shown: bool,
}

/// The frames when the picture was opened, and after a click.
struct Screen {
    before: Vec<Frame>,
    after: Vec<Frame>,
}

fn browser() -> Option<&'static str> {
    let starts = |name: &&&str| {
        let version = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    let found = BROWSERS.iter().find(starts).copied();
    if found.is_none() {
        skipped("no browser is here to open flame graphs with");
    }
    found
}

/// Opens a picture, clicks the first frame whose tooltip begins with `click`, and returns what was on the screen.
fn opened(browser: &str, svg: &Path, click: &str) -> Screen {
    let folder = folder();
    let text = std::fs::read_to_string(svg).expect("the picture is text");
    let (text, rest) = text.rsplit_once("</svg>").expect("it ends as it should");
    assert_eq!(rest.trim(), "", "nothing follows the picture");
    let copy = folder.path().join("measured.svg");
    let script = format!("<script><![CDATA[{}]]></script>", MEASURE.replace("CLICKED", click));
    std::fs::write(&copy, format!("{text}{script}</svg>")).expect("there is room");

    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"])
        .args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-extensions", "--window-size=1400,1000", "--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("file://{}", copy.display()))
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(folder.path().join("dom")).expect("there is room"))
        .stderr(std::fs::File::create(folder.path().join("said")).expect("there is room"))
        .spawn()
        .expect("the browser starts");
    let mut left = 600;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it was started here") {
            break status;
        }
        if left == 0 {
            drop(child.kill());
            drop(child.wait());
            panic!("the browser does not end");
        }
        left -= 1;
        std::thread::sleep(Duration::from_millis(100));
    };
    let dom = std::fs::read_to_string(folder.path().join("dom")).expect("its output is text");
    let said = std::fs::read_to_string(folder.path().join("said")).unwrap_or_default();
    assert!(status.success(), "the browser failed ({status}): {said}");
    measured(&dom)
}

/// What the script wrote.
fn measured(dom: &str) -> Screen {
    let (_, json) =
        dom.rsplit_once("id=\"measured-frames\">").unwrap_or_else(|| panic!("nothing was measured:\n{dom}"));
    let json = json.split_once("</desc>").expect("the element is closed").0;
    let json = json.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", "\u{a0}").replace("&amp;", "&");
    let value: Value = serde_json::from_str(&json).expect("the script writes JSON");
    assert_eq!(value["errors"], Value::Array(Vec::new()), "the picture's script failed");
    let frames = |key: &str| value[key].as_array().into_iter().flatten().map(frame).collect();
    Screen { before: frames("before"), after: frames("after") }
}

fn frame(value: &Value) -> Frame {
    let number = |key: &str| value[key].as_f64().expect("a number");
    let title = value["title"].as_str().expect("a tooltip");
    Frame {
        name: title.rsplit_once(" (").expect("the tooltip tells the share").0.to_owned(),
        x: number("x"),
        y: number("y"),
        width: number("width"),
        height: number("height"),
        label: value["label"].as_str().expect("a text").trim_end().to_owned(),
        label_width: number("label_width"),
        shown: value["shown"].as_bool().expect("shown or not"),
    }
}

/// The one frame of this name.
#[track_caller]
fn one<'f>(frames: &'f [Frame], name: &str) -> &'f Frame {
    let found: Vec<&Frame> = frames.iter().filter(|frame| frame.name == name).collect();
    assert_eq!(found.len(), 1, "frames called {name}: {found:#?}\nof {:?}", names(frames));
    found[0]
}

fn names(frames: &[Frame]) -> Vec<&str> {
    frames.iter().map(|frame| frame.name.as_str()).collect()
}

/// Each frame is as wide as its share, within half a pixel, and stands inside its parent, one row further.
#[track_caller]
fn check_tree(frames: &[Frame], expected: &[(&str, f64, &str)], further: f64) {
    let all = one(frames, "all");
    assert!(all.width > 800.0, "the picture fills its page: {all:?}");
    assert_eq!(frames.len(), expected.len() + 1, "{:?}", names(frames));
    for (name, share, parent) in expected {
        let (frame, parent) = (one(frames, name), one(frames, parent));
        assert!((frame.width / all.width - share).abs() * all.width <= 0.5, "{frame:?} should have {share} of {all:?}");
        assert!(frame.x >= parent.x - 0.5 && frame.x + frame.width <= parent.x + parent.width + 0.5, "{frame:?}");
        let step = (frame.y - parent.y) * further;
        assert!(step >= frame.height && step < frame.height + 3.0, "{frame:?} next to {parent:?}");
    }
}

/// No label reaches over its frame, and each is the name, as much of it as there is room for.
#[track_caller]
fn check_labels(frames: &[Frame]) {
    for frame in frames.iter().filter(|frame| frame.shown) {
        assert!(frame.label_width <= frame.width + 0.5, "the label is wider than the frame: {frame:?}");
        let cut = frame.label.strip_suffix("..").or(frame.label.strip_suffix('…'));
        match cut {
            Some(start) => assert!(frame.name.starts_with(start), "{frame:?}"),
            None if frame.label.is_empty() => assert!(frame.width < 40.0, "there is room for a label: {frame:?}"),
            None => assert_eq!(frame.label, frame.name),
        }
    }
}

fn drawn(arguments: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = folder();
    let command = [&["flame", "-", "-o", "out.svg"], arguments].concat();
    burnmark_with(folder.path(), &command, STACKS.as_bytes()).ok();
    let svg = folder.path().join("out.svg");
    (folder, svg)
}

const TROUBLE: &str = "</title><script>alert(\"1\")</script>&amp']";

const TREE: [(&str, f64, &str); 9] = [
    ("main", 1.0, "all"),
    ("parse", 0.30, "main"),
    ("foo.bar", 0.25, "main"),
    ("z", 0.05, "foo.bar"),
    ("foo", 0.25, "main"),
    ("x", 0.10, "foo"),
    ("y", 0.15, "foo"),
    (TROUBLE, 0.12, "main"),
    ("größe→日本", 0.08, "main"),
];

#[test]
fn frames_have_their_texts_and_widths() {
    let Some(browser) = browser() else { return };
    let (_folder, svg) = drawn(&[]);
    let screen = opened(browser, &svg, "foo (");
    check_tree(&screen.before, &TREE, -1.0);
    check_labels(&screen.before);

    // A click on a frame makes it as wide as the picture, and its callees with it.
    let all = one(&screen.before, "all");
    let foo = one(&screen.after, "foo");
    assert!((foo.width - all.width).abs() < 2.0, "{foo:?} should be as wide as {all:?}");
    let (x, y) = (one(&screen.after, "x"), one(&screen.after, "y"));
    assert!((x.width / y.width - 10.0 / 15.0).abs() < 0.01, "{x:?} {y:?}");
    assert!(!one(&screen.after, "parse").shown, "what is beside it is gone");
    check_labels(&screen.after);
}

#[test]
fn roots_can_be_on_top() {
    let Some(browser) = browser() else { return };
    let (_folder, svg) = drawn(&["--icicle"]);
    check_tree(&opened(browser, &svg, "").before, &TREE, 1.0);
}

#[test]
fn callers_can_stand_on_what_they_call() {
    let Some(browser) = browser() else { return };
    let (_folder, svg) = drawn(&["--reverse"]);
    let frames = opened(browser, &svg, "").before;
    let all = one(&frames, "all").clone();
    // `foo.bar` has time of its own and is a caller of z; `foo` and `main` only call.
    for (leaf, share) in [("parse", 0.30), ("x", 0.10), ("y", 0.15), ("z", 0.05), (TROUBLE, 0.12), ("größe→日本", 0.08)]
    {
        let frame = one(&frames, leaf);
        assert!((frame.width - share * all.width).abs() <= 0.5, "{frame:?}");
        assert!(frame.y < all.y && frame.y >= all.y - all.height - 3.0, "{frame:?} stands on the root");
    }
    let widths = |name: &str| {
        let frames = frames.iter().filter(|frame| frame.name == name);
        let mut shares: Vec<i64> = frames.map(|frame| (frame.width / all.width * 100.0).round() as i64).collect();
        shares.sort_unstable();
        shares
    };
    assert_eq!(widths("foo"), [10, 15], "under x and y");
    assert_eq!(widths("foo.bar"), [5, 20], "under z, and by itself");
    assert_eq!(widths("main"), [5, 8, 10, 12, 15, 20, 30]);
}

/// Shares of a real recording: the picture's, and the table's, which is computed on another way.
#[test]
fn a_recording_is_drawn_as_its_table_says() {
    let (Some(browser), Some(program)) = (browser(), fixture_program("shares")) else { return };
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let script = format!("exec '{}' 0.6 >/dev/null", program.display());
    burnmark_in(folder.path(), &["record", "--", "sh", "-c", &script]).ok();
    burnmark_in(folder.path(), &["flame", "-o", "out.svg"]).ok();
    let top = burnmark_in(folder.path(), &["top", "--json", "--by", "total", "--limit", "0"]).ok().json();
    let frames = opened(browser, &folder.path().join("out.svg"), "").before;
    check_labels(&frames);

    let all = one(&frames, "all").width;
    // A function may stand in several places; these call nothing that calls them, so their widths add up.
    let mut widths: BTreeMap<&str, f64> = BTreeMap::new();
    for frame in &frames {
        *widths.entry(frame.name.split(" [").next().unwrap_or_default()).or_default() += frame.width / all;
    }
    let mut told = String::new();
    for name in ["phase_warm", "phase_hot", "steady", "alpha", "beta", "gamma_", "delta", "epsilon", "bottom"] {
        let row = top["rows"].as_array().expect("rows").iter().find(|row| row["function"] == name);
        let share =
            row.unwrap_or_else(|| panic!("{name} has samples: {top}"))["total_share"].as_f64().expect("a share");
        let width = widths.get(name).copied().unwrap_or_default();
        let _ = writeln!(told, "{name}: {share:.4} in the table, {width:.4} drawn");
        assert!((width - share).abs() < 0.005, "{told}{:?}", names(&frames));
    }
}

/// A difference: each frame as wide as its share after; what is gone beside them, as wide as it was.
#[test]
fn a_difference_is_as_wide_as_it_is_after_and_shows_what_is_gone() {
    let Some(browser) = browser() else { return };
    let folder = folder();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("there is room");
    write("old.folded", "main;parse 600\nmain;foo.bar 300\nmain;gone 100\n");
    write("new.folded", "main;parse 300\nmain;foo.bar 600\nmain;größe→日本 100\n");
    burnmark_in(folder.path(), &["diff", "old.folded", "new.folded", "-o", "out.svg"]).ok();
    let screen = opened(browser, &folder.path().join("out.svg"), "▲ foo.bar (");
    check_labels(&screen.before);
    let all = one(&screen.before, "all").width;
    // 1,000 after and 100 that are gone.
    for (name, share) in [
        ("main", 1.0),
        ("▼ parse", 300.0 / 1_100.0),
        ("▲ foo.bar", 600.0 / 1_100.0),
        ("✚ größe→日本", 100.0 / 1_100.0),
        ("✖ gone", 100.0 / 1_100.0),
    ] {
        let frame = one(&screen.before, name);
        assert!((frame.width - share * all).abs() <= 0.5, "{frame:?} should be {share} of {all}");
    }
    assert!((one(&screen.after, "▲ foo.bar").width - all).abs() < 2.0, "a click zooms in");
    // Before as the measure: now what is new stands beside.
    burnmark_in(folder.path(), &["diff", "old.folded", "new.folded", "--widths", "before", "-o", "out.svg"]).ok();
    let frames = opened(browser, &folder.path().join("out.svg"), "").before;
    assert!((one(&frames, "▼ parse").width - 600.0 / 1_100.0 * all).abs() <= 0.5, "{:?}", names(&frames));
}
