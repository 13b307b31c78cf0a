//! The text `perf script` prints, whatever fields `-F` chose, and that of tools which print alike (simpleperf).
//!
//! A sample is a header line, frames from leaf to root below it, and an empty line; without call chains its one frame
//! stands on the header's line. perf's source for it is `tools/perf/builtin-script.c`.
//!
//! Addresses are not kept: what makes a frame is symbol, module and, where printed, source line.

mod assemble;
mod build;
mod fold;
mod frame;
mod header;
mod line;
mod memory;
mod notes;
#[cfg(test)]
mod plain;
mod split;
mod table;
#[cfg(test)]
mod tests;
mod tree;

use burnmark_model::Parsed;

use crate::{Error, Input, ReadOptions};
use line::{Line, Time, parse_line, without_return};
use split::{Cut, Text};

/// Says why a text can't be perf script's, by its first bytes.
pub(crate) fn sniff(prefix: &[u8]) -> Result<(), String> {
    if prefix.contains(&0) {
        return Err("it holds NUL bytes, and perf script prints text".to_owned());
    }
    // The last line may be cut.
    let complete = prefix.iter().rposition(|byte| *byte == b'\n').map_or(prefix, |end| &prefix[..end]);
    let (mut good, mut bad, mut evidence) = (0u32, 0u32, false);
    let mut behind_header = false;
    for text in complete.split(|byte| *byte == b'\n') {
        let line = parse_line(without_return(text));
        match &line {
            Line::Frame { alone, .. } if behind_header || evidence || *alone || text.starts_with(b"\t") => {
                (good, evidence) = (good + 1, true);
            }
            Line::Header(header) => {
                good += 1;
                let thread = header.thread.tid.is_some();
                evidence |= thread || header.time != Time::NotPrinted || !header.suffix.frames.is_empty();
            }
            Line::Record { .. } => (good, evidence) = (good + 1, true),
            Line::Comment(text) => {
                evidence |= text.starts_with(b"# perf version : ") || text.starts_with(b"# cmdline : ");
            }
            Line::Source(_) | Line::OtherField if evidence => good += 1,
            Line::Blank => {}
            _ => bad += 1,
        }
        behind_header = matches!(line, Line::Header(_) | Line::MaybeHeader(_));
    }
    match (evidence, bad <= good + 2) {
        (true, true) => Ok(()),
        (true, false) => Err(format!("only {good} of its first {} lines look like perf script's", good + bad)),
        (false, _) => Err("no line at its start is the header of a sample, or a frame with its address".to_owned()),
    }
}

/// How texts are read: blocks of a size that stays in the processor's cache.
const BLOCK: usize = 512 << 10;
/// Long enough that finding its start costs nothing, short enough that threads end together.
const SEGMENT: u64 = 2 << 20;
/// A thread learns the text's lines anew: it is worth its while from this many bytes on.
const BYTES_PER_THREAD: u64 = 48 << 20;

/// Reads a text.
///
/// # Errors
/// What reading gives, and [`Error::LineTooLong`].
pub(crate) fn read(input: Input, options: &ReadOptions) -> Result<Parsed, Error> {
    let progress = options.progress.as_deref();
    let folded = match &input {
        Input::File { file, len } => split::fold_text(Text::File(file, *len), cut_of(*len, options.threads), progress)?,
        // What is in memory has been counted.
        Input::Bytes(bytes) => split::fold_text(Text::Bytes(bytes), cut_of(bytes.len() as u64, options.threads), None)?,
        Input::Stream(_) => split::fold_stream(input.into_reader(options), BLOCK)?,
    };
    Ok(assemble::assemble(folded))
}

fn cut_of(len: u64, threads: usize) -> Cut {
    let threads = match threads {
        0 => {
            let worthwhile = usize::try_from(len / BYTES_PER_THREAD).unwrap_or(usize::MAX);
            std::thread::available_parallelism().map_or(1, usize::from).min(worthwhile).max(1)
        }
        threads => threads,
    };
    let segment = if threads == 1 { len.max(1) } else { SEGMENT };
    Cut { threads, segment, block: BLOCK }
}
