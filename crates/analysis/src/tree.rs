//! Call trees: stacks with siblings merged by what they are, from the roots or from the leaves.

use std::collections::HashMap;

use burnmark_model::{Id, Profile, Sample, StackId, ThreadId, ValueType};
use foldhash::fast::RandomState;

use crate::Error;
use crate::place::{MergeBy, Place, Places};
use crate::weights::{check_column, share_base};

/// Which end of the stacks is the tree's root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Callers above, callees below: where a flame graph starts.
    #[default]
    FromRoot,
    /// The function that was running first, its callers below: an inverted tree.
    FromLeaf,
}

/// What the tree's first level is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// The stacks' own.
    #[default]
    Stacks,
    /// The samples' processes, by name.
    Processes,
    /// The samples' threads, by name.
    Threads,
}

/// How to build a tree.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeOptions {
    /// Index of the value type.
    pub value: usize,
    /// What makes two frames one node.
    pub merge_by: MergeBy,
    /// Which end is the root.
    pub direction: Direction,
    /// What the first level is.
    pub roots: Roots,
    /// Levels below the root; what is deeper is in [`Node::cut`] of the deepest nodes. An inverted tree has a node per
    /// frame of every distinct path from a leaf, so depth is what bounds it: stacks × depth.
    pub max_depth: u32,
    /// Inverted trees only: nodes below this fraction of the whole are not expanded further, their callers are in
    /// [`Node::cut`]. It bounds a level to 1/`min_share` expanded nodes.
    pub min_share: f64,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self {
            value: 0,
            merge_by: MergeBy::default(),
            direction: Direction::default(),
            roots: Roots::default(),
            max_depth: 1_000,
            min_share: 0.0,
        }
    }
}

/// What the options kept out of the tree below a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Value of the stacks that go on, as stored.
    pub value: i64,
    /// Frames of the longest of them that are not in the tree.
    pub levels: u32,
}

/// A node. Its total is its self value, what was cut below it, and its children's totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Index of the parent, which is smaller than the node's own; `None` for the root, the node at index 0.
    pub parent: Option<u32>,
    /// Index into [`CallTree::places`].
    pub place: u32,
    /// Levels below the root, which is at 0.
    pub depth: u32,
    /// Value of the samples whose stack ends here (begins here, in an inverted tree), as stored.
    pub self_value: i64,
    /// Value of the samples whose stack goes through here, as stored.
    pub total_value: i64,
    /// What is not in the tree.
    pub cut: Cut,
    /// Whether all frames merged here were inlined into their callers.
    pub inlined: bool,
}

/// A call tree.
#[derive(Clone, Debug, PartialEq)]
pub struct CallTree<'p> {
    /// What its values are. They are as stored: the denominator times the real ones.
    pub value_type: &'p ValueType,
    /// What shares are shares of: the sum of absolute values, which is the root's total unless some are negative.
    pub base: i64,
    /// All nodes, parents first. The first is the root, which stands for all samples.
    pub nodes: Vec<Node>,
    /// What nodes stand for.
    pub places: Vec<Place<'p>>,
    /// Nodes but the root, sorted by parent and, within it, by name.
    children: Vec<u32>,
    /// Where each node's children begin in `children`; one more entry than nodes.
    first_child: Vec<u32>,
}

impl<'p> CallTree<'p> {
    /// Builds the tree of one value type.
    ///
    /// # Errors
    /// When there is no such value type, or the share is not one.
    pub fn new(profile: &'p Profile, options: &TreeOptions) -> Result<Self, Error> {
        check_column(profile, options.value)?;
        if !(0.0..=1.0).contains(&options.min_share) {
            return Err(Error::BadShare(options.min_share.to_string()));
        }
        let base = share_base(profile.samples.values(options.value));
        let mut builder = Builder::new(profile, options, base);
        for (label, stacks) in grouped(profile, options) {
            let root = match label {
                Some(label) => builder.group(label),
                None => 0,
            };
            match options.direction {
                Direction::FromRoot => builder.add_from_root(root, &stacks),
                Direction::FromLeaf => builder.add_from_leaf(root, &stacks),
            }
        }
        Ok(builder.finish(&profile.value_types[options.value], base))
    }

    /// The children of a node, by name.
    pub fn children(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.children[self.first_child[node] as usize..self.first_child[node + 1] as usize]
    }

    /// What a node stands for.
    pub fn place(&self, node: u32) -> &Place<'p> {
        &self.places[self.nodes[node as usize].place as usize]
    }
}

/// A distinct stack and the sum of its samples.
type Weighted = (Option<StackId>, i64);

/// The distinct stacks with a value, per group of samples. There is one group, without a label, if roots are stacks.
fn grouped(profile: &Profile, options: &TreeOptions) -> Vec<(Option<String>, Vec<Weighted>)> {
    let mut labels: HashMap<Option<String>, u32, RandomState> = HashMap::default();
    let mut of_thread: HashMap<Option<ThreadId>, u32, RandomState> = HashMap::default();
    let mut sums: HashMap<(u32, Option<StackId>), i64, RandomState> = HashMap::default();
    for (sample, value) in profile.samples.iter().zip(profile.samples.values(options.value)) {
        let group = *of_thread.entry(sample.thread).or_insert_with(|| {
            let next = labels.len() as u32;
            *labels.entry(group_label(profile, sample, options.roots)).or_insert(next)
        });
        *sums.entry((group, sample.stack)).or_default() += value;
    }
    let mut groups: Vec<(Option<String>, Vec<Weighted>)> = vec![(None, Vec::new()); labels.len()];
    for (label, group) in labels {
        groups[group as usize].0 = label;
    }
    for ((group, stack), value) in sums {
        if value != 0 {
            groups[group as usize].1.push((stack, value));
        }
    }
    for (_, stacks) in &mut groups {
        stacks.sort_unstable();
    }
    groups
}

fn group_label(profile: &Profile, sample: Sample, roots: Roots) -> Option<String> {
    let thread = sample.thread.map(|id| profile.threads.get(id));
    let process = thread.map(|thread| profile.processes.get(thread.process));
    let (name, id, what) = match roots {
        Roots::Stacks => return None,
        Roots::Threads => (thread.and_then(|thread| thread.name), thread.and_then(|thread| thread.tid), "thread"),
        Roots::Processes => (process.and_then(|process| process.name), process.and_then(|process| process.pid), "pid"),
    };
    Some(match (name, id) {
        (Some(name), _) => profile.strings.get(name).to_owned(),
        (None, Some(id)) => format!("{what} {id}"),
        (None, None) => format!("[no {}]", if roots == Roots::Threads { "thread" } else { "process" }),
    })
}

/// Stands for no node, place or stack.
const NONE: u32 = u32::MAX;

struct Builder<'a, 'p> {
    profile: &'p Profile,
    options: &'a TreeOptions,
    places: Places<'p>,
    nodes: Vec<Node>,
    index: HashMap<(u32, u32), u32, RandomState>,
    /// The least absolute value of an inverted node that is expanded.
    least: f64,
    /// Per stack of the group being added, its node and how many levels it is below the deepest one allowed.
    of_stack: Vec<(u32, u32)>,
    /// Per stack, the next one towards the root that is another node: the parent, but for [`MergeBy::Module`].
    callers: Vec<u32>,
    /// Per stack, how many frames it has.
    lengths: Vec<u32>,
}

impl<'a, 'p> Builder<'a, 'p> {
    fn new(profile: &'p Profile, options: &'a TreeOptions, base: i64) -> Self {
        let mut places = Places::new(profile, options.merge_by);
        places.places.push(Place::group("all"));
        let root = Node {
            parent: None,
            place: places.places.len() as u32 - 1,
            depth: 0,
            self_value: 0,
            total_value: 0,
            cut: Cut::default(),
            inlined: false,
        };
        let mut builder = Self {
            profile,
            options,
            places,
            nodes: vec![root],
            index: HashMap::default(),
            least: options.min_share * base as f64,
            of_stack: Vec::new(),
            callers: Vec::new(),
            lengths: Vec::new(),
        };
        match options.direction {
            Direction::FromRoot => builder.of_stack = vec![(NONE, 0); profile.stacks.len()],
            Direction::FromLeaf => builder.link_callers(),
        }
        builder
    }

    /// Adds a node for a process or thread.
    fn group(&mut self, label: String) -> u32 {
        self.places.places.push(Place::group(label));
        let place = self.places.places.len() as u32 - 1;
        self.child(0, place, false)
    }

    fn child(&mut self, parent: u32, place: u32, inlined: bool) -> u32 {
        let next = self.nodes.len() as u32;
        let node = *self.index.entry((parent, place)).or_insert(next);
        if node == next {
            let depth = self.nodes[parent as usize].depth + 1;
            let (self_value, total_value, cut) = (0, 0, Cut::default());
            self.nodes.push(Node { parent: Some(parent), place, depth, self_value, total_value, cut, inlined });
        } else {
            self.nodes[node as usize].inlined &= inlined;
        }
        node
    }

    fn place_of(&self, stack: StackId) -> (u32, bool) {
        let frame = self.profile.stacks.get(stack).frame;
        (self.places.of(frame), self.profile.frames.get(frame).inline_depth > 0)
    }

    fn add_from_root(&mut self, root: u32, stacks: &[Weighted]) {
        let mut pending = Vec::new();
        let mut seen = Vec::new();
        for (leaf, value) in stacks {
            let mut at = (root, 0);
            let mut next = *leaf;
            while let Some(stack) = next {
                let known = self.of_stack[stack.index()];
                if known.0 != NONE {
                    at = known;
                    break;
                }
                pending.push(stack);
                next = self.profile.stacks.get(stack).parent;
            }
            while let Some(stack) = pending.pop() {
                at = self.step_down(at, root, stack);
                self.of_stack[stack.index()] = at;
                seen.push(stack);
            }
            let node = &mut self.nodes[at.0 as usize];
            if at.1 == 0 {
                node.self_value += value;
            } else {
                node.cut = Cut { value: node.cut.value + value, levels: node.cut.levels.max(at.1) };
            }
        }
        for stack in seen {
            self.of_stack[stack.index()] = (NONE, 0);
        }
    }

    /// The node of a stack whose parent's node, and levels below the deepest node, are given.
    fn step_down(&mut self, (node, below): (u32, u32), root: u32, stack: StackId) -> (u32, u32) {
        let (place, inlined) = self.place_of(stack);
        let parent = &self.nodes[node as usize];
        if below == 0 && node != root && self.options.merge_by == MergeBy::Module && parent.place == place {
            self.nodes[node as usize].inlined &= inlined;
            (node, 0)
        } else if below > 0 || parent.depth >= self.options.max_depth {
            (node, below + 1)
        } else {
            (self.child(node, place, inlined), 0)
        }
    }

    fn link_callers(&mut self) {
        for (id, stack) in self.profile.stacks.iter() {
            let parent = stack.parent.map(Id::index);
            let same = |parent: &StackId| {
                self.options.merge_by == MergeBy::Module && self.place_of(*parent).0 == self.place_of(id).0
            };
            let caller = match stack.parent.filter(same) {
                Some(same) => self.callers[same.index()],
                None => parent.map_or(NONE, |parent| parent as u32),
            };
            self.lengths.push(parent.map_or(0, |parent| self.lengths[parent]) + 1);
            self.callers.push(caller);
        }
    }

    fn add_from_leaf(&mut self, root: u32, stacks: &[Weighted]) {
        let mut entries = Vec::with_capacity(stacks.len());
        for (stack, value) in stacks {
            match stack {
                Some(stack) => entries.push(self.entry(*stack, *value)),
                None => self.nodes[root as usize].self_value += value,
            }
        }
        // Each stack's value is in one list at a time, so the lists together never outgrow the distinct stacks.
        let mut open = vec![(root, entries)];
        while let Some((node, entries)) = open.pop() {
            self.expand(node, entries, &mut open);
        }
    }

    fn entry(&self, stack: StackId, value: i64) -> Entry {
        Entry { place: self.place_of(stack).0, stack, value }
    }

    /// Gives a node its children, and puts them with the stacks that go on from there into `open`.
    fn expand(&mut self, node: u32, mut entries: Vec<Entry>, open: &mut Vec<(u32, Vec<Entry>)>) {
        let size: f64 = entries.iter().map(|entry| entry.value.unsigned_abs() as f64).sum();
        let root = self.nodes[node as usize].depth == 0;
        if !root && (self.nodes[node as usize].depth >= self.options.max_depth || size < self.least) {
            let value = entries.iter().map(|entry| entry.value).sum();
            let levels = entries.iter().map(|entry| self.lengths[entry.stack.index()]).max().unwrap_or(0);
            self.nodes[node as usize].cut = Cut { value, levels };
            return;
        }
        entries.sort_unstable_by_key(|entry| (entry.place, entry.stack));
        for same_place in entries.chunk_by(|a, b| a.place == b.place) {
            let mut inlined = true;
            let mut ended = 0;
            let mut further: Vec<Entry> = Vec::new();
            for same_stack in same_place.chunk_by(|a, b| a.stack == b.stack) {
                let stack = same_stack[0].stack;
                let value: i64 = same_stack.iter().map(|entry| entry.value).sum();
                inlined &= self.place_of(stack).1;
                match self.callers[stack.index()] {
                    NONE => ended += value,
                    caller => further.push(self.entry(StackId::from_index(caller as usize), value)),
                }
            }
            let child = self.child(node, same_place[0].place, inlined);
            self.nodes[child as usize].self_value += ended;
            if !further.is_empty() {
                open.push((child, further));
            }
        }
    }

    fn finish(mut self, value_type: &'p ValueType, base: i64) -> CallTree<'p> {
        for node in (0..self.nodes.len()).rev() {
            let total = {
                let node = &mut self.nodes[node];
                node.total_value += node.self_value + node.cut.value;
                node.total_value
            };
            if let Some(parent) = self.nodes[node].parent {
                self.nodes[parent as usize].total_value += total;
            }
        }
        let places = self.places.places;
        let mut by_name: Vec<u32> = (0..places.len() as u32).collect();
        by_name.sort_by(|a, b| places[*a as usize].sort_key().cmp(&places[*b as usize].sort_key()));
        let mut order = vec![0; places.len()];
        for (position, place) in by_name.into_iter().enumerate() {
            order[place as usize] = position;
        }
        let mut children: Vec<u32> = (1..self.nodes.len() as u32).collect();
        children.sort_unstable_by_key(|node| {
            let node = &self.nodes[*node as usize];
            (node.parent, order[node.place as usize])
        });
        let mut first_child = vec![0; self.nodes.len() + 1];
        for node in &self.nodes[1..] {
            first_child[node.parent.unwrap_or(0) as usize + 1] += 1;
        }
        for node in 1..first_child.len() {
            first_child[node] += first_child[node - 1];
        }
        CallTree { value_type, base, nodes: self.nodes, places, children, first_child }
    }
}

/// A stack that goes on from a node of an inverted tree, and where.
struct Entry {
    place: u32,
    stack: StackId,
    value: i64,
}
