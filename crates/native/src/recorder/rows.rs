//! Tables of distinct rows.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::recording::{FrameRow, NONE, StackRow};
use crate::zeroed::Zeroed;

/// Where each row of a table is. The rows themselves are kept once, in the table: it has millions.
#[derive(Debug, Default)]
pub(super) struct Index {
    places: HashTable<u32>,
    hasher: RandomState,
}

impl Index {
    /// The place of `row` in `rows`, to which it is added if it is new; `None` if it has `most` already. It must be the
    /// same table each time.
    pub(super) fn intern<T: Eq + Hash>(&mut self, rows: &mut Vec<T>, row: T, most: usize) -> Option<u32> {
        let Self { places, hasher } = self;
        let place = places.entry(
            hasher.hash_one(&row),
            |place| rows[*place as usize] == row,
            |place| hasher.hash_one(&rows[*place as usize]),
        );
        match place {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(free) => {
                let place = u32::try_from(rows.len()).ok().filter(|place| *place != NONE && rows.len() < most)?;
                free.insert(place);
                rows.push(row);
                Some(place)
            }
        }
    }
}

/// Places of rows by their hash, for tables of millions of rows: each look-up is a new place in memory, so there is as
/// little of it as can be.
#[derive(Debug, Default)]
struct Slots {
    /// Some of the hash's bits above the place plus one; 0 where there is none. A power of two of them, at most 3/4 in
    /// use, so that the place takes as many bits as it takes to count them.
    slots: Zeroed<u32>,
    bits: u32,
}

/// Most rows that are given places.
const MOST_PLACES: usize = 1 << 30;

impl Slots {
    /// Makes sure that there is a slot for one more than so many rows, of which `hash` tells the hash.
    fn make_room(&mut self, rows: usize, hash: impl Fn(usize) -> u64) {
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
    fn fetch(&self, hashes: impl Iterator<Item = u64>) {
        let slots = &*self.slots;
        if !slots.is_empty() {
            let met = hashes.fold(0, |met, hash| met ^ slots[entry(self.bits, hash, 0).0]);
            std::hint::black_box(met);
        }
    }

    /// The place of the row of this hash that `is_it`, or the slot for it. There is to be room.
    fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Result<u32, usize> {
        let slots = &*self.slots;
        let (mut slot, bits) = (entry(self.bits, hash, 0).0, (hash as u32) << self.bits);
        let mask = (1 << self.bits) - 1;
        while slots[slot] != 0 {
            let entry = slots[slot];
            let place = (entry & mask) - 1;
            if entry & !mask == bits && is_it(place as usize) {
                return Ok(place);
            }
            slot = (slot + 1) & (slots.len() - 1);
        }
        Err(slot)
    }

    /// Writes a place into the slot that was found for it.
    fn put(&mut self, slot: usize, hash: u64, place: usize) {
        self.slots[slot] = entry(self.bits, hash, place).1;
    }
}

/// Of as many slots as have numbers of so many bits: where the search for a hash begins, and what to write for a place.
fn entry(bits: u32, hash: u64, place: usize) -> (usize, u32) {
    ((hash >> 32) as usize & ((1 << bits) - 1), (hash as u32) << bits | (place as u32 + 1))
}

/// Two numbers that differ in each process: who writes a file doesn't know what meets in a slot.
#[derive(Clone, Copy, Debug)]
struct Seeds([u64; 2]);

impl Default for Seeds {
    fn default() -> Self {
        let state = RandomState::default();
        Self([state.hash_one(1), state.hash_one(2) | 1])
    }
}

impl Seeds {
    fn hash(&self, before: u64, next: u64) -> u64 {
        let wide = u128::from(before ^ next) * u128::from(self.0[1]);
        (wide >> 64) as u64 ^ wide as u64
    }

    fn of_frame(&self, row: &FrameRow) -> u64 {
        let address = self.hash(self.0[0], row.address);
        self.hash(address, rest(row))
    }
}

/// Where each frame is.
#[derive(Debug, Default)]
pub(super) struct FrameIndex {
    slots: Slots,
    seeds: Seeds,
}

impl FrameIndex {
    /// Fetches what [`FrameIndex::intern`] looks at first. It changes nothing, but what follows is faster.
    pub(super) fn fetch<'f>(&self, wanted: impl Iterator<Item = &'f FrameRow>) {
        self.slots.fetch(wanted.map(|row| self.seeds.of_frame(row)));
    }

    /// The place of `row` in `rows`, to which it is added if it is new; `None` if they are `most` already. They must be
    /// the same each time.
    pub(super) fn intern(&mut self, rows: &mut Vec<FrameRow>, row: FrameRow, most: usize) -> Option<u32> {
        let Self { slots, seeds } = self;
        slots.make_room(rows.len(), |place| seeds.of_frame(&rows[place]));
        let hash = seeds.of_frame(&row);
        match slots.find(hash, |place| rows[place] == row) {
            Ok(place) => Some(place),
            Err(_) if rows.len() >= most.min(MOST_PLACES) => None,
            Err(slot) => {
                slots.put(slot, hash, rows.len());
                rows.push(row);
                Some(rows.len() as u32 - 1)
            }
        }
    }
}

/// A hash of all frames of a stack. It is 128 bits wide and seeded anew in each process: that two stacks have the same by
/// chance is less likely than that the machine errs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path([u64; 2]);

/// Where each step of the prefix tree is.
///
/// A stack is found by the hash of its path, which is known before those of its callers are found: of a sample's stack
/// only what is new is looked up, from the leaf on.
#[derive(Debug, Default)]
pub(super) struct StackIndex {
    slots: Slots,
    seeds: [Seeds; 2],
    paths: Vec<Path>,
}

impl StackIndex {
    /// The empty path.
    pub(super) fn root(&self) -> Path {
        Path(self.seeds.map(|seeds| seeds.0[0]))
    }

    /// The path of a frame that is called from another.
    pub(super) fn step(&self, from: Path, frame: &FrameRow) -> Path {
        let Self { seeds: [first, second], .. } = self;
        let address = second.hash(from.0[1], frame.address);
        Path([first.hash(from.0[0], first.of_frame(frame)), second.hash(address, rest(frame))])
    }

    /// Fetches what [`StackIndex::find`] looks at first. It changes nothing, but what follows is faster.
    pub(super) fn fetch(&self, paths: impl Iterator<Item = Path>) {
        self.slots.fetch(paths.map(|path| path.0[0]));
    }

    /// The stack of this path.
    pub(super) fn find(&self, path: Path) -> Option<u32> {
        if self.paths.is_empty() {
            return None;
        }
        self.slots.find(path.0[0], |stack| self.paths[stack] == path).ok()
    }

    /// Adds a stack that was not found to `rows`; `None` if they are `most` already. They must be the same each time.
    pub(super) fn add(&mut self, rows: &mut Vec<StackRow>, path: Path, row: StackRow, most: usize) -> Option<u32> {
        let Self { slots, paths, .. } = self;
        if rows.len() >= most.min(MOST_PLACES) {
            return None;
        }
        slots.make_room(rows.len(), |stack| paths[stack].0[0]);
        if let Err(slot) = slots.find(path.0[0], |_| false) {
            slots.put(slot, path.0[0], rows.len());
        }
        paths.push(path);
        rows.push(row);
        Some(rows.len() as u32 - 1)
    }
}

/// What a frame is besides its address.
fn rest(row: &FrameRow) -> u64 {
    u64::from(row.module) << 1 | u64::from(row.is_return)
}
