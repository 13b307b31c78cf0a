//! Counts beside the samples: how much CPU time, how many switches, faults, cycles, instructions and cache misses.
//!
//! A launched command is counted by perf events, inherited by its children, from its exec on ([`Counters`]). A process
//! that runs already is counted by what `/proc` says at the start and at the end ([`ProcCounters`]): a perf event on a
//! PID counts one thread only.
//!
//! What cannot be counted says so; it is never 0.

use crate::live::sys;
use perf_event::Builder;
use perf_event::events::{Event, Hardware, Software};
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};

/// What a counter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CounterValue {
    /// The count.
    Value(u64),
    /// The machine or the kernel has no such counter.
    NotSupported,
    /// We may not count it; the text says what would permit it.
    NotPermitted(String),
    /// The counter exists, but others held the hardware all the time.
    NotCounted,
}

impl fmt::Display for CounterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CounterValue::Value(value) => write!(f, "{value}"),
            CounterValue::NotSupported => f.write_str("not supported on this machine"),
            CounterValue::NotPermitted(why) => write!(f, "not permitted: {why}"),
            CounterValue::NotCounted => f.write_str("not counted: others used the hardware counter all the time"),
        }
    }
}

/// One line of counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Count {
    /// Name as perf has it.
    pub name: &'static str,
    /// `nanoseconds` or `count`.
    pub unit: &'static str,
    /// The count; scaled up if the hardware counted only part of the time.
    pub value: CounterValue,
    /// Only what happened in user mode was counted.
    pub is_user_only: bool,
    /// Share of the time (0–1) that the hardware really counted; below 1 the value is an estimate.
    pub counted_share: f64,
    /// Threads ended that had counted on since they were last looked at: the truth is larger.
    pub is_lower_bound: bool,
}

impl Count {
    /// What has to be said beside the number.
    pub fn remark(&self) -> Option<String> {
        let mut remarks = Vec::new();
        if self.is_user_only {
            remarks.push("user mode only".to_owned());
        }
        if self.counted_share < 1.0 {
            remarks.push(format!("counted {:.0} % of the time, scaled", self.counted_share * 100.0));
        }
        if self.is_lower_bound {
            remarks.push("at least: threads ended meanwhile".to_owned());
        }
        (!remarks.is_empty()).then(|| remarks.join(", "))
    }
}

/// What is counted of a launched command.
const COUNTED: [(&str, &str, Event, WithoutKernel); 6] = [
    // Time on the CPU is the whole time, whatever is excluded.
    ("task-clock", "nanoseconds", Event::Software(Software::TASK_CLOCK), WithoutKernel::Same),
    // Switches happen in the kernel: without it the event reads 0, which would be a lie.
    ("context-switches", "count", Event::Software(Software::CONTEXT_SWITCHES), WithoutKernel::Meaningless),
    ("page-faults", "count", Event::Software(Software::PAGE_FAULTS), WithoutKernel::UserOnly),
    ("cycles", "count", Event::Hardware(Hardware::CPU_CYCLES), WithoutKernel::UserOnly),
    ("instructions", "count", Event::Hardware(Hardware::INSTRUCTIONS), WithoutKernel::UserOnly),
    ("cache-misses", "count", Event::Hardware(Hardware::CACHE_MISSES), WithoutKernel::UserOnly),
];

/// What a counter is worth where the kernel may not be counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WithoutKernel {
    Same,
    UserOnly,
    Meaningless,
}

enum Opened {
    Counting { file: File, is_user_only: bool },
    Failed(CounterValue),
}

/// Counters of a launched command and its children.
pub struct Counters {
    counters: Vec<(&'static str, &'static str, Opened)>,
}

impl Counters {
    /// Opens all counters on a process that is held before its exec ([`crate::live::Launched`]); they start there.
    pub fn open(pid: u32) -> Counters {
        let open = |&(name, unit, ref event, without): &(_, _, Event, _)| (name, unit, open(pid, event, without));
        Counters { counters: COUNTED.iter().map(open).collect() }
    }

    /// The counts so far, those of children included; after the command's exit they are final.
    pub fn read(&mut self) -> Vec<Count> {
        self.counters.iter_mut().map(|(name, unit, opened)| read(name, unit, opened)).collect()
    }
}

fn open(pid: u32, event: &Event, without_kernel: WithoutKernel) -> Opened {
    let build = |excludes_kernel: bool| {
        let mut builder = Builder::new().kind(event.clone()).observe_pid(pid as i32).any_cpu();
        builder.inherit(true).enable_on_exec(true).exclude_kernel(excludes_kernel);
        builder.build().and_then(sys::counter_file)
    };
    match build(false) {
        Ok(file) => Opened::Counting { file, is_user_only: false },
        Err(error) if is_refused(&error) && without_kernel != WithoutKernel::Meaningless => match build(true) {
            Ok(file) => Opened::Counting { file, is_user_only: without_kernel == WithoutKernel::UserOnly },
            Err(error) => Opened::Failed(failed(&error)),
        },
        Err(error) => Opened::Failed(failed(&error)),
    }
}

fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM))
}

fn failed(error: &io::Error) -> CounterValue {
    if is_refused(error) {
        let paranoid = crate::live::paranoid();
        let why = format!("kernel.perf_event_paranoid is {paranoid}; needs root, CAP_PERFMON or 1");
        return CounterValue::NotPermitted(why);
    }
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => CounterValue::NotPermitted("too many open files".to_owned()),
        _ => CounterValue::NotSupported,
    }
}

fn read(name: &'static str, unit: &'static str, opened: &mut Opened) -> Count {
    let (value, counted_share, is_user_only) = match opened {
        Opened::Failed(value) => (value.clone(), 1.0, false),
        Opened::Counting { file, is_user_only } => {
            let (value, share) = scaled(file);
            (value, share, *is_user_only)
        }
    };
    Count { name, unit, value, is_user_only, counted_share, is_lower_bound: false }
}

/// `struct read_format` with both times, as `perf_event` asks for: value, time enabled, time running.
fn scaled(file: &mut File) -> (CounterValue, f64) {
    let mut bytes = [0; 24];
    if let Err(error) = file.read_exact(&mut bytes) {
        return (failed(&error), 1.0);
    }
    let word = |at: usize| crate::cursor::u64_at(&bytes, at).unwrap_or(0);
    scale(word(0), word(8), word(16))
}

fn scale(value: u64, enabled: u64, running: u64) -> (CounterValue, f64) {
    match (enabled, running) {
        // The command never ran.
        (0, _) => (CounterValue::Value(value), 1.0),
        (_, 0) => (CounterValue::NotCounted, 0.0),
        _ if running >= enabled => (CounterValue::Value(value), 1.0),
        _ => {
            let estimate = u128::from(value) * u128::from(enabled) / u128::from(running);
            (CounterValue::Value(u64::try_from(estimate).unwrap_or(u64::MAX)), running as f64 / enabled as f64)
        }
    }
}

/// Counts of processes that run already, by differences of what `/proc` says.
#[derive(Debug)]
pub struct ProcCounters {
    roots: Vec<u32>,
    /// The roots are threads, counted alone.
    are_threads: bool,
    follows_children: bool,
    /// (process, thread, its start) → first and last look. The start tells a thread from a later one with its id.
    threads: HashMap<(u32, u32, u64), Looks<ThreadLook>>,
    /// (process, its start) → page faults.
    processes: HashMap<(u32, u64), Looks<ProcessLook>>,
    /// This look, counted up.
    look: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Looks<T> {
    first: T,
    last: T,
    seen_at: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ThreadLook {
    cpu_ns: u64,
    switches: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ProcessLook {
    faults: u64,
    /// User and system time of all threads, those that ended included, to the tick.
    cpu_ticks: u64,
}

impl ProcCounters {
    /// Takes the first look at these processes, and at their descendants if asked to.
    pub fn start(pids: &[u32], follows_children: bool) -> ProcCounters {
        ProcCounters::first_look(ProcCounters {
            roots: pids.to_vec(),
            are_threads: false,
            follows_children,
            threads: HashMap::new(),
            processes: HashMap::new(),
            look: 0,
        })
    }

    /// Takes the first look at these threads, each alone.
    pub fn of_threads(tids: &[u32]) -> ProcCounters {
        ProcCounters::first_look(ProcCounters {
            roots: tids.to_vec(),
            are_threads: true,
            follows_children: false,
            threads: HashMap::new(),
            processes: HashMap::new(),
            look: 0,
        })
    }

    fn first_look(mut counters: ProcCounters) -> ProcCounters {
        counters.update();
        counters
    }

    /// Takes another look. Whatever ends between two looks counts only up to the former: look now and then where
    /// threads come and go. A look costs some 15 µs a thread.
    pub fn update(&mut self) {
        self.look += 1;
        let mut pids = self.roots.clone();
        if self.follows_children {
            pids.extend(crate::live::descendants(&self.roots));
        }
        for pid in pids {
            // The kernel knows threads by `/proc/TID` too, with the process's sums; `task` has the thread's own.
            let process = if self.are_threads { format!("/proc/{pid}/task/{pid}") } else { format!("/proc/{pid}") };
            if let Some((start, process)) = stat(&format!("{process}/stat")) {
                see(&mut self.processes, (pid, start), process, self.look);
            }
            let threads = if self.are_threads { vec![pid] } else { crate::live::tasks(pid) };
            for tid in threads {
                let folder = format!("/proc/{pid}/task/{tid}");
                if let (Some((start, _)), Some(thread)) = (stat(&format!("{folder}/stat")), thread_look(&folder)) {
                    see(&mut self.threads, (pid, tid, start), thread, self.look);
                }
            }
        }
    }

    /// The counts between the first look and the last.
    pub fn read(&self) -> Vec<Count> {
        let has_ended = self.threads.values().any(|looks| looks.seen_at < self.look);
        let sum = |difference: fn(&Looks<ThreadLook>) -> u64| self.threads.values().map(difference).sum::<u64>();
        let faults = self.processes.values().map(|looks| looks.last.faults.saturating_sub(looks.first.faults)).sum();
        let by_threads = sum(|looks| looks.last.cpu_ns.saturating_sub(looks.first.cpu_ns));
        // Exact where all threads are still there; else the processes' sums, to the tick, may know more.
        let ticks = self.processes.values().map(|looks| looks.last.cpu_ticks.saturating_sub(looks.first.cpu_ticks));
        let by_processes = ticks.sum::<u64>() * (1_000_000_000 / sys::ticks_per_second());
        let cpu_ns = if has_ended { by_threads.max(by_processes) } else { by_threads };
        let has_process_ended = self.processes.values().any(|looks| looks.seen_at < self.look);
        let switches = sum(|looks| looks.last.switches.saturating_sub(looks.first.switches));
        let count = |name, unit, value, is_lower_bound| Count {
            name,
            unit,
            value: if self.threads.is_empty() {
                CounterValue::NotPermitted("/proc/PID/task was not readable".to_owned())
            } else {
                CounterValue::Value(value)
            },
            is_user_only: false,
            counted_share: 1.0,
            is_lower_bound,
        };
        vec![
            count("task-clock", "nanoseconds", cpu_ns, has_process_ended),
            count("context-switches", "count", switches, has_ended),
            count("page-faults", "count", faults, has_process_ended),
        ]
    }
}

/// Notes a look. What was not there at the first look started since: all it counted is ours.
fn see<K: Eq + std::hash::Hash, T: Copy + Default>(seen: &mut HashMap<K, Looks<T>>, key: K, value: T, look: u64) {
    let looks = seen.entry(key).or_insert_with(|| Looks {
        first: if look == 1 { value } else { T::default() },
        last: value,
        seen_at: look,
    });
    looks.last = value;
    looks.seen_at = look;
}

/// Start time, page faults and CPU time from a `stat` file (proc_pid_stat(5)); the fields follow the name's last `)`.
fn stat(path: &str) -> Option<(u64, ProcessLook)> {
    let text = String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned();
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    // Field 3 of the page is the first here.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let process = ProcessLook { faults: field(10)? + field(12)?, cpu_ticks: field(14)? + field(15)? };
    Some((field(22)?, process))
}

fn thread_look(folder: &str) -> Option<ThreadLook> {
    let status = String::from_utf8_lossy(&std::fs::read(format!("{folder}/status")).ok()?).into_owned();
    let switches = status.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.ends_with("voluntary_ctxt_switches").then(|| value.trim().parse::<u64>().ok())?
    });
    let schedstat = std::fs::read_to_string(format!("{folder}/schedstat")).ok()?;
    Some(ThreadLook { cpu_ns: schedstat.split_whitespace().next()?.parse().ok()?, switches: switches.sum() })
}

#[cfg(test)]
#[path = "counters_tests.rs"]
mod tests;
