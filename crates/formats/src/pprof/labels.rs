//! What samples' labels say: time, thread, and all else.

use std::collections::HashMap;

use burnmark_model::{Label, LabelSetId, LabelValue, Process, Thread, ThreadId};
use foldhash::fast::RandomState;
use indexmap::IndexMap;

use super::build::Builder;
use super::keys;
use super::samples::RawLabel;
use crate::Error;

/// What a label's key says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Thread,
    Tid,
    Pid,
    Comm,
    Time,
    Other,
}

/// What labels other than the time say: the thread, and the labels that are no columns.
type Described = (Option<ThreadId>, Option<LabelSetId>);

/// What is known of labels.
#[derive(Default)]
pub(super) struct Labels {
    keys: HashMap<i64, Key, RandomState>,
    /// Each list of labels but the time, and what it says once that is asked for.
    kinds: IndexMap<Box<[RawLabel]>, Option<Described>, RandomState>,
    /// The one of the sample before.
    last: usize,
    /// The label that was a time last.
    last_time: Option<RawLabel>,
}

impl Labels {
    /// Takes the sample's time out of its labels, if it is one that a profile can hold.
    pub(super) fn take_time(&mut self, builder: &Builder, labels: &mut Vec<RawLabel>) -> Option<i64> {
        let at = labels.iter().position(|label| {
            let shape = RawLabel { number: 0, ..*label };
            label.text == 0
                && label.number != i64::MIN
                && (self.last_time == Some(shape) || self.can_be_time(builder, shape))
        })?;
        Some(labels.remove(at).number)
    }

    /// Whether a number is a time in nanoseconds.
    fn can_be_time(&mut self, builder: &Builder, shape: RawLabel) -> bool {
        let is_time = self.key(builder, shape.key) == Key::Time
            && (shape.unit == 0 || builder.tables.strings.get(shape.unit) == Some(keys::NANOSECONDS));
        if is_time {
            self.last_time = Some(shape);
        }
        is_time
    }

    fn key(&mut self, builder: &Builder, index: i64) -> Key {
        *self.keys.entry(index).or_insert_with(|| match builder.tables.strings.get(index) {
            Some(keys::THREAD | "thread name" | "thread_name") => Key::Thread,
            Some(keys::TID | "thread id" | "thread_id") => Key::Tid,
            Some(keys::PID | "process id" | "process_id") => Key::Pid,
            Some(keys::COMM) => Key::Comm,
            Some(keys::TIME | "timestamp_ns") => Key::Time,
            _ => Key::Other,
        })
    }

    /// Which list of labels this is, the time having been taken out.
    pub(super) fn kind(&mut self, builder: &mut Builder, labels: &[RawLabel], position: u64) -> Result<usize, Error> {
        if self.kinds.get_index(self.last).is_some_and(|(last, _)| **last == *labels) {
            return Ok(self.last);
        }
        self.last = match self.kinds.get_index_of(labels) {
            Some(known) => known,
            None => {
                builder.budget.take(128 + 64 * labels.len() as u64, position)?;
                self.kinds.insert_full(labels.into(), None).0
            }
        };
        Ok(self.last)
    }

    /// What the labels of a kind say.
    pub(super) fn describe(&mut self, builder: &mut Builder, kind: usize, position: u64) -> Described {
        if let Some(known) = self.kinds[kind] {
            return known;
        }
        let labels = self.kinds.get_index(kind).expect("it was just added").0.clone();
        let described = self.describe_new(builder, &labels, position);
        self.kinds[kind] = Some(described);
        described
    }

    fn describe_new(&mut self, builder: &mut Builder, labels: &[RawLabel], position: u64) -> Described {
        let (mut tid, mut pid, mut thread_name, mut comm) = (None, None, None, None);
        let mut others = Vec::new();
        for label in labels {
            let number = (label.text == 0 && label.unit == 0).then_some(label.number);
            let is_text = label.text != 0;
            match (self.key(builder, label.key), number) {
                (Key::Tid, Some(number)) if tid.is_none() => tid = Some(number),
                (Key::Pid, Some(number)) if pid.is_none() => pid = Some(number),
                (Key::Thread, _) if is_text && thread_name.is_none() => {
                    thread_name = builder.text(label.text, position);
                }
                (Key::Comm, _) if is_text && comm.is_none() => comm = builder.text(label.text, position),
                _ => others.extend(other(builder, label, position)),
            }
        }
        let profile = &mut builder.profile;
        let known = tid.is_some() || pid.is_some() || thread_name.is_some() || comm.is_some();
        let thread = known.then(|| {
            let process = profile.processes.intern(Process { pid, name: comm });
            profile.threads.intern(Thread { process, tid, name: thread_name })
        });
        let set = (!others.is_empty()).then(|| profile.label_sets.intern(others.into()));
        (thread, set)
    }
}

/// A label that is no column.
fn other(builder: &mut Builder, label: &RawLabel, position: u64) -> Option<Label> {
    let key = match builder.text(label.key, position) {
        Some(key) => key,
        None => builder.profile.strings.intern(""),
    };
    let value = if label.text == 0 {
        LabelValue::Number(label.number, builder.text(label.unit, position))
    } else {
        LabelValue::Text(builder.text(label.text, position)?)
    };
    Some(Label { key, value })
}
