//! What two inputs must have in common to be compared, and what a reader should know where they differ.

use std::collections::BTreeSet;

use burnmark_model::{ModuleKind, Profile, ValueType};

use crate::Error;
use crate::weights::sample_count;

/// What is known of how a run was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// What was compared.
    pub value_type: ValueType,
    /// Number of samples.
    pub samples: usize,
    /// The sum of the value, in its real unit.
    pub total: f64,
    /// Whether samples have times.
    pub timed: bool,
    /// How long it was recorded for.
    pub duration_ns: Option<i64>,
    /// How many threads were sampled, if known.
    pub threads: Option<usize>,
    /// Sampling event.
    pub event: Option<String>,
    /// Samples a second.
    pub frequency_hz: Option<u64>,
    /// Kernel.
    pub kernel: Option<String>,
    /// Processor.
    pub cpu: Option<String>,
    /// Command.
    pub command: Option<String>,
    /// Whether some frames are known to be inlined.
    pub inlined: bool,
    /// `debug` or `release`, where a module's path tells.
    pub build: Option<&'static str>,
    /// Whether any frame has a module.
    pub has_modules: bool,
}

impl Facts {
    pub(super) fn new(profile: &Profile, value: usize) -> Self {
        let threads: BTreeSet<_> = profile.samples.iter().filter_map(|sample| sample.thread).collect();
        let meta = &profile.meta;
        Self {
            value_type: profile.value_types[value].clone(),
            samples: sample_count(profile),
            total: 0.0,
            timed: false,
            duration_ns: meta.duration_ns,
            threads: (!threads.is_empty()).then_some(threads.len()),
            event: meta.event.clone(),
            frequency_hz: meta.frequency_hz,
            kernel: meta.kernel.clone(),
            cpu: meta.cpu.clone(),
            command: meta.command.clone(),
            inlined: profile.frames.iter().any(|(_, frame)| frame.inline_depth > 0),
            build: build(profile),
            has_modules: !profile.modules.is_empty(),
        }
    }
}

/// Cargo's and CMake's folders say how a program was built.
fn build(profile: &Profile) -> Option<&'static str> {
    let paths = profile.modules.iter().filter(|(_, module)| module.kind == ModuleKind::User);
    let mut found = None;
    for (_, module) in paths {
        let path = profile.strings.get(module.path).to_ascii_lowercase();
        if path.contains("/debug/") {
            found = Some("debug");
        } else if path.contains("/release/") {
            return Some("release");
        }
    }
    found
}

/// What a value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    /// Samples taken in time or by a hardware event: shares of it are shares of running time.
    Running,
    Bytes,
    Count,
    Other,
}

fn quantity(value: &ValueType) -> Quantity {
    let name = value.name.as_str();
    let is_memory = ["alloc", "inuse", "space", "objects", "heap"].iter().any(|word| name.contains(word));
    match value.unit.as_str() {
        "bytes" => Quantity::Bytes,
        "count" if is_memory => Quantity::Count,
        "nanoseconds" if ["delay", "wait", "off-cpu"].iter().any(|word| name.contains(word)) => Quantity::Other,
        "nanoseconds" | "microseconds" | "milliseconds" | "seconds" | "count" => Quantity::Running,
        _ => Quantity::Other,
    }
}

/// The value types by which two profiles can be compared: the `wanted` ones, by `preferred` index, if they measure the
/// same; else a pair that does. Of folded stacks, which count samples, and a recording in nanoseconds, both are
/// compared by samples.
///
/// # Errors
/// When there is no such pair: memory against time, say.
pub fn common_value(
    before: &Profile,
    after: &Profile,
    preferred: [usize; 2],
    chosen: bool,
) -> Result<[usize; 2], Error> {
    let types = [&before.value_types[preferred[0]], &after.value_types[preferred[1]]];
    let same = |a: &ValueType, b: &ValueType| a.name == b.name && a.unit == b.unit;
    if chosen || same(types[0], types[1]) {
        return Ok(preferred);
    }
    let by_name = |of: &Profile, like: &ValueType| of.value_types.iter().position(|value| same(value, like));
    if let Some(index) = by_name(after, types[0]) {
        return Ok([preferred[0], index]);
    }
    if let Some(index) = by_name(before, types[1]) {
        return Ok([index, preferred[1]]);
    }
    let [b, a] = types.map(quantity);
    if b == a && b != Quantity::Other && (b == Quantity::Running || types[0].unit == types[1].unit) {
        return Ok(preferred);
    }
    let name = |value: &ValueType| format!("{}/{}", value.name, value.unit);
    Err(Error::NotComparable { before: name(types[0]), after: name(types[1]) })
}

/// What differs between the sides beyond the program.
pub(super) fn differences(before: &[&Facts], after: &[&Facts], per_op: bool) -> Vec<String> {
    let mut found = Vec::new();
    let values = |facts: &[&Facts], of: &dyn Fn(&Facts) -> Option<String>| -> Vec<String> {
        let mut values: Vec<String> = facts.iter().filter_map(|facts| of(facts)).collect();
        values.sort();
        values.dedup();
        values
    };
    type Property<'a> = (&'a str, &'a dyn Fn(&Facts) -> Option<String>);
    let properties: [Property<'_>; 5] = [
        ("the event", &|facts| facts.event.clone()),
        ("the kernel", &|facts| facts.kernel.clone()),
        ("the CPU", &|facts| facts.cpu.clone()),
        ("the build type", &|facts| facts.build.map(str::to_owned)),
        ("the value", &|facts| Some(format!("{}/{}", facts.value_type.name, facts.value_type.unit))),
    ];
    for (what, of) in properties {
        let (b, a) = (values(before, of), values(after, of));
        if !b.is_empty() && !a.is_empty() && b != a {
            found.push(format!("{what} changed: {} before, {} after", b.join(", "), a.join(", ")));
        }
    }
    let (Some(b), Some(a)) = (before.first(), after.first()) else { return found };
    if b.inlined != a.inlined && b.has_modules && a.has_modules {
        let (with, without) = if b.inlined { ("before", "after") } else { ("after", "before") };
        found.push(format!(
            "inlined frames are known {with} but not {without} (another build type, or no debug information): \
             --no-inline compares what both have"
        ));
    }
    if b.timed != a.timed {
        let without = if b.timed { "after" } else { "before" };
        found.push(format!("the samples {without} have no times: both sides are compared without"));
    }
    if let (Some(b), Some(a)) = (b.frequency_hz, a.frequency_hz)
        && b != a
    {
        let effect = if per_op { "costs are weighed by it" } else { "shares don't depend on it" };
        found.push(format!("sampled at {b} Hz before, {a} Hz after: {effect}"));
    }
    if !per_op
        && let (Some(b), Some(a)) = (b.threads, a.threads)
        && b.max(a) > 2 * b.min(a)
    {
        let threads = if b == 1 { "thread" } else { "threads" };
        found.push(format!("{b} {threads} before, {a} after: shares are of all threads' time; --thread chooses"));
    }
    found
}
