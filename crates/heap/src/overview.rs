//! What one snapshot tells: what retains the memory, where it accumulates, what is likely waste.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::kinds::{Detachedness, NodeKind};
use crate::paths::{Search, Step, path_of};
use crate::snapshot::Snapshot;
use crate::{Class, EdgeKind, Location, Sums};

/// A single object that retains much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retainer {
    /// The node.
    pub node: u32,
    /// How it is held, from the root.
    pub path: Vec<Step>,
}

/// Where memory accumulates: an object that retains much of the heap through many others, none of which retains most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accumulation {
    /// The node.
    pub node: u32,
    /// Objects it dominates directly, by class, the largest retained size first: name, count, bytes.
    pub members: Vec<(String, u64, u64)>,
    /// How it is held.
    pub path: Vec<Step>,
}

/// Objects that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What they are called.
    pub name: String,
    /// Where they are in the source, if known.
    pub location: Option<Location>,
    /// How many.
    pub count: u64,
    /// Their own bytes.
    pub shallow: u64,
    /// What they retain, in bytes; one in another is counted once.
    pub retained: u64,
    /// The one that retains most.
    pub largest: u32,
}

/// A collection that has much more room than it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// The object.
    pub node: u32,
    /// Its bytes, backing store included.
    pub shallow: u64,
    /// Slots of its backing store.
    pub slots: u64,
    /// Slots that refer to an object. Small integers don't show in a snapshot: such arrays look empty.
    pub used: u64,
}

/// The report on one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// Objects that retain most; none through another of the list alone.
    pub biggest: Vec<Retainer>,
    /// Where memory accumulates.
    pub accumulations: Vec<Accumulation>,
    /// DOM nodes out of the document, by class.
    pub detached: Vec<Group>,
    /// Strings that are there several times; `retained` is what all but one take.
    pub strings: Vec<Group>,
    /// Sparse and oversized collections.
    pub collections: Vec<Collection>,
    /// Functions by where they are in the source.
    pub closures: Vec<Group>,
}

/// A child with this share of its parent's retained size is looked into instead of the parent.
const SAME: f64 = 0.7;
/// What of the heap an accumulation point retains at least.
const ACCUMULATES: f64 = 0.1;
/// What detached objects of Node.js itself are called.
const NODES_OWN: &str = "Detached Node / ";
/// Bytes of a collection worth a line.
const MIN_COLLECTION: u64 = 16 << 10;

/// Makes the report; `limit` rows in each part.
pub fn overview(snapshot: &Snapshot, limit: usize) -> Overview {
    let with_paths = || {
        let mut search = Search::new();
        let biggest = biggest(snapshot, limit);
        // The largest first: should the search become too long, the others have shorter paths.
        let biggest = biggest.into_iter().map(|node| Retainer { node, path: path_of(snapshot, node, &mut search) });
        (biggest.collect(), accumulations(snapshot, limit, &mut search))
    };
    let groups = || {
        let lists = rayon::join(|| duplicated_strings(snapshot, limit), || collections(snapshot, limit));
        (detached(snapshot, limit), closures(snapshot, limit), lists)
    };
    let ((biggest, accumulations), (detached, closures, (strings, collections))) = rayon::join(with_paths, groups);
    Overview { biggest, accumulations, detached, strings, collections, closures }
}

fn detached(snapshot: &Snapshot, limit: usize) -> Vec<Group> {
    let groups = grouped(snapshot, |node| {
        let is_detached = snapshot.detachedness(node) == Detachedness::Detached;
        // Node.js marks objects of its own in the same way.
        let is_dom = is_detached && snapshot.kind(node) == NodeKind::Native && !snapshot.name_begins(node, NODES_OWN);
        is_dom.then(|| (snapshot.class_of(node), None))
    });
    largest(groups, limit, |snapshot, (class, _)| snapshot.class_name(class).into_owned(), snapshot)
}

fn closures(snapshot: &Snapshot, limit: usize) -> Vec<Group> {
    let groups = grouped(snapshot, |node| {
        let location = snapshot.location(node).filter(|_| snapshot.kind(node) == NodeKind::Closure)?;
        Some((snapshot.nodes.name[node as usize], Some(location)))
    });
    largest(groups, limit, |snapshot, (name, _)| snapshot.text(name).into_owned(), snapshot)
}

/// The classes of what objects of some classes retain, these included: the largest retained size first.
pub fn classes_within(snapshot: &Snapshot, is: impl Fn(&str) -> bool) -> Vec<Class> {
    let chosen: Vec<bool> =
        (0..snapshot.classes.keys.len() as u32).map(|class| is(&snapshot.class_name(class))).collect();
    let mut sums: HashMap<u32, (Sums, u32), RandomState> = HashMap::default();
    let mut inside = 0;
    for (place, &[node, _]) in (0_u32..).zip(snapshot.tree.walk.iter()) {
        let class = snapshot.class_of(node);
        let size = snapshot.shallow(node);
        let end = snapshot.tree.end(place as usize);
        if place >= inside {
            if !chosen[class as usize] {
                continue;
            }
            inside = end;
        }
        if size == 0 {
            continue;
        }
        let (sum, until) =
            sums.entry(class).or_insert((Sums { count: 0, shallow: 0, retained: 0, distance: i32::MAX }, 0));
        sum.count += 1;
        sum.shallow += size;
        sum.distance = sum.distance.min(snapshot.distance(node));
        if place >= *until {
            *until = end;
            sum.retained += snapshot.retained(node);
        }
    }
    let class = |(index, (sums, _)): (u32, (Sums, u32))| Class {
        index,
        name: snapshot.class_name(index).into_owned(),
        location: snapshot.classes.keys[index as usize].1,
        sums,
    };
    let mut classes: Vec<Class> = sums.into_iter().map(class).collect();
    classes.sort_by(|a, b| b.sums.retained.cmp(&a.sums.retained).then_with(|| a.name.cmp(&b.name)));
    classes
}

/// Whether a node is something of the program's, not of the virtual machine's or a root.
pub(crate) fn is_users(snapshot: &Snapshot, node: u32) -> bool {
    let kind = snapshot.kind(node);
    matches!(kind, NodeKind::Object | NodeKind::Closure | NodeKind::Native | NodeKind::RegExp)
        || kind.is_string()
        || is_context(snapshot, node)
}

/// Whether it is the variables of a function.
pub(crate) fn is_context(snapshot: &Snapshot, node: u32) -> bool {
    matches!(snapshot.kind(node), NodeKind::Object | NodeKind::Hidden | NodeKind::Array)
        && snapshot.name_begins(node, "system / Context")
}

fn biggest(snapshot: &Snapshot, limit: usize) -> Vec<u32> {
    let mut nodes: Vec<u32> = (0..snapshot.node_count()).filter(|node| snapshot.retained(*node) > 0).collect();
    // Enough candidates: most of the largest are roots, or one chain.
    let keep = nodes.len().min(limit * 200 + 1_000);
    let by_size = |node: &u32| (std::cmp::Reverse(snapshot.retained(*node)), *node);
    if keep < nodes.len() {
        nodes.select_nth_unstable_by_key(keep, by_size);
        nodes.truncate(keep);
    }
    nodes.sort_unstable_by_key(by_size);
    let mut listed: Vec<u32> = Vec::new();
    for node in nodes {
        if listed.len() == limit {
            break;
        }
        let chained = |other: &u32| {
            snapshot.retained(node) as f64 >= SAME * snapshot.retained(*other) as f64
                && snapshot.dominates(*other, node)
        };
        if snapshot.kind(node) != NodeKind::Synthetic && is_users(snapshot, node) && !listed.iter().any(chained) {
            listed.push(node);
        }
    }
    listed
}

fn accumulations(snapshot: &Snapshot, limit: usize, search: &mut Search) -> Vec<Accumulation> {
    let least = (snapshot.total_size() as f64 * ACCUMULATES) as u64;
    let mut found = Vec::new();
    let mut starts = vec![snapshot.root()];
    while let Some(node) = starts.pop() {
        if found.len() == limit {
            break;
        }
        let largest = snapshot.dominated(node).max_by_key(|child| snapshot.retained(*child));
        let ratio =
            largest.map_or(0.0, |child| snapshot.retained(child) as f64 / snapshot.retained(node).max(1) as f64);
        let is_root = node == snapshot.root() || snapshot.kind(node) == NodeKind::Synthetic;
        if is_root || ratio >= SAME {
            let mut large: Vec<u32> =
                snapshot.dominated(node).filter(|child| snapshot.retained(*child) >= least).collect();
            large.sort_by_key(|child| snapshot.retained(*child));
            if is_root {
                starts.extend(large);
            } else {
                starts.extend(largest);
            }
            continue;
        }
        let mut members: HashMap<u32, (u64, u64), RandomState> = HashMap::default();
        let mut stores = snapshot.dominated(node).collect::<Vec<_>>();
        if let [store] = stores[..]
            && !is_users(snapshot, store)
        {
            stores = snapshot.dominated(store).collect();
        }
        for child in stores {
            let sum = members.entry(snapshot.class_of(child)).or_default();
            *sum = (sum.0 + 1, sum.1 + snapshot.retained(child));
        }
        let mut members: Vec<(String, u64, u64)> = members
            .into_iter()
            .map(|(class, (count, size))| (snapshot.class_name(class).into_owned(), count, size))
            .collect();
        members.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
        members.truncate(5);
        found.push(Accumulation { node, members, path: path_of(snapshot, node, search) });
    }
    found
}

type Groups = HashMap<(u32, Option<Location>), (u64, u64, u64, u32), RandomState>;

/// Sums of nodes by key, in the order of the walk, so that one in another is not counted twice.
fn grouped(snapshot: &Snapshot, key: impl Fn(u32) -> Option<(u32, Option<Location>)>) -> Groups {
    let mut groups = Groups::default();
    let mut inside: HashMap<(u32, Option<Location>), u32, RandomState> = HashMap::default();
    for (place, &[node, _]) in snapshot.tree.walk.iter().enumerate() {
        let Some(key) = key(node) else { continue };
        let group = groups.entry(key).or_insert((0, 0, 0, node));
        group.0 += 1;
        group.1 += snapshot.shallow(node);
        let end = inside.entry(key).or_insert(0);
        if place as u32 >= *end {
            *end = snapshot.tree.end(place);
            group.2 += snapshot.retained(node);
        }
        if snapshot.retained(node) > snapshot.retained(group.3) {
            group.3 = node;
        }
    }
    groups
}

fn largest(
    groups: Groups,
    limit: usize,
    name: impl Fn(&Snapshot, (u32, Option<Location>)) -> String,
    snapshot: &Snapshot,
) -> Vec<Group> {
    let mut rows: Vec<_> = groups.into_iter().collect();
    rows.sort_by_key(|(key, (_, _, retained, _))| (std::cmp::Reverse(*retained), *key));
    rows.truncate(limit);
    let mut found = Vec::with_capacity(rows.len());
    for (key, (count, shallow, retained, largest)) in rows {
        found.push(Group { name: name(snapshot, key), location: key.1, count, shallow, retained, largest });
    }
    found
}

fn duplicated_strings(snapshot: &Snapshot, limit: usize) -> Vec<Group> {
    // Texts are cut at 1024 characters: those of other sizes are other strings.
    let mut seen: HashMap<(u32, u64), (u64, u32), RandomState> = HashMap::default();
    for node in 0..snapshot.node_count() {
        let size = snapshot.shallow(node);
        if snapshot.kind(node) == NodeKind::String && size > 0 {
            seen.entry((snapshot.nodes.name[node as usize], size)).or_insert((0, node)).0 += 1;
        }
    }
    let mut rows: Vec<_> = seen.into_iter().filter(|(_, (count, _))| *count > 1).collect();
    rows.sort_by_key(|((name, size), (count, _))| (std::cmp::Reverse(size * (count - 1)), *name));
    rows.truncate(limit);
    let group = |((name, size), (count, largest)): ((u32, u64), (u64, u32))| Group {
        name: snapshot.text(name).into_owned(),
        location: None,
        count,
        shallow: size * count,
        retained: size * (count - 1),
        largest,
    };
    rows.into_iter().map(group).collect()
}

fn collections(snapshot: &Snapshot, limit: usize) -> Vec<Collection> {
    let pointer = if snapshot.sizes.has_short_pointers() { 4 } else { 8 };
    let mut found = Vec::new();
    for node in 0..snapshot.node_count() {
        let shallow = snapshot.shallow(node);
        if shallow < MIN_COLLECTION || snapshot.kind(node) != NodeKind::Object {
            continue;
        }
        let name = snapshot.name(node);
        let edge = match &*name {
            "Array" => "elements",
            "Map" | "Set" | "WeakMap" | "WeakSet" => "table",
            "Object" => "properties",
            _ => continue,
        };
        let Some(store) = snapshot.target(node, EdgeKind::Internal, edge) else { continue };
        let slots = shallow / pointer;
        let used = snapshot.edge_range(store).len() as u64;
        if used * 4 < slots {
            found.push(Collection { node, shallow, slots, used });
        }
    }
    found.sort_by_key(|collection| (std::cmp::Reverse(collection.shallow), collection.node));
    found.truncate(limit);
    found
}
