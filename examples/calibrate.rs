//! How often `burnmark diff` raises a false alarm, and whether it finds what was planted: on real recordings.
//!
//! ```text
//! calibrate BURNMARK PROGRAMS FOLDER [--full] [--minutes N]
//! ```
//!
//! `cargo xtask calibrate` builds what this needs and runs it. First all recordings are made, then they are judged; this
//! prints the tables of benches/README.md. With `--minutes` recordings are made for that long at most, and the next
//! call goes on with what is in the folder: with all of them there it only judges.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use burnmark_analysis::MergeBy;
use burnmark_analysis::diff::{DiffOptions, Reduced, diff, reduce};
use burnmark_formats::{Input, ReadOptions};
use burnmark_model::{Profile, Sample};

/// Pieces that a recording is cut into for resampling; a resampled run is made of half as many.
const PIECES: usize = 40;

/// How much is done.
struct Plan {
    /// Resampled pairs of each program.
    resampled: usize,
    /// Pairs really run of each program.
    run: usize,
    /// Comparisons with something planted, of each size.
    planted: usize,
    /// Seconds of the recording that is resampled, and of a run.
    seconds: [f64; 2],
}

struct Setup {
    burnmark: PathBuf,
    programs: PathBuf,
    folder: PathBuf,
}

/// A recording, or a folder of them, and the arguments of burnmark that make it.
struct Wanted {
    path: PathBuf,
    words: Vec<String>,
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [burnmark, programs, folder, rest @ ..] = &words[..] else {
        bail!("usage: calibrate BURNMARK PROGRAMS FOLDER [--full] [--minutes N]");
    };
    let mut plan = Plan { resampled: 100, run: 3, planted: 1, seconds: [6.0, 1.0] };
    let mut until = None;
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        match (word.as_str(), &until) {
            ("--full", _) => plan = Plan { resampled: 100, run: 20, planted: 10, seconds: [60.0, 3.0] },
            ("--minutes", None) => {
                let minutes: f64 = rest.next().context("--minutes needs a number")?.parse()?;
                until = Some(Instant::now() + Duration::try_from_secs_f64(minutes * 60.0)?);
            }
            (other, _) => bail!("{other} is not understood"),
        }
    }
    let setup = Setup { burnmark: burnmark.into(), programs: programs.into(), folder: folder.into() };
    if until.is_none() && setup.folder.exists() {
        std::fs::remove_dir_all(&setup.folder).context("cannot remove the recordings of before")?;
    }
    std::fs::create_dir_all(&setup.folder)?;
    let wanted = wanted(&setup, &plan);
    for (index, recording) in wanted.iter().enumerate().filter(|(_, wanted)| !wanted.path.exists()) {
        if until.is_some_and(|until| Instant::now() > until) {
            println!("{index} of {} recordings are there: the next call goes on", wanted.len());
            return Ok(());
        }
        make(&setup, recording)?;
    }
    judge(&setup, &plan)
}

/// Prints both tables.
fn judge(setup: &Setup, plan: &Plan) -> Result<()> {
    println!("| A/A | pairs | with an alarm | | at most |\n|---|--:|--:|--:|--:|");
    let (mut resampled, mut run) = ([0, 0], [0, 0]);
    for (name, _) in programs_with_phases(setup, plan) {
        let alarms = resampled_alarms(setup, plan, name)?;
        print_row(&format!("{name}, resampled"), plan.resampled, alarms, "");
        resampled = [resampled[0] + plan.resampled, resampled[1] + alarms];
        let alarms = run_alarms(setup, plan, name)?;
        print_row(&format!("{name}, run"), plan.run, alarms, "");
        run = [run[0] + plan.run, run[1] + alarms];
    }
    print_row("all resampled", resampled[0], resampled[1], "6 %");
    print_row("all run", run[0], run[1], "7 of 60");
    println!("\n| planted, % of run time | trials | found | interval covers the truth | mean interval, % | truth, % |");
    println!("|--:|--:|--:|--:|---|--:|");
    PLANTED.iter().try_for_each(|percent| planted(setup, plan, *percent))
}

/// What is planted, in percent of the run time.
const PLANTED: [u32; 3] = [2, 5, 10];

/// The recording that is resampled, and those of the pairs.
fn long_path(setup: &Setup, program: &str) -> PathBuf {
    setup.folder.join(format!("{}-long.pb.gz", program.replace(' ', "-")))
}

fn run_path(setup: &Setup, program: &str, pair: usize, side: usize) -> PathBuf {
    setup.folder.join(format!("{}-{pair}-{side}.pb.gz", program.replace(' ', "-")))
}

/// The folder of a comparison.
fn planted_path(setup: &Setup, percent: u32, trial: usize) -> PathBuf {
    setup.folder.join(format!("planted-{percent}-{trial}"))
}

/// All recordings, in the order in which they are made: the programs in turn, so that what the machine does meanwhile
/// hits all of them.
fn wanted(setup: &Setup, plan: &Plan) -> Vec<Wanted> {
    let record = |path: PathBuf, command: &[String]| {
        let words = ["record", "-F", "999", "-o"].map(str::to_owned).to_vec();
        let words = [words, vec![partial(&path).display().to_string(), "--".to_owned()], command.to_vec()].concat();
        Wanted { path, words }
    };
    let programs = programs_with_phases(setup, plan);
    let mut wanted: Vec<Wanted> =
        programs.iter().map(|(name, words)| record(long_path(setup, name), &words[0])).collect();
    for pair in 0..plan.run {
        for (name, words) in &programs {
            wanted.extend((0..2).map(|side| record(run_path(setup, name, pair, side), &words[1])));
        }
    }
    let program = setup.programs.join("phases").display().to_string();
    let units = ((plan.seconds[1] * 16_000.0) as u64).to_string();
    for trial in 0..plan.planted {
        wanted.extend(PLANTED.map(|percent| {
            let path = planted_path(setup, percent, trial);
            let folder = partial(&path).display().to_string();
            let (options, planted) =
                (["compare", "--runs", "5", "--json", "-F", "1999", "--keep"], percent.to_string());
            let commands = ["--", &program, "100", &units, "0", "0", "--vs", &program, "100", &units, &planted, "0"];
            let words = [&options[..], &[folder.as_str()], &commands].concat();
            Wanted { path, words: words.into_iter().map(str::to_owned).collect() }
        }));
    }
    wanted
}

/// What is being made has another name until it is whole.
fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("making-{name}"))
}

fn make(setup: &Setup, wanted: &Wanted) -> Result<()> {
    let partial = partial(&wanted.path);
    if partial.is_dir() {
        std::fs::remove_dir_all(&partial)?;
    }
    let mut command = Command::new(&setup.burnmark);
    // The demo's workload runs until its standard input ends: it gets one that does not.
    command.args(&wanted.words).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot start burnmark")?;
    let stdin = child.stdin.take();
    let output = child.wait_with_output()?;
    drop(stdin);
    ensure!(output.status.success(), "recording failed: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(&partial, &wanted.path).with_context(|| format!("cannot rename {}", partial.display()))
}

fn print_row(name: &str, pairs: usize, alarms: usize, most: &str) {
    println!("| {name} | {pairs} | {alarms} | {:.1} % | {most} |", 100.0 * alarms as f64 / pairs.max(1) as f64);
}

/// Programs whose neighbouring samples are alike, with the commands for a long and for a short recording.
fn programs_with_phases<'a>(setup: &'a Setup, plan: &Plan) -> Vec<(&'a str, [Vec<String>; 2])> {
    let program = setup.programs.join("phases").display().to_string();
    // A unit takes about 60 µs.
    let phases = |dwell: u32, seconds: f64| {
        let units = (seconds * 16_000.0) as u64;
        vec![program.clone(), dwell.to_string(), units.to_string(), "0".to_owned(), "0".to_owned()]
    };
    let demo = |seconds: f64| {
        let words = ["demo", "--workload", "-d", &seconds.to_string()].map(str::to_owned);
        [vec![setup.burnmark.display().to_string()], words.to_vec()].concat()
    };
    let both = |of: &dyn Fn(f64) -> Vec<String>| plan.seconds.map(of);
    vec![
        ("phases of 6 ms", both(&|seconds| phases(100, seconds))),
        ("phases of 120 ms", both(&|seconds| phases(2_000, seconds))),
        ("demo workload", both(&demo)),
    ]
}

fn read(path: &Path) -> Result<Profile> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let len = file.metadata()?.len();
    Ok(burnmark_formats::read(Input::File { file, len }, &ReadOptions::default())?.1.profile)
}

fn is_alarm(before: Reduced, after: Reduced) -> Result<bool> {
    let diff = diff(&[before], &[after], &DiffOptions::default())?;
    Ok(diff.counts.regressed + diff.counts.improved > 0)
}

/// Pairs made of pieces of one long recording, drawn with replacement: whatever differs between them is chance.
fn resampled_alarms(setup: &Setup, plan: &Plan, name: &str) -> Result<usize> {
    let profile = read(&long_path(setup, name))?;
    let (first, last) = profile.samples.time_range().context("the recording has no times")?;
    let piece = (last - first) / PIECES as i64 + 1;
    let mut pieces: Vec<Vec<usize>> = vec![Vec::new(); PIECES];
    for (index, sample) in profile.samples.iter().enumerate() {
        if let Some(time) = sample.time_ns {
            pieces[((time - first) / piece) as usize].push(index);
        }
    }
    let mut random = Random(name.bytes().map(u64::from).sum());
    let mut alarms = 0;
    for _ in 0..plan.resampled {
        let mut side = || -> Result<Reduced> {
            let mut drawn =
                Profile { samples: burnmark_model::Samples::new(profile.samples.columns()), ..profile.clone() };
            for place in 0..PIECES / 2 {
                let from = (random.unit() * PIECES as f64) as usize;
                for index in &pieces[from] {
                    let sample = profile.samples.get(*index);
                    let time = sample.time_ns.map(|time| time - first - from as i64 * piece + place as i64 * piece);
                    let values: Vec<i64> =
                        (0..profile.samples.columns()).map(|column| profile.samples.values(column)[*index]).collect();
                    drawn.samples.push(Sample { time_ns: time, ..sample }, &values)?;
                }
            }
            Ok(reduce(&drawn, drawn.default_value, MergeBy::Function)?)
        };
        alarms += usize::from(is_alarm(side()?, side()?)?);
    }
    Ok(alarms)
}

fn run_alarms(setup: &Setup, plan: &Plan, name: &str) -> Result<usize> {
    let mut alarms = 0;
    for pair in 0..plan.run {
        let side = |side: usize| -> Result<Reduced> {
            let profile = read(&run_path(setup, name, pair, side))?;
            Ok(reduce(&profile, profile.default_value, MergeBy::Function)?)
        };
        alarms += usize::from(is_alarm(side(0)?, side(1)?)?);
    }
    Ok(alarms)
}

/// `burnmark compare` of five runs a side, the second with more work in `planted`: what `burnmark diff` says of the
/// recordings that it kept, which is what it said itself.
fn planted(setup: &Setup, plan: &Plan, percent: u32) -> Result<()> {
    // `planted` is a fifth of the work.
    let truth = f64::from(percent) / 20.0;
    let (mut found, mut covered, mut sums) = (0, 0, [0.0; 2]);
    for trial in 0..plan.planted {
        let folder = planted_path(setup, percent, trial);
        let [before, after] = ["before-*", "after-*"].map(|runs| folder.join(runs));
        let output = Command::new(&setup.burnmark)
            .args(["diff", "--json", "--per-op", "1,1", "--before"])
            .arg(before)
            .arg("--after")
            .arg(after)
            .output()
            .context("cannot start burnmark")?;
        ensure!(output.status.success(), "comparing failed: {}", String::from_utf8_lossy(&output.stderr));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let rows = json["rows"].as_array().context("no rows")?;
        let row = rows.iter().find(|row| row["function"] == "planted").context("planted is not there")?;
        let before = row["before"]["cost"].as_f64().context("no cost")?;
        let interval = [0, 1].map(|at| row["ci"][at].as_f64().unwrap_or(f64::NAN) / before);
        found += usize::from(row["verdict"] == "regressed");
        covered += usize::from((interval[0]..=interval[1]).contains(&truth));
        sums = [sums[0] + interval[0], sums[1] + interval[1]];
    }
    let [low, high] = sums.map(|sum| 100.0 * sum / plan.planted as f64);
    println!("| {percent} | {} | {found} | {covered} | {low:+.1} … {high:+.1} | {:+.0} |", plan.planted, 100.0 * truth);
    Ok(())
}

/// SplitMix64 (Steele, Lea & Flood 2014).
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
