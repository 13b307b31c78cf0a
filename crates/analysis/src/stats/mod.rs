//! Is a difference real? Pure functions of numbers; each names its source.
//!
//! - [`blocks`]: one profile against one, its variance taken from ten blocks of time.
//! - [`runs`]: several runs against several.
//! - [`ranks`]: end metrics such as wall time, one value per run.
//! - [`adjust`]: many tests at once.
//! - [`student`]: the distributions.

pub mod adjust;
pub mod blocks;
pub mod ranks;
pub mod runs;
pub mod student;

#[cfg(test)]
mod simulation;

/// What a comparison says of one quantity. Values are in the quantity's own unit: shares are fractions of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The value before.
    pub before: f64,
    /// The value after.
    pub after: f64,
    /// `after − before`.
    pub delta: f64,
    /// 95 % interval of `delta`.
    pub interval: [f64; 2],
    /// Probability of a difference at least that large if there is none, two-sided.
    pub p: f64,
    /// How many times the variance that independent samples would have; `None` where that is 0 or not estimated.
    pub inflation: Option<f64>,
}

/// The median: of an even number the mean of the two in the middle, of none `None`. Values that are not finite are left
/// out.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// What a value has changed by: nothing where that is no more than the roundoff of sums. Without any variance it would
/// count as sure.
pub(crate) fn change([before, after]: [f64; 2]) -> f64 {
    const ROUNDOFF: f64 = 1e-10;
    let delta = after - before;
    if delta.abs() <= ROUNDOFF * before.abs().max(after.abs()) { 0.0 } else { delta }
}

/// Two-sided p-value and 95 % interval of a difference with this standard error.
pub(crate) fn t_test(delta: f64, error: f64, df: f64) -> (f64, [f64; 2]) {
    if error <= 0.0 {
        // Both sides without any variance: all samples or none.
        return (if delta == 0.0 { 1.0 } else { 0.0 }, [delta, delta]);
    }
    let half = student::critical(df) * error;
    (student::two_sided(delta / error, df), [delta - half, delta + half])
}

#[cfg(test)]
mod tests {
    #[test]
    fn roundoff_is_no_change() {
        let sum = (0..10).map(|_| 0.1).sum::<f64>();
        assert!(sum != 1.0 && super::change([sum, 1.0]) == 0.0 && super::change([-sum, -1.0]) == 0.0);
        assert_eq!(super::change([0.0, 1e-300]), 1e-300);
        assert_eq!(super::change([1.0, 1.0 + 1e-6]), 1.0 + 1e-6 - 1.0);
    }

    #[test]
    fn medians_of_even_numbers_lie_between_the_two_in_the_middle() {
        assert_eq!(super::median([]), None);
        assert_eq!(super::median([f64::NAN, 3.0]), Some(3.0));
        assert_eq!(super::median([4.0, 1.0]), Some(2.5));
        assert_eq!(super::median([9.0, 1.0, 4.0]), Some(4.0));
    }
}
