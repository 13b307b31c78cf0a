//! Classes: what nodes are counted under, and the sums per class.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::Location;
use crate::dominators::DominatorTree;
use crate::flood::{kind_of, size_of};
use crate::kinds::{EdgeKind, NodeKind};
use crate::read::{Edges, Nodes, Raw};
use crate::shapes::Shape;
use crate::source::Source;
use crate::strings::{Strings, WellKnown};

/// What makes a class: its name (a string's index) and, for objects, where its constructor is.
pub(crate) type ClassKey = (u32, Option<Location>);

/// The class of each node, and the classes.
#[derive(Debug, Default)]
pub(crate) struct ClassTable {
    pub(crate) of: Vec<u32>,
    pub(crate) keys: Vec<ClassKey>,
}

/// Sorts nodes into classes. `shapes` are those of plain objects, `shaped` says which object has which.
pub(crate) fn classify(raw: &mut Raw, source: &Source, shapes: &[Shape], shaped: &[(u32, Option<u32>)]) -> ClassTable {
    let mut names = Names { by_text: HashMap::default(), by_kind: [None; 64] };
    let shape_names: Vec<u32> = shapes.iter().map(|shape| raw.strings.add(shape.name.clone())).collect();
    let count = raw.nodes.kind.len();
    let mut table = ClassTable { of: Vec::with_capacity(count), keys: Vec::new() };
    let mut without_place: Vec<u32> = Vec::new();
    let mut with_place: HashMap<(u32, Location), u32, RandomState> = HashMap::default();
    let mut shaped = shaped.iter().peekable();
    let mut locations = raw.locations.iter().peekable();
    for node in 0..count as u32 {
        let kind = kind_of(raw.nodes.kind[node as usize]);
        let shape = shaped.next_if(|(object, _)| *object == node).and_then(|(_, shape)| *shape);
        let location = locations.next_if(|(object, _)| *object == node).map(|(_, location)| *location);
        let name = match shape {
            Some(shape) => shape_names[shape as usize],
            None => names.class_name(&mut raw.strings, source, kind, raw.nodes.name[node as usize]),
        };
        let next = table.keys.len() as u32;
        let class = match location.filter(|_| kind == NodeKind::Object) {
            Some(location) => {
                let class = *with_place.entry((name, location)).or_insert(next);
                if class == next {
                    table.keys.push((name, Some(location)));
                }
                class
            }
            None => {
                if without_place.len() <= name as usize {
                    without_place.resize(raw.strings.len().max(name as usize + 1), u32::MAX);
                }
                let class = &mut without_place[name as usize];
                if *class == u32::MAX {
                    *class = next;
                    table.keys.push((name, None));
                }
                *class
            }
        };
        table.of.push(class);
    }
    table
}

/// Names that are no string of the snapshot.
struct Names {
    by_text: HashMap<String, u32, RandomState>,
    by_kind: [Option<u32>; 64],
}

impl Names {
    fn class_name(&mut self, strings: &mut Strings, source: &Source, kind: NodeKind, name: u32) -> u32 {
        if matches!(kind, NodeKind::Object | NodeKind::Native) {
            return if strings.is_dom(name) { self.dom_name(strings, source, name) } else { name };
        }
        if let Some(known) = self.by_kind[kind as usize] {
            return known;
        }
        let text = match kind {
            NodeKind::Hidden => "(system)".to_owned(),
            NodeKind::Code => "(compiled code)".to_owned(),
            NodeKind::Closure => "Function".to_owned(),
            NodeKind::RegExp => "RegExp".to_owned(),
            _ => format!("({})", kind.name()),
        };
        let index = self.index(strings, text);
        self.by_kind[kind as usize] = Some(index);
        index
    }

    /// `<div id="a">` counts as `<div>`.
    fn dom_name(&mut self, strings: &mut Strings, source: &Source, name: u32) -> u32 {
        let mut text = strings.get(source, name).into_owned();
        let from = if text.starts_with('<') { 0 } else { "Detached <".len() };
        if let Some(blank) = text.get(from..).and_then(|rest| rest.find(' ')) {
            text.truncate(from + blank);
            text.push('>');
        }
        self.index(strings, text)
    }

    fn index(&mut self, strings: &mut Strings, text: String) -> u32 {
        *self.by_text.entry(text).or_insert_with_key(|text| strings.add(text.clone()))
    }
}

/// The sums of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    /// Objects that have a size.
    pub count: u64,
    /// Their own sizes, in bytes.
    pub shallow: u64,
    /// What would be freed with all of them, in bytes: retained sizes of those that no other of the class dominates.
    pub retained: u64,
    /// The least distance from the user's roots.
    pub distance: i32,
}

/// Sums per class.
pub(crate) fn sums(
    table: &ClassTable,
    nodes: &Nodes,
    distances: &[i32],
    tree: &DominatorTree,
    retained: &[u64],
) -> Vec<Sums> {
    let mut sums = vec![Sums { count: 0, shallow: 0, retained: 0, distance: i32::MAX }; table.keys.len()];
    // Up to which place of the walk an object of the class dominates.
    let mut inside = vec![0_u32; table.keys.len()];
    for (place, &node) in tree.walk.iter().enumerate() {
        let size = size_of(nodes, node);
        if size == 0 {
            continue;
        }
        let class = table.of[node as usize] as usize;
        let sum = &mut sums[class];
        sum.count += 1;
        sum.shallow += size;
        sum.distance = sum.distance.min(distances[node as usize]);
        if place as u32 >= inside[class] {
            sum.retained += retained[node as usize];
            inside[class] = tree.end[place];
        }
    }
    sums
}

/// Sizes by what they are, as DevTools' statistics show them. In bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// All of it: what the root retains, and native bytes that no node has.
    pub total: u64,
    /// Memory of the embedder.
    pub native: u64,
    /// The memory of array buffers, which is part of `native`.
    pub typed_arrays: u64,
    /// Compiled code.
    pub code: u64,
    /// Arrays with their elements.
    pub js_arrays: u64,
    /// Strings.
    pub strings: u64,
    /// The virtual machine's own.
    pub system: u64,
}

/// What the statistics need from the names of edges: arrays, and their elements if nothing else holds these.
pub(crate) fn array_elements(nodes: &Nodes, edges: &Edges, strings: &Strings) -> Vec<(u32, Option<u32>)> {
    let mut arrays = Vec::new();
    let mut stores = crate::bits::Bits::new(nodes.kind.len());
    for node in 0..nodes.kind.len() as u32 {
        let kind = kind_of(nodes.kind[node as usize]);
        let counted_elsewhere =
            kind.is_string() || matches!(kind, NodeKind::Hidden | NodeKind::Native | NodeKind::Code);
        if counted_elsewhere || !strings.is(nodes.name[node as usize], WellKnown::Array) {
            continue;
        }
        let mut range = nodes.first_edge[node as usize] as usize..nodes.first_edge[node as usize + 1] as usize;
        let elements = range.find(|edge| {
            EdgeKind::from_bits(edges.kind[*edge]) == EdgeKind::Internal
                && strings.is(edges.name[*edge], WellKnown::Elements)
        });
        let elements = elements.map(|edge| edges.to[edge]);
        elements.into_iter().for_each(|elements| {
            stores.insert(elements);
        });
        arrays.push((node, elements));
    }
    let mut once = crate::bits::Bits::new(nodes.kind.len());
    let mut more = crate::bits::Bits::new(nodes.kind.len());
    for to in edges.to.iter().filter(|to| stores.get(**to)) {
        if !once.insert(*to) {
            more.insert(*to);
        }
    }
    for (_, elements) in &mut arrays {
        *elements = elements.filter(|elements| !more.get(*elements));
    }
    arrays
}

/// The statistics, once sizes are with their owners.
pub(crate) fn statistics(
    nodes: &Nodes,
    strings: &Strings,
    arrays: &[(u32, Option<u32>)],
    total: u64,
    extra_native: u64,
) -> Statistics {
    let mut statistics = Statistics { total, native: extra_native, ..Statistics::default() };
    for node in 0..nodes.kind.len() as u32 {
        let size = size_of(nodes, node);
        match kind_of(nodes.kind[node as usize]) {
            NodeKind::Hidden => statistics.system += size,
            NodeKind::Native => {
                statistics.native += size;
                if strings.is(nodes.name[node as usize], WellKnown::ArrayBufferData) {
                    statistics.typed_arrays += size;
                }
            }
            NodeKind::Code => statistics.code += size,
            kind if kind.is_string() => statistics.strings += size,
            _ => {}
        }
    }
    for (array, elements) in arrays {
        statistics.js_arrays += size_of(nodes, *array) + elements.map_or(0, |elements| size_of(nodes, elements));
    }
    statistics
}
