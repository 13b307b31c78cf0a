//! What spreads over edges: whether DOM nodes are attached, what the page owns, who owns backing stores, distances.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hint::black_box;

use foldhash::fast::RandomState;

use crate::Error;
use crate::bits::Bits;
use crate::column::Column;
use crate::kinds::{EdgeKind, NodeKind};
use crate::marks::{ASIDE, FAR, WEAK};
use crate::read::{Edges, NODE, Nodes, Raw, range};
use crate::sizes::Sizes;
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

/// Spreads the state of DOM nodes over embedder objects, attached before detached, and names the detached ones.
pub(crate) fn dom_state(raw: &mut Raw, source: &Source) {
    let Raw { nodes, edges, strings, .. } = raw;
    let count = nodes.kind.len() as u32;
    if raw.header.nodes.detachedness.is_none() {
        // Before there was a field, the name told.
        for node in 0..count as usize {
            if kind_of(nodes.kind[node]) == NodeKind::Native && strings.begins(source, nodes.name[node], "Detached ") {
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
            for edge in nodes.edges(node) {
                if !matches!(EdgeKind::from_bits(edges.kind[edge]), EdgeKind::Hidden | EdgeKind::Other | EdgeKind::Weak)
                {
                    visit(nodes, edges.to(edge), state, &mut lists);
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

/// Whether the page's own begins at the target of this edge of the root: a short cut, or the documents.
pub(crate) fn is_page_root(nodes: &Nodes, edges: &Edges, strings: &Strings, edge: usize) -> bool {
    match EdgeKind::from_bits(edges.kind[edge]) {
        EdgeKind::Element => is_document_root(nodes, strings, edges.to(edge)),
        EdgeKind::Shortcut => true,
        _ => false,
    }
}

const UNOWNED: u32 = u32::MAX;
const SHARED: u32 = u32::MAX - 1;

/// Who owns what: backing stores and hidden nodes that exactly one node holds give it their size. Returns memory that is
/// not needed any more.
pub(crate) fn give_sizes_to_owners(
    sizes: &mut Sizes,
    nodes: &Nodes,
    edges: &Edges,
    strings: &Strings,
    root: u32,
) -> Result<Column<u32>, Error> {
    if !nodes.edges(root).any(|edge| is_user_root(nodes, strings, edges.to(edge))) {
        return Column::new(0);
    }
    let ownable = ownable(nodes, strings);
    let mut owners = Column::filled(nodes.kind.len(), UNOWNED)?;
    let mut list = Vec::new();
    let (packed, first_edge) = (&edges.packed[..], &nodes.first_edge[..]);
    let spread = |edges: std::ops::Range<usize>, owner: u32, owners: &mut [u32], list: &mut Vec<u32>| {
        for packed in &packed[edges] {
            let to = packed & NODE;
            if !ownable.get(to) || packed & WEAK != 0 {
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
    let owned = &mut owners[..];
    let mut start = 0;
    for (node, end) in (0_u32..).zip(&first_edge[1..]) {
        let own = std::mem::replace(&mut start, *end) as usize..*end as usize;
        if ownable.get(node) {
            continue;
        }
        spread(own, node, owned, &mut list);
        while let Some(node) = list.pop() {
            let owner = owned[node as usize];
            spread(range(first_edge, node), owner, owned, &mut list);
        }
    }
    for node in ownable.iter() {
        let owner = owned[node as usize];
        if owner < SHARED && kind_of(nodes.kind[owner as usize]) != NodeKind::Synthetic && owner != root {
            let size = sizes.take(node);
            sizes.add(owner, size);
        }
    }
    Ok(owners)
}

/// What may be owned.
fn ownable(nodes: &Nodes, strings: &Strings) -> Bits {
    let mut ownable = Bits::new(nodes.kind.len());
    for (node, kind) in (0_u32..).zip(nodes.kind.iter()) {
        let is_ownable = match kind_of(*kind) {
            NodeKind::Hidden | NodeKind::Array => true,
            NodeKind::Native => strings.is(nodes.name[node as usize], WellKnown::ExternalStringData),
            _ => false,
        };
        if is_ownable {
            ownable.insert(node);
        }
    }
    ownable
}

/// How many edges each node is away from the user's roots. What only the root reaches is far. `room` is memory to work in,
/// and is given back.
pub(crate) fn distances(
    nodes: &Nodes,
    edges: &Edges,
    strings: &Strings,
    root: u32,
    pairs: &[(u32, u32)],
    room: Column<u32>,
) -> Result<(Column<i32>, Column<u32>), Error> {
    let count = nodes.kind.len();
    let mut distances = Column::filled(count, UNREACHED)?;
    let mut queue = room.reused::<u32>(count)?;
    let mut search = Search {
        reached: Bits::new(count),
        queue: &mut queue[..],
        length: 0,
        pairs,
        met: std::collections::HashSet::default(),
    };
    for edge in nodes.edges(root) {
        let to = edges.to(edge);
        if is_user_root(nodes, strings, to) && search.reach(to) {
            distances[to as usize] = 1;
        }
    }
    let base = if search.length == 0 { 0 } else { SYSTEM_DISTANCE };
    breadth_first(nodes, edges, &mut distances, &mut search);
    distances[root as usize] = base;
    search.reached.insert(root);
    search.queue[0] = root;
    search.length = 1;
    breadth_first(nodes, edges, &mut distances, &mut search);
    Ok((distances, queue))
}

/// A breadth-first search.
struct Search<'a> {
    reached: Bits,
    queue: &'a mut [u32],
    length: usize,
    /// Of ephemeron edges, by edge.
    pairs: &'a [(u32, u32)],
    /// Pairs of which one has been met.
    met: std::collections::HashSet<u32, RandomState>,
}

impl Search<'_> {
    fn reach(&mut self, node: u32) -> bool {
        let is_new = self.reached.insert(node);
        if is_new {
            self.queue[self.length] = node;
            self.length += 1;
        }
        is_new
    }

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

/// So many nodes are looked at together.
const AHEAD: usize = 32;

fn breadth_first(nodes: &Nodes, edges: &Edges, distances: &mut [i32], search: &mut Search<'_>) {
    let (packed, first_edge) = (&edges.packed[..], &nodes.first_edge[..]);
    let mut next = 0;
    let mut ranges = [(); AHEAD].map(|()| (0, 0..0));
    while next < search.length {
        let end = search.length.min(next + AHEAD);
        // Edges of these are fetched together: each alone would be waited for.
        let mut fetched = 0;
        for (ahead, node) in ranges.iter_mut().zip(&search.queue[next..end]) {
            *ahead = (distances[*node as usize].wrapping_add(1), range(first_edge, *node));
            fetched ^= packed.get(ahead.1.start).copied().unwrap_or(0);
        }
        black_box(fetched);
        for (distance, own) in &ranges[..end - next] {
            for edge in own.clone() {
                let (packed, to) = (packed[edge], packed[edge] & NODE);
                if search.reached.get(to) || packed & WEAK != 0 {
                    continue;
                }
                if packed & ASIDE != 0 && (edges.kind[edge] & FAR != 0 || !search.is_second(edge)) {
                    continue;
                }
                search.reach(to);
                distances[to as usize] = *distance;
            }
        }
        next = end;
    }
}
