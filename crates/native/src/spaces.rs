//! Which module lies at an address of a process, at the moment a sample is met.
//!
//! Rules:
//! - For every byte of a process the latest mapping wins, by the records' time rather than their order of arrival:
//!   records of different CPUs may come slightly out of order, and `/proc/PID/maps` is read while records come in.
//! - An exec drops what was mapped before it. A fork gives the child what the parent had at that time.
//! - Only executable mappings are kept; one that is not executable evicts what lay there.
//!
//! A fork copies nothing: spaces share their mappings until one of them changes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

/// A module and a place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The module's index, as given when it was mapped.
    pub module: u32,
    /// File offset, or absolute address: the `offset` it was mapped with plus the distance from the mapping's start.
    pub offset: u64,
}

/// A region that has a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoundRegion {
    start: u64,
    end: u64,
    /// Offset minus address, wrapping.
    delta: u64,
    pub(crate) module: u32,
}

impl FoundRegion {
    /// Whether an address lies in it.
    pub(crate) fn holds(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// What is at an address in it.
    pub(crate) fn at(&self, address: u64) -> Found {
        Found { module: self.module, offset: address.wrapping_add(self.delta) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mapping {
    end: u64,
    /// Offset minus address, wrapping: unchanged when the mapping is cut.
    delta: u64,
    /// `None` where something not executable was mapped.
    module: Option<u32>,
    time: u64,
    /// Read from `/proc/PID/maps`: it was there at `time`, and probably before.
    loaded: bool,
}

/// What a process takes, in mappings.
const SPACE: usize = 4;

/// What the kernel maps before a new program runs: the program, its interpreter, the vDSO.
const MAPPED_BY_EXEC: usize = 3;

/// Mappings by their first address; they don't overlap.
type Mappings = BTreeMap<u64, Mapping>;

#[derive(Clone, Debug, Default)]
struct Space {
    mappings: Arc<Mappings>,
    /// Latest time of a mapping that was not loaded.
    latest: u64,
    /// Time of the exec (or fork) that the space began with.
    since: u64,
    loaded_at: Option<u64>,
    /// What was mapped before the exec at `since`: for forks before it whose record comes after it, and for samples of
    /// the exec itself.
    before_exec: Option<Arc<Mappings>>,
    /// Parent and time of a fork that inherited mappings which were loaded after it.
    inherited: Option<(i32, u64)>,
    /// That of its latest change.
    generation: u64,
}

/// The address spaces of all processes.
#[derive(Clone, Debug)]
pub struct Spaces {
    spaces: HashMap<i32, Space, RandomState>,
    /// Mappings that may be kept, and at most how many more are there than when they were counted.
    most: usize,
    added: usize,
    counted: usize,
    /// That of the latest change.
    generation: u64,
}

/// One executable region, as [`Spaces::load`] takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
    /// File offset of `start`, or `start` itself where addresses are to stay absolute.
    pub offset: u64,
    /// The module's index.
    pub module: Option<u32>,
}

impl Default for Spaces {
    fn default() -> Self {
        Self { spaces: HashMap::default(), most: usize::MAX, added: 0, counted: 0, generation: 0 }
    }
}

impl Spaces {
    /// Bounds the mappings of all processes: beyond it they are all forgotten. Processes that fork share theirs.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Forgets all processes.
    pub(crate) fn clear(&mut self) {
        self.generation += 1;
        self.spaces.clear();
        (self.added, self.counted) = (0, 0);
    }

    /// Makes room for one more mapping of a process, which may have to get a copy of those it shares.
    fn make_room(&mut self, pid: i32) {
        self.added += match self.spaces.get(&pid) {
            Some(space) if Arc::strong_count(&space.mappings) > 1 => space.mappings.len() + 2,
            Some(_) => 2,
            None => SPACE,
        };
        if self.counted.saturating_add(self.added) <= self.most {
            return;
        }
        let mut distinct = HashSet::<_, RandomState>::default();
        let all = self.spaces.values().flat_map(|space| [Some(&space.mappings), space.before_exec.as_ref()]);
        let all = all.flatten().filter(|mappings| distinct.insert(Arc::as_ptr(mappings)));
        self.counted = all.map(|mappings| mappings.len()).sum::<usize>() + self.spaces.len() * SPACE;
        let is_full = self.counted > self.most / 2;
        self.added = 0;
        if is_full {
            self.clear();
        }
    }

    /// A number that differs whenever an answer of [`Spaces::find`] for this process may differ: for caches. Processes
    /// of which nothing is known have the same.
    pub fn generation_of(&self, pid: i32) -> u64 {
        self.spaces.get(&pid).map_or(0, |space| space.generation)
    }

    /// How often anything changed: as long as it is the same, all generations are.
    pub(crate) fn changes(&self) -> u64 {
        self.generation
    }

    /// The module at an address of a process.
    pub fn find(&self, pid: i32, address: u64) -> Option<Found> {
        self.find_region(pid, address).map(|region| region.at(address))
    }

    /// The region with a module around an address of a process: as long as [`Spaces::generation_of`] is the same, the
    /// answer is the same for all addresses in it.
    pub(crate) fn find_region(&self, pid: i32, address: u64) -> Option<FoundRegion> {
        look_up(&self.spaces.get(&pid)?.mappings, address)
    }

    /// The same of the program that called exec, while the kernel is at it: the registers are still that program's.
    pub fn find_before_exec(&self, pid: i32, address: u64) -> Option<Found> {
        let space = self.spaces.get(&pid)?;
        let before = space.before_exec.as_ref().filter(|_| space.mappings.len() <= MAPPED_BY_EXEC)?;
        look_up(before, address).map(|region| region.at(address))
    }

    /// A region was mapped at `time`; without a module it evicts only.
    pub fn map(&mut self, pid: i32, region: Region, time: u64) {
        self.make_room(pid);
        let space = changed(&mut self.spaces, &mut self.generation, pid);
        if time < space.since {
            return;
        }
        space.latest = space.latest.max(time);
        insert(Arc::make_mut(&mut space.mappings), region, time, false);
    }

    /// The executable regions a process had at `time`, from `/proc/PID/maps`. `time` is that of just before reading:
    /// what records say of later times wins, and of earlier times the maps know better.
    pub fn load(&mut self, pid: i32, regions: &[Region], time: u64) {
        self.make_room(pid);
        let space = changed(&mut self.spaces, &mut self.generation, pid);
        if time < space.since {
            return;
        }
        space.loaded_at = Some(time);
        let mappings = Arc::make_mut(&mut space.mappings);
        for region in regions {
            insert(mappings, *region, time, true);
        }
    }

    /// A process replaced its program at `time`.
    pub fn exec(&mut self, pid: i32, time: u64) {
        self.make_room(pid);
        let space = changed(&mut self.spaces, &mut self.generation, pid);
        if time < space.since {
            return;
        }
        let before = space.mappings.clone();
        Arc::make_mut(&mut space.mappings).retain(|_, mapping| mapping.time >= time);
        space.before_exec = Some(before);
        space.since = time;
        space.inherited = None;
        // The maps were read after this exec, so what children forked before it inherited is not theirs.
        if space.loaded_at.is_some_and(|loaded_at| loaded_at >= time) {
            for child in self.spaces.values_mut() {
                if let Some((_, forked)) = child.inherited.filter(|(parent, forked)| *parent == pid && *forked < time) {
                    let foreign = |mapping: &Mapping| mapping.loaded && mapping.time == forked;
                    Arc::make_mut(&mut child.mappings).retain(|_, mapping| !foreign(mapping));
                    child.inherited = None;
                    child.generation = self.generation;
                }
            }
        }
    }

    /// A process forked at `time`: what the child's pid meant before is over.
    pub fn fork(&mut self, child: i32, parent: i32, time: u64) {
        if child == parent {
            return;
        }
        self.make_room(child);
        self.generation += 1;
        let (base, inherited) = self.spaces.get(&parent).map_or_else(Default::default, |space| at(space, time));
        let old = self.spaces.remove(&child).unwrap_or_default();
        // Records of the child that came before its fork's: they stay, and an exec among them means that the parent's
        // mappings are none of its business.
        let exec = if old.since > time { Some(old.since) } else { None };
        let mut mappings = if exec.is_some() { Arc::default() } else { base };
        let mut latest = time;
        for (start, mapping) in old.mappings.iter().filter(|(_, mapping)| mapping.time > time) {
            let offset = start.wrapping_add(mapping.delta);
            let region = Region { start: *start, end: mapping.end, offset, module: mapping.module };
            insert(Arc::make_mut(&mut mappings), region, mapping.time, mapping.loaded);
            latest = if mapping.loaded { latest } else { latest.max(mapping.time) };
        }
        let space = Space {
            mappings,
            latest,
            since: exec.unwrap_or(time),
            loaded_at: old.loaded_at.filter(|loaded_at| *loaded_at > time),
            before_exec: None,
            inherited: (inherited && exec.is_none()).then_some((parent, time)),
            generation: self.generation,
        };
        self.spaces.insert(child, space);
    }

    /// Forgets a process. Call it some time after its exit: samples may come later than that.
    pub fn remove(&mut self, pid: i32) {
        self.generation += 1;
        self.spaces.remove(&pid);
    }

    /// How many processes are known.
    pub fn len(&self) -> usize {
        self.spaces.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.spaces.is_empty()
    }
}

/// The space of a process, which is about to change.
fn changed<'s>(spaces: &'s mut HashMap<i32, Space, RandomState>, generation: &mut u64, pid: i32) -> &'s mut Space {
    *generation += 1;
    let space = spaces.entry(pid).or_default();
    space.generation = *generation;
    space
}

fn look_up(mappings: &Mappings, address: u64) -> Option<FoundRegion> {
    let (start, mapping) = mappings.range(..=address).next_back()?;
    let region = FoundRegion { start: *start, end: mapping.end, delta: mapping.delta, module: mapping.module? };
    region.holds(address).then_some(region)
}

/// What a space held at `time`, and whether some of that was loaded later.
fn at(space: &Space, time: u64) -> (Arc<Mappings>, bool) {
    if time < space.since {
        let known = |mapping: &Mapping| mapping.time <= time;
        let before = space.before_exec.iter().flat_map(|mappings| mappings.iter());
        let then = before.filter(|(_, mapping)| known(mapping)).map(|(start, mapping)| (*start, *mapping));
        return (Arc::new(then.collect()), false);
    }
    let inherited = space.loaded_at.is_some_and(|loaded_at| loaded_at > time);
    if space.latest <= time && !inherited {
        return (space.mappings.clone(), false);
    }
    let known = |mapping: &Mapping| mapping.loaded || mapping.time <= time;
    let then = space.mappings.iter().filter(|(_, mapping)| known(mapping));
    // The child has what was loaded from its fork on, and not from when it was read: what it maps itself wins.
    let then = then.map(|(start, mapping)| (*start, Mapping { time: mapping.time.min(time), ..*mapping }));
    (Arc::new(then.collect()), inherited)
}

/// Puts a region in: it evicts, splits and cuts what is not newer, and fills only the gaps between what is.
fn insert(mappings: &mut Mappings, region: Region, time: u64, loaded: bool) {
    let Region { start, end, offset, module } = region;
    if start >= end {
        return;
    }
    let first =
        mappings.range(..=start).next_back().filter(|(_, mapping)| mapping.end > start).map(|(start, _)| *start);
    let overlapped: Vec<(u64, Mapping)> =
        mappings.range(first.unwrap_or(start)..end).map(|(start, mapping)| (*start, *mapping)).collect();
    let new = |end: u64| Mapping { end, delta: offset.wrapping_sub(start), module, time, loaded };
    let mut free_from = start;
    for (old_start, old) in overlapped {
        if old.time > time {
            if free_from < old_start {
                mappings.insert(free_from, new(old_start));
            }
            free_from = old.end;
            continue;
        }
        mappings.remove(&old_start);
        if old_start < start {
            mappings.insert(old_start, Mapping { end: start, ..old });
        }
        if old.end > end {
            mappings.insert(end, old);
        }
    }
    if free_from < end {
        mappings.insert(free_from, new(end));
    }
}

#[cfg(test)]
#[path = "spaces_tests.rs"]
mod tests;
