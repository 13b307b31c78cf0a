//! Whole stacks that were met before: most samples of a long recording repeat one, and a look at a hash of its
//! addresses takes less time than a look at each of them.

use std::hash::BuildHasher;

use burnmark_model::Zeroed;
use burnmark_perf::record::PlainSample;
use foldhash::fast::RandomState;

use crate::recording::NONE;

/// A hash of a stack's addresses. It is 128 bits wide and seeded anew in each process: that two stacks have the same by
/// chance is less likely than that the machine errs, and who writes a file doesn't know the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChainHash([u64; 2]);

/// Makes such hashes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChainHasher([RandomState; 2]);

impl ChainHasher {
    /// Of everything that a stack's frames follow from.
    pub(crate) fn hash(&self, sample: &PlainSample<'_>) -> ChainHash {
        let chain = (sample.callchain.words.as_bytes(), sample.ip, sample.misc);
        let [first, second] = self.0.each_ref().map(|state| state.hash_one(chain));
        // A slot in use is not all zeros.
        ChainHash([first | 1, second])
    }
}

/// Hash, generation of the process's address space, process and stack of what was met last in each slot.
#[derive(Debug, Default)]
pub(super) struct KnownStacks(Zeroed<[u64; 4]>);

/// What a stack's frames depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChainKey {
    pub(super) hash: ChainHash,
    pub(super) generation: u64,
    pub(super) pid: i32,
}

impl KnownStacks {
    /// The stack, if it is known.
    pub(super) fn get(&self, key: &ChainKey) -> Option<u32> {
        let [first, second, generation, rest] = *self.0.get(self.slot(key.hash))?;
        let is_it = [first, second] == key.hash.0 && generation == key.generation && rest >> 32 == key.pid_bits();
        is_it.then_some(rest as u32)
    }

    /// Fetches the slots of stacks. It changes nothing, but what follows is faster.
    pub(super) fn fetch(&self, hashes: impl Iterator<Item = ChainHash>) {
        let met = hashes.fold(0, |met, hash| met ^ self.0.get(self.slot(hash)).map_or(0, |slot| slot[0]));
        std::hint::black_box(met);
    }

    /// Remembers a stack. There are to be `slots`, a power of two: where there are fewer, those are forgotten.
    pub(super) fn put(&mut self, key: &ChainKey, stack: u32, slots: usize) {
        debug_assert!(stack != NONE && slots.is_power_of_two());
        if self.0.len() < slots {
            self.0 = Zeroed::new(slots);
        }
        let [first, second] = key.hash.0;
        let slot = self.slot(key.hash);
        self.0[slot] = [first, second, key.generation, key.pid_bits() << 32 | u64::from(stack)];
    }

    fn slot(&self, hash: ChainHash) -> usize {
        (hash.0[1] >> 32) as usize & self.0.len().wrapping_sub(1)
    }

    /// Forgets them all: frames may be others from here on.
    pub(super) fn clear(&mut self) {
        self.0 = Zeroed::default();
    }
}

impl ChainKey {
    fn pid_bits(&self) -> u64 {
        u64::from(self.pid as u32)
    }
}
