//! Heap snapshots: sizes, when they were taken, and what is retained.

use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::bail;
use burnmark_heap::GrowthOptions;
use burnmark_journal::log;
use burnmark_journal::metrics::of_growth;

use super::Gathered;
use crate::args::EvidenceArgs;
use crate::{inputs, snapshots};

/// Suspects that are kept.
const SUSPECTS: usize = 10;

/// Said where names of snapshots have no times.
const OF_FILES: &str = "times of the heap snapshots are those of the files' last change: a copy may have another";

/// Said where those can't be right either.
const NO_TIMES: &str = "when the heap snapshots were taken is not known: their names don't say it, and by their last change the \
     files are not in this order";

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
    let times = times(&args.heap, gathered);
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

/// When the snapshots were taken, in seconds: as their names say, or else as their files were last changed.
fn times(paths: &[std::path::PathBuf], gathered: &mut Gathered) -> Vec<Option<u64>> {
    if paths.len() < 2 {
        return vec![None; paths.len()];
    }
    let named: Option<Vec<u64>> = paths.iter().map(|path| log::time_in_name(&super::file_name(path))).collect();
    let is_ordered = |times: &[u64]| times.windows(2).all(|pair| pair[0] <= pair[1]);
    if let Some(times) = named.filter(|times| is_ordered(times)) {
        return times.into_iter().map(Some).collect();
    }
    let changed = |path: &Path| {
        let time = std::fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
        Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
    };
    let changed: Option<Vec<u64>> = paths.iter().map(|path| changed(path)).collect();
    match changed.filter(|times| is_ordered(times) && times.first() != times.last()) {
        Some(times) => {
            gathered.note(OF_FILES);
            times.into_iter().map(Some).collect()
        }
        None => {
            gathered.note(NO_TIMES);
            vec![None; paths.len()]
        }
    }
}
