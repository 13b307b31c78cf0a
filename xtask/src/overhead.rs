//! What a recorder costs the program it samples: a throw-away PostgreSQL under pgbench, with and without recorders
//! attached, in rounds that interleave all of them, so that a machine that changes meanwhile changes for all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};

use crate::shell;

/// The port of the database's socket; nothing listens on the network.
const PORT: &str = "5499";

/// So long after its start a recorder is at work.
const WARM_UP: Duration = Duration::from_secs(2);

#[derive(Parser)]
#[command(name = "cargo xtask bench overhead", about = "Throughput of a database while recorders sample it")]
struct Options {
    /// Rounds; each runs every mode once
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Seconds of load in each run
    #[arg(long, default_value_t = 6)]
    seconds: u32,
    /// What to measure [default: all whose programs are installed]
    #[arg(long, value_delimiter = ',')]
    modes: Vec<Mode>,
    /// This samply instead of the one on the PATH
    #[arg(long, default_value = "samply")]
    samply: PathBuf,
    /// This burnmark instead of the one built from the checkout
    #[arg(long)]
    burnmark: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// No recorder: what the others are compared with
    None,
    /// burnmark as it comes, unwinding by tables
    Burnmark,
    /// burnmark with events bound to tasks, as without privileges
    BurnmarkTask,
    /// burnmark following frame pointers
    BurnmarkFp,
    /// perf record --call-graph dwarf of the process
    Perf,
    /// perf record --call-graph dwarf of the machine
    PerfAll,
    /// perf record of the machine without stacks: hardly more than the timer's interrupts, which any recorder needs
    PerfTimer,
    /// samply record
    Samply,
}

impl Mode {
    fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
    }
}

/// One run of one mode.
struct Run {
    mode: Mode,
    transactions_per_second: f64,
    recorder: Option<Recorder>,
}

/// What a recorder took.
struct Recorder {
    /// CPU seconds until it was told to end.
    recording_cpu_s: f64,
    /// CPU seconds until it had ended.
    all_cpu_s: f64,
    peak_kb: u64,
    file_bytes: u64,
    /// What it said of samples and losses.
    said: String,
}

/// Runs the rounds and prints a table; false when a mode failed.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<bool> {
    let options = Options::parse_from(std::iter::once("overhead".to_owned()).chain(arguments.iter().cloned()));
    let burnmark = shell::burnmark(root, options.burnmark.as_deref())?;
    let modes = if options.modes.is_empty() { available(&options) } else { options.modes.clone() };
    let folder = std::env::temp_dir().join(format!("burnmark-overhead-{}", std::process::id()));
    let database = Database::start(&folder)?;
    let mut runs = Vec::new();
    for round in 0..options.rounds {
        // Each round begins with another mode: none always follows the same one.
        for at in 0..modes.len() {
            let mode = modes[(round + at) % modes.len()];
            let run = measure(mode, &options, &burnmark, &database)
                .with_context(|| format!("round {}, {}", round + 1, mode.name()))?;
            let said = run.recorder.as_ref().map_or("", |recorder| &recorder.said);
            eprintln!("round {} {:14} {:9.0} tps  {said}", round + 1, mode.name(), run.transactions_per_second);
            runs.push((round, run));
        }
    }
    drop(database);
    println!("{}", table(&modes, &runs));
    Ok(true)
}

fn available(options: &Options) -> Vec<Mode> {
    let mut modes = vec![Mode::None, Mode::Burnmark, Mode::BurnmarkTask, Mode::BurnmarkFp];
    if shell::on_path("perf") {
        modes.extend([Mode::Perf, Mode::PerfAll, Mode::PerfTimer]);
    }
    if options.samply.is_file() || shell::on_path(&options.samply.to_string_lossy()) {
        modes.push(Mode::Samply);
    }
    modes
}

/// A PostgreSQL of its own, ended and removed when dropped.
struct Database {
    folder: PathBuf,
    programs: PathBuf,
    postmaster: String,
}

impl Database {
    fn start(folder: &Path) -> Result<Self> {
        let programs = programs().context("PostgreSQL is not installed: apt-get install postgresql")?;
        ensure!(shell::on_path("pgbench"), "pgbench is not installed: apt-get install postgresql-contrib");
        fs::create_dir_all(folder)?;
        if is_root() {
            shell::output(shell::command(folder, "chown", &["postgres", "."]))?;
        }
        let mut database = Self { folder: folder.to_owned(), programs, postmaster: String::new() };
        let data = folder.join("data").to_string_lossy().into_owned();
        shell::output(database.tool("initdb", &["-D", &data, "-A", "trust"]))?;
        let settings = format!(
            "\nport={PORT}\nunix_socket_directories='{}'\nlisten_addresses=''\nshared_buffers=512MB\nfsync=off\n\
             synchronous_commit=off\nautovacuum=off\n",
            folder.display()
        );
        let file = folder.join("data/postgresql.conf");
        fs::write(&file, fs::read_to_string(&file)? + &settings)?;
        let log = folder.join("log").to_string_lossy().into_owned();
        // Its output would keep our pipe open.
        let mut start = database.tool("pg_ctl", &["-w", "-D", &data, "-l", &log, "start"]);
        ensure!(start.stdout(Stdio::null()).status()?.success(), "PostgreSQL does not start, see {log}");
        shell::output(database.client("createdb", &["bench"]))?;
        shell::output(database.client("pgbench", &["-q", "-i", "-s", "20", "bench"]))?;
        let pid = fs::read_to_string(folder.join("data/postmaster.pid"))?;
        database.postmaster = pid.lines().next().unwrap_or_default().to_owned();
        Ok(database)
    }

    /// One of PostgreSQL's programs, as a user that it accepts.
    fn tool(&self, name: &str, arguments: &[&str]) -> Command {
        let program = self.programs.join(name);
        let program = if program.is_file() { program } else { name.into() };
        if !is_root() {
            return shell::command(&self.folder, program, arguments);
        }
        let mut command =
            shell::command(&self.folder, "setpriv", &["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        command.arg(program).args(arguments);
        command
    }

    fn client(&self, name: &str, arguments: &[&str]) -> Command {
        let socket = self.folder.to_string_lossy().into_owned();
        self.tool(name, &[&["-h", &socket, "-p", PORT], arguments].concat())
    }

    /// Transactions per second of so many seconds of load.
    fn load(&self, seconds: u32) -> Result<f64> {
        let seconds = seconds.to_string();
        let arguments = ["-S", "-c", "4", "-j", "1", "-T", &seconds, "bench"];
        let text = String::from_utf8(shell::output(self.client("pgbench", &arguments))?)?;
        let line = text.lines().find_map(|line| line.strip_prefix("tps = ")).context("pgbench names no tps")?;
        Ok(line.split(' ').next().unwrap_or_default().parse()?)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let data = self.folder.join("data").to_string_lossy().into_owned();
        let mut stop = self.tool("pg_ctl", &["-m", "immediate", "-D", &data, "stop"]);
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The folder of PostgreSQL's server programs, which Debian keeps off the PATH.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    let folder = folders.pop().filter(|folder| folder.join("initdb").is_file());
    folder.or_else(|| shell::on_path("initdb").then(PathBuf::new))
}

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("\nUid:\t0\t"))
}

fn measure(mode: Mode, options: &Options, burnmark: &Path, database: &Database) -> Result<Run> {
    let (file, log) = (database.folder.join("recording"), database.folder.join("log.txt"));
    let _ = fs::remove_file(&file);
    let Some(mut command) = recorder(mode, options, burnmark, &database.postmaster, &file) else {
        let transactions_per_second = database.load(options.seconds)?;
        return Ok(Run { mode, transactions_per_second, recorder: None });
    };
    let output = fs::File::create(&log)?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).current_dir(&database.folder);
    let mut child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    std::thread::sleep(WARM_UP);
    let said = || fs::read_to_string(&log).unwrap_or_default();
    if let Some(status) = child.try_wait()? {
        bail!("the recorder has ended ({status}): {}", said());
    }
    let transactions_per_second = database.load(options.seconds)?;
    let recording_cpu_s = cpu_seconds(&child).context("the recorder has ended")?;
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let peak_kb = peak.split_whitespace().next().and_then(|kb| kb.parse().ok()).unwrap_or(0);
    shell::output(shell::command(&database.folder, "kill", &["-s", "INT", &child.id().to_string()]))?;
    let all_cpu_s = cpu_until_end(&mut child)?;
    let said = said();
    let file_bytes =
        fs::metadata(&file).or_else(|_| fs::metadata(file.with_extension("pb.gz"))).map_or(0, |meta| meta.len());
    let said = said.lines().find(|line| line.contains("samples of") || line.contains("samples)")).unwrap_or_default();
    let recorder = Recorder { recording_cpu_s, all_cpu_s, peak_kb, file_bytes, said: said.trim().to_owned() };
    Ok(Run { mode, transactions_per_second, recorder: Some(recorder) })
}

/// The recorder of a mode, attached to the database at 999 Hz.
fn recorder(mode: Mode, options: &Options, burnmark: &Path, pid: &str, file: &Path) -> Option<Command> {
    let file = file.to_string_lossy().into_owned();
    let recording = format!("{file}.pb.gz");
    let ours = ["record", "-F", "999", "--limit", "5", "-p", pid, "-o", &recording];
    let perf = ["record", "-N", "-e", "cpu-clock", "-F", "999", "-o", &file];
    let mut command = Command::new(match mode {
        Mode::None => return None,
        Mode::Burnmark | Mode::BurnmarkTask | Mode::BurnmarkFp => burnmark,
        Mode::Perf | Mode::PerfAll | Mode::PerfTimer => Path::new("perf"),
        Mode::Samply => Path::new("unshare"),
    });
    match mode {
        Mode::BurnmarkTask => command.args(ours).args(["--bind", "task"]),
        Mode::BurnmarkFp => command.args(ours).args(["--call-graph", "fp"]),
        Mode::Perf => command.args(perf).args(["--call-graph", "dwarf", "-p", pid]),
        Mode::PerfAll => command.args(perf).args(["--call-graph", "dwarf", "-a"]),
        Mode::PerfTimer => command.args(perf).arg("-a"),
        Mode::None | Mode::Burnmark => command.args(ours),
        Mode::Samply => {
            // samply refuses machines without a cycles event if this file says 2, whoever runs it: in a mount namespace
            // of its own it reads another. The machine's setting stays as it is.
            let script = "echo 1 > \"$0.paranoid\" && mount --bind \"$0.paranoid\" /proc/sys/kernel/perf_event_paranoid \
                          && exec \"$1\" record --save-only --rate 999 -o \"$0\" -p \"$2\"";
            command.args(["-m", "sh", "-c", script, &file]).arg(&options.samply).arg(pid)
        }
    };
    Some(command)
}

/// User and system time of a process so far.
fn cpu_seconds(child: &Child) -> Option<f64> {
    stat(child).map(|(_, seconds)| seconds)
}

/// The same when it has ended, before it is reaped.
fn cpu_until_end(child: &mut Child) -> Result<f64> {
    let (started, mut last) = (Instant::now(), 0.0);
    while let Some((state, seconds)) = stat(child) {
        last = seconds;
        if state == 'Z' {
            break;
        }
        if started.elapsed() > Duration::from_secs(300) {
            child.kill()?;
            bail!("the recorder does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait()?;
    Ok(last)
}

/// State and CPU time from `/proc/PID/stat`, in ticks of a hundredth of a second on every Linux.
fn stat(child: &Child) -> Option<(char, f64)> {
    let text = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some((fields.first()?.chars().next()?, ticks / 100.0))
}

/// Medians; throughput as a share of that of the same round without a recorder.
fn table(modes: &[Mode], runs: &[(usize, Run)]) -> String {
    let baseline = |round: usize| {
        let same = runs.iter().find(|(other, run)| *other == round && run.mode == Mode::None);
        same.map(|(_, run)| run.transactions_per_second)
    };
    let mut text = String::from(
        "| | tps | against none, paired median (lowest–highest) | recording CPU s | whole CPU s | peak MB | file MB |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for &mode in modes {
        let of_mode: Vec<&(usize, Run)> = runs.iter().filter(|(_, run)| run.mode == mode).collect();
        let tps = median(of_mode.iter().map(|(_, run)| run.transactions_per_second));
        let paired = |(round, run): &&(usize, Run)| Some(run.transactions_per_second / baseline(*round)?);
        let mut ratios: Vec<f64> = of_mode.iter().filter_map(paired).collect();
        ratios.sort_by(f64::total_cmp);
        let paired = match (ratios.first(), ratios.last()) {
            (Some(low), Some(high)) => format!("{:.3} ({low:.3}–{high:.3})", median(ratios.iter().copied())),
            _ => "not measured".to_owned(),
        };
        let of_recorder = |value: fn(&Recorder) -> f64, digits: usize| {
            let values: Vec<f64> = of_mode.iter().filter_map(|(_, run)| run.recorder.as_ref().map(value)).collect();
            if values.is_empty() { String::new() } else { format!("{:.digits$}", median(values.into_iter())) }
        };
        text += &format!(
            "| {} | {tps:.0} | {paired} | {} | {} | {} | {} |\n",
            mode.name(),
            of_recorder(|recorder| recorder.recording_cpu_s, 2),
            of_recorder(|recorder| recorder.all_cpu_s, 2),
            of_recorder(|recorder| recorder.peak_kb as f64 / 1e3, 0),
            of_recorder(|recorder| recorder.file_bytes as f64 / 1e6, 2),
        );
    }
    text
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => (values[even / 2 - 1] + values[even / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_is_compared_within_rounds() {
        let run = |mode, transactions_per_second| Run { mode, transactions_per_second, recorder: None };
        let runs = [
            (0, run(Mode::None, 100.0)),
            (0, run(Mode::Burnmark, 95.0)),
            // The machine became half as fast.
            (1, run(Mode::None, 50.0)),
            (1, run(Mode::Burnmark, 48.0)),
        ];
        let table = table(&[Mode::None, Mode::Burnmark], &runs);
        assert!(table.contains("| burnmark | 72 | 0.955 (0.950–0.960) |"), "{table}");
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
    }
}
