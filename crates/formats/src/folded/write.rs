//! Writes folded stacks.

use std::hash::BuildHasher;
use std::io::{self, Write};
use std::sync::mpsc;

use burnmark_model::{FrameId, Id, ModuleKind, Profile, Sample, StringId, ThreadId};
use foldhash::fast::RandomState;
use indexmap::IndexSet;

use super::ANNOTATED;
use super::build::{INLINED, SUFFIXES};
use super::line::trailing_count;
use crate::{Error, WriteOptions};

const ROOT: u32 = 0;

/// Writes one line per distinct stack, where frames count as equal that have the same name.
///
/// - Where samples have threads, the first frame is the thread's name, else its process's.
/// - Lines are in the order of the tree, children sorted by name: a parent's line comes before its children's, and the
///   children of one parent stay together, which lines sorted as text do not.
/// - `;` in a name becomes `:`, a control character its escape (`\n`, `\u{1b}`), and an empty name `[unknown]`.
/// - Stacks whose values are all 0 are left out if other value types, which are not written, have them.
/// - A differential profile (value types `before` and `after`) gets two counts, unless a value type is chosen.
pub(crate) fn write(profile: &Profile, options: &WriteOptions, out: &mut dyn Write) -> Result<(), Error> {
    let columns = columns(profile, options)?;
    let tree = Tree::of(profile, &columns);
    // Should every line look as if it had one count more, readers would take it for that.
    let numbered = |name: u32| trailing_count(tree.names[name as usize].as_bytes()).is_some();
    let (root, nodes) = tree.nodes.split_first().expect("there is always the root");
    let mut leaves = nodes.iter().filter(|node| node.values.written);
    let disguise = columns.len() == 1 && !root.values.written && leaves.all(|node| numbered(node.name));
    let mut lines = Lines { tree: &tree, profile, columns: &columns, disguise, text: String::new() };
    if tree.nodes.len() < NODES_FOR_A_THREAD {
        return lines.write(out);
    }
    write_chunks(out, |chunks| {
        lines.write(chunks)?;
        Ok(chunks.flush()?)
    })
}

/// From this many nodes on, lines are put together on a thread of their own while others are written: it is about as
/// much work for us as it is for the operating system.
const NODES_FOR_A_THREAD: usize = 20_000;

/// Writes to `out` what `produce` writes to its [`Chunks`] on another thread.
fn write_chunks(
    out: &mut dyn Write,
    produce: impl FnOnce(&mut Chunks) -> Result<(), Error> + Send,
) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let (full, next) = mpsc::sync_channel::<Vec<u8>>(2);
        let (used, empty) = mpsc::channel();
        let producer = scope.spawn(move || produce(&mut Chunks { buffer: Vec::new(), full, empty }));
        let mut written = Ok(());
        for chunk in &next {
            written = out.write_all(&chunk);
            if written.is_err() {
                break;
            }
            // The producer may be done.
            let _ = used.send(chunk);
        }
        // Now the producer's next chunk fails, if it has any left.
        drop(next);
        let produced = producer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written?;
        produced
    })
}

/// Collects what is written to it, and hands it on in large chunks.
struct Chunks {
    buffer: Vec<u8>,
    full: mpsc::SyncSender<Vec<u8>>,
    /// Chunks that can be used again.
    empty: mpsc::Receiver<Vec<u8>>,
}

impl Chunks {
    const SIZE: usize = 256 << 10;
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() >= Self::SIZE {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut next = self.empty.try_recv().unwrap_or_default();
        next.clear();
        let full = std::mem::replace(&mut self.buffer, next);
        self.full.send(full).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// The value types to write: one, or the two of a differential profile.
fn columns(profile: &Profile, options: &WriteOptions) -> Result<Vec<usize>, Error> {
    let count = profile.value_types.len();
    let index = match options.value {
        Some(index) => index,
        None if matches!(&profile.value_types[..], [a, b] if a.name == "before" && b.name == "after") => {
            return Ok(vec![0, 1]);
        }
        None => profile.default_value,
    };
    if index < count { Ok(vec![index]) } else { Err(Error::NoSuchValue { index, count }) }
}

#[derive(Debug, Clone, Copy, Default)]
struct Values {
    sums: [i64; 2],
    /// Whether the node gets a line.
    written: bool,
}

struct Node {
    parent: u32,
    name: u32,
    values: Values,
}

/// A prefix tree of names.
struct Tree {
    /// Names as they are written.
    names: IndexSet<String, RandomState>,
    /// The first one is the empty stack; callers come before callees.
    nodes: Vec<Node>,
    /// Half of the hash of parent and name, and the node; [`ROOT`] where there is none. Millions of nodes are looked up
    /// here, which is why this is not a map that holds all of them.
    places: Vec<(u32, u32)>,
    hasher: RandomState,
}

fn id(index: usize) -> u32 {
    u32::try_from(index).expect("a profile has fewer than 2^32 stacks")
}

impl Tree {
    fn of(profile: &Profile, columns: &[usize]) -> Self {
        let annotate = profile.meta.other.contains_key(ANNOTATED);
        let mut nodes = Vec::with_capacity(profile.stacks.len() + 1);
        nodes.push(Node { parent: ROOT, name: 0, values: Values::default() });
        let places = vec![(0, ROOT); (2 * profile.stacks.len()).next_power_of_two().max(64)];
        let mut tree = Self { names: IndexSet::default(), nodes, places, hasher: RandomState::default() };
        let mut names: Vec<Option<u32>> = vec![None; profile.frames.len()];
        // Samples of one root after the other: then a stack's node is that of the last root it was met under, or none.
        let roots: Vec<u32> = profile.threads.iter().map(|(thread, _)| comm(profile, thread)).map(root_key).collect();
        let root_of = |sample: Sample| sample.thread.map_or(NO_ROOT, |thread| roots[thread.index()]);
        let keys = || profile.samples.iter().map(root_of);
        let (samples, starts) = counting_sort(0..id(profile.samples.len()), keys, profile.strings.len() + 1);
        let mut known: Vec<(u32, u32)> = vec![(u32::MAX, ROOT); profile.stacks.len()];
        let mut pending = Vec::new();
        let keep_zeros = columns.len() == profile.value_types.len();
        for root in (0..id(starts.len() - 1)).filter(|root| starts[*root as usize] < starts[*root as usize + 1]) {
            let mut top = ROOT;
            if root != NO_ROOT {
                let name = tree.name(profile.strings.get(StringId::from_index(root as usize - 1)));
                top = tree.child(ROOT, name);
            }
            for sample in &samples[starts[root as usize] as usize..starts[root as usize + 1] as usize] {
                let mut node = top;
                let mut next = profile.samples.stacks()[*sample as usize];
                while let Some(stack) = next {
                    let (known_root, known_node) = known[stack.index()];
                    if known_root == root {
                        node = known_node;
                        break;
                    }
                    pending.push(stack);
                    next = profile.stacks.get(stack).parent;
                }
                while let Some(stack) = pending.pop() {
                    let frame = profile.stacks.get(stack).frame;
                    let known_name = &mut names[frame.index()];
                    let name = *known_name.get_or_insert_with(|| tree.name(&annotated(profile, frame, annotate)));
                    node = tree.child(node, name);
                    known[stack.index()] = (root, node);
                }
                tree.add(profile, columns, *sample as usize, node, keep_zeros);
            }
        }
        tree
    }

    fn name(&mut self, name: &str) -> u32 {
        id(self.names.insert_full(clean(name)).0)
    }

    fn child(&mut self, parent: u32, name: u32) -> u32 {
        let hash = self.hash(parent, name);
        let mask = self.places.len() - 1;
        let mut at = hash as usize;
        loop {
            let (tag, node) = self.places[at & mask];
            if node == ROOT {
                break;
            }
            let known = &self.nodes[node as usize];
            if tag == (hash >> 32) as u32 && known.parent == parent && known.name == name {
                return node;
            }
            at += 1;
        }
        let node = id(self.nodes.len());
        self.nodes.push(Node { parent, name, values: Values::default() });
        self.places[at & mask] = ((hash >> 32) as u32, node);
        if self.nodes.len() * 4 > self.places.len() * 3 {
            self.make_room();
        }
        node
    }

    fn hash(&self, parent: u32, name: u32) -> u64 {
        self.hasher.hash_one(u64::from(parent) << 32 | u64::from(name))
    }

    fn make_room(&mut self) {
        self.places = vec![(0, ROOT); self.places.len() * 2];
        let mask = self.places.len() - 1;
        for (number, node) in self.nodes.iter().enumerate().skip(1) {
            let hash = self.hash(node.parent, node.name);
            let mut at = hash as usize;
            while self.places[at & mask].1 != ROOT {
                at += 1;
            }
            self.places[at & mask] = ((hash >> 32) as u32, id(number));
        }
    }

    fn add(&mut self, profile: &Profile, columns: &[usize], sample: usize, node: u32, keep_zeros: bool) {
        let values = &mut self.nodes[node as usize].values;
        for (sum, column) in values.sums.iter_mut().zip(columns) {
            let value = profile.samples.values(*column)[sample];
            // Absolute values of a column sum to at most i64::MAX.
            *sum += value;
            values.written |= value != 0;
        }
        values.written |= keep_zeros;
    }

    /// Child nodes of each node, and where each node's children begin among them.
    fn children(&self) -> (Vec<u32>, Vec<u32>) {
        let parents = || self.nodes[1..].iter().map(|node| node.parent);
        counting_sort(1..id(self.nodes.len()), parents, self.nodes.len())
    }

    /// The place of each name among all, sorted.
    fn ranks(&self) -> Vec<u32> {
        let mut sorted: Vec<u32> = (0..id(self.names.len())).collect();
        sorted.sort_unstable_by_key(|name| &self.names[*name as usize]);
        let mut ranks = vec![0; sorted.len()];
        for (place, name) in sorted.iter().enumerate() {
            ranks[*name as usize] = id(place);
        }
        ranks
    }
}

/// Sorts items by their keys, which are below `count`, keeping the order of equals; also gives where each key's items
/// begin, with the end of the last.
fn counting_sort<K: Iterator<Item = u32>>(
    items: impl Iterator<Item = u32>,
    keys: impl Fn() -> K,
    count: usize,
) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0; count + 1];
    for key in keys() {
        starts[key as usize + 1] += 1;
    }
    for index in 1..starts.len() {
        starts[index] += starts[index - 1];
    }
    let mut sorted = vec![0; starts[count] as usize];
    let mut next = starts.clone();
    for (item, key) in items.zip(keys()) {
        sorted[next[key as usize] as usize] = item;
        next[key as usize] += 1;
    }
    (sorted, starts)
}

/// The root of samples that have no thread with a name.
const NO_ROOT: u32 = 0;

fn root_key(comm: Option<StringId>) -> u32 {
    comm.map_or(NO_ROOT, |name| id(name.index() + 1))
}

/// The name of the thread, else of its process.
fn comm(profile: &Profile, thread: ThreadId) -> Option<StringId> {
    let thread = profile.threads.get(thread);
    thread.name.or_else(|| profile.processes.get(thread.process).name)
}

/// A frame's name, with a suffix for its kind if the profile came with such.
fn annotated(profile: &Profile, frame: FrameId, annotate: bool) -> String {
    let mut name = profile.frame_name(frame).into_owned();
    if !annotate {
        return name;
    }
    let frame = profile.frames.get(frame);
    let module = frame.module.map(|module| profile.modules.get(module));
    if frame.inline_depth > 0 {
        name.push_str(INLINED);
    } else if let Some(module) = module
        && module.kind != ModuleKind::User
    {
        let path = profile.strings.get(module.path);
        let exact = SUFFIXES.iter().find(|(_, known, _)| *known == path);
        let suffix = exact.or_else(|| SUFFIXES.iter().find(|(.., kind)| *kind == module.kind));
        name.push_str(suffix.map_or("", |(suffix, ..)| suffix));
    }
    name
}

/// A name as folded text can hold it.
fn clean(name: &str) -> String {
    const BYTE_ORDER_MARK: char = '\u{feff}';
    if name.is_empty() {
        return "[unknown]".into();
    }
    let mut clean = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            ';' => clean.push(':'),
            letter if letter.is_control() || letter == BYTE_ORDER_MARK => clean.extend(letter.escape_default()),
            letter => clean.push(letter),
        }
    }
    clean
}

struct Lines<'a> {
    tree: &'a Tree,
    profile: &'a Profile,
    columns: &'a [usize],
    disguise: bool,
    /// The stack of the current node.
    text: String,
}

impl Lines<'_> {
    /// Walks the tree from the root, parents first.
    fn write(&mut self, out: &mut dyn Write) -> Result<(), Error> {
        let (children, starts) = self.tree.children();
        let ranks = self.tree.ranks();
        // Nodes to visit, the next one last, with how much of the text is their parent's.
        let mut pending = vec![(ROOT, 0)];
        while let Some((number, before)) = pending.pop() {
            let node = &self.tree.nodes[number as usize];
            self.text.truncate(before);
            if node.parent != ROOT {
                self.text.push(';');
            }
            if number != ROOT {
                self.text.push_str(&self.tree.names[node.name as usize]);
            }
            self.line(node.values, out)?;
            let range = starts[number as usize] as usize..starts[number as usize + 1] as usize;
            let first = pending.len();
            pending.extend(children[range].iter().map(|child| (*child, self.text.len())));
            let rank = |child: u32| ranks[self.tree.nodes[child as usize].name as usize];
            pending[first..].sort_unstable_by_key(|(child, _)| std::cmp::Reverse(rank(*child)));
        }
        Ok(())
    }

    fn line(&self, values: Values, out: &mut dyn Write) -> Result<(), Error> {
        if !values.written {
            return Ok(());
        }
        let stack = self.text.as_bytes();
        // A line that begins so would be read as a comment.
        if stack == b"#" || stack.starts_with(b"# ") {
            out.write_all(b"_")?;
        }
        match self.disguise.then(|| stack.iter().rposition(|byte| *byte == b' ')).flatten() {
            Some(space) => {
                out.write_all(&stack[..space])?;
                out.write_all(b"_")?;
                out.write_all(&stack[space + 1..])?;
            }
            None => out.write_all(stack)?,
        }
        for (column, value) in self.columns.iter().zip(values.sums) {
            let denominator = self.profile.value_types[*column].denominator.max(1);
            write!(out, " {}", Decimal { value, denominator })?;
        }
        out.write_all(b"\n")?;
        Ok(())
    }
}

/// A value with a decimal denominator, without needless zeros.
struct Decimal {
    value: i64,
    denominator: u32,
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let magnitude = self.value.unsigned_abs();
        let denominator = u64::from(self.denominator);
        let sign = if self.value < 0 { "-" } else { "" };
        write!(f, "{sign}{}", magnitude / denominator)?;
        let mut rest = magnitude % denominator;
        if rest > 0 {
            f.write_str(".")?;
        }
        while rest > 0 {
            rest *= 10;
            write!(f, "{}", rest / denominator)?;
            rest %= denominator;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_as_short_as_they_are() {
        let text = |value, denominator| Decimal { value, denominator }.to_string();
        assert_eq!(text(5, 1), "5");
        assert_eq!(text(1250, 100), "12.5");
        assert_eq!(text(-1, 1_000_000), "-0.000001");
        assert_eq!(text(-3_000, 1000), "-3");
        assert_eq!(text(i64::MIN + 1, 10), "-922337203685477580.7");
    }
}
