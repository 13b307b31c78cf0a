//! Stacks of programs whose frames only unwind tables tell of (fixtures/programs/frames.cpp): sampled by perf
//! (`--call-graph dwarf`) and burnmark at once.
//!
//! Of burnmark's stacks at least as many as of perf's reach the thread's start, and 99 % where there are tables for all
//! code; functions have the shares that the programs print, and those that perf finds. `cargo xtask proof` runs these
//! at full length: more than 10,000 samples each.

use std::process::Command;

use crate::counts::{Counts, allowed_difference, compare, table};
use crate::machine::{Recorder, Target, fixture_program, high_frequency, perf_works, sampling_works};
use crate::support::{burnmark_in, folder};
use crate::{burnmark, perf};

/// Where threads start, by the names that both tools show.
const STARTS: [&str; 8] =
    ["_start", "__libc_start_main", "__libc_start_main_impl", "clone3", "__clone3", "clone", "__clone", "start_thread"];

/// What a stack without a user half begins with: its task has given back its memory, or never had any.
const KERNEL_STARTS: [&str; 4] =
    ["entry_SYSCALL_64_after_hwframe", "asm_sysvec_apic_timer_interrupt", "ret_from_fork_asm", "el0t_64_sync"];

/// The share of complete stacks among those with a user half.
fn complete(roots: &[(String, u64)]) -> (f64, u64) {
    let with_user = roots.iter().filter(|(root, _)| !KERNEL_STARTS.contains(&root.as_str()));
    let (mut reached, mut all) = (0, 0);
    for (root, count) in with_user {
        all += count;
        reached += if STARTS.contains(&root.as_str()) { *count } else { 0 };
    }
    (reached as f64 / (all as f64).max(1.0), all)
}

/// What a program is to show.
struct Expected {
    program: &'static str,
    arguments: &'static [&'static str],
    /// Functions with what of the time is in them and their callees, as far as it is not printed by the program.
    shares: &'static [(&'static str, f64)],
}

fn is_full() -> bool {
    std::env::var("BURNMARK_PROOF").is_ok_and(|value| value == "full")
}

/// A program that burnmark and perf have sampled at once, from before it did anything to its end.
struct Sampled {
    name: String,
    /// With `ours.pb.gz` and `perf.data`.
    folder: tempfile::TempDir,
    printed: String,
}

impl Sampled {
    /// Runs the program with the arguments and then `amount`, what it is to do; `None` where that can't be done here.
    fn run(program: &str, arguments: &[&str], amount: &str, frequency: u32) -> Option<Self> {
        if !perf_works() || !sampling_works() {
            return None;
        }
        let path = fixture_program(program)?;
        let target = Target::stopped(Command::new(path).args(arguments).arg(amount));
        let folder = folder();
        let (data, pid) = (folder.path().join("perf.data"), target.pid().to_string());
        let ours = Recorder::attach(burnmark::record(folder.path(), "ours.pb.gz", frequency).args(["-p", &pid]));
        let mut theirs = perf::record_dwarf(&data, frequency);
        let theirs = Recorder::attach(theirs.args(["-p", &pid]));
        target.go_on();
        let printed = target.finish();
        theirs.finish();
        ours.finish();
        Some(Self { name: format!("{program} {}", arguments.join(" ")), folder, printed })
    }

    fn perf_data(&self) -> std::path::PathBuf {
        self.folder.path().join("perf.data")
    }

    /// Of burnmark's stacks, the share `least` must reach the thread's start, and no fewer than of perf's.
    #[track_caller]
    fn reach_starts(&self, least: f64) {
        let convert = ["convert", "ours.pb.gz", "--no-inline", "--value", "samples", "-o", "ours.folded"];
        burnmark_in(self.folder.path(), &convert).ok();
        let folded = std::fs::read_to_string(self.folder.path().join("ours.folded")).expect("it was written");
        let (ours, samples) = complete(&roots(&folded));
        let (theirs, _) = complete(&perf::roots(&self.perf_data()));
        let name = &self.name;
        println!("{name}: {:.2} % of {samples} stacks reach the start, perf {:.2} %", 100.0 * ours, 100.0 * theirs);
        assert!(ours >= least, "{name}: {ours} of the stacks reach the start\n{folded}");
        // One stack of the two samplings may be met at an instruction that the other's are not.
        let least = theirs - 4.0 * (0.01 / samples.max(1) as f64).sqrt();
        assert!(ours >= least, "{name}: {ours}, perf {theirs}\n{folded}");
        assert!(!is_full() || samples >= 10_000, "{samples} samples prove nothing");
    }
}

#[track_caller]
fn check(expected: &Expected) {
    let (seconds, frequency) = if is_full() { ("6", high_frequency()) } else { ("0.6", 1999) };
    let Some(sampled) = Sampled::run(expected.program, expected.arguments, seconds, frequency) else { return };
    // A handler on a stack of its own: what it interrupted is not in the copy, and is read from the process while the
    // handler still runs, soon after the first such sample was seen. Where it has returned by then the stack ends with it,
    // as all of perf's do.
    let is_read_later = expected.arguments.contains(&"altstack");
    sampled.reach_starts(if is_read_later && !is_full() { 0.9 } else { 0.99 });

    check_truth(expected, &sampled.printed, &top(sampled.folder.path()));
    if is_full() {
        let ours = bare(&burnmark::recorded_counts(sampled.folder.path(), "ours.pb.gz", &[]));
        let theirs = bare(&perf::self_counts(&sampled.perf_data()));
        let rows = compare(&ours, &theirs);
        let table = table(&sampled.name, &ours, &theirs, &rows);
        println!("{table}");
        assert!(rows.iter().all(|row| row.agrees()), "{table}");
    }
}

/// Counts by names without parameters, which perf leaves out at times.
fn bare(counts: &Counts) -> Counts {
    let mut bare = Counts::default();
    for ((module, name), samples) in &counts.0 {
        bare.add(module, name.split('(').next().unwrap_or_default(), *samples);
    }
    bare
}

/// The outermost frames of folded stacks, with their samples; before them is the process.
fn roots(folded: &str) -> Vec<(String, u64)> {
    let split = |line: &str| {
        let (stack, count) = line.rsplit_once(' ')?;
        Some((stack.split(';').nth(1).unwrap_or_default().to_owned(), count.parse().ok()?))
    };
    folded.lines().map(|line| split(line).unwrap_or_else(|| panic!("no folded stack: {line:?}"))).collect()
}

/// Each function's share with its callees, and the number of samples.
fn top(folder: &std::path::Path) -> (Vec<(String, f64)>, u64) {
    let top = burnmark_in(folder, &["top", "ours.pb.gz", "--json", "--limit", "0", "--no-inline"]).ok().json();
    let rows = top["rows"].as_array().expect("rows").iter();
    let share = |row: &serde_json::Value| {
        let name = row["function"].as_str().expect("a name").split(['(', '@']).next().expect("a part").to_owned();
        (name, row["total_share"].as_f64().expect("a share"))
    };
    (rows.map(share).collect(), top["samples"].as_u64().expect("a number"))
}

/// What the program printed and what is expected of it, against its recording.
#[track_caller]
fn check_truth(expected: &Expected, printed: &str, (shares, samples): &(Vec<(String, f64)>, u64)) {
    let burned: Vec<(&str, f64)> = printed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, burned)| Some((name, burned.parse::<f64>().ok()?)))
        .collect();
    let all: f64 = burned.iter().map(|(_, burned)| burned).sum();
    let of_all = burned.iter().filter(|(_, burned)| *burned > 0.0 && expected.shares.is_empty());
    let truth = of_all.map(|(name, burned)| (*name, burned / all)).chain(expected.shares.iter().copied());
    for (name, share) in truth {
        let name = if name == "cleaned" { "Cleaned::~Cleaned" } else { name };
        let measured = shares.iter().filter(|(function, _)| function == name).map(|(_, share)| *share).sum::<f64>();
        let allowed = allowed_difference([measured, share], [*samples, u64::MAX]);
        assert!(
            (measured - share).abs() <= allowed,
            "{name}: {measured:.4} of {samples} samples, should be {share:.4} ± {allowed:.4}\n{shares:?}"
        );
    }
}

macro_rules! frames {
    ($($test:ident: $program:literal $($argument:literal)* => $shares:expr;)*) => {$(
        #[test]
        fn $test() {
            check(&Expected { program: $program, arguments: &[$($argument),*], shares: &$shares });
        }
    )*};
}

frames! {
    deep_recursion: "frames" "deep" => [];
    tail_calls: "frames" "tail" => [];
    a_signal_handler: "frames" "signal" => [("main", 1.0), ("handler", 0.7)];
    a_signal_handler_on_a_stack_of_its_own: "frames" "altstack" => [("handler", 0.7)];
    a_signal_handler_with_frame_pointers: "frames-fp" "altstack" => [("handler", 0.7)];
    realigned_frames: "frames" "aligned" => [("bottom", 0.7), ("realigned", 1.0)];
    calls_through_the_linkage_table: "frames" "plt" => [("linked", 1.0)];
    exceptions_in_flight: "frames" "throwing" => [("catching", 1.0)];
    threads_without_frame_pointers: "frames" "threads" => [];
    a_static_program: "frames-static" "deep" => [];
    a_static_programs_exceptions: "frames-static" "throwing" => [("catching", 1.0)];
    a_stripped_program_with_a_debug_file: "frames-stripped" "deep" => [];
    inlined_chains_without_frame_pointers: "inlined-bare" => [("main", 1.0)];
    rust_without_frame_pointers: "rusty-bare" => [("main", 1.0)];
    libraries_that_come_and_go: "loads-bare" => [("plugin_first", 0.5), ("plugin_second", 0.5)];
}

/// What processes and threads that come and go print is checked elsewhere; here, that their stacks are whole.
/// `amounts`: how much it does, in a short and in a full run.
#[track_caller]
fn check_stacks(program: &str, amounts: [&str; 2], lines: usize) {
    let (amount, frequency) = if is_full() { (amounts[1], high_frequency()) } else { (amounts[0], 1999) };
    let Some(sampled) = Sampled::run(program, &[], amount, frequency) else { return };
    sampled.reach_starts(0.99);
    assert_eq!(sampled.printed.lines().count(), lines, "{}", sampled.printed);
}

#[test]
fn a_tree_of_processes_without_frame_pointers() {
    check_stacks("forks-bare", ["0.4", "3"], 4);
}

#[test]
fn one_process_three_programs() {
    check_stacks("execs-1", ["0.4", "2"], 3);
}

#[test]
fn threads_that_come_and_go() {
    check_stacks("churn", ["200", "4000"], 1);
}

#[test]
fn roots_are_parsed() {
    let parsed = roots("frames;_start;main;f 12\nframes;[unknown] 1\n");
    assert_eq!(parsed, [("_start".to_owned(), 12), ("[unknown]".to_owned(), 1)]);
    assert_eq!(complete(&parsed), (12.0 / 13.0, 13));
}
