//! From the workers' trees to one profile.

use std::borrow::Cow;
use std::cmp::Reverse;

use burnmark_model::{
    Frame, FrameId, Function, Id, Module, ModuleId, ModuleKind, Parsed, Position, Profile, Sample, StackId, ValueType,
    Warning,
};

use super::line::{MILLIONTHS, trailing_count};
use super::tree::{End, ROOT, Tree};
use super::{ANNOTATED, MAX_COMMENTS, Oddity, Part};
use crate::{Error, Format};

/// What a name ends in, and the module it stands for. `_[i]` is not here: it has its caller's module.
pub(super) const SUFFIXES: &[(&str, &str, ModuleKind)] = &[
    ("_[k]", "[kernel]", ModuleKind::Kernel),
    ("_[j]", "[jit]", ModuleKind::Jit),
    ("_[0]", "[interpreted]", ModuleKind::Jit),
    ("_[1]", "[c1]", ModuleKind::Jit),
];

/// The suffix of inlined frames.
pub(super) const INLINED: &str = "_[i]";

/// Puts the workers' stacks together in order of their first lines: the order and number of workers leaves no trace.
pub(super) fn build(parts: &[Part]) -> Result<Parsed, Error> {
    let mut ends: Vec<(usize, End)> = Vec::new();
    for (worker, part) in parts.iter().enumerate() {
        ends.extend(part.tree.ends().iter().map(|end| (worker, *end)));
    }
    ends.sort_unstable_by_key(|(_, end)| end.first);
    let lines = parts.iter().map(|part| part.tree.lines).sum::<u64>();
    let two_counts = parts.iter().map(|part| part.tree.two_counts).sum::<u64>();
    if lines == 0 {
        return Err(Error::malformed(Format::Folded, None, "no line has a stack and a count"));
    }
    let differential = two_counts == lines;
    let mut decimals = parts.iter().map(|part| part.decimals).max().unwrap_or(0);
    let mut sums = Sums::default();
    let mut target = Target::new(if differential { &["before", "after"] } else { &["samples"] });
    let mut sources: Vec<Source> = parts.iter().map(|part| Source::new(&part.tree)).collect();
    for (worker, end) in &ends {
        let source = &mut sources[*worker];
        if differential {
            let (stack, before, more_decimals) = source.differential_stack(&mut target, *end);
            decimals = decimals.max(more_decimals);
            sums.add(stack, [before, end.millionths]);
        } else {
            let stack = source.stack(&mut target, end.node);
            sums.add(stack, [end.millionths, 0]);
        }
    }
    let mut profile = target.profile;
    let largest = parts.iter().map(|part| (part.largest.0, Reverse(part.largest.1))).max();
    let largest = Position::Line(largest.map_or(0, |(_, Reverse(line))| line));
    sums.into_samples(&mut profile, decimals).map_err(|error| error.with_largest(largest))?;
    if differential {
        profile.default_value = 1;
    }
    add_comments(&mut profile, parts);
    Ok(Parsed { profile, warnings: warnings(parts, lines, two_counts) })
}

/// The profile that is being built.
struct Target {
    profile: Profile,
    /// The modules of [`SUFFIXES`], made when first met.
    modules: [Option<ModuleId>; SUFFIXES.len()],
}

/// A name without its suffix.
#[derive(Clone, Copy)]
struct Named {
    frame: FrameId,
    inlined: bool,
}

impl Target {
    fn new(value_types: &[&str]) -> Self {
        let value_types = value_types.iter().map(|name| ValueType::new(*name, "count")).collect();
        Self { profile: Profile::new(value_types), modules: [None; SUFFIXES.len()] }
    }

    fn named(&mut self, name: &[u8]) -> Named {
        let name = String::from_utf8_lossy(name);
        let mut module = None;
        let mut inlined = false;
        let mut plain = &*name;
        if let Some(rest) = name.strip_suffix(INLINED) {
            (plain, inlined) = (rest, true);
        } else if name.ends_with(']') {
            for (index, (suffix, ..)) in SUFFIXES.iter().enumerate() {
                if let Some(rest) = name.strip_suffix(suffix) {
                    (plain, module) = (rest, Some(self.module(index)));
                }
            }
        }
        if plain.len() < name.len() {
            self.profile.meta.other.entry(ANNOTATED.into()).or_insert_with(|| "true".into());
        }
        let function = match plain {
            "" | "[unknown]" => None,
            plain => Some(Function::named(self.profile.strings.intern(plain))),
        };
        let function = function.map(|function| self.profile.functions.intern(function));
        let frame = Frame { function, module, address: None, line: 0, column: 0, inline_depth: 0 };
        Named { frame: self.profile.frames.intern(frame), inlined }
    }

    fn module(&mut self, index: usize) -> ModuleId {
        let (_, path, kind) = SUFFIXES[index];
        let profile = &mut self.profile;
        *self.modules[index].get_or_insert_with(|| {
            let path = profile.strings.intern(path);
            profile.modules.intern(Module { kind, ..Module::at(path) })
        })
    }

    fn push(&mut self, parent: Option<StackId>, named: Named) -> StackId {
        let profile = &mut self.profile;
        let frame = if named.inlined {
            let caller = parent.map(|parent| *profile.frames.get(profile.stacks.get(parent).frame));
            let inlined = Frame {
                module: caller.and_then(|caller| caller.module),
                inline_depth: caller.map_or(1, |caller| caller.inline_depth.saturating_add(1)),
                ..*profile.frames.get(named.frame)
            };
            profile.frames.intern(inlined)
        } else {
            named.frame
        };
        profile.push_frame(parent, frame)
    }
}

/// A worker's tree, and what of it the target has.
struct Source<'a> {
    tree: &'a Tree,
    names: Vec<Option<Named>>,
    stacks: Vec<Option<StackId>>,
    pending: Vec<u32>,
}

impl<'a> Source<'a> {
    fn new(tree: &'a Tree) -> Self {
        Self { tree, names: vec![None; tree.names()], stacks: vec![None; tree.len()], pending: Vec::new() }
    }

    /// The stack of a node in the target.
    fn stack(&mut self, target: &mut Target, node: u32) -> Option<StackId> {
        let mut next = node;
        while next != ROOT && self.stacks[next as usize].is_none() {
            self.pending.push(next);
            (next, _) = self.tree.node(next);
        }
        let mut parent = self.stacks[next as usize];
        while let Some(node) = self.pending.pop() {
            let (_, name) = self.tree.node(node);
            let tree = self.tree;
            let named = *self.names[name as usize].get_or_insert_with(|| target.named(tree.name(name)));
            parent = Some(target.push(parent, named));
            self.stacks[node as usize] = parent;
        }
        parent
    }

    /// The stack of a node whose leaf's name ends in the first of two counts; that count's sum, and its decimals.
    fn differential_stack(&mut self, target: &mut Target, end: End) -> (Option<StackId>, i128, u32) {
        if end.node == ROOT {
            return (None, 0, 0);
        }
        let (parent, name) = self.tree.node(end.node);
        let parent = self.stack(target, parent);
        let Some((name, before)) = trailing_count(self.tree.name(name)) else {
            return (parent, 0, 0);
        };
        let stack = match name {
            // "a; 1 2": as with one count, a `;` at the end is no frame.
            [] => parent,
            name => {
                let named = target.named(name);
                Some(target.push(parent, named))
            }
        };
        (stack, before.millionths * i128::from(end.lines), before.decimals)
    }
}

/// The counts of each distinct stack, in order of first appearance.
#[derive(Default)]
struct Sums {
    list: Vec<(Option<StackId>, [i128; 2])>,
    /// For each stack its index in `list` plus 1, or 0; the empty stack is the first.
    index: Vec<u32>,
}

impl Sums {
    fn add(&mut self, stack: Option<StackId>, counts: [i128; 2]) {
        let slot = stack.map_or(0, |stack| stack.index() + 1);
        if self.index.len() <= slot {
            self.index.resize(slot + 1, 0);
        }
        if self.index[slot] == 0 {
            self.list.push((stack, [0; 2]));
            self.index[slot] = u32::try_from(self.list.len()).expect("a profile has fewer than 2^32 stacks");
        }
        let (_, sums) = &mut self.list[self.index[slot] as usize - 1];
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }

    fn into_samples(self, profile: &mut Profile, decimals: u32) -> Result<(), Error> {
        let denominator = 10u32.pow(decimals);
        for value_type in &mut profile.value_types {
            value_type.denominator = denominator;
        }
        let columns = profile.value_types.len();
        for (stack, sums) in self.list {
            let mut values = [0; 2];
            for (column, (value, sum)) in values.iter_mut().zip(sums).enumerate().take(columns) {
                let overflow = burnmark_model::ValueOverflow { column };
                *value = i64::try_from(sum * i128::from(denominator) / MILLIONTHS)
                    .map_err(|_| Error::overflow(&profile.value_types, overflow))?;
            }
            profile
                .samples
                .push(Sample { stack, ..Sample::default() }, &values[..columns])
                .map_err(|overflow| Error::overflow(&profile.value_types, overflow))?;
        }
        Ok(())
    }
}

/// Keeps comments such as Austin's `# mode: wall`.
fn add_comments(profile: &mut Profile, parts: &[Part]) {
    let mut comments: Vec<&(u64, Vec<u8>)> = parts.iter().flat_map(|part| &part.comments).collect();
    comments.sort_unstable();
    for (_, text) in comments.into_iter().take(MAX_COMMENTS) {
        let text: Cow<str> = String::from_utf8_lossy(text);
        if let Some((key, value)) = text.split_once(": ")
            && !key.contains(char::is_whitespace)
            && key != ANNOTATED
        {
            profile.meta.other.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
}

fn warnings(parts: &[Part], lines: u64, two_counts: u64) -> Vec<Warning> {
    let total = |of: fn(&Part) -> Oddity| {
        let mut sum = Oddity::default();
        parts.iter().for_each(|part| sum.add(of(part)));
        sum
    };
    let oddities = [
        (total(|part| part.no_count), "a line does not end in a count and was left out"),
        (total(|part| part.negative), "a count is negative; it was kept, and lowers the sums it is part of"),
        (total(|part| part.rounded), "a count has more than six decimals and was rounded"),
        (total(|part| part.not_utf8), "a line is no valid UTF-8; what is wrong in it was replaced by \u{fffd}"),
    ];
    let met = oddities.iter().filter(|(oddity, _)| oddity.count > 0);
    let mut warnings: Vec<Warning> = met
        .map(|(oddity, message)| Warning {
            message: (*message).to_owned(),
            position: Some(Position::Line(oddity.first)),
            count: oddity.count,
        })
        .collect();
    warnings.sort_by_key(|warning| warning.position);
    if two_counts < lines && two_counts > lines / 2 {
        let message = format!(
            "{two_counts} of {lines} lines end in two numbers: if this is a differential file, correct the others; \
             the first number was read as part of the name"
        );
        warnings.push(Warning { message, position: None, count: 1 });
    }
    warnings
}
