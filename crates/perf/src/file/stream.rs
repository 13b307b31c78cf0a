//! A file that comes through a pipe, or out of a decompressor.

use std::io::Read;

use super::Error;

/// A file that is read once, from its start.
pub(super) struct Stream<'a> {
    pub(super) reader: Box<dyn Read + 'a>,
    /// Bytes read so far.
    pub(super) at: u64,
    pub(super) is_over: bool,
    /// Why it is, if it was not its end: what was compressed is damaged or cut.
    pub(super) broken: Option<std::io::Error>,
}

/// Whether what can't be read on is damaged, rather than the way to it.
fn is_damage(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
}

impl Stream<'_> {
    /// Fills as much of `room` as there are bytes.
    pub(super) fn fill(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < room.len() && !self.is_over {
            match self.reader.read(&mut room[filled..]) {
                Ok(0) => self.is_over = true,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if is_damage(&error) => {
                    self.is_over = true;
                    self.broken = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.at += filled as u64;
        Ok(filled)
    }

    /// Appends up to `len` bytes.
    pub(super) fn append(&mut self, to: &mut Vec<u8>, len: u64) -> Result<(), Error> {
        let before = to.len();
        (&mut self.reader).take(len).read_to_end(to)?;
        self.at += (to.len() - before) as u64;
        Ok(())
    }
}
