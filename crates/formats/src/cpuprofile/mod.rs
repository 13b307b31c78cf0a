//! V8's CPU profiles: `node --cpu-prof`, `Profiler.stop` of the DevTools protocol, Chrome's JavaScript profiler, and the
//! older kinds that they and `v8-profiler` wrote as one nested `head`.
//!
//! - A sample lasts until the next one, and the last as long as the others on average: that is how DevTools sees it. So
//!   the value types are `samples/count` and `wall/nanoseconds`, of which the latter is the default. `timeDeltas[0]` is
//!   the gap before the first sample and counts for nothing. Samples are put in order by time: V8 does write them out of
//!   order.
//! - Where there are no samples, nodes' `hitCount`s are counted, each as long as the whole divided by all of them.
//! - `(garbage collector)` is put under the sample before it, which it interrupted; V8 has it at the root.
//! - A function is its name, script, line and column; the script is both its file and its module. `positionTicks` say at
//!   which lines a function was when it was sampled, though not in which sample: its samples take those lines in turn, so
//!   that sums over lines are right.
//! - Heap profiles of V8's sampling allocator (`node --heap-prof`, DevTools' allocation sampling) have the same tree of
//!   functions, with the bytes that are still in use (`inuse_space/bytes`), and in `samples` the objects that were
//!   sampled: they are `samples/count`. V8 has scaled the bytes up to all objects, but says of none how many it stands for.
//! - Lines count from 0 in `callFrame`s, and from 1 in nodes without one, unless the root's is -1.

mod build;
mod call_frames;
mod parse;

#[cfg(test)]
mod heap_tests;
#[cfg(test)]
mod tests;

use burnmark_model::Parsed;

use crate::budget::Budget;
use crate::{Error, Format, Input, ReadOptions};

/// Whether the (decompressed) input may be a CPU profile, and if not, why.
pub(crate) fn sniff(prefix: &[u8]) -> Result<(), String> {
    let start = prefix.iter().position(|byte| !byte.is_ascii_whitespace());
    if start.map(|start| prefix[start]) != Some(b'{') {
        return Err("it is not a JSON object".into());
    }
    let text = String::from_utf8_lossy(prefix);
    let has = |word: &str| text.contains(word);
    if has("\"traceEvents\"") {
        return Err("it has `traceEvents`: it is a trace of Chrome's".into());
    }
    if has("\"selfSize\"") {
        return Err("its nodes have a `selfSize`: it is a heap profile".into());
    }
    if has("\"snapshot\"") && has("\"node_fields\"") {
        return Err("it has `node_fields`: it is a heap snapshot".into());
    }
    let nodes = has("\"nodes\"") || has("\"head\"");
    if (nodes && (has("\"callFrame\"") || has("\"functionName\""))) || has("\"timeDeltas\"") {
        return Ok(());
    }
    Err("it has no `nodes` with `callFrame`s, and no `head` with a `functionName`".into())
}

/// Reads a CPU profile.
pub(crate) fn read(input: Input, options: &ReadOptions) -> Result<Parsed, Error> {
    let mut budget = Budget::new(Format::Cpuprofile, options.max_decompressed);
    let raw = parse::parse(input.into_reader(options), Format::Cpuprofile, &mut budget)?;
    build::build(raw, budget)
}

/// Whether the (decompressed) input may be a heap profile, and if not, why.
pub(crate) fn sniff_heap(prefix: &[u8]) -> Result<(), String> {
    let start = prefix.iter().position(|byte| !byte.is_ascii_whitespace());
    if start.map(|start| prefix[start]) != Some(b'{') {
        return Err("it is not a JSON object".into());
    }
    let text = String::from_utf8_lossy(prefix);
    if text.contains("\"selfSize\"") && text.contains("\"callFrame\"") {
        return Ok(());
    }
    Err("it has no `head` of nodes with a `callFrame` and a `selfSize`".into())
}

/// Reads a heap profile.
pub(crate) fn read_heap(input: Input, options: &ReadOptions) -> Result<Parsed, Error> {
    let mut budget = Budget::new(Format::Heapprofile, options.max_decompressed);
    let raw = parse::parse(input.into_reader(options), Format::Heapprofile, &mut budget)?;
    build::build_heap(raw, budget)
}
