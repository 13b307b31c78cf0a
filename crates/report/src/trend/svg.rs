//! The plot as SVG: points, low points, the line and how far its slope reaches, the warm-up in grey.

use std::fmt::Write;

use burnmark_journal::series::Point;
use burnmark_journal::trend::TrendVerdict;

use super::TrendReport;
use crate::grid::figure;
use crate::names::printable;
use crate::numbers::duration;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 44.0;

/// Points drawn at most: of more, the lowest and highest of each pixel.
const PIXELS: usize = 800;

/// Where values are in the picture.
struct Frame {
    from: f64,
    long: f64,
    least: f64,
    tall: f64,
}

impl Frame {
    fn x(&self, time: f64) -> f64 {
        LEFT + (time - self.from) / self.long * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, bytes: f64) -> f64 {
        let inside = HEIGHT - TOP - BOTTOM;
        // Lines may leave the frame: they are cut at its edge.
        (TOP + inside - (bytes - self.least) / self.tall * inside).clamp(TOP, HEIGHT - BOTTOM)
    }
}

fn text_of(text: &str) -> String {
    printable(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A round number near a fifth of a range.
fn step(range: f64) -> f64 {
    let rough = range / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].iter().map(|factor| factor * power).find(|step| *step >= rough).unwrap_or(rough)
}

pub(super) fn draw(report: &TrendReport<'_>, title: &str, subtitle: &str) -> String {
    let points = &report.series.points;
    let time = |at: Option<&Point>| at.map_or(0.0, |point| point.time);
    let (from, to) = (time(points.first()), time(points.last()));
    let least = points.iter().map(|point| point.bytes).fold(f64::INFINITY, f64::min);
    let most = points.iter().map(|point| point.bytes).fold(f64::NEG_INFINITY, f64::max);
    let tall = if most > least { (most - least) * 1.06 } else { 1e6 };
    let long = if to > from { to - from } else { 1.0 };
    let frame = Frame { from, long, least: least - tall * 0.03, tall };
    let colour = match report.trend.verdict {
        TrendVerdict::Leak => "#c0392b",
        TrendVerdict::Stable => "#1e8449",
        TrendVerdict::Inconclusive => "#b9770e",
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"16\" fill=\"{colour}\">{}</text>\n\
         <text x=\"{LEFT}\" y=\"44\" fill=\"#444\">{}</text>\n",
        text_of(title),
        text_of(subtitle),
    );
    axes(&mut svg, &frame);
    let warm = frame.x(report.trend.from);
    if report.trend.warmup_dropped > 0 {
        let begin = report.trend.part.map_or(LEFT, |part| frame.x(part.times[0]));
        let (width, height) = (warm - begin, HEIGHT - TOP - BOTTOM);
        put(
            &mut svg,
            format_args!(
                "<rect x=\"{begin:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{height}\" fill=\"#888\" fill-opacity=\"0.12\"/>"
            ),
        );
        put(&mut svg, format_args!("<text x=\"{:.1}\" y=\"{}\" fill=\"#777\">warm-up</text>", begin + 6.0, TOP + 16.0));
    }
    // Nothing is known of what lies in a gap: no line goes across.
    let least = report.trend.part.map_or(f64::INFINITY, |part| part.least);
    let per = points.len().div_ceil(PIXELS).max(1);
    for part in points.chunk_by(|a, b| b.time - a.time <= least) {
        let points = polyline(part, per, &frame);
        put(
            &mut svg,
            format_args!("<polyline fill=\"none\" stroke=\"#5d8aa8\" stroke-width=\"1\" points=\"{points}\"/>"),
        );
    }
    line(&mut svg, report, &frame, colour);
    svg.push_str("</svg>\n");
    svg
}

fn put(svg: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(svg, "{arguments}");
}

fn axes(svg: &mut String, frame: &Frame) {
    let megabytes = step(frame.tall / 1e6);
    let mut at = (frame.least / 1e6 / megabytes).ceil() * megabytes;
    while at * 1e6 <= frame.least + frame.tall && megabytes > 0.0 {
        let y = frame.y(at * 1e6);
        put(
            svg,
            format_args!("<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>", WIDTH - RIGHT),
        );
        put(
            svg,
            format_args!(
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#444\">{} MB</text>",
                LEFT - 6.0,
                y + 4.0,
                figure(at)
            ),
        );
        if at + megabytes <= at {
            break;
        }
        at += megabytes;
    }
    for fifth in 0..=5 {
        let passed = frame.long * f64::from(fifth) / 5.0;
        let x = frame.x(frame.from + passed);
        let text = if fifth == 0 { "0".to_owned() } else { duration((passed * 1e9) as i64) };
        let y = HEIGHT - BOTTOM;
        put(svg, format_args!("<line x1=\"{x:.1}\" y1=\"{y}\" x2=\"{x:.1}\" y2=\"{}\" stroke=\"#999\"/>", y + 4.0));
        let anchor = if fifth == 5 { "end" } else { "middle" };
        put(
            svg,
            format_args!("<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"{anchor}\" fill=\"#444\">{text}</text>", y + 18.0),
        );
    }
}

/// The points; of more than a few per pixel, the lowest and the highest.
fn polyline(points: &[Point], per: usize, frame: &Frame) -> String {
    let mut shown: Vec<(f64, f64)> = Vec::new();
    for part in points.chunks(per) {
        if per < 3 {
            shown.extend(part.iter().map(|point| (point.time, point.bytes)));
            continue;
        }
        let by_size = |a: &&Point, b: &&Point| a.bytes.total_cmp(&b.bytes);
        let (low, high) = (part.iter().min_by(by_size), part.iter().max_by(by_size));
        let mut both: Vec<(f64, f64)> = low.into_iter().chain(high).map(|point| (point.time, point.bytes)).collect();
        both.sort_by(|a, b| a.0.total_cmp(&b.0));
        shown.extend(both);
    }
    let texts: Vec<String> =
        shown.iter().map(|(time, bytes)| format!("{:.1},{:.1}", frame.x(*time), frame.y(*bytes))).collect();
    texts.join(" ")
}

/// The line, the wedge of its interval around its middle, the low points.
fn line(svg: &mut String, report: &TrendReport<'_>, frame: &Frame, colour: &str) {
    let trend = &report.trend;
    let [begin, end] = trend.line;
    let (middle, level) = ((begin.time + end.time) / 2.0, (begin.bytes + end.bytes) / 2.0);
    let at = |slope: f64, time: f64| (frame.x(time), frame.y(level + slope / 3_600.0 * (time - middle)));
    let [low, high] = trend.ci;
    // In this order the sides cross in the middle: a wedge to both ends.
    let corners = [at(low, begin.time), at(low, end.time), at(high, end.time), at(high, begin.time)];
    let corners: Vec<String> = corners.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    put(svg, format_args!("<polygon points=\"{}\" fill=\"{colour}\" fill-opacity=\"0.15\"/>", corners.join(" ")));
    put(
        svg,
        format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            frame.x(begin.time),
            frame.y(begin.bytes),
            frame.x(end.time),
            frame.y(end.bytes),
        ),
    );
    for point in &trend.minima {
        put(
            svg,
            format_args!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/>",
                frame.x(point.time),
                frame.y(point.bytes)
            ),
        );
    }
}
