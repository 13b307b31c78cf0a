//! What share of a profile some functions have, and how sure that is.

use burnmark_model::{Id, Profile};

use crate::Error;
use crate::diff::reduce::{Clock, Counts};
use crate::place::{MergeBy, Places};
use crate::rank::RankBy;
use crate::stats::blocks::{BLOCKS, Series, one_share};
use crate::weights::check_column;

/// A share of the samples' weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// As a fraction of 1.
    pub share: f64,
    /// Its 95 % interval: from blocks of time; without times as if samples were independent, which is a lower bound.
    pub interval: [f64; 2],
    /// Whether samples have times.
    pub timed: bool,
    /// How many equally heavy samples would vary as much.
    pub effective: f64,
    /// Names of the functions that were meant, in order.
    pub functions: Vec<String>,
}

/// The share of the samples that have a function which `is_meant` on their stack (or, by self, end in one); each sample
/// counts once.
///
/// # Errors
/// When there is no such value type, it has negative values, or there are no samples.
pub fn share(profile: &Profile, value: usize, by: RankBy, is_meant: impl Fn(&str) -> bool) -> Result<Share, Error> {
    check_column(profile, value)?;
    let values = profile.samples.values(value);
    if values.iter().any(|value| *value < 0) {
        let value_type = &profile.value_types[value];
        return Err(Error::NegativeValues { value_type: format!("{}/{}", value_type.name, value_type.unit) });
    }
    let places = Places::new(profile, MergeBy::Function);
    let meant: Vec<bool> = places.places.iter().map(|place| is_meant(&place.name)).collect();
    let mut counts_here: Vec<bool> = Vec::with_capacity(profile.stacks.len());
    for (_, stack) in profile.stacks.iter() {
        let above = by == RankBy::Total && stack.parent.is_some_and(|parent| counts_here[parent.index()]);
        counts_here.push(above || meant[places.of(stack.frame) as usize]);
    }
    let denominator = f64::from(profile.value_types[value].denominator.max(1));
    let clock = Clock::new(profile, values);
    let blocks = if clock.is_some() { BLOCKS } else { 1 };
    let counts = Counts::new(profile, value);
    let (mut hits, mut totals) = (vec![0.0; blocks], vec![0.0; blocks]);
    let (mut sum, mut squares) = (0.0, 0.0);
    for (index, (stack, value)) in profile.samples.stacks().iter().zip(values).enumerate() {
        let weight = *value as f64 / denominator;
        if weight <= 0.0 {
            continue;
        }
        let block = clock.as_ref().map_or(0, |clock| clock.block(profile, index));
        sum += weight;
        squares += weight * weight / counts.of(profile, index, weight);
        totals[block] += weight;
        if stack.is_some_and(|stack| counts_here[stack.index()]) {
            hits[block] += weight;
        }
    }
    if sum <= 0.0 {
        return Err(Error::NothingToCompare { side: "in the profile" });
    }
    let series = Series { hits: &hits, totals: &totals, effective: sum * sum / squares };
    let names = places.places.iter().zip(&meant).filter(|(_, meant)| **meant).map(|(place, _)| place.name.to_string());
    let mut functions: Vec<String> = names.collect();
    functions.sort();
    functions.dedup();
    Ok(Share {
        share: series.share(),
        interval: one_share(&series),
        timed: clock.is_some(),
        effective: series.effective,
        functions,
    })
}

#[cfg(test)]
mod tests {
    use burnmark_model::{Frame, Function, Sample, ValueType};

    use super::*;

    /// Samples of `main;parse` or `main;render;parse` or `main`, a tenth of a second apart.
    fn profile(stacks: &[&[&str]], timed: bool) -> Profile {
        let mut profile = Profile::new(vec![ValueType::samples()]);
        for (index, names) in stacks.iter().enumerate() {
            let mut stack = None;
            for name in *names {
                let function = Function::named(profile.strings.intern(name));
                let function = profile.functions.intern(function);
                let frame = profile.frames.intern(Frame::of(function));
                stack = Some(profile.push_frame(stack, frame));
            }
            let time_ns = timed.then_some(index as i64 * 100_000_000);
            profile.samples.push(Sample { stack, time_ns, ..Sample::default() }, &[1]).expect("small");
        }
        profile
    }

    /// By hand: 100 samples, of which 20 have `parse` (in turn), 10 of them below `render` and `parse` again.
    #[test]
    fn shares_by_hand() {
        let stacks: Vec<&[&str]> = (0..100)
            .map(|index| match index % 10 {
                0 => &["main", "parse"][..],
                1 => &["main", "parse", "render", "parse"],
                2 => &["main", "render"],
                _ => &["main"],
            })
            .collect();
        for timed in [true, false] {
            let profile = profile(&stacks, timed);
            let of = |by, name: &str| share(&profile, 0, by, |known| known == name).expect("samples");
            let parse = of(RankBy::Total, "parse");
            assert!((parse.share - 0.2).abs() < 1e-12 && parse.timed == timed);
            // Wilson's interval of 20 of 100: 0.1334 to 0.2888 (statsmodels' proportion_confint, method="wilson").
            if !timed {
                assert!((parse.interval[0] - 0.133_367).abs() < 1e-5, "{parse:?}");
                assert!((parse.interval[1] - 0.288_829).abs() < 1e-5, "{parse:?}");
            }
            assert!(parse.interval[0] < 0.2 && parse.interval[1] > 0.2);
            assert!((of(RankBy::SelfValue, "render").share - 0.1).abs() < 1e-12);
            assert!((of(RankBy::Total, "render").share - 0.2).abs() < 1e-12);
            let absent = of(RankBy::Total, "absent");
            // What was not seen may be there all the same: 0 of 100 is below 3.7 %.
            assert!(absent.share == 0.0 && absent.interval[1] > 0.03 && absent.functions.is_empty());
            assert_eq!(of(RankBy::Total, "main").share, 1.0);
        }
        assert!(share(&profile(&[], true), 0, RankBy::Total, |_| true).is_err());
    }

    /// Two halves, one with the function in every sample: blocks say how unsure that is.
    #[test]
    fn phases_widen_the_interval() {
        let stacks: Vec<&[&str]> =
            (0..1_000).map(|index| if index < 500 { &["main", "parse"][..] } else { &["main"] }).collect();
        let [timed, untimed] = [true, false].map(|timed| {
            let share = share(&profile(&stacks, timed), 0, RankBy::Total, |name| name == "parse").expect("samples");
            share.interval[1] - share.interval[0]
        });
        assert!(timed > 5.0 * untimed, "{timed} against {untimed}");
    }
}
