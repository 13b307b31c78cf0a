//! Which samples met code without a name, by the modules it is in.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::Looked;
use crate::recording::{NONE, Recording};

/// Modules of one stack that are counted at most. No program has so many, and a damaged file must not take all day.
const MOST: u32 = 256;

/// A set of modules: another one, and one more. Most stacks have the same few.
#[derive(Clone, Copy)]
struct Set {
    without: u32,
    module: u32,
    len: u32,
    samples: u64,
}

/// Per module, the samples whose stack has a frame in it that has no name.
pub(super) fn samples(recording: &Recording, samples_of_stacks: &[u64], looked: &Looked<'_>) -> BTreeMap<u32, u64> {
    let empty = Set { without: 0, module: NONE, len: 0, samples: 0 };
    let mut sets = vec![empty];
    let mut with: HashMap<(u32, u32), u32, RandomState> = HashMap::default();
    let mut of_stack: Vec<u32> = Vec::with_capacity(recording.stacks.len());
    for stack in &recording.stacks {
        let mut set = of_stack.get(stack.parent as usize).copied().unwrap_or(0);
        let module = recording.frames[stack.frame as usize].module;
        let is_nameless = module != NONE && looked.located[stack.frame as usize].functions.is_empty();
        let len = sets[set as usize].len;
        if is_nameless && len < MOST && members(&sets, set).all(|member| member.module != module) {
            set = *with.entry((set, module)).or_insert_with(|| {
                sets.push(Set { without: set, module, len: len + 1, samples: 0 });
                (sets.len() - 1) as u32
            });
        }
        of_stack.push(set);
    }
    for (set, samples) in of_stack.iter().zip(samples_of_stacks) {
        sets[*set as usize].samples += samples;
    }
    let mut counts = BTreeMap::new();
    for (index, set) in (0..).zip(&sets).filter(|(_, set)| set.samples > 0) {
        for member in members(&sets, index) {
            *counts.entry(member.module).or_default() += set.samples;
        }
    }
    counts
}

fn members(sets: &[Set], set: u32) -> impl Iterator<Item = Set> {
    std::iter::successors(sets.get(set as usize).copied(), |set| sets.get(set.without as usize).copied())
        .take_while(|set| set.len > 0)
}
