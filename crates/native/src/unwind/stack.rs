//! The copy of a thread's stack, and the memory of its process beyond that.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use foldhash::fast::RandomState;

/// Bytes read from a process at once. Blocks are aligned: none reaches into memory that may not be there.
const BLOCK: usize = 4096;

/// Blocks read for one sample at most.
const MOST_BLOCKS: usize = 64;

/// Processes whose memory is open at once.
const MOST_PROCESSES: usize = 128;

/// Bytes from the stack pointer up, as they were when the sample was taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct StackCopy<'a> {
    pub(super) start: u64,
    pub(super) bytes: &'a [u8],
    /// What lies elsewhere, as it is now.
    pub(super) beyond: Option<&'a Beyond<'a>>,
}

impl StackCopy<'_> {
    /// The eight bytes at an address, if all of them were copied or can be read.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        self.copied(address).or_else(|| self.beyond?.word(address))
    }

    /// The eight bytes at an address, if all of them were copied.
    fn copied(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.start)?).ok()?;
        let bytes = self.bytes.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Fetches what is likely to be needed: each frame tells only when it is read where the next one is, and a copy that
    /// nobody has read yet is far away. It changes nothing, but what follows is faster.
    pub(super) fn fetch(&self, addresses: &[u64]) {
        let words = addresses.iter().filter_map(|address| self.copied(*address));
        std::hint::black_box(words.fold(0, |met, word| met ^ word));
    }

    /// One past the last address that was copied.
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.bytes.len() as u64)
    }

    pub(super) fn contains(&self, address: u64) -> bool {
        self.start <= address && address < self.end()
    }
}

/// The memory of running processes, by `/proc/PID/mem`: it stops nobody, and needs the right to trace the process.
#[derive(Debug, Default)]
pub(super) struct Memory {
    files: HashMap<i32, Option<File>, RandomState>,
    blocks: RefCell<Vec<(u64, [u8; BLOCK])>>,
}

impl Memory {
    /// That of a process, if it may be read.
    pub(super) fn of(&mut self, pid: i32) -> Option<Beyond<'_>> {
        if self.files.len() >= MOST_PROCESSES && !self.files.contains_key(&pid) {
            self.files.clear();
        }
        self.blocks.get_mut().clear();
        let file = self.files.entry(pid).or_insert_with(|| File::open(format!("/proc/{pid}/mem")).ok());
        Some(Beyond { file: file.as_ref()?, blocks: &self.blocks })
    }

    /// What was open is of a program that is gone.
    pub(super) fn forget(&mut self, pid: i32) {
        self.files.remove(&pid);
    }
}

/// The memory of one process while one sample is unwound.
#[derive(Debug)]
pub(super) struct Beyond<'a> {
    file: &'a File,
    blocks: &'a RefCell<Vec<(u64, [u8; BLOCK])>>,
}

impl Beyond<'_> {
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        if !address.is_multiple_of(8) {
            return None;
        }
        let start = address & !(BLOCK as u64 - 1);
        let mut blocks = self.blocks.borrow_mut();
        let index = match blocks.iter().position(|block| block.0 == start) {
            Some(index) => index,
            None if blocks.len() < MOST_BLOCKS => {
                let mut bytes = [0; BLOCK];
                self.file.read_exact_at(&mut bytes, start).ok()?;
                blocks.push((start, bytes));
                blocks.len() - 1
            }
            None => return None,
        };
        let at = (address - start) as usize;
        Some(u64::from_le_bytes(blocks[index].1.get(at..at + 8)?.try_into().ok()?))
    }
}
