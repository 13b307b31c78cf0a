//! Names: added later, of code made at run time, of files that only the sampled process could see.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::sampling::sampling_works;
use crate::support::{burnmark_in, folder};

/// Runs for the milliseconds that its argument says, all of them in `spinning`.
const SPIN: &str = r#"
#include <stdlib.h>
#include <time.h>
__attribute__((noinline)) long spinning(long n) { volatile long sum = 0; for (long i = 0; i < n; i++) sum += i; return sum; }
int main(int count, char **words) {
    struct timespec start, now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    do { spinning(100000); clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); }
    while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < atoi(words[1]));
}
"#;

/// Makes a function at run time, tells of it in /tmp/perf-PID.map (PID as it knows it), and runs it for a while.
const JIT: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
int main(void) {
    /* mov $1000000, %eax; 1: dec %eax; jnz 1b; ret */
    static const unsigned char code[] = {0xb8, 0x40, 0x42, 0x0f, 0x00, 0xff, 0xc8, 0x75, 0xfc, 0xc3};
    void *page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(page, code, sizeof code);
    char name[64];
    snprintf(name, sizeof name, "/tmp/perf-%d.map", getpid());
    FILE *map = fopen(name, "w");
    fprintf(map, "rubbish\n%lx %zx stale\n%lx %zx made_at_run_time\n", (long)page, sizeof code, (long)page, sizeof code);
    fclose(map);
    struct timespec start, now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    do { ((void (*)(void))page)(); clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); }
    while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 400);
}
"#;

fn build(folder: &Path, name: &str, source: &str, flags: &[&str]) {
    std::fs::write(folder.join(format!("{name}.c")), source).expect("the folder is ours");
    run(folder, &[&["gcc", "-O1", "-o", name], flags, &[&format!("{name}.c")]].concat());
}

fn run(folder: &Path, words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{words:?}: {error}"));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A program that does something, or else a line that says why it is left out.
fn has(words: &[&str]) -> bool {
    let works = Command::new(words[0]).args(&words[1..]).output().is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("SKIPPED: `{}` doesn't work here", words.join(" "));
    }
    works
}

/// The row of a function.
fn row(table: &Value, function: &str) -> Option<Value> {
    table["rows"].as_array().expect("a table").iter().find(|row| row["function"] == function).cloned()
}

fn share(table: &Value, function: &str) -> f64 {
    row(table, function).and_then(|row| row["self_share"].as_f64()).unwrap_or(0.0)
}

const TABLE: [&str; 3] = ["--json", "--limit", "0"];

fn record(folder: &Path, command: &[&str]) -> Value {
    burnmark_in(folder, &[&["record"], &TABLE[..], &["--"], command].concat()).ok().json()
}

#[test]
fn symbolize_adds_names_and_lines_by_build_id() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let at = folder.path();
    build(at, "whole", SPIN, &["-g", "-Wl,--build-id=sha1"]);
    run(at, &["strip", "-o", "prog", "whole"]);
    let before = record(at, &["./prog", "300"]);
    assert_eq!(share(&before, "spinning"), 0.0);
    std::fs::remove_file(at.join("prog")).unwrap();
    std::fs::create_dir(at.join("found")).unwrap();
    run(at, &["objcopy", "--only-keep-debug", "whole", "found/prog.debug"]);
    build(at, "other", SPIN, &["-g", "-Wl,--build-id=sha1", "-DOTHER=1", "-O2"]);
    std::fs::create_dir(at.join("wrong")).unwrap();
    std::fs::rename(at.join("other"), at.join("wrong/prog")).unwrap();

    let wrong = burnmark_in(at, &["symbolize", "--debug-dir", "wrong", "-o", "same.pb.gz"]).ok();
    assert!(wrong.stderr.contains("build-id is another one"), "{}", wrong.stderr);
    let right = burnmark_in(at, &["symbolize", "--debug-dir", "wrong", "--debug-dir", "found", "-o", "named.pb.gz"]);
    assert!(right.ok().stderr.contains("have names now"));
    let table = |file: &str| burnmark_in(at, &[&["top", file], &TABLE[..]].concat()).ok().json();
    assert_eq!(share(&table("same.pb.gz"), "spinning"), 0.0);
    let named = table("named.pb.gz");
    assert!(share(&named, "spinning") > 0.9, "{named}");
    let row = row(&named, "spinning").unwrap();
    assert!(row["file"].as_str().unwrap().ends_with("whole.c") && row["module"] == "prog", "{row}");
    assert_eq!((&named["samples"], &named["total"]), (&before["samples"], &before["total"]));
    // What has names keeps them: once more changes nothing.
    burnmark_in(at, &["symbolize", "named.pb.gz", "--debug-dir", "found", "-o", "twice.pb.gz"]).ok();
    assert_eq!(table("twice.pb.gz")["rows"], named["rows"]);
    burnmark_in(at, &["symbolize", "--debug-dir", "nowhere", "-o", "x.pb.gz"]).fails(1, &["nowhere is no folder"]);
}

#[test]
fn javascript_functions_have_names_with_perf_basic_prof() {
    if !sampling_works() || !has(&["node", "--version"]) {
        return;
    }
    let folder = folder();
    let source = "function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }\n\
        const end = Date.now() + 600;\nwhile (Date.now() < end) fib(20);\n";
    std::fs::write(folder.path().join("fib.js"), source).unwrap();
    let table = record(folder.path(), &["node", "--perf-basic-prof", "fib.js"]);
    assert!(share(&table, "fib") > 0.2, "{table}");
    assert!(row(&table, "fib").unwrap()["file"].as_str().unwrap().ends_with("fib.js"));
    let names: Vec<_> = table["rows"].as_array().unwrap().iter().filter(|row| row["function"] == "fib").collect();
    assert_eq!(names.len(), 1, "one function, whichever compiler made it");
    // Without the flag the summary says so.
    burnmark_in(folder.path(), &["record", "--", "node", "fib.js"]).ok();
    let top = burnmark_in(folder.path(), &["top"]).ok().stdout;
    assert!(top.contains("in JavaScript without names") && top.contains("node --perf-basic-prof"), "{top}");
}

#[test]
fn an_interpreter_is_named_as_one() {
    let loops = "sum(i * i for i in range(2000000))";
    if !sampling_works() || !has(&["/usr/bin/python3", "-c", "pass"]) {
        return;
    }
    let folder = folder();
    burnmark_in(folder.path(), &["record", "--", "/usr/bin/python3", "-c", loops]).ok();
    let top = burnmark_in(folder.path(), &["top"]).ok().stdout;
    assert!(top.contains("% is in Python: the frames are the interpreter's own; `python3 -X perf`"), "{top}");
}

#[test]
fn code_made_at_run_time_in_a_namespace_that_is_gone_has_names() {
    const BOX: [&str; 6] = ["unshare", "-m", "-p", "-f", "sh", "-c"];
    if !sampling_works() || !has(&[&BOX[..], &["mount -t tmpfs none /tmp"]].concat()) || !cfg!(target_arch = "x86_64") {
        return;
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    build(folder.path(), "jit", JIT, &[]);
    // The program has another pid in there, its own /tmp, and ends before the recording.
    let table = record(folder.path(), &[&BOX[..], &["mount -t tmpfs none /tmp && ./jit; exit 0"]].concat());
    assert!(share(&table, "made_at_run_time") > 0.7, "{table}");
}

#[test]
fn files_that_only_a_mount_namespace_has_are_read() {
    const BOX: [&str; 4] = ["unshare", "-m", "sh", "-c"];
    if !sampling_works() || !has(&[&BOX[..], &["mount -t tmpfs none /mnt"]].concat()) {
        return;
    }
    let folder = folder();
    build(folder.path(), "spin", SPIN, &["-g"]);
    // Several processes, of which each ends before anybody looks; their parent lives on.
    let script = "mount -t tmpfs none /mnt && cp spin /mnt/inside && sleep 0.3; for i in 1 2 3 4 5 6 7 8; do /mnt/inside 40; done; exit 0";
    let table = record(folder.path(), &[&BOX[..], &[script]].concat());
    assert!(!Path::new("/mnt/inside").exists());
    let row = row(&table, "spinning").expect("a name");
    assert_eq!(row["module"], "inside");
    assert!(share(&table, "spinning") > 0.6, "{table}");
}

#[test]
fn a_program_in_memory_has_names() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    build(folder.path(), "spin", SPIN, &["-g"]);
    let source = r#"
        #define _GNU_SOURCE
        #include <fcntl.h>
        #include <sys/mman.h>
        #include <sys/sendfile.h>
        #include <unistd.h>
        extern char **environ;
        int main(void) {
            int from = open("spin", O_RDONLY), to = memfd_create("spin", MFD_CLOEXEC);
            while (sendfile(to, from, 0, 1 << 20) > 0) {}
            fexecve(to, (char *[]){"spin", "400", 0}, environ);
        }"#;
    build(folder.path(), "start", source, &[]);
    let table = record(folder.path(), &["./start"]);
    assert!(share(&table, "spinning") > 0.7, "{table}");
}
