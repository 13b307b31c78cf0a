//! Names made fit to be shown.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// See `ActionCommand.TryParse` of github.com/actions/runner.
const RUNNER_COMMAND: &str = "##[";

/// The name in one line without anything that moves the cursor, changes colours, reorders text or cannot be seen.
/// Such characters are written as escapes: `\n`, `\x1b`, `\u{202e}`. So is what GitHub's runner takes for the begin of a
/// command wherever it stands in a line.
pub(crate) fn printable(name: &str) -> Cow<'_, str> {
    if name.contains(RUNNER_COMMAND) {
        return printable(&name.replace(RUNNER_COMMAND, "##\\x5b")).into_owned().into();
    }
    if name.is_empty() { "[no name]".into() } else { escaped(name, is_unprintable) }
}

/// A message for a terminal, of one line or several: names of files and what stands in them may be part of it. As in
/// tables, characters that move the cursor, change colours, reorder text or cannot be seen are written as escapes; ends
/// of lines and tabs stay. Colours of one's own are added afterwards.
///
/// ```
/// assert_eq!(burnmark_report::message("cannot open a\x1b[31mb:\n\tno"), "cannot open a\\x1b[31mb:\n\tno");
/// ```
pub fn message(text: &str) -> Cow<'_, str> {
    if text.contains(RUNNER_COMMAND) {
        return message(&text.replace(RUNNER_COMMAND, "##\\x5b")).into_owned().into();
    }
    escaped(text, |char| is_unprintable(char) && !matches!(char, '\n' | '\t'))
}

/// The text with escapes for some characters.
fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return text.into();
    }
    let mut result = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        match char {
            _ if !is_escaped(char) => result.push(char),
            '\n' => result.push_str("\\n"),
            '\r' => result.push_str("\\r"),
            '\t' => result.push_str("\\t"),
            // Writing to a string does not fail.
            '\0'..='\x7f' => _ = write!(result, "\\x{:02x}", u32::from(char)),
            _ => _ = write!(result, "\\u{{{:x}}}", u32::from(char)),
        }
    }
    result.into()
}

/// Controls, line and paragraph separators, marks and overrides of direction (`Trojan Source`), invisible joiners,
/// noncharacters.
fn is_unprintable(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
        || u32::from(char) & 0xfffe == 0xfffe
}

/// The name's columns on a terminal.
pub(crate) fn width(name: &str) -> usize {
    name.width()
}

/// The name in at most `columns` columns of a terminal, with `…` for what was cut out of its middle: both the crate and
/// the function at the end of a long path stay visible.
pub(crate) fn cut_middle(name: &str, columns: usize) -> Cow<'_, str> {
    if bytes_in(name.chars(), columns) == name.len() {
        return name.into();
    }
    let room = columns.saturating_sub(1);
    // A little more of the end, where the function itself is.
    let head = bytes_in(name.chars(), room * 2 / 5);
    let tail = bytes_in(name.chars().rev(), room - room * 2 / 5);
    format!("{}…{}", &name[..head], &name[name.len() - tail..]).into()
}

/// How many bytes the first characters take that fit into `columns`.
fn bytes_in(chars: impl Iterator<Item = char>, columns: usize) -> usize {
    let (mut used, mut bytes) = (0, 0);
    for char in chars {
        used += char.width().unwrap_or(0);
        if used > columns {
            break;
        }
        bytes += char.len_utf8();
    }
    bytes
}

/// The text in at most `bytes` bytes, cut in the middle likewise.
pub(crate) fn cut_bytes(text: &str, bytes: usize) -> Cow<'_, str> {
    if text.len() <= bytes {
        return text.into();
    }
    let half = bytes.saturating_sub('…'.len_utf8()) / 2;
    let (head, tail) = (text.floor_char_boundary(half), text.ceil_char_boundary(text.len() - half));
    format!("{}…{}", &text[..head], &text[tail..]).into()
}

/// The text in at most `columns` columns, with `..` for what was cut off its end; nothing if fewer than three are free.
pub(crate) fn cut_end(text: &str, columns: usize) -> String {
    if columns < 3 {
        return String::new();
    }
    let whole = bytes_in(text.chars(), columns);
    if whole == text.len() {
        return text.to_owned();
    }
    let head = bytes_in(text.chars(), columns - 2);
    format!("{}..", &text[..head])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_printable() {
        assert_eq!(printable("plain é 函"), "plain é 函");
        assert_eq!(printable(""), "[no name]");
        assert_eq!(printable("a##[error]b##[\x1b"), r"a##\x5berror]b##\x5b\x1b");
        assert_eq!(
            printable("\x1b[31m\0\u{9b}\n\u{202e}\u{2066}\u{feff}\u{ffff}\u{1fffe}"),
            r"\x1b[31m\x00\u{9b}\n\u{202e}\u{2066}\u{feff}\u{ffff}\u{1fffe}"
        );
    }

    #[test]
    fn messages_keep_their_lines() {
        assert_eq!(message("plain é 函\n\tnext"), "plain é 函\n\tnext");
        assert_eq!(message(""), "");
        assert_eq!(
            message("a\x1b]0;t\x07\r\x7f\u{9b}\n\u{202e}##[x"),
            "a\\x1b]0;t\\x07\\r\\x7f\\u{9b}\n\\u{202e}##\\x5bx"
        );
    }

    #[test]
    fn cuts_keep_to_columns_and_bytes() {
        for name in [
            "",
            "a",
            "core::ops::function::FnOnce::call_once",
            "函数名称很长很长很长",
            "e\u{301}e\u{301}e\u{301}e\u{301}",
        ] {
            for room in 1..50 {
                let middle = cut_middle(name, room);
                assert!(width(&middle) <= room, "{middle} in {room}");
                assert!(width(name) > room || middle == name);
                let end = cut_end(name, room);
                assert!(width(&end) <= room, "{end} in {room}");
                assert!(cut_bytes(name, room).len() <= room.max(3));
            }
        }
        assert_eq!(cut_middle("core::ops::function::FnOnce::call_once", 20), "core::o…e::call_once");
        assert_eq!(cut_end("call_once", 7), "call_..");
    }
}
