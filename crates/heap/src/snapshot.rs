//! A snapshot with everything computed that DevTools computes: sizes, dominators, distances, classes.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use burnmark_model::Warning;

use crate::classes::{self, ClassKey, ClassTable, Statistics, Sums};
use crate::column::Column;
use crate::dominators::{self, DominatorTree, Retainers};
use crate::flood::{self, kind_of};
use crate::kinds::{Detachedness, EdgeKind, NodeKind};
use crate::linked::{Linked, link};
use crate::locations::Locations;
use crate::marks;
use crate::read::{self, Edges, Nodes};
use crate::scan::Numbers;
use crate::shapes::Shapes;
use crate::sizes::Sizes;
use crate::source::Source;
use crate::strings::Strings;
use crate::{Error, Location};

/// How to read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Classes of plain objects that another snapshot has; `None` finds them here.
    pub shapes: Option<Shapes>,
    /// Counts the bytes of node and edge lists that have been read.
    pub progress: Option<Arc<AtomicU64>>,
}

/// How long each phase took, for benches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timings {
    /// Bytes to columns.
    pub parse: Duration,
    /// Marks on edges: weak, not essential, of ephemerons.
    pub marks: Duration,
    /// Depth-first numbers and what the page owns, beside what names decide and who owns what; retainers.
    pub graph: Duration,
    /// Dominators; beside them distances and classes.
    pub dominators: Duration,
    /// Retained sizes, sums of classes, statistics.
    pub aggregates: Duration,
}

/// A heap snapshot. Nodes are numbered from 0 in the snapshot's order.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) source: Source,
    pub(crate) strings: Strings,
    pub(crate) nodes: Nodes,
    pub(crate) sizes: Sizes,
    /// Without their names: see `Snapshot::edge_names`.
    pub(crate) edges: Edges,
    pub(crate) edge_list: Numbers,
    pub(crate) edge_layout: crate::header::EdgeLayout,
    pub(crate) locations: Locations,
    pub(crate) root: u32,
    pub(crate) retainers: Retainers,
    pub(crate) tree: DominatorTree,
    pub(crate) retained: Sizes,
    pub(crate) distances: Column<i32>,
    pub(crate) classes: ClassTable,
    pub(crate) sums: Vec<Sums>,
    shapes: Shapes,
    /// By node, made when first asked for.
    places: std::sync::OnceLock<Vec<u32>>,
    statistics: Statistics,
    timings: Timings,
    warnings: Vec<Warning>,
}

/// A class: its name, its constructor's place if known, its sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its number in this snapshot.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Where its constructor is.
    pub location: Option<Location>,
    /// Its sums.
    pub sums: Sums,
}

impl Snapshot {
    /// Reads a snapshot and computes everything.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(source: Source, options: &ReadOptions) -> Result<Self, Error> {
        let mut timings = Timings::default();
        let mut clock = Instant::now();
        let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed();
        let mut raw = read::read(&source, options.progress.as_ref())?;
        timings.parse = lap();

        let root = raw.header.root as u32;
        flood::dom_state(&mut raw, &source);
        let pairs = marks::mark(&mut raw, &source);
        timings.marks = lap();

        let linked = link(&mut raw, &source, options.shapes.as_ref())?;
        timings.graph = lap();

        let Linked { order, mut retainers, shapes, shaped, arrays, room } = linked;
        let read::Raw { header, nodes, sizes, edges, mut strings, locations, edge_list, warnings } = raw;
        let (immediate, (distances, classes)) = rayon::join(
            || dominators::dominators(order, &retainers),
            || {
                let distances = flood::distances(&nodes, &edges, &strings, root, &pairs, room);
                (distances, classes::classify(&nodes, &strings, &source, &locations, &shapes.0, &shaped))
            },
        );
        let (mut immediate, (distances, room), (classes, added)) = (immediate?, distances?, classes?);
        timings.dominators = lap();

        let (dominated, mut statistics) = rayon::join(
            || Ok::<_, Error>((immediate.retained(|node| sizes.of(node))?, immediate.tree(room, &mut retainers)?)),
            || classes::statistics(&nodes, &sizes, &strings, &arrays, header.extra_native_bytes),
        );
        let (retained, tree) = dominated?;
        statistics.total = retained.of(root) + header.extra_native_bytes;
        let sums = classes::sums(&classes, &sizes, &distances, &tree, &retained);
        strings.add_all(added);
        timings.aggregates = lap();
        Ok(Self {
            source,
            strings,
            nodes,
            sizes,
            edges,
            edge_list,
            edge_layout: header.edges,
            locations,
            root,
            retainers,
            tree,
            retained,
            distances,
            classes,
            sums,
            shapes,
            places: std::sync::OnceLock::new(),
            statistics,
            timings,
            warnings,
        })
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> u32 {
        self.nodes.kind.len() as u32
    }

    /// How many edges there are.
    pub fn edge_count(&self) -> u32 {
        self.edges.kind.len() as u32
    }

    /// All bytes: what the root retains, and native bytes that no node has.
    pub fn total_size(&self) -> u64 {
        self.statistics.total
    }

    /// The root.
    pub fn root(&self) -> u32 {
        self.root
    }

    /// Sizes by what they are.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// The classes of its plain objects, for reading another snapshot of the same program.
    pub fn shapes(&self) -> Shapes {
        self.shapes.clone()
    }

    /// How long reading took.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }

    /// What was wrong with the input.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What a node is.
    pub fn kind(&self, node: u32) -> NodeKind {
        kind_of(self.nodes.kind[node as usize])
    }

    /// Whether a DOM node is in the document.
    pub fn detachedness(&self, node: u32) -> Detachedness {
        match self.nodes.kind[node as usize] >> 6 {
            1 => Detachedness::Attached,
            2 => Detachedness::Detached,
            _ => Detachedness::Unknown,
        }
    }

    /// A node's number in the running program, the same in all snapshots of a process.
    pub fn id(&self, node: u32) -> u32 {
        self.nodes.id[node as usize]
    }

    /// A node's name as it is written: a constructor's name, a string's text, a function's name.
    pub fn name(&self, node: u32) -> Cow<'_, str> {
        self.strings.get(&self.source, self.nodes.name[node as usize])
    }

    /// Whether a node's name begins so.
    pub(crate) fn name_begins(&self, node: u32, prefix: &str) -> bool {
        self.strings.begins(&self.source, self.nodes.name[node as usize], prefix)
    }

    /// A node's own size in bytes, that of backing stores only it holds included.
    pub fn shallow(&self, node: u32) -> u64 {
        self.sizes.of(node)
    }

    /// What would be freed with the node, in bytes.
    pub fn retained(&self, node: u32) -> u64 {
        self.retained.of(node)
    }

    /// Edges between the user's roots and the node; 100,000,000 and more for what only the system reaches, -5 for what
    /// nothing reaches.
    pub fn distance(&self, node: u32) -> i32 {
        self.distances[node as usize]
    }

    /// The closest node that is on every path from the root; the root's is the root.
    pub fn dominator(&self, node: u32) -> u32 {
        self.tree.dominator[node as usize]
    }

    /// The number of the node's class.
    pub fn class_of(&self, node: u32) -> u32 {
        self.classes.of[node as usize]
    }

    /// A class's name.
    pub fn class_name(&self, class: u32) -> Cow<'_, str> {
        self.strings.get(&self.source, self.classes.keys[class as usize].0)
    }

    /// Classes that have objects, the largest retained size first.
    pub fn classes(&self) -> Vec<Class> {
        let known = self.sums.iter().zip(&self.classes.keys).enumerate().filter(|(_, (sums, _))| sums.count > 0);
        let class = |(index, (sums, key)): (usize, (&Sums, &ClassKey))| Class {
            index: index as u32,
            name: self.strings.get(&self.source, key.0).into_owned(),
            location: key.1,
            sums: *sums,
        };
        let mut classes: Vec<Class> = known.map(class).collect();
        classes.sort_by(|a, b| b.sums.retained.cmp(&a.sums.retained).then_with(|| a.name.cmp(&b.name)));
        classes
    }

    /// Where a closure is, or an object's constructor.
    pub fn location(&self, node: u32) -> Option<Location> {
        self.locations.of(node)
    }

    /// The nodes that hold a node by edges that count.
    pub fn retainers(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.retainers.of(node)
    }

    /// A node's place in the walk through the dominator tree.
    pub(crate) fn place(&self, node: u32) -> u32 {
        let places = self.places.get_or_init(|| {
            let mut places = vec![0; self.tree.walk.len()];
            (0..).zip(self.tree.walk.iter()).for_each(|(place, [node, _])| places[*node as usize] = place);
            places
        });
        places[node as usize]
    }

    /// Whether every path from the root to `node` goes through `other`.
    pub fn dominates(&self, other: u32, node: u32) -> bool {
        let first = self.place(other);
        (first..self.tree.end(first as usize)).contains(&self.place(node))
    }

    /// The nodes that a node dominates directly.
    pub fn dominated(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        // A node's descendants lie behind it, each before its own.
        let place = self.place(node) as usize;
        let end = self.tree.end(place) as usize;
        let mut at = place + 1;
        std::iter::from_fn(move || {
            let child = (at < end).then(|| self.tree.node(at))?;
            at = self.tree.end(at) as usize;
            Some(child)
        })
    }

    pub(crate) fn edge_range(&self, node: u32) -> std::ops::Range<usize> {
        self.nodes.edges(node)
    }

    pub(crate) fn edge_kind(&self, edge: usize) -> EdgeKind {
        EdgeKind::from_bits(self.edges.kind[edge])
    }
}
