//! A profile reduced to what comparing needs: its call tree by canonical functions, per block of time. Memory follows
//! distinct stacks, not samples.

use std::collections::HashMap;

use burnmark_model::{Id, Profile, Zeroed};
use foldhash::fast::RandomState;

use super::Facts;
use crate::Error;
use crate::matching::Identity;
use crate::place::{MergeBy, Places};
use crate::stats::blocks::BLOCKS;
use crate::weights::check_column;

/// A node of the reduced tree; its parent has a smaller index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) parent: Option<u32>,
    /// Index into [`Reduced::functions`].
    pub(super) function: u32,
}

/// One run, ready to be compared.
#[derive(Clone, Debug)]
pub struct Reduced {
    /// What is known of how it was made.
    pub facts: Facts,
    pub(super) functions: Vec<Identity>,
    pub(super) nodes: Vec<Node>,
    /// Blocks of time: [`BLOCKS`], or 1 without times.
    pub(super) blocks: usize,
    /// Per block and node, the weight of the samples that end there, in the value type's real unit: samples are mostly in
    /// order of time.
    own: Zeroed<f64>,
    /// Per node, how many samples end there.
    pub(super) hits: Vec<f64>,
    /// Per block, the weight of all samples.
    pub(super) totals: Vec<f64>,
    /// Kish's effective number of samples.
    pub(super) effective: f64,
}

impl Reduced {
    /// Per node, the weight of the samples of a block that end there.
    pub(super) fn own_in(&self, block: usize) -> &[f64] {
        let nodes = self.nodes.len();
        &self.own[block * nodes..(block + 1) * nodes]
    }
}

/// Reduces a profile.
///
/// # Errors
/// When there is no such value type, or it has negative values.
pub fn reduce(profile: &Profile, value: usize, merge_by: MergeBy) -> Result<Reduced, Error> {
    check_column(profile, value)?;
    let values = profile.samples.values(value);
    if values.iter().any(|value| *value < 0) {
        let value_type = &profile.value_types[value];
        return Err(Error::NegativeValues { value_type: format!("{}/{}", value_type.name, value_type.unit) });
    }
    let places = Places::new(profile, merge_by);
    let (functions, of_place) = functions(&places, merge_by);
    let (nodes, of_stack) = tree(profile, &places, &of_place, merge_by);
    let clock = Clock::new(profile, values);
    let blocks = if clock.is_some() { BLOCKS } else { 1 };
    let denominator = f64::from(profile.value_types[value].denominator.max(1));
    let counts = Counts::new(profile, value);

    let mut reduced = Reduced {
        facts: Facts::new(profile, value),
        functions,
        blocks,
        own: Zeroed::new(nodes.len() * blocks),
        hits: vec![0.0; nodes.len()],
        totals: vec![0.0; blocks],
        effective: 0.0,
        nodes,
    };
    let (mut sum, mut squares) = (0.0, 0.0);
    let (own, nodes) = (&mut *reduced.own, reduced.nodes.len());
    for (index, (stack, value)) in profile.samples.stacks().iter().zip(values).enumerate() {
        let weight = *value as f64 / denominator;
        if weight <= 0.0 {
            continue;
        }
        let block = clock.as_ref().map_or(0, |clock| clock.block(profile, index));
        let count = counts.of(profile, index, weight);
        sum += weight;
        squares += weight * weight / count;
        reduced.totals[block] += weight;
        if let Some(stack) = stack {
            let node = of_stack[stack.index()] as usize;
            own[block * nodes + node] += weight;
            reduced.hits[node] += count;
        }
    }
    reduced.effective = if squares > 0.0 { sum * sum / squares } else { 0.0 };
    reduced.facts.total = sum;
    reduced.facts.timed = clock.is_some();
    Ok(reduced)
}

/// Distinct functions, and which of them each place is.
fn functions(places: &Places<'_>, merge_by: MergeBy) -> (Vec<Identity>, Vec<u32>) {
    let mut functions: Vec<Identity> = Vec::new();
    let mut known: HashMap<(String, String), u32, RandomState> = HashMap::default();
    let mut of_place = Vec::with_capacity(places.places.len());
    for place in &places.places {
        let identity = Identity::new(place, merge_by == MergeBy::Line);
        let key = (identity.canonical.clone(), identity.module_key.clone());
        let next = functions.len() as u32;
        let function = *known.entry(key).or_insert(next);
        if function == next {
            functions.push(identity);
        } else if identity.name.len() < functions[function as usize].name.len() {
            // Of `f` and `f.isra.0`, `f` is shown.
            functions[function as usize] = identity;
        }
        of_place.push(function);
    }
    (functions, of_place)
}

fn tree(profile: &Profile, places: &Places<'_>, of_place: &[u32], merge_by: MergeBy) -> (Vec<Node>, Vec<u32>) {
    let mut nodes: Vec<Node> = Vec::new();
    // By the parent, counted from 1, and the function in one number: there are millions.
    let mut known: HashMap<u64, u32, RandomState> = HashMap::default();
    let mut of_stack: Vec<u32> = Vec::with_capacity(profile.stacks.len());
    for (_, stack) in profile.stacks.iter() {
        let parent = stack.parent.map(|parent| of_stack[parent.index()]);
        let function = of_place[places.of(stack.frame) as usize];
        let same_module = parent.filter(|parent| nodes[*parent as usize].function == function);
        let node = match same_module.filter(|_| merge_by == MergeBy::Module) {
            Some(node) => node,
            None => {
                let next = nodes.len() as u32;
                let key = parent.map_or(0, |parent| u64::from(parent) + 1) << 32 | u64::from(function);
                let node = *known.entry(key).or_insert(next);
                if node == next {
                    nodes.push(Node { parent, function });
                }
                node
            }
        };
        of_stack.push(node);
    }
    (nodes, of_stack)
}

/// Cuts the time of a profile into equal blocks.
pub(crate) struct Clock {
    first: i64,
    span: u128,
}

impl Clock {
    /// `None` unless every sample with a value has a time, and they differ.
    pub(crate) fn new(profile: &Profile, values: &[i64]) -> Option<Self> {
        let (first, last) = profile.samples.time_range()?;
        let samples = profile.samples.iter().zip(values);
        let all_timed = samples.filter(|(_, value)| **value != 0).all(|(sample, _)| sample.time_ns.is_some());
        (all_timed && last > first).then(|| Self { first, span: u128::from(last.abs_diff(first)) + 1 })
    }

    pub(crate) fn block(&self, profile: &Profile, sample: usize) -> usize {
        let time = profile.samples.get(sample).time_ns.unwrap_or(self.first);
        let passed = time.abs_diff(self.first);
        // What is short enough for it is computed in 64 bits, which is much faster.
        match (passed.checked_mul(BLOCKS as u64), u64::try_from(self.span)) {
            (Some(blocks), Ok(span)) => (blocks / span) as usize,
            _ => (u128::from(passed) * BLOCKS as u128 / self.span) as usize,
        }
    }
}

/// How many samples an entry stands for: formats that merge equal stacks have fewer entries than samples.
pub(crate) enum Counts {
    /// A column says it, with this denominator.
    Column(usize, f64),
    /// A sample stands for this much of the value (a sampling allocation profiler's period, a timer's in folded text).
    Period(f64),
    /// One sample an entry.
    One,
}

impl Counts {
    pub(crate) fn new(profile: &Profile, value: usize) -> Self {
        let types = &profile.value_types;
        let chosen = &types[value];
        let samples = types.iter().position(|value| value.name == "samples" && value.unit == "count");
        let own = types.iter().position(|value| value.name == chosen.name && value.unit == "count");
        let is_memory = chosen.unit == "bytes";
        let column = own.filter(|_| !is_memory).or(samples);
        if let Some(period) = column.and_then(|column| hidden_period(profile, column)) {
            return Self::Period(period);
        }
        match (column, profile.meta.period) {
            (Some(column), _) => Self::Column(column, f64::from(types[column].denominator.max(1))),
            (None, Some(period)) if period > 1 && chosen.unit == types[profile.default_value].unit => {
                Self::Period(period as f64)
            }
            _ => Self::One,
        }
    }

    pub(crate) fn of(&self, profile: &Profile, sample: usize, weight: f64) -> f64 {
        match *self {
            Self::Column(column, denominator) => {
                let count = profile.samples.values(column)[sample] as f64 / denominator;
                if count > 0.0 { count } else { 1.0 }
            }
            Self::Period(period) => (weight / period).max(1.0),
            Self::One => 1.0,
        }
    }
}

/// Folded text calls every number a count of samples, and has nanoseconds where a recording was written to it: all of
/// them are then multiples of the timer's period. The period, if no count of samples has such a divisor.
fn hidden_period(profile: &Profile, column: usize) -> Option<f64> {
    if profile.samples.time_range().is_some() || profile.value_types.len() > 1 || profile.meta.period.is_some() {
        return None;
    }
    let divisor = |a: i64, b: i64| {
        let (mut a, mut b) = (a, b);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let values = || profile.samples.values(column).iter().copied().filter(|value| *value > 0);
    let period = values().fold(0, divisor);
    (period >= LEAST_PERIOD && values().count() >= LEAST_STACKS).then_some(period as f64)
}

/// Of fewer counts the common divisor says little of the period.
const LEAST_STACKS: usize = 10;

/// Nanoseconds between samples at 100 kHz: whoever counts samples has counts that no such number divides.
const LEAST_PERIOD: i64 = 10_000;

/// Folded stacks often begin with the name of the command or thread, recordings know it apart. If one side has no
/// threads and all its stacks begin with a frame that no stack of the other side, which has threads, has anywhere, that
/// frame is taken off. Says so.
pub fn align_roots(before: &mut [Reduced], after: &mut [Reduced]) -> Option<String> {
    let threads = |runs: &[Reduced]| runs.iter().any(|run| run.facts.threads.is_some());
    let (named, other, side) = match (threads(before), threads(after)) {
        (false, true) => (before, after, "before"),
        (true, false) => (after, before, "after"),
        _ => return None,
    };
    let known: std::collections::HashSet<&str, RandomState> =
        other.iter().flat_map(|run| &run.functions).map(|identity| identity.canonical.as_str()).collect();
    let is_foreign = |run: &Reduced, node: &Node| {
        let name = &run.functions[node.function as usize].canonical;
        !name.starts_with('[') && !known.contains(name.as_str())
    };
    let roots_are_foreign = named.iter().all(|run| {
        let mut roots = run.nodes.iter().filter(|node| node.parent.is_none()).peekable();
        roots.peek().is_some() && roots.all(|node| is_foreign(run, node))
    });
    if !roots_are_foreign {
        return None;
    }
    named.iter_mut().for_each(without_roots);
    Some(format!("the first frame of the stacks {side} names a thread or command: it is left out"))
}

/// Takes the first frame off all stacks. What ended there has no stack then.
fn without_roots(run: &mut Reduced) {
    let blocks = run.blocks;
    let mut position: Vec<Option<u32>> = Vec::with_capacity(run.nodes.len());
    let mut nodes: Vec<Node> = Vec::new();
    let mut known: HashMap<(Option<u32>, u32), u32, RandomState> = HashMap::default();
    for node in &run.nodes {
        let Some(parent) = node.parent else {
            position.push(None);
            continue;
        };
        let parent = position[parent as usize];
        let next = nodes.len() as u32;
        // The same function may have begun under several roots.
        let at = *known.entry((parent, node.function)).or_insert(next);
        if at == next {
            nodes.push(Node { parent, function: node.function });
        }
        position.push(Some(at));
    }
    let (mut own, mut hits) = (Zeroed::new(nodes.len() * blocks), vec![0.0; nodes.len()]);
    let kept = || (0..).zip(&position).filter_map(|(index, at): (usize, _)| Some((index, (*at)? as usize)));
    kept().for_each(|(index, at)| hits[at] += run.hits[index]);
    for block in 0..blocks {
        let (before, after) = (run.own_in(block), &mut own[block * nodes.len()..(block + 1) * nodes.len()]);
        kept().for_each(|(index, at)| after[at] += before[index]);
    }
    (run.nodes, run.own, run.hits) = (nodes, own, hits);
}
