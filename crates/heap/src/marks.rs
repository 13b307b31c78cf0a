//! What walks over the graph ask about edges, put into marks: so the names need not stay in memory, nor be looked at.
//!
//! - Values of WeakMaps are held by the key and the table together, and written as two edges. The one from the table does
//!   not count for dominators; of each pair, the first met does not count for distances.
//! - `sloppy_function_map` of a native context and most links of map descriptors do not count for distances.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use rayon::prelude::*;

use crate::bits::Bits;
use crate::kinds::{EdgeKind, NodeKind};
use crate::read::Raw;
use crate::source::Source;
use crate::strings::WellKnown;

/// The bits of an edge that say its kind.
pub(crate) const KIND: u8 = 0x0f;
/// An edge that is one of an ephemeron's pair.
pub(crate) const PAIRED: u8 = 0x10;
/// An edge that distances don't follow.
pub(crate) const FAR: u8 = 0x40;

/// In [`crate::read::Edges::packed`]: an edge that does not hold its target.
pub(crate) const WEAK: u32 = 1 << 31;
/// An edge that does not count for dominators wherever its ends are: weak, to itself, from an ephemeron's table, a short
/// cut. Short cuts of the root count: they mark the user's globals.
pub(crate) const LOOSE: u32 = 1 << 30;
/// An edge that distances don't follow, or not always: `FAR` or `PAIRED`.
pub(crate) const ASIDE: u32 = 1 << 29;

/// The kinds of edges, a bit each, that are marked only for their ends or names.
const UNMARKED: u32 = !(1 << EdgeKind::Weak as u32 | 1 << EdgeKind::Shortcut as u32);

/// Nodes that are marked together.
const CHUNK: usize = 1 << 16;

struct Ephemeron {
    pair: u32,
    table: u64,
}

/// Marks the edges; for those marked `PAIRED` their pairs, by edge, sorted.
pub(crate) fn mark(raw: &mut Raw, source: &Source) -> Vec<(u32, u32)> {
    let ephemerons = ephemerons(raw, source);
    let mut is_ephemeron = Bits::new(raw.strings.len().max(1));
    ephemerons.keys().for_each(|name| {
        is_ephemeron.insert(*name);
    });
    let root = raw.header.root as u32;
    let Raw { nodes, edges, strings, .. } = raw;
    let nodes = &*nodes;
    let count = nodes.kind.len();
    let (mut kinds, mut packed) = (&mut edges.kind[..], &mut edges.packed[..]);
    let mut chunks = Vec::with_capacity(count / CHUNK + 1);
    for first in (0..count).step_by(CHUNK) {
        let end = (first + CHUNK).min(count);
        let edges = (nodes.first_edge[end] - nodes.first_edge[first]) as usize;
        let (kind, rest) = std::mem::take(&mut kinds).split_at_mut(edges);
        let (to, other) = std::mem::take(&mut packed).split_at_mut(edges);
        (kinds, packed) = (rest, other);
        chunks.push((first as u32, end as u32, kind, to));
    }
    let names = &edges.name[..];
    let pairs = chunks.into_par_iter().map(|(first, end, kinds, packed)| {
        let mut pairs = Vec::new();
        let base = nodes.first_edge[first as usize] as usize;
        for node in first..end {
            let name = nodes.name[node as usize];
            let node_kind = node_kind(nodes.kind[node as usize]);
            let is_context = node_kind == NodeKind::Hidden && strings.is(name, WellKnown::NativeContext);
            let is_descriptors = node_kind == NodeKind::Array && strings.is(name, WellKnown::MapDescriptors);
            let own = nodes.edges(node);
            let local = own.start - base..own.end - base;
            let columns = kinds[local.clone()].iter_mut().zip(&mut packed[local]).zip(&names[own.clone()]);
            for (edge, ((kind, to), &edge_name)) in own.zip(columns) {
                let edge_kind = EdgeKind::from_bits(*kind);
                // Most edges have nothing to mark.
                let is_named = edge_kind == EdgeKind::Internal && is_ephemeron.get(edge_name);
                if UNMARKED >> *kind & 1 != 0 && *to != node && !(is_context | is_descriptors | is_named) {
                    continue;
                }
                if edge_kind == EdgeKind::Weak {
                    *to |= WEAK | LOOSE;
                } else if *to == node || edge_kind == EdgeKind::Shortcut && node != root {
                    *to |= LOOSE;
                }
                if is_context && !edge_kind.is_indexed() && strings.is(edge_name, WellKnown::SloppyFunctionMap)
                    || is_descriptors
                        && !descriptor_counts(edge_kind, edge_name, || strings.beginning(source, edge_name, 64))
                {
                    *kind |= FAR;
                    *to |= ASIDE;
                }
                if !is_named {
                    continue;
                }
                if let Some(ephemeron) = ephemerons.get(&edge_name) {
                    if ephemeron.table == u64::from(nodes.id[node as usize]) {
                        *to |= LOOSE;
                    }
                    if !is_descriptors && *kind & FAR == 0 {
                        *kind |= PAIRED;
                        *to |= ASIDE;
                        pairs.push((edge as u32, ephemeron.pair));
                    }
                }
            }
        }
        pairs
    });
    pairs.collect::<Vec<_>>().concat()
}

fn node_kind(bits: u8) -> NodeKind {
    NodeKind::from_bits(bits & 0x3f)
}

/// Whether a link of map descriptors counts: all but every third, which shared descriptors may have outlived.
fn descriptor_counts<'a>(kind: EdgeKind, name: u32, text: impl Fn() -> &'a [u8]) -> bool {
    let index = if kind.is_indexed() {
        Some(i64::from(name))
    } else {
        let text = text().trim_ascii_start();
        let (sign, digits) = match text.split_first() {
            Some((b'-', rest)) => (-1, rest),
            Some((b'+', rest)) => (1, rest),
            _ => (1, text),
        };
        let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
        let digits = std::str::from_utf8(&digits[..end]).ok();
        digits.and_then(|digits| digits.parse::<i64>().ok()).map(|index| sign * index)
    };
    index.is_none_or(|index| index < 2 || index % 3 != 1)
}

/// The names of ephemerons' edges.
fn ephemerons(raw: &Raw, source: &Source) -> HashMap<u32, Ephemeron, RandomState> {
    let mut pairs: HashMap<String, u32, RandomState> = HashMap::default();
    let mut found = HashMap::default();
    for &name in &raw.strings.ephemerons {
        let text = raw.strings.get(source, name);
        if let Some((part, table)) = parse_ephemeron(&text) {
            let next = pairs.len() as u32;
            let pair = match pairs.get(part) {
                Some(pair) => *pair,
                None => *pairs.entry(part.to_owned()).or_insert(next),
            };
            found.insert(name, Ephemeron { pair, table });
        }
    }
    found
}

/// Reads `12 / part of key (X @1) -> value (Y @2) pair in WeakMap (table @3)`: what both edges share, and the table.
fn parse_ephemeron(text: &str) -> Option<(&str, u64)> {
    let part = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if part.len() == text.len() || part.contains(['\n', '\r', '\u{2028}', '\u{2029}']) {
        return None;
    }
    let inner = part.strip_prefix(" / part of key (")?.strip_suffix(')')?;
    let (inner, table) = inner.rsplit_once(" pair in WeakMap (table @")?;
    let ends_in_id = |text: &str| text.rsplit_once(" @").is_some_and(|(_, id)| is_number(id));
    let middle = ") -> value (";
    let mut places = inner.match_indices(middle);
    let fits =
        |at: usize| ends_in_id(&inner[..at]) && inner[at + middle.len()..].strip_suffix(')').is_some_and(ends_in_id);
    if !is_number(table) || !places.any(|(at, _)| fits(at)) {
        return None;
    }
    table.parse().ok().map(|table| (part, table))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ephemerons_are_recognized() {
        let text = "17 / part of key (Foo @5) -> value (a) -> value (b @7) pair in WeakMap (table @99)";
        assert_eq!(parse_ephemeron(text), Some((&text[2..], 99)));
        for wrong in [
            " / part of key (Foo @5) -> value (b @7) pair in WeakMap (table @99)",
            "1 / part of key (Foo) -> value (b @7) pair in WeakMap (table @99)",
            "1 / part of key (Foo @5) -> value (b @7) pair in WeakMap (table @9x)",
            "1 / part of key (Foo @5) -> value (b) pair in WeakMap (table @99)",
            "1 / part of key (F\n @5) -> value (b @7) pair in WeakMap (table @99)",
        ] {
            assert_eq!(parse_ephemeron(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_third_descriptor_is_far() {
        let counts = |index| descriptor_counts(EdgeKind::Hidden, index, || b"");
        assert_eq!((0..9).map(counts).collect::<Vec<_>>(), [true, true, true, true, false, true, true, false, true]);
        let named = |text: &'static str| descriptor_counts(EdgeKind::Internal, 0, || text.as_bytes());
        assert_eq!((named("4x"), named("-4"), named("x"), named(" 7")), (false, true, true, false));
    }
}
