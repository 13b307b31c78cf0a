//! From folded segments to a profile, in the text's order: the same for any number of threads.

use std::collections::HashMap;

use burnmark_model::{FrameId, Meta, Parsed, Profile, Sample, StackId, ThreadId, ValueType};
use foldhash::fast::RandomState;

use super::build::{Item, NO_EVENT, OTHER_EVENTS, ProcessNames, count_of, make_frame, max_events, period_of};
use super::fold::{Folder, NO_HEADER, NONE, Record, STANDALONE, Segment};
use super::notes::{Comments, Trouble, Troubles, read_comments};
use super::split::Folded;

/// Makes the profile.
pub(super) fn assemble((folders, mut segments): Folded) -> Parsed {
    let mut totals = Totals::of(&segments);
    drop_samples_without_header(&mut segments, &mut totals.troubles);
    let events = Events::of(&folders, &segments, &mut totals.troubles);
    let mut names = ProcessNames::default();
    for (folder, record) in records(&segments) {
        if record.thread != NONE {
            names.see(&folders[folder].threads[record.thread as usize]);
        }
    }
    let mut profile = Profile::new(events.value_types());
    profile.default_value = events.default_value();
    let mut workers: Vec<Worker<'_>> = folders.iter().map(Worker::new).collect();
    let nodes = folders.iter().map(|folder| folder.tree.nodes().len()).max();
    profile.stacks.reserve(nodes.unwrap_or(0));
    profile.samples.reserve(segments.iter().map(|(_, segment)| segment.records.len()).sum());
    let mut values = vec![0; profile.value_types.len()];
    let mut lines_before = 0;
    // Segments are dropped as they are used: records need not be held twice.
    for (folder, segment) in segments {
        let worker = &mut workers[folder];
        for record in &segment.records {
            let thread = worker.thread(&mut profile, &names, record.thread);
            let stack = worker.stack(&mut profile, record.stack);
            let sample = Sample { stack, thread, time_ns: record.time_ns(), labels: None };
            let column = events.columns[folder][record.event as usize];
            values.fill(0);
            values[column] = 1;
            if let Some(period) = record.period() {
                values[column + 1] = period;
            }
            if profile.samples.push(sample, &values).is_err() {
                totals.troubles.add(Trouble::PeriodOutOfRange, lines_before + u64::from(record.line));
                values[column + 1] = 0;
                profile.samples.push(sample, &values).expect("as many samples as fit in memory can be counted");
            }
        }
        lines_before += segment.lines;
    }
    describe(&mut profile.meta, &events, &totals);
    Parsed { profile, warnings: totals.troubles.into_warnings() }
}

fn records(segments: &[(usize, Segment)]) -> impl Iterator<Item = (usize, &Record)> {
    segments.iter().flat_map(|(folder, segment)| segment.records.iter().map(move |record| (*folder, record)))
}

/// What segments say besides their samples.
#[derive(Default)]
struct Totals {
    troubles: Troubles,
    comments: Comments,
    lost: Option<u64>,
}

impl Totals {
    fn of(segments: &[(usize, Segment)]) -> Self {
        let mut totals = Self::default();
        let mut lines = 0;
        for (_, segment) in segments {
            totals.troubles.append(&segment.troubles, lines);
            totals.comments.append(&segment.comments);
            if let Some(lost) = segment.lost {
                totals.lost = Some(totals.lost.unwrap_or(0).saturating_add(lost));
            }
            lines += segment.lines;
        }
        totals
    }
}

/// Frames without a header are samples where no header is printed at all (`-F ip,sym,dso`), and remains of one
/// otherwise.
fn drop_samples_without_header(segments: &mut [(usize, Segment)], troubles: &mut Troubles) {
    let with_header = records(segments).any(|(_, record)| record.event != NO_HEADER);
    let mut lines = 0;
    for (_, segment) in segments {
        if with_header {
            for record in segment.records.iter().filter(|record| record.event == NO_HEADER) {
                troubles.add(Trouble::NoHeader, lines + u64::from(record.line));
            }
            segment.records.retain(|record| record.event != NO_HEADER);
        } else {
            segment.records.iter_mut().for_each(|record| record.event = 0);
        }
        lines += segment.lines;
    }
}

/// The events of samples, in order of their first appearance. The last one stands for all the rest if there are too many.
struct Events<'a> {
    /// Name, and whether samples have periods.
    list: Vec<(&'a str, bool)>,
    /// By folder and its number of the event: the column of the count, behind which that of the period is.
    columns: Vec<Vec<usize>>,
}

impl<'a> Events<'a> {
    fn of(folders: &'a [Folder], segments: &[(usize, Segment)], troubles: &mut Troubles) -> Self {
        let samples = segments.iter().map(|(_, segment)| segment.records.len()).sum();
        let max = max_events(samples);
        let mut list: Vec<(&str, bool)> = Vec::new();
        let mut known: HashMap<&str, usize> = HashMap::new();
        let mut counts: Vec<u64> = Vec::new();
        let mut numbers: Vec<Vec<usize>> = folders.iter().map(|folder| vec![usize::MAX; folder.events.len()]).collect();
        for (folder, record) in records(segments) {
            let number = &mut numbers[folder][record.event as usize];
            if *number == usize::MAX {
                let name = &*folders[folder].events[record.event as usize].0;
                *number = *known.entry(name).or_insert(list.len());
                if *number == list.len() {
                    list.push((name, false));
                }
            }
            list[*number].1 |= record.period().is_some();
            counts.resize(list.len(), 0);
            counts[*number] += 1;
        }
        if list.len() > max {
            let rest = list.split_off(max - 1);
            troubles.add_many(Trouble::ManyEvents, counts[max - 1..].iter().sum(), None);
            list.push((OTHER_EVENTS, rest.iter().any(|(_, has_period)| *has_period)));
        }
        let mut starts = Vec::with_capacity(list.len());
        let mut next = 0;
        for (_, has_period) in &list {
            starts.push(next);
            next += 1 + usize::from(*has_period);
        }
        for number in numbers.iter_mut().flatten().filter(|number| **number != usize::MAX) {
            *number = starts[(*number).min(starts.len() - 1)];
        }
        Self { list, columns: numbers }
    }

    fn value_types(&self) -> Vec<ValueType> {
        let mut types = Vec::new();
        for (event, has_period) in &self.list {
            types.push(count_of(event));
            types.extend(has_period.then(|| period_of(event)));
        }
        if types.is_empty() {
            types.push(count_of(NO_EVENT));
        }
        types
    }

    /// What perf's own report and inferno weigh samples by: the first event's periods, or samples where there are none.
    fn default_value(&self) -> usize {
        usize::from(self.list.first().is_some_and(|(_, has_period)| *has_period))
    }
}

fn describe(meta: &mut Meta, events: &Events<'_>, totals: &Totals) {
    read_comments(meta, &totals.comments);
    let named: Vec<&str> = events.list.iter().map(|event| event.0).filter(|event| *event != NO_EVENT).collect();
    meta.event = (!named.is_empty()).then(|| named.join(", "));
    meta.lost = totals.lost;
}

/// What has become of a folder's numbers.
struct Worker<'a> {
    folder: &'a Folder,
    threads: Vec<Option<ThreadId>>,
    /// By node of the folder's tree.
    stacks: Vec<Resolved>,
    /// What is around nodes that are no plain frames.
    around: HashMap<u32, Around, RandomState>,
    /// Frames that are what they are wherever they stand.
    frames: Vec<Option<FrameId>>,
    /// Frames that depend on what stands around them: by item, source item, the module's item, and inline depth.
    other_frames: HashMap<[u32; 4], FrameId, RandomState>,
    pending: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Resolved {
    NotYet,
    As(Option<StackId>),
}

impl<'a> Worker<'a> {
    fn new(folder: &'a Folder) -> Self {
        Self {
            folder,
            threads: vec![None; folder.threads.len()],
            stacks: vec![Resolved::NotYet; folder.tree.nodes().len()],
            around: HashMap::default(),
            frames: vec![None; folder.items.len()],
            other_frames: HashMap::default(),
            pending: Vec::new(),
        }
    }

    fn thread(&mut self, profile: &mut Profile, names: &ProcessNames, number: u32) -> Option<ThreadId> {
        if number == NONE {
            return None;
        }
        let known = &mut self.threads[number as usize];
        let key = &self.folder.threads[number as usize];
        Some(*known.get_or_insert_with(|| names.thread(profile, key)))
    }

    /// The stack of a node, made from root to leaf as far as it is not there yet.
    fn stack(&mut self, profile: &mut Profile, node: u32) -> Option<StackId> {
        let nodes = self.folder.tree.nodes();
        let mut next = node;
        let mut stack = None;
        while next != NONE {
            if let Resolved::As(known) = self.stacks[next as usize] {
                stack = known;
                break;
            }
            self.pending.push(next);
            next = nodes[next as usize].parent;
        }
        let mut around = self.around(next);
        while let Some(node) = self.pending.pop() {
            let item = nodes[node as usize].item;
            let frame = match self.frames.get(item as usize) {
                Some(Some(frame)) if around.source == NONE => {
                    around = Around { source: NONE, module: item, depth: 0 };
                    Some(*frame)
                }
                _ => self.other_frame(profile, item, &mut around),
            };
            if let Some(frame) = frame {
                stack = Some(profile.push_frame(stack, frame));
            }
            self.stacks[node as usize] = Resolved::As(stack);
            if around != (Around { source: NONE, module: item, depth: 0 }) {
                self.around.insert(node, around);
            }
        }
        stack
    }

    /// What is known behind a node.
    fn around(&self, node: u32) -> Around {
        match self.around.get(&node) {
            _ if node == NONE => Around { source: NONE, module: NONE, depth: 0 },
            Some(around) => *around,
            None => Around { source: NONE, module: self.folder.tree.nodes()[node as usize].item, depth: 0 },
        }
    }

    /// The frame of an item that is met first, or depends on what is around it; `None` for a source line, which belongs
    /// to the frame that follows it from this side.
    fn other_frame(&mut self, profile: &mut Profile, number: u32, around: &mut Around) -> Option<FrameId> {
        let item = |number: u32| &self.folder.items[(number & !STANDALONE) as usize];
        let (symbol, module, inlined) = match item(number) {
            Item::Source { .. } => {
                around.source = number;
                return None;
            }
            Item::Frame { symbol, module, inlined } => (symbol.as_deref(), module.as_deref(), *inlined),
        };
        let source = std::mem::replace(&mut around.source, NONE);
        let (place, source_inlined) = match (source != NONE).then(|| item(source)) {
            Some(Item::Source { place, inlined }) => (place.as_ref().map(|(file, line)| (&**file, *line)), *inlined),
            _ => (None, false),
        };
        let standalone = number & STANDALONE != 0 || (source != NONE && source & STANDALONE != 0);
        if (inlined || source_inlined) && !standalone {
            around.depth += 1;
            if module.is_some() {
                around.module = number;
            }
        } else {
            around.depth = 0;
            around.module = number;
        }
        let module = match (around.module != NONE).then(|| item(around.module)) {
            Some(Item::Frame { module, .. }) => module.as_deref(),
            _ => None,
        };
        if !inlined && source == NONE {
            let frame = make_frame(profile, symbol, module, None, 0);
            self.frames[number as usize] = Some(frame);
            return Some(frame);
        }
        let key = [number, source, around.module, around.depth];
        let make = || make_frame(profile, symbol, module, place, around.depth);
        Some(*self.other_frames.entry(key).or_insert_with(make))
    }
}

/// What is known on the way from root to leaf.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Around {
    /// The source line of the frame to come.
    source: u32,
    /// The frame that has the module of inlined frames.
    module: u32,
    /// Of the last frame.
    depth: u32,
}
