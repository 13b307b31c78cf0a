//! What real perf printed with different `-F`: all layouts of one recording say the same, as far as they say it.

use super::*;

fn fixture(name: &str) -> Parsed {
    let path = format!("{}/../../fixtures/perf-script/{name}.perf", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(sniff(&text), Ok(()), "{name}");
    let parsed = read_text(&text);
    assert_eq!(warnings(&parsed), [""; 0], "{name}");
    parsed
}

/// Samples as text with only some of their parts.
fn parts(parsed: &Parsed, thread: bool, time: bool, modules: bool) -> Vec<String> {
    let profile = &parsed.profile;
    let samples = profile.samples.iter().map(|sample| {
        let mut text = String::new();
        if thread {
            let thread = profile.threads.get(sample.thread.expect("threads are printed"));
            text += profile.strings.get(thread.name.expect("names are printed"));
        }
        if time {
            text += &format!(" {}", sample.time_ns.expect("times are printed"));
        }
        for frame in profile.frames_leaf_first(sample.stack) {
            let frame = profile.frames.get(frame);
            let function = frame.function.map(|id| profile.strings.get(profile.functions.get(id).name));
            text += &format!(";{}", function.unwrap_or("?"));
            if modules {
                let module = frame.module.map(|id| profile.strings.get(profile.modules.get(id).path));
                text += &format!("@{}", module.unwrap_or("?"));
            }
        }
        text
    });
    samples.collect()
}

#[test]
fn layouts_with_stacks_agree() {
    let whole = fixture("default");
    assert_eq!(whole.profile.samples.len(), parts(&whole, true, true, true).len());
    for (name, thread, time, modules) in [
        ("header-and-records", true, true, true),
        ("short", true, true, true),
        ("pid", true, true, true),
        ("no-event", true, true, true),
        ("no-time-no-dso", true, false, false),
        ("comm-only", true, false, false),
        ("tid-only", false, false, false),
        ("event-only", false, false, false),
        ("frames-only", false, false, true),
    ] {
        let other = fixture(name);
        assert_eq!(parts(&other, thread, time, modules), parts(&whole, thread, time, modules), "{name}");
    }
    // Nanoseconds are more exact than the microseconds of the others.
    let exact = fixture("misc-ns");
    assert_eq!(parts(&exact, true, false, true), parts(&whole, true, false, true));
    let times = |parsed: &Parsed| parsed.profile.samples.iter().filter_map(|sample| sample.time_ns).collect::<Vec<_>>();
    assert!(times(&exact).iter().zip(times(&whole)).all(|(exact, rounded)| exact / 1000 * 1000 == rounded));
}

#[test]
fn layouts_without_stacks_agree() {
    let whole = fixture("no-stacks");
    for (name, thread, time, modules) in [
        ("no-stacks-srcline", true, true, true),
        ("no-stacks-no-time", true, false, true),
        ("no-stacks-comm", true, false, false),
        ("no-stacks-alone", false, false, true),
    ] {
        let other = fixture(name);
        assert_eq!(parts(&other, thread, time, modules), parts(&whole, thread, time, modules), "{name}");
    }
    assert_eq!(fixture("no-frames").profile.samples.len(), whole.profile.samples.len());
}

#[test]
fn inlined_frames_and_source_lines_agree() {
    let inline = fixture("inline");
    let lines = fixture("inline-srcline");
    assert_eq!(parts(&inline, true, true, true), parts(&lines, true, true, true));
    let real = fixture("no-inline");
    assert_eq!(inline.profile.samples.len(), real.profile.samples.len());
    let deepest = |parsed: &Parsed| parsed.profile.frames.iter().map(|(_, frame)| frame.inline_depth).max();
    assert_eq!((deepest(&inline), deepest(&lines), deepest(&real)), (Some(2), Some(2), Some(0)));
    // Without inlined frames, what remains is what perf prints with --no-inline.
    for (with, without) in inline.profile.samples.iter().zip(real.profile.samples.iter()) {
        let names = |parsed: &Parsed, stack| -> Vec<String> {
            let profile = &parsed.profile;
            let frames = profile.frames_leaf_first(stack).map(|id| profile.frames.get(id));
            frames
                .filter(|frame| frame.inline_depth == 0 && frame.module.is_some())
                .filter_map(|frame| Some(profile.strings.get(profile.functions.get(frame.function?).name).to_owned()))
                .filter(|name| !name.starts_with("__libc_start"))
                .collect()
        };
        assert_eq!(names(&inline, with.stack), names(&real, without.stack));
    }
}

#[test]
fn several_events_are_all_there() {
    let parsed = fixture("events");
    let counts: Vec<(String, i64)> = parsed
        .profile
        .value_types
        .iter()
        .enumerate()
        .filter(|(_, value)| value.unit == "count")
        .map(|(index, value)| (value.name.clone(), parsed.profile.samples.total(index)))
        .collect();
    // Counted in the text by other means: lines that hold the event's name and a colon.
    let path = format!("{}/../../fixtures/perf-script/events.perf", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the fixture is there");
    for (event, count) in &counts {
        let lines = text.lines().filter(|line| line.contains(&format!(" {event}: "))).count();
        assert_eq!(*count, lines as i64, "{event}");
    }
    assert_eq!(counts.len(), 4);
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<i64>(), parsed.profile.samples.len() as i64);
    let kernel_path = fixture("events-kernel-path");
    assert_eq!(value_types(&kernel_path.profile), value_types(&parsed.profile));
}
