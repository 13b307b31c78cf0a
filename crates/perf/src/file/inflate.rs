//! `COMPRESSED` records: one zstd stream, cut into records.

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// The first bytes of a zstd frame: after damage reading can go on there.
const FRAME: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Windows of 2^25 bytes (32 MB) are within the promised bound whatever the file is; zstd's levels up to 20 need no more.
const WINDOW_LOG: u32 = 25;

/// The largest window that any level of zstd uses.
const MAX_WINDOW_LOG: u32 = 27;

/// A decompressor, or none after damage.
pub(super) struct Inflater {
    decoder: Option<Decoder<'static>>,
    window_log: u32,
}

impl Inflater {
    /// For a file with so many bytes of records: a larger one may use a larger window.
    pub(super) fn new(file_len: u64) -> Self {
        let window_log = if file_len >= 1 << MAX_WINDOW_LOG { MAX_WINDOW_LOG } else { WINDOW_LOG };
        Self { decoder: None, window_log }.renewed()
    }

    fn renewed(mut self) -> Self {
        self.renew();
        self
    }

    fn renew(&mut self) {
        let decoder = Decoder::new().and_then(|mut decoder| {
            decoder.set_parameter(DParameter::WindowLogMax(self.window_log))?;
            Ok(decoder)
        });
        self.decoder = decoder.ok();
    }

    /// Readies it for a record's data; false if it can't be read for what was damaged before.
    pub(super) fn accepts(&mut self, data: &[u8]) -> bool {
        if self.decoder.is_none() && data.starts_with(&FRAME) {
            self.renew();
        }
        self.decoder.is_some()
    }

    /// Decompresses some of `data` into `room`: bytes used, bytes made; both 0 at the end. An error is why the rest of
    /// the stream can't be read.
    pub(super) fn run(&mut self, data: &[u8], room: &mut [u8]) -> Result<(usize, usize), &'static str> {
        let Some(decoder) = &mut self.decoder else { return Err("the stream is broken") };
        let (mut input, mut output) = (InBuffer::around(data), OutBuffer::around(room));
        match decoder.run(&mut input, &mut output) {
            Ok(_) => Ok((input.pos(), output.pos())),
            Err(error) => {
                self.decoder = None;
                Err(if error.to_string().contains("memory") {
                    "its window is larger than 32 MB (record with a level of `-z` below 21)"
                } else {
                    "the compressed stream is damaged there, and what follows builds on it"
                })
            }
        }
    }

    /// What comes next can't be read: something before it is missing.
    pub(super) fn lose(&mut self) {
        self.decoder = None;
    }
}
