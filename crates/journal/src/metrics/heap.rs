//! Figures of heap snapshots: their size, and how it grew from one to the next.

use burnmark_heap::{Growth, Tier};

use super::collect::Collect;
use super::{Measured, Source};
use crate::Direction;

/// Figures of the last snapshot, of `size` bytes, and of the growth up to it where there are several. Of snapshots of
/// different processes there is no growth.
pub fn measured(size: u64, growth: Option<&Growth>) -> Measured {
    let mut collect = Collect::new(Source::HeapSnapshots);
    let mut add = |name: &str, unit, value| collect.add(name, unit, Direction::Lower, Some(value));
    let megabytes = |bytes: f64| bytes / 1e6;
    add("heap_mb", "MB", megabytes(size as f64));
    match growth {
        Some(growth) if growth.same_process => {
            if let (Some(first), Some(last)) = (growth.totals.first(), growth.totals.last()) {
                let grown = *last as f64 - *first as f64;
                add("heap_growth_mb", "MB", megabytes(grown));
                let intervals = growth.totals.len().saturating_sub(1).max(1) as f64;
                add("heap_growth_mb_per_snapshot", "MB", megabytes(grown / intervals));
                if *first > 0 {
                    add("heap_growth_pct", "%", grown / *first as f64 * 100.0);
                }
            }
            let sure = growth.suspects.iter().filter(|suspect| suspect.tier > Tier::Indication).count();
            if growth.totals.len() > 2 {
                add("heap_leak_suspects", "", sure as f64);
            } else {
                collect.note("two snapshots show one step of growth: heap_leak_suspects needs three or more");
            }
        }
        Some(_) => collect.note("the snapshots are of different processes: there is no growth between them"),
        None => collect.note("one snapshot shows no growth: name two or more, the earliest first"),
    }
    collect.note("heap snapshots have no times: heap_slope_mb_per_h needs memory over time (`burnmark trend`)");
    collect.finish()
}
