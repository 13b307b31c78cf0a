//! Does memory grow, and how sure is that?
//!
//! What is looked at are low points: garbage comes and goes, what stays is what was left after a collection. The first
//! half is dropped as a warm-up; the rest is cut into ten blocks of time, of which the minima are taken. Through them goes
//! a line by Theil (1950) and Sen, "Estimates of the regression coefficient based on Kendall's tau", J. Am. Stat. Assoc.
//! 63 (1968): the median of the slopes of all pairs, with an interval from the variance of Kendall's S. Neighbouring
//! minima are alike, so that variance is multiplied by `(1+ρ)/(1−ρ)`, ρ being the serial correlation of what is left
//! beside the line (Hamed & Rao, "A modified Mann-Kendall trend test for autocorrelated data", J. Hydrology 204 (1998)
//! do so with all lags). What levels off is no leak: the last third alone must rise, and so must a parabola through all
//! minima there.
//!
//! Of a rise that begins in the last tenth, ten low points know nothing: what is stable by them must not end above what it
//! was before, or it is inconclusive (see `ending`).
//!
//! What a program did while nobody measured is not known: where points stop for longer than a block, the series is cut,
//! and its largest part is judged, with a warm-up of its own.

mod ending;
mod slope;

#[cfg(test)]
mod simulation;

use crate::Error;
use crate::series::{Point, Series};
use slope::median;
pub(crate) use slope::theil_sen;

/// Blocks of which the minima are taken.
pub const BLOCKS: usize = 10;

/// The fewest points after the warm-up.
const LEAST_POINTS: usize = 2 * BLOCKS;

/// The least growth over the time looked at that is called a leak.
const LEAST_GROWTH: f64 = 0.05;

/// The part of the whole slope that the last third has at least, to be still rising. Any rise at all is what a step up
/// and noise after it have half of the time.
const STILL_RISES: f64 = 0.25;

/// The part of the whole slope that a parabola through all minima has in the last third at least, or it levels off. It uses
/// what the last third alone doesn't know, so it tells leaks from warm-ups better: see `simulation`.
const STILL_STRAIGHT: f64 = 0.6;

/// How many usual distances of points a pause is longer than.
const PAUSE: f64 = 10.0;

/// What is left out at the beginning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Warmup {
    /// This share of the time, from 0 to 0.9.
    Share(f64),
    /// This many seconds.
    Seconds(f64),
}

/// How to judge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrendOptions {
    /// What is dropped.
    pub warmup: Warmup,
    /// The slope that is allowed, in bytes per hour.
    pub allowed_per_hour: f64,
}

impl Default for TrendOptions {
    fn default() -> Self {
        Self { warmup: Warmup::Share(0.5), allowed_per_hour: 0.0 }
    }
}

/// What a series does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrendVerdict {
    /// It grows by more than is allowed, still does so in the last third, and grew by 5 % or more.
    Leak,
    /// It does not grow by more than is allowed, or by less than 5 % at most.
    Stable,
    /// Neither is sure.
    Inconclusive,
}

impl TrendVerdict {
    /// The word, as tables and JSON have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Leak => "leak",
            Self::Stable => "stable",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// A trend.
#[derive(Debug, Clone, PartialEq)]
pub struct Trend {
    /// Bytes per hour.
    pub slope_per_hour: f64,
    /// Its 95 % interval.
    pub ci: [f64; 2],
    /// What it is taken for.
    pub verdict: TrendVerdict,
    /// Why, in a sentence.
    pub why: String,
    /// Points that were looked at.
    pub points: usize,
    /// Points that were dropped as warm-up.
    pub warmup_dropped: usize,
    /// The part of the series that was judged, if points stop somewhere in it.
    pub part: Option<Part>,
    /// When the warm-up ended: a time of the series, in seconds.
    pub from: f64,
    /// The low points of the blocks.
    pub minima: Vec<Point>,
    /// The line's value at the beginning and the end of the time looked at, in bytes.
    pub line: [Point; 2],
    /// Growth along the line, as a fraction of its beginning; `None` where that is 0.
    pub growth: Option<f64>,
    /// Slopes of the first and the last third of the time looked at, in bytes per hour.
    pub thirds: [f64; 2],
    /// The slope of a parabola through the low points, in the middle of the last third, in bytes per hour.
    pub bent: f64,
    /// What the correlation of neighbouring minima does to the variance: 1 if there is none.
    pub inflation: f64,
}

/// The part of a series with gaps that was judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// When it begins and ends: times of the series, in seconds.
    pub times: [f64; 2],
    /// How often points stop in the series.
    pub gaps: usize,
    /// The longest of these pauses, in seconds.
    pub longest: f64,
    /// Pauses longer than this are gaps, in seconds.
    pub least: f64,
    /// Points outside of the part.
    pub left_out: usize,
}

impl Part {
    /// What a reader should know.
    pub fn note(&self) -> String {
        let Self { times: [from, to], gaps, longest, left_out, .. } = *self;
        let times = if gaps == 1 { "once".to_owned() } else { format!("{gaps} times") };
        format!(
            "points stop {times}, for up to {longest:.0} s, and what went on then is not known: the {:.0} s with the most \
             points are judged by themselves, {left_out} points are left out",
            to - from
        )
    }
}

/// Judges a series.
///
/// ```
/// use burnmark_journal::series::{Point, Series};
/// use burnmark_journal::trend::{TrendOptions, TrendVerdict, trend};
///
/// let mut series = Series::new("heap_used");
/// for second in 0..3600 {
///     // 3.6 MB an hour, and garbage that is collected every 20 s.
///     let bytes = 10e6 + 1e3 * f64::from(second) + 1e5 * f64::from(second % 20);
///     series.push(Point { time: f64::from(second), bytes });
/// }
/// let trend = trend(&series, &TrendOptions::default()).unwrap();
/// assert!((trend.slope_per_hour / 3.6e6 - 1.0).abs() < 0.05);
/// assert_eq!(trend.verdict, TrendVerdict::Leak);
/// ```
///
/// # Errors
/// When there are too few points.
pub fn trend(series: &Series, options: &TrendOptions) -> Result<Trend, Error> {
    let (points, part) = without_gaps(&series.points);
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Err(Error::NoTrend { why: "there are no points".to_owned() });
    };
    let span = last.time - first.time;
    let warmup = match options.warmup {
        Warmup::Share(share) => span * share.clamp(0.0, 0.9),
        Warmup::Seconds(seconds) => seconds.max(0.0),
    };
    let dropped = points.partition_point(|point| point.time < first.time + warmup);
    let kept = &points[dropped..];
    let from = kept.first().map_or(last.time, |point| point.time);
    let minima = minima(kept, BLOCKS);
    if kept.len() < LEAST_POINTS || minima.len() < BLOCKS {
        let why = format!(
            "{}, spread over {} of {BLOCKS} blocks of time, are left after the warm-up{}, and {LEAST_POINTS} in all of them \
             are needed: measure for longer or more often, or drop less (--warmup)",
            if kept.len() == 1 { "1 point".to_owned() } else { format!("{} points", kept.len()) },
            minima.len(),
            part.map_or("", |_| " of the largest part without a gap"),
        );
        return Err(Error::NoTrend { why });
    }
    let found = theil_sen(&minima);
    let per_hour = |slope: f64| slope * 3_600.0;
    let at = |time: f64| Point { time, bytes: found.intercept + found.slope * time };
    let line = [at(from), at(last.time)];
    let thirds = thirds(kept);
    let bent = bent(&minima, from + (last.time - from) * 5.0 / 6.0);
    let mut trend = Trend {
        slope_per_hour: per_hour(found.slope),
        ci: found.ci.map(per_hour),
        verdict: TrendVerdict::Inconclusive,
        why: String::new(),
        points: kept.len(),
        warmup_dropped: dropped,
        part,
        from,
        minima,
        growth: (line[0].bytes > 0.0).then(|| (line[1].bytes - line[0].bytes) / line[0].bytes),
        line,
        thirds: thirds.map(per_hour),
        bent: per_hour(bent),
        inflation: found.inflation,
    };
    (trend.verdict, trend.why) = judge(&trend, options.allowed_per_hour);
    if trend.verdict == TrendVerdict::Stable
        && let Some(rise) = ending::rise(kept, ending::least(&trend, options.allowed_per_hour))
    {
        trend.verdict = TrendVerdict::Inconclusive;
        trend.why = rise.why();
        // It may go on, or be all there is.
        trend.ci[1] = trend.ci[1].max(per_hour(rise.by() / (last.time - from)));
    }
    Ok(trend)
}

/// The part with the most points between pauses that are longer than a block after the usual warm-up, and than
/// [`PAUSE`] usual distances: neither bursts of points nor a few late ones make a gap.
fn without_gaps(points: &[Point]) -> (&[Point], Option<Part>) {
    let mut apart: Vec<f64> = points.windows(2).map(|pair| pair[1].time - pair[0].time).collect();
    apart.sort_unstable_by(f64::total_cmp);
    let (Some(usual), [first, .., last]) = (median(&apart), points) else { return (points, None) };
    let least = (PAUSE * usual).max((last.time - first.time) / (2 * BLOCKS) as f64);
    let parts = points.chunk_by(|a, b| b.time - a.time <= least);
    let gaps = parts.clone().count() - 1;
    let largest = parts.max_by_key(|part| part.len()).unwrap_or(points);
    let part = (gaps > 0).then(|| Part {
        times: [largest[0].time, largest[largest.len() - 1].time],
        gaps,
        longest: apart.last().copied().unwrap_or(0.0),
        least,
        left_out: points.len() - largest.len(),
    });
    (largest, part)
}

/// The low point of each of some equal blocks of time; blocks without points have none.
fn minima(points: &[Point], blocks: usize) -> Vec<Point> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    let span = last.time - first.time;
    if span <= 0.0 {
        return Vec::new();
    }
    let mut minima: Vec<Option<Point>> = vec![None; blocks];
    for point in points {
        let block = ((point.time - first.time) / span * blocks as f64) as usize;
        let known = &mut minima[block.min(blocks - 1)];
        if known.is_none_or(|known| point.bytes < known.bytes) {
            *known = Some(*point);
        }
    }
    minima.into_iter().flatten().collect()
}

/// Slopes of the first and the last third, of the minima of their own blocks.
fn thirds(points: &[Point]) -> [f64; 2] {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return [0.0; 2] };
    let third = (last.time - first.time) / 3.0;
    let early = points.partition_point(|point| point.time <= first.time + third);
    let late = points.partition_point(|point| point.time < last.time - third);
    // As many blocks as there are in the whole for the same time, and a few points in each.
    [&points[..early], &points[late..]].map(|part| theil_sen(&minima(part, (part.len() / 2).clamp(2, 5))).slope)
}

/// The slope at `time` of the parabola through the points with the least squares, by orthogonal polynomials (Forsythe,
/// "Generation and use of orthogonal polynomials", J. SIAM 5 (1957)); a line through two points.
fn bent(points: &[Point], time: f64) -> f64 {
    let n = points.len() as f64;
    let mean = points.iter().map(|point| point.time).sum::<f64>() / n;
    let level = points.iter().map(|point| point.bytes).sum::<f64>() / n;
    let sum = |of: &dyn Fn(f64, f64) -> f64| {
        points.iter().map(|point| of(point.time - mean, point.bytes - level)).sum::<f64>()
    };
    let squares = sum(&|t, _| t * t);
    if squares <= 0.0 {
        return 0.0;
    }
    // 1, t and t² − βt − γ.
    let (beta, gamma) = (sum(&|t, _| t * t * t) / squares, squares / n);
    let bend = |t: f64| t * t - beta * t - gamma;
    let norm = sum(&|t, _| bend(t) * bend(t));
    let linear = sum(&|t, bytes| t * bytes) / squares;
    let curved = if norm > 0.0 { sum(&|t, bytes| bend(t) * bytes) / norm } else { 0.0 };
    linear + curved * (2.0 * (time - mean) - beta)
}

fn judge(trend: &Trend, allowed: f64) -> (TrendVerdict, String) {
    let [low, high] = trend.ci;
    // From nothing it grows by any percentage.
    let growth = trend.growth.unwrap_or(if trend.slope_per_hour > 0.0 { f64::INFINITY } else { 0.0 });
    let hours = (trend.line[1].time - trend.line[0].time) / 3_600.0;
    let base = trend.line[0].bytes;
    let most_growth = if base > 0.0 { high * hours / base } else { f64::INFINITY };
    let rises = trend.thirds[1] > 0.0
        && trend.thirds[1] >= STILL_RISES * trend.slope_per_hour
        && trend.bent >= STILL_STRAIGHT * trend.slope_per_hour;
    let than = if allowed > 0.0 { "than is allowed" } else { "than nothing" };
    let percent = |share: f64| match share.is_finite() {
        true => format!("{:.1} %", share * 100.0),
        false => "more than it began with".to_owned(),
    };
    if high <= allowed {
        return (TrendVerdict::Stable, "all of the interval lies within what is allowed".to_owned());
    }
    if low > allowed {
        return if growth < LEAST_GROWTH {
            let why = "it surely grows by more {than}, but only by {grown} so far, and 5 % are needed to call it a leak: \
                       measure for longer";
            (TrendVerdict::Inconclusive, why.replace("{than}", than).replace("{grown}", &percent(growth)))
        } else if !rises {
            let why = "it grew by {grown}, but levels off in the last third: measure for longer, or drop more of the \
                       warm-up (--warmup)";
            (TrendVerdict::Inconclusive, why.replace("{grown}", &percent(growth)))
        } else {
            let why = "the interval lies above what is allowed, the last third still rises, and it grew by {grown}";
            (TrendVerdict::Leak, why.replace("{grown}", &percent(growth)))
        };
    }
    if allowed <= 0.0 && most_growth < LEAST_GROWTH {
        let why = format!("it grows by less than 5 % in this time: by {} at most", percent(most_growth));
        return (TrendVerdict::Stable, why);
    }
    let why = "the interval reaches to both sides of what is allowed: measure for longer";
    (TrendVerdict::Inconclusive, why.to_owned())
}

#[cfg(test)]
mod tests;
