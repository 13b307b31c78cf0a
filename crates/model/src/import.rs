//! Copying entries from one profile into another: the base of compacting, merging and filtering.

use crate::profile::{
    Frame, FrameId, Function, FunctionId, Label, LabelSetId, LabelValue, Module, ModuleId, Process, ProcessId, Profile,
    Stack, StackId, StringId, Thread, ThreadId, ValueType,
};
use crate::samples::{Sample, ValueOverflow};
use crate::table::{Id, Strings};

/// Copies what is asked for, and what that refers to, from one profile into another. Each entry is copied once; ids in
/// the target follow the order of asking.
pub struct Importer<'a> {
    from: &'a Profile,
    text: Option<&'a dyn Fn(&str) -> String>,
    strings: Vec<Option<StringId>>,
    modules: Vec<Option<ModuleId>>,
    functions: Vec<Option<FunctionId>>,
    frames: Vec<Option<FrameId>>,
    stacks: Vec<Option<StackId>>,
    processes: Vec<Option<ProcessId>>,
    threads: Vec<Option<ThreadId>>,
    label_sets: Vec<Option<LabelSetId>>,
    pending: Vec<StackId>,
}

impl<'a> Importer<'a> {
    /// An importer from `from` into one target, which must be the same in all calls.
    pub fn new(from: &'a Profile) -> Self {
        Self {
            from,
            text: None,
            strings: vec![None; from.strings.len()],
            modules: vec![None; from.modules.len()],
            functions: vec![None; from.functions.len()],
            frames: vec![None; from.frames.len()],
            stacks: vec![None; from.stacks.len()],
            processes: vec![None; from.processes.len()],
            threads: vec![None; from.threads.len()],
            label_sets: vec![None; from.label_sets.len()],
            pending: Vec::new(),
        }
    }

    /// The text in the target.
    pub fn string(&mut self, to: &mut Strings<StringId>, id: StringId) -> StringId {
        let text = self.from.strings.get(id);
        *self.strings[id.index()].get_or_insert_with(|| match self.text {
            Some(changed) => to.intern(&changed(text)),
            None => to.intern(text),
        })
    }

    /// The module in the target.
    pub fn module(&mut self, to: &mut Profile, id: ModuleId) -> ModuleId {
        if let Some(done) = self.modules[id.index()] {
            return done;
        }
        let module = self.from.modules.get(id).clone();
        let path = self.string(&mut to.strings, module.path);
        let build_id = module.build_id.map(|id| self.string(&mut to.strings, id));
        let done = to.modules.intern(Module { path, build_id, ..module });
        self.modules[id.index()] = Some(done);
        done
    }

    /// The function in the target.
    pub fn function(&mut self, to: &mut Profile, id: FunctionId) -> FunctionId {
        if let Some(done) = self.functions[id.index()] {
            return done;
        }
        let function = self.from.functions.get(id).clone();
        let name = self.string(&mut to.strings, function.name);
        let system_name = function.system_name.map(|id| self.string(&mut to.strings, id));
        let file = function.file.map(|id| self.string(&mut to.strings, id));
        let done = to.functions.intern(Function { name, system_name, file, ..function });
        self.functions[id.index()] = Some(done);
        done
    }

    /// The frame in the target.
    pub fn frame(&mut self, to: &mut Profile, id: FrameId) -> FrameId {
        if let Some(done) = self.frames[id.index()] {
            return done;
        }
        let frame = *self.from.frames.get(id);
        let module = frame.module.map(|id| self.module(to, id));
        let function = frame.function.map(|id| self.function(to, id));
        let done = to.frames.intern(Frame { function, module, ..frame });
        self.frames[id.index()] = Some(done);
        done
    }

    /// The stack in the target.
    pub fn stack(&mut self, to: &mut Profile, id: Option<StackId>) -> Option<StackId> {
        let mut pending = std::mem::take(&mut self.pending);
        let mut next = id;
        let mut parent = None;
        while let Some(id) = next {
            parent = self.stacks[id.index()];
            if parent.is_some() {
                break;
            }
            pending.push(id);
            next = self.from.stacks.get(id).parent;
        }
        while let Some(id) = pending.pop() {
            let frame = self.frame(to, self.from.stacks.get(id).frame);
            parent = Some(to.stacks.intern(Stack { parent, frame }));
            self.stacks[id.index()] = parent;
        }
        self.pending = pending;
        parent
    }

    /// The thread in the target.
    pub fn thread(&mut self, to: &mut Profile, id: ThreadId) -> ThreadId {
        if let Some(done) = self.threads[id.index()] {
            return done;
        }
        let thread = self.from.threads.get(id).clone();
        let process = self.process(to, thread.process);
        let name = thread.name.map(|id| self.string(&mut to.strings, id));
        let done = to.threads.intern(Thread { process, name, ..thread });
        self.threads[id.index()] = Some(done);
        done
    }

    fn process(&mut self, to: &mut Profile, id: ProcessId) -> ProcessId {
        if let Some(done) = self.processes[id.index()] {
            return done;
        }
        let process = self.from.processes.get(id).clone();
        let name = process.name.map(|id| self.string(&mut to.strings, id));
        let done = to.processes.intern(Process { name, ..process });
        self.processes[id.index()] = Some(done);
        done
    }

    /// The labels in the target.
    pub fn labels(&mut self, to: &mut Profile, id: LabelSetId) -> LabelSetId {
        if let Some(done) = self.label_sets[id.index()] {
            return done;
        }
        let labels = self.from.label_sets.get(id).iter().map(|label| Label {
            key: self.string(&mut to.strings, label.key),
            value: match label.value {
                LabelValue::Text(text) => LabelValue::Text(self.string(&mut to.strings, text)),
                LabelValue::Number(number, unit) => {
                    LabelValue::Number(number, unit.map(|id| self.string(&mut to.strings, id)))
                }
            },
        });
        let labels = labels.collect();
        let done = to.label_sets.intern(labels);
        self.label_sets[id.index()] = Some(done);
        done
    }

    /// Thread and labels of a sample in the target, with the stack as given (in the target's terms).
    pub fn sample(&mut self, to: &mut Profile, sample: Sample, stack: Option<StackId>) -> Sample {
        Sample {
            stack,
            thread: sample.thread.map(|id| self.thread(to, id)),
            time_ns: sample.time_ns,
            labels: sample.labels.map(|id| self.labels(to, id)),
        }
    }
}

impl Profile {
    /// A profile with this one's metadata and value types, and nothing else.
    pub fn emptied(&self) -> Self {
        Self { meta: self.meta.clone(), default_value: self.default_value, ..Self::new(self.value_types.clone()) }
    }

    /// The same samples with only the entries they use, in the order of their first use. The result depends on the
    /// samples and their order alone, not on how the tables came about: it makes parallel readers deterministic.
    ///
    /// # Errors
    /// Never for a profile that holds its invariants.
    pub fn compacted(&self) -> Result<Self, ValueOverflow> {
        let mut to = self.emptied();
        to.append(self)?;
        Ok(to)
    }

    /// Adds the samples of `other`. Value types are matched by name, unit and denominator, and added where this
    /// profile lacks them; metadata stays this profile's.
    ///
    /// # Errors
    /// When the values of a type would no longer sum to an `i64`; samples before that one have been added.
    pub fn append(&mut self, other: &Self) -> Result<(), ValueOverflow> {
        self.import(Importer::new(other))
    }

    /// The same samples with every text as `changed` says, those of the metadata too: what becomes equal is merged.
    ///
    /// # Errors
    /// Never for a profile that holds its invariants.
    pub fn with_texts(&self, changed: &dyn Fn(&str) -> String) -> Result<Self, ValueOverflow> {
        let mut to = self.emptied();
        to.import(Importer { text: Some(changed), ..Importer::new(self) })?;
        let meta = &mut to.meta;
        let texts = [&mut meta.producer, &mut meta.command, &mut meta.kernel, &mut meta.cpu, &mut meta.event];
        let texts = texts.into_iter().flatten().chain(&mut meta.notes).chain(meta.other.values_mut());
        texts.for_each(|text| *text = changed(text));
        Ok(to)
    }

    fn import(&mut self, mut importer: Importer<'_>) -> Result<(), ValueOverflow> {
        let other = importer.from;
        let mut columns = Vec::with_capacity(other.value_types.len());
        for value in &other.value_types {
            let column = self.column_of(value, &columns);
            columns.push(column);
        }
        let mut values = vec![0; self.value_types.len()];
        for (index, sample) in other.samples.iter().enumerate() {
            for (from, to) in columns.iter().enumerate() {
                values[*to] = other.samples.values(from)[index];
            }
            let stack = importer.stack(self, sample.stack);
            let sample = importer.sample(self, sample, stack);
            self.samples.push(sample, &values)?;
        }
        Ok(())
    }

    /// The first column of this type that is not `taken`: nothing forbids an input to have a type twice.
    fn column_of(&mut self, wanted: &ValueType, taken: &[usize]) -> usize {
        let free = |column: &usize| self.value_types[*column] == *wanted && !taken.contains(column);
        if let Some(column) = (0..self.value_types.len()).find(free) {
            return column;
        }
        self.value_types.push(wanted.clone());
        self.samples.add_column()
    }
}
