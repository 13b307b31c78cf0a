//! Choosing samples and frames: a profile in, a smaller one out.

use burnmark_model::{
    Frame, FrameId, Function, FunctionId, Id, Importer, Module, ModuleId, Profile, Sample, Stack, StackId, Table,
    ThreadId,
};
use regex::Regex;

use crate::Error;
use crate::place::{MergeBy, Places};

/// Which threads to keep.
#[derive(Clone, Debug)]
pub enum ThreadSelector {
    /// The thread with this tid.
    Tid(i64),
    /// Threads whose name this matches anywhere.
    Name(Regex),
}

impl ThreadSelector {
    /// A number is a tid, anything else a regular expression for the name.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, regex::Error> {
        match text.parse() {
            Ok(tid) => Ok(Self::Tid(tid)),
            Err(_) => Regex::new(text).map(Self::Name),
        }
    }
}

/// What to keep. The default keeps all.
///
/// Regular expressions match anywhere in a frame's function name, source file or module path, as pprof's do; a frame
/// without a function has the name that [`Profile::frame_name`] gives. They see all frames, those that `hide` removes
/// too, but not those that `no_inline` removes. Of several, one that matches is enough.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Keep samples with a frame that matches.
    pub focus: Vec<Regex>,
    /// Drop samples with a frame that matches.
    pub ignore: Vec<Regex>,
    /// Remove frames that match. A sample whose frames are all removed stays, without a stack.
    pub hide: Vec<Regex>,
    /// Keep samples of these threads.
    pub threads: Vec<ThreadSelector>,
    /// Keep samples of these processes.
    pub pids: Vec<i64>,
    /// Keep samples from this time on, in nanoseconds after the first sample.
    pub from_ns: Option<i64>,
    /// Keep samples before this time, in nanoseconds after the first sample.
    pub to_ns: Option<i64>,
    /// Remove inlined frames: what they consumed is the function's they were inlined into.
    pub no_inline: bool,
    /// Make frames that are the same in this sense one frame. `None` keeps them apart, with addresses and lines.
    pub merge_by: Option<MergeBy>,
}

impl Filter {
    /// Whether it keeps everything as it is.
    pub fn keeps_all(&self) -> bool {
        self.focus.is_empty()
            && self.ignore.is_empty()
            && self.hide.is_empty()
            && self.threads.is_empty()
            && self.pids.is_empty()
            && self.from_ns.is_none()
            && self.to_ns.is_none()
            && !self.no_inline
            && self.merge_by.is_none()
    }
}

/// A new profile with what the filter keeps. It may have no samples.
///
/// What was known of the whole recording only, and is not true of the rest, is dropped from the metadata: the number of
/// complete stacks if samples went, the duration if `from_ns` or `to_ns` cut it.
///
/// # Errors
/// When the filter asks for times, threads or pids and no sample has them.
pub fn filter(profile: &Profile, filter: &Filter) -> Result<Profile, Error> {
    let times = time_window(profile, filter)?;
    let threads = wanted_threads(profile, filter)?;
    let keep = kept_stacks(profile, filter);

    let mut to = profile.emptied();
    let mut rewriter = Rewriter::new(profile, filter);
    let mut values = vec![0; profile.samples.columns()];
    for (index, sample) in profile.samples.iter().enumerate() {
        let in_time = times.is_none_or(|times| sample.time_ns.is_some_and(|time| times.contains(time)));
        let in_threads = threads.as_ref().is_none_or(|wanted| sample.thread.is_some_and(|id| wanted[id.index()]));
        let kept = sample.stack.map_or(filter.focus.is_empty(), |id| keep.as_ref().is_none_or(|keep| keep[id.index()]));
        if !(in_time && in_threads && kept) {
            continue;
        }
        for (column, value) in values.iter_mut().enumerate() {
            *value = profile.samples.values(column)[index];
        }
        rewriter.push(&mut to, sample, &values);
    }
    if to.samples.len() < profile.samples.len() {
        to.meta.complete_stacks = None;
    }
    if filter.from_ns.is_some() || filter.to_ns.is_some() {
        to.meta.duration_ns = None;
    }
    Ok(to)
}

/// A half-open span of time in the samples' own clock. It may be wider than that clock.
#[derive(Clone, Copy)]
struct Window {
    from: i128,
    to: i128,
}

impl Window {
    fn contains(self, time: i64) -> bool {
        (self.from..self.to).contains(&i128::from(time))
    }
}

fn time_window(profile: &Profile, filter: &Filter) -> Result<Option<Window>, Error> {
    let flag = match (filter.from_ns, filter.to_ns) {
        (None, None) => return Ok(None),
        (Some(_), _) => "--from",
        (None, Some(_)) => "--to",
    };
    let (first, _) = profile.samples.time_range().ok_or(Error::NoTimes { flag })?;
    let at = |offset: Option<i64>, else_: i128| offset.map_or(else_, |ns| i128::from(first) + i128::from(ns));
    Ok(Some(Window { from: at(filter.from_ns, i128::MIN), to: at(filter.to_ns, i128::MAX) }))
}

/// Per thread whether it is wanted; `None` if all are.
fn wanted_threads(profile: &Profile, filter: &Filter) -> Result<Option<Vec<bool>>, Error> {
    if filter.threads.is_empty() && filter.pids.is_empty() {
        return Ok(None);
    }
    let used = || profile.samples.iter().filter_map(|sample| sample.thread);
    if !filter.threads.is_empty() && used().next().is_none() {
        return Err(Error::NoThreads { flag: "--thread" });
    }
    let pid = |id: ThreadId| profile.processes.get(profile.threads.get(id).process).pid;
    if !filter.pids.is_empty() && !used().any(|id| pid(id).is_some()) {
        return Err(Error::NoPids { flag: "--pid" });
    }
    let wanted = profile.threads.iter().map(|(id, thread)| {
        let name = || thread.name.map(|id| profile.strings.get(id));
        let selected = filter.threads.iter().any(|selector| match selector {
            ThreadSelector::Tid(tid) => thread.tid == Some(*tid),
            ThreadSelector::Name(regex) => name().is_some_and(|name| regex.is_match(name)),
        });
        let right_thread = filter.threads.is_empty() || selected;
        let right_process = filter.pids.is_empty() || pid(id).is_some_and(|pid| filter.pids.contains(&pid));
        right_thread && right_process
    });
    Ok(Some(wanted.collect()))
}

/// Per stack whether its samples are kept; `None` if all are. A stack is judged by its own frame and its parent's
/// judgement.
fn kept_stacks(profile: &Profile, filter: &Filter) -> Option<Vec<bool>> {
    if filter.focus.is_empty() && filter.ignore.is_empty() {
        return None;
    }
    let focus = Matches::new(profile, &filter.focus);
    let ignore = Matches::new(profile, &filter.ignore);
    let mut focused: Vec<bool> = Vec::with_capacity(profile.stacks.len());
    let mut ignored: Vec<bool> = Vec::with_capacity(profile.stacks.len());
    for (_, stack) in profile.stacks.iter() {
        let (mut in_focus, mut in_ignore) = match stack.parent {
            Some(parent) => (focused[parent.index()], ignored[parent.index()]),
            None => (filter.focus.is_empty(), false),
        };
        if !(filter.no_inline && profile.frames.get(stack.frame).inline_depth > 0) {
            in_focus |= focus.matches(stack.frame);
            in_ignore |= ignore.matches(stack.frame);
        }
        focused.push(in_focus);
        ignored.push(in_ignore);
    }
    Some(focused.into_iter().zip(ignored).map(|(focused, ignored)| focused && !ignored).collect())
}

/// Which frames some regular expression matches.
struct Matches(Vec<bool>);

impl Matches {
    /// Looks at each function and each module once.
    fn new(profile: &Profile, regexes: &[Regex]) -> Self {
        if regexes.is_empty() {
            return Self(Vec::new());
        }
        let any = |text: &str| regexes.iter().any(|regex| regex.is_match(text));
        let functions = per_entry(&profile.functions, |_: FunctionId, function: &Function| {
            any(profile.strings.get(function.name)) || function.file.is_some_and(|file| any(profile.strings.get(file)))
        });
        let modules = per_entry(&profile.modules, |_: ModuleId, module: &Module| any(profile.strings.get(module.path)));
        Self(per_entry(&profile.frames, |id: FrameId, frame: &Frame| {
            frame.module.is_some_and(|id| modules[id.index()])
                || match frame.function {
                    Some(function) => functions[function.index()],
                    None => any(&profile.frame_name(id)),
                }
        }))
    }

    fn matches(&self, frame: FrameId) -> bool {
        self.0.get(frame.index()).copied().unwrap_or(false)
    }
}

fn per_entry<I: Id, T: std::hash::Hash + Eq>(table: &Table<I, T>, mut judge: impl FnMut(I, &T) -> bool) -> Vec<bool> {
    table.iter().map(|(id, entry)| judge(id, entry)).collect()
}

/// Copies samples with their stacks rewritten.
struct Rewriter<'a> {
    profile: &'a Profile,
    importer: Importer<'a>,
    hidden: Matches,
    no_inline: bool,
    merge: Option<(MergeBy, Places<'a>)>,
    /// Per stack of the source its stack in the target, where known.
    stacks: Vec<Option<Option<StackId>>>,
    /// Per frame of the source its frame in the target, where known.
    frames: Vec<Option<FrameId>>,
    pending: Vec<StackId>,
}

impl<'a> Rewriter<'a> {
    fn new(profile: &'a Profile, filter: &Filter) -> Self {
        Self {
            profile,
            importer: Importer::new(profile),
            hidden: Matches::new(profile, &filter.hide),
            no_inline: filter.no_inline,
            merge: filter.merge_by.map(|merge_by| (merge_by, Places::new(profile, merge_by))),
            stacks: vec![None; profile.stacks.len()],
            frames: vec![None; profile.frames.len()],
            pending: Vec::new(),
        }
    }

    fn push(&mut self, to: &mut Profile, sample: Sample, values: &[i64]) {
        let stack = self.stack(to, sample.stack);
        let sample = self.importer.sample(to, sample, stack);
        to.samples.push(sample, values).expect("a part of a profile's values sums to no more than all of them");
    }

    fn stack(&mut self, to: &mut Profile, id: Option<StackId>) -> Option<StackId> {
        let mut pending = std::mem::take(&mut self.pending);
        let mut next = id;
        let mut parent = None;
        while let Some(id) = next {
            if let Some(known) = self.stacks[id.index()] {
                parent = known;
                break;
            }
            pending.push(id);
            next = self.profile.stacks.get(id).parent;
        }
        while let Some(id) = pending.pop() {
            parent = self.step(to, parent, self.profile.stacks.get(id).frame);
            self.stacks[id.index()] = Some(parent);
        }
        self.pending = pending;
        parent
    }

    /// The target's stack for a frame called from the target's `parent`.
    fn step(&mut self, to: &mut Profile, parent: Option<StackId>, frame: FrameId) -> Option<StackId> {
        let inlined = self.profile.frames.get(frame).inline_depth > 0;
        if self.hidden.matches(frame) || (self.no_inline && inlined) {
            return parent;
        }
        let frame = self.frame(to, frame);
        let one_per_run = matches!(self.merge, Some((MergeBy::Module, _)));
        if one_per_run && parent.is_some_and(|parent| to.stacks.get(parent).frame == frame) {
            return parent;
        }
        Some(to.stacks.intern(Stack { parent, frame }))
    }

    fn frame(&mut self, to: &mut Profile, id: FrameId) -> FrameId {
        if let Some(known) = self.frames[id.index()] {
            return known;
        }
        let done = match &self.merge {
            None => self.importer.frame(to, id),
            Some((merge_by, places)) => {
                // All frames at a place take the same one's function, so that they become equal.
                let shown = *self.profile.frames.get(places.frames[places.of(id) as usize]);
                let frame = self.profile.frames.get(id);
                let (merge_by, inline_depth) = (*merge_by, frame.inline_depth);
                self.merged_frame(to, merge_by, shown, inline_depth)
            }
        };
        self.frames[id.index()] = Some(done);
        done
    }

    fn merged_frame(&mut self, to: &mut Profile, merge_by: MergeBy, shown: Frame, inline_depth: u32) -> FrameId {
        let module = shown.module.map(|id| self.plain_module(to, id));
        let function = match merge_by {
            MergeBy::Function | MergeBy::Line => shown.function.map(|id| self.importer.function(to, id)),
            MergeBy::Module => {
                let name = shown.module.map_or("[unknown]", |id| self.profile.module_name(id));
                let function = Function::named(to.strings.intern(name));
                Some(to.functions.intern(function))
            }
        };
        let (line, inline_depth) = match merge_by {
            MergeBy::Function => (0, inline_depth),
            MergeBy::Line => (shown.line, inline_depth),
            MergeBy::Module => (0, 0),
        };
        to.frames.intern(Frame { function, module, address: None, line, column: 0, inline_depth })
    }

    /// Without addresses a module's place in memory means nothing.
    fn plain_module(&mut self, to: &mut Profile, id: ModuleId) -> ModuleId {
        let module = self.profile.modules.get(id);
        let path = self.importer.string(&mut to.strings, module.path);
        let build_id = module.build_id.map(|id| self.importer.string(&mut to.strings, id));
        to.modules.intern(Module { path, build_id, memory: [0; 3], ..*module })
    }
}
