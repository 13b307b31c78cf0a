//! Findings on kinds of work: the share of logging, allocation, garbage collection, …, with what they call.

use std::cmp::Reverse;

use burnmark_model::{Id, Profile};

use super::{Finding, FindingKind, percent};
use crate::rules::{Categories, Rules};
use crate::weights::{Weights, share};

/// A kind of work that is worth a look from a share on.
struct Kind {
    kind: FindingKind,
    category: &'static str,
    title: &'static str,
    /// From which fraction on, and why there.
    threshold: f64,
    /// What it may call without being another kind of work: a stack counts if from its leaf up there is nothing but
    /// these until the category itself.
    helpers: &'static [&'static str],
}

/// What any library does on the way.
const PLAIN: &[&str] = &["memory", "kernel", "kernel memory", "runtime", "time", "computation"];

/// Thresholds: a share at which there is something to gain for a program whose purpose is another.
const KINDS: &[Kind] = &[
    // A log that takes 3 % pays for itself in few programs; formatting, writing and locking are part of it.
    Kind {
        kind: FindingKind::Logging,
        category: "logging",
        title: "logging",
        threshold: 0.03,
        helpers: &[
            "memory",
            "kernel",
            "kernel memory",
            "runtime",
            "time",
            "computation",
            "text",
            "I/O",
            "allocation",
            "locking",
            "serialization",
            "collections",
            "scheduling",
            "event loop",
        ],
    },
    // Allocators take 2 to 8 % of most programs; from a tenth on, reusing buffers shows.
    Kind {
        kind: FindingKind::Allocation,
        category: "allocation",
        title: "allocation",
        threshold: 0.10,
        helpers: &["memory", "kernel", "kernel memory", "locking"],
    },
    // Go aims at 25 % of the CPU at most while collecting, JVM guides at 5 to 10 % of all time.
    Kind { kind: FindingKind::Gc, category: "GC", title: "garbage collection", threshold: 0.10, helpers: PLAIN },
    // Time on the CPU for locks is spinning and waking: waiting itself takes none. It should be next to nothing.
    Kind {
        kind: FindingKind::Locking,
        category: "locking",
        title: "locks",
        threshold: 0.05,
        helpers: &["kernel", "scheduling", "memory", "runtime"],
    },
    // From a fifth on, what is sent or stored costs more than most of what is done with it.
    Kind {
        kind: FindingKind::Serialization,
        category: "serialization",
        title: "serialization",
        threshold: 0.20,
        helpers: &["memory", "kernel", "kernel memory", "runtime", "computation", "text", "allocation", "collections"],
    },
    // A tenth in patterns is mostly one pattern that backtracks, or is compiled again and again.
    Kind { kind: FindingKind::Regex, category: "regex", title: "regular expressions", threshold: 0.10, helpers: PLAIN },
    // Errors are meant to be rare: where they show at all, they are not.
    Kind {
        kind: FindingKind::Exceptions,
        category: "exceptions",
        title: "exceptions and stack unwinding",
        threshold: 0.02,
        helpers: &["memory", "kernel", "runtime", "locking", "allocation", "loading", "text"],
    },
    // First touches of memory: from a tenth on, memory is mapped and given back all the time, or the run is short.
    Kind {
        kind: FindingKind::KernelMemory,
        category: "kernel memory",
        title: "page faults and memory mapping",
        threshold: 0.10,
        helpers: &["kernel", "memory", "locking", "scheduling"],
    },
    // A warmed-up service compiles next to nothing: a measurement with much of it is of the start.
    Kind {
        kind: FindingKind::Jit,
        category: "JIT",
        title: "just-in-time compilation",
        threshold: 0.10,
        helpers: PLAIN,
    },
    // Half of it must lie in the first part of the recording: see [`at_the_start`].
    Kind {
        kind: FindingKind::StartUp,
        category: "loading",
        title: "start-up",
        threshold: 0.10,
        helpers: &[
            "memory",
            "kernel",
            "kernel memory",
            "runtime",
            "time",
            "text",
            "I/O",
            "allocation",
            "locking",
            "collections",
            "compiling",
            "serialization",
        ],
    },
];

/// Work of the start lies in the first quarter of a recording; with most of it later it is loading on demand.
const START: f64 = 0.25;

/// A recording of no more than this, in nanoseconds, is of a start as a whole: no service is warm by then.
const SHORT: i64 = 2_000_000_000;

pub(super) fn find(
    profile: &Profile,
    value: usize,
    weights: &Weights,
    categories: &Categories<'_>,
    rules: &Rules,
    found: &mut Vec<Finding>,
) {
    for kind in KINDS {
        let number = |name: &str| rules.categories().iter().position(|category| category.name == name);
        let Some(own) = number(kind.category) else { continue };
        let helpers: Vec<usize> = kind.helpers.iter().filter_map(|name| number(name)).collect();
        let within = within(profile, categories, own, &helpers);
        let sum: i64 = within.iter().zip(&weights.own).filter(|(is, _)| **is).map(|(_, value)| value).sum();
        let part = share(sum, weights.base);
        if part < kind.threshold {
            continue;
        }
        let start = match kind.kind {
            FindingKind::StartUp => match at_the_start(profile, value, &within) {
                Some((early, _)) if early >= 0.5 => {
                    format!("; {} of it in the first quarter of the recording", percent(early))
                }
                Some((_, length)) if length <= SHORT => {
                    format!("; the whole recording is {:.2} s long", length as f64 / 1e9)
                }
                // On demand, or not known when.
                _ => continue,
            },
            _ => String::new(),
        };
        found.push(Finding {
            kind: kind.kind,
            title: kind.title.to_owned(),
            function: None,
            module: None,
            share: part,
            threshold: kind.threshold,
            evidence: format!(
                "{} is {}, with what it calls{start}{}",
                percent(part),
                kind.title,
                most(profile, weights, categories, own, &within)
            ),
            action: rules.categories()[own].action.clone(),
        });
    }
}

/// Per stack, whether it is in the category: its leaf is, or a helper whose caller is.
fn within(profile: &Profile, categories: &Categories<'_>, own: usize, helpers: &[usize]) -> Vec<bool> {
    let mut within = Vec::with_capacity(profile.stacks.len());
    for (_, stack) in profile.stacks.iter() {
        let is = match categories.of(stack.frame) {
            Some(category) if category == own => true,
            // Parents come first.
            Some(category) if helpers.contains(&category) => stack.parent.is_some_and(|parent| within[parent.index()]),
            _ => false,
        };
        within.push(is);
    }
    within
}

/// The functions of the category with the most by themselves and in helpers.
fn most(profile: &Profile, weights: &Weights, categories: &Categories<'_>, own: usize, within: &[bool]) -> String {
    let mut values = vec![0_i64; categories.places.places.len()];
    // Per stack, the nearest place of the category, from the leaf up.
    let mut nearest: Vec<u32> = Vec::with_capacity(within.len());
    for (id, stack) in profile.stacks.iter() {
        let place = match categories.of(stack.frame) {
            Some(category) if category == own => categories.places.of(stack.frame),
            _ => stack.parent.map_or(0, |parent| nearest[parent.index()]),
        };
        nearest.push(place);
        if within[id.index()] {
            values[place as usize] += weights.own(id);
        }
    }
    let mut order: Vec<usize> = (0..values.len()).filter(|&place| values[place] > 0).collect();
    order.sort_by_key(|&place| (Reverse(values[place]), categories.places.places[place].name.clone()));
    let name = |&place: &usize| {
        format!("`{}` {}", categories.places.places[place].name, percent(share(values[place], weights.base)))
    };
    let names: Vec<String> = order.iter().take(3).map(name).collect();
    if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
}

/// Which part of the samples within lies in the first quarter of the recording, and how long that is in nanoseconds.
/// `None` without times.
fn at_the_start(profile: &Profile, value: usize, within: &[bool]) -> Option<(f64, i64)> {
    let times = || profile.samples.iter().filter_map(|sample| sample.time_ns);
    let (first, last) = (times().min()?, times().max()?);
    let end = first + ((last - first) as f64 * START) as i64;
    let (mut early, mut all) = (0_i64, 0_i64);
    for (sample, value) in profile.samples.iter().zip(profile.samples.values(value)) {
        if sample.stack.is_some_and(|stack| within[stack.index()]) {
            all += value;
            early += if sample.time_ns? <= end { *value } else { 0 };
        }
    }
    (last > first && all > 0).then(|| (early as f64 / all as f64, last - first))
}
