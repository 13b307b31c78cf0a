//! The rings of all CPUs, drained in rounds into one stream in time order.

use super::attr;
use super::copy::{self, Shape};
use super::error::Error;
use super::sys::{self, RingMap};
use super::target::TargetSet;
use crate::layout::SampleLayout;
use crate::record::{HEADER_LEN, Header};
use perf_event_open_sys::bindings::perf_event_attr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The smallest ring in bytes that is worth having: a record can have 64 KiB only with a stack copy.
const MIN_BYTES: usize = 16 << 10;

/// The ring for everything but samples is that much smaller than the one for samples.
const SIDEBAND_PART: usize = 8;

/// One CPU's ring. Where events are bound to tasks it belongs to an event of our own that counts nothing: target threads
/// and their events can come and go, the ring and its wake-ups stay.
struct Ring {
    cpu: i32,
    owner: OwnedFd,
    map: RingMap,
    /// The owner's thread has ended: records still come, but poll only ever says "hung up".
    is_hung_up: bool,
}

/// All rings and what was taken out of them but is not yet old enough to be handed on.
pub(super) struct Rings {
    /// One on each CPU.
    rings: Vec<Ring>,
    /// One more on each CPU for all that are not samples, where events are bound to CPUs: a flood of samples must not
    /// lose them. Their owners write them.
    sideband: Vec<Ring>,
    /// Bytes of each ring of samples.
    pub(super) bytes: usize,
    shape: Shape,
    queue: Queue,
    ends: Vec<u64>,
    /// Samples of others, dropped.
    pub(super) refused: u64,
    /// Newest time of all rounds but the current one.
    previous_newest: u64,
}

impl Rings {
    /// One ring on each CPU, of `wanted` bytes (rounded to a power of two) or, where that much memory may not be locked,
    /// of the largest half, quarter... that may. With `sideband`, an event that writes everything but samples, a smaller
    /// ring is added for it on each CPU.
    pub(super) fn open(
        cpus: &[i32],
        wanted: usize,
        layout: &SampleLayout,
        sideband: Option<&perf_event_attr>,
    ) -> Result<Rings, Error> {
        let page = sys::page_size();
        let min = MIN_BYTES.max(page);
        let mut bytes = wanted.clamp(min, 1 << 30).next_power_of_two();
        loop {
            match open_all(cpus, bytes, sideband) {
                Ok((rings, sideband)) => {
                    return Ok(Rings {
                        ends: Vec::with_capacity(rings.len()),
                        rings,
                        sideband,
                        bytes,
                        shape: Shape::of(layout),
                        queue: Queue::default(),
                        refused: 0,
                        previous_newest: 0,
                    });
                }
                Err(error) if is_memory_limit(&error) && bytes / 2 >= min => bytes /= 2,
                Err(source) if is_memory_limit(&source) => return Err(Error::LockedMemory { bytes, source }),
                Err(source) => return Err(super::open::refusal(source)),
            }
        }
    }

    /// The CPUs that have a ring, each with the descriptor to direct events to.
    pub(super) fn outputs(&self) -> impl ExactSizeIterator<Item = (i32, BorrowedFd<'_>)> {
        self.rings.iter().map(|ring| (ring.cpu, ring.owner.as_fd()))
    }

    /// The events that write everything but samples.
    pub(super) fn sideband_events(&self) -> impl Iterator<Item = &OwnedFd> {
        self.sideband.iter().map(|ring| &ring.owner)
    }

    /// What to poll for records.
    pub(super) fn poll_fds(&self) -> impl Iterator<Item = libc::pollfd> {
        let rings = self.rings.iter().chain(&self.sideband).filter(|ring| !ring.is_hung_up);
        rings.map(|ring| libc::pollfd { fd: ring.owner.as_raw_fd(), events: libc::POLLIN, revents: 0 })
    }

    /// Learns from what poll said of them: owners belong to the thread that opened the session, and go with it.
    pub(super) fn polled(&mut self, fds: &[libc::pollfd]) {
        let hung_up = |fd: i32| fds.iter().any(|poll| poll.fd == fd && poll.revents & libc::POLLHUP != 0);
        for ring in self.rings.iter_mut().chain(&mut self.sideband) {
            ring.is_hung_up |= hung_up(ring.owner.as_raw_fd());
        }
    }

    /// Bytes that no record could be made of.
    pub(super) fn damaged_bytes(&self) -> u64 {
        self.queue.damaged_bytes
    }

    /// Takes everything out of the rings, without handing anything on. Samples of those that `targets` does not know are
    /// dropped at once.
    pub(super) fn take(&mut self, layout: &SampleLayout, targets: &mut TargetSet) {
        // All heads first: whatever was written before the newest record taken now will be there at the next round.
        // Samples before the rest: whoever was sampled by now was forked before, so that record is found below.
        self.ends.clear();
        self.ends.extend(self.rings.iter_mut().map(|ring| ring.map.look().end));
        for ring in &mut self.sideband {
            let (from, ready) = (self.queue.bytes.len(), ring.map.look());
            ring.map.copy(ready.clone(), &mut self.queue.bytes);
            ring.map.release(ready.end);
            self.queue.index(from, layout, &mut |record| targets.expect(record, layout));
        }
        for (ring, &end) in self.rings.iter_mut().zip(&self.ends) {
            let from = self.queue.bytes.len();
            let start = ring.map.look().start;
            let keep = |pid, tid| targets.may_admit(pid, tid);
            self.refused += copy::records(&ring.map, start..end, &self.shape, &keep, &mut self.queue.bytes);
            ring.map.release(end);
            self.queue.index(from, layout, &mut |_| {});
        }
    }

    /// Puts in records that are not from the kernel, in the order of time.
    pub(super) fn insert(&mut self, records: &[u8], layout: &SampleLayout) {
        let from = self.queue.bytes.len();
        self.queue.bytes.extend_from_slice(records);
        self.queue.index(from, layout, &mut |_| {});
    }

    /// The records taken and not yet handed on, in no order.
    pub(super) fn taken(&self) -> impl Iterator<Item = &[u8]> {
        self.queue.entries.iter().map(|entry| entry.record(&self.queue.bytes))
    }

    /// Hands on, in time order, what is at least as old as the newest record of the rounds before: a CPU writes a record
    /// a moment after it took its time, and by now that moment is over. A ring without records holds nothing up.
    pub(super) fn release<E>(&mut self, sink: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let limit = self.previous_newest;
        self.previous_newest = self.queue.newest.max(limit);
        self.queue.release(limit, sink)
    }

    /// Hands on everything that is left.
    pub(super) fn release_all<E>(&mut self, sink: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.queue.release(u64::MAX, sink)
    }
}

/// Rings of samples and of the rest.
fn open_all(cpus: &[i32], bytes: usize, sideband: Option<&perf_event_attr>) -> io::Result<(Vec<Ring>, Vec<Ring>)> {
    let owner = attr::ring_owner(bytes);
    // Any event of a task, be it our own, makes every context switch of the machine dearer: where events are bound to CPUs
    // the owners are, too.
    let pid = if sideband.is_some() { -1 } else { 0 };
    let rings = cpus.iter().map(|&cpu| open_ring(&owner, pid, cpu, bytes)).collect::<io::Result<Vec<_>>>()?;
    let Some(attr) = sideband else { return Ok((rings, Vec::new())) };
    let bytes = (bytes / SIDEBAND_PART).max(MIN_BYTES).max(sys::page_size());
    let attr = attr::with_wakeup(attr, bytes);
    let sideband = cpus.iter().map(|&cpu| open_ring(&attr, -1, cpu, bytes)).collect::<io::Result<Vec<_>>>()?;
    Ok((rings, sideband))
}

fn open_ring(attr: &perf_event_attr, pid: i32, cpu: i32, bytes: usize) -> io::Result<Ring> {
    let owner = sys::open_event(attr, pid, cpu)?;
    let map = RingMap::new(owner.as_fd(), bytes)?;
    Ok(Ring { cpu, owner, map, is_hung_up: false })
}

/// Whether the kernel refused the amount of memory. EPERM is what mmap of a ring gives for it.
fn is_memory_limit(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOMEM | libc::EAGAIN))
}

/// Records waiting to become old enough.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Buffers of the round before, to be used again.
    spare: Vec<u8>,
    newest: u64,
    damaged_bytes: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    time: u64,
    at: usize,
    len: u16,
}

impl Entry {
    fn record<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.at..self.at + usize::from(self.len)]
    }
}

impl Queue {
    /// Finds the records in the bytes from `from` on, and shows each to `visit`.
    fn index(&mut self, from: usize, layout: &SampleLayout, visit: &mut dyn FnMut(&[u8])) {
        let mut at = from;
        let mut previous = 0;
        while at < self.bytes.len() {
            let rest = &self.bytes[at..];
            let record = Header::peek(rest)
                .filter(|header| usize::from(header.size) >= HEADER_LEN)
                .and_then(|header| rest.get(..usize::from(header.size)));
            let Some(record) = record else {
                // The kernel writes whole records only; if it did not, the rest of this round's ring is lost.
                self.damaged_bytes += rest.len() as u64;
                return;
            };
            let time = layout.peek_time(record).unwrap_or(previous);
            previous = time;
            self.newest = self.newest.max(time);
            visit(record);
            self.entries.push(Entry { time, at, len: record.len() as u16 });
            at += record.len();
        }
    }

    fn release<E>(&mut self, limit: u64, sink: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        // Stable: records of one ring with the same time keep their order. Rings are nearly sorted runs already.
        self.entries.sort_by_key(|entry| entry.time);
        let due = self.entries.partition_point(|entry| entry.time <= limit);
        let mut result = Ok(());
        for entry in &self.entries[..due] {
            result = sink(entry.record(&self.bytes));
            if result.is_err() {
                break;
            }
        }
        self.spare.clear();
        for entry in &mut self.entries[due..] {
            let at = self.spare.len();
            self.spare.extend_from_slice(entry.record(&self.bytes));
            entry.at = at;
        }
        std::mem::swap(&mut self.bytes, &mut self.spare);
        self.entries.drain(..due);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{SAMPLE_TID, SAMPLE_TIME};
    use proptest::prelude::*;

    const LAYOUT: SampleLayout = SampleLayout {
        sample_type: SAMPLE_TID | SAMPLE_TIME,
        read_format: 0,
        branch_sample_type: 0,
        sample_regs_user: 0,
        sample_regs_intr: 0,
        sample_id_all: true,
    };

    fn sample(time: u64, tid: i32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(9_u32.to_ne_bytes());
        bytes.extend(2_u16.to_ne_bytes());
        bytes.extend(24_u16.to_ne_bytes());
        bytes.extend(tid.to_ne_bytes());
        bytes.extend(tid.to_ne_bytes());
        bytes.extend(time.to_ne_bytes());
        bytes
    }

    /// Feeds rounds of rings as `Rings::take` and `release` do, and gives the times handed on, round by round.
    fn replay(rounds: &[Vec<Vec<u64>>]) -> Vec<u64> {
        let mut queue = Queue::default();
        let (mut previous, mut out) = (0, Vec::new());
        let mut sink = |record: &[u8]| -> Result<(), ()> {
            out.push(LAYOUT.peek_time(record).expect("has a time"));
            Ok(())
        };
        for rings in rounds {
            for ring in rings {
                let from = queue.bytes.len();
                ring.iter().for_each(|&time| queue.bytes.extend(sample(time, 1)));
                queue.index(from, &LAYOUT, &mut |_| {});
            }
            let limit = previous;
            previous = queue.newest.max(previous);
            queue.release(limit, &mut sink).expect("sink never fails");
        }
        queue.release(u64::MAX, &mut sink).expect("sink never fails");
        out
    }

    #[test]
    fn an_idle_ring_holds_nothing_up_and_a_late_one_stays_in_order() {
        // Ring 1 is idle; in the second round it delivers records older than the newest of the first.
        let rounds = [vec![vec![10, 20, 30], vec![]], vec![vec![40], vec![25, 28]], vec![vec![], vec![]]];
        assert_eq!(replay(&rounds), [10, 20, 25, 28, 30, 40]);
    }

    #[test]
    fn damage_loses_the_rest_of_the_round_only() {
        let mut queue = Queue::default();
        queue.bytes.extend(sample(5, 1));
        queue.bytes.extend([0; 16]);
        queue.index(0, &LAYOUT, &mut |_| {});
        assert_eq!((queue.entries.len(), queue.damaged_bytes), (1, 16));
        let mut seen = 0;
        queue
            .release::<()>(u64::MAX, &mut |_| {
                seen += 1;
                Ok(())
            })
            .expect("sink never fails");
        assert_eq!((seen, queue.bytes.len()), (1, 0));
    }

    proptest! {
        /// A record never arrives later than one round after a newer one of another ring: then all come out in order.
        #[test]
        fn order_holds_whatever_the_split(
            times in proptest::collection::vec((0_u64..1000, 0_usize..3, 0_usize..2), 0..300),
            round_len in 1_u64..200,
        ) {
            let mut rounds: Vec<Vec<Vec<u64>>> = vec![vec![Vec::new(); 3]; 1000 / round_len as usize + 3];
            for &(time, ring, late) in &times {
                rounds[(time / round_len) as usize + late][ring].push(time);
            }
            let mut sorted: Vec<u64> = times.iter().map(|t| t.0).collect();
            sorted.sort_unstable();
            prop_assert_eq!(replay(&rounds), sorted);
        }
    }
}
