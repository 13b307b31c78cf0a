//! Several runs against several: what differs from run to run (layout of memory, the machine's other work) is seen here
//! and nowhere else.

use super::{change, t_test};

/// The fewest runs a side that are compared.
pub const LEAST_RUNS: usize = 3;

/// One run's value on a scale where differences are compared (a logarithm, a logit), and how uncertain it is by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunValue {
    /// The value.
    pub value: f64,
    /// Its sampling variance within the run.
    pub variance: f64,
}

/// A share as a logit, half a sample added to both sides so that 0 and 1 have one too (Haldane 1956, Anscombe 1956);
/// the variance is `1/(x+½) + 1/(n−x+½)`. `samples` is the number of (equally heavy) samples.
pub fn logit(share: f64, samples: f64) -> RunValue {
    let hits = (share * samples).clamp(0.0, samples.max(0.0)) + 0.5;
    let misses = (samples - share * samples).max(0.0) + 0.5;
    RunValue { value: (hits / misses).ln(), variance: 1.0 / hits + 1.0 / misses }
}

/// The share that a logit stands for.
pub fn share_of(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// The logarithm of a cost per operation: `hits` samples of `weight` each in `operations` operations, half a sample
/// added; the variance is that of a Poisson count, `1/(x+½)`.
pub fn log_cost(hits: f64, weight: f64, operations: f64) -> RunValue {
    let hits = hits.max(0.0) + 0.5;
    RunValue { value: (hits * weight / operations).ln(), variance: 1.0 / hits }
}

/// What Welch's test says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Welch {
    /// Mean before and after.
    pub means: [f64; 2],
    /// Difference of the means.
    pub delta: f64,
    /// Its standard error.
    pub error: f64,
    /// Satterthwaite's degrees of freedom.
    pub df: f64,
    /// 95 % interval of the difference.
    pub interval: [f64; 2],
    /// Two-sided p-value.
    pub p: f64,
}

/// Welch's t-test ("The generalization of Student's problem", Biometrika 34, 1947) with Satterthwaite's degrees of
/// freedom (1946). A side's variance is at least the mean sampling variance within its runs: a few runs can agree by
/// chance. `None` with fewer than two runs on a side.
pub fn welch(before: &[RunValue], after: &[RunValue]) -> Option<Welch> {
    let (before, after) = (Side::new(before)?, Side::new(after)?);
    let delta = change([before.mean, after.mean]);
    let (a, b) = (before.variance / before.runs, after.variance / after.runs);
    let error = (a + b).sqrt();
    let df = (a + b) * (a + b) / (a * a / (before.runs - 1.0) + b * b / (after.runs - 1.0));
    let df = if df.is_finite() { df } else { before.runs + after.runs - 2.0 };
    let (p, interval) = t_test(delta, error, df);
    Some(Welch { means: [before.mean, after.mean], delta, error, df, interval, p })
}

struct Side {
    runs: f64,
    mean: f64,
    variance: f64,
}

impl Side {
    fn new(values: &[RunValue]) -> Option<Self> {
        if values.len() < 2 {
            return None;
        }
        let runs = values.len() as f64;
        let mean = values.iter().map(|run| run.value).sum::<f64>() / runs;
        let between = values.iter().map(|run| (run.value - mean).powi(2)).sum::<f64>() / (runs - 1.0);
        let within = values.iter().map(|run| run.variance).sum::<f64>() / runs;
        Some(Self { runs, mean, variance: between.max(within) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(values: &[f64]) -> Vec<RunValue> {
        values.iter().map(|value| RunValue { value: *value, variance: 0.0 }).collect()
    }

    /// Golden numbers: `scipy.stats.ttest_ind(after, before, equal_var=False)` and its `confidence_interval(0.95)`,
    /// scipy 1.17.1.
    #[test]
    fn agrees_with_scipy() {
        let after = exact(&[10.9, 11.2, 10.8, 11.0, 11.5]);
        for (before, df, p, interval) in [
            (
                &[10.1, 10.4, 9.9, 10.2, 10.3][..],
                7.123_047_410_249_391,
                0.000_528_143_017_713_290_8,
                [0.544_196_112_419_735_6, 1.255_803_887_580_272_2],
            ),
            (
                &[10.1, 10.4, 9.9, 12.0],
                3.406_695_677_677_666_5,
                0.394_782_657_782_357_2,
                [-0.990_193_331_471_967_8, 1.950_193_331_471_972_2],
            ),
        ] {
            let ours = welch(&exact(before), &after).expect("enough runs");
            assert!((ours.df - df).abs() < 1e-9 && (ours.p - p).abs() < 1e-9, "{ours:?}");
            let apart = ours.interval.iter().zip(interval).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart < 1e-6, "{ours:?}");
        }
    }

    #[test]
    fn runs_that_agree_by_chance_are_no_proof() {
        let run = |value| RunValue { value, variance: 0.01 };
        let agreed = welch(&[run(1.0); 5], &[run(1.01); 5]).expect("enough runs");
        assert!((agreed.error - (2.0 * 0.01 / 5.0_f64).sqrt()).abs() < 1e-12);
        assert!(agreed.p > 0.8);
        assert!((agreed.df - 8.0).abs() < 1e-9);
        assert_eq!(welch(&[run(1.0)], &[run(2.0); 5]), None);
    }

    /// By hand: 10 of 100 is (10.5 / 90.5) with 1/10.5 + 1/90.5; nothing of 100 is finite.
    #[test]
    fn logits_and_logarithms_by_hand() {
        let run = logit(0.1, 100.0);
        assert!((run.value - (10.5_f64 / 90.5).ln()).abs() < 1e-12);
        assert!((run.variance - (1.0 / 10.5 + 1.0 / 90.5)).abs() < 1e-12);
        assert!((share_of(run.value) - 10.5 / 101.0).abs() < 1e-12);
        assert!(logit(0.0, 100.0).value.is_finite() && logit(1.0, 100.0).value.is_finite());
        assert!(logit(0.0, 0.0).value.abs() < 1e-12);
        let cost = log_cost(99.5, 2.0, 50.0);
        assert!((cost.value - 4.0_f64.ln()).abs() < 1e-12 && (cost.variance - 0.01).abs() < 1e-12);
    }
}
