//! Which function of one build is which of another.
//!
//! First by canonical name ([`canonical`]) and module; then, of what is left, by a looser name (without generics and
//! parameters) where it is the only one on both sides; then nameless functions of a script by their place among those with
//! names.

mod canonical;
mod scripts;
mod v8;

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

pub use canonical::canonical;

use crate::place::{FrameKind, Place};
use canonical::loose;
use scripts::{Anchors, line_of, nameless_in};

/// The most modules a side has of its own for pairs to be looked for.
const MOST_MODULES: usize = 64;

/// A function as one side knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name to show.
    pub name: String,
    /// The module's last path component.
    pub module: Option<String>,
    /// Source file.
    pub file: Option<String>,
    /// Line from 1, 0 if not known.
    pub line: u32,
    /// What kind of code it is.
    pub kind: FrameKind,
    /// The name without what differs from build to build; with file and line where rows are lines.
    pub(crate) canonical: String,
    /// The module's name likewise.
    pub(crate) module_key: String,
}

impl Identity {
    pub(crate) fn new(place: &Place<'_>, with_line: bool) -> Self {
        let mut canonical = canonical(&place.name).into_owned();
        if with_line && place.line > 0 {
            canonical = format!("{canonical} {}:{}", place.file.unwrap_or_default(), place.line);
        }
        Self {
            canonical,
            module_key: module_key(place),
            name: place.name.clone().into_owned(),
            module: place.module.map(str::to_owned),
            file: place.file.map(str::to_owned),
            line: place.line,
            kind: place.kind,
        }
    }
}

/// The module without version and hash: `libssl.so.3` is `libssl.so`, `app-0123456789abcdef` is `app`.
fn module_key(place: &Place<'_>) -> String {
    let Some(module) = place.module else { return String::new() };
    match place.kind {
        FrameKind::Kernel => return "[kernel]".to_owned(),
        FrameKind::Jit => return "[jit]".to_owned(),
        FrameKind::Native | FrameKind::Group => {}
    }
    let module = module.strip_suffix(" (deleted)").unwrap_or(module);
    if let Some(at) = module.find(".so.") {
        return module[..at + 3].to_owned();
    }
    match module.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name.to_owned(),
        _ => module.to_owned(),
    }
}

/// How two functions of different names were found to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchedBy {
    /// Their canonical names are equal.
    Name,
    /// Their names without generics and parameters are equal, and no others' are.
    LooseName,
    /// They are nameless functions of one file, in the same place among those with names.
    Order,
}

/// A function that has another name, or another module, on the other side.
#[derive(Clone, Debug, PartialEq)]
pub struct Rename {
    /// Before, with its module.
    pub before: (String, Option<String>),
    /// After, with its module.
    pub after: (String, Option<String>),
    /// How they were matched.
    pub by: MatchedBy,
    /// The larger of the two self shares.
    pub share: f64,
}

/// The functions of one side, with their self shares.
pub(crate) type Side = Vec<(Identity, f64)>;

/// The functions of both sides put together.
pub(crate) struct Matched {
    /// Per joint function, its index on the side before and after.
    pub(crate) functions: Vec<[Option<usize>; 2]>,
    /// Per side and function, the joint function.
    pub(crate) joint: [Vec<usize>; 2],
    /// How each joint function was matched; meaningless for those of one side.
    pub(crate) by: Vec<MatchedBy>,
}

type Key<'a> = (&'a str, &'a str);

/// Matches two sides, in each of which canonical name and module are unique.
pub(crate) fn match_sides(before: &Side, after: &Side) -> Matched {
    let sides = [before, after];
    let modules = module_names(sides);
    let key = |side: usize, at: usize| -> Key<'_> {
        let identity = &sides[side][at].0;
        let module = modules[side].get(identity.module_key.as_str()).copied().unwrap_or(&identity.module_key);
        (&identity.canonical, module)
    };
    let mut matched = Matched {
        functions: Vec::new(),
        joint: [vec![usize::MAX; before.len()], vec![usize::MAX; after.len()]],
        by: Vec::new(),
    };
    let mut known: HashMap<Key<'_>, usize, RandomState> = HashMap::default();
    for (side, functions) in sides.iter().enumerate() {
        for (at, (identity, _)) in functions.iter().enumerate() {
            let next = matched.functions.len();
            // The same line of two builds is not the same function.
            let joint = match nameless_in(&identity.canonical) {
                Some(_) => next,
                None => *known.entry(key(side, at)).or_insert(next),
            };
            if joint == next {
                matched.functions.push([None; 2]);
                matched.by.push(MatchedBy::Name);
            }
            matched.functions[joint][side].get_or_insert(at);
            matched.joint[side][at] = joint;
        }
    }
    let pairs = loose_pairs(&matched, sides, |side, at| key(side, at).1.to_owned());
    let mut taken: HashMap<usize, usize, RandomState> = HashMap::default();
    for (joint, other, by) in pairs {
        let [_, Some(at)] = matched.functions[other] else { continue };
        taken.insert(other, joint);
        matched.functions[joint][1] = Some(at);
        matched.functions[other] = [None; 2];
        matched.by[joint] = by;
    }
    // Every function of the other joint one moves over.
    for entry in &mut matched.joint[1] {
        *entry = taken.get(entry).copied().unwrap_or(*entry);
    }
    matched.compact();
    matched
}

impl Matched {
    /// Drops joint functions that others took over.
    fn compact(&mut self) {
        let mut position = vec![usize::MAX; self.functions.len()];
        let mut next = 0;
        for (index, sides) in self.functions.iter().enumerate() {
            if sides.iter().any(Option::is_some) {
                position[index] = next;
                self.by[next] = self.by[index];
                next += 1;
            }
        }
        self.functions.retain(|sides| sides.iter().any(Option::is_some));
        self.by.truncate(next);
        for joint in self.joint.iter_mut().flatten() {
            *joint = position[*joint];
        }
    }

    /// What was matched under different names, largest first.
    pub(crate) fn renames(&self, before: &Side, after: &Side) -> Vec<Rename> {
        let mut renames: Vec<Rename> = Vec::new();
        for (sides, by) in self.functions.iter().zip(&self.by) {
            let [Some(b), Some(a)] = *sides else { continue };
            let (b, a) = (&before[b], &after[a]);
            let both_known = b.0.module.is_some() && a.0.module.is_some();
            if b.0.name != a.0.name || (both_known && b.0.module != a.0.module) {
                let of = |identity: &Identity| (identity.name.clone(), identity.module.clone());
                renames.push(Rename { before: of(&b.0), after: of(&a.0), by: *by, share: b.1.max(a.1) });
            }
        }
        renames.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.before.cmp(&b.before)));
        renames
    }
}

/// Per side, what a module is to be called: nothing at all if only one side knows modules; the other side's name for one
/// that each side has alone and whose functions' names agree best.
fn module_names(sides: [&Side; 2]) -> [HashMap<&str, &str, RandomState>; 2] {
    let mut names = [HashMap::default(), HashMap::default()];
    let weights = sides.map(|side| {
        let mut modules: BTreeMap<&str, HashMap<&str, f64, RandomState>> = BTreeMap::new();
        for (identity, share) in side {
            let functions = modules.entry(identity.module_key.as_str()).or_default();
            *functions.entry(identity.canonical.as_str()).or_default() += share;
        }
        modules
    });
    let is_bare = |modules: &BTreeMap<&str, _>| modules.keys().all(|key| key.is_empty() || key.starts_with('['));
    if is_bare(&weights[0]) != is_bare(&weights[1]) {
        for (side, modules) in weights.iter().enumerate() {
            names[side].extend(modules.keys().map(|module| (*module, "")));
        }
        return names;
    }
    let alone = |side: usize| {
        let other = &weights[1 - side];
        weights[side].iter().filter(|(module, _)| !module.is_empty() && !other.contains_key(*module)).take(MOST_MODULES)
    };
    let mut pairs: Vec<(f64, &str, &str)> = Vec::new();
    for (before, functions) in alone(0) {
        for (after, others) in alone(1) {
            let common = functions.iter().filter_map(|(name, share)| Some(share.min(*others.get(name)?))).sum::<f64>();
            if common > 0.0 {
                pairs.push((common, before, after));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));
    let mut taken: Vec<&str> = Vec::new();
    for (_, before, after) in pairs {
        if !names[0].contains_key(before) && !taken.contains(&after) {
            names[0].insert(before, after);
            taken.push(after);
        }
    }
    names
}

/// Pairs of joint functions, each of one side, that are the same in a looser sense.
fn loose_pairs(
    matched: &Matched,
    sides: [&Side; 2],
    module: impl Fn(usize, usize) -> String,
) -> Vec<(usize, usize, MatchedBy)> {
    type Groups = BTreeMap<(String, String), [Vec<usize>; 2]>;
    let (mut by_name, mut by_file): (Groups, Groups) = (BTreeMap::new(), BTreeMap::new());
    for (joint, functions) in matched.functions.iter().enumerate() {
        let (side, at) = match *functions {
            [Some(at), None] => (0, at),
            [None, Some(at)] => (1, at),
            _ => continue,
        };
        let canonical = &sides[side][at].0.canonical;
        let (groups, name) = match nameless_in(canonical) {
            Some(file) => (&mut by_file, file.to_owned()),
            None => (&mut by_name, loose(canonical)),
        };
        groups.entry((name, module(side, at))).or_default()[side].push(joint);
    }
    let mut pairs = Vec::new();
    for [before, after] in by_name.into_values() {
        if let ([before], [after]) = (&before[..], &after[..]) {
            pairs.push((*before, *after, MatchedBy::LooseName));
        }
    }
    let mut anchors = Anchors::default();
    for sides_of in &matched.functions {
        if let [Some(before), Some(after)] = *sides_of {
            anchors.add(&sides[0][before].0, &sides[1][after].0);
        }
    }
    let line = |side: usize, joint: &usize| matched.functions[*joint][side].map_or(0, |at| line_of(&sides[side][at].0));
    for ((file, _), joints) in by_file {
        let [before, after] =
            [0, 1].map(|side| joints[side].iter().map(|joint| line(side, joint)).collect::<Vec<u32>>());
        let found = scripts::pairs(&before, &after, &anchors.of(&file));
        pairs.extend(found.into_iter().map(|(before, after)| (joints[0][before], joints[1][after], MatchedBy::Order)));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(functions: &[(&'static str, Option<&'static str>)]) -> Side {
        let place = |(name, module): &(&'static str, Option<&'static str>)| Place {
            name: (*name).into(),
            module: *module,
            ..Place::default()
        };
        functions.iter().map(|function| (Identity::new(&place(function), false), 0.1)).collect()
    }

    fn pairs(before: &Side, after: &Side) -> Vec<(String, String)> {
        let matched = match_sides(before, after);
        let both = matched.functions.iter().filter_map(|sides| Some((sides[0]?, sides[1]?)));
        let mut pairs: Vec<_> = both.map(|(b, a)| (before[b].0.name.clone(), after[a].0.name.clone())).collect();
        pairs.sort();
        pairs
    }

    #[test]
    fn programs_of_other_names_are_paired_by_their_functions() {
        let before =
            side(&[("main", Some("old")), ("f", Some("old")), ("main", Some("sh")), ("read", Some("libc.so.6"))]);
        let after =
            side(&[("main", Some("new")), ("f", Some("new")), ("main", Some("sh")), ("read", Some("libc.so.7"))]);
        assert_eq!(pairs(&before, &after).len(), 4);
        assert_eq!(match_sides(&before, &after).functions.len(), 4);
    }

    #[test]
    fn without_modules_on_one_side_names_alone_count() {
        let before = side(&[("main", None), ("f", None)]);
        let after = side(&[("main", Some("app")), ("f", Some("libf.so"))]);
        assert_eq!(pairs(&before, &after).len(), 2);
    }

    #[test]
    fn loose_names_match_only_where_there_is_no_choice() {
        let before = side(&[("sort<u8>", Some("a")), ("map<u8>", Some("a")), ("map<u16>", Some("a"))]);
        let after = side(&[("sort<u16>", Some("a")), ("map<u32>", Some("a"))]);
        assert_eq!(pairs(&before, &after), [("sort<u8>".to_owned(), "sort<u16>".to_owned())]);
    }

    #[test]
    fn nameless_functions_match_by_their_order() {
        let before = side(&[("(anonymous) a.js:3", None), ("(anonymous) a.js:20", None), ("(anonymous) b.js:1", None)]);
        let after = side(&[("(anonymous) a.js:25", None), ("(anonymous) a.js:4", None)]);
        let expected = [("(anonymous) a.js:20", "(anonymous) a.js:25"), ("(anonymous) a.js:3", "(anonymous) a.js:4")];
        assert_eq!(pairs(&before, &after), expected.map(|(b, a)| (b.to_owned(), a.to_owned())));
    }
}
