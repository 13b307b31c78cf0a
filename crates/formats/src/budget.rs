//! A bound on the memory that an input's entries take: files can be tiny, decompress to gigabytes, and hold millions of
//! entries in a few bytes each.

use burnmark_model::Position;

use crate::{Error, Format};

/// How much of [`crate::ReadOptions::max_decompressed`] entries may take.
const SHARE: u64 = 8;

/// Memory that may still be taken.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    format: Format,
    held: u64,
    limit: u64,
}

impl Budget {
    /// An eighth of `max_decompressed`.
    pub(crate) fn new(format: Format, max_decompressed: u64) -> Self {
        Self { format, held: 0, limit: max_decompressed / SHARE }
    }

    /// Counts memory that is about to be held.
    #[inline]
    pub(crate) fn take(&mut self, bytes: u64, position: u64) -> Result<(), Error> {
        self.held = self.held.saturating_add(bytes);
        if self.held <= self.limit { Ok(()) } else { Err(self.exceeded(position)) }
    }

    #[cold]
    fn exceeded(&self, position: u64) -> Error {
        let limit = self.limit;
        Error::malformed(
            self.format,
            Position::Byte(position),
            format!(
                "its entries take more than {limit} bytes of memory: raise the bound with --max-decompressed, of which \
                 that is an eighth, if you trust the file"
            ),
        )
    }
}
