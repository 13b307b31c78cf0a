//! From what lines say to entries of a profile.

use std::borrow::Cow;

use burnmark_model::{Frame, FrameId, Function, Module, Process, ProcessId, Profile, Thread, ThreadId, ValueType};

use super::frame::{FrameText, SourceText};
use super::header::ThreadText;
use crate::modules::kind_of;

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

/// The entry of a frame.
pub(super) fn make_frame(
    profile: &mut Profile,
    symbol: Option<&str>,
    module: Option<&str>,
    place: Option<(&str, u32)>,
    inline_depth: u32,
) -> FrameId {
    let module = module.map(|path| {
        let path_id = profile.strings.intern(path);
        profile.modules.intern(Module { kind: kind_of(path), ..Module::at(path_id) })
    });
    let function = symbol.map(|symbol| {
        let name = profile.strings.intern(symbol);
        let file = place.map(|(file, _)| profile.strings.intern(file));
        profile.functions.intern(Function { file, ..Function::named(name) })
    });
    let line = place.filter(|_| function.is_some()).map_or(0, |(_, line)| line);
    profile.frames.intern(Frame { function, module, address: None, line, column: 0, inline_depth })
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

/// The name under which events are taken together that are too many.
pub(super) const OTHER_EVENTS: &str = "other events";

/// How many events get columns of their own: so many that the columns of this many samples stay below 2 GiB, as each
/// event's columns hold all samples.
pub(super) fn max_events(samples: usize) -> usize {
    ((2usize << 30) / (16 * samples.max(1))).clamp(32, 1024)
}
