//! What can be sampled: processes, threads, names, everything.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::sampling::{Target, Workload, sampling_works};
use crate::support::{burnmark_in, folder};

/// Waits until the process has a thread of this name.
fn thread_named(pid: &str, name: &str) -> String {
    let started = Instant::now();
    loop {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
        let named = |task: &std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if let Some(task) = tasks.flatten().find(|task| named(task).trim() == name) {
            return task.file_name().into_string().expect("a number");
        }
        assert!(started.elapsed() < Duration::from_secs(20), "it has a thread called {name}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_thread_alone() {
    if !sampling_works() {
        return;
    }
    let (folder, workload) = (folder(), Workload::start());
    let tid = thread_named(&workload.pid(), "json");
    burnmark_in(folder.path(), &["record", "-t", &tid, "-d", "1", "--json"]).ok();
    let info = burnmark_in(folder.path(), &["info", "--json"]).ok().json();
    assert_eq!((info["threads"].as_u64(), info["processes"].as_u64()), (Some(1), Some(1)), "{info}");
    let whole = burnmark_in(folder.path(), &["top", "--json"]).ok().json();
    let alone = burnmark_in(folder.path(), &["top", "--json", "--thread", "json"]).ok().json();
    assert!(whole["samples"].as_u64() > Some(20), "{whole}");
    assert_eq!(whole["samples"], alone["samples"]);
    // Its own time, not that of the whole process.
    let clock = info["meta"]["counter.task-clock"].as_str().unwrap().split(' ').next().unwrap().parse::<f64>().unwrap();
    let sampled = info["samples"].as_f64().unwrap() / 999.0;
    assert!((sampled - clock).abs() < 0.1 + 0.15 * clock, "{sampled} s sampled, {clock} s counted: {info}");
    burnmark_in(folder.path(), &["record", "-t", "999999999"]).fails(1, &["there is no thread 999999999"]);
    burnmark_in(folder.path(), &["record", "-p", &tid]).fails(1, &["is a thread of process", "-t"]);
}

#[test]
fn processes_by_name() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let mark = format!("mark-{}", std::process::id());
    let shell = |more: &str| {
        let script = format!("while :; do :; done # {mark} {more}");
        Target::start(Command::new("sh").args(["-c", &script]))
    };
    let targets = [shell("one"), shell("two")];
    let record = |pattern: &str| burnmark_in(folder.path(), &["record", "--name", pattern, "-d", "0.7", "--json"]);
    let both = record(&mark).ok();
    assert!(both.stderr.contains(&format!("2 processes match `{mark}`")), "{}", both.stderr);
    assert!(targets.iter().all(|target| both.stderr.contains(&format!("{} (sh)", target.pid()))), "{}", both.stderr);
    let info = burnmark_in(folder.path(), &["info", "--json"]).ok().json();
    assert_eq!(info["processes"], 2, "{info}");
    let one = record(&format!("{mark} one$")).ok();
    assert!(one.stderr.contains("1 process match") && one.stderr.contains(&targets[0].pid()), "{}", one.stderr);
    record("no-process-is-called-that-way").fails(1, &["no process", "no-process-is-called-that-way", "ps -eo"]);
    burnmark_in(folder.path(), &["record", "--name", "("]).fails(2, &["--name"]);
    burnmark_in(folder.path(), &["record", "--name", "x", "-a"]).fails(2, &["cannot be used with"]);
}

#[test]
fn several_processes_and_no_others() {
    if !sampling_works() {
        return;
    }
    let (folder, targets) = (folder(), [Target::busy(), Target::busy(), Target::busy()]);
    let pids = format!("{},{}", targets[0].pid(), targets[2].pid());
    burnmark_in(folder.path(), &["record", "-p", &pids, "-d", "0.7", "--json"]).ok();
    let samples = |target: &Target| {
        let info = burnmark_in(folder.path(), &["info", "--json", "--pid", &target.pid()]);
        if info.code == 0 { info.json()["samples"].as_u64() } else { Some(0) }
    };
    assert!(samples(&targets[0]) > Some(10) && samples(&targets[2]) > Some(10));
    assert_eq!(samples(&targets[1]).unwrap_or(0), 0, "nobody else is sampled");
}

#[test]
fn everything_that_runs() {
    if !sampling_works() {
        return;
    }
    let (folder, targets) = (folder(), [Target::busy(), Target::busy()]);
    let run = burnmark_in(folder.path(), &["record", "-a", "-d", "1", "-F", "199", "--call-graph", "fp", "--json"]);
    if run.code != 0 {
        assert!(run.stderr.contains("whole CPUs"), "{}", run.stderr);
        eprintln!("SKIPPED: whole CPUs may not be sampled here");
        return;
    }
    let info = burnmark_in(folder.path(), &["info", "--json"]).ok().json();
    assert!(info["processes"].as_u64() >= Some(2), "{info}");
    for target in &targets {
        let top = burnmark_in(folder.path(), &["top", "--json", "--pid", &target.pid()]).ok().json();
        assert!(top["samples"].as_u64() > Some(10), "{top}");
    }
}

#[test]
fn children_that_are_started_later_belong_to_it() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let script = "sleep 1; for i in 1 2 3; do (i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done) & done; wait";
    // The shell itself, and the `sleep` that was there before, may or may not have been met.
    for (more, processes) in [(&[][..], 3..=5), (&["--no-children"], 0..=1)] {
        let mut target = Target::start(Command::new("sh").args(["-c", script]));
        let pid = target.pid();
        let args = [&["record", "-p", &pid, "--json"], more].concat();
        burnmark_in(folder.path(), &args).ok();
        assert!(target.0.wait().unwrap().success());
        let info = burnmark_in(folder.path(), &["info", "--json"]).ok().json();
        // None are known where nothing was sampled.
        let sampled = info["processes"].as_u64().unwrap_or(0);
        assert!(processes.contains(&sampled), "{more:?}: {info}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
