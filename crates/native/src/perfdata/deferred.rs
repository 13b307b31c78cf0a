//! Call chains in two halves: since Linux 6.19 the kernel may take the user half only when the thread goes back to user
//! mode, for all samples since it came in. Those wait here.

use std::collections::HashMap;

use burnmark_perf::record::{CallchainDeferred, Mode, Sample};
use foldhash::fast::RandomState;

use crate::recorder::{Recorder, SampleEvent};

/// Samples that wait at most: more than a system call can collect. Then the oldest go without their user half.
const MOST: usize = 1 << 14;

#[derive(Debug)]
struct Held {
    cookie: u64,
    sample: SampleEvent,
    kernel_half: Vec<(Mode, u64)>,
}

/// Samples without their user half, by thread.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    threads: HashMap<i32, Vec<Held>, RandomState>,
    count: usize,
    full: Vec<Held>,
}

impl Deferred {
    /// Keeps a sample.
    pub(super) fn hold(&mut self, cookie: u64, sample: &Sample<'_>, event: SampleEvent) {
        if self.count >= MOST {
            self.full.extend(self.threads.drain().flat_map(|(_, held)| held));
            self.count = 0;
        }
        self.count += 1;
        let kernel_half = sample.frames().collect();
        self.threads.entry(event.tid).or_default().push(Held { cookie, sample: event, kernel_half });
    }

    /// The user half of a thread's samples has come. Those with another cookie will not get theirs any more.
    pub(super) fn release(&mut self, rest: &CallchainDeferred<'_>, recorder: &mut Recorder) {
        release(std::mem::take(&mut self.full), recorder);
        let Some(held) = rest.id.tid.and_then(|tid| self.threads.remove(&tid)) else { return };
        self.count -= held.len();
        for held in held {
            let user_half = rest.callchain.frames(Mode::User).filter(|_| held.cookie == rest.cookie);
            recorder.sample(&held.sample, held.kernel_half.into_iter().chain(user_half));
        }
    }

    /// The end: what waits still goes as it is.
    pub(super) fn release_all(self, recorder: &mut Recorder) {
        let mut all: Vec<Held> = self.full.into_iter().chain(self.threads.into_values().flatten()).collect();
        all.sort_by_key(|held| held.sample.time);
        release(all, recorder);
    }
}

fn release(held: Vec<Held>, recorder: &mut Recorder) {
    for held in held {
        recorder.sample(&held.sample, held.kernel_half);
    }
}
