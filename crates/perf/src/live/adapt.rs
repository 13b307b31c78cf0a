//! How much of the user's stack a sample should copy: enough that stacks are whole, little enough that the rings hold
//! what comes until they are read.

use super::setup::Binding;

/// The shortest copy, where all stacks fit into it.
const LEAST_STACK_BYTES: u32 = 2 << 10;

/// The shortest copy for want of room, or after a loss.
pub(super) const MIN_STACK_BYTES: u32 = 8 << 10;

/// The longest copy.
pub(super) const MAX_STACK_BYTES: u32 = 32 << 10;

/// The length to begin with, where the ring has room for it.
const FIRST_STACK_BYTES: u32 = 16 << 10;

/// A ring has to hold the samples of this part of a second: so long may it take until it is read.
const READ_WITHIN: u64 = 20;

/// The length is looked at after that time, if there were that many samples.
const WINDOW_NS: u64 = 100_000_000;
const WINDOW_SAMPLES: u64 = 20;

/// One stack in that many may be longer than the copy.
const TOLERATED_CUT: u64 = 100;

/// After a loss, the shorter copy is kept for that long.
const PATIENCE_NS: u64 = 20_000_000_000;

/// The copy becomes shorter when so many stacks, in that time, would have fitted into the shorter one but for one in so
/// many: copying is most of what a sample costs the target. Each time that it has to become longer, whoever asks for
/// this has to wait twice as long, so that a program whose stacks change is not cut again and again.
const CALM_NS: u64 = 400_000_000;
const CALM_SAMPLES: u64 = 400;
const CALM_CUT: u64 = 400;

/// Classes of stacks by length: up to 1 KiB, 2 KiB, and so on to 32 KiB.
pub const CLASSES: usize = 6;

/// What unwinding found of the lengths of stacks. Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StackLengths {
    /// Stacks that were unwound.
    pub unwound: u64,
    /// Stacks that were longer than their copy.
    pub cut: u64,
    /// Whole stacks, by how much of their copy they took: the class at `i` at most `1024 << i` bytes.
    pub whole: [u64; CLASSES],
}

impl StackLengths {
    /// The class of a length in bytes.
    pub fn class(bytes: u64) -> usize {
        (bytes.saturating_sub(1).max(1).ilog2() as usize).saturating_sub(9).min(CLASSES - 1)
    }

    /// What came after `before`.
    fn since(&self, before: &StackLengths) -> StackLengths {
        StackLengths {
            unwound: self.unwound.saturating_sub(before.unwound),
            cut: self.cut.saturating_sub(before.cut),
            whole: std::array::from_fn(|class| self.whole[class].saturating_sub(before.whole[class])),
        }
    }

    /// The shortest copy that nearly all of these fit into.
    fn enough(&self) -> u32 {
        let mut longer = self.cut + self.whole.iter().sum::<u64>();
        for (class, whole) in self.whole.iter().enumerate() {
            longer -= whole;
            if longer * CALM_CUT <= self.unwound {
                return LEAST_STACK_BYTES.max(1024 << class);
            }
        }
        MAX_STACK_BYTES
    }
}

/// Decides on the length of the copy.
#[derive(Debug)]
pub(super) struct StackSize {
    bytes: u32,
    /// What the ring has room for.
    limit: u32,
    /// Lengths above this have lost samples, until that time.
    ceiling: Option<(u32, u64)>,
    /// When the last look was, and the counts then.
    window: (u64, StackLengths, u64),
    /// The same for the last time the length changed, or that shorter ones were thought of.
    calm: (u64, StackLengths),
    /// How long it has to be calm.
    calm_ns: u64,
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
        let none = StackLengths::default();
        StackSize { bytes, limit, ceiling: None, window: (now, none, 0), calm: (now, none), calm_ns: CALM_NS }
    }

    /// The length that samples should have from now on.
    pub(super) fn next(&mut self, now: u64, lengths: &StackLengths, lost: u64) -> u32 {
        let (since, before, lost_before) = self.window;
        let (recent, just_lost) = (lengths.since(&before), lost.saturating_sub(lost_before));
        if now.saturating_sub(since) < WINDOW_NS || recent.unwound + just_lost < WINDOW_SAMPLES {
            return self.bytes;
        }
        self.window = (now, *lengths, lost);
        if self.ceiling.is_some_and(|(_, until)| now >= until) {
            self.ceiling = None;
        }
        let next = if just_lost > 0 {
            let less = (self.bytes / 2).max(MIN_STACK_BYTES.min(self.bytes));
            self.ceiling = Some((less, now + PATIENCE_NS));
            less
        } else if recent.cut > recent.unwound / TOLERATED_CUT {
            // How long they are is not known, and each step would cost stacks; shorter again is soon done.
            self.ceiling.map_or(self.limit, |(ceiling, _)| ceiling.min(self.limit)).max(self.bytes)
        } else {
            self.shorter(now, lengths)
        };
        if next > self.bytes {
            self.calm_ns = (self.calm_ns * 2).min(PATIENCE_NS);
        }
        if next != self.bytes {
            self.calm = (now, *lengths);
        }
        self.bytes = next;
        next
    }

    /// A length that was enough for long.
    fn shorter(&mut self, now: u64, lengths: &StackLengths) -> u32 {
        let (since, before) = self.calm;
        let calm = lengths.since(&before);
        if now.saturating_sub(since) < self.calm_ns || calm.unwound < CALM_SAMPLES {
            return self.bytes;
        }
        self.calm = (now, *lengths);
        calm.enough().min(self.bytes)
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

    /// Feeds windows of (samples, cut, lost), with whole stacks of 20 KiB.
    fn lengths(first: u32, limit: u32, windows: &[(u64, u64, u64)]) -> Vec<u32> {
        let (mut size, mut counts, mut lost, mut now) =
            (StackSize::new(first, limit, 0), StackLengths::default(), 0, 0);
        let lengths = windows.iter().map(|&(samples, cut, more_lost)| {
            now += WINDOW_NS;
            counts.unwound += samples;
            counts.cut += cut;
            counts.whole[5] += samples - cut;
            lost += more_lost;
            size.next(now, &counts, lost) / KB
        });
        lengths.collect()
    }

    #[test]
    fn longer_while_stacks_are_cut() {
        assert_eq!(
            lengths(8 * KB, 32 * KB, &[(400, 40, 0), (400, 5, 0), (400, 4, 0), (400, 400, 0)]),
            [32, 32, 32, 32]
        );
        assert_eq!(lengths(8 * KB, 16 * KB, &[(400, 40, 0), (400, 40, 0)]), [16, 16]);
        assert_eq!(lengths(2 * KB, 32 * KB, &[(400, 40, 0), (400, 40, 0)]), [32, 32]);
        // Too few to tell.
        assert_eq!(lengths(8 * KB, 32 * KB, &[(10, 10, 0), (15, 10, 0)]), [8, 32]);
    }

    #[test]
    fn shorter_while_samples_are_lost_and_not_at_once_longer_again() {
        let windows = [(400, 40, 1), (400, 40, 0), (400, 40, 30), (400, 0, 30), (400, 40, 0)];
        assert_eq!(lengths(32 * KB, 32 * KB, &windows), [16, 16, 8, 8, 8]);
        let mut long = vec![(400, 40, 1)];
        long.extend([(400, 40, 0); 201]);
        let lengths = lengths(32 * KB, 32 * KB, &long);
        assert_eq!((lengths[0], lengths[199], lengths[201]), (16, 16, 32));
    }

    #[test]
    fn lengths_have_their_classes() {
        let classes = [0, 1, 1024, 1025, 2048, 2049, 32 << 10, (32 << 10) + 1, u64::MAX].map(StackLengths::class);
        assert_eq!(classes, [0, 0, 0, 1, 1, 2, 5, 5, 5]);
    }

    /// The lengths after so many windows of 400 stacks of these classes.
    fn settled(first: u32, classes: &[(usize, u64)], windows: usize) -> Vec<u32> {
        let (mut size, mut counts) = (StackSize::new(first, 32 * KB, 0), StackLengths::default());
        let lengths = (1..=windows as u64).map(|window| {
            for &(class, share) in classes {
                counts.unwound += share;
                match 1024 << class <= size.bytes {
                    true => counts.whole[class] += share,
                    false => counts.cut += share,
                }
            }
            size.next(window * WINDOW_NS, &counts, 0) / KB
        });
        lengths.collect()
    }

    #[test]
    fn shorter_later_and_later_when_stacks_become_longer_again() {
        let (mut size, mut counts) = (StackSize::new(16 * KB, 32 * KB, 0), StackLengths::default());
        let lengths = (1..=400_u64).map(|window| {
            // Long stacks come whenever the copy is short.
            counts.unwound += 400;
            match size.bytes < 16 * KB {
                true => counts.cut += 400,
                false => counts.whole[0] += 400,
            }
            size.next(window * WINDOW_NS, &counts, 0)
        });
        let lengths: Vec<u32> = lengths.collect();
        let cut = lengths.iter().filter(|&&bytes| bytes < 16 * KB).count();
        // After 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20... seconds.
        assert!((5..=7).contains(&cut), "{cut} {lengths:?}");
    }

    #[test]
    fn no_longer_than_nearly_all_stacks_need() {
        // Not at once.
        assert_eq!(settled(16 * KB, &[(0, 100), (2, 300)], 5), [16, 16, 16, 4, 4]);
        assert_eq!(settled(16 * KB, &[(0, 400)], 4)[3], 2);
        // One in 400 does no harm, two do.
        assert_eq!(settled(16 * KB, &[(0, 399), (4, 1)], 4)[3], 2);
        assert_eq!(settled(16 * KB, &[(0, 398), (4, 2)], 12), [16; 12]);
        // Longer than the copy and rare: neither longer nor shorter.
        assert_eq!(settled(8 * KB, &[(3, 398), (4, 2)], 12), [8; 12]);
        // They became longer.
        assert_eq!(settled(2 * KB, &[(4, 400)], 12), [32, 32, 32, 32, 32, 32, 32, 32, 16, 16, 16, 16]);
    }
}
