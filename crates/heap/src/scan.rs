//! The outermost object: where each section is, and how many numbers lie in each block of it.

use memchr::{memchr, memchr_iter, memchr2};
use rayon::prelude::*;

use crate::header::MAX_HEADER;
use crate::source::Source;
use crate::{Error, error::malformed};

/// How much of a list of numbers is parsed at a time.
pub(crate) const BLOCK: usize = 1 << 20;

/// How many blocks are looked at together for the end of a list.
const BATCH: usize = 64;

/// A list of numbers: `[start, end)` without its brackets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Commas before each block of `BLOCK` bytes, and all of them at the end.
    pub(crate) commas: Vec<u64>,
    /// Whether there is nothing in it.
    pub(crate) empty: bool,
    /// Whether its closing bracket is there.
    pub(crate) complete: bool,
}

impl Numbers {
    /// How many numbers there are.
    pub(crate) fn count(&self) -> u64 {
        if self.empty { 0 } else { self.commas.last().copied().unwrap_or(0) + 1 }
    }
}

/// The sections that are used.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sections {
    /// Of the `snapshot` object.
    pub(crate) header: (usize, usize),
    pub(crate) nodes: Option<Numbers>,
    pub(crate) edges: Option<Numbers>,
    pub(crate) locations: Option<Numbers>,
    /// Behind the opening bracket.
    pub(crate) strings: Option<usize>,
    /// Set if the input ends early: in which section, or after which.
    pub(crate) cut_in: Option<&'static str>,
}

/// Finds the sections. An input that breaks off gives what there is.
pub(crate) fn sections(source: &Source) -> Result<Sections, Error> {
    let bytes = source.all();
    let mut sections = Sections::default();
    let mut at = blanks(bytes, bytes.strip_prefix(b"\xef\xbb\xbf").map_or(0, |_| 3));
    if bytes.get(at) != Some(&b'{') {
        return Err(Error::NotASnapshot);
    }
    at = blanks(bytes, at + 1);
    let mut after = "the header";
    loop {
        let Some((key, value)) = key(bytes, at)? else {
            sections.cut_in = Some(after);
            break;
        };
        if sections.header.1 == 0 && key != b"snapshot" {
            return Err(Error::NotASnapshot);
        }
        if bytes.get(value).is_none() {
            sections.cut_in = Some(section_name(key));
            break;
        }
        let end = section(source, key, value, &mut sections)?;
        after = section_name(key);
        let Some(end) = end else {
            sections.cut_in = sections.cut_in.or(if key == b"strings" { None } else { Some(after) });
            break;
        };
        at = blanks(bytes, end);
        match bytes.get(at) {
            Some(b',') => at = blanks(bytes, at + 1),
            Some(b'}') => break,
            Some(_) => return Err(malformed(at as u64, "something other than a comma between two sections")),
            None => {
                sections.cut_in = Some(after);
                break;
            }
        }
    }
    Ok(sections)
}

/// Reads over one section; its end, or `None` at the end of the input and after what ends the reading: the strings.
fn section(source: &Source, key: &[u8], value: usize, sections: &mut Sections) -> Result<Option<usize>, Error> {
    let bytes = source.all();
    let list = match key {
        b"nodes" => &mut sections.nodes,
        b"edges" => &mut sections.edges,
        b"locations" => &mut sections.locations,
        b"strings" => {
            if bytes[value] != b'[' {
                return Err(malformed(value as u64, "`strings` is no list"));
            }
            sections.strings = Some(value + 1);
            return Ok(None);
        }
        b"snapshot" => {
            if bytes[value] != b'{' {
                return Err(Error::NotASnapshot);
            }
            let end = skip_value(&bytes[..bytes.len().min(value + MAX_HEADER)], value);
            sections.header = (value, end.unwrap_or(value));
            if end.is_none() && bytes.len() > value + MAX_HEADER {
                return Err(Error::NotASnapshot);
            }
            return Ok(end);
        }
        _ => return Ok(skip_value(bytes, value)),
    };
    if bytes[value] != b'[' {
        return Err(malformed(value as u64, "a list of numbers should begin here"));
    }
    let numbers = numbers(source, value + 1)?;
    let end = numbers.complete.then_some(numbers.end + 1);
    *list = Some(numbers);
    Ok(end)
}

/// What a section is called in messages.
fn section_name(key: &[u8]) -> &'static str {
    match key {
        b"snapshot" => "the header",
        b"nodes" => "the nodes",
        b"edges" => "the edges",
        b"locations" => "the locations",
        b"strings" => "the strings",
        b"samples" => "the samples",
        _ => "the sections between edges and strings",
    }
}

fn blanks(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The key at `at` and where its value begins; `None` if the input ends before.
fn key(bytes: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, Error> {
    let Some(first) = bytes.get(at) else { return Ok(None) };
    if *first != b'"' {
        return Err(malformed(at as u64, format!("{:?} where a section's name should be", char::from(*first))));
    }
    let window = &bytes[at + 1..bytes.len().min(at + 258)];
    let Some(length) = memchr(b'"', window) else {
        if window.len() < 257 {
            return Ok(None);
        }
        return Err(malformed(at as u64, "a section's name is too long"));
    };
    let colon = blanks(bytes, at + length + 2);
    match bytes.get(colon) {
        Some(b':') => Ok(Some((&window[..length], blanks(bytes, colon + 1)))),
        Some(_) => Err(malformed(colon as u64, "no colon after a section's name")),
        None => Ok(None),
    }
}

/// The end of the JSON value at `at`: an object, a list, a string or a word. `None` if the input ends before.
fn skip_value(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match *bytes.get(at)? {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'"' => {
                at = string_end(bytes, at + 1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b',' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

/// The closing quote of the string that begins at `at`, behind its opening one.
pub(crate) fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// How much is looked at at a time: it stays in a processor's own cache.
const SLICE: usize = 128 << 10;

/// The commas of a block until the list's end, where that is, and whether all is blank.
fn count(source: &Source, start: usize, buffer: &mut Vec<u8>) -> Result<(u64, Option<usize>, bool), Error> {
    let end = (start + BLOCK).min(source.len());
    let (mut commas, mut blank) = (0, true);
    for at in (start..end).step_by(SLICE) {
        let slice = source.block(at, end.min(at + SLICE), buffer)?;
        let closing = memchr(b']', slice);
        let slice = &slice[..closing.unwrap_or(slice.len())];
        let more = memchr_iter(b',', slice).count() as u64;
        commas += more;
        blank &= more == 0 && slice.iter().all(u8::is_ascii_whitespace);
        if let Some(closing) = closing {
            return Ok((commas, Some(at - start + closing), blank));
        }
    }
    Ok((commas, None, blank))
}

/// Counts the commas of a list of numbers, block by block, until its end.
fn numbers(source: &Source, start: usize) -> Result<Numbers, Error> {
    let mut numbers = Numbers { start, end: source.len(), commas: vec![0], empty: true, complete: false };
    let mut from = start;
    let mut total = 0;
    while from < source.len() && !numbers.complete {
        let blocks: Vec<usize> = (from..source.len()).step_by(BLOCK).take(BATCH).collect();
        let counted = blocks.par_iter().map_init(Vec::new, |buffer, &at| count(source, at, buffer));
        for (at, (commas, closing, blank)) in blocks.iter().zip(counted.collect::<Result<Vec<_>, _>>()?) {
            total += commas;
            numbers.empty &= blank;
            numbers.commas.push(total);
            if let Some(closing) = closing {
                numbers.end = at + closing;
                numbers.complete = true;
                break;
            }
        }
        from += BLOCK * BATCH;
    }
    Ok(numbers)
}
