//! Nameless functions of scripts, found again by their place.
//!
//! An edit moves all that stands below it. Functions with names, which both sides have, say by how much: between two of
//! them a nameless one keeps its distance from one of the two, unless it was edited itself.

use std::collections::BTreeMap;

use super::{Identity, v8};

/// The file of a nameless function: `(anonymous) app.js:12`.
pub(super) fn nameless_in(canonical: &str) -> Option<&str> {
    let place = canonical.strip_prefix("(anonymous) ").or_else(|| canonical.strip_prefix("<anonymous> "))?;
    place.rsplit_once(':').map(|(file, _)| file)
}

/// Where a nameless function begins.
pub(super) fn line_of(identity: &Identity) -> u32 {
    let digits = identity.canonical.rsplit(':').next().unwrap_or_default();
    digits.parse().unwrap_or(identity.line)
}

/// Per file, the lines before and after of functions with names that both sides have.
#[derive(Default)]
pub(super) struct Anchors(BTreeMap<String, Vec<[u32; 2]>>);

impl Anchors {
    /// Adds a function of both sides.
    pub(super) fn add(&mut self, before: &Identity, after: &Identity) {
        if nameless_in(&before.canonical).is_none()
            && let (Some((file, b)), Some((_, a))) = (place(before), place(after))
        {
            self.0.entry(file.to_owned()).or_default().push([b, a]);
        }
    }

    /// Those of a file: the most that stand in the same order on both sides. Others were moved, or have a name that
    /// several have.
    pub(super) fn of(&self, file: &str) -> Vec<[u32; 2]> {
        let mut lines = self.0.get(file).cloned().unwrap_or_default();
        lines.sort_unstable();
        longest_ascent(&lines)
    }
}

/// File and line, both known.
fn place(identity: &Identity) -> Option<(&str, u32)> {
    match &identity.file {
        Some(file) if identity.line > 0 => Some((file.rsplit(['/', '\\']).next().unwrap_or(file), identity.line)),
        _ => v8::place(&identity.name),
    }
}

/// The longest ascending subsequence by the second number (patience sorting: Fredman 1975).
fn longest_ascent(lines: &[[u32; 2]]) -> Vec<[u32; 2]> {
    let mut ends: Vec<usize> = Vec::new();
    let mut previous: Vec<Option<usize>> = Vec::with_capacity(lines.len());
    for (index, [_, after]) in lines.iter().enumerate() {
        let at = ends.partition_point(|end| lines[*end][1] < *after);
        previous.push(at.checked_sub(1).map(|at| ends[at]));
        match ends.get_mut(at) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let mut ascent = Vec::with_capacity(ends.len());
    let mut next = ends.last().copied();
    while let Some(index) = next {
        ascent.push(lines[index]);
        next = previous[index];
    }
    ascent.reverse();
    ascent
}

/// Pairs nameless functions of a file, told by their lines: of those between the same anchors the ones that have the
/// same distance from the anchor above, or from the one below, then the others in order, if there are as many on both
/// sides. Gives indexes into both.
pub(super) fn pairs(before: &[u32], after: &[u32], anchors: &[[u32; 2]]) -> Vec<(usize, usize)> {
    let mut gaps: BTreeMap<usize, [Vec<(u32, usize)>; 2]> = BTreeMap::new();
    for (side, lines) in [before, after].into_iter().enumerate() {
        for (index, line) in lines.iter().enumerate() {
            let gap = anchors.partition_point(|anchor| anchor[side] <= *line);
            gaps.entry(gap).or_default()[side].push((*line, index));
        }
    }
    let mut pairs = Vec::new();
    for (gap, [mut before, mut after]) in gaps {
        before.sort_unstable();
        after.sort_unstable();
        // Above the first anchor nothing has moved.
        let above = gap.checked_sub(1).map_or([0, 0], |at| anchors[at]);
        for [b, a] in std::iter::once(above).chain(anchors.get(gap).copied()) {
            take_moved(&mut before, &mut after, i64::from(a) - i64::from(b), &mut pairs);
        }
        if before.len() == after.len() {
            pairs.extend(before.iter().zip(&after).map(|((_, b), (_, a))| (*b, *a)));
        }
    }
    pairs
}

/// Takes those out of both, which are sorted, that are on the same line once the ones before have moved by `shift`.
fn take_moved(
    before: &mut Vec<(u32, usize)>,
    after: &mut Vec<(u32, usize)>,
    shift: i64,
    pairs: &mut Vec<(usize, usize)>,
) {
    let mut others = std::mem::take(after).into_iter().peekable();
    before.retain(|(line, index)| {
        let moved = i64::from(*line) + shift;
        while let Some(other) = others.next_if(|(line, _)| i64::from(*line) < moved) {
            after.push(other);
        }
        let found = others.next_if(|(line, _)| i64::from(*line) == moved);
        pairs.extend(found.map(|(_, other)| (*index, other)));
        found.is_none()
    });
    after.extend(others);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_out_of_order_is_no_anchor() {
        let lines = [[1, 1], [10, 500], [20, 30], [30, 40], [40, 20], [50, 60]];
        assert_eq!(longest_ascent(&lines), [[1, 1], [20, 30], [30, 40], [50, 60]]);
        assert_eq!(longest_ascent(&[]), [[0; 2]; 0]);
    }

    /// Ten lines were put in at line 50, five at line 150.
    #[test]
    fn nameless_functions_keep_their_distance_from_names() {
        let anchors = [[10, 10], [100, 110], [200, 215]];
        // 20 stays; 120 moves with what is above it, 180 with what is below; 101 is gone, 118 is new: another function.
        let pairs = pairs(&[20, 101, 120, 180, 210], &[20, 118, 130, 195, 225], &anchors);
        assert_eq!(pairs, [(0, 0), (2, 2), (3, 3), (1, 1), (4, 4)]);
    }

    #[test]
    fn without_names_the_same_line_is_the_same_function() {
        assert_eq!(pairs(&[3, 20], &[20, 25], &[]), [(1, 0), (0, 1)]);
        assert_eq!(pairs(&[3, 20, 30], &[20, 25], &[]), [(1, 0)]);
    }

    #[test]
    fn a_line_that_both_have_by_chance_is_not_the_same_function() {
        // Two lines were put in above: 12 before is 14 after, not 12.
        assert_eq!(pairs(&[10, 12], &[12, 14], &[[5, 7]]), [(0, 0), (1, 1)]);
    }

    #[test]
    fn functions_of_one_line_keep_their_order() {
        assert_eq!(pairs(&[3, 7, 7, 9], &[7, 7, 9, 11], &[]), [(1, 0), (2, 1), (3, 2), (0, 3)]);
        assert_eq!(pairs(&[7, 7], &[12, 12, 14], &[[5, 10]]), [(0, 0), (1, 1)]);
    }

    /// What takes the square of their number would take half a minute.
    #[test]
    fn many_nameless_functions_take_no_time() {
        let lines: Vec<u32> = (0..200_000).map(|line| line * 3).collect();
        let all: Vec<_> = (0..lines.len()).map(|index| (index, index)).collect();
        assert_eq!(pairs(&lines, &lines, &[]), all);
    }
}
