//! What grows over two and more snapshots of one process, and where it grows: the suspects.
//!
//! Objects that are in every snapshot are the ones that can hold a leak. Each is charged with the growth of what it
//! retains, less the growth that such objects below it account for: so of suspects that contain one another one is left,
//! the object under which the new ones pile up.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use rayon::prelude::*;

use crate::Location;
use crate::causes::{self, Cause};
use crate::kinds::NodeKind;
use crate::overview::is_users;
use crate::paths::{Search, Step, path_of};
use crate::snapshot::Snapshot;

/// What is kept of an earlier snapshot.
#[derive(Debug, Clone, Default)]
pub struct Census {
    /// Ids and retained sizes, by id.
    objects: Vec<(u32, u64)>,
    classes: ClassSums,
    total: u64,
}

/// Count, shallow and retained size by class.
type ClassSums = HashMap<(String, Option<Location>), [u64; 3], RandomState>;

/// Takes the census of a snapshot.
pub fn census(snapshot: &Snapshot) -> Census {
    let mut objects: Vec<(u32, u64)> =
        (0..snapshot.node_count()).map(|node| (snapshot.id(node), snapshot.retained(node))).collect();
    objects.par_sort_unstable();
    keep_unique(&mut objects);
    Census { objects, classes: class_sums(snapshot), total: snapshot.total_size() }
}

fn class_sums(snapshot: &Snapshot) -> ClassSums {
    let mut classes = ClassSums::default();
    for class in snapshot.classes() {
        let sums = classes.entry((class.name, class.location)).or_insert([0; 3]);
        let more = [class.sums.count, class.sums.shallow, class.sums.retained];
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    }
    classes
}

/// An id that several objects have, which is damage, tells nothing.
fn keep_unique(objects: &mut Vec<(u32, u64)>) {
    let (mut kept, mut at) = (0, 0);
    while let Some(&(id, _)) = objects.get(at) {
        let same = objects[at..].iter().take_while(|(other, _)| *other == id).count();
        if same == 1 {
            objects[kept] = objects[at];
            kept += 1;
        }
        at += same;
    }
    objects.truncate(kept);
}

/// Whether snapshots can have been taken in this order in one process, in which the numbers of new objects only grow.
pub fn in_order(earlier: &[Census], last: &Snapshot) -> bool {
    let newest = (0..last.node_count()).map(|node| last.id(node)).max().unwrap_or_default();
    let of_census = |census: &Census| census.objects.last().map_or(0, |(id, _)| *id);
    let newest: Vec<u32> = earlier.iter().map(of_census).chain([newest]).collect();
    newest.is_sorted()
}

impl Census {
    fn retained(&self, id: u32) -> Option<u64> {
        let at = self.objects.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.objects[at].1)
    }
}

/// How to look for growth.
#[derive(Debug, Clone, Default)]
pub struct GrowthOptions {
    /// How often the program had done what it repeats, at each snapshot.
    pub iterations: Option<Vec<u64>>,
    /// Suspects at most.
    pub limit: usize,
}

/// A class over the snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassGrowth {
    /// Its name.
    pub name: String,
    /// Where its constructor is.
    pub location: Option<Location>,
    /// Objects, per snapshot.
    pub count: Vec<u64>,
    /// Their own bytes, per snapshot.
    pub shallow: Vec<u64>,
    /// Retained bytes, per snapshot.
    pub retained: Vec<u64>,
}

/// How sure a suspect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// It grew once, between two snapshots.
    Indication,
    /// It grew in every interval of three or four snapshots.
    Suspect,
    /// It grew in every interval of five or more, or by the same whole number of objects per iteration.
    Probable,
}

impl Tier {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Indication => "indication",
            Self::Suspect => "suspect",
            Self::Probable => "probable",
        }
    }
}

/// An object under which memory piles up.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    /// The object, in the last snapshot.
    pub node: u32,
    /// The class of most of what is new under it.
    pub what: String,
    /// New objects of that class that are still there, per interval.
    pub born: Vec<u64>,
    /// Growth of what it retains in bytes, per interval, without what suspects below it account for.
    pub growth: Vec<i64>,
    /// What it retains now.
    pub retained: u64,
    /// Its share of all growth.
    pub share: f64,
    /// New objects per iteration.
    pub per_iteration: Option<f64>,
    /// Whether each interval has the same whole number of new objects per iteration.
    pub constant: bool,
    /// The likely cause.
    pub cause: Cause,
    /// How one of the new objects is held.
    pub path: Vec<Step>,
    /// How sure it is.
    pub tier: Tier,
    /// What to look at.
    pub hint: String,
}

/// What grew.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Growth {
    /// All bytes, per snapshot.
    pub totals: Vec<u64>,
    /// Classes by growth of their own bytes.
    pub classes: Vec<ClassGrowth>,
    /// Objects born between the first two snapshots that are still there, by class: name, count, bytes. These are what is
    /// kept, not what is in use just now: with three snapshots and more.
    pub kept: Vec<(String, u64, u64)>,
    /// Suspects, the likeliest first.
    pub suspects: Vec<Suspect>,
    /// Whether the snapshots are of the same process: of another one, ids mean something else, and nothing can be said.
    pub same_process: bool,
}

/// The least growth that makes a suspect, in bytes.
const MIN_GROWTH: i64 = 64 << 10;
/// And the least share of all growth.
const MIN_SHARE: f64 = 0.01;
/// Growth that one new object accounts for to this part is looked for below that object.
const ONE_OBJECT: f64 = 0.7;
/// How many levels below.
const INNER_LEVELS: usize = 4;
/// So many objects of a class make a pile.
const PILE: usize = 8;

/// Looks for growth: earlier snapshots in order, then the last.
pub fn growth(earlier: &[Census], last: &Snapshot, options: &GrowthOptions) -> Growth {
    let mut totals: Vec<u64> = earlier.iter().map(|census| census.total).collect();
    totals.push(last.total_size());
    let mut growth = Growth { totals, classes: class_growth(earlier, last), ..Growth::default() };
    let Some((first, rest)) = earlier.split_first() else { return growth };
    let charged = charge(earlier, last);
    growth.same_process = charged.shared * 4 >= first.objects.len() as u64;
    if !growth.same_process {
        return growth;
    }
    if let Some(second) = rest.first() {
        growth.kept = kept(first, second, last);
    }
    let total = (growth.totals[earlier.len()] as i64 - growth.totals[0] as i64).max(1);
    let least = MIN_GROWTH.max((total as f64 * MIN_SHARE) as i64);
    let intervals = earlier.len();
    let grew = |node: &u32| {
        let steps = charged.steps(*node);
        steps.iter().all(|step| *step > 0) && all(steps) >= least
    };
    let mut owners: Vec<u32> = (0..last.node_count()).filter(|node| charged.in_all.get(*node)).filter(grew).collect();
    owners.sort_by_key(|node| std::cmp::Reverse(all(charged.steps(*node))));
    owners.truncate(options.limit.max(1).saturating_mul(4));
    let members = members(last, &charged, &owners);
    let seen = Seen { earlier, last, total, options };
    let mut search = Search::new();
    for owner in owners {
        let found = &members[&owner];
        let steps = charged.steps(owner).to_vec();
        let sum = all(&steps);
        // Code and maps grow while a program warms up.
        if found.relevant.saturating_mul(2) < sum {
            continue;
        }
        growth.suspects.push(suspect(seen, &mut search, owner, steps, found));
    }
    let score = |suspect: &Suspect| {
        let slope = all(&suspect.growth) as f64 / intervals as f64;
        slope * suspect.share.max(0.0)
    };
    growth.suspects.sort_by(|a, b| score(b).total_cmp(&score(a)));
    growth.suspects.truncate(options.limit);
    growth
}

/// The growth over all intervals.
fn all(steps: &[i64]) -> i64 {
    steps.iter().fold(0, |sum, step| sum.saturating_add(*step))
}

/// What each object is charged with, per interval.
struct Charged {
    in_all: crate::bits::Bits,
    /// Per node, intervals side by side.
    steps: Vec<i64>,
    intervals: usize,
    /// Objects that are in all snapshots.
    shared: u64,
}

impl Charged {
    fn steps(&self, node: u32) -> &[i64] {
        &self.steps[node as usize * self.intervals..][..self.intervals]
    }
}

fn charge(earlier: &[Census], last: &Snapshot) -> Charged {
    let count = last.node_count() as usize;
    let intervals = earlier.len();
    let mut charged =
        Charged { in_all: crate::bits::Bits::new(count), steps: vec![0; count * intervals], intervals, shared: 0 };
    // Objects in all snapshots on the way down the dominator tree, and where their part of the walk ends.
    let mut above: Vec<(u32, u32)> = Vec::new();
    let mut sizes = vec![0_u64; intervals + 1];
    for (place, &[node, _]) in last.tree.walk.iter().enumerate() {
        while above.last().is_some_and(|(_, end)| *end as usize <= place) {
            above.pop();
        }
        let id = last.id(node);
        let mut known = true;
        for (size, census) in sizes.iter_mut().zip(earlier) {
            match census.retained(id) {
                Some(retained) => *size = retained,
                None => known = false,
            }
            if !known {
                break;
            }
        }
        if !known {
            continue;
        }
        sizes[intervals] = last.retained(node);
        charged.in_all.insert(node);
        charged.shared += 1;
        for interval in 0..intervals {
            let step = sizes[interval + 1] as i64 - sizes[interval] as i64;
            let own = &mut charged.steps[node as usize * intervals + interval];
            *own = own.saturating_add(step);
            if let Some((owner, _)) = above.last() {
                let owner = &mut charged.steps[*owner as usize * intervals + interval];
                *owner = owner.saturating_sub(step);
            }
        }
        above.push((node, last.tree.end(place)));
    }
    charged
}

/// What is new directly under an object.
#[derive(Debug, Default)]
struct Members {
    /// By class: nodes.
    by_class: HashMap<u32, Vec<u32>, RandomState>,
    /// Bytes that are the program's: not code, not the virtual machine's.
    relevant: i64,
}

fn members(last: &Snapshot, charged: &Charged, owners: &[u32]) -> HashMap<u32, Members, RandomState> {
    let mut found: HashMap<u32, Members, RandomState> = HashMap::default();
    for &owner in owners {
        let mut members = Members::default();
        let place = last.place(owner) as usize;
        let end = last.tree.end(place) as usize;
        let mut at = place + 1;
        members.relevant += last.shallow(owner) as i64;
        while at < end {
            let node = last.tree.node(at);
            if charged.in_all.get(node) {
                at = last.tree.end(at) as usize;
            } else if is_users(last, node) || last.kind(node) == NodeKind::Number {
                members.relevant += last.retained(node) as i64;
                members.by_class.entry(last.class_of(node)).or_default().push(node);
                at = last.tree.end(at) as usize;
            } else {
                // Backing stores are looked through.
                if matches!(last.kind(node), NodeKind::Array | NodeKind::Hidden) {
                    members.relevant += last.shallow(node) as i64;
                }
                at += 1;
            }
        }
        found.insert(owner, members);
    }
    found
}

/// What suspects are looked for in.
#[derive(Clone, Copy)]
struct Seen<'a> {
    earlier: &'a [Census],
    last: &'a Snapshot,
    /// All growth.
    total: i64,
    options: &'a GrowthOptions,
}

fn suspect(seen: Seen<'_>, search: &mut Search, mut owner: u32, growth: Vec<i64>, members: &Members) -> Suspect {
    let Seen { earlier, last, total, options } = seen;
    let sum = all(&growth);
    let size = |nodes: &[u32]| nodes.iter().map(|node| last.retained(*node)).sum::<u64>();
    let mut classes: ByClass = members.by_class.iter().map(|(class, nodes)| (*class, nodes.clone())).collect();
    classes.sort_by_key(|(class, nodes)| (std::cmp::Reverse(size(nodes)), *class));
    if let Some((inner, members)) = inner_pile(last, &classes, sum) {
        owner = inner;
        classes = members;
    }
    let (what, nodes) = match classes.first() {
        Some((class, nodes)) => (last.class_name(*class).into_owned(), nodes.clone()),
        None => (last.label(owner), Vec::new()),
    };
    let example = nodes.iter().copied().max_by_key(|node| (last.retained(*node), *node)).unwrap_or(owner);
    let born = born(last, earlier, &all_alike(last, owner, &nodes));
    let (per_iteration, constant) = per_iteration(&born, options.iterations.as_deref());
    let path = path_of(last, example, search);
    let cause = causes::cause(last, owner, example, &path);
    let tier = match growth.len() {
        _ if constant && growth.len() >= 2 => Tier::Probable,
        0 | 1 => Tier::Indication,
        2 | 3 => Tier::Suspect,
        _ => Tier::Probable,
    };
    Suspect {
        node: owner,
        hint: causes::hint(last, cause, owner, &what, &path),
        what,
        born,
        growth,
        retained: last.retained(owner),
        share: sum as f64 / total as f64,
        per_iteration,
        constant,
        cause,
        path,
        tier,
    }
}

/// Nodes by class, the class that retains most first.
type ByClass = Vec<(u32, Vec<u32>)>;

/// A collection that was made after the first snapshot and holds nearly all that is new: what is in it grows, not it.
fn inner_pile(last: &Snapshot, classes: &ByClass, sum: i64) -> Option<(u32, ByClass)> {
    let mut classes = classes.clone();
    for _ in 0..INNER_LEVELS {
        let (_, nodes) = classes.first()?;
        let largest = nodes.iter().copied().max_by_key(|node| last.retained(*node))?;
        if (last.retained(largest) as f64) < ONE_OBJECT * sum as f64 {
            return None;
        }
        classes = below(last, largest);
        if classes.first().is_some_and(|(_, nodes)| nodes.len() >= PILE) {
            return Some((largest, classes));
        }
    }
    None
}

/// What an object holds directly, backing stores looked through, by class; the largest first.
fn below(last: &Snapshot, owner: u32) -> ByClass {
    let mut by_class: HashMap<u32, Vec<u32>, RandomState> = HashMap::default();
    let place = last.place(owner) as usize;
    let end = last.tree.end(place) as usize;
    let mut at = place + 1;
    while at < end {
        let node = last.tree.node(at);
        if is_users(last, node) {
            by_class.entry(last.class_of(node)).or_default().push(node);
            at = last.tree.end(at) as usize;
        } else {
            at += 1;
        }
    }
    let mut classes: ByClass = by_class.into_iter().collect();
    let size = |nodes: &[u32]| nodes.iter().map(|node| last.retained(*node)).sum::<u64>();
    classes.sort_by_key(|(class, nodes)| (std::cmp::Reverse(size(nodes)), *class));
    classes
}

/// These, or where they are few, all of their class below the owner: lists hold one another.
fn all_alike(last: &Snapshot, owner: u32, nodes: &[u32]) -> Vec<u32> {
    let Some(class) = nodes.first().map(|node| last.class_of(*node)).filter(|_| nodes.len() < PILE) else {
        return nodes.to_vec();
    };
    let place = last.place(owner) as usize;
    let below = &last.tree.walk[place + 1..last.tree.end(place) as usize];
    below.iter().map(|[node, _]| *node).filter(|node| last.class_of(*node) == class).collect()
}

/// In which interval each of these was born.
fn born(last: &Snapshot, earlier: &[Census], nodes: &[u32]) -> Vec<u64> {
    let mut born = vec![0; earlier.len()];
    for node in nodes {
        let id = last.id(*node);
        let first = earlier.iter().position(|census| census.retained(id).is_some());
        match first {
            Some(0) => {}
            Some(snapshot) => born[snapshot - 1] += 1,
            None => {
                if let Some(last) = born.last_mut() {
                    *last += 1;
                }
            }
        }
    }
    born
}

/// New objects per iteration over all intervals, and whether each interval has the same whole number of them.
fn per_iteration(born: &[u64], iterations: Option<&[u64]>) -> (Option<f64>, bool) {
    let Some(iterations) = iterations.filter(|iterations| iterations.len() == born.len() + 1) else {
        return (None, false);
    };
    let steps: Vec<u64> = iterations.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    let all: u64 = steps.iter().sum();
    if all == 0 || steps.contains(&0) {
        return (None, false);
    }
    let rates: Vec<f64> = born.iter().zip(&steps).map(|(born, steps)| *born as f64 / *steps as f64).collect();
    let mean = born.iter().sum::<u64>() as f64 / all as f64;
    let whole = mean.round();
    let constant = whole >= 1.0 && rates.iter().all(|rate| (rate - whole).abs() <= 0.02 * whole);
    (Some(mean), constant)
}

/// The three-snapshot technique: born between the first and the second, still there in the last.
fn kept(first: &Census, second: &Census, last: &Snapshot) -> Vec<(String, u64, u64)> {
    let mut by_class: HashMap<u32, (u64, u64), RandomState> = HashMap::default();
    for node in 0..last.node_count() {
        let id = last.id(node);
        // Even ids are the embedder's, and may mean another object each time.
        if id % 2 == 1 && last.shallow(node) > 0 && first.retained(id).is_none() && second.retained(id).is_some() {
            let sum = by_class.entry(last.class_of(node)).or_default();
            *sum = (sum.0 + 1, sum.1 + last.shallow(node));
        }
    }
    let name = |(class, (count, size)): (u32, (u64, u64))| (last.class_name(class).into_owned(), count, size);
    let mut rows: Vec<_> = by_class.into_iter().map(name).collect();
    rows.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
    rows
}

fn class_growth(earlier: &[Census], last: &Snapshot) -> Vec<ClassGrowth> {
    let last = class_sums(last);
    let all: Vec<&ClassSums> = earlier.iter().map(|census| &census.classes).chain([&last]).collect();
    let mut keys: Vec<&(String, Option<Location>)> = all.iter().flat_map(|classes| classes.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let row = |key: &(String, Option<Location>)| {
        let sums: Vec<[u64; 3]> = all.iter().map(|classes| classes.get(key).copied().unwrap_or_default()).collect();
        let column = |at: usize| sums.iter().map(|sums| sums[at]).collect();
        ClassGrowth { name: key.0.clone(), location: key.1, count: column(0), shallow: column(1), retained: column(2) }
    };
    let mut rows: Vec<ClassGrowth> = keys.into_iter().map(row).collect();
    let delta = |row: &ClassGrowth| row.shallow.last().copied().unwrap_or(0) as i64 - row.shallow[0] as i64;
    rows.sort_by(|a, b| delta(b).cmp(&delta(a)).then_with(|| a.name.cmp(&b.name)));
    rows
}
