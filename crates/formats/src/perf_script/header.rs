//! The header of a sample: `comm pid/tid [cpu] time: period event: …`, of which `perf script -F` may leave out any part.

use super::frame::{after_address, next_address};

/// Who was sampled, as printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ThreadText<'a> {
    /// The command's name; it may contain anything, numbers and slashes included.
    pub(super) comm: &'a [u8],
    pub(super) pid: Option<i64>,
    pub(super) tid: Option<i64>,
}

/// A sample's period as printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Period {
    Value(i64),
    /// Negative, or more than 63 bits hold.
    OutOfRange,
}

/// What stands behind the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Suffix<'a> {
    pub(super) period: Option<Period>,
    pub(super) event: Option<&'a [u8]>,
    /// Frames on the header's own line, for [`super::frame::frames_on_line`]; empty if there are none.
    pub(super) frames: &'a [u8],
}

/// What a header without a time is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Untimed<'a> {
    pub(super) thread: ThreadText<'a>,
    pub(super) suffix: Suffix<'a>,
    /// Whether it is a header by itself; otherwise only frames below it make it one.
    pub(super) certain: bool,
}

/// The place of a time, `seconds.fraction:`, in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeAt {
    pub(super) start: usize,
    /// Behind the colon.
    pub(super) end: usize,
    /// `None` if it does not fit.
    pub(super) ns: Option<i64>,
}

/// Finds the first word that is a time.
pub(super) fn find_time(line: &[u8]) -> Option<TimeAt> {
    let mut from = 0;
    while let Some(found) = memchr::memchr(b':', &line[from..]) {
        let colon = from + found;
        from = colon + 1;
        if !matches!(line.get(colon + 1), None | Some(b' ' | b'\t' | b'\r')) {
            continue;
        }
        let fraction = count_digits_back(&line[..colon]);
        if !(6..=9).contains(&fraction) || line[..colon - fraction].last() != Some(&b'.') {
            continue;
        }
        let point = colon - fraction - 1;
        let seconds = count_digits_back(&line[..point]);
        let start = point - seconds;
        if seconds == 0 || !matches!(line[..start].last(), None | Some(b' ' | b'\t')) {
            continue;
        }
        let ns = parse_time(&line[start..point], &line[point + 1..colon]);
        return Some(TimeAt { start, end: colon + 1, ns });
    }
    None
}

fn count_digits_back(text: &[u8]) -> usize {
    text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count()
}

fn parse_time(seconds: &[u8], fraction: &[u8]) -> Option<i64> {
    let scale = 10i64.pow(9 - fraction.len() as u32);
    parse_i64(seconds)?.checked_mul(1_000_000_000)?.checked_add(parse_i64(fraction)?.checked_mul(scale)?)
}

/// Decimal digits with or without a minus sign.
fn parse_i64(text: &[u8]) -> Option<i64> {
    let (digits, negative) = match text.strip_prefix(b"-") {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
    }
    Some(if negative { -value } else { value })
}

fn is_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// The last word of a text, with how wide it is including the blanks that right-align it.
struct LastWord<'a> {
    before: &'a [u8],
    word: &'a [u8],
    width: usize,
    after_tab: bool,
}

fn last_word(text: &[u8]) -> LastWord<'_> {
    let text = trim_end(text);
    let start = text.iter().rposition(|byte| is_blank(*byte)).map_or(0, |at| at + 1);
    let before = trim_end(&text[..start]);
    let blanks = start - before.len();
    let separator = usize::from(!before.is_empty());
    let width = (blanks + text.len() - start).saturating_sub(separator);
    LastWord { before, word: &text[start..], width, after_tab: text[before.len()..start].contains(&b'\t') }
}

fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |at| at + 1);
    &text[..end]
}

/// Columns that perf right-aligns a thread id in, at least.
const TID_WIDTH: usize = 5;
/// Columns that perf right-aligns a period in.
const PERIOD_WIDTH: usize = 10;

/// Reads what stands before the time: `comm pid/tid [cpu] misc date`.
pub(super) fn parse_prefix(prefix: &[u8]) -> ThreadText<'_> {
    let text = without_cpu(without_misc(without_date(prefix)), 0);
    match split_tid(text, 0) {
        Some(thread) => thread,
        None => ThreadText { comm: text.trim_ascii(), pid: None, tid: None },
    }
}

/// Takes `2026-11-21 10:00:00.123456` (`-F +tod`) off.
fn without_date(text: &[u8]) -> &[u8] {
    let clock = last_word(text);
    let date = last_word(clock.before);
    let like = |word: &[u8], marks: &[u8], at: [usize; 2]| {
        word.len() >= at[1] + 3
            && at.iter().all(|at| marks.contains(&word[*at]))
            && word.iter().all(|byte| byte.is_ascii_digit() || marks.contains(byte) || *byte == b'.')
    };
    if like(clock.word, b":", [2, 5]) && like(date.word, b"-", [4, 7]) { date.before } else { text }
}

/// Takes the letters of `-F +misc` off: where the sample was taken, `U`, `K`, …
fn without_misc(text: &[u8]) -> &[u8] {
    let last = last_word(text);
    let is_misc =
        !last.word.is_empty() && last.word.len() <= 5 && last.word.iter().all(|byte| b"KUHGgMESXd".contains(byte));
    let behind = last_word(last.before);
    if is_misc && (is_cpu(behind.word) || tid_of(behind.word).is_some()) { last.before } else { text }
}

/// Takes `[cpu]` off, which perf prints with three digits at least; fewer may be a part of the name.
fn without_cpu(text: &[u8], tid_width: usize) -> &[u8] {
    let last = last_word(text);
    let certain = last.word.len() >= 5 || split_tid(last.before, tid_width).is_some();
    if is_cpu(last.word) && certain { last.before } else { text }
}

fn is_cpu(word: &[u8]) -> bool {
    let inner = word.strip_prefix(b"[").and_then(|word| word.strip_suffix(b"]"));
    inner.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// `tid` or `pid/tid`.
fn tid_of(word: &[u8]) -> Option<(Option<i64>, i64)> {
    match word.iter().position(|byte| *byte == b'/') {
        Some(slash) => Some((Some(parse_i64(&word[..slash])?), parse_i64(&word[slash + 1..])?)),
        None => Some((None, parse_i64(word)?)),
    }
}

/// Splits `comm tid`. A lone number counts as a tid only if it is aligned in `width` columns at least.
fn split_tid(text: &[u8], width: usize) -> Option<ThreadText<'_>> {
    let last = last_word(text);
    let (pid, tid) = tid_of(last.word)?;
    let is_tid = pid.is_some() || last.width >= width || last.after_tab;
    is_tid.then_some(ThreadText { comm: last.before.trim_ascii(), pid, tid: Some(tid) })
}

/// The first word, with the columns it and the blanks before it take, and what follows it.
fn first_word(text: &[u8]) -> (&[u8], usize, &[u8]) {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    let length = text[blanks..].iter().take_while(|byte| !is_blank(**byte)).count();
    (&text[blanks..blanks + length], (blanks + length).saturating_sub(1), &text[blanks + length..])
}

/// Reads what stands behind the time: `period event: frames or anything`.
pub(super) fn parse_suffix(text: &[u8]) -> Suffix<'_> {
    let (period, rest) = split_period(text);
    let (event, frames) = parse_tail(rest);
    Suffix { period, event, frames }
}

/// Splits off the period behind a time.
pub(super) fn split_period(text: &[u8]) -> (Option<Period>, &[u8]) {
    let (word, width, rest) = first_word(text);
    // An address of decimal digits alone is told from a period by its columns.
    let is_period = is_integer(word) && (width < 16 || first_word(rest).0.ends_with(b":"));
    if is_period { (Some(parse_period(word)), rest) } else { (None, text) }
}

/// Reads what stands behind the period: the event's name, and frames for [`super::frame::frames_on_line`].
pub(super) fn parse_tail(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match split_event(text) {
        Some((event, rest)) => (Some(event), frames_in(rest)),
        None => (None, frames_in(text)),
    }
}

fn parse_period(word: &[u8]) -> Period {
    match parse_i64(word) {
        Some(value) if value >= 0 => Period::Value(value),
        _ => Period::OutOfRange,
    }
}

/// Splits `event: rest`. Names of events may contain blanks and colons; what ends them is a colon before a blank.
fn split_event(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = text.iter().position(|byte| !is_blank(*byte))?;
    let limit = next_address(text).unwrap_or(text.len());
    let mut from = start;
    while let Some(found) = memchr::memchr(b':', &text[from..]) {
        let colon = from + found;
        if colon >= limit {
            return None;
        }
        if colon > start && text.get(colon + 1).is_none_or(|byte| is_blank(*byte)) {
            return Some((&text[start..colon], &text[colon + 1..]));
        }
        from = colon + 1;
    }
    None
}

/// The part of a header's tail that holds frames.
fn frames_in(text: &[u8]) -> &[u8] {
    if let Some(at) = next_address(text) {
        return trim_end(&text[at..]);
    }
    // Not aligned: by other tools, or by hand.
    let text = text.trim_ascii();
    if text.ends_with(b")") && after_address(text).is_some() { text } else { &[] }
}

/// Reads a header that has no time.
pub(super) fn parse_untimed(line: &[u8]) -> Option<Untimed<'_>> {
    let (head, event, tail) = split_untimed_event(line);
    let (head, frames) = match event {
        Some(_) => (head, frames_in(tail)),
        None => match next_address(line) {
            Some(at) => (&line[..at], trim_end(&line[at..])),
            None => (line, &[][..]),
        },
    };
    let last = last_word(head);
    let is_period = is_integer(last.word)
        && last.width >= PERIOD_WIDTH
        && split_tid(without_cpu(last.before, TID_WIDTH), TID_WIDTH).is_some();
    let (period, head) = match is_period {
        true => (Some(parse_period(last.word)), last.before),
        false => (None, head),
    };
    let head = without_cpu(head, TID_WIDTH);
    let thread = split_tid(head, TID_WIDTH).unwrap_or(ThreadText { comm: head.trim_ascii(), pid: None, tid: None });
    if thread == ThreadText::default() && event.is_none() && frames.is_empty() {
        return None;
    }
    let certain = !frames.is_empty() || (thread.tid.is_some() && event.is_some());
    Some(Untimed { thread, suffix: Suffix { period, event, frames }, certain })
}

/// Splits `head event: tail` where no time tells them apart: the event's name is a word with a colon behind a number
/// or a CPU, or else the last such word.
fn split_untimed_event(line: &[u8]) -> (&[u8], Option<&[u8]>, &[u8]) {
    let limit = next_address(line).unwrap_or(line.len());
    let mut best = None;
    let mut at = 0;
    let mut after_number = false;
    while at < limit {
        let (word, _, rest) = first_word(&line[at..]);
        let end = line.len() - rest.len();
        if word.len() > 1 && word.ends_with(b":") {
            best = Some((end - word.len(), end));
            if after_number {
                break;
            }
        }
        after_number = tid_of(word).is_some() || is_cpu(word);
        at = end;
        if word.is_empty() {
            break;
        }
    }
    match best {
        Some((start, end)) => (&line[..start], Some(&line[start..end - 1]), &line[end..]),
        None => (line, None, &[]),
    }
}
