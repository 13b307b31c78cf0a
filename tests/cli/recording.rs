//! Sampling real processes. Where perf events are not permitted these say so and do nothing: see `sampling_works`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::sampling::{Workload, sampling_works, signal, start_recorder, unprivileged};
use crate::support::{burnmark_in, files, folder, program};

#[test]
fn attaching_to_a_process_samples_all_its_threads_by_name() {
    if !sampling_works() {
        return;
    }
    let (folder, workload) = (folder(), Workload::start());
    let run = burnmark_in(folder.path(), &["record", "-p", &workload.pid(), "-d", "2", "--json", "--limit", "0"]).ok();
    assert_eq!(run.json()["schema"], "burnmark.top/1");
    let info = burnmark_in(folder.path(), &["info", "--json"]).ok().json();
    assert_eq!(info["format"], "pprof");
    // As many samples as the threads had time on a CPU, by the kernel's own account.
    let clock =
        info["meta"]["counter.task-clock"].as_str().and_then(|clock| clock.split(' ').next()?.parse::<f64>().ok());
    let (clock, sampled) = (clock.expect("it is counted"), info["samples"].as_f64().unwrap() / 999.0);
    assert!((sampled - clock).abs() < 0.2 + 0.15 * clock, "{sampled} s sampled, {clock} s counted: {info}");
    assert!(info["threads"].as_u64() >= Some(4), "{info}");
    assert_eq!(info["processes"], 1);
    assert_eq!(info["lost"], 0);
    let seconds = info["duration_ns"].as_f64().unwrap() / 1e9;
    assert!((1.5..4.0).contains(&seconds), "{seconds} s");
    for thread in ["compress", "json", "search", "index"] {
        let top = burnmark_in(folder.path(), &["top", "--json", "--thread", thread, "--limit", "0"]).ok().json();
        assert!(top["samples"].as_u64() > Some(5), "{thread}: {top}");
    }
    let top = burnmark_in(folder.path(), &["top", "--json", "--thread", "index", "--by", "total", "--limit", "0"]);
    let rows = top.json();
    let row = |name: &str| {
        let rows = rows["rows"].as_array().unwrap();
        rows.iter().find(|row| row["function"].as_str().is_some_and(|function| function.contains(name))).cloned()
    };
    let words = row("count_words").expect("a function of the thread");
    assert!(words["file"].as_str().is_some_and(|file| file.ends_with("work.rs")), "{words}");
    assert_eq!(files(folder.path()), ["burnmark.pb.gz"], "the spool is gone");
}

#[test]
fn a_second_recording_keeps_the_first_as_old() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    for _ in 0..3 {
        burnmark_in(folder.path(), &["record", "--", "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"])
            .ok();
    }
    assert_eq!(files(folder.path()), ["burnmark.old.pb.gz", "burnmark.pb.gz"]);
}

#[test]
fn a_command_is_sampled_from_its_exec_and_counted() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let script = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; exit 7";
    let run = burnmark_in(folder.path(), &["record", "--json", "--", "sh", "-c", script]);
    assert_eq!(run.code, 0, "the command's failure is not burnmark's: {}", run.stderr);
    assert!(run.stderr.contains("exit") && run.stderr.contains('7'), "its exit status is shown: {}", run.stderr);
    let info = burnmark_in(folder.path(), &["info", "--json"]).ok().json();
    let counter = |name: &str| info["meta"][format!("counter.{name}")].as_str().unwrap_or_default().to_owned();
    assert!(counter("task-clock").ends_with(" s") && !counter("task-clock").starts_with("0.000"), "{info}");
    assert!(counter("page-faults").parse::<u64>().is_ok_and(|faults| faults > 50), "{info}");
    // A number, or why there is none; never 0 for what the machine can't count.
    assert!(counter("cycles").contains("not ") || counter("cycles").parse::<u64>().is_ok_and(|n| n > 0), "{info}");
    let rows = run.json();
    let foreign = rows["rows"].as_array().unwrap().iter().filter(|row| row["module"] == "burnmark").count();
    assert_eq!(foreign, 0, "nothing of the recorder's own before exec: {rows}");
    let folded = burnmark_in(folder.path(), &["convert", "burnmark.pb.gz", "-o", "-", "--as", "folded"]).ok();
    assert!(folded.stdout.lines().all(|line| line.starts_with("sh;") || line.starts_with("sh ")), "{}", folded.stdout);
}

#[test]
fn commands_that_can_not_start_are_errors() {
    let folder = folder();
    burnmark_in(folder.path(), &["record", "--", "./nowhere"]).fails(1, &["./nowhere", "No such file"]);
    std::fs::write(folder.path().join("plain"), "text").unwrap();
    burnmark_in(folder.path(), &["record", "--", "./plain"]).fails(1, &["./plain", "ermission denied"]);
    assert_eq!(files(folder.path()), ["plain"], "nothing is left behind");
}

#[test]
fn a_pid_that_does_not_exist() {
    let folder = folder();
    let mut gone = Command::new("true").spawn().unwrap();
    let pid = gone.id().to_string();
    gone.wait().unwrap();
    burnmark_in(folder.path(), &["record", "-p", &pid, "-d", "1"]).fails(1, &[&pid, "no process"]);
    assert!(files(folder.path()).is_empty());
}

#[test]
fn a_process_of_another_user_is_refused_with_the_remedy() {
    if unprivileged(61_000, Path::new("/"), &[], &["--version"]).code != 0 {
        eprintln!("SKIPPED: setpriv can't change the user here");
        return;
    }
    let folder = folder();
    let mut other = Command::new("sleep").arg("30").spawn().unwrap();
    let pid = other.id().to_string();
    let run = unprivileged(61_000, folder.path(), &[], &["record", "-p", &pid, "-d", "1", "-o", "x.pb.gz"]);
    other.kill().unwrap();
    other.wait().unwrap();
    run.fails(1, &[&pid, "CAP_PERFMON"]);
}

#[test]
fn a_process_that_exits_ends_the_recording_with_what_was_sampled() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let mut target =
        Command::new("sh").args(["-c", "i=0; while [ $i -lt 700000 ]; do i=$((i+1)); done"]).spawn().unwrap();
    let pid = target.id().to_string();
    // The recorder ends when the target is a zombie already: nobody has waited for it.
    let run = burnmark_in(folder.path(), &["record", "-p", &pid, "-d", "60", "--json"]);
    assert!(target.wait().unwrap().success());
    assert!(run.ok().json()["samples"].as_u64() > Some(10));
}

#[test]
fn ctrl_c_ends_it_and_the_target_goes_on() {
    if !sampling_works() {
        return;
    }
    let (folder, workload) = (folder(), Workload::start());
    let recorder = start_recorder(folder.path(), &workload.pid(), "burnmark.pb.gz");
    std::thread::sleep(Duration::from_millis(700));
    signal(&recorder, "INT");
    let output = recorder.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(files(folder.path()), ["burnmark.pb.gz"]);
    // Dropping the workload checks that it still runs and ends well.
}

#[test]
fn a_killed_recorder_leaves_a_spool_that_the_next_command_finishes() {
    if !sampling_works() {
        return;
    }
    let (folder, workload) = (folder(), Workload::start());
    let recorder = start_recorder(folder.path(), &workload.pid(), "burnmark.pb.gz");
    std::thread::sleep(Duration::from_millis(2500));
    signal(&recorder, "KILL");
    assert_eq!(recorder.wait_with_output().unwrap().status.code(), None);
    assert_eq!(files(folder.path()), ["burnmark.pb.gz.spool"]);
    let run = burnmark_in(folder.path(), &["top", "--json"]).ok();
    assert!(run.stderr.contains("interrupted"), "{}", run.stderr);
    assert!(run.json()["samples"].as_u64() > Some(100), "{}", run.stdout);
    assert_eq!(files(folder.path()), ["burnmark.pb.gz"]);
    assert_eq!(burnmark_in(folder.path(), &["top", "--json"]).ok().stdout, run.stdout, "the same the second time");
}

#[test]
fn an_interrupted_recording_is_finished_in_the_format_its_name_asks_for() {
    if !sampling_works() {
        return;
    }
    let (folder, workload) = (folder(), Workload::start());
    let mut recorder = start_recorder(folder.path(), &workload.pid(), "x.folded");
    std::thread::sleep(Duration::from_millis(2500));
    signal(&recorder, "KILL");
    recorder.wait().unwrap();
    let run = burnmark_in(folder.path(), &["info", "x.folded", "--json"]).ok();
    assert_eq!(run.json()["format"], "folded");
    assert_eq!(files(folder.path()), ["x.folded"]);
}

#[test]
fn one_recorder_at_a_time_writes_a_recording() {
    if !sampling_works() {
        return;
    }
    let (folder, workload) = (folder(), Workload::start());
    let recorder = start_recorder(folder.path(), &workload.pid(), "burnmark.pb.gz");
    std::thread::sleep(Duration::from_millis(500));
    burnmark_in(folder.path(), &["record", "--", "true"]).fails(1, &["another burnmark", "-o"]);
    // Somebody tidies up: all that was sampled is in memory still.
    std::fs::remove_file(folder.path().join("burnmark.pb.gz.spool")).unwrap();
    signal(&recorder, "INT");
    let output = recorder.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(files(folder.path()), ["burnmark.pb.gz"]);
}

#[test]
fn what_can_not_be_written_is_kept() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let mut command = Command::new(program());
    let script = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
    command.args(["record", "-o", "/dev/full", "--", "sh", "-c", script]).env("TMPDIR", folder.path());
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && stderr.contains("what was sampled is kept in"), "{stderr}");
    let spool = files(folder.path());
    let info = burnmark_in(folder.path(), &["info", "--json", &spool[0]]).ok().json();
    assert!(info["samples"].as_u64() > Some(10), "{info}");
}

#[test]
fn the_name_of_a_recording_decides_its_compression() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let magics = [("x.pb.zst", &b"\x28\xb5\x2f\xfd"[..]), ("X.PB.GZ", b"\x1f\x8b"), ("x.pb", b"\x0a")];
    for (name, magic) in magics {
        burnmark_in(folder.path(), &["record", "-o", name, "--", "true"]).ok();
        let bytes = std::fs::read(folder.path().join(name)).unwrap();
        assert!(bytes.starts_with(magic), "{name}: {:x?}", &bytes[..4]);
        assert_eq!(burnmark_in(folder.path(), &["info", "--json", name]).ok().json()["format"], "pprof");
    }
}

#[test]
fn time_that_timers_of_threads_miss_is_told() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let processes = "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done";
    let one = "i=0; while [ $i -lt 500000 ]; do i=$((i+1)); done";
    for (script, missed) in [(processes, true), (one, false)] {
        let args = ["record", "--bind", "task", "-e", "cpu-clock", "-F", "199", "--", "sh", "-c", script];
        let run = burnmark_in(folder.path(), &args).ok();
        let sees_kernel = !run.stdout.contains("time in the kernel is not sampled");
        assert_eq!(run.stdout.contains("of CPU time were sampled"), missed && sees_kernel, "{}", run.stdout);
    }
}
