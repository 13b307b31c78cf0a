//! The text `perf script` prints, whatever fields `-F` chose, and that of tools which print alike (simpleperf).
//!
//! A sample is a header line, frames from leaf to root below it, and an empty line; without call chains its one frame
//! stands on the header's line. perf's source for it is `tools/perf/builtin-script.c`.
//!
//! Addresses are not kept: what makes a frame is symbol, module and, where printed, source line.

mod build;
mod frame;
mod header;
mod line;
mod notes;
mod plain;

use burnmark_model::Parsed;

use crate::{Error, Input, ReadOptions};
use line::{Line, Time, parse_line, without_end};

/// Says why a text can't be perf script's, by its first bytes.
pub(crate) fn sniff(prefix: &[u8]) -> Result<(), String> {
    if prefix.contains(&0) {
        return Err("it holds NUL bytes, and perf script prints text".to_owned());
    }
    // The last line may be cut.
    let complete = prefix.iter().rposition(|byte| *byte == b'\n').map_or(prefix, |end| &prefix[..end]);
    let (mut good, mut bad, mut evidence) = (0u32, 0u32, false);
    let mut maybe_header = true;
    for text in complete.split(|byte| *byte == b'\n') {
        let line = parse_line(without_end(text));
        match &line {
            Line::Frame { alone, .. } if maybe_header || *alone || evidence => (good, evidence) = (good + 1, true),
            Line::Header(header) => {
                good += 1;
                evidence |= header.time != Time::NotPrinted || header.thread.tid.is_some() || !header.suffix.frames.is_empty();
            }
            Line::Record { .. } => (good, evidence) = (good + 1, true),
            Line::Comment(text) => evidence |= text.starts_with(b"# perf version : ") || text.starts_with(b"# cmdline : "),
            Line::Source(_) | Line::OtherField if evidence => good += 1,
            Line::Blank => {}
            _ => bad += 1,
        }
        maybe_header = matches!(line, Line::Blank | Line::Header(_) | Line::MaybeHeader(_));
    }
    match (evidence, bad <= good + 2) {
        (true, true) => Ok(()),
        (true, false) => Err(format!("only {good} of its first {} lines look like perf script's", good + bad)),
        (false, _) => Err("no line at its start is the header of a sample, or a frame with its address".to_owned()),
    }
}

/// Reads a text.
///
/// # Errors
/// What reading gives, and [`Error::LineTooLong`].
pub(crate) fn read(input: Input, options: &ReadOptions) -> Result<Parsed, Error> {
    Ok(plain::read_plainly(&input.into_bytes(options)?))
}
