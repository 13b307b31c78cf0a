//! Why a node is still there: paths from the root to it.
//!
//! The shortest path misleads: it runs through `constructor`, `__proto__` and the like. A path here goes from dominator to
//! dominator, over nodes that all would be freed with the next, and avoids such edges where there is another way.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use crate::edges::EdgeName;
use crate::kinds::{EdgeKind, NodeKind};
use crate::snapshot::Snapshot;

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

/// How many nodes are looked at between two dominators.
const MAX_SEARCH: usize = 20_000;

/// How many steps a path has at most; long lists are cut in the middle.
const MAX_STEPS: usize = 400;

/// How many edges are looked through for one path.
const MAX_EDGES: usize = 20_000_000;

/// Edges that say little about why something is held.
const WEAK_EVIDENCE: [&str; 8] =
    ["constructor", "__proto__", "prototype", "previous", "map", "initial_map", "back_pointer", "parent"];

/// The path from the root to a node.
pub fn path(snapshot: &Snapshot, node: u32) -> Vec<Step> {
    // What the search has used up must not be missing for naming what it found.
    let (mut budget, mut naming) = (MAX_EDGES, MAX_EDGES);
    let mut nodes = vec![(node, true)];
    let mut at = node;
    while at != snapshot.root() && nodes.len() < MAX_STEPS {
        let dominator = snapshot.dominator(at);
        let between = between(snapshot, dominator, at, &mut budget);
        nodes.extend(between.into_iter().map(|node| (node, false)));
        nodes.push((dominator, true));
        at = dominator;
    }
    nodes.reverse();
    let mut steps: Vec<Step> = Vec::with_capacity(nodes.len());
    for (node, dominates) in nodes {
        let edge = steps.last().and_then(|step| best_edge(snapshot, step.node, node, &mut naming));
        steps.push(match edge {
            Some((kind, edge)) => Step { node, edge, kind: Some(kind), dominates },
            None => Step { node, edge: String::new(), kind: None, dominates },
        });
    }
    steps
}

/// The nodes between a dominator and a node it dominates, from the node upwards.
fn between(snapshot: &Snapshot, dominator: u32, node: u32, budget: &mut usize) -> Vec<u32> {
    let mut came_from: HashMap<u32, u32, RandomState> = HashMap::default();
    let mut near = VecDeque::from([node]);
    // Where only edges of little evidence lead: tried when nothing else is left.
    let mut far = VecDeque::new();
    while let Some(at) = near.pop_front().or_else(|| far.pop_front()) {
        for retainer in snapshot.retainers(at) {
            if retainer == node || came_from.contains_key(&retainer) {
                continue;
            }
            let strong = best_edge(snapshot, retainer, at, budget).is_some_and(|(_, name)| is_evidence(&name));
            if retainer == dominator && (strong || near.is_empty() && far.is_empty()) {
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
                far.push_back(at);
                continue;
            }
            came_from.insert(retainer, at);
            if strong {
                near.push_back(retainer)
            } else {
                far.push_back(retainer)
            };
        }
        if came_from.len() > MAX_SEARCH {
            break;
        }
    }
    Vec::new()
}

fn is_evidence(edge: &str) -> bool {
    let name = edge.trim_start_matches("(internal) ").trim_start_matches('.');
    !WEAK_EVIDENCE.contains(&name)
}

/// The edge from one node to another that says most.
fn best_edge(snapshot: &Snapshot, from: u32, to: u32, budget: &mut usize) -> Option<(EdgeKind, String)> {
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
    let edge = edges.take(64).min_by_key(|edge| rank(snapshot.edge_kind(*edge)))?;
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
