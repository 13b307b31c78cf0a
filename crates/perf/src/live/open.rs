//! Which event, bound to what, with or without the kernel: found out by opening it.

use super::attr::{self, Event, Wish};
use super::error::{self, Error};
use super::setup::{Binding, Options};
use super::target::Target;
use super::{proc, sys};
use std::fmt;
use std::io;

/// Samples per second and CPU if nothing else is asked for. Odd, so that it does not run in step with timers.
pub const DEFAULT_FREQUENCY: u64 = 999;

/// The same for a timer bound to tasks, which is set anew at each context switch.
pub const DEFAULT_TASK_CLOCK_FREQUENCY: u64 = 199;

/// Timers run no faster than that: each sample costs some microseconds, and above it a small machine does little else.
pub const MAX_CLOCK_FREQUENCY: u64 = 20_000;

/// What was given up or is worth knowing, in words for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// There are no hardware counters: a timer is used.
    NoHardwareEvents,
    /// The kernel half of stacks, and time in the kernel, is missing.
    KernelExcluded {
        /// The setting of `kernel.perf_event_paranoid`.
        paranoid: String,
    },
    /// Events are bound to tasks.
    BoundToTasks {
        /// The event used.
        event: Event,
        /// It was not asked for.
        is_fallback: bool,
    },
    /// The rate asked for is above the kernel's limit, or above what a timer should do.
    FrequencyCapped {
        /// What was asked for, per second.
        wanted: u64,
        /// What is done: `kernel.perf_event_max_sample_rate`, or [`MAX_CLOCK_FREQUENCY`].
        limit: u64,
    },
    /// Rings are smaller than asked for.
    RingShrunk {
        /// Bytes per CPU asked for.
        wanted: usize,
        /// Bytes per CPU.
        got: usize,
    },
    /// Not all threads are sampled.
    PartialAttach {
        /// Threads sampled.
        attached: usize,
        /// Threads left out.
        left_out: usize,
    },
    /// Child processes are not sampled, they belong to others.
    ChildrenNotPermitted {
        /// How many.
        processes: usize,
    },
    /// The maps of a process could not be read: its frames will have no modules.
    MapsNotReadable {
        /// The process.
        pid: u32,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::NoHardwareEvents => {
                f.write_str("no hardware counter for cycles here: cpu-clock, a timer, is used instead")
            }
            Note::KernelExcluded { paranoid } => write!(
                f,
                "time in the kernel is not sampled: kernel.perf_event_paranoid is {paranoid}. \
                 Run as root, with CAP_PERFMON, or set it to 1: sysctl kernel.perf_event_paranoid=1"
            ),
            Note::BoundToTasks { event, is_fallback } => {
                f.write_str("events are bound to tasks")?;
                if *is_fallback {
                    write!(
                        f,
                        ", as whole CPUs may not be sampled (root, CAP_PERFMON or kernel.perf_event_paranoid=0 permits it)"
                    )?;
                }
                match event {
                    Event::CpuClock => f.write_str(
                        ": a target that switches often is slowed down, by up to a third at 999 samples a second",
                    ),
                    Event::Cycles => f.write_str(": a target that switches often is slowed down"),
                }
            }
            Note::FrequencyCapped { wanted, limit } => {
                let why = if *limit == MAX_CLOCK_FREQUENCY {
                    "more than a timer can do without starving a small machine"
                } else {
                    "above kernel.perf_event_max_sample_rate"
                };
                write!(f, "{wanted} samples a second is {why}: {limit} are taken")
            }
            Note::RingShrunk { wanted, got } => write!(
                f,
                "only {} KiB of memory per CPU may be locked for samples, {} KiB were wanted: samples may be lost. \
                 Raise kernel.perf_event_mlock_kb or `ulimit -l`",
                got / 1024,
                wanted / 1024
            ),
            Note::PartialAttach { attached, left_out } => write!(
                f,
                "partial: {attached} threads are sampled, {left_out} are not, their events do not fit the limit of \
                 open files. Raise it with `ulimit -n`, or run as root: then whole CPUs are sampled"
            ),
            Note::ChildrenNotPermitted { processes } => {
                write!(f, "{processes} child processes belong to other users and are not sampled")
            }
            Note::MapsNotReadable { pid } => write!(
                f,
                "/proc/{pid}/maps is not readable: frames of process {pid} will have no names until it maps something new"
            ),
        }
    }
}

/// What was found to work.
pub(super) struct Choice {
    /// Child processes are wanted.
    pub(super) follows_children: bool,
    pub(super) wish: Wish,
    pub(super) binding: Binding,
    pub(super) notes: Vec<Note>,
}

/// Tries what was asked for from best to least: CPUs before tasks, cycles before the timer, with the kernel before
/// without.
pub(super) fn choose(options: &Options, cpu: i32) -> Result<Choice, Error> {
    let bindings: &[Binding] = match (options.binding, &options.target) {
        (_, Target::All) | (Binding::Cpu, _) => &[Binding::Cpu],
        (Binding::Task, _) => &[Binding::Task],
        (Binding::Auto, _) => &[Binding::Cpu, Binding::Task],
    };
    let events: &[Event] = match options.event {
        Some(Event::Cycles) => &[Event::Cycles],
        Some(Event::CpuClock) => &[Event::CpuClock],
        None => &[Event::Cycles, Event::CpuClock],
    };
    let (mut denied, mut failed) = (None, None);
    for &binding in bindings {
        for &event in events {
            for (has_kernel, counts_lost) in [(true, true), (true, false), (false, true), (false, false)] {
                let wish = wish(options, event, binding, has_kernel, counts_lost);
                let pid = if binding == Binding::Cpu { -1 } else { 0 };
                match sys::open_event(&attr::sampling(&wish), pid, cpu) {
                    Ok(_) => return Ok(chosen(options, wish, binding)),
                    Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM)) => {
                        denied = Some((binding, error));
                    }
                    Err(error) if is_missing(&error) => failed = Some(error),
                    Err(error) => return Err(refusal(error)),
                }
            }
        }
    }
    match (denied, failed) {
        (Some((Binding::Cpu, source)), _) => Err(match error::not_permitted(source) {
            Error::NotPermitted { paranoid, .. } => Error::CpuNotPermitted { paranoid },
            other => other,
        }),
        (_, Some(source)) if options.event.is_some() => Err(Error::EventMissing { event: events[0].name(), source }),
        (Some((_, source)), _) => Err(error::not_permitted(source)),
        (None, Some(source)) => Err(Error::NotSupported(source)),
        (None, None) => Err(Error::NoTarget),
    }
}

fn wish(options: &Options, event: Event, binding: Binding, has_kernel: bool, counts_lost: bool) -> Wish {
    let default = match (event, binding) {
        (Event::CpuClock, Binding::Task) => DEFAULT_TASK_CLOCK_FREQUENCY,
        _ => DEFAULT_FREQUENCY,
    };
    let most = if event == Event::CpuClock { MAX_CLOCK_FREQUENCY } else { u64::MAX };
    let most = max_frequency().map_or(most, |limit| limit.min(most));
    let frequency = options.frequency.unwrap_or(default).clamp(1, most);
    Wish {
        event,
        frequency,
        has_kernel,
        user_stack_bytes: options.user_stack_bytes,
        inherits: binding == Binding::Task && !matches!(options.target, Target::Threads(_)),
        threads_only: !options.follows_children,
        counts_lost,
        has_sideband: binding == Binding::Task,
    }
}

fn chosen(options: &Options, wish: Wish, binding: Binding) -> Choice {
    let mut notes = Vec::new();
    if options.event.is_none() && wish.event == Event::CpuClock {
        notes.push(Note::NoHardwareEvents);
    }
    if !wish.has_kernel {
        notes.push(Note::KernelExcluded { paranoid: error::paranoid() });
    }
    if binding == Binding::Task {
        notes.push(Note::BoundToTasks { event: wish.event, is_fallback: options.binding == Binding::Auto });
    }
    if let Some(wanted) = options.frequency.filter(|&wanted| wanted > wish.frequency) {
        notes.push(Note::FrequencyCapped { wanted, limit: wish.frequency });
    }
    let follows_children = options.follows_children && !matches!(options.target, Target::Threads(_));
    Choice { follows_children, wish, binding, notes }
}

/// `kernel.perf_event_max_sample_rate`: the kernel lowers it by itself when sampling takes too long.
fn max_frequency() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/sys/kernel/perf_event_max_sample_rate").ok()?;
    text.trim().parse().ok().filter(|&rate| rate > 0)
}

/// Whether the kernel does not know this event (or an attribute of it).
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::ENODEV | libc::EOPNOTSUPP | libc::EINVAL | libc::E2BIG | libc::ENXIO)
    )
}

/// The error for a refusal that has nothing to do with the target.
pub(super) fn refusal(source: io::Error) -> Error {
    match source.raw_os_error() {
        Some(libc::ENOSYS) => match error::not_permitted(source) {
            // Newer container runtimes answer as a kernel without the call.
            Error::NotPermitted { source, .. } => Error::NotSupported(source),
            other => other,
        },
        Some(libc::EACCES | libc::EPERM) => error::not_permitted(source),
        Some(libc::EMFILE | libc::ENFILE) => {
            let limit = sys::raise_file_limit().unwrap_or(0);
            Error::TooManyFiles { limit, needed: limit + 1 }
        }
        _ => Error::System { call: "perf_event_open", source },
    }
}

/// Says clearly what is wrong with a process id before it is used.
pub(super) fn check_process(pid: u32) -> Result<(), Error> {
    match proc::status(pid) {
        None => Err(Error::NoSuchProcess { pid }),
        Some(status) if status.tgid != pid => Err(Error::IsThread { tid: pid, pid: status.tgid }),
        Some(status) if status.is_zombie && !proc::is_alive(pid as i32) => Err(Error::Zombie { pid }),
        Some(_) => Ok(()),
    }
}
