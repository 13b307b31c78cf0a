//! Columns of numbers: memory of their own, given back when dropped.
//!
//! Large ones are taken from the system in huge pages, which is several times as quick as page by page, and walks over
//! graphs miss fewer addresses. Where huge pages come slowly (virtual machines that hand free memory back to their host,
//! memory in pieces), that is noticed after the first, and the rest comes in ordinary ones.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytemuck::Pod;
use memmap2::{Advice, MmapMut};
use rayon::prelude::*;

use crate::Error;

/// Bytes that are taken from the system at a time.
const PIECE: usize = 4 << 20;

/// Taking a piece in huge pages is a matter of half a millisecond where they are at hand.
const QUICK: Duration = Duration::from_millis(3);

/// Whether huge pages have come quickly so far.
static HUGE_PAGES: AtomicBool = AtomicBool::new(true);

/// Takes the memory of a large column now. What the system does not know how to do is left out.
fn take(bytes: &MmapMut) {
    if bytes.len() < PIECE {
        return;
    }
    let huge = HUGE_PAGES.load(Ordering::Relaxed) && bytes.advise(Advice::HugePage).is_ok();
    (0..bytes.len()).into_par_iter().step_by(PIECE).for_each(|start| {
        let length = PIECE.min(bytes.len() - start);
        let still = HUGE_PAGES.load(Ordering::Relaxed);
        if huge && !still {
            _ = bytes.advise_range(Advice::NoHugePage, start, length);
        }
        let clock = Instant::now();
        _ = bytes.advise_range(Advice::PopulateWrite, start, length);
        if huge && still && clock.elapsed() > QUICK {
            HUGE_PAGES.store(false, Ordering::Relaxed);
        }
    });
}

/// So many numbers, zero at first.
pub(crate) struct Column<T> {
    bytes: MmapMut,
    length: usize,
    of: PhantomData<T>,
}

impl<T: Pod> Column<T> {
    /// Takes room for `length` numbers.
    ///
    /// # Errors
    /// [`Error::Memory`]: the system gives no more.
    pub(crate) fn new(length: usize) -> Result<Self, Error> {
        let no_room = |source| Error::Memory { bytes: (length as u64).saturating_mul(size_of::<T>() as u64), source };
        let size = length.checked_mul(size_of::<T>()).ok_or_else(|| no_room(std::io::ErrorKind::OutOfMemory.into()))?;
        let bytes = MmapMut::map_anon(size.max(1)).map_err(no_room)?;
        take(&bytes);
        Ok(Self { bytes, length, of: PhantomData })
    }

    /// So many times the same number.
    ///
    /// # Errors
    /// [`Error::Memory`]
    pub(crate) fn filled(length: usize, value: T) -> Result<Self, Error> {
        let mut column = Self::new(length)?;
        column.fill(value);
        Ok(column)
    }
}

impl<T: Pod> Column<T> {
    /// Uses the memory for `length` numbers of another kind, which hold whatever is there; takes other memory where it
    /// does not fit.
    ///
    /// # Errors
    /// [`Error::Memory`]
    pub(crate) fn reused<U: Pod>(self, length: usize) -> Result<Column<U>, Error> {
        match length.checked_mul(size_of::<U>()) {
            Some(size) if size <= self.bytes.len() => Ok(Column { bytes: self.bytes, length, of: PhantomData }),
            _ => Column::new(length),
        }
    }
}

impl<T: Pod> Deref for Column<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(&self.bytes[..self.length * size_of::<T>()])[..self.length]
    }
}

impl<T: Pod> DerefMut for Column<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut bytemuck::cast_slice_mut(&mut self.bytes[..self.length * size_of::<T>()])[..self.length]
    }
}

impl<T: Pod> fmt::Debug for Column<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.length, std::any::type_name::<T>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_hold_what_is_put_in() {
        let mut column = Column::<u32>::filled(3_000_000, 7).expect("room");
        column[2_999_999] = 8;
        assert_eq!((column.len(), column[0], column[2_999_999]), (3_000_000, 7, 8));
        let column = column.reused::<u64>(1_500_000).expect("room");
        assert_eq!((column.len(), column[1_499_999]), (1_500_000, u64::from_le_bytes([7, 0, 0, 0, 8, 0, 0, 0])));
        assert_eq!(column.reused::<u8>(20_000_000).expect("room")[19_999_999], 0);
        assert_eq!(Column::<u64>::new(0).expect("room").len(), 0);
        assert!(matches!(Column::<u64>::new(usize::MAX / 4), Err(Error::Memory { .. })));
        assert!(matches!(Column::<u64>::new(1 << 55), Err(Error::Memory { .. })));
    }
}
