//! The second step of reading: the profile, from the file's tables and one sample after the other.

use std::io::Read;
use std::ops::Range;

use burnmark_model::{
    Frame, FrameId, Function, FunctionId, Module, ModuleId, Parsed, Position, Profile, Sample, StringId, ValueType,
};

use super::collect::{MAX_MESSAGE, SAMPLE, Tables, sample_bytes, undecodable};
use super::comments::{self, Hints};
use super::labels::Labels;
use super::prune::{Pruned, Pruner};
use super::samples::RawSample;
use super::stacks::{Built, MAX_DEPTH, Stacks};
use super::wire::{Fields, LAST_KNOWN, Value, malformed};
use crate::budget::Budget;
use crate::{Error, modules};

/// Makes the profile of a file's tables, and of the samples among its fields; `None` if only samples should follow, and
/// more does.
pub(super) fn build<R: Read>(tables: Tables, mut fields: Fields<R>, budget: Budget) -> Result<Option<Parsed>, Error> {
    let is_rest = tables.samples_follow;
    let mut builder = Builder::new(tables, budget);
    builder.describe();
    let (mut stacks, mut labels, mut sample) = (Stacks::default(), Labels::default(), RawSample::default());
    let many = builder.hints.stacks;
    stacks.reserve(&mut builder, many);
    let limit = |number| (number == SAMPLE || (is_rest && number <= LAST_KNOWN)).then_some(MAX_MESSAGE);
    while let Some(field) = fields.next(limit)? {
        match field.value {
            Value::Bytes(message) if field.number == SAMPLE => {
                builder.add(message, field.position, &mut stacks, &mut labels, &mut sample)?;
            }
            _ if is_rest && field.number <= LAST_KNOWN => return Ok(None),
            _ => {}
        }
    }
    if !is_rest && fields.offset() != builder.tables.length {
        return Err(malformed(fields.offset(), "the file has changed while it was read: read it again"));
    }
    Ok(Some(Parsed { profile: builder.profile, warnings: builder.tables.warnings.into_vec() }))
}

/// A location's frames.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The caller's end; mostly it is the only one.
    outermost: FrameId,
    /// Those inlined into it, in [`Builder::inlined`].
    first: u32,
    end: u32,
    pub(super) pruned: Pruned,
}

impl Place {
    fn new(outermost: FrameId, inlined: Range<usize>, pruned: Pruned) -> Self {
        let index = |index: usize| u32::try_from(index).expect("2^32 lines take more memory than any machine has");
        Self { outermost, first: index(inlined.start), end: index(inlined.end), pruned }
    }

    /// How many frames it has.
    pub(super) fn frames(self) -> usize {
        1 + (self.end - self.first) as usize
    }
}

/// The profile so far, and what has become of the file's tables.
pub(super) struct Builder {
    pub(super) tables: Tables,
    pub(super) profile: Profile,
    pub(super) budget: Budget,
    hints: Hints,
    pruner: Option<Pruner>,
    strings: Vec<Option<StringId>>,
    modules: Vec<Option<ModuleId>>,
    /// A function without any name is `Some(None)`.
    functions: Vec<Option<Option<FunctionId>>>,
    places: Vec<Option<Place>>,
    /// All frames that are inlined into others.
    inlined: Vec<FrameId>,
    unknown: Option<Place>,
}

impl Builder {
    fn new(tables: Tables, budget: Budget) -> Self {
        Self {
            profile: Profile::default(),
            budget,
            hints: Hints::default(),
            pruner: None,
            strings: vec![None; tables.strings.len()],
            modules: vec![None; tables.mappings.len()],
            functions: vec![None; tables.functions.len()],
            places: vec![None; tables.locations.len()],
            inlined: Vec::new(),
            unknown: None,
            tables,
        }
    }

    /// Whether some frames are to be left out.
    pub(super) fn prunes(&self) -> bool {
        self.pruner.is_some()
    }

    /// Adds a sample.
    fn add(
        &mut self,
        message: &[u8],
        position: u64,
        stacks: &mut Stacks,
        labels: &mut Labels,
        sample: &mut RawSample,
    ) -> Result<(), Error> {
        let here = Some(Position::Byte(position));
        let list = sample.read(message).map_err(|error| undecodable(&error, position))?;
        if self.profile.value_types.is_empty() {
            return Err(malformed(
                0,
                "there are samples but no sample_type to say what their values are: damaged, or written wrongly",
            ));
        }
        self.budget.take(sample_bytes(sample.values.len()), position)?;
        if sample.values.len() != self.profile.value_types.len() {
            let what = "a sample has more or fewer values than there are value types: it is left out";
            self.tables.warnings.add(what, here);
            return Ok(());
        }
        let time_ns = labels.take_time(self, &mut sample.labels);
        let kind = labels.kind(self, &sample.labels, position)?;
        let Built::Stack(stack) = stacks.stack(self, &list, kind, position)? else {
            self.tables.warnings.add(&format!("a stack of more than {MAX_DEPTH} frames: its sample is left out"), here);
            return Ok(());
        };
        let (thread, labels) = labels.describe(self, kind, position);
        let overflow = self.profile.samples.push(Sample { stack, thread, time_ns, labels }, &sample.values);
        overflow.map_err(|overflow| Error::overflow(&self.profile.value_types, overflow))
    }

    /// Everything but samples.
    fn describe(&mut self) {
        let value_types = std::mem::take(&mut self.tables.value_types);
        let value_types: Vec<_> =
            value_types.iter().map(|value| ValueType::new(self.owned(value.ty), self.owned(value.unit))).collect();
        self.profile = Profile::new(value_types);
        let comments = std::mem::take(&mut self.tables.comments);
        let mut meta = std::mem::take(&mut self.profile.meta);
        for index in comments {
            if index != 0 {
                comments::apply(&self.owned(index), &mut meta, &mut self.hints);
            }
        }
        if self.hints.unknown {
            self.tables
                .warnings
                .add("a comment of burnmark's was not understood: a newer version may have written it", None);
        }
        for (index, denominator) in &self.hints.denominators {
            if let Some(value) = self.profile.value_types.get_mut(*index) {
                value.denominator = *denominator;
            }
        }
        self.profile.default_value = self.default_value();
        meta.start_unix_ns = not_zero(self.tables.time_nanos).or(meta.start_unix_ns);
        meta.duration_ns = not_zero(self.tables.duration_nanos).or(meta.duration_ns);
        self.profile.meta = meta;
        self.describe_period();
        self.describe_pruning();
        let doc_url = self.owned(self.tables.doc_url);
        if !doc_url.is_empty() {
            self.profile.meta.other.insert("doc_url".into(), doc_url);
        }
    }

    /// The last value type unless the file names one.
    fn default_value(&mut self) -> usize {
        let types = self.profile.value_types.len();
        if let Some(index) = self.hints.default_value.filter(|index| *index < types) {
            return index;
        }
        let last = types.saturating_sub(1);
        if self.tables.default_sample_type == 0 {
            return last;
        }
        let name = self.owned(self.tables.default_sample_type);
        self.profile.value_types.iter().position(|value| value.name == name).unwrap_or_else(|| {
            self.tables.warnings.add("default_sample_type names no value type: the last one is taken", None);
            last
        })
    }

    /// The period, if it is in the default value's unit; else it is kept as a text.
    fn describe_period(&mut self) {
        let Some(period) = not_zero(self.tables.period) else { return };
        let (name, unit) = match self.tables.period_type.take() {
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
        let drop = self.owned(self.tables.drop_frames);
        if drop.is_empty() {
            return;
        }
        let keep = Some(self.owned(self.tables.keep_frames)).filter(|keep| !keep.is_empty());
        match Pruner::new(&drop, keep.as_deref()) {
            Ok(pruner) => self.pruner = Some(pruner),
            Err(_) => self.tables.warnings.add(
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
        match self.tables.strings.get(index) {
            Some(text) => text.to_owned(),
            None => {
                self.bad_text(None);
                String::new()
            }
        }
    }

    fn bad_text(&mut self, position: Option<u64>) {
        let what = "an index into the string table is out of range: the text is taken as missing";
        self.tables.warnings.add(what, position.map(Position::Byte));
    }

    /// A text in the profile; index 0 is no text.
    pub(super) fn text(&mut self, index: i64, position: u64) -> Option<StringId> {
        if index == 0 {
            return None;
        }
        let slot = usize::try_from(index).ok().and_then(|index| self.strings.get(index));
        match (slot, self.tables.strings.get(index)) {
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
        let Some(index) = self.tables.mapping_ids.get(mapping_id).map(|index| index as usize) else {
            let what = "a location names a mapping that is not there: its module is not known";
            self.tables.warnings.add(what, Some(Position::Byte(position)));
            return None;
        };
        if let Some(id) = self.modules[index] {
            return Some(id);
        }
        let mapping = self.tables.mappings[index].clone();
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
        let Some(index) = self.tables.function_ids.get(function_id).map(|index| index as usize) else {
            let what = "a location names a function that is not there: it is shown without a name";
            self.tables.warnings.add(what, Some(Position::Byte(position)));
            return None;
        };
        if let Some(done) = self.functions[index] {
            return done;
        }
        let function = self.tables.functions[index].clone();
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

    /// The index of the location of this id.
    pub(super) fn location(&self, id: u64) -> Option<u32> {
        self.tables.location_ids.get(id)
    }

    /// The frames of a location.
    #[inline]
    pub(super) fn place(&mut self, location: u32) -> Result<Place, Error> {
        match self.places[location as usize] {
            Some(place) => Ok(place),
            None => self.new_place(location as usize),
        }
    }

    /// The frame of a location that the file has not.
    pub(super) fn unknown_place(&mut self) -> Place {
        *self.unknown.get_or_insert_with(|| {
            let unknown = Frame { function: None, module: None, address: None, line: 0, column: 0, inline_depth: 0 };
            Place::new(self.profile.frames.intern(unknown), 0..0, Pruned::No)
        })
    }

    /// Tells of so many locations that a sample names, and the file has not.
    pub(super) fn warn_of_unknown(&mut self, count: u64, position: u64) {
        let what = "a sample names a location that is not there: the frame is not known";
        self.tables.warnings.add_many(what, Some(Position::Byte(position)), count);
    }

    fn new_place(&mut self, index: usize) -> Result<Place, Error> {
        let location = &self.tables.locations[index];
        let (lines, address, position) = (location.lines.clone(), location.address, location.position);
        self.budget.take(8 * lines.len() as u64 + 64, position)?;
        let module = self.module(location.mapping_id, position);
        let address = Some(address).filter(|address| *address != 0);
        let first = self.inlined.len();
        let base = Frame { function: None, module, address, line: 0, column: 0, inline_depth: 0 };
        let mut outermost = None;
        let mut pruned = Pruned::No;
        for (depth, index) in lines.rev().enumerate() {
            let line = self.tables.lines[index].clone();
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
            let frame = self.profile.frames.intern(frame);
            match outermost {
                None => outermost = Some(frame),
                Some(_) => self.inlined.push(frame),
            }
        }
        let outermost = outermost.unwrap_or_else(|| self.profile.frames.intern(base));
        let place = Place::new(outermost, first..self.inlined.len(), pruned);
        self.places[index] = Some(place);
        Ok(place)
    }

    /// Adds a place's frames, from the caller's end.
    pub(super) fn add_frames(&self, place: Place, frames: &mut Vec<FrameId>) {
        frames.push(place.outermost);
        if place.first < place.end {
            frames.extend_from_slice(&self.inlined[place.first as usize..place.end as usize]);
        }
    }

    fn drops(&mut self, function: FunctionId) -> bool {
        let Some(pruner) = &mut self.pruner else { return false };
        let name = self.profile.functions.get(function).name;
        let text = self.profile.strings.get(name);
        !text.is_empty() && pruner.drops(name, text)
    }
}

fn not_zero(number: i64) -> Option<i64> {
    Some(number).filter(|number| *number != 0)
}

/// A line or column; what can't be one is not known.
fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
