//! Tables that begin as zeros and are looked at here and there.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::{Advice, MmapMut};

/// From so many bytes on a table is in huge pages where the kernel gives them: nearly each look at one of this size is
/// at a page whose address has to be looked up, too, and in a virtual machine that takes longer than the look.
const HUGE: usize = 4 << 20;

/// A table of a length that doesn't change.
pub struct Zeroed<T> {
    memory: Memory<T>,
}

enum Memory<T> {
    Vec(Vec<T>),
    Map(MmapMut, PhantomData<T>),
}

impl<T: Pod> Zeroed<T> {
    /// So many zeros.
    pub fn new(len: usize) -> Self {
        let bytes = len.saturating_mul(size_of::<T>());
        let map = if bytes < HUGE { None } else { MmapMut::map_anon(bytes).ok() };
        let memory = match map {
            Some(map) => {
                // Without it it is as right.
                let _ = map.advise(Advice::HugePage);
                Memory::Map(map, PhantomData)
            }
            None => Memory::Vec(vec![T::zeroed(); len]),
        };
        Self { memory }
    }
}

impl<T: Pod> Clone for Zeroed<T> {
    fn clone(&self) -> Self {
        let mut other = Self::new(self.len());
        other.copy_from_slice(self);
        other
    }
}

impl<T: Pod> Default for Zeroed<T> {
    fn default() -> Self {
        Self { memory: Memory::Vec(Vec::new()) }
    }
}

impl<T: Pod> Deref for Zeroed<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.memory {
            Memory::Vec(all) => all,
            Memory::Map(map, _) => bytemuck::cast_slice(map),
        }
    }
}

impl<T: Pod> DerefMut for Zeroed<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.memory {
            Memory::Vec(all) => all,
            Memory::Map(map, _) => bytemuck::cast_slice_mut(map),
        }
    }
}

impl<T: Pod> fmt::Debug for Zeroed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zeroed").field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_tables_are_the_same() {
        for len in [0, 1, HUGE / 8 - 1, HUGE / 8, HUGE / 8 + 3] {
            let mut table = Zeroed::<u64>::new(len);
            assert_eq!(table.len(), len);
            assert!(table.iter().all(|entry| *entry == 0));
            if let Some(last) = table.last_mut() {
                *last = 7;
            }
            assert_eq!(table.iter().sum::<u64>(), if len == 0 { 0 } else { 7 });
            assert_eq!(table.clone().last(), table.last());
        }
    }
}
