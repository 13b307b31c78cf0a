//! From columns to a graph that can be walked both ways, and everything that names decide.

use std::sync::Arc;

use crate::Error;
use crate::classes::{self, ClassTable};
use crate::column::Column;
use crate::dominators::{self, Graph, Order, Retainers};
use crate::flood;
use crate::read::{Edges, Nodes, Raw};
use crate::shapes::{self, Shapes};
use crate::source::Source;
use crate::strings::Strings;

/// The graph, numbered and in classes; sizes are with their owners.
pub(crate) struct Linked {
    pub(crate) order: Order,
    pub(crate) retainers: Retainers,
    pub(crate) classes: ClassTable,
    /// Names of classes that the snapshot does not hold, to be added to its strings.
    pub(crate) added: Vec<String>,
    pub(crate) shapes: Shapes,
    /// Arrays and their elements.
    pub(crate) arrays: Vec<(u32, Option<u32>)>,
    /// Memory that is not needed any more.
    pub(crate) room: Column<u32>,
}

/// Links it. Names of edges are dropped: they would take a third of the memory.
pub(crate) fn link(raw: &mut Raw, source: &Source, shapes: Option<&Shapes>) -> Result<Linked, Error> {
    let root = raw.header.root as u32;
    let Raw { nodes, edges, sizes, strings, locations, .. } = raw;
    let graph = Graph { nodes, edges, root };
    let (order, named) =
        rayon::join(|| dominators::number(&graph, strings), || Named::find(nodes, edges, strings, source, shapes));
    let mut order = order?;
    let Named { shapes, shaped, arrays } = named;
    let room = std::mem::replace(&mut edges.name, Column::new(0)?);
    let graph = Graph { nodes, edges, root };
    let classify = || classes::classify(nodes, strings, source, locations, &shapes.0, &shaped);
    let own = || flood::give_sizes_to_owners(sizes, nodes, edges, strings, root);
    let (retainers, (classes, room)) =
        rayon::join(|| dominators::retainers(&graph, room), || rayon::join(classify, own));
    let (mut retainers, (classes, added), room) = (retainers?, classes?, room?);
    dominators::number_orphans(&graph, &mut order, &retainers);
    dominators::number_retainers(&graph, &order, &mut retainers);
    Ok(Linked { order, retainers, classes, added, shapes, arrays, room })
}

/// What the names of edges decide.
struct Named {
    shapes: Shapes,
    /// Plain objects and their shapes.
    shaped: Vec<(u32, Option<u32>)>,
    /// Arrays and their elements.
    arrays: Vec<(u32, Option<u32>)>,
}

impl Named {
    fn find(nodes: &Nodes, edges: &Edges, strings: &Strings, source: &Source, shapes: Option<&Shapes>) -> Self {
        let of_objects = || {
            let plain = shapes::plain_objects(nodes, edges, strings, source);
            let shapes = match shapes {
                Some(shapes) => shapes.clone(),
                None => Shapes(Arc::new(shapes::infer(&plain, nodes, edges, strings))),
            };
            let shaped = shapes::apply(&plain, &shapes.0, nodes, edges);
            (shapes, shaped)
        };
        let ((shapes, shaped), arrays) = rayon::join(of_objects, || classes::array_elements(nodes, edges, strings));
        Self { shapes, shaped, arrays }
    }
}
