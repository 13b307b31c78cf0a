//! From columns to a graph that can be walked both ways, and everything that names decide.

use std::sync::Arc;

use crate::Error;
use crate::classes;
use crate::column::Column;
use crate::dominators::{self, Graph, Order, Retainers};
use crate::flood;
use crate::read::{Edges, Nodes, Raw};
use crate::shapes::{self, Shapes};
use crate::source::Source;
use crate::strings::Strings;

/// The graph, numbered; sizes are with their owners.
pub(crate) struct Linked {
    pub(crate) order: Order,
    pub(crate) retainers: Retainers,
    pub(crate) shapes: Shapes,
    /// Plain objects and their shapes.
    pub(crate) shaped: Vec<(u32, Option<u32>)>,
    /// Arrays and their elements.
    pub(crate) arrays: Vec<(u32, Option<u32>)>,
    /// Memory that is not needed any more.
    pub(crate) room: Column<u32>,
}

/// Links it. Names of edges are dropped: they would take a third of the memory.
pub(crate) fn link(raw: &mut Raw, source: &Source, shapes: Option<&Shapes>) -> Result<Linked, Error> {
    let root = raw.header.root as u32;
    let Raw { nodes, edges, sizes, strings, .. } = raw;
    let graph = Graph { nodes, edges, root };
    // The walk takes as long as the two others together.
    let (order, (named, owners)) = rayon::join(
        || dominators::number(&graph, strings),
        || {
            let named = Named::find(nodes, edges, strings, source, shapes);
            (named, flood::give_sizes_to_owners(sizes, nodes, edges, strings, root))
        },
    );
    let (mut order, rest) = (order?, owners?);
    let Named { shapes, shaped, arrays } = named;
    let room = std::mem::replace(&mut edges.name, Column::new(0)?);
    let graph = Graph { nodes, edges, root };
    let mut retainers = dominators::retainers(&graph, &order, room)?;
    dominators::number_orphans(&graph, &mut order, &mut retainers);
    Ok(Linked { order, retainers, shapes, shaped, arrays, room: rest })
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
