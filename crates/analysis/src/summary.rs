//! What a profile holds, in a few numbers.

use std::collections::{HashMap, HashSet};

use burnmark_model::{Profile, StringId, ValueType};
use foldhash::fast::RandomState;

use crate::Error;
use crate::weights::{check_column, sample_count, share, share_base};

/// The sum of a value type.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueTotal<'p> {
    /// The value type.
    pub value_type: &'p ValueType,
    /// The sum over all samples, as stored.
    pub total: i64,
}

/// A module some of whose frames have no name.
#[derive(Clone, Debug, PartialEq)]
pub struct UnsymbolizedModule<'p> {
    /// The module's last path component; `None` for code that is in no module.
    pub name: Option<&'p str>,
    /// The module's path.
    pub path: Option<&'p str>,
    /// Value of the samples whose leaf is such a frame, as stored.
    pub self_value: i64,
    /// That as a fraction of all.
    pub share: f64,
}

/// What a profile holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary<'p> {
    /// How many samples: the sum of `samples/count` where there is one.
    pub samples: usize,
    /// How long was recorded for: as the input says, else from the first to the last sample.
    pub duration_ns: Option<i64>,
    /// Distinct threads with samples; `None` if samples don't name theirs.
    pub threads: Option<usize>,
    /// Distinct processes with samples; `None` if samples don't name theirs.
    pub processes: Option<usize>,
    /// Records the recorder lost, where known.
    pub lost: Option<u64>,
    /// Samples whose stack reaches the thread's start, where known.
    pub complete_stacks: Option<u64>,
    /// That as a fraction of the samples.
    pub complete_share: Option<f64>,
    /// The event that was sampled.
    pub event: Option<&'p str>,
    /// What the recorder says a reader should know.
    pub notes: &'p [String],
    /// The value type that shares and the self values of modules are of.
    pub value_type: &'p ValueType,
    /// Modules with samples in code that has no name, those with the most first.
    pub unsymbolized: Vec<UnsymbolizedModule<'p>>,
    /// All value types with their sums.
    pub values: Vec<ValueTotal<'p>>,
}

/// Summarizes a profile; shares are of the value type with index `value`.
///
/// # Errors
/// When there is no such value type.
pub fn summarize(profile: &Profile, value: usize) -> Result<Summary<'_>, Error> {
    check_column(profile, value)?;
    let samples = sample_count(profile);
    let meta = &profile.meta;
    let (threads, processes) = threads_and_processes(profile);
    let from_times = || {
        let range = profile.samples.time_range();
        range.map(|(first, last)| last.saturating_sub(first)).filter(|ns| *ns > 0)
    };
    let complete = meta.complete_stacks.filter(|_| samples > 0);
    Ok(Summary {
        samples,
        duration_ns: meta.duration_ns.or_else(from_times),
        threads,
        processes,
        lost: meta.lost,
        complete_stacks: complete,
        complete_share: complete.map(|complete| complete as f64 / samples as f64),
        event: meta.event.as_deref(),
        notes: &meta.notes,
        value_type: &profile.value_types[value],
        unsymbolized: unsymbolized(profile, value),
        values: (0..profile.value_types.len())
            .map(|column| ValueTotal { value_type: &profile.value_types[column], total: profile.samples.total(column) })
            .collect(),
    })
}

/// A thread that changed its name is two entries of the table, and one thread.
fn threads_and_processes(profile: &Profile) -> (Option<usize>, Option<usize>) {
    #[derive(PartialEq, Eq, Hash)]
    enum Which {
        Number(i64),
        Name(Option<StringId>),
    }
    let which = |number: Option<i64>, name| number.map_or(Which::Name(name), Which::Number);
    let mut threads: HashSet<_, RandomState> = HashSet::default();
    let mut processes: HashSet<_, RandomState> = HashSet::default();
    let used: HashSet<_, RandomState> = profile.samples.iter().filter_map(|sample| sample.thread).collect();
    for id in used {
        let thread = profile.threads.get(id);
        let process = profile.processes.get(thread.process);
        let thread = which(thread.tid, thread.name);
        threads.insert((which(process.pid, process.name), thread));
        if process.pid.is_some() || process.name.is_some() {
            processes.insert(which(process.pid, process.name));
        }
    }
    let known = |count: usize| (count > 0).then_some(count);
    (known(threads.len()), known(processes.len()))
}

fn unsymbolized(profile: &Profile, value: usize) -> Vec<UnsymbolizedModule<'_>> {
    let values = profile.samples.values(value);
    let base = share_base(values);
    let mut modules: HashMap<Option<StringId>, (Option<&str>, i64), RandomState> = HashMap::default();
    for (stack, value) in profile.samples.stacks().iter().zip(values) {
        let Some(stack) = stack else { continue };
        let frame = profile.frames.get(profile.stacks.get(*stack).frame);
        if frame.function.is_none() {
            let path = frame.module.map(|id| profile.modules.get(id).path);
            let name = frame.module.map(|id| profile.module_name(id));
            modules.entry(path).or_insert((name, 0)).1 += value;
        }
    }
    let mut result: Vec<_> = modules
        .into_iter()
        .filter(|(_, (_, self_value))| *self_value != 0)
        .map(|(path, (name, self_value))| UnsymbolizedModule {
            name,
            path: path.map(|path| profile.strings.get(path)),
            self_value,
            share: share(self_value, base),
        })
        .collect();
    result.sort_by(|a, b| (b.self_value.unsigned_abs(), a.path).cmp(&(a.self_value.unsigned_abs(), b.path)));
    result
}
