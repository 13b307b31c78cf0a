//! Patterns of single functions: plateaus, wide bases, recursion.

use std::cmp::Reverse;

use burnmark_model::Profile;

use super::{Finding, FindingKind, percent};
use crate::links::{Links, Step};
use crate::place::{FrameKind, Place};
use crate::rules::{Categories, Rules};
use crate::weights::{Weights, share};

/// A function with a tenth of everything: without it the program would be a ninth faster. What has less is seldom worth
/// a change of its own.
const PLATEAU: f64 = 0.10;

/// More of them than this say that the work is spread, which the table shows better.
const MOST_PLATEAUS: usize = 3;

/// A base is what more than half of everything goes through.
const BASE: f64 = 0.50;

/// It fans out if no callee has half of it, and at least this many have a twentieth each: fewer are a fork in the road.
const FAN: usize = 4;
const FAN_EACH: f64 = 0.05;

/// Call chains name the same function a few times for plain reasons (visitors, nested calls of one helper); from ten on
/// it is recursion over data.
const DEEP: u32 = 10;

/// Less than a twentieth of everything in deep recursion is not what makes a program slow.
const RECURSION: f64 = 0.05;

/// What the walk over all stacks sums up, per place.
struct Sums {
    own: Vec<i64>,
    total: Vec<i64>,
    /// Value of the stacks that have it [`DEEP`] times or more.
    deep: Vec<i64>,
    /// How often it is on one stack at most.
    most: Vec<u32>,
}

pub(super) fn find(
    profile: &Profile,
    weights: &Weights,
    categories: &Categories<'_>,
    rules: &Rules,
    found: &mut Vec<Finding>,
) {
    let sums = sums(profile, weights, categories);
    plateaus(profile, weights, categories, rules, &sums, found);
    wide_base(profile, weights, categories, &sums, found);
    recursion(weights, categories, rules, &sums, found);
}

fn sums(profile: &Profile, weights: &Weights, categories: &Categories<'_>) -> Sums {
    let places = categories.places.places.len();
    let mut sums = Sums { own: vec![0; places], total: vec![0; places], deep: vec![0; places], most: vec![0; places] };
    let mut open = vec![0_u32; places];
    Links::new(profile).walk(profile, |step| match step {
        Step::Enter(stack) => {
            let place = categories.places.of(profile.stacks.get(stack).frame) as usize;
            open[place] += 1;
            sums.own[place] += weights.own(stack);
            match open[place] {
                1 => sums.total[place] += weights.total(stack),
                DEEP => sums.deep[place] += weights.total(stack),
                _ => {}
            }
            // What nothing ends in or above is not on any sample's stack.
            if weights.total(stack) > 0 {
                sums.most[place] = sums.most[place].max(open[place]);
            }
        }
        Step::Leave(stack) => open[categories.places.of(profile.stacks.get(stack).frame) as usize] -= 1,
    });
    sums
}

fn about(place: &Place<'_>) -> (Option<String>, Option<String>) {
    (Some(place.name.clone().into_owned()), place.module.map(str::to_owned))
}

fn plateaus(
    profile: &Profile,
    weights: &Weights,
    categories: &Categories<'_>,
    rules: &Rules,
    sums: &Sums,
    found: &mut Vec<Finding>,
) {
    let least = (weights.base as f64 * PLATEAU) as i64;
    let mut wide: Vec<usize> = (0..sums.own.len()).filter(|&place| sums.own[place] >= least.max(1)).collect();
    // What has no name is a module without symbols: it may be many functions.
    wide.retain(|&place| profile.frames.get(categories.places.frames[place]).function.is_some());
    wide.sort_by_key(|&place| (Reverse(sums.own[place]), categories.places.places[place].name.clone()));
    for place in wide.into_iter().take(MOST_PLATEAUS) {
        let at = &categories.places.places[place];
        let (own, total) = (share(sums.own[place], weights.base), share(sums.total[place], weights.base));
        let category = categories.of(categories.places.frames[place]).map(|number| &rules.categories()[number]);
        let what = category.map(|category| format!(", {}", category.name)).unwrap_or_default();
        let (function, module) = about(at);
        found.push(Finding {
            kind: FindingKind::Plateau,
            title: "one function does much of the work itself".to_owned(),
            function,
            module,
            share: own,
            threshold: PLATEAU,
            evidence: format!("`{}`{what}: {} by itself, {} with what it calls", at.name, percent(own), percent(total)),
            action: category.map_or_else(
                || "look at its hot lines (--merge-by line), then at who calls it (flame --reverse)".to_owned(),
                |category| category.action.clone(),
            ),
        });
    }
}

/// Follows the widest path from the roots while it keeps more than half of everything; where that ends in many callees,
/// the last function is the base.
fn wide_base(profile: &Profile, weights: &Weights, categories: &Categories<'_>, sums: &Sums, found: &mut Vec<Finding>) {
    let half = (weights.base as f64 * BASE) as i64;
    // The base is the last place in more than half of everything, counted by the order of calls: of those with the
    // least total. Its callees are summed over all stacks.
    let wide = |place: &usize| {
        sums.total[*place] > half && categories.places.places[*place].kind != FrameKind::Group && sums.most[*place] == 1
    };
    let Some(base) = (0..sums.total.len()).filter(wide).min_by_key(|&place| sums.total[place]) else { return };
    let mut callees = vec![0_i64; sums.total.len()];
    for (id, stack) in profile.stacks.iter() {
        let Some(parent) = stack.parent else { continue };
        if categories.places.of(profile.stacks.get(parent).frame) as usize == base {
            callees[categories.places.of(stack.frame) as usize] += weights.total(id);
        }
    }
    let of_base = |value: i64| share(value, sums.total[base]);
    let (mut wide, mut names) = (callees.iter().filter(|value| of_base(**value) >= FAN_EACH).count(), Vec::new());
    let largest = callees.iter().copied().max().unwrap_or(0);
    if wide < FAN || of_base(largest) >= BASE || of_base(sums.own[base]) >= PLATEAU {
        return;
    }
    let mut order: Vec<usize> = (0..callees.len()).filter(|&place| callees[place] > 0).collect();
    order.sort_by_key(|&place| (Reverse(callees[place]), categories.places.places[place].name.clone()));
    for place in order.into_iter().take(3) {
        let name = &categories.places.places[place].name;
        names.push(format!("`{name}` {}", percent(share(callees[place], weights.base))));
    }
    wide = wide.saturating_sub(names.len());
    let at = &categories.places.places[base];
    let (function, module) = about(at);
    let total = share(sums.total[base], weights.base);
    found.push(Finding {
        kind: FindingKind::WideBase,
        title: "most of the work fans out from one function".to_owned(),
        function,
        module,
        share: total,
        threshold: BASE,
        evidence: format!(
            "{} goes through `{}`, which hands it to {} and {wide} more of 5 % each",
            percent(total),
            at.name,
            names.join(", ")
        ),
        action: "no single callee to fix: do less of what it starts, or do it once instead of per item".to_owned(),
    });
}

fn recursion(weights: &Weights, categories: &Categories<'_>, rules: &Rules, sums: &Sums, found: &mut Vec<Finding>) {
    let least = ((weights.base as f64 * RECURSION) as i64).max(1);
    // A runtime's trampolines and loops are on a stack once per call of the program: that is no recursion of theirs.
    let runtime = rules.categories().iter().position(|category| category.name == "runtime");
    // Of functions that call each other in turns, one stands for all: the one that is deepest.
    let is_runtime = |place: usize| runtime.is_some() && categories.of(categories.places.frames[place]) == runtime;
    let deep = (0..sums.deep.len()).filter(|&place| sums.deep[place] >= least && !is_runtime(place));
    let order = |place: &usize| (sums.deep[*place], sums.most[*place], Reverse(*place));
    let Some(place) = deep.max_by_key(order) else { return };
    let at = &categories.places.places[place];
    let (function, module) = about(at);
    let part = share(sums.deep[place], weights.base);
    found.push(Finding {
        kind: FindingKind::Recursion,
        title: "deep recursion".to_owned(),
        function,
        module,
        share: part,
        threshold: RECURSION,
        evidence: format!(
            "`{}` is on {} of the stacks {DEEP} times or more, {} times at most",
            at.name,
            percent(part),
            sums.most[place]
        ),
        action: "check how deep the data really is; remember results, or use a loop with a stack of its own".to_owned(),
    });
}
