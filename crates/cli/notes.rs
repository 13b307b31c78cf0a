//! What is to be said of a recording: what was lost, what was missed, why there is nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use burnmark_native::{Recording, StackEnds};
use burnmark_perf::counters::{Count, CounterValue};
use burnmark_perf::live;

use crate::machine;

/// With less CPU time than this, few samples are no sign of anything.
const UNDER_SAMPLED_FROM_NS: u64 = 100_000_000;

/// What was lost and what to change.
pub(crate) fn losses(stats: &live::Stats) -> Vec<String> {
    let mut notes = Vec::new();
    if stats.lost > 0 {
        let worst = stats.losses.iter().max_by_key(|loss| loss.lost);
        let when = worst.map_or(String::new(), |worst| format!(", most ({}) in second {}", worst.lost, worst.second));
        notes.push(format!("{} records of any process were lost{when}: sample less often (-F)", stats.lost));
    }
    if stats.throttled > 0 {
        notes.push(format!(
            "the kernel paused sampling {} times as it took too long: sample less often (-F)",
            stats.throttled
        ));
    }
    if stats.damaged_bytes > 0 {
        notes.push(format!("{} bytes from the kernel were no records", stats.damaged_bytes));
    }
    notes
}

/// Stacks that were longer than what was copied of them.
pub(crate) fn cut_stacks(ends: &StackEnds, copied: Option<u32>) -> Option<String> {
    let copied = copied.filter(|_| ends.truncated.saturating_mul(100) > ends.total())?;
    Some(format!("{} stacks are longer than the {} KB that were copied of them", ends.truncated, copied >> 10))
}

/// A timer bound to a thread starts anew with each one, so threads that run for a moment leave no sample. The counted
/// CPU time tells how much that is; without the kernel's half the two can't be compared.
pub(crate) fn under_sampled(
    setup: &live::Setup,
    stats: &live::Stats,
    recording: &Recording,
    counts: &[Count],
) -> Option<String> {
    if setup.event != live::Event::CpuClock
        || setup.binding != live::Binding::Task
        || !setup.has_kernel
        || stats.lost > 0
    {
        return None;
    }
    let CounterValue::Value(counted) = counts.iter().find(|count| count.name == "task-clock")?.value else {
        return None;
    };
    let sampled = recording.samples.iter().fold(0_u64, |sum, sample| sum.saturating_add(sample.period));
    (counted >= UNDER_SAMPLED_FROM_NS && sampled < counted / 2).then(|| {
        format!(
            "only {} ms of {} ms of CPU time were sampled: timers bound to threads miss threads that run for a moment; \
             --bind cpu (root or CAP_PERFMON) does not",
            sampled / 1_000_000,
            counted / 1_000_000
        )
    })
}

/// Why nothing was sampled. `pids` are the processes that were asked for.
pub(crate) fn nothing_sampled(pids: &[u32], took: Duration, frequency: u64, counts: &[Count]) -> Option<String> {
    let clock = counts.iter().find(|count| count.name == "task-clock").map(|count| &count.value);
    let used = match clock {
        Some(CounterValue::Value(ns)) => format!("{:.1} ms", *ns as f64 / 1e6),
        _ => "next to no time".to_owned(),
    };
    let seconds = took.as_secs_f64();
    let period = 1e3 / frequency as f64;
    let states = states(pids);
    Some(format!(
        "nothing was sampled: the target used {used} on a CPU in {seconds:.1} s, and a sample is taken every \
         {period:.1} ms of CPU time.{states}"
    ))
}

/// What the processes do: of one in words, of several how many do what.
fn states(pids: &[u32]) -> String {
    if let [pid] = pids {
        return format!(" {}", machine::state(*pid));
    }
    let mut counts = BTreeMap::new();
    for &pid in pids {
        *counts.entry(machine::state_word(pid)).or_insert(0) += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(word, count)| format!("{count} {word}")).collect();
    if counts.is_empty() { String::new() } else { format!(" Of {} processes: {}", pids.len(), counts.join(", ")) }
}

/// What a command left behind that still runs.
pub(crate) fn left_behind(living: &[i32]) -> Option<String> {
    let list = living.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let (processes, go, them) =
        if living.len() == 1 { ("one process", "goes", "it") } else { ("processes", "go", "them") };
    let count = if living.len() == 1 { String::new() } else { format!("{} ", living.len()) };
    (!living.is_empty()).then(|| {
        format!(
            "the command has ended, and the recording with it; {count}{processes} that it started {go} on: \
             `burnmark record -p {list}` samples {them}"
        )
    })
}
