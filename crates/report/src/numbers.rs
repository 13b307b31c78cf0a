//! Numbers for people: one unit per column, thousands separated.

use burnmark_model::ValueType;

/// How the values of a type are shown: in a unit that suits the largest of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    /// The unit, empty for counts and units that are not known.
    pub(crate) unit: &'static str,
    /// Shown value by stored value.
    factor: f64,
    decimals: usize,
    /// For whole numbers that are shown as they are: no rounding whatever their size.
    exact: bool,
}

const TIMES: [(f64, &str); 4] = [(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")];
const SIZES: [(f64, &str); 4] =
    [((1_u64 << 30) as f64, "GiB"), ((1 << 20) as f64, "MiB"), ((1 << 10) as f64, "KiB"), (1.0, "B")];

impl Scale {
    /// The scale for values up to `largest` (as stored).
    pub(crate) fn new(value_type: &ValueType, largest: i64) -> Self {
        let denominator = f64::from(value_type.denominator.max(1));
        let (units, base) = match value_type.unit.as_str() {
            "nanoseconds" | "nanosecond" | "ns" => (&TIMES, 1.0),
            "microseconds" | "microsecond" | "us" => (&TIMES, 1e3),
            "milliseconds" | "millisecond" | "ms" => (&TIMES, 1e6),
            "seconds" | "second" | "s" => (&TIMES, 1e9),
            "bytes" | "byte" => (&SIZES, 1.0),
            "kilobytes" | "kilobyte" => (&SIZES, 1024.0),
            "megabytes" | "megabyte" => (&SIZES, 1_048_576.0),
            _ => {
                let decimals = value_type.denominator.max(1).ilog10() as usize;
                return Self { unit: "", factor: 1.0 / denominator, decimals, exact: decimals == 0 };
            }
        };
        let largest = largest.unsigned_abs() as f64 / denominator * base;
        let (size, unit) = units.iter().find(|(size, _)| largest >= 10.0 * size).unwrap_or(&units[3]);
        let decimals = match largest / size {
            _ if *size == 1.0 => 0,
            whole if whole >= 100_000.0 => 0,
            whole if whole >= 1_000.0 => 1,
            _ => 2,
        };
        Self { unit, factor: base / denominator / size, decimals, exact: false }
    }

    /// The number, without its unit.
    pub(crate) fn number(&self, value: i64) -> String {
        if self.exact { separated(&value.to_string()) } else { decimal(value as f64 * self.factor, self.decimals) }
    }

    /// The number with its unit.
    pub(crate) fn text(&self, value: i64) -> String {
        if self.unit.is_empty() { self.number(value) } else { format!("{} {}", self.number(value), self.unit) }
    }
}

/// A number with this many decimals. What rounds to zero has no sign.
pub(crate) fn decimal(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let is_zero = text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
    separated(if is_zero { text.trim_start_matches('-') } else { &text })
}

/// A fraction in percent, without the sign: `12.34`.
pub(crate) fn percent(share: f64) -> String {
    decimal(share * 100.0, 2)
}

/// A count.
pub(crate) fn count(count: impl TryInto<i128>) -> String {
    separated(&count.try_into().unwrap_or(i128::MAX).to_string())
}

/// Puts commas between thousands of a decimal number.
fn separated(number: &str) -> String {
    let (sign, number) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut result = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            result.push(',');
        }
        result.push(digit);
    }
    result + fraction
}

/// A length of time: `340.00 ms`, `5.00 s`, `2 min 3 s`.
pub(crate) fn duration(ns: i64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        ..=0 => Scale::new(&ValueType::new("", "nanoseconds"), ns).text(ns),
        1..=119 => format!("{} s", decimal(ns as f64 / 1e9, 2)),
        120..=7_199 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", count(seconds / 3_600), seconds / 60 % 60),
    }
}

/// A number and what it counts, in the right form: `1 thread`, `2 threads`.
pub(crate) fn counted(number: impl TryInto<i128>, one: &str, many: &str) -> String {
    let number = count(number);
    let what = if number == "1" { one } else { many };
    format!("{number} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value_type: &ValueType, largest: i64, value: i64) -> String {
        Scale::new(value_type, largest).text(value)
    }

    #[test]
    fn values_have_the_unit_of_the_largest() {
        let ns = ValueType::new("cpu", "nanoseconds");
        assert_eq!(shown(&ns, 5, 5), "5 ns");
        assert_eq!(shown(&ns, 12_345_678_901, 12_345_678_901), "12.35 s");
        assert_eq!(shown(&ns, 12_345_678_901, -1_000_000), "0.00 s");
        assert_eq!(shown(&ns, 9_999_999_999, 1_234_567), "1.2 ms");
        assert_eq!(shown(&ns, 99_000, 1_500), "1.50 µs");
        assert_eq!(shown(&ns, i64::MAX, i64::MAX), "9,223,372,037 s");
        assert_eq!(shown(&ns, 0, 0), "0 ns");
        let ms = ValueType::new("cpu", "milliseconds");
        assert_eq!(shown(&ms, 20_000, 1_500), "1.50 s");
        let bytes = ValueType::new("space", "bytes");
        assert_eq!(shown(&bytes, 50 << 20, 3 << 19), "1.50 MiB");
        assert_eq!(shown(&bytes, 9 << 10, 1_234), "1,234 B");
    }

    #[test]
    fn counts_are_exact() {
        assert_eq!(shown(&ValueType::samples(), 1, i64::MAX), "9,223,372,036,854,775,807");
        assert_eq!(shown(&ValueType::samples(), 1, i64::MIN), "-9,223,372,036,854,775,808");
        let thousandths = ValueType { denominator: 1_000, ..ValueType::samples() };
        assert_eq!(shown(&thousandths, 1, -1_234_567), "-1,234.567");
        assert_eq!(shown(&ValueType::new("x", "furlongs"), 1, 1_000), "1,000");
    }

    #[test]
    fn durations_are_said_as_people_do() {
        let shown = [
            (340_000_000, "340.00 ms"),
            (5_012_000_000, "5.01 s"),
            (123_000_000_000, "2 min 3 s"),
            (7_260_000_000_000, "2 h 1 min"),
            (-5, "-5 ns"),
        ];
        for (ns, text) in shown {
            assert_eq!(duration(ns), text);
        }
        assert_eq!(
            (counted(1, "sample", "samples"), counted(1_000, "sample", "samples")),
            ("1 sample".into(), "1,000 samples".into())
        );
    }
}
