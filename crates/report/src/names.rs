//! Names made fit to be shown.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The name in one line without anything that moves the cursor, changes colours, reorders text or cannot be seen.
/// Such characters are written as escapes: `\n`, `\x1b`, `\u{202e}`.
pub(crate) fn printable(name: &str) -> Cow<'_, str> {
    if !name.contains(is_unprintable) {
        return if name.is_empty() { "[no name]".into() } else { name.into() };
    }
    let mut result = String::with_capacity(name.len() + 8);
    for char in name.chars() {
        match char {
            '\n' => result.push_str("\\n"),
            '\r' => result.push_str("\\r"),
            '\t' => result.push_str("\\t"),
            _ if !is_unprintable(char) => result.push(char),
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
    if width_up_to(name.chars(), columns + 1).0 <= columns {
        return name.into();
    }
    let room = columns.saturating_sub(1);
    // A little more of the end, where the function itself is.
    let (_, head) = width_up_to(name.chars(), room * 2 / 5);
    let (_, tail) = width_up_to(name.chars().rev(), room - room * 2 / 5);
    format!("{}…{}", &name[..head], &name[name.len() - tail..]).into()
}

/// How many columns the first characters take that fit into `columns`, and how many bytes; with all that follows if it
/// fits.
fn width_up_to(chars: impl Iterator<Item = char>, columns: usize) -> (usize, usize) {
    let (mut used, mut bytes) = (0, 0);
    for char in chars {
        let width = char.width().unwrap_or(0);
        if used + width > columns {
            break;
        }
        used += width;
        bytes += char.len_utf8();
    }
    (used, bytes)
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
    let (_, whole) = width_up_to(text.chars(), columns);
    if whole == text.len() {
        return text.to_owned();
    }
    let (_, head) = width_up_to(text.chars(), columns - 2);
    format!("{}..", &text[..head])
}
