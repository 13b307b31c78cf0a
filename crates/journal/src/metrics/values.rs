//! Statistics of raw values, in bounded memory.

use std::collections::BTreeMap;

use burnmark_analysis::stats::student;

/// Values that are kept exactly; beyond that many they are counted in classes.
const EXACT: usize = 1_000_000;

/// A class holds values that differ by this factor: percentiles are off by half of it at most.
const CLASS: f64 = 1.002;

/// Slots of time; when they are full, neighbours are merged.
const SLOTS: usize = 64;

/// Blocks of time for intervals, as everywhere.
const BLOCKS: usize = 10;

/// The fewest values of a block that are worth a percentile.
const LEAST_IN_BLOCK: u64 = 20;

/// Values over time.
#[derive(Debug, Default)]
pub(super) struct Values {
    slots: Vec<Slot>,
    /// Seconds that a slot lasts.
    width: f64,
    /// Time of the first value.
    origin: f64,
    kept: usize,
    sum: f64,
    count: u64,
    least: f64,
    most: f64,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    exact: Vec<f64>,
    /// Negative values, zeros and positive ones by class.
    classes: BTreeMap<i32, u64>,
    sum: f64,
    count: u64,
}

fn class(value: f64) -> i32 {
    if value == 0.0 {
        return 0;
    }
    // From 10⁻⁹ on; classes on both sides of 0.
    let at = ((value.abs() / 1e-9).ln() / CLASS.ln()).floor().clamp(0.0, 1e6) as i32 + 1;
    if value > 0.0 { at } else { -at }
}

fn of_class(class: i32) -> f64 {
    let size = 1e-9 * CLASS.powf(f64::from(class.abs()) - 0.5);
    if class == 0 { 0.0 } else { size.copysign(f64::from(class)) }
}

impl Slot {
    fn coarsen(&mut self) {
        for value in std::mem::take(&mut self.exact) {
            *self.classes.entry(class(value)).or_insert(0) += 1;
        }
    }

    fn absorb(&mut self, other: Self) {
        self.exact.extend(other.exact);
        for (class, count) in other.classes {
            *self.classes.entry(class).or_insert(0) += count;
        }
        self.sum += other.sum;
        self.count += other.count;
    }
}

impl Values {
    /// Adds a finite value, at a time in seconds.
    pub(super) fn push(&mut self, time: f64, value: f64) {
        if self.slots.is_empty() {
            (self.width, self.origin, self.least, self.most) = (0.1, time, value, value);
        }
        while (time - self.origin) / self.width >= SLOTS as f64 {
            self.halve();
        }
        // Points may come a little late.
        let at = ((time - self.origin) / self.width).max(0.0) as usize;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, Slot::default);
        }
        let is_exact = self.kept < EXACT;
        let slot = &mut self.slots[at];
        slot.sum += value;
        slot.count += 1;
        if is_exact {
            slot.exact.push(value);
            self.kept += 1;
            if self.kept == EXACT {
                self.slots.iter_mut().for_each(Slot::coarsen);
            }
        } else {
            *slot.classes.entry(class(value)).or_insert(0) += 1;
        }
        self.sum += value;
        self.count += 1;
        (self.least, self.most) = (self.least.min(value), self.most.max(value));
    }

    fn halve(&mut self) {
        let slots = std::mem::take(&mut self.slots);
        for (index, slot) in slots.into_iter().enumerate() {
            match self.slots.get_mut(index / 2) {
                Some(known) => known.absorb(slot),
                None => self.slots.push(slot),
            }
        }
        self.width *= 2.0;
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn sum(&self) -> f64 {
        self.sum
    }

    /// Smallest and largest value; `None` without values.
    pub(super) fn range(&self) -> Option<[f64; 2]> {
        (self.count > 0).then_some([self.least, self.most])
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// Whether percentiles are those of the values, not of classes.
    pub(super) fn is_exact(&self) -> bool {
        self.kept < EXACT
    }

    /// Percentiles (as fractions) of all values, with their intervals from blocks of time.
    pub(super) fn percentiles(&self, wanted: &[f64]) -> Vec<Option<(f64, Option<[f64; 2]>)>> {
        let mut all = Slot::default();
        self.slots.iter().for_each(|slot| all.absorb(slot.clone()));
        let whole = Sorted::new(all);
        let blocks: Vec<Sorted> = self.blocks().into_iter().map(Sorted::new).collect();
        let of = |at: &f64| {
            let value = whole.percentile(*at)?;
            let each: Option<Vec<f64>> = blocks.iter().map(|block| block.percentile(*at)).collect();
            let half = each.and_then(|each| half_width(&each));
            let of_blocks = half.map(|half| [(value - half).max(self.least.min(0.0)), value + half]);
            Some((value, of_blocks.or_else(|| whole.interval(*at))))
        };
        wanted.iter().map(of).collect()
    }

    /// The interval of the mean.
    pub(super) fn mean_interval(&self) -> Option<[f64; 2]> {
        let each: Vec<f64> = self.blocks().iter().map(|block| block.sum / block.count as f64).collect();
        let (half, mean) = (half_width(&each)?, self.mean()?);
        Some([(mean - half).max(self.least.min(0.0)), mean + half])
    }

    /// Ten blocks of time with enough values each; none otherwise.
    fn blocks(&self) -> Vec<Slot> {
        let slots = self.slots.len();
        if slots < BLOCKS {
            return Vec::new();
        }
        let mut blocks = vec![Slot::default(); BLOCKS];
        for (index, slot) in self.slots.iter().enumerate() {
            blocks[index * BLOCKS / slots].absorb(slot.clone());
        }
        if blocks.iter().all(|block| block.count >= LEAST_IN_BLOCK) { blocks } else { Vec::new() }
    }
}

/// Values in order.
struct Sorted {
    exact: Vec<f64>,
    classes: BTreeMap<i32, u64>,
    count: u64,
}

impl Sorted {
    fn new(mut slot: Slot) -> Self {
        slot.exact.sort_unstable_by(f64::total_cmp);
        Self { exact: slot.exact, classes: slot.classes, count: slot.count }
    }

    /// The percentile as k6 has it: linear between the values at both sides of `at · (n − 1)`.
    fn percentile(&self, at: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = at * (self.count - 1) as f64;
        if self.classes.is_empty() {
            let below = rank.floor() as usize;
            let (low, high) = (self.exact[below], self.exact[(below + 1).min(self.exact.len() - 1)]);
            return Some(low + (high - low) * (rank - below as f64));
        }
        self.classed(rank)
    }

    /// The value of a rank from 0, among classes.
    fn classed(&self, rank: f64) -> Option<f64> {
        let mut seen = 0;
        for (class, count) in &self.classes {
            seen += count;
            if seen as f64 > rank {
                return Some(of_class(*class));
            }
        }
        self.classes.last_key_value().map(|(class, _)| of_class(*class))
    }

    /// The interval of a percentile from the order of the values, as if they were independent.
    fn interval(&self, at: f64) -> Option<[f64; 2]> {
        let ranks = ranks(self.count, at)?;
        let value = |rank: u64| match self.exact.get(rank as usize) {
            Some(value) if self.classes.is_empty() => Some(*value),
            _ => self.classed(rank as f64),
        };
        Some([value(ranks[0])?, value(ranks[1])?])
    }
}

/// Half of the 95 % interval of a mean of neighbouring blocks, widened by their serial correlation as in
/// [`burnmark_analysis::stats::blocks`].
fn half_width(blocks: &[f64]) -> Option<f64> {
    let n = blocks.len() as f64;
    if blocks.len() < BLOCKS {
        return None;
    }
    let mean = blocks.iter().sum::<f64>() / n;
    let squares: f64 = blocks.iter().map(|value| (value - mean).powi(2)).sum();
    if squares <= 0.0 {
        return Some(0.0);
    }
    let products: f64 = blocks.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    let correlation = (products / squares + 1.0 / n).clamp(0.0, 0.8);
    let variance = squares / (n * (n - 1.0)) * (1.0 + correlation) / (1.0 - correlation);
    Some(student::quantile(0.975, n - 1.0) * variance.sqrt())
}

/// Student's 95 % interval of the mean of independent runs; `None` of fewer than two.
pub(crate) fn mean_interval(runs: &[f64]) -> Option<[f64; 2]> {
    if runs.len() < 2 {
        return None;
    }
    let n = runs.len() as f64;
    let mean = runs.iter().sum::<f64>() / n;
    let variance = runs.iter().map(|run| (run - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half = student::quantile(0.975, n - 1.0) * (variance / n).sqrt();
    Some([mean - half, mean + half])
}

/// The interval of the median of independent runs from their order; `None` of fewer than six, whose whole range covers
/// less.
pub(super) fn median_interval(runs: &[f64]) -> Option<[f64; 2]> {
    let mut sorted = runs.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    ranks(sorted.len() as u64, 0.5).map(|ranks| ranks.map(|rank| sorted[rank as usize]))
}

/// The ranks from 0 between which a quantile of `n` independent values lies, with at most 2.5 % on each side (David &
/// Nagaraja, "Order Statistics", 7.1). `None` where that is beyond the smallest or largest.
fn ranks(n: u64, at: f64) -> Option<[u64; 2]> {
    // P(Binomial(n, at) ≤ below): each term by logarithm, as the first ones vanish.
    let odds = (at / (1.0 - at)).ln();
    let (mut low, mut sum, mut term) = (None, 0.0, n as f64 * (1.0 - at).ln());
    for below in 0..n {
        sum += term.exp();
        if sum <= 0.025 {
            low = Some(below);
        }
        if sum >= 0.975 {
            return low.map(|low| [low, below]);
        }
        term += ((n - below) as f64).ln() - ((below + 1) as f64).ln() + odds;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden numbers: `numpy.percentile(range(1, 11), p)` and by hand.
    #[test]
    fn percentiles_are_interpolated() {
        let mut values = Values::default();
        (1..=10).for_each(|value| values.push(0.0, f64::from(value)));
        let found: Vec<f64> = values.percentiles(&[0.5, 0.95, 1.0]).into_iter().flatten().map(|(at, _)| at).collect();
        assert!(found.iter().zip([5.5, 9.55, 10.0]).all(|(ours, theirs)| (ours - theirs).abs() < 1e-12), "{found:?}");
        assert_eq!((values.mean(), values.range(), values.mean_interval()), (Some(5.5), Some([1.0, 10.0]), None));
        assert_eq!(Values::default().percentiles(&[0.5]), [None]);
    }

    #[test]
    fn more_values_than_are_kept_are_nearly_right() {
        let mut values = Values::default();
        let many = 3 * EXACT / 2;
        for index in 0..many {
            // In an order that mixes sizes.
            let at = (index * 7_919) % many;
            values.push(index as f64 / 1e4, 0.5 + at as f64);
        }
        assert!(!values.is_exact());
        for (at, found) in [0.5, 0.95, 0.99].iter().zip(values.percentiles(&[0.5, 0.95, 0.99])) {
            let (found, interval) = found.expect("there are values");
            let expected = at * many as f64;
            assert!((found / expected - 1.0).abs() < 2e-3, "{found} for {expected}");
            let interval = interval.expect("150 seconds make ten blocks");
            assert!(interval[0] <= found && found <= interval[1]);
        }
        assert_eq!(values.count(), many as u64);
    }

    /// Golden numbers: `scipy.stats.t.interval(0.95, 4, mean, sem)` of [1, 2, 3, 4, 6]; binomial tables for ranks.
    #[test]
    fn intervals_of_runs() {
        let [low, high] = mean_interval(&[1.0, 2.0, 3.0, 4.0, 6.0]).expect("runs");
        assert!((low - 0.811_611_6).abs() < 1e-6 && (high - 5.588_388_4).abs() < 1e-6, "{low} {high}");
        assert_eq!(mean_interval(&[1.0]), None);
        let runs = |n: u32| (1..=n).map(f64::from).collect::<Vec<_>>();
        assert_eq!(median_interval(&runs(5)), None);
        assert_eq!(median_interval(&runs(6)), Some([1.0, 6.0]));
        assert_eq!(median_interval(&runs(10)), Some([2.0, 9.0]));
        assert_eq!(median_interval(&runs(20)), Some([6.0, 15.0]));
        assert_eq!(median_interval(&runs(2_000)), Some([956.0, 1_045.0]));
    }

    /// Golden numbers: `scipy.stats.binom.ppf(0.975, n, p)` is the upper rank, and the largest k with
    /// `binom.cdf(k, n, p) <= 0.025` the lower.
    #[test]
    fn intervals_of_percentiles_from_the_order_of_values() {
        for (n, at, expected) in [
            (100, 0.5, Some([39, 60])),
            (72, 0.95, Some([63, 71])),
            (71, 0.95, None),
            (500, 0.95, Some([464, 484])),
            (500, 0.99, Some([489, 499])),
            (368, 0.99, Some([359, 367])),
            (367, 0.99, None),
            (10, 0.99, None),
            (5_000, 0.999, Some([4_989, 4_999])),
            (1_000_000, 0.99, Some([989_804, 990_195])),
            (0, 0.5, None),
        ] {
            assert_eq!(ranks(n, at), expected, "{n} {at}");
        }
        let mut few = Values::default();
        (0..100).for_each(|value| few.push(0.0, f64::from(value)));
        let found = few.percentiles(&[0.5, 0.95, 0.99]);
        let intervals: Vec<_> = found.into_iter().flatten().map(|(_, interval)| interval).collect();
        assert_eq!(intervals, [Some([39.0, 60.0]), Some([89.0, 99.0]), None]);
    }
}
