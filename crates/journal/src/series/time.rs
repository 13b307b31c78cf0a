//! Times as logs write them.

/// What stands behind `key:` or `"key":` or `key=` in a text.
pub(super) fn after_key<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut from = 0;
    while let Some(found) = text[from..].find(key) {
        let (start, end) = (from + found, from + found + key.len());
        from = end;
        let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
        if text[..start].chars().next_back().is_some_and(is_word) {
            continue;
        }
        let rest = text[end..].trim_start_matches(['"', '\'']).trim_start();
        if let Some(value) = rest.strip_prefix([':', '=']) {
            return Some(value.trim_start());
        }
    }
    None
}

/// Keys of times in records.
const KEYS: [&str; 11] =
    ["time", "timestamp", "ts", "date", "at", "uptime", "elapsed", "elapsedMs", "elapsed_ms", "uptime_s", "t"];

/// The time that a line tells: behind a key, or at its beginning. Seconds.
pub(super) fn of_line(text: &str) -> Option<f64> {
    for key in KEYS {
        if let Some(value) = after_key(text, key) {
            let quoted = value.strip_prefix(['"', '\'']);
            let end = match quoted {
                Some(rest) => rest.find(['"', '\'']),
                None => value.find(|char: char| matches!(char, ',' | '}' | ';') || char.is_whitespace()),
            };
            let value = quoted.unwrap_or(value);
            let value = &value[..end.unwrap_or(value.len())];
            if let Some(time) = timestamp(value).or_else(|| epoch(value, key)) {
                return Some(time);
            }
        }
    }
    let line = text.trim_start().trim_start_matches('[');
    let first = line.split_whitespace().next()?.trim_end_matches([']', ',', ':']);
    let first = first.split(']').next().unwrap_or(first);
    timestamp(first)
        .or_else(|| {
            // A date and a time of day with a blank between them.
            let two = line.get(..19).filter(|two| two.as_bytes()[10] == b' ')?;
            timestamp(two)
        })
        .or_else(|| epoch(first, ""))
}

/// A number that is a time: seconds, or by its size milliseconds, microseconds or nanoseconds since 1970.
pub(super) fn epoch(text: &str, name: &str) -> Option<f64> {
    let number: f64 = text.trim().trim_end_matches('s').parse().ok().filter(|number: &f64| number.is_finite())?;
    let name = name.trim().to_ascii_lowercase();
    let is_milliseconds = name == "ms" || name.ends_with("ms") && name.len() > 3 || name.contains("(ms)");
    Some(match number.abs() {
        // No clock counts on for so long, not even in nanoseconds.
        size if size >= 1e20 => return None,
        size if size >= 1e17 => number / 1e9,
        size if size >= 1e14 => number / 1e6,
        size if size >= 1e11 => number / 1e3,
        _ if is_milliseconds => number / 1e3,
        _ => number,
    })
}

/// Seconds since 1970 of a time by RFC 3339, or nearly: `2024-05-06T07:08:09.123Z`, `2024-05-06 07:08:09`. Without an
/// offset it is taken as UTC.
pub(crate) fn timestamp(text: &str) -> Option<f64> {
    let text = text.trim();
    let bytes = text.as_bytes();
    if bytes.len() < 19 || !text.is_ascii() || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    if !matches!(bytes[10], b'T' | b't' | b' ' | b'_') || bytes[13] != b':' || bytes[16] != b':' {
        return None;
    }
    let digits = |from: usize, to: usize| text[from..to].parse::<i64>().ok().filter(|_| bytes[from].is_ascii_digit());
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let rest = &text[19..];
    let (fraction, zone) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => {
            let end = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
            (format!("0.{}", &rest[..end]).parse::<f64>().ok()?, &rest[end..])
        }
        None => (0.0, rest),
    };
    let zone = zone.trim();
    let offset = match zone.as_bytes().first() {
        None | Some(b'Z' | b'z') => 0,
        Some(sign @ (b'+' | b'-')) => {
            let digits: String = zone[1..].chars().filter(char::is_ascii_digit).collect();
            let number = |from: usize, to: usize| digits.get(from..to).map_or(Some(0), |part| part.parse::<i64>().ok());
            if digits.len() < 2 {
                return None;
            }
            let seconds = number(0, 2)? * 3_600 + number(2, 4)? * 60;
            if *sign == b'+' { seconds } else { -seconds }
        }
        Some(_) => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    Some(seconds as f64 + fraction)
}

/// Days since 1970-01-01 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden numbers: `date -u -d TEXT +%s`.
    #[test]
    fn timestamps() {
        assert_eq!(timestamp("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(timestamp("2024-02-29T12:00:00.5Z"), Some(1_709_208_000.5));
        assert_eq!(timestamp("2017-05-09T14:34:45.625+02:00"), Some(1_494_333_285.625));
        assert_eq!(timestamp("2026-11-21 08:29:12"), Some(1_795_249_752.0));
        assert_eq!(timestamp("1969-12-31T23:59:59-00:30"), Some(1_799.0));
        for bad in
            ["", "2024", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00+x", "2024-01-01X00:00:00", "é024-01-01T00:00:00"]
        {
            assert_eq!(timestamp(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_of_lines() {
        assert_eq!(of_line(r#"{"ts":1700000000000,"rss":1}"#), Some(1.7e9));
        assert_eq!(of_line(r#"{"time":"2024-02-29T12:00:00Z","heapUsed":1}"#), Some(1_709_208_000.0));
        assert_eq!(of_line("{ uptime: 12.5, rss: 1 }"), Some(12.5));
        assert_eq!(of_line("[2024-02-29T12:00:00Z] rss=1"), Some(1_709_208_000.0));
        assert_eq!(of_line("2024-02-29 12:00:00 rss=1"), Some(1_709_208_000.0));
        assert_eq!(of_line("1700000000000 {"), Some(1.7e9));
        assert_eq!(of_line("{ elapsedMs: 2500, rss: 1 }"), Some(2.5));
        assert_eq!(of_line("{ rss: 1 }"), None);
        assert_eq!(of_line("  rss: 49356800,"), None);
        assert_eq!(epoch("1700000000123456789", ""), Some(1_700_000_000.123_456_7));
    }
}
