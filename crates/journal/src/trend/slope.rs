//! The slope through a few points.

use crate::series::Point;

/// The most correlation that is reckoned with.
const MOST_CORRELATION: f64 = 0.8;

/// 97.5 % of the normal distribution lie below.
const Z: f64 = 1.959_963_984_540_054;

/// A line by Theil and Sen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Line {
    /// Bytes per second.
    pub(crate) slope: f64,
    /// Its 95 % interval.
    pub(crate) ci: [f64; 2],
    /// Bytes at time 0.
    pub(crate) intercept: f64,
    /// The factor on the variance of S.
    pub(crate) inflation: f64,
}

/// The median slope of all pairs; the interval with the variance of S multiplied for serial correlation. Of fewer than
/// two points the slope is 0.
pub(crate) fn theil_sen(points: &[Point]) -> Line {
    let slopes = slopes(points);
    let Some(slope) = median(&slopes) else {
        return Line {
            slope: 0.0,
            ci: [0.0; 2],
            intercept: points.first().map_or(0.0, |point| point.bytes),
            inflation: 1.0,
        };
    };
    let mut values: Vec<f64> = points.iter().map(|point| point.bytes).collect();
    let mut times: Vec<f64> = points.iter().map(|point| point.time).collect();
    let inflation = inflation(points, slope);
    values.sort_unstable_by(f64::total_cmp);
    times.sort_unstable_by(f64::total_cmp);
    let intercept = median(&values).unwrap_or(0.0) - slope * median(&times).unwrap_or(0.0);
    Line { slope, ci: interval(&slopes, &values, inflation), intercept, inflation }
}

/// Slopes of all pairs at different times, in order.
pub(super) fn slopes(points: &[Point]) -> Vec<f64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (index, later) in points.iter().enumerate() {
        for earlier in &points[..index] {
            let apart = later.time - earlier.time;
            if apart != 0.0 {
                slopes.push((later.bytes - earlier.bytes) / apart);
            }
        }
    }
    slopes.retain(|slope| slope.is_finite());
    slopes.sort_unstable_by(f64::total_cmp);
    slopes
}

/// The median of sorted values.
pub(super) fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The slopes at the ranks `(N ± z·σ)/2`, where σ² is the variance of Kendall's S, with ties among the values (Sen 1968;
/// the ranks are rounded as `scipy.stats.theilslopes` does).
pub(super) fn interval(slopes: &[f64], sorted: &[f64], inflation: f64) -> [f64; 2] {
    let n = sorted.len() as f64;
    let pairs = slopes.len();
    if pairs == 0 {
        return [0.0; 2];
    }
    let tied: f64 = sorted
        .chunk_by(|a, b| a == b)
        .map(|equal| equal.len() as f64)
        .map(|count| count * (count - 1.0) * (2.0 * count + 5.0))
        .sum();
    let variance = (n * (n - 1.0) * (2.0 * n + 5.0) - tied) / 18.0 * inflation;
    let reach = Z * variance.max(0.0).sqrt();
    let upper = ((pairs as f64 + reach) / 2.0).round_ties_even().min(pairs as f64 - 1.0);
    let lower = (((pairs as f64 - reach) / 2.0).round_ties_even() - 1.0).max(0.0);
    [slopes[lower as usize], slopes[upper as usize]]
}

/// `(1+ρ)/(1−ρ)` with the lag-1 correlation of what is left beside the line, to which 2/n is added: so much too small it
/// is where a line was taken off (Kendall 1954).
fn inflation(points: &[Point], slope: f64) -> f64 {
    let n = points.len() as f64;
    let left: Vec<f64> = points.iter().map(|point| point.bytes - slope * point.time).collect();
    let mean = left.iter().sum::<f64>() / n;
    let squares: f64 = left.iter().map(|value| (value - mean).powi(2)).sum();
    // What a line leaves of its own points is rounding.
    let size: f64 = points.iter().map(|point| point.bytes.powi(2)).sum();
    if squares <= size * 1e-18 {
        return 1.0;
    }
    let products: f64 = left.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    let correlation = (products / squares + 2.0 / n).clamp(0.0, MOST_CORRELATION);
    (1.0 + correlation) / (1.0 - correlation)
}
