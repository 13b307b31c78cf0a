//! Reading line by line, as plainly as can be: what the fast reader is compared with.

use burnmark_model::{Parsed, Profile, Sample, StackId};

use super::build::{
    Item, NO_EVENT, OTHER_EVENTS, ProcessNames, ThreadKey, count_of, make_frame, max_events, own, period_of,
};
use super::frame::{address_of, find, frames_on_line};
use super::header::Period;
use super::line::{Header, Line, Time, parse_line, without_return};
use super::notes::{Comments, Trouble, Troubles, read_comments};

struct PlainItem {
    item: Item,
    address: Option<u64>,
    /// Marked as inlined, with another address than the frame below it.
    standalone: bool,
}

impl PlainItem {
    fn is_frame(&self) -> bool {
        matches!(self.item, Item::Frame { .. })
    }

    fn is_inlined(&self) -> bool {
        match self.item {
            Item::Frame { inlined, .. } | Item::Source { inlined, .. } => inlined,
        }
    }
}

#[derive(Default)]
struct PlainSample {
    has_header: bool,
    /// Only an address line: the next such line is another sample.
    alone: bool,
    thread: Option<ThreadKey>,
    time_ns: Option<i64>,
    event: Option<Box<str>>,
    period: Option<i64>,
    /// Frames on the header's own line give way to those below it.
    items_of_header: bool,
    items: Vec<PlainItem>,
    line: u64,
}

impl PlainSample {
    fn event(&self) -> &str {
        self.event.as_deref().unwrap_or(NO_EVENT)
    }

    /// Finds the frames that perf marks as inlined although the next frame is at another address.
    fn mark_standalone(&mut self) {
        let mut marked: Option<(usize, Option<u64>)> = None;
        for at in 0..self.items.len() {
            if self.items[at].is_frame()
                && let Some((item, address)) = marked.take()
            {
                self.items[item].standalone = address != self.items[at].address;
            }
            if self.items[at].is_inlined() {
                let frame = if self.items[at].is_frame() { at } else { at - 1 };
                marked = Some((frame, self.items[frame].address));
            }
        }
        if let Some((item, _)) = marked {
            self.items[item].standalone = true;
        }
    }
}

#[derive(Default)]
struct Reader {
    samples: Vec<PlainSample>,
    open: Option<PlainSample>,
    pending: Option<PlainSample>,
    troubles: Troubles,
    comments: Comments,
    lost: Option<u64>,
}

impl Reader {
    fn close(&mut self) {
        if let Some(mut sample) = self.open.take() {
            if !sample.items_of_header {
                sample.mark_standalone();
            }
            self.samples.push(sample);
        }
        if let Some(pending) = self.pending.take() {
            self.troubles.add(Trouble::Odd, pending.line);
        }
    }

    fn header(&mut self, header: &Header<'_>, line: u64) -> PlainSample {
        let mut mended = false;
        let mut sample = PlainSample { has_header: true, line, ..PlainSample::default() };
        if let Some((thread, mended_comm)) = ThreadKey::of(&header.thread) {
            mended |= mended_comm;
            sample.thread = Some(thread);
        }
        match header.time {
            Time::NotPrinted => {}
            Time::At(ns) => sample.time_ns = Some(ns),
            Time::OutOfRange => self.troubles.add(Trouble::TimeOutOfRange, line),
        }
        sample.event = header.suffix.event.map(|event| own(event, &mut mended));
        sample.period = match header.suffix.period {
            None => None,
            Some(Period::Value(value)) => Some(value),
            Some(Period::OutOfRange) => {
                self.troubles.add(Trouble::PeriodOutOfRange, line);
                Some(0)
            }
        };
        for frame in frames_on_line(header.suffix.frames) {
            let (item, mended_name) = Item::of_frame(&frame);
            mended |= mended_name;
            sample.items.push(PlainItem { item, address: None, standalone: false });
        }
        sample.items_of_header = !sample.items.is_empty();
        if mended {
            self.troubles.add(Trouble::NotUtf8, line);
        }
        sample
    }

    fn line(&mut self, text: &[u8], line: u64) {
        match parse_line(text) {
            Line::Blank => self.close(),
            Line::Comment(text) => self.comments.add(text),
            Line::Header(header) => {
                self.close();
                self.open = Some(self.header(&header, line));
            }
            Line::MaybeHeader(header) if self.open.is_none() => {
                self.close();
                self.pending = Some(self.header(&header, line));
            }
            Line::MaybeHeader(_) | Line::Odd => self.troubles.add(Trouble::Odd, line),
            Line::Frame { frame, alone } => {
                if let Some(pending) = self.pending.take() {
                    self.open = Some(pending);
                }
                if alone && self.open.as_ref().is_none_or(|open| open.alone) {
                    self.close();
                    self.open = Some(PlainSample { alone, has_header: true, line, ..PlainSample::default() });
                }
                let open = self.open.get_or_insert_with(|| PlainSample { line, ..PlainSample::default() });
                if std::mem::take(&mut open.items_of_header) {
                    open.items.clear();
                }
                let (item, mended) = Item::of_frame(&frame);
                open.items.push(PlainItem { item, address: address_of(text), standalone: false });
                if mended {
                    self.troubles.add(Trouble::NotUtf8, line);
                }
            }
            Line::Source(source) => match &mut self.open {
                Some(open) if open.items.last().is_some_and(PlainItem::is_frame) => {
                    let (item, mended) = Item::of_source(&source);
                    open.items.push(PlainItem { item, address: None, standalone: false });
                    if mended {
                        self.troubles.add(Trouble::NotUtf8, line);
                    }
                }
                _ => self.troubles.add(Trouble::Odd, line),
            },
            Line::Record { lost: 0 } => {}
            Line::Record { lost } => self.lost = Some(self.lost.unwrap_or(0).saturating_add(lost)),
            Line::OtherField => self.troubles.add(Trouble::OtherField, line),
        }
    }

    /// The last line, which has no end: a frame may have been cut in two.
    fn last_line(&mut self, text: &[u8], line: u64) {
        let is_frame = matches!(parse_line(text), Line::Frame { .. });
        let others_have_modules = self
            .open
            .as_ref()
            .is_some_and(|open| open.items.iter().any(|item| matches!(item.item, Item::Frame { module: Some(_), .. })));
        if is_frame && !text.ends_with(b")") && (others_have_modules || find(text, b" (").is_some()) {
            self.troubles.add(Trouble::CutOff, line);
        } else {
            self.line(text, line);
        }
    }
}

/// Reads a whole text.
pub(super) fn read_plainly(text: &[u8]) -> Parsed {
    let mut reader = Reader::default();
    let mut line = 0;
    for text in text.split_inclusive(|byte| *byte == b'\n') {
        line += 1;
        match text.ends_with(b"\n") {
            true => reader.line(without_return(&text[..text.len() - 1]), line),
            false => reader.last_line(without_return(text), line),
        }
    }
    reader.close();
    build(reader)
}

fn build(mut reader: Reader) -> Parsed {
    if reader.samples.iter().any(|sample| sample.has_header) {
        for sample in reader.samples.iter().filter(|sample| !sample.has_header) {
            reader.troubles.add(Trouble::NoHeader, sample.line);
        }
        reader.samples.retain(|sample| sample.has_header);
    }
    let mut events: Vec<(&str, bool)> = Vec::new();
    let mut names = ProcessNames::default();
    for sample in &reader.samples {
        let event = sample.event();
        match events.iter_mut().find(|known| known.0 == event) {
            Some(known) => known.1 |= sample.period.is_some(),
            None => events.push((event, sample.period.is_some())),
        }
        if let Some(thread) = &sample.thread {
            names.see(thread);
        }
    }
    let max = max_events(reader.samples.len());
    if events.len() > max {
        let rest: Vec<(&str, bool)> = events.split_off(max - 1);
        let is_rest = |sample: &&PlainSample| rest.iter().any(|event| event.0 == sample.event());
        let count = reader.samples.iter().filter(is_rest).count() as u64;
        reader.troubles.add_many(Trouble::ManyEvents, count, None);
        events.push((OTHER_EVENTS, rest.iter().any(|event| event.1)));
    }
    let mut value_types = Vec::new();
    let mut columns = Vec::new();
    for (event, has_period) in &events {
        columns.push(value_types.len());
        value_types.push(count_of(event));
        value_types.extend(has_period.then(|| period_of(event)));
    }
    if value_types.is_empty() {
        value_types.push(count_of(NO_EVENT));
    }
    let mut profile = Profile::new(value_types);
    profile.default_value = usize::from(events.first().is_some_and(|event| event.1));
    for sample in &reader.samples {
        let event = sample.event();
        let index = events.iter().position(|known| known.0 == event).unwrap_or(events.len() - 1);
        let mut values = vec![0; profile.value_types.len()];
        values[columns[index]] = 1;
        if let Some(period) = sample.period {
            values[columns[index] + 1] = period;
        }
        let thread = sample.thread.as_ref().map(|thread| names.thread(&mut profile, thread));
        let stack = stack_of(&mut profile, &sample.items);
        let entry = Sample { stack, thread, time_ns: sample.time_ns, labels: None };
        if profile.samples.push(entry, &values).is_err() {
            reader.troubles.add(Trouble::PeriodOutOfRange, sample.line);
            values[columns[index] + 1] = 0;
            profile.samples.push(entry, &values).expect("as many samples as fit in memory can be counted");
        }
    }
    read_comments(&mut profile.meta, &reader.comments);
    let named: Vec<&str> = events.iter().map(|event| event.0).filter(|event| *event != NO_EVENT).collect();
    profile.meta.event = (!named.is_empty()).then(|| named.join(", "));
    profile.meta.lost = reader.lost;
    Parsed { profile, warnings: reader.troubles.into_warnings() }
}

/// The stack of these items, which are listed leaf first.
fn stack_of(profile: &mut Profile, items: &[PlainItem]) -> Option<StackId> {
    let mut stack = None;
    let mut source: Option<&PlainItem> = None;
    let mut outer: Option<&str> = None;
    let mut depth = 0;
    for item in items.iter().rev() {
        let Item::Frame { symbol, module, .. } = &item.item else {
            source = Some(item);
            continue;
        };
        let source = source.take();
        let inlined = item.is_inlined() || source.is_some_and(PlainItem::is_inlined);
        if inlined && !item.standalone {
            depth += 1;
            outer = module.as_deref().or(outer);
        } else {
            depth = 0;
            outer = module.as_deref();
        }
        let place = match source.map(|source| &source.item) {
            Some(Item::Source { place: Some((file, line)), .. }) => Some((&**file, *line)),
            _ => None,
        };
        let frame = make_frame(profile, symbol.as_deref(), outer, place, depth);
        stack = Some(profile.push_frame(stack, frame));
    }
    stack
}
