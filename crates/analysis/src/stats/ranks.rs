//! End metrics (wall time, latency), one value per run: by ranks, for nothing is known of their distribution.

use super::student;

/// The fewest runs a side: with 3 against 3 the p-value can't fall below 0.10.
pub const LEAST_RUNS: usize = 4;

/// Up to this many pairs without ties the distribution is counted out.
const EXACT_PAIRS: usize = 2_500;

/// What the ranks say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Median before and after.
    pub medians: [f64; 2],
    /// Hodges–Lehmann estimate of the shift: the median of all differences `after − before`.
    pub shift: f64,
    /// Its interval, of at least 95 % where the number of runs allows.
    pub interval: [f64; 2],
    /// How many differences are positive, ties counted half: Mann & Whitney's U.
    pub u: f64,
    /// Two-sided p-value.
    pub p: f64,
}

/// Mann–Whitney test (Ann. Math. Stat. 18, 1947) with the Hodges–Lehmann estimate (Ann. Math. Stat. 34, 1963) and its
/// interval (Hollander & Wolfe, "Nonparametric Statistical Methods", 4.3; the order statistics are those R's
/// `wilcox.test` takes). Exact for few values without ties, else the normal approximation with corrections for ties and
/// continuity. `None` if a side has no values or one is no number.
pub fn mann_whitney(before: &[f64], after: &[f64]) -> Option<Shift> {
    if before.is_empty() || after.is_empty() || before.iter().chain(after).any(|value| !value.is_finite()) {
        return None;
    }
    let mut differences: Vec<f64> = after.iter().flat_map(|a| before.iter().map(move |b| a - b)).collect();
    differences.sort_by(f64::total_cmp);
    let u = differences.iter().map(|difference| half_sign(*difference)).sum::<f64>();
    let ties = tied_groups(before, after);
    let pairs = differences.len();
    let (p, least) = if ties.is_empty() && pairs <= EXACT_PAIRS {
        exact(before.len(), after.len(), u)
    } else {
        approximate(before.len() as f64, after.len() as f64, u, &ties)
    };
    // With ties the approximation can fall below what the rarest of all orders has.
    let p = p.max(rarest(before.len(), after.len()));
    // R: the interval runs from the least-th smallest to the least-th largest difference.
    let least = least.clamp(1, pairs);
    let interval = [differences[least - 1], differences[pairs - least]];
    let interval = [interval[0].min(interval[1]), interval[0].max(interval[1])];
    let median = |values: &[f64]| super::median(values.iter().copied()).unwrap_or_default();
    Some(Shift { medians: [median(before), median(after)], shift: median(&differences), interval, u, p })
}

/// The two-sided probability of the order in which all of one side come before all of the other.
fn rarest(m: usize, n: usize) -> f64 {
    (1..=n).fold(2.0, |p, i| p * i as f64 / (m + i) as f64).min(1.0)
}

fn half_sign(difference: f64) -> f64 {
    match difference {
        d if d > 0.0 => 1.0,
        d if d < 0.0 => 0.0,
        _ => 0.5,
    }
}

/// Sizes of groups of equal values larger than one.
fn tied_groups(before: &[f64], after: &[f64]) -> Vec<f64> {
    let mut all: Vec<f64> = before.iter().chain(after).copied().collect();
    all.sort_by(f64::total_cmp);
    all.chunk_by(|a, b| a == b).map(|group| group.len() as f64).filter(|size| *size > 1.0).collect()
}

/// p-value, and the smallest u with `P(U ≤ u) ≥ 2.5 %`. The number of orders with each U follows Mann & Whitney's
/// recursion, here as the coefficients of a Gaussian binomial: multiply by `1 − x^(m+i)`, divide by `1 − x^i`.
fn exact(m: usize, n: usize, u: f64) -> (f64, usize) {
    let pairs = m * n;
    let mut orders = vec![0.0; pairs + 1];
    orders[0] = 1.0;
    for i in 1..=n {
        for at in (m + i..=pairs).rev() {
            orders[at] -= orders[at - m - i];
        }
        for at in i..=pairs {
            orders[at] += orders[at - i];
        }
    }
    let all: f64 = orders.iter().sum();
    let far = u.max(pairs as f64 - u) as usize;
    let tail: f64 = orders[far..].iter().sum::<f64>() / all;
    let mut below = 0.0;
    let least = orders.iter().position(|count| {
        below += count / all;
        below >= 0.025
    });
    ((2.0 * tail).min(1.0), least.unwrap_or(0))
}

fn approximate(m: f64, n: f64, u: f64, ties: &[f64]) -> (f64, usize) {
    let all = m + n;
    let tied: f64 = ties.iter().map(|size| size * (size * size - 1.0)).sum();
    let deviation = (m * n / 12.0 * (all + 1.0 - tied / (all * (all - 1.0)))).max(0.0).sqrt();
    let distance = (u - m * n / 2.0).abs() - 0.5;
    if deviation <= 0.0 {
        return (1.0, 1);
    }
    let p = student::two_sided(distance.max(0.0) / deviation, f64::INFINITY);
    let least = m * n / 2.0 - student::quantile(0.975, f64::INFINITY) * deviation;
    (p, least.round().max(1.0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden numbers: `scipy.stats.mannwhitneyu(after, before, method=…)` of scipy 1.17.1.
    #[test]
    fn agrees_with_scipy() {
        let long: Vec<f64> = (0..30).map(f64::from).collect();
        let shifted: Vec<f64> = long.iter().map(|value| value + 6.5).collect();
        for (before, after, u, p) in [
            (&[1.0, 2.0, 3.0, 4.0][..], &[5.0, 6.0, 7.0, 8.0][..], 16.0, 0.028_571_428_571_428_57),
            (&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], 9.0, 0.1),
            (&[1.1, 2.2, 3.3, 4.4, 5.5], &[2.0, 3.0, 6.0, 7.0], 13.0, 0.555_555_555_555_555_6),
            (
                &[1.0, 5.0, 9.0, 13.0, 17.0, 21.0],
                &[2.0, 3.0, 10.0, 12.0, 25.0, 30.0, 31.0],
                26.0,
                0.533_799_533_799_533_8,
            ),
            (&[1.0, 2.0, 2.0, 4.0, 4.0], &[2.0, 4.0, 5.0, 6.0, 7.0], 21.0, 0.086_676_953_568_739_33),
        ] {
            let ours = mann_whitney(before, after).expect("numbers");
            assert!((ours.u - u).abs() < 1e-12 && (ours.p - p).abs() < 1e-9, "{ours:?}, not {u} {p}");
        }
        let ours = mann_whitney(&long, &shifted).expect("numbers");
        assert_eq!((ours.u, ours.shift), (624.0, 6.5));
        // Ties decide which method is taken: these have none, so the exact one is; scipy's exact p is 0.0096037.
        assert!((ours.p - 0.009_603_686_592_127).abs() < 1e-9, "{}", ours.p);
    }

    /// Times in whole milliseconds tie: scipy's approximation says 0.0228 here, but of the 70 orders of 4 and 4 two are as
    /// far out as that, so it can't be less than 2/70.
    #[test]
    fn ties_prove_no_more_than_the_number_of_runs_can() {
        let ours = mann_whitney(&[163.0, 163.0, 161.0, 163.0], &[210.0, 198.0, 198.0, 198.0]).expect("numbers");
        assert!((ours.p - 2.0 / 70.0).abs() < 1e-12, "{}", ours.p);
    }

    /// Every order of 4 and 4 runs counted: how often U is at least as far out.
    #[test]
    fn exact_distribution_by_enumeration() {
        let (m, n) = (4_usize, 4_usize);
        for u in 0..=(m * n) {
            let (mut all, mut extreme) = (0_u32, 0_u32);
            for mask in 0_u32..1 << (m + n) {
                if mask.count_ones() as usize != n {
                    continue;
                }
                let after = |at: usize| mask >> at & 1 == 1;
                let of_order = (0..m + n)
                    .filter(|at| after(*at))
                    .map(|at| (0..at).filter(|below| !after(*below)).count())
                    .sum::<usize>();
                all += 1;
                extreme += u32::from(of_order.abs_diff(m * n / 2) >= u.abs_diff(m * n / 2));
            }
            let expected = if u == m * n / 2 { 1.0 } else { f64::from(extreme) / f64::from(all) };
            let ours = exact(m, n, u as f64).0;
            assert!((ours - expected).abs() < 1e-12, "u {u}: {ours} against {expected}");
        }
        // 4 against 4 covers 1 − 2/70: the whole range of the differences.
        let shift = mann_whitney(&[1.0, 2.0, 3.0, 4.0], &[11.0, 12.0, 13.0, 14.5]).expect("numbers");
        assert_eq!(shift.interval, [7.0, 13.5]);
        assert_eq!(shift.medians, [2.5, 12.5]);
    }

    #[test]
    fn nonsense_has_no_answer() {
        assert_eq!(mann_whitney(&[], &[1.0]), None);
        assert_eq!(mann_whitney(&[f64::NAN], &[1.0]), None);
        let same = mann_whitney(&[1.0; 5], &[1.0; 5]).expect("numbers");
        assert_eq!((same.p, same.shift, same.interval), (1.0, 0.0, [0.0, 0.0]));
    }
}
