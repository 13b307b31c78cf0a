//! What a session counts.

use crate::layout::SampleLayout;
use crate::record::Record;

/// What was lost within one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loss {
    /// Seconds since the start of the session.
    pub second: u64,
    /// Records that found no room in a ring, of any process and any type.
    pub lost: u64,
    /// How often the kernel stopped sampling because it took too much time.
    pub throttled: u64,
}

/// Counts so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Samples handed on.
    pub samples: u64,
    /// Records handed on, samples included.
    pub records: u64,
    /// Records of processes that are not sampled, dropped.
    pub others: u64,
    /// Second samples of the same moment, dropped (see `live/attach.rs`).
    pub duplicates: u64,
    /// Records lost, of any process and any type.
    pub lost: u64,
    /// How often the kernel stopped sampling because it took too much time.
    pub throttled: u64,
    /// How often processes were read from `/proc` again, since records of their maps and names may have been lost.
    pub resyncs: u64,
    /// Bytes in rings that were no records.
    pub damaged_bytes: u64,
    /// Of a command: its processes that still ran at the end.
    pub living: Vec<i32>,
    /// When it was lost; seconds without loss are left out.
    pub losses: Vec<Loss>,
}

/// Counts a record that tells of a loss; returns how many records were lost.
pub(super) fn count_loss(record: &[u8], layout: &SampleLayout, start_ns: u64, stats: &mut Stats) -> u64 {
    let Ok(record) = Record::decode(record, layout) else { return 0 };
    let loss = loss_at(&mut stats.losses, start_ns, record.time().unwrap_or(start_ns));
    match record {
        Record::Lost(lost) | Record::LostSamples(lost) => {
            loss.lost += lost.lost;
            stats.lost += lost.lost;
            return lost.lost;
        }
        Record::Throttle(_) => {
            loss.throttled += 1;
            stats.throttled += 1;
        }
        _ => {}
    }
    0
}

/// The entry for a moment.
pub(super) fn loss_at(losses: &mut Vec<Loss>, start_ns: u64, time: u64) -> &mut Loss {
    let second = time.saturating_sub(start_ns) / 1_000_000_000;
    // Records come in time order: only the last can be the same second.
    if losses.last().is_none_or(|last| last.second < second) {
        losses.push(Loss { second, ..Loss::default() });
    }
    let last = losses.len() - 1;
    &mut losses[last]
}
