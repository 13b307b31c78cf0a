//! From numbers to verdicts.

use super::join::Run;
use super::{DiffOptions, Evidence, Verdict};
use crate::stats::blocks::{self, Series};
use crate::stats::runs::{LEAST_RUNS, RunValue, log_cost, logit, share_of, welch};
use crate::stats::{Estimate, adjust, median, student};

/// Fewer samples on both sides together are not tested.
pub(super) const LEAST_HITS: f64 = 10.0;

/// The share for which the smallest detectable change is told.
pub(super) const AT_SHARE: f64 = 0.05;

/// One quantity in all runs: per side and run, its weight per block, and its samples.
pub(super) type Quantity = [Vec<(Vec<f64>, f64)>; 2];

/// How quantities are compared.
pub(super) struct Judge<'a> {
    pub(super) runs: &'a [Vec<Run>; 2],
    /// Operations of each run, if costs are compared.
    pub(super) operations: Option<&'a [Vec<f64>; 2]>,
    pub(super) evidence: Evidence,
}

/// A quantity judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) estimate: Estimate,
    /// Samples of both sides.
    pub(super) hits: f64,
    /// `None` if it was not tested.
    pub(super) q: Option<f64>,
    pub(super) verdict: Verdict,
    /// Standard error on the scale of the test (a logit or a logarithm), with several runs.
    pub(super) error: Option<f64>,
}

/// What evidence these runs can give.
pub(super) fn evidence(runs: &[Vec<Run>; 2]) -> Evidence {
    if runs.iter().all(|runs| runs.len() >= LEAST_RUNS) {
        Evidence::Runs
    } else if runs.iter().flatten().all(|run| run.blocks > 1) {
        Evidence::WithinRun
    } else {
        Evidence::None
    }
}

impl Judge<'_> {
    /// Compares one quantity.
    pub(super) fn estimate(&self, quantity: &Quantity) -> (Estimate, Option<f64>) {
        match self.evidence {
            Evidence::Runs => self.several(quantity),
            Evidence::WithinRun | Evidence::None => (self.one(quantity), None),
        }
    }

    fn several(&self, quantity: &Quantity) -> (Estimate, Option<f64>) {
        let values = [0, 1].map(|side| -> Vec<RunValue> {
            let runs = self.runs[side].iter().zip(&quantity[side]).enumerate();
            runs.map(|(index, (run, (hits, _)))| {
                let sum: f64 = hits.iter().sum();
                match self.operations {
                    Some(operations) => {
                        let weight = run.weight();
                        log_cost(
                            if weight > 0.0 { sum / weight } else { 0.0 },
                            weight.max(1e-9),
                            operations[side][index],
                        )
                    }
                    None => {
                        let all = run.sum();
                        logit(if all > 0.0 { sum / all } else { 0.0 }, run.effective)
                    }
                }
            })
            .collect()
        });
        // There are at least three runs a side.
        let Some(test) = welch(&values[0], &values[1]) else { return (self.one(quantity), None) };
        let at = |value: f64| if self.operations.is_some() { value.exp() } else { share_of(value) };
        // Values are those of the samples, without the half that is added for the test.
        let [before, after] = [0, 1].map(|side| self.mean(quantity, side));
        let base = at(test.means[0]);
        // The test tells a ratio of costs: it is applied to the mean, from which the logarithms' mean differs a little.
        let factor = if self.operations.is_some() && before > 0.0 { before / base } else { 1.0 };
        let bound = |delta: f64| (at(test.means[0] + delta) - base) * factor;
        let interval = [bound(test.interval[0]), bound(test.interval[1])];
        let delta = bound(test.delta);
        (Estimate { before, after, delta, interval, p: test.p, inflation: None }, Some(test.error))
    }

    /// A side's mean share or cost over its runs.
    pub(super) fn mean(&self, quantity: &Quantity, side: usize) -> f64 {
        let runs = &self.runs[side];
        let each = runs.iter().zip(&quantity[side]).enumerate().map(|(index, (run, (hits, _)))| {
            let sum: f64 = hits.iter().sum();
            let base = self.operations.map_or_else(|| run.sum(), |operations| operations[side][index]);
            if base > 0.0 { sum / base } else { 0.0 }
        });
        each.sum::<f64>() / runs.len().max(1) as f64
    }

    /// One run against one. Of two runs a side, which are too few to be runs, the samples are put together.
    fn one(&self, quantity: &Quantity) -> Estimate {
        let timed = self.evidence == Evidence::WithinRun;
        let sides = [0, 1].map(|side| {
            let blocks = if timed { blocks::BLOCKS } else { 1 };
            let (mut hits, mut totals, mut effective) = (vec![0.0; blocks], vec![0.0; blocks], 0.0);
            for (run, (weights, _)) in self.runs[side].iter().zip(&quantity[side]) {
                for (index, (weight, total)) in weights.iter().zip(&run.totals).enumerate() {
                    let block = if timed { index } else { 0 };
                    hits[block] += weight;
                    totals[block] += total;
                }
                effective += run.effective;
            }
            (hits, totals, effective)
        });
        let [before, after] =
            sides.each_ref().map(|(hits, totals, effective)| Series { hits, totals, effective: *effective });
        let sum = |side: usize| self.operations.map_or(1.0, |operations| operations[side].iter().sum());
        match (self.operations.is_some(), timed) {
            (false, true) => blocks::compare_shares(&before, &after),
            (false, false) => blocks::compare_untimed_shares(&before, &after),
            (true, true) => blocks::compare_costs(&before, &after, [sum(0), sum(1)]),
            (true, false) => blocks::compare_untimed_costs(&before, &after, [sum(0), sum(1)]),
        }
    }

    /// Judges many quantities at once; those not `tested` get no q-value.
    pub(super) fn judge(&self, quantities: &[(Quantity, bool)], options: &DiffOptions) -> Vec<Judged> {
        let mut judged: Vec<Judged> = quantities
            .iter()
            .map(|(quantity, _)| {
                let (estimate, error) = self.estimate(quantity);
                let hits = quantity.iter().flatten().map(|(_, hits)| hits).sum();
                Judged { estimate, hits, q: None, verdict: Verdict::Inconclusive, error }
            })
            .collect();
        let tested: Vec<usize> =
            (0..judged.len()).filter(|at| quantities[*at].1 && judged[*at].hits >= LEAST_HITS).collect();
        let p: Vec<f64> = tested.iter().map(|at| judged[*at].estimate.p).collect();
        for (at, q) in tested.into_iter().zip(adjust::benjamini_hochberg(&p)) {
            judged[at].q = Some(q);
        }
        for judged in &mut judged {
            judged.verdict = verdict(&judged.estimate, judged.q, self.threshold(&judged.estimate, options), options.q);
        }
        judged
    }

    /// The smallest change that is reported, in the estimate's unit. Of a cost it is a part of the larger of the two, so
    /// that it is the same both ways.
    fn threshold(&self, estimate: &Estimate, options: &DiffOptions) -> f64 {
        match self.operations {
            Some(_) => options.threshold.unwrap_or(0.02) * estimate.before.max(estimate.after),
            None => options.threshold.unwrap_or(0.005),
        }
    }

    /// The smallest change of a function of [`AT_SHARE`] that these data could have shown with 80 % power, as a change
    /// of its share, or with costs as a fraction of its cost: `2.8 · √(2p(1−p)·VIF/n)`, the inflation being the median
    /// of the functions'. With several runs it is taken from the median standard error.
    pub(super) fn detectable(&self, judged: &[Judged]) -> Option<f64> {
        let tested = || judged.iter().filter(|judged| judged.q.is_some());
        let independent = AT_SHARE * (1.0 - AT_SHARE);
        if self.evidence == Evidence::Runs {
            let error = median(tested().filter_map(|judged| judged.error))?;
            let df = (self.runs[0].len() + self.runs[1].len()) as f64 - 2.0;
            let change = (student::quantile(0.975, df) + student::quantile(0.8, df)) * error;
            return Some(if self.operations.is_some() { change.exp() - 1.0 } else { independent * change });
        }
        let inflation = median(tested().filter_map(|judged| judged.estimate.inflation)).unwrap_or(1.0);
        let effective = self.runs.each_ref().map(|runs| runs.iter().map(|run| run.effective).sum::<f64>());
        if effective.iter().any(|samples| *samples <= 0.0) {
            return None;
        }
        let per_sample = 1.0 / effective[0] + 1.0 / effective[1];
        Some(match self.operations {
            Some(_) => 2.8 * (per_sample * inflation / AT_SHARE).sqrt(),
            None => 2.8 * (independent * per_sample * inflation).sqrt(),
        })
    }
}

fn verdict(estimate: &Estimate, q: Option<f64>, threshold: f64, most: f64) -> Verdict {
    let [low, high] = estimate.interval;
    if q.is_some_and(|q| q <= most) && estimate.delta.abs() >= threshold {
        return if estimate.delta > 0.0 { Verdict::Regressed } else { Verdict::Improved };
    }
    if low > -threshold && high < threshold || low == 0.0 && high == 0.0 {
        Verdict::Unchanged
    } else {
        Verdict::Inconclusive
    }
}
