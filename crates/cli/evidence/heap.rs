//! Heap snapshots: sizes, when they were taken, and what is retained.

use anyhow::bail;
use burnmark_heap::GrowthOptions;
use burnmark_journal::log;
use burnmark_journal::metrics::of_growth;

use super::Gathered;
use crate::args::EvidenceArgs;
use crate::{inputs, snapshots};

/// Suspects that are kept.
const SUSPECTS: usize = 10;

/// Reads the snapshots, the last first: what is alive now decides how plain objects are grouped.
pub(super) fn read(args: &EvidenceArgs, gathered: &mut Gathered) -> anyhow::Result<()> {
    let Some((last_path, earlier_paths)) = args.heap.split_last() else { return Ok(()) };
    if let Some(iterations) = &args.iterations {
        snapshots::check_iterations(iterations, args.heap.len())?;
        gathered.option("iterations", format!("{iterations:?}"));
    }
    inputs::are_different(&args.heap)?;
    for path in &args.heap {
        gathered.input("heap", path)?;
    }
    let last = snapshots::open(last_path, args.read.max_decompressed, None)?;
    let (mut sizes, mut earlier) = (Vec::new(), Vec::new());
    for path in earlier_paths {
        let snapshot = snapshots::open(path, args.read.max_decompressed, Some(last.shapes()))?;
        sizes.push(snapshot.total_size());
        earlier.push(burnmark_heap::census(&snapshot));
    }
    sizes.push(last.total_size());
    if !burnmark_heap::in_order(&earlier, &last) {
        bail!("{}", snapshots::OUT_OF_ORDER);
    }
    let (times, note) = snapshots::times(&args.heap);
    if let Some(note) = note {
        gathered.note(note);
    }
    let sizes: Vec<(String, Option<u64>, u64)> = args
        .heap
        .iter()
        .zip(times)
        .zip(sizes)
        .map(|((path, time), size)| (super::file_name(path), time, size))
        .collect();
    let options = GrowthOptions { iterations: args.iterations.clone(), limit: usize::MAX };
    let growth = (!earlier.is_empty()).then(|| burnmark_heap::growth(&earlier, &last, &options));
    gathered.held.results.push((super::file_name(last_path), of_growth(last.total_size(), growth.as_ref())));
    let mut heap = log::retained(&sizes, growth.as_ref());
    heap.retained.truncate(SUSPECTS);
    gathered.evidence.heap = Some(heap);
    Ok(())
}
