//! The samples' lists of locations, each distinct one once.

use std::hash::BuildHasher;
use std::num::NonZeroU32;

use foldhash::fast::RandomState;

use super::wire::{parse_varint, push_varint};

/// Distinct lists of location ids, leaf first, as the bytes that a file has for them: one after the other, as there are
/// hundreds of thousands.
#[derive(Default)]
pub(super) struct Lists {
    /// Each list after its length.
    bytes: Vec<u8>,
    starts: Vec<usize>,
    /// A list's hash says from where on its slot is. A power of two of them, at most 5/8 in use.
    slots: Vec<Option<Slot>>,
    hasher: RandomState,
}

/// Where a list is. All that a look-up needs is here and in the list itself: each further place would be another wait for
/// memory.
#[derive(Clone, Copy)]
struct Slot {
    /// Half of the hash.
    half: u32,
    /// Its number from 1.
    number: NonZeroU32,
    start: usize,
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
        let half = self.half_hash(list);
        if let Some(known) = self.find(half, list) {
            return Some((known, 0));
        }
        if are_shortest(list) {
            return Some(self.add(half, list));
        }
        let mut shortest = Vec::new();
        numbers(list).try_for_each(|id| id.map(|id| push_varint(&mut shortest, id)))?;
        let half = self.half_hash(&shortest);
        Some(self.find(half, &shortest).map_or_else(|| self.add(half, &shortest), |known| (known, 0)))
    }

    /// Frees what only [`Lists::intern`] needs.
    pub(super) fn close(&mut self) {
        self.slots = Vec::new();
    }

    fn half_hash(&self, list: &[u8]) -> u32 {
        (self.hasher.hash_one(list) >> 32) as u32
    }

    fn find(&self, half: u32, list: &[u8]) -> Option<usize> {
        let last = self.slots.len().checked_sub(1)?;
        let mut place = half as usize & last;
        while let Some(slot) = self.slots[place] {
            if slot.half == half && self.at(slot.start) == list {
                return Some(slot.number.get() as usize - 1);
            }
            place = (place + 1) & last;
        }
        None
    }

    /// Adds a list that is not there, and tells its index and how much memory it takes.
    fn add(&mut self, half: u32, list: &[u8]) -> (usize, u64) {
        if self.starts.len() >= self.slots.len() / 8 * 5 {
            let slots = vec![None; (2 * self.slots.len()).max(1 << 10)];
            let old = std::mem::replace(&mut self.slots, slots);
            old.into_iter().flatten().for_each(|slot| self.place(slot));
        }
        let (index, start) = (self.starts.len(), self.bytes.len());
        push_varint(&mut self.bytes, list.len() as u64);
        self.bytes.extend_from_slice(list);
        self.starts.push(start);
        let number = u32::try_from(self.starts.len()).ok().and_then(NonZeroU32::new);
        let number = number.expect("2^32 lists take more memory than any machine has");
        self.place(Slot { half, number, start });
        (index, (self.bytes.len() - start) as u64 + 64)
    }

    /// Puts a slot where it belongs. There is room.
    fn place(&mut self, slot: Slot) {
        let last = self.slots.len() - 1;
        let mut place = slot.half as usize & last;
        while self.slots[place].is_some() {
            place = (place + 1) & last;
        }
        self.slots[place] = Some(slot);
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
