//! Laws that hold for every pair of profiles.

use proptest::prelude::*;

use super::*;
use crate::testing::{SampleSpec, build, merge_by, sample_specs};
use crate::{MergeBy, RankOptions, rank};

fn reduced(samples: &[SampleSpec], merge_by: MergeBy) -> Reduced {
    reduce(&build(samples), 0, merge_by).expect("there are no negative values")
}

fn compared(before: &[Reduced], after: &[Reduced], by: RankBy) -> Option<Diff> {
    match diff(before, after, &DiffOptions { by, ..DiffOptions::default() }) {
        Ok(diff) => Some(diff),
        Err(Error::NothingToCompare { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

fn by() -> impl Strategy<Value = RankBy> {
    prop_oneof![Just(RankBy::SelfValue), Just(RankBy::Total)]
}

fn opposite(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Regressed => Verdict::Improved,
        Verdict::Improved => Verdict::Regressed,
        same => same,
    }
}

/// Whether one is the other seen from the other side; medians of three runs and more are not of the same pairs.
fn are_opposite(row: &DiffRow, other: &DiffRow, runs: usize) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    other.identity.name == row.identity.name
        && (other.before, other.after) == (row.after, row.before)
        && row.delta * other.delta <= 0.0
        && match (row.q, other.q) {
            (Some(a), Some(b)) => near(a, b),
            (a, b) => a.is_some() == b.is_some(),
        }
        && (runs > 2 || near(row.delta, -other.delta))
        && (runs > 2 || (row.verdict == opposite(other.verdict) && near(row.interval[0], -other.interval[1])))
}

proptest! {
    #[test]
    fn a_profile_does_not_differ_from_itself(samples in sample_specs(0..50), merge_by in merge_by(), by in by()) {
        let run = reduced(&samples, merge_by);
        for runs in [1, 3] {
            let runs = vec![run.clone(); runs];
            let Some(diff) = compared(&runs, &runs, by) else { continue };
            prop_assert_eq!((diff.counts.regressed, diff.counts.improved), (0, 0));
            prop_assert!(diff.rows.iter().all(|row| row.delta == 0.0 && row.before == row.after));
            prop_assert!(diff.nodes.iter().all(|node| node.total[0] == node.total[1] && node.own[0] == node.own[1]));
            prop_assert!(diff.renames.is_empty() && diff.warnings.is_empty());
            prop_assert!(diff.matched[0] == diff.matched[1]);
        }
    }

    #[test]
    fn the_other_way_round_it_is_the_opposite(
        before in sample_specs(0..50), after in sample_specs(0..50), by in by(), runs in 1..4_usize
    ) {
        let (before, after) = (vec![reduced(&before, MergeBy::Function); runs], vec![reduced(&after, MergeBy::Function); runs]);
        let (Some(there), Some(back)) = (compared(&before, &after, by), compared(&after, &before, by)) else {
            return Ok(());
        };
        // A function's name and module are those after, and two of one name may have the same values: whatever is
        // left in the end has no opposite.
        let mut left = back.rows;
        for row in &there.rows {
            let Some(found) = left.iter().position(|other| are_opposite(row, other, runs)) else {
                return Err(TestCaseError::fail(format!("{row:#?} has no opposite among {left:#?}")));
            };
            left.swap_remove(found);
        }
        prop_assert!(left.is_empty(), "{left:#?}");
    }

    /// Self and total shares are those of the ranking.
    #[test]
    fn values_are_those_of_the_ranking(samples in sample_specs(0..50), merge_by in merge_by()) {
        let profile = build(&samples);
        let run = vec![reduce(&profile, 0, merge_by).expect("not negative")];
        let Some(diff) = compared(&run, &run, RankBy::Total) else { return Ok(()) };
        let ranking = rank(&profile, &RankOptions { merge_by, ..RankOptions::default() }).expect("valid");
        let ranked = ranking.rows.iter().filter(|row| row.place.name != "[no stack]").collect::<Vec<_>>();
        prop_assert_eq!(ranked.len(), diff.rows.len());
        for row in ranked {
            let identity = Identity::new(&row.place, merge_by == MergeBy::Line);
            let same = |other: &&DiffRow| {
                (&other.identity.canonical, &other.identity.module_key) == (&identity.canonical, &identity.module_key)
            };
            let found = diff.rows.iter().find(same).expect("it is there");
            prop_assert!((found.after.self_share - row.self_share).abs() < 1e-9, "{row:?} {found:?}");
            prop_assert!((found.after.total_share - row.total_share).abs() < 1e-9, "{row:?} {found:?}");
        }
    }

    /// The tree of both holds the weight of each, but for samples without a stack.
    #[test]
    fn nothing_is_lost(before in sample_specs(0..50), after in sample_specs(0..50), merge_by in merge_by()) {
        let profiles = [build(&before), build(&after)];
        let runs = profiles.each_ref().map(|profile| vec![reduce(profile, 0, merge_by).expect("not negative")]);
        let Some(diff) = compared(&runs[0], &runs[1], RankBy::SelfValue) else { return Ok(()) };
        for side in 0..2 {
            let ranking = rank(&profiles[side], &RankOptions { merge_by, ..RankOptions::default() }).expect("valid");
            let empty: f64 = ranking.rows.iter().filter(|row| row.place.name == "[no stack]").map(|row| row.self_share).sum();
            let held: f64 = diff.nodes.iter().map(|node| node.own[side]).sum();
            let rows: f64 = diff.rows.iter().map(|row| [row.before, row.after][side].self_share).sum();
            let roots: f64 = diff.nodes.iter().filter(|node| node.parent.is_none()).map(|node| node.total[side]).sum();
            for sum in [held, rows, roots] {
                prop_assert!((sum + empty - 1.0).abs() < 1e-9, "{held} {rows} {roots} {empty}");
            }
            let written = differential(&diff);
            let sum = written.samples.total(side) as f64 / runs[side][0].facts.total;
            prop_assert!((sum - held).abs() < 1e-6, "{sum} {held}");
        }
    }
}
