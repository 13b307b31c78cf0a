//! Writes folded stacks.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::io::{self, Write};
use std::sync::mpsc;

use burnmark_model::{FrameId, Id, ModuleKind, Profile, Sample, StringId, ThreadId};

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
    let mut leaves = (ROOT + 1..id(tree.nodes.len())).filter(|node| tree.values(*node).written);
    let disguise =
        columns.len() == 1 && !tree.values(ROOT).written && leaves.all(|node| numbered(tree.nodes[node as usize].name));
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

impl Values {
    fn add(&mut self, other: &Self) {
        // Absolute values of a column sum to at most i64::MAX.
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, value)| *sum += value);
        self.written |= other.written;
    }
}

/// Each number is [`ROOT`], which is nobody's child, where there is none.
#[derive(Debug, Clone, Copy, Default)]
struct Node {
    name: u32,
    /// The child that came last.
    child: u32,
    /// The parent's child that came before.
    sibling: u32,
    /// Index of its values.
    values: u32,
}

/// The profile's stacks below the root of each thread, with names for frames. Siblings may have the same name: they are
/// brought together when they are written, where siblings are sorted anyway.
struct Tree<'a> {
    /// Names as they are written. Some may be the same.
    names: Vec<Cow<'a, str>>,
    /// The first one is the empty stack; callers come before callees.
    nodes: Vec<Node>,
    /// The first ones are nobody's.
    values: Vec<Values>,
}

fn id(index: usize) -> u32 {
    u32::try_from(index).expect("a profile has fewer than 2^32 stacks")
}

impl<'a> Tree<'a> {
    fn of(profile: &'a Profile, columns: &[usize]) -> Self {
        let mut nodes = Vec::with_capacity(profile.stacks.len() + 1);
        nodes.push(Node::default());
        let mut tree = Self { names: Vec::new(), nodes, values: vec![Values::default()] };
        let mut names = Names::of(profile);
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
                let name = names.of_string(&mut tree.names, StringId::from_index(root as usize - 1));
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
                    let name = names.of_frame(&mut tree.names, profile.stacks.get(stack).frame);
                    node = tree.child(node, name);
                    known[stack.index()] = (root, node);
                }
                tree.add(profile, columns, *sample as usize, node, keep_zeros);
            }
        }
        tree
    }

    fn child(&mut self, parent: u32, name: u32) -> u32 {
        let node = id(self.nodes.len());
        let sibling = std::mem::replace(&mut self.nodes[parent as usize].child, node);
        self.nodes.push(Node { name, sibling, ..Node::default() });
        node
    }

    fn children(&self, node: u32) -> impl Iterator<Item = u32> {
        let after = |node: u32| Some(node).filter(|node| *node != ROOT);
        std::iter::successors(after(self.nodes[node as usize].child), move |node| {
            after(self.nodes[*node as usize].sibling)
        })
    }

    fn values(&self, node: u32) -> Values {
        self.values[self.nodes[node as usize].values as usize]
    }

    fn add(&mut self, profile: &Profile, columns: &[usize], sample: usize, node: u32, keep_zeros: bool) {
        let place = &mut self.nodes[node as usize].values;
        if *place == 0 {
            *place = id(self.values.len());
            self.values.push(Values::default());
        }
        let mut values = Values { written: keep_zeros, ..Values::default() };
        for (sum, column) in values.sums.iter_mut().zip(columns) {
            *sum = profile.samples.values(*column)[sample];
            values.written |= *sum != 0;
        }
        self.values[*place as usize].add(&values);
    }
}

/// Numbers of names that have one already.
struct Names<'a> {
    profile: &'a Profile,
    annotate: bool,
    frames: Vec<Option<u32>>,
    /// By the string that they are made of, if by no more.
    strings: Vec<Option<u32>>,
}

impl<'a> Names<'a> {
    fn of(profile: &'a Profile) -> Self {
        let annotate = profile.meta.other.contains_key(ANNOTATED);
        let (frames, strings) = (vec![None; profile.frames.len()], vec![None; profile.strings.len()]);
        Self { profile, annotate, frames, strings }
    }

    fn of_string(&mut self, names: &mut Vec<Cow<'a, str>>, string: StringId) -> u32 {
        *self.strings[string.index()].get_or_insert_with(|| {
            names.push(clean(self.profile.strings.get(string).into()));
            id(names.len() - 1)
        })
    }

    fn of_frame(&mut self, names: &mut Vec<Cow<'a, str>>, frame: FrameId) -> u32 {
        if let Some(known) = self.frames[frame.index()] {
            return known;
        }
        let name = match self.profile.frames.get(frame).function {
            Some(function) if !self.annotate => self.of_string(names, self.profile.functions.get(function).name),
            _ => {
                names.push(clean(annotated(self.profile, frame, self.annotate)));
                id(names.len() - 1)
            }
        };
        self.frames[frame.index()] = Some(name);
        name
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
fn annotated(profile: &Profile, frame: FrameId, annotate: bool) -> Cow<'_, str> {
    let name = profile.frame_name(frame);
    let frame = profile.frames.get(frame);
    let module = frame.module.map(|module| profile.modules.get(module));
    let suffix = match module {
        _ if !annotate => "",
        _ if frame.inline_depth > 0 => INLINED,
        Some(module) if module.kind != ModuleKind::User => {
            let path = profile.strings.get(module.path);
            let exact = SUFFIXES.iter().find(|(_, known, _)| *known == path);
            exact.or_else(|| SUFFIXES.iter().find(|(.., kind)| *kind == module.kind)).map_or("", |(suffix, ..)| suffix)
        }
        _ => "",
    };
    if suffix.is_empty() { name } else { name + suffix }
}

/// A name as folded text can hold it.
fn clean(name: Cow<'_, str>) -> Cow<'_, str> {
    const BYTE_ORDER_MARK: char = '\u{feff}';
    if name.is_empty() {
        return "[unknown]".into();
    }
    if name.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b';') {
        return name;
    }
    let mut clean = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            ';' => clean.push(':'),
            letter if letter.is_control() || letter == BYTE_ORDER_MARK => clean.extend(letter.escape_default()),
            letter => clean.push(letter),
        }
    }
    clean.into()
}

struct Lines<'a> {
    tree: &'a Tree<'a>,
    profile: &'a Profile,
    columns: &'a [usize],
    disguise: bool,
    /// The stack of the current node.
    text: String,
}

impl Lines<'_> {
    /// Walks the tree from the root, parents first.
    fn write(&mut self, out: &mut dyn Write) -> Result<(), Error> {
        let names = &self.tree.names;
        let name_of = |node: &u32| self.tree.nodes[*node as usize].name;
        let order = |a: &u32, b: &u32| match (name_of(a), name_of(b)) {
            (a, b) if a == b => Ordering::Equal,
            (a, b) => names[a as usize].cmp(&names[b as usize]),
        };
        // Groups of siblings of one name to visit, the next one last: where their nodes begin in `members`, and how much
        // of the text is their parent's.
        let mut pending = vec![(0, 0)];
        let mut members = vec![ROOT];
        let mut children = Vec::new();
        while let Some((first, before)) = pending.pop() {
            let mut values = Values::default();
            self.text.truncate(before);
            if before > 0 {
                self.text.push(';');
            }
            if members[first] != ROOT {
                self.text.push_str(&names[name_of(&members[first]) as usize]);
            }
            for node in members.drain(first..) {
                values.add(&self.tree.values(node));
                children.extend(self.tree.children(node));
            }
            children.sort_unstable_by(|a, b| order(b, a));
            for group in children.chunk_by(|a, b| order(a, b).is_eq()) {
                pending.push((members.len(), self.text.len()));
                members.extend(group);
            }
            children.clear();
            self.line(values, out)?;
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
