//! Which frames are drawn, how wide, and in which order.

use std::cmp::Reverse;
use std::fmt::Write;

use burnmark_analysis::{CallTree, MergeBy, Place};

use super::FlameOptions;
use super::colour::Kind;
use crate::names::{cut_bytes, printable};

/// Bytes of a name that are kept for label and tooltip.
const LONGEST_NAME: usize = 10_000;

/// Bytes of lines for inferno plus text of the picture: a browser shows no more either.
const BUDGET: usize = 128 << 20;

/// Bytes of a frame in the picture, besides its name.
const FRAME_BYTES: usize = 250;

/// Bytes of a token in a line.
const TOKEN_BYTES: usize = 7;

/// What a frame of the picture stands for.
#[derive(Clone, Copy)]
pub(super) enum What<'t> {
    /// A node of the tree.
    Place(&'t Place<'t>),
    /// This many frames and fewer, which are deeper than is drawn.
    Deeper(u32),
    /// Stacks that begin with a frame too narrow to be drawn.
    Narrow,
    /// Samples without a stack.
    NoStack,
}

/// A frame of the picture.
pub(super) struct Frame<'t> {
    pub(super) what: What<'t>,
    pub(super) kind: Kind,
    /// Its value, as stored.
    pub(super) width: u64,
    parent: Option<u32>,
    /// Width that no child covers.
    own: u64,
}

/// The picture.
pub(super) struct Plan<'t> {
    /// Frames in the order of drawing: parents before children, siblings from left to right. The index is the token.
    pub(super) frames: Vec<Frame<'t>>,
    /// The width of the picture: the sum of the positive values.
    pub(super) total: u64,
    /// The sum of the negative values, without sign.
    pub(super) negative: u64,
    /// Frames that the deepest stack has beyond the limit.
    pub(super) deepest_cut: u32,
    /// Frames wide enough that would have been too many.
    pub(super) left_out: usize,
    merge_by: MergeBy,
}

impl<'t> Plan<'t> {
    /// Takes the widest frames of a tree, as many as can be shown.
    pub(super) fn new(tree: &'t CallTree<'t>, options: &FlameOptions) -> Self {
        let widths = widths(tree);
        let total = widths[0];
        let negative = tree
            .nodes
            .iter()
            .flat_map(|node| [node.self_value, node.cut.value])
            .filter(|value| *value < 0)
            .map(i64::unsigned_abs)
            .sum();
        let least = ((options.min_share * total as f64).ceil() as u64).max(1);
        let (drawn, left_out) = choose(tree, &widths, least);
        let merge_by = options.merge_by;
        let mut plan = Self { frames: Vec::new(), total, negative, deepest_cut: 0, left_out, merge_by };
        plan.place_frames(tree, &widths, &drawn, options.max_depth.max(1), least);
        plan
    }

    fn place_frames(&mut self, tree: &'t CallTree<'t>, widths: &[u64], drawn: &[bool], max_depth: u32, least: u64) {
        let mut open: Vec<(u32, Option<u32>)> = vec![(0, None)];
        while let Some((index, parent)) = open.pop() {
            let node = &tree.nodes[index as usize];
            let width = widths[index as usize];
            let frame = if index == 0 {
                // inferno draws the root. What ends there has no stack.
                let own = positive(node.self_value);
                if own >= least {
                    self.push(What::NoStack, Kind::Group, own, None);
                }
                None
            } else {
                let place = tree.place(index);
                Some(self.push(What::Place(place), Kind::new(place.kind, node.inlined), width, parent))
            };
            let cut = positive(node.cut.value);
            if node.depth >= max_depth && cut >= least {
                self.deepest_cut = self.deepest_cut.max(node.cut.levels);
                self.push(What::Deeper(node.cut.levels), Kind::Group, cut, frame);
            }
            for child in tree.children(index).rev() {
                if drawn[child as usize] {
                    open.push((child, frame));
                }
            }
        }
        // The picture is as wide as all samples: shares of it are shares of them.
        let drawn: u64 = self.frames.iter().filter(|frame| frame.parent.is_none()).map(|frame| frame.width).sum();
        if drawn < self.total {
            self.push(What::Narrow, Kind::Group, self.total - drawn, None);
        }
    }

    fn push(&mut self, what: What<'t>, kind: Kind, width: u64, parent: Option<u32>) -> u32 {
        if let Some(parent) = parent {
            self.frames[parent as usize].own -= width;
        }
        self.frames.push(Frame { what, kind, width, parent, own: width });
        self.frames.len() as u32 - 1
    }

    /// What occurs.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.frames.iter().map(|frame| frame.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// A line for each frame that children don't cover whole: tokens from the root on, and the width.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut prefix = String::new();
        // The frames from the root to the current one, and where each ends in the prefix.
        let mut path: Vec<(u32, usize)> = Vec::new();
        for (index, frame) in self.frames.iter().enumerate() {
            while path.last().is_some_and(|(last, _)| frame.parent != Some(*last)) {
                path.pop();
            }
            prefix.truncate(path.last().map_or(0, |(_, end)| *end));
            // Writing to a string does not fail.
            _ = write!(prefix, "{}{index}", if prefix.is_empty() { "" } else { ";" });
            path.push((index as u32, prefix.len()));
            if frame.own > 0 {
                lines.push(format!("{prefix} {}", frame.own));
            }
        }
        lines
    }

    /// The frame's text.
    pub(super) fn label(&self, frame: &Frame<'_>) -> String {
        match frame.what {
            What::Place(place) => {
                let name = printable(&place.name);
                let name = cut_bytes(&name, LONGEST_NAME);
                match place.file.filter(|_| self.merge_by == MergeBy::Line) {
                    Some(file) => {
                        let file = file.rsplit('/').next().unwrap_or(file);
                        format!("{name} {}:{}", cut_bytes(&printable(file), LONGEST_NAME), place.line)
                    }
                    None => name.into_owned(),
                }
            }
            What::Deeper(levels) => format!("… {} deeper", crate::numbers::count(levels)),
            What::Narrow => "… too narrow to be drawn".to_owned(),
            What::NoStack => "[no stack]".to_owned(),
        }
    }
}

fn positive(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Per node the sum of the positive values that end there or below.
fn widths(tree: &CallTree<'_>) -> Vec<u64> {
    let mut widths: Vec<u64> =
        tree.nodes.iter().map(|node| positive(node.self_value) + positive(node.cut.value)).collect();
    for (index, node) in tree.nodes.iter().enumerate().rev() {
        if let Some(parent) = node.parent {
            widths[parent as usize] += widths[index];
        }
    }
    widths
}

/// Which nodes are drawn: those at least that wide, the widest of them if they are too many. Returns how many of them
/// are not. A parent is at least as wide as its children and comes first, so it is drawn if one of them is.
fn choose(tree: &CallTree<'_>, widths: &[u64], least: u64) -> (Vec<bool>, usize) {
    let mut wide: Vec<usize> = (0..widths.len()).filter(|node| widths[*node] >= least).collect();
    let cost = |node: usize| {
        let node = &tree.nodes[node];
        let name = tree.places[node.place as usize].name.len().min(LONGEST_NAME);
        2 * name + FRAME_BYTES + (node.depth as usize + 1) * TOKEN_BYTES
    };
    let mut left_out = 0;
    if wide.iter().map(|node| cost(*node)).sum::<usize>() > BUDGET {
        wide.sort_unstable_by_key(|node| (Reverse(widths[*node]), *node));
        let mut spent = 0;
        let fits = |node: &&usize| {
            spent += cost(**node);
            spent <= BUDGET
        };
        let fit = wide.iter().take_while(fits).count();
        left_out = wide.len() - fit;
        wide.truncate(fit);
    }
    let mut drawn = vec![false; widths.len()];
    for node in wide {
        drawn[node] = true;
    }
    (drawn, left_out)
}
