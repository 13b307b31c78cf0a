//! What samples are worth: one or two value types per event.

use burnmark_model::ValueType;

use crate::recording::Recording;

/// The name under which events are taken together that are too many.
const OTHER_EVENTS: &str = "other events";

/// The value types of a recording, and a sample's values.
pub(super) struct Values {
    pub(super) types: Vec<ValueType>,
    /// The index of the one to show when none is asked for: the first event's periods, where they are known.
    pub(super) default: usize,
    /// Events with columns of their own; all others share the next two.
    own_columns: usize,
    /// One per type; zero but for the sample's event.
    values: Vec<i64>,
}

impl Values {
    /// One event: `samples/count`, and time or the event's own unit. Several: `EVENT/count` and the same, for each.
    pub(super) fn of(recording: &Recording, samples: usize) -> Self {
        let events = &recording.events;
        if let [] | [_] = &events[..] {
            let name = events.first().map(|event| &*event.name).or(recording.meta.event.as_deref());
            let types: Vec<_> = [ValueType::samples()].into_iter().chain(name.map(only)).collect();
            return Self { default: types.len() - 1, own_columns: 1, values: vec![0; types.len()], types };
        }
        let own_columns = events.len().min(max_events(samples));
        let others = (own_columns < events.len()).then_some(OTHER_EVENTS);
        let names = events[..own_columns].iter().map(|event| &*event.name).chain(others);
        let types: Vec<_> = names.flat_map(|name| [ValueType::new(name, "count"), one_of_several(name)]).collect();
        Self { default: 1, own_columns, values: vec![0; types.len()], types }
    }

    /// The values of all samples, by type; of one event their periods stay where they are.
    pub(super) fn columns(&self, periods: Vec<u64>, recording: &Recording) -> Vec<Vec<i64>> {
        if self.own_columns == 1 {
            let counts = vec![1; periods.len()];
            let values = periods.into_iter().map(period).collect();
            return [counts, values].into_iter().take(self.types.len()).collect();
        }
        let column = |column: usize| {
            let value = |(index, own): (usize, &u64)| {
                let is_its = self.pair(recording.event_of(index)) == column / 2;
                let value = if column.is_multiple_of(2) { 1 } else { period(*own) };
                if is_its { value } else { 0 }
            };
            periods.iter().enumerate().map(value).collect()
        };
        (0..self.types.len()).map(column).collect()
    }

    /// Which two of the types an event has. One that doesn't exist (a damaged spool's) counts as the last.
    fn pair(&self, event: u16) -> usize {
        usize::from(event).min(self.own_columns).min(self.values.len().div_ceil(2) - 1)
    }

    /// A sample's values.
    pub(super) fn of_sample(&mut self, event: u16, period: i64) -> &[i64] {
        self.values.fill(0);
        let pair = self.pair(event);
        if let Some(count) = self.values.get_mut(2 * pair) {
            *count = 1;
        }
        if let Some(sum) = self.values.get_mut(2 * pair + 1) {
            *sum = period;
        }
        &self.values
    }
}

/// What a sample stands for.
pub(super) fn period(period: u64) -> i64 {
    i64::try_from(period).unwrap_or(i64::MAX)
}

/// Clocks measure time, everything else counts.
fn only(event: &str) -> ValueType {
    if is_clock(event) { ValueType::new("cpu", "nanoseconds") } else { ValueType::new(event, "events") }
}

/// As for `perf script` text of several events.
fn one_of_several(event: &str) -> ValueType {
    let unit = if is_clock(event) { "nanoseconds" } else { "events" };
    ValueType::new(event.split(':').next().filter(|_| is_clock(event)).unwrap_or(event), unit)
}

fn is_clock(event: &str) -> bool {
    matches!(event.split(':').next(), Some("cpu-clock" | "task-clock"))
}

/// How many events get columns of their own: so many that the columns of this many samples stay below 2 GiB, as each
/// event's columns hold all samples.
fn max_events(samples: usize) -> usize {
    ((2_usize << 30) / (16 * samples.max(1))).clamp(32, 1024)
}
