//! A running sampling session.

use super::adapt::{self, StackLengths, StackSize};
use super::attach::{self, Owners};
use super::attr;
use super::error::Error;
use super::open::{self, Note};
use super::rings::Rings;
use super::roots::{self, Root};
use super::sampler::{self, Sampler};
use super::setup::{self, Binding, DEFAULT_RING_BYTES, Options, Setup};
use super::stats::{self, Stats};
use super::target::{Target, TargetSet};
use super::{proc, synthesize, sys};
use crate::layout::SampleLayout;
use crate::record::Header;
use perf_event_open_sys::bindings::{self, perf_event_attr};
use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest time between two rounds.
const ROUND: Duration = Duration::from_millis(100);

/// Whether the targets still run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Targets {
    /// At least one does.
    Alive,
    /// All have exited.
    Gone,
}

/// When [`Session::run`] is to end, besides the targets' exit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Until<'a> {
    /// After this time.
    pub duration: Option<Duration>,
    /// When this becomes true (set by a signal handler).
    pub stop: Option<&'a AtomicBool>,
}

/// Why [`Session::run`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The time was over.
    Duration,
    /// It was told to stop.
    Stopped,
    /// All targets have exited.
    TargetsGone,
}

/// After records were lost, processes are read from `/proc` again; that takes at most one part in so many of the time.
const RESYNC_PART: u32 = 20;

/// Events that are open and sampling. Dropping it closes them; targets are never stopped or changed.
pub struct Session {
    setup: Setup,
    layout: SampleLayout,
    rings: Rings,
    sampler: Sampler,
    targets: TargetSet,
    owners: Owners,
    roots: Vec<Root>,
    target: Target,
    follows_children: bool,
    stack_size: StackSize,
    adapts_user_stack: bool,
    /// Records for what was there at the start, handed on first.
    initial: Vec<u8>,
    stats: Stats,
    /// Ids of events that write everything but samples.
    sideband_ids: HashSet<u64>,
    resync: Resync,
}

/// When processes are read from `/proc` again.
struct Resync {
    /// Records lost that may have told of maps and names.
    lost: u64,
    /// How many there were when it was done last.
    done_at: u64,
    not_before: Instant,
}

/// The events of a session, as they were opened.
struct Events {
    sampler: Sampler,
    owners: Owners,
    attached_threads: usize,
    /// Processes found on the way.
    processes: Vec<u32>,
}

impl Session {
    /// Opens and enables the events, then reads from `/proc` what was there before.
    pub fn open(options: &Options) -> Result<Session, Error> {
        let roots = roots::open(&options.target, options.skips_missing)?;
        let cpus = proc::online_cpus().map_err(|source| Error::System { call: "reading the list of CPUs", source })?;
        let mut choice = open::choose(options, cpus[0])?;
        let wanted = setup::wanted_ring_bytes(options, cpus.len());
        let layout = attr::layout(&attr::sampling(&choice.wish));
        let sideband = (choice.binding == Binding::Cpu).then(|| attr::sideband(&attr::sampling(&choice.wish)));
        let mut rings = Rings::open(&cpus, wanted, &layout, sideband.as_ref())?;
        let mut notes = choice.notes;
        // With that much, the rate and the copies that are chosen lose nothing.
        if rings.bytes < wanted.min(DEFAULT_RING_BYTES) {
            notes.push(Note::RingShrunk { wanted, got: rings.bytes });
        }
        let limit = adapt::fitting(rings.bytes, choice.wish.frequency);
        if options.adapts_user_stack {
            let first = adapt::first(limit, choice.binding);
            choice.wish.user_stack_bytes = choice.wish.user_stack_bytes.map(|_| first);
        }
        let attr = attr::sampling(&choice.wish);
        let start_ns = sys::monotonic_ns();
        let admits_all = choice.binding == Binding::Task || options.target == Target::All;
        let mut targets = TargetSet::new(admits_all, choice.follows_children);
        if matches!(options.target, Target::Threads(_)) {
            targets.limit_to_threads(roots.iter().filter_map(|root| root.thread).map(|tid| tid as i32));
        }
        let events = if choice.binding == Binding::Task {
            attach_to_tasks(&roots, choice.follows_children, &attr, &mut rings, &layout, &mut targets, &mut notes)?
        } else {
            attach_to_cpus(options, &roots, &attr, &rings)?
        };
        let mut pids: Vec<u32> = roots.iter().map(|root| root.pid).collect();
        pids.dedup();
        pids.iter().chain(&events.processes).for_each(|&pid| targets.insert(pid as i32));
        let cpus = rings.outputs().len();
        let mut session = Session {
            setup: Setup {
                event: choice.wish.event,
                binding: choice.binding,
                frequency: choice.wish.frequency,
                has_kernel: choice.wish.has_kernel,
                cpus,
                ring_bytes: rings.bytes,
                user_stack_bytes: options.user_stack_bytes.map(|_| attr.sample_stack_user),
                attached_threads: events.attached_threads,
                start_ns,
                notes,
            },
            layout,
            sideband_ids: rings.sideband_events().filter_map(|event| sys::event_id(event.as_fd()).ok()).collect(),
            rings,
            sampler: events.sampler,
            targets,
            owners: events.owners,
            roots,
            target: options.target.clone(),
            follows_children: choice.follows_children,
            stack_size: StackSize::new(attr.sample_stack_user, limit, start_ns),
            adapts_user_stack: options.adapts_user_stack,
            initial: Vec::new(),
            stats: Stats::default(),
            resync: Resync { lost: 0, done_at: 0, not_before: Instant::now() },
        };
        match &options.target {
            // All that it is at this moment is replaced by its exec.
            Target::Command(pid) => session.targets.hold_until_exec(*pid as i32),
            _ => session.describe(pids, events.processes),
        }
        Ok(session)
    }

    /// Makes the records for processes that were there before.
    fn describe(&mut self, roots: Vec<u32>, mut processes: Vec<u32>) {
        processes.extend(&roots);
        processes.sort_unstable();
        processes.dedup();
        for pid in processes {
            // There may be thousands, and the rings fill meanwhile.
            self.rings.take(&self.layout, &mut self.targets);
            let is_readable = synthesize::process(pid, self.setup.start_ns, false, &self.layout, &mut self.initial);
            if !is_readable && roots.contains(&pid) {
                self.setup.notes.push(Note::MapsNotReadable { pid });
            }
        }
    }

    /// What was chosen, and what was given up.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The layout of all records of this session.
    pub fn layout(&self) -> SampleLayout {
        self.layout
    }

    /// Counts so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The command has reached its exec: from now on its records count even if the record of the exec was lost.
    pub(super) fn exec_done(&mut self) {
        self.targets.exec_done_at(sys::monotonic_ns());
    }

    /// Waits until a ring has filled to a quarter or a target exits, at most `timeout` and at most 100 ms.
    pub fn wait(&mut self, timeout: Duration) -> Result<Targets, Error> {
        let mut fds: Vec<libc::pollfd> = self.rings.poll_fds().collect();
        fds.extend(self.roots.iter().filter_map(Root::poll_fd));
        sys::poll(&mut fds, timeout.min(ROUND)).map_err(|source| Error::System { call: "poll", source })?;
        self.rings.polled(&fds);
        self.roots.iter_mut().for_each(|root| root.look(&fds));
        if self.roots.is_empty() || self.roots.iter().any(|root| !root.is_gone) {
            return Ok(Targets::Alive);
        }
        let outlives_roots = matches!(self.target, Target::Pids(_));
        let alive = outlives_roots && self.targets.any_alive(proc::is_alive);
        Ok(if alive { Targets::Alive } else { Targets::Gone })
    }

    /// One round: takes all records out of the rings, and hands those that are old enough to `sink`, in time order. An
    /// error of `sink` ends the round and comes back.
    pub fn drain<E>(&mut self, sink: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.hand_on_initial(sink)?;
        self.rings.take(&self.layout, &mut self.targets);
        self.hand_on(sink, false)?;
        self.resync_after_loss();
        Ok(())
    }

    /// Tells how long stacks so far were: the copy grows while many are longer, shrinks to what nearly all need, and
    /// shrinks while samples are lost, if [`Options::adapts_user_stack`]. Where events are bound to tasks its length stays.
    pub fn adapt_stack_copy(&mut self, lengths: &StackLengths) -> Result<(), Error> {
        if !self.adapts_user_stack || !self.sampler.can_switch() {
            return Ok(());
        }
        let bytes = self.stack_size.next(sys::monotonic_ns(), lengths, self.stats.lost);
        self.sampler.switch(bytes, &self.rings)?;
        self.setup.user_stack_bytes = Some(self.sampler.stack_bytes());
        Ok(())
    }

    /// The processes sampled that still run, the target's descendants included.
    fn living(&self) -> Vec<i32> {
        self.targets.living(proc::is_alive)
    }

    /// Lost records may have told of maps and names: a program whose exec was lost would have none to its end.
    fn resync_after_loss(&mut self) {
        if self.resync.lost == self.resync.done_at || Instant::now() < self.resync.not_before {
            return;
        }
        self.resync.done_at = self.resync.lost;
        let began = Instant::now();
        if self.follows_children {
            let roots: Vec<u32> = self.roots.iter().map(|root| root.pid).collect();
            proc::descendants(&roots).into_iter().for_each(|pid| self.targets.insert(pid as i32));
        }
        let pids = match self.target {
            Target::All => proc::processes(),
            _ => self.living().into_iter().map(|pid| pid as u32).collect(),
        };
        let mut records = Vec::new();
        for pid in pids {
            self.rings.take(&self.layout, &mut self.targets);
            records.clear();
            synthesize::process(pid, sys::monotonic_ns(), true, &self.layout, &mut records);
            self.rings.insert(&records, &self.layout);
        }
        self.stats.resyncs += 1;
        self.resync.not_before = Instant::now() + (began.elapsed() * RESYNC_PART).max(Duration::from_millis(200));
    }

    /// Stops sampling and hands on everything that is left; then counts what was lost.
    pub fn finish<E>(mut self, sink: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<Stats, E> {
        self.sampler.stop();
        sampler::disable(self.rings.sideband_events());
        self.hand_on_initial(sink)?;
        self.rings.take(&self.layout, &mut self.targets);
        self.hand_on(sink, true)?;
        if matches!(self.target, Target::Command(_)) {
            self.stats.living = self.living();
        }
        // LOST records come with the next record that finds room: losses at the very end are only known here.
        let sideband = self.rings.sideband_events().filter_map(|event| attach::lost_of(event, &self.layout));
        let lost = self.sampler.lost(&self.layout) + sideband.sum::<u64>();
        if lost > self.stats.lost {
            let unreported = lost - self.stats.lost;
            self.loss_at(sys::monotonic_ns()).lost += unreported;
            self.stats.lost = lost;
        }
        Ok(self.stats)
    }

    /// Samples until told to end or until the targets exit, a round at a time; `tick` is called after each. Call
    /// [`Session::finish`] afterwards.
    pub fn run<E: From<Error>>(
        &mut self,
        until: Until<'_>,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
        tick: &mut dyn FnMut(&Stats),
    ) -> Result<Ended, E> {
        let start = Instant::now();
        loop {
            let left = until.duration.map_or(ROUND, |duration| duration.saturating_sub(start.elapsed()));
            let targets = self.wait(left)?;
            self.drain(sink)?;
            tick(&self.stats);
            if until.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Ok(Ended::Stopped);
            }
            if targets == Targets::Gone {
                return Ok(Ended::TargetsGone);
            }
            if until.duration.is_some_and(|duration| start.elapsed() >= duration) {
                return Ok(Ended::Duration);
            }
        }
    }

    fn hand_on_initial<E>(&mut self, sink: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let initial = std::mem::take(&mut self.initial);
        let mut rest = initial.as_slice();
        while let Some(header) = Header::peek(rest) {
            let (record, after) = rest.split_at(usize::from(header.size).clamp(1, rest.len()));
            self.stats.records += 1;
            sink(record)?;
            rest = after;
        }
        Ok(())
    }

    fn hand_on<E>(&mut self, sink: &mut dyn FnMut(&[u8]) -> Result<(), E>, is_last: bool) -> Result<(), E> {
        let Session { rings, targets, owners, stats, layout, setup, sideband_ids, resync, .. } = self;
        stats.others += std::mem::take(&mut rings.refused);
        let mut filtered = |record: &[u8]| {
            let kind = Header::peek(record).map(|header| header.kind);
            if !targets.admit(record, layout) {
                stats.others += 1;
                return Ok(());
            }
            if owners.is_duplicate(record, layout) {
                stats.duplicates += 1;
                return Ok(());
            }
            stats.records += 1;
            match kind {
                Some(bindings::PERF_RECORD_SAMPLE) => stats.samples += 1,
                Some(
                    bindings::PERF_RECORD_LOST | bindings::PERF_RECORD_LOST_SAMPLES | bindings::PERF_RECORD_THROTTLE,
                ) => {
                    let lost = stats::count_loss(record, layout, setup.start_ns, stats);
                    // With rings of their own it is known that only samples were lost.
                    let may_be_sideband =
                        sideband_ids.is_empty() || layout.peek_id(record).is_none_or(|id| sideband_ids.contains(&id));
                    resync.lost += if may_be_sideband { lost } else { 0 };
                }
                _ => {}
            }
            sink(record)
        };
        let result = if is_last { rings.release_all(&mut filtered) } else { rings.release(&mut filtered) };
        self.stats.damaged_bytes = self.rings.damaged_bytes();
        result
    }

    fn loss_at(&mut self, time: u64) -> &mut stats::Loss {
        stats::loss_at(&mut self.stats.losses, self.setup.start_ns, time)
    }
}

/// Events on the tasks that are there, and on those that they start.
fn attach_to_tasks(
    roots: &[Root],
    follows_children: bool,
    attr: &perf_event_attr,
    rings: &mut Rings,
    layout: &SampleLayout,
    targets: &mut TargetSet,
    notes: &mut Vec<Note>,
) -> Result<Events, Error> {
    let attached = attach::attach(roots, follows_children, attr, rings, layout, targets)?;
    if attached.left_out > 0 {
        notes.push(Note::PartialAttach { attached: attached.threads, left_out: attached.left_out });
    }
    if !attached.not_permitted.is_empty() {
        notes.push(Note::ChildrenNotPermitted { processes: attached.not_permitted.len() });
    }
    Ok(Events {
        sampler: Sampler::of_tasks(attr, attached.events),
        owners: attached.owners,
        attached_threads: attached.threads,
        processes: attached.processes.into_iter().collect(),
    })
}

/// Events on the CPUs; what happens to processes is written from before the first sample on.
fn attach_to_cpus(options: &Options, roots: &[Root], attr: &perf_event_attr, rings: &Rings) -> Result<Events, Error> {
    sampler::enable(rings.sideband_events())?;
    let sampler = Sampler::on_cpus(attr, rings)?;
    let pids: Vec<u32> = roots.iter().map(|root| root.pid).collect();
    Ok(Events { sampler, owners: Owners::default(), attached_threads: 0, processes: processes_of(options, &pids) })
}

/// The processes to filter by and to describe, besides the roots.
fn processes_of(options: &Options, roots: &[u32]) -> Vec<u32> {
    match &options.target {
        Target::All => proc::processes(),
        Target::Pids(_) if options.follows_children => proc::descendants(roots),
        Target::Pids(_) | Target::Command(_) | Target::Threads(_) => Vec::new(),
    }
}
