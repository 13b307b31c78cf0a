//! `burnmark heap`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use burnmark_heap::{Census, GrowthOptions, Snapshot, census, classes_within, growth, in_order, overview, path};
use burnmark_report::{HeapInput, HeapObject, HeapSize, HeapView, TableForm};

use crate::args::HeapArgs;
use crate::{inputs, output, snapshots};

/// Reads snapshots and prints what they tell.
pub(crate) fn run(args: &HeapArgs) -> anyhow::Result<ExitCode> {
    let Some((last_path, earlier_paths)) = args.snapshots.split_last() else { bail!("name a snapshot") };
    if let Some(iterations) = &args.iterations {
        snapshots::check_iterations(iterations, args.snapshots.len())?;
    }
    inputs::are_different(&args.snapshots)?;
    // The last is read first: what is alive now decides how plain objects are grouped.
    let last = snapshots::open(last_path, args.max_decompressed, None)?;
    if let Some(file) = &args.nodes {
        output::write_file(file, |out| Ok(burnmark_report::heap_nodes(&last, out)?))?;
    }
    let (times, note) = snapshots::times(&args.snapshots);
    if let Some(note) = note {
        output::say(&format!("note: {note}"));
    }
    let mut sizes = Vec::new();
    let mut earlier: Vec<Census> = Vec::new();
    for (path, time) in earlier_paths.iter().zip(&times) {
        let snapshot = snapshots::open(path, args.max_decompressed, Some(last.shapes()))?;
        sizes.push(size(path, *time, &snapshot));
        earlier.push(census(&snapshot));
    }
    sizes.push(size(last_path, times.last().copied().flatten(), &last));
    if !in_order(&earlier, &last) {
        output::say(&format!("warning: {}", snapshots::OUT_OF_ORDER));
    }
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    let mut view = HeapView { sizes, limit, objects: objects(args, &last)?, ..HeapView::default() };
    let mut classes = match &args.focus {
        Some(focus) => classes_within(&last, |name| focus.is_match(name)),
        None => last.classes(),
    };
    if let Some(wanted) = &args.class {
        classes.retain(|class| wanted.is_match(&class.name));
    }
    view.classes = classes;
    let whole = args.class.is_none() && args.focus.is_none() && view.objects.is_empty();
    if !earlier.is_empty() {
        let options = GrowthOptions { iterations: args.iterations.clone(), limit };
        let mut growth = growth(&earlier, &last, &options);
        if let Some(wanted) = &args.class {
            growth.classes.retain(|class| wanted.is_match(&class.name));
            growth.suspects.retain(|suspect| wanted.is_match(&suspect.what));
        }
        view.growth = Some(growth);
    } else if whole {
        view.overview = Some(overview(&last, limit.min(1_000)));
    }
    let name = last_path.display().to_string();
    let input = HeapInput { name: &name, snapshot: &last };
    output::print(&burnmark_report::heap(&input, &view, &form(args)))?;
    Ok(ExitCode::SUCCESS)
}

fn size(path: &Path, written: Option<u64>, snapshot: &Snapshot) -> HeapSize {
    HeapSize {
        name: path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned()),
        written,
        nodes: snapshot.node_count(),
        edges: snapshot.edge_count(),
        total: snapshot.total_size(),
    }
}

fn objects(args: &HeapArgs, snapshot: &Snapshot) -> anyhow::Result<Vec<HeapObject>> {
    let ids = args.id.iter().map(|id| (id, true)).chain(args.path.iter().map(|id| (id, false)));
    let object = |(id, with_edges): (&u32, bool)| {
        let node = snapshot.node_by_id(*id);
        let node =
            node.with_context(|| format!("no object @{id} in the last snapshot: ids are those that tables show"))?;
        let mut edges = if with_edges { snapshot.edges(node) } else { Vec::new() };
        edges.sort_by_key(|edge| std::cmp::Reverse(snapshot.retained(edge.to)));
        Ok(HeapObject { node, path: path(snapshot, node), edges })
    };
    ids.map(object).collect()
}

fn form(args: &HeapArgs) -> TableForm {
    match (args.md, args.csv, args.json) {
        (true, _, _) => TableForm::Markdown,
        (_, true, _) => TableForm::Csv,
        (_, _, true) => TableForm::Json,
        _ => TableForm::Terminal { width: super::top::terminal_width(), colours: output::colours(&std::io::stdout()) },
    }
}
