//! Names for a profile that was written without them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::Ordering;

use burnmark_model::{
    Frame, FrameId, Function, Id, Importer, ModuleId, ModuleKind, Parsed, Profile, Stack, StackId, StringId, Warning,
};
use foldhash::fast::RandomState;
use rayon::prelude::*;

use super::paths::Paths;
use super::{Finished, ModuleReport, Progress, SymbolOptions, names, with_threads};
use crate::modules::Modules;
use crate::recording::{CodeKind, ModuleRow};
use crate::symbols::{Located, Request, SymbolState, Symbolized, Wanted, symbolize};

/// Looks up the addresses of a profile that was recorded elsewhere, or before debug files were installed: of modules
/// whose files (or debug files) `modules` finds, by build-id where the profile has it. Code without a name gets one, and
/// code with a name but no line is named anew where lines are known now. Everything else stays as it is.
///
/// The reports tell of every module with addresses that could be looked up, `nameless` being samples that had, and still
/// have, a frame in it without a name.
pub fn resymbolize(profile: &Profile, modules: &Modules, options: &SymbolOptions, progress: &Progress) -> Finished {
    with_threads(options, || {
        let asked = Asked::of(profile);
        let looked = look_up(profile, &asked, modules, options, progress);
        let mut renamed = rename(profile, &looked, options);
        let reports = report(&mut renamed, &looked);
        Finished { parsed: renamed, modules: reports }
    })
}

/// A place to look up: the module, the address, and whether a call returns there.
type Place = (ModuleId, u64, bool);

#[derive(Default)]
struct Asked {
    /// Per module the addresses to look up, in order of their first use.
    modules: Vec<Vec<(u64, bool)>>,
}

impl Asked {
    fn of(profile: &Profile) -> Self {
        let mut asked = Self { modules: vec![Vec::new(); profile.modules.len()] };
        let mut seen: std::collections::HashSet<Place, RandomState> = std::collections::HashSet::default();
        let mut add = |stack: StackId, is_return: bool| {
            if let Some((module, address)) = place(profile, profile.frames.get(profile.stacks.get(stack).frame))
                && seen.insert((module, address, is_return))
            {
                asked.modules[module.index()].push((address, is_return));
            }
        };
        for (_, stack) in profile.stacks.iter() {
            let frame = profile.frames.get(stack.frame);
            if let Some(parent) = stack.parent.filter(|_| frame.inline_depth == 0) {
                add(parent, calls(profile, parent, stack.frame));
            }
        }
        for stack in profile.samples.stacks().iter().flatten() {
            add(*stack, false);
        }
        asked
    }
}

/// Whether `frame`, whose callers are `parent`, was called from there: the kernel is entered, not called.
fn calls(profile: &Profile, parent: StackId, frame: FrameId) -> bool {
    let is_kernel = |frame: FrameId| {
        let module = profile.frames.get(frame).module;
        module.is_some_and(|module| profile.modules.get(module).kind == ModuleKind::Kernel)
    };
    is_kernel(profile.stacks.get(parent).frame) == is_kernel(frame)
}

fn place(profile: &Profile, frame: &Frame) -> Option<(ModuleId, u64)> {
    let module = frame.module?;
    let is_file = profile.modules.get(module).kind == ModuleKind::User;
    frame.address.filter(|_| is_file).map(|address| (module, address))
}

/// What was found, per place.
struct Looked {
    places: HashMap<Place, Located, RandomState>,
    reports: Vec<(ModuleId, ModuleReport)>,
}

fn look_up(
    profile: &Profile,
    asked: &Asked,
    modules: &Modules,
    options: &SymbolOptions,
    progress: &Progress,
) -> Looked {
    let all = asked.modules.iter().map(Vec::len).sum();
    progress.total.store(all, Ordering::Relaxed);
    let wanted = Wanted { modules, inlines: options.inlines, are_virtual: false, progress };
    let found: Vec<(ModuleId, Symbolized, ModuleRow)> = profile
        .modules
        .iter()
        .map(|(id, _)| id)
        .collect::<Vec<_>>()
        .into_par_iter()
        .with_max_len(1)
        .filter(|id| !asked.modules[id.index()].is_empty())
        .map(|id| {
            let row = row(profile, id, options);
            let requests = asked.modules[id.index()].iter().map(|place| request(profile, id, *place));
            let are_virtual = profile.modules.get(id).memory == [0; 3];
            let wanted = Wanted { are_virtual, ..wanted };
            (id, symbolize(id.index() as u32, &row, &requests.collect::<Vec<_>>(), wanted), row)
        })
        .collect();
    let mut looked = Looked { places: HashMap::default(), reports: Vec::new() };
    for (id, symbolized, row) in found {
        looked.reports.push((
            id,
            ModuleReport {
                path: profile.strings.get(profile.modules.get(id).path).to_owned(),
                build_id: names::hex(if row.build_id.is_empty() { &symbolized.build_id } else { &row.build_id }),
                file: symbolized.file,
                symbols: symbolized.state,
                nameless: 0,
            },
        ));
        for ((address, is_return), located) in asked.modules[id.index()].iter().zip(symbolized.located) {
            looked.places.insert((id, *address, *is_return), located);
        }
    }
    looked
}

/// The module as recordings have it. No process has it mapped.
fn row(profile: &Profile, id: ModuleId, options: &SymbolOptions) -> ModuleRow {
    let module = profile.modules.get(id);
    let path = profile.strings.get(module.path);
    let path = match (path.strip_prefix("~/"), options.homes.first()) {
        (Some(rest), Some(home)) => Path::new(home).join(rest).to_string_lossy().into_owned(),
        _ => path.to_owned(),
    };
    let build_id = module.build_id.map(|id| profile.strings.get(id)).and_then(names::unhex).unwrap_or_default();
    ModuleRow {
        kind: if path == "[vdso]" { CodeKind::Vdso } else { CodeKind::File },
        path: path.into_bytes().into(),
        device: (0, 0),
        inode: 0,
        build_id: build_id.into(),
        pid: -1,
        start: 0,
        end: 0,
    }
}

/// In the terms of the file: its own addresses, or offsets where the profile tells how it was mapped.
fn request(profile: &Profile, id: ModuleId, (address, is_return): (u64, bool)) -> Request {
    let [start, _, offset] = profile.modules.get(id).memory;
    Request { address: address.wrapping_sub(start).wrapping_add(offset), is_return }
}

fn rename(profile: &Profile, looked: &Looked, options: &SymbolOptions) -> Parsed {
    let paths = Paths::new(options);
    let mut to = profile.emptied();
    let mut importer = Importer::new(profile);
    // Per stack: as what a call came from, and as what ran.
    let mut done: [Vec<Option<StackId>>; 2] = [vec![None; profile.stacks.len()], vec![None; profile.stacks.len()]];
    let mut warnings = Vec::new();
    let mut values = vec![0; profile.value_types.len()];
    for (index, sample) in profile.samples.iter().enumerate() {
        let mut pending: Vec<(StackId, bool)> = Vec::new();
        let mut next = sample.stack.map(|stack| (stack, false));
        let mut at = None;
        while let Some((stack, is_return)) = next {
            at = done[usize::from(is_return)][stack.index()];
            if at.is_some() {
                break;
            }
            pending.push((stack, is_return));
            let (_, first) = group(profile, stack);
            next = first.parent.map(|parent| (parent, calls(profile, parent, first.frame)));
        }
        while let Some((stack, is_return)) = pending.pop() {
            for frame in frames(profile, &mut importer, &mut to, (looked, &paths), (stack, is_return)) {
                at = Some(to.push_frame(at, frame));
            }
            done[usize::from(is_return)][stack.index()] = at;
        }
        let sample = importer.sample(&mut to, sample, at);
        for (column, value) in values.iter_mut().enumerate() {
            *value = profile.samples.values(column)[index];
        }
        if to.samples.push(sample, &values).is_err() {
            let message = "values add up to more than 2^63: these samples are left out".into();
            warnings.push(Warning { message, position: None, count: 1 });
        }
    }
    Parsed { profile: to, warnings }
}

/// The stack's frames at its innermost address, root first, and the step that they begin with.
fn group(profile: &Profile, stack: StackId) -> (Vec<FrameId>, Stack) {
    let mut frames = Vec::new();
    let mut step = *profile.stacks.get(stack);
    loop {
        frames.push(step.frame);
        let frame = profile.frames.get(step.frame);
        match step.parent {
            Some(parent) if frame.inline_depth > 0 => {
                let above = profile.stacks.get(parent);
                let outer = profile.frames.get(above.frame);
                if outer.inline_depth >= frame.inline_depth || outer.address != frame.address {
                    break;
                }
                step = *above;
            }
            _ => break,
        }
    }
    frames.reverse();
    (frames, step)
}

/// The frames to show at a stack's innermost address.
fn frames(
    profile: &Profile,
    importer: &mut Importer<'_>,
    to: &mut Profile,
    (looked, paths): (&Looked, &Paths<'_>),
    (stack, is_return): (StackId, bool),
) -> Vec<FrameId> {
    let (old, _) = group(profile, stack);
    let outermost = profile.frames.get(old[0]);
    let located =
        place(profile, outermost).and_then(|(module, address)| looked.places.get(&(module, address, is_return)));
    let has_line = old.iter().any(|frame| profile.frames.get(*frame).line > 0);
    let is_better = |located: &&Located| {
        let knows_lines = located.functions.iter().any(|named| named.line > 0);
        !located.functions.is_empty() && (outermost.function.is_none() || (knows_lines && !has_line))
    };
    let Some(located) = located.filter(is_better) else {
        return old.into_iter().map(|frame| importer.frame(to, frame)).collect();
    };
    let module = outermost.module.map(|module| importer.module(to, module));
    let named = (0..).zip(&located.functions).map(|(inline_depth, named)| {
        let mut string = |text: &str| -> StringId { to.strings.intern(text) };
        let function = Function {
            name: string(&named.name.shown),
            system_name: named.name.system.as_deref().map(&mut string),
            file: named.file.as_deref().map(|file| string(&paths.tidy(file))),
            start_line: named.start_line,
        };
        let function = Some(to.functions.intern(function));
        let (line, column) = (named.line, named.column);
        to.frames.intern(Frame { function, module, address: outermost.address, line, column, inline_depth })
    });
    named.collect()
}

/// Counts what is still without names, and says so.
fn report(renamed: &mut Parsed, looked: &Looked) -> Vec<ModuleReport> {
    let Parsed { profile, warnings } = renamed;
    profile.meta.other.retain(|key, _| !key.starts_with("no_symbols."));
    let mut nameless: HashMap<&str, u64, RandomState> = HashMap::default();
    for stack in profile.samples.stacks() {
        let mut met: Vec<&str> = Vec::new();
        for frame in profile.frames_leaf_first(*stack) {
            let frame = profile.frames.get(frame);
            if let (None, Some(module)) = (frame.function, frame.module) {
                met.push(profile.strings.get(profile.modules.get(module).path));
            }
        }
        met.sort_unstable();
        met.dedup();
        for module in met {
            *nameless.entry(module).or_default() += 1;
        }
    }
    let mut reports: Vec<ModuleReport> = looked.reports.iter().map(|(_, report)| report.clone()).collect();
    let mut notes = Vec::new();
    for report in &mut reports {
        report.nameless = nameless.get(&*report.path).copied().unwrap_or(0);
        if report.nameless > 0 {
            let (path, symbols, count) = (&report.path, &report.symbols, report.nameless);
            let message = format!("no symbols for {path}: {symbols}");
            warnings.push(Warning { message, position: None, count });
            notes.push((format!("no_symbols.{path}"), format!("{count} samples: {symbols}")));
        }
    }
    profile.meta.other.extend(notes);
    reports.sort_by(|a, b| b.nameless.cmp(&a.nameless).then_with(|| a.path.cmp(&b.path)));
    reports
}

impl ModuleReport {
    /// Whether a file with symbols was found.
    pub fn is_found(&self) -> bool {
        matches!(self.symbols, SymbolState::Full | SymbolState::Exported | SymbolState::JitMap { .. })
    }
}
