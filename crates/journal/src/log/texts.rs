//! Texts made fit to be kept: times, home folders, lengths, hashes.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Bytes of a name that an entry keeps; the middle of a longer one is cut out.
pub const LONGEST_NAME: usize = 1_000;

/// A time in UTC as RFC 3339 has it: `2026-11-21T08:17:01Z`.
pub fn utc(unix_ms: u64) -> String {
    let seconds = unix_ms / 1_000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-compatible low-level date algorithms": civil_from_days, for days since 1970.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3_600, of_day / 60 % 60, of_day % 60)
}

/// When a heap snapshot was taken, by its file's name: `Heap-20260101T120000.heapsnapshot` of Chrome DevTools,
/// `Heap.20260101.120000.PID.TID.SEQ.heapsnapshot` of Node (its `DiagnosticFilename`). Local time, in seconds since 1970
/// as if it were UTC: good for differences.
pub fn time_in_name(name: &str) -> Option<u64> {
    let rest = name.strip_prefix("Heap")?;
    let rest = rest.strip_prefix(['-', '.'])?;
    let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok())?;
    let (date, time) = (rest.get(..8)?, rest.get(9..15)?);
    let ends = !rest.get(15..)?.starts_with(|c: char| c.is_ascii_digit());
    if !ends || !matches!(rest.as_bytes()[8], b'T' | b'.') {
        return None;
    }
    let [year, month, day] = [&date[..4], &date[4..6], &date[6..]].map(number);
    let [hour, minute, second] = [&time[..2], &time[2..4], &time[4..]].map(number);
    let (year, month, day) = (year?, month?, day?);
    let (hour, minute, second) = (hour?, minute?, second?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60
    {
        return None;
    }
    // Howard Hinnant, as above: days_from_civil.
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// The text with home folders (`/home/`, `/Users/` with a name behind them, `/root`) cut to `~`: entries are committed and shared.
pub fn tidy(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('/') {
        let before = rest[..at].chars().next_back().or_else(|| result.chars().next_back());
        let starts = !before.is_some_and(|c| c.is_alphanumeric() || "_-.~}*$".contains(c));
        let path = &rest[at..];
        match home(path).filter(|_| starts) {
            Some(home) => {
                result.push_str(&rest[..at]);
                result.push('~');
                rest = &path[home..];
            }
            None => {
                result.push_str(&rest[..at + 1]);
                rest = &rest[at + 1..];
            }
        }
    }
    result + rest
}

/// The bytes of the home folder that a path begins with.
fn home(path: &str) -> Option<usize> {
    let name_end = |text: &str| {
        text.find(|c: char| c == '/' || c.is_whitespace() || "\"'`<>;:,()".contains(c)).unwrap_or(text.len())
    };
    for parent in ["/home/", "/Users/"] {
        if let Some(rest) = path.strip_prefix(parent) {
            let name = name_end(rest);
            return (name > 0).then_some(parent.len() + name);
        }
    }
    let rest = path.strip_prefix("/root")?;
    (name_end(rest) == 0).then_some("/root".len())
}

/// A name as an entry keeps it: home folders out unless `keep`, the middle of what is too long cut out.
pub fn kept(name: &str, keep: bool) -> String {
    let name = if keep { name.to_owned() } else { tidy(name) };
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let half = LONGEST_NAME / 2;
    let (head, tail) = (name.floor_char_boundary(half), name.ceil_char_boundary(name.len() - half));
    format!("{}…{}", &name[..head], &name[tail..])
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// What an entry is made from, as one hash: the same parts in the same order give the same key.
pub fn key<'a>(parts: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut hash = Sha256::new();
    for (name, value) in parts {
        for text in [name, value] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
    }
    hex(&hash.finalize())
}

/// A file name's readable part: letters and digits of the text, joined by `-`, 40 at most.
pub(crate) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for char in text.chars() {
        match char {
            'a'..='z' | '0'..='9' => slug.push(char),
            'A'..='Z' => slug.push(char.to_ascii_lowercase()),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
        if slug.len() >= 40 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "entry".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        // As `date -u -d @N +%FT%TZ` says.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds * 1_000 + 999), text);
        }
    }

    #[test]
    fn snapshots_say_when_they_were_taken() {
        for (name, shown) in [
            ("Heap-20260101T120000.heapsnapshot", Some("2026-01-01T12:00:00Z")),
            ("Heap.20240229.235959.4711.0.001.heapsnapshot.zst", Some("2024-02-29T23:59:59Z")),
            ("Heap.20000301.000000.1.0.001.heapsnapshot", Some("2000-03-01T00:00:00Z")),
            ("Heap-19700101T000001.heapsnapshot", Some("1970-01-01T00:00:01Z")),
            ("Heap-20261301T120000.heapsnapshot", None),
            ("Heap-20260101T1200000.heapsnapshot", None),
            ("Heap-2026010é120000.heapsnapshot", None),
            ("Heap-20260101T+20000.heapsnapshot", None),
            ("1.heapsnapshot", None),
            ("Heap", None),
        ] {
            assert_eq!(time_in_name(name).map(|seconds| utc(seconds * 1_000)).as_deref(), shown, "{name}");
        }
    }

    #[test]
    fn homes_are_cut_wherever_they_stand() {
        for (text, shown) in [
            ("/home/ann/src/a.c", "~/src/a.c"),
            ("render file:///home/ann/app.js:12", "render file://~/app.js:12"),
            ("(/Users/bob/x) (/home/me)", "(~/x) (~)"),
            ("/root/.cargo/x.rs", "~/.cargo/x.rs"),
            ("/rootfs/x /usr/home/ann/x", "/rootfs/x /usr/home/ann/x"),
            ("/home/", "/home/"),
            ("a/b//", "a/b//"),
            ("", ""),
        ] {
            assert_eq!(tidy(text), shown, "{text}");
        }
    }

    #[test]
    fn names_are_cut_between_characters() {
        let long = "函".repeat(10_000);
        let cut = kept(&long, false);
        assert!(cut.len() <= LONGEST_NAME + 10 && cut.contains('…'));
        assert_eq!(kept("/home/ann/x", true), "/home/ann/x");
    }

    #[test]
    fn keys_tell_where_a_part_ends() {
        assert_eq!(key([("a", "b")]), key([("a", "b")]));
        assert_ne!(key([("a", "bc")]), key([("ab", "c")]));
        assert_ne!(key([("a", "b"), ("c", "")]), key([("a", "b")]));
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn slugs_are_plain() {
        assert_eq!(slug("JSON.parse in <the> hot path!"), "json-parse-in-the-hot-path");
        assert_eq!(slug("../../etc"), "etc");
        assert_eq!(slug("函数"), "entry");
        assert!(slug(&"x y".repeat(100)).len() <= 40);
    }
}
