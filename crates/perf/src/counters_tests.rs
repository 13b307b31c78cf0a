use super::*;
use crate::live::{Launched, Options, Session, Target, Until};
use std::process::{Command, Stdio};
use std::time::Duration;

fn value(counts: &[Count], name: &str) -> CounterValue {
    counts.iter().find(|count| count.name == name).expect("a line of each counter").value.clone()
}

#[test]
fn what_the_hardware_counted_part_of_the_time_is_scaled() {
    assert_eq!(scale(100, 1000, 1000), (CounterValue::Value(100), 1.0));
    assert_eq!(scale(100, 1000, 250), (CounterValue::Value(400), 0.25));
    assert_eq!(scale(0, 1000, 0), (CounterValue::NotCounted, 0.0));
    assert_eq!(scale(0, 0, 0), (CounterValue::Value(0), 1.0));
    assert_eq!(scale(u64::MAX, 4, 1), (CounterValue::Value(u64::MAX), 0.25));
}

/// The kernel's own account of a child that was waited for is the oracle.
#[test]
fn a_command_is_counted_from_exec_with_its_children() {
    let mut command = Command::new("sh");
    // The work is done by a child of the shell.
    command.args(["-c", "sh -c 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done'; true"]).stdout(Stdio::null());
    let launched = Launched::spawn(command).expect("sh is there");
    let mut counters = Counters::open(launched.pid());
    let session = Session::open(&Options::new(Target::Command(launched.pid())));
    let Ok(mut session) = session else {
        eprintln!("SKIPPED: perf_event_open is not permitted here: {:?}", session.err());
        return;
    };
    let pid = launched.pid();
    let mut child = launched.start(&mut session).expect("sh runs");
    let (cpu_ns, faults) = loop {
        std::thread::sleep(Duration::from_millis(5));
        // While it is a zombie, its account and that of the child it waited for are complete and still there.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("not reaped yet");
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
        if fields[0] == "Z" {
            let field = |number: usize| fields[number - 3].parse::<u64>().expect("a number");
            let ticks = field(14) + field(15) + field(16) + field(17);
            break (ticks * 10_000_000, field(10) + field(11) + field(12) + field(13));
        }
    };
    let counts = counters.read();
    child.wait().expect("is ours");
    let CounterValue::Value(task_clock) = value(&counts, "task-clock") else { panic!("{counts:?}") };
    // utime and stime come in ticks of 10 ms, rounded down one by one.
    assert!(cpu_ns > 20_000_000, "too short to compare: {cpu_ns}");
    assert!(task_clock.abs_diff(cpu_ns) < 60_000_000 + cpu_ns / 5, "{task_clock} against {cpu_ns}");
    let CounterValue::Value(counted) = value(&counts, "page-faults") else { panic!("{counts:?}") };
    // The kernel's account includes what the fork before exec cost.
    assert!(counted > 50 && counted <= faults, "{counted} against {faults}");
    for count in &counts {
        assert_ne!(count.value, CounterValue::Value(0), "{count:?}");
    }
    let until = Until { duration: Some(Duration::ZERO), stop: None };
    let ignore = &mut |_: &[u8]| Ok::<(), crate::live::Error>(());
    session.run(until, ignore, &mut |_| {}).expect("still works");
}

#[test]
fn running_processes_are_counted_by_differences() {
    let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("sh is there");
    let mut counters = ProcCounters::start(&[child.id()], true);
    std::thread::sleep(Duration::from_millis(400));
    counters.update();
    let counts = counters.read();
    child.kill().expect("is ours");
    child.wait().expect("is ours");
    let CounterValue::Value(task_clock) = value(&counts, "task-clock") else { panic!("{counts:?}") };
    // The machine may be busy, but one thread cannot use more than the time that passed.
    assert!((20_000_000..600_000_000).contains(&task_clock), "{counts:?}");
    assert!(counts.iter().all(|count| !count.is_lower_bound), "{counts:?}");
    // What has ended counts as far as it was seen, and says so.
    counters.update();
    let after = counters.read();
    let CounterValue::Value(last) = value(&after, "task-clock") else { panic!("{after:?}") };
    // From here on the process's account in ticks of 10 ms may be the larger one.
    assert!(last >= task_clock && last - task_clock <= 20_000_000, "{last} after {task_clock}");
    assert_eq!(after[0].remark().as_deref(), Some("at least: threads ended meanwhile"));
}

#[test]
fn threads_that_start_after_the_first_look_count() {
    let mut counters = ProcCounters::start(&[std::process::id()], false);
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (done, finished) = std::sync::mpsc::channel();
    let worker = std::thread::spawn(move || {
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(150) {
            std::hint::black_box(start);
        }
        done.send(()).expect("is awaited");
        let _ = wait.recv();
    });
    finished.recv().expect("the worker works");
    counters.update();
    let CounterValue::Value(with_worker) = value(&counters.read(), "task-clock") else { panic!("no value") };
    assert!(with_worker > 20_000_000, "a thread that started after the first look counts: {with_worker}");
    drop(go);
    worker.join().expect("the worker ends");
}

#[test]
fn no_process_is_no_zero() {
    let counts = ProcCounters::start(&[0x7fff_fff0], true).read();
    assert!(counts.iter().all(|count| matches!(count.value, CounterValue::NotPermitted(_))), "{counts:?}");
    let counts = Counters::open(0x7fff_fff0).read();
    assert!(counts.iter().all(|count| !matches!(count.value, CounterValue::Value(_))), "{counts:?}");
}
