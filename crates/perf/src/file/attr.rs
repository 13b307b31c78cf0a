//! Events: the `perf_event_attr` that each was opened with.

use super::names;
use crate::cursor::u64_at;
use crate::layout::SampleLayout;

/// Length of the first published `perf_event_attr` (`PERF_ATTR_SIZE_VER0`): none is shorter.
pub(super) const SHORTEST_ATTR: usize = 64;

/// Bits of the attribute's flag word.
const EXCLUDE_USER: u64 = 1 << 4;
const EXCLUDE_KERNEL: u64 = 1 << 5;
const FREQUENCY: u64 = 1 << 10;

/// `PERF_TYPE_SOFTWARE`
const SOFTWARE: u32 = 1;
/// `PERF_COUNT_SW_CPU_CLOCK`, `PERF_COUNT_SW_TASK_CLOCK`, `PERF_COUNT_SW_DUMMY`
const CLOCKS: [u64; 2] = [0, 1];
const DUMMY: u64 = 9;

/// An event that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// As perf spells it: `cycles:u`, `sched:sched_switch`, …
    pub name: String,
    /// What its records contain.
    pub layout: SampleLayout,
    /// `perf_event_attr.type`.
    pub kind: u32,
    /// `perf_event_attr.config`.
    pub config: u64,
    /// Samples asked for per second, unless a fixed period was.
    pub frequency: Option<u64>,
    /// What a sample stands for that doesn't tell: nanoseconds or events.
    pub period: u64,
    /// It never fires: it only makes the kernel write records of processes and memory.
    pub is_dummy: bool,
    /// Whether `name` was made up from `kind` and `config`.
    pub(super) is_nameless: bool,
}

impl Event {
    /// Reads a `perf_event_attr` in the host's byte order. One of an older kernel is shorter, and what a newer one has
    /// more is not needed. `None` if it is shorter than any kernel's.
    pub(super) fn parse(attr: &[u8]) -> Option<Event> {
        if attr.len() < SHORTEST_ATTR {
            return None;
        }
        let layout = SampleLayout::from_attr_bytes(attr).ok()?;
        let kind = u64_at(attr, 0)? as u32;
        let (config, rate, flags) = (u64_at(attr, 8)?, u64_at(attr, 16)?, u64_at(attr, 40)?);
        let by_frequency = flags & FREQUENCY != 0;
        let is_clock = kind == SOFTWARE && CLOCKS.contains(&config);
        let period = match (by_frequency, is_clock) {
            (true, true) => 1_000_000_000_u64.checked_div(rate).unwrap_or(1),
            (true, false) => 1,
            (false, _) => rate,
        };
        let name = names::of(kind, config, flags & EXCLUDE_USER != 0, flags & EXCLUDE_KERNEL != 0);
        Some(Event {
            name,
            layout,
            kind,
            config,
            frequency: by_frequency.then_some(rate),
            period,
            is_dummy: kind == SOFTWARE && config == DUMMY,
            is_nameless: true,
        })
    }

    pub(super) fn set_name(&mut self, name: &[u8]) {
        if !name.is_empty() {
            self.name = String::from_utf8_lossy(name).into_owned();
            self.is_nameless = false;
        }
    }
}

/// The length that an attribute says it has (`perf_event_attr.size`; 0 is that of the first version), as perf reads it.
pub(super) fn own_len(attr: &[u8]) -> Option<usize> {
    let size = (u64_at(attr, 0)? >> 32) as usize;
    match size {
        0 => Some(SHORTEST_ATTR),
        size if size >= SHORTEST_ATTR && size % 8 == 0 => Some(size),
        _ => None,
    }
}
