//! What one line is. It depends on the line's bytes alone, so lines that were met before need not be looked at again.

use super::frame::{
    FrameText, SourceText, after_address, find, is_frame_without_address, is_hex, is_other_field, next_address,
    parse_frame, parse_source,
};
use super::header::{Suffix, ThreadText, find_time, parse_prefix, parse_suffix, parse_untimed};

/// A line, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Ends a sample.
    Blank,
    /// `# …`: what `perf script --header` says of the recording.
    Comment(&'a [u8]),
    /// Begins a sample.
    Header(Header<'a>),
    /// Begins a sample if a frame follows.
    MaybeHeader(Header<'a>),
    /// A frame of the sample begun before. `alone` says that it can also be a sample on its own line, with nothing but
    /// address, symbol and module printed.
    Frame { frame: FrameText<'a>, alone: bool },
    /// Where the frame before is in the source.
    Source(SourceText<'a>),
    /// A record that is not a sample, as `--show-mmap-events` and its like print them; how many records it says were
    /// lost.
    Record { lost: u64 },
    /// A field of a sample that is known and not read: branch stacks, registers.
    OtherField,
    /// Anything else.
    Odd,
}

/// The first line of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header<'a> {
    pub(super) thread: ThreadText<'a>,
    pub(super) time: Time,
    pub(super) suffix: Suffix<'a>,
}

/// When a sample was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    NotPrinted,
    /// Nanoseconds.
    At(i64),
    /// More than 63 bits hold.
    OutOfRange,
}

/// A line without the carriage return that Windows' line ends have.
pub(super) fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Says what a line, without its end, is.
pub(super) fn parse_line(line: &[u8]) -> Line<'_> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Line::Blank;
    }
    match line[0] {
        b'\t' => parse_body(line),
        _ if is_comment(line) => Line::Comment(line),
        _ => match parse_timed(line) {
            Some(parsed) => parsed,
            None if line[0] == b' ' => parse_indented(line),
            None => parse_untimed_header(line).unwrap_or(Line::Odd),
        },
    }
}

pub(super) fn is_comment(line: &[u8]) -> bool {
    line.first() == Some(&b'#') && matches!(line.get(1), None | Some(b' ' | b'=' | b'#' | b'\t'))
}

/// A header with a time, or another record with one.
fn parse_timed(line: &[u8]) -> Option<Line<'_>> {
    let at = find_time(line)?;
    let tail = &line[at.end..];
    if let Some(lost) = lost_in_record(tail) {
        return Some(Line::Record { lost });
    }
    let time = at.ns.map_or(Time::OutOfRange, Time::At);
    Some(Line::Header(Header { thread: parse_prefix(&line[..at.start]), time, suffix: parse_suffix(tail) }))
}

/// `None` if the text behind a time is not that of a record other than a sample.
pub(super) fn lost_in_record(tail: &[u8]) -> Option<u64> {
    let text = tail.trim_ascii();
    if !text.starts_with(b"PERF_RECORD_") {
        return None;
    }
    if !text.starts_with(b"PERF_RECORD_LOST") {
        return Some(0);
    }
    let count = find(text, b" lost ").and_then(|at| text[at + 6..].split(|byte| *byte == b' ').next());
    Some(count.and_then(|count| std::str::from_utf8(count).ok()?.parse().ok()).unwrap_or(0))
}

/// A line that begins with a tab: part of a sample's body, whatever it says.
fn parse_body(line: &[u8]) -> Line<'_> {
    if let Some(text) = after_address(line) {
        return Line::Frame { frame: parse_frame(text), alone: false };
    }
    if is_other_field(line) {
        return Line::OtherField;
    }
    if is_frame_without_address(line) {
        return Line::Frame { frame: parse_frame(line), alone: false };
    }
    parse_timed(line).unwrap_or(Line::Odd)
}

/// A line that begins with a blank: a frame, a source line, or a header whose name is
/// right-aligned.
fn parse_indented(line: &[u8]) -> Line<'_> {
    if let Some(text) = after_address(line) {
        // A command may be called `cafe`, and a thread's id may stand alone; the first is told by the frame's own
        // address behind it.
        let is_tid =
            text.trim_ascii().is_empty() && line.len() < 16 && line.trim_ascii().iter().all(u8::is_ascii_digit);
        if next_address(text).is_none() && !is_tid {
            return Line::Frame { frame: parse_frame(text), alone: is_alone(line) };
        }
    } else if is_other_field(line) {
        return Line::OtherField;
    }
    let header = parse_untimed_header(line);
    if let Some(Line::Header(_) | Line::Record { .. }) = header {
        return header.unwrap_or(Line::Odd);
    }
    match parse_source(line) {
        Some(source) => Line::Source(source),
        None if is_frame_without_address(line) => Line::Frame { frame: parse_frame(line), alone: false },
        None => header.unwrap_or(Line::Odd),
    }
}

/// Whether the line begins with a blank and an address right-aligned in 16 columns, as samples do of which nothing
/// else is printed.
fn is_alone(line: &[u8]) -> bool {
    let Some((columns, rest)) = line.strip_prefix(b" ").and_then(|line| line.split_at_checked(16)) else {
        return false;
    };
    let digits = columns.trim_ascii_start();
    !digits.is_empty() && digits.iter().all(|byte| is_hex(*byte)) && matches!(rest.first(), None | Some(b' '))
}

fn parse_untimed_header(line: &[u8]) -> Option<Line<'_>> {
    if let Some(lost) = find(line, b"PERF_RECORD_").and_then(|at| lost_in_record(&line[at..])) {
        return Some(Line::Record { lost });
    }
    let untimed = parse_untimed(line)?;
    let header = Header { thread: untimed.thread, time: Time::NotPrinted, suffix: untimed.suffix };
    // A name alone has a blank behind it, where perf prints it.
    let more = header.thread.tid.is_some() || header.suffix.event.is_some();
    match untimed.certain {
        true => Some(Line::Header(header)),
        false => (more || line.ends_with(b" ")).then_some(Line::MaybeHeader(header)),
    }
}
