//! However a recording ends, what was sampled is kept, and the target goes on unharmed.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sampling::{Target, Workload, can_change_user, sampling_works, signal, start_recorder};
use crate::support::{burnmark_in, files, folder, program};

const LOOP: &str = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";

#[test]
fn sigterm_ends_it_and_the_target_goes_on() {
    if !sampling_works() {
        return;
    }
    let (folder, workload) = (folder(), Workload::start());
    let recorder = start_recorder(folder.path(), &workload.pid(), "burnmark.pb.gz");
    std::thread::sleep(Duration::from_millis(500));
    signal(&recorder, "TERM");
    let output = recorder.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let info = burnmark_in(folder.path(), &["info", "--json"]).ok().json();
    assert!(info["samples"].as_u64() > Some(10), "{info}");
    assert_eq!(files(folder.path()), ["burnmark.pb.gz"]);
}

#[test]
fn a_target_that_is_killed_ends_the_recording() {
    if !sampling_works() {
        return;
    }
    let (folder, mut target) = (folder(), Target::busy());
    let recorder = start_recorder(folder.path(), &target.pid(), "burnmark.pb.gz");
    std::thread::sleep(Duration::from_millis(500));
    target.0.kill().unwrap();
    let output = recorder.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let info = burnmark_in(folder.path(), &["info", "--json"]).ok().json();
    assert!(info["samples"].as_u64() > Some(10), "{info}");
}

#[test]
fn a_command_that_is_killed_is_no_error_of_ours() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let run = burnmark_in(folder.path(), &["record", "--json", "--", "sh", "-c", &format!("{LOOP}; kill -9 $$")]).ok();
    assert!(run.stderr.contains("signal: 9"), "{}", run.stderr);
    assert!(run.json()["samples"].as_u64() > Some(10), "{}", run.stdout);
}

#[test]
fn a_target_that_execs_is_followed_into_its_next_program() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let script = format!("{LOOP}; exec awk 'BEGIN {{ for (i = 0; i < 4000000; i++) x += i }}'");
    let mut target = Target::start(Command::new("sh").args(["-c", &script]));
    burnmark_in(folder.path(), &["record", "-p", &target.pid(), "-d", "60", "--json"]).ok();
    assert!(target.0.wait().unwrap().success(), "the target is not harmed");
    let modules = burnmark_in(folder.path(), &["top", "--json", "--merge-by", "module", "--limit", "0"]).ok().json();
    let rows = modules["rows"].as_array().unwrap();
    let share = |of: &dyn Fn(&str) -> bool| -> f64 {
        let rows = rows.iter().filter(|row| row["module"].as_str().is_some_and(of));
        rows.map(|row| row["self_share"].as_f64().unwrap()).sum()
    };
    let (shell, awk) = (share(&|name| name.ends_with("sh")), share(&|name| name.contains("awk")));
    assert!(shell > 0.05 && awk > 0.05, "{modules}");
    assert!(share(&|name| name.contains("unknown")) < 0.05, "{modules}");
}

#[test]
fn a_duration_ends_it_and_the_command_goes_on() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let script = format!("{LOOP}; sleep 1.5; echo over > over");
    let run = burnmark_in(folder.path(), &["record", "-d", "0.3", "--json", "--", "sh", "-c", &script]).ok();
    assert!(run.stderr.contains("the command goes on as process"), "{}", run.stderr);
    let started = Instant::now();
    while !folder.path().join("over").exists() {
        assert!(started.elapsed() < Duration::from_secs(30), "the command comes to its end");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `make`'s jobs end before it does; a daemon's parent ends at once.
#[test]
fn what_a_command_leaves_behind_is_named() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let script = "sleep 60 > /dev/null 2>&1 & i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
    let run = burnmark_in(folder.path(), &["record", "--json", "--", "sh", "-c", script]).ok();
    assert!(run.stderr.contains("one process that it started goes on"), "{}", run.stderr);
    let pid = run.stderr.split("record -p ").nth(1).and_then(|rest| rest.split('`').next()).expect("it is named");
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    assert_eq!(name.trim(), "sleep", "it is not harmed");
    assert!(Command::new("kill").arg(pid).status().is_ok_and(|status| status.success()));
    let run = burnmark_in(folder.path(), &["record", "--json", "--", "sh", "-c", "true & wait"]).ok();
    assert!(!run.stderr.contains("that it started"), "{}", run.stderr);
}

#[test]
fn nothing_sampled_is_explained() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let target = Target::start(Command::new("sleep").arg("60"));
    let record = || burnmark_in(folder.path(), &["record", "-p", &target.pid(), "-d", "0.3"]).ok().stdout;
    let asleep = record();
    assert!(asleep.contains("used 0.") && asleep.contains("(sleep) is asleep (S)"), "{asleep}");
    signal(&target.0, "STOP");
    let stopped = record();
    assert!(stopped.contains("is stopped (T)") && stopped.contains("kill -CONT"), "{stopped}");
}

#[test]
fn a_timer_is_not_run_faster_than_a_machine_can_bear() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let args = ["record", "-F", "100000", "-e", "cpu-clock", "--call-graph", "fp", "--", "true"];
    let run = burnmark_in(folder.path(), &args).ok();
    assert!(run.stdout.contains("100000 samples a second is"), "{}", run.stdout);
    let info = burnmark_in(folder.path(), &["info", "--json"]).ok().json();
    assert!(info["meta"]["frequency_hz"].as_u64() <= Some(20_000), "{info}");
}

#[test]
fn a_link_to_a_recording_stays_a_link() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("d")).unwrap();
    std::fs::write(at("d/real.pb.gz"), "earlier").unwrap();
    std::os::unix::fs::symlink("d/real.pb.gz", at("burnmark.pb.gz")).unwrap();
    burnmark_in(folder.path(), &["record", "--", "sh", "-c", LOOP]).ok();
    assert_eq!(files(folder.path()), ["burnmark.pb.gz", "d"]);
    assert_eq!(std::fs::read_link(at("burnmark.pb.gz")).unwrap(), std::path::Path::new("d/real.pb.gz"));
    assert_eq!(files(&at("d")), ["real.old.pb.gz", "real.pb.gz"]);
    assert_eq!(std::fs::read(at("d/real.old.pb.gz")).unwrap(), b"earlier");
    assert!(std::fs::read(at("d/real.pb.gz")).unwrap().starts_with(b"\x1f\x8b"));
}

#[test]
fn a_recording_into_a_pipe_whose_recorder_was_killed_is_found() {
    if !sampling_works() {
        return;
    }
    let (folder, target) = (folder(), Target::busy());
    let in_folder = |args: &[&str]| {
        let mut command = Command::new(program());
        command.args(args).current_dir(folder.path()).env("TMPDIR", folder.path()).stdin(Stdio::null());
        command
    };
    let mut recorder = in_folder(&["record", "-p", &target.pid(), "-o", "/dev/null"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    // While it runs, nobody takes it for abandoned.
    let run = in_folder(&["record", "-o", "x.pb.gz", "--", "true"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&run.stderr).contains("interrupted"));
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    let run = in_folder(&["record", "-o", "x.pb.gz", "--", "true"]).output().unwrap();
    let text = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(text.contains("an interrupted recording is in"), "{text}");
    let spool = text.split("`burnmark info ").nth(1).and_then(|rest| rest.split('`').next()).expect("it says how");
    let info = in_folder(&["info", "--json", spool]).output().unwrap();
    assert!(info.status.success(), "{}", String::from_utf8_lossy(&info.stderr));
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
    assert!(info["samples"].as_u64() > Some(100), "{info}");
}

#[test]
fn a_full_disk_loses_nothing_that_has_room_elsewhere() {
    let mounts = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !sampling_works() || !mounts || !can_change_user() {
        eprintln!("SKIPPED: no file system can be mounted here");
        return;
    }
    let (folder, small) = (folder(), folder());
    let script = "mount -t tmpfs -o size=128k none \"$1\" && cd \"$1\" || exit 9
        (sleep 0.5; cat /dev/zero > filler 2>/dev/null) & filler=$!
        \"$2\" record -o x.pb.gz -- sh -c \"$3\"; code=$?; wait $filler; exit $code";
    let busy = "i=0; while [ $i -lt 900000 ]; do i=$((i+1)); done; true";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(small.path())
        .args([program(), busy])
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in ["No space left", "Sampling goes on", "the recording is in"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let saved = files(folder.path());
    assert_eq!(saved.len(), 1, "{saved:?}");
    let info = burnmark_in(folder.path(), &["info", "--json", &saved[0]]).ok().json();
    assert!(info["samples"].as_u64() > Some(100), "{info}");
}
