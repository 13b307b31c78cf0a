//! From a perf.data file to a [`Recording`].

mod block;
mod deferred;
mod meta;

use std::sync::Arc;

use burnmark_model::{Meta, Position, Warning};
use burnmark_perf::file::{self, Head, Item, Reader};
use burnmark_perf::record::{DecodeError, Record};

use crate::finish::{Finished, Progress, SymbolOptions, finish_with};
use crate::modules::Modules;
use crate::recorder::{Batch, Beyond, ChainFrame, Event, Recorder, Room};
use crate::recording::{EventRow, Recording};
use crate::symbols::{Ahead, FileFinder, Wanted};
use crate::unwind::{CallGraph, Machine, UnwindOptions};
use block::{Block, Plain, Step};
use deferred::Deferred;

/// Steps whose stacks are looked for at once.
const FETCHED: usize = 16;

/// Bytes of records from which on names are looked up meanwhile. Tests have small files.
const WORTH_THREADS: u64 = if cfg!(debug_assertions) { 1 } else { 16 << 20 };

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct PerfDataOptions {
    /// Keep perf's whole command line. Else only the names of programs: arguments may be private.
    pub keep_args: bool,
    /// Where the files of modules are; they are opened while reading.
    pub modules: Option<Arc<Modules>>,
    /// How stacks are made of samples that have registers and a copy of the user stack.
    pub call_graph: CallGraph,
}

/// Reads all records of a file into a recording. What is damaged or not understood is in the warnings.
///
/// # Errors
/// If the input can't be read.
pub fn read_perf_data(reader: Reader<'_>, options: &PerfDataOptions) -> Result<(Recording, Vec<Warning>), file::Error> {
    let (recording, warnings, _) = read(reader, options, None)?;
    Ok((recording, warnings))
}

/// Reads all records of a file and makes a profile of it, as [`read_perf_data`] and [`finish`](crate::finish) do, with
/// names looked up while it is being read. `is_read` is called when all records are in.
///
/// # Errors
/// If the input can't be read.
pub fn perf_data_profile(
    reader: Reader<'_>,
    options: &PerfDataOptions,
    symbols: &SymbolOptions,
    progress: &Progress,
    is_read: impl FnOnce(),
) -> Result<(Finished, Vec<Warning>), file::Error> {
    let none = Modules::new(FileFinder::Only(Default::default()));
    let modules = options.modules.as_deref().unwrap_or(&none);
    let wanted = Wanted { modules, inlines: symbols.inlines, are_virtual: false, progress };
    std::thread::scope(|scope| {
        // Its threads end when it goes, whatever happens.
        let ahead = options.modules.is_some().then(|| Ahead::new(scope, wanted));
        let (recording, warnings, ahead) = read(reader, options, ahead)?;
        is_read();
        let names = ahead.map(|ahead| ahead.last(&recording)).unwrap_or_default();
        Ok((finish_with(recording, modules, symbols, progress, names), warnings))
    })
}

/// What was read, what was wrong with it, and who looks up names.
type Outcome<'scope, 'env> = (Recording, Vec<Warning>, Option<Ahead<'scope, 'env>>);

fn read<'scope, 'env>(
    reader: Reader<'_>,
    options: &PerfDataOptions,
    ahead: Option<Ahead<'scope, 'env>>,
) -> Result<Outcome<'scope, 'env>, file::Error> {
    let mut recorder = Recorder::new(Meta::default());
    if let Some(modules) = &options.modules {
        recorder.set_modules(modules.clone());
    }
    let mut reading = Reading {
        recorder,
        deferred: Deferred::default(),
        plain: Plain::default(),
        failed: Failed::default(),
        counted: 0,
        call_graph: options.call_graph,
        machine: None,
        bytes: 0,
        room: Default::default(),
        ahead,
    };
    reading.describe(reader.head());
    let ended = reader.read(&mut |head, run| reading.run(head, run))?;
    reading.describe(&ended.head);
    let Reading { mut recorder, deferred, failed, counted, ahead, .. } = reading;
    deferred.release_all(&mut recorder);
    // What the kernel counts at the end has been told by records in part.
    let told = recorder.recording().lost_total();
    if counted > told {
        recorder.event(&Event::Lost { count: counted - told, time: recorder.now() });
    }
    meta::fill(&mut recorder, &ended.head, options.keep_args);
    let warnings = ended.warnings.into_iter().map(|warning| Warning {
        message: warning.message,
        position: warning.at.map(Position::Byte),
        count: warning.count,
    });
    let warnings = warnings.chain(failed.warning()).chain(warnings_of(recorder.beyond())).collect();
    let mut recording = recorder.into_recording();
    drop_dummies(&mut recording, &ended.head);
    Ok((recording, warnings, ahead))
}

/// What to say of samples that there was no room for.
fn warnings_of(beyond: Beyond) -> impl Iterator<Item = Warning> {
    let what = [
        (
            beyond.cut,
            "samples keep only their innermost frame: the file has more different stacks than there is room for",
        ),
        (beyond.left_out, "samples are left out: the file has more of them, or of threads, than there is room for"),
    ];
    let what = what.into_iter().filter(|(count, _)| *count > 0);
    what.map(|(count, message)| Warning { message: format!("{count} {message}"), position: None, count: 1 })
}

/// Removes events that only make the kernel write records of processes and memory.
fn drop_dummies(recording: &mut Recording, head: &Head) {
    let mut has_samples = vec![false; head.events.len()];
    for sample in 0..recording.samples.len() {
        if let Some(has) = has_samples.get_mut(usize::from(recording.event_of(sample))) {
            *has = true;
        }
    }
    let keeps = |index: usize| has_samples[index] || !head.events[index].is_dummy;
    let mut number = 0;
    let numbers = (0..head.events.len()).map(|index| {
        number += u16::from(keeps(index));
        number.saturating_sub(1)
    });
    let numbers: Vec<u16> = numbers.collect();
    if usize::from(number) == head.events.len() || number == 0 {
        return;
    }
    for event in &mut recording.sample_events {
        *event = numbers.get(usize::from(*event)).copied().unwrap_or_default();
    }
    let mut index = 0;
    recording.events.retain(|_| {
        index += 1;
        keeps(index - 1)
    });
}

struct Reading<'scope, 'env> {
    recorder: Recorder,
    deferred: Deferred,
    plain: Plain,
    failed: Failed,
    /// Lost samples as the kernel counted them per event, which `LOST` records tell of, too.
    counted: u64,
    call_graph: CallGraph,
    machine: Option<Machine>,
    /// Of the records so far.
    bytes: u64,
    /// For the frames of two blocks.
    room: [Vec<ChainFrame>; 2],
    ahead: Option<Ahead<'scope, 'env>>,
}

impl Reading<'_, '_> {
    /// Takes over what is known of events and files; in pipe mode it comes bit by bit.
    fn describe(&mut self, head: &Head) {
        let rows = head.events.iter().map(|event| EventRow { name: event.name.as_str().into(), period: event.period });
        *self.recorder.events_mut() = rows.collect();
        self.plain.describe(head);
        let ids = head.features.build_ids.iter().map(|id| (&id.path[..], &id.build_id[..]));
        self.recorder.set_build_ids(ids);
        // Without a word of it, it is most likely one like this.
        let machine = match head.features.arch.as_deref() {
            Some(name) => Machine::from_name(name),
            None => Machine::host(),
        };
        if machine != self.machine {
            self.machine = machine;
            self.recorder.set_unwinding(UnwindOptions { call_graph: self.call_graph, machine, reads_memory: false });
        }
    }

    fn run(&mut self, head: &Head, run: &[Item<'_>]) {
        if head.events.len() != self.recorder.events_mut().len() {
            self.describe(head);
        }
        self.bytes += run.iter().map(|item| item.bytes.len() as u64).sum::<u64>();
        self.recorder.set_room(Room::for_bytes(self.bytes));
        // In the pool from here on: to enter it for each block would cost more than the block.
        rayon::scope(|_| self.blocks(head, run));
    }

    /// Takes in one block after the other, each while the next is decoded.
    fn blocks(&mut self, head: &Head, run: &[Item<'_>]) {
        let [first, second] = std::mem::take(&mut self.room);
        let mut batch = Batch::default();
        let plain = std::mem::take(&mut self.plain);
        let mut block = Block::decode(head, &plain, run, 0, first);
        let mut room = second;
        while block.items.end < run.len() {
            let next = block.items.end;
            let (_, decoded) = rayon::join(
                || self.take_in(&plain, &mut block, run, &mut batch),
                || Block::decode(head, &plain, run, next, room),
            );
            room = std::mem::replace(&mut block, decoded).frames;
            if let Some(ahead) = self.ahead.as_mut().filter(|_| self.bytes >= WORTH_THREADS) {
                ahead.tell(self.recorder.recording());
            }
        }
        self.take_in(&plain, &mut block, run, &mut batch);
        self.recorder.apply_batch(&mut batch);
        self.plain = plain;
        self.room = [block.frames, room];
    }

    /// Takes in a block's records in their order.
    fn take_in<'r>(&mut self, plain: &Plain, block: &mut Block<'r>, run: &[Item<'r>], batch: &mut Batch<'r>) {
        let mut start = 0;
        let mut steps = block.steps.drain(..);
        while !steps.as_slice().is_empty() {
            self.recorder.fetch_known(steps.as_slice().iter().take(FETCHED).filter_map(Step::hash));
            for step in steps.by_ref().take(FETCHED) {
                match step {
                    Step::Plain(sample, hash, item) => {
                        self.recorder.apply_batch(batch);
                        let frames = || plain.frames(&run[item]);
                        self.recorder.hashed_sample(&sample, hash, frames);
                    }
                    Step::Stack(sample, end) => {
                        // Its turn comes after theirs.
                        self.recorder.apply_batch(batch);
                        self.recorder.intern_sample(&sample, &block.frames[start..end]);
                        start = end;
                    }
                    Step::Unwind(sample, event) => {
                        if batch.push(self.recorder.sample_event(&sample, event), *sample) {
                            self.recorder.advance_batch(batch);
                        }
                    }
                    Step::Other(record, event) => {
                        if batch.ends_before(&record) {
                            self.recorder.apply_batch(batch);
                        }
                        self.record(&record, event);
                    }
                    Step::Failed(item, error) => self.failed.add(&run[item], error),
                }
            }
        }
    }

    fn record(&mut self, record: &Record<'_>, event: u16) {
        match record {
            Record::Sample(sample) => {
                let cookie = sample.callchain.and_then(|chain| chain.deferred_cookie());
                match cookie {
                    Some(cookie) => self.deferred.hold(cookie, sample, self.recorder.sample_event(sample, event)),
                    None => self.recorder.apply(record, event),
                }
            }
            Record::CallchainDeferred(rest) => self.deferred.release(rest, &mut self.recorder),
            Record::LostSamples(lost) => self.counted = self.counted.saturating_add(lost.lost),
            _ => self.recorder.apply(record, event),
        }
    }
}

/// Records that could not be decoded.
#[derive(Debug, Default)]
struct Failed {
    count: u64,
    samples: u64,
    first: Option<(u64, DecodeError)>,
}

impl Failed {
    fn add(&mut self, item: &Item<'_>, error: DecodeError) {
        const SAMPLE: u32 = 9;
        self.count += 1;
        let kind = burnmark_perf::record::Header::peek(item.bytes).map(|header| header.kind);
        self.samples += u64::from(kind == Some(SAMPLE));
        self.first.get_or_insert((item.position, error));
    }

    fn warning(self) -> Option<Warning> {
        let (at, error) = self.first?;
        let message = format!("damaged records ({} samples) are left out; the first: {error}", self.samples);
        Some(Warning { message, position: Some(Position::Byte(at)), count: self.count })
    }
}

#[cfg(test)]
#[path = "perfdata/tests.rs"]
mod tests;
