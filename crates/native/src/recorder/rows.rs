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

/// Where each step of the prefix tree is. There are millions, and each look-up is a new place in memory: with the rows in
/// the slots it is one.
#[derive(Debug, Default)]
pub(super) struct StackIndex {
    /// Parent, frame, place in the table; [`NONE`] where there is none. A power of two of them, less than 5/8 in use.
    slots: Vec<[u32; 3]>,
    hasher: RandomState,
}

const FREE: [u32; 3] = [NONE; 3];

impl StackIndex {
    /// See [`Index::intern`].
    pub(super) fn intern(&mut self, rows: &mut Vec<StackRow>, row: StackRow, most: usize) -> Option<u32> {
        if rows.len() >= self.slots.len() / 8 * 5 {
            self.grow(rows);
        }
        let slot = self.slot(row);
        let [.., place] = self.slots[slot];
        if place != NONE {
            return Some(place);
        }
        let place = u32::try_from(rows.len()).ok().filter(|place| *place != NONE && rows.len() < most)?;
        self.slots[slot] = [row.parent, row.frame, place];
        rows.push(row);
        Some(place)
    }

    /// The slot that has a row, or is free for it.
    fn slot(&self, row: StackRow) -> usize {
        let last = self.slots.len() - 1;
        let mut slot = self.hasher.hash_one(u64::from(row.parent) << 32 | u64::from(row.frame)) as usize & last;
        while self.slots[slot] != FREE && self.slots[slot][..2] != [row.parent, row.frame] {
            slot = (slot + 1) & last;
        }
        slot
    }

    fn grow(&mut self, rows: &[StackRow]) {
        let len = (self.slots.len() * 2).max(1 << 10);
        self.slots = Vec::new();
        self.slots.resize(len, FREE);
        for (place, row) in (0..).zip(rows) {
            let slot = self.slot(*row);
            self.slots[slot] = [row.parent, row.frame, place];
        }
    }
}
