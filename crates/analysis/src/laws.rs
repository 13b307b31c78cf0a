//! Laws that hold for every profile, and naive computations to compare with.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use burnmark_model::{Profile, Sample};
use proptest::prelude::*;
use regex::Regex;

use crate::testing::{SampleSpec, Shown, build, chain, merge_by, sample_specs, shown_stack};
use crate::{
    CallTree, Direction, Error, Filter, MergeBy, Place, RankBy, RankOptions, Roots, ThreadSelector, TreeOptions,
    filter, rank, summarize,
};

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("a regular expression")
}

fn totals(profile: &Profile) -> Vec<i64> {
    (0..profile.value_types.len()).map(|column| profile.samples.total(column)).collect()
}

fn of_place(place: &Place<'_>) -> Shown {
    (place.name.to_string(), place.module.map(str::to_owned), place.line, place.kind)
}

/// Self and total per place by looking at every frame of every sample.
fn naive_rank(samples: &[SampleSpec], column: usize, merge_by: MergeBy) -> HashMap<Shown, (i64, i64)> {
    let mut rows: HashMap<Shown, (i64, i64)> = HashMap::new();
    for sample in samples {
        let stack = shown_stack(&sample.frames, merge_by);
        if let Some(leaf) = stack.last() {
            rows.entry(leaf.clone()).or_default().0 += sample.values[column];
        }
        let mut seen = Vec::new();
        for frame in stack {
            if !seen.contains(&frame) {
                rows.entry(frame.clone()).or_default().1 += sample.values[column];
                seen.push(frame);
            }
        }
    }
    rows.retain(|_, values| *values != (0, 0));
    rows
}

type Path = Vec<(String, Option<String>, u32)>;

fn path_of(stack: &[Shown]) -> Path {
    stack.iter().map(|(name, module, line, _)| (name.clone(), module.clone(), *line)).collect()
}

/// The tree as a map from paths to what ends there, cut or not, without zeros.
fn paths(tree: &CallTree<'_>) -> BTreeMap<Path, i64> {
    let mut of_node: Vec<Path> = Vec::new();
    let mut paths = BTreeMap::new();
    for (index, node) in tree.nodes.iter().enumerate() {
        let path = match node.parent {
            None => Vec::new(),
            Some(parent) => {
                let (name, module, line, _) = of_place(tree.place(index as u32));
                let mut path = of_node[parent as usize].clone();
                path.push((name, module, line));
                path
            }
        };
        *paths.entry(path.clone()).or_insert(0) += node.self_value + node.cut.value;
        of_node.push(path);
    }
    paths.retain(|_, value| *value != 0);
    paths
}

fn naive_paths(samples: &[SampleSpec], options: &TreeOptions) -> BTreeMap<Path, i64> {
    let mut paths = BTreeMap::new();
    for sample in samples {
        let mut stack = shown_stack(&sample.frames, options.merge_by);
        if options.direction == Direction::FromLeaf {
            stack.reverse();
        }
        stack.truncate(options.max_depth as usize);
        *paths.entry(path_of(&stack)).or_insert(0) += sample.values[options.value];
    }
    paths.retain(|_, value| *value != 0);
    paths
}

/// Depth first, with everything a picture shows.
fn render(tree: &CallTree<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = vec![0];
    while let Some(index) = open.pop() {
        let node = &tree.nodes[index as usize];
        let shown = of_place(tree.place(index));
        lines.push(format!("{} {shown:?} {} {} {:?}", node.depth, node.self_value, node.total_value, node.cut));
        open.extend(tree.children(index).rev());
    }
    lines
}

fn directions() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::FromRoot), Just(Direction::FromLeaf)]
}

fn roots() -> impl Strategy<Value = Roots> {
    prop_oneof![Just(Roots::Stacks), Just(Roots::Threads), Just(Roots::Processes)]
}

proptest! {
    #[test]
    fn rank_agrees_with_counting_every_frame(
        samples in sample_specs(-50..100), value in 0..2_usize, merge_by in merge_by(),
    ) {
        let profile = build(&samples);
        for by in [RankBy::SelfValue, RankBy::Total] {
            let ranking = rank(&profile, &RankOptions { value, merge_by, by, ..RankOptions::default() }).expect("valid");
            let rows: HashMap<Shown, (i64, i64)> = ranking
                .rows
                .iter()
                .filter(|row| row.place.name != "[no stack]")
                .map(|row| (of_place(&row.place), (row.self_value, row.total_value)))
                .collect();
            prop_assert_eq!(rows, naive_rank(&samples, value, merge_by));
            let sum: i64 = ranking.rows.iter().map(|row| row.self_value).sum();
            prop_assert_eq!(sum, profile.samples.total(value));
            prop_assert_eq!(ranking.total, sum);
        }
    }

    #[test]
    fn limits_hide_rows_and_lose_nothing(
        samples in sample_specs(0..100), limit in proptest::option::of(0..6_usize), min_share in 0.0..0.3_f64,
    ) {
        let profile = build(&samples);
        let all = rank(&profile, &RankOptions::default()).expect("valid");
        let some = rank(&profile, &RankOptions { limit, min_share, ..RankOptions::default() }).expect("valid");
        prop_assert_eq!(&all.rows[..some.rows.len()], &some.rows[..]);
        prop_assert_eq!(some.rows.len() + some.hidden.rows, all.rows.len());
        let shown: i64 = some.rows.iter().map(|row| row.self_value).sum();
        prop_assert_eq!(shown + some.hidden.self_value, all.total);
        prop_assert!(some.rows.iter().all(|row| row.self_share >= min_share));
        let next = all.rows.get(some.rows.len());
        prop_assert!(Some(some.rows.len()) == limit || next.is_none_or(|row| row.self_share < min_share));
    }

    #[test]
    fn trees_hold_every_stack_once(
        samples in sample_specs(-50..100), value in 0..2_usize, merge_by in merge_by(),
        direction in directions(), max_depth in prop_oneof![Just(1_000_u32), 1..5_u32],
    ) {
        let profile = build(&samples);
        let options = TreeOptions { value, merge_by, direction, max_depth, ..TreeOptions::default() };
        let tree = CallTree::new(&profile, &options).expect("valid");
        prop_assert_eq!(paths(&tree), naive_paths(&samples, &options));
    }

    #[test]
    fn trees_conserve_weight_at_every_node(
        samples in sample_specs(-50..100), merge_by in merge_by(), direction in directions(), roots in roots(),
        max_depth in 1..8_u32, min_share in prop_oneof![Just(0.0), 0.0..0.5_f64],
    ) {
        let profile = build(&samples);
        let options = TreeOptions { value: 1, merge_by, direction, roots, max_depth, min_share };
        let tree = CallTree::new(&profile, &options).expect("valid");
        prop_assert_eq!(tree.nodes[0].total_value, profile.samples.total(1));
        let mut children = 0;
        for (index, node) in tree.nodes.iter().enumerate() {
            let below = tree.children(index as u32);
            children += below.len();
            let sum: i64 = below.clone().map(|child| tree.nodes[child as usize].total_value).sum();
            prop_assert_eq!(node.total_value, node.self_value + node.cut.value + sum);
            prop_assert!(below.clone().all(|child| tree.nodes[child as usize].parent == Some(index as u32)));
            prop_assert!(below.clone().all(|child| tree.nodes[child as usize].depth == node.depth + 1));
            prop_assert!(below.clone().zip(below.skip(1)).all(|(a, b)| tree.place(a).sort_key() < tree.place(b).sort_key()));
            prop_assert!(node.depth <= max_depth);
        }
        prop_assert_eq!(children + 1, tree.nodes.len());
    }

    #[test]
    fn the_order_of_samples_changes_nothing(
        samples in sample_specs(-50..100), merge_by in merge_by(), direction in directions(), roots in roots(),
    ) {
        let mut reversed = samples.clone();
        reversed.reverse();
        let (one, other) = (build(&samples), build(&reversed));
        let options = RankOptions { merge_by, ..RankOptions::default() };
        prop_assert_eq!(rank(&one, &options).expect("valid"), rank(&other, &options).expect("valid"));
        let options = TreeOptions { merge_by, direction, roots, ..TreeOptions::default() };
        let (one_tree, other_tree) = (CallTree::new(&one, &options), CallTree::new(&other, &options));
        prop_assert_eq!(render(&one_tree.expect("valid")), render(&other_tree.expect("valid")));
        prop_assert_eq!(summarize(&one, 1).expect("valid"), summarize(&other, 1).expect("valid"));
    }

    #[test]
    fn removing_and_merging_frames_conserves_weight(
        samples in sample_specs(-50..100), merge_by in proptest::option::of(merge_by()), no_inline: bool,
    ) {
        let profile = build(&samples);
        let hide = vec![regex("^f$"), regex("libc")];
        let wanted = Filter { hide, merge_by, no_inline, ..Filter::default() };
        let filtered = filter(&profile, &wanted).expect("valid");
        prop_assert_eq!(totals(&filtered), totals(&profile));
        prop_assert_eq!(filtered.samples.len(), profile.samples.len());
        for (id, frame) in filtered.frames.iter() {
            prop_assert!(filtered.frame_name(id) != "f" && !(no_inline && frame.inline_depth > 0));
        }
    }

    #[test]
    fn hiding_agrees_with_removing_frames_from_the_input(samples in sample_specs(0..100), no_inline: bool) {
        let hide = vec![regex("^f$"), regex("libc")];
        let filtered = filter(&build(&samples), &Filter { hide, no_inline, ..Filter::default() }).expect("valid");
        let mut by_hand = samples;
        for sample in &mut by_hand {
            sample.frames.retain(|(name, module, _, depth)| {
                *name != Some("f") && *module != Some("/lib/libc.so.6") && !(no_inline && *depth > 0)
            });
        }
        prop_assert_eq!(filtered.compacted(), build(&by_hand).compacted());
    }

    #[test]
    fn focus_and_ignore_part_the_samples(samples in sample_specs(-50..100), no_inline: bool) {
        let profile = build(&samples);
        let regexes = || vec![regex("parse|^g$"), regex("kernel")];
        let kept = Filter { focus: regexes(), no_inline, ..Filter::default() };
        let dropped = Filter { ignore: regexes(), no_inline, ..Filter::default() };
        let (kept, dropped) = (filter(&profile, &kept).expect("valid"), filter(&profile, &dropped).expect("valid"));
        prop_assert_eq!(kept.samples.len() + dropped.samples.len(), profile.samples.len());
        let sum: Vec<i64> = totals(&kept).iter().zip(totals(&dropped)).map(|(a, b)| a + b).collect();
        prop_assert_eq!(sum, totals(&profile));
        let by_hand = samples.iter().filter(|sample| sample.frames.iter().any(|(name, module, _, depth)| {
            (matches!(name, Some("parse" | "g")) || module.is_some_and(|module| module.contains("kernel")))
                && !(no_inline && *depth > 0)
        }));
        prop_assert_eq!(kept.samples.len(), by_hand.count());
    }

    #[test]
    fn a_merged_profile_ranks_and_grows_like_the_original(
        samples in sample_specs(-50..100), merge_by in merge_by(), direction in directions(),
    ) {
        let profile = build(&samples);
        let merged = filter(&profile, &Filter { merge_by: Some(merge_by), ..Filter::default() }).expect("valid");
        let rows = |profile: &Profile| -> Vec<(String, Option<String>, i64, i64)> {
            let ranking = rank(profile, &RankOptions { merge_by, ..RankOptions::default() }).expect("valid");
            ranking.rows.iter().map(|row| (
                row.place.name.to_string(), row.place.module.map(str::to_owned), row.self_value, row.total_value,
            )).collect()
        };
        prop_assert_eq!(rows(&merged), rows(&profile));
        let options = TreeOptions { merge_by, direction, ..TreeOptions::default() };
        let tree = |profile| paths(&CallTree::new(profile, &options).expect("valid"));
        prop_assert_eq!(tree(&merged), tree(&profile));
        let again = filter(&merged, &Filter { merge_by: Some(merge_by), ..Filter::default() }).expect("valid");
        prop_assert_eq!(again, merged);
    }

    #[test]
    fn times_threads_and_pids_choose_samples(
        samples in sample_specs(0..100), from in proptest::option::of(0..100_i64), to in proptest::option::of(0..100_i64),
        tid in proptest::option::of(1..5_i64), pid in proptest::option::of(1..3_i64),
    ) {
        let profile = build(&samples);
        let threads = tid.map(ThreadSelector::Tid).into_iter().collect();
        let wanted = Filter {
            from_ns: from, to_ns: to, threads, pids: pid.into_iter().collect(), ..Filter::default()
        };
        let first = samples.iter().filter_map(|sample| sample.time).min();
        let by_hand: Vec<SampleSpec> = samples.iter().filter(|sample| {
            let time = sample.time.zip(first).map(|(time, first)| time - first);
            from.is_none_or(|from| time.is_some_and(|time| time >= from))
                && to.is_none_or(|to| time.is_some_and(|time| time < to))
                && tid.is_none_or(|tid| sample.thread.is_some_and(|thread| thread.1 == tid))
                && pid.is_none_or(|pid| sample.thread.is_some_and(|thread| thread.0 == pid))
        }).cloned().collect();
        match filter(&profile, &wanted) {
            Ok(filtered) => prop_assert_eq!(filtered.compacted(), build(&by_hand).compacted()),
            Err(Error::NoTimes { .. }) => prop_assert!(first.is_none()),
            Err(_) => prop_assert!(samples.iter().all(|sample| sample.thread.is_none())),
        }
    }
}

#[test]
fn a_filter_that_keeps_all_changes_nothing() {
    let profile = chain(10, 3, 4);
    assert!(Filter::default().keeps_all());
    assert_eq!(filter(&profile, &Filter::default()).expect("valid").compacted(), profile.compacted());
}

#[test]
fn what_a_filter_needs_and_is_not_there_is_an_error() {
    let profile = chain(3, 1, 3);
    let error = |wanted: Filter| filter(&profile, &wanted).expect_err("needs what is not there");
    assert_eq!(error(Filter { from_ns: Some(1), ..Filter::default() }), Error::NoTimes { flag: "--from" });
    assert_eq!(error(Filter { to_ns: Some(1), ..Filter::default() }), Error::NoTimes { flag: "--to" });
    let threads = vec![ThreadSelector::parse("worker-.*").expect("a regular expression")];
    assert_eq!(error(Filter { threads, ..Filter::default() }), Error::NoThreads { flag: "--thread" });
    assert_eq!(error(Filter { pids: vec![1], ..Filter::default() }), Error::NoPids { flag: "--pid" });
    assert_eq!(
        rank(&profile, &RankOptions { value: 1, ..RankOptions::default() }).map(drop),
        Err(Error::NoSuchValue { wanted: 1, available: 1 })
    );
    let bad = RankOptions { min_share: f64::NAN, ..RankOptions::default() };
    assert!(matches!(rank(&profile, &bad), Err(Error::BadShare(_))));
}

/// One function that calls itself 100,000 times, and 100,000 distinct functions: recursion would overflow the stack,
/// and a visit of each frame of each of the 20,000 samples would take 10⁹ steps.
#[test]
fn deep_stacks_are_nothing_special() {
    for names in [1, 2, 100_000] {
        let profile = chain(100_000, 5, names);
        let ranking = rank(&profile, &RankOptions::default()).expect("valid");
        let shown: BTreeSet<i64> = ranking.rows.iter().map(|row| row.total_value).collect();
        assert_eq!((ranking.rows.len(), shown.last()), (names, Some(&20_000)));
        for (direction, merge_by) in [
            (Direction::FromRoot, MergeBy::Function),
            (Direction::FromLeaf, MergeBy::Module),
            (Direction::FromLeaf, MergeBy::Function),
        ] {
            let (max_depth, min_share) = (100, 0.000_1);
            let options = TreeOptions { direction, merge_by, max_depth, min_share, ..TreeOptions::default() };
            let tree = CallTree::new(&profile, &options).expect("valid");
            assert_eq!(tree.nodes[0].total_value, 20_000);
            assert!(tree.nodes.len() <= 100_000 + 100 * 10_000);
        }
        let hide = vec![regex("^f1$")];
        let filtered = filter(&profile, &Filter { hide, focus: vec![regex("f")], ..Filter::default() }).expect("valid");
        assert_eq!(filtered.samples.total(0), 20_000);
    }
}

#[test]
fn cut_nodes_say_how_much_is_missing() {
    let profile = chain(100, 100, 100);
    for direction in [Direction::FromRoot, Direction::FromLeaf] {
        let options = TreeOptions { direction, max_depth: 30, ..TreeOptions::default() };
        let tree = CallTree::new(&profile, &options).expect("valid");
        let deepest = tree.nodes.last().expect("nodes");
        assert_eq!((deepest.depth, deepest.self_value, deepest.cut.value, deepest.cut.levels), (30, 0, 1, 70));
    }
}

/// Formats that merge equal stacks have fewer entries than samples, and the count is what people are told.
#[test]
fn samples_are_counted_not_entries() {
    let mut profile = chain(3, 1, 3);
    let stack = profile.samples.get(0).stack;
    profile.samples.push(Sample { stack, time_ns: Some(5), ..Sample::default() }, &[40]).expect("small values");
    let summary = summarize(&profile, 0).expect("valid");
    assert_eq!((summary.samples, summary.duration_ns), (43, None));
    assert_eq!(rank(&profile, &RankOptions::default()).expect("valid").samples, 43);
    profile.value_types[0].name = "cycles".to_owned();
    assert_eq!(summarize(&profile, 0).expect("valid").samples, 4);
}
