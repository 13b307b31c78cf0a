//! What stands in a table: numbers with their meaning, so that people get units and machines plain numbers.

use crate::numbers::{count, decimal, duration, percent};

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(String),
    /// A text of which people see so many characters.
    Excerpt(String, usize),
    Count(i128),
    Bytes(i128),
    /// A difference of bytes; nothing where there is none to make.
    Change(Option<i128>),
    /// Differences of bytes, one per interval.
    Changes(Vec<i64>),
    /// How many, per snapshot.
    Counts(Vec<u64>),
    /// A fraction.
    Share(f64),
    /// Edges from the user's roots: see [`burnmark_heap::Snapshot::distance`].
    Distance(i32),
    /// So many per iteration; whether in each.
    Rate(Option<f64>, bool),
    /// Seconds.
    Seconds(Option<i64>),
    /// Classes with how many objects and bytes they have.
    Members(Vec<(String, u64, u64)>),
    Yes(bool),
}

/// The distance, if a root of the user's reaches it: DevTools marks all others by numbers of its own.
pub(super) fn reached(distance: i32) -> Option<i32> {
    (0..SYSTEM).contains(&distance).then_some(distance)
}

/// From here on, only the system reaches it.
const SYSTEM: i32 = 100_000_000;

impl Cell {
    /// For people.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Excerpt(text, most) => text.chars().take(*most).collect(),
            Self::Count(number) => count(*number),
            Self::Bytes(size) => bytes(*size),
            Self::Change(delta) => delta.map_or("–".to_owned(), change),
            Self::Changes(steps) => listed(steps, " ", |step| change((*step).into())),
            Self::Counts(counts) => listed(counts, " → ", |number| count(*number)),
            Self::Share(share) => percent(*share),
            Self::Distance(distance) => match reached(*distance) {
                Some(distance) => distance.to_string(),
                None if *distance < 0 => "–".to_owned(),
                None => "system".to_owned(),
            },
            Self::Rate(rate, true) => rate.map_or(String::new(), |rate| format!("{} each", decimal(rate, 0))),
            Self::Rate(rate, false) => rate.map_or(String::new(), |rate| decimal(rate, 2)),
            Self::Seconds(seconds) => seconds.map_or("–".to_owned(), time),
            Self::Members(members) => listed(members, ", ", |(class, number, size)| {
                format!("{} {class} ({})", count(*number), bytes((*size).into()))
            }),
            Self::Yes(yes) => if *yes { "yes" } else { "" }.to_owned(),
        }
    }

    /// For CSV: numbers as they are, nothing where there is none; lists have blanks between their numbers.
    pub(super) fn plain(&self) -> String {
        let number = |number: Option<String>| number.unwrap_or_default();
        match self {
            Self::Text(text) | Self::Excerpt(text, _) => text.clone(),
            Self::Count(number) | Self::Bytes(number) => number.to_string(),
            Self::Change(delta) => number(delta.map(|delta| delta.to_string())),
            Self::Changes(steps) => listed(steps, " ", i64::to_string),
            Self::Counts(counts) => listed(counts, " ", u64::to_string),
            Self::Share(share) => share.to_string(),
            Self::Distance(distance) => number(reached(*distance).map(|distance| distance.to_string())),
            Self::Rate(rate, _) => number(rate.map(|rate| rate.to_string())),
            Self::Seconds(seconds) => number(seconds.map(|seconds| seconds.to_string())),
            Self::Members(members) => {
                listed(members, "; ", |(class, number, size)| format!("{number} {class} ({size} bytes)"))
            }
            Self::Yes(yes) => if *yes { "yes" } else { "" }.to_owned(),
        }
    }
}

/// Whole seconds.
fn time(seconds: i64) -> String {
    if seconds < 120 { format!("{seconds} s") } else { duration(seconds.saturating_mul(1_000_000_000)) }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

fn listed<T>(items: &[T], between: &str, text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(between)
}

/// Bytes in a unit that suits them.
pub(crate) fn bytes(bytes: i128) -> String {
    let size = bytes.unsigned_abs() as f64;
    let sign = if bytes < 0 { "-" } else { "" };
    match size {
        0.0..10_240.0 => format!("{sign}{} B", count(bytes.unsigned_abs() as i128)),
        10_240.0..10_485_760.0 => format!("{sign}{} KiB", decimal(size / 1024.0, 1)),
        10_485_760.0..10_737_418_240.0 => format!("{sign}{} MiB", decimal(size / 1_048_576.0, 1)),
        _ => format!("{sign}{} GiB", decimal(size / 1_073_741_824.0, 2)),
    }
}

fn change(delta: i128) -> String {
    if delta > 0 { format!("+{}", bytes(delta)) } else { bytes(delta) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_get_units_and_machines_numbers() {
        let both = |cell: Cell| (cell.shown(), cell.plain());
        let texts = |shown: &str, plain: &str| (shown.to_owned(), plain.to_owned());
        assert_eq!(both(Cell::Bytes(12_345_678)), texts("11.8 MiB", "12345678"));
        assert_eq!(both(Cell::Count(12_345)), texts("12,345", "12345"));
        assert_eq!(both(Cell::Change(Some(20_480))), texts("+20.0 KiB", "20480"));
        assert_eq!(both(Cell::Change(None)), texts("–", ""));
        assert_eq!(both(Cell::Changes(vec![2_048, -1])), texts("+2,048 B -1 B", "2048 -1"));
        assert_eq!(both(Cell::Counts(vec![1, 2_000])), texts("1 → 2,000", "1 2000"));
        assert_eq!(both(Cell::Share(0.125)), texts("12.50", "0.125"));
        assert_eq!(both(Cell::Distance(3)), texts("3", "3"));
        assert_eq!(both(Cell::Distance(-5)), texts("–", ""));
        assert_eq!(both(Cell::Distance(100_000_002)), texts("system", ""));
        assert_eq!(both(Cell::Rate(Some(1.0), true)), texts("1 each", "1"));
        assert_eq!(both(Cell::Rate(None, false)), texts("", ""));
        assert_eq!(both(Cell::Seconds(Some(7))), texts("7 s", "7"));
        assert_eq!(both(Cell::Seconds(Some(99_000))), texts("27 h 30 min", "99000"));
        let members = vec![("A, b".to_owned(), 1_000, 20_480)];
        assert_eq!(both(Cell::Members(members)), texts("1,000 A, b (20.0 KiB)", "1000 A, b (20480 bytes)"));
        assert_eq!(both(Cell::Excerpt("abc".to_owned(), 2)), texts("ab", "abc"));
    }
}
