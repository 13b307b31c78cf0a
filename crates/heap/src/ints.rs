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

    /// Goes to a place in the block.
    pub(crate) fn go_to(&mut self, pos: usize) {
        self.pos = pos;
    }

    /// Where it is in the block.
    pub(crate) fn place(&self) -> usize {
        self.pos
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

/// Numbers that are handed on together.
const TOGETHER: usize = 1024;
/// Bytes that are looked at together for the ends of numbers.
const WINDOW: usize = 64;

/// Reads whole records of numbers as V8 writes them (commas between them, line ends before the commas of records), many
/// at a time: the ends of numbers are found first, so that no number waits for the one before.
///
/// `take` gets the values of some records, and where each number ends in `bytes`. Stops before whatever is written in
/// another way, and near the end of the bytes. Returns how many records were read, and where the last one ends.
///
/// # Errors
/// Those of `take`.
pub(crate) fn records(
    bytes: &[u8],
    start: usize,
    count: usize,
    fields: usize,
    take: impl FnMut(usize, &[u64], &[u32]) -> Result<(), Error>,
) -> Result<(usize, usize), Error> {
    let list = List { bytes, start, count, fields };
    #[cfg(target_arch = "x86_64")]
    if avx2::is_there() {
        #[allow(unsafe_code, reason = "the processor is asked first, which the compiler does not see")]
        // SAFETY: the processor has all that the function is compiled for.
        return unsafe { avx2::records(&list, take) };
    }
    records_anywhere(&list, take)
}

/// For all processors.
fn records_anywhere(
    list: &List<'_>,
    take: impl FnMut(usize, &[u64], &[u32]) -> Result<(), Error>,
) -> Result<(usize, usize), Error> {
    records_by(list, take, bytes_of, |words| words.iter_mut().for_each(|word| *word = eight_digits(*word)))
}

/// Records between other bytes.
struct List<'a> {
    bytes: &'a [u8],
    /// Where the first record begins.
    start: usize,
    count: usize,
    fields: usize,
}

/// See [`records`]. `bytes_of` looks at the bytes of a window; `read` turns words of eight digits into values.
#[inline(always)]
fn records_by(
    list: &List<'_>,
    mut take: impl FnMut(usize, &[u64], &[u32]) -> Result<(), Error>,
    bytes_of: impl Fn(&[u8; WINDOW]) -> Bytes,
    read: impl Fn(&mut [u64]),
) -> Result<(usize, usize), Error> {
    let &List { bytes, start, count, fields } = list;
    let mut values = [0_u64; TOGETHER + WINDOW];
    let mut ends = [0_u32; TOGETHER + WINDOW];
    // Those of more than eight digits.
    let mut long = Vec::new();
    let (mut held, mut known, mut done, mut end) = (0, 0, 0, start);
    // Where the next number begins, and the next window.
    let (mut number, mut window) = (start, start);
    // A number begins as behind a comma.
    let mut before = Bytes { digits: 0, commas: 1 << 63, lines: 0 };
    let mut is_odd = start < 8;
    while done < count {
        // With eight bytes before and behind: numbers may begin before it, and eight bytes of each are looked at.
        let around = if is_odd { None } else { bytes.get(window - 8..) };
        let around = around.and_then(|bytes| bytes.first_chunk::<{ WINDOW + 16 }>());
        if let Some(around) = around {
            let now = bytes_of(around[8..].first_chunk().expect("a window, and eight bytes behind it"));
            let digits_end = !now.digits & (now.digits << 1 | before.digits >> 63);
            let odd = now.odd_behind(&before);
            is_odd = odd != 0;
            // What comes before the first byte that is written in another way.
            let mut found = digits_end & (odd & odd.wrapping_neg()).wrapping_sub(1);
            let lines = now.lines;
            before = now;
            while found != 0 {
                let at = found.trailing_zeros() as usize;
                found &= found - 1;
                // The number's digits are the last of these eight bytes. Zeros take the place of what is before them.
                let word = around[at..].first_chunk::<8>().map_or(0, |word| u64::from_le_bytes(*word));
                let digits = window + at - number;
                values[held] = (word ^ ZEROS) & u64::MAX << (64_usize.wrapping_sub(8 * digits) & 63);
                if digits > 8 {
                    let Some(value) = longer(bytes, number, digits) else {
                        is_odd = true;
                        break;
                    };
                    long.push((held, value));
                }
                number = window + at + 1 + (lines >> at & 1) as usize;
                ends[held] = (window + at) as u32;
                held += 1;
            }
            window += WINDOW;
        }
        if held >= TOGETHER || around.is_none() {
            read(&mut values[known..held]);
            long.drain(..).for_each(|(at, value): (usize, u64)| values[at] = value);
            let whole = (held / fields).min(count - done);
            if whole > 0 {
                take(done, &values[..whole * fields], &ends[..whole * fields])?;
                end = ends[whole * fields - 1] as usize;
            }
            done += whole;
            values.copy_within(whole * fields..held, 0);
            ends.copy_within(whole * fields..held, 0);
            held -= whole * fields;
            known = held;
        }
        if around.is_none() {
            break;
        }
    }
    Ok((done, end))
}

/// For processors that look at 32 bytes at a time, as those of the last ten years do.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi64, _mm256_cmpeq_epi8, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_min_epu8,
        _mm256_movemask_epi8, _mm256_mul_epu32, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
        _mm256_set1_epi64x, _mm256_srli_epi64, _mm256_sub_epi8,
    };

    use super::{Bytes, Error, List, WINDOW, eight_digits, records_by};

    /// Whether the processor has what these functions are compiled for.
    pub(super) fn is_there() -> bool {
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2")
    }

    #[target_feature(enable = "avx2,bmi1,bmi2")]
    pub(super) fn records(
        list: &List<'_>,
        take: impl FnMut(usize, &[u64], &[u32]) -> Result<(), Error>,
    ) -> Result<(usize, usize), Error> {
        records_by(list, take, |window| bytes_of(window), |words| read(words))
    }

    #[target_feature(enable = "avx2,bmi1,bmi2")]
    #[inline]
    fn bytes_of(window: &[u8; WINDOW]) -> Bytes {
        let halves: [__m256i; 2] = bytemuck::cast(*window);
        let both = |masks: [__m256i; 2]| {
            let [low, high] = masks.map(|mask| _mm256_movemask_epi8(mask) as u32);
            u64::from(high) << 32 | u64::from(low)
        };
        let equal = |byte: u8| both(halves.map(|half| _mm256_cmpeq_epi8(half, _mm256_set1_epi8(byte as i8))));
        let is_digit = |half: __m256i| {
            let digits = _mm256_sub_epi8(half, _mm256_set1_epi8(b'0' as i8));
            _mm256_cmpeq_epi8(digits, _mm256_min_epu8(digits, _mm256_set1_epi8(9)))
        };
        Bytes { digits: both(halves.map(is_digit)), commas: equal(b','), lines: equal(b'\n') }
    }

    /// As [`eight_digits`], four numbers at a time.
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    #[inline]
    fn read(words: &mut [u64]) {
        let (tens, hundreds) = (_mm256_set1_epi16(1 << 8 | 10), _mm256_set1_epi32(1 << 16 | 100));
        let (fours, rest) = words.as_chunks_mut::<4>();
        for words in fours {
            let pairs = _mm256_maddubs_epi16(bytemuck::cast(*words), tens);
            let fours = _mm256_madd_epi16(pairs, hundreds);
            let high = _mm256_mul_epu32(fours, _mm256_set1_epi64x(10_000));
            *words = bytemuck::cast(_mm256_add_epi64(high, _mm256_srli_epi64::<32>(fours)));
        }
        rest.iter_mut().for_each(|word| *word = eight_digits(*word));
    }
}

/// The value of more than eight digits; at most sixteen.
#[cold]
fn longer(bytes: &[u8], start: usize, digits: usize) -> Option<u64> {
    let digits = bytes.get(start..start + digits).filter(|digits| digits.len() <= 16)?;
    Some(digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0')))
}

/// What the bytes of a window are: one bit for each.
struct Bytes {
    digits: u64,
    commas: u64,
    lines: u64,
}

impl Bytes {
    /// The bytes that V8 does not write so: anything else, no comma behind a line end, no digit behind a comma.
    #[inline(always)]
    fn odd_behind(&self, before: &Self) -> u64 {
        !(self.digits | self.commas | self.lines)
            | (self.lines << 1 | before.lines >> 63) & !self.commas
            | (self.commas << 1 | before.commas >> 63) & !self.digits
    }
}

/// Looks at the bytes with what all processors have.
#[inline(always)]
fn bytes_of(window: &[u8; WINDOW]) -> Bytes {
    Bytes {
        digits: mask(window, |byte| byte.wrapping_sub(b'0') < 10),
        commas: mask(window, |byte| byte == b','),
        lines: mask(window, |byte| byte == b'\n'),
    }
}

/// One bit for each byte that is so.
#[inline(always)]
fn mask(window: &[u8; WINDOW], is: impl Fn(u8) -> bool) -> u64 {
    let mut flags = [0_u8; WINDOW];
    flags.iter_mut().zip(window).for_each(|(flag, byte)| *flag = u8::from(is(*byte)));
    let mut mask = 0;
    for (index, flags) in flags.chunks_exact(8).enumerate() {
        let flags = flags.first_chunk::<8>().map_or(0, |flags| u64::from_le_bytes(*flags));
        // The eight low bits come together in the highest byte.
        mask |= flags.wrapping_mul(0x0102_0408_1020_4080) >> 56 << (8 * index);
    }
    mask
}

/// The value of eight digits, the first in the lowest byte.
#[inline(always)]
fn eight_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
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

    /// Reads what is written many at a time, and the rest one by one.
    fn all(text: &str, fields: usize, count: usize) -> (usize, Vec<u64>) {
        let text = format!("{:16}{text}", "");
        let mut found = Vec::new();
        let take = |index: usize, values: &[u64], ends: &[u32]| {
            assert_eq!(index * fields, found.len());
            assert_eq!(values.len(), ends.len());
            for (value, end) in values.iter().zip(ends) {
                let before = &text[..*end as usize];
                assert!(before.ends_with(&value.to_string()), "{value} ends at {end}");
            }
            found.extend_from_slice(values);
            Ok(())
        };
        let (done, end) = records(text.as_bytes(), 16, count, fields, take).expect("nothing is refused");
        assert_eq!(found.len(), done * fields);
        let mut anywhere = Vec::new();
        let list = List { bytes: text.as_bytes(), start: 16, count, fields };
        let take = |_, values: &[u64], _: &[u32]| {
            anywhere.extend_from_slice(values);
            Ok(())
        };
        assert_eq!(records_anywhere(&list, take).expect("nothing is refused"), (done, end));
        assert!(anywhere == found, "another processor reads other numbers");
        let mut cursor = Cursor::new(text.as_bytes(), 0);
        cursor.go_to(end);
        let mut record = [0; MAX_FIELDS];
        for index in done..count {
            cursor.record(fields, index == 0, &mut record).expect("a record");
            found.extend_from_slice(&record[..fields]);
        }
        (done, found)
    }

    #[test]
    fn many_at_a_time_are_the_same_as_one_by_one() {
        let mut state = 1_u64;
        let mut number = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 32 >> (state >> 20 & 31)
        };
        for fields in [1, 3, 7, 32] {
            let count = 3_000;
            let wanted: Vec<u64> =
                (0..count * fields).map(|_| number() * if number() % 50 == 0 { 1 << 20 } else { 1 }).collect();
            let record = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
            let records: Vec<String> = wanted.chunks(fields).map(record).collect();
            let text = records.join("\n,");
            let (done, found) = all(&text, fields, count);
            assert!(done + 100 > count && found == wanted, "{done} of {count}");
            // Something is written in another way: what comes before is read together, what comes behind is read as well.
            for odd in [" , ", "\n, ", "\r\n,", "\t\n,"] {
                let text = [&records[..1_500].join("\n,"), odd, &records[1_500..].join("\n,")].concat();
                let (done, found) = all(&text, fields, count);
                assert!((1_000..1_501).contains(&done) && found == wanted, "{done} of {count}");
            }
            // So many digits don't go together.
            let mut wanted = wanted;
            wanted[fields] = 12_345_678_901_234_567_890;
            let text = wanted.chunks(fields).map(record).collect::<Vec<_>>().join("\n,");
            let (done, found) = all(&text, fields, count);
            assert!(done <= 1 && found == wanted, "{done} of {count}");
        }
    }
}
