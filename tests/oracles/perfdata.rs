//! perf.data files made here, read by burnmark and by `perf script`: same samples, same order, same frames.
//!
//! Where the two differ, and why that is no error of ours:
//! - perf has no name and burnmark has one: code of the linkage table (`f@plt`), and symbols that perf filters out.
//! - Two names of one address in the C library (`read`, `__GI___libc_read`) or the kernel (`memset`, `__pi_memset`): each
//!   tool has its own taste.
//! - perf makes names up (`:-1`) for threads that it knows nothing of, as they are past their exit.
//! - With `--call-graph dwarf` perf gives up on some stacks earlier than burnmark does, or goes on past `_start`: of
//!   those only the frames that both have are compared, from the leaf on.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use burnmark_model::Profile;
use burnmark_native::{
    FileFinder, Modules, OwnFiles, PerfDataOptions, Places, Progress, SymbolOptions, finish, read_perf_data,
};
use burnmark_perf::file::{Input, Reader};

use crate::counts::{Counts, Function};
use crate::machine::{fixture_program, perf_works};
use crate::support::folder;

/// A sample as either tool tells of it; frames from the leaf on.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    tid: i64,
    time: i64,
    event: String,
    comm: String,
    frames: Vec<Function>,
}

/// Names of the threads whose frames must agree where all processes are recorded: those of the program that was run.
const PROGRAMS: [&str; 2] = ["shares", "burn"];

/// Module and name without what one tool shows and the other doesn't.
fn function(module: &str, name: &str) -> Function {
    let mut counts = Counts::default();
    counts.add(module, name, 1);
    counts.0.into_keys().next().expect("one was added")
}

/// `perf script`, parsed: `comm tid [time:] event:` and then a line per frame, `address symbol (module)`.
fn theirs(data: &Path) -> Vec<Told> {
    let output = Command::new("perf")
        .args(["script", "--ns", "--no-inline", "-F", "comm,tid,time,event,ip,sym,dso", "-i"])
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .expect("perf starts");
    assert!(output.status.success(), "perf script: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let frame = |line: &str| {
        let (_, rest) = line.trim().split_once(' ').expect("an address and more");
        let (name, module) = rest.rsplit_once(" (").expect("a module");
        function(module.trim_end_matches(')'), name.trim())
    };
    let mut all: Vec<Told> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if line.starts_with('\t') {
            all.last_mut().expect("a sample's line comes first").frames.push(frame(line));
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| word.contains('.') && word.ends_with(':')).expect("a time");
        let (seconds, ns) = words[at].trim_end_matches(':').split_once('.').expect("seconds");
        let time = seconds.parse::<i64>().expect("seconds") * 1_000_000_000 + ns.parse::<i64>().expect("nanoseconds");
        let event = words[at + 1].trim_end_matches(':').to_owned();
        let (tid, comm) = (words[at - 1].parse().expect("a tid"), words[..at - 1].join(" "));
        let comm = if comm == format!(":{tid}") { String::new() } else { comm };
        all.push(Told { tid, time, event, comm, frames: Vec::new() });
    }
    all
}

fn read(data: &Path) -> Profile {
    let bytes = std::fs::read(data).expect("perf wrote it");
    let reader = Reader::open(Input::Bytes(&bytes)).expect("it can be opened");
    let finder = FileFinder::Places(Places { own: OwnFiles::Files, ..Places::default() });
    let modules = Arc::new(Modules::new(finder));
    let options = PerfDataOptions { modules: Some(modules.clone()), ..PerfDataOptions::default() };
    let (recording, warnings) = read_perf_data(reader, &options).expect("it can be read");
    assert_eq!(warnings, []);
    let options = SymbolOptions { inlines: false, keep_paths: true, ..SymbolOptions::default() };
    finish(recording, &modules, &options, &Progress::default()).parsed.profile
}

fn ours(profile: &Profile) -> Vec<Told> {
    let single = profile.value_types.len() <= 2;
    let name = |index: usize| {
        let counts = (0..profile.value_types.len()).filter(|column| profile.value_types[*column].unit == "count");
        let column = counts.into_iter().find(|column| profile.samples.values(*column)[index] == 1);
        match (single, column) {
            (true, _) => profile.meta.event.clone().expect("the event is known"),
            (false, column) => profile.value_types[column.expect("a sample is of an event")].name.clone(),
        }
    };
    let told = |(index, sample): (usize, burnmark_model::Sample)| {
        let thread = profile.threads.get(sample.thread.expect("a thread"));
        let frames = profile.frames_leaf_first(sample.stack).map(|frame| {
            let module = profile.frames.get(frame).module;
            let module = module.map_or("[unknown]", |module| profile.strings.get(profile.modules.get(module).path));
            function(module, &profile.frame_name(frame))
        });
        Told {
            tid: thread.tid.expect("a tid"),
            time: sample.time_ns.expect("a time"),
            event: name(index),
            comm: thread.name.map_or("", |name| profile.strings.get(name)).to_owned(),
            frames: frames.collect(),
        }
    };
    profile.samples.iter().enumerate().map(told).collect()
}

/// How many frames were compared, and which differ without a reason.
#[derive(Default)]
struct Frames {
    compared: usize,
    perf_has_no_name: usize,
    other_name_in_c_library: usize,
    lengths: usize,
    wrong: Vec<(Function, Function)>,
}

impl Frames {
    fn compare(&mut self, ours: &Told, theirs: &Told) {
        self.lengths += usize::from(ours.frames.len() != theirs.frames.len());
        for (our, their) in ours.frames.iter().zip(&theirs.frames) {
            self.compared += 1;
            let in_c_library =
                [our, their].iter().all(|frame| frame.0.starts_with("libc.so") || frame.0.starts_with("ld-"));
            let in_kernel = our.0 == their.0 && our.0 == "[kernel]";
            if our == their || in_kernel && are_one_symbol(&our.1, &their.1) {
            } else if their.1.is_empty() {
                self.perf_has_no_name += 1;
            } else if in_c_library {
                self.other_name_in_c_library += 1;
            } else {
                self.wrong.push((our.clone(), their.clone()));
            }
        }
    }
}

/// Whether the kernel has two names at one address: perf takes another of them than we do.
fn are_one_symbol(ours: &str, theirs: &str) -> bool {
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let lines = symbols.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let of = |name: &str| -> BTreeSet<String> {
        lines.clone().filter(|line| line.get(2) == Some(&name)).map(|line| line[0].to_owned()).collect()
    };
    !of(ours).is_disjoint(&of(theirs))
}

/// Records a program by perf with these options, and compares both readings of the file.
fn agrees(program: &str, options: &[&str], at_least: usize) {
    let Some(path) = fixture_program(program).filter(|_| perf_works()) else { return };
    let folder = folder();
    let data = folder.path().join("perf.data");
    let is_pipe = options.contains(&"-");
    let mut record = Command::new("perf");
    record.args(["record", "-q", "-F", "499", "-e", "cpu-clock"]).args(options).stdin(Stdio::null());
    if is_pipe {
        record.stdout(std::fs::File::create(&data).expect("the folder can be written to"));
        // The program's own output would end up in the file.
        record.args(["--", "sh", "-c", "\"$0\" 0.4 > /dev/null"]).arg(&path);
    } else {
        record.arg("-o").arg(&data).arg("--").arg(&path).arg("0.4").stdout(Stdio::null());
    }
    assert!(record.status().expect("perf starts").success());

    let (ours, theirs) = (ours(&read(&data)), theirs(&data));
    let head = |told: &Told| (told.tid, told.time, told.event.clone(), told.comm.clone());
    assert!(theirs.len() >= at_least, "only {} samples", theirs.len());
    assert_eq!(ours.iter().map(head).collect::<Vec<_>>(), theirs.iter().map(head).collect::<Vec<_>>());

    let mut frames = Frames::default();
    let is_system_wide = options.contains(&"-a");
    let known = |told: &Told| !is_system_wide || PROGRAMS.iter().any(|name| told.comm.starts_with(name));
    let pairs: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, _)| known(ours)).collect();
    pairs.iter().for_each(|(ours, theirs)| frames.compare(ours, theirs));
    let Frames { compared, perf_has_no_name, other_name_in_c_library, lengths, wrong } = frames;
    println!(
        "{program} {options:?}: {} samples, {compared} frames; {perf_has_no_name} that perf has no name for, \
         {other_name_in_c_library} with another name of the C library's, {lengths} stacks of another length",
        pairs.len()
    );
    assert!(compared >= at_least, "only {compared} frames");
    assert!(wrong.is_empty(), "{} of {compared} frames differ: {:?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    assert!(perf_has_no_name + other_name_in_c_library <= compared / 10);
    let allowed = if options.contains(&"dwarf,16384") { pairs.len() / 10 } else { 0 };
    assert!(lengths <= allowed, "{lengths} of {} stacks have another length", pairs.len());
}

#[test]
fn frame_pointers() {
    agrees("shares", &["-g"], 200);
}

#[test]
fn copied_stacks() {
    agrees("shares", &["--call-graph", "dwarf,16384"], 200);
}

#[test]
fn the_kernel() {
    agrees("kernel", &["-g"], 50);
}

#[test]
fn several_events() {
    agrees("shares", &["-g", "-e", "page-faults", "-e", "context-switches"], 200);
}

#[test]
fn one_event_per_thread() {
    agrees("kernel", &["-g", "--per-thread", "-T"], 50);
}

#[test]
fn all_processes() {
    agrees("shares", &["-g", "-a"], 20);
}

#[test]
fn a_pipe() {
    agrees("shares", &["-g", "-o", "-"], 200);
}

#[test]
fn compressed_records() {
    agrees("shares", &["-g", "-z"], 200);
}

#[test]
fn records_of_switches() {
    agrees("forks", &["-g", "--switch-events"], 100);
}
