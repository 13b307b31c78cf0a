//! One line of folded text: a stack and a count, or two.

/// Values are counted in millionths until all of them are known: that is the finest a profile holds.
pub(super) const MILLIONTHS: i128 = 1_000_000;
const DIGITS: u32 = 6;

/// A count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    /// In millionths. What it counts fits an `i64`.
    pub(super) millionths: i128,
    /// How many decimals it needs, 0 to 6.
    pub(super) decimals: u32,
    /// Whether it had more than six decimals.
    pub(super) rounded: bool,
}

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Nothing but white space.
    Blank,
    /// The text after `# `.
    Comment(&'a [u8]),
    /// A stack and a count.
    Counted(&'a [u8], Count),
    /// It does not end in a count.
    NoCount,
    /// It ends in a number that is too large.
    TooLarge,
}

/// Takes a line apart. It comes without its newline.
pub(super) fn parse_line(line: &[u8]) -> Line<'_> {
    let line = line.trim_ascii_end();
    match line {
        [] => return Line::Blank,
        // JavaScript has names such as `#private`: a comment's `#` stands alone.
        [b'#'] => return Line::Comment(&[]),
        [b'#', b' ' | b'\t', text @ ..] => return Line::Comment(text.trim_ascii()),
        _ => {}
    }
    let Some((stack, number)) = split_number(line) else {
        return Line::NoCount;
    };
    match parse_count(number) {
        Ok(count) => Line::Counted(stack.strip_suffix(b";").unwrap_or(stack), count),
        Err(NoCount::NotANumber) => Line::NoCount,
        Err(NoCount::TooLarge) => Line::TooLarge,
    }
}

/// The count a stack's text ends in after white space, and the text before: a second count, or part of the name.
pub(super) fn trailing_count(stack: &[u8]) -> Option<(&[u8], Count)> {
    if !stack.last()?.is_ascii_digit() && !stack.ends_with(b".") {
        return None;
    }
    let (rest, number) = split_number(stack)?;
    Some((rest, parse_count(number).ok()?))
}

/// Splits off the number at the end, and the space or tab before it. `None` if there is none: only as much of the text
/// is looked at as numbers are made of.
fn split_number(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let in_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E');
    let space = text.iter().rposition(|byte| !in_number(byte))?;
    matches!(text[space], b' ' | b'\t').then(|| (&text[..space], &text[space + 1..]))
}

#[derive(Debug, PartialEq, Eq)]
enum NoCount {
    NotANumber,
    TooLarge,
}

/// Reads `12`, `-12`, `12.`, `12.5` and `1.25e-05`, which is how Python prints small numbers.
fn parse_count(text: &[u8]) -> Result<Count, NoCount> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let count = match whole(digits) {
        Some(whole) => Count { millionths: i128::from(whole) * MILLIONTHS, decimals: 0, rounded: false },
        None => decimal(digits)?,
    };
    Ok(Count { millionths: if negative { -count.millionths } else { count.millionths }, ..count })
}

/// A number of at most 18 digits: nearly all there are.
fn whole(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

fn decimal(text: &[u8]) -> Result<Count, NoCount> {
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    if whole.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(NoCount::NotANumber);
    }
    // The place of the digit that counts single millionths; digits right of it are rounded off.
    let last = whole.len() as i64 + exponent + i64::from(DIGITS);
    let mut millionths: i128 = 0;
    let mut half = false;
    let mut rounded = false;
    for (place, digit) in whole.iter().chain(fraction).enumerate() {
        let digit = i128::from(digit - b'0');
        let place = place as i64;
        if place < last {
            millionths = millionths.checked_mul(10).and_then(|sum| sum.checked_add(digit)).ok_or(NoCount::TooLarge)?;
        } else {
            half |= place == last && digit >= 5;
            rounded |= digit != 0;
        }
    }
    let given = (whole.len() + fraction.len()) as i64;
    for _ in given..last {
        if millionths == 0 {
            break;
        }
        millionths = millionths.checked_mul(10).ok_or(NoCount::TooLarge)?;
    }
    millionths += i128::from(half);
    if millionths / MILLIONTHS > i128::from(i64::MAX) {
        return Err(NoCount::TooLarge);
    }
    Ok(Count { millionths, decimals: decimals_of(millionths), rounded })
}

fn parse_exponent(text: &[u8]) -> Result<i64, NoCount> {
    let text = std::str::from_utf8(text).map_err(|_| NoCount::NotANumber)?;
    // No measure needs more, and more could be made to loop for long.
    let exponent: i64 = text.parse().map_err(|_| NoCount::NotANumber)?;
    if (-400..=400).contains(&exponent) { Ok(exponent) } else { Err(NoCount::NotANumber) }
}

/// How many decimals a number of millionths needs.
fn decimals_of(millionths: i128) -> u32 {
    let mut decimals = DIGITS;
    let mut rest = millionths;
    while decimals > 0 && rest % 10 == 0 {
        rest /= 10;
        decimals -= 1;
    }
    decimals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn count(text: &str, millionths: i128, decimals: u32) {
        assert_eq!(parse_count(text.as_bytes()), Ok(Count { millionths, decimals, rounded: false }), "{text}");
    }

    #[test]
    fn counts_are_exact_to_millionths() {
        count("0", 0, 0);
        count("12", 12_000_000, 0);
        count("-12", -12_000_000, 0);
        count("12.", 12_000_000, 0);
        count("12.50", 12_500_000, 1);
        count("0.000001", 1, 6);
        count("1e-05", 10, 5);
        count("1.25E+2", 125_000_000, 0);
        count("00000000000000000000000000000000007", 7_000_000, 0);
        count("9223372036854775807", i128::from(i64::MAX) * MILLIONTHS, 0);
        count("0e400", 0, 0);
    }

    #[test]
    fn more_than_six_decimals_are_rounded() {
        let rounded = |text: &str| parse_count(text.as_bytes()).map(|count| (count.millionths, count.rounded));
        assert_eq!(rounded("0.0000015"), Ok((2, true)));
        assert_eq!(rounded("0.00000149"), Ok((1, true)));
        assert_eq!(rounded("-0.9999999"), Ok((-1_000_000, true)));
        assert_eq!(rounded("1.0000000000"), Ok((1_000_000, false)));
        assert_eq!(rounded("5e-8"), Ok((0, true)));
        assert_eq!(rounded("5e-7"), Ok((1, true)));
    }

    #[test]
    fn what_is_no_number_is_no_count() {
        for text in ["", "-", ".5", "1.2.3", "+5", "1,000", "0x10", "nan", "inf", "e5", "1e", "1e999999999999", "5m"] {
            assert_eq!(parse_count(text.as_bytes()), Err(NoCount::NotANumber), "{text}");
        }
    }

    #[test]
    fn numbers_beyond_63_bits_are_told_and_never_wrap() {
        for text in ["9223372036854775808", "-9223372036854775808", "1e30", "1e400", &"9".repeat(100_000)] {
            assert_eq!(parse_count(text.as_bytes()), Err(NoCount::TooLarge), "{text}");
        }
    }

    #[test]
    fn lines_are_taken_apart_at_the_last_space() {
        let whole = |number: i128| Count { millionths: number * MILLIONTHS, decimals: 0, rounded: false };
        assert_eq!(parse_line(b"a;b c 5"), Line::Counted(b"a;b c", whole(5)));
        assert_eq!(parse_line(b"a;b\t5\r"), Line::Counted(b"a;b", whole(5)));
        assert_eq!(parse_line(b"a;b  5"), Line::Counted(b"a;b ", whole(5)));
        assert_eq!(parse_line(b"a;b; 5"), Line::Counted(b"a;b", whole(5)));
        assert_eq!(parse_line(b" 5"), Line::Counted(b"", whole(5)));
        assert_eq!(parse_line(b"#private;b 5"), Line::Counted(b"#private;b", whole(5)));
        assert_eq!(parse_line(b"# mode: wall 5"), Line::Comment(b"mode: wall 5"));
        assert_eq!(parse_line(b" \t\r"), Line::Blank);
        assert_eq!(parse_line(b"5"), Line::NoCount);
        assert_eq!(parse_line(b"a;b"), Line::NoCount);
        assert_eq!(parse_line(b"a 99999999999999999999"), Line::TooLarge);
    }

    #[test]
    fn a_second_count_stands_before_the_last() {
        let text = |stack: &'static str| trailing_count(stack.as_bytes()).map(|(rest, count)| (rest, count.millionths));
        assert_eq!(text("a;b 5"), Some((&b"a;b"[..], 5_000_000)));
        assert_eq!(text("a;worker 12"), Some((&b"a;worker"[..], 12_000_000)));
        assert_eq!(text(" 5"), Some((&b""[..], 5_000_000)));
        assert_eq!(text("a;5"), None);
        assert_eq!(text("x y;5"), None);
        assert_eq!(text(""), None);
    }
}
