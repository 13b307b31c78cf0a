//! Where the bytes of records are until they are handed out: in the mapped file, or in chunks of memory that are used
//! again.

use super::queue::Entry;

/// Bytes of a chunk: several times the longest record, which has 64 KiB.
pub(super) const CHUNK: usize = 512 << 10;

/// Chunks that are kept for later use.
const SPARE: usize = 8;

/// The chunk number of what lies in the file itself.
pub(super) const IN_FILE: u32 = u32::MAX;

#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// Records in it that wait to be handed out, and one more while it is being filled.
    live: usize,
    /// Offset in the file of its first byte, and whether those of the others follow from it.
    origin: u64,
    is_plain: bool,
}

/// The bytes of all records that wait.
#[derive(Debug)]
pub(super) struct Store<'a> {
    file: &'a [u8],
    chunks: Vec<Chunk>,
    free: Vec<u32>,
}

impl<'a> Store<'a> {
    /// `file` is what was mapped; empty if it is read as a stream.
    pub(super) fn new(file: &'a [u8]) -> Self {
        Self { file, chunks: Vec::new(), free: Vec::new() }
    }

    /// Length of what was mapped; 0 of a stream.
    pub(super) fn file_len(&self) -> u64 {
        self.file.len() as u64
    }

    /// Bytes in use.
    pub(super) fn held(&self) -> usize {
        (self.chunks.len() - self.free.len()) * CHUNK
    }

    /// An empty chunk, to be given back by [`Store::release`]. Its bytes come from `origin` in the file, one by one if
    /// it `is_plain`.
    pub(super) fn take(&mut self, origin: u64, is_plain: bool) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.chunks.push(Chunk::default());
            (self.chunks.len() - 1) as u32
        });
        let chunk = &mut self.chunks[index as usize];
        chunk.bytes.resize(CHUNK, 0);
        *chunk = Chunk { bytes: std::mem::take(&mut chunk.bytes), live: 1, origin, is_plain };
        index
    }

    /// The bytes of a chunk, to be filled; they must be put back before anything in it is asked for.
    pub(super) fn borrow(&mut self, chunk: u32) -> Vec<u8> {
        std::mem::take(&mut self.chunks[chunk as usize].bytes)
    }

    pub(super) fn put_back(&mut self, chunk: u32, bytes: Vec<u8>) {
        self.chunks[chunk as usize].bytes = bytes;
    }

    /// A record in the chunk waits.
    pub(super) fn hold(&mut self, chunk: u32) {
        if let Some(chunk) = self.chunks.get_mut(chunk as usize) {
            chunk.live += 1;
        }
    }

    /// It no longer does, or the chunk is full.
    pub(super) fn release(&mut self, chunk: u32) {
        let Some(held) = self.chunks.get_mut(chunk as usize) else { return };
        held.live -= 1;
        if held.live == 0 {
            if self.free.len() >= SPARE {
                held.bytes = Vec::new();
            }
            self.free.push(chunk);
        }
    }

    /// A record's bytes.
    pub(super) fn bytes(&self, entry: &Entry) -> &[u8] {
        let (from, at) = match self.chunks.get(entry.chunk as usize) {
            Some(chunk) => (&chunk.bytes[..], entry.at),
            None => (self.file, entry.at),
        };
        let rest = usize::try_from(at).ok().and_then(|at| from.get(at..)).unwrap_or_default();
        let size = crate::record::Header::peek(rest).map_or(0, |header| usize::from(header.size));
        rest.get(..size).unwrap_or_default()
    }

    /// Where in the file it came from.
    pub(super) fn position(&self, entry: &Entry) -> u64 {
        match self.chunks.get(entry.chunk as usize) {
            Some(chunk) if chunk.is_plain => chunk.origin + entry.at,
            Some(chunk) => chunk.origin,
            None => entry.at,
        }
    }
}
