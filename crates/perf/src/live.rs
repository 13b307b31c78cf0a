//! Sampling running processes with `perf_event_open(2)`.
//!
//! ```no_run
//! use burnmark_perf::live::{Error, Options, Session, Target, Until};
//! use burnmark_perf::record::Record;
//! use std::time::Duration;
//!
//! let mut session = Session::open(&Options::new(Target::Pids(vec![1234])))?;
//! let layout = session.layout();
//! let mut sink = |bytes: &[u8]| {
//!     if let Ok(Record::Sample(sample)) = Record::decode(bytes, &layout) {
//!         println!("{:?} at {:x?}", sample.tid, sample.ip);
//!     }
//!     Ok::<(), Error>(())
//! };
//! let until = Until { duration: Some(Duration::from_secs(5)), stop: None };
//! session.run(until, &mut sink, &mut |_| {})?;
//! println!("{} records lost", session.finish(&mut sink)?.lost);
//! # Ok::<(), Error>(())
//! ```
//!
//! Events are enabled first and `/proc` is read afterwards, so that nothing is missed and the target is never stopped.
//! What was there before comes as COMM and MMAP2 records, the first that a session hands on.

mod adapt;
mod attach;
mod attr;
mod copy;
mod error;
mod launch;
mod open;
mod proc;
mod rings;
mod roots;
mod sampler;
mod session;
mod setup;
mod stats;
mod synthesize;
pub(crate) mod sys;
mod target;

use std::marker::PhantomData;

pub use adapt::{CLASSES, StackLengths};
pub use attr::{Event, MAX_USER_STACK_BYTES};
pub use error::Error;
pub(crate) use error::paranoid;
pub use launch::Launched;
pub use open::{DEFAULT_FREQUENCY, DEFAULT_TASK_CLOCK_FREQUENCY, MAX_CLOCK_FREQUENCY, Note};
pub(crate) use proc::{descendants, tasks};
pub use session::{Ended, Session, Targets, Until};
pub use setup::{Binding, DEFAULT_RING_BYTES, DEFAULT_STACK_RING_BYTES, Options, Setup};
pub use stats::{Loss, Stats};
pub use target::Target;

/// For the thread that empties the rings: until what this returns is dropped it waits for its turn when it wakes, instead
/// of pushing the target off a CPU (`SCHED_BATCH`, sched(7)); its share of the CPUs stays the same. Threads and processes
/// that it starts meanwhile take it over. A policy that somebody else has set for it stays.
pub fn wait_for_turn() -> Waiting {
    Waiting { was_set: sys::wait_for_turn(true), of_thread: PhantomData }
}

/// This thread waits for its turn, unless it had a policy of its own.
#[derive(Debug)]
#[must_use = "it ends when this is dropped"]
pub struct Waiting {
    was_set: bool,
    /// It ends in the thread that it began in.
    of_thread: PhantomData<*const ()>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.was_set {
            sys::wait_for_turn(false);
        }
    }
}
