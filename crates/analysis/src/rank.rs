//! Ranked consumers: what has the most of a value by itself, and with what it calls.

use std::cmp::Reverse;

use burnmark_model::{Profile, ValueType};

use crate::Error;
use crate::links::{Links, Step};
use crate::place::{MergeBy, Place, Places};
use crate::rules::Category;
use crate::weights::{Weights, sample_count, share};

/// What to sort by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RankBy {
    /// The value of samples in the function itself.
    #[default]
    SelfValue,
    /// The value of samples in the function and in what it calls.
    Total,
}

/// How to rank.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RankOptions {
    /// Index of the value type.
    pub value: usize,
    /// What is one row.
    pub merge_by: MergeBy,
    /// What to sort by.
    pub by: RankBy,
    /// At most this many rows.
    pub limit: Option<usize>,
    /// Leave out rows with less than this fraction (0 to 1) of the value sorted by.
    pub min_share: f64,
}

/// A function, line or module with what it consumed.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'p> {
    /// Its place in the ranking, from 1.
    pub rank: usize,
    /// What it is.
    pub place: Place<'p>,
    /// Value of the samples that end in it, as stored.
    pub self_value: i64,
    /// Value of the samples that have it anywhere in their stack, each counted once, as stored.
    pub total_value: i64,
    /// `self_value` as a fraction of [`Ranking::base`].
    pub self_share: f64,
    /// `total_value` as a fraction of [`Ranking::base`].
    pub total_share: f64,
    /// What kind of work it is, once [`Ranking::categorize`] has said so.
    pub category: Option<&'p Category>,
}

/// What the limits left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hidden {
    /// Number of rows.
    pub rows: usize,
    /// Their self values' sum, as stored.
    pub self_value: i64,
    /// That as a fraction of [`Ranking::base`].
    pub self_share: f64,
}

/// The ranking. Self values of shown and hidden rows sum to the total.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking<'p> {
    /// What is ranked. Values are as stored: its denominator times the real ones.
    pub value_type: &'p ValueType,
    /// The sum over all samples, as stored.
    pub total: i64,
    /// What shares are shares of: the sum of absolute values, which is the total unless some are negative.
    pub base: i64,
    /// How many samples there are, of any value: the sum of `samples/count` where there is one.
    pub samples: usize,
    /// What it is sorted by.
    pub by: RankBy,
    /// What one row is.
    pub merge_by: MergeBy,
    /// The rows that the limits let through.
    pub rows: Vec<Row<'p>>,
    /// The others.
    pub hidden: Hidden,
}

/// Ranks the places of a profile. Rows where both values are 0 are left out. Samples without a stack are a row named
/// `[no stack]`.
///
/// # Errors
/// When there is no such value type, or the share is not one.
pub fn rank<'p>(profile: &'p Profile, options: &RankOptions) -> Result<Ranking<'p>, Error> {
    if !(0.0..=1.0).contains(&options.min_share) {
        return Err(Error::BadShare(options.min_share.to_string()));
    }
    let weights = Weights::new(profile, options.value)?;
    let places = Places::new(profile, options.merge_by);
    let (own, total) = values_of_places(profile, &places, &weights);

    let mut rows = Vec::new();
    for (index, place) in places.places.into_iter().enumerate() {
        if own[index] != 0 || total[index] != 0 {
            rows.push(row(place, own[index], total[index], weights.base));
        }
    }
    if weights.empty != 0 {
        rows.push(row(Place::group("[no stack]"), weights.empty, weights.empty, weights.base));
    }
    sort(&mut rows, options.by);
    let hidden = cut(&mut rows, options, weights.base);
    for (index, row) in rows.iter_mut().enumerate() {
        row.rank = index + 1;
    }
    Ok(Ranking {
        value_type: &profile.value_types[options.value],
        total: weights.sum,
        base: weights.base,
        samples: sample_count(profile),
        by: options.by,
        merge_by: options.merge_by,
        rows,
        hidden,
    })
}

/// Self and total value of every place. A place that is several times on a stack counts where it is nearest the root,
/// and so once per sample.
fn values_of_places(profile: &Profile, places: &Places<'_>, weights: &Weights) -> (Vec<i64>, Vec<i64>) {
    let mut own = vec![0; places.places.len()];
    let mut total = vec![0; places.places.len()];
    let mut open = vec![0_u32; places.places.len()];
    Links::new(profile).walk(profile, |step| match step {
        Step::Enter(stack) => {
            let place = places.of(profile.stacks.get(stack).frame) as usize;
            own[place] += weights.own(stack);
            if open[place] == 0 {
                total[place] += weights.total(stack);
            }
            open[place] += 1;
        }
        Step::Leave(stack) => open[places.of(profile.stacks.get(stack).frame) as usize] -= 1,
    });
    (own, total)
}

fn row(place: Place<'_>, self_value: i64, total_value: i64, base: i64) -> Row<'_> {
    let (self_share, total_share) = (share(self_value, base), share(total_value, base));
    Row { rank: 0, place, self_value, total_value, self_share, total_share, category: None }
}

/// By absolute value, so that what got much smaller stands at the top of a difference too.
fn sort(rows: &mut [Row<'_>], by: RankBy) {
    rows.sort_unstable_by(|a, b| {
        let key = |row: &Row<'_>| {
            let values = match by {
                RankBy::SelfValue => [row.self_value, row.total_value],
                RankBy::Total => [row.total_value, row.self_value],
            };
            Reverse(values.map(|value| (value.unsigned_abs(), value)))
        };
        key(a).cmp(&key(b)).then_with(|| a.place.sort_key().cmp(&b.place.sort_key()))
    });
}

fn cut(rows: &mut Vec<Row<'_>>, options: &RankOptions, base: i64) -> Hidden {
    let share_of = |row: &Row<'_>| match options.by {
        RankBy::SelfValue => row.self_share.abs(),
        RankBy::Total => row.total_share.abs(),
    };
    // Rows are in descending order of this share.
    let enough = rows.partition_point(|row| share_of(row) >= options.min_share);
    let keep = enough.min(options.limit.unwrap_or(usize::MAX));
    let left_out = rows.split_off(keep);
    let self_value = left_out.iter().map(|row| row.self_value).sum();
    Hidden { rows: left_out.len(), self_value, self_share: share(self_value, base) }
}
