//! Records in the order of their times.
//!
//! perf drains one CPU's buffer after the other and writes `FINISHED_ROUND` when it has been through all of them. What
//! was written before the last but one such mark can't be preceded by anything that comes later, so that everything up
//! to the latest time known then may go.

use super::store::Store;

/// Records that wait at most: 24 MB. A round is a pass over all CPUs' buffers, of some MB; this is room for the largest.
/// What has no rounds is sorted within windows of half as many.
const MAX_WAITING: usize = 1 << 20;

/// Bytes of memory that they may hold, where they are not in a mapped file.
const MAX_HELD: usize = 128 << 20;

/// Rounds are taken together until so many records can be handed out.
const WORTHWHILE: usize = 1 << 14;

/// Or they have so many bytes: with copies of stacks there is much to do for each.
const BYTES_WORTHWHILE: u64 = 64 << 20;

/// Or so many bytes are held.
const HELD_WORTHWHILE: usize = 16 << 20;

/// A record that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Nanoseconds; 0 for records without a time, which come first.
    pub(super) time: u64,
    /// Offset in its chunk, or in the file.
    pub(super) at: u64,
    pub(super) chunk: u32,
    pub(super) event: u16,
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Vec<Entry>,
    /// Of records since some were handed out.
    bytes: u64,
    /// The latest time that was met.
    latest: u64,
    /// What it was at the last round.
    latest_at_round: u64,
    /// Up to here records can be handed out.
    limit: u64,
    handed_out: u64,
}

impl Queue {
    /// Adds a record of this length; false if it is earlier than one that was handed out.
    pub(super) fn push(&mut self, entry: Entry, length: u16) -> bool {
        self.bytes += u64::from(length);
        self.latest = self.latest.max(entry.time);
        self.waiting.push(entry);
        entry.time == 0 || entry.time >= self.handed_out
    }

    /// Takes in the end of a round; true if [`Queue::ready`] is to be called.
    pub(super) fn round(&mut self, store: &Store<'_>) -> bool {
        self.limit = self.limit.max(self.latest_at_round);
        self.latest_at_round = self.latest;
        let is_worthwhile =
            self.waiting.len() >= WORTHWHILE || self.bytes >= BYTES_WORTHWHILE || store.held() >= HELD_WORTHWHILE;
        self.limit > 0 && is_worthwhile
    }

    /// Whether something must go, although earlier records may follow.
    pub(super) fn is_full(&self, store: &Store<'_>) -> bool {
        self.waiting.len() >= MAX_WAITING || store.held() >= MAX_HELD
    }

    /// The records that no earlier one can follow, in order.
    pub(super) fn ready(&mut self) -> Vec<Entry> {
        self.sort();
        let count = self.waiting.partition_point(|entry| entry.time <= self.limit);
        self.first(count)
    }

    /// The earlier half of the records.
    pub(super) fn half(&mut self) -> Vec<Entry> {
        self.sort();
        let count = self.waiting.len().div_ceil(2);
        self.first(count)
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> Vec<Entry> {
        self.sort();
        self.first(self.waiting.len())
    }

    fn sort(&mut self) {
        // Stable: records of one time stay as they came. It merges the runs that each CPU's buffer is.
        self.waiting.sort_by_key(|entry| entry.time);
    }

    fn first(&mut self, count: usize) -> Vec<Entry> {
        self.bytes = 0;
        let later = self.waiting.split_off(count);
        let first = std::mem::replace(&mut self.waiting, later);
        self.handed_out = first.last().map_or(self.handed_out, |last| last.time.max(self.handed_out));
        first
    }
}
