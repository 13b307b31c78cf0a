//! Tables of distinct rows.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::recording::{NONE, StackRow};

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

/// Where each step of the prefix tree is. There are millions, and each look-up is a new place in memory. So a step is
/// found by a hash of its whole path, which is known before its parent's place is: the places of all steps of a stack
/// are fetched at once, not one after the other.
#[derive(Debug)]
pub(super) struct StackIndex {
    /// Half of the path's hash, place in the table; [`NONE`] where there is none. A power of two of them, less than 5/8
    /// in use.
    slots: Vec<[u32; 2]>,
    seeds: [u64; 2],
}

/// A stack's place in the table, and the hash of its path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    pub(super) stack: u32,
    hash: u64,
}

const FREE: [u32; 2] = [NONE; 2];

impl Default for StackIndex {
    fn default() -> Self {
        let state = RandomState::default();
        Self { slots: Vec::new(), seeds: [state.hash_one(1), state.hash_one(2) | 1] }
    }
}

impl StackIndex {
    /// The empty path.
    pub(super) fn root(&self) -> Path {
        Path { stack: NONE, hash: self.seeds[0] }
    }

    /// Fetches the places of a path's next steps, outermost first. It changes nothing, but what follows is faster.
    pub(super) fn fetch(&self, rows: &[StackRow], from: Path, frames: &[u32]) {
        let Some(last) = self.slots.len().checked_sub(1) else { return };
        let mut hash = from.hash;
        let met = frames.iter().fold(0, |met, frame| {
            hash = self.hash(hash, *frame);
            let [_, place] = self.slots[half(hash) as usize & last];
            met ^ rows.get(place as usize).map_or(0, |row| row.frame)
        });
        std::hint::black_box(met);
    }

    /// The next step of a path, which is added to `rows` if it is new; `None` if they are `most` already. They must be
    /// the same each time.
    pub(super) fn step(&mut self, rows: &mut Vec<StackRow>, from: Path, frame: u32, most: usize) -> Option<Path> {
        if rows.len() >= self.slots.len() / 8 * 5 {
            self.grow();
        }
        let hash = self.hash(from.hash, frame);
        let row = StackRow { parent: from.stack, frame };
        let (half, last) = (half(hash), self.slots.len() - 1);
        let mut slot = half as usize & last;
        while self.slots[slot] != FREE {
            let [other, stack] = self.slots[slot];
            if other == half && rows.get(stack as usize) == Some(&row) {
                return Some(Path { stack, hash });
            }
            slot = (slot + 1) & last;
        }
        let stack = u32::try_from(rows.len()).ok().filter(|stack| *stack != NONE && rows.len() < most)?;
        self.slots[slot] = [half, stack];
        rows.push(row);
        Some(Path { stack, hash })
    }

    fn hash(&self, path: u64, frame: u32) -> u64 {
        let wide = u128::from(path ^ u64::from(frame)) * u128::from(self.seeds[1]);
        (wide >> 64) as u64 ^ wide as u64
    }

    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(1 << 10);
        let old = std::mem::replace(&mut self.slots, vec![FREE; len]);
        for entry in old.into_iter().filter(|entry| *entry != FREE) {
            let mut slot = entry[0] as usize & (len - 1);
            while self.slots[slot] != FREE {
                slot = (slot + 1) & (len - 1);
            }
            self.slots[slot] = entry;
        }
    }
}

fn half(hash: u64) -> u32 {
    (hash >> 32) as u32
}
