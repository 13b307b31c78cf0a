//! The prefix tree of stacks while it is built.

use std::hash::BuildHasher;

use burnmark_model::{FrameId, Id, Profile, Stack, StackId};

/// A free place; no node has this number.
const FREE: u32 = u32::MAX;

/// Stacks in the order of their first appearance, callers first.
///
/// A node's place in the table follows from all frames up to it, not from its parent's number. So the processor can look
/// for the nodes of a whole stack at the same time, where it would otherwise wait for one after the other. What it finds
/// is compared: nothing rests on the hash alone. The profile's own table is filled in one go at the end.
pub(super) struct Tree {
    nodes: Vec<Stack>,
    /// The hash of each node, to make room.
    hashes: Vec<u64>,
    /// Half of the hash, and the node's number.
    places: Vec<(u32, u32)>,
    /// Random in each process, so that no input can make places collide.
    key: [u64; 2],
    /// The stack that was added last, from root to leaf: the next one mostly has its first frames in common with it.
    last: Vec<(FrameId, u64, StackId)>,
}

impl Tree {
    pub(super) fn new() -> Self {
        let random = std::hash::RandomState::new();
        Self {
            nodes: Vec::new(),
            hashes: Vec::new(),
            places: vec![(0, FREE); 1 << 12],
            key: [random.hash_one(0), random.hash_one(1) | 1],
            last: Vec::new(),
        }
    }

    /// Adds a stack, given from root to leaf.
    pub(super) fn add(&mut self, frames: &[FrameId]) -> Option<StackId> {
        let common = self.last.iter().zip(frames).take_while(|(last, frame)| last.0 == **frame).count();
        self.last.truncate(common);
        let (mut hash, mut stack) = self.last.last().map_or((self.key[0], None), |last| (last.1, Some(last.2)));
        for frame in &frames[common..] {
            let product = u128::from(hash ^ frame.index() as u64) * u128::from(self.key[1]);
            hash = (product as u64 ^ (product >> 64) as u64).wrapping_add(self.key[0]);
            let entry = Stack { parent: stack, frame: *frame };
            let node = self.find(hash, entry).unwrap_or_else(|| self.insert(hash, entry));
            self.last.push((*frame, hash, node));
            stack = Some(node);
        }
        stack
    }

    #[inline]
    fn find(&self, hash: u64, entry: Stack) -> Option<StackId> {
        let mask = self.places.len() - 1;
        let mut at = hash as usize;
        loop {
            let (tag, node) = self.places[at & mask];
            if node == FREE {
                return None;
            }
            if tag == (hash >> 32) as u32 && self.nodes[node as usize] == entry {
                return Some(StackId::from_index(node as usize));
            }
            at += 1;
        }
    }

    fn insert(&mut self, hash: u64, entry: Stack) -> StackId {
        if self.nodes.len() * 2 >= self.places.len() {
            self.places = vec![(0, FREE); self.places.len() * 4];
            for node in 0..self.hashes.len() {
                self.put(self.hashes[node], node as u32);
            }
        }
        // This panics before a number could be wrong.
        let id = StackId::from_index(self.nodes.len());
        self.put(hash, self.nodes.len() as u32);
        self.nodes.push(entry);
        self.hashes.push(hash);
        id
    }

    fn put(&mut self, hash: u64, node: u32) {
        let mask = self.places.len() - 1;
        let mut at = hash as usize;
        while self.places[at & mask].1 != FREE {
            at += 1;
        }
        self.places[at & mask] = ((hash >> 32) as u32, node);
    }

    /// Puts the stacks into a profile that has none yet.
    pub(super) fn into_stacks(self, profile: &mut Profile) {
        profile.stacks.reserve(self.nodes.len());
        for stack in self.nodes {
            profile.stacks.intern(stack);
        }
    }
}
