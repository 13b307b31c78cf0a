//! What values of options look like.

pub(super) fn format_name(text: &str) -> Result<burnmark_formats::Format, String> {
    burnmark_formats::Format::from_name(text).ok_or_else(|| {
        let names = burnmark_formats::FORMATS.iter().map(|format| format.name()).collect::<Vec<_>>();
        format!("no such format; there are {}", names.join(", "))
    })
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("a number from 0 to 100".to_owned()),
    }
}

/// A time in seconds, or with a unit: `1.5`, `250ms`, `2m`.
fn parse_seconds(text: &str) -> Option<f64> {
    let units = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let (number, scale) =
        units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale))).unwrap_or((text, 1.0));
    number.trim().parse::<f64>().ok().map(|number| number * scale).filter(|seconds| seconds.is_finite())
}

pub(super) fn seconds(text: &str) -> Result<std::time::Duration, String> {
    parse_seconds(text)
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a time over 0, such as 5, 0.5, 250ms or 2m".to_owned())
}

pub(super) fn time_ns(text: &str) -> Result<i64, String> {
    match parse_seconds(text) {
        Some(seconds) if (0.0..9e9).contains(&seconds) => Ok((seconds * 1e9).round() as i64),
        _ => Err("a time from 0, such as 1.5, 250ms or 2m".to_owned()),
    }
}

/// A size in bytes, with an optional K, M, G or T (powers of 1024).
pub(super) fn size(text: &str) -> Result<u64, String> {
    let bad = || "a number of bytes, such as 500M or 16G".to_owned();
    let text = text.trim_end_matches(['B', 'b']).trim_end_matches('i');
    let (digits, shift) = match text.chars().last() {
        Some('K' | 'k') => (&text[..text.len() - 1], 10),
        Some('M' | 'm') => (&text[..text.len() - 1], 20),
        Some('G' | 'g') => (&text[..text.len() - 1], 30),
        Some('T' | 't') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes() {
        assert_eq!(time_ns("1.5"), Ok(1_500_000_000));
        assert_eq!(time_ns("250ms"), Ok(250_000_000));
        assert_eq!(time_ns("2m"), Ok(120_000_000_000));
        assert!(time_ns("-1").is_err() && time_ns("inf").is_err() && time_ns("x").is_err());
        assert!(seconds("0").is_err() && seconds("nan").is_err() && seconds("1e300").is_err());
        assert_eq!(size("16G"), Ok(16 << 30));
        assert_eq!(size("12"), Ok(12));
        assert!(size("999999999999G").is_err() && size("").is_err() && size("G").is_err());
        assert_eq!(percent("2.5%"), Ok(0.025));
        assert!(percent("101").is_err());
    }
}
