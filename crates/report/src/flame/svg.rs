//! Gives frames that inferno drew for tokens their names.

use std::io::Write;

use super::plan::{Frame, Plan, What};
use crate::Error;
use crate::names::{cut_bytes, cut_end, printable};
use crate::numbers::{Scale, percent};

/// Pixels that inferno's pictures are wide without a script, less the padding at both sides.
const WIDTH: f64 = 1_180.0;

/// Pixels of a character, and between a frame's edge and its text, as inferno reckons.
const CHARACTER: f64 = 12.0 * 0.59;
const INDENT: f64 = 3.0;

/// Bytes of a module's or file's name in a tooltip.
const LONGEST_DETAIL: usize = 300;

/// Copies a drawing, with every frame's tooltip, colour and text replaced; returns how many there were. They are
/// written by inferno as `<title>TOKEN (…)</title><rect … fill="…" …/><text …>…</text>`, inside `<svg id="frames"`.
pub(super) fn rename(
    drawing: &[u8],
    mut show: impl FnMut(&str) -> Result<Shown, Error>,
    out: &mut dyn Write,
) -> Result<usize, Error> {
    let drawing = std::str::from_utf8(drawing).map_err(|_| Error::Drawing("not UTF-8"))?;
    let start = drawing.find("<svg id=\"frames\"").ok_or(Error::Drawing("no frames"))?;
    let mut frames = 0;
    out.write_all(&drawing.as_bytes()[..start])?;
    let mut rest = &drawing[start..];
    while let Some((before, after)) = rest.split_once("<title>") {
        let (token, after) = after.split_once(" (").ok_or(Error::Drawing("a frame without a count"))?;
        let (_, after) = after.split_once("</title>").ok_or(Error::Drawing("an open title"))?;
        let (rect, after) = after.split_once("fill=\"").ok_or(Error::Drawing("a frame without a colour"))?;
        let (_, after) = after.split_once('"').ok_or(Error::Drawing("an open colour"))?;
        let (text, after) = split_after(after, "<text").ok_or(Error::Drawing("a frame without a text"))?;
        let (attributes, after) = split_after(after, ">").ok_or(Error::Drawing("an open text"))?;
        let (_, after) = after.split_once("</text>").ok_or(Error::Drawing("an open text"))?;
        let shown = show(token)?;
        let (r, g, b) = shown.colour;
        write!(out, "{before}<title>{}</title>{rect}fill=\"rgb({r},{g},{b})\"", escaped(&shown.title))?;
        if shown.dashed {
            out.write_all(b" stroke=\"black\" stroke-width=\"1\" stroke-dasharray=\"4,3\"")?;
        }
        write!(out, "{text}{attributes}{}</text>", escaped(&shown.text))?;
        rest = after;
        frames += 1;
    }
    out.write_all(rest.as_bytes())?;
    Ok(frames)
}

/// Splits behind the first `separator`.
fn split_after<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    Some(text.split_at(text.find(separator)? + separator.len()))
}

/// What is written for a frame.
pub(super) struct Shown {
    /// The tooltip: label, and in a last parenthesis the rest.
    pub(super) title: String,
    /// The text in the frame.
    pub(super) text: String,
    pub(super) colour: (u8, u8, u8),
    /// Whether it has a dashed outline.
    pub(super) dashed: bool,
}

/// How many characters fit into a frame of this share of the picture.
pub(super) fn columns(share: f64) -> usize {
    ((share * WIDTH - INDENT) / CHARACTER).max(0.0) as usize
}

/// A frame of a plain flame graph.
pub(super) fn show(token: &str, plan: &Plan<'_>, scale: &Scale) -> Result<Shown, Error> {
    let value = |width: u64| scale.text(i64::try_from(width).unwrap_or(i64::MAX));
    if token == "all" {
        let title = format!("all ({}, 100%)", value(plan.total));
        return Ok(Shown {
            title,
            text: "all".to_owned(),
            colour: super::colour::Kind::Group.rgb("all"),
            dashed: false,
        });
    }
    let frame: Option<&Frame<'_>> = token.parse().ok().and_then(|index: usize| plan.frames.get(index));
    let frame = frame.ok_or(Error::Drawing("a frame that was not asked for"))?;
    let label = plan.label(frame);
    let share = frame.width as f64 / plan.total as f64;
    let mut details: Vec<String> = Vec::new();
    if let What::Place(place) = frame.what {
        details.extend(place.module.map(detail));
        details.extend(frame.kind.note().map(str::to_owned));
        details.extend(place.file.map(|file| match place.line {
            0 => detail(file),
            line => format!("{}:{line}", detail(file)),
        }));
    }
    details.push(value(frame.width));
    details.push(format!("{}%", percent(share)));
    // inferno's script makes the text again from the title: it takes off the last parenthesis.
    let title = format!("{label} ({})", details.join(", "));
    let colour = match frame.what {
        What::Place(place) => frame.kind.rgb(&place.name),
        What::Deeper(_) | What::Narrow | What::NoStack => frame.kind.rgb(""),
    };
    Ok(Shown { title, text: cut_end(&label, columns(share)), colour, dashed: false })
}

/// A text for the parenthesis, without any of its own.
pub(super) fn detail(text: &str) -> String {
    let text = printable(text);
    cut_bytes(&text, LONGEST_DETAIL).replace('(', "[").replace(')', "]")
}

fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => result.push_str("&amp;"),
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            '"' => result.push_str("&quot;"),
            '\'' => result.push_str("&#39;"),
            _ => result.push(char),
        }
    }
    result
}
