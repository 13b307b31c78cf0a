//! A running sampling session.

use super::attach::{self, Owners};
use super::attr::{self, Event};
use super::error::Error;
use super::open::{self, Note};
use super::rings::Rings;
use super::target::{Target, TargetSet};
use super::{proc, synthesize, sys};
use crate::layout::SampleLayout;
use crate::record::{Header, Record};
use perf_event_open_sys::bindings::{self, perf_event_attr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Bytes of ring per CPU if nothing else is asked for: with its control page what the kernel lets everybody lock.
pub const DEFAULT_RING_BYTES: usize = 512 << 10;

/// The same with copies of user stacks, which need far more room.
pub const DEFAULT_STACK_RING_BYTES: usize = 4 << 20;

/// The longest time between two rounds.
const ROUND: Duration = Duration::from_millis(100);

/// What events are bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Binding {
    /// CPUs where that is permitted, else tasks.
    #[default]
    Auto,
    /// One event per CPU, whoever runs there; records of others are dropped on reading.
    Cpu,
    /// One event per thread and CPU, inherited by new threads and children.
    Task,
}

/// What to sample, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to sample.
    pub target: Target,
    /// Child processes of the target too, those that are there already included.
    pub follows_children: bool,
    /// The event; `None`: cycles where the machine has them, else cpu-clock.
    pub event: Option<Event>,
    /// Samples per second and CPU; `None`: [`open::DEFAULT_FREQUENCY`], or less where a timer is bound to tasks.
    pub frequency: Option<u64>,
    /// What events are bound to.
    pub binding: Binding,
    /// Copy that many bytes of the user stack, and the user registers, with each sample (for unwinding by DWARF); at
    /// most [`attr::MAX_USER_STACK_BYTES`].
    pub user_stack_bytes: Option<u32>,
    /// Bytes of ring per CPU, rounded up to a power of two; `None`: [`DEFAULT_RING_BYTES`] or [`DEFAULT_STACK_RING_BYTES`].
    pub ring_bytes: Option<usize>,
}

impl Options {
    /// Samples `target` and its children, everything else chosen automatically.
    pub fn new(target: Target) -> Options {
        Options {
            target,
            follows_children: true,
            event: None,
            frequency: None,
            binding: Binding::Auto,
            user_stack_bytes: None,
            ring_bytes: None,
        }
    }
}

/// What was chosen, and what was given up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The event.
    pub event: Event,
    /// [`Binding::Cpu`] or [`Binding::Task`].
    pub binding: Binding,
    /// Samples per second and CPU.
    pub frequency: u64,
    /// Whether the kernel's half is sampled.
    pub has_kernel: bool,
    /// CPUs sampled.
    pub cpus: usize,
    /// Bytes of ring per CPU.
    pub ring_bytes: usize,
    /// Bytes of user stack in a sample.
    pub user_stack_bytes: Option<u32>,
    /// Threads with events of their own; 0 with events bound to CPUs.
    pub attached_threads: usize,
    /// Nanoseconds on CLOCK_MONOTONIC when events were enabled: no record is older.
    pub start_ns: u64,
    /// What the user should know.
    pub notes: Vec<Note>,
}

/// What was lost within one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loss {
    /// Seconds since the start of the session.
    pub second: u64,
    /// Records that found no room in a ring, of any process and any type.
    pub lost: u64,
    /// How often the kernel stopped sampling because it took too much time.
    pub throttled: u64,
}

/// Counts so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Samples handed on.
    pub samples: u64,
    /// Records handed on, samples included.
    pub records: u64,
    /// Records of processes that are not sampled, dropped.
    pub others: u64,
    /// Second samples of the same moment, dropped (see `live/attach.rs`).
    pub duplicates: u64,
    /// Records lost, of any process and any type.
    pub lost: u64,
    /// How often the kernel stopped sampling because it took too much time.
    pub throttled: u64,
    /// Bytes in rings that were no records.
    pub damaged_bytes: u64,
    /// When it was lost; seconds without loss are left out.
    pub losses: Vec<Loss>,
}

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

/// A process that was asked for.
struct Root {
    pid: i32,
    /// Becomes readable at its exit; `None` where the kernel has no pidfds (before 5.3).
    pidfd: Option<OwnedFd>,
    is_gone: bool,
}

/// Events that are open and sampling. Dropping it closes them; targets are never stopped or changed.
pub struct Session {
    setup: Setup,
    layout: SampleLayout,
    rings: Rings,
    events: Vec<OwnedFd>,
    targets: TargetSet,
    owners: Owners,
    roots: Vec<Root>,
    is_command: bool,
    /// Records for what was there at the start, handed on first.
    initial: Vec<u8>,
    stats: Stats,
}

impl Session {
    /// Opens and enables the events, then reads from `/proc` what was there before.
    pub fn open(options: &Options) -> Result<Session, Error> {
        let roots = open_roots(&options.target)?;
        let cpus = proc::online_cpus().map_err(|source| Error::System { call: "reading the list of CPUs", source })?;
        let choice = open::choose(options, cpus[0])?;
        let attr = attr::sampling(&choice.wish);
        let layout = attr::layout(&attr);
        let wanted = options.ring_bytes.unwrap_or(match options.user_stack_bytes {
            Some(_) => DEFAULT_STACK_RING_BYTES,
            None => DEFAULT_RING_BYTES,
        });
        let mut rings = Rings::open(&cpus, wanted)?;
        let mut notes = choice.notes;
        if rings.bytes < wanted {
            notes.push(Note::RingShrunk { wanted, got: rings.bytes });
        }
        let start_ns = sys::monotonic_ns();
        let admits_all = choice.binding == Binding::Task || options.target == Target::All;
        let mut targets = TargetSet::new(admits_all, options.follows_children);
        let pids: Vec<u32> = roots.iter().map(|root| root.pid as u32).collect();
        let (events, owners, attached_threads, processes) = if choice.binding == Binding::Task {
            let attached = attach::attach(&pids, options.follows_children, &attr, &mut rings, &layout)?;
            if attached.left_out > 0 {
                notes.push(Note::PartialAttach { attached: attached.threads, left_out: attached.left_out });
            }
            if !attached.not_permitted.is_empty() {
                notes.push(Note::ChildrenNotPermitted { processes: attached.not_permitted.len() });
            }
            (attached.events, attached.owners, attached.threads, attached.processes.into_iter().collect())
        } else {
            let events = open_on_cpus(&attr, &rings)?;
            (events, Owners::default(), 0, processes_of(options, &pids))
        };
        pids.iter().chain(&processes).for_each(|&pid| targets.insert(pid as i32));
        let cpus = rings.outputs().len();
        let ring_bytes = rings.bytes;
        let mut session = Session {
            setup: Setup {
                event: choice.wish.event,
                binding: choice.binding,
                frequency: choice.wish.frequency,
                has_kernel: choice.wish.has_kernel,
                cpus,
                ring_bytes,
                user_stack_bytes: options.user_stack_bytes.map(|_| attr.sample_stack_user),
                attached_threads,
                start_ns,
                notes,
            },
            layout,
            rings,
            events,
            targets,
            owners,
            roots,
            is_command: false,
            initial: Vec::new(),
            stats: Stats::default(),
        };
        match &options.target {
            // All that it is at this moment is replaced by its exec.
            Target::Command(pid) => {
                session.is_command = true;
                session.targets.hold_until_exec(*pid as i32);
            }
            Target::Pids(_) | Target::All => session.describe(pids, processes),
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
            self.rings.take(&self.layout);
            let is_readable = synthesize::process(pid, self.setup.start_ns, &self.layout, &mut self.initial);
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
        let pidfds = self.roots.iter().filter(|root| !root.is_gone).filter_map(|root| root.pidfd.as_ref());
        fds.extend(pidfds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }));
        sys::poll(&mut fds, timeout.min(ROUND)).map_err(|source| Error::System { call: "poll", source })?;
        self.rings.polled(&fds);
        let exited = |fd: &OwnedFd| fds.iter().any(|poll| poll.fd == fd.as_raw_fd() && poll.revents != 0);
        for root in self.roots.iter_mut().filter(|root| !root.is_gone) {
            root.is_gone = match &root.pidfd {
                Some(fd) => exited(fd),
                None => !proc::is_alive(root.pid),
            };
        }
        if self.roots.is_empty() || self.roots.iter().any(|root| !root.is_gone) {
            return Ok(Targets::Alive);
        }
        let alive = !self.is_command && self.targets.any_alive(proc::is_alive);
        Ok(if alive { Targets::Alive } else { Targets::Gone })
    }

    /// One round: takes all records out of the rings, and hands those that are old enough to `sink`, in time order. An
    /// error of `sink` ends the round and comes back.
    pub fn drain<E>(&mut self, sink: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.hand_on_initial(sink)?;
        self.rings.take(&self.layout);
        self.hand_on(sink, false)
    }

    /// Stops sampling and hands on everything that is left; then counts what was lost.
    pub fn finish<E>(mut self, sink: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<Stats, E> {
        for event in &self.events {
            // It can only fail for a CPU that is gone, and then there is nothing to stop.
            let _ = sys::disable(event.as_fd());
        }
        self.hand_on_initial(sink)?;
        self.rings.take(&self.layout);
        self.hand_on(sink, true)?;
        // LOST records come with the next record that finds room: losses at the very end are only known here.
        let lost = self.events.iter().filter_map(|event| attach::lost_of(event, &self.layout)).sum::<u64>();
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
        let Session { rings, targets, owners, stats, layout, setup, .. } = self;
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
                ) => count_loss(record, layout, setup.start_ns, stats),
                _ => {}
            }
            sink(record)
        };
        let result = if is_last { rings.release_all(&mut filtered) } else { rings.release(&mut filtered) };
        self.stats.damaged_bytes = self.rings.damaged_bytes();
        result
    }

    fn loss_at(&mut self, time: u64) -> &mut Loss {
        loss_at(&mut self.stats.losses, self.setup.start_ns, time)
    }
}

fn count_loss(record: &[u8], layout: &SampleLayout, start_ns: u64, stats: &mut Stats) {
    let Ok(record) = Record::decode(record, layout) else { return };
    let loss = loss_at(&mut stats.losses, start_ns, record.time().unwrap_or(start_ns));
    match record {
        Record::Lost(lost) | Record::LostSamples(lost) => {
            loss.lost += lost.lost;
            stats.lost += lost.lost;
        }
        Record::Throttle(_) => {
            loss.throttled += 1;
            stats.throttled += 1;
        }
        _ => {}
    }
}

fn loss_at(losses: &mut Vec<Loss>, start_ns: u64, time: u64) -> &mut Loss {
    let second = time.saturating_sub(start_ns) / 1_000_000_000;
    // Records come in time order: only the last can be the same second.
    if losses.last().is_none_or(|last| last.second < second) {
        losses.push(Loss { second, ..Loss::default() });
    }
    let last = losses.len() - 1;
    &mut losses[last]
}

fn open_roots(target: &Target) -> Result<Vec<Root>, Error> {
    let pids = match target {
        Target::All => return Ok(Vec::new()),
        Target::Command(pid) => vec![*pid],
        Target::Pids(pids) => pids.clone(),
    };
    if pids.is_empty() {
        return Err(Error::NoTarget);
    }
    let mut roots: Vec<Root> = Vec::new();
    for pid in pids {
        open::check_process(pid)?;
        if roots.iter().any(|root| root.pid as u32 == pid) {
            continue;
        }
        let pidfd = match sys::pidfd_open(pid as i32) {
            Ok(fd) => Some(fd),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Err(Error::NoSuchProcess { pid }),
            Err(_) => None,
        };
        roots.push(Root { pid: pid as i32, pidfd, is_gone: false });
    }
    Ok(roots)
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
    for event in &events {
        sys::enable(event.as_fd()).map_err(|source| Error::System { call: "ioctl(PERF_EVENT_IOC_ENABLE)", source })?;
    }
    Ok(events)
}

/// The processes to filter by and to describe, besides the roots.
fn processes_of(options: &Options, roots: &[u32]) -> Vec<u32> {
    match &options.target {
        Target::All => proc::processes(),
        Target::Pids(_) if options.follows_children => proc::descendants(roots),
        Target::Pids(_) | Target::Command(_) => Vec::new(),
    }
}
