//! Recordings of programs that know what they did: fixtures/programs print the CPU time of their functions.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::counts::allowed_difference;
use crate::machine::{Recorder, Target, fixture_program, sampling_works};
use crate::support::{burnmark_in, folder};
use crate::{burnmark, machine};

/// Samples per second and CPU: a few thousand samples in a second or two.
const FREQUENCY: u32 = 1999;

/// A recording, and the lines its program printed.
struct Recorded {
    folder: tempfile::TempDir,
    truth: Vec<Vec<String>>,
}

impl Recorded {
    /// Attaches to a program before it does anything, and records it to its end.
    fn attached(name: &str, arguments: &[&str], options: &[&str]) -> Option<Self> {
        let (target, folder) = (start(name, arguments)?, folder());
        let mut record = burnmark::record(folder.path(), "burnmark.pb.gz", FREQUENCY);
        let recorder = Recorder::attach(record.args(options).args(["-p", &target.pid().to_string()]));
        target.go_on();
        let truth = lines(&target.finish());
        recorder.finish();
        Some(Self { folder, truth })
    }

    /// Launches the program under the recorder.
    fn launched(name: &str, arguments: &[&str]) -> Option<Self> {
        let program = fixture_program(name).filter(|_| sampling_works())?;
        let folder = folder();
        let script = format!("exec '{}' {} >truth", program.display(), arguments.join(" "));
        let frequency = FREQUENCY.to_string();
        burnmark_in(folder.path(), &["record", "-F", &frequency, "--", "sh", "-c", &script]).ok();
        let text = std::fs::read_to_string(folder.path().join("truth")).expect("the program has printed");
        Some(Self { folder, truth: lines(text.split_once('\n').expect("a first line").1) })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn top(&self, arguments: &[&str]) -> Top {
        let command = ["top", "--json", "--limit", "0", "--by", "total"];
        Top(burnmark_in(self.path(), &[&command[..], arguments].concat()).ok().json())
    }

    fn info(&self) -> Value {
        burnmark_in(self.path(), &["info", "--json"]).ok().json()
    }

    fn folded(&self) -> String {
        burnmark_in(self.path(), &["convert", "burnmark.pb.gz", "-o", "out.folded"]).ok();
        std::fs::read_to_string(self.path().join("out.folded")).expect("it was written")
    }
}

/// A ranking by total.
struct Top(Value);

impl Top {
    fn samples(&self) -> u64 {
        self.0["samples"].as_u64().expect("a number")
    }

    /// The share of the one function of this name, callees included; 0 when there is none.
    fn share(&self, name: &str) -> f64 {
        self.row(name).map_or(0.0, |row| row["total_share"].as_f64().expect("a share"))
    }

    fn self_share(&self, name: &str) -> f64 {
        self.row(name).map_or(0.0, |row| row["self_share"].as_f64().expect("a share"))
    }

    /// The one function of this name, or else the one whose name contains it.
    fn row(&self, name: &str) -> Option<&Value> {
        let rows = self.0["rows"].as_array().expect("rows");
        let exact = rows.iter().find(|row| row["function"] == name);
        let mut found = rows.iter().filter(|row| row["function"].as_str().is_some_and(|known| known.contains(name)));
        exact.or_else(|| {
            let row = found.next();
            assert!(found.next().is_none(), "more than one function has {name} in its name: {}", self.0);
            row
        })
    }

    /// The function's share with its callees must be this.
    #[track_caller]
    fn expect(&self, name: &str, share: f64) {
        let measured = self.share(name);
        // The truth has no error of its own: as if from very many samples.
        let allowed = allowed_difference([measured, share], [self.samples(), u64::MAX]);
        let (samples, all) = (self.samples(), &self.0["rows"]);
        assert!(
            (measured - share).abs() <= allowed,
            "{name}: {measured:.4} of {samples} samples, should be {share:.4} ± {allowed:.4}\n{all:#}"
        );
    }
}

fn start(name: &str, arguments: &[&str]) -> Option<Target> {
    let program = fixture_program(name).filter(|_| sampling_works())?;
    Some(Target::stopped(std::process::Command::new(program).args(arguments)))
}

fn lines(text: &str) -> Vec<Vec<String>> {
    text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

/// Everything `shares` says of itself is in the recording.
fn check_shares(recorded: &Recorded) {
    let threads = ["burn-one", "burn-two", "late"];
    let burned = |thread: &str| -> f64 {
        let lines = recorded.truth.iter().filter(|line| line[0] == thread);
        lines.map(|line| number(&line[3])).sum()
    };
    let everything: f64 = threads.iter().map(|thread| burned(thread)).sum();

    for thread in threads {
        let top = recorded.top(&["--thread", thread]);
        let total = burned(thread);
        let mut functions: BTreeMap<&str, f64> = BTreeMap::new();
        for line in recorded.truth.iter().filter(|line| line[0] == thread) {
            *functions.entry(&line[2]).or_default() += number(&line[3]);
            *functions.entry(&line[1]).or_default() += number(&line[3]);
        }
        for (function, nanoseconds) in functions {
            top.expect(function, nanoseconds / total);
        }
    }
    let phase = recorded.top(&["--focus", "phase_hot"]);
    phase.expect("delta", 0.9);
    phase.expect("alpha", 0.1);
    assert_eq!(phase.share("gamma_"), 0.0, "gamma_ is of the other phase");

    // The CPU time as a whole, by the clock of the threads and by the recording.
    let total = recorded.top(&[]).0["total"].as_f64().expect("a number");
    assert!((total / everything - 1.0).abs() < 0.05, "{total} ns recorded, {everything} ns burned");

    let deep = recorded.folded();
    let deep: Vec<&str> = deep.lines().filter(|line| line.contains(";bottom")).collect();
    assert!(!deep.is_empty());
    for line in deep {
        assert_eq!(line.matches(";descend").count(), 40, "{line}");
    }
}

#[test]
fn shares_of_threads_and_phases_attached() {
    let Some(recorded) = Recorded::attached("shares", &["1.5"], &[]) else { return };
    check_shares(&recorded);
    let info = recorded.info();
    assert_eq!((&info["processes"], &info["lost"]), (&1.into(), &0.into()), "{info}");
}

#[test]
fn shares_of_threads_and_phases_launched() {
    let Some(recorded) = Recorded::launched("shares", &["1.5"]) else { return };
    check_shares(&recorded);
}

#[test]
fn shares_with_events_bound_to_tasks() {
    let Some(recorded) = Recorded::attached("shares", &["1.5"], &["--bind", "task"]) else { return };
    check_shares(&recorded);
}

#[test]
fn times_select_a_phase() {
    let Some(recorded) = Recorded::attached("shares", &["1.5"], &[]) else { return };
    // The first phase takes 0.5 s of CPU, and more only when others want the CPU too.
    let early = recorded.top(&["--to", "0.4s", "--thread", "burn-one"]);
    early.expect("phase_warm", 1.0);
    early.expect("beta", 0.3);
    assert_eq!(recorded.top(&["--to", "0.4s"]).share("bottom"), 0.0);
}

fn check_forks(recorded: &Recorded) {
    assert_eq!(recorded.info()["processes"], 4, "{}", recorded.info());
    let top = recorded.top(&[]);
    let folded = recorded.folded();
    for line in &recorded.truth {
        let [pid, comm, function, _] = line.as_slice() else { panic!("unexpected line: {line:?}") };
        top.expect(function, 0.25);
        recorded.top(&["--pid", pid]).expect(function, 1.0);
        let root = format!("{comm};");
        let mut stacks = folded.lines().filter(|stack| stack.contains(&format!(";{function}")));
        assert!(stacks.all(|stack| stack.starts_with(&root)), "{function} should run in {comm}\n{folded}");
    }
}

#[test]
fn a_tree_of_processes() {
    let Some(recorded) = Recorded::attached("forks", &["0.4"], &[]) else { return };
    check_forks(&recorded);
}

#[test]
fn a_tree_of_processes_with_events_bound_to_tasks() {
    let Some(recorded) = Recorded::attached("forks", &["0.4"], &["--bind", "task"]) else { return };
    check_forks(&recorded);
}

#[test]
fn children_are_left_out_when_asked() {
    for bind in ["cpu", "task"] {
        let Some(recorded) = Recorded::attached("forks", &["0.3"], &["--no-children", "--bind", bind]) else { return };
        assert_eq!(recorded.info()["processes"], 1);
        recorded.top(&[]).expect("in_parent", 1.0);
    }
}

fn check_execs(recorded: &Recorded) {
    let top = recorded.top(&[]);
    assert_eq!(recorded.truth.len(), 3, "all three programs have run");
    for stage in 1..=3 {
        let function = format!("stage_{stage}");
        top.expect(&function, 1.0 / 3.0);
        let row = top.row(&function).expect("it has samples");
        assert_eq!(row["module"], format!("execs-{stage}"), "{row}");
    }
    assert_eq!(recorded.info()["processes"], 1);
}

#[test]
fn one_process_three_programs() {
    let Some(recorded) = Recorded::attached("execs-1", &["0.4"], &[]) else { return };
    check_execs(&recorded);
}

#[test]
fn one_process_three_programs_launched() {
    let Some(recorded) = Recorded::launched("execs-1", &["0.4"]) else { return };
    check_execs(&recorded);
}

#[test]
fn libraries_that_come_and_go() {
    let Some(recorded) = Recorded::attached("loads", &["0.5"], &[]) else { return };
    let top = recorded.top(&[]);
    for (library, function) in [("libplugin-first.so", "plugin_first"), ("libplugin-second.so", "plugin_second")] {
        top.expect(function, 0.5);
        assert_eq!(top.row(function).expect("it has samples")["module"], library);
    }
    let addresses: Vec<&String> = recorded.truth.iter().map(|line| &line[3]).collect();
    if addresses[0] != addresses[1] {
        machine::skipped("the second library was not loaded where the first had been");
    }
}

#[test]
fn threads_that_come_and_go() {
    let Some(recorded) = Recorded::attached("churn", &["200"], &[]) else { return };
    let info = recorded.info();
    assert!(info["threads"].as_u64() >= Some(200), "{info}");
    let top = recorded.top(&[]);
    let burned = number(&recorded.truth[0][1]);
    let recorded = top.share("brief") * top.0["total"].as_f64().expect("a number");
    assert!((recorded / burned - 1.0).abs() < 0.1, "{recorded} ns recorded in brief, {burned} ns burned");
}

/// Threads that live for a third of a sample's period: each is met by chance, all of them together for what they burned.
#[test]
fn ten_thousand_threads() {
    let Some(recorded) = Recorded::attached("churn", &["10000", "300"], &[]) else { return };
    let info = recorded.info();
    if info["meta"].to_string().contains("bound to tasks") || info.to_string().contains("bound to tasks") {
        machine::skipped("timers bound to tasks miss threads of 0.3 ms: this needs root or CAP_PERFMON");
        return;
    }
    assert_eq!(info["lost"], 0, "{info}");
    let top = recorded.top(&[]);
    let burned = number(&recorded.truth[0][1]);
    let recorded = top.share("brief") * top.0["total"].as_f64().expect("a number");
    assert!((recorded / burned - 1.0).abs() < 0.1, "{recorded} ns recorded in brief, {burned} ns burned");
    let samples = top.0["samples"].as_u64().expect("a number");
    assert!(info["threads"].as_u64() > Some(samples / 4), "hardly any thread is met twice: {info}");
}

#[test]
fn the_kernels_frames_stand_on_the_callers() {
    let Some(recorded) = Recorded::attached("kernel", &["1.5"], &[]) else { return };
    let top = recorded.top(&[]);
    if top.row("[kernel]").is_some() {
        machine::skipped("the kernel's symbols are not readable");
        return;
    }
    let sums: BTreeMap<&str, f64> = recorded.truth.iter().map(|line| (line[0].as_str(), number(&line[1]))).collect();
    let rows = top.0["rows"].as_array().expect("rows");
    let kernel = rows.iter().filter(|row| row["kind"] == "kernel").filter_map(|row| row["self_share"].as_f64());
    let (kernel, expected) = (kernel.sum::<f64>(), sums["system"] / (sums["user"] + sums["system"]));
    // The kernel itself counts by ticks here.
    assert!((kernel - expected).abs() < 0.1, "{kernel} of the samples in the kernel, {expected} by its own account");
    let asked = top.share("ask");
    assert!(asked >= kernel - 0.02, "{asked} below ask, {kernel} in the kernel");
}

#[test]
fn inlined_functions_by_name_and_line() {
    let Some(recorded) = Recorded::attached("inlined", &["1.0"], &[]) else { return };
    let sums: BTreeMap<&str, f64> = recorded.truth.iter().map(|line| (line[0].as_str(), number(&line[1]))).collect();
    let relax = sums["relax"] / (sums["relax"] + sums["lambda"]);

    let top = recorded.top(&[]);
    for name in ["geometry::Mesh<double, 3>::relax", "smooth<double>", "geometry::weigh"] {
        top.expect(name, relax);
        let file = top.row(name).expect("it has samples")["file"].as_str().expect("its file is known").to_owned();
        assert!(file.ends_with("inlined.cpp"), "{name} is in {file}");
    }
    assert!(top.self_share("geometry::weigh") > relax - 0.05, "the time is in the innermost of the inlined");
    top.expect("geometry::sweep", 1.0 - relax);

    let outer = recorded.top(&["--no-inline"]);
    assert!(outer.row("geometry::weigh").is_none(), "no inlined function is left");
    assert!(outer.self_share("geometry::Mesh<double, 3>::relax") > relax - 0.05);

    let lines = recorded.top(&["--merge-by", "line", "--focus", "geometry::weigh"]);
    let source = include_str!("../../fixtures/programs/inlined.cpp");
    let formula = 1 + source.lines().position(|line| line.contains("value * 0.999999")).expect("it is there");
    let rows = lines.0["rows"].as_array().expect("rows");
    let share = |row: &Value| row["self_share"].as_f64().unwrap_or_default();
    let hot: f64 = rows.iter().filter(|row| row["line"] == formula).map(share).sum();
    assert!(hot > 0.7, "line {formula} has only {hot}: {}", lines.0);
}

#[test]
fn rust_in_both_manglings() {
    for (name, closure) in [("rusty", "rusty::main::{{closure}}"), ("rusty-v0", "rusty::main::{closure#1}")] {
        let Some(recorded) = Recorded::attached(name, &["1.0"], &[]) else { return };
        let top = recorded.top(&[]);
        top.expect("as rusty::Work>::work", 0.5);
        top.expect(closure, 0.5);
        top.expect("rusty::step", 0.5);
        top.expect("rusty::fold", 0.5);
        let outer = recorded.top(&["--no-inline"]);
        let work = "as rusty::Work>::work";
        assert!(outer.self_share(work) > 0.9 * outer.share(work), "{}", outer.0);
        assert!(outer.row("rusty::step").is_none());
    }
}
