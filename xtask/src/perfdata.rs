//! Reading a large perf.data file beside the tools that do the same, in rounds that interleave them.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::shell;

#[derive(Parser)]
#[command(name = "cargo xtask bench perfdata", about = "Time to read a perf.data file, beside perf and samply")]
struct Options {
    /// A file that `perf record` made, of 300 MB or more
    file: PathBuf,
    /// Where perf kept the programs' files by build-id
    #[arg(long)]
    buildid_dir: Option<PathBuf>,
    /// Rounds; each runs every tool once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// This samply instead of the one on the PATH
    #[arg(long, default_value = "samply")]
    samply: PathBuf,
    /// This inferno-collapse-perf instead of the one on the PATH
    #[arg(long, default_value = "inferno-collapse-perf")]
    inferno: PathBuf,
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
    let options = Options::parse_from([&["perfdata".to_owned()], arguments].concat());
    let burnmark = shell::burnmark(root, None)?.display().to_string();
    let file = options.file.canonicalize().with_context(|| format!("{} is not there", options.file.display()))?;
    let bytes = file.metadata()?.len();
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
    let file = quoted(&file);
    let cache = options.buildid_dir.as_deref().map(|dir| format!(" --buildid-dir {}", quoted(dir))).unwrap_or_default();
    let (samply, inferno) = (quoted(&options.samply), quoted(&options.inferno));
    let top = format!("{burnmark} top --json {file}{cache}");
    let jobs = [
        ("burnmark, with inlines", top.clone()),
        ("burnmark, without inlines", format!("{top} --no-inline")),
        ("samply import --save-only (no symbols)", format!("{samply} import --save-only -o /dev/null {file}")),
        ("perf script --no-inline | inferno", format!("perf script --no-inline -i {file} | {inferno}")),
    ];
    let mut times = vec![Vec::new(); jobs.len()];
    for _ in 0..options.rounds {
        for ((_, job), times) in jobs.iter().zip(&mut times) {
            times.push(seconds(job)?);
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let medians: Vec<f64> = times.iter_mut().map(median).collect();
    println!("{} MB, medians of {} rounds", bytes / 1_000_000, options.rounds);
    for ((name, _), median) in jobs.iter().zip(&medians) {
        let rate = bytes as f64 / median / 1e6;
        println!("{median:8.2} s {rate:7.0} MB/s {:6.2} × burnmark with inlines  {name}", median / medians[0]);
    }
    if options.perf_inlines > 0 {
        let samples = samples(&burnmark, &file)?;
        let limit = Duration::from_secs(options.perf_inlines);
        let written = written(&format!("exec perf script -F comm,tid,time,ip,sym -i {file}"), limit)?;
        let whole = options.perf_inlines as f64 * samples as f64 / written.max(1) as f64;
        println!("perf script with inlines wrote {written} of {samples} samples in {} s:", options.perf_inlines);
        println!("{whole:8.0} s for all of them, {:.0} × burnmark with inlines", whole / medians[0]);
    }
    let bounded = seconds(&format!("prlimit --data={} {top}", options.memory));
    println!("with {} bytes of memory: {}", options.memory, if bounded.is_ok() { "it succeeds" } else { "it fails" });
    Ok(bounded.is_ok())
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
