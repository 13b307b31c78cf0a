//! The samples' lists of locations, each distinct one once.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::wire::{parse_varint, push_varint};

/// Distinct lists of location ids, leaf first, as the bytes that a file has for them: one after the other, as there are
/// hundreds of thousands.
#[derive(Default)]
pub(super) struct Lists {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Half of a list's hash, and its index.
    places: HashTable<(u32, u32)>,
    hasher: RandomState,
}

impl Lists {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The ids of a list, leaf first.
    pub(super) fn get(&self, index: usize) -> impl Iterator<Item = u64> {
        numbers(self.slice(index)).map(|id| id.expect("lists are checked when they are added"))
    }

    /// The index of the list that these bytes are, which is added if it is new; how much memory that took; `None` if
    /// they are no list.
    pub(super) fn intern(&mut self, list: &[u8]) -> Option<(usize, u64)> {
        let mut half = self.half_hash(list);
        if let Some(known) = self.find(half, list) {
            return Some((known, 0));
        }
        let start = self.bytes.len();
        if are_shortest(list) {
            self.bytes.extend_from_slice(list);
        } else {
            if !numbers(list).all(|id| id.map(|id| push_varint(&mut self.bytes, id)).is_some()) {
                self.bytes.truncate(start);
                return None;
            }
            // Without what was superfluous, the list may be known.
            half = self.half_hash(&self.bytes[start..]);
            if let Some(known) = self.find(half, &self.bytes[start..]) {
                self.bytes.truncate(start);
                return Some((known, 0));
            }
        }
        let index = self.ends.len();
        self.ends.push(self.bytes.len());
        let place = u32::try_from(index).expect("2^32 lists take more memory than any machine has");
        self.places.insert_unique(spread(half), (half, place), |(half, _)| spread(*half));
        Some((index, (self.bytes.len() - start) as u64 + 48))
    }

    /// Frees what only [`Lists::intern`] needs.
    pub(super) fn close(&mut self) {
        self.places = HashTable::new();
    }

    fn half_hash(&self, list: &[u8]) -> u32 {
        (self.hasher.hash_one(list) >> 32) as u32
    }

    fn find(&self, half: u32, list: &[u8]) -> Option<usize> {
        let is_list = |(other, index): &(u32, u32)| *other == half && self.slice(*index as usize) == list;
        self.places.find(spread(half), is_list).map(|(_, index)| *index as usize)
    }

    fn slice(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
}

/// The numbers that bytes are; `None` where they are damaged, and then no end.
fn numbers(mut bytes: &[u8]) -> impl Iterator<Item = Option<u64>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let number = parse_varint(bytes);
        bytes = &bytes[number.map_or(0, |(_, length)| length)..];
        Some(number.map(|(number, _)| number))
    })
}

/// Whether these are numbers of less than ten bytes, none of which takes more than it has to.
fn are_shortest(bytes: &[u8]) -> bool {
    let mut before = 0;
    for byte in bytes {
        if *byte >= 0x80 {
            before += 1;
        } else if before > 8 || (*byte == 0 && before > 0) {
            return false;
        } else {
            before = 0;
        }
    }
    before == 0
}

/// Half a hash as a whole one: the table looks at its upper bits, too.
fn spread(half: u32) -> u64 {
    u64::from(half).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_the_same_however_long_its_numbers_are_written() {
        let mut lists = Lists::default();
        let mut index = |bytes: &[u8]| lists.intern(bytes).map(|(index, _)| index);
        assert_eq!(index(&[1, 0xac, 2]), Some(0));
        assert_eq!(index(&[1]), Some(1));
        assert_eq!(index(&[0x81, 0, 0xac, 0x82, 0]), Some(0));
        assert_eq!(index(&[0x85, 0x80, 0]), Some(2));
        assert_eq!(index(&[5]), Some(2));
        assert_eq!(index(&[]), Some(3));
        assert_eq!(index(&[1, 0x80]), None);
        assert_eq!(index(&[0xff; 12]), None);
        assert_eq!(index(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Some(4));
        assert_eq!(index(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), None);
        assert_eq!((lists.len(), lists.get(0).collect::<Vec<_>>()), (5, vec![1, 300]));
        assert_eq!((lists.get(2).collect::<Vec<_>>(), lists.get(3).count()), (vec![5], 0));
    }
}
