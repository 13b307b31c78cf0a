//! Call trees: stacks with siblings merged by what they are, from the roots or from the leaves.

use std::collections::HashMap;
use std::ops::Range;

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
    /// Per node, the range of its children among the nodes.
    children: Vec<(u32, u32)>,
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
        let groups = grouped(profile, options);
        let roots: Vec<u32> = match options.roots {
            Roots::Stacks => vec![0],
            Roots::Processes | Roots::Threads => {
                let labels: Vec<&String> = groups.iter().filter_map(|(label, _)| label.as_ref()).collect();
                builder.add_groups(&labels)
            }
        };
        for (root, (_, stacks)) in roots.into_iter().zip(&groups) {
            match options.direction {
                Direction::FromRoot => builder.add_from_root(root, stacks),
                Direction::FromLeaf => builder.add_from_leaf(root, stacks),
            }
        }
        Ok(builder.finish(&profile.value_types[options.value], base))
    }

    /// The children of a node, by name.
    pub fn children(&self, node: u32) -> Range<u32> {
        let (start, end) = self.children[node as usize];
        start..end
    }

    /// What a node stands for.
    pub fn place(&self, node: u32) -> &Place<'p> {
        &self.places[self.nodes[node as usize].place as usize]
    }
}

/// A distinct stack and the sum of its samples.
type Weighted = (Option<StackId>, i64);

/// The distinct stacks with a value, per group of samples, by label. There is at most one group, without a label, if
/// roots are stacks.
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
    groups.sort_unstable();
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

/// Stands for no stack.
const NONE: u32 = u32::MAX;

struct Builder<'a, 'p> {
    profile: &'p Profile,
    options: &'a TreeOptions,
    places: Places<'p>,
    nodes: Vec<Node>,
    children: Vec<(u32, u32)>,
    /// The least absolute value of an inverted node that is expanded.
    least: f64,
    below: Below,
    above: Above,
}

/// The stacks of one group with links from callers to callees.
#[derive(Default)]
struct Below {
    /// Per stack, what ends there.
    own: Vec<i64>,
    /// Per stack, whether something ends there or deeper.
    used: Vec<bool>,
    first_child: Vec<u32>,
    next_sibling: Vec<u32>,
}

/// All stacks with links from callees to callers.
#[derive(Default)]
struct Above {
    /// Per stack, the next one towards the root that is another node: the parent, but for [`MergeBy::Module`].
    callers: Vec<u32>,
    /// Per stack, how many frames it has.
    lengths: Vec<u32>,
}

impl<'a, 'p> Builder<'a, 'p> {
    fn new(profile: &'p Profile, options: &'a TreeOptions, base: i64) -> Self {
        let mut builder = Self {
            profile,
            options,
            places: Places::new(profile, options.merge_by).sorted(),
            nodes: Vec::new(),
            children: Vec::new(),
            least: options.min_share * base as f64,
            below: Below::default(),
            above: Above::default(),
        };
        builder.places.places.push(Place::group("all"));
        builder.add_node(None, builder.places.places.len() as u32 - 1, false);
        let stacks = profile.stacks.len();
        match options.direction {
            Direction::FromRoot => {
                builder.below = Below {
                    own: vec![0; stacks],
                    used: vec![false; stacks],
                    first_child: vec![NONE; stacks],
                    next_sibling: vec![NONE; stacks],
                };
            }
            Direction::FromLeaf => builder.link_callers(),
        }
        builder
    }

    /// Adds a node. All children of a node are added before any other node.
    fn add_node(&mut self, parent: Option<u32>, place: u32, inlined: bool) -> u32 {
        let node = self.nodes.len() as u32;
        let depth = parent.map_or(0, |parent| self.nodes[parent as usize].depth + 1);
        let (self_value, total_value, cut) = (0, 0, Cut::default());
        self.nodes.push(Node { parent, place, depth, self_value, total_value, cut, inlined });
        self.children.push((node, node));
        if let Some(parent) = parent {
            let range = &mut self.children[parent as usize];
            *range = (if range.0 == range.1 { node } else { range.0 }, node + 1);
        }
        node
    }

    /// Adds the nodes of processes or threads.
    fn add_groups(&mut self, labels: &[&String]) -> Vec<u32> {
        let add = |label: &&String| {
            self.places.places.push(Place::group((*label).clone()));
            self.add_node(Some(0), self.places.places.len() as u32 - 1, false)
        };
        labels.iter().map(add).collect()
    }

    fn place_of(&self, stack: StackId) -> u32 {
        self.places.of(self.profile.stacks.get(stack).frame)
    }

    fn is_inlined(&self, stack: StackId) -> bool {
        self.profile.frames.get(self.profile.stacks.get(stack).frame).inline_depth > 0
    }

    fn add_from_root(&mut self, root: u32, stacks: &[Weighted]) {
        let (used, first_root) = self.link_callees(root, stacks);
        let mut open = vec![(root, self.siblings(first_root))];
        while let Some((node, callees)) = open.pop() {
            self.expand_callees(node, callees, &mut open);
        }
        for stack in used {
            let index = stack.index();
            self.below.used[index] = false;
            self.below.own[index] = 0;
            self.below.first_child[index] = NONE;
        }
    }

    /// Links the stacks that have a value at or below them. Returns them, and the first of those without a parent.
    fn link_callees(&mut self, root: u32, stacks: &[Weighted]) -> (Vec<StackId>, u32) {
        let mut used = Vec::new();
        let mut first_root = NONE;
        for (leaf, value) in stacks {
            match leaf {
                Some(leaf) => self.below.own[leaf.index()] += value,
                None => self.nodes[root as usize].self_value += value,
            }
            let mut next = *leaf;
            while let Some(stack) = next.filter(|stack| !self.below.used[stack.index()]) {
                self.below.used[stack.index()] = true;
                used.push(stack);
                next = self.profile.stacks.get(stack).parent;
                let head = match next {
                    Some(parent) => &mut self.below.first_child[parent.index()],
                    None => &mut first_root,
                };
                self.below.next_sibling[stack.index()] = *head;
                *head = stack.index() as u32;
            }
        }
        (used, first_root)
    }

    /// A stack and its next siblings, with their places.
    fn siblings(&self, first: u32) -> Vec<(u32, StackId)> {
        let mut siblings = Vec::new();
        self.add_siblings(first, &mut siblings);
        siblings
    }

    fn add_siblings(&self, first: u32, siblings: &mut Vec<(u32, StackId)>) {
        let mut next = first;
        while next != NONE {
            let stack = StackId::from_index(next as usize);
            siblings.push((self.place_of(stack), stack));
            next = self.below.next_sibling[next as usize];
        }
    }

    /// Gives a node its children, made of these stacks, and puts them with their callees into `open`.
    fn expand_callees(&mut self, node: u32, mut stacks: Vec<(u32, StackId)>, open: &mut Open<(u32, StackId)>) {
        if self.nodes[node as usize].depth >= self.options.max_depth {
            self.nodes[node as usize].cut = self.everything_in(stacks);
            return;
        }
        stacks.sort_unstable();
        for same_place in stacks.chunk_by(|a, b| a.0 == b.0) {
            let place = same_place[0].0;
            let mut inlined = true;
            let mut self_value = 0;
            let mut callees = Vec::new();
            let mut same_node: Vec<StackId> = same_place.iter().map(|(_, stack)| *stack).collect();
            while let Some(stack) = same_node.pop() {
                inlined &= self.is_inlined(stack);
                self_value += self.below.own[stack.index()];
                self.add_siblings(self.below.first_child[stack.index()], &mut callees);
                if self.options.merge_by == MergeBy::Module {
                    same_node.extend(callees.extract_if(.., |callee| callee.0 == place).map(|(_, stack)| stack));
                }
            }
            let child = self.add_node(Some(node), place, inlined);
            self.nodes[child as usize].self_value = self_value;
            if !callees.is_empty() {
                open.push((child, callees));
            }
        }
    }

    /// The values of stacks and of all below them, and how many levels that is.
    fn everything_in(&self, stacks: Vec<(u32, StackId)>) -> Cut {
        let mut cut = Cut::default();
        let mut open: Vec<(u32, StackId)> = stacks.into_iter().map(|(_, stack)| (1, stack)).collect();
        while let Some((level, stack)) = open.pop() {
            cut = Cut { value: cut.value + self.below.own[stack.index()], levels: cut.levels.max(level) };
            let mut next = self.below.first_child[stack.index()];
            while next != NONE {
                open.push((level + 1, StackId::from_index(next as usize)));
                next = self.below.next_sibling[next as usize];
            }
        }
        cut
    }

    fn link_callers(&mut self) {
        for (id, stack) in self.profile.stacks.iter() {
            let one_node = |parent: &StackId| {
                self.options.merge_by == MergeBy::Module && self.place_of(*parent) == self.place_of(id)
            };
            let caller = match stack.parent {
                Some(parent) if one_node(&parent) => self.above.callers[parent.index()],
                Some(parent) => parent.index() as u32,
                None => NONE,
            };
            let length = stack.parent.map_or(0, |parent| self.above.lengths[parent.index()]) + 1;
            self.above.lengths.push(length);
            self.above.callers.push(caller);
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
            self.expand_callers(node, entries, &mut open);
        }
    }

    fn entry(&self, stack: StackId, value: i64) -> Entry {
        Entry { place: self.place_of(stack), stack, value }
    }

    /// Gives a node its children, made of these stacks, and puts them with their callers into `open`.
    fn expand_callers(&mut self, node: u32, mut entries: Vec<Entry>, open: &mut Open<Entry>) {
        let size: f64 = entries.iter().map(|entry| entry.value.unsigned_abs() as f64).sum();
        let depth = self.nodes[node as usize].depth;
        if depth > 0 && (depth >= self.options.max_depth || size < self.least) {
            let value = entries.iter().map(|entry| entry.value).sum();
            let levels = entries.iter().map(|entry| self.above.lengths[entry.stack.index()]).max().unwrap_or(0);
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
                inlined &= self.is_inlined(stack);
                match self.above.callers[stack.index()] {
                    NONE => ended += value,
                    caller => further.push(self.entry(StackId::from_index(caller as usize), value)),
                }
            }
            let child = self.add_node(Some(node), same_place[0].place, inlined);
            self.nodes[child as usize].self_value = ended;
            if !further.is_empty() {
                open.push((child, further));
            }
        }
    }

    fn finish(mut self, value_type: &'p ValueType, base: i64) -> CallTree<'p> {
        for index in (0..self.nodes.len()).rev() {
            let node = &mut self.nodes[index];
            node.total_value += node.self_value + node.cut.value;
            let (parent, total) = (node.parent, node.total_value);
            if let Some(parent) = parent {
                self.nodes[parent as usize].total_value += total;
            }
        }
        CallTree { value_type, base, nodes: self.nodes, places: self.places.places, children: self.children }
    }
}

/// Nodes without children yet, with the stacks to make them of.
type Open<T> = Vec<(u32, Vec<T>)>;

/// A stack that goes on from a node of an inverted tree, and where.
struct Entry {
    place: u32,
    stack: StackId,
    value: i64,
}
