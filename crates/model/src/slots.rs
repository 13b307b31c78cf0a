//! Finding rows of large tables.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::zeroed::Zeroed;

/// Places of rows by their hash, for tables of millions of rows: each look-up is a new place in memory, so there is as
/// little of it as can be.
#[derive(Debug, Default)]
pub struct Slots {
    /// Some of the hash's bits above the place plus one; 0 where there is none. A power of two of them, at most 3/4 in
    /// use, so that the place takes as many bits as it takes to count them.
    slots: Zeroed<u32>,
    bits: u32,
}

impl Slots {
    /// Most rows that can be given places.
    pub const MOST: usize = 1 << 30;

    /// Makes sure that there is a slot for one more than so many rows, of which `hash` tells the hash. It is asked for all
    /// of them when there have to be more slots.
    pub fn make_room(&mut self, rows: usize, hash: impl Fn(usize) -> u64) {
        if rows < self.slots.len() / 4 * 3 {
            return;
        }
        self.bits = (self.bits + 1).max(10);
        // The old ones are freed first.
        self.slots = Zeroed::default();
        self.slots = Zeroed::new(1 << self.bits);
        let (slots, bits) = (&mut *self.slots, self.bits);
        for place in 0..rows {
            let (mut slot, entry) = entry(bits, hash(place), place);
            while slots[slot] != 0 {
                slot = (slot + 1) & (slots.len() - 1);
            }
            slots[slot] = entry;
        }
    }

    /// Fetches the slots where the search for hashes begins. It changes nothing, but what follows is faster.
    pub fn fetch(&self, hashes: impl Iterator<Item = u64>) {
        let slots = &*self.slots;
        if !slots.is_empty() {
            let met = hashes.fold(0, |met, hash| met ^ slots[entry(self.bits, hash, 0).0]);
            std::hint::black_box(met);
        }
    }

    /// The place of the row of this hash that `is_it`, or the slot for it. There is to be room.
    pub fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Result<usize, usize> {
        let slots = &*self.slots;
        let (mut slot, bits) = (entry(self.bits, hash, 0).0, (hash as u32) << self.bits);
        let mask = (1 << self.bits) - 1;
        while slots[slot] != 0 {
            let entry = slots[slot];
            let place = (entry & mask) as usize - 1;
            if entry & !mask == bits && is_it(place) {
                return Ok(place);
            }
            slot = (slot + 1) & (slots.len() - 1);
        }
        Err(slot)
    }

    /// Writes a place, which is below [`Slots::MOST`], into the slot that was found for it.
    pub fn put(&mut self, slot: usize, hash: u64, place: usize) {
        self.slots[slot] = entry(self.bits, hash, place).1;
    }
}

/// Of as many slots as have numbers of so many bits: where the search for a hash begins, and what to write for a place.
fn entry(bits: u32, hash: u64, place: usize) -> (usize, u32) {
    ((hash >> 32) as usize & ((1 << bits) - 1), (hash as u32) << bits | (place as u32 + 1))
}

/// Hashes of numbers one after the other, by multiplying: with two numbers that differ in each process, so that who writes
/// a file doesn't know what meets in a slot.
#[derive(Clone, Copy, Debug)]
pub struct Folds([u64; 2]);

impl Default for Folds {
    fn default() -> Self {
        let state = RandomState::default();
        Self([state.hash_one(1), state.hash_one(2) | 1])
    }
}

impl Folds {
    /// The hash of nothing.
    pub fn start(&self) -> u64 {
        self.0[0]
    }

    /// The hash of what has the hash `before`, and a number after it.
    pub fn fold(&self, before: u64, next: u64) -> u64 {
        let wide = u128::from(before ^ next) * u128::from(self.0[1]);
        (wide >> 64) as u64 ^ wide as u64
    }
}

/// A hash of all steps of a path. It is 128 bits wide, of which 96 are compared, and seeded anew in each process: that two
/// paths have the same by chance is less likely than that the machine errs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path([u64; 2]);

/// Where each step of a prefix tree is, by the hash of the path that leads to it.
///
/// A hash is known before the places of the path's other steps are, and a step is there only if all before it are: of a
/// path only what is new has to be looked up, from its end on.
#[derive(Debug, Default)]
pub struct Paths {
    /// A power of two of steps, of which at most 3/4 are there. Each look-up is a new place in memory, so all that it takes
    /// is in one.
    steps: Zeroed<[u64; 2]>,
    len: usize,
    folds: [Folds; 2],
}

/// A step as it is in the table: the path's first half, and of the second one the upper half; below it the place plus one,
/// or 0 if there is no step.
fn row(path: Path, place: usize) -> [u64; 2] {
    [path.0[0], path.0[1] & !LOWER | (place as u64 + 1)]
}

const LOWER: u64 = u32::MAX as u64;

impl Paths {
    /// Makes room for so many steps, if there are none yet.
    pub fn reserve(&mut self, steps: usize) {
        let slots = (steps.min(Slots::MOST).div_ceil(3) * 4).next_power_of_two();
        if self.len == 0 && slots > self.steps.len() {
            self.steps = Zeroed::new(slots);
        }
    }

    /// The empty path.
    pub fn root(&self) -> Path {
        Path(self.folds.map(|folds| folds.start()))
    }

    /// A path continued by a number. A step may take several.
    pub fn step(&self, from: Path, next: u64) -> Path {
        let Self { folds: [first, second], .. } = self;
        Path([first.fold(from.0[0], next), second.fold(from.0[1], next)])
    }

    /// Fetches what [`Paths::find`] looks at first. It changes nothing, but what follows is faster.
    pub fn fetch(&self, paths: impl Iterator<Item = Path>) {
        let steps = &*self.steps;
        if !steps.is_empty() {
            let met = paths.fold(0, |met, path| met ^ steps[self.first_slot(path.0[0])][1]);
            std::hint::black_box(met);
        }
    }

    fn first_slot(&self, half: u64) -> usize {
        (half >> 32) as usize & (self.steps.len() - 1)
    }

    /// The place of the step that this path leads to, if it was added.
    pub fn find(&self, path: Path) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        let steps = &*self.steps;
        let [first, second] = row(path, 0);
        let mut slot = self.first_slot(first);
        loop {
            let [met_first, met_second] = steps[slot];
            if met_second & LOWER == 0 {
                return None;
            }
            if met_first == first && (met_second ^ second) & !LOWER == 0 {
                return Some((met_second & LOWER) as usize - 1);
            }
            slot = (slot + 1) & (steps.len() - 1);
        }
    }

    /// Adds a step that was not found, and returns its place, which is how many were there; `None` if that is
    /// [`Slots::MOST`].
    pub fn add(&mut self, path: Path) -> Option<usize> {
        let place = self.len;
        if place >= Slots::MOST {
            return None;
        }
        if place >= self.steps.len() / 4 * 3 {
            let more = Zeroed::new((2 * self.steps.len()).max(1 << 10));
            let before = std::mem::replace(&mut self.steps, more);
            before.iter().filter(|row| row[1] & LOWER != 0).for_each(|row| self.put(*row));
        }
        self.put(row(path, place));
        self.len += 1;
        Some(place)
    }

    fn put(&mut self, row: [u64; 2]) {
        let mut slot = self.first_slot(row[0]);
        let steps = &mut *self.steps;
        while steps[slot][1] & LOWER != 0 {
            slot = (slot + 1) & (steps.len() - 1);
        }
        steps[slot] = row;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_found_and_nothing_else() {
        let mut paths = Paths::default();
        paths.reserve(1200);
        let mut all = Vec::new();
        let mut path = paths.root();
        for number in 0..5000 {
            // Branches of ten steps.
            path = if number % 10 == 0 { paths.root() } else { path };
            path = paths.step(path, number);
            paths.fetch([path].into_iter());
            assert_eq!(paths.find(path), None);
            assert_eq!(paths.add(path), Some(all.len()));
            all.push(path);
        }
        assert!(all.iter().enumerate().all(|(place, path)| paths.find(*path) == Some(place)));
        assert_eq!(paths.find(paths.step(all[17], 1)), None);
        assert_eq!(paths.find(paths.root()), None);
    }

    #[test]
    fn rows_of_one_hash_are_told_apart() {
        let mut slots = Slots::default();
        let rows: Vec<usize> = (0..2000).collect();
        for row in &rows {
            slots.make_room(*row, |_| 7 << 32);
            let slot = slots.find(7 << 32, |place| rows[place] == *row).unwrap_err();
            slots.put(slot, 7 << 32, *row);
        }
        assert!(rows.iter().all(|row| slots.find(7 << 32, |place| rows[place] == *row) == Ok(*row)));
    }
}
