//! What pprof has no field for, as comments `burnmark.KEY=VALUE`. Other comments are notes.
//!
//! | key | value |
//! |---|---|
//! | `producer`, `command`, `kernel`, `cpu`, `event` | as in [`Meta`] |
//! | `frequency_hz`, `lost`, `complete_stacks` | a number |
//! | `zero` | which of `period`, `start_unix_ns`, `duration_ns` is known to be 0, which pprof's fields can't tell |
//! | `denominator.I` | the denominator of the I-th value type, if not 1 |
//! | `default_value` | the index of the default value type, where its name does not tell it |
//! | `module_kind.I` | what the mapping of id I is, where its name does not tell it |
//! | `other.KEY` | as in [`Meta::other`], with `%` and `=` in the key as `%25` and `%3D` |
//! | `samples` | `last`: all else stands before the samples |
//! | `stacks` | about how many stacks there are, so that there is room for them |
//! | `note` | a note that would look like one of these |

use std::collections::HashMap;

use burnmark_model::{Meta, ModuleKind, Profile};

const PREFIX: &str = "burnmark.";

/// The comment of a file in which all else stands before the samples: who reads it need go through it only once.
pub(super) const SAMPLES_LAST: &str = "burnmark.samples=last";

/// From how many stacks on it is worth the comment.
const MANY_STACKS: usize = 50_000;

/// What comments say beyond metadata.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    pub(super) default_value: Option<usize>,
    pub(super) denominators: HashMap<usize, u32>,
    pub(super) module_kinds: HashMap<u64, ModuleKind>,
    pub(super) stacks: usize,
    /// Keys that are not known: a newer burnmark's, or damaged.
    pub(super) unknown: bool,
}

/// The comments for a profile, but those about modules.
pub(super) fn comments(profile: &Profile) -> Vec<String> {
    let meta = &profile.meta;
    let mut comments = Vec::new();
    let mut add = |key: &str, value: &str| comments.push(format!("{PREFIX}{key}={value}"));
    let texts = [
        ("producer", &meta.producer),
        ("command", &meta.command),
        ("kernel", &meta.kernel),
        ("cpu", &meta.cpu),
        ("event", &meta.event),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            add(key, text);
        }
    }
    let numbers = [("frequency_hz", meta.frequency_hz), ("lost", meta.lost), ("complete_stacks", meta.complete_stacks)];
    for (key, number) in numbers {
        if let Some(number) = number {
            add(key, &number.to_string());
        }
    }
    let fields = [("period", meta.period), ("start_unix_ns", meta.start_unix_ns), ("duration_ns", meta.duration_ns)];
    for (field, _) in fields.iter().filter(|(_, number)| *number == Some(0)) {
        add("zero", field);
    }
    for (index, value) in profile.value_types.iter().enumerate().filter(|(_, value)| value.denominator != 1) {
        add(&format!("denominator.{index}"), &value.denominator.to_string());
    }
    if profile.stacks.len() >= MANY_STACKS {
        add("stacks", &profile.stacks.len().to_string());
    }
    if default_by_name(profile) != Some(profile.default_value) {
        add("default_value", &profile.default_value.to_string());
    }
    for (key, value) in &meta.other {
        add(&format!("other.{}", key.replace('%', "%25").replace('=', "%3D")), value);
    }
    for note in &meta.notes {
        if note.starts_with(PREFIX) {
            comments.push(format!("{PREFIX}note={note}"));
        } else {
            comments.push(note.clone());
        }
    }
    comments
}

/// The value type that `default_sample_type` would name, if it names the default one: tools take the first of a name.
pub(super) fn default_by_name(profile: &Profile) -> Option<usize> {
    let name = &profile.value_types.get(profile.default_value)?.name;
    let first = profile.value_types.iter().position(|value| value.name == *name)?;
    (first == profile.default_value && !name.is_empty()).then_some(first)
}

/// The comment that tells what a mapping is.
pub(super) fn module_kind(mapping: u64, kind: ModuleKind) -> String {
    let kind = match kind {
        ModuleKind::User => "user",
        ModuleKind::Kernel => "kernel",
        ModuleKind::Jit => "jit",
    };
    format!("{PREFIX}module_kind.{mapping}={kind}")
}

/// Takes in one comment.
pub(super) fn apply(comment: &str, meta: &mut Meta, hints: &mut Hints) {
    let Some((key, value)) = comment.strip_prefix(PREFIX).and_then(|rest| rest.split_once('=')) else {
        meta.notes.push(comment.to_owned());
        return;
    };
    let text = || Some(value.to_owned());
    match key {
        "producer" => meta.producer = text(),
        "command" => meta.command = text(),
        "kernel" => meta.kernel = text(),
        "cpu" => meta.cpu = text(),
        "event" => meta.event = text(),
        "frequency_hz" => meta.frequency_hz = value.parse().ok(),
        "lost" => meta.lost = value.parse().ok(),
        "complete_stacks" => meta.complete_stacks = value.parse().ok(),
        "zero" if value == "period" => meta.period = Some(0),
        "zero" if value == "start_unix_ns" => meta.start_unix_ns = Some(0),
        "zero" if value == "duration_ns" => meta.duration_ns = Some(0),
        "default_value" => hints.default_value = value.parse().ok(),
        "stacks" => hints.stacks = value.parse().unwrap_or_default(),
        "note" => meta.notes.push(value.to_owned()),
        // It was looked for before.
        "samples" if value == "last" => {}
        _ => apply_numbered(key, value, meta, hints).unwrap_or_else(|| hints.unknown = true),
    }
}

fn apply_numbered(key: &str, value: &str, meta: &mut Meta, hints: &mut Hints) -> Option<()> {
    let (key, rest) = key.split_once('.')?;
    match key {
        "other" => {
            meta.other.insert(rest.replace("%3D", "=").replace("%25", "%"), value.to_owned());
        }
        "denominator" => {
            let denominator: u32 = value.parse().ok().filter(|value| *value > 0)?;
            hints.denominators.insert(rest.parse().ok()?, denominator);
        }
        "module_kind" => {
            let kind = match value {
                "user" => ModuleKind::User,
                "kernel" => ModuleKind::Kernel,
                "jit" => ModuleKind::Jit,
                _ => return None,
            };
            hints.module_kinds.insert(rest.parse().ok()?, kind);
        }
        _ => return None,
    }
    Some(())
}
