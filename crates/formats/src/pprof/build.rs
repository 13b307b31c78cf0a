//! The second step of reading: the profile, from the file's tables and samples.

use std::collections::HashMap;
use std::ops::Range;

use burnmark_model::{
    Frame, FrameId, Function, FunctionId, Label, LabelSetId, LabelValue, Module, ModuleId, Parsed, Position, Process,
    Profile, Sample, StackId, StringId, Thread, ThreadId, ValueType,
};
use foldhash::fast::RandomState;

use super::collect::Raw;
use super::comments::{self, Hints};
use super::keys;
use super::paths::{self, Paths};
use super::prune::{Pruned, Pruner, kept};
use super::samples::{Packed, RawLabel, RawSample};
use super::wire::malformed;
use crate::budget::Budget;
use crate::{Error, modules};

/// Deepest stack that is taken; deeper ones come from damage, or want to do some.
const MAX_DEPTH: usize = 1 << 20;

/// How many frames all stacks may have per byte of the file, beyond [`FREE_STEPS`]: a location of a million inlined
/// lines can be named by a byte, again and again.
const STEPS_PER_BYTE: u64 = 16;
const FREE_STEPS: u64 = 1_000_000;

/// Makes the profile.
pub(super) fn build(mut raw: Raw, budget: Budget) -> Result<Parsed, Error> {
    let packed = std::mem::take(&mut raw.samples.packed);
    let mut builder = Builder::new(raw, budget);
    builder.describe(&packed)?;
    packed.drain(|sample| builder.add(sample))?;
    Ok(Parsed { profile: builder.profile, warnings: builder.raw.warnings.into_vec() })
}

/// What a label's key says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Thread,
    Tid,
    Pid,
    Comm,
    Time,
    Other,
}

/// Frames of a location in [`Builder::frames`], from the caller's end.
#[derive(Clone, Copy)]
struct Place {
    first: u32,
    end: u32,
    pruned: Pruned,
}

impl Place {
    fn new(frames: Range<usize>, pruned: Pruned) -> Self {
        let index = |index: usize| u32::try_from(index).expect("2^32 lines take more memory than any machine has");
        Self { first: index(frames.start), end: index(frames.end), pruned }
    }

    fn range(self) -> Range<usize> {
        self.first as usize..self.end as usize
    }
}

/// A location of the list that became a stack last.
#[derive(Clone, Copy)]
struct Step {
    /// Index into [`Raw::locations`]; `None` if the file has no such location.
    location: Option<u32>,
    place: Place,
    /// How many frames there are from the root to here.
    depth: usize,
}

/// The list of locations that became a stack last, from its root: the next one mostly has the same callers.
#[derive(Default)]
struct LastPath {
    steps: Vec<Step>,
    /// The stack at each frame, from the root; pruned ones are not there.
    stacks: Vec<paths::Step>,
}

/// What has become of a list of locations.
#[derive(Clone, Copy)]
enum Built {
    NotYet,
    Stack(Option<StackId>),
    TooDeep,
}

/// What a list of labels means, whatever its numbers are.
struct Shape {
    labels: Box<[RawLabel]>,
    /// Which of its numbers can be the sample's time.
    times: Vec<usize>,
}

/// What labels say: the thread, and the labels that are no columns.
type Described = (Option<ThreadId>, Option<LabelSetId>);

struct Builder {
    raw: Raw,
    profile: Profile,
    budget: Budget,
    hints: Hints,
    pruner: Option<Pruner>,
    strings: Vec<Option<StringId>>,
    modules: Vec<Option<ModuleId>>,
    /// A function without any name is `Some(None)`.
    functions: Vec<Option<Option<FunctionId>>>,
    places: Vec<Option<Place>>,
    frames: Vec<FrameId>,
    /// Where in `frames` the frame of a location is that the file has not.
    unknown: Option<usize>,
    stacks: Vec<Built>,
    steps: u64,
    keys: HashMap<i64, Key, RandomState>,
    shapes: Vec<Shape>,
    /// By what is in `key`.
    labels: HashMap<Box<[i64]>, Described, RandomState>,
    /// The shape, which number is the time, and the other numbers.
    key: Vec<i64>,
    ids: Vec<u64>,
    last: LastPath,
    paths: Paths,
    /// The frames that a path adds to those before.
    added: Vec<FrameId>,
}

impl Builder {
    fn new(raw: Raw, budget: Budget) -> Self {
        Self {
            profile: Profile::default(),
            budget,
            hints: Hints::default(),
            pruner: None,
            strings: vec![None; raw.strings.len()],
            modules: vec![None; raw.mappings.len()],
            functions: vec![None; raw.functions.len()],
            places: vec![None; raw.locations.len()],
            frames: Vec::new(),
            unknown: None,
            stacks: vec![Built::NotYet; raw.samples.lists.len()],
            steps: 0,
            keys: HashMap::default(),
            shapes: Vec::new(),
            labels: HashMap::default(),
            key: Vec::new(),
            ids: Vec::new(),
            last: LastPath::default(),
            paths: Paths::default(),
            added: Vec::new(),
            raw,
        }
    }

    /// Everything but samples.
    fn describe(&mut self, samples: &Packed) -> Result<(), Error> {
        let value_types = std::mem::take(&mut self.raw.value_types);
        if value_types.is_empty() && !samples.is_empty() {
            return Err(malformed(
                0,
                "there are samples but no sample_type to say what their values are: damaged, or written wrongly",
            ));
        }
        let value_types: Vec<_> =
            value_types.iter().map(|value| ValueType::new(self.owned(value.ty), self.owned(value.unit))).collect();
        self.profile = Profile::new(value_types);
        let comments = std::mem::take(&mut self.raw.comments);
        let mut meta = std::mem::take(&mut self.profile.meta);
        for index in comments {
            if index != 0 {
                comments::apply(&self.owned(index), &mut meta, &mut self.hints);
            }
        }
        if self.hints.unknown {
            self.raw
                .warnings
                .add("a comment of burnmark's was not understood: a newer version may have written it", None);
        }
        for (index, denominator) in &self.hints.denominators {
            if let Some(value) = self.profile.value_types.get_mut(*index) {
                value.denominator = *denominator;
            }
        }
        self.profile.default_value = self.default_value();
        meta.start_unix_ns = not_zero(self.raw.time_nanos).or(meta.start_unix_ns);
        meta.duration_ns = not_zero(self.raw.duration_nanos).or(meta.duration_ns);
        self.profile.meta = meta;
        self.describe_period();
        self.describe_pruning();
        self.describe_labels();
        let doc_url = self.owned(self.raw.doc_url);
        if !doc_url.is_empty() {
            self.profile.meta.other.insert("doc_url".into(), doc_url);
        }
        Ok(())
    }

    /// The last value type unless the file names one.
    fn default_value(&mut self) -> usize {
        let types = self.profile.value_types.len();
        if let Some(index) = self.hints.default_value.filter(|index| *index < types) {
            return index;
        }
        let last = types.saturating_sub(1);
        if self.raw.default_sample_type == 0 {
            return last;
        }
        let name = self.owned(self.raw.default_sample_type);
        self.profile.value_types.iter().position(|value| value.name == name).unwrap_or_else(|| {
            self.raw.warnings.add("default_sample_type names no value type: the last one is taken", None);
            last
        })
    }

    /// The period, if it is in the default value's unit; else it is kept as a text.
    fn describe_period(&mut self) {
        let Some(period) = not_zero(self.raw.period) else { return };
        let (name, unit) = match self.raw.period_type.take() {
            Some(period_type) => (self.owned(period_type.ty), self.owned(period_type.unit)),
            None => Default::default(),
        };
        let default = self.profile.value_types.get(self.profile.default_value);
        if (name.is_empty() && unit.is_empty()) || default.is_none_or(|value| value.unit == unit) {
            self.profile.meta.period = Some(period);
        } else {
            self.profile.meta.other.insert("period".into(), format!("{period} {name}/{unit}"));
        }
    }

    fn describe_pruning(&mut self) {
        let drop = self.owned(self.raw.drop_frames);
        if drop.is_empty() {
            return;
        }
        let keep = Some(self.owned(self.raw.keep_frames)).filter(|keep| !keep.is_empty());
        match Pruner::new(&drop, keep.as_deref()) {
            Ok(pruner) => self.pruner = Some(pruner),
            Err(_) => self.raw.warnings.add(
                "drop_frames or keep_frames is no regular expression that is understood: no frame is dropped",
                None,
            ),
        }
        self.profile.meta.other.insert("drop_frames".into(), drop);
        if let Some(keep) = keep {
            self.profile.meta.other.insert("keep_frames".into(), keep);
        }
    }

    /// A text of the file; an index out of range is a warning and an empty text.
    fn owned(&mut self, index: i64) -> String {
        if index == 0 {
            return String::new();
        }
        match self.raw.strings.get(index) {
            Some(text) => text.to_owned(),
            None => {
                self.bad_text(None);
                String::new()
            }
        }
    }

    fn bad_text(&mut self, position: Option<u64>) {
        let what = "an index into the string table is out of range: the text is taken as missing";
        self.raw.warnings.add(what, position.map(Position::Byte));
    }

    /// A text in the profile; index 0 is no text.
    fn text(&mut self, index: i64, position: u64) -> Option<StringId> {
        if index == 0 {
            return None;
        }
        let slot = usize::try_from(index).ok().and_then(|index| self.strings.get(index));
        match (slot, self.raw.strings.get(index)) {
            (Some(Some(id)), _) => Some(*id),
            (Some(None), Some(text)) => {
                let id = self.profile.strings.intern(text);
                self.strings[index as usize] = Some(id);
                Some(id)
            }
            _ => {
                self.bad_text(Some(position));
                None
            }
        }
    }

    fn module(&mut self, mapping_id: u64, position: u64) -> Option<ModuleId> {
        if mapping_id == 0 {
            return None;
        }
        let Some(index) = self.raw.mapping_ids.get(mapping_id).map(|index| index as usize) else {
            let what = "a location names a mapping that is not there: its module is not known";
            self.raw.warnings.add(what, Some(Position::Byte(position)));
            return None;
        };
        if let Some(id) = self.modules[index] {
            return Some(id);
        }
        let mapping = self.raw.mappings[index].clone();
        let path = match self.text(mapping.filename, position) {
            Some(path) => path,
            None => self.profile.strings.intern("[unknown]"),
        };
        let kind = match self.hints.module_kinds.get(&mapping_id) {
            Some(kind) => *kind,
            None => modules::kind_of(self.profile.strings.get(path)),
        };
        let build_id = self.text(mapping.build_id, position);
        let memory = [mapping.memory_start, mapping.memory_limit, mapping.file_offset];
        let id = self.profile.modules.intern(Module { path, build_id, kind, memory });
        self.modules[index] = Some(id);
        Some(id)
    }

    fn function(&mut self, function_id: u64, position: u64) -> Option<FunctionId> {
        if function_id == 0 {
            return None;
        }
        let Some(index) = self.raw.function_ids.get(function_id).map(|index| index as usize) else {
            let what = "a location names a function that is not there: it is shown without a name";
            self.raw.warnings.add(what, Some(Position::Byte(position)));
            return None;
        };
        if let Some(done) = self.functions[index] {
            return done;
        }
        let function = self.raw.functions[index].clone();
        let system_name = self.text(function.system_name, position);
        let name = self.text(function.name, position).or(system_name);
        let file = self.text(function.filename, position);
        let start_line = small(function.start_line);
        let done = name.map(|name| {
            let system_name = system_name.filter(|system_name| *system_name != name);
            self.profile.functions.intern(Function { name, system_name, file, start_line })
        });
        self.functions[index] = Some(done);
        done
    }

    /// The frames of a location that none is known of yet.
    fn place(&mut self, location: Option<u32>, position: u64) -> Result<Place, Error> {
        let Some(index) = location.map(|index| index as usize) else {
            let what = "a sample names a location that is not there: the frame is not known";
            self.raw.warnings.add(what, Some(Position::Byte(position)));
            let unknown = Frame { function: None, module: None, address: None, line: 0, column: 0, inline_depth: 0 };
            let first = *self.unknown.get_or_insert(self.frames.len());
            if first == self.frames.len() {
                self.frames.push(self.profile.frames.intern(unknown));
            }
            return Ok(Place::new(first..first + 1, Pruned::No));
        };
        let location = &self.raw.locations[index];
        let (lines, address, position) = (location.lines.clone(), location.address, location.position);
        self.budget.take(8 * lines.len() as u64 + 64, position)?;
        let module = self.module(location.mapping_id, position);
        let address = Some(address).filter(|address| *address != 0);
        let first = self.frames.len();
        let base = Frame { function: None, module, address, line: 0, column: 0, inline_depth: 0 };
        if lines.is_empty() {
            self.frames.push(self.profile.frames.intern(base));
        }
        let mut pruned = Pruned::No;
        for (depth, index) in lines.rev().enumerate() {
            let line = self.raw.lines[index].clone();
            let function = self.function(line.function_id, position);
            // The outermost that is dropped decides.
            if pruned == Pruned::No && function.is_some_and(|function| self.drops(function)) {
                pruned = if depth == 0 { Pruned::Whole } else { Pruned::Beneath };
            }
            if pruned == Pruned::Beneath {
                break;
            }
            let (line, column) = (small(line.line), small(line.column));
            let frame = Frame { function, line, column, inline_depth: depth as u32, ..base };
            self.frames.push(self.profile.frames.intern(frame));
        }
        let place = Place::new(first..self.frames.len(), pruned);
        self.places[index] = Some(place);
        Ok(place)
    }

    fn drops(&mut self, function: FunctionId) -> bool {
        let Some(pruner) = &mut self.pruner else { return false };
        let name = self.profile.functions.get(function).name;
        let text = self.profile.strings.get(name);
        !text.is_empty() && pruner.drops(name, text)
    }

    /// The stack of a list of locations.
    fn stack(&mut self, list: usize, position: u64) -> Result<Built, Error> {
        if !matches!(self.stacks[list], Built::NotYet) {
            return Ok(self.stacks[list]);
        }
        self.ids.clear();
        self.ids.extend(self.raw.samples.lists.get(list));
        let mut last = std::mem::take(&mut self.last);
        let from_root = self.ids.iter().rev().map(|id| self.raw.location_ids.get(*id));
        let same = last.steps.iter().zip(from_root).take_while(|(step, location)| {
            // What is not known is told of each time.
            location.is_some() && step.location == *location
        });
        let shared = same.count();
        last.steps.truncate(shared);
        let mut depth = depth(&last.steps);
        last.stacks.truncate(depth);
        for index in (0..self.ids.len() - shared).rev() {
            let location = self.raw.location_ids.get(self.ids[index]);
            let place = match location.and_then(|index| self.places[index as usize]) {
                Some(place) => place,
                None => self.place(location, position)?,
            };
            depth += place.range().len();
            if depth > MAX_DEPTH {
                self.stacks[list] = Built::TooDeep;
                return Ok(Built::TooDeep);
            }
            last.steps.push(Step { location, place, depth });
        }
        self.steps += depth as u64;
        if self.steps > FREE_STEPS + STEPS_PER_BYTE * self.raw.length {
            return Err(malformed(position, "its stacks have more frames than a file of this size can mean: damaged"));
        }
        let built = Built::Stack(self.push_path(&mut last, shared, position)?);
        self.last = last;
        self.stacks[list] = built;
        Ok(built)
    }

    /// Makes a path's stacks, of which those of the first `shared` steps are made.
    fn push_path(&mut self, path: &mut LastPath, shared: usize, position: u64) -> Result<Option<StackId>, Error> {
        let kept = match self.pruner {
            None => path.steps.len(),
            Some(_) => kept(path.steps.iter().map(|step| step.place.pruned)),
        };
        let before = self.profile.stacks.len();
        self.added.clear();
        for Step { place, .. } in path.steps[..kept].iter().skip(shared) {
            self.added.extend_from_slice(&self.frames[place.range()]);
        }
        let stack = self.paths.extend(&mut self.profile, &mut path.stacks, &self.added);
        self.budget.take(48 * (self.profile.stacks.len() - before) as u64, position)?;
        Ok(stack)
    }

    fn key(&mut self, index: i64) -> Key {
        if let Some(key) = self.keys.get(&index) {
            return *key;
        }
        let key = match self.raw.strings.get(index) {
            Some(keys::THREAD | "thread name" | "thread_name") => Key::Thread,
            Some(keys::TID | "thread id" | "thread_id") => Key::Tid,
            Some(keys::PID | "process id" | "process_id") => Key::Pid,
            Some(keys::COMM) => Key::Comm,
            Some(keys::TIME | "timestamp_ns") => Key::Time,
            _ => Key::Other,
        };
        self.keys.insert(index, key);
        key
    }

    /// Adds a sample.
    fn add(&mut self, raw: &RawSample) -> Result<(), Error> {
        let here = Some(Position::Byte(raw.position));
        if raw.values.len() != self.profile.value_types.len() {
            let what = "a sample has more or fewer values than there are value types: it is left out";
            self.raw.warnings.add(what, here);
            return Ok(());
        }
        let Built::Stack(stack) = self.stack(raw.list, raw.position)? else {
            self.raw.warnings.add(&format!("a stack of more than {MAX_DEPTH} frames: its sample is left out"), here);
            return Ok(());
        };
        let time_ns = self.take_time(raw);
        let (thread, labels) = self.labels(raw)?;
        let sample = Sample { stack, thread, time_ns, labels };
        let overflow = self.profile.samples.push(sample, &raw.values);
        overflow.map_err(|overflow| Error::overflow(&self.profile.value_types, overflow))
    }

    /// Finds out what the labels can mean.
    fn describe_labels(&mut self) {
        for labels in std::mem::take(&mut self.raw.samples.shapes) {
            let numbers = labels.iter().filter(|label| label.text == 0);
            let times =
                numbers.enumerate().filter(|(_, label)| self.can_be_time(label)).map(|(index, _)| index).collect();
            self.shapes.push(Shape { labels, times });
        }
    }

    /// Whether a number is a time in nanoseconds.
    fn can_be_time(&mut self, label: &RawLabel) -> bool {
        self.key(label.key) == Key::Time
            && (label.unit == 0 || self.raw.strings.get(label.unit) == Some(keys::NANOSECONDS))
    }

    /// The sample's time, if it is one that a profile can hold. All else that its labels say is then in [`Self::key`].
    fn take_time(&mut self, raw: &RawSample) -> Option<i64> {
        let times = &self.shapes[raw.shape].times;
        let time = times.iter().copied().find(|index| raw.numbers[*index] != i64::MIN);
        self.key.clear();
        self.key.extend([raw.shape as i64, time.map_or(-1, |index| index as i64)]);
        self.key.extend_from_slice(&raw.numbers);
        time.map(|index| self.key.remove(2 + index))
    }

    /// What labels other than the time say.
    fn labels(&mut self, raw: &RawSample) -> Result<Described, Error> {
        if let Some(known) = self.labels.get(self.key.as_slice()) {
            return Ok(*known);
        }
        let labels = self.labels_but_time();
        if labels.is_empty() {
            return Ok((None, None));
        }
        let position = raw.position;
        self.budget.take(128 + 64 * labels.len() as u64, position)?;
        let (mut tid, mut pid, mut thread_name, mut comm) = (None, None, None, None);
        let mut others = Vec::new();
        for label in &labels {
            let number = (label.text == 0 && label.unit == 0).then_some(label.number);
            let is_text = label.text != 0;
            match (self.key(label.key), number) {
                (Key::Tid, Some(number)) if tid.is_none() => tid = Some(number),
                (Key::Pid, Some(number)) if pid.is_none() => pid = Some(number),
                (Key::Thread, _) if is_text && thread_name.is_none() => thread_name = self.text(label.text, position),
                (Key::Comm, _) if is_text && comm.is_none() => comm = self.text(label.text, position),
                _ => others.extend(self.label(label, position)),
            }
        }
        let known = tid.is_some() || pid.is_some() || thread_name.is_some() || comm.is_some();
        let thread = known.then(|| {
            let process = self.profile.processes.intern(Process { pid, name: comm });
            self.profile.threads.intern(Thread { process, tid, name: thread_name })
        });
        let set = (!others.is_empty()).then(|| self.profile.label_sets.intern(others.into()));
        self.labels.insert(self.key.as_slice().into(), (thread, set));
        Ok((thread, set))
    }

    /// The labels that [`Self::key`] stands for.
    fn labels_but_time(&self) -> Vec<RawLabel> {
        let (shape, time) = (&self.shapes[self.key[0] as usize], self.key[1]);
        let mut numbers = self.key[2..].iter();
        let mut labels = Vec::with_capacity(shape.labels.len());
        let mut index = 0;
        for label in &shape.labels {
            if label.text != 0 {
                labels.push(*label);
                continue;
            }
            if index != time {
                let number = *numbers.next().expect("a number for each label without a text");
                labels.push(RawLabel { number, ..*label });
            }
            index += 1;
        }
        labels
    }

    fn label(&mut self, label: &RawLabel, position: u64) -> Option<Label> {
        let key = match self.text(label.key, position) {
            Some(key) => key,
            None => self.profile.strings.intern(""),
        };
        let value = if label.text == 0 {
            LabelValue::Number(label.number, self.text(label.unit, position))
        } else {
            LabelValue::Text(self.text(label.text, position)?)
        };
        Some(Label { key, value })
    }
}

/// How many frames a path has.
fn depth(steps: &[Step]) -> usize {
    steps.last().map_or(0, |step| step.depth)
}

fn not_zero(number: i64) -> Option<i64> {
    Some(number).filter(|number| *number != 0)
}

/// A line or column; what can't be one is not known.
fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
