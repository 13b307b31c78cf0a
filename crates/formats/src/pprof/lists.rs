//! The samples' lists of locations, each distinct one once.

use std::hash::BuildHasher;

use burnmark_model::Slots;
use foldhash::fast::RandomState;

use super::wire::{parse_varint, push_varint};

/// Distinct lists of location ids, leaf first, as the bytes that a file has for them: one after the other, as there are
/// hundreds of thousands.
#[derive(Default)]
pub(super) struct Lists {
    /// Each list after its length.
    bytes: Vec<u8>,
    starts: Vec<usize>,
    hashes: Vec<u64>,
    slots: Slots,
    hasher: RandomState,
}

impl Lists {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The ids of a list, leaf first.
    pub(super) fn get(&self, index: usize) -> impl Iterator<Item = u64> {
        numbers(self.at(self.starts[index])).map(|id| id.expect("lists are checked when they are added"))
    }

    /// The index of the list that these bytes are, which is added if it is new; how much memory that took; `None` if
    /// they are no list.
    pub(super) fn intern(&mut self, list: &[u8]) -> Option<(usize, u64)> {
        let hash = self.hasher.hash_one(list);
        if let Some(known) = self.find(hash, list) {
            return Some((known, 0));
        }
        if are_shortest(list) {
            return Some(self.add(hash, list));
        }
        let mut shortest = Vec::new();
        numbers(list).try_for_each(|id| id.map(|id| push_varint(&mut shortest, id)))?;
        let hash = self.hasher.hash_one(shortest.as_slice());
        Some(self.find(hash, &shortest).map_or_else(|| self.add(hash, &shortest), |known| (known, 0)))
    }

    /// Frees what only [`Lists::intern`] needs.
    pub(super) fn close(&mut self) {
        self.slots = Slots::default();
        self.hashes = Vec::new();
    }

    fn find(&self, hash: u64, list: &[u8]) -> Option<usize> {
        if self.starts.is_empty() {
            return None;
        }
        self.slots.find(hash, |index| self.at(self.starts[index]) == list).ok()
    }

    /// Adds a list that is not there, and tells its index and how much memory it takes.
    fn add(&mut self, hash: u64, list: &[u8]) -> (usize, u64) {
        let (index, start) = (self.starts.len(), self.bytes.len());
        assert!(index < Slots::MOST, "2^30 lists take more memory than any machine has");
        self.slots.make_room(index, |index| self.hashes[index]);
        if let Err(slot) = self.slots.find(hash, |_| false) {
            self.slots.put(slot, hash, index);
        }
        self.hashes.push(hash);
        push_varint(&mut self.bytes, list.len() as u64);
        self.bytes.extend_from_slice(list);
        self.starts.push(start);
        (index, (self.bytes.len() - start) as u64 + 64)
    }

    fn at(&self, start: usize) -> &[u8] {
        let (length, size) = parse_varint(&self.bytes[start..]).expect("its length is before each list");
        &self.bytes[start + size..][..length as usize]
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
