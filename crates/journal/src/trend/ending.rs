//! Whether the end of a series lies above all that was there before.

use std::collections::VecDeque;

use super::{BLOCKS, LEAST_GROWTH, Trend};
use crate::series::Point;

/// The end is this part of the time looked at.
const PART: f64 = 1.0 / 40.0;

/// The fewest points of the end: one alone may be garbage that is just being made.
const LEAST_POINTS: usize = 3;

/// The part of the time looked at that is "before".
const BEFORE: f64 = 0.8;

/// A rise at the end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rise {
    /// How long it goes on, in seconds.
    seconds: f64,
    /// The highest low point before, and the low point of the end, in bytes.
    levels: [f64; 2],
}

impl Rise {
    pub(super) fn by(&self) -> f64 {
        self.levels[1] - self.levels[0]
    }

    pub(super) fn why(&self) -> String {
        let [before, end] = self.levels.map(|bytes| bytes / 1e6);
        format!(
            "the last {:.0} s rise, to {end:.1} MB from {before:.1} MB at most before: measure for longer",
            self.seconds
        )
    }
}

/// The rise that a stable series may have: what is allowed in this time, or 5 %.
pub(super) fn least(trend: &Trend, allowed_per_hour: f64) -> f64 {
    let [begin, end] = trend.line;
    let hours = (end.time - begin.time) / 3_600.0;
    (LEAST_GROWTH * begin.bytes.max(0.0)).max(allowed_per_hour * hours)
}

/// The rise at the end by more than `least`. Like is compared with like: the lowest point of the end, and the lowest points
/// of all spans of the same length before, so that a sawtooth that ends on its way up is none.
pub(super) fn rise(points: &[Point], least: f64) -> Option<Rise> {
    let (first, last) = (points.first()?, points.last()?);
    let span = last.time - first.time;
    let third = points[points.len().checked_sub(LEAST_POINTS)?].time;
    let width = (span * PART).max(last.time - third).min(span / BLOCKS as f64);
    let before = &points[..points.partition_point(|point| point.time <= first.time + span * BEFORE)];
    let highest = highest_low(before, width)?;
    let end = &points[points.partition_point(|point| point.time < last.time - width)..];
    let low = end.iter().map(|point| point.bytes).min_by(f64::total_cmp)?;
    let begin = points.iter().rfind(|point| point.bytes <= highest)?.time;
    (low - highest > least).then_some(Rise { seconds: last.time - begin, levels: [highest, low] })
}

/// The highest of the lowest points of all spans of time of this length.
fn highest_low(points: &[Point], width: f64) -> Option<f64> {
    let begin = points.first()?.time;
    // Points that may be the lowest of a span that ends now or later, the lowest first.
    let mut lows: VecDeque<&Point> = VecDeque::new();
    let mut highest = None::<f64>;
    for point in points {
        while lows.back().is_some_and(|low| low.bytes >= point.bytes) {
            lows.pop_back();
        }
        lows.push_back(point);
        while lows.front().is_some_and(|low| low.time < point.time - width) {
            lows.pop_front();
        }
        if point.time - begin >= width {
            let low = lows.front()?.bytes;
            highest = Some(highest.map_or(low, |highest| highest.max(low)));
        }
    }
    highest
}
