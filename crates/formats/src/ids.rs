//! Ids that a file gives its entries, which may be any numbers.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Entries by their ids (signed ones by their bits). Writers mostly number entries one after the other: those take no map.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    /// The id of the entry at index 0.
    first: Option<u64>,
    /// How many entries from there on have the ids that follow.
    in_row: u32,
    others: HashMap<u64, u32, RandomState>,
}

impl Ids {
    /// The index of the entry with this id.
    pub(crate) fn get(&self, id: u64) -> Option<u32> {
        let index = id.wrapping_sub(self.first?);
        if index < u64::from(self.in_row) { Some(index as u32) } else { self.others.get(&id).copied() }
    }

    /// Gives the entry at `index` its id, unless another one has it. Returns who has it then.
    pub(crate) fn add(&mut self, id: u64, index: u32) -> u32 {
        let first = *self.first.get_or_insert(id);
        if let Some(known) = self.get(id) {
            return known;
        }
        if index == self.in_row && id.wrapping_sub(first) == u64::from(index) {
            self.in_row += 1;
        } else {
            self.others.insert(id, index);
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_a_row_and_any_others_are_found_and_the_first_of_two_keeps_its_own() {
        for ids in [
            vec![1, 2, 3, 3, 4, 1, 5],
            vec![7, 9, 8, 10, 0, u64::MAX, 7],
            vec![u64::MAX - 1, u64::MAX, 0, 1],
            vec![5, 4, 3, 2, 1],
            vec![1, 2, 2, 3, 4],
        ] {
            let (mut table, mut known) = (Ids::default(), HashMap::new());
            for (index, id) in (0..).zip(&ids) {
                assert_eq!(table.get(*id), known.get(id).copied(), "{ids:?}");
                assert_eq!(table.add(*id, index), *known.entry(*id).or_insert(index), "{ids:?}");
            }
            assert!(known.iter().all(|(id, index)| table.get(*id) == Some(*index)), "{ids:?}");
            assert_eq!(table.get(99), None);
        }
    }
}
