//! Reports on heap snapshots: one sheet of a few columns per question, in every form.

mod cell;
mod json;
mod sheet;
mod sheets;

use burnmark_heap::{Class, Edge, Growth, Overview, Snapshot, Step};

use crate::TableForm;
pub(crate) use cell::bytes;

/// A snapshot and what it is called.
#[derive(Clone, Copy, Debug)]
pub struct HeapInput<'a> {
    /// The file.
    pub name: &'a str,
    /// The last snapshot.
    pub snapshot: &'a Snapshot,
}

/// Sizes of an earlier snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeapSize {
    /// The file.
    pub name: String,
    /// When it was taken, in seconds since 1970, where that is known and there are others.
    pub written: Option<u64>,
    /// Nodes.
    pub nodes: u32,
    /// Edges.
    pub edges: u32,
    /// All bytes.
    pub total: u64,
}

/// What to show.
#[derive(Clone, Debug, Default)]
pub struct HeapView {
    /// All snapshots, in order.
    pub sizes: Vec<HeapSize>,
    /// Rows per sheet at most.
    pub limit: usize,
    /// Classes, the largest retained size first; of several snapshots those of the last.
    pub classes: Vec<Class>,
    /// What one snapshot tells.
    pub overview: Option<Overview>,
    /// What several tell.
    pub growth: Option<Growth>,
    /// Objects asked for.
    pub objects: Vec<HeapObject>,
}

/// An object that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeapObject {
    /// The node.
    pub node: u32,
    /// How it is held.
    pub path: Vec<Step>,
    /// What it refers to, in the order to show; empty where that was not asked.
    pub edges: Vec<Edge>,
}

/// The report, with a line end after its last line.
pub fn heap(input: &HeapInput<'_>, view: &HeapView, form: &TableForm) -> String {
    if *form == TableForm::Json {
        return json::render(input, view);
    }
    let sheets = sheets::all(input, view);
    let shown =
        sheets.iter().filter(|sheet| !sheet.rows.is_empty() || !sheet.notes.is_empty() && *form != TableForm::Csv);
    let text: Vec<String> = shown
        .map(|sheet| match *form {
            TableForm::Terminal { width, colours } => sheet.terminal(width, colours),
            TableForm::Csv => sheet.csv(),
            _ => sheet.markdown(),
        })
        .collect();
    text.join("\n")
}

/// Every node, one line each: `id,type,name,shallow,retained,distance,dominator_id`; sizes in bytes, no distance where only
/// the system, or nothing, reaches the node.
///
/// # Errors
/// What writing gives.
pub fn heap_nodes(snapshot: &Snapshot, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    writeln!(out, "id,type,name,shallow,retained,distance,dominator_id")?;
    for node in 0..snapshot.node_count() {
        let name = snapshot.name(node);
        let name = crate::top::csv::field(&name);
        writeln!(
            out,
            "{},{},{name},{},{},{},{}",
            snapshot.id(node),
            snapshot.kind(node).name(),
            snapshot.shallow(node),
            snapshot.retained(node),
            cell::reached(snapshot.distance(node)).map_or(String::new(), |distance| distance.to_string()),
            snapshot.id(snapshot.dominator(node)),
        )?;
    }
    Ok(())
}
