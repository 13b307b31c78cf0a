//! Why a node is still there: paths from the root to it.
//!
//! The shortest path misleads: it runs through `constructor`, `__proto__` and the like. A path here goes from dominator to
//! dominator, over nodes that all would be freed with the next, and avoids such edges where there is another way.

use std::collections::{HashMap, HashSet, VecDeque};

use foldhash::fast::RandomState;

use crate::edges::EdgeName;
use crate::kinds::{EdgeKind, NodeKind};
use crate::read::OFFSET_EVERY;
use crate::snapshot::Snapshot;
use crate::strings::WellKnown;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The node.
    pub node: u32,
    /// How the node before holds it: `.listeners`, `[3]`, `(internal) table`. Empty for the first.
    pub edge: String,
    /// What kind of edge that is; `None` for the first.
    pub kind: Option<EdgeKind>,
    /// Whether the node dominates the last one.
    pub dominates: bool,
}

/// How many nodes are looked at for one path.
const MAX_SEARCH: usize = 100_000;

/// How many nodes are looked at for all paths of one question.
const MAX_SEARCHES: usize = 2_000_000;

/// How many steps a path has at most; long lists are cut in the middle.
const MAX_STEPS: usize = 400;

/// How many edges are looked through for one path.
const MAX_EDGES: usize = 20_000_000;

/// What the paths of one question share.
pub(crate) struct Search {
    /// By block of `OFFSET_EVERY` edges: those whose names say little about why something is held.
    little: HashMap<usize, [u64; OFFSET_EVERY / 64], RandomState>,
    /// How many nodes may still be looked at.
    left: usize,
}

impl Search {
    pub(crate) fn new() -> Self {
        Self { little: HashMap::default(), left: MAX_SEARCHES }
    }

    /// Whether an edge's name is one like `constructor`. Names are read from the input, a block at a time.
    fn says_little(&mut self, snapshot: &Snapshot, edge: usize) -> bool {
        match snapshot.edge_kind(edge) {
            EdgeKind::Property | EdgeKind::Internal | EdgeKind::Weak | EdgeKind::Other => {}
            EdgeKind::Context | EdgeKind::Element | EdgeKind::Hidden | EdgeKind::Shortcut => return false,
        }
        let (block, at) = (edge / OFFSET_EVERY, edge % OFFSET_EVERY);
        let little = self.little.entry(block).or_insert_with(|| {
            let first = block * OFFSET_EVERY;
            let names = snapshot.edge_names(first..(first + OFFSET_EVERY).min(snapshot.edge_count() as usize));
            let mut little = [0; OFFSET_EVERY / 64];
            for (at, name) in names.into_iter().enumerate() {
                let says_little =
                    [WellKnown::Little, WellKnown::Proto].iter().any(|known| snapshot.strings.is(name, *known));
                little[at / 64] |= u64::from(says_little) << (at % 64);
            }
            little
        });
        little[at / 64] >> (at % 64) & 1 != 0
    }
}

/// The path from the root to a node.
pub fn path(snapshot: &Snapshot, node: u32) -> Vec<Step> {
    path_of(snapshot, node, &mut Search::new())
}

/// One path of several.
pub(crate) fn path_of(snapshot: &Snapshot, node: u32, search: &mut Search) -> Vec<Step> {
    // What the search has used up must not be missing for naming what it found.
    let (mut budget, mut naming) = (MAX_EDGES, MAX_EDGES);
    let mut visits = MAX_SEARCH.min(search.left);
    search.left -= visits;
    let mut nodes = vec![(node, true)];
    let mut at = node;
    while at != snapshot.root() && nodes.len() < MAX_STEPS {
        let dominator = snapshot.dominator(at);
        let between = between(snapshot, (dominator, at), search, &mut visits, &mut budget);
        nodes.extend(between.into_iter().map(|node| (node, false)));
        nodes.push((dominator, true));
        at = dominator;
    }
    search.left += visits;
    nodes.reverse();
    let mut steps: Vec<Step> = Vec::with_capacity(nodes.len());
    for (node, dominates) in nodes {
        let edge = steps.last().and_then(|step| best_edge(snapshot, step.node, node, &mut naming));
        let edge = edge.and_then(|edge| named(snapshot, edge));
        steps.push(match edge {
            Some((kind, edge)) => Step { node, edge, kind: Some(kind), dominates },
            None => Step { node, edge: String::new(), kind: None, dominates },
        });
    }
    steps
}

/// The nodes between a dominator and a node it dominates, from the node upwards.
fn between(
    snapshot: &Snapshot,
    (dominator, node): (u32, u32),
    search: &mut Search,
    visits: &mut usize,
    budget: &mut usize,
) -> Vec<u32> {
    let mut came_from: HashMap<u32, u32, RandomState> = HashMap::default();
    let mut near = VecDeque::from([node]);
    // Where only edges of little evidence lead: tried when nothing else is left.
    let mut far = VecDeque::new();
    let mut deferred: HashSet<u32, RandomState> = HashSet::default();
    while let Some(at) = near.pop_front().or_else(|| far.pop_front()) {
        let again = deferred.contains(&at);
        for retainer in snapshot.retainers(at) {
            if retainer == node || came_from.contains_key(&retainer) {
                continue;
            }
            let edge = best_edge(snapshot, retainer, at, budget);
            let strong = edge.is_some_and(|edge| !search.says_little(snapshot, edge));
            if retainer == dominator && (strong || again || near.is_empty() && far.is_empty()) {
                let mut path = Vec::new();
                let mut step = at;
                while step != node {
                    path.push(step);
                    step = came_from[&step];
                }
                path.reverse();
                return path;
            }
            if retainer == dominator {
                // Once: two such nodes must not wait for each other.
                if deferred.insert(at) {
                    far.push_back(at);
                }
                continue;
            }
            let Some(left) = visits.checked_sub(1) else { return Vec::new() };
            *visits = left;
            came_from.insert(retainer, at);
            if strong {
                near.push_back(retainer)
            } else {
                far.push_back(retainer)
            };
        }
    }
    Vec::new()
}

/// The edge from one node to another that says most.
fn best_edge(snapshot: &Snapshot, from: u32, to: u32, budget: &mut usize) -> Option<usize> {
    let range = snapshot.edge_range(from);
    let rank = |kind: EdgeKind| match kind {
        EdgeKind::Property | EdgeKind::Context => 0,
        EdgeKind::Element => 1,
        EdgeKind::Internal => 2,
        EdgeKind::Hidden | EdgeKind::Other => 3,
        EdgeKind::Shortcut => 4,
        EdgeKind::Weak => 9,
    };
    let range = range.take(*budget);
    *budget -= range.len();
    let edges = range.filter(|edge| snapshot.edges.to(*edge) == to);
    edges.take(64).min_by_key(|edge| rank(snapshot.edge_kind(*edge)))
}

/// An edge's kind, and how it is shown.
fn named(snapshot: &Snapshot, edge: usize) -> Option<(EdgeKind, String)> {
    let kind = snapshot.edge_kind(edge);
    let name = snapshot.edge_names(edge..edge + 1).first().copied()?;
    let text = if kind.is_indexed() { name.to_string() } else { snapshot.text(name).into_owned() };
    Some((kind, shown(kind, &text)))
}

/// An edge as it is shown in a path.
pub fn shown(kind: EdgeKind, name: &str) -> String {
    match kind {
        EdgeKind::Element => format!("[{name}]"),
        EdgeKind::Property if name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$') => format!(".{name}"),
        EdgeKind::Property => format!("[{name:?}]"),
        EdgeKind::Context => format!("(variable) {name}"),
        EdgeKind::Hidden => format!("(hidden) {name}"),
        EdgeKind::Shortcut => format!("(shortcut) {name}"),
        EdgeKind::Internal | EdgeKind::Weak | EdgeKind::Other => match name.find(" / part of key") {
            Some(_) => "(weak map) value of a live key".to_owned(),
            None => format!("(internal) {name}"),
        },
    }
}

impl Snapshot {
    /// What a node is called in tables and paths: a class, a function's name, the start of a string.
    pub fn label(&self, node: u32) -> String {
        let name = self.name(node);
        match self.kind(node) {
            NodeKind::Closure if name.is_empty() => "function".to_owned(),
            NodeKind::Closure => format!("function {name}"),
            kind if kind.is_string() => format!("{:?}", name.chars().take(40).collect::<String>()),
            NodeKind::Object | NodeKind::Native => self.class_name(self.class_of(node)).into_owned(),
            _ if name.is_empty() => format!("({})", self.kind(node).name()),
            _ => name.chars().take(60).collect(),
        }
    }

    /// The node with this id.
    pub fn node_by_id(&self, id: u32) -> Option<u32> {
        self.nodes.id.iter().position(|known| *known == id).map(|node| node as u32)
    }

    /// The target of the first edge of this kind and name.
    pub(crate) fn target(&self, node: u32, kind: EdgeKind, name: &str) -> Option<u32> {
        let edges = self.edges(node);
        let is = |edge: &&crate::Edge| {
            edge.kind == kind && matches!(edge.name, EdgeName::Text(text) if self.text(text) == name)
        };
        edges.iter().find(is).map(|edge| edge.to)
    }
}
