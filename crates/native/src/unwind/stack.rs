//! The copy of a thread's stack.

/// Bytes from the stack pointer up.
#[derive(Clone, Copy, Debug)]
pub(super) struct StackCopy<'a> {
    pub(super) start: u64,
    pub(super) bytes: &'a [u8],
}

impl StackCopy<'_> {
    /// The eight bytes at an address, if all of them were copied.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.start)?).ok()?;
        let bytes = self.bytes.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// One past the last address that was copied.
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.bytes.len() as u64)
    }

    pub(super) fn contains(&self, address: u64) -> bool {
        self.start <= address && address < self.end()
    }
}
