//! One profile against one. Neighbouring samples are alike, for programs have phases; so the variance is taken from
//! blocks of time, which are much longer than most phases.
//!
//! Sources: batch means with a lag-1 correction as in the design's page on statistics; for batch means see Law &
//! Kelton, "Simulation Modeling and Analysis", 9.5.3; for the ratio estimator Cochran, "Sampling Techniques", 6.4; for
//! the correction `(1+ρ)/(1−ρ)` Bartlett (1946), the variance of the mean of an AR(1) series; for the bias of a serial
//! correlation, `E(r) ≈ ρ − (1+4ρ)/B`, Marriott & Pope and Kendall (both Biometrika 41, 1954).
//!
//! The design's page adds `1/B` alone, which is that bias where there is no correlation. With ten blocks it is 40 %
//! too little of a correlation: phases of a twentieth of the run then raise an alarm in 8 % of the comparisons of equal
//! programs, not in the page's 6 %. Taking out the whole bias gives 5.9 %, for 4 to 5 points of power (`simulation.rs`).

use super::{Estimate, change, t_test};

/// Blocks that a profile is cut into.
pub const BLOCKS: usize = 10;

/// The most serial correlation between blocks that is reckoned with: beyond it there is no telling.
const MOST_CORRELATION: f64 = 0.8;

/// A quantity over the blocks of one profile, beside the profile's own totals.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// The weight of the samples that hit, per block.
    pub hits: &'a [f64],
    /// The weight of all samples, per block.
    pub totals: &'a [f64],
    /// How many equally heavy samples would vary as much: Kish's `(Σw)²/Σw²` ("Survey Sampling", 1965).
    pub effective: f64,
}

impl Series<'_> {
    fn sum(&self) -> f64 {
        self.hits.iter().sum()
    }

    fn total(&self) -> f64 {
        self.totals.iter().sum()
    }

    /// The share of the samples that hit; 0 if there are none.
    pub fn share(&self) -> f64 {
        let total = self.total();
        if total > 0.0 { self.sum() / total } else { 0.0 }
    }

    /// The variance of the share if samples were independent: `p(1−p)/n`.
    fn independent(&self) -> f64 {
        let p = self.share();
        if self.effective > 0.0 { (p * (1.0 - p)).max(0.0) / self.effective } else { 0.0 }
    }

    /// Per block, hits beyond the expected.
    fn deviations(&self) -> Vec<f64> {
        let p = self.share();
        self.hits.iter().zip(self.totals).map(|(hits, total)| hits - p * total).collect()
    }
}

/// `B/(B−1) · Σd² / n²`.
fn block_variance(deviations: &[f64], total: f64) -> f64 {
    let blocks = deviations.len() as f64;
    if blocks < 2.0 || total <= 0.0 {
        return 0.0;
    }
    blocks / (blocks - 1.0) * squares(deviations) / (total * total)
}

fn squares(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum()
}

fn products(values: &[f64]) -> f64 {
    values.windows(2).map(|pair| pair[0] * pair[1]).sum()
}

/// What serial correlation between blocks does to the variance, the same for both profiles. Each side's deviations
/// are divided by its total, so that a longer profile does not outweigh the other.
fn inflation(before: &[f64], after: &[f64], totals: [f64; 2]) -> f64 {
    let scales = totals.map(|total| if total > 0.0 { 1.0 / (total * total) } else { 0.0 });
    let squares = squares(before) * scales[0] + squares(after) * scales[1];
    if squares <= 0.0 {
        return 1.0;
    }
    let products = products(before) * scales[0] + products(after) * scales[1];
    let blocks = before.len().max(after.len()) as f64;
    let correlation = unbiased(products / squares, blocks).clamp(0.0, MOST_CORRELATION);
    (1.0 + correlation) / (1.0 - correlation)
}

/// The lag-1 correlation of a series of `blocks` values, of which the sample has `r`: `E(r) ≈ ρ − (1+4ρ)/B` solved for ρ.
fn unbiased(r: f64, blocks: f64) -> f64 {
    (r + 1.0 / blocks) / (1.0 - 4.0 / blocks).max(0.2)
}

/// Compares shares.
pub fn compare_shares(before: &Series<'_>, after: &Series<'_>) -> Estimate {
    let deviations = [before.deviations(), after.deviations()];
    let factor = inflation(&deviations[0], &deviations[1], [before.total(), after.total()]);
    let independent = [before.independent(), after.independent()];
    let of = |index: usize, series: &Series<'_>| {
        (block_variance(&deviations[index], series.total()) * factor).max(independent[index])
    };
    let variance = of(0, before) + of(1, after);
    finish([before.share(), after.share()], variance, independent[0] + independent[1], before.hits.len())
}

/// The 95 % interval of one profile's share: from blocks of time as in [`compare_shares`], and never narrower than
/// Wilson's for independent samples ("Probable inference", J. Am. Stat. Assoc. 22, 1927), which tells that what was not
/// seen may be there all the same.
pub fn one_share(series: &Series<'_>) -> [f64; 2] {
    let p = series.share();
    let n = series.effective;
    if n <= 0.0 {
        return [0.0, 1.0];
    }
    let z = super::student::quantile(0.975, f64::INFINITY);
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).max(0.0).sqrt();
    let [mut low, mut high] = [middle - half, middle + half];
    if series.hits.len() >= BLOCKS {
        let deviations = series.deviations();
        let none = vec![0.0; deviations.len()];
        let factor = inflation(&deviations, &none, [series.total(), 0.0]);
        let variance = (block_variance(&deviations, series.total()) * factor).max(series.independent());
        let half = super::student::quantile(0.975, series.hits.len() as f64 - 1.0) * variance.sqrt();
        (low, high) = (low.min(p - half), high.max(p + half));
    }
    [low.max(0.0), high.min(1.0)]
}

/// Compares costs per operation: `c = Σx/N`. `operations` are those of the two profiles.
///
/// The floor is the variance of a Poisson count of the hits, `Σx · w̄ / N²` with `w̄` the weight of a sample.
pub fn compare_costs(before: &Series<'_>, after: &Series<'_>, operations: [f64; 2]) -> Estimate {
    let deviations = [before, after].map(|series| {
        let mean = series.sum() / series.hits.len().max(1) as f64;
        series.hits.iter().map(|hits| hits - mean).collect::<Vec<f64>>()
    });
    let factor = inflation(&deviations[0], &deviations[1], operations);
    let independent = [(before, operations[0]), (after, operations[1])].map(|(series, operations)| {
        let weight = if series.effective > 0.0 { series.total() / series.effective } else { 0.0 };
        series.sum() * weight / (operations * operations)
    });
    let variance: f64 =
        (0..2).map(|side| (block_variance(&deviations[side], operations[side]) * factor).max(independent[side])).sum();
    let costs = [before.sum() / operations[0], after.sum() / operations[1]];
    finish(costs, variance, independent[0] + independent[1], before.hits.len())
}

fn finish(values: [f64; 2], variance: f64, independent: f64, blocks: usize) -> Estimate {
    let delta = change(values);
    let df = 2.0 * (blocks as f64 - 1.0);
    let (p, interval) = t_test(delta, variance.sqrt(), df);
    let inflation = (independent > 0.0).then(|| variance / independent);
    Estimate { before: values[0], after: values[1], delta, interval, p, inflation }
}

/// Compares shares of samples without times: as if all were independent. Real programs have phases, so the interval is
/// a lower bound of the true one. Without times a profile is one block.
pub fn compare_untimed_shares(before: &Series<'_>, after: &Series<'_>) -> Estimate {
    let variance = before.independent() + after.independent();
    untimed([before.share(), after.share()], variance)
}

/// Compares costs per operation of samples without times: as [`compare_untimed_shares`].
pub fn compare_untimed_costs(before: &Series<'_>, after: &Series<'_>, operations: [f64; 2]) -> Estimate {
    let side = |series: &Series<'_>, operations: f64| {
        let weight = if series.effective > 0.0 { series.total() / series.effective } else { 0.0 };
        (series.sum() / operations, series.sum() * weight / (operations * operations))
    };
    let (before, after) = (side(before, operations[0]), side(after, operations[1]));
    untimed([before.0, after.0], before.1 + after.1)
}

fn untimed(values: [f64; 2], variance: f64) -> Estimate {
    let delta = change(values);
    let (p, interval) = t_test(delta, variance.sqrt(), f64::INFINITY);
    Estimate { before: values[0], after: values[1], delta, interval, p, inflation: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: p = 0.1 and 0.2 of 1,000, deviations alternate by ±5 in blocks of 100, so ρ = (−0.9 + 0.1)/0.6 → 0 and
    /// V = 10/9 · 250 / 10⁶ = 2.778·10⁻⁴ for both (the floors are 0.9·10⁻⁴ and 1.6·10⁻⁴).
    #[test]
    fn alternating_blocks_by_hand() {
        let totals = [100.0; BLOCKS];
        let hits = |mean: f64| -> Vec<f64> {
            (0..BLOCKS).map(|block| mean + if block % 2 == 0 { 5.0 } else { -5.0 }).collect()
        };
        let (before, after) = (hits(10.0), hits(20.0));
        let series = |hits| Series { hits, totals: &totals, effective: 1_000.0 };
        let estimate = compare_shares(&series(&before), &series(&after));
        let error = (2.0 * 10.0 / 9.0 * 250.0 / 1e6_f64).sqrt();
        assert!((estimate.delta - 0.1).abs() < 1e-12);
        // t(0.975; 18) from a table.
        assert!((estimate.interval[1] - 0.1 - 2.100_922 * error).abs() < 1e-7, "{estimate:?}");
        // t = 4.2426; 2·P(T₁₈ > 4.2426) = 4.8959e-4 (scipy 1.17.1).
        assert!((estimate.p - 4.895_949e-4).abs() < 1e-8, "{}", estimate.p);
        let inflation = estimate.inflation.expect("there is variance");
        assert!((inflation - 2.0 * 2.777_78e-4 / 2.5e-4).abs() < 1e-4, "{inflation}");
    }

    /// By hand: a ramp. d = −9, −7, …, 9; Σd² = 330, Σd·d₊₁ = 231, so ρ = (0.7 + 0.1)/0.6, taken as 0.8, and the
    /// variance is nine times 10/9 · 330/10⁶.
    #[test]
    fn trends_inflate_the_variance() {
        let totals = [100.0; BLOCKS];
        let ramp: Vec<f64> = (0..BLOCKS).map(|block| 50.0 + 2.0 * block as f64 - 9.0).collect();
        let series = Series { hits: &ramp, totals: &totals, effective: 1_000.0 };
        let estimate = compare_shares(&series, &series);
        let error = (2.0 * 9.0 * 10.0 / 9.0 * 330.0 / 1e6_f64).sqrt();
        assert!((estimate.interval[1] - 2.100_922 * error).abs() < 1e-6, "{estimate:?}");
        assert_eq!((estimate.delta, estimate.p), (0.0, 1.0));
    }

    #[test]
    fn correlations_are_freed_of_their_bias() {
        assert!((unbiased(0.2, 10.0) - 0.5).abs() < 1e-12);
        assert!((unbiased(-0.1, 10.0)).abs() < 1e-12);
        // Of ρ = 0.5 a series of ten shows 0.5 − 3/10.
        assert!((unbiased(0.5 - 3.0 / 10.0, 10.0) - 0.5).abs() < 1e-12);
        // By hand: Σd² = 10, Σd·d₊₁ = 2 − 1 + 2 = 3, ρ = (0.3 + 0.1)/0.6 = 2/3, so five times the variance.
        let deviations = [2.0, 1.0, -1.0, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert!((inflation(&deviations, &[0.0; BLOCKS], [1.0, 1.0]) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn all_or_nothing_has_no_variance() {
        let (none, all) = ([0.0; BLOCKS], [100.0; BLOCKS]);
        let series = |hits| Series { hits, totals: &all, effective: 1_000.0 };
        let same = compare_shares(&series(&all), &series(&all));
        assert_eq!((same.delta, same.p, same.interval), (0.0, 1.0, [0.0, 0.0]));
        let appeared = compare_shares(&series(&none), &series(&all));
        assert_eq!((appeared.delta, appeared.p), (1.0, 0.0));
        let empty = Series { hits: &none, totals: &none, effective: 0.0 };
        assert_eq!(compare_shares(&empty, &empty).p, 1.0);
        assert_eq!(compare_shares(&empty, &series(&all)).before, 0.0);
    }

    /// By hand: 100 of 1,000 samples of 2 ms in 50 operations, 150 in 50: 4 and 6 ms an operation; even blocks leave
    /// Poisson's variance, (100 + 150)·4/2500 = 0.4.
    #[test]
    fn costs_per_operation_by_hand() {
        let totals = [200.0; BLOCKS];
        let (before, after) = ([20.0; BLOCKS], [30.0; BLOCKS]);
        let series = |hits| Series { hits, totals: &totals, effective: 1_000.0 };
        let estimate = compare_costs(&series(&before), &series(&after), [50.0, 50.0]);
        assert_eq!((estimate.before, estimate.after), (4.0, 6.0));
        assert!((estimate.interval[1] - 2.0 - 2.100_922 * 0.4_f64.sqrt()).abs() < 1e-6, "{estimate:?}");
        let untimed = compare_untimed_costs(&series(&before), &series(&after), [50.0, 50.0]);
        assert!((untimed.interval[1] - 2.0 - 1.959_964 * 0.4_f64.sqrt()).abs() < 1e-6, "{untimed:?}");
    }

    /// By hand: p = 0.1 and 0.13 of 1,000: z = 0.03/√(9·10⁻⁵ + 1.131·10⁻⁴) = 2.1051, p = 0.0353.
    #[test]
    fn samples_without_times_are_compared_as_independent() {
        let series = |hits| Series { hits, totals: &[1_000.0], effective: 1_000.0 };
        let estimate = compare_untimed_shares(&series(&[100.0]), &series(&[130.0]));
        assert!((estimate.p - 0.035_28).abs() < 1e-4, "{}", estimate.p);
        assert_eq!(estimate.inflation, None);
    }
}
