//! Sample values summed per distinct stack.

use burnmark_model::{Id, Profile, StackId};

use crate::Error;

/// The values of one column, per stack.
pub(crate) struct Weights {
    /// Per stack, the sum of the samples that end there.
    pub(crate) own: Vec<i64>,
    /// Per stack, the sum of the samples that end there or deeper.
    pub(crate) total: Vec<i64>,
    /// The sum of the samples without a stack.
    pub(crate) empty: i64,
    /// The sum of all samples.
    pub(crate) sum: i64,
    /// What shares are shares of: see [`share_base`].
    pub(crate) base: i64,
}

impl Weights {
    /// Sums a column.
    pub(crate) fn new(profile: &Profile, column: usize) -> Result<Self, Error> {
        check_column(profile, column)?;
        let stacks = profile.stacks.len();
        let values = profile.samples.values(column);
        let base = share_base(values);
        let mut empty = 0;
        let mut own = vec![0; stacks];
        for (stack, value) in profile.samples.stacks().iter().zip(values) {
            match stack {
                Some(stack) => own[stack.index()] += value,
                None => empty += value,
            }
        }
        let mut total = own.clone();
        let mut sum = empty;
        for (id, stack) in profile.stacks.iter().rev() {
            let value = total[id.index()];
            match stack.parent {
                Some(parent) => total[parent.index()] += value,
                None => sum += value,
            }
        }
        Ok(Self { own, total, empty, sum, base })
    }

    /// The sum of the samples that end at this stack or deeper.
    pub(crate) fn total(&self, stack: StackId) -> i64 {
        self.total[stack.index()]
    }

    /// The sum of the samples that end at this stack.
    pub(crate) fn own(&self, stack: StackId) -> i64 {
        self.own[stack.index()]
    }
}

/// What shares are shares of: the sum of absolute values, which is the total unless there are negative ones. pprof
/// does the same (`computeTotal` in its `internal/report/report.go`).
pub(crate) fn share_base(values: &[i64]) -> i64 {
    // The profile keeps this sum below 2⁶³.
    values.iter().map(|value| value.unsigned_abs() as i64).sum()
}

/// `value` as a fraction of `base`; 0 if there is nothing to be a share of.
pub(crate) fn share(value: i64, base: i64) -> f64 {
    if base == 0 { 0.0 } else { value as f64 / base as f64 }
}

/// Fails for a column that isn't there.
pub(crate) fn check_column(profile: &Profile, column: usize) -> Result<(), Error> {
    let available = profile.value_types.len();
    if column < available { Ok(()) } else { Err(Error::NoSuchValue { wanted: column, available }) }
}

/// How many samples a profile stands for. Formats that merge equal stacks (folded, pprof) say it in a value of their
/// own, and have fewer entries than samples.
pub(crate) fn sample_count(profile: &Profile) -> usize {
    let counts = profile.value_types.iter().position(|value| value.name == "samples" && value.unit == "count");
    counts
        .map(|column| profile.samples.total(column) / i64::from(profile.value_types[column].denominator.max(1)))
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or(profile.samples.len())
}
