//! Flame graphs of a difference: each frame coloured by the change of its own total, not by that of its children.

use std::fmt::Write as _;
use std::io::Write;

use burnmark_analysis::diff::{Diff, DiffNode, Evidence, Verdict};
use inferno::flamegraph;

use super::svg::{self, Shown, columns};
use super::{Drawn, inferno_options};
use crate::Error;
use crate::names::{cut_bytes, cut_end, cut_middle, printable, width};
use crate::numbers::{count, decimal, percent};

/// The picture's width in whole parts.
const PARTS: f64 = 1e9;

/// Frames that a browser still shows.
const MOST_FRAMES: usize = 100_000;

/// Bytes of a name that are kept.
const LONGEST_NAME: usize = 10_000;

/// Columns that fit into the picture's width at the title's size: what is normalized is never cut off.
const TITLE_COLUMNS: usize = 112;

/// Colours of what is not significant, and of the root.
const GREY: (u8, u8, u8) = (218, 218, 218);
const ROOT: (u8, u8, u8) = (200, 200, 200);

/// What makes the widths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Widths {
    /// What frames take after the change; those that are gone are as wide as they were.
    #[default]
    After,
    /// What they took before; those that are new are as wide as they are.
    Before,
    /// The larger of the two.
    Larger,
}

/// How to draw a difference.
#[derive(Clone, Debug, PartialEq)]
pub struct DiffFlameOptions {
    /// What makes the widths.
    pub widths: Widths,
    /// The title; what is normalized is added to it.
    pub title: String,
    /// Grow downwards.
    pub icicle: bool,
    /// Leave out frames narrower than this fraction (0 to 1) of the picture.
    pub min_share: f64,
    /// Frames above one another.
    pub max_depth: u32,
}

impl Default for DiffFlameOptions {
    fn default() -> Self {
        Self { widths: Widths::After, title: "Difference".to_owned(), icicle: false, min_share: 0.0005, max_depth: 500 }
    }
}

/// A frame of the picture.
struct Frame<'d> {
    node: &'d DiffNode,
    width: u64,
    depth: u32,
    parent: Option<usize>,
    /// Width that no child covers.
    own: u64,
}

struct Plan<'d> {
    diff: &'d Diff,
    frames: Vec<Frame<'d>>,
    total: u64,
    /// What is too narrow to stand alone, or has no stack.
    rest: u64,
    /// The largest significant change.
    largest: f64,
    left_out: usize,
    too_deep: bool,
}

/// Draws the difference.
///
/// # Errors
/// When there is nothing to draw, or writing fails.
pub fn diff_flame(diff: &Diff, options: &DiffFlameOptions, out: &mut dyn Write) -> Result<Drawn, Error> {
    let plan = Plan::new(diff, options);
    if plan.total == 0 {
        return Err(Error::NoSamples);
    }
    let mut lines = plan.lines();
    if plan.rest > 0 {
        lines.push(format!("rest {}", plan.rest));
    }
    let normalized = normalized(diff, options.widths);
    let room = TITLE_COLUMNS.saturating_sub(width(&normalized) + " ()".len());
    let title = format!("{} ({normalized})", cut_middle(&printable(&options.title), room));
    let mut drawing = Vec::new();
    flamegraph::from_lines(
        &mut inferno_options(&title, &subtitle(diff), options.icicle),
        lines.iter().rev().map(String::as_str),
        &mut drawing,
    )?;
    let drawn = svg::rename(&drawing, |token| plan.show(token), out)?;
    if drawn != plan.frames.len() + 1 + usize::from(plan.rest > 0) {
        return Err(Error::Drawing("a frame is missing"));
    }
    let mut warnings = Vec::new();
    if plan.left_out > 0 {
        warnings.push(format!("the {} narrowest frames are left out: filter to see them", count(plan.left_out)));
    }
    if plan.too_deep {
        warnings.push(format!("stacks are drawn to {} frames", options.max_depth.max(1)));
    }
    Ok(Drawn { frames: plan.frames.len(), warnings })
}

/// What is normalized, for the title.
fn normalized(diff: &Diff, widths: Widths) -> String {
    let what = if diff.per_op { "cost per operation" } else { "share of each side's samples" };
    let which = match widths {
        Widths::After => "after; of what is gone: before",
        Widths::Before => "before; of what is new: after",
        Widths::Larger => "the larger of before and after",
    };
    format!("width: {what}, {which}")
}

fn subtitle(diff: &Diff) -> String {
    let evidence = match diff.evidence {
        Evidence::Runs => "several runs",
        Evidence::WithinRun => "one run each",
        Evidence::None => "none (no times)",
    };
    format!("red ▲ grew · blue ▼ shrank · grey: not significant · dashed: ✚ new, ✖ gone · evidence: {evidence}")
}

impl<'d> Plan<'d> {
    fn new(diff: &'d Diff, options: &DiffFlameOptions) -> Self {
        let widths = widths(diff, options.widths);
        let samples: f64 = [0, 1].map(|side| whole(diff, side)).into_iter().fold(0.0, f64::max);
        let roots: f64 = diff.nodes.iter().zip(&widths).filter(|(node, _)| node.parent.is_none()).map(|(_, w)| w).sum();
        let all = match options.widths {
            Widths::After => whole(diff, 1),
            Widths::Before => whole(diff, 0),
            Widths::Larger => samples,
        };
        let all = all.max(roots);
        let scale = if all > 0.0 { PARTS / all } else { 0.0 };
        let mut plan = Self { diff, frames: Vec::new(), total: 0, rest: 0, largest: 0.0, left_out: 0, too_deep: false };
        plan.choose(&widths, scale, options);
        let drawn: u64 = plan.frames.iter().filter(|frame| frame.parent.is_none()).map(|frame| frame.width).sum();
        plan.total = drawn.max((all * scale) as u64);
        plan.rest = plan.total - drawn;
        let changes = plan.frames.iter().filter(|frame| is_significant(frame.node));
        plan.largest = changes.map(|frame| change(frame.node).abs()).fold(0.0, f64::max);
        plan
    }

    /// Places frames depth first, siblings by name.
    fn choose(&mut self, widths: &[f64], scale: f64, options: &DiffFlameOptions) {
        let nodes = &self.diff.nodes;
        let mut least = ((options.min_share * PARTS).ceil() as u64).max(1);
        let mut wide: Vec<u64> =
            widths.iter().map(|width| (width * scale) as u64).filter(|width| *width >= least).collect();
        if wide.len() > MOST_FRAMES {
            wide.sort_unstable_by(|a, b| b.cmp(a));
            least = wide[MOST_FRAMES] + 1;
            self.left_out = wide.iter().filter(|width| **width < least).count();
        }
        let mut children: Vec<Vec<u32>> = vec![Vec::new(); nodes.len()];
        let mut roots: Vec<u32> = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            if (widths[index] * scale) as u64 >= least {
                match node.parent {
                    Some(parent) => children[parent as usize].push(index as u32),
                    None => roots.push(index as u32),
                }
            }
        }
        let key = |index: &u32| {
            let identity = &self.diff.identities[nodes[*index as usize].function as usize];
            (identity.name.as_str(), identity.module.as_deref())
        };
        for list in children.iter_mut().chain([&mut roots]) {
            list.sort_unstable_by(|a, b| key(b).cmp(&key(a)));
        }
        let mut open: Vec<(u32, Option<usize>, u32)> = roots.iter().map(|root| (*root, None, 1)).collect();
        while let Some((index, parent, depth)) = open.pop() {
            if depth > options.max_depth.max(1) {
                self.too_deep = true;
                continue;
            }
            let mut width = (widths[index as usize] * scale) as u64;
            if let Some(parent) = parent {
                // Rounding never makes children wider than their caller.
                width = width.min(self.frames[parent].own);
                self.frames[parent].own -= width;
            }
            if width == 0 {
                continue;
            }
            let at = self.frames.len();
            self.frames.push(Frame { node: &nodes[index as usize], width, depth, parent, own: width });
            open.extend(children[index as usize].iter().map(|child| (*child, Some(at), depth + 1)));
        }
    }

    /// A line for each frame that children don't cover whole.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut prefix = String::new();
        // Where the prefix of each depth ends.
        let mut ends: Vec<usize> = vec![0];
        for (index, frame) in self.frames.iter().enumerate() {
            ends.truncate(frame.depth as usize);
            prefix.truncate(ends.last().copied().unwrap_or(0));
            // Writing to a string does not fail.
            _ = write!(prefix, "{}{index}", if prefix.is_empty() { "" } else { ";" });
            ends.push(prefix.len());
            if frame.own > 0 {
                lines.push(format!("{prefix} {}", frame.own));
            }
        }
        lines
    }

    fn show(&self, token: &str) -> Result<Shown, Error> {
        let plain = |text: &str| Shown { title: text.to_owned(), text: text.to_owned(), colour: ROOT, dashed: false };
        match token {
            "all" => return Ok(Shown { title: "all (100%)".to_owned(), ..plain("all") }),
            "rest" => {
                return Ok(Shown { title: "… (too narrow to be drawn, or no stack)".to_owned(), ..plain("…") });
            }
            _ => {}
        }
        let frame: Option<&Frame<'_>> = token.parse().ok().and_then(|index: usize| self.frames.get(index));
        let frame = frame.ok_or(Error::Drawing("a frame that was not asked for"))?;
        let node = frame.node;
        let identity = &self.diff.identities[node.function as usize];
        let name = printable(&identity.name);
        let kind = Kind::of(node);
        let label = format!("{}{}", kind.mark(node.verdict), cut_bytes(&name, LONGEST_NAME));
        let mut details: Vec<String> = identity.module.iter().map(|module| svg::detail(module)).collect();
        details.extend(self.details(node, kind));
        let title = format!("{label} ({})", details.join(", "));
        let share = frame.width as f64 / self.total as f64;
        let text = cut_end(&label, columns(share));
        Ok(Shown { title, text, colour: self.colour(node), dashed: kind != Kind::Both })
    }

    fn details(&self, node: &DiffNode, kind: Kind) -> Vec<String> {
        let mut details: Vec<String> = Vec::new();
        let side = |side: usize| match whole(self.diff, side) {
            all if all > 0.0 => percent(node.total[side] / if self.diff.per_op { whole(self.diff, 0) } else { all }),
            _ => percent(0.0),
        };
        let of = if self.diff.per_op { "% of the cost before" } else { "%" };
        details.push(format!("before {}{of}", side(0)));
        details.push(format!("after {}{of}", side(1)));
        let delta = decimal(
            change(node) / if self.diff.per_op { whole(self.diff, 0).max(f64::MIN_POSITIVE) } else { 1.0 } * 100.0,
            2,
        );
        let sign = if delta.starts_with('-') || delta == "0.00" { "" } else { "+" };
        details.push(format!("change {sign}{delta} points"));
        match kind {
            Kind::New => details.push("new".to_owned()),
            Kind::Gone => details.push("gone".to_owned()),
            Kind::Both => {}
        }
        details.push(match node.q {
            Some(q) => format!("{}, q {}", node.verdict.word(), decimal(q, 3)),
            None => "too few samples".to_owned(),
        });
        details
    }

    /// Red or blue, the stronger the larger the change; grey if it is not significant.
    fn colour(&self, node: &DiffNode) -> (u8, u8, u8) {
        if !is_significant(node) {
            return GREY;
        }
        let strength = if self.largest > 0.0 { (change(node).abs() / self.largest).sqrt().min(1.0) } else { 1.0 };
        // From a pale to a full shade; black text is legible on all of them.
        let pale = (225.0 - 135.0 * strength) as u8;
        match node.verdict {
            Verdict::Improved => (pale, ((pale as u16 + 255) / 2) as u8, 255),
            _ => (255, pale, pale),
        }
    }
}

/// Whether a frame is on both sides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Both,
    New,
    Gone,
}

impl Kind {
    fn of(node: &DiffNode) -> Self {
        match (node.total[0] > 0.0, node.total[1] > 0.0) {
            (false, true) => Self::New,
            (true, false) => Self::Gone,
            _ => Self::Both,
        }
    }

    /// In front of the name, so that colour is not all that tells.
    fn mark(self, verdict: Verdict) -> &'static str {
        match (self, verdict) {
            (Self::New, _) => "✚ ",
            (Self::Gone, _) => "✖ ",
            (Self::Both, Verdict::Regressed) => "▲ ",
            (Self::Both, Verdict::Improved) => "▼ ",
            (Self::Both, Verdict::Unchanged | Verdict::Inconclusive) => "",
        }
    }
}

fn is_significant(node: &DiffNode) -> bool {
    matches!(node.verdict, Verdict::Regressed | Verdict::Improved)
}

fn change(node: &DiffNode) -> f64 {
    node.total[1] - node.total[0]
}

/// What all samples of a side make: 1, or its cost per operation.
fn whole(diff: &Diff, side: usize) -> f64 {
    match (&diff.whole, side) {
        (None, _) => 1.0,
        (Some(whole), 0) => whole.before.cost.unwrap_or(0.0),
        (Some(whole), _) => whole.after.cost.unwrap_or(0.0),
    }
}

/// Per node, how wide it is: the sum of what ends there or deeper, on the side that makes the widths. A frame that this
/// side lacks is as wide as on the other.
fn widths(diff: &Diff, widths: Widths) -> Vec<f64> {
    let own = |node: &DiffNode| match (widths, Kind::of(node)) {
        (Widths::After, Kind::Gone) | (Widths::Before, Kind::Both | Kind::Gone) => node.own[0],
        (Widths::Before, Kind::New) | (Widths::After, Kind::Both | Kind::New) => node.own[1],
        (Widths::Larger, _) => node.own[0].max(node.own[1]),
    };
    let mut result: Vec<f64> = diff.nodes.iter().map(own).collect();
    for (index, node) in diff.nodes.iter().enumerate().rev() {
        if let Some(parent) = node.parent {
            result[parent as usize] += result[index];
        }
    }
    result
}
