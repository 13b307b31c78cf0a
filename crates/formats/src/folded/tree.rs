//! The stacks of one worker as a prefix tree of names.

use foldhash::fast::RandomState;
use indexmap::IndexSet;

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

/// A prefix tree of names, with counts at the nodes where stacks end.
///
/// Lines mostly begin as the one before them did (files are written sorted or tree-wise), so a line is compared with
/// its predecessor and only what differs is looked up.
#[derive(Default)]
pub(super) struct Tree {
    names: IndexSet<Box<[u8]>, RandomState>,
    /// Parent and name; node n is entry n − 1, for node 0 is the root.
    nodes: IndexSet<(u32, u32), RandomState>,
    /// For each node its index in `ends` plus 1, or 0.
    end_of: Vec<u32>,
    ends: Vec<End>,
    previous: Vec<u8>,
    /// For each frame of the previous stack, where its name ends in the text, and its node.
    path: Vec<(usize, u32)>,
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
        while self.path.last().is_some_and(|(end, _)| !holds(*end)) {
            self.path.pop();
        }
        self.previous.truncate(common);
        self.previous.extend_from_slice(&stack[common..]);
        if stack.is_empty() {
            return ROOT;
        }
        let (mut start, mut node) = match self.path.last() {
            Some((end, node)) => (end + 1, *node),
            None => (0, ROOT),
        };
        // The end of the last frame is the end of the text: a start beyond it means that all frames are there.
        while start <= stack.len() {
            let end = memchr::memchr(b';', &stack[start..]).map_or(stack.len(), |length| start + length);
            let name = self.name_of(&stack[start..end]);
            node = id(self.nodes.insert_full((node, name)).0 + 1);
            self.path.push((end, node));
            start = end + 1;
        }
        node
    }

    fn name_of(&mut self, name: &[u8]) -> u32 {
        id(self.names.get_index_of(name).unwrap_or_else(|| self.names.insert_full(name.into()).0))
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
