//! Ids that sort by time and never meet: ULIDs (github.com/ulid/spec), 48 bits of milliseconds and 80 of chance.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::io::Read;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Error;

/// Crockford's base 32: no I, L, O, U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Letters of an id.
const LENGTH: usize = 26;

/// Bits of chance.
const RANDOM_BITS: u32 = 80;

/// The id of an entry. Sorts by the time it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ulid(u128);

impl Ulid {
    /// A new id, larger than `last` whatever the clock says.
    pub fn after(last: Option<Self>, unix_ms: u64) -> Self {
        let fresh = Self((u128::from(unix_ms) & ((1 << 48) - 1)) << RANDOM_BITS | chance());
        match last {
            Some(last) if fresh <= last => Self(last.0.saturating_add(1)),
            _ => fresh,
        }
    }

    /// Milliseconds since 1970.
    pub fn unix_ms(self) -> u64 {
        (self.0 >> RANDOM_BITS) as u64
    }
}

/// 80 bits from the system, or from the standard library's keys where it gives none.
fn chance() -> u128 {
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes[..10]));
    if read.is_err() {
        let key = || std::collections::hash_map::RandomState::new().build_hasher().finish();
        bytes[..8].copy_from_slice(&key().to_le_bytes());
        bytes[8..].copy_from_slice(&key().to_le_bytes());
    }
    u128::from_le_bytes(bytes) & ((1 << RANDOM_BITS) - 1)
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for digit in (0..LENGTH).rev() {
            let value = (self.0 >> (5 * digit)) as usize & 31;
            write!(f, "{}", char::from(DIGITS[value]))?;
        }
        Ok(())
    }
}

impl FromStr for Ulid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::BadId { text: text.chars().take(60).collect() };
        // 26 digits of 5 bits hold 130: the first is 7 at most.
        if text.len() != LENGTH || text.as_bytes()[0] > b'7' {
            return Err(bad());
        }
        let mut value = 0;
        for byte in text.bytes() {
            let digit = DIGITS.iter().position(|digit| *digit == byte.to_ascii_uppercase()).ok_or_else(bad)?;
            value = value << 5 | digit as u128;
        }
        Ok(Self(value))
    }
}

impl TryFrom<String> for Ulid {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Ulid> for String {
    fn from(id: Ulid) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_sort_by_time() {
        // The example of the specification.
        let known: Ulid = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().expect("an id");
        assert_eq!((known.to_string().as_str(), known.unix_ms()), ("01ARZ3NDEKTSV4RRFFQ69G5FAV", 1_469_922_850_259));
        let (early, late) = (Ulid::after(None, 1_000), Ulid::after(None, 1_001));
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse::<Ulid>().expect("an id"), early);
        assert_ne!(Ulid::after(None, 5), Ulid::after(None, 5), "chance");
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_earlier_id() {
        let last = Ulid::after(None, 2_000);
        let next = Ulid::after(Some(last), 1_000);
        assert!(next > last);
        assert_eq!(next.0, last.0 + 1);
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in [
            "",
            "01ARZ3NDEKTSV4RRFFQ69G5FA",
            "81ARZ3NDEKTSV4RRFFQ69G5FAV",
            "01ARZ3NDEKTSV4RRFFQ69G5FAU",
            "é1ARZ3NDEKTSV4RRFFQ69G5FA",
        ] {
            assert!(text.parse::<Ulid>().is_err(), "{text}");
        }
    }
}
