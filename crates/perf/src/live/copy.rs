//! Copying records out of a ring, and only what is worth it: no samples of processes that are not sampled, and of each
//! copied stack only what the kernel has filled. The kernel reserves the full length for every sample, often ten times
//! what the stack had.

use super::sys::RingMap;
use crate::layout::*;
use crate::record::HEADER_LEN;
use perf_event_open_sys::bindings;
use std::ops::Range;

/// Where things are in the samples of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Process and thread.
    thread_at: Option<u64>,
    /// The callchain, if samples end with callchain, user registers and user stack and with nothing else: where it
    /// starts, and how many registers there are.
    stack: Option<(u64, u64)>,
}

impl Shape {
    pub(super) fn of(layout: &SampleLayout) -> Shape {
        let count = |fields: u64| HEADER_LEN as u64 + u64::from((layout.sample_type & fields).count_ones()) * 8;
        let fixed = SAMPLE_IDENTIFIER | SAMPLE_IP | SAMPLE_TID | SAMPLE_TIME | SAMPLE_CPU | SAMPLE_PERIOD;
        let ends_with_stack = layout.sample_type & !fixed == SAMPLE_CALLCHAIN | SAMPLE_REGS_USER | SAMPLE_STACK_USER;
        Shape {
            thread_at: layout.has(SAMPLE_TID).then(|| count(SAMPLE_IDENTIFIER | SAMPLE_IP)),
            stack: ends_with_stack.then(|| (count(fixed), u64::from(layout.sample_regs_user.count_ones()))),
        }
    }
}

/// Appends the records at `range` to `out`, without the samples of threads (process, thread) that `keep` refuses.
/// Returns how many those were.
pub(super) fn records(
    map: &RingMap,
    range: Range<u64>,
    shape: &Shape,
    keep: &dyn Fn(i32, i32) -> bool,
    out: &mut Vec<u8>,
) -> u64 {
    let (mut at, mut run, mut refused) = (range.start, range.start, 0);
    while at < range.end {
        let (kind, size) = header(map.word(at));
        let end = at + u64::from(size);
        if usize::from(size) < HEADER_LEN || end > range.end {
            // The kernel writes whole records only: whoever reads this finds the damage.
            break;
        }
        if kind == bindings::PERF_RECORD_SAMPLE {
            if shape.thread_at.is_some_and(|offset| !keeps(map.word(at + offset), keep)) {
                map.copy(run..at, out);
                run = end;
                refused += 1;
            } else if let Some(cut) = cut(map, at..end, shape) {
                map.copy(run..at, out);
                write_cut(map, at, &cut, out);
                run = end;
            }
        }
        at = end;
    }
    map.copy(run..range.end, out);
    refused
}

/// Kind and size of a record.
fn header(word: u64) -> (u32, u16) {
    let bytes = word.to_ne_bytes();
    (u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]), u16::from_ne_bytes([bytes[6], bytes[7]]))
}

fn keeps(word: u64, keep: &dyn Fn(i32, i32) -> bool) -> bool {
    let bytes = word.to_ne_bytes();
    let half = |at: usize| i32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    keep(half(0), half(4))
}

/// A sample without the unfilled end of its stack.
struct Cut {
    /// Position of the stack's size; its bytes follow.
    size_at: u64,
    /// Bytes of stack that stay, a multiple of eight.
    stack_bytes: u64,
    /// Bytes of stack that the kernel has filled.
    filled: u64,
}

/// How to shorten the sample at these positions; `None` if there is nothing to gain, or it is not as expected.
fn cut(map: &RingMap, record: Range<u64>, shape: &Shape) -> Option<Cut> {
    let (callchain_at, registers) = shape.stack?;
    let within = |at: u64| (at < record.end).then(|| map.word(at));
    let chain_at = record.start + callchain_at;
    let registers_at = within(chain_at)?.checked_mul(8)?.checked_add(chain_at + 8)?;
    let size_at = registers_at + 8 + if within(registers_at)? == 0 { 0 } else { registers * 8 };
    let size = within(size_at)?;
    let filled_at = size_at.checked_add(8)?.checked_add(size)?;
    if size == 0 || filled_at.checked_add(8)? != record.end {
        return None;
    }
    let filled = map.word(filled_at).min(size);
    let stack_bytes = filled.next_multiple_of(8);
    (stack_bytes < size).then_some(Cut { size_at, stack_bytes, filled })
}

fn write_cut(map: &RingMap, at: u64, cut: &Cut, out: &mut Vec<u8>) {
    let start = out.len();
    map.copy(at..cut.size_at, out);
    out.extend(cut.stack_bytes.to_ne_bytes());
    map.copy(cut.size_at + 8..cut.size_at + 8 + cut.stack_bytes, out);
    // A stack of no bytes is not followed by how many are filled.
    if cut.stack_bytes > 0 {
        out.extend(cut.filled.to_ne_bytes());
    }
    // Shorter than it was, so it still fits.
    let size = (out.len() - start) as u16;
    out[start + 6..start + 8].copy_from_slice(&size.to_ne_bytes());
}
