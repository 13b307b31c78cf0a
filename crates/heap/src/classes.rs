//! Classes: what nodes are counted under, and the sums per class.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use rayon::prelude::*;

use crate::column::Column;
use crate::dominators::{DominatorTree, PART};
use crate::flood::kind_of;
use crate::kinds::{EdgeKind, NodeKind};
use crate::locations::Locations;
use crate::read::{Edges, NODE, Nodes};
use crate::shapes::Shape;
use crate::sizes::Sizes;
use crate::source::Source;
use crate::strings::{Strings, WellKnown};
use crate::{Error, Location};

/// What makes a class: its name (a string's index) and, for objects, where its constructor is.
pub(crate) type ClassKey = (u32, Option<Location>);

/// The class of each node, and the classes.
#[derive(Debug)]
pub(crate) struct ClassTable {
    pub(crate) of: Column<u32>,
    pub(crate) keys: Vec<ClassKey>,
}

/// Sorts nodes into classes. `shapes` are those of plain objects, `shaped` says which object has which. Names that are no
/// string of the snapshot are numbered from its last string on, and returned.
pub(crate) fn classify(
    nodes: &Nodes,
    strings: &Strings,
    source: &Source,
    locations: &Locations,
    shapes: &[Shape],
    shaped: &[(u32, Option<u32>)],
) -> Result<(ClassTable, Vec<String>), Error> {
    let added = shapes.iter().map(|shape| shape.name.clone()).collect();
    let mut names =
        Names { strings, source, added, by_text: HashMap::default(), dom: HashMap::default(), by_kind: [None; 64] };
    let first_shape = strings.len() as u32;
    let count = nodes.kind.len();
    let mut table = ClassTable { of: Column::new(count)?, keys: Vec::new() };
    let mut without_place: Vec<u32> = vec![u32::MAX; strings.len() + shapes.len()];
    let mut with_place: HashMap<(u32, Location), u32, RandomState> = HashMap::default();
    let mut shaped = shaped.iter().peekable();
    let (kinds, node_names, of) = (&nodes.kind[..], &nodes.name[..], &mut table.of[..]);
    for node in 0..count as u32 {
        let kind = kind_of(kinds[node as usize]);
        let shape = shaped.next_if(|(object, _)| *object == node).and_then(|(_, shape)| *shape);
        let name = match shape {
            Some(shape) => first_shape + shape,
            None => names.class_name(kind, node_names[node as usize]),
        };
        let next = table.keys.len() as u32;
        let location = if kind == NodeKind::Object { locations.of(node) } else { None };
        let class = match location {
            Some(location) => {
                let class = *with_place.entry((name, location)).or_insert(next);
                if class == next {
                    table.keys.push((name, Some(location)));
                }
                class
            }
            None => {
                if without_place.len() <= name as usize {
                    without_place.resize(name as usize + 1, u32::MAX);
                }
                let class = &mut without_place[name as usize];
                if *class == u32::MAX {
                    *class = next;
                    table.keys.push((name, None));
                }
                *class
            }
        };
        of[node as usize] = class;
    }
    Ok((table, names.added))
}

/// Names that are no string of the snapshot.
struct Names<'a> {
    strings: &'a Strings,
    source: &'a Source,
    added: Vec<String>,
    by_text: HashMap<String, u32, RandomState>,
    /// Names of DOM nodes whose class is known.
    dom: HashMap<u32, u32, RandomState>,
    by_kind: [Option<u32>; 64],
}

impl Names<'_> {
    #[inline(always)]
    fn class_name(&mut self, kind: NodeKind, name: u32) -> u32 {
        if matches!(kind, NodeKind::Object | NodeKind::Native) {
            return if self.strings.is_dom(name) { self.dom_name(name) } else { name };
        }
        match self.by_kind[kind as usize] {
            Some(known) => known,
            None => self.kind_name(kind),
        }
    }

    #[cold]
    fn kind_name(&mut self, kind: NodeKind) -> u32 {
        let text = match kind {
            NodeKind::Hidden => "(system)".to_owned(),
            NodeKind::Code => "(compiled code)".to_owned(),
            NodeKind::Closure => "Function".to_owned(),
            NodeKind::RegExp => "RegExp".to_owned(),
            _ => format!("({})", kind.name()),
        };
        let index = self.index(text);
        self.by_kind[kind as usize] = Some(index);
        index
    }

    /// `<div id="a">` counts as `<div>`.
    fn dom_name(&mut self, name: u32) -> u32 {
        if let Some(known) = self.dom.get(&name) {
            return *known;
        }
        let mut text = self.strings.get(self.source, name).into_owned();
        let from = if text.starts_with('<') { 0 } else { "Detached <".len() };
        if let Some(blank) = text.get(from..).and_then(|rest| rest.find(' ')) {
            text.truncate(from + blank);
            text.push('>');
        }
        let index = self.index(text);
        self.dom.insert(name, index);
        index
    }

    fn index(&mut self, text: String) -> u32 {
        let (first, added) = (self.strings.len(), &mut self.added);
        *self.by_text.entry(text).or_insert_with_key(|text| {
            added.push(text.clone());
            (first + added.len() - 1) as u32
        })
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
    sizes: &Sizes,
    distances: &[i32],
    tree: &DominatorTree,
    retained: &Sizes,
) -> Vec<Sums> {
    let none = Sums { count: 0, shallow: 0, retained: 0, distance: i32::MAX };
    let (walk, of) = (&tree.walk[..], &table.of[..]);
    let part = |(chunk, nodes): (usize, &[[u32; 2]])| {
        let first = chunk * PART;
        let mut sums = vec![none; table.keys.len()];
        // Up to which place of the walk an object of the class dominates.
        let mut inside = vec![0_u32; table.keys.len()];
        let reaches_in = |(place, end): &&(u32, u32)| (*place as usize) < first && *end as usize > first;
        for (place, end) in tree.crossing.iter().filter(reaches_in) {
            let node = tree.node(*place as usize);
            if sizes.of(node) > 0 {
                let inside = &mut inside[of[node as usize] as usize];
                *inside = (*inside).max(*end);
            }
        }
        for (place, &[node, end]) in (first..).zip(nodes) {
            let size = sizes.of(node);
            if size == 0 {
                continue;
            }
            let class = of[node as usize] as usize;
            let sum = &mut sums[class];
            sum.count += 1;
            sum.shallow += size;
            sum.distance = sum.distance.min(distances[node as usize]);
            if place as u32 >= inside[class] {
                sum.retained += retained.of(node);
                inside[class] = end;
            }
        }
        sums
    };
    let parts = walk.par_chunks(PART).enumerate().map(part);
    parts.reduce(
        || vec![none; table.keys.len()],
        |mut sums, more| {
            for (sum, more) in sums.iter_mut().zip(more) {
                sum.count += more.count;
                sum.shallow += more.shallow;
                sum.retained += more.retained;
                sum.distance = sum.distance.min(more.distance);
            }
            sums
        },
    )
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
        let elements = nodes.edges(node).find(|edge| {
            EdgeKind::from_bits(edges.kind[*edge]) == EdgeKind::Internal
                && strings.is(edges.name[*edge], WellKnown::Elements)
        });
        let elements = elements.map(|edge| edges.to(edge));
        elements.into_iter().for_each(|elements| {
            stores.insert(elements);
        });
        arrays.push((node, elements));
    }
    let mut once = crate::bits::Bits::new(nodes.kind.len());
    let mut more = crate::bits::Bits::new(nodes.kind.len());
    for to in edges.packed.iter().map(|packed| packed & NODE).filter(|to| stores.get(*to)) {
        if !once.insert(to) {
            more.insert(to);
        }
    }
    for (_, elements) in &mut arrays {
        *elements = elements.filter(|elements| !more.get(*elements));
    }
    arrays
}

/// The statistics, once sizes are with their owners; all but the total.
pub(crate) fn statistics(
    nodes: &Nodes,
    sizes: &Sizes,
    strings: &Strings,
    arrays: &[(u32, Option<u32>)],
    extra_native: u64,
) -> Statistics {
    let mut statistics = Statistics { native: extra_native, ..Statistics::default() };
    for node in 0..nodes.kind.len() as u32 {
        let size = sizes.of(node);
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
        statistics.js_arrays += sizes.of(*array) + elements.map_or(0, |elements| sizes.of(elements));
    }
    statistics
}
