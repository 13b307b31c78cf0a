//! Sizes of nodes in bytes: four bytes each, as few are of 4 GiB and more.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::Error;
use crate::column::Column;

/// What a size in `Sizes::small` stands for that does not fit there.
pub(crate) const LARGE: u32 = u32::MAX;

/// Sizes by node.
#[derive(Debug)]
pub(crate) struct Sizes {
    pub(crate) small: Column<u32>,
    /// Sizes of 4 GiB and more, by node.
    pub(crate) large: HashMap<u32, u64, RandomState>,
}

/// A size as it stands in `Sizes::small`.
#[inline(always)]
pub(crate) fn small(size: u64) -> u32 {
    size.min(u64::from(LARGE)) as u32
}

impl Sizes {
    /// So many, all zero.
    ///
    /// # Errors
    /// [`Error::Memory`]
    pub(crate) fn new(count: usize) -> Result<Self, Error> {
        Ok(Self { small: Column::new(count)?, large: HashMap::default() })
    }

    #[inline(always)]
    pub(crate) fn of(&self, node: u32) -> u64 {
        match self.small[node as usize] {
            LARGE => self.large.get(&node).copied().unwrap_or(u64::from(LARGE)),
            size => u64::from(size),
        }
    }

    #[inline(always)]
    pub(crate) fn set(&mut self, node: u32, size: u64) {
        self.small[node as usize] = small(size);
        if size >= u64::from(LARGE) {
            self.large.insert(node, size);
        }
    }

    pub(crate) fn take(&mut self, node: u32) -> u64 {
        let size = self.of(node);
        self.small[node as usize] = 0;
        size
    }

    pub(crate) fn add(&mut self, node: u32, more: u64) {
        self.set(node, self.of(node).saturating_add(more));
    }

    /// All of them together.
    pub(crate) fn total(&self) -> u128 {
        let small = self.small.iter().filter(|size| **size != LARGE).map(|size| u128::from(*size));
        small.sum::<u128>() + self.large.values().map(|size| u128::from(*size)).sum::<u128>()
    }

    /// Whether pointers have four bytes: some size is no multiple of eight.
    pub(crate) fn has_short_pointers(&self) -> bool {
        self.small.iter().any(|size| *size != LARGE && size % 8 != 0)
    }
}
