//! What spreads over edges: whether DOM nodes are attached, what the page owns, who owns backing stores, distances.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::bits::Bits;
use crate::kinds::{EdgeKind, NodeKind};
use crate::marks::{FAR, KIND, PAIRED};
use crate::read::{Edges, LARGE, Nodes, Raw};
use crate::source::Source;
use crate::strings::{Strings, WellKnown};

const ATTACHED: u8 = 1;
const DETACHED: u8 = 2;
const KIND_BITS: u8 = 0x3f;

/// Distance of nodes that are not reached.
pub(crate) const UNREACHED: i32 = -5;
/// Distance of the root where there are user roots: what only it reaches is the system's.
pub(crate) const SYSTEM_DISTANCE: i32 = 100_000_000;

pub(crate) fn kind_of(bits: u8) -> NodeKind {
    NodeKind::from_bits(bits & KIND_BITS)
}

fn edge_range(nodes: &Nodes, node: u32) -> std::ops::Range<usize> {
    nodes.first_edge[node as usize] as usize..nodes.first_edge[node as usize + 1] as usize
}

/// Spreads the state of DOM nodes over embedder objects, attached before detached, and names the detached ones.
pub(crate) fn dom_state(raw: &mut Raw, source: &Source) {
    let Raw { nodes, edges, strings, .. } = raw;
    let count = nodes.kind.len() as u32;
    if raw.header.nodes.detachedness.is_none() {
        // Before there was a field, the name told.
        for node in 0..count as usize {
            if kind_of(nodes.kind[node]) == NodeKind::Native
                && strings.get(source, nodes.name[node]).starts_with("Detached ")
            {
                nodes.kind[node] |= DETACHED << 6;
            }
        }
        return;
    }
    if nodes.kind.iter().all(|kind| kind >> 6 == 0) {
        return;
    }
    let mut visited = Bits::new(count as usize);
    let mut lists: [Vec<u32>; 2] = Default::default();
    let mut renamed = HashMap::new();
    let mut visit = |nodes: &mut Nodes, node: u32, state: u8, lists: &mut [Vec<u32>; 2]| {
        if !visited.insert(node) || kind_of(nodes.kind[node as usize]) != NodeKind::Native {
            return;
        }
        let kind = &mut nodes.kind[node as usize];
        *kind = *kind & KIND_BITS | state << 6;
        match state {
            ATTACHED => lists[0].push(node),
            DETACHED => {
                lists[1].push(node);
                let name = &mut nodes.name[node as usize];
                *name = match renamed.entry(*name) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        let text = format!("Detached {}", strings.get(source, *name));
                        *new.insert(strings.add(text))
                    }
                };
            }
            _ => {}
        }
    };
    for node in 0..count {
        let state = nodes.kind[node as usize] >> 6;
        if state != 0 {
            visit(nodes, node, state, &mut lists);
        }
    }
    for state in [ATTACHED, DETACHED] {
        while let Some(node) = lists[usize::from(state) - 1].pop() {
            for edge in edge_range(nodes, node) {
                if !matches!(EdgeKind::from_bits(edges.kind[edge]), EdgeKind::Hidden | EdgeKind::Other | EdgeKind::Weak)
                {
                    visit(nodes, edges.to[edge], state, &mut lists);
                }
            }
        }
    }
}

fn is_document_root(nodes: &Nodes, strings: &Strings, node: u32) -> bool {
    kind_of(nodes.kind[node as usize]) == NodeKind::Synthetic
        && strings.is(nodes.name[node as usize], WellKnown::DocumentDomTrees)
}

/// Whether the root refers to it for the user's sake.
fn is_user_root(nodes: &Nodes, strings: &Strings, node: u32) -> bool {
    kind_of(nodes.kind[node as usize]) != NodeKind::Synthetic || is_document_root(nodes, strings, node)
}

/// What the page (the program) owns, as opposed to the debugger and the virtual machine: what the root's short cuts and
/// the documents reach.
pub(crate) fn page_owned(nodes: &Nodes, edges: &Edges, strings: &Strings, root: u32) -> Bits {
    let mut owned = Bits::new(nodes.kind.len());
    let mut list = Vec::new();
    for edge in edge_range(nodes, root) {
        let to = edges.to[edge];
        let starts = match EdgeKind::from_bits(edges.kind[edge]) {
            EdgeKind::Element => is_document_root(nodes, strings, to),
            EdgeKind::Shortcut => true,
            _ => false,
        };
        if starts && owned.insert(to) {
            list.push(to);
        }
    }
    while let Some(node) = list.pop() {
        for edge in edge_range(nodes, node) {
            if edges.kind[edge] & KIND != EdgeKind::Weak as u8 && owned.insert(edges.to[edge]) {
                list.push(edges.to[edge]);
            }
        }
    }
    owned
}

const UNOWNED: u32 = u32::MAX;
const SHARED: u32 = u32::MAX - 1;

/// Who owns what: backing stores and hidden nodes that exactly one node holds give it their size.
pub(crate) fn give_sizes_to_owners(nodes: &mut Nodes, edges: &Edges, strings: &Strings, root: u32) {
    if !edge_range(nodes, root).any(|edge| is_user_root(nodes, strings, edges.to[edge])) {
        return;
    }
    let count = nodes.kind.len() as u32;
    let mut ownable = Bits::new(count as usize);
    for node in 0..count {
        let name = nodes.name[node as usize];
        let is_ownable = match kind_of(nodes.kind[node as usize]) {
            NodeKind::Hidden | NodeKind::Array => true,
            NodeKind::Native => strings.is(name, WellKnown::ExternalStringData),
            _ => false,
        };
        if is_ownable {
            ownable.insert(node);
        }
    }
    let mut owners = vec![UNOWNED; count as usize];
    let mut list = Vec::new();
    let spread = |from: u32, owner: u32, owners: &mut [u32], list: &mut Vec<u32>| {
        for edge in edge_range(nodes, from) {
            let to = edges.to[edge];
            if !ownable.get(to) || edges.kind[edge] & KIND == EdgeKind::Weak as u8 {
                continue;
            }
            let known = &mut owners[to as usize];
            if *known == UNOWNED {
                *known = owner;
            } else if *known != owner && *known != SHARED {
                *known = SHARED;
            } else {
                continue;
            }
            list.push(to);
        }
    };
    for node in 0..count {
        if ownable.get(node) {
            continue;
        }
        spread(node, node, &mut owners, &mut list);
        while let Some(owned) = list.pop() {
            let owner = owners[owned as usize];
            spread(owned, owner, &mut owners, &mut list);
        }
    }
    for node in 0..count {
        let owner = owners[node as usize];
        if owner < SHARED && kind_of(nodes.kind[owner as usize]) != NodeKind::Synthetic && owner != root {
            let size = take_size(nodes, node);
            add_size(nodes, owner, size);
        }
    }
}

/// The self size of a node.
pub(crate) fn size_of(nodes: &Nodes, node: u32) -> u64 {
    match nodes.size[node as usize] {
        LARGE => nodes.large.get(&node).copied().unwrap_or(u64::from(LARGE)),
        size => u64::from(size),
    }
}

fn take_size(nodes: &mut Nodes, node: u32) -> u64 {
    let size = size_of(nodes, node);
    nodes.size[node as usize] = 0;
    size
}

fn add_size(nodes: &mut Nodes, node: u32, more: u64) {
    let size = size_of(nodes, node).saturating_add(more);
    nodes.size[node as usize] = size.min(u64::from(LARGE)) as u32;
    if size >= u64::from(LARGE) {
        nodes.large.insert(node, size);
    }
}

/// How many edges each node is away from the user's roots. What only the root reaches is far.
pub(crate) fn distances(nodes: &Nodes, edges: &Edges, strings: &Strings, root: u32, pairs: &[(u32, u32)]) -> Vec<i32> {
    let mut distances = vec![UNREACHED; nodes.kind.len()];
    let mut reached = Bits::new(nodes.kind.len());
    let mut waiting = Waiting { pairs, met: std::collections::HashSet::default() };
    let mut queue = Vec::new();
    for edge in edge_range(nodes, root) {
        let to = edges.to[edge];
        if is_user_root(nodes, strings, to) {
            distances[to as usize] = 1;
            reached.insert(to);
            queue.push(to);
        }
    }
    let base = if queue.is_empty() { 0 } else { SYSTEM_DISTANCE };
    breadth_first(nodes, edges, &mut queue, &mut distances, &mut reached, &mut waiting);
    distances[root as usize] = base;
    reached.insert(root);
    queue.clear();
    queue.push(root);
    breadth_first(nodes, edges, &mut queue, &mut distances, &mut reached, &mut waiting);
    distances
}

/// Pairs of ephemeron edges of which one has been met.
struct Waiting<'a> {
    pairs: &'a [(u32, u32)],
    met: std::collections::HashSet<u32, foldhash::fast::RandomState>,
}

impl Waiting<'_> {
    /// Whether this edge is the second of its pair.
    fn is_second(&mut self, edge: usize) -> bool {
        let Ok(at) = self.pairs.binary_search_by_key(&(edge as u32), |(edge, _)| *edge) else { return true };
        let pair = self.pairs[at].1;
        if self.met.remove(&pair) {
            return true;
        }
        self.met.insert(pair);
        false
    }
}

fn breadth_first(
    nodes: &Nodes,
    edges: &Edges,
    queue: &mut Vec<u32>,
    distances: &mut [i32],
    reached: &mut Bits,
    waiting: &mut Waiting<'_>,
) {
    let mut next = 0;
    while next < queue.len() {
        let node = queue[next];
        next += 1;
        let distance = distances[node as usize].wrapping_add(1);
        for edge in edge_range(nodes, node) {
            let to = edges.to[edge];
            let kind = edges.kind[edge];
            if reached.get(to) || kind & KIND == EdgeKind::Weak as u8 || kind & FAR != 0 {
                continue;
            }
            if kind & PAIRED != 0 && !waiting.is_second(edge) {
                continue;
            }
            reached.insert(to);
            distances[to as usize] = distance;
            queue.push(to);
        }
    }
}
