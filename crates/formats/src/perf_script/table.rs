//! Keyed hashing, and tables made for looking up millions of lines that repeat.

use std::hash::BuildHasher;

use super::memory::Memory;

/// 128 bits that stand for a text.
///
/// The hash is NH (Black et al., "UMAC", 1999) on 64-bit words, twice with shifted keys: for any two texts, over the
/// choice of keys, both sums collide with a probability below 2⁻¹²⁷; folding them to 128 bits costs a few of these. Keys
/// are random in each process, so no input can be made to collide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hash {
    low: u64,
    high: u64,
}

/// How many bytes one round of keys covers.
const ROUND: usize = 256;
const STEP: usize = 16;

/// The secret of a [`Hash`].
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// Two words per step, one step more for the second sum, whose keys are the first's from the next step on.
    steps: [[u64; 2]; ROUND / STEP + 1],
    /// For the last, overlapping step.
    tail: [u64; 4],
    /// For joining rounds.
    joint: [u64; 2],
}

impl Keys {
    /// Keys from the standard library's source of randomness.
    pub(super) fn random() -> Self {
        let random = std::hash::RandomState::new();
        let mut counter = 0u64;
        let mut next = || {
            counter += 1;
            random.hash_one(counter)
        };
        Self {
            steps: std::array::from_fn(|_| [next(), next()]),
            tail: std::array::from_fn(|_| next()),
            joint: [next() | 1, next() | 1],
        }
    }

    /// The hash of a text.
    #[inline]
    pub(super) fn hash(&self, text: &[u8]) -> Hash {
        let mut sums = [0u128; 2];
        let mut rest = text;
        while rest.len() > ROUND {
            let (round, after) = rest.split_at(ROUND);
            self.add_steps(&mut sums, round);
            for (sum, key) in sums.iter_mut().zip(self.joint) {
                *sum = u128::from(fold(*sum)).wrapping_mul(u128::from(key)).rotate_left(29);
            }
            rest = after;
        }
        self.add_steps(&mut sums, rest);
        let last = match text.last_chunk::<STEP>() {
            Some(last) => *last,
            None => padded(text),
        };
        let [a, b] = words(&last);
        sums[0] = sums[0].wrapping_add(product(a, b, self.tail[0], self.tail[1]));
        sums[1] = sums[1].wrapping_add(product(a, b, self.tail[2], self.tail[3]));
        let length = (text.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Hash { low: fold(sums[0]) ^ length, high: fold(sums[1]).wrapping_add(length) }
    }

    /// The hash of a sequence of numbers.
    #[inline]
    pub(super) fn hash_numbers(&self, numbers: &[u32]) -> Hash {
        let mut sums = [0u128; 2];
        for round in numbers.chunks(ROUND / 4) {
            for (sum, key) in sums.iter_mut().zip(self.joint) {
                *sum = u128::from(fold(*sum)).wrapping_mul(u128::from(key)).rotate_left(29);
            }
            let (steps, rest) = round.as_chunks::<4>();
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            for (step, keys) in steps.iter().chain([&last]).zip(self.steps.windows(2)) {
                let [a, b] = [[step[0], step[1]], [step[2], step[3]]].map(|[a, b]| u64::from(a) | u64::from(b) << 32);
                sums[0] = sums[0].wrapping_add(product(a, b, keys[0][0], keys[0][1]));
                sums[1] = sums[1].wrapping_add(product(a, b, keys[1][0], keys[1][1]));
            }
        }
        let length = (numbers.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Hash { low: fold(sums[0]) ^ length, high: fold(sums[1]).wrapping_add(length) }
    }

    #[inline]
    fn add_steps(&self, sums: &mut [u128; 2], text: &[u8]) {
        let (steps, _) = text.as_chunks::<STEP>();
        for (step, keys) in steps.iter().zip(self.steps.windows(2)) {
            let [a, b] = words(step);
            sums[0] = sums[0].wrapping_add(product(a, b, keys[0][0], keys[0][1]));
            sums[1] = sums[1].wrapping_add(product(a, b, keys[1][0], keys[1][1]));
        }
    }
}

fn padded(text: &[u8]) -> [u8; STEP] {
    let mut padded = [0; STEP];
    padded[..text.len()].copy_from_slice(text);
    padded
}

#[inline]
fn words(step: &[u8; STEP]) -> [u64; 2] {
    let both = u128::from_le_bytes(*step);
    [both as u64, (both >> 64) as u64]
}

#[inline]
fn product(a: u64, b: u64, key_a: u64, key_b: u64) -> u128 {
    u128::from(a.wrapping_add(key_a)) * u128::from(b.wrapping_add(key_b))
}

#[inline]
fn fold(sum: u128) -> u64 {
    sum as u64 ^ (sum >> 64) as u64
}

/// What [`Lines::get`] gives for an unknown text.
pub(super) const MISS: u32 = u32::MAX;

/// 96 bits of a hash and one more than what it stands for, 0 if the slot is free; the other 32 bits choose the place.
/// Bytes in the order low, high, value.
type Slot = [u8; SLOT];
const SLOT: usize = 16;

#[inline]
fn slot(low: u64, high: u32, value: u32) -> Slot {
    (u128::from(low) | u128::from(high) << 64 | u128::from(value.wrapping_add(1)) << 96).to_ne_bytes()
}

#[inline]
fn value_of(slot: Slot) -> u32 {
    ((u128::from_ne_bytes(slot) >> 96) as u32).wrapping_sub(1)
}

/// From hashes of texts to numbers below [`MISS`]. A memory that forgets everything when it is full.
#[derive(Debug)]
pub(super) struct Lines {
    slots: Memory,
    /// Slots less one.
    mask: usize,
    /// The bits that chose each slot's place: only needed to grow, and kept apart so that hits touch less memory.
    places: Vec<u32>,
    used: usize,
    max_slots: usize,
}

impl Lines {
    /// An empty table that forgets when it would need more than `max_slots` slots; a power of two.
    pub(super) fn new(max_slots: usize) -> Self {
        Self::with_slots(max_slots.min(1 << 12), max_slots)
    }

    fn with_slots(slots: usize, max_slots: usize) -> Self {
        Self { slots: Memory::zeroed(slots * SLOT), mask: slots - 1, places: vec![0; slots], used: 0, max_slots }
    }

    /// The number of the text with this hash, or [`MISS`].
    #[inline]
    pub(super) fn get(&self, hash: Hash) -> u32 {
        let slots = self.slots.slots::<SLOT>();
        let mut at = (hash.high >> 32) as usize;
        loop {
            let slot = slots[at & self.mask];
            let is_ours = u128::from_ne_bytes(slot) << 32 == (u128::from(hash.low) | u128::from(hash.high) << 64) << 32;
            if is_ours || value_of(slot) == MISS {
                return value_of(slot);
            }
            at += 1;
        }
    }

    /// Remembers the number of a text that is not in the table.
    pub(super) fn insert(&mut self, hash: Hash, value: u32) {
        if self.used * 8 >= self.places.len() * 5 {
            self.make_room();
        }
        self.used += 1;
        self.put(slot(hash.low, hash.high as u32, value), (hash.high >> 32) as u32);
    }

    fn put(&mut self, slot: Slot, place: u32) {
        let slots = self.slots.slots_mut::<SLOT>();
        let mut at = place as usize;
        while value_of(slots[at & self.mask]) != MISS {
            at += 1;
        }
        slots[at & self.mask] = slot;
        self.places[at & self.mask] = place;
    }

    fn make_room(&mut self) {
        let before = self.places.len();
        let size = (before * 2).min(self.max_slots);
        let before = std::mem::replace(self, Self::with_slots(size, self.max_slots));
        if before.places.len() == size {
            return;
        }
        self.used = before.used;
        for (slot, place) in before.slots.slots().iter().zip(&before.places) {
            if value_of(*slot) != MISS {
                self.put(*slot, *place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_the_length_matter() {
        let keys = Keys::random();
        let mut seen = std::collections::HashSet::new();
        for length in 0..700 {
            let mut text = vec![0u8; length];
            let mut check = |text: &[u8]| {
                let hash = keys.hash(text);
                assert!(seen.insert((hash.low, hash.high)), "{length}");
            };
            check(&text);
            for at in 0..length {
                text[at] = 1;
                check(&text);
                text[at] = 0;
            }
        }
        let mut seen = std::collections::HashSet::new();
        for length in 0..200 {
            let mut numbers = vec![0u32; length];
            for at in 0..=length {
                numbers.iter_mut().enumerate().for_each(|(index, number)| *number = u32::from(index == at));
                let hash = keys.hash_numbers(&numbers);
                assert!(seen.insert((hash.low, hash.high)), "{length} {at}");
            }
        }
    }

    #[test]
    fn a_table_grows_and_then_forgets_but_never_mistakes() {
        let keys = Keys::random();
        for (max_slots, remembered) in [(1 << 20, 50_000), (1 << 15, 20_480), (64, 40)] {
            let mut lines = Lines::new(max_slots);
            for number in 0..50_000u32 {
                let hash = keys.hash(&number.to_le_bytes());
                assert_eq!(lines.get(hash), MISS);
                lines.insert(hash, number);
                assert_eq!(lines.get(hash), number);
            }
            assert!(lines.places.len() <= max_slots);
            let known = (0..50_000u32).filter(|number| match lines.get(keys.hash(&number.to_le_bytes())) {
                MISS => false,
                found => found == *number || panic!("{number} was taken for {found}"),
            });
            let known = known.count();
            assert!(known <= remembered && (known == 50_000) == (remembered == 50_000), "{max_slots}: {known}");
        }
    }
}
