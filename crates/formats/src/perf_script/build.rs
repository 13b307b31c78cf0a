//! From what lines say to entries of a profile.

use std::borrow::Cow;

use burnmark_model::{
    Frame, Function, Module, ModuleKind, Process, ProcessId, Profile, StackId, Thread, ThreadId, ValueType,
};

use super::frame::{FrameText, SourceText};
use super::header::ThreadText;

/// One step of a stack as the text lists it, leaf first: a frame, or the source line of the frame before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Item {
    Frame { symbol: Option<Box<str>>, module: Option<Box<str>>, inlined: bool },
    Source { place: Option<(Box<str>, u32)>, inlined: bool },
}

impl Item {
    /// The item, and whether its text had to be mended.
    pub(super) fn of_frame(text: &FrameText<'_>) -> (Self, bool) {
        let mut mended = false;
        let symbol = text.symbol.map(|text| own(text, &mut mended));
        let module = text.module.map(|text| own(text, &mut mended));
        (Self::Frame { symbol, module, inlined: text.inlined }, mended)
    }

    /// The item, and whether its text had to be mended.
    pub(super) fn of_source(text: &SourceText<'_>) -> (Self, bool) {
        let mut mended = false;
        let place = text.place.map(|(file, line)| (own(file, &mut mended), line));
        (Self::Source { place, inlined: text.inlined }, mended)
    }
}

/// Text as UTF-8; sets `mended` if it was not.
pub(super) fn own(text: &[u8], mended: &mut bool) -> Box<str> {
    let text = String::from_utf8_lossy(text);
    *mended |= matches!(text, Cow::Owned(_));
    text.into_owned().into_boxed_str()
}

/// Who was sampled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ThreadKey {
    pub(super) comm: Box<str>,
    pub(super) pid: Option<i64>,
    pub(super) tid: Option<i64>,
}

impl ThreadKey {
    /// The key, and whether its text had to be mended; `None` if nothing is known.
    pub(super) fn of(text: &ThreadText<'_>) -> Option<(Self, bool)> {
        let mut mended = false;
        let comm = own(text.comm, &mut mended);
        let key = Self { comm, pid: text.pid, tid: text.tid };
        (*text != ThreadText::default()).then_some((key, mended))
    }
}

/// The names of processes by pid, as far as samples tell: what their main thread was called last, or else the name that
/// came first.
#[derive(Debug, Default)]
pub(super) struct ProcessNames(std::collections::HashMap<i64, (Box<str>, bool)>);

impl ProcessNames {
    /// Takes note of the threads of samples, in their order.
    pub(super) fn see(&mut self, thread: &ThreadKey) {
        let Some(pid) = thread.pid else { return };
        let is_main = thread.tid == Some(pid);
        match self.0.get_mut(&pid) {
            None => drop(self.0.insert(pid, (thread.comm.clone(), is_main))),
            Some(name) if is_main && (!name.1 || name.0 != thread.comm) => *name = (thread.comm.clone(), true),
            Some(_) => {}
        }
    }

    /// The thread's entry in the profile.
    pub(super) fn thread(&self, profile: &mut Profile, thread: &ThreadKey) -> ThreadId {
        let process = self.process(profile, thread);
        let name = (!thread.comm.is_empty()).then(|| profile.strings.intern(&thread.comm));
        profile.threads.intern(Thread { process, tid: thread.tid, name })
    }

    /// Where pids are not printed, threads of one name are taken together.
    fn process(&self, profile: &mut Profile, thread: &ThreadKey) -> ProcessId {
        let named = thread.pid.and_then(|pid| self.0.get(&pid)).map_or(&thread.comm, |(name, _)| name);
        let name = (!named.is_empty()).then(|| profile.strings.intern(named));
        profile.processes.intern(Process { pid: thread.pid, name })
    }
}

/// Walks from a stack's root to its leaf, making the frames of its items.
#[derive(Debug, Default)]
pub(super) struct RootFirst<'a> {
    source: Option<(&'a Item, bool)>,
    module: Option<&'a str>,
    inline_depth: u32,
}

impl<'a> RootFirst<'a> {
    /// The frame of the next item, if it is one: a source line belongs to the frame that follows it from this side.
    /// perf prints no module with inlined frames: it is that of the frame they are inlined into.
    pub(super) fn frame(&mut self, profile: &mut Profile, item: &'a Item) -> Option<burnmark_model::FrameId> {
        let (symbol, module, inlined) = match item {
            Item::Source { inlined, .. } => {
                self.source = Some((item, *inlined));
                return None;
            }
            Item::Frame { symbol, module, inlined } => (symbol, module.as_deref(), *inlined),
        };
        let source = self.source.take();
        if inlined || source.is_some_and(|(_, inlined)| inlined) {
            self.inline_depth += 1;
            self.module = module.or(self.module);
        } else {
            self.inline_depth = 0;
            self.module = module;
        }
        let place = match source {
            Some((Item::Source { place: Some((file, line)), .. }, _)) => Some((&**file, *line)),
            _ => None,
        };
        let module = self.module.map(|path| {
            let path_id = profile.strings.intern(path);
            profile.modules.intern(Module { kind: module_kind(path), ..Module::at(path_id) })
        });
        let function = symbol.as_deref().map(|symbol| {
            let name = profile.strings.intern(symbol);
            let file = place.map(|(file, _)| profile.strings.intern(file));
            profile.functions.intern(Function { file, ..Function::named(name) })
        });
        let line = place.filter(|_| function.is_some()).map_or(0, |(_, line)| line);
        let frame = Frame { function, module, address: None, line, column: 0, inline_depth: self.inline_depth };
        Some(profile.frames.intern(frame))
    }
}

/// The stack of these items, which are listed leaf first.
pub(super) fn stack_of(profile: &mut Profile, items: &[Item]) -> Option<StackId> {
    let mut walk = RootFirst::default();
    let mut stack = None;
    for item in items.iter().rev() {
        if let Some(frame) = walk.frame(profile, item) {
            stack = Some(profile.push_frame(stack, frame));
        }
    }
    stack
}

/// What a module is, by perf's naming.
pub(super) fn module_kind(path: &str) -> ModuleKind {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    let jit_map = name.strip_prefix("perf-").and_then(|rest| rest.strip_suffix(".map"));
    let jit_image = name.strip_prefix("jitted-").is_some_and(|rest| rest.ends_with(".so"));
    if jit_map.is_some_and(|pid| pid.bytes().all(|byte| byte.is_ascii_digit())) || jit_image {
        return ModuleKind::Jit;
    }
    if path.starts_with("[JIT]")
        || path.starts_with("[anon")
        || path.starts_with("//anon")
        || path.starts_with("/memfd:")
    {
        return ModuleKind::Jit;
    }
    if path.starts_with('[') {
        let user = ["[vdso", "[vsyscall", "[heap", "[stack", "[uprobes", "[vectors", "[sigpage"];
        return if user.iter().any(|start| path.starts_with(start)) { ModuleKind::User } else { ModuleKind::Kernel };
    }
    let is_object = [".ko", ".ko.xz", ".ko.gz", ".ko.zst"].iter().any(|end| name.ends_with(end));
    let is_image =
        name == "vmlinux" || name.starts_with("vmlinux-") || path == "/proc/kcore" || path == "/proc/kallsyms";
    if is_object || is_image { ModuleKind::Kernel } else { ModuleKind::User }
}

/// The name of samples whose event is not printed.
pub(super) const NO_EVENT: &str = "samples";

/// How many of an event there are.
pub(super) fn count_of(event: &str) -> ValueType {
    ValueType::new(event, "count")
}

/// What its periods sum to.
pub(super) fn period_of(event: &str) -> ValueType {
    let name = event.split(':').next().unwrap_or(event);
    let unit = if matches!(name, "cpu-clock" | "task-clock") { "nanoseconds" } else { "events" };
    ValueType::new(event, unit)
}
