//! Finding stacks by their whole paths.

use std::hash::BuildHasher;

use burnmark_model::{FrameId, Id, Profile, Stack, StackId};
use foldhash::fast::RandomState;

/// Where each stack of a profile is. There are millions, and each look-up is a new place in memory. So a stack is found
/// by a hash of its whole path, which is known before its parent's place is: the places of all steps of a path are
/// fetched at once, not one after the other.
pub(super) struct Paths {
    /// Half of the path's hash, number of the stack from 1; 0 where there is none. A power of two of them, less than 5/8
    /// in use.
    slots: Vec<[u32; 2]>,
    seeds: [u64; 2],
}

/// A stack, and the hash of its path.
#[derive(Clone, Copy)]
pub(super) struct Path {
    pub(super) stack: StackId,
    hash: u64,
}

impl Default for Paths {
    fn default() -> Self {
        let state = RandomState::default();
        Self { slots: Vec::new(), seeds: [state.hash_one(1), state.hash_one(2) | 1] }
    }
}

impl Paths {
    /// Continues a path, from its root, by these frames. All stacks of the profile must come from here.
    pub(super) fn extend(&mut self, profile: &mut Profile, path: &mut Vec<Path>, frames: &[FrameId]) {
        let from = path.last().copied();
        self.fetch(profile, from, frames);
        let (mut parent, mut hash) = (from.map(|path| path.stack), from.map_or(self.seeds[0], |path| path.hash));
        for frame in frames {
            hash = self.hash(hash, *frame);
            let stack = self.step(profile, hash, Stack { parent, frame: *frame });
            path.push(Path { stack, hash });
            parent = Some(stack);
        }
    }

    /// Fetches the places of a path's next steps. It changes nothing, but what follows is faster.
    fn fetch(&self, profile: &Profile, from: Option<Path>, frames: &[FrameId]) {
        let Some(last) = self.slots.len().checked_sub(1) else { return };
        let mut hash = from.map_or(self.seeds[0], |path| path.hash);
        let met = frames.iter().fold(0, |met, frame| {
            hash = self.hash(hash, *frame);
            let [_, number] = self.slots[half(hash) as usize & last];
            met ^ number.checked_sub(1).map_or(0, |index| profile.stacks.get(id(index)).frame.index())
        });
        std::hint::black_box(met);
    }

    /// The stack whose path has this hash, which is added to the profile if it is new.
    fn step(&mut self, profile: &mut Profile, hash: u64, wanted: Stack) -> StackId {
        if profile.stacks.len() >= self.slots.len() / 8 * 5 {
            self.grow();
        }
        let (half, last) = (half(hash), self.slots.len() - 1);
        let mut slot = half as usize & last;
        while let [other, number @ 1..=u32::MAX] = self.slots[slot] {
            let stack = id(number - 1);
            if other == half && *profile.stacks.get(stack) == wanted {
                return stack;
            }
            slot = (slot + 1) & last;
        }
        let stack = profile.stacks.push_new(wanted);
        self.slots[slot] = [half, stack.index() as u32 + 1];
        stack
    }

    fn hash(&self, path: u64, frame: FrameId) -> u64 {
        let wide = u128::from(path ^ frame.index() as u64) * u128::from(self.seeds[1]);
        (wide >> 64) as u64 ^ wide as u64
    }

    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(1 << 10);
        let old = std::mem::replace(&mut self.slots, vec![[0; 2]; len]);
        for entry in old.into_iter().filter(|[_, number]| *number > 0) {
            let mut slot = entry[0] as usize & (len - 1);
            while self.slots[slot][1] > 0 {
                slot = (slot + 1) & (len - 1);
            }
            self.slots[slot] = entry;
        }
    }
}

fn id(index: u32) -> StackId {
    StackId::from_index(index as usize)
}

fn half(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use burnmark_model::Frame;

    #[test]
    fn stacks_are_those_that_frame_by_frame_are_found() {
        let (mut profile, mut plain) = (Profile::default(), Profile::default());
        let frame = |line| Frame { function: None, module: None, address: None, line, column: 0, inline_depth: 0 };
        let frames: Vec<_> = (0..3).map(|line| profile.frames.intern(frame(line))).collect();
        let mut paths = Paths::default();
        let mut random = 1u64;
        for _ in 0..5000 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let list: Vec<_> = (0..random >> 60).map(|at| frames[(random >> (30 + 2 * at)) as usize % 3]).collect();
            let (callers, rest) = list.split_at(list.len() / 2);
            let mut path = Vec::new();
            paths.extend(&mut profile, &mut path, callers);
            paths.extend(&mut profile, &mut path, rest);
            let mut stack = None;
            let expected = list.iter().map(|frame| {
                stack = Some(plain.push_frame(stack, *frame));
                stack
            });
            assert!(path.iter().map(|path| Some(path.stack)).eq(expected));
        }
        assert!(plain.stacks.len() > 2000 && profile.stacks == plain.stacks);
    }
}
