//! The prefix tree of a folder's stacks.

use std::hash::BuildHasher;

use super::fold::NONE;
use super::memory::Memory;

/// A step from a stack to one with one more item at its leaf end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// [`NONE`] at the root; else smaller than the node's own number.
    pub(super) parent: u32,
    pub(super) item: u32,
}

/// Half of a node's hash, and one more than its number; 0 if the place is free.
type Place = [u8; PLACE];
const PLACE: usize = 8;

fn place(hash: u64, node: u32) -> Place {
    (hash & !u64::from(u32::MAX) | (u64::from(node) + 1)).to_ne_bytes()
}

/// Stacks in the order of their first appearance, callers first.
///
/// A node's place in the table follows from all items up to it, not from its parent's number. So the processor can look
/// for the nodes of a whole stack at the same time, where it would otherwise wait for one after the other. What it finds
/// is compared: nothing rests on the hash alone.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// The hash of each node, to make room.
    hashes: Vec<u64>,
    /// [`Place`]s.
    places: Memory,
    /// Places less one.
    mask: usize,
    /// Random in each process, so that no input can make places collide.
    key: [u64; 2],
    /// Item, hash and node of the stack that was added last, from root to leaf: the next one mostly begins like it.
    last: Vec<(u32, u64, u32)>,
}

impl Tree {
    pub(super) fn new() -> Self {
        let random = std::hash::RandomState::new();
        Self {
            nodes: Vec::new(),
            hashes: Vec::new(),
            places: Memory::zeroed(PLACE << 12),
            mask: (1 << 12) - 1,
            key: [random.hash_one(0), random.hash_one(1) | 1],
            last: Vec::new(),
        }
    }

    /// All nodes, callers first.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Adds a stack, given from leaf to root, and returns its node; [`NONE`] for the empty stack.
    pub(super) fn add(&mut self, leaf_first: &[u32]) -> u32 {
        let common = self.last.iter().zip(leaf_first.iter().rev()).take_while(|(last, item)| last.0 == **item).count();
        self.last.truncate(common);
        let (mut hash, mut node) = self.last.last().map_or((self.key[0], NONE), |last| (last.1, last.2));
        for item in leaf_first.iter().rev().skip(common) {
            let product = u128::from(hash ^ u64::from(*item)) * u128::from(self.key[1]);
            hash = (product as u64 ^ (product >> 64) as u64).wrapping_add(self.key[0]);
            let entry = Node { parent: node, item: *item };
            node = self.find(hash, entry).unwrap_or_else(|| self.insert(hash, entry));
            self.last.push((*item, hash, node));
        }
        node
    }

    #[inline]
    fn find(&self, hash: u64, entry: Node) -> Option<u32> {
        let places = self.places.slots::<PLACE>();
        let mut at = hash as usize;
        loop {
            let place = u64::from_ne_bytes(places[at & self.mask]);
            let node = (place as u32).checked_sub(1)?;
            if place >> 32 == hash >> 32 && self.nodes[node as usize] == entry {
                return Some(node);
            }
            at += 1;
        }
    }

    fn insert(&mut self, hash: u64, entry: Node) -> u32 {
        if self.nodes.len() * 2 > self.mask {
            let size = (self.mask + 1) * 4;
            self.places = Memory::zeroed(PLACE * size);
            self.mask = size - 1;
            for node in 0..self.hashes.len() {
                self.put(self.hashes[node], node as u32);
            }
        }
        let node = u32::try_from(self.nodes.len()).ok().filter(|node| *node < NONE - 1);
        let node = node.expect("a tree of less than 2^32 nodes, as each takes 24 bytes");
        self.put(hash, node);
        self.nodes.push(entry);
        self.hashes.push(hash);
        node
    }

    fn put(&mut self, hash: u64, node: u32) {
        let places = self.places.slots_mut::<PLACE>();
        let mut at = hash as usize;
        while places[at & self.mask] != [0; PLACE] {
            at += 1;
        }
        places[at & self.mask] = place(hash, node);
    }
}
