//! JSON as a stream of tokens, for documents that are large, or nested deeper than a parser may recurse. The caller
//! walks the document in its own order and skips what it does not know; memory follows the longest token.

use std::io::{ErrorKind, Read};

use burnmark_model::Position;

use crate::{Error, Format};

/// How much is read at a time.
const BLOCK: usize = 256 << 10;
/// Longest text. Names of 10 MB exist.
const MAX_TEXT: usize = 64 << 20;
/// Longest number: more digits than any double needs.
const MAX_NUMBER: usize = 1024;

/// A JSON document that is read once, in order.
pub(crate) struct Json<R> {
    format: Format,
    input: R,
    buffer: Vec<u8>,
    at: usize,
    /// Offset of the buffer's first byte in the input.
    offset: u64,
    ended: bool,
    scratch: String,
    /// Where the first text that is not UTF-8 or has half a surrogate pair is, and how many there are.
    pub(crate) lossy: Option<(u64, u64)>,
}

/// What kind of value comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Object,
    Array,
    Text,
    Number,
    /// `true`, `false` or `null`.
    Word,
}

/// Which member of an object or array is next.
#[derive(Debug)]
pub(crate) struct Members {
    first: bool,
}

impl<R: Read> Json<R> {
    pub(crate) fn new(input: R, format: Format) -> Self {
        Self { format, input, buffer: Vec::new(), at: 0, offset: 0, ended: false, scratch: String::new(), lossy: None }
    }

    /// Offset of the next byte in the input.
    pub(crate) fn position(&self) -> u64 {
        self.offset + self.at as u64
    }

    /// An error at the current position.
    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        Error::malformed(self.format, Position::Byte(self.position()), message)
    }

    /// What comes next.
    pub(crate) fn next(&mut self) -> Result<Next, Error> {
        match self.peek()? {
            Some(b'{') => Ok(Next::Object),
            Some(b'[') => Ok(Next::Array),
            Some(b'"') => Ok(Next::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Next::Number),
            Some(b't' | b'f' | b'n') => Ok(Next::Word),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Enters an object.
    pub(crate) fn object(&mut self) -> Result<Members, Error> {
        self.expect(b'{', "an object").map(|()| Members { first: true })
    }

    /// Enters an array.
    pub(crate) fn array(&mut self) -> Result<Members, Error> {
        self.expect(b'[', "an array").map(|()| Members { first: true })
    }

    /// What `take` makes of the next key of an object, or `None` past its last.
    #[inline]
    pub(crate) fn key<T>(&mut self, members: &mut Members, take: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Error> {
        if !self.member(members, b'}')? {
            return Ok(None);
        }
        self.peek()?;
        let key = match self.buffer.get(self.at..).and_then(plain_key) {
            Some(key) => {
                self.at += key.len() + 2;
                take(key)
            }
            None => self.text(|key| take(key.as_bytes()))?,
        };
        self.expect(b':', "`:`")?;
        Ok(Some(key))
    }

    /// The next value up to its first `}`, if that is among the next `limit` bytes. An object may be longer: the brace
    /// may be another object's, or in a text.
    pub(crate) fn up_to_brace(&mut self, limit: usize) -> Result<Option<&[u8]>, Error> {
        self.peek()?;
        self.fill(limit)?;
        let rest = &self.buffer[self.at..];
        let rest = &rest[..rest.len().min(limit)];
        Ok(memchr::memchr(b'}', rest).map(|at| &rest[..=at]))
    }

    /// Passes over bytes that are known, and in the buffer.
    pub(crate) fn pass(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.buffer.len());
    }

    /// Whether an array has another item.
    #[inline]
    pub(crate) fn item(&mut self, members: &mut Members) -> Result<bool, Error> {
        self.member(members, b']')
    }

    #[inline]
    fn member(&mut self, members: &mut Members, end: u8) -> Result<bool, Error> {
        let next = self.peek()?;
        if next == Some(end) {
            self.at += 1;
            return Ok(false);
        }
        if !std::mem::take(&mut members.first) {
            if next != Some(b',') {
                return Err(self.unexpected(if end == b']' { "`,` or `]`" } else { "`,` or `}`" }));
            }
            self.at += 1;
        }
        Ok(true)
    }

    /// What `take` makes of a text.
    pub(crate) fn text<T>(&mut self, take: impl FnOnce(&str) -> T) -> Result<T, Error> {
        self.expect(b'"', "a text")?;
        let start = self.position();
        let mut length = 0;
        let mut escaped = false;
        loop {
            let rest = &self.buffer[self.at + length..];
            match memchr::memchr2(b'"', b'\\', rest) {
                Some(found) if rest[found] == b'"' => {
                    length += found;
                    break;
                }
                // The escaped character may be a quote.
                Some(found) if found + 1 < rest.len() => {
                    escaped = true;
                    length += found + 2;
                }
                _ if length + rest.len() > MAX_TEXT => {
                    return Err(self.error(format!("a text of more than {MAX_TEXT} bytes")));
                }
                found => {
                    length += found.unwrap_or(rest.len());
                    let wanted = self.buffer.len() - self.at + 1;
                    if !self.fill(wanted)? {
                        return Err(self.cut_off());
                    }
                }
            }
        }
        let bytes = &self.buffer[self.at..self.at + length];
        self.at += length + 1;
        let lossy = match std::str::from_utf8(bytes) {
            Ok(text) if !escaped => return Ok(take(text)),
            _ => unescape(bytes, &mut self.scratch),
        };
        if lossy {
            self.lossy = Some(self.lossy.map_or((start, 1), |(first, count)| (first, count + 1)));
        }
        Ok(take(&self.scratch))
    }

    /// A whole number; fractions are rounded, as are numbers beyond 64 bits. `null` and texts are errors.
    #[inline]
    pub(crate) fn integer(&mut self) -> Result<i64, Error> {
        self.peek()?;
        self.fill(32)?;
        // Nearly all numbers are short and whole.
        let rest = &self.buffer[self.at..];
        let negative = rest.first() == Some(&b'-');
        let start = usize::from(negative);
        let mut value = 0i64;
        let mut end = start;
        for byte in rest.iter().skip(start).take(18) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value * 10 + i64::from(digit);
            end += 1;
        }
        if end > start && !matches!(rest.get(end), Some(b'0'..=b'9' | b'.' | b'e' | b'E')) {
            self.at += end;
            return Ok(if negative { -value } else { value });
        }
        self.long_integer()
    }

    #[cold]
    fn long_integer(&mut self) -> Result<i64, Error> {
        let text = self.number_text()?;
        match text.parse::<i64>() {
            Ok(value) => Ok(value),
            Err(_) => Ok(self.parse_float(&text)?.round() as i64),
        }
    }

    /// A number.
    pub(crate) fn float(&mut self) -> Result<f64, Error> {
        self.peek()?;
        let text = self.number_text()?;
        self.parse_float(&text)
    }

    fn parse_float(&self, text: &str) -> Result<f64, Error> {
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(self.error(format!("`{}` is no number", text.chars().take(40).collect::<String>()))),
        }
    }

    fn number_text(&mut self) -> Result<String, Error> {
        self.fill(MAX_NUMBER)?;
        let rest = &self.buffer[self.at..];
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().take(MAX_NUMBER).take_while(|byte| is_part(byte)).count();
        if length == 0 || length == MAX_NUMBER {
            return Err(self.unexpected("a number"));
        }
        let text = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length;
        Ok(text)
    }

    /// Passes over a value, however deep.
    pub(crate) fn skip(&mut self) -> Result<(), Error> {
        let mut depth = 0u64;
        loop {
            match self.peek()? {
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                Some(b'"') => self.text(|_| ())?,
                Some(b'-' | b'0'..=b'9') => self.number_text().map(|_| ())?,
                Some(b'a'..=b'z') => {
                    while let Some(b'a'..=b'z') = self.byte()? {
                        self.at += 1;
                    }
                }
                _ => return Err(self.unexpected("a value")),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Makes sure that nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        if self.peek()?.is_some() { Err(self.error("there is more text after the document's end")) } else { Ok(()) }
    }

    #[inline]
    fn expect(&mut self, wanted: u8, what: &str) -> Result<(), Error> {
        if self.peek()? != Some(wanted) {
            return Err(self.unexpected(what));
        }
        self.at += 1;
        Ok(())
    }

    /// The next byte that is not white space.
    #[inline]
    fn peek(&mut self) -> Result<Option<u8>, Error> {
        match self.buffer.get(self.at) {
            Some(byte) if *byte > b' ' => Ok(Some(*byte)),
            _ => self.peek_further(),
        }
    }

    fn peek_further(&mut self) -> Result<Option<u8>, Error> {
        loop {
            match self.byte()? {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return Ok(other),
            }
        }
    }

    fn byte(&mut self) -> Result<Option<u8>, Error> {
        self.fill(1)?;
        Ok(self.buffer.get(self.at).copied())
    }

    /// Makes at least `wanted` bytes available, unless the input ends before.
    #[inline]
    fn fill(&mut self, wanted: usize) -> Result<bool, Error> {
        if self.buffer.len() - self.at >= wanted { Ok(true) } else { self.read(wanted) }
    }

    /// Reads on, with what is left of the buffer before it.
    fn read(&mut self, wanted: usize) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.copy_within(self.at.., 0);
        let mut filled = self.buffer.len() - self.at;
        self.offset += self.at as u64;
        self.at = 0;
        if self.buffer.len() < wanted.max(filled + BLOCK / 2) {
            // A long text's buffer doubles.
            self.buffer.resize(wanted.max(filled + BLOCK.max(filled)), 0);
        }
        let mut result = Ok(());
        while filled < self.buffer.len() {
            match self.input.read(&mut self.buffer[filled..]) {
                Ok(0) => self.ended = true,
                Ok(length) => {
                    filled += length;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => result = Err(error),
            }
            self.buffer.truncate(filled);
        }
        result?;
        Ok(filled >= wanted)
    }

    fn unexpected(&self, wanted: &str) -> Error {
        match self.buffer.get(self.at) {
            None => self.cut_off(),
            Some(byte @ b' '..=b'~') => self.error(format!("expected {wanted}, found `{}`", char::from(*byte))),
            Some(byte) => self.error(format!("expected {wanted}, found the byte {byte:#04x}")),
        }
    }

    fn cut_off(&self) -> Error {
        self.error("the file ends too early: copy it again, or wait until it is complete")
    }
}

/// The text of a key at the start of `rest`, if it is short, plain ASCII, and all there.
#[inline]
fn plain_key(rest: &[u8]) -> Option<&[u8]> {
    let (b'"', rest) = rest.split_first()? else { return None };
    // Eight bytes at a time; the lowest bit that is set marks the first byte that is looked for.
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    for (index, bytes) in rest.as_chunks::<8>().0.iter().take(2).enumerate() {
        let word = u64::from_le_bytes(*bytes);
        let marks = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\'))) | word & HIGHS;
        if marks != 0 {
            let length = index * 8 + marks.trailing_zeros() as usize / 8;
            return (rest[length] == b'"').then(|| &rest[..length]);
        }
    }
    None
}

/// Replaces escapes; returns whether something could not be understood.
fn unescape(bytes: &[u8], out: &mut String) -> bool {
    out.clear();
    let mut lossy = false;
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let plain = String::from_utf8_lossy(&rest[..at]);
        lossy |= matches!(plain, std::borrow::Cow::Owned(_));
        out.push_str(&plain);
        rest = &rest[at + 1..];
        let Some((kind, after)) = rest.split_first() else { break };
        rest = after;
        match kind {
            b'n' => out.push('\n'),
            b't' => out.push('\t'),
            b'r' => out.push('\r'),
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'u' => {
                let (decoded, length) = unicode(rest);
                lossy |= decoded.is_none();
                out.push(decoded.unwrap_or(char::REPLACEMENT_CHARACTER));
                rest = &rest[length..];
            }
            b'"' | b'\\' | b'/' => out.push(char::from(*kind)),
            _ => {
                lossy = true;
                out.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }
    let plain = String::from_utf8_lossy(rest);
    lossy |= matches!(plain, std::borrow::Cow::Owned(_));
    out.push_str(&plain);
    lossy
}

/// The character of `XXXX` or of a pair `XXXX\uXXXX`, and its length.
fn unicode(bytes: &[u8]) -> (Option<char>, usize) {
    let hex = |bytes: &[u8]| {
        let digits = std::str::from_utf8(bytes.get(..4)?).ok()?;
        u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
    };
    let Some(first) = hex(bytes) else { return (None, 0) };
    if !(0xd800..0xdc00).contains(&first) {
        return (char::from_u32(first), 4);
    }
    let second = bytes.get(4..6).filter(|mark| *mark == b"\\u").and_then(|_| hex(&bytes[6..]));
    match second {
        Some(second @ 0xdc00..=0xdfff) => (char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)), 10),
        _ => (None, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one byte at a time: every token crosses a border.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn json(text: &str) -> Json<Slow<'_>> {
        Json::new(Slow(text.as_bytes()), Format::Cpuprofile)
    }

    #[test]
    fn texts_are_what_serde_json_reads() {
        for text in [
            r#""""#,
            r#""plain é \u00e9 \uD83D\uDE00 \" \\ \/ \b\f\n\r\t""#,
            r#""\u0000</script>""#,
            r#""ends in a backslash \\""#,
        ] {
            let expected: String = serde_json::from_str(text).unwrap();
            assert_eq!(json(text).text(str::to_owned).unwrap(), expected);
        }
        let mut lone = json(r#""a\ud800b""#);
        assert_eq!(lone.text(str::to_owned).unwrap(), "a\u{fffd}b");
        assert_eq!(lone.lossy, Some((1, 1)));
    }

    #[test]
    fn numbers_of_all_kinds_are_read() {
        for (text, expected) in [
            ("0", 0),
            ("-17 ", -17),
            ("999999999999999999", 999_999_999_999_999_999),
            ("9223372036854775807", i64::MAX),
            ("18446744073709551615", i64::MAX),
            ("1e3", 1000),
            ("-2.6", -3),
        ] {
            assert_eq!(json(text).integer().unwrap(), expected, "{text}");
        }
        assert_eq!(json("12.5").float().unwrap(), 12.5);
        for text in ["", "-", "null", "1e999", "\"1\""] {
            assert!(json(text).integer().is_err(), "{text}");
        }
    }

    #[test]
    fn unknown_values_are_skipped_however_deep() {
        let deep = format!("{}{}", "[{\"a\":".repeat(100_000), "[]".to_owned() + &"}]".repeat(100_000));
        let text = format!("{{\"x\": {deep}, \"y\": 5}}");
        let mut json = Json::new(text.as_bytes(), Format::Cpuprofile);
        let mut members = json.object().unwrap();
        assert_eq!(json.key(&mut members, <[u8]>::to_vec).unwrap().as_deref(), Some(&b"x"[..]));
        json.skip().unwrap();
        assert_eq!(json.key(&mut members, <[u8]>::to_vec).unwrap().as_deref(), Some(&b"y"[..]));
        assert_eq!(json.integer().unwrap(), 5);
        assert!(json.key(&mut members, |_| ()).unwrap().is_none());
        json.end().unwrap();
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let mut members = Members { first: false };
        let error = json("  ; 1").item(&mut members).unwrap_err().to_string();
        assert_eq!(error, "not valid cpuprofile at byte 2: expected `,` or `]`, found `;`");
        let error = json("\"abc").text(|_| ()).unwrap_err().to_string();
        assert!(error.contains("ends too early"), "{error}");
    }
}
