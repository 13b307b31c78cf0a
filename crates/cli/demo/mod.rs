//! The demo's workload: real work on real text, on threads with names, in phases.

mod work;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

/// How long a thread stays with one kind of work before it goes on to its next.
const PHASE: Duration = Duration::from_millis(400);

/// A thread of the workload: its name, and its phases.
type Worker = (&'static str, &'static [fn(&work::Inputs) -> u64]);

const WORKERS: [Worker; 4] = [
    ("compress", &[work::deflate_fast, work::deflate_best, work::inflate]),
    ("json", &[work::json_parse, work::json_write]),
    ("search", &[work::regex_search]),
    ("index", &[work::count_words, work::checksum]),
];

/// Runs the workload until `duration` is over or standard input ends (whoever started it is gone).
pub(crate) fn run(duration: Option<Duration>) -> anyhow::Result<u64> {
    let stop = Arc::new(AtomicBool::new(false));
    let inputs = Arc::new(work::Inputs::new().context("the demo's text is not what it should be")?);
    let started = Instant::now();
    let threads = WORKERS
        .iter()
        .map(|(name, phases)| {
            let (stop, inputs) = (Arc::clone(&stop), Arc::clone(&inputs));
            std::thread::Builder::new()
                .name((*name).to_owned())
                .spawn(move || work_in_phases(phases, &inputs, &stop))
                .with_context(|| format!("cannot start the demo's thread {name}"))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    match duration {
        Some(duration) => std::thread::sleep(duration.saturating_sub(started.elapsed())),
        // Nothing is ever sent: the read returns when the other end is closed.
        None => drop(std::io::stdin().read(&mut [0])),
    }
    stop.store(true, Ordering::Relaxed);
    let mut sum = 0u64;
    for thread in threads {
        sum = sum.wrapping_add(thread.join().map_err(|_| anyhow::anyhow!("a thread of the demo panicked"))?);
    }
    Ok(sum)
}

fn work_in_phases(phases: &[fn(&work::Inputs) -> u64], inputs: &work::Inputs, stop: &AtomicBool) -> u64 {
    let mut sum = 0u64;
    for phase in phases.iter().cycle() {
        let started = Instant::now();
        while started.elapsed() < PHASE {
            if stop.load(Ordering::Relaxed) {
                return sum;
            }
            sum = sum.wrapping_add(phase(inputs));
        }
    }
    sum
}
