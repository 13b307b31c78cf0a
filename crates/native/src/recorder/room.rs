//! How large the tables of a recording may get.
//!
//! A real file repeats itself: its stacks are few beside its samples. One that was damaged, or made to do harm, may have
//! a new frame every eight bytes, and a row with all that is made of it later takes many times as much. So rows are
//! bounded by the bytes that were read. Real files stay below half of these bounds, those of large machines too: what
//! was there before comes first.

/// See [`Room::known`].
const MOST_KNOWN: usize = 1 << 18;

/// Most rows of each table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(super) frames: usize,
    pub(super) stacks: usize,
    pub(super) samples: usize,
    pub(super) modules: usize,
    /// Threads, and of these also those that are alive.
    pub(super) threads: usize,
    /// Mappings of all processes.
    pub(super) mappings: usize,
    /// Whole stacks that are found by a hash, of 32 bytes each: 8 MB at most. A power of two.
    pub(super) known: usize,
}

impl Room {
    /// As much as there is.
    pub(crate) const ALL: Room = Room {
        frames: usize::MAX,
        stacks: usize::MAX,
        samples: usize::MAX,
        modules: usize::MAX,
        threads: usize::MAX,
        mappings: usize::MAX,
        known: MOST_KNOWN,
    };

    /// For so many bytes of records: with what else is made of them, less than 64 MB and four times the bytes.
    pub(crate) fn for_bytes(bytes: u64) -> Room {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Room {
            frames: (1 << 14) + bytes / 256,
            stacks: (1 << 17) + bytes / 40,
            samples: (1 << 17) + bytes / 32,
            modules: (1 << 14) + bytes / 512,
            threads: (1 << 15) + bytes / 256,
            mappings: (1 << 17) + bytes / 64,
            known: (bytes / 512).clamp(1, MOST_KNOWN).next_power_of_two(),
        }
    }
}

/// What found no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beyond {
    /// Samples of which only the innermost frame is kept.
    pub(crate) cut: u64,
    /// Samples that are left out.
    pub(crate) left_out: u64,
}
