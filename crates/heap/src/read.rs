//! From bytes to columns: nodes, edges, locations and strings as the snapshot has them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burnmark_model::Warning;
use rayon::prelude::*;

use crate::column::Column;
use crate::error::malformed;
use crate::header::{self, EdgeLayout, Header, MAX_FIELDS, NodeLayout};
use crate::ints::{self, Cursor};
use crate::locations::{self, Locations};
use crate::scan::{self, BLOCK, Numbers, Sections};
use crate::sizes::{self, Sizes};
use crate::source::Source;
use crate::strings::Strings;
use crate::{EdgeKind, Error, NodeKind};

/// Most edges: their numbers have 32 bits, of which the largest mean something else.
const MAX_EDGES: u64 = u32::MAX as u64 - 8;
/// Most nodes: see [`Edges::packed`].
const MAX_NODES: u64 = NODE as u64 - 8;

/// Most bytes of all nodes: sums and differences of sizes fit 64 bits.
const MAX_SIZE: u128 = 1 << 62;

/// How many bytes behind a block may belong to its last record.
const SLACK: usize = 16 << 10;

/// The nodes, by column.
#[derive(Debug)]
pub(crate) struct Nodes {
    /// `NodeKind`, with `Detachedness` in the upper two bits.
    pub(crate) kind: Column<u8>,
    pub(crate) name: Column<u32>,
    pub(crate) id: Column<u32>,
    /// First edge of each node, and the number of edges at the end.
    pub(crate) first_edge: Column<u32>,
}

impl Nodes {
    /// The numbers of a node's edges.
    #[inline(always)]
    pub(crate) fn edges(&self, node: u32) -> std::ops::Range<usize> {
        range(&self.first_edge, node)
    }
}

/// The numbers of a node's edges, where the first one of each node is.
#[inline(always)]
pub(crate) fn range(first_edge: &[u32], node: u32) -> std::ops::Range<usize> {
    first_edge[node as usize] as usize..first_edge[node as usize + 1] as usize
}

/// The bits of [`Edges::packed`] that say where the edge goes to.
pub(crate) const NODE: u32 = (1 << 29) - 1;

/// The edges, by column.
#[derive(Debug)]
pub(crate) struct Edges {
    /// Where it goes to, with what walks over the graph ask about it in the upper bits: see `marks`.
    pub(crate) packed: Column<u32>,
    /// `EdgeKind`, with marks in the upper bits.
    pub(crate) kind: Column<u8>,
    /// Name or index; dropped when everything that names decide has been decided.
    pub(crate) name: Column<u32>,
    /// Where each `OFFSET_EVERY`th record ends in the input, the first after so many.
    pub(crate) offsets: Vec<u64>,
}

impl Edges {
    /// The node an edge goes to.
    #[inline(always)]
    pub(crate) fn to(&self, edge: usize) -> u32 {
        self.packed[edge] & NODE
    }
}

/// How many edges lie between two remembered places of the input.
pub(crate) const OFFSET_EVERY: usize = 1024;

/// A snapshot as it is written.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) header: Header,
    pub(crate) nodes: Nodes,
    pub(crate) sizes: Sizes,
    pub(crate) edges: Edges,
    pub(crate) strings: Strings,
    pub(crate) locations: Locations,
    /// Where the list of edges is.
    pub(crate) edge_list: Numbers,
    pub(crate) warnings: Vec<Warning>,
}

/// Reads all of it. `progress` counts bytes.
pub(crate) fn read(source: &Source, progress: Option<&Arc<AtomicU64>>) -> Result<Raw, Error> {
    let sections = scan::sections(source)?;
    let (start, end) = sections.header;
    if end <= start {
        return Err(truncated(source, &sections, "the header", "nothing".into(), "everything"));
    }
    let header = header::parse(&source.all()[start..end])?;
    let (node_list, edge_list, strings_at) = complete(source, &sections, &header)?;
    let mut warnings = Vec::new();
    let node_count = (node_list.count() / header.nodes.fields as u64) as usize;
    let (lists, (strings, locations)) = rayon::join(
        || {
            let (nodes, sizes, largest) = read_nodes(source, node_list, &header, progress)?;
            let (edges, name) = read_edges(source, edge_list, &header, nodes.kind.len(), progress)?;
            Ok::<_, Error>((nodes, sizes, edges, largest.max(name)))
        },
        || {
            let (mut cut, mut damaged) = (Vec::new(), Vec::new());
            let strings = Strings::find(source, strings_at, &mut cut).map(|strings| (strings, cut));
            let locations = locations::read(source, &sections, &header, node_count, &mut damaged);
            (strings, locations.map(|locations| (locations, damaged)))
        },
    );
    let (mut nodes, sizes, mut edges, largest_name) = lists?;
    let (mut strings, cut) = strings?;
    let is_cut = !cut.is_empty();
    warnings.extend(cut);
    let total = sizes.total() + u128::from(header.extra_native_bytes);
    if total > MAX_SIZE {
        let what = format!("its sizes add up to {total} bytes, more than any memory has");
        return Err(malformed(node_list.start as u64, what));
    }
    sum_edge_counts(&mut nodes, edges.kind.len(), node_list.start)?;
    let (locations, damaged) = locations?;
    warnings.extend(damaged);
    if largest_name as usize >= strings.len() {
        check_names(&mut nodes, &mut edges, &mut strings, is_cut, (node_list.start, edge_list.start))?;
    }
    for (what, read, said) in
        [("nodes", nodes.kind.len() as u64, header.node_count), ("edges", edges.kind.len() as u64, header.edge_count)]
    {
        if said != 0 && said != read {
            warnings.push(Warning {
                message: format!("the header says {said} {what}, there are {read}: those are used"),
                position: None,
                count: 1,
            });
        }
    }
    if header.root >= nodes.kind.len() as u64 {
        return Err(Error::Header(format!("names node {} as the root, there are {}", header.root, nodes.kind.len())));
    }
    Ok(Raw { header, nodes, sizes, edges, strings, locations, edge_list: edge_list.clone(), warnings })
}

/// The lists that must be there, whole.
fn complete<'a>(
    source: &Source,
    sections: &'a Sections,
    header: &Header,
) -> Result<(&'a Numbers, &'a Numbers, usize), Error> {
    let lost = |section, got: String, missing| Err(truncated(source, sections, section, got, missing));
    let got = |list: &Option<Numbers>, fields: usize, said: u64, what: &str| {
        let read = list.as_ref().map_or(0, |list| list.count() / fields as u64);
        format!("{read} of {said} {what}")
    };
    let is_cut = sections.cut_in.is_some();
    match &sections.nodes {
        Some(nodes) if nodes.complete => {}
        None if !is_cut => return Err(malformed(source.len() as u64, "there are no nodes")),
        nodes => {
            let got = got(nodes, header.nodes.fields, header.node_count, "nodes");
            return lost("the nodes", got, "the rest of the nodes, all edges, locations and strings");
        }
    }
    match &sections.edges {
        Some(edges) if edges.complete => {}
        None if !is_cut => return Err(malformed(source.len() as u64, "there are no edges")),
        edges => {
            let got = got(edges, header.edges.fields, header.edge_count, "edges");
            return lost("the edges", got, "the rest of the edges, all locations and strings");
        }
    }
    match (sections.strings, &sections.nodes, &sections.edges) {
        (Some(strings), Some(nodes), Some(edges)) => Ok((nodes, edges, strings)),
        _ if is_cut => lost(sections.cut_in.unwrap_or_default(), "all nodes and edges".into(), "all strings (names)"),
        _ => Err(malformed(source.len() as u64, "there are no strings")),
    }
}

fn truncated(source: &Source, sections: &Sections, section: &'static str, got: String, missing: &str) -> Error {
    let section = sections.cut_in.unwrap_or(section);
    Error::Truncated { end: source.len() as u64, section, got, missing: missing.to_owned() }
}

/// The records whose first number lies in each block.
pub(crate) fn ranges(numbers: &Numbers, fields: usize) -> Vec<(usize, usize)> {
    let records = (numbers.count() / fields as u64) as usize;
    let pairs = numbers.commas.windows(2).enumerate();
    let range = |(block, pair): (usize, &[u64])| {
        let first = if block == 0 { 0 } else { (pair[0] / fields as u64 + 1) as usize };
        let end = (pair[1] / fields as u64 + 1) as usize;
        (first.min(records), end.min(records).max(first.min(records)))
    };
    pairs.map(range).collect()
}

/// Records that follow each other.
pub(crate) struct Records<'a> {
    values: &'a [u64],
    fields: usize,
    /// Where each number ends, behind `base`; none if there is one record, which ends there.
    ends: &'a [u32],
    base: u64,
}

impl Records<'_> {
    fn len(&self) -> usize {
        self.values.len() / self.fields
    }

    /// Each record, and where it ends in the input.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u64], u64)> {
        let records = self.values.chunks_exact(self.fields).enumerate();
        records.map(|(at, record)| (record, self.position(at)))
    }

    /// Where a record ends in the input.
    fn position(&self, record: usize) -> u64 {
        self.base + self.ends.get((record + 1) * self.fields - 1).map_or(0, |end| u64::from(*end))
    }
}

/// Bytes before a block that are read with it: numbers are looked at from their ends.
const BEFORE: usize = 16;

/// Parses all records of a list, in parallel, each block into its own part of the result.
pub(crate) fn parse<P: Send>(
    source: &Source,
    numbers: &Numbers,
    fields: usize,
    parts: Vec<P>,
    progress: Option<&Arc<AtomicU64>>,
    take: impl Fn(&mut P, usize, &Records<'_>) -> Result<(), Error> + Sync,
) -> Result<Vec<P>, Error> {
    let ranges = ranges(numbers, fields);
    let work = parts.into_par_iter().zip(ranges.par_iter()).enumerate();
    let parsed = work.map_init(Vec::new, |buffer, (block, (mut part, &(first, end)))| {
        if first == end {
            return Ok(part);
        }
        let start = numbers.start + block * BLOCK;
        let stop = (start + BLOCK + SLACK).min(numbers.end);
        let before = BEFORE.min(start);
        let bytes = source.block(start - before, stop, buffer)?;
        let mut cursor = Cursor::new(bytes, start - before);
        cursor.go_to(before);
        // The comma before a block's first record is one of those skipped.
        cursor.skip_commas((first as u64 * fields as u64 - numbers.commas[block]) as usize);
        cursor.skip_blanks();
        let base = (start - before) as u64;
        let (done, place) = ints::records(bytes, cursor.place(), end - first, fields, |index, values, ends| {
            take(&mut part, index, &Records { values, fields, ends, base })
        })?;
        // What is left is written in some other way, or is near the end.
        cursor.go_to(place);
        let mut record = [0; MAX_FIELDS];
        for index in done..end - first {
            cursor.record(fields, index == 0, &mut record)?;
            let values = &record[..fields];
            take(&mut part, index, &Records { values, fields, ends: &[], base: cursor.position() })?;
        }
        if let Some(progress) = progress {
            progress.fetch_add((BLOCK.min(numbers.end - start)) as u64, Ordering::Relaxed);
        }
        Ok(part)
    });
    parsed.collect()
}

fn whole_records(numbers: &Numbers, fields: usize, what: &'static str, limit: u64) -> Result<usize, Error> {
    let count = numbers.count();
    if !count.is_multiple_of(fields as u64) {
        let what = format!("the list of {what} has {count} numbers, which is no multiple of {fields}");
        return Err(malformed(numbers.end as u64, what));
    }
    let records = count / fields as u64;
    if records > limit {
        return Err(Error::TooLarge { count: records, what, limit });
    }
    Ok(records as usize)
}

pub(crate) fn small(value: u64, what: &str, position: u64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| malformed(position, format!("{what} {value} has more than 32 bits")))
}

/// Cuts a column into the parts of the blocks.
fn cut<'a, T>(mut column: &'a mut [T], ranges: &[(usize, usize)]) -> Vec<&'a mut [T]> {
    let cut = |&(first, end): &(usize, usize)| {
        let (part, rest) = std::mem::take(&mut column).split_at_mut(end - first);
        column = rest;
        part
    };
    ranges.iter().map(cut).collect()
}

struct NodePart<'a> {
    first: usize,
    kind: &'a mut [u8],
    name: &'a mut [u32],
    id: &'a mut [u32],
    size: &'a mut [u32],
    edges: &'a mut [u32],
    large: Vec<(u32, u64)>,
    largest_name: u32,
}

impl NodePart<'_> {
    /// Takes nodes over; whether all are right.
    #[inline(always)]
    fn take(&mut self, first: usize, records: &Records<'_>, layout: &NodeLayout) -> bool {
        let part = first..first + records.len();
        let columns = self.kind[part.clone()].iter_mut().zip(&mut self.name[part.clone()]);
        let columns = columns.zip(&mut self.id[part.clone()]).zip(&mut self.size[part.clone()]);
        let columns = columns.zip(&mut self.edges[part]).zip(records.values.chunks_exact(layout.fields));
        let (mut largest, mut longest) = (0, 0);
        let mut wrong = false;
        for (index, (((((kind, name), id), size), edges), record)) in columns.enumerate() {
            let known = layout.kinds.get(record[layout.kind] as usize).copied();
            let detachedness = layout.detachedness.map_or(0, |field| record[field] as u8 & 3);
            wrong |= known.is_none();
            *kind = known.unwrap_or(NodeKind::Other) as u8 | detachedness << 6;
            let numbers = [record[layout.name], record[layout.id], record[layout.edge_count]];
            longest |= numbers[0] | numbers[1] | numbers[2];
            largest = largest.max(numbers[0] as u32);
            (*name, *id, *edges) = (numbers[0] as u32, numbers[1] as u32, numbers[2] as u32);
            *size = sizes::small(record[layout.self_size]);
            if *size == sizes::LARGE {
                self.large.push(((self.first + first + index) as u32, record[layout.self_size]));
            }
        }
        self.largest_name = self.largest_name.max(largest);
        !wrong && longest <= u64::from(u32::MAX)
    }
}

/// What is wrong with the first node of which something is.
#[cold]
fn wrong_node(records: &Records<'_>, layout: &NodeLayout) -> Error {
    let numbers =
        [(layout.name, "a node's name"), (layout.id, "a node's id"), (layout.edge_count, "a node's number of edges")];
    for (record, position) in records.iter() {
        if layout.kinds.get(record[layout.kind] as usize).is_none() {
            let what = format!("a node of type {}, which `meta` does not name", record[layout.kind]);
            return malformed(position, what);
        }
        for (field, what) in numbers {
            if let Err(error) = small(record[field], what, position) {
                return error;
            }
        }
    }
    malformed(records.position(0), "a node that can't be read")
}

fn read_nodes(
    source: &Source,
    list: &Numbers,
    header: &Header,
    progress: Option<&Arc<AtomicU64>>,
) -> Result<(Nodes, Sizes, u32), Error> {
    let layout = &header.nodes;
    let count = whole_records(list, layout.fields, "nodes", MAX_NODES)?;
    if count == 0 {
        return Err(malformed(list.start as u64, "the snapshot has no nodes"));
    }
    let mut nodes = Nodes {
        kind: Column::new(count)?,
        name: Column::new(count)?,
        id: Column::new(count)?,
        first_edge: Column::new(count + 1)?,
    };
    let mut sizes = Sizes::new(count)?;
    let ranges = ranges(list, layout.fields);
    let columns = cut(&mut nodes.kind, &ranges).into_iter().zip(cut(&mut nodes.name, &ranges));
    let columns = columns.zip(cut(&mut nodes.id, &ranges)).zip(cut(&mut sizes.small, &ranges));
    let columns = columns.zip(cut(&mut nodes.first_edge[..count], &ranges)).zip(&ranges);
    let part = |(((((kind, name), id), size), edges), range): (_, &(usize, usize))| NodePart {
        first: range.0,
        kind,
        name,
        id,
        size,
        edges,
        large: Vec::new(),
        largest_name: 0,
    };
    let parts: Vec<NodePart<'_>> = columns.map(part).collect();
    let parts = parse(source, list, layout.fields, parts, progress, |part, first, records| {
        if part.take(first, records, layout) { Ok(()) } else { Err(wrong_node(records, layout)) }
    })?;
    let largest_name = parts.iter().map(|part| part.largest_name).max().unwrap_or(0);
    sizes.large = parts.into_iter().flat_map(|part| part.large).collect();
    Ok((nodes, sizes, largest_name))
}

struct EdgePart<'a> {
    first: usize,
    offsets: Vec<u64>,
    to: &'a mut [u32],
    kind: &'a mut [u8],
    name: &'a mut [u32],
    largest_name: u32,
}

impl EdgePart<'_> {
    /// Takes edges over; whether all are right.
    #[inline(always)]
    fn take(&mut self, first: usize, records: &Records<'_>, layout: &EdgeLayout, nodes: u64, node_fields: u64) -> bool {
        // Multiplying by this gives the quotient in the upper half, for all that may be an index.
        let reciprocal = u64::MAX / node_fields.max(2) + 1;
        let part = first..first + records.len();
        let columns = self.kind[part.clone()].iter_mut().zip(&mut self.name[part.clone()]).zip(&mut self.to[part]);
        let (mut largest, mut wrong) = (self.largest_name, false);
        let mut put = |[kind_of, name_of, index]: [u64; 3], ((kind, name), to): ((&mut u8, &mut u32), &mut u32)| {
            let known = layout.kinds.get(kind_of as usize).copied();
            let node = ((u128::from(index) * u128::from(reciprocal)) >> 64) as u64;
            wrong |=
                known.is_none() | (name_of > u64::from(u32::MAX)) | (node >= nodes) | (node * node_fields != index);
            let known = known.unwrap_or(EdgeKind::Other);
            *kind = known as u8;
            *name = name_of as u32;
            *to = node as u32;
            largest = largest.max(if known.is_indexed() { 0 } else { *name });
        };
        let at = [layout.kind, layout.name, layout.to_node];
        if layout.fields == 3 && at == [0, 1, 2] {
            // As V8 writes them: the compiler knows where everything is.
            records.values.as_chunks::<3>().0.iter().zip(columns).for_each(|(record, columns)| put(*record, columns));
        } else {
            let records = records.values.chunks_exact(layout.fields);
            records.zip(columns).for_each(|(record, columns)| put(at.map(|at| record[at]), columns));
        }
        self.largest_name = largest;
        !wrong
    }
}

/// What is wrong with the first edge of which something is.
#[cold]
fn wrong_edge(records: &Records<'_>, layout: &EdgeLayout, nodes: u64, node_fields: u64) -> Error {
    for (record, position) in records.iter() {
        let (kind, index) = (record[layout.kind], record[layout.to_node]);
        if layout.kinds.get(kind as usize).is_none() {
            return malformed(position, format!("an edge of type {kind}, which `meta` does not name"));
        }
        if index / node_fields >= nodes || index % node_fields != 0 {
            return malformed(position, format!("an edge to index {index}, where no node begins"));
        }
        if let Err(error) = small(record[layout.name], "an edge's name", position) {
            return error;
        }
    }
    malformed(records.position(0), "an edge that can't be read")
}

fn read_edges(
    source: &Source,
    list: &Numbers,
    header: &Header,
    nodes: usize,
    progress: Option<&Arc<AtomicU64>>,
) -> Result<(Edges, u32), Error> {
    let layout = &header.edges;
    let count = whole_records(list, layout.fields, "edges", MAX_EDGES)?;
    let mut edges = Edges {
        packed: Column::new(count)?,
        kind: Column::new(count)?,
        name: Column::new(count)?,
        offsets: Vec::new(),
    };
    let ranges = ranges(list, layout.fields);
    let columns = cut(&mut edges.packed, &ranges).into_iter().zip(cut(&mut edges.kind, &ranges));
    let columns = columns.zip(cut(&mut edges.name, &ranges)).zip(&ranges);
    let part = |(((to, kind), name), range): (_, &(usize, usize))| EdgePart {
        first: range.0,
        offsets: Vec::new(),
        to,
        kind,
        name,
        largest_name: 0,
    };
    let parts: Vec<EdgePart<'_>> = columns.map(part).collect();
    let node_fields = header.nodes.fields as u64;
    let parts = parse(source, list, layout.fields, parts, progress, |part, first, records| {
        if !part.take(first, records, layout, nodes as u64, node_fields) {
            return Err(wrong_edge(records, layout, nodes as u64, node_fields));
        }
        // Records with numbers that are one less than a multiple.
        let known = part.first + first;
        let ends = (known / OFFSET_EVERY + 1) * OFFSET_EVERY - 1;
        let remembered = (ends..known + records.len()).step_by(OFFSET_EVERY);
        part.offsets.extend(remembered.map(|edge| records.position(edge - known)));
        Ok(())
    })?;
    let largest_name = parts.iter().map(|part| part.largest_name).max().unwrap_or(0);
    edges.offsets = parts.into_iter().flat_map(|part| part.offsets).collect();
    Ok((edges, largest_name))
}

/// Turns numbers of edges into the first edge of each node.
fn sum_edge_counts(nodes: &mut Nodes, edges: usize, position: usize) -> Result<(), Error> {
    let mut sum = 0_u64;
    for first in nodes.first_edge.iter_mut() {
        let count = u64::from(*first);
        *first = sum.min(MAX_EDGES) as u32;
        sum += count;
    }
    if sum != edges as u64 {
        let what = format!("the nodes claim {sum} edges, but there are {edges}");
        return Err(malformed(position as u64, what));
    }
    Ok(())
}

/// Names must be strings that are there. Those that a cut has lost become `?`.
fn check_names(
    nodes: &mut Nodes,
    edges: &mut Edges,
    strings: &mut Strings,
    is_cut: bool,
    positions: (usize, usize),
) -> Result<(), Error> {
    let named = |kind: u8| !EdgeKind::from_bits(kind).is_indexed();
    if is_cut {
        let known = strings.len() as u32;
        let lost = strings.add("?".to_owned());
        let replace = |name: &mut u32| {
            if *name >= known {
                *name = lost;
            }
        };
        nodes.name.par_iter_mut().for_each(replace);
        edges
            .name
            .par_iter_mut()
            .zip(edges.kind.par_iter())
            .filter(|(_, kind)| named(**kind))
            .for_each(|(name, _)| replace(name));
        return Ok(());
    }
    let strings = strings.len();
    let wrong = |name: u32| name as usize >= strings;
    if let Some(node) = nodes.name.par_iter().position_first(|name| wrong(*name)) {
        let what = format!("node {node} has name {}, but there are {strings} strings", nodes.name[node]);
        return Err(malformed(positions.0 as u64, what));
    }
    let edge =
        edges.name.par_iter().zip(edges.kind.par_iter()).position_first(|(name, kind)| named(*kind) && wrong(*name));
    if let Some(edge) = edge {
        let what = format!("edge {edge} has name {}, but there are {strings} strings", edges.name[edge]);
        return Err(malformed(positions.1 as u64, what));
    }
    Ok(())
}
