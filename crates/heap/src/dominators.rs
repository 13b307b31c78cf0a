//! Who dominates whom: a node's dominator lies on every path from the root to it, so what a node dominates would be freed
//! with it.
//!
//! Semi-NCA (Georgiadis, *Linear-Time Algorithms for Dominators and Related Problems*, 2005), on arrays, without
//! recursion. Nodes that only non-essential edges hold hang on the root; so does what is left: circles that nothing holds.

use crate::bits::Bits;
use crate::kinds::EdgeKind;
use crate::marks::{FROM_TABLE, KIND};
use crate::read::{Edges, Nodes};

/// For each node the nodes that hold it by an essential edge.
#[derive(Debug, Default)]
pub(crate) struct Retainers {
    pub(crate) first: Vec<u32>,
    pub(crate) nodes: Vec<u32>,
}

impl Retainers {
    pub(crate) fn of(&self, node: u32) -> &[u32] {
        &self.nodes[self.first[node as usize] as usize..self.first[node as usize + 1] as usize]
    }
}

/// What decides which edges hold.
pub(crate) struct Graph<'a> {
    pub(crate) nodes: &'a Nodes,
    pub(crate) edges: &'a Edges,
    pub(crate) page: &'a Bits,
    pub(crate) root: u32,
}

impl Graph<'_> {
    #[inline(always)]
    fn range(&self, node: u32) -> std::ops::Range<usize> {
        self.nodes.first_edge[node as usize] as usize..self.nodes.first_edge[node as usize + 1] as usize
    }

    /// Whether an edge of `from` counts. `crosses`: `from` is neither the page's nor the root.
    #[inline(always)]
    fn essential(&self, from: u32, edge: usize, crosses: bool) -> bool {
        let kind = self.edges.kind[edge];
        let to = self.edges.to[edge];
        if kind & KIND == EdgeKind::Weak as u8 || kind & FROM_TABLE != 0 || to == from {
            return false;
        }
        // Short cuts count where they mark the user's globals; edges from the debugger's side to the page's don't.
        if from != self.root && kind & KIND == EdgeKind::Shortcut as u8 {
            return false;
        }
        !(crosses && self.page.get(to))
    }

    #[inline(always)]
    fn crosses(&self, from: u32) -> bool {
        from != self.root && !self.page.get(from)
    }
}

#[inline(always)]
fn each_essential(graph: &Graph<'_>, mut visit: impl FnMut(u32, u32)) {
    for from in 0..graph.nodes.kind.len() as u32 {
        let crosses = graph.crosses(from);
        for edge in graph.range(from) {
            if graph.essential(from, edge, crosses) {
                visit(from, graph.edges.to[edge]);
            }
        }
    }
}

/// The retainers over essential edges.
pub(crate) fn retainers(graph: &Graph<'_>) -> Retainers {
    let count = graph.nodes.kind.len();
    let mut first = vec![0_u32; count + 1];
    each_essential(graph, |_, to| first[to as usize] += 1);
    let mut sum = 0;
    for slot in &mut first {
        sum += *slot;
        *slot = sum;
    }
    let mut nodes = vec![0; sum as usize];
    // Filled from the end of each part: at last `first` points to its beginning.
    each_essential(graph, |from, to| {
        let slot = &mut first[to as usize];
        *slot -= 1;
        nodes[*slot as usize] = from;
    });
    Retainers { first, nodes }
}

const NONE: u32 = u32::MAX;

/// A depth-first numbering from the root.
pub(crate) struct Order {
    /// Number by node; `NONE` if it is not reached.
    number: Vec<u32>,
    /// Node by number.
    node: Vec<u32>,
    /// Parent by number, in numbers.
    parent: Vec<u32>,
}

/// Numbers what the root reaches.
pub(crate) fn number(graph: &Graph<'_>) -> Order {
    let count = graph.nodes.kind.len();
    let mut order =
        Order { number: vec![NONE; count], node: Vec::with_capacity(count), parent: Vec::with_capacity(count) };
    let mut reached = Bits::new(count);
    number_from(graph, &mut order, &mut reached, graph.root, 0);
    order
}

fn number_from(graph: &Graph<'_>, order: &mut Order, reached: &mut Bits, start: u32, parent: u32) {
    let enter = |order: &mut Order, node: u32, parent: u32| {
        let number = order.node.len() as u32;
        order.number[node as usize] = number;
        order.node.push(node);
        order.parent.push(parent);
    };
    reached.insert(start);
    enter(order, start, parent);
    // A node and its next edge.
    let mut path = vec![(start, graph.nodes.first_edge[start as usize])];
    while let Some((node, next)) = path.last_mut() {
        let (from, end) = (*node, graph.nodes.first_edge[*node as usize + 1]);
        let crosses = graph.crosses(from);
        let found = (*next..end).find(|edge| {
            let edge = *edge as usize;
            !reached.get(graph.edges.to[edge]) && graph.essential(from, edge, crosses)
        });
        let Some(edge) = found else {
            path.pop();
            continue;
        };
        *next = edge + 1;
        let to = graph.edges.to[edge as usize];
        reached.insert(to);
        let parent = order.number[from as usize];
        enter(order, to, parent);
        path.push((to, graph.nodes.first_edge[to as usize]));
    }
}

/// Numbers nodes that nothing essential holds, and what they reach, as children of the root.
pub(crate) fn number_orphans(graph: &Graph<'_>, order: &mut Order, retainers: &Retainers) {
    let count = graph.nodes.kind.len();
    if order.node.len() == count {
        return;
    }
    let mut reached = Bits::new(count);
    order.node.iter().for_each(|node| {
        reached.insert(*node);
    });
    for node in 0..count as u32 {
        if !reached.get(node) && retainers.of(node).is_empty() {
            number_from(graph, order, &mut reached, node, 0);
        }
    }
}

/// The immediate dominator of each number, in numbers.
fn immediate(order: &Order, retainers: &Retainers) -> Vec<u32> {
    let reached = order.node.len();
    let mut ancestor = order.parent.clone();
    let mut label: Vec<u32> = (0..reached as u32).collect();
    let mut semi = label.clone();
    let mut path = Vec::new();
    for w in (1..reached as u32).rev() {
        let mut least = ancestor[w as usize];
        for retainer in retainers.of(order.node[w as usize]) {
            let v = order.number[*retainer as usize];
            // Circles that nothing holds have no number: they don't hold anything.
            if v == NONE {
                continue;
            }
            least = least.min(if v <= w { v } else { evaluate(v, w, &mut ancestor, &mut label, &mut path) });
        }
        semi[w as usize] = least;
        label[w as usize] = least;
    }
    drop(ancestor);
    drop(label);
    let mut dominator = order.parent.clone();
    for w in 1..reached {
        let mut candidate = dominator[w];
        while candidate > semi[w] {
            candidate = dominator[candidate as usize];
        }
        dominator[w] = candidate;
    }
    dominator
}

/// The least label on the path from `v` up to the first ancestor that is not above `w`; shortens the path.
#[inline]
fn evaluate(v: u32, w: u32, ancestor: &mut [u32], label: &mut [u32], path: &mut Vec<u32>) -> u32 {
    let mut top = v;
    while ancestor[top as usize] > w {
        path.push(top);
        top = ancestor[top as usize];
    }
    while let Some(node) = path.pop() {
        let above = label[top as usize];
        let own = &mut label[node as usize];
        *own = (*own).min(above);
        ancestor[node as usize] = ancestor[top as usize];
        top = node;
    }
    label[v as usize]
}

/// The dominator tree, in the order of a walk through it: parents first, a node's descendants behind it.
#[derive(Debug, Default)]
pub(crate) struct DominatorTree {
    /// Immediate dominator by node; the root's is itself.
    pub(crate) dominator: Vec<u32>,
    /// Nodes, each followed by all it dominates.
    pub(crate) walk: Vec<u32>,
    /// By place in the walk: the place behind the last node it dominates.
    pub(crate) end: Vec<u32>,
}

/// Dominators of all nodes. What is not reached hangs on the root.
pub(crate) fn dominator_tree(order: Order, retainers: &Retainers, root: u32) -> DominatorTree {
    let count = order.number.len();
    let reached = order.node.len();
    let immediate = immediate(&order, retainers);
    let Order { number, node, parent } = order;
    drop(parent);
    let mut dominator = vec![root; count];
    let mut size = vec![1_u32; reached];
    for w in (1..reached).rev() {
        dominator[node[w] as usize] = node[immediate[w] as usize];
        size[immediate[w] as usize] += size[w];
    }
    // A node's place is behind its dominator and the earlier ones that it dominates.
    let mut next = vec![1_u32; reached];
    let mut walk = vec![root; count];
    let mut end = vec![0; count];
    end[0] = count as u32;
    for w in 1..reached {
        let above = immediate[w] as usize;
        let place = next[above];
        next[above] += size[w];
        next[w] = place + 1;
        walk[place as usize] = node[w];
        end[place as usize] = place + size[w];
    }
    let mut place = reached;
    if reached < count {
        for unreached in (0..count).filter(|node| number[*node] == NONE) {
            walk[place] = unreached as u32;
            end[place] = place as u32 + 1;
            place += 1;
        }
    }
    DominatorTree { dominator, walk, end }
}
