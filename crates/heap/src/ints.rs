//! Integers of a JSON array, read one record after the other.

use crate::Error;
use crate::error::malformed;
use crate::header::MAX_FIELDS;

/// Reads numbers off a block of bytes.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    pos: usize,
    /// Offset of the block in the input.
    base: usize,
}

/// Digits are `0x30..=0x39`: adding this carries into the high bit of all other bytes' low seven bits.
const ABOVE_NINE: u64 = 0x7676_7676_7676_7676;
const ZEROS: u64 = 0x3030_3030_3030_3030;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], base: usize) -> Self {
        Self { bytes, pos: 0, base }
    }

    /// Offset in the input.
    pub(crate) fn position(&self) -> u64 {
        (self.base + self.pos) as u64
    }

    /// Goes behind so many commas.
    pub(crate) fn skip_commas(&mut self, commas: usize) {
        if let Some(nth) = commas.checked_sub(1)
            && let Some(at) = memchr::memchr_iter(b',', &self.bytes[self.pos..]).nth(nth)
        {
            self.pos += at + 1;
        }
    }

    pub(crate) fn skip_blanks(&mut self) {
        while self.bytes.get(self.pos).is_some_and(u8::is_ascii_whitespace) {
            self.pos += 1;
        }
    }

    /// The numbers of a record of `fields` fields. `first`: no comma stands before it.
    #[inline(always)]
    pub(crate) fn record(&mut self, fields: usize, first: bool, into: &mut [u64; MAX_FIELDS]) -> Result<(), Error> {
        for (field, slot) in into[..fields].iter_mut().enumerate() {
            if !(first && field == 0) {
                self.separator()?;
            }
            *slot = self.number()?;
        }
        Ok(())
    }

    /// A comma, with blanks around it.
    #[inline(always)]
    fn separator(&mut self) -> Result<(), Error> {
        match self.bytes.get(self.pos..self.pos + 2) {
            Some([b',', b'0'..=b'9']) => self.pos += 1,
            // V8 ends each record with a line end.
            Some([b'\n', b',']) if self.bytes.get(self.pos + 2).is_some_and(u8::is_ascii_digit) => self.pos += 2,
            _ => return self.separator_anyhow(),
        }
        Ok(())
    }

    #[cold]
    fn separator_anyhow(&mut self) -> Result<(), Error> {
        self.skip_blanks();
        if self.bytes.get(self.pos) != Some(&b',') {
            return Err(self.unexpected("a comma"));
        }
        self.pos += 1;
        self.skip_blanks();
        Ok(())
    }

    #[inline(always)]
    fn number(&mut self) -> Result<u64, Error> {
        let Some(word) = self.bytes[self.pos..].first_chunk::<8>() else {
            return self.number_slowly();
        };
        let digits = u64::from_le_bytes(*word) ^ ZEROS;
        let others = (digits.wrapping_add(ABOVE_NINE) | digits) & HIGH_BITS;
        let length = others.trailing_zeros() / 8;
        if length == 0 || length == 8 {
            return self.number_slowly();
        }
        self.pos += length as usize;
        // The digits move to the end of the word, with zeros before them.
        let digits = digits << (64 - 8 * length);
        Ok(eight_digits(digits))
    }

    /// Numbers of eight digits and more, those at the end of the block, and what is none.
    fn number_slowly(&mut self) -> Result<u64, Error> {
        let mut value = 0_u64;
        let start = self.pos;
        if let Some(word) = self.bytes[self.pos..].first_chunk::<8>() {
            let digits = u64::from_le_bytes(*word) ^ ZEROS;
            if (digits.wrapping_add(ABOVE_NINE) | digits) & HIGH_BITS == 0 {
                value = eight_digits(digits);
                self.pos += 8;
            }
        }
        while let Some(digit) = self.bytes.get(self.pos).filter(|byte| byte.is_ascii_digit()) {
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(u64::from(digit - b'0')))
                .ok_or_else(|| malformed((self.base + start) as u64, "a number has more than 64 bits"))?;
            self.pos += 1;
        }
        if self.pos == start { Err(self.unexpected("a number")) } else { Ok(value) }
    }

    #[cold]
    fn unexpected(&self, wanted: &str) -> Error {
        let found = match self.bytes.get(self.pos) {
            Some(byte) => format!("{:?} where {wanted} should be", char::from(*byte)),
            None => format!("the list of numbers ends where {wanted} should be"),
        };
        malformed(self.position(), found)
    }
}

/// The value of eight digits, the first in the lowest byte.
#[inline(always)]
fn eight_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str, fields: usize) -> Result<Vec<u64>, String> {
        let mut record = [0; MAX_FIELDS];
        let mut cursor = Cursor::new(text.as_bytes(), 100);
        cursor.record(fields, true, &mut record).map_err(|error| error.to_string())?;
        Ok(record[..fields].to_vec())
    }

    #[test]
    fn numbers_of_all_lengths_are_read() {
        let mut text = String::new();
        let mut wanted = Vec::new();
        for length in 1..=20 {
            let digits: String = "12345678901234567890".chars().take(length).collect();
            wanted.push(digits.parse::<u64>().expect("fits"));
            text += &format!("{}{digits}", if length == 1 { "" } else { "," });
        }
        assert_eq!(numbers(&text, 20), Ok(wanted.clone()));
        assert_eq!(numbers(&text.replace(',', "\n,"), 20), Ok(wanted.clone()));
        assert_eq!(numbers(&(text.replace(',', "\t, \r\n") + "        "), 20), Ok(wanted));
        assert_eq!(numbers("0,00,18446744073709551615", 3), Ok(vec![0, 0, u64::MAX]));
    }

    #[test]
    fn what_is_no_number_is_said_with_its_byte() {
        let at = |text: &str, fields| numbers(text, fields).expect_err("wrong");
        assert!(at("1,-2,3456789", 3).contains("byte 102: '-' where a number should be"), "{}", at("1,-2,3456789", 3));
        assert!(at("1,,2", 2).contains("byte 102: ',' where a number"));
        assert!(at("1 2", 2).contains("byte 102: '2' where a comma"));
        assert!(at("12345678x", 2).contains("byte 108: 'x' where a comma"));
        assert!(at("7", 2).contains("byte 101: the list of numbers ends"));
        assert!(at("18446744073709551616", 1).contains("byte 100: a number has more than 64 bits"));
    }
}
