//! Flame graphs as SVG.
//!
//! inferno lays frames out, and brings the script that zooms and searches. It is fed tokens, one per node of our tree,
//! and what it wrote for a token is then replaced by the frame's name, tooltip and colour: see [`svg`]. So siblings are
//! merged by what they are and stand in the tree's order, whatever their names look like; and no name is parsed.
//! inferno reads meaning into `;`, numbers at the end, `# ` at the start, blanks and `_[k]`.

mod colour;
mod diff;
mod plan;
mod svg;

use std::io::Write;

use burnmark_analysis::{CallTree, Direction, MergeBy, Roots, TreeOptions, summarize};
use burnmark_model::Profile;
use inferno::flamegraph::color::{BackgroundColor, BasicPalette, Palette};
use inferno::flamegraph::{self, Options, TextTruncateDirection};

pub use diff::{DiffFlameOptions, Widths, diff_flame};

use crate::Error;
use crate::names::{cut_bytes, printable};
use crate::numbers::Scale;
use plan::Plan;

/// Bytes of a title or subtitle that are shown.
const LONGEST_TITLE: usize = 300;

/// How to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct FlameOptions {
    /// Index of the value type that makes the widths.
    pub value: usize,
    /// What makes two frames one.
    pub merge_by: MergeBy,
    /// What stands first, before the stacks' own frames.
    pub roots: Roots,
    /// Start from the leaves: callers stand on what they call.
    pub reverse: bool,
    /// Grow downwards.
    pub icicle: bool,
    /// The title.
    pub title: String,
    /// A line below it. `None` says what was sampled and what the colours mean.
    pub subtitle: Option<String>,
    /// Leave out frames narrower than this fraction (0 to 1) of the picture.
    pub min_share: f64,
    /// Frames above one another. What is deeper becomes one frame that says how much is missing.
    pub max_depth: u32,
}

impl Default for FlameOptions {
    fn default() -> Self {
        Self {
            value: 0,
            merge_by: MergeBy::default(),
            roots: Roots::default(),
            reverse: false,
            icicle: false,
            title: "Flame graph".to_owned(),
            subtitle: None,
            min_share: 0.0005,
            max_depth: 500,
        }
    }
}

/// What was drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// How many frames.
    pub frames: usize,
    /// What is not in the picture, and why.
    pub warnings: Vec<String>,
}

/// Draws a flame graph.
///
/// # Errors
/// When there is nothing to draw, or writing fails.
pub fn flame(profile: &Profile, options: &FlameOptions, out: &mut dyn Write) -> Result<Drawn, Error> {
    if profile.samples.is_empty() {
        return Err(Error::NoSamples);
    }
    let tree = CallTree::new(
        profile,
        &TreeOptions {
            value: options.value,
            merge_by: options.merge_by,
            direction: if options.reverse { Direction::FromLeaf } else { Direction::FromRoot },
            roots: options.roots,
            max_depth: options.max_depth.max(1),
            min_share: options.min_share,
        },
    )?;
    let plan = Plan::new(&tree, options);
    if plan.total == 0 {
        let value = tree.value_type;
        return Err(Error::NoValue { value_type: printable(&format!("{}/{}", value.name, value.unit)).into() });
    }
    let scale = Scale::new(tree.value_type, i64::try_from(plan.total).unwrap_or(i64::MAX));
    let subtitle = match &options.subtitle {
        Some(subtitle) => subtitle.clone(),
        None => subtitle(summarize(profile, options.value)?.samples, &tree, &plan, &scale),
    };
    let lines = plan.lines();
    let mut drawing = Vec::new();
    // Only as a "flame chart" does inferno take lines in another order than that of their texts; it draws the last
    // line first.
    flamegraph::from_lines(
        &mut inferno_options(&options.title, &subtitle, options.icicle),
        lines.iter().rev().map(String::as_str),
        &mut drawing,
    )?;
    let frames = svg::rename(&drawing, |token| svg::show(token, &plan, &scale), out)?;
    if frames != plan.frames.len() + 1 {
        return Err(Error::Drawing("a frame is missing"));
    }
    Ok(Drawn { frames: plan.frames.len(), warnings: warnings(&plan, &scale, options) })
}

fn inferno_options(title: &str, subtitle: &str, icicle: bool) -> Options<'static> {
    let shown = |text: &str| cut_bytes(&printable(text), LONGEST_TITLE).into_owned();
    let mut inferno = Options::default();
    inferno.title = shown(title);
    inferno.subtitle = (!subtitle.is_empty()).then(|| shown(subtitle));
    inferno.colors = Palette::Basic(BasicPalette::Hot);
    inferno.bgcolors = Some(BackgroundColor::Grey);
    // Colours are replaced; this keeps inferno from drawing random numbers for them.
    inferno.deterministic = true;
    inferno.direction = if icicle { flamegraph::Direction::Inverted } else { flamegraph::Direction::Straight };
    inferno.text_truncate_direction = TextTruncateDirection::Right;
    inferno.name_type = String::new();
    inferno.flame_chart = true;
    // The plan has left out what is too narrow.
    inferno.min_width = 0.0;
    inferno
}

/// What was measured, and what the colours mean, as far as they occur.
fn subtitle(samples: usize, tree: &CallTree<'_>, plan: &Plan<'_>, scale: &Scale) -> String {
    let samples = crate::numbers::counted(samples, "sample", "samples");
    let value = tree.value_type;
    let mut parts = vec![match value.unit.as_str() {
        "count" if value.name == "samples" => samples,
        _ => format!("{} of {}, {samples}", scale.text(plan.total as i64), printable(&value.name)),
    }];
    parts.extend(plan.kinds().into_iter().filter_map(colour::Kind::legend).map(str::to_owned));
    parts.join(" · ")
}

fn warnings(plan: &Plan<'_>, scale: &Scale, options: &FlameOptions) -> Vec<String> {
    let mut warnings = Vec::new();
    if plan.negative > 0 {
        warnings.push(format!(
            "negative values have no width: {} in all are not drawn",
            scale.text(-i64::try_from(plan.negative).unwrap_or(i64::MAX))
        ));
    }
    if plan.deepest_cut > 0 {
        warnings.push(format!(
            "stacks are drawn to {} frames; the deepest has {} more: raise the limit, or hide the frames that recur",
            options.max_depth.max(1),
            crate::numbers::count(plan.deepest_cut)
        ));
    }
    if plan.left_out > 0 {
        warnings.push(format!(
            "there is too much for one picture: the {} narrowest frames are left out; filter to see them",
            crate::numbers::count(plan.left_out)
        ));
    }
    warnings
}

#[cfg(test)]
mod tests;
