//! Reading a large perf.data file beside the tools that do the same, in rounds that interleave them.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::shell;

#[derive(Parser)]
#[command(name = "cargo xtask bench perfdata", about = "Time to read perf.data files, beside perf and samply")]
struct Options {
    /// Files that `perf record` made, of 300 MB or more
    #[arg(required_unless_present = "make")]
    files: Vec<PathBuf>,
    /// Records the files to read into this folder first, if they are not there: ripgrep with debug information and
    /// copied stacks, burnmark with frame pointers. It takes 2 GB and some minutes, and needs perf and the network
    #[arg(long, conflicts_with = "files")]
    make: Option<PathBuf>,
    /// Where perf kept the programs' files by build-id
    #[arg(long)]
    buildid_dir: Option<PathBuf>,
    /// Rounds after the first; each runs every tool once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Of these rounds, those in which perf script runs, too: it takes long
    #[arg(long, default_value_t = 2)]
    perf_rounds: usize,
    /// This burnmark instead of one that is built for it
    #[arg(long, requires = "stacks")]
    burnmark: Option<PathBuf>,
    /// The program `stacks` (an example of burnmark-native) built with it
    #[arg(long, requires = "burnmark")]
    stacks: Option<PathBuf>,
    /// This samply instead of the one on the PATH
    #[arg(long, default_value = "samply")]
    samply: PathBuf,
    /// This inferno-collapse-perf instead of the one on the PATH
    #[arg(long, default_value = "inferno-collapse-perf")]
    inferno: PathBuf,
    /// Leave the others out
    #[arg(long)]
    alone: bool,
    /// Most bytes of memory burnmark may take in the last run
    #[arg(long, default_value_t = 400_000_000)]
    memory: u64,
    /// Seconds that perf script may take with inlines; what it would take for the whole file follows from the samples
    /// that it wrote in these. 0 leaves it out
    #[arg(long, default_value_t = 0)]
    perf_inlines: u64,
}

/// Runs the benchmark; false when burnmark fails under the bound on its memory.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<bool> {
    let mut options = Options::parse_from([&["perfdata".to_owned()], arguments].concat());
    let burnmark = shell::burnmark(root, options.burnmark.as_deref())?;
    let stacks = match options.stacks.take() {
        Some(stacks) => stacks,
        None => {
            let example = ["build", "--release", "-p", "burnmark-native", "--example", "stacks"];
            ensure!(shell::succeeds(shell::cargo(root, &example))?, "the example does not build");
            root.join("target/release/examples/stacks")
        }
    };
    if let Some(folder) = options.make.take() {
        options.files = make(root, &folder, &burnmark)?;
        options.buildid_dir.get_or_insert(folder.join("buildid"));
    }
    let mut succeeds = true;
    for file in &options.files {
        let file = file.canonicalize().with_context(|| format!("{} is not there", file.display()))?;
        succeeds &= compare(&burnmark, &stacks, &file, &options)?;
    }
    Ok(succeeds)
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

/// Times all tools on one file.
fn compare(burnmark: &Path, stacks: &Path, file: &Path, options: &Options) -> Result<bool> {
    let bytes = file.metadata()?.len();
    let (file, burnmark, stacks) = (quoted(file), quoted(burnmark), quoted(stacks));
    let folder = options.buildid_dir.as_deref().map(quoted);
    let cache = folder.as_ref().map(|folder| format!(" --buildid-dir {folder}")).unwrap_or_default();
    let (samply, inferno) = (quoted(&options.samply), quoted(&options.inferno));
    let top = format!("{burnmark} top --json {file}{cache}");
    let jobs = [
        ("burnmark top, with inlines", top.clone()),
        ("burnmark, decoding and unwinding alone", format!("{stacks} {file} {}", folder.unwrap_or_default())),
        ("samply import --save-only (no symbols)", format!("{samply} import --save-only -o /dev/null {file}")),
        ("perf script --no-inline | inferno", format!("perf{cache} script --no-inline -i {file} | {inferno}")),
    ];
    let mut times = vec![Vec::new(); jobs.len()];
    for round in 0..=options.rounds {
        for ((name, job), times) in jobs.iter().zip(&mut times) {
            let is_left_out = options.alone && !name.starts_with("burnmark");
            if is_left_out || (name.starts_with("perf") && round > options.perf_rounds) {
                continue;
            }
            if round == 0 {
                // Reads nothing, and says that what is cached of the file is not needed.
                seconds(&format!("dd if={file} iflag=nocache count=0"))?;
            }
            times.push(seconds(job)?);
        }
    }
    println!(
        "{file}: {} MB; seconds of the first round, the file not cached; of the next: best, median",
        bytes / 1_000_000
    );
    let median = |times: &[f64]| times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
    let mut base = f64::NAN;
    for ((name, _), times) in jobs.iter().zip(&mut times) {
        if times.is_empty() {
            continue;
        }
        let first = times.remove(0);
        times.sort_by(f64::total_cmp);
        let (best, median) = (times.first().copied().unwrap_or(f64::NAN), median(times));
        base = if base.is_nan() { median } else { base };
        let (rate, ratio) = (bytes as f64 / median / 1e6, median / base);
        println!("{first:8.2} {best:8.2} {median:8.2} {rate:7.0} MB/s {ratio:6.2} × burnmark top  {name}");
    }
    if options.perf_inlines > 0 {
        let samples = samples(&burnmark, &file)?;
        let limit = Duration::from_secs(options.perf_inlines);
        let started = Instant::now();
        let written = written(&format!("exec perf{cache} script -F comm,tid,time,ip,sym -i {file}"), limit)?;
        let took = started.elapsed().as_secs_f64();
        let whole = took * samples as f64 / written.max(1) as f64;
        println!("perf script with inlines wrote {written} of {samples} samples in {took:.1} s:");
        println!("{whole:8.0} s for all of them, {:.0} × burnmark top", whole / base);
    }
    let bounded = seconds(&format!("prlimit --data={} {top}", options.memory));
    println!("with {} bytes of memory: {}\n", options.memory, if bounded.is_ok() { "it succeeds" } else { "it fails" });
    Ok(bounded.is_ok())
}

const RIPGREP: &str = "15.2.0";

/// Records the files to read; those that are there stay.
fn make(root: &Path, folder: &Path, burnmark: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    let rg = folder.join("rg/bin/rg");
    if !rg.exists() {
        let mut install = shell::cargo(root, &["install", "ripgrep", "--locked", "--version", RIPGREP, "--root"]);
        install.arg(folder.join("rg")).env("CARGO_PROFILE_RELEASE_DEBUG", "true");
        ensure!(shell::succeeds(install)?, "ripgrep can't be built");
    }
    let sources = "\"${CARGO_HOME:-$HOME/.cargo}/registry/src\"";
    let searches = [
        "-n -i --no-mmap '(\\w+)\\s+(impl|unsafe|struct)\\s+\\w*[aeiou]{2}\\w+'",
        "-c 'fn \\w+<'",
        "--json 'struct|enum'",
    ];
    let search = searches.map(|search| format!("{} {search} {sources}; ", quoted(&rg))).concat();
    let copied = folder.join("rg-dwarf.data");
    record(&folder, &copied, "-F 2500 --call-graph dwarf", (&search, 8), 500_000_000)?;
    // A program that perf has seen stays where it was.
    let reader = folder.join("burnmark");
    if !reader.exists() {
        std::fs::copy(burnmark, &reader)?;
    }
    let read = format!("{} top --json {}; ", quoted(&reader), quoted(&copied));
    let pointers = folder.join("burnmark-fp.data");
    record(&folder, &pointers, "-F 30000 --call-graph fp", (&read, 32), 300_000_000)?;
    Ok(vec![copied, pointers])
}

/// Records a job, done so many times, into a file of so many bytes at least: if it comes out smaller, the job is done
/// more often. A file that is large enough stays.
fn record(folder: &Path, to: &Path, options: &str, (job, times): (&str, usize), least: u64) -> Result<()> {
    let cache = folder.join("buildid");
    let size = || to.metadata().map_or(0, |metadata| metadata.len());
    let perf = format!("perf --buildid-dir {} record -q -e cpu-clock {options}", quoted(&cache));
    for times in [times, times * 2, times * 4] {
        if size() >= least {
            break;
        }
        let job = quoted(Path::new(&format!("{{ {} }} > /dev/null 2>&1", job.repeat(times))));
        seconds(&format!("{perf} -o {} -- sh -c {job}", quoted(to)))?;
    }
    ensure!(size() >= least, "{} has only {} bytes: fewer than {least}", to.display(), size());
    Ok(())
}

/// Samples in a file.
fn samples(burnmark: &str, file: &str) -> Result<u64> {
    let output = Command::new("sh").args(["-c", &format!("{burnmark} info --json {file}")]).output()?;
    let info: serde_json::Value = serde_json::from_slice(&output.stdout).context("`burnmark info` fails")?;
    info["samples"].as_u64().context("`burnmark info` counts no samples")
}

/// How many samples perf script writes within a time: each ends with an empty line.
fn written(job: &str, limit: Duration) -> Result<u64> {
    let mut command = Command::new("sh");
    command.args(["-c", job]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().context("cannot start a shell")?;
    let output = child.stdout.take().context("it has no output")?;
    let counting = std::thread::spawn(move || {
        let lines = std::io::BufReader::new(output).split(b'\n').map_while(Result::ok);
        lines.filter(|line| line.is_empty()).count() as u64
    });
    let started = Instant::now();
    while started.elapsed() < limit && child.try_wait()?.is_none() {
        std::thread::sleep(Duration::from_millis(50));
    }
    // It has ended, or is to.
    let _ = child.kill();
    child.wait()?;
    Ok(counting.join().unwrap_or_default())
}

/// How long a command takes, output dropped.
fn seconds(job: &str) -> Result<f64> {
    let mut command = Command::new("sh");
    command.args(["-c", job]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status().context("cannot start a shell")?;
    ensure!(status.success(), "`{job}` failed");
    Ok(started.elapsed().as_secs_f64())
}
