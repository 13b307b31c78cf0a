//! Finding records in bytes, and finding them again after damage.

use perf_event_open_sys::bindings as sys;

use super::head::Head;
use crate::record::{HEADER_LEN, Header, Record};

/// Records of perf's own: `enum perf_user_event_type` of `tools/lib/perf/include/perf/event.h`.
pub(super) mod kind {
    pub(crate) const ATTR: u32 = 64;
    pub(crate) const EVENT_TYPE: u32 = 65;
    pub(crate) const TRACING_DATA: u32 = 66;
    pub(crate) const BUILD_ID: u32 = 67;
    pub(crate) const FINISHED_ROUND: u32 = 68;
    pub(crate) const AUXTRACE: u32 = 71;
    pub(crate) const EVENT_UPDATE: u32 = 78;
    pub(crate) const FEATURE: u32 = 80;
    pub(crate) const COMPRESSED: u32 = 81;
    pub(crate) const COMPRESSED2: u32 = 83;
    /// The first of them.
    pub(crate) const OWN: u32 = ATTR;
}

/// Numbers above those in use, for what comes with newer kernels and perfs.
const LAST_OF_KERNEL: u32 = 40;
const LAST_OF_PERF: u32 = 100;

/// Records in a row that make sense, after which the place is taken for the start of one.
const CONVINCING: usize = 4;

/// Longest record of the kernel's that has a path or a name (`PATH_MAX` and what goes with it).
const LONGEST_NAMED: u16 = 4096 + 256;

/// What is at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A record.
    Record(Header),
    /// The start of one, or too little to tell.
    Cut,
    /// No record.
    Nothing,
}

/// Looks at the start of `bytes`.
pub(super) fn look(bytes: &[u8]) -> Found {
    let Some(header) = Header::peek(bytes) else { return Found::Cut };
    let known = matches!(header.kind, 1..=LAST_OF_KERNEL | kind::OWN..=LAST_OF_PERF);
    if !known || usize::from(header.size) < HEADER_LEN {
        return Found::Nothing;
    }
    if usize::from(header.size) > bytes.len() { Found::Cut } else { Found::Record(header) }
}

/// The next place from which on several records in a row make sense, or the last ones do up to the end if `bytes` are
/// all there will be. Else the place up to which there is none.
pub(super) fn find_again(bytes: &[u8], head: &Head, step: usize, is_last: bool) -> (usize, bool) {
    // Any place may be the start of so much, unless there is more to see.
    let safe = if is_last { bytes.len() } else { bytes.len().saturating_sub(CONVINCING << 16) };
    let mut at = 0;
    while at < safe {
        if bytes[at] == 0 && bytes.get(at..at + 8).is_some_and(|word| word == [0; 8]) {
            at += step;
            continue;
        }
        if makes_sense(&bytes[at..], head) {
            return (at, true);
        }
        at += step;
    }
    (safe.min(bytes.len()), false)
}

fn makes_sense(mut bytes: &[u8], head: &Head) -> bool {
    for count in 0..CONVINCING {
        if bytes.is_empty() {
            // A single record by chance is likely, two are not.
            return count > 1;
        }
        match look(bytes) {
            Found::Record(header) if is_sound(&bytes[..usize::from(header.size)], header, head) => {
                bytes = &bytes[usize::from(header.size)..];
            }
            // The end of what is there may cut a record.
            Found::Cut => return count > 1,
            _ => return false,
        }
    }
    true
}

/// Whether a record can be what it says it is.
fn is_sound(record: &[u8], header: Header, head: &Head) -> bool {
    let Header { kind, size, .. } = header;
    match kind {
        kind::FINISHED_ROUND => size == HEADER_LEN as u16,
        kind::COMPRESSED | kind::COMPRESSED2 | kind::ATTR | kind::FEATURE => size > HEADER_LEN as u16,
        kind::OWN.. => size > HEADER_LEN as u16 && size % 8 == 0,
        sys::PERF_RECORD_SAMPLE => {
            let Some(event) = head.event_of(record) else { return false };
            size % 8 == 0 && Record::decode(record, &head.layout(event)).is_ok()
        }
        sys::PERF_RECORD_TEXT_POKE => size % 8 == 0,
        _ => {
            let event = head.event_of(record).unwrap_or_default();
            size % 8 == 0 && size <= LONGEST_NAMED && Record::decode(record, &head.layout(event)).is_ok()
        }
    }
}
