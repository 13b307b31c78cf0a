//! The rows of a recording as a frame's payload: per table the number of new rows, then the rows, in the order modules,
//! processes, threads, frames, stacks, samples, lost, the samples' events; then 0, or 1 and the metadata.

use std::collections::BTreeMap;

use burnmark_model::Meta;

use super::bytes::{Bytes, put, put_bytes, put_delta};
use crate::recording::{
    CodeKind, EventRow, FrameRow, LostRow, ModuleRow, NONE, ProcessRow, Recording, SampleRow, StackRow, ThreadRow,
};

/// How many rows each table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lengths {
    modules: usize,
    processes: usize,
    threads: usize,
    frames: usize,
    stacks: usize,
    samples: usize,
    lost: usize,
}

impl Lengths {
    pub(super) fn of(recording: &Recording) -> Self {
        Self {
            modules: recording.modules.len(),
            processes: recording.processes.len(),
            threads: recording.threads.len(),
            frames: recording.frames.len(),
            stacks: recording.stacks.len(),
            samples: recording.samples.len(),
            lost: recording.lost.len(),
        }
    }

    /// The same with at most so many more samples than `from` has.
    pub(super) fn limited(self, from: &Self, samples: usize) -> Self {
        Self { samples: self.samples.min(from.samples + samples), ..self }
    }
}

/// Appends the rows between two states of a recording.
pub(super) fn encode(recording: &Recording, from: &Lengths, to: &Lengths, meta: Option<&[u8]>, out: &mut Vec<u8>) {
    table(out, &recording.modules[from.modules..to.modules], |out, row| {
        put_bytes(out, &row.path);
        put(out, kind_number(row.kind));
        put(out, row.device.0.into());
        put(out, row.device.1.into());
        put(out, row.inode);
        put_bytes(out, &row.build_id);
        put(out, (row.pid as u32).into());
        put(out, row.start);
        put(out, row.end);
    });
    table(out, &recording.processes[from.processes..to.processes], |out, row| {
        put(out, (row.pid as u32).into());
        put_bytes(out, &row.name);
    });
    table(out, &recording.threads[from.threads..to.threads], |out, row| {
        put(out, row.process.into());
        put(out, (row.tid as u32).into());
        put_bytes(out, &row.name);
    });
    table(out, &recording.frames[from.frames..to.frames], |out, row| {
        put(out, u64::from(row.module.wrapping_add(1)) << 1 | u64::from(row.is_return));
        put(out, row.address);
    });
    table(out, &recording.stacks[from.stacks..to.stacks], |out, row| {
        put(out, row.parent.wrapping_add(1).into());
        put(out, row.frame.into());
    });
    let mut last = SampleRow { time: 0, period: 0, stack: 0, thread: 0 };
    put(out, (to.samples - from.samples) as u64);
    for row in recording.samples.range(from.samples..to.samples) {
        put_delta(out, last.time, row.time);
        put_delta(out, last.period, row.period);
        put(out, row.stack.wrapping_add(1).into());
        put(out, row.thread.into());
        last = row;
    }
    table(out, &recording.lost[from.lost..to.lost], |out, row| {
        put(out, row.time);
        put(out, row.count);
    });
    // None are given where all of the frame's samples are of event 0.
    let events = recording.sample_events.get(from.samples..).unwrap_or_default();
    table(out, &events[..events.len().min(to.samples - from.samples)], |out, event| put(out, (*event).into()));
    out.push(u8::from(meta.is_some()));
    out.extend_from_slice(meta.unwrap_or_default());
}

fn table<T>(out: &mut Vec<u8>, rows: &[T], mut put_row: impl FnMut(&mut Vec<u8>, &T)) {
    put(out, rows.len() as u64);
    for row in rows {
        put_row(out, row);
    }
}

/// Adds the rows of a payload, all of them or none: `false` if it makes no sense.
pub(super) fn decode(payload: &[u8], recording: &mut Recording) -> bool {
    let before = Lengths::of(recording);
    let mut bytes = Bytes(payload);
    let whole = decode_tables(&mut bytes, recording).and_then(|()| decode_meta(&mut bytes, recording));
    if whole.is_none() || !bytes.0.is_empty() {
        recording.modules.truncate(before.modules);
        recording.processes.truncate(before.processes);
        recording.threads.truncate(before.threads);
        recording.frames.truncate(before.frames);
        recording.stacks.truncate(before.stacks);
        recording.samples.truncate(before.samples);
        recording.sample_events.truncate(before.samples);
        recording.lost.truncate(before.lost);
        return false;
    }
    true
}

fn decode_tables(bytes: &mut Bytes<'_>, recording: &mut Recording) -> Option<()> {
    let Recording { modules, processes, threads, frames, stacks, samples, lost, sample_events, .. } = recording;
    rows(bytes, modules, |bytes, _| {
        Some(ModuleRow {
            path: bytes.bytes()?.into(),
            kind: kind_of(bytes.number()?)?,
            device: (bytes.number_u32()?, bytes.number_u32()?),
            inode: bytes.number()?,
            build_id: bytes.bytes()?.into(),
            pid: bytes.number_i32()?,
            start: bytes.number()?,
            end: bytes.number()?,
        })
    })?;
    rows(bytes, processes, |bytes, _| Some(ProcessRow { pid: bytes.number_i32()?, name: bytes.bytes()?.into() }))?;
    rows(bytes, threads, |bytes, _| {
        let process = index(bytes.number()?, processes.len())?;
        Some(ThreadRow { process, tid: bytes.number_i32()?, name: bytes.bytes()?.into() })
    })?;
    rows(bytes, frames, |bytes, _| {
        let number = bytes.number()?;
        let module = index_or_none(number >> 1, modules.len())?;
        Some(FrameRow { module, address: bytes.number()?, is_return: number & 1 != 0 })
    })?;
    rows(bytes, stacks, |bytes, above| {
        let parent = index_or_none(bytes.number()?, above)?;
        Some(StackRow { parent, frame: index(bytes.number()?, frames.len())? })
    })?;
    let samples_before = samples.len();
    let mut last = SampleRow { time: 0, period: 0, stack: 0, thread: 0 };
    for _ in 0..bytes.number()? {
        last = SampleRow {
            time: bytes.delta(last.time)?,
            period: bytes.delta(last.period)?,
            stack: index_or_none(bytes.number()?, stacks.len())?,
            thread: index(bytes.number()?, threads.len())?,
        };
        samples.push(last);
    }
    rows(bytes, lost, |bytes, _| Some(LostRow { time: bytes.number()?, count: bytes.number()? }))?;
    let mut given = Vec::new();
    rows(bytes, &mut given, |bytes, _| u16::try_from(bytes.number()?).ok())?;
    if given.len() > samples.len() - samples_before {
        return None;
    }
    if !given.is_empty() {
        sample_events.resize(samples_before, 0);
        sample_events.append(&mut given);
    }
    Some(())
}

/// Reads a table's rows; `row` gets the number of rows there are before it. Memory follows the bytes that are really
/// there: every row takes at least one.
fn rows<'a, T>(
    bytes: &mut Bytes<'a>,
    table: &mut Vec<T>,
    mut row: impl FnMut(&mut Bytes<'a>, usize) -> Option<T>,
) -> Option<()> {
    for _ in 0..bytes.number()? {
        // Indices are 32 bits wide, and the last one stands for "none".
        let above = Some(table.len()).filter(|length| *length < NONE as usize)?;
        table.push(row(bytes, above)?);
    }
    Some(())
}

fn index(number: u64, length: usize) -> Option<u32> {
    u32::try_from(number).ok().filter(|index| (*index as usize) < length)
}

fn index_or_none(number: u64, length: usize) -> Option<u32> {
    match number.checked_sub(1) {
        Some(number) => index(number, length),
        None => Some(NONE),
    }
}

fn kind_number(kind: CodeKind) -> u64 {
    match kind {
        CodeKind::File => 0,
        CodeKind::Kernel => 1,
        CodeKind::Vdso => 2,
        CodeKind::Anonymous => 3,
        CodeKind::Foreign => 4,
    }
}

fn kind_of(number: u64) -> Option<CodeKind> {
    Some(match number {
        0 => CodeKind::File,
        1 => CodeKind::Kernel,
        2 => CodeKind::Vdso,
        3 => CodeKind::Anonymous,
        4 => CodeKind::Foreign,
        _ => return None,
    })
}

/// The recording's metadata, whole: it is small, and written again when it has changed.
pub(super) fn encode_meta(recording: &Recording) -> Vec<u8> {
    let Recording { meta, boot_id, events, .. } = recording;
    let mut out = Vec::new();
    put_bytes(&mut out, boot_id.as_bytes());
    table(&mut out, events, |out, event| {
        put_bytes(out, event.name.as_bytes());
        put(out, event.period);
    });
    for text in [&meta.producer, &meta.command, &meta.kernel, &meta.cpu, &meta.event] {
        out.push(u8::from(text.is_some()));
        if let Some(text) = text {
            put_bytes(&mut out, text.as_bytes());
        }
    }
    let signed = |number: Option<i64>| number.map(|number| number as u64);
    let numbers = [
        signed(meta.period),
        meta.frequency_hz,
        signed(meta.start_unix_ns),
        signed(meta.duration_ns),
        meta.lost,
        meta.complete_stacks,
    ];
    for number in numbers {
        out.push(u8::from(number.is_some()));
        if let Some(number) = number {
            put(&mut out, number);
        }
    }
    table(&mut out, &meta.notes, |out, note| put_bytes(out, note.as_bytes()));
    put(&mut out, meta.other.len() as u64);
    for (key, value) in &meta.other {
        put_bytes(&mut out, key.as_bytes());
        put_bytes(&mut out, value.as_bytes());
    }
    out
}

fn decode_meta(bytes: &mut Bytes<'_>, recording: &mut Recording) -> Option<()> {
    match bytes.byte()? {
        0 => return Some(()),
        1 => {}
        _ => return None,
    }
    let boot_id = bytes.text()?;
    let mut events = Vec::new();
    rows(bytes, &mut events, |bytes, _| Some(EventRow { name: bytes.text()?.into(), period: bytes.number()? }))?;
    let mut texts = [const { None }; 5];
    for text in &mut texts {
        *text = optional(bytes, Bytes::text)?;
    }
    let mut numbers = [None; 6];
    for number in &mut numbers {
        *number = optional(bytes, Bytes::number)?;
    }
    let mut notes = Vec::new();
    rows(bytes, &mut notes, |bytes, _| bytes.text())?;
    let mut other = BTreeMap::new();
    for _ in 0..bytes.number()? {
        other.insert(bytes.text()?, bytes.text()?);
    }
    // The metadata comes last: nothing is changed by a payload that makes no sense.
    if !bytes.0.is_empty() {
        return None;
    }
    let [producer, command, kernel, cpu, event] = texts;
    let [period, frequency_hz, start_unix_ns, duration_ns, lost, complete_stacks] = numbers;
    let signed = |number: Option<u64>| number.map(|number| number as i64);
    recording.boot_id = boot_id;
    recording.events = events;
    recording.meta = Meta {
        producer,
        command,
        kernel,
        cpu,
        event,
        period: signed(period),
        frequency_hz,
        start_unix_ns: signed(start_unix_ns),
        duration_ns: signed(duration_ns),
        lost,
        complete_stacks,
        notes,
        other,
    };
    Some(())
}

#[expect(clippy::option_option, reason = "the outer one is for bytes that end, the inner one for a value not given")]
fn optional<'a, T>(bytes: &mut Bytes<'a>, read: impl Fn(&mut Bytes<'a>) -> Option<T>) -> Option<Option<T>> {
    match bytes.byte()? {
        0 => Some(None),
        1 => read(bytes).map(Some),
        _ => None,
    }
}
