//! The events that take samples, and how much of the user's stack they copy.
//!
//! The length of the copy is fixed when an event is opened. Where events are bound to CPUs a second set with another
//! length is opened beside the first and takes over: its events start before those of the first stop, and they write no
//! records but samples, so nothing is lost but what was left of one period per CPU. Where events are bound to tasks, with
//! thousands of them, the first length stays.

use super::attach;
use super::error::Error;
use super::open;
use super::rings::Rings;
use super::sys;
use crate::layout::SampleLayout;
use perf_event_open_sys::bindings::perf_event_attr;
use std::os::fd::{AsFd, OwnedFd};

/// Events on all CPUs that copy the same length.
struct Set {
    stack_bytes: u32,
    events: Vec<OwnedFd>,
}

/// All events that take samples.
pub(super) struct Sampler {
    attr: perf_event_attr,
    is_bound_to_cpus: bool,
    sets: Vec<Set>,
    active: usize,
}

impl Sampler {
    /// Events of tasks, which sample already.
    pub(super) fn of_tasks(attr: &perf_event_attr, events: Vec<OwnedFd>) -> Sampler {
        let set = Set { stack_bytes: attr.sample_stack_user, events };
        Sampler { attr: *attr, is_bound_to_cpus: false, sets: vec![set], active: 0 }
    }

    /// Opens events on all CPUs, and starts them.
    pub(super) fn on_cpus(attr: &perf_event_attr, rings: &Rings) -> Result<Sampler, Error> {
        let set = Set { stack_bytes: attr.sample_stack_user, events: open_on_cpus(attr, rings)? };
        enable(set.events.iter())?;
        Ok(Sampler { attr: *attr, is_bound_to_cpus: true, sets: vec![set], active: 0 })
    }

    /// Bytes of user stack that are copied now; 0 if none are.
    pub(super) fn stack_bytes(&self) -> u32 {
        self.sets[self.active].stack_bytes
    }

    /// Whether the length of the copy can change.
    pub(super) fn can_switch(&self) -> bool {
        self.is_bound_to_cpus && self.stack_bytes() > 0
    }

    /// Copies that many bytes from now on.
    pub(super) fn switch(&mut self, stack_bytes: u32, rings: &Rings) -> Result<(), Error> {
        if !self.can_switch() || stack_bytes == self.stack_bytes() {
            return Ok(());
        }
        let next = match self.sets.iter().position(|set| set.stack_bytes == stack_bytes) {
            Some(next) => next,
            None => {
                let mut attr = self.attr;
                attr.sample_stack_user = stack_bytes;
                self.sets.push(Set { stack_bytes, events: open_on_cpus(&attr, rings)? });
                self.sets.len() - 1
            }
        };
        enable(self.sets[next].events.iter())?;
        disable(self.sets[self.active].events.iter());
        self.active = next;
        Ok(())
    }

    /// Stops sampling.
    pub(super) fn stop(&self) {
        disable(self.sets[self.active].events.iter());
    }

    /// Records that found no room, by the events' own count.
    pub(super) fn lost(&self, layout: &SampleLayout) -> u64 {
        let events = self.sets.iter().flat_map(|set| &set.events);
        events.filter_map(|event| attach::lost_of(event, layout)).sum()
    }
}

/// Starts events.
pub(super) fn enable<'a>(mut events: impl Iterator<Item = &'a OwnedFd>) -> Result<(), Error> {
    events.try_for_each(|event| {
        sys::enable(event.as_fd()).map_err(|source| Error::System { call: "ioctl(PERF_EVENT_IOC_ENABLE)", source })
    })
}

/// Stops events.
pub(super) fn disable<'a>(events: impl Iterator<Item = &'a OwnedFd>) {
    for event in events {
        // It can only fail for a CPU that is gone, and then there is nothing to stop.
        let _ = sys::disable(event.as_fd());
    }
}

fn open_on_cpus(attr: &perf_event_attr, rings: &Rings) -> Result<Vec<OwnedFd>, Error> {
    let mut events = Vec::with_capacity(rings.outputs().len());
    for (cpu, owner) in rings.outputs() {
        match sys::open_event(attr, -1, cpu) {
            Ok(event) => {
                sys::set_output(event.as_fd(), owner)
                    .map_err(|source| Error::System { call: "ioctl(PERF_EVENT_IOC_SET_OUTPUT)", source })?;
                events.push(event);
            }
            // The CPU went offline.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
            Err(error) => return Err(open::refusal(error)),
        }
    }
    Ok(events)
}
