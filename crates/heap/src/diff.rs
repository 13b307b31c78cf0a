//! The difference of two snapshots of one process, by class, as DevTools' comparison shows it: objects are the same if
//! their ids are.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::{Location, Snapshot};

/// What came and went in a class. Sizes are the objects' own, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassDiff {
    /// The class's name.
    pub name: String,
    /// Where its constructor is.
    pub location: Option<Location>,
    /// Objects that were not there before.
    pub added: u64,
    /// Objects that are not there any more.
    pub removed: u64,
    /// Bytes of the added.
    pub added_size: u64,
    /// Bytes of the removed.
    pub removed_size: u64,
}

impl ClassDiff {
    /// Growth in bytes.
    pub fn size_delta(&self) -> i64 {
        self.added_size as i64 - self.removed_size as i64
    }

    /// Growth in objects.
    pub fn count_delta(&self) -> i64 {
        self.added as i64 - self.removed as i64
    }
}

/// Objects of a class: id and size, by id.
type Members = Vec<(u32, u64)>;

fn members(snapshot: &Snapshot) -> HashMap<(Option<Location>, String), Members, RandomState> {
    let mut by_class: Vec<Members> = vec![Vec::new(); snapshot.classes.keys.len()];
    for node in 0..snapshot.node_count() {
        let size = snapshot.shallow(node);
        if size > 0 {
            by_class[snapshot.class_of(node) as usize].push((snapshot.id(node), size));
        }
    }
    let mut members: HashMap<_, Members, RandomState> = HashMap::default();
    for (class, objects) in by_class.into_iter().enumerate().filter(|(_, objects)| !objects.is_empty()) {
        let key = (snapshot.classes.keys[class].1, snapshot.class_name(class as u32).into_owned());
        members.entry(key).or_default().extend(objects);
    }
    members.values_mut().for_each(|objects| objects.sort_unstable());
    members
}

/// Compares two snapshots of one process, the earlier one first; classes by growth, the largest first. Read the earlier
/// one with the later one's shapes ([`crate::ReadOptions::shapes`]), or plain objects fall into different classes.
pub fn diff(before: &Snapshot, after: &Snapshot) -> Vec<ClassDiff> {
    let mut before = members(before);
    let mut diffs = Vec::new();
    for (key, now) in members(after) {
        let was = before.remove(&key).unwrap_or_default();
        diffs.extend(class_diff(key, &was, &now));
    }
    diffs.extend(before.into_iter().filter_map(|(key, was)| class_diff(key, &was, &[])));
    diffs.sort_by(|a, b| {
        b.size_delta().cmp(&a.size_delta()).then_with(|| (&a.name, a.location).cmp(&(&b.name, b.location)))
    });
    diffs
}

fn class_diff(key: (Option<Location>, String), was: &[(u32, u64)], now: &[(u32, u64)]) -> Option<ClassDiff> {
    let (location, name) = key;
    let mut diff = ClassDiff { name, location, added: 0, removed: 0, added_size: 0, removed_size: 0 };
    let (mut i, mut j) = (0, 0);
    while i < was.len() || j < now.len() {
        let is_removed = now.get(j).is_none_or(|(new, _)| was.get(i).is_some_and(|(old, _)| old < new));
        if is_removed {
            diff.removed += 1;
            diff.removed_size += was[i].1;
            i += 1;
        } else if was.get(i).is_none_or(|(old, _)| *old > now[j].0) {
            diff.added += 1;
            diff.added_size += now[j].1;
            j += 1;
        } else {
            i += 1;
            j += 1;
        }
    }
    (diff.added + diff.removed > 0).then_some(diff)
}
