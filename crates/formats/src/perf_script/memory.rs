//! Memory for tables that are looked up at random, millions of times.

use memmap2::{Advice, MmapMut};

/// What one page table entry of the next level maps on x86-64 and (with 4 KiB pages) aarch64.
const HUGE_PAGE: usize = 2 << 20;

/// Zeroed bytes. Large ones ask for huge pages: the first touch of each small page would cost more than all that is done
/// with it, and the processor finds few of thousands of small pages quickly.
#[derive(Debug)]
pub(super) enum Memory {
    Small(Vec<u8>),
    Large(MmapMut),
}

impl Memory {
    pub(super) fn zeroed(length: usize) -> Self {
        if length >= HUGE_PAGE
            && let Ok(mut map) = MmapMut::map_anon(length)
        {
            // Where there are none it does without.
            let _ = map.advise(Advice::HugePage);
            // Pages that are read first have to be made twice.
            map.iter_mut().step_by(HUGE_PAGE).for_each(|byte| *byte = 0);
            return Self::Large(map);
        }
        Self::Small(vec![0; length])
    }

    /// The bytes in slots of `N`.
    #[inline]
    pub(super) fn slots<const N: usize>(&self) -> &[[u8; N]] {
        let bytes: &[u8] = match self {
            Self::Small(bytes) => bytes,
            Self::Large(map) => map,
        };
        bytes.as_chunks().0
    }

    /// As [`Memory::slots`], to be changed.
    #[inline]
    pub(super) fn slots_mut<const N: usize>(&mut self) -> &mut [[u8; N]] {
        let bytes: &mut [u8] = match self {
            Self::Small(bytes) => bytes,
            Self::Large(map) => map,
        };
        bytes.as_chunks_mut().0
    }
}
