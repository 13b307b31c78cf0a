//! The profile's tables.

use crate::meta::Meta;
use crate::samples::Samples;
use crate::table::{Strings, Table, ids};

ids! {
    /// A text in [`Profile::strings`].
    StringId;
    /// A module in [`Profile::modules`].
    ModuleId;
    /// A function in [`Profile::functions`].
    FunctionId;
    /// A frame in [`Profile::frames`].
    FrameId;
    /// A stack in [`Profile::stacks`]. The empty stack is `None`.
    StackId;
    /// A process in [`Profile::processes`].
    ProcessId;
    /// A thread in [`Profile::threads`].
    ThreadId;
    /// A set of labels in [`Profile::label_sets`].
    LabelSetId;
}

/// What one column of sample values measures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ValueType {
    /// The event or quantity: `samples`, `cpu`, `cpu-clock`, `cycles`, `alloc_space`, …
    pub name: String,
    /// The unit in pprof's terms: `count`, `nanoseconds`, `bytes`, … Unknown units are kept as they are.
    pub unit: String,
    /// Stored values are this many times the real ones. It is 1 but for inputs with fractional counts, where it is a
    /// power of ten up to 10⁶.
    pub denominator: u32,
}

impl ValueType {
    /// A value type with whole values.
    pub fn new(name: impl Into<String>, unit: impl Into<String>) -> Self {
        Self { name: name.into(), unit: unit.into(), denominator: 1 }
    }

    /// How many samples: `samples` in `count`.
    pub fn samples() -> Self {
        Self::new("samples", "count")
    }

    /// Whether values are times in nanoseconds.
    pub fn is_time(&self) -> bool {
        self.unit == "nanoseconds"
    }
}

/// What a module is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ModuleKind {
    /// An executable or shared library, or anything not known to be one of the others.
    #[default]
    User,
    /// The kernel or a kernel module.
    Kernel,
    /// Code made at run time: a JIT compiler's, or anonymous executable memory.
    Jit,
}

/// An executable, a library, the kernel, a script bundle: where code comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Module {
    /// Full path, or a name in brackets such as `[kernel.kallsyms]` and `[vdso]`.
    pub path: StringId,
    /// Build-id in lower-case hexadecimal.
    pub build_id: Option<StringId>,
    /// What it is.
    pub kind: ModuleKind,
    /// First address, limit and file offset of the mapping as pprof's `Mapping` has them; zero where frames' addresses
    /// are the module's own virtual addresses (as in burnmark's recordings) or not known.
    pub memory: [u64; 3],
}

impl Module {
    /// A user-space module of which only the path is known.
    pub fn at(path: StringId) -> Self {
        Self { path, build_id: None, kind: ModuleKind::User, memory: [0; 3] }
    }
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Function {
    /// The name to show, demangled.
    pub name: StringId,
    /// The linker's name, where it differs.
    pub system_name: Option<StringId>,
    /// Source file.
    pub file: Option<StringId>,
    /// Line of its definition, from 1; 0 if not known.
    pub start_line: u32,
}

impl Function {
    /// A function of which only the name is known.
    pub fn named(name: StringId) -> Self {
        Self { name, system_name: None, file: None, start_line: 0 }
    }
}

/// A place in the code.
///
/// Frames at one address, from the function the machine code belongs to (`inline_depth` 0, outermost) to the innermost
/// inlined one, follow each other from root to leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// `None` if the address has no symbol.
    pub function: Option<FunctionId>,
    /// Where the code comes from.
    pub module: Option<ModuleId>,
    /// The address in the terms of [`Module::memory`].
    pub address: Option<u64>,
    /// Source line in the function's file, from 1; 0 if not known.
    pub line: u32,
    /// Source column, from 1; 0 if not known.
    pub column: u32,
    /// 0 for a real call frame, 1 and up for functions inlined into it.
    pub inline_depth: u32,
}

impl Frame {
    /// A frame of which only the function is known.
    pub fn of(function: FunctionId) -> Self {
        Self { function: Some(function), module: None, address: None, line: 0, column: 0, inline_depth: 0 }
    }
}

/// A stack as one step of a prefix tree: a frame, called from the parent's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stack {
    /// The callers; `None` at the root. Its id is smaller than this stack's.
    pub parent: Option<StackId>,
    /// The frame at this stack's leaf end.
    pub frame: FrameId,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its pid; `None` if the input names processes only.
    pub pid: Option<i64>,
    /// Its name.
    pub name: Option<StringId>,
}

/// A thread. A thread that changes its name (by exec, say) becomes another entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Thread {
    /// The process it belongs to.
    pub process: ProcessId,
    /// Its tid; `None` if the input names threads only.
    pub tid: Option<i64>,
    /// Its name.
    pub name: Option<StringId>,
}

/// The value of a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LabelValue {
    /// A text.
    Text(StringId),
    /// A number, with a unit if there is one.
    Number(i64, Option<StringId>),
}

/// Something that is known of a sample beyond its columns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// The label's name.
    pub key: StringId,
    /// The label's value.
    pub value: LabelValue,
}

/// The labels of a sample, in the input's order.
pub type LabelSet = Box<[Label]>;

/// A profile. See the crate's documentation for its invariants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// What is known of how it was made.
    pub meta: Meta,
    /// One per column of sample values.
    pub value_types: Vec<ValueType>,
    /// The index of the value type to show when none is asked for.
    pub default_value: usize,
    /// All texts.
    pub strings: Strings<StringId>,
    /// All modules.
    pub modules: Table<ModuleId, Module>,
    /// All functions.
    pub functions: Table<FunctionId, Function>,
    /// All frames.
    pub frames: Table<FrameId, Frame>,
    /// All stacks, parents first.
    pub stacks: Table<StackId, Stack>,
    /// All processes.
    pub processes: Table<ProcessId, Process>,
    /// All threads.
    pub threads: Table<ThreadId, Thread>,
    /// All sets of labels.
    pub label_sets: Table<LabelSetId, LabelSet>,
    /// The samples.
    pub samples: Samples,
}

impl Profile {
    /// An empty profile with these value types, of which the first is the default.
    pub fn new(value_types: Vec<ValueType>) -> Self {
        let samples = Samples::new(value_types.len());
        Self { value_types, samples, ..Self::default() }
    }

    /// The stack of `frame` called from `parent`.
    pub fn push_frame(&mut self, parent: Option<StackId>, frame: FrameId) -> StackId {
        self.stacks.intern(Stack { parent, frame })
    }

    /// The frames of a stack from leaf to root.
    pub fn frames_leaf_first(&self, stack: Option<StackId>) -> impl Iterator<Item = FrameId> {
        std::iter::successors(stack.map(|id| self.stacks.get(id)), |stack| {
            stack.parent.map(|parent| self.stacks.get(parent))
        })
        .map(|stack| stack.frame)
    }

    /// Finds a value type by `name` or `name/unit`; a name alone takes the first of that name.
    pub fn find_value(&self, wanted: &str) -> Option<usize> {
        self.value_types
            .iter()
            .position(|value| format!("{}/{}", value.name, value.unit) == wanted)
            .or_else(|| self.value_types.iter().position(|value| value.name == wanted))
    }

    /// The module's last path component, as tables show it.
    pub fn module_name(&self, module: ModuleId) -> &str {
        let path = self.strings.get(self.modules.get(module).path);
        match path.rsplit('/').next() {
            Some(name) if !name.is_empty() && !path.starts_with('[') => name,
            _ => path,
        }
    }

    /// The function's name, or for a frame without one what is known: `module+0xaddress`, `[module]`, `[unknown]`.
    pub fn frame_name(&self, frame: FrameId) -> std::borrow::Cow<'_, str> {
        let frame = self.frames.get(frame);
        match (frame.function, frame.module, frame.address) {
            (Some(function), _, _) => self.strings.get(self.functions.get(function).name).into(),
            (None, Some(module), Some(address)) => format!("{}+{address:#x}", self.module_name(module)).into(),
            (None, Some(module), None) => format!("[{}]", self.module_name(module).trim_matches(['[', ']'])).into(),
            (None, None, Some(address)) => format!("{address:#x}").into(),
            (None, None, None) => "[unknown]".into(),
        }
    }
}
