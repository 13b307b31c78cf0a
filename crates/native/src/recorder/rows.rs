//! Tables of distinct rows.

use std::hash::{BuildHasher, Hash};

use burnmark_model::{Folds, Path, Paths, Slots};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::recording::{FrameRow, NONE};

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

/// Where each frame is.
#[derive(Debug, Default)]
pub(super) struct FrameIndex {
    slots: Slots,
    hasher: Folds,
}

impl FrameIndex {
    /// Fetches what [`FrameIndex::intern`] looks at first. It changes nothing, but what follows is faster.
    pub(super) fn fetch<'f>(&self, wanted: impl Iterator<Item = &'f FrameRow>) {
        self.slots.fetch(wanted.map(|row| hash(&self.hasher, row)));
    }

    /// The place of `row` in `rows`, to which it is added if it is new; `None` if they are `most` already. They must be
    /// the same each time.
    pub(super) fn intern(&mut self, rows: &mut Vec<FrameRow>, row: FrameRow, most: usize) -> Option<u32> {
        let Self { slots, hasher } = self;
        slots.make_room(rows.len(), |place| hash(hasher, &rows[place]));
        let hash = hash(hasher, &row);
        match slots.find(hash, |place| rows[place] == row) {
            Ok(place) => Some(place as u32),
            Err(_) if rows.len() >= most.min(Slots::MOST) => None,
            Err(slot) => {
                slots.put(slot, hash, rows.len());
                rows.push(row);
                Some(rows.len() as u32 - 1)
            }
        }
    }
}

fn hash(hasher: &Folds, row: &FrameRow) -> u64 {
    hasher.fold(hasher.fold(hasher.start(), row.address), rest(row))
}

/// The path of a frame that is called from another.
pub(super) fn step(stacks: &Paths, from: Path, row: &FrameRow) -> Path {
    stacks.step(stacks.step(from, row.address), rest(row))
}

/// What a frame is besides its address.
fn rest(row: &FrameRow) -> u64 {
    u64::from(row.module) << 1 | u64::from(row.is_return)
}
