//! From the file's bytes to records in order.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ahead::{self, Glimpse, Passed};
use super::damage::Damage;
use super::head::{self, FILE_HEADER, Head, PIPE_HEADER, Part, Plan};
use super::inflate::Inflater;
use super::queue::{Entry, Queue};
use super::scan::{self, Found, kind};
use super::store::{CHUNK, IN_FILE, Store};
use super::stream::Stream;
use super::{Error, Warning, feature};
use crate::cursor::u64_at;
use crate::record::{HEADER_LEN, Header};
use perf_event_open_sys::bindings as sys;

/// Bytes before the records of a file in file mode that comes through a pipe.
const MAX_BEFORE: u64 = 32 << 20;

/// Bytes after its records.
const MAX_AFTER: u64 = 32 << 20;

/// Records that are handed out at once.
const RUN: usize = 1 << 14;

/// Bytes of records that are worth a thread to look through them. Tests and fuzzers have small files.
const WORTH_A_THREAD: usize = if cfg!(debug_assertions) { 1 } else { 4 << 20 };

/// Where the file's bytes come from.
pub enum Input<'a> {
    /// All of them, such as a [`super::Map`]. Records are not copied.
    Bytes(&'a [u8]),
    /// A stream, read once, with bounded memory.
    Stream(Box<dyn Read + 'a>),
}

/// A record of the kernel's.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The whole record, for [`crate::record::Record::decode`].
    pub bytes: &'a [u8],
    /// Index of the event in [`Head::events`] that it was written by, and whose layout it has.
    pub event: u16,
    /// Offset in the file; of compressed records that of the first one they were packed with.
    pub position: u64,
    /// Nanoseconds on the samples' clock; 0 if it has no time.
    pub time: u64,
}

/// What there is to say at the end.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Events and features, those that came last included.
    pub head: Head,
    /// What was wrong with the file.
    pub warnings: Vec<Warning>,
    /// Bytes of records, decompressed.
    pub record_bytes: u64,
}

/// Gets the records, a run at a time; they are in order within a run and from run to run.
pub type Take<'t> = dyn FnMut(&Head, &[Item<'_>]) + 't;

/// A file whose records can be read.
pub struct Reader<'a> {
    source: Source<'a>,
    head: Head,
    /// `None` in pipe mode.
    plan: Option<Plan>,
    warnings: Vec<Warning>,
    progress: Option<Arc<AtomicU64>>,
    max_inflated: u64,
}

enum Source<'a> {
    Bytes(&'a [u8]),
    Stream(Stream<'a>),
}

impl<'a> Reader<'a> {
    /// Reads what stands before the records.
    ///
    /// # Errors
    /// If it is no perf.data file of this byte order, or its header is damaged.
    pub fn open(input: Input<'a>) -> Result<Reader<'a>, Error> {
        let (mut head, mut warnings) = (Head::default(), Vec::new());
        let (source, plan) = match input {
            Input::Bytes(bytes) => {
                head.is_pipe = head::is_pipe(bytes)?;
                let plan = if head.is_pipe { None } else { Some(Plan::read(bytes)?) };
                if let Some(plan) = &plan {
                    let file = Part { bytes, starts_at: 0 };
                    head.read_events(plan, file, &mut warnings);
                    // Of a file that wasn't finished, the bits are set and the sections are not there.
                    if plan.data.len > 0 {
                        head.read_features(plan, file, &mut warnings);
                    }
                }
                (Source::Bytes(bytes), plan)
            }
            Input::Stream(reader) => {
                let mut stream = Stream { reader, at: 0, is_over: false, broken: None };
                let mut start = Vec::new();
                stream.append(&mut start, PIPE_HEADER as u64)?;
                head.is_pipe = head::is_pipe(&start)?;
                let mut plan = None;
                if !head.is_pipe {
                    stream.append(&mut start, (FILE_HEADER - PIPE_HEADER) as u64)?;
                    let read = Plan::read(&start)?;
                    if read.data.at > MAX_BEFORE {
                        return Err(Error::FarData { at: read.data.at });
                    }
                    stream.append(&mut start, read.data.at - FILE_HEADER as u64)?;
                    head.read_events(&read, Part { bytes: &start, starts_at: 0 }, &mut warnings);
                    plan = Some(read);
                }
                (Source::Stream(stream), plan)
            }
        };
        if !head.is_pipe && head.events.is_empty() {
            return Err(Error::Header { what: "it describes no event", at: 24 });
        }
        Ok(Reader { source, head, plan, warnings, progress: None, max_inflated: u64::MAX })
    }

    /// Events and features. In pipe mode there are none yet; of a stream in file mode the features come last.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Counts bytes of the file in `counter` while they are read.
    pub fn progress(&mut self, counter: Arc<AtomicU64>) {
        self.progress = Some(counter);
    }

    /// Stops, with a warning, when records have been decompressed to so many bytes.
    pub fn limit_decompressed(&mut self, bytes: u64) {
        self.max_inflated = bytes;
    }

    /// Hands all records of the kernel's to `take`, in order.
    ///
    /// # Errors
    /// If the input can't be read. Damage is no error: it is in the [`Ended::warnings`].
    pub fn read(self, take: &mut Take<'_>) -> Result<Ended, Error> {
        let Reader { source, head, plan, warnings, progress, max_inflated } = self;
        let file = match &source {
            Source::Bytes(bytes) => *bytes,
            Source::Stream(_) => &[],
        };
        let mut work = Work {
            store: Store::new(file),
            queue: Queue::default(),
            head,
            damage: Damage::default(),
            inflater: None,
            inner: None,
            max_inflated,
            progress,
            take,
            warnings,
            run_out: false,
        };
        match source {
            Source::Bytes(bytes) => work.bytes(bytes, plan.as_ref()),
            Source::Stream(stream) => work.stream(stream, plan.as_ref())?,
        }
        Ok(work.end())
    }
}

/// The state of reading.
struct Work<'a, 't> {
    store: Store<'a>,
    queue: Queue,
    head: Head,
    damage: Damage,
    inflater: Option<Inflater>,
    /// The chunk that records are decompressed into.
    inner: Option<Filling>,
    max_inflated: u64,
    progress: Option<Arc<AtomicU64>>,
    take: &'t mut Take<'t>,
    warnings: Vec<Warning>,
    /// The bound on decompressed bytes was reached.
    run_out: bool,
}

/// A chunk that is being filled.
#[derive(Debug, Clone, Copy)]
struct Filling {
    chunk: u32,
    /// Where the next record starts.
    at: usize,
    filled: usize,
}

/// Where the bytes that are looked through lie.
#[derive(Debug, Clone, Copy)]
struct Place {
    chunk: u32,
    /// Offset in the file of the first one; of decompressed bytes that of the record they came in.
    starts_at: u64,
    is_inner: bool,
    /// Nothing comes after them.
    is_last: bool,
}

impl Place {
    fn position(self, at: usize) -> u64 {
        if self.is_inner { self.starts_at } else { self.starts_at + at as u64 }
    }
}

/// Why looking through bytes stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// They are all seen, or more are needed.
    More,
    /// Records are ready.
    Ready,
    /// Too many wait.
    Full,
    /// Compressed records: where their data is.
    Inflate(usize, usize),
    /// So many bytes that are no records follow.
    Skip(u64),
}

impl Work<'_, '_> {
    /// A file in memory.
    fn bytes(&mut self, bytes: &[u8], plan: Option<&Plan>) {
        let len = bytes.len() as u64;
        let (start, end) = self.extent(plan, Some((bytes, len)));
        let (mut at, end) = (start.min(len) as usize, end.min(len) as usize);
        let place = Place { chunk: IN_FILE, starts_at: 0, is_inner: false, is_last: true };
        if end - at >= WORTH_A_THREAD && plan.is_some() {
            at = std::thread::scope(|scope| {
                let ahead = ahead::start(scope, &bytes[..end], at, &self.head);
                ahead.into_iter().flatten().fold(at, |_, passed| self.passed(bytes, passed, place))
            });
        }
        loop {
            let stop = self.scan(&bytes[..end], &mut at, place);
            self.seen(at as u64);
            match stop {
                Stop::More => break,
                Stop::Ready | Stop::Full => self.flush(stop),
                Stop::Inflate(from, to) => self.inflate(&bytes[from..to], from as u64),
                Stop::Skip(len) => {
                    let rest = (end - at) as u64;
                    if len > rest {
                        self.damage.missing.add(end as u64, len - rest);
                    }
                    at += len.min(rest) as usize;
                }
            }
        }
    }

    /// Takes in a record that was looked at ahead; where the next one begins.
    fn passed(&mut self, bytes: &[u8], passed: Passed, place: Place) -> usize {
        let Passed { at, header, glimpse } = passed;
        let end = at + usize::from(header.size);
        let stop = if header.kind >= kind::OWN {
            self.own_record(&bytes[at..end], header, at, place)
        } else {
            self.kernel_record(header, glimpse, at, place)
        };
        if let Some(stop) = stop {
            self.seen(end as u64);
            self.flush(stop);
        }
        end
    }

    /// Where records begin and end, if that is known; the rest of the file is `known` if it is in memory.
    fn extent(&mut self, plan: Option<&Plan>, known: Option<(&[u8], u64)>) -> (u64, u64) {
        let Some(plan) = plan else { return (PIPE_HEADER as u64, u64::MAX) };
        if plan.data.len == 0 {
            self.damage.unfinished = true;
            return (plan.data.at, u64::MAX);
        }
        let Some((bytes, len)) = known else { return (plan.data.at, plan.data.end()) };
        if plan.data.end() > len {
            self.damage.missing.add(len, plan.data.end() - len);
        } else if plan.lies(bytes) {
            let message = "the header's length of the records can't be right: they are read up to the file's end";
            self.warnings.push(Warning::at(message, 48));
            return (plan.data.at, u64::MAX);
        }
        (plan.data.at, plan.data.end())
    }

    /// A file that comes as a stream.
    fn stream(&mut self, mut stream: Stream<'_>, plan: Option<&Plan>) -> Result<(), Error> {
        let (_, end) = self.extent(plan, None);
        let mut filling = Filling { chunk: self.store.take(stream.at, true), at: 0, filled: 0 };
        let mut data = Vec::new();
        let mut skip = 0;
        loop {
            let mut bytes = self.store.borrow(filling.chunk);
            let room = (CHUNK - filling.filled).min(usize::try_from(end.saturating_sub(stream.at)).unwrap_or(CHUNK));
            let starts_at = stream.at - filling.filled as u64;
            let read = stream.fill(&mut bytes[filling.filled..filling.filled + room]);
            filling.filled += *read.as_ref().unwrap_or(&0);
            let is_last = stream.is_over || stream.at >= end || read.is_err();
            let passed = skip.min((filling.filled - filling.at) as u64);
            filling.at += passed as usize;
            skip -= passed;
            let place = Place { chunk: filling.chunk, starts_at, is_inner: false, is_last };
            let stop = if skip > 0 { Stop::More } else { self.scan(&bytes[..filling.filled], &mut filling.at, place) };
            if let Stop::Inflate(from, to) = stop {
                data.clear();
                data.extend_from_slice(&bytes[from..to]);
            }
            self.store.put_back(filling.chunk, bytes);
            self.seen(starts_at + filling.at as u64);
            match stop {
                Stop::More if is_last => {
                    if let Some(error) = stream.broken.take() {
                        let message = format!("the input can't be read to its end: {error}; what comes before is");
                        self.warnings.push(Warning::at(message, stream.at));
                    }
                    self.damage.missing.add_some(stream.at, skip);
                    self.store.release(filling.chunk);
                    read?;
                    break;
                }
                Stop::More => filling = self.roll_over(filling, starts_at + filling.at as u64, true),
                Stop::Ready | Stop::Full => self.flush(stop),
                Stop::Inflate(from, _) => self.inflate(&data, starts_at + from as u64),
                Stop::Skip(len) => skip = len,
            }
        }
        let Some(plan) = plan.filter(|plan| plan.data.len > 0) else { return Ok(()) };
        self.damage.missing.add_some(stream.at, end.saturating_sub(stream.at));
        if stream.at >= end {
            let mut after = Vec::new();
            stream.append(&mut after, MAX_AFTER)?;
            self.head.read_features(plan, Part { bytes: &after, starts_at: end }, &mut self.warnings);
        }
        Ok(())
    }

    /// Goes on in an empty chunk with what is left of a full one. One that has room is filled further.
    fn roll_over(&mut self, filling: Filling, origin: u64, is_plain: bool) -> Filling {
        let rest = filling.filled - filling.at;
        if filling.filled < CHUNK {
            return filling;
        }
        let chunk = self.store.take(origin, is_plain);
        let old = self.store.borrow(filling.chunk);
        let mut new = self.store.borrow(chunk);
        new[..rest].copy_from_slice(&old[filling.at..filling.filled]);
        self.store.put_back(chunk, new);
        self.store.put_back(filling.chunk, old);
        self.store.release(filling.chunk);
        Filling { chunk, at: 0, filled: rest }
    }

    /// Looks through `bytes` from `at` on, which moves along.
    fn scan(&mut self, bytes: &[u8], at: &mut usize, place: Place) -> Stop {
        loop {
            let rest = &bytes[*at..];
            match scan::look(rest) {
                Found::Record(header) => {
                    let from = *at;
                    *at += usize::from(header.size);
                    let record = &rest[..usize::from(header.size)];
                    let stop = if header.kind >= kind::OWN {
                        self.own_record(record, header, from, place)
                    } else {
                        self.kernel_record(header, ahead::glimpse(&self.head, record), from, place)
                    };
                    if let Some(stop) = stop {
                        return stop;
                    }
                }
                Found::Cut if !place.is_last || rest.is_empty() => return Stop::More,
                Found::Cut | Found::Nothing => {
                    // Records have lengths of whole words, but for compressed ones, and what follows those.
                    let step = if self.inflater.is_some() && !place.is_inner { 1 } else { 8 };
                    let is_cut = scan::look(rest) == Found::Cut;
                    let after = rest.get(step..).unwrap_or_default();
                    let (passed, found) = scan::find_again(after, &self.head, step, place.is_last);
                    let passed = (passed + step).min(rest.len());
                    let hole = if is_cut && !found { &mut self.damage.missing } else { &mut self.damage.holes };
                    hole.add(place.position(*at), passed as u64);
                    *at += passed;
                    // What was compressed builds on all that was before.
                    if let Some(inflater) = self.inflater.as_mut().filter(|_| !place.is_inner) {
                        inflater.lose();
                    }
                    if !found {
                        return Stop::More;
                    }
                }
            }
        }
    }

    /// A record of the kernel's: it waits for its turn.
    fn kernel_record(&mut self, header: Header, glimpse: Glimpse, at: usize, place: Place) -> Option<Stop> {
        self.damage.record_bytes += u64::from(header.size);
        let is_sample = header.kind == sys::PERF_RECORD_SAMPLE;
        let Glimpse { event, time } = glimpse;
        if is_sample && (event.is_none() || self.head.events.is_empty()) {
            self.damage.unknown.add(place.position(at), header.size.into());
            return None;
        }
        self.damage.samples += u64::from(is_sample);
        let entry = Entry { time, at: at as u64, chunk: place.chunk, event: event.unwrap_or_default() };
        self.store.hold(place.chunk);
        if !self.queue.push(entry, header.size) {
            self.damage.disordered.add(place.position(at), 0);
        }
        self.queue.is_full(&self.store).then_some(Stop::Full)
    }

    /// A record of perf's own.
    fn own_record(&mut self, record: &[u8], header: Header, at: usize, place: Place) -> Option<Stop> {
        let makes_sense = match header.kind {
            kind::ATTR => self.head.attr_record(record),
            kind::EVENT_TYPE => {
                self.head.name_by_config(&record[HEADER_LEN..]);
                true
            }
            kind::BUILD_ID => {
                self.head.features.build_ids.extend(feature::build_id(record));
                true
            }
            kind::EVENT_UPDATE => {
                self.head.event_update(record);
                true
            }
            kind::FEATURE => u64_at(record, 8).is_some_and(|feature| self.head.feature(feature, &record[16..])),
            kind::FINISHED_ROUND => return self.queue.round(&self.store).then_some(Stop::Ready),
            kind::TRACING_DATA if !place.is_inner => {
                let len = record.get(8..12).and_then(|len| len.try_into().ok()).map(u32::from_ne_bytes);
                return len.map(|len| Stop::Skip(len.into()));
            }
            kind::AUXTRACE if !place.is_inner => {
                let len = u64_at(record, 8)?;
                self.damage.aux.add(place.position(at), len);
                return Some(Stop::Skip(len));
            }
            kind::COMPRESSED if !place.is_inner => {
                return Some(Stop::Inflate(at + HEADER_LEN, at + record.len()));
            }
            kind::COMPRESSED2 if !place.is_inner => {
                let len = u64_at(record, 8).filter(|len| *len <= record.len() as u64 - 16);
                if let Some(len) = len {
                    return Some(Stop::Inflate(at + 16, at + 16 + len as usize));
                }
                false
            }
            kind::TRACING_DATA | kind::AUXTRACE | kind::COMPRESSED | kind::COMPRESSED2 => false,
            // Of threads, CPUs and clocks: nothing that is needed.
            _ => true,
        };
        if !makes_sense {
            self.damage.senseless.add(place.position(at), record.len() as u64);
        }
        None
    }

    /// Decompresses records, and looks through them.
    fn inflate(&mut self, data: &[u8], position: u64) {
        let file_len = self.store.file_len();
        let inflater = self.inflater.get_or_insert_with(|| Inflater::new(file_len));
        if self.run_out || !inflater.accepts(data) {
            self.damage.compressed.add(position, data.len() as u64);
            return;
        }
        let mut used = 0;
        loop {
            let store = &mut self.store;
            let mut filling =
                self.inner.take().unwrap_or_else(|| Filling { chunk: store.take(position, false), at: 0, filled: 0 });
            filling = self.roll_over(filling, position, false);
            let mut bytes = self.store.borrow(filling.chunk);
            let room = &mut bytes[filling.filled..];
            let room_len = room.len();
            let run = self.inflater.as_mut().map_or(Ok((0, 0)), |inflater| inflater.run(&data[used..], room));
            self.store.put_back(filling.chunk, bytes);
            let (taken, made) = run.unwrap_or_default();
            filling.filled += made;
            used += taken;
            self.damage.deflated += taken as u64;
            self.damage.inflated += made as u64;
            self.scan_inner(filling, position, false);
            if self.damage.inflated > self.max_inflated {
                self.run_out = true;
                self.damage.compressed_why = Some("they grow beyond the bound (--max-decompressed raises it)");
            }
            let stuck = taken == 0 && made == 0 && used < data.len();
            if let Err(why) = run {
                self.damage.compressed_why = Some(why);
            }
            if run.is_err() || stuck || self.run_out {
                self.damage.compressed.add(position, (data.len() - used) as u64);
                return;
            }
            if used == data.len() && made < room_len {
                return;
            }
        }
    }

    /// Looks through what was decompressed.
    fn scan_inner(&mut self, mut filling: Filling, position: u64, is_last: bool) {
        loop {
            let bytes = self.store.borrow(filling.chunk);
            let place = Place { chunk: filling.chunk, starts_at: position, is_inner: true, is_last };
            let stop = self.scan(&bytes[..filling.filled], &mut filling.at, place);
            self.store.put_back(filling.chunk, bytes);
            match stop {
                Stop::Ready | Stop::Full => self.flush(stop),
                Stop::More | Stop::Inflate(..) | Stop::Skip(_) => break,
            }
        }
        self.inner = Some(filling);
    }

    /// Hands records out.
    fn flush(&mut self, why: Stop) {
        let entries = match why {
            Stop::Ready => self.queue.ready(),
            Stop::Full => self.queue.half(),
            _ => self.queue.rest(),
        };
        for run in entries.chunks(RUN) {
            let items = run.iter().map(|entry| Item {
                bytes: self.store.bytes(entry),
                event: entry.event,
                position: self.store.position(entry),
                time: entry.time,
            });
            (self.take)(&self.head, &items.collect::<Vec<_>>());
        }
        for entry in &entries {
            self.store.release(entry.chunk);
        }
    }

    fn seen(&self, at: u64) {
        if let Some(progress) = &self.progress {
            progress.store(at, Ordering::Relaxed);
        }
    }

    /// The last records.
    fn end(mut self) -> Ended {
        if let Some(inner) = self.inner.take() {
            self.scan_inner(inner, self.store.file_len(), true);
        }
        self.flush(Stop::More);
        let mut warnings = self.warnings;
        warnings.extend(self.damage.warnings());
        Ended { head: self.head, warnings, record_bytes: self.damage.record_bytes }
    }
}
