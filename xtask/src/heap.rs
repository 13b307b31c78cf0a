//! Reading large heap snapshots beside the engine of Chrome DevTools, which computes the same numbers, in rounds that
//! interleave the two; and whether it can be done with no more memory than the file is large.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use crate::shell;

#[derive(Parser)]
#[command(name = "cargo xtask bench heap", about = "Time to read heap snapshots, beside Chrome DevTools' engine")]
struct Options {
    /// Heap snapshots, uncompressed: v8.writeHeapSnapshot() of a program with much in memory
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Rounds; each runs both once
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where fixtures/heap/devtools.sh has built the engine [default: built now, in target/fixtures/devtools]
    #[arg(long)]
    engine: Option<PathBuf>,
    /// This node instead of the one on the PATH
    #[arg(long, default_value = "node")]
    node: PathBuf,
}

/// The phases that the example prints, and how long each took.
type Phases = Vec<(String, f64)>;

/// Runs the benchmark; false when a file can't be read within memory of its own size.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<bool> {
    let options = Options::parse_from([&["heap".to_owned()], arguments].concat());
    let build = ["build", "--release", "-p", "burnmark-heap", "--example", "nodes"];
    if !shell::succeeds(shell::cargo(root, &build))? {
        return Ok(false);
    }
    let engine = match &options.engine {
        Some(engine) => engine.canonicalize().with_context(|| format!("{} is not there", engine.display()))?,
        None => {
            let folder = root.join("target/fixtures/devtools");
            let name = folder.display().to_string();
            ensure!(
                shell::succeeds(shell::command(root, "fixtures/heap/devtools.sh", &[&name]))?,
                "no engine was built"
            );
            folder
        }
    };
    let mut fits = true;
    for file in &options.files {
        let file = file.canonicalize().with_context(|| format!("{} is not there", file.display()))?;
        fits &= one(root, &options, &engine, &file)?;
    }
    Ok(fits)
}

fn one(root: &Path, options: &Options, engine: &Path, file: &Path) -> Result<bool> {
    // Once, so that the first round does not wait for the disk.
    let bytes = std::io::copy(&mut std::fs::File::open(file)?, &mut std::io::sink())?;
    let nodes = root.join("target/release/examples/nodes");
    let ours = || {
        let mut command = Command::new(&nodes);
        command.arg("--times").arg(file);
        command
    };
    let theirs = || {
        let mut command = Command::new(&options.node);
        command.args(["--max-old-space-size=20000", "devtools.mjs", "/dev/null"]).arg(file);
        command.current_dir(engine).env("NODES", "");
        command
    };
    let (mut our_times, mut their_times, mut their_own) = (Vec::new(), Vec::new(), Vec::new());
    let mut phases: Vec<Phases> = Vec::new();
    for round in 0..options.rounds.max(1) {
        let run = timed(ours())?;
        our_times.push(run.seconds);
        phases.push(read_phases(&run.stdout)?);
        let run = timed(theirs())?;
        their_times.push(run.seconds);
        their_own.push(own_time(&run.stderr)?);
        eprintln!("  round {}: {:.3} s, DevTools {:.3} s", round + 1, our_times[round], their_times[round]);
    }
    let (our_time, their_time) = (median(our_times.clone()), median(their_times.clone()));
    println!("{}: {} MB, medians of {} rounds", file.display(), bytes / 1_000_000, our_times.len());
    for (index, (name, _)) in phases[0].iter().enumerate() {
        let time = median(phases.iter().filter_map(|phases| phases.get(index)).map(|(_, time)| *time).collect());
        println!("  {time:8.3} s  {name}");
    }
    println!("  {our_time:8.3} s  whole process");
    println!(
        "  {their_time:8.3} s  Chrome DevTools' engine, whole process: {:.1} times as long",
        their_time / our_time
    );
    let their_own = median(their_own);
    println!(
        "  {their_own:8.3} s  of that, what it takes to read by its own clock: {:.1} times as long",
        their_own / our_time
    );
    let pairs = our_times.iter().zip(&their_times).map(|(ours, theirs)| theirs / ours);
    println!("  {:8.1} times as long in the median of pairs", median(pairs.collect()));
    let mut bounded = Command::new("prlimit");
    bounded.arg(format!("--data={bytes}")).arg(&nodes).arg("--times").arg(file);
    let fits = timed(bounded).is_ok();
    println!("  with {bytes} bytes of memory (prlimit --data): {}", if fits { "it succeeds" } else { "it fails" });
    Ok(fits)
}

/// A process that has ended.
struct Run {
    seconds: f64,
    stdout: String,
    stderr: String,
}

/// Runs a command to its end.
fn timed(mut command: Command) -> Result<Run> {
    let started = Instant::now();
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let seconds = started.elapsed().as_secs_f64();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    if !output.status.success() {
        bail!("{command:?} failed: {stderr}");
    }
    Ok(Run { seconds, stdout, stderr })
}

/// Reads `FILE: 5 nodes, 123 ms`, in seconds.
fn own_time(text: &str) -> Result<f64> {
    let time = text.lines().rev().find_map(|line| line.strip_suffix(" ms")?.rsplit_once(' ')?.1.parse::<f64>().ok());
    Ok(time.with_context(|| format!("the engine told no time: {text}"))? / 1_000.0)
}

/// Reads `name 0.123 s, name 0.456 s` behind the last colon.
fn read_phases(text: &str) -> Result<Phases> {
    let (_, list) = text.trim().rsplit_once(": ").context("the example printed no times")?;
    let phase = |text: &str| {
        let (name, time) = text.strip_suffix(" s")?.rsplit_once(' ')?;
        Some((name.to_owned(), time.parse().ok()?))
    };
    list.split(", ").map(|text| phase(text).with_context(|| format!("`{text}` is no time"))).collect()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    if numbers.len() % 2 == 1 { numbers[middle] } else { (numbers[middle - 1] + numbers[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_read() {
        let phases =
            read_phases("a: b.heapsnapshot: 3 nodes, 4 edges: parse 0.125 s, all of it 2.000 s\n").expect("times");
        assert_eq!(phases, [("parse".to_owned(), 0.125), ("all of it".to_owned(), 2.0)]);
        assert!(read_phases("nothing").is_err());
        assert_eq!(own_time("a\nb.heapsnapshot: 3 nodes, 1250 ms\n").expect("a time"), 1.25);
        assert!(own_time("nothing").is_err());
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0])), (2.0, 2.5));
    }
}
