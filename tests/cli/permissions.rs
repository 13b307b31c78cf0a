//! What burnmark may do: with less, it does less and says so.

use std::process::Command;
use std::time::Duration;

use crate::sampling::{
    Target, as_user, can_change_user, open_folder, sampling_works, unprivileged, unprivileged_command,
};
use crate::support::{Run, burnmark_in, folder, program};

const LOOP: &str = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";

/// `kernel.perf_event_paranoid` where it lets users sample their own processes and no more, as the tests here need it.
fn is_usual() -> bool {
    let level = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    let usual = level.trim() == "2";
    if !usual {
        eprintln!("SKIPPED: kernel.perf_event_paranoid is {}, not 2", level.trim());
    }
    usual && sampling_works() && can_change_user()
}

#[test]
fn a_user_samples_own_processes_without_the_kernel() {
    if !is_usual() {
        return;
    }
    let folder = open_folder();
    let run = unprivileged(61_001, folder.path(), &[], &["record", "-F", "999", "--", "sh", "-c", LOOP]).ok();
    for part in ["time in the kernel is not sampled", "kernel.perf_event_paranoid is 2", "events are bound to tasks"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    // A timer that fires just as the kernel is entered may still show its first instruction.
    let top = burnmark_in(folder.path(), &["top", "--json", "--limit", "0"]).ok().json();
    let rows = top["rows"].as_array().unwrap().iter().filter(|row| row["module"] == "[kernel.kallsyms]");
    let kernel: f64 = rows.filter_map(|row| row["self_share"].as_f64()).sum();
    assert!(kernel < 0.02, "{}", run.stdout);
    let info = burnmark_in(folder.path(), &["info", "--json"]).ok().json();
    assert!(info["samples"].as_u64() > Some(50) && info["lost"] == 0, "{info}");
    // One that runs already.
    let target = Target::start(as_user(61_001).args(["sh", "-c", "while :; do :; done"]));
    let args = ["record", "-p", &target.pid(), "-d", "1", "--json"];
    let run = unprivileged(61_001, folder.path(), &[], &args).ok();
    assert!(run.json()["samples"].as_u64() > Some(20), "{}", run.stdout);
}

#[test]
fn a_user_may_not_sample_the_machine() {
    if !is_usual() {
        return;
    }
    let folder = open_folder();
    let run = unprivileged(61_002, folder.path(), &[], &["record", "-a", "-d", "1"]);
    run.fails(1, &["whole CPUs", "CAP_PERFMON", "kernel.perf_event_paranoid=0"]);
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing is left behind");
}

/// A container's filter refuses the call to root as well.
#[test]
fn a_seccomp_filter_is_named_with_the_remedy() {
    let built = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/programs/build"))
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/target/fixtures"), "denied"])
        .status();
    assert!(built.is_ok_and(|status| status.success()), "gcc builds fixtures/programs/denied.c");
    let denied = concat!(env!("CARGO_MANIFEST_DIR"), "/target/fixtures/denied");
    for args in [&["-p", &std::process::id().to_string(), "-d", "1"][..], &["-a"], &["--", "touch", "ran"]] {
        let folder = folder();
        let command = Command::new(denied).args([program(), "record"]).args(args).current_dir(folder.path()).output();
        let output = command.expect("it was built");
        let run = Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        run.fails(1, &["perf_event_open", "seccomp", "--cap-add PERFMON"]);
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "neither ran nor left anything");
    }
}

#[test]
fn memory_that_may_not_be_locked_makes_rings_smaller_or_an_error() {
    if !is_usual() {
        return;
    }
    let folder = open_folder();
    let record = |limit: &str, output: &str, script: &str| {
        let args = ["record", "-o", output, "--", "sh", "-c", script];
        unprivileged_command(61_003, folder.path(), &["prlimit", limit], &args)
    };
    // What the kernel lets every user lock is enough by itself.
    let busy = Target::start(as_user(61_003).args(["sh", "-c", "while :; do :; done"]));
    let args = ["record", "-o", "first.pb.gz", "-p", &busy.pid()];
    let mut first = Target::start(&mut unprivileged_command(61_003, folder.path(), &["prlimit", "--memlock=0"], &args));
    let started = std::time::Instant::now();
    while !folder.path().join("first.pb.gz.spool").exists() {
        assert!(started.elapsed() < Duration::from_secs(20) && first.0.try_wait().unwrap().is_none(), "it starts");
        std::thread::sleep(Duration::from_millis(20));
    }
    // And now it is used up.
    let none = record("--memlock=0", "second.pb.gz", "true").output().unwrap();
    let text = String::from_utf8_lossy(&none.stderr);
    assert!(none.status.code() == Some(1) && text.contains("lock") && text.contains("ulimit -l"), "{text}");
    let cpus = std::thread::available_parallelism().unwrap().get() as u64;
    let little = format!("--memlock={}", cpus * (32 + 4) * 1024 + 4096);
    let some = record(&little, "third.pb.gz", LOOP).output().unwrap();
    let text = String::from_utf8_lossy(&some.stdout);
    assert!(some.status.success() && text.contains("only 32 KiB of memory per CPU may be locked"), "{text}");
}

#[test]
fn few_open_files_leave_threads_out_only_where_each_needs_some() {
    if !is_usual() {
        return;
    }
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 60 & done; while :; do :; done";
    let target = Target::start(Command::new("setsid").args(["sh", "-c", script]));
    std::thread::sleep(Duration::from_millis(500));
    let folder = folder();
    let few = |files: &str, more: &[&str]| {
        let mut command = Command::new("prlimit");
        command.args([files, program(), "record", "-p", &target.pid(), "-d", "0.5"]).args(more);
        command.current_dir(folder.path()).output().expect("prlimit is there")
    };
    let stdout = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let by_task = few("--nofile=90", &["--bind", "task"]);
    assert!(by_task.status.success() && stdout(&by_task).contains("partial: "), "{}", stdout(&by_task));
    let none = few("--nofile=30", &["--bind", "task"]);
    let text = String::from_utf8_lossy(&none.stderr);
    assert!(none.status.code() == Some(1) && text.contains("too many open files"), "{text}");
    let by_cpu = few("--nofile=90", &[]);
    assert!(by_cpu.status.success() && !stdout(&by_cpu).contains("partial"), "{}", stdout(&by_cpu));
    // The children go with their session.
    let group = format!("-{}", target.pid());
    assert!(Command::new("kill").args(["-s", "KILL", "--", &group]).status().is_ok_and(|status| status.success()));
}
