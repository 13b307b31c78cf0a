//! Writing pprof. The bytes depend on the profile alone.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::Write;

use burnmark_model::{
    Frame, FrameId, FunctionId, Id, Label as ModelLabel, LabelSetId, LabelValue, ModuleId, ModuleKind, Profile,
    Sample as ModelSample, StackId, StringId, ThreadId,
};
use foldhash::fast::RandomState;
use indexmap::IndexSet;
use pprof::protos::{Function, Label, Mapping, Sample, ValueType};
use prost::Message;

use super::collect::SAMPLE;
use super::{Line, Location, comments, keys};
use crate::{Error, WriteOptions, modules};

/// How long the pieces of time are within which samples are merged.
const MERGE_NS: i64 = 100_000_000;

/// Writes a profile: raw protobuf, or gzip.
pub(crate) fn write(profile: &Profile, options: &WriteOptions, out: &mut dyn Write) -> Result<(), Error> {
    let merged;
    let profile = match options.merge_above {
        Some(above) if profile.samples.len() > above => {
            merged = merge(profile)?;
            &merged
        }
        _ => profile,
    };
    if options.compress {
        let mut gzip = flate2::write::GzEncoder::new(out, flate2::Compression::default());
        Writer::new(profile).write(&mut gzip)?;
        gzip.finish()?;
    } else {
        Writer::new(profile).write(out)?;
    }
    Ok(())
}

/// The profile with samples of the same stack, thread and labels within the same piece of time made one, which has the
/// time of the last of them.
fn merge(profile: &Profile) -> Result<Profile, Error> {
    type Key = (Option<StackId>, Option<ThreadId>, Option<LabelSetId>, Option<i64>);
    let columns = profile.value_types.len();
    let mut indices: HashMap<Key, usize, RandomState> = HashMap::default();
    let mut samples: Vec<ModelSample> = Vec::new();
    let mut values: Vec<i64> = Vec::new();
    for (index, sample) in profile.samples.iter().enumerate() {
        let piece = sample.time_ns.map(|time| time.div_euclid(MERGE_NS));
        let next = samples.len();
        let at = *indices.entry((sample.stack, sample.thread, sample.labels, piece)).or_insert(next);
        if at == next {
            samples.push(sample);
            values.resize(values.len() + columns, 0);
        }
        samples[at].time_ns = samples[at].time_ns.max(sample.time_ns);
        for column in 0..columns {
            // Sums of a column fit: the profile's invariant.
            values[at * columns + column] += profile.samples.values(column)[index];
        }
    }
    let mut merged = profile.clone();
    merged.samples = burnmark_model::Samples::new(columns);
    for (index, sample) in samples.iter().enumerate() {
        let values = &values[index * columns..(index + 1) * columns];
        merged.samples.push(*sample, values).map_err(|overflow| Error::overflow(&profile.value_types, overflow))?;
    }
    merged.meta.notes.push(format!(
        "{} samples were merged into {}: one per stack, thread and {} ms",
        profile.samples.len(),
        samples.len(),
        MERGE_NS / 1_000_000
    ));
    Ok(merged)
}

/// What a stack begins with at its leaf: a location, and the stack that called it.
#[derive(Clone, Copy)]
struct Step {
    location: u64,
    caller: Option<StackId>,
}

/// What a mapping's flags say.
#[derive(Clone, Copy, Default)]
struct Has {
    functions: bool,
    filenames: bool,
    line_numbers: bool,
    inline_frames: bool,
}

struct Writer<'a> {
    profile: &'a Profile,
    strings: Strings<'a>,
    /// Ids of modules, functions and locations, in order of their first use.
    mapping_ids: Vec<u64>,
    mappings: Vec<(ModuleId, Has)>,
    function_ids: Vec<u64>,
    functions: Vec<FunctionId>,
    location_ids: HashMap<Box<[FrameId]>, u64, RandomState>,
    locations: Vec<Box<[FrameId]>>,
    steps: Vec<Option<Step>>,
}

impl<'a> Writer<'a> {
    fn new(profile: &'a Profile) -> Self {
        Self {
            profile,
            strings: Strings::new(profile),
            mapping_ids: vec![0; profile.modules.len()],
            mappings: Vec::new(),
            function_ids: vec![0; profile.functions.len()],
            functions: Vec::new(),
            location_ids: HashMap::default(),
            locations: Vec::new(),
            steps: vec![None; profile.stacks.len()],
        }
    }

    /// Writes all that samples refer to, and then them: who reads it need not go back. Texts come in between, as only
    /// they tell that.
    fn write(mut self, out: &mut dyn Write) -> Result<(), Error> {
        let profile = self.profile;
        let (mut types, mut tables) = (Vec::new(), Vec::new());
        for value in &profile.value_types {
            let message = ValueType { ty: self.strings.name(&value.name), unit: self.strings.name(&value.unit) };
            encode(1, &message, &mut types);
        }
        self.find_what_samples_use();
        let mut comments = comments::comments(profile);
        comments.extend(self.tables(&mut tables));
        comments.push(comments::SAMPLES_LAST.to_owned());
        let header = self.header(comments);
        out.write_all(&types)?;
        self.strings.write(out)?;
        out.write_all(&header)?;
        out.write_all(&tables)?;
        self.write_samples(out)
    }

    /// Gives locations their ids, and texts of labels their indices.
    fn find_what_samples_use(&mut self) {
        let (mut described, mut last) = (HashSet::<_, RandomState>::default(), None);
        let mut labels = Vec::new();
        for sample in self.profile.samples.iter() {
            let mut next = sample.stack;
            while let Some(stack) = next.filter(|stack| self.steps[stack.index()].is_none()) {
                next = self.step(stack).caller;
            }
            let kind = (sample.thread, sample.labels, sample.time_ns.is_some());
            if last != Some(kind) && described.insert(kind) {
                labels.clear();
                self.labels(sample, &mut labels);
            }
            last = Some(kind);
        }
    }

    fn write_samples(&mut self, out: &mut dyn Write) -> Result<(), Error> {
        let profile = self.profile;
        let (mut message, mut buffer) = (Sample::default(), Vec::new());
        for (index, sample) in profile.samples.iter().enumerate() {
            message.clear();
            let mut next = sample.stack;
            while let Some(stack) = next {
                let step = self.step(stack);
                message.location_id.push(step.location);
                next = step.caller;
            }
            message.value.extend((0..profile.samples.columns()).map(|column| profile.samples.values(column)[index]));
            self.labels(sample, &mut message.label);
            buffer.clear();
            encode(SAMPLE as u32, &message, &mut buffer);
            out.write_all(&buffer)?;
        }
        Ok(())
    }

    /// The location at a stack's leaf, with all the frames that are inlined into each other there.
    fn step(&mut self, stack: StackId) -> Step {
        if let Some(step) = self.steps[stack.index()] {
            return step;
        }
        let profile = self.profile;
        let entry = profile.stacks.get(stack);
        let mut group = vec![entry.frame];
        let mut inner = profile.frames.get(entry.frame);
        let mut caller = entry.parent;
        while let Some(parent) = caller.map(|caller| profile.stacks.get(caller)) {
            let outer = profile.frames.get(parent.frame);
            if !is_inlined_into(inner, outer) {
                break;
            }
            group.push(parent.frame);
            inner = outer;
            caller = parent.parent;
        }
        let step = Step { location: self.location(group.into()), caller };
        self.steps[stack.index()] = Some(step);
        step
    }

    fn location(&mut self, group: Box<[FrameId]>) -> u64 {
        if let Some(id) = self.location_ids.get(&group) {
            return *id;
        }
        let id = self.locations.len() as u64 + 1;
        self.locations.push(group.clone());
        self.location_ids.insert(group, id);
        id
    }

    fn labels(&mut self, sample: ModelSample, labels: &mut Vec<Label>) {
        let profile = self.profile;
        let number = |key: i64, num: i64| Label { key, str: 0, num, num_unit: 0 };
        if let Some(thread) = sample.thread.map(|thread| profile.threads.get(thread)) {
            let process = profile.processes.get(thread.process);
            if let Some(name) = thread.name {
                let (key, text) = (self.strings.name(keys::THREAD), self.strings.present(name));
                labels.push(Label { key, str: text, num: 0, num_unit: 0 });
            }
            if let Some(tid) = thread.tid {
                labels.push(number(self.strings.name(keys::TID), tid));
            }
            if let Some(pid) = process.pid {
                labels.push(number(self.strings.name(keys::PID), pid));
            }
            if let Some(name) = process.name {
                let (key, text) = (self.strings.name(keys::COMM), self.strings.present(name));
                labels.push(Label { key, str: text, num: 0, num_unit: 0 });
            }
        }
        if let Some(time) = sample.time_ns {
            let (key, num_unit) = (self.strings.name(keys::TIME), self.strings.name(keys::NANOSECONDS));
            labels.push(Label { key, str: 0, num: time, num_unit });
        }
        for ModelLabel { key, value } in sample.labels.iter().flat_map(|set| profile.label_sets.get(*set)) {
            let key = self.strings.present(*key);
            labels.push(match value {
                LabelValue::Text(text) => Label { key, str: self.strings.present(*text), num: 0, num_unit: 0 },
                LabelValue::Number(num, unit) => {
                    let num_unit = unit.map_or(0, |unit| self.strings.present(unit));
                    Label { key, str: 0, num: *num, num_unit }
                }
            });
        }
    }

    /// Encodes what samples refer to, and returns the comments about it.
    fn tables(&mut self, out: &mut Vec<u8>) -> Vec<String> {
        let locations: Vec<_> = std::mem::take(&mut self.locations);
        let modules = locations.iter().filter_map(|group| self.profile.frames.get(group[0]).module);
        // The first mapping names the profile.
        if let Some(main) = modules.into_iter().find(|module| is_program(self.profile, *module)) {
            self.mapping(main);
        }
        let messages: Vec<_> =
            locations.iter().enumerate().map(|(index, group)| self.location_message(index as u64 + 1, group)).collect();
        let mut comments = Vec::new();
        for (index, (module, has)) in std::mem::take(&mut self.mappings).into_iter().enumerate() {
            let module = self.profile.modules.get(module);
            let id = index as u64 + 1;
            if modules::kind_of(self.profile.strings.get(module.path)) != module.kind {
                comments.push(comments::module_kind(id, module.kind));
            }
            let [memory_start, memory_limit, file_offset] = module.memory;
            let mapping = Mapping {
                id,
                memory_start,
                memory_limit,
                file_offset,
                filename: self.strings.present(module.path),
                build_id: self.strings.optional(module.build_id),
                has_functions: has.functions,
                has_filenames: has.filenames,
                has_line_numbers: has.line_numbers,
                has_inline_frames: has.inline_frames,
            };
            encode(3, &mapping, out);
        }
        for message in &messages {
            encode(4, message, out);
        }
        for (index, function) in std::mem::take(&mut self.functions).into_iter().enumerate() {
            let function = self.profile.functions.get(function);
            let name = self.strings.present(function.name);
            let function = Function {
                id: index as u64 + 1,
                name,
                // Where it does not differ, pprof wants the name again.
                system_name: function.system_name.map_or(name, |system_name| self.strings.present(system_name)),
                filename: self.strings.optional(function.file),
                start_line: i64::from(function.start_line),
            };
            encode(5, &function, out);
        }
        comments
    }

    fn location_message(&mut self, id: u64, group: &[FrameId]) -> Location {
        let profile = self.profile;
        let frame = profile.frames.get(group[0]);
        let mapping_id = frame.module.map_or(0, |module| self.mapping(module));
        let mut line = Vec::with_capacity(group.len());
        for frame in group.iter().map(|frame| profile.frames.get(*frame)) {
            let function_id = frame.function.map_or(0, |function| self.function(function));
            line.push(Line { function_id, line: frame.line.into(), column: frame.column.into() });
        }
        if line == [Line::default()] {
            line.clear();
        }
        if let Some(at) = mapping_id.checked_sub(1) {
            let has = &mut self.mappings[at as usize].1;
            has.inline_frames |= group.len() > 1;
            for frame in group.iter().map(|frame| profile.frames.get(*frame)) {
                let function = frame.function.map(|function| profile.functions.get(function));
                has.functions |= function.is_some();
                has.filenames |= function.is_some_and(|function| function.file.is_some());
                has.line_numbers |= frame.line > 0;
            }
        }
        Location { id, mapping_id, address: frame.address.unwrap_or(0), line }
    }

    fn mapping(&mut self, module: ModuleId) -> u64 {
        let id = &mut self.mapping_ids[module.index()];
        if *id == 0 {
            self.mappings.push((module, Has::default()));
            *id = self.mappings.len() as u64;
        }
        *id
    }

    fn function(&mut self, function: FunctionId) -> u64 {
        let id = &mut self.function_ids[function.index()];
        if *id == 0 {
            self.functions.push(function);
            *id = self.functions.len() as u64;
        }
        *id
    }

    /// What is neither a table nor a sample.
    fn header(&mut self, comments: Vec<String>) -> Vec<u8> {
        let profile = self.profile;
        let meta = &profile.meta;
        let comments: Vec<i64> = comments.into_iter().map(|comment| self.strings.added(comment.into())).collect();
        let default = profile.value_types.get(profile.default_value);
        let period_type = default
            .filter(|_| meta.period.is_some())
            .map(|value| ValueType { ty: self.strings.name(&value.name), unit: self.strings.name(&value.unit) });
        let default_sample_type = match comments::default_by_name(profile) {
            Some(index) => self.strings.name(&profile.value_types[index].name),
            None => 0,
        };
        // A profile with these fields only.
        let header = pprof::protos::Profile {
            time_nanos: meta.start_unix_ns.unwrap_or(0),
            duration_nanos: meta.duration_ns.unwrap_or(0),
            period_type,
            period: meta.period.unwrap_or(0),
            comment: comments,
            default_sample_type,
            ..Default::default()
        };
        header.encode_to_vec()
    }
}

fn encode(field: u32, message: &impl Message, out: &mut Vec<u8>) {
    prost::encoding::message::encode(field, message, out);
}

/// Whether a module looks like a program: by pprof's rule, what is neither in brackets nor a shared library.
fn is_program(profile: &Profile, module: ModuleId) -> bool {
    let module = profile.modules.get(module);
    let path = profile.strings.get(module.path).trim_end_matches(" (deleted)");
    let is_library = path.ends_with(".so") || path.contains(".so.") || path.contains(".so_");
    module.kind == ModuleKind::User && !path.is_empty() && !path.starts_with('[') && !is_library
}

/// Whether two frames, one calling the other, are at one address.
fn is_inlined_into(inner: &Frame, outer: &Frame) -> bool {
    inner.inline_depth > 0
        && inner.inline_depth - 1 == outer.inline_depth
        && inner.module == outer.module
        && inner.address == outer.address
}

/// The string table under construction. Its first text is empty and means "not there"; if some text is there and empty,
/// the second one is empty too.
struct Strings<'a> {
    profile: &'a Profile,
    texts: IndexSet<Cow<'a, str>, RandomState>,
    /// How many texts come before `texts`.
    before: usize,
    /// Index of each of the profile's strings, 0 if it has none yet.
    known: Vec<i64>,
}

impl<'a> Strings<'a> {
    fn new(profile: &'a Profile) -> Self {
        let some_empty = profile.strings.find("").is_some() || profile.meta.notes.iter().any(String::is_empty);
        let known = vec![0; profile.strings.len()];
        Self { profile, texts: IndexSet::default(), before: 1 + usize::from(some_empty), known }
    }

    /// The index of a text, where none and an empty one are the same.
    fn name(&mut self, text: &'a str) -> i64 {
        if text.is_empty() { 0 } else { self.added(text.into()) }
    }

    /// The index of a text that is there.
    fn present(&mut self, id: StringId) -> i64 {
        if self.known[id.index()] == 0 {
            self.known[id.index()] = self.added(self.profile.strings.get(id).into());
        }
        self.known[id.index()]
    }

    /// The index of a text if it is there.
    fn optional(&mut self, id: Option<StringId>) -> i64 {
        id.map_or(0, |id| self.present(id))
    }

    fn added(&mut self, text: Cow<'a, str>) -> i64 {
        if text.is_empty() {
            return 1;
        }
        (self.texts.insert_full(text).0 + self.before) as i64
    }

    fn write(&self, out: &mut dyn Write) -> Result<(), Error> {
        let mut head = Vec::new();
        for text in std::iter::repeat_n("", self.before).chain(self.texts.iter().map(AsRef::as_ref)) {
            head.clear();
            prost::encoding::encode_key(6, prost::encoding::WireType::LengthDelimited, &mut head);
            prost::encoding::encode_varint(text.len() as u64, &mut head);
            out.write_all(&head)?;
            out.write_all(text.as_bytes())?;
        }
        Ok(())
    }
}
