//! Sampling real processes. Each test says loudly that it is skipped where perf events may not be opened.
//!
//! Targets are this test program itself, run again as [`worker`] with its part in the environment.

use burnmark_perf::live::{
    Binding, Ended, Error, Event, Launched, Note, Options, Session, StackLengths, Stats, Target, Targets, Until,
};
use burnmark_perf::record::{Record, SampleLayout};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PART: &str = "BURNMARK_WORKER";

/// Nanoseconds of CPU time of all [`spin`]s that are over.
static SPUN_NS: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds of CPU time of this thread.
fn thread_cpu_ns() -> u64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("own schedstat");
    schedstat.split(' ').next().and_then(|field| field.parse().ok()).expect("a number")
}

/// Uses that much CPU time, however busy the machine is.
fn spin(cpu_time: Duration) {
    let start = thread_cpu_ns();
    let mut value = 1_u64;
    loop {
        for _ in 0..200_000 {
            value = std::hint::black_box(value.wrapping_mul(6_364_136_223_846_793_005));
        }
        let used = thread_cpu_ns() - start;
        if used > cpu_time.as_nanos() as u64 {
            SPUN_NS.fetch_add(used, Ordering::Relaxed);
            return;
        }
    }
}

/// Not a test: what the targets do. Prints `ready` when it is worth attaching, and the CPU time spun at its end.
#[test]
#[ignore = "run by the other tests only"]
fn worker() {
    let Ok(part) = std::env::var(PART) else { return };
    let words: Vec<&str> = part.split(' ').collect();
    let number = |at: usize| words[at].parse::<u64>().expect("a number");
    let mut threads = Vec::new();
    match words[0] {
        // spin THREADS MILLIS, then as many again
        "spin" => {
            let millis = Duration::from_millis(number(2));
            for round in 0..2 {
                threads.extend((0..number(1)).map(|_| std::thread::spawn(move || spin(millis))));
                if round == 0 {
                    println!("ready");
                    std::thread::sleep(millis);
                }
            }
        }
        // churn MILLIS: four threads, each of which is replaced every few milliseconds
        "churn" => {
            println!("ready");
            let end = Instant::now() + Duration::from_millis(number(1));
            threads.extend((0..4).map(|_| {
                std::thread::spawn(move || {
                    while Instant::now() < end {
                        let _ = std::thread::spawn(|| spin(Duration::from_millis(10))).join();
                    }
                })
            }));
        }
        // idle THREADS MILLIS: many sleeping threads, one spins at the end
        "idle" => {
            let millis = Duration::from_millis(number(2));
            threads.extend((0..number(1)).map(|_| {
                let sleep = move || std::thread::sleep(millis);
                std::thread::Builder::new().stack_size(64 << 10).spawn(sleep).expect("a thread")
            }));
            println!("ready");
            threads.push(std::thread::spawn(move || spin(millis)));
        }
        // exec MILLIS: another program takes the process over
        "exec" => {
            println!("ready");
            spin(Duration::from_millis(number(1)));
            let error =
                std::os::unix::process::CommandExt::exec(Command::new("sh").args(["-c", "while :; do :; done"]));
            panic!("{error}");
        }
        // partial PID: attaches with the few files it may open
        "partial" => {
            let mut options = Options::new(Target::Pids(vec![number(1) as u32]));
            options.binding = Binding::Task;
            match Session::open(&options) {
                Ok(session) => session.setup().notes.iter().for_each(|note| println!("{note:?}")),
                Err(error) => println!("error: {error}"),
            }
        }
        other => panic!("no part {other}"),
    }
    threads.into_iter().for_each(|thread| thread.join().expect("threads end well"));
    println!("cpu {}", SPUN_NS.load(Ordering::Relaxed));
    // Nothing of the test harness after this: its time would count.
    std::io::stdout().flush().expect("stdout is a pipe");
    std::process::exit(0);
}

fn worker_command(part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    command.args(["--exact", "worker", "--ignored", "--nocapture"]).env(PART, part).stdout(Stdio::piped());
    command
}

struct Worker {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Worker {
    /// Starts a worker and waits until it is ready.
    fn start(part: &str) -> Worker {
        let mut worker = Worker::of(worker_command(part).spawn().expect("starts"));
        worker.line("ready");
        worker
    }

    fn of(mut child: Child) -> Worker {
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Worker { child, lines }
    }

    /// Waits for a line with this beginning; the harness prints lines of its own.
    fn line(&mut self, start: &str) -> String {
        self.lines
            .by_ref()
            .map(|line| line.expect("text"))
            .find_map(|line| line.find(start).map(|at| line[at + start.len()..].trim().to_owned()))
            .expect("the worker says so")
    }

    fn end(mut self) -> u64 {
        let cpu_ns = self.line("cpu ").parse().expect("a number");
        assert!(self.child.wait().expect("is ours").success(), "the target was not harmed");
        cpu_ns
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A test that fails leaves nothing behind; for a worker that has ended this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a recording saw.
#[derive(Default)]
struct Seen {
    sampled_ns: u64,
    samples: BTreeMap<(i32, i32), u64>,
    execs: usize,
    times: Vec<u64>,
    kinds: BTreeMap<String, usize>,
    stack_samples: usize,
    mapped: BTreeSet<Vec<u8>>,
    names: BTreeSet<Vec<u8>>,
}

impl Seen {
    fn add(&mut self, bytes: &[u8], layout: &SampleLayout) {
        let record = Record::decode(bytes, layout).expect("the kernel's records are whole");
        self.times.push(record.time().expect("every record has a time"));
        let kind = format!("{record:?}").split('(').next().unwrap_or_default().to_owned();
        *self.kinds.entry(kind).or_default() += 1;
        match record {
            Record::Sample(sample) => {
                self.sampled_ns += sample.period.expect("PERIOD is asked for");
                let key = (sample.pid.expect("TID is asked for"), sample.tid.expect("TID is asked for"));
                *self.samples.entry(key).or_default() += 1;
                self.stack_samples += usize::from(sample.stack_user.is_some_and(|stack| !stack.is_empty()));
            }
            Record::Comm(comm) => {
                self.execs += usize::from(comm.is_exec);
                self.names.insert(comm.comm.to_vec());
            }
            Record::Mmap2(map) => {
                self.mapped.insert(map.path.to_vec());
            }
            _ => {}
        }
    }

    fn check_order(&self) {
        let inverted = self.times.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert_eq!(inverted, 0, "of {} records", self.times.len());
    }
}

/// The session, or `None` after saying loudly that nothing was tested.
fn open(options: &Options) -> Option<Session> {
    match Session::open(options) {
        Ok(session) => Some(session),
        Err(error @ (Error::NotPermitted { .. } | Error::CpuNotPermitted { .. } | Error::NotSupported(_))) => {
            eprintln!("SKIPPED, NOTHING WAS TESTED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn record(mut session: Session, until: Until<'_>) -> (Seen, Ended, Stats) {
    let layout = session.layout();
    let mut seen = Seen::default();
    let mut sink = |bytes: &[u8]| {
        seen.add(bytes, &layout);
        Ok::<(), Error>(())
    };
    let ended = session.run(until, &mut sink, &mut |_| {}).expect("recording works");
    let stats = session.finish(&mut sink).expect("recording works");
    (seen, ended, stats)
}

/// The share of the target's CPU time that samples stand for.
fn assert_share(seen: &Seen, cpu_ns: u64, stats: &Stats, at_least: f64) {
    let share = seen.sampled_ns as f64 / cpu_ns as f64;
    assert!((at_least..1.15).contains(&share), "{share:.3} of {cpu_ns} ns sampled, {stats:?}, {:?}", seen.kinds);
}

fn options(target: Target, binding: Binding) -> Options {
    Options { binding, frequency: Some(999), ..Options::new(target) }
}

#[test]
fn a_command_is_sampled_from_its_exec_to_its_end() {
    for binding in [Binding::Cpu, Binding::Task] {
        let launched = Launched::spawn(worker_command("spin 2 300")).expect("forks");
        let pid = launched.pid() as i32;
        let Some(mut session) = open(&options(Target::Command(launched.pid()), binding)) else { return };
        std::thread::sleep(Duration::from_millis(50));
        let child = launched.start(&mut session).expect("runs");
        let (seen, ended, stats) = record(session, Until::default());
        assert_eq!(ended, Ended::TargetsGone);
        let cpu_ns = Worker::of(child).end();
        assert_share(&seen, cpu_ns, &stats, 0.8);
        seen.check_order();
        assert_eq!(seen.execs, 1, "{binding:?}");
        assert!(seen.samples.keys().all(|&(sampled, _)| sampled == pid), "{binding:?}: {:?}", seen.samples);
        assert!(seen.samples.len() >= 4, "four threads spin: {:?}", seen.samples);
        assert!(seen.kinds["Fork"] >= 4 && seen.kinds["Exit"] >= 4 && seen.kinds["Mmap2"] > 3, "{:?}", seen.kinds);
    }
}

#[test]
fn threads_before_and_after_the_attach_are_sampled() {
    for binding in [Binding::Cpu, Binding::Task] {
        let worker = Worker::start("spin 3 400");
        let Some(session) = open(&options(Target::Pids(vec![worker.child.id()]), binding)) else { return };
        let (seen, ended, stats) = record(session, Until::default());
        assert_eq!(ended, Ended::TargetsGone, "{binding:?}");
        assert_share(&seen, worker.end(), &stats, 0.8);
        seen.check_order();
        // Six that spin; the main thread and that of the test may be met at work as well.
        assert!((6..=8).contains(&seen.samples.len()), "{binding:?}: {:?}", seen.samples);
        assert!(seen.kinds["Comm"] >= 4, "names of the threads that were there: {:?}", seen.kinds);
    }
}

/// The threads that are born while we attach are neither missed nor sampled twice.
#[test]
fn threads_that_come_and_go_count_once() {
    for binding in [Binding::Cpu, Binding::Task] {
        let worker = Worker::start("churn 1200");
        let Some(session) = open(&options(Target::Pids(vec![worker.child.id()]), binding)) else { return };
        let (seen, _, stats) = record(session, Until::default());
        // A timer bound to a task starts with a whole period in each thread: half a period of each is not sampled.
        assert_share(&seen, worker.end(), &stats, if binding == Binding::Task { 0.65 } else { 0.8 });
        assert!(seen.samples.len() > 8, "{binding:?}: {} threads", seen.samples.len());
    }
}

#[test]
fn children_are_followed_and_strangers_are_not() {
    for (binding, follows_children) in
        [(Binding::Cpu, true), (Binding::Task, true), (Binding::Cpu, false), (Binding::Task, false)]
    {
        let mut stranger = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("sh is there");
        // A child that is there already, and many later ones; each is a process of its own.
        let script = "(while :; do :; done) & echo ready; i=0; \
                      while [ $i -lt 40 ]; do (j=0; while [ $j -lt 3000 ]; do j=$((j+1)); done); i=$((i+1)); done; kill $!";
        let child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().expect("sh is there");
        let root = child.id() as i32;
        let mut worker = Worker::of(child);
        worker.line("ready");
        let mut options = options(Target::Pids(vec![root as u32]), binding);
        options.follows_children = follows_children;
        let session = open(&options);
        let result =
            session.map(|session| record(session, Until { duration: Some(Duration::from_secs(20)), stop: None }));
        worker.child.wait().expect("is ours");
        stranger.kill().expect("is ours");
        let stranger_pid = stranger.id() as i32;
        stranger.wait().expect("is ours");
        let Some((seen, ended, _)) = result else { return };
        assert_eq!(ended, Ended::TargetsGone, "{binding:?}");
        let pids: std::collections::BTreeSet<i32> = seen.samples.keys().map(|&(pid, _)| pid).collect();
        assert!(!pids.contains(&stranger_pid), "{binding:?}");
        if follows_children {
            assert!(pids.len() > 20, "{binding:?}: {pids:?}");
        } else {
            assert!(pids.iter().all(|&pid| pid == root), "{binding:?}: {pids:?}");
        }
    }
}

#[test]
fn two_thousand_threads() {
    for binding in [Binding::Cpu, Binding::Task] {
        let worker = Worker::start("idle 2000 60000");
        let start = Instant::now();
        let pid = worker.child.id();
        let Some(session) = open(&options(Target::Pids(vec![pid]), binding)) else { return };
        let attach_time = start.elapsed();
        let setup = session.setup().clone();
        let partial = setup.notes.iter().any(|note| matches!(note, Note::PartialAttach { .. }));
        if binding == Binding::Task && !partial {
            assert!(setup.attached_threads >= 2000, "{}", setup.attached_threads);
        }
        eprintln!("{binding:?}: {} threads attached in {attach_time:?}, {:?}", setup.attached_threads, setup.notes);
        let (seen, _, _) = record(session, Until { duration: Some(Duration::from_millis(500)), stop: None });
        assert!(seen.sampled_ns > 20_000_000, "the thread that spins is sampled: {}", seen.sampled_ns);
        assert!(seen.kinds["Comm"] >= 2000, "{:?}", seen.kinds);
        if binding == Binding::Task {
            // With few files, some threads are left out, and it is said.
            let exe = std::env::current_exe().expect("own path");
            let script = "ulimit -n 500; exec \"$0\" --exact worker --ignored --nocapture";
            let mut command = Command::new("sh");
            command.args(["-c", script]).arg(exe).env(PART, format!("partial {pid}"));
            let output = command.output().expect("sh is there");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("PartialAttach { attached: ") && !text.contains("left_out: 0"), "{text}");
        }
    }
}

#[test]
fn stacks_and_registers_are_copied() {
    for binding in [Binding::Cpu, Binding::Task] {
        let worker = Worker::start("spin 1 200");
        let mut options = options(Target::Pids(vec![worker.child.id()]), binding);
        options.user_stack_bytes = Some(8192);
        let Some(session) = open(&options) else { return };
        assert_eq!(session.setup().user_stack_bytes, Some(8192));
        let (seen, _, stats) = record(session, Until::default());
        assert_share(&seen, worker.end(), &stats, 0.8);
        assert!(seen.stack_samples as u64 * 10 > stats.samples * 9, "{} of {}", seen.stack_samples, stats.samples);
    }
}

#[test]
fn copies_grow_while_stacks_are_cut_and_no_sample_is_lost_over_it() {
    let worker = Worker::start("spin 2 400");
    let mut options = options(Target::Pids(vec![worker.child.id()]), Binding::Cpu);
    options.user_stack_bytes = Some(8192);
    options.adapts_user_stack = true;
    let Some(mut session) = open(&options) else { return };
    let (layout, mut seen, mut lengths) = (session.layout(), Seen::default(), Vec::new());
    let mut sink = |bytes: &[u8]| {
        seen.add(bytes, &layout);
        Ok::<(), Error>(())
    };
    while session.wait(Duration::from_millis(50)).expect("waits") == Targets::Alive {
        session.drain(&mut sink).expect("drains");
        let samples = session.stats().samples;
        session
            .adapt_stack_copy(&StackLengths { unwound: samples, cut: samples, ..StackLengths::default() })
            .expect("adapts");
        lengths.push(session.setup().user_stack_bytes.expect("stacks are copied"));
    }
    let stats = session.finish(&mut sink).expect("finishes");
    lengths.dedup();
    assert!(lengths.starts_with(&[16 << 10, 32 << 10]), "{lengths:?}; read too late, they may get shorter after that");
    assert_eq!(stats.lost, 0, "{stats:?}");
    seen.check_order();
    assert_share(&seen, worker.end(), &stats, 0.9);
}

#[test]
fn a_thread_alone_is_sampled() {
    for binding in [Binding::Cpu, Binding::Task] {
        let worker = Worker::start("spin 3 500");
        let pid = worker.child.id();
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
        let tids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let tid = tids.max().expect("it has threads");
        let Some(session) = open(&options(Target::Threads(vec![tid]), binding)) else { return };
        let (seen, ended, stats) = record(session, Until::default());
        assert_eq!(ended, Ended::TargetsGone, "it ends with the thread");
        assert_eq!(seen.samples.keys().collect::<Vec<_>>(), [&(pid as i32, tid as i32)]);
        assert!((300_000_000..600_000_000).contains(&seen.sampled_ns), "{} {stats:?}", seen.sampled_ns);
        assert!(seen.mapped.iter().any(|path| path.ends_with(b"libc.so.6")), "{:?}", seen.mapped);
        worker.end();
    }
}

/// The ring is full while the target becomes another program: that record is lost, the program is known nevertheless.
#[test]
fn an_exec_whose_record_was_lost_is_found_out() {
    let worker = Worker::start("exec 300");
    let pid = worker.child.id();
    let mut options = options(Target::Pids(vec![pid]), Binding::Task);
    options.frequency = Some(10_000);
    options.event = Some(Event::CpuClock);
    options.ring_bytes = Some(16 << 10);
    let Some(mut session) = open(&options) else { return };
    let program = |link: &str| std::fs::read_link(format!("/proc/{link}/exe")).ok();
    let before = program(&pid.to_string());
    let start = Instant::now();
    while program(&pid.to_string()) == before && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(100));
    let shell = program(&pid.to_string()).expect("it runs");
    let (layout, mut seen) = (session.layout(), Seen::default());
    let mut sink = |bytes: &[u8]| {
        seen.add(bytes, &layout);
        Ok::<(), Error>(())
    };
    let until = Until { duration: Some(Duration::from_millis(600)), stop: None };
    session.run(until, &mut sink, &mut |_| {}).expect("runs");
    let stats = session.finish(&mut sink).expect("finishes");
    drop(worker);
    assert!(stats.lost > 100 && stats.resyncs > 0, "{stats:?}");
    seen.check_order();
    let shell = std::os::unix::ffi::OsStrExt::as_bytes(shell.as_os_str());
    assert!(seen.mapped.contains(shell), "{:?}", seen.mapped);
    assert!(seen.names.contains(&b"sh"[..]) && seen.execs > 0, "{:?}", seen.names);
}

#[test]
fn what_is_lost_is_counted_by_second() {
    let worker = Worker::start("spin 2 800");
    let mut options = options(Target::Pids(vec![worker.child.id()]), Binding::Auto);
    options.frequency = Some(20_000);
    options.user_stack_bytes = Some(32 << 10);
    options.ring_bytes = Some(64 << 10);
    let Some(mut session) = open(&options) else { return };
    let mut ignore = |_: &[u8]| Ok::<(), Error>(());
    while session.wait(Duration::from_millis(100)).expect("waits") == Targets::Alive {
        std::thread::sleep(Duration::from_millis(50));
        session.drain(&mut ignore).expect("drains");
    }
    let stats = session.finish(&mut ignore).expect("finishes");
    worker.end();
    assert!(stats.lost > 1000, "{stats:?}");
    assert_eq!(stats.losses.iter().map(|loss| loss.lost).sum::<u64>(), stats.lost);
    assert!(stats.losses.windows(2).all(|pair| pair[0].second < pair[1].second), "{stats:?}");
    assert_eq!(stats.damaged_bytes, 0);
}

#[test]
fn wrong_targets_are_named() {
    let refused = |pid: u32| Session::open(&Options::new(Target::Pids(vec![pid]))).err().expect("is refused");
    assert!(matches!(refused(0x3fff_fff0), Error::NoSuchProcess { .. }));
    assert!(matches!(Session::open(&Options::new(Target::Pids(vec![]))), Err(Error::NoTarget)));
    let (send, receive) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let link = std::fs::read_link("/proc/thread-self").expect("own link");
        let tid = link.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a number");
        send.send(refused(tid)).expect("is awaited");
    });
    let error = receive.recv().expect("is sent");
    thread.join().expect("ends well");
    assert!(matches!(error, Error::IsThread { pid, .. } if pid == std::process::id()), "{error}");
    let mut child = Command::new("true").spawn().expect("true is there");
    std::thread::sleep(Duration::from_millis(200));
    assert!(matches!(refused(child.id()), Error::Zombie { .. }));
    child.wait().expect("is ours");
}

#[test]
fn commands_that_cannot_run_say_why() {
    let run = |program: &str| {
        let launched = Launched::spawn(Command::new(program)).expect("forks");
        let mut session = open(&Options::new(Target::Command(launched.pid())))?;
        Some(launched.start(&mut session).expect_err("cannot run"))
    };
    let Some(error) = run("/nonexistent/program") else { return };
    assert_eq!(error.exec_exit_code(), Some(127), "{error}");
    assert!(error.to_string().contains("/nonexistent/program: command not found"), "{error}");
    let error = run("/etc/passwd").expect("perf works");
    assert_eq!(error.exec_exit_code(), Some(126), "{error}");
    let mut command = Command::new("true");
    command.current_dir("/nonexistent");
    assert!(matches!(Launched::spawn(command), Err(Error::Exec { .. })));
}

#[test]
fn a_command_that_is_not_started_never_runs() {
    let folder = std::env::temp_dir().join(format!("burnmark-not-started-{}", std::process::id()));
    let mut command = Command::new("mkdir");
    command.arg(&folder);
    let launched = Launched::spawn(command).expect("forks");
    drop(launched);
    std::thread::sleep(Duration::from_millis(100));
    assert!(!folder.exists());
}

#[test]
fn a_command_inherits_nothing_of_ours() {
    let mut command = Command::new("sh");
    command.args(["-c", "ls /proc/self/fd; grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status"]).stdout(Stdio::piped());
    let mut plain = Command::new("sh");
    plain.args(["-c", "ls /proc/self/fd; grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status"]);
    let plain = String::from_utf8(plain.output().expect("sh is there").stdout).expect("text");
    let launched = Launched::spawn(command).expect("forks");
    let Some(mut session) = open(&Options::new(Target::Command(launched.pid()))) else { return };
    let child = launched.start(&mut session).expect("runs");
    let output = String::from_utf8(child.wait_with_output().expect("is ours").stdout).expect("text");
    // The C library keeps signals from 32 on for itself, and not the same with both of its ways to spawn.
    let public = |text: &str| -> Vec<String> {
        let mask = |hex: &str| u64::from_str_radix(hex, 16).map_or(0, |mask| mask & 0x7fff_ffff);
        text.lines()
            .map(|line| match line.split_once('\t') {
                Some((name, hex)) => format!("{name} {:x}", mask(hex)),
                None => line.to_owned(),
            })
            .collect()
    };
    assert_eq!(public(&output), public(&plain));
}

#[test]
fn a_target_goes_on_when_the_session_is_dropped() {
    for binding in [Binding::Cpu, Binding::Task] {
        let worker = Worker::start("spin 1 150");
        let Some(mut session) = open(&options(Target::Pids(vec![worker.child.id()]), binding)) else { return };
        session.drain(&mut |_| Ok::<(), Error>(())).expect("drains");
        drop(session);
        assert!(worker.end() > 0);
    }
}

/// The rings' own events belong to the thread that opened them; records come on after it has ended.
#[test]
fn a_session_moves_between_threads() {
    for binding in [Binding::Cpu, Binding::Task] {
        let worker = Worker::start("spin 1 300");
        let options = options(Target::Pids(vec![worker.child.id()]), binding);
        let opened = std::thread::spawn(move || open(&options)).join().expect("opens");
        let Some(mut session) = opened else { return };
        let layout = session.layout();
        let (mut seen, mut rounds) = (Seen::default(), 0);
        let start = Instant::now();
        while session.wait(Duration::from_millis(100)).expect("waits") == burnmark_perf::live::Targets::Alive {
            rounds += 1;
            let mut sink = |bytes: &[u8]| {
                seen.add(bytes, &layout);
                Ok::<(), Error>(())
            };
            session.drain(&mut sink).expect("drains");
        }
        let elapsed = start.elapsed();
        let stats = session.finish(&mut |bytes| {
            seen.add(bytes, &layout);
            Ok::<(), Error>(())
        });
        assert_share(&seen, worker.end(), &stats.expect("finishes"), 0.8);
        assert!(rounds < 20 + elapsed.as_millis() / 50, "{rounds} rounds in {elapsed:?}: it waits, it does not spin");
    }
}

#[test]
fn it_stops_when_told_to() {
    let worker = Worker::start("idle 1 60000");
    let Some(mut session) = open(&Options::new(Target::Pids(vec![worker.child.id()]))) else { return };
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut ignore = |_: &[u8]| Ok::<(), Error>(());
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            stop.store(true, Ordering::Relaxed);
        });
        session.run(Until { duration: None, stop: Some(&stop) }, &mut ignore, &mut |_| {})
    });
    assert_eq!(ended.expect("runs"), Ended::Stopped);
    let ended = session.run(Until { duration: Some(Duration::ZERO), stop: None }, &mut ignore, &mut |_| {});
    assert_eq!(ended.expect("runs"), Ended::Duration);
}

/// What the sink cannot take ends the recording with the sink's own error.
#[test]
fn an_error_of_the_sink_comes_back() {
    let worker = Worker::start("idle 1 60000");
    let Some(mut session) = open(&Options::new(Target::Pids(vec![worker.child.id()]))) else { return };
    let mut full = |_: &[u8]| Err(std::io::Error::from_raw_os_error(28));
    let error = session.drain(&mut full).expect_err("the sink refuses");
    assert_eq!(error.raw_os_error(), Some(28));
}
