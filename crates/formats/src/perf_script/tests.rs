//! Tests of the whole reader: traps of the text, real files, and the fast reader against the plain one.

mod differential;
mod layouts;
mod traps;

use burnmark_model::{Frame, Profile};

use super::assemble::assemble;
use super::plain::read_plainly;
use super::split::{Cut, Text, fold_stream, fold_text};
use super::*;

/// Reads a text with the fast reader, cut in all kinds of ways, and with the plain one; all must agree.
fn read_text(text: impl AsRef<[u8]>) -> Parsed {
    let text = text.as_ref();
    let plain = read_plainly(text);
    let cuts = [(1, 1 << 30, 1 << 16), (1, 1 << 30, 7), (1, 50, 64), (2, 111, 33), (3, 1000, 4096)];
    for (threads, segment, block) in cuts {
        let cut = Cut { threads, segment, block };
        let folded = fold_text(Text::Bytes(text), cut, None).expect("lines are short");
        assert_same(&assemble(folded), &plain, &cut);
    }
    let folded = fold_stream(Box::new(std::io::Cursor::new(text.to_vec())), 100).expect("lines are short");
    assert_same(&assemble(folded), &plain, &"a stream");
    plain
}

/// Shows what differs without printing all tables.
fn assert_same(fast: &Parsed, plain: &Parsed, how: &dyn std::fmt::Debug) {
    assert_eq!(samples(&fast.profile), samples(&plain.profile), "{how:?}");
    assert_eq!(warnings(fast), warnings(plain), "{how:?}");
    assert!(fast == plain, "{how:?}: the samples are the same, but not all of the profile");
}

/// One line per sample: `comm pid/tid time stack values`, with the stack's frames from root to leaf as
/// `symbol@module:line~depth`.
fn samples(profile: &Profile) -> Vec<String> {
    let text = |id| profile.strings.get(id).to_owned();
    let number = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
    let samples = profile.samples.iter().enumerate().map(|(index, sample)| {
        let thread = sample.thread.map_or("-".to_owned(), |id| {
            let thread = profile.threads.get(id);
            let process = profile.processes.get(thread.process);
            format!("{} {}/{}", thread.name.map_or("-".to_owned(), text), number(process.pid), number(thread.tid))
        });
        let mut frames: Vec<String> =
            profile.frames_leaf_first(sample.stack).map(|id| frame_text(profile, profile.frames.get(id))).collect();
        frames.reverse();
        let values: Vec<String> =
            (0..profile.samples.columns()).map(|column| profile.samples.values(column)[index].to_string()).collect();
        format!("{thread} {} {} {}", number(sample.time_ns), frames.join(";"), values.join(","))
    });
    samples.collect()
}

fn frame_text(profile: &Profile, frame: &Frame) -> String {
    let mut text = match frame.function {
        Some(function) => profile.strings.get(profile.functions.get(function).name).to_owned(),
        None => "?".to_owned(),
    };
    if let Some(module) = frame.module {
        text = format!("{text}@{}", profile.strings.get(profile.modules.get(module).path));
    }
    if let Some(file) = frame.function.and_then(|function| profile.functions.get(function).file) {
        text = format!("{text}:{}:{}", profile.strings.get(file), frame.line);
    }
    if frame.inline_depth > 0 {
        text = format!("{text}~{}", frame.inline_depth);
    }
    text
}

fn value_types(profile: &Profile) -> Vec<String> {
    let text = |(index, value): (usize, &burnmark_model::ValueType)| {
        format!("{}/{} {}", value.name, value.unit, profile.samples.total(index))
    };
    profile.value_types.iter().enumerate().map(text).collect()
}

fn warnings(parsed: &Parsed) -> Vec<String> {
    parsed.warnings.iter().map(ToString::to_string).collect()
}

/// The samples of a text that has nothing wrong with it.
fn clean(text: &str) -> Vec<String> {
    let parsed = read_text(text);
    assert_eq!(warnings(&parsed), [""; 0]);
    assert_eq!(sniff(text.as_bytes()), Ok(()));
    samples(&parsed.profile)
}
