//! The prefix tree of stacks while it is built.

use std::hash::BuildHasher;

use burnmark_model::{FrameId, Id, Profile, Stack, StackId};

/// A free place; no node has this number.
const FREE: u32 = u32::MAX;

/// Stacks in the order of their first appearance, callers first.
///
/// Its own table of nodes is smaller and faster than the profile's, which is filled in one go at the end, when its size
/// is known.
pub(super) struct Tree {
    nodes: Vec<Stack>,
    /// Parent, frame, and number of the node.
    places: Vec<(u32, u32, u32)>,
    /// Random in each process, so that no input can make places collide.
    key: [u64; 2],
    /// The stack that was added last, from root to leaf: the next one mostly has its first frames in common with it.
    frames: Vec<FrameId>,
    stacks: Vec<StackId>,
}

impl Tree {
    pub(super) fn new() -> Self {
        let random = std::hash::RandomState::new();
        Self {
            nodes: Vec::new(),
            places: vec![(0, 0, FREE); 1 << 12],
            key: [random.hash_one(0), random.hash_one(1) | 1],
            frames: Vec::new(),
            stacks: Vec::new(),
        }
    }

    /// Adds a stack, given from root to leaf.
    pub(super) fn add(&mut self, frames: &[FrameId]) -> Option<StackId> {
        let common = self.frames.iter().zip(frames).take_while(|(a, b)| a == b).count();
        self.frames.truncate(common);
        self.stacks.truncate(common);
        let mut stack = self.stacks.last().copied();
        for frame in &frames[common..] {
            stack = Some(self.child(stack, *frame));
            self.frames.push(*frame);
            self.stacks.extend(stack);
        }
        stack
    }

    fn child(&mut self, parent: Option<StackId>, frame: FrameId) -> StackId {
        // Ids fit 32 bits, and so do they one higher.
        let above = parent.map_or(0, |parent| parent.index() as u32 + 1);
        let number = frame.index() as u32;
        let mask = self.places.len() - 1;
        let mut at = self.place(above, number);
        loop {
            let (known_parent, known_frame, node) = self.places[at & mask];
            if node == FREE {
                break;
            }
            if known_parent == above && known_frame == number {
                return StackId::from_index(node as usize);
            }
            at += 1;
        }
        let node = self.nodes.len();
        self.nodes.push(Stack { parent, frame });
        // This panics before the number could be wrong.
        let id = StackId::from_index(node);
        self.places[at & mask] = (above, number, node as u32);
        if self.nodes.len() * 2 > self.places.len() {
            self.grow();
        }
        id
    }

    fn place(&self, parent: u32, frame: u32) -> usize {
        let word = u64::from(parent) << 32 | u64::from(frame);
        let product = u128::from(word ^ self.key[0]) * u128::from(self.key[1]);
        (product as u64 ^ (product >> 64) as u64) as usize
    }

    fn grow(&mut self) {
        let grown = vec![(0, 0, FREE); self.places.len() * 4];
        let mask = grown.len() - 1;
        let before = std::mem::replace(&mut self.places, grown);
        for place in before.into_iter().filter(|place| place.2 != FREE) {
            let mut at = self.place(place.0, place.1);
            while self.places[at & mask].2 != FREE {
                at += 1;
            }
            self.places[at & mask] = place;
        }
    }

    /// Puts the stacks into a profile that has none yet.
    pub(super) fn into_stacks(self, profile: &mut Profile) {
        profile.stacks.reserve(self.nodes.len());
        for stack in self.nodes {
            profile.stacks.intern(stack);
        }
    }
}
