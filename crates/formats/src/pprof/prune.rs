//! `drop_frames` and `keep_frames`: frames that the profile's maker wants hidden, such as an allocator's own.

use std::collections::HashMap;

use burnmark_model::StringId;
use regex::Regex;

/// Which function names are dropped.
pub(super) struct Pruner {
    drop: Regex,
    keep: Option<Regex>,
    known: HashMap<StringId, bool>,
}

/// What a location is to pruning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pruned {
    /// No line of it is dropped.
    #[default]
    No,
    /// Its outermost line is dropped: it goes with all it calls.
    Whole,
    /// An inlined line is dropped: what it calls goes, and its own outer lines stay.
    Beneath,
}

impl Pruner {
    /// Patterns match whole names. `keep` wins over `drop`.
    pub(super) fn new(drop: &str, keep: Option<&str>) -> Result<Self, regex::Error> {
        let anchored = |pattern: &str| Regex::new(&format!("^(?:{pattern})$"));
        Ok(Self { drop: anchored(drop)?, keep: keep.map(anchored).transpose()?, known: HashMap::new() })
    }

    /// Whether frames of this function are dropped.
    pub(super) fn drops(&mut self, id: StringId, name: &str) -> bool {
        let (drop, keep) = (&self.drop, &self.keep);
        *self.known.entry(id).or_insert_with(|| {
            let name = simplified(name);
            drop.is_match(name) && !keep.as_ref().is_some_and(|keep| keep.is_match(name))
        })
    }
}

/// A function's name without the leading dot of PowerPC's ABI and without its parameters.
fn simplified(name: &str) -> &str {
    const NOT_PARAMETERS: [&str; 2] = ["(anonymous namespace)", "operator()"];
    let name = name.strip_prefix('.').unwrap_or(name);
    let mut from = 0;
    while let Some(found) = name[from..].find('(') {
        let at = from + found;
        let reserved = NOT_PARAMETERS.iter().find_map(|reserved| {
            let start = at.checked_sub(reserved.find('(')?)?;
            (start >= from && name.get(start..)?.starts_with(reserved)).then_some(start + reserved.len())
        });
        match reserved {
            Some(end) => from = end,
            None => return &name[..at],
        }
    }
    name
}

/// How many of a stack's locations stay, given each one's fate from root to leaf, and nothing of what lies above the
/// first that is not dropped is dropped: else whole stacks would go.
pub(super) fn kept(from_root: impl Iterator<Item = Pruned>) -> usize {
    let mut kept = 0;
    let mut user_frame = false;
    for pruned in from_root {
        match pruned {
            Pruned::No => user_frame = true,
            Pruned::Whole if user_frame => return kept,
            Pruned::Beneath if user_frame => return kept + 1,
            Pruned::Whole | Pruned::Beneath => {}
        }
        kept += 1;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_simplified_as_pprof_does() {
        for (name, simple) in [
            (".malloc", "malloc"),
            ("std::vector<int>::push_back(int const&)", "std::vector<int>::push_back"),
            ("(anonymous namespace)::run(int)", "(anonymous namespace)::run"),
            ("Less::operator()(int, int) const", "Less::operator()"),
            ("plain", "plain"),
            ("operator()", "operator()"),
            ("()", ""),
            ("é(x)", "é"),
        ] {
            assert_eq!(simplified(name), simple, "{name}");
        }
    }

    #[test]
    fn nothing_is_pruned_above_the_first_user_frame() {
        use Pruned::{Beneath, No, Whole};
        for (from_root, expected) in [
            (&[No, No, Whole, No][..], 2),
            (&[Whole, Whole][..], 2),
            (&[Whole, No, Whole, No][..], 2),
            (&[No, Beneath, No][..], 2),
            (&[Beneath, No][..], 2),
            (&[][..], 0),
        ] {
            assert_eq!(kept(from_root.iter().copied()), expected, "{from_root:?}");
        }
    }
}
