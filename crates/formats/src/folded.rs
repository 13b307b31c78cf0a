//! Folded (collapsed) stacks: a line per stack, frames from root to leaf joined by `;`, then a space and a count.
//!
//! There is no specification; FlameGraph's `flamegraph.pl` is what everybody follows. How the unclear is read:
//! - The count is the last word: `12`, `12.5`, `1e-05`. All before its one space or tab is the stack. Lines without a
//!   count are left out with a warning (as flamegraph.pl, inferno and speedscope do), negative ones are kept with a
//!   warning, numbers beyond 63 bits are an error.
//! - If *every* line ends in two counts it is a differential file: value types `before` and `after`, the latter the
//!   default. If only some do, the first number belongs to the name (`worker 12 3`).
//! - Lines that begin with `#` and a space are comments; Austin's `# key: value` become metadata.
//! - One `;` at the end of a stack is ignored; an empty name elsewhere, and `[unknown]`, are frames without function.
//! - A `;` in a name can't be told from the separator: writers must replace it, as ours does by `:`.
//! - The root frame is a frame like any other, though many tools write the thread's or the command's name there: nothing
//!   in the format says so.
//! - Suffixes of async-profiler and FlameGraph are taken off the names: `_[k]` puts the frame into the module
//!   `[kernel]`, `_[j]` into `[jit]`, `_[0]` `[interpreted]`, `_[1]` `[c1]`; `_[i]` is inlined into the frame before it.
//!   Writing such a profile puts them back; [`ANNOTATED`] in the metadata says that.
//! - Windows line ends, byte order marks and UTF-16 are seen through; what is no UTF-8 is kept as U+FFFD with a warning.

mod build;
mod line;
mod tree;
mod write;

use std::sync::{Mutex, PoisonError};

use burnmark_model::{Parsed, Position};

use self::line::{Line, parse_line};
use self::tree::Tree;
pub(crate) use self::write::write;
use crate::blocks::{BlockStart, LineBlocks};
use crate::budget::Budget;
use crate::{Error, Format, Input, ReadOptions};

/// The key in [`burnmark_model::Meta::other`] of profiles whose frames had suffixes for their kind.
const ANNOTATED: &str = "folded.annotated";

/// Bytes a worker parses at a time: 128 KiB to 4 MiB are equally fast.
const BLOCK: usize = 512 << 10;

/// Inputs below this are read faster by one thread than by several, each of which has to learn the names and stacks
/// anew: measured with 108 MB.
const ONE_THREAD: u64 = 128 << 20;

/// How deep a stack may be: ten times what the deepest recursions of real programs are.
const MAX_DEPTH: usize = 1 << 20;

/// How many comments are kept as metadata.
const MAX_COMMENTS: usize = 32;

/// Says why the input's first bytes can't be folded stacks.
pub(crate) fn sniff(prefix: &[u8]) -> Result<(), String> {
    if let Some(at) = memchr::memchr(0, prefix) {
        return Err(format!("it is binary (a zero byte at {at})"));
    }
    let whole = match memchr::memrchr(b'\n', prefix) {
        // Of a long input the last line is cut off.
        Some(end) => &prefix[..if prefix.len() < 4096 { prefix.len() } else { end }],
        None => prefix,
    };
    let mut counted = 0;
    let mut others = 0;
    let mut first_other = None;
    let mut joined = false;
    for (index, line) in whole.split(|byte| *byte == b'\n').enumerate() {
        match parse_line(line) {
            Line::Counted(stack, _) => {
                counted += 1;
                joined |= stack.contains(&b';');
            }
            Line::NoCount | Line::TooLarge => {
                others += 1;
                first_other.get_or_insert((index + 1, line));
            }
            Line::Blank | Line::Comment(_) => {}
        }
    }
    match first_other {
        None if counted == 0 => Err("it has no lines but blank ones and comments".into()),
        None => Ok(()),
        Some(_) if joined && counted > others => Ok(()),
        // One very deep stack fills the whole prefix.
        Some((_, line)) if counted == 0 && others == 1 && line.len() > 4096 && is_deep(line) => Ok(()),
        Some((number, line)) => {
            let line = String::from_utf8_lossy(&line[..line.len().min(40)]).escape_debug().to_string();
            Err(format!("line {number} is no stack with a count: {line}"))
        }
    }
}

/// Whether a cut off line looks like frames joined by `;`.
fn is_deep(line: &[u8]) -> bool {
    let separators = memchr::memchr_iter(b';', line).count();
    separators > line.len() / 512 && !line.starts_with(b"{") && !line.contains(&b'"')
}

/// Reads folded stacks. Samples are in order of the first line of each stack.
pub(crate) fn read(input: Input, options: &ReadOptions) -> Result<Parsed, Error> {
    let size = match &input {
        Input::File { len, .. } => Some(*len),
        Input::Bytes(bytes) => Some(bytes.len() as u64),
        Input::Stream(_) => None,
    };
    let threads = match options.threads {
        0 if size.is_some_and(|size| size < ONE_THREAD) => 1,
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(8),
        threads => threads,
    };
    let blocks = LineBlocks::new(input.into_reader(options), Format::Folded, BLOCK);
    read_blocks(blocks, threads, options.max_decompressed)
}

fn read_blocks(blocks: LineBlocks, threads: usize, max_decompressed: u64) -> Result<Parsed, Error> {
    let blocks = Mutex::new(blocks);
    let workers = if threads == 1 {
        vec![read_part(&blocks, max_decompressed)]
    } else {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| Error::Io(std::io::Error::other(error)))?;
        pool.broadcast(|_| read_part(&blocks, max_decompressed))
    };
    let mut parts = Vec::with_capacity(workers.len());
    let mut first_error: Option<Failure> = None;
    for worker in workers {
        match worker {
            Ok(part) => parts.push(part),
            // Blocks before a bad one have all been given out, and read: the first error is the same on any number of
            // threads.
            Err(failure) if first_error.as_ref().is_none_or(|first| failure.line < first.line) => {
                first_error = Some(failure);
            }
            Err(_) => {}
        }
    }
    match first_error {
        Some(failure) => Err(failure.error),
        None => build::build(&parts),
    }
}

/// Something that is wrong in lines, and is counted.
#[derive(Debug, Clone, Copy, Default)]
struct Oddity {
    count: u64,
    /// Number of the first line that has it.
    first: u64,
}

impl Oddity {
    fn met(&mut self, line: u64) {
        self.add(Self { count: 1, first: line });
    }

    fn add(&mut self, other: Self) {
        self.first = match (self.count, other.count) {
            (_, 0) => self.first,
            (0, _) => other.first,
            _ => self.first.min(other.first),
        };
        self.count += other.count;
    }
}

/// What one worker has read.
#[derive(Default)]
struct Part {
    tree: Tree,
    /// The most decimals any count needs.
    decimals: u32,
    /// The largest count, without its sign, and its line.
    largest: (u128, u64),
    no_count: Oddity,
    negative: Oddity,
    rounded: Oddity,
    not_utf8: Oddity,
    /// Line and text.
    comments: Vec<(u64, Vec<u8>)>,
}

struct Failure {
    /// Where it was; the end of the text for failures to read on.
    line: u64,
    error: Error,
}

fn read_part(blocks: &Mutex<LineBlocks>, max_decompressed: u64) -> Result<Part, Failure> {
    let mut part = Part::default();
    let mut budget = Budget::new(Format::Folded, max_decompressed);
    let mut block = Vec::new();
    loop {
        let next = blocks.lock().unwrap_or_else(PoisonError::into_inner).next(&mut block);
        match next {
            Ok(Some(start)) => {
                if let Err(failure) = part.read_block(&block, start, &mut budget) {
                    blocks.lock().unwrap_or_else(PoisonError::into_inner).stop();
                    return Err(failure);
                }
            }
            Ok(None) => return Ok(part),
            Err(error) => return Err(Failure { line: u64::MAX, error }),
        }
    }
}

impl Part {
    fn read_block(&mut self, block: &[u8], at: BlockStart, budget: &mut Budget) -> Result<(), Failure> {
        let all_utf8 = std::str::from_utf8(block).is_ok();
        let mut start = 0;
        let mut held = self.tree.memory();
        let ends = memchr::memchr_iter(b'\n', block).chain((block.last() != Some(&b'\n')).then_some(block.len()));
        for (number, end) in (at.line..).zip(ends) {
            let line = &block[start..end];
            let offset = at.offset + start as u64;
            self.read_line(line, offset, number)?;
            let holds = self.tree.memory();
            budget.take(holds - held, offset).map_err(|error| Failure { line: number, error })?;
            held = holds;
            if !all_utf8 && std::str::from_utf8(line).is_err() {
                self.not_utf8.met(number);
            }
            start = end + 1;
        }
        Ok(())
    }

    fn read_line(&mut self, line: &[u8], offset: u64, number: u64) -> Result<(), Failure> {
        let malformed = |message: String| {
            let error = Error::malformed(Format::Folded, Position::Line(number), message);
            Err(Failure { line: number, error })
        };
        match parse_line(line) {
            Line::Counted(stack, _) if stack.len() > MAX_DEPTH && depth(stack) > MAX_DEPTH => {
                return malformed(format!("the stack has more than {MAX_DEPTH} frames"));
            }
            Line::Counted(stack, count) => {
                self.tree.add(stack, count, offset);
                self.decimals = self.decimals.max(count.decimals);
                if count.millionths.unsigned_abs() > self.largest.0 {
                    self.largest = (count.millionths.unsigned_abs(), number);
                }
                if count.millionths < 0 {
                    self.negative.met(number);
                }
                if count.rounded {
                    self.rounded.met(number);
                }
            }
            Line::NoCount => self.no_count.met(number),
            Line::Comment(text) if self.comments.len() < MAX_COMMENTS && text.len() < 1024 => {
                self.comments.push((number, text.to_vec()));
            }
            Line::Blank | Line::Comment(_) => {}
            Line::TooLarge => {
                return malformed("the count is beyond 63 bits: correct the line or take it out".into());
            }
        }
        Ok(())
    }
}

/// How many frames a stack has.
fn depth(stack: &[u8]) -> usize {
    memchr::memchr_iter(b';', stack).count() + 1
}

#[cfg(test)]
mod tests;
