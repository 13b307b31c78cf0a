use burnmark_model::{ModuleKind, ValueType};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::*;
use crate::testing::{Builder, NASTY, deep, nasty};

/// A frame as the picture shows it.
#[derive(Clone, Debug)]
struct Shown {
    title: String,
    text: String,
    fill: String,
    x: u64,
    width: u64,
    y: i64,
}

impl Shown {
    /// The name as inferno's script makes it from the title: without the last parenthesis.
    fn name(&self) -> &str {
        let (name, details) = self.title.rsplit_once(" (").expect("details");
        assert!(details.ends_with(')') && !details[..details.len() - 1].contains([')', '(']), "{}", self.title);
        name
    }
}

fn draw(profile: &Profile, options: &FlameOptions) -> (String, Drawn) {
    let mut svg = Vec::new();
    let drawn = flame(profile, options, &mut svg).expect("something to draw");
    (String::from_utf8(svg).expect("UTF-8"), drawn)
}

/// The frames of a picture, read by an XML parser.
fn frames(svg: &str) -> Vec<Shown> {
    // XML 1.0, 2.2: what no document may hold.
    assert!(!svg.contains(
        |char: char| matches!(char, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}')
    ));
    let mut reader = Reader::from_str(svg);
    reader.config_mut().check_end_names = true;
    let mut frames: Vec<Shown> = Vec::new();
    let mut inside = String::new();
    let mut in_frames = false;
    loop {
        match reader.read_event().expect("XML") {
            Event::Eof => break,
            Event::Start(tag) => {
                let attribute = |name: &str| {
                    let attribute = tag.try_get_attribute(name).expect("attributes");
                    attribute.map(|value| String::from_utf8(value.value.into_owned()).expect("UTF-8"))
                };
                in_frames |= attribute("id").as_deref() == Some("frames");
                inside = String::from_utf8(tag.name().as_ref().to_vec()).expect("UTF-8");
                if in_frames && inside == "g" {
                    let (title, text, fill) = Default::default();
                    frames.push(Shown { title, text, fill, x: 0, width: 0, y: 0 });
                }
            }
            Event::Empty(tag) if in_frames && tag.name().as_ref() == b"rect" => {
                let attribute = |name: &str| {
                    let value = tag.try_get_attribute(name).expect("attributes").expect(name).value.into_owned();
                    String::from_utf8(value).expect("UTF-8")
                };
                let frame = frames.last_mut().expect("a frame");
                frame.fill = attribute("fill");
                frame.x = attribute("fg:x").parse().expect("a number");
                frame.width = attribute("fg:w").parse().expect("a number");
                frame.y = attribute("y").parse().expect("a number");
            }
            Event::Text(text) if in_frames => add(&mut frames, &inside, &text.decode().expect("text")),
            Event::GeneralRef(entity) if in_frames => {
                let entity = format!("&{};", entity.decode().expect("text"));
                add(&mut frames, &inside, &quick_xml::escape::unescape(&entity).expect("an entity"));
            }
            Event::End(_) => inside.clear(),
            _ => {}
        }
    }
    frames
}

fn add(frames: &mut [Shown], inside: &str, text: &str) {
    match (inside, frames.last_mut()) {
        ("title", Some(frame)) => frame.title.push_str(text),
        ("text", Some(frame)) => frame.text.push_str(text),
        _ => {}
    }
}

fn find<'f>(frames: &'f [Shown], name: &str) -> Vec<&'f Shown> {
    frames.iter().filter(|frame| frame.name() == name).collect()
}

/// Each frame but the root lies on exactly one frame that is wide enough; frames of one level don't overlap.
fn check_layout(frames: &[Shown], upwards: bool) {
    let step = if upwards { 16 } else { -16 };
    for (index, frame) in frames.iter().enumerate() {
        let covers = |other: &&Shown| other.x <= frame.x && other.x + other.width >= frame.x + frame.width;
        let below = frames.iter().filter(|other| other.y == frame.y + step).filter(covers).count();
        assert_eq!(below, usize::from(!frame.title.starts_with("all (")), "{frame:?}");
        let overlaps = |other: &Shown| other.x < frame.x + frame.width && frame.x < other.x + other.width;
        let level = frames.iter().enumerate().filter(|(other, shown)| *other != index && shown.y == frame.y);
        assert_eq!(level.filter(|(_, other)| overlaps(other)).count(), 0, "{frame:?}");
    }
}

#[test]
fn every_name_is_shown_whatever_it_is() {
    let profile = nasty();
    for (icicle, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
        let options = FlameOptions { value: 1, icicle, reverse, ..FlameOptions::default() };
        let (svg, drawn) = draw(&profile, &options);
        let frames = frames(&svg);
        assert_eq!(frames.len(), drawn.frames + 1);
        assert_eq!(drawn.warnings, Vec::<String>::new());
        check_layout(&frames, !icicle);
        for (index, name) in NASTY.iter().enumerate() {
            let shown = find(&frames, &printable(name));
            assert_eq!(shown.len(), 1, "{name}");
            assert_eq!(shown[0].width, (40 - index as u64) * 10_010_000);
            assert!(shown[0].title.contains("(lib|odd [deleted].so, src/lib.rs:7, "), "{}", shown[0].title);
        }
        assert_eq!(find(&frames, "all")[0].width, 6_496_490_000);
        assert_eq!(find(&frames, "[no stack]")[0].width, 19 * 10_010_000);
        assert_eq!(find(&frames, "[unknown]")[0].title, "[unknown] (200.2 ms, 3.08%)");
        assert_eq!(find(&frames, "all")[0].title, "all (6,496.5 ms, 100%)");
    }
}

/// What inferno's script cuts is cut alike in the picture without a script.
#[test]
fn texts_fit_into_their_frames() {
    let (svg, _) = draw(&nasty(), &FlameOptions::default());
    for frame in frames(&svg) {
        let pixels = 1_180.0 * frame.width as f64 / 649.0;
        assert!(crate::names::width(&frame.text) as f64 * 7.08 <= pixels, "{frame:?}");
        assert!(frame.text == frame.name() || frame.text.ends_with("..") || pixels < 25.0, "{frame:?}");
    }
}

#[test]
fn kinds_of_code_differ_in_colour_and_are_named() {
    let (svg, _) = draw(&nasty(), &FlameOptions::default());
    let frames = frames(&svg);
    for (name, note) in [
        ("Vec<T>::push", "(server-5a1c, inlined, src/lib.rs:7, "),
        ("do_syscall_64", "([kernel.kallsyms], kernel, src/lib.rs:7, "),
        ("LazyCompile:*render app.js:10", "(perf-7.map, JIT, src/lib.rs:7, "),
    ] {
        assert!(find(&frames, name)[0].title.contains(note), "{}", find(&frames, name)[0].title);
    }
    let channels = |name: &str| -> Vec<i32> {
        let fill = find(&frames, name)[0].fill.replace("rgb(", "").replace(')', "");
        fill.split(',').map(|channel| channel.parse().expect("a number")).collect()
    };
    let (kernel, jit, native) =
        (channels("do_syscall_64"), channels("LazyCompile:*render app.js:10"), channels("main"));
    assert!(kernel[2] > kernel[0] && kernel[2] > kernel[1], "blue: {kernel:?}");
    assert!(jit[1] > jit[0] && jit[1] > jit[2], "green: {jit:?}");
    assert!(native[0] > native[1] && native[1] > native[2], "warm: {native:?}");
    assert!(svg.contains("649 samples · pale: inlined"));
    let again = draw(&nasty(), &FlameOptions::default()).0;
    assert_eq!(svg, again, "the same picture every time");
}

/// Sorted as text, `foo.bar` stands between `foo` and `foo;y`, and tears `foo` apart.
#[test]
fn siblings_are_merged_by_what_they_are() {
    let mut builder = Builder::new(vec![ValueType::samples()]);
    for stack in [&["foo", "y"][..], &["foo.bar"], &["foo"], &["foo", "x"], &["foo.bar", "y"], &["foo", "y"]] {
        let stack = builder.stack(stack);
        builder.sample(stack, &[10]);
    }
    let (svg, _) = draw(&builder.profile, &FlameOptions::default());
    let frames = frames(&svg);
    assert_eq!(frames.len(), 1 + 2 + 3);
    assert_eq!(find(&frames, "foo")[0].width, 40);
    assert_eq!(find(&frames, "foo.bar")[0].width, 20);
    check_layout(&frames, true);
}

#[test]
fn one_name_in_two_modules_is_two_frames() {
    let mut builder = Builder::new(vec![ValueType::samples()]);
    for path in ["/a/libx.so", "/b/liby.so"] {
        let frame = builder.frame("memcpy", Some((path, ModuleKind::User)), 0);
        let stack = builder.stack_of(&[frame]);
        builder.sample(stack, &[1]);
    }
    let (svg, _) = draw(&builder.profile, &FlameOptions::default());
    let titles: Vec<String> = find(&frames(&svg), "memcpy").iter().map(|frame| frame.title.clone()).collect();
    assert_eq!(titles, ["memcpy (libx.so, src/lib.rs:7, 1, 50.00%)", "memcpy (liby.so, src/lib.rs:7, 1, 50.00%)"]);
}

#[test]
fn negative_and_fractional_values() {
    let mut builder = Builder::new(vec![ValueType { denominator: 10, ..ValueType::new("cost", "count") }]);
    for (name, value) in [("more", 15), ("less", -25), ("little", 5)] {
        let stack = builder.stack(&["main", name]);
        builder.sample(stack, &[value]);
    }
    let (svg, drawn) = draw(&builder.profile, &FlameOptions::default());
    let frames = frames(&svg);
    check_layout(&frames, true);
    assert_eq!(find(&frames, "main")[0].title, "main (src/lib.rs:7, 2.0, 100.00%)");
    assert_eq!(find(&frames, "more")[0].title, "more (src/lib.rs:7, 1.5, 75.00%)");
    assert!(find(&frames, "less").is_empty());
    assert_eq!(drawn.warnings, ["negative values have no width: -2.5 in all are not drawn"]);
}

#[test]
fn nothing_to_draw_is_an_error_that_says_so() {
    let failure = |profile: &Profile| {
        let error = flame(profile, &FlameOptions::default(), &mut Vec::new()).expect_err("nothing to draw");
        error.to_string()
    };
    let mut builder = Builder::new(vec![ValueType::samples()]);
    assert!(failure(&builder.profile).contains("no samples; if filters were given, they leave none"));
    let stack = builder.stack(&["main"]);
    builder.sample(stack, &[0]);
    builder.sample(stack, &[-3]);
    assert!(failure(&builder.profile).contains("samples/count above 0"));
}

#[test]
fn deep_stacks_are_cut_with_a_frame_that_says_so() {
    let profile = deep(100_000);
    for reverse in [false, true] {
        let options = FlameOptions { reverse, max_depth: 200, ..FlameOptions::default() };
        let (svg, drawn) = draw(&profile, &options);
        let frames = frames(&svg);
        assert_eq!(drawn.frames, 201);
        assert_eq!(find(&frames, "… 99,800 deeper").len(), 1);
        assert_eq!(
            drawn.warnings,
            [
                "stacks are drawn to 200 frames; the deepest has 99,800 more: raise the limit, or hide the frames that recur"
            ]
        );
    }
}

#[test]
fn a_name_of_megabytes_is_cut() {
    let mut builder = Builder::new(vec![ValueType::samples()]);
    let name = format!("begin{}end", "é<".repeat(5 << 20));
    let stack = builder.stack(&["main", &name]);
    builder.sample(stack, &[1]);
    let (svg, _) = draw(&builder.profile, &FlameOptions::default());
    assert!(svg.len() < 200_000, "{}", svg.len());
    let frames = frames(&svg);
    assert!(frames.iter().any(|frame| frame.name().starts_with("begin") && frame.name().ends_with("<end")));
}

/// 400 chains of calls, 400 deep, of the same width, are more than a browser shows: some are drawn, all are there.
#[test]
fn too_much_for_one_picture_is_bounded() {
    let mut builder = Builder::new(vec![ValueType::samples()]);
    for chain in 0..400 {
        let mut stack = None;
        for level in 0..400 {
            let frame = builder.frame(&format!("f{}", chain * 7 + level), None, 0);
            stack = Some(builder.profile.push_frame(stack, frame));
        }
        builder.sample(stack, &[1]);
    }
    let (svg, drawn) = draw(&builder.profile, &FlameOptions::default());
    assert!(svg.len() < 64 << 20, "{}", svg.len());
    assert_eq!(drawn.warnings.len(), 1, "{:?}", drawn.warnings);
    assert!(svg.contains("<title>all (400, 100%)</title>"));
    assert!(drawn.frames > 10_000 && drawn.frames == svg.matches("<rect").count() - 2);
}

#[test]
fn what_is_too_narrow_keeps_its_width() {
    let mut builder = Builder::new(vec![ValueType::samples()]);
    for (name, value) in [("wide", 90), ("narrow", 4), ("thin", 6)] {
        let stack = builder.stack(&[name, "leaf"]);
        builder.sample(stack, &[value]);
    }
    let (svg, _) = draw(&builder.profile, &FlameOptions { min_share: 0.05, ..FlameOptions::default() });
    let frames = frames(&svg);
    assert_eq!(find(&frames, "… too narrow to be drawn")[0].width, 4);
    assert_eq!(find(&frames, "all")[0].width, 100);
    assert_eq!(find(&frames, "wide")[0].title, "wide (src/lib.rs:7, 90, 90.00%)");
}

#[test]
fn threads_can_be_the_roots() {
    let (svg, _) = draw(&nasty(), &FlameOptions { roots: Roots::Threads, ..FlameOptions::default() });
    let frames = frames(&svg);
    check_layout(&frames, true);
    assert_eq!(find(&frames, "app")[0].width + find(&frames, "worker <1>")[0].width, 649);
    assert_eq!(find(&frames, "main").len(), 2);
}
