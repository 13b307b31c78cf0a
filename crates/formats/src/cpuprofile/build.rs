//! The second step: the profile, from nodes and samples.

use std::collections::HashMap;

use burnmark_model::{
    Frame, FrameId, Function, FunctionId, Module, Parsed, Position, Process, Profile, Sample, StackId, StringId,
    Thread, ThreadId, ValueType,
};
use foldhash::fast::RandomState;

use super::parse::{Node, Place, Raw, Tick};
use crate::budget::Budget;
use crate::{Error, Format};

const GC: &str = "(garbage collector)";

/// The frame of a sample whose node is not there.
const UNKNOWN: Frame = Frame { function: None, module: None, address: None, line: 0, column: 0, inline_depth: 0 };

/// Makes the profile.
pub(super) fn build(mut raw: Raw, mut budget: Budget) -> Result<Parsed, Error> {
    link(&mut raw)?;
    check_cycles(&raw)?;
    let times = times(&mut raw)?;
    let bounds = bounds(&raw, times.as_ref().and_then(|times| times.taken.first().copied()));
    let mut meta = std::mem::take(&mut raw.profile.meta);
    meta.duration_ns = duration(bounds, times.as_ref());
    let strings = std::mem::take(&mut raw.profile.strings);
    let has_time = times.is_some() || meta.duration_ns.is_some();
    let mut value_types = vec![ValueType::samples()];
    if has_time {
        value_types.push(ValueType::new("wall", "nanoseconds"));
    }
    let mut builder = Builder::new(raw, Profile { meta, strings, ..Profile::new(value_types) });
    budget.take(48 * builder.raw.nodes.len() as u64, 0)?;
    if builder.raw.samples.is_empty() {
        builder.add_hits()?;
    } else {
        let times = times.unwrap_or_else(|| untimed(bounds, builder.raw.samples.len()));
        builder.add_samples(&times)?;
    }
    builder.profile.default_value = builder.profile.value_types.len() - 1;
    Ok(Parsed { profile: builder.profile, warnings: builder.raw.warnings.into_vec() })
}

/// Makes the profile of a heap profile: a sample per node that allocated.
pub(super) fn build_heap(mut raw: Raw, mut budget: Budget) -> Result<Parsed, Error> {
    let allocated = raw.allocated.take();
    let strings = std::mem::take(&mut raw.profile.strings);
    let meta = std::mem::take(&mut raw.profile.meta);
    let bytes = ValueType::new("inuse_space", "bytes");
    let value_types = match &allocated {
        Some(_) => vec![ValueType::samples(), bytes],
        None => vec![bytes],
    };
    budget.take(48 * raw.nodes.len() as u64, 0)?;
    let mut objects = vec![0_i64; raw.nodes.len()];
    // V8 writes samples of nodes that it has dropped, too.
    let mut dropped = 0;
    for id in allocated.iter().flatten() {
        match raw.ids.get(*id as u64) {
            Some(node) => objects[node as usize] += 1,
            None => dropped += 1,
        }
    }
    let mut builder = Builder::new(raw, Profile { meta, strings, ..Profile::new(value_types) });
    for (index, count) in objects.into_iter().enumerate() {
        let node = &mut builder.raw.nodes[index];
        if node.size < 0 {
            let position = Some(Position::Byte(node.position));
            builder.raw.warnings.add("a node has a size below zero: it counts for nothing", position);
            node.size = 0;
        }
        let size = node.size;
        if size == 0 && count == 0 {
            continue;
        }
        let stack = builder.place(index as u32);
        let values = if allocated.is_some() { vec![count, size] } else { vec![size] };
        let sample = Sample { stack, thread: None, time_ns: None, labels: None };
        let pushed = builder.profile.samples.push(sample, &values);
        pushed.map_err(|overflow| Error::overflow(&builder.profile.value_types, overflow))?;
    }
    if dropped > 0 {
        let pushed = builder.profile.samples.push(Sample::default(), &[dropped, 0]);
        pushed.map_err(|overflow| Error::overflow(&builder.profile.value_types, overflow))?;
    }
    builder.profile.default_value = builder.profile.value_types.len() - 1;
    Ok(Parsed { profile: builder.profile, warnings: builder.raw.warnings.into_vec() })
}

/// Finds every node's parent.
fn link(raw: &mut Raw) -> Result<(), Error> {
    let mut link = |child: u32, parent: u32| {
        let node = &mut raw.nodes[child as usize];
        if *node.parent.get_or_insert(parent) != parent {
            let what = "a node is the child of two others: the first is taken";
            raw.warnings.add(what, Some(Position::Byte(node.position)));
        }
    };
    let mut missing = None;
    for (parent, child) in std::mem::take(&mut raw.children) {
        match raw.ids.get(child as u64) {
            Some(child) => link(child, parent),
            None => missing = missing.or(Some(parent)),
        }
    }
    for (child, parent) in std::mem::take(&mut raw.parents) {
        match raw.ids.get(parent as u64) {
            Some(parent) => link(child, parent),
            None => missing = missing.or(Some(child)),
        }
    }
    if let Some(node) = missing {
        let position = Position::Byte(raw.nodes[node as usize].position);
        raw.warnings.add("a node's child or parent is not there: it is left out", Some(position));
    }
    Ok(())
}

/// No node may be its own ancestor.
fn check_cycles(raw: &Raw) -> Result<(), Error> {
    // Callers nearly always come first.
    let is_above = |(index, node): (usize, &Node)| node.parent.is_none_or(|parent| (parent as usize) < index);
    if raw.nodes.iter().enumerate().all(is_above) {
        return Ok(());
    }
    // The walk in which a node was met first; 0 is none.
    let mut met = vec![0u32; raw.nodes.len()];
    for start in 0..raw.nodes.len() {
        let walk = start as u32 + 1;
        let mut next = Some(start as u32);
        while let Some(index) = next.map(|index| index as usize) {
            if met[index] == walk {
                let position = Position::Byte(raw.nodes[index].position);
                let what =
                    "the nodes are no tree: this one is its own ancestor. The file is damaged, or was written wrongly";
                return Err(Error::malformed(Format::Cpuprofile, position, what));
            }
            if met[index] != 0 {
                break;
            }
            met[index] = walk;
            next = raw.nodes[index].parent;
        }
    }
    Ok(())
}

/// When samples were taken and how long they lasted, in nanoseconds.
struct Times {
    taken: Vec<i64>,
    lengths: Vec<i64>,
}

/// Puts samples in order by time.
fn times(raw: &mut Raw) -> Result<Option<Times>, Error> {
    let position = Position::Byte(raw.samples_position);
    let too_large = || Error::malformed(Format::Cpuprofile, position, "its times do not fit 63 bits of nanoseconds");
    let mut taken = match (raw.timestamps.take(), raw.deltas.take()) {
        (Some(timestamps), _) if !timestamps.is_empty() => timestamps,
        (_, Some(mut deltas)) => {
            let mut time = (raw.start.unwrap_or(0.0) * if raw.is_nested { 1e6 } else { 1.0 }) as i64;
            for delta in &mut deltas {
                time = time.checked_add(*delta).ok_or_else(too_large)?;
                *delta = time;
            }
            deltas
        }
        _ => return Ok(None),
    };
    if raw.samples.is_empty() {
        return Ok(None);
    }
    for time in &mut taken {
        *time = time.checked_mul(1000).ok_or_else(too_large)?;
    }
    // One more time than samples tells when the last one ended.
    let ended = if taken.len() == raw.samples.len() + 1 { taken.pop() } else { None };
    if taken.len() != raw.samples.len() {
        let what = "there are not as many times as samples: those that lack the other are left out";
        raw.warnings.add(what, Some(position));
        taken.truncate(raw.samples.len());
        raw.samples.truncate(taken.len());
    }
    let backwards = taken.windows(2).filter(|pair| pair[1] < pair[0]).count();
    if backwards > 0 {
        let what = "a sample is older than the one before it: samples were put in order by time";
        raw.warnings.add_many(what, Some(position), backwards as u64);
        let mut order: Vec<u32> = (0..taken.len() as u32).collect();
        order.sort_by_key(|index| taken[*index as usize]);
        raw.samples = order.iter().map(|index| raw.samples[*index as usize]).collect();
        taken = order.iter().map(|index| taken[*index as usize]).collect();
    }
    let (_, end) = bounds(raw, taken.first().copied());
    let lengths = lengths(&taken, ended, end);
    Ok(Some(Times { taken, lengths }))
}

/// How long samples last: until the next one, and the last as long as the others on average if its end is not known.
fn lengths(taken: &[i64], ended: Option<i64>, end: Option<i64>) -> Vec<i64> {
    let mut lengths: Vec<i64> = taken.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    let until = |end: Option<i64>, last: i64| end.map_or(0, |end| end.saturating_sub(last).max(0));
    match taken {
        [] => {}
        [.., last] if ended.is_some() => lengths.push(until(ended, *last)),
        [only] => lengths.push(until(end, *only)),
        [first, .., last] => lengths.push(last.saturating_sub(*first) / (taken.len() as i64 - 1)),
    }
    lengths
}

/// Start and end in nanoseconds. Files with a nested tree usually have them in seconds, the others in microseconds.
fn bounds(raw: &Raw, first_ns: Option<i64>) -> (Option<i64>, Option<i64>) {
    let microseconds = match (raw.start, first_ns) {
        (Some(start), Some(first)) => (start * 1e3 - first as f64).abs() <= (start * 1e9 - first as f64).abs(),
        _ => !raw.is_nested,
    };
    let scale = if microseconds { 1e3 } else { 1e9 };
    let nanos = |time: Option<f64>| time.map(|time| (time * scale).round() as i64);
    (nanos(raw.start), nanos(raw.end))
}

/// How long it was recorded for. Whole seconds are too coarse for short profiles: samples tell better then.
fn duration(bounds: (Option<i64>, Option<i64>), times: Option<&Times>) -> Option<i64> {
    let (start, end) = bounds;
    let said = end.zip(start).and_then(|(end, start)| end.checked_sub(start)).filter(|length| *length >= 0);
    let seen = times.and_then(|times| times.taken.last()?.checked_sub(*times.taken.first()?));
    said.filter(|said| seen.is_none_or(|seen| *said >= seen))
}

/// What makes functions the same, but for the column: name, script, line.
type Line = (Option<StringId>, Option<StringId>, i64);

struct Builder {
    raw: Raw,
    profile: Profile,
    /// Lines in the file count from 1.
    from_one: bool,
    functions: HashMap<(Line, i64), FunctionId, RandomState>,
    columns: HashMap<Line, i64, RandomState>,
    /// Frame of each place, the line where it was left out.
    frames: Vec<Option<FrameId>>,
    /// Stack of each node, without the line, too.
    done: Vec<Option<Option<StackId>>>,
    pending: Vec<u32>,
}

impl Builder {
    fn new(raw: Raw, profile: Profile) -> Self {
        let root = raw.nodes.iter().find(|node| node.parent.is_none());
        let root = root.map(|root| &raw.places[root.place as usize]);
        let from_one = root.is_some_and(|root| !root.in_call_frame && root.line >= 0);
        let done = vec![None; raw.nodes.len()];
        let frames = vec![None; raw.places.len()];
        let (functions, columns) = Default::default();
        Self { raw, profile, from_one, functions, columns, frames, done, pending: Vec::new() }
    }

    fn add_samples(&mut self, times: &Times) -> Result<(), Error> {
        let thread = self.thread();
        let gc = self.profile.strings.find(GC);
        // Nodes are there because they were sampled, or what they call was; most have one line.
        let lines = self.raw.ticks.len().min(self.raw.samples.len());
        self.profile.stacks.reserve(self.raw.nodes.len() + lines);
        self.profile.samples.reserve(self.raw.samples.len());
        let mut before = None;
        for (index, id) in std::mem::take(&mut self.raw.samples).into_iter().enumerate() {
            let Some(node) = self.raw.ids.get(id as u64) else {
                self.raw.warnings.add(
                    "a sample names a node that is not there: its stack is not known",
                    Some(Position::Byte(self.raw.samples_position)),
                );
                let frame = self.profile.frames.intern(UNKNOWN);
                before = Some(self.profile.push_frame(None, frame));
                self.push(before, thread, times, index)?;
                continue;
            };
            let stack = if gc.is_some() && self.name(node) == gc && self.is_top(node) {
                self.place(node);
                let frame = self.frame(node);
                Some(self.profile.push_frame(before, frame))
            } else {
                before = self.next_stack(node);
                before
            };
            self.push(stack, thread, times, index)?;
        }
        Ok(())
    }

    fn push(
        &mut self,
        stack: Option<StackId>,
        thread: Option<ThreadId>,
        times: &Times,
        index: usize,
    ) -> Result<(), Error> {
        let values = [1, times.lengths[index]];
        let sample = Sample { stack, thread, time_ns: times.taken.get(index).copied(), labels: None };
        let pushed = self.profile.samples.push(sample, &values[..self.profile.value_types.len()]);
        pushed.map_err(|overflow| Error::overflow(&self.profile.value_types, overflow))
    }

    /// A sample per node and line, for files that say no more.
    fn add_hits(&mut self) -> Result<(), Error> {
        let thread = self.thread();
        let all: i128 = self.raw.nodes.iter().map(|node| i128::from(node.hits.max(0))).sum();
        let duration = i128::from(self.profile.meta.duration_ns.unwrap_or(0));
        // Shares are taken of the running sum, so that they add up to the whole.
        let mut sum = 0i128;
        for index in 0..self.raw.nodes.len() {
            let mut left = self.raw.nodes[index].hits.max(0);
            let ticks = self.raw.ticks[self.raw.nodes[index].ticks.clone()].iter();
            let lines: Vec<_> = ticks.map(|tick| (tick.line, tick.left)).chain([(0, i64::MAX)]).collect();
            for (line, ticks) in lines {
                let hits = ticks.min(left);
                if hits == 0 {
                    continue;
                }
                left -= hits;
                let stack = self.stack_at(index as u32, line);
                let until = |sum: i128| duration * sum / all.max(1);
                let wall = until(sum + i128::from(hits)) - until(sum);
                sum += i128::from(hits);
                let values = [hits, i64::try_from(wall).unwrap_or(i64::MAX)];
                let sample = Sample { stack, thread, time_ns: None, labels: None };
                let pushed = self.profile.samples.push(sample, &values[..self.profile.value_types.len()]);
                pushed.map_err(|overflow| Error::overflow(&self.profile.value_types, overflow))?;
            }
        }
        Ok(())
    }

    fn thread(&mut self) -> Option<ThreadId> {
        let name = self.raw.thread_name.take()?;
        let name = Some(self.profile.strings.intern(&name));
        let process = self.profile.processes.intern(Process { pid: None, name: None });
        Some(self.profile.threads.intern(Thread { process, tid: None, name }))
    }

    fn name(&self, node: u32) -> Option<StringId> {
        self.raw.places[self.raw.nodes[node as usize].place as usize].name
    }

    /// Whether a node is the root or called from it.
    fn is_top(&self, node: u32) -> bool {
        let node = &self.raw.nodes[node as usize];
        node.parent.is_none_or(|parent| self.raw.nodes[parent as usize].parent.is_none())
    }

    /// The stack of a node's next sample, which takes one of the node's lines; none of them once they are used up.
    fn next_stack(&mut self, node: u32) -> Option<StackId> {
        while let Some(index) = self.raw.nodes[node as usize].ticks.clone().next() {
            let tick = &mut self.raw.ticks[index];
            if tick.left > 0 {
                tick.left -= 1;
                let Tick { line, stack, .. } = *tick;
                let stack = stack.or_else(|| self.stack_at(node, line));
                self.raw.ticks[index].stack = stack;
                return stack;
            }
            self.raw.nodes[node as usize].ticks.start += 1;
        }
        self.stack_at(node, 0)
    }

    /// The stack of a node that is at this line of its function.
    fn stack_at(&mut self, node: u32, line: u32) -> Option<StackId> {
        let stack = self.place(node)?;
        if line == 0 {
            return Some(stack);
        }
        let parent = self.profile.stacks.get(stack).parent;
        let frame = self.frame(node);
        let frame = Frame { line, ..*self.profile.frames.get(frame) };
        let frame = self.profile.frames.intern(frame);
        Some(self.profile.push_frame(parent, frame))
    }

    /// The stack of a node. The root has no frame unless it is all there is.
    fn place(&mut self, node: u32) -> Option<StackId> {
        let mut pending = std::mem::take(&mut self.pending);
        let mut next = Some(node);
        let mut stack = None;
        while let Some(index) = next {
            if let Some(done) = self.done[index as usize] {
                stack = done;
                break;
            }
            pending.push(index);
            next = self.raw.nodes[index as usize].parent;
        }
        while let Some(index) = pending.pop() {
            if !self.is_root(index) {
                let frame = self.frame(index);
                stack = Some(self.profile.push_frame(stack, frame));
            }
            self.done[index as usize] = Some(stack);
        }
        self.pending = pending;
        stack
    }

    /// Whether a node is the root that V8 puts above all: it stands for no code.
    fn is_root(&self, node: u32) -> bool {
        let is_first = self.raw.nodes[node as usize].parent.is_none();
        is_first && self.name(node).is_some_and(|name| self.profile.strings.get(name) == "(root)")
    }

    /// The frame of a node, without a line.
    fn frame(&mut self, node: u32) -> FrameId {
        let index = self.raw.nodes[node as usize].place as usize;
        if let Some(frame) = self.frames[index] {
            return frame;
        }
        let Place { name, url, line, column, .. } = self.raw.places[index];
        let url = url.filter(|url| !self.profile.strings.get(*url).is_empty());
        let place = (name, url, line);
        let function = match self.functions.get(&(place, column)) {
            Some(function) => *function,
            None => {
                let function = self.function(place, column);
                self.functions.insert((place, column), function);
                function
            }
        };
        let module = url.map(|url| self.profile.modules.intern(Module::at(url)));
        let frame = self.profile.frames.intern(Frame { module, ..Frame::of(function) });
        self.frames[index] = Some(frame);
        frame
    }

    fn function(&mut self, place: Line, column: i64) -> FunctionId {
        let (name, file, line) = place;
        let name = match name.filter(|name| !self.profile.strings.get(*name).is_empty()) {
            Some(name) => name,
            None => self.profile.strings.intern("(anonymous)"),
        };
        let line = if self.from_one { line } else { line.saturating_add(1) };
        let start_line = if file.is_some() { u32::try_from(line).unwrap_or(0) } else { 0 };
        // Minified scripts have many functions of one name in one line: the column tells them apart.
        let first = *self.columns.entry(place).or_insert(column);
        let system_name = (first != column).then(|| {
            let column = if self.from_one { column } else { column.saturating_add(1) };
            let unique = format!("{}@{line}:{column}", self.profile.strings.get(name));
            self.profile.strings.intern(&unique)
        });
        self.profile.functions.intern(Function { name, system_name, file, start_line })
    }
}

/// Samples without times last the same share each.
fn untimed((start, end): (Option<i64>, Option<i64>), samples: usize) -> Times {
    let duration = end.zip(start).map_or(0, |(end, start)| end.saturating_sub(start).max(0));
    let until = |index: usize| (i128::from(duration) * index as i128 / samples.max(1) as i128) as i64;
    Times { taken: Vec::new(), lengths: (0..samples).map(|index| until(index + 1) - until(index)).collect() }
}
