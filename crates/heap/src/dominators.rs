//! Who dominates whom: a node's dominator lies on every path from the root to it, so what a node dominates would be freed
//! with it.
//!
//! Semi-NCA (Georgiadis, *Linear-Time Algorithms for Dominators and Related Problems*, 2005), on arrays, without
//! recursion. Nodes that only non-essential edges hold hang on the root; so does what is left: circles that nothing holds.

use std::hint::black_box;

use rayon::prelude::*;

use crate::Error;
use crate::bits::Bits;
use crate::column::Column;
use crate::flood::is_page_root;
use crate::marks::{LOOSE, WEAK};
use crate::read::{Edges, NODE, Nodes, range};
use crate::sizes::Sizes;
use crate::strings::Strings;

/// For each node the nodes that hold it by an essential edge.
#[derive(Debug)]
pub(crate) struct Retainers {
    first: Column<u32>,
    /// Numbers in the order, `NONE` where the edge does not count. Until [`number_orphans`] what has no number yet is
    /// its node, marked `UNNUMBERED`.
    numbers: Column<u32>,
    /// Node by number.
    node: Column<u32>,
}

impl Retainers {
    #[inline(always)]
    fn entries(&self, node: u32) -> &[u32] {
        &self.numbers[range(&self.first, node)]
    }

    pub(crate) fn of(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.entries(node).iter().filter(|number| **number != NONE).map(|number| self.node[*number as usize])
    }
}

/// The graph, and its root.
#[derive(Clone, Copy)]
pub(crate) struct Graph<'a> {
    pub(crate) nodes: &'a Nodes,
    pub(crate) edges: &'a Edges,
    pub(crate) root: u32,
}

/// The retainers over edges that count wherever their ends are; `NONE` where the edge leads into the page from outside.
/// `room` is memory that is not needed any more.
pub(crate) fn retainers(graph: &Graph<'_>, order: &Order, room: Column<u32>) -> Result<Retainers, Error> {
    let count = graph.nodes.kind.len();
    let mut firsts = Column::<u32>::new(count + 1)?;
    let first = &mut firsts[..];
    let packed = &graph.edges.packed[..];
    // Each half of the nodes on a thread of its own: both look at all edges.
    let middle = if rayon::current_num_threads() > 1 { count / 2 } else { 0 };
    let (lower, upper) = first.split_at_mut(middle);
    rayon::join(|| count_retainers(packed, 0, lower), || count_retainers(packed, middle, upper));
    let mut sum = 0;
    for slot in first.iter_mut() {
        sum += *slot;
        *slot = sum;
    }
    let mut numbers = room.reused::<u32>(sum as usize)?;
    let half = middle.checked_sub(1).map_or(0, |last| first[last]);
    let (lower, upper) = first.split_at_mut(middle);
    let (lower_entries, upper_entries) = numbers.split_at_mut(half as usize);
    rayon::join(
        || fill_retainers(graph, order, 0, lower, (0, lower_entries)),
        || fill_retainers(graph, order, middle, upper, (half, upper_entries)),
    );
    Ok(Retainers { first: firsts, numbers, node: Column::new(0)? })
}

/// Counts the retainers of the nodes from `start` on, as many as there are counters.
fn count_retainers(packed: &[u32], start: usize, counts: &mut [u32]) {
    for to in packed.iter().filter(|to| **to & LOOSE == 0) {
        if let Some(count) = counts.get_mut(((to & NODE) as usize).wrapping_sub(start)) {
            *count += 1;
        }
    }
}

/// Fills in the retainers of the nodes from `start` on, each part from its end: at last `first` points to its beginning.
/// So many retainers come before these.
fn fill_retainers(
    graph: &Graph<'_>,
    order: &Order,
    start: usize,
    first: &mut [u32],
    (before, entries): (u32, &mut [u32]),
) {
    let (packed, page) = (&graph.edges.packed[..], &order.page);
    let mut edge = 0;
    for ((from, end), number) in (0_u32..).zip(&graph.nodes.first_edge[1..]).zip(order.number.iter()) {
        let end = *end as usize;
        let number = if *number == NONE { from | UNNUMBERED } else { *number };
        let counts = page.get(from) || from == graph.root;
        for to in packed[edge..end].iter().filter(|to| **to & LOOSE == 0) {
            if let Some(slot) = first.get_mut(((to & NODE) as usize).wrapping_sub(start)) {
                *slot -= 1;
                let number = if counts || !page.get(to & NODE) { number } else { NONE };
                entries[(*slot - before) as usize] = number;
            }
        }
        edge = end;
    }
}

const NONE: u32 = u32::MAX;
/// Marks a node that has no number yet. Nodes and numbers have fewer bits.
const UNNUMBERED: u32 = 1 << 31;

/// A depth-first numbering from the root.
pub(crate) struct Order {
    /// Number by node.
    number: Column<u32>,
    /// Node by number. What is not reached comes last.
    node: Column<u32>,
    /// Parent by number, in numbers.
    parent: Column<u32>,
    /// How many are reached.
    reached: u32,
    /// What the page (the program) owns, as opposed to the debugger and the virtual machine: what the root's short cuts
    /// and the documents reach over edges that are not weak.
    page: Bits,
}

/// Numbers what the root reaches over essential edges, and finds what the page owns.
///
/// The page's part is walked first. All that it reaches is the page's own, so of its edges none has to be asked whether
/// it leads to the page from elsewhere; and what it reaches only by edges that are not essential is found on the way.
pub(crate) fn number(graph: &Graph<'_>, strings: &Strings) -> Result<Order, Error> {
    let count = graph.nodes.kind.len();
    let root = graph.root;
    let mut order = Order {
        number: Column::filled(count, NONE)?,
        node: Column::new(count)?,
        parent: Column::new(count)?,
        reached: 0,
        page: Bits::new(count),
    };
    let mut reached = Bits::new(count);
    // What the page reaches by edges that are not essential.
    let mut others = Vec::new();
    enter(&mut order, root, 0);
    for edge in graph.nodes.edges(root) {
        let to = graph.edges.to(edge);
        if !is_page_root(graph.nodes, graph.edges, strings, edge) {
            continue;
        }
        if to == root {
            others.push(root);
        } else if reached.insert(to) {
            walk(graph, &mut order, &mut reached, to, |packed, reached| {
                let to = packed & NODE;
                if packed & WEAK != 0 || reached.get(to) {
                    return false;
                }
                if packed & LOOSE != 0 || to == root {
                    others.push(to);
                    return false;
                }
                true
            });
        }
    }
    order.page = reached.clone();
    flood(graph, &mut order.page, others);
    reached.insert(root);
    for edge in graph.nodes.edges(root) {
        let (packed, to) = (graph.edges.packed[edge], graph.edges.to(edge));
        if packed & LOOSE == 0 && reached.insert(to) {
            walk_outside(graph, &mut order, &mut reached, to);
        }
    }
    Ok(order)
}

/// Adds what these reach over edges that are not weak.
fn flood(graph: &Graph<'_>, page: &mut Bits, mut list: Vec<u32>) {
    list.retain(|node| page.insert(*node));
    while let Some(node) = list.pop() {
        for edge in graph.nodes.edges(node) {
            let packed = graph.edges.packed[edge];
            if packed & WEAK == 0 && page.insert(packed & NODE) {
                list.push(packed & NODE);
            }
        }
    }
}

fn enter(order: &mut Order, node: u32, parent: u32) {
    let number = order.reached;
    order.number[node as usize] = number;
    order.node[number as usize] = node;
    order.parent[number as usize] = parent;
    order.reached += 1;
}

/// Numbers what a node outside the page reaches, edges into the page left out. Its parent is the root.
fn walk_outside(graph: &Graph<'_>, order: &mut Order, reached: &mut Bits, start: u32) {
    // Nodes that only edges which are not essential reach from the page are the page's as well, and lead on within it.
    let page = std::mem::take(&mut order.page);
    walk_from(graph, order, reached, start, |from, packed, reached| {
        let to = packed & NODE;
        packed & LOOSE == 0 && !reached.get(to) && (page.get(from) || !page.get(to))
    });
    order.page = page;
}

fn walk(
    graph: &Graph<'_>,
    order: &mut Order,
    reached: &mut Bits,
    start: u32,
    mut follows: impl FnMut(u32, &Bits) -> bool,
) {
    walk_from(graph, order, reached, start, |_, packed, reached| follows(packed, reached));
}

/// Walks depth-first from a node, which is entered with the root as its parent.
#[inline(always)]
fn walk_from(
    graph: &Graph<'_>,
    order: &mut Order,
    reached: &mut Bits,
    start: u32,
    mut follows: impl FnMut(u32, u32, &Bits) -> bool,
) {
    let (first_edge, packed) = (&graph.nodes.first_edge[..], &graph.edges.packed[..]);
    let (numbers, nodes, parents) = (&mut order.number[..], &mut order.node[..], &mut order.parent[..]);
    let mut number = order.reached;
    // Nodes to go to, and the numbers of those they are reached from.
    let mut path: Vec<(u32, u32)> = Vec::new();
    let mut next = Some((start, 0));
    while let Some((from, parent)) = next {
        numbers[from as usize] = number;
        nodes[number as usize] = from;
        parents[number as usize] = parent;
        let edges = packed[range(first_edge, from)].iter().rev();
        path.extend(edges.filter(|packed| follows(from, **packed, reached)).map(|packed| (packed & NODE, number)));
        number += 1;
        // Edges of those that come next are fetched together: each alone would be waited for.
        let ahead = path.iter().rev().take(AHEAD_IN_DEPTH);
        let edges = ahead.map(|(node, _)| packed.get(first_edge[*node as usize] as usize).copied().unwrap_or(0));
        black_box(edges.fold(0, u32::wrapping_add));
        next = None;
        while let Some((to, parent)) = path.pop() {
            if reached.insert(to) {
                next = Some((to, parent));
                break;
            }
        }
    }
    order.reached = number;
}

/// Numbers nodes that nothing essential holds, and what they reach, as children of the root; and gives what is then left
/// the last numbers.
pub(crate) fn number_orphans(graph: &Graph<'_>, order: &mut Order, retainers: &mut Retainers) {
    let count = graph.nodes.kind.len();
    if order.reached as usize == count {
        return;
    }
    let mut reached = Bits::new(count);
    order.node[..order.reached as usize].iter().for_each(|node| {
        reached.insert(*node);
    });
    for node in 0..count as u32 {
        if !reached.get(node) && retainers.entries(node).iter().all(|from| *from == NONE) {
            reached.insert(node);
            walk_outside(graph, order, &mut reached, node);
        }
    }
    let unreached = (0..count as u32).filter(|node| !reached.get(*node));
    for (number, node) in (order.reached..).zip(unreached) {
        order.number[node as usize] = number;
        order.node[number as usize] = node;
    }
    let numbers = &order.number[..];
    retainers.numbers.par_iter_mut().filter(|from| **from & UNNUMBERED != 0 && **from != NONE).for_each(|from| {
        *from = numbers[(*from & NODE) as usize];
    });
}

/// So many of the nodes that come next are fetched together, where the order is known, and where it is being found.
const AHEAD: usize = 32;
const AHEAD_IN_DEPTH: usize = 4;
/// Of each so many links.
const LINKS_AHEAD: usize = 4;

/// The immediate dominator of each number, in numbers, into `semi`. Returns memory that is not needed any more.
fn immediate(
    semi: &mut [u32],
    nodes: &[u32],
    parents: &[u32],
    retainers: &Retainers,
) -> Result<Column<[u32; 2]>, Error> {
    let reached = semi.len() as u32;
    // The ancestor up to which the least number is known that is above each number, and that number.
    let mut links = Column::<[u32; 2]>::new(nodes.len())?;
    let link = &mut links[..reached as usize];
    link.iter_mut().zip(0..).zip(parents).for_each(|((link, number), parent)| *link = [*parent, number]);
    let (first, entries) = (&retainers.first[..], &retainers.numbers[..]);
    let mut path = Vec::new();
    semi[0] = 0;
    let mut ranges = [(); AHEAD].map(|()| 0..0);
    let mut end = reached;
    while end > 1 {
        let start = end.saturating_sub(AHEAD as u32).max(1);
        // What is asked of these is fetched together: each alone would be waited for.
        let mut fetched = 0;
        for (held_by, node) in ranges.iter_mut().zip(&nodes[start as usize..end as usize]) {
            *held_by = range(first, *node);
            fetched ^= entries.get(held_by.start).copied().unwrap_or(0);
        }
        for held_by in &ranges[..(end - start) as usize] {
            for v in entries[held_by.clone()].iter().take(LINKS_AHEAD) {
                fetched ^= link.get(*v as usize).map_or(0, |link| link[0]);
            }
        }
        black_box(fetched);
        // Least numbers come first where dominators are put later.
        for (w, held_by) in (start..end).zip(&ranges).rev() {
            let mut least = link[w as usize][0];
            for &v in &entries[held_by.clone()] {
                if v <= w {
                    least = least.min(v);
                } else if v < reached {
                    // Circles that nothing holds come behind: they don't hold anything.
                    least = least.min(evaluate(v, w, link, &mut path));
                }
            }
            semi[w as usize] = least;
            link[w as usize][1] = least;
        }
        end = start;
    }
    for w in 1..reached as usize {
        let least = semi[w];
        let mut candidate = parents[w];
        while candidate > least {
            candidate = semi[candidate as usize];
        }
        semi[w] = candidate;
    }
    Ok(links)
}

/// The least number on the path from `v` up to the first ancestor that is not above `w`; shortens the path.
#[inline(always)]
fn evaluate(v: u32, w: u32, link: &mut [[u32; 2]], path: &mut Vec<u32>) -> u32 {
    let [above, own] = link[v as usize];
    if above <= w {
        return own;
    }
    let mut top = v;
    let mut next = above;
    while next > w {
        path.push(top);
        top = next;
        next = link[top as usize][0];
    }
    let [ancestor, mut least] = link[top as usize];
    while let Some(node) = path.pop() {
        least = least.min(link[node as usize][1]);
        link[node as usize] = [ancestor, least];
    }
    least
}

/// The dominator tree, in the order of a walk through it: parents first, a node's descendants behind it.
#[derive(Debug)]
pub(crate) struct DominatorTree {
    /// Immediate dominator by node; the root's is itself.
    pub(crate) dominator: Column<u32>,
    /// By place in the walk: the node, and the place behind the last node it dominates.
    pub(crate) walk: Column<[u32; 2]>,
    /// Places, and the places behind, of those that dominate nodes in several of the parts of `PART` nodes.
    pub(crate) crossing: Vec<(u32, u32)>,
}

impl DominatorTree {
    pub(crate) fn node(&self, place: usize) -> u32 {
        self.walk[place][0]
    }

    pub(crate) fn end(&self, place: usize) -> u32 {
        self.walk[place][1]
    }
}

/// Nodes of the walk that are worked on together.
pub(crate) const PART: usize = 1 << 18;

/// Dominators by number: what retained sizes are summed over.
pub(crate) struct Immediate {
    /// Node by number.
    node: Column<u32>,
    /// In numbers, of what is reached.
    above: Column<u32>,
    /// Memory that is not needed any more.
    room: Column<u32>,
    room_for_two: Column<[u32; 2]>,
}

/// Finds the dominators.
pub(crate) fn dominators(order: Order, retainers: &Retainers) -> Result<Immediate, Error> {
    let Order { number, node, parent, reached, .. } = order;
    // Which number a node has is not asked any more.
    let mut above = number.reused::<u32>(reached as usize)?;
    let room_for_two = immediate(&mut above, &node, &parent[..reached as usize], retainers)?;
    Ok(Immediate { node, above, room: parent, room_for_two })
}

impl Immediate {
    /// What each node retains, by node, in bytes: `size` is a node's own. What is not reached hangs on the root.
    pub(crate) fn retained(&mut self, size: impl Fn(u32) -> u64) -> Result<Sizes, Error> {
        let (nodes, above) = (&self.node[..], &self.above[..]);
        let room = std::mem::replace(&mut self.room_for_two, Column::new(0)?);
        let mut sums = room.reused::<u64>(nodes.len())?;
        let mut retained = Sizes::new(nodes.len())?;
        {
            let sums = &mut sums[..];
            sums.fill(0);
            // Numbers of dominators are lower: backwards, all that a node dominates has been added to it.
            for w in (1..nodes.len()).rev() {
                let node = nodes[w];
                let sum = sums[w].saturating_add(size(node));
                let up = &mut sums[above.get(w).map_or(0, |above| *above as usize)];
                *up = up.saturating_add(sum);
                retained.set(node, sum);
            }
            retained.set(nodes[0], sums[0].saturating_add(size(nodes[0])));
        }
        self.room_for_two = sums.reused(nodes.len())?;
        Ok(retained)
    }

    /// The tree; the nodes by number go to `retainers`. `room` is memory that is not needed any more.
    pub(crate) fn tree(self, room: Column<u32>, retainers: &mut Retainers) -> Result<DominatorTree, Error> {
        let Self { node, above, room: sizes, room_for_two } = self;
        let (count, reached, root) = (node.len(), above.len(), node[0]);
        let above = &above[..];
        let (mut sizes, mut next) = (sizes.reused::<u32>(count)?, room.reused::<u32>(count)?);
        let mut walk = room_for_two.reused::<[u32; 2]>(count)?;
        let mut crossing = vec![(0, count as u32)];
        {
            let (size, next, places) = (&mut sizes[..], &mut next[..], &mut walk[..]);
            size.fill(1);
            for w in (1..reached).rev() {
                size[above[w] as usize] += size[w];
            }
            // A node's place is behind its dominator and the earlier ones that it dominates.
            next[0] = 1;
            places[0] = [root, count as u32];
            for w in 1..reached {
                let up = above[w] as usize;
                let place = next[up];
                next[up] += size[w];
                next[w] = place + 1;
                let behind = place + size[w];
                places[place as usize] = [node[w], behind];
                if place as usize / PART != (behind - 1) as usize / PART {
                    crossing.push((place, behind));
                }
            }
            for (place, unreached) in node.iter().enumerate().skip(reached) {
                places[place] = [*unreached, place as u32 + 1];
            }
        }
        drop(next);
        let mut dominators = sizes;
        let dominator = &mut dominators[..];
        for (w, node_of) in node.iter().enumerate() {
            dominator[*node_of as usize] = above.get(w).map_or(root, |above| node[*above as usize]);
        }
        retainers.node = node;
        Ok(DominatorTree { dominator: dominators, walk, crossing })
    }
}
