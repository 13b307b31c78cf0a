//! The stacks of one worker as a prefix tree of names.

use std::hash::{BuildHasher, Hasher};

use foldhash::{fast, quality};
use indexmap::{IndexMap, IndexSet};

use super::line::{Count, trailing_count};

/// The node above all roots.
pub(super) const ROOT: u32 = 0;

/// What was counted for one stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// The node of its leaf; [`ROOT`] for the empty stack.
    pub(super) node: u32,
    /// Offset of the first line that has it: these put the stacks of all workers in one order.
    pub(super) first: u64,
    /// How many lines have it.
    pub(super) lines: u64,
    /// The sum of their (last) counts: 2³³ lines of up to 2⁸³ millionths fit by far.
    pub(super) millionths: i128,
}

/// A hash of all names from the root to a frame: 128 bits, keyed anew for each tree, so that two different stacks with
/// one hash are nothing that happens, nor that a file can be made to contain.
type StackHash = [u64; 2];

/// A frame of the stack at hand.
#[derive(Clone, Copy)]
struct Step {
    /// Where its name ends in the text.
    end: usize,
    hash: StackHash,
}

/// A prefix tree of names, with counts at the nodes where stacks end.
///
/// Looking up each frame would cost a few cache misses each. But lines mostly begin as the one before them did (files
/// are written sorted or tree-wise): what they share is not looked at again. Of the rest, the deepest known frame is
/// found by bisection over the hashes of the stack's prefixes, as a known frame's callers are known; what is left is new.
#[derive(Default)]
pub(super) struct Tree {
    names: IndexSet<Box<[u8]>, fast::RandomState>,
    name_bytes: usize,
    /// Parent and name; node n is entry n − 1, for node 0 is the root.
    nodes: IndexMap<StackHash, (u32, u32), fast::RandomState>,
    keys: [quality::RandomState; 2],
    /// For each node its index in `ends` plus 1, or 0.
    end_of: Vec<u32>,
    ends: Vec<End>,
    previous: Vec<u8>,
    /// The frames of the previous stack.
    path: Vec<Step>,
    /// How many lines were added.
    pub(super) lines: u64,
    /// How many of them have a number before the count.
    pub(super) two_counts: u64,
}

/// Ids are handed out in order, as in the profile's own tables: memory ends long before them.
fn id(index: usize) -> u32 {
    u32::try_from(index).expect("a tree has fewer than 2^32 nodes")
}

impl Tree {
    /// Adds a line.
    pub(super) fn add(&mut self, stack: &[u8], count: Count, offset: u64) {
        let node = self.node_of(stack);
        let slot = node as usize;
        if self.end_of.len() <= slot {
            self.end_of.resize(slot + 1, 0);
        }
        if self.end_of[slot] == 0 {
            self.ends.push(End { node, first: offset, lines: 0, millionths: 0 });
            self.end_of[slot] = id(self.ends.len());
        }
        let end = &mut self.ends[self.end_of[slot] as usize - 1];
        end.lines += 1;
        end.millionths += count.millionths;
        self.lines += 1;
        self.two_counts += u64::from(trailing_count(stack).is_some());
    }

    fn node_of(&mut self, stack: &[u8]) -> u32 {
        let common = common_prefix(stack, &self.previous);
        let holds = |end: usize| end < common || end == common && matches!(stack.get(end), None | Some(b';'));
        while self.path.last().is_some_and(|step| !holds(step.end)) {
            self.path.pop();
        }
        self.previous.truncate(common);
        self.previous.extend_from_slice(&stack[common..]);
        if stack.is_empty() {
            return ROOT;
        }
        let shared = self.path.len();
        self.hash_rest(stack);
        // The first frame that is not known: all after it are not known either.
        let known = self.path[shared..].partition_point(|step| self.nodes.contains_key(&step.hash)) + shared;
        let mut parent = known.checked_sub(1).map_or(ROOT, |last| self.known_node(self.path[last].hash));
        for index in known..self.path.len() {
            let start = index.checked_sub(1).map_or(0, |before| self.path[before].end + 1);
            let Step { end, hash } = self.path[index];
            let name = self.name_of(&stack[start..end]);
            parent = id(self.nodes.insert_full(hash, (parent, name)).0 + 1);
        }
        parent
    }

    fn known_node(&self, hash: StackHash) -> u32 {
        id(self.nodes.get_index_of(&hash).map_or(0, |index| index + 1))
    }

    /// Adds the frames that follow those of the path.
    fn hash_rest(&mut self, stack: &[u8]) {
        let (mut start, mut hash) = self.path.last().map_or((0, [0; 2]), |step| (step.end + 1, step.hash));
        // The end of the last frame is the end of the text: a start beyond it means that all frames are there.
        while start <= stack.len() {
            let end = memchr::memchr(b';', &stack[start..]).map_or(stack.len(), |length| start + length);
            for (hash, key) in hash.iter_mut().zip(&self.keys) {
                let mut hasher = key.build_hasher();
                hasher.write_u64(*hash);
                hasher.write(&stack[start..end]);
                *hash = hasher.finish();
            }
            self.path.push(Step { end, hash });
            start = end + 1;
        }
    }

    fn name_of(&mut self, name: &[u8]) -> u32 {
        id(self.names.get_index_of(name).unwrap_or_else(|| {
            self.name_bytes += name.len();
            self.names.insert_full(name.into()).0
        }))
    }

    /// About how much memory it takes.
    pub(super) fn memory(&self) -> u64 {
        // With the index of each table; the profile that is built of it holds about as much again.
        const NAME: usize = 48;
        const NODE: usize = 56;
        const END: usize = size_of::<End>();
        (self.name_bytes + self.names.len() * NAME + self.nodes.len() * NODE + self.ends.len() * END) as u64
    }

    /// All stacks with counts, in order of their first lines.
    pub(super) fn ends(&self) -> &[End] {
        &self.ends
    }

    /// How many nodes there are, the root included.
    pub(super) fn len(&self) -> usize {
        self.nodes.len() + 1
    }

    /// Parent and name of a node that is not the root.
    pub(super) fn node(&self, node: u32) -> (u32, u32) {
        self.nodes[node as usize - 1]
    }

    /// The text of a name.
    pub(super) fn name(&self, name: u32) -> &[u8] {
        &self.names[name as usize]
    }

    /// How many names there are.
    pub(super) fn names(&self) -> usize {
        self.names.len()
    }
}

fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    let (left_chunks, _) = left.as_chunks::<16>();
    let (right_chunks, _) = right.as_chunks::<16>();
    let equal = left_chunks.iter().zip(right_chunks).take_while(|(left, right)| left == right).count() * 16;
    equal + left[equal..].iter().zip(&right[equal..]).take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Count = Count { millionths: 1_000_000, decimals: 0, rounded: false };

    /// The stacks of a tree as text, in order.
    fn stacks(tree: &Tree) -> Vec<(String, u64)> {
        let text = |mut node: u32| {
            let mut names = Vec::new();
            while node != ROOT {
                let (parent, name) = tree.node(node);
                names.insert(0, String::from_utf8_lossy(tree.name(name)).into_owned());
                node = parent;
            }
            names.join(";")
        };
        tree.ends().iter().map(|end| (text(end.node), end.lines)).collect()
    }

    #[test]
    fn neighbours_that_share_text_but_no_frames_are_kept_apart() {
        let mut tree = Tree::default();
        let lines = ["ab;cd", "ab;cde", "ab;cd;e", "ab", "abc", "ab;cd", "", "a", "ab;", "ab;;x", ";ab", "ab;cd;e"];
        for (offset, line) in lines.iter().enumerate() {
            tree.add(line.as_bytes(), ONE, offset as u64);
        }
        let mut expected: Vec<(String, u64)> = Vec::new();
        for line in lines {
            match expected.iter_mut().find(|(known, _)| known == line) {
                Some((_, count)) => *count += 1,
                None => expected.push((line.to_owned(), 1)),
            }
        }
        assert_eq!(stacks(&tree), expected);
    }
}
