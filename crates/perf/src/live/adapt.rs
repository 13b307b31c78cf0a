//! How much of the user's stack a sample should copy: enough that stacks are whole, little enough that the rings hold
//! what comes until they are read.

use super::setup::Binding;

/// The shortest copy.
pub(super) const MIN_STACK_BYTES: u32 = 8 << 10;

/// The longest copy.
pub(super) const MAX_STACK_BYTES: u32 = 32 << 10;

/// The length to begin with, where the ring has room for it.
const FIRST_STACK_BYTES: u32 = 16 << 10;

/// A ring has to hold the samples of this part of a second: so long may it take until it is read.
const READ_WITHIN: u64 = 20;

/// The length is looked at after that time, if there were that many samples.
const WINDOW_NS: u64 = 200_000_000;
const WINDOW_SAMPLES: u64 = 20;

/// One stack in that many may be cut off.
const TOLERATED_CUT: u64 = 100;

/// After a loss, the shorter copy is kept for that long.
const PATIENCE_NS: u64 = 20_000_000_000;

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) samples: u64,
    /// Stacks that went on past the end of their copy.
    pub(super) cut: u64,
    pub(super) lost: u64,
}

/// Decides on the length of the copy.
#[derive(Debug)]
pub(super) struct StackSize {
    bytes: u32,
    /// What the ring has room for.
    limit: u32,
    /// Lengths above this have lost samples, until that time.
    ceiling: Option<(u32, u64)>,
    window: (u64, Counts),
}

/// The longest copy for which a ring holds as many samples as come between two times it is read: a power of two.
pub(super) fn fitting(ring_bytes: usize, frequency: u64) -> u32 {
    let room = ring_bytes as u64 / (frequency / READ_WITHIN).max(1);
    let fitting = room.clamp(MIN_STACK_BYTES.into(), MAX_STACK_BYTES.into()) as u32;
    1 << fitting.ilog2()
}

/// The length to begin with, where the ring has room for `limit`. Only events of CPUs can change it later: others begin
/// with the longest.
pub(super) fn first(limit: u32, binding: Binding) -> u32 {
    if binding == Binding::Cpu { limit.min(FIRST_STACK_BYTES) } else { limit }
}

impl StackSize {
    pub(super) fn new(bytes: u32, limit: u32, now: u64) -> StackSize {
        StackSize { bytes, limit, ceiling: None, window: (now, Counts::default()) }
    }

    /// The length that samples should have from now on.
    pub(super) fn next(&mut self, now: u64, counts: Counts) -> u32 {
        let (since, before) = self.window;
        let samples = counts.samples.saturating_sub(before.samples);
        let lost = counts.lost.saturating_sub(before.lost);
        if now.saturating_sub(since) < WINDOW_NS || samples + lost < WINDOW_SAMPLES {
            return self.bytes;
        }
        self.window = (now, counts);
        if self.ceiling.is_some_and(|(_, until)| now >= until) {
            self.ceiling = None;
        }
        if lost > 0 {
            self.bytes = (self.bytes / 2).max(MIN_STACK_BYTES.min(self.bytes));
            self.ceiling = Some((self.bytes, now + PATIENCE_NS));
        } else if counts.cut.saturating_sub(before.cut) > samples / TOLERATED_CUT {
            let most = self.ceiling.map_or(self.limit, |(ceiling, _)| ceiling.min(self.limit));
            self.bytes = (self.bytes * 2).min(most).max(self.bytes);
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KB: u32 = 1 << 10;

    #[test]
    fn rings_have_room_for_a_twentieth_of_a_second() {
        assert_eq!(fitting(4 << 20, 999), 32 * KB);
        assert_eq!(fitting(1 << 20, 999), 16 * KB);
        assert_eq!(fitting(512 << 10, 199), 32 * KB);
        assert_eq!(fitting(512 << 10, 999), 8 * KB);
        assert_eq!(fitting(4 << 20, 10_000), 8 * KB);
        assert_eq!(fitting(16 << 10, 20_000), 8 * KB);
        assert_eq!(fitting(16 << 10, 1), 16 * KB);
    }

    /// Feeds windows of (samples, cut, lost).
    fn lengths(first: u32, limit: u32, windows: &[(u64, u64, u64)]) -> Vec<u32> {
        let (mut size, mut counts, mut now) = (StackSize::new(first, limit, 0), Counts::default(), 0);
        let lengths = windows.iter().map(|&(samples, cut, lost)| {
            now += WINDOW_NS;
            counts = Counts { samples: counts.samples + samples, cut: counts.cut + cut, lost: counts.lost + lost };
            size.next(now, counts) / KB
        });
        lengths.collect()
    }

    #[test]
    fn longer_while_stacks_are_cut() {
        assert_eq!(
            lengths(8 * KB, 32 * KB, &[(400, 40, 0), (400, 5, 0), (400, 4, 0), (400, 400, 0)]),
            [16, 32, 32, 32]
        );
        assert_eq!(lengths(8 * KB, 16 * KB, &[(400, 40, 0), (400, 40, 0)]), [16, 16]);
        // Too few to tell.
        assert_eq!(lengths(8 * KB, 32 * KB, &[(10, 10, 0), (15, 10, 0)]), [8, 16]);
    }

    #[test]
    fn shorter_while_samples_are_lost_and_not_at_once_longer_again() {
        let windows = [(400, 40, 1), (400, 40, 0), (400, 40, 30), (400, 0, 30), (400, 40, 0)];
        assert_eq!(lengths(32 * KB, 32 * KB, &windows), [16, 16, 8, 8, 8]);
        let mut long = vec![(400, 40, 1)];
        long.extend([(400, 40, 0); 101]);
        let lengths = lengths(32 * KB, 32 * KB, &long);
        assert_eq!((lengths[0], lengths[99], lengths[101]), (16, 16, 32));
    }
}
