//! From a raw recording to a profile.

mod again;
mod hints;
pub(crate) mod kernel;
mod nameless;
mod names;
mod paths;
mod stacks;
mod values;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burnmark_model::{
    Frame, FrameId, Function, Module, ModuleId, ModuleKind, Parsed, Process, Profile, Sample, Samples, StackId,
    StringId, Thread, ThreadId, Warning,
};
use foldhash::fast::RandomState;
use rayon::prelude::*;

use crate::modules::Modules;
use crate::recording::{CodeKind, ModuleRow, Recording, SampleRows};
use crate::symbols::{Located, Names, NoKernelSymbols, Request, STACK, SymbolState, Symbolized, Wanted, symbolize};
pub use again::resymbolize;
use names::starts_thread;
use paths::Paths;

/// What to look up, and how.
#[derive(Clone, Debug)]
pub struct SymbolOptions {
    /// Show functions that were inlined as frames of their own.
    pub inlines: bool,
    /// Threads to use; 0 is one per CPU.
    pub threads: usize,
    /// Keep paths as they are. Else home folders are cut to `~`: they tell who recorded.
    pub keep_paths: bool,
    /// Home folders besides `/home/*` and `/root`.
    pub homes: Vec<String>,
}

impl Default for SymbolOptions {
    fn default() -> Self {
        Self { inlines: true, threads: 0, keep_paths: false, homes: Vec::new() }
    }
}

/// How far [`finish`] is; can be read from another thread.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicUsize,
    total: AtomicUsize,
}

impl Progress {
    /// Addresses looked up, and how many there are (0 until that is known).
    pub fn get(&self) -> (usize, usize) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    pub(crate) fn add_done(&self, count: usize) {
        self.done.fetch_add(count, Ordering::Relaxed);
    }
}

/// What [`finish`] returns.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// The profile, and what could not be found.
    pub parsed: Parsed,
    /// The modules that samples met, those with the most nameless samples first.
    pub modules: Vec<ModuleReport>,
}

/// What was found of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleReport {
    /// Its path, as it was recorded.
    pub path: String,
    /// Build-id in hexadecimal: the recorded one, else that of the file found. Empty if not known.
    pub build_id: String,
    /// The file that was read, if one was found. While recording it may have been seen through a process that is gone.
    pub file: Option<PathBuf>,
    /// What symbols it has, and why not more.
    pub symbols: SymbolState,
    /// Samples with a frame in it that has no name.
    pub nameless: u64,
}

/// Symbolizes a recording, and makes a profile of it: value types `samples/count` and, as the default, `cpu/nanoseconds`
/// if the event is a clock, else the event's name with the unit `events`. The metadata is the recording's; added are
/// `lost`, `complete_stacks`, notes, and in `other`: `stacks_end_in.MODULE` (samples whose stack doesn't reach its
/// thread's start, by the module of its outermost frame) and `no_symbols.MODULE` (samples with such a frame, and why).
///
/// What can't be found is a warning, and listed per module; it never fails. `progress` counts addresses.
pub fn finish(recording: Recording, modules: &Modules, options: &SymbolOptions, progress: &Progress) -> Finished {
    finish_with(recording, modules, options, progress, Names::default())
}

/// The same, with what was looked up already.
pub(crate) fn finish_with(
    mut recording: Recording,
    modules: &Modules,
    options: &SymbolOptions,
    progress: &Progress,
    names: Names,
) -> Finished {
    with_threads(options, move || {
        let mut samples = std::mem::take(&mut recording.samples);
        samples.shrink();
        let symbols = look_up(&recording, modules, options, progress, names);
        Builder::new(&recording, samples, symbols, options).build()
    })
}

fn with_threads<T: Send>(options: &SymbolOptions, work: impl FnOnce() -> T + Send) -> T {
    match rayon::ThreadPoolBuilder::new().num_threads(options.threads).stack_size(STACK).build() {
        Ok(pool) => pool.install(work),
        // No more threads are to be had: this one does.
        Err(_) => work(),
    }
}

/// What is known of each frame of a recording.
struct Looked<'a> {
    /// Per frame.
    located: Vec<Located>,
    /// Per frame of the kernel the index of its module's name in `kernel_modules`.
    kernel_module: Vec<u32>,
    kernel_modules: Vec<String>,
    /// The kernel's build-id in hexadecimal, where it has names.
    kernel_build_id: Option<String>,
    /// Per module; `None` for those that no sample met.
    modules: Vec<Option<ModuleSymbols>>,
    no_kernel: Option<(NoKernelSymbols, &'a str)>,
}

struct ModuleSymbols {
    build_id: Vec<u8>,
    is_virtual: bool,
    file: Option<PathBuf>,
    state: SymbolState,
}

fn look_up<'a>(
    recording: &'a Recording,
    files: &Modules,
    options: &SymbolOptions,
    progress: &Progress,
    mut names: Names,
) -> Looked<'a> {
    let mut requests: Vec<(Vec<Request>, Vec<usize>)> = vec![Default::default(); recording.modules.len()];
    for (index, frame) in recording.frames.iter().enumerate() {
        if let Some((requests, frames)) = requests.get_mut(frame.module as usize) {
            requests.push(Request { address: frame.address, is_return: frame.is_return });
            frames.push(index);
        }
    }
    progress.total.store(recording.frames.len(), Ordering::Relaxed);
    let mut order: Vec<usize> = (0..requests.len()).filter(|index| !requests[*index].0.is_empty()).collect();
    order.retain(|index| recording.modules[*index].kind != CodeKind::Kernel);
    let mut found: Vec<(usize, Symbolized)> = Vec::new();
    order.retain(|index| match names.take(*index, requests[*index].0.len()) {
        Some(names) => {
            found.push((*index, names));
            false
        }
        None => true,
    });
    // Large ones first, so that the threads end together.
    order.sort_by_key(|index| std::cmp::Reverse(requests[*index].0.len()));
    let wanted = Wanted { modules: files, inlines: options.inlines, are_virtual: false, progress };
    let in_modules = order
        .into_par_iter()
        .with_max_len(1)
        .map(|index| (index, symbolize(index as u32, &recording.modules[index], &requests[index].0, wanted)));
    let kernel = kernel::module(recording);
    let known = names.take_kernel();
    let read = |module| (module, kernel::known_or_read(known, recording, module, files.finder()));
    let (others, kernel): (Vec<(usize, Symbolized)>, _) = rayon::join(|| in_modules.collect(), || kernel.map(read));
    found.extend(others);
    let unknown = |frame: &crate::recording::FrameRow| Located { address: frame.address, ..Located::default() };
    let mut looked = Looked {
        located: recording.frames.iter().map(unknown).collect(),
        kernel_module: vec![0; recording.frames.len()],
        kernel_modules: vec!["[kernel.kallsyms]".into()],
        kernel_build_id: None,
        modules: recording.modules.iter().map(|_| None).collect(),
        no_kernel: None,
    };
    for (module, Symbolized { located, build_id, is_virtual, file, state }) in found {
        for (frame, located) in requests[module].1.iter().zip(located) {
            looked.located[*frame] = located;
        }
        looked.modules[module] = Some(ModuleSymbols { build_id, is_virtual, file, state });
    }
    if let Some((module, kernel)) = kernel {
        kernel::look_up(recording, module, kernel, &mut looked);
    }
    // Those of the kernel, and of no module.
    progress.done.store(recording.frames.len(), Ordering::Relaxed);
    looked
}

/// Makes the profile, in the order of samples: it is the same whatever the threads did.
struct Builder<'a> {
    /// But for its samples.
    recording: &'a Recording,
    /// Their columns become the profile's: there may be more of them than would find room twice.
    samples: SampleRows,
    looked: Looked<'a>,
    profile: Profile,
    values: values::Values,
    paths: Paths<'a>,
    /// Texts that are in the profile, by where they are in memory, which they don't leave: thousands of frames share one.
    texts: HashMap<*const u8, StringId, RandomState>,
    /// Per frame: its frames in the profile from the outermost on.
    frames: Vec<Option<Vec<FrameId>>>,
    stacks: Vec<Option<StackId>>,
    threads: Vec<Option<ThreadId>>,
    modules: Vec<Option<ModuleId>>,
    /// Per stack: its outermost frame.
    roots: Vec<u32>,
    warnings: Vec<Warning>,
}

impl<'a> Builder<'a> {
    fn new(recording: &'a Recording, samples: SampleRows, looked: Looked<'a>, options: &'a SymbolOptions) -> Self {
        let mut roots: Vec<u32> = Vec::with_capacity(recording.stacks.len());
        for stack in &recording.stacks {
            let root = roots.get(stack.parent as usize).copied().unwrap_or(stack.frame);
            roots.push(root);
        }
        let values = values::Values::of(recording, samples.len());
        let mut profile = Profile::new(values.types.clone());
        profile.default_value = values.default;
        profile.meta = recording.meta.clone();
        Self {
            profile,
            values,
            paths: Paths::new(options),
            texts: HashMap::default(),
            frames: vec![None; recording.frames.len()],
            stacks: vec![None; recording.stacks.len()],
            threads: vec![None; recording.threads.len()],
            modules: vec![None; recording.modules.len()],
            roots,
            warnings: Vec::new(),
            recording,
            samples,
            looked,
        }
    }

    fn build(mut self) -> Finished {
        self.stacks();
        let of_stack = self.samples_of_stacks();
        self.tell_completeness(&of_stack);
        let modules = self.tell_missing_symbols(&of_stack);
        let hints = hints::hints(self.recording, &self.samples, &self.looked, &modules);
        self.profile.meta.notes.extend(hints);
        self.samples();
        let Self { recording, mut profile, warnings, .. } = self;
        // The source counts what the kernel tells at the end, too; records tell of a part of the same losses.
        profile.meta.lost = Some(profile.meta.lost.unwrap_or(0).max(recording.lost_total()));
        Finished { parsed: Parsed { profile, warnings }, modules }
    }

    /// How many samples have each stack; the last are those with an empty one.
    fn samples_of_stacks(&self) -> Vec<u64> {
        let none = self.recording.stacks.len();
        let mut counts = vec![0; none + 1];
        for stack in &self.samples.stacks {
            counts[(*stack as usize).min(none)] += 1;
        }
        counts
    }

    /// All samples: column by column, each in its place, as long as their values can be added up.
    fn samples(&mut self) {
        let samples = std::mem::take(&mut self.samples);
        let mut last = None;
        for thread in &samples.threads {
            if last.replace(*thread) != Some(*thread) {
                self.thread(*thread);
            }
        }
        let add = |sum: i64, period: &u64| sum.checked_add(values::period(*period));
        if samples.periods.iter().try_fold(0, add).is_none() {
            return self.samples_that_fit(&samples);
        }
        let SampleRows { times, periods, stacks, threads } = samples;
        let of_stack = |stack: u32| self.stacks.get(stack as usize).copied().flatten();
        let of_thread = |thread: u32| self.threads[thread as usize];
        let ((stacks, threads), (times, values)) = rayon::join(
            || (stacks.into_iter().map(of_stack).collect(), threads.into_iter().map(of_thread).collect()),
            || (times.into_iter().map(time).collect(), self.values.columns(periods, self.recording)),
        );
        match Samples::from_columns(stacks, threads, times, values) {
            Ok(samples) => self.profile.samples = samples,
            Err(_) => unreachable!("all periods together can be added up"),
        }
    }

    /// All samples, those with a period that is too large to be added up with a period of 0.
    fn samples_that_fit(&mut self, samples: &SampleRows) {
        let mut too_large = 0_u64;
        for (index, row) in samples.iter().enumerate() {
            let sample = Sample {
                stack: self.stacks.get(row.stack as usize).copied().flatten(),
                thread: self.thread(row.thread),
                time_ns: Some(time(row.time)),
                labels: None,
            };
            let event = self.recording.event_of(index);
            if self.profile.samples.push(sample, self.values.of_sample(event, values::period(row.period))).is_err() {
                too_large += 1;
                // It counts as a sample still: their number fits, for they are in memory.
                let counted = self.profile.samples.push(sample, self.values.of_sample(event, 0));
                debug_assert!(counted.is_ok(), "a sum of ones fits");
            }
        }
        if too_large > 0 {
            let message = "periods add up to more than 2^63: these samples count with a period of 0".into();
            self.warnings.insert(0, Warning { message, position: None, count: too_large });
        }
    }

    fn is_kernel(&self, frame: u32) -> bool {
        let module = self.recording.frames[frame as usize].module;
        self.recording.modules.get(module as usize).is_some_and(|module| module.kind == CodeKind::Kernel)
    }

    /// Fills in the frames that a recorded one is in the profile.
    fn find_frames(&mut self, index: usize) {
        if self.frames[index].is_some() {
            return;
        }
        let frame = self.recording.frames[index];
        let module = self.module(index, frame.module);
        let located = std::mem::take(&mut self.looked.located[index]);
        let address = Some(located.address);
        let mut frames = Vec::with_capacity(located.functions.len().max(1));
        for (depth, named) in (0..).zip(&located.functions) {
            let (strings, paths) = (&mut self.profile.strings, &self.paths);
            let mut text = |text: &Arc<str>, is_path: bool| {
                let tidied = |text| if is_path { paths.tidy(text) } else { text.into() };
                *self.texts.entry(text.as_ptr()).or_insert_with(|| strings.intern(&tidied(text)))
            };
            let function = Function {
                name: text(&named.name.shown, false),
                system_name: named.name.system.as_ref().map(|name| text(name, false)),
                file: named.file.as_ref().map(|file| text(file, true)),
                start_line: named.start_line,
            };
            let function = Some(self.profile.functions.intern(function));
            let frame =
                Frame { function, module, address, line: named.line, column: named.column, inline_depth: depth };
            frames.push(self.profile.frames.intern(frame));
        }
        if located.functions.is_empty() {
            let frame = if self.looked.no_kernel.is_some() && self.is_kernel(index as u32) {
                let name = self.profile.strings.intern("[kernel]");
                let function = self.profile.functions.intern(Function::named(name));
                Frame { module, ..Frame::of(function) }
            } else {
                Frame { module, address, ..EMPTY }
            };
            frames.push(self.profile.frames.intern(frame));
        }
        self.looked.located[index] = located;
        self.frames[index] = Some(frames);
    }

    fn module(&mut self, frame: usize, module: u32) -> Option<ModuleId> {
        let row = self.recording.modules.get(module as usize)?;
        if row.kind == CodeKind::Kernel {
            let name = &self.looked.kernel_modules[self.looked.kernel_module[frame] as usize];
            let path = self.profile.strings.intern(name);
            let is_main = self.looked.kernel_module[frame] == 0;
            let build_id = self.looked.kernel_build_id.as_deref().filter(|_| is_main);
            let build_id = build_id.map(|id| self.profile.strings.intern(id));
            return Some(self.profile.modules.intern(Module {
                kind: ModuleKind::Kernel,
                build_id,
                ..Module::at(path)
            }));
        }
        if let Some(module) = self.modules[module as usize] {
            return Some(module);
        }
        let path = self.profile.strings.intern(&self.module_path(row));
        let symbols = self.looked.modules[module as usize].as_ref();
        let build_id = symbols.map(|symbols| &symbols.build_id).filter(|id| !id.is_empty());
        let build_id = build_id.map(|id| self.profile.strings.intern(&names::hex(id)));
        let kind = if row.kind == CodeKind::Anonymous { ModuleKind::Jit } else { ModuleKind::User };
        // A file that wasn't found: addresses are file offsets, which is what a mapping of offset 0 at 0 says.
        let in_file = matches!(row.kind, CodeKind::File | CodeKind::Vdso);
        let is_virtual = symbols.is_some_and(|symbols| symbols.is_virtual);
        let memory = if in_file && !is_virtual { [0, i64::MAX as u64, 0] } else { [0; 3] };
        let id = self.profile.modules.intern(Module { path, build_id, kind, memory });
        self.modules[module as usize] = Some(id);
        Some(id)
    }

    fn module_path(&self, row: &ModuleRow) -> String {
        self.paths.tidy(&String::from_utf8_lossy(&row.path)).into_owned()
    }

    fn thread(&mut self, index: u32) -> Option<ThreadId> {
        if let Some(thread) = self.threads[index as usize] {
            return Some(thread);
        }
        let row = &self.recording.threads[index as usize];
        let process = &self.recording.processes[row.process as usize];
        let strings = &mut self.profile.strings;
        let mut name = |name: &[u8]| (!name.is_empty()).then(|| strings.intern(&String::from_utf8_lossy(name)));
        let process = Process { pid: Some(process.pid.into()), name: name(&process.name) };
        let name = name(&row.name);
        let process = self.profile.processes.intern(process);
        let thread = self.profile.threads.intern(Thread { process, tid: Some(row.tid.into()), name });
        self.threads[index as usize] = Some(thread);
        Some(thread)
    }

    /// Counts stacks that reach their thread's start, and where the others end.
    fn tell_completeness(&mut self, of_stack: &[u64]) {
        // Per outermost frame, the last one standing for empty stacks.
        let mut counts = vec![0_u64; self.recording.frames.len() + 1];
        for (stack, count) in of_stack.iter().enumerate() {
            let root = self.roots.get(stack).map_or(self.recording.frames.len(), |root| *root as usize);
            counts[root] += count;
        }
        let mut complete = 0;
        let mut ends: BTreeMap<String, u64> = BTreeMap::new();
        for (root, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            let frame = self.recording.frames.get(root);
            if frame.is_some() && starts_thread(&self.looked.located[root], self.is_kernel(root as u32)) {
                complete += count;
                continue;
            }
            let module = frame.and_then(|frame| self.recording.modules.get(frame.module as usize));
            let module = module.map_or("[unknown]".into(), |module| self.module_path(module));
            *ends.entry(module).or_default() += count;
        }
        self.profile.meta.complete_stacks = Some(complete);
        for (module, count) in ends {
            self.profile.meta.other.insert(format!("stacks_end_in.{module}"), count.to_string());
        }
    }

    /// Warns of modules with frames that have no symbol, with the samples such frames are in, and reports on all.
    fn tell_missing_symbols(&mut self, of_stack: &[u64]) -> Vec<ModuleReport> {
        if let Some((_, why)) = self.looked.no_kernel {
            self.profile.meta.notes.push(format!("kernel frames have no names: {why}"));
        }
        let counts = nameless::samples(self.recording, of_stack, &self.looked);
        let met = (0..).zip(&self.looked.modules).filter(|(_, symbols)| symbols.is_some());
        let mut counts: Vec<(u32, u64)> =
            met.map(|(module, _)| (module, counts.get(&module).copied().unwrap_or(0))).collect();
        counts.sort_by_key(|(module, count)| (std::cmp::Reverse(*count), *module));
        let mut reports = Vec::with_capacity(counts.len());
        for (module, count) in counts {
            let row = &self.recording.modules[module as usize];
            let Some(symbols) = &self.looked.modules[module as usize] else { continue };
            let reason = &symbols.state;
            let path = self.module_path(row);
            let build_id = if row.build_id.is_empty() { &symbols.build_id[..] } else { &row.build_id };
            reports.push(ModuleReport {
                path: String::from_utf8_lossy(&row.path).into(),
                build_id: names::hex(build_id),
                file: symbols.file.clone(),
                symbols: symbols.state.clone(),
                nameless: count,
            });
            if count == 0 {
                continue;
            }
            // The rest is in the metadata.
            if count.saturating_mul(WARN_FROM) >= self.samples.len() as u64 {
                let message = format!("no symbols for {path}: {reason}");
                self.warnings.push(Warning { message, position: None, count });
            }
            self.profile.meta.other.insert(format!("no_symbols.{path}"), format!("{count} samples: {reason}"));
        }
        reports
    }
}

fn time(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// A module is warned of if at least one in so many samples met code without a name in it.
const WARN_FROM: u64 = 200;

const EMPTY: Frame = Frame { function: None, module: None, address: None, line: 0, column: 0, inline_depth: 0 };

#[cfg(test)]
#[path = "finish/tests.rs"]
mod tests;
