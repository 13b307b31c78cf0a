//! Interning tables: each distinct entry once, under a small typed id.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;
use std::num::NonZeroU32;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// A typed index into a [`Table`]. `Option<Id>` takes four bytes.
pub trait Id: Copy {
    /// The id of the entry at `index`.
    fn from_index(index: usize) -> Self;
    /// The entry's place in its table, from 0.
    fn index(self) -> usize;
}

/// Turns a table index into the representation all ids share.
///
/// A table of 2³² − 1 entries needs more memory than any machine this runs on, and far more input than any reader's
/// bound lets through; the check is there so that a wrong id is impossible rather than unlikely.
pub(crate) fn raw_id(index: usize) -> NonZeroU32 {
    u32::try_from(index + 1).ok().and_then(NonZeroU32::new).expect("a table holds fewer than 2^32 - 1 entries")
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(std::num::NonZeroU32);

        impl $crate::table::Id for $name {
            fn from_index(index: usize) -> Self {
                Self($crate::table::raw_id(index))
            }
            fn index(self) -> usize {
                self.0.get() as usize - 1
            }
        }
    )*};
}
pub(crate) use ids;

/// Distinct values in order of first appearance.
#[derive(Clone, Debug)]
pub struct Table<I, T> {
    entries: Vec<T>,
    /// Indices of entries by their hash. Tables of stacks are large: a map that holds hashes too is half as fast. The last
    /// entries may be missing, see [`Table::push_new`].
    places: HashTable<u32>,
    hasher: RandomState,
    id: PhantomData<I>,
}

impl<I: Id, T: Hash + Eq> Table<I, T> {
    /// The id of `entry`, which is added if it is new.
    pub fn intern(&mut self, entry: T) -> I {
        if self.places.len() < self.entries.len() {
            self.place_all();
        }
        let Self { entries, places, hasher, .. } = self;
        let place = places.entry(
            hasher.hash_one(&entry),
            |index| entries[*index as usize] == entry,
            |index| hasher.hash_one(&entries[*index as usize]),
        );
        match place {
            hashbrown::hash_table::Entry::Occupied(known) => I::from_index(*known.get() as usize),
            hashbrown::hash_table::Entry::Vacant(free) => {
                let id = I::from_index(entries.len());
                free.insert(raw_id(entries.len()).get() - 1);
                entries.push(entry);
                id
            }
        }
    }

    /// Adds an entry that the caller knows to be in the table nowhere, without a look at it: tables of millions of
    /// entries that are made in one go are made twice as fast. It is given a place when something is interned next.
    ///
    /// # Panics
    /// If it is in the table, where debug assertions are on.
    pub fn push_new(&mut self, entry: T) -> I {
        if cfg!(debug_assertions) {
            let before = self.len();
            let id = self.intern(entry);
            assert!(self.len() > before, "the entry is new");
            return id;
        }
        let id = I::from_index(self.entries.len());
        self.entries.push(entry);
        id
    }

    fn place_all(&mut self) {
        let Self { entries, places, hasher, .. } = self;
        let hash = |index: &u32| hasher.hash_one(&entries[*index as usize]);
        let first = places.len();
        places.reserve(entries.len() - first, hash);
        for index in first..entries.len() {
            let index = raw_id(index).get() - 1;
            places.insert_unique(hash(&index), index, hash);
        }
    }

    /// Makes room for this many more entries that are new ([`Table::push_new`]).
    pub fn reserve_new(&mut self, additional: usize) {
        self.entries.reserve_exact(additional);
    }

    /// Makes room for this many more entries.
    pub fn reserve(&mut self, additional: usize) {
        self.entries.reserve(additional);
        let Self { entries, places, hasher, .. } = self;
        places.reserve(additional, |index| hasher.hash_one(&entries[*index as usize]));
    }

    /// The id of `entry` if it is in the table. Entries without a place are gone through one by one.
    pub fn find<Q: Hash + Eq + ?Sized>(&self, entry: &Q) -> Option<I>
    where
        T: Borrow<Q>,
    {
        let is_entry = |index: &u32| self.entries[*index as usize].borrow() == entry;
        let placed = self.places.find(self.hasher.hash_one(entry), is_entry).map(|index| *index as usize);
        let mut others = self.places.len()..self.entries.len();
        let found = placed.or_else(|| others.find(|index| self.entries[*index].borrow() == entry));
        found.map(I::from_index)
    }

    /// The entry with this id.
    ///
    /// # Panics
    /// If the id was handed out by another table.
    pub fn get(&self, id: I) -> &T {
        &self.entries[id.index()]
    }

    /// All entries in order of their ids.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (I, &T)> + ExactSizeIterator {
        self.entries.iter().enumerate().map(|(index, entry)| (I::from_index(index), entry))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<I, T> Default for Table<I, T> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: HashTable::new(), hasher: RandomState::default(), id: PhantomData }
    }
}

impl<I: Id, T: Hash + Eq> PartialEq for Table<I, T> {
    /// Equal entries under equal ids.
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

/// The string table.
#[derive(Clone, Debug)]
pub struct Strings<I>(Table<I, Box<str>>);

impl<I: Id> Strings<I> {
    /// The id of `text`, which is copied only if it is new.
    pub fn intern(&mut self, text: &str) -> I {
        self.find(text).unwrap_or_else(|| self.0.intern(text.into()))
    }

    /// The id of `text` if it is in the table.
    pub fn find(&self, text: &str) -> Option<I> {
        self.0.find(text)
    }

    /// The text with this id.
    pub fn get(&self, id: I) -> &str {
        self.0.get(id)
    }

    /// All texts in order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (I, &str)> {
        self.0.iter().map(|(id, text)| (id, &**text))
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<I> Default for Strings<I> {
    fn default() -> Self {
        Self(Table::default())
    }
}

impl<I: Id> PartialEq for Strings<I> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
