//! Edges with their names, which are read from the input again.

use std::borrow::Cow;

use crate::header::MAX_FIELDS;
use crate::ints::Cursor;
use crate::kinds::EdgeKind;
use crate::read::OFFSET_EVERY;
use crate::snapshot::Snapshot;

/// What an edge is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EdgeName {
    /// An index: elements, hidden edges.
    Index(u32),
    /// A string of the snapshot: see [`Snapshot::text`].
    Text(u32),
}

/// How one node refers to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// What it is.
    pub kind: EdgeKind,
    /// What it is called.
    pub name: EdgeName,
    /// The node it goes to.
    pub to: u32,
}

impl Snapshot {
    /// A node's edges.
    pub fn edges(&self, node: u32) -> Vec<Edge> {
        let range = self.edge_range(node);
        let names = self.edge_names(range.clone());
        let edge = |(edge, name): (usize, u32)| {
            let kind = self.edge_kind(edge);
            let name = if kind.is_indexed() { EdgeName::Index(name) } else { EdgeName::Text(name) };
            Edge { kind, name, to: self.edges.to(edge) }
        };
        range.zip(names).map(edge).collect()
    }

    /// The edge by which one node holds another: the first that is not weak.
    pub fn edge_between(&self, from: u32, to: u32) -> Option<Edge> {
        let mut range = self.edge_range(from);
        let edge = range.find(|edge| self.edges.to(*edge) == to && self.edge_kind(*edge) != EdgeKind::Weak)?;
        let kind = self.edge_kind(edge);
        let name = self.edge_names(edge..edge + 1).first().copied()?;
        let name = if kind.is_indexed() { EdgeName::Index(name) } else { EdgeName::Text(name) };
        Some(Edge { kind, name, to })
    }

    /// A string of the snapshot.
    pub fn text(&self, string: u32) -> Cow<'_, str> {
        self.strings.get(&self.source, string)
    }

    /// An edge's name, as text.
    pub fn edge_text(&self, edge: &Edge) -> Cow<'_, str> {
        match edge.name {
            EdgeName::Index(index) => Cow::Owned(index.to_string()),
            EdgeName::Text(string) => self.text(string),
        }
    }

    /// Names or indices of edges that follow each other. Fewer where the input has changed since it was read.
    pub(crate) fn edge_names(&self, edges: std::ops::Range<usize>) -> Vec<u32> {
        let mut names = Vec::with_capacity(edges.len());
        if edges.is_empty() {
            return names;
        }
        let known = edges.start / OFFSET_EVERY;
        // Behind a remembered record there is a comma before the next.
        let (start, comma) = match known.checked_sub(1).and_then(|at| self.edges.offsets.get(at)) {
            Some(offset) => (*offset as usize, 1),
            None => (self.edge_list.start, 0),
        };
        let first = if comma == 0 { 0 } else { known * OFFSET_EVERY };
        // All records up to the next remembered place, and no further than the list goes.
        let end =
            self.edges.offsets.get((edges.end - 1) / OFFSET_EVERY).map_or(self.edge_list.end, |end| *end as usize);
        let mut buffer = Vec::new();
        let Ok(bytes) = self.source.block(start, end.max(start), &mut buffer) else { return names };
        let mut cursor = Cursor::new(bytes, start);
        cursor.skip_commas((edges.start - first) * self.edge_layout.fields + comma);
        cursor.skip_blanks();
        let mut record = [0; MAX_FIELDS];
        for index in 0..edges.len() {
            if cursor.record(self.edge_layout.fields, index == 0, &mut record).is_err() {
                break;
            }
            let name = record[self.edge_layout.name] as u32;
            // What a cut has lost is none of the strings that were added.
            let is_lost = !self.edge_kind(edges.start + index).is_indexed() && self.strings.is_lost(name);
            names.push(if is_lost { u32::MAX } else { name });
        }
        names
    }
}
