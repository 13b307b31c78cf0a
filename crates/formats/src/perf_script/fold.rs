//! Folding lines into samples of distinct stacks, fast.
//!
//! Nearly all lines of a text have been met before, so what lines say is found by their hash; only new ones are parsed.
//! The stack of a sample is then a sequence of small numbers, which is again found by its hash; new ones are put into a
//! prefix tree. What becomes of the numbers is decided at the end, from distinct stacks only: see [`super::assemble`].

use foldhash::fast::RandomState;
use indexmap::{IndexMap, IndexSet};

use super::build::{Item, NO_EVENT, ThreadKey, own};
use super::frame::{
    address_of, after_address, find, frames_on_line, is_hex, parse_frame, starts_like_module, without_offset,
};
use super::header::{Period, Suffix, ThreadText, find_time, parse_prefix, parse_tail, split_period};
use super::line::{Header, Line, Time, is_comment, lost_in_record, parse_line, without_return};
use super::notes::{Comments, Trouble, Troubles};
use super::table::{Hash, Keys, Lines, MISS};
use super::tree::Tree;

/// One sample; a stack (node of the tree), thread or event is a number of the folder's that read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    time_ns: i64,
    period: i64,
    /// [`NONE`] if it is empty.
    pub(super) stack: u32,
    /// [`NONE`] if it is not known.
    pub(super) thread: u32,
    pub(super) event: u32,
    /// From 1, counted from the segment's start.
    pub(super) line: u32,
}

impl Record {
    pub(super) fn time_ns(&self) -> Option<i64> {
        (self.time_ns != NOT_KNOWN).then_some(self.time_ns)
    }

    pub(super) fn period(&self) -> Option<i64> {
        (self.period != NOT_KNOWN).then_some(self.period)
    }
}

/// A time or period that is not printed. Printed ones are never negative, or far from it.
const NOT_KNOWN: i64 = i64::MIN;
/// No stack, or no thread.
pub(super) const NONE: u32 = MISS;
/// The event of samples without a header.
pub(super) const NO_HEADER: u32 = u32::MAX;

/// What a part of a text came to.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) records: Vec<Record>,
    pub(super) lines: u64,
    pub(super) troubles: Troubles,
    pub(super) comments: Comments,
    pub(super) lost: Option<u64>,
}

/// Marks, in a stack, an item that perf calls inlined and is not.
pub(super) const STANDALONE: u32 = 1 << 30;
/// Marks numbers of items that are more than a plain frame. [`MISS`] has it too.
const CARE: u32 = 1 << 31;
/// Stands for lines that are not looked up.
const NOT_BODY: u32 = MISS - 1;

/// Stands for no thread in the table of prefixes.
const NO_THREAD: u32 = MISS - 1;
/// A line's start up to here holds its frame's address.
const ADDRESS_COLUMNS: usize = 64;

/// How many lines are looked up together: the processor then waits for their slots at the same time.
const BATCH: usize = 32;
/// Bounds of the tables that forget; 16 bytes a slot.
const MAX_LINE_SLOTS: usize = 1 << 20;
const MAX_PREFIX_SLOTS: usize = 1 << 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between samples.
    Closed,
    /// Behind a line that is a header if a frame follows.
    Pending,
    /// In a sample; its own line may be all there is of it.
    Open { alone: bool },
}

/// Folds lines; keeps what it learns from one segment to the next.
#[derive(Debug)]
pub(super) struct Folder {
    keys: Keys,
    lines: Lines,
    symbols: Lines,
    prefixes: Lines,
    pub(super) items: IndexSet<Item, RandomState>,
    pub(super) threads: IndexSet<ThreadKey, RandomState>,
    /// By their bytes; with their text, and whether it had to be mended.
    pub(super) events: IndexMap<Vec<u8>, (Box<str>, bool), RandomState>,
    /// Nodes of stacks, by the hash of their items.
    stacks: Lines,
    pub(super) tree: Tree,
    /// What stood behind the last header's period, and its event.
    last_tail: Vec<u8>,
    last_event: u32,
    segment: Segment,
    state: State,
    record: Record,
    stack: Vec<u32>,
    frames_of_header: bool,
    /// The address of the last frame, if that is marked as inlined.
    inlined_at: Option<Option<u64>>,
    /// [`CARE`] unless the next frame can simply be added.
    care: u32,
    /// Whether the last careful line was a frame.
    was_frame: bool,
    /// Start of the last frame's line, if that is before the lines at hand.
    previous: Vec<u8>,
    ends: Vec<u32>,
    scratch: Vec<u8>,
}

const NEW_RECORD: Record =
    Record { time_ns: NOT_KNOWN, period: NOT_KNOWN, stack: NONE, thread: NONE, event: 0, line: 0 };

impl Folder {
    pub(super) fn new() -> Self {
        let keys = Keys::random();
        let mut events = IndexMap::default();
        events.insert(Vec::new(), (NO_EVENT.into(), false));
        Self {
            lines: Lines::new(MAX_LINE_SLOTS),
            symbols: Lines::new(MAX_LINE_SLOTS),
            prefixes: Lines::new(MAX_PREFIX_SLOTS),
            items: IndexSet::default(),
            threads: IndexSet::default(),
            events,
            stacks: Lines::new(MAX_LINE_SLOTS),
            tree: Tree::new(),
            last_tail: Vec::new(),
            last_event: 0,
            segment: Segment::default(),
            state: State::Closed,
            record: NEW_RECORD,
            stack: Vec::new(),
            frames_of_header: false,
            inlined_at: None,
            care: CARE,
            was_frame: false,
            previous: Vec::new(),
            ends: Vec::new(),
            scratch: Vec::new(),
            keys,
        }
    }

    /// Ends the segment at hand.
    pub(super) fn finish_segment(&mut self) -> Segment {
        self.close();
        self.previous.clear();
        // The next one is likely to be as long.
        let records = Vec::with_capacity(self.segment.records.len());
        std::mem::replace(&mut self.segment, Segment { records, ..Segment::default() })
    }

    /// How many lines of the segment at hand have been read.
    pub(super) fn lines(&self) -> u64 {
        self.segment.lines
    }

    /// Reads whole lines, each with its end.
    pub(super) fn fold(&mut self, text: &[u8]) {
        let mut ends = std::mem::take(&mut self.ends);
        let carried = std::mem::take(&mut self.previous);
        ends.clear();
        // Blocks are far smaller than 2³² bytes: see `split`.
        ends.extend(memchr::memchr_iter(b'\n', text).map(|end| end as u32));
        let mut start = 0;
        let mut before = carried.as_slice();
        for batch in ends.chunks(BATCH) {
            let (hashes, ids) = self.look_up(text, start, batch);
            for ((hash, id), end) in hashes.iter().zip(ids).zip(batch) {
                let line = &text[start..*end as usize];
                start = *end as usize + 1;
                self.segment.lines += 1;
                if (id | self.care) & CARE == 0 {
                    self.stack.push(id);
                } else if line.is_empty() {
                    self.close();
                } else {
                    self.was_frame = false;
                    self.careful_line(line, id, *hash, before);
                    if !self.was_frame {
                        continue;
                    }
                }
                before = line;
            }
        }
        self.previous.extend_from_slice(&before[..before.len().min(ADDRESS_COLUMNS)]);
        self.ends = ends;
    }

    /// Hashes of the lines that end at `ends`, and what is known of them.
    #[inline]
    fn look_up(&self, text: &[u8], mut start: usize, ends: &[u32]) -> ([Hash; BATCH], [u32; BATCH]) {
        let mut hashes = [Hash::default(); BATCH];
        let mut ids = [NOT_BODY; BATCH];
        for ((hash, id), end) in hashes.iter_mut().zip(&mut ids).zip(ends) {
            let line = &text[start..*end as usize];
            start = *end as usize + 1;
            if line.first() == Some(&b'\t') || line.starts_with(b"  ") {
                *hash = self.keys.hash(line);
                *id = MISS;
            }
        }
        for (id, hash) in ids.iter_mut().zip(&hashes) {
            if *id == MISS {
                *id = self.lines.get(*hash);
            }
        }
        (hashes, ids)
    }

    /// Reads the last line, which has no end: a frame may have been cut in two.
    pub(super) fn last_line(&mut self, text: &[u8]) {
        let text = without_return(text);
        self.segment.lines += 1;
        let is_frame = matches!(parse_line(text), Line::Frame { .. });
        if is_frame && !text.ends_with(b")") && (self.has_modules() || find(text, b" (").is_some()) {
            self.trouble(Trouble::CutOff);
        } else {
            let before = std::mem::take(&mut self.previous);
            self.unknown_line(text, None, &before);
        }
    }

    fn has_modules(&self) -> bool {
        let has_module = |id: &u32| matches!(self.item(*id), Item::Frame { module: Some(_), .. });
        self.state != State::Closed && self.stack.iter().any(has_module)
    }

    fn item(&self, id: u32) -> &Item {
        &self.items[(id & !(STANDALONE | CARE)) as usize]
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.segment.troubles.add(trouble, self.segment.lines);
    }

    /// A line that is not simply one more frame of the sample at hand.
    fn careful_line(&mut self, line: &[u8], id: u32, hash: Hash, before: &[u8]) {
        match id {
            NOT_BODY => self.unknown_line(without_return(line), None, before),
            MISS => {
                let text = without_return(line);
                match self.known_symbol(text) {
                    Some(id) => {
                        self.lines.insert(hash, id);
                        if (id | self.care) & CARE == 0 {
                            self.was_frame = true;
                            self.stack.push(id);
                        } else {
                            self.add_item(id, text, before);
                        }
                    }
                    None => self.unknown_line(text, Some(hash), before),
                }
            }
            id => self.add_item(id, line, before),
        }
    }

    /// The item of a frame whose symbol and module are known, though not at this address.
    fn known_symbol(&mut self, text: &[u8]) -> Option<u32> {
        let rest = after_address(text.strip_prefix(b"\t")?)?;
        self.scratch.clear();
        match offset_in(rest) {
            Some(offset) => {
                self.scratch.extend_from_slice(&rest[..offset.start]);
                self.scratch.extend_from_slice(&rest[offset.end..]);
            }
            None => self.scratch.extend_from_slice(rest),
        }
        let hash = self.keys.hash(&self.scratch);
        let known = self.symbols.get(hash);
        if known != MISS {
            return Some(known);
        }
        let (item, mended) = Item::of_frame(&parse_frame(rest));
        if mended {
            return None;
        }
        let id = self.intern(item);
        self.symbols.insert(hash, id);
        Some(id)
    }

    fn intern(&mut self, item: Item) -> u32 {
        let plain = matches!(item, Item::Frame { inlined: false, .. });
        let index = u32::try_from(self.items.insert_full(item).0).ok().filter(|index| *index < STANDALONE);
        let index = index.expect("a text with less than 2^30 distinct frames");
        if plain { index } else { index | CARE }
    }

    /// A line that must be parsed. If it has a hash, what is found is remembered.
    fn unknown_line(&mut self, text: &[u8], hash: Option<Hash>, before: &[u8]) {
        if text.first() != Some(&b'\t')
            && let Some(time) = find_time(text).filter(|_| !is_comment(text))
        {
            let tail = &text[time.end..];
            return match lost_in_record(tail) {
                Some(lost) => self.lost(lost),
                None => self.timed_header(&text[..time.start], time.ns, tail),
            };
        }
        match parse_line(text) {
            Line::Blank => self.close(),
            Line::Comment(text) => self.segment.comments.add(text),
            Line::Header(header) => {
                self.close();
                self.header(&header);
                self.state = State::Open { alone: false };
                self.set_care();
            }
            Line::MaybeHeader(header) if !matches!(self.state, State::Open { .. }) => {
                self.close();
                self.header(&header);
                self.state = State::Pending;
            }
            Line::MaybeHeader(_) | Line::Odd => self.trouble(Trouble::Odd),
            Line::Frame { frame, alone } => {
                let (item, mended) = Item::of_frame(&frame);
                let id = self.intern(item);
                if alone {
                    self.frame_alone();
                } else {
                    self.remember(hash, id, mended);
                }
                self.add_item(id, text, before);
                self.note_mended(mended);
            }
            Line::Source(source) => {
                let (item, mended) = Item::of_source(&source);
                let id = self.intern(item);
                self.remember(hash, id, mended);
                let was_odd = !self.takes_source();
                self.add_item(id, text, before);
                self.note_mended(mended && !was_odd);
            }
            Line::Record { lost } => self.lost(lost),
            Line::OtherField => self.trouble(Trouble::OtherField),
        }
    }

    /// Lines with damaged text are parsed each time, as each counts as trouble.
    fn remember(&mut self, hash: Option<Hash>, id: u32, mended: bool) {
        if let Some(hash) = hash.filter(|_| !mended) {
            self.lines.insert(hash, id);
        }
    }

    fn note_mended(&mut self, mended: bool) {
        if mended {
            self.trouble(Trouble::NotUtf8);
        }
    }

    fn lost(&mut self, lost: u64) {
        if lost > 0 {
            self.segment.lost = Some(self.segment.lost.unwrap_or(0).saturating_add(lost));
        }
    }

    /// An address line that may be all there is of a sample.
    fn frame_alone(&mut self) {
        if matches!(self.state, State::Closed | State::Open { alone: true }) {
            self.close();
            self.record = Record { line: self.line(), ..NEW_RECORD };
            self.state = State::Open { alone: true };
        }
    }

    fn line(&self) -> u32 {
        u32::try_from(self.segment.lines).unwrap_or(u32::MAX)
    }

    fn takes_source(&self) -> bool {
        let is_frame = |id: &u32| matches!(self.item(*id), Item::Frame { .. });
        matches!(self.state, State::Open { .. }) && self.stack.last().is_some_and(is_frame)
    }

    /// Adds a frame, or the source line of the last frame, to the sample at hand.
    fn add_item(&mut self, id: u32, line: &[u8], before: &[u8]) {
        let (is_frame, inlined) = match self.item(id) {
            Item::Frame { inlined, .. } => (true, *inlined),
            Item::Source { inlined, .. } => (false, *inlined),
        };
        self.was_frame = is_frame;
        if is_frame {
            match self.state {
                State::Open { .. } => {}
                State::Pending => self.state = State::Open { alone: false },
                State::Closed => {
                    self.record = Record { line: self.line(), event: NO_HEADER, ..NEW_RECORD };
                    self.state = State::Open { alone: false };
                }
            }
            if std::mem::take(&mut self.frames_of_header) {
                self.stack.clear();
            }
            if let Some(address) = self.inlined_at.take()
                && address != address_of(line)
            {
                self.mark_standalone();
            }
        } else if !self.takes_source() {
            return self.trouble(Trouble::Odd);
        }
        self.stack.push(id & !CARE);
        if inlined && !self.frames_of_header {
            self.inlined_at = Some(address_of(if is_frame { line } else { before }));
        }
        self.set_care();
    }

    fn mark_standalone(&mut self) {
        if let Some(last) = self.stack.last_mut() {
            *last |= STANDALONE;
        }
    }

    fn set_care(&mut self) {
        let simple = matches!(self.state, State::Open { .. }) && !self.frames_of_header && self.inlined_at.is_none();
        self.care = if simple { 0 } else { CARE };
    }

    /// Ends the sample at hand.
    fn close(&mut self) {
        match self.state {
            State::Closed => {}
            State::Pending => self.segment.troubles.add(Trouble::Odd, u64::from(self.record.line)),
            State::Open { .. } => {
                if self.inlined_at.is_some() {
                    self.mark_standalone();
                }
                let stack = self.node_of_stack();
                self.segment.records.push(Record { stack, ..self.record });
            }
        }
        self.stack.clear();
        self.frames_of_header = false;
        self.inlined_at = None;
        self.state = State::Closed;
        self.care = CARE;
    }

    fn node_of_stack(&mut self) -> u32 {
        let hash = self.keys.hash_numbers(&self.stack);
        let mut node = self.stacks.get(hash);
        if node == MISS && !self.stack.is_empty() {
            node = self.tree.add(&self.stack);
            self.stacks.insert(hash, node);
        }
        node
    }

    /// A header with a time, the usual case.
    fn timed_header(&mut self, prefix: &[u8], time_ns: Option<i64>, tail: &[u8]) {
        self.close();
        let (thread, mut mended) = self.thread_of_prefix(prefix);
        let (period, rest) = split_period(tail);
        self.record = Record { thread, line: self.line(), ..NEW_RECORD };
        self.set_time(time_ns.map_or(Time::OutOfRange, Time::At));
        self.set_period(period);
        if rest == self.last_tail {
            self.record.event = self.last_event;
        } else {
            let (event, frames) = parse_tail(rest);
            let (id, mended_event) = self.event(event);
            self.record.event = id;
            mended |= mended_event | self.add_frames_of_header(frames);
            if frames.is_empty() && !mended_event {
                self.last_tail.clear();
                self.last_tail.extend_from_slice(rest);
                self.last_event = id;
            }
        }
        self.note_mended(mended);
        self.state = State::Open { alone: false };
        self.set_care();
    }

    /// The thread that a line names before its time, and whether its text had to be mended.
    fn thread_of_prefix(&mut self, prefix: &[u8]) -> (u32, bool) {
        const MENDED: u32 = 1 << 31;
        let hash = self.keys.hash(prefix);
        let mut id = self.prefixes.get(hash);
        if id == MISS {
            let (thread, mended) = self.thread(&parse_prefix(prefix));
            // The last but one number stands for none, as the last is taken.
            id = if thread == NONE { NO_THREAD } else { thread | if mended { MENDED } else { 0 } };
            self.prefixes.insert(hash, id);
        }
        if id == NO_THREAD { (NONE, false) } else { (id & !MENDED, id & MENDED != 0) }
    }

    fn thread(&mut self, text: &ThreadText<'_>) -> (u32, bool) {
        let Some((key, mended)) = ThreadKey::of(text) else { return (NONE, false) };
        let index = u32::try_from(self.threads.insert_full(key).0).ok().filter(|index| *index < CARE);
        (index.expect("a text with less than 2^31 distinct threads"), mended)
    }

    fn event(&mut self, name: Option<&[u8]>) -> (u32, bool) {
        let name = name.unwrap_or_default();
        let index = match self.events.get_index_of(name) {
            Some(index) => index,
            None => {
                let mut mended = false;
                let text = own(name, &mut mended);
                self.events.insert_full(name.to_owned(), (text, mended)).0
            }
        };
        // Each event takes more than a byte of memory: there are never so many.
        (index as u32, self.events[index].1)
    }

    /// Reads a header that is not timed, or not of the usual shape.
    fn header(&mut self, header: &Header<'_>) {
        let (thread, mut mended) = self.thread(&header.thread);
        let Suffix { period, event, frames } = header.suffix;
        let (event, mended_event) = self.event(event);
        self.record = Record { thread, event, line: self.line(), ..NEW_RECORD };
        self.set_time(header.time);
        self.set_period(period);
        mended |= mended_event | self.add_frames_of_header(frames);
        self.note_mended(mended);
    }

    fn set_time(&mut self, time: Time) {
        match time {
            Time::NotPrinted => {}
            Time::At(ns) => self.record.time_ns = ns,
            Time::OutOfRange => self.trouble(Trouble::TimeOutOfRange),
        }
    }

    fn set_period(&mut self, period: Option<Period>) {
        self.record.period = match period {
            None => NOT_KNOWN,
            Some(Period::Value(value)) => value,
            Some(Period::OutOfRange) => {
                self.trouble(Trouble::PeriodOutOfRange);
                0
            }
        };
    }

    /// Adds the frames on the header's own line; says whether their text had to be mended.
    fn add_frames_of_header(&mut self, frames: &[u8]) -> bool {
        let mut mended = false;
        for frame in frames_on_line(frames) {
            let (item, mended_name) = Item::of_frame(&frame);
            mended |= mended_name;
            let id = self.intern(item);
            self.stack.push(id & !CARE);
        }
        self.frames_of_header = !self.stack.is_empty();
        mended
    }
}

/// The `+0xoffset` between symbol and module, where there is no doubt which is which.
fn offset_in(text: &[u8]) -> Option<std::ops::Range<usize>> {
    let start = memchr::memrchr(b'+', text)?;
    let digits = text[start..].strip_prefix(b"+0x")?;
    let length = digits.iter().take_while(|byte| is_hex(**byte)).count();
    let end = start + 3 + length;
    let module = text[end..].strip_prefix(b" (").and_then(|rest| rest.strip_suffix(b")"));
    let is_plain = |module: &[u8]| {
        (starts_like_module(module) || module == b"inlined") && memchr::memchr2(b'(', b')', module).is_none()
    };
    let symbol = &text[..start];
    let ends_well = !symbol.is_empty() && !symbol.ends_with(b" ") && without_offset(symbol) == symbol;
    let certain = if text[end..].is_empty() { !symbol.ends_with(b")") } else { module.is_some_and(is_plain) };
    (length > 0 && ends_well && certain).then_some(start..end)
}
