//! A file in memory.

use std::fs::File;
use std::ops::Deref;

/// A file, mapped.
#[derive(Debug)]
pub struct Map(memmap2::Mmap);

impl Map {
    /// Maps a regular file.
    ///
    /// # Errors
    /// If it can't be mapped; an empty file is an empty map.
    pub fn of(file: &File) -> std::io::Result<Map> {
        // SAFETY: the map is read-only. Should the file be cut while it is read, the process gets a SIGBUS; perf writes
        // a new file and keeps the old one under another name.
        #[allow(unsafe_code, reason = "recordings are too large to be copied into memory")]
        let map = unsafe { memmap2::Mmap::map(file) }?;
        Ok(Map(map))
    }

    /// Gives its pages back: nothing more is to be read. It takes as long as a table of the file, so it is best done
    /// beside other work. Whatever is read all the same is fetched again.
    pub fn release(&self) {
        // SAFETY: the map is shared and never written to, so that its pages have what the file has, now and later.
        #[allow(unsafe_code, reason = "the map of a large file takes long to be taken down")]
        let released = unsafe { self.0.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        // Otherwise that is done at the end.
        let _ = released;
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
