//! Looking through a mapped file ahead of its reader, on a thread of its own: nearly all of the time this takes goes into
//! fetching the file's pages, while the reader has other things to do.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use super::head::Head;
use super::scan::{self, Found, kind};
use crate::record::Header;

/// Records that are handed over at once, and how many times that many may wait: 1 MB.
const BATCH: usize = 4096;
const WAITING: usize = 6;

/// What is to be known of a record to put it in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glimpse {
    /// Its event; `None` if its id is of none.
    pub(super) event: Option<u16>,
    /// Nanoseconds; 0 if it has no time.
    pub(super) time: u64,
}

/// A record, and where it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    pub(super) at: usize,
    pub(super) header: Header,
    /// Nothing of records of perf's own.
    pub(super) glimpse: Glimpse,
}

/// Looks at a record of the kernel's.
pub(super) fn glimpse(head: &Head, record: &[u8]) -> Glimpse {
    let event = head.event_of(record);
    let layout = head.events.get(usize::from(event.unwrap_or_default())).map(|event| &event.layout);
    let time = layout.and_then(|layout| layout.peek_time(record)).filter(|time| *time != u64::MAX);
    Glimpse { event, time: time.unwrap_or_default() }
}

/// Looks through `bytes` from `at` on, up to the first thing that is not simply a record: the reader sees to the rest.
pub(super) fn start<'s>(scope: &'s Scope<'s, '_>, bytes: &'s [u8], at: usize, head: &Head) -> Receiver<Vec<Passed>> {
    let (sender, receiver) = sync_channel(WAITING);
    let head = head.clone();
    // Without the thread the reader does all of it.
    let _ = std::thread::Builder::new().name("ahead".to_owned()).spawn_scoped(scope, move || {
        let _ = pass(bytes, at, &head, &sender);
    });
    receiver
}

/// `None` when nobody listens any more.
fn pass(bytes: &[u8], mut at: usize, head: &Head, sender: &SyncSender<Vec<Passed>>) -> Option<()> {
    let mut batch = Vec::with_capacity(BATCH);
    while let Found::Record(header) = scan::look(bytes.get(at..)?) {
        let end = at + usize::from(header.size);
        if ends_the_simple(header.kind) {
            break;
        }
        let none = Glimpse { event: None, time: 0 };
        let glimpse = if header.kind < kind::OWN { glimpse(head, &bytes[at..end]) } else { none };
        batch.push(Passed { at, header, glimpse });
        at = end;
        if batch.len() == BATCH {
            sender.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))).ok()?;
        }
    }
    sender.send(batch).ok()
}

/// Whether records after one of this kind may be laid out in another way, or not follow it at once.
fn ends_the_simple(record: u32) -> bool {
    let own = [kind::ATTR, kind::FEATURE, kind::TRACING_DATA, kind::AUXTRACE, kind::COMPRESSED, kind::COMPRESSED2];
    own.contains(&record)
}
