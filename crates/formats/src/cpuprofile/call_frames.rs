//! Knowing `callFrame`s again by their text: V8 writes the same one for every node of a function.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Longest text that is kept.
pub(super) const MAX_LENGTH: usize = 1024;
/// How much memory texts and the table may take. They are few, as are functions; what comes later is read as it is.
const MAX_KEPT: usize = 16 << 20;

/// Texts of `callFrame`s, and the places that they stand for.
#[derive(Default)]
pub(super) struct CallFrames {
    /// One after the other.
    texts: Vec<u8>,
    table: HashTable<Known>,
    hasher: RandomState,
}

struct Known {
    hash: u64,
    start: u32,
    length: u32,
    place: u32,
}

impl CallFrames {
    pub(super) fn hash(&self, text: &[u8]) -> u64 {
        self.hasher.hash_one(text)
    }

    /// The place of a text.
    pub(super) fn get(&self, hash: u64, text: &[u8]) -> Option<u32> {
        let is_text = |known: &Known| {
            let start = known.start as usize;
            known.hash == hash && self.texts[start..start + known.length as usize] == *text
        };
        self.table.find(hash, is_text).map(|known| known.place)
    }

    /// Keeps a text that is not known, if there is room.
    pub(super) fn add(&mut self, hash: u64, text: &[u8], place: u32) {
        if self.texts.len() + text.len() + (self.table.len() + 1) * 2 * size_of::<Known>() > MAX_KEPT {
            return;
        }
        let known = Known { hash, start: self.texts.len() as u32, length: text.len() as u32, place };
        self.texts.extend_from_slice(text);
        self.table.insert_unique(hash, known, |known| known.hash);
    }
}
