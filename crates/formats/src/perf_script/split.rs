//! Cutting a text into segments that can be folded on their own, and reading them in blocks.
//!
//! A segment begins at the first line behind its nominal start that depends on nothing before it: one behind an empty
//! line, or the header of a sample. The segment before ends there, by the same rule.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fold::{Folder, Segment};
use super::line::{Line, parse_line, without_return};
use crate::blocks::{LineBlocks, MAX_LINE};
use crate::{Error, Format};

/// A text that can be read from any place.
#[derive(Clone, Copy)]
pub(super) enum Text<'a> {
    File(&'a File, u64),
    Bytes(&'a [u8]),
}

impl Text<'_> {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::File(_, len) => *len,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::File(file, len) => {
                let left = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX);
                let wanted = buffer.len().min(left);
                loop {
                    match file.read_at(&mut buffer[..wanted], offset) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        other => return other,
                    }
                }
            }
            Self::Bytes(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
                let length = rest.len().min(buffer.len());
                buffer[..length].copy_from_slice(&rest[..length]);
                Ok(length)
            }
        }
    }
}

/// How a text is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) threads: usize,
    /// Nominal length of a segment in bytes.
    pub(super) segment: u64,
    /// Bytes read at a time.
    pub(super) block: usize,
}

/// Lines longer than this are not looked at when a place to cut is sought.
const MAX_CUT_LINE: usize = 64 << 10;

/// How much is read at a time where one sample is wanted, not all.
const PEEK: usize = 8 << 10;

/// Folders, and segments in the text's order, each with the index of the folder that read it.
pub(super) type Folded = (Vec<Folder>, Vec<(usize, Segment)>);

/// Folds a text on as many threads as asked for.
pub(super) fn fold_text(text: Text<'_>, cut: Cut, progress: Option<&AtomicU64>) -> Result<Folded, Error> {
    let count = text.len().div_ceil(cut.segment).max(1);
    let next = AtomicU64::new(0);
    let done = Mutex::new(Vec::new());
    let work = |worker: usize| {
        let mut folder = Folder::new();
        let mut buffer = vec![0; cut.block];
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return folder;
            }
            let range = index * cut.segment..(index + 1).saturating_mul(cut.segment);
            let result = fold_segment(&mut folder, text, range, &mut buffer, progress);
            if result.is_err() {
                // Segments behind this one don't matter any more.
                next.store(count, Ordering::Relaxed);
            }
            let segment = (index, worker, folder.finish_segment(), result);
            done.lock().expect("no thread panics while it holds this").push(segment);
        }
    };
    let folders = std::thread::scope(|scope| {
        let others: Vec<_> = (1..cut.threads).map(|worker| scope.spawn(move || work(worker))).collect();
        let mut folders = vec![work(0)];
        for other in others {
            match other.join() {
                Ok(folder) => folders.push(folder),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        folders
    });
    let mut done = done.into_inner().expect("no thread panics while it holds this");
    done.sort_unstable_by_key(|(index, ..)| *index);
    let mut lines = 0;
    let mut segments = Vec::with_capacity(done.len());
    for (_, worker, segment, result) in done {
        result.map_err(|error| at_line(error, lines))?;
        lines += segment.lines;
        segments.push((worker, segment));
    }
    Ok((folders, segments))
}

/// Lines of errors are counted from their segment's start.
fn at_line(error: Error, lines_before: u64) -> Error {
    match error {
        Error::LineTooLong { format, line, limit } => Error::LineTooLong { format, line: line + lines_before, limit },
        other => other,
    }
}

fn too_long(lines: u64) -> Error {
    Error::LineTooLong { format: Format::PerfScript, line: lines + 1, limit: MAX_LINE }
}

/// Folds the segment that nominally has this range.
fn fold_segment(
    folder: &mut Folder,
    text: Text<'_>,
    range: std::ops::Range<u64>,
    buffer: &mut Vec<u8>,
    progress: Option<&AtomicU64>,
) -> Result<(), Error> {
    let count = |from: u64, to: u64| {
        // What is read behind the nominal end is counted by the segment there.
        let bytes = to.min(range.end).min(text.len()).saturating_sub(from);
        progress.map(|progress| progress.fetch_add(bytes, Ordering::Relaxed));
    };
    let start = find_cut(text, &range, buffer)?;
    count(range.start, start.unwrap_or(range.end));
    let Some(mut offset) = start else { return Ok(()) };
    let mut filled = 0;
    let mut behind_empty_line = false;
    loop {
        let place = offset + filled as u64;
        let wanted = wanted_at(place, range.end).min(buffer.len() - filled);
        let read = text.read_at(&mut buffer[filled..filled + wanted], place)?;
        count(offset + filled as u64, offset + (filled + read) as u64);
        let known = filled;
        filled += read;
        let whole = memchr::memrchr(b'\n', &buffer[known..filled]).map_or(0, |newline| known + newline + 1);
        if filled > MAX_LINE
            && memchr::memchr(b'\n', &buffer[known..filled]).is_none_or(|newline| known + newline > MAX_LINE)
        {
            return Err(too_long(folder.lines()));
        }
        let inside = whole_lines_before(&buffer[..whole], offset, range.end);
        if inside > 0 {
            folder.fold(&buffer[..inside]);
            behind_empty_line = ends_with_empty_line(&buffer[..inside], true);
        }
        let mut at = inside;
        while at < whole {
            let end = memchr::memchr(b'\n', &buffer[at..whole]).map_or(whole, |newline| at + newline + 1);
            if behind_empty_line || is_header(&buffer[at..end - 1]) {
                return Ok(());
            }
            folder.fold(&buffer[at..end]);
            behind_empty_line = matches!(&buffer[at..end], b"\n" | b"\r\n");
            at = end;
        }
        if read == 0 {
            let last = &buffer[whole..filled];
            let is_ours = offset + (whole as u64) < range.end || !(behind_empty_line || is_header(last));
            if !last.is_empty() && is_ours {
                folder.last_line(last);
            }
            return Ok(());
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
        offset += whole as u64;
        if filled == buffer.len() {
            buffer.resize(filled * 2, 0);
        }
    }
}

/// How much to read at a place: what lies behind the segment's end is read by another, but for the last sample.
fn wanted_at(place: u64, end: u64) -> usize {
    usize::try_from(end.saturating_sub(place)).unwrap_or(usize::MAX).saturating_add(PEEK)
}

/// The length of the lines that begin before `end`; the first begins at `offset`.
fn whole_lines_before(lines: &[u8], offset: u64, end: u64) -> usize {
    match usize::try_from(end.saturating_sub(offset)) {
        Ok(0) => 0,
        Ok(local) if local < lines.len() => {
            memchr::memchr(b'\n', &lines[local - 1..]).map_or(lines.len(), |newline| local + newline)
        }
        _ => lines.len(),
    }
}

/// Whether these bytes end with an empty line. Without what is before them that can't be told of a line end alone,
/// unless they begin a line.
fn ends_with_empty_line(bytes: &[u8], begin_a_line: bool) -> bool {
    bytes.ends_with(b"\n\n") || bytes.ends_with(b"\n\r\n") || (begin_a_line && matches!(bytes, b"\n" | b"\r\n"))
}

fn is_header(line: &[u8]) -> bool {
    line.len() <= MAX_CUT_LINE && matches!(parse_line(without_return(line)), Line::Header(_))
}

/// Where the segment of this nominal range begins, if it begins within.
fn find_cut(text: Text<'_>, range: &std::ops::Range<u64>, buffer: &mut Vec<u8>) -> Result<Option<u64>, Error> {
    let lookback = range.start.min(3);
    if lookback == 0 {
        return Ok(Some(0));
    }
    let mut before = [0; 3];
    let before = &mut before[..lookback as usize];
    if text.read_at(before, range.start - lookback)? < before.len() {
        return Ok(None);
    }
    let at_start = range.start == lookback;
    let mut lines = Lines { text, buffer, offset: range.start, at: 0, filled: 0 };
    let mut behind_empty_line = ends_with_empty_line(before, at_start);
    if !before.ends_with(b"\n") {
        let Some((_, rest)) = lines.next()? else { return Ok(None) };
        let line_end = [before, &rest[..rest.len().min(3)], b"\n"].concat();
        behind_empty_line = rest.len() < 3 && ends_with_empty_line(&line_end, at_start);
    }
    while let Some((offset, line)) = lines.next()? {
        if offset >= range.end {
            return Ok(None);
        }
        if behind_empty_line || is_header(line) {
            return Ok(Some(offset));
        }
        behind_empty_line = matches!(line, b"" | b"\r");
    }
    Ok(None)
}

/// Walks over lines, one at a time.
struct Lines<'a> {
    text: Text<'a>,
    buffer: &'a mut Vec<u8>,
    /// Of the buffer's first byte.
    offset: u64,
    at: usize,
    filled: usize,
}

impl Lines<'_> {
    /// The next line without its newline, and its place; `None` at the end, and where a line is too long: the segment
    /// before stops there too, with an error.
    fn next(&mut self) -> Result<Option<(u64, &[u8])>, Error> {
        let mut known = self.at;
        loop {
            let newline = memchr::memchr(b'\n', &self.buffer[known..self.filled]).map(|newline| known + newline);
            let mut end = newline;
            if newline.is_none() {
                self.make_room();
                known = self.filled;
                let wanted = PEEK.min(self.buffer.len() - known);
                let read = self.text.read_at(&mut self.buffer[known..known + wanted], self.offset + known as u64)?;
                self.filled += read;
                if read == 0 && self.filled > 0 {
                    end = Some(self.filled);
                } else if read == 0 || known > MAX_LINE {
                    return Ok(None);
                }
            }
            if let Some(end) = end {
                let line = self.at..end;
                self.at = (end + 1).min(self.filled);
                return Ok(Some((self.offset + line.start as u64, &self.buffer[line])));
            }
        }
    }

    /// Moves the line at hand to the buffer's start.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.at..self.filled, 0);
        self.offset += self.at as u64;
        self.filled -= self.at;
        self.at = 0;
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
    }
}

/// Folds a text that can only be read once, in order.
pub(super) fn fold_stream(source: Box<dyn Read + Send>, block: usize) -> Result<Folded, Error> {
    let mut blocks = LineBlocks::new(source, Format::PerfScript, block);
    let mut folder = Folder::new();
    let mut text = Vec::new();
    while blocks.next(&mut text)?.is_some() {
        let whole = memchr::memrchr(b'\n', &text).map_or(0, |newline| newline + 1);
        folder.fold(&text[..whole]);
        if whole < text.len() {
            folder.last_line(&text[whole..]);
        }
    }
    let segment = folder.finish_segment();
    Ok((vec![folder], vec![(0, segment)]))
}
