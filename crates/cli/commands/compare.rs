//! `burnmark compare`: records both sides several times, in turn, then compares the runs.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use burnmark_analysis::MergeBy;
use burnmark_analysis::diff::{Reduced, reduce};
use burnmark_analysis::stats::ranks::{self, mann_whitney};
use burnmark_analysis::stats::runs::LEAST_RUNS;
use burnmark_model::Profile;
use burnmark_report::RunTimes;

use crate::args::CompareArgs;
use crate::commands::diff::{Compared, check_outputs, operations, show};
use crate::commands::record;
use crate::session::{self, Options, What};
use crate::{machine, open, output, signals};

/// What a side is called in files and messages.
const SIDES: [&str; 2] = ["before", "after"];

/// Of a failing command's output, the last bytes are shown.
const OUTPUT_SHOWN: u64 = 8 << 10;

/// What is compared.
enum Sides {
    Commands([Vec<OsString>; 2]),
    Pids([u32; 2]),
}

/// Times and profiles of the runs of a side.
#[derive(Default)]
struct Runs {
    reduced: Vec<Reduced>,
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

/// Records both sides in turn, keeps the recordings, prints what changed.
pub(crate) fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    check_outputs(&args.how)?;
    let sides = sides(args)?;
    let stop = signals::stop_flag()?;
    let folder = free_folder(&args.keep)?;
    if (args.runs as usize) < LEAST_RUNS {
        output::say(&format!("note: fewer than {LEAST_RUNS} runs a side are compared as one run each"));
    }
    if let Sides::Commands(_) = sides {
        for warmup in 0..args.warmup {
            for (side, name) in SIDES.iter().enumerate() {
                output::say(&format!("warm-up {} of {}: {name}", warmup + 1, args.warmup));
                // Ctrl-C reaches the command too: that it failed of it is no news.
                let ended = warm_up(args, &sides, side);
                check_stopped(&stop, &folder)?;
                ended?;
            }
        }
    }
    let mut runs = [Runs::default(), Runs::default()];
    let mut random = args.seed.unwrap_or_else(seed);
    for round in 1..=args.runs {
        let first = usize::from(coin(&mut random));
        for side in [first, 1 - first] {
            let path = folder.join(format!("{}-{round}.pb.gz", SIDES[side]));
            let recorded = record_once(args, &sides, side, &path);
            check_stopped(&stop, &folder)?;
            let profile = recorded?;
            let of_side = &mut runs[side];
            add(args, of_side, profile).with_context(|| format!("cannot compare {}", path.display()))?;
            let seconds = |times: &[f64]| times.last().copied().unwrap_or(0.0) / 1e9;
            output::say(&format!(
                "run {round} of {}: {}, {:.3} s wall, {:.3} s CPU",
                args.runs,
                SIDES[side],
                seconds(&of_side.wall),
                seconds(&of_side.cpu)
            ));
        }
    }
    output::say(&format!("the recordings are kept in {}", folder.display()));
    finish(args, &sides, runs)?;
    Ok(ExitCode::SUCCESS)
}

fn finish(args: &CompareArgs, sides: &Sides, runs: [Runs; 2]) -> anyhow::Result<()> {
    let time = |name: &'static str, of: fn(&Runs) -> &Vec<f64>| {
        let runs = runs.each_ref().map(|runs| of(runs).clone());
        let enough = runs.iter().all(|runs| runs.len() >= ranks::LEAST_RUNS);
        let shift = enough.then(|| mann_whitney(&runs[0], &runs[1])).flatten();
        RunTimes { name, runs, shift }
    };
    let mut times = vec![time("CPU", |runs| &runs.cpu)];
    let names = match sides {
        // A service's wall time is what was asked for.
        Sides::Pids(pids) => pids.map(|pid| format!("process {pid}")),
        Sides::Commands(commands) => {
            times.insert(0, time("wall", |runs| &runs.wall));
            commands.each_ref().map(|words| shown(words))
        }
    };
    let reduced = runs.map(|runs| runs.reduced);
    let per_op = match sides {
        Sides::Commands(_) => Some(args.how.per_op.unwrap_or([1.0, 1.0])),
        Sides::Pids(_) => args.how.per_op,
    };
    let operations = operations(&reduced, per_op);
    show(Compared { reduced, operations, names, times, next: None, warnings: Vec::new() }, &args.how)
}

fn sides(args: &CompareArgs) -> anyhow::Result<Sides> {
    if let (Some(before), Some(after)) = (args.pid_before, args.pid_after) {
        return Ok(Sides::Pids([before, after]));
    }
    if args.duration.is_some() {
        bail!("-d is for running processes (--pid-before, --pid-after): commands are recorded from start to end");
    }
    let mut parts = args.commands.split(|word| word == "--vs");
    match (parts.next(), parts.next(), parts.next()) {
        (Some(before), Some(after), None) if !before.is_empty() && !after.is_empty() => {
            Ok(Sides::Commands([before.to_vec(), after.to_vec()]))
        }
        _ => bail!("two commands are needed: burnmark compare -- BEFORE [ARGS…] --vs AFTER [ARGS…]"),
    }
}

fn shown(words: &[OsString]) -> String {
    words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The folder, made; with a number behind it if an earlier comparison is there.
fn free_folder(wanted: &Path) -> anyhow::Result<PathBuf> {
    let mut folder = wanted.to_owned();
    for number in 2.. {
        let is_free = std::fs::read_dir(&folder).map_or(!folder.exists(), |mut entries| entries.next().is_none());
        if is_free {
            break;
        }
        let mut name = wanted.file_name().unwrap_or_default().to_owned();
        name.push(format!("-{number}"));
        folder = wanted.with_file_name(name);
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    Ok(folder)
}

/// Something else each time; which of two runs comes first needs no more.
fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64) ^ u64::from(std::process::id())
}

/// SplitMix64 (Steele, Lea & Flood 2014), its highest bit.
fn coin(state: &mut u64) -> bool {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)) >> 63 == 1
}

/// After Ctrl-C nothing more is started.
fn check_stopped(stop: &Arc<AtomicBool>, folder: &Path) -> anyhow::Result<()> {
    if stop.load(Ordering::Relaxed) {
        bail!("stopped: what was recorded until now is in {}; `burnmark diff` compares it", folder.display());
    }
    Ok(())
}

/// The command of a side, its output going into `said`.
fn command(words: &[OsString], said: &File) -> anyhow::Result<Command> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null());
    command.stdout(said.try_clone()?).stderr(said.try_clone()?);
    Ok(command)
}

fn warm_up(args: &CompareArgs, sides: &Sides, side: usize) -> anyhow::Result<()> {
    let Sides::Commands(commands) = sides else { return Ok(()) };
    prepare(args)?;
    let mut said = tempfile::tempfile().context("cannot make a file for the command's output")?;
    let words = &commands[side];
    let status = command(words, &said)?.status();
    let status = status.with_context(|| format!("cannot start {}", words[0].to_string_lossy()))?;
    check_exit(words, Some(status), &mut said)
}

fn prepare(args: &CompareArgs) -> anyhow::Result<()> {
    let Some(line) = &args.prepare else { return Ok(()) };
    let mut said = tempfile::tempfile().context("cannot make a file for the command's output")?;
    let words = ["sh", "-c", line].map(OsString::from);
    let status = command(&words, &said)?.status().context("cannot start sh")?;
    check_exit(&words, Some(status), &mut said).context("--prepare failed")
}

/// A command that fails stops the comparison: its end, and what it said, are told.
fn check_exit(words: &[OsString], status: Option<ExitStatus>, said: &mut File) -> anyhow::Result<()> {
    let Some(status) = status else {
        bail!("`{}` goes on after its recording: it is left alone, end it by hand", shown(words));
    };
    if status.success() {
        return Ok(());
    }
    let mut text = Vec::new();
    let length = said.seek(SeekFrom::End(0)).unwrap_or(0);
    said.seek(SeekFrom::Start(length.saturating_sub(OUTPUT_SHOWN)))?;
    said.take(OUTPUT_SHOWN).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let said =
        if text.trim().is_empty() { "it said nothing".to_owned() } else { format!("it said:\n{}", text.trim_end()) };
    bail!("`{}` failed ({status}), so runs can't be compared; {said}", shown(words));
}

/// Records one run and keeps the recording.
fn record_once(args: &CompareArgs, sides: &Sides, side: usize, path: &Path) -> anyhow::Result<Profile> {
    prepare(args)?;
    let mut said = tempfile::tempfile().context("cannot make a file for the command's output")?;
    let what = match sides {
        Sides::Commands(commands) => What::Command(command(&commands[side], &said)?),
        Sides::Pids(pids) => What::Pids(vec![pids[side]]),
    };
    let recorded = session::record(Options {
        what,
        duration: args.duration,
        frequency: args.frequency.map(u64::from),
        ..record::attach(0, std::time::Duration::ZERO, path.to_owned())
    })?;
    if let (Sides::Commands(commands), Some((_, status))) = (sides, recorded.command)
        && let Err(error) = check_exit(&commands[side], status, &mut said)
    {
        recorded.discard_spool()?;
        return Err(error);
    }
    output::print_warnings(&path.display().to_string(), &recorded.parsed.warnings);
    session::write(&recorded.parsed.profile, path).inspect_err(|_| recorded.rescue())?;
    recorded.discard_spool()
}

fn add(args: &CompareArgs, runs: &mut Runs, profile: Profile) -> anyhow::Result<()> {
    runs.wall.push(profile.meta.duration_ns.unwrap_or(0) as f64);
    runs.cpu.push(cpu_time(&profile));
    let profile = open::filtered(profile, &args.filter, &[], None)?;
    let value = open::value(&profile, args.filter.value.as_deref())?;
    let merge_by = args.filter.merge_by.map_or(MergeBy::Function, open::merge_choice);
    runs.reduced.push(reduce(&profile, value, merge_by)?);
    Ok(())
}

/// CPU time as counted, else as sampled, in nanoseconds.
fn cpu_time(profile: &Profile) -> f64 {
    let counted = profile.meta.other.get(&format!("{}task-clock", machine::COUNTER));
    let counted = counted.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    let sampled = || {
        let column = profile.value_types.iter().position(burnmark_model::ValueType::is_time);
        column.map_or(0.0, |column| profile.samples.total(column) as f64)
    };
    counted.map_or_else(sampled, |seconds| seconds * 1e9)
}
