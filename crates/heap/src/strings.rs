//! The strings: where each one is in the input, and what the reader needs to know about some of them.

use std::borrow::Cow;

use burnmark_model::{Position, Warning};

use crate::error::malformed;
use crate::scan::string_end;
use crate::{Error, source::Source};

/// Names that decide something. A snapshot may hold the same text twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WellKnown {
    /// Any other.
    None = 0,
    Object,
    Array,
    Proto,
    Elements,
    SloppyFunctionMap,
    NativeContext,
    MapDescriptors,
    ExternalStringData,
    ArrayBufferData,
    DocumentDomTrees,
    First,
    Second,
    Empty,
    /// Names of edges that say little about why something is held; `Proto` is another.
    Little,
}

fn well_known(text: &[u8]) -> WellKnown {
    match text {
        b"" => WellKnown::Empty,
        b"Object" => WellKnown::Object,
        b"Array" => WellKnown::Array,
        b"__proto__" => WellKnown::Proto,
        b"elements" => WellKnown::Elements,
        b"sloppy_function_map" => WellKnown::SloppyFunctionMap,
        b"system / NativeContext" => WellKnown::NativeContext,
        b"(map descriptors)" => WellKnown::MapDescriptors,
        b"system / ExternalStringData" => WellKnown::ExternalStringData,
        b"system / JSArrayBufferData" => WellKnown::ArrayBufferData,
        b"(Document DOM trees)" => WellKnown::DocumentDomTrees,
        b"first" => WellKnown::First,
        b"second" => WellKnown::Second,
        b"constructor" | b"prototype" | b"previous" | b"map" | b"initial_map" | b"back_pointer" | b"parent" => {
            WellKnown::Little
        }
        _ => WellKnown::None,
    }
}

/// Marks a string that begins as a DOM node's name.
const DOM_NAME: u8 = 0x80;

/// Where the strings are.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    /// Where each begins (behind its quote).
    starts: Vec<u64>,
    /// `WellKnown`, and `DOM_NAME`.
    marks: Vec<u8>,
    /// Those that may name half of an ephemeron pair.
    pub(crate) ephemerons: Vec<u32>,
    /// Strings that the input does not hold: names of detached nodes, of shapes.
    added: Vec<String>,
}

impl Strings {
    /// Finds the strings from `start` on, behind the list's opening bracket. A list that breaks off gives what there is,
    /// and a warning.
    pub(crate) fn find(source: &Source, start: usize, warnings: &mut Vec<Warning>) -> Result<Self, Error> {
        let bytes = source.all();
        let mut strings = Self::default();
        let mut at = start;
        loop {
            while bytes.get(at).is_some_and(|byte| byte.is_ascii_whitespace() || *byte == b',') {
                at += 1;
            }
            let end = match bytes.get(at) {
                Some(b'"') => string_end(bytes, at + 1),
                Some(b']') => return Ok(strings),
                Some(_) => return Err(malformed(at as u64, "something other than a string among the strings")),
                None => None,
            };
            let Some(end) = end else {
                warnings.push(Warning {
                    message: format!(
                        "the snapshot ends within its strings, after {} of them: sizes are right, names that are \
                         missing show as `?`; take it again for all names",
                        strings.starts.len()
                    ),
                    position: Some(Position::Byte(bytes.len() as u64)),
                    count: 1,
                });
                return Ok(strings);
            };
            strings.push(at + 1, &bytes[at + 1..end])?;
            at = end + 1;
        }
    }

    fn push(&mut self, start: usize, text: &[u8]) -> Result<(), Error> {
        let index = u32::try_from(self.starts.len()).ok().filter(|index| *index < u32::MAX / 2);
        let index = index.ok_or(Error::TooLarge {
            count: self.starts.len() as u64,
            what: "strings",
            limit: u64::from(u32::MAX / 2),
        })?;
        let mut mark = well_known(text) as u8;
        match text.first() {
            Some(b'<') => mark |= DOM_NAME,
            Some(b'D') if text.starts_with(b"Detached <") => mark |= DOM_NAME,
            Some(b'0'..=b'9') if text.ends_with(b")") && text.len() > 60 => self.ephemerons.push(index),
            _ => {}
        }
        self.starts.push(start as u64);
        self.marks.push(mark);
        Ok(())
    }

    /// How many there are, added ones included.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() + self.added.len()
    }

    /// Adds one.
    pub(crate) fn add(&mut self, text: String) -> u32 {
        let mut mark = well_known(text.as_bytes()) as u8;
        if is_dom_name(&text) {
            mark |= DOM_NAME;
        }
        self.marks.push(mark);
        self.added.push(text);
        // Those of the input are fewer than half of what the type holds, and no more are added than there are.
        (self.starts.len() + self.added.len() - 1) as u32
    }

    /// Adds some.
    pub(crate) fn add_all(&mut self, texts: Vec<String>) {
        for text in texts {
            self.add(text);
        }
    }

    /// Whether the input does not hold it.
    pub(crate) fn is_lost(&self, index: u32) -> bool {
        index as usize >= self.starts.len()
    }

    /// What the string is known for.
    pub(crate) fn is(&self, index: u32, known: WellKnown) -> bool {
        self.marks.get(index as usize).is_some_and(|mark| mark & !DOM_NAME == known as u8)
    }

    /// Whether it begins with `<` or `Detached <`.
    pub(crate) fn is_dom(&self, index: u32) -> bool {
        self.marks.get(index as usize).is_some_and(|mark| mark & DOM_NAME != 0)
    }

    /// Whether the text begins so. `prefix` holds nothing that JSON would escape. A name may be long, and many may ask.
    pub(crate) fn begins(&self, source: &Source, index: u32, prefix: &str) -> bool {
        match (index as usize).checked_sub(self.starts.len()) {
            Some(added) => self.added.get(added).is_some_and(|text| text.starts_with(prefix)),
            None => source.all()[self.starts[index as usize] as usize..].starts_with(prefix.as_bytes()),
        }
    }

    /// The first bytes of the text as they are written: `length` at most.
    pub(crate) fn beginning<'a>(&'a self, source: &'a Source, index: u32, length: usize) -> &'a [u8] {
        let text = match (index as usize).checked_sub(self.starts.len()) {
            Some(added) => self.added.get(added).map_or(&[][..], |text| text.as_bytes()),
            None => {
                let text = &source.all()[self.starts[index as usize] as usize..];
                &text[..memchr::memchr(b'"', &text[..text.len().min(length)]).unwrap_or(text.len().min(length))]
            }
        };
        &text[..text.len().min(length)]
    }

    /// The text; `?` where there is none.
    pub(crate) fn get<'a>(&'a self, source: &'a Source, index: u32) -> Cow<'a, str> {
        let index = index as usize;
        if let Some(added) = index.checked_sub(self.starts.len()) {
            return self.added.get(added).map_or(Cow::Borrowed("?"), |text| Cow::Borrowed(text));
        }
        let start = self.starts[index] as usize;
        let bytes = source.all();
        let end = string_end(bytes, start).unwrap_or(bytes.len());
        decode(&bytes[start..end])
    }
}

fn is_dom_name(text: &str) -> bool {
    text.starts_with('<') || text.starts_with("Detached <")
}

/// The text of a JSON string without its quotes. Escapes that mean nothing stay as they are; lone surrogates and bytes
/// that are no UTF-8 become U+FFFD.
fn decode(raw: &[u8]) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw).is_none() {
        return String::from_utf8_lossy(raw);
    }
    let text = String::from_utf8_lossy(raw);
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    let mut units: Vec<u16> = Vec::new();
    while let Some(at) = rest.find('\\') {
        if at > 0 {
            flush(&mut units, &mut out);
            out.push_str(&rest[..at]);
        }
        let escape = &rest[at + 1..];
        let mut length = 1;
        let simple = match escape.bytes().next() {
            Some(b'n') => Some('\n'),
            Some(b't') => Some('\t'),
            Some(b'r') => Some('\r'),
            Some(b'b') => Some('\u{8}'),
            Some(b'f') => Some('\u{c}'),
            Some(quoted @ (b'"' | b'\\' | b'/')) => Some(char::from(quoted)),
            Some(b'u') if let Some(unit) = escape.get(1..5).and_then(|hex| u16::from_str_radix(hex, 16).ok()) => {
                units.push(unit);
                length = 5;
                None
            }
            _ => {
                length = 0;
                Some('\\')
            }
        };
        if let Some(simple) = simple {
            flush(&mut units, &mut out);
            out.push(simple);
        }
        rest = &escape[length..];
    }
    flush(&mut units, &mut out);
    out.push_str(rest);
    Cow::Owned(out)
}

fn flush(units: &mut Vec<u16>, out: &mut String) {
    out.extend(char::decode_utf16(units.drain(..)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(decode(br#"a\"b\\c\/\n\u0041\ud83d\ude00z"#), "a\"b\\c/\nA😀z");
        assert_eq!(decode(br"\ud83d x \x \u12"), "\u{fffd} x \\x \\u12");
        assert_eq!(decode(b"\xff\x7f"), "\u{fffd}\u{7f}");
        assert_eq!(decode(b"end\\"), "end\\");
    }
}
