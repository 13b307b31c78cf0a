//! Comparing two sides.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use regex::Regex;

use super::{By, DEFAULT_ROWS, FilterArgs, ReadArgs, percent, seconds};

#[derive(Debug, Args)]
#[command(
    override_usage = "burnmark diff [OPTIONS] BEFORE AFTER\n       burnmark diff [OPTIONS] --before RUNS… --after RUNS…"
)]
#[command(after_help = "Examples:
  burnmark diff old.pb.gz new.pb.gz                        shares of functions, with 95 % intervals and verdicts
  burnmark diff old.pb.gz new.pb.gz --per-op 9000,12000    cost per request: 9,000 were served before, 12,000 after
  burnmark diff --before 'b*.pb.gz' --after 'a*.pb.gz'     several runs against several: what a gate needs
  burnmark diff old.pb.gz new.pb.gz -o diff.svg            a flame graph of the difference
  burnmark diff old.folded new.folded -o diff.folded       stacks with two counts

Verdicts: regressed, improved, unchanged (the interval lies inside the threshold), inconclusive (it doesn't).
Evidence: several runs a side show what differs from run to run; one run each only what differs within the run; samples
without times give a lower bound of the interval. `burnmark compare` records several runs a side.")]
pub(crate) struct DiffArgs {
    /// Profile before the change
    #[arg(value_name = "BEFORE", required_unless_present = "befores", conflicts_with = "befores")]
    pub(crate) before: Option<PathBuf>,

    /// Profile after the change
    #[arg(value_name = "AFTER", required_unless_present = "befores")]
    pub(crate) after: Option<PathBuf>,

    /// Profiles of several runs before the change; patterns such as 'b*.pb.gz' are understood
    #[arg(long = "before", id = "befores", value_name = "RUNS", num_args = 1.., requires = "afters")]
    pub(crate) befores: Vec<String>,

    /// Profiles of several runs after the change
    #[arg(long = "after", id = "afters", value_name = "RUNS", num_args = 1.., requires = "befores")]
    pub(crate) afters: Vec<String>,

    #[command(flatten)]
    pub(crate) how: DiffHow,

    #[command(flatten)]
    pub(crate) read: ReadArgs,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// How two sides are compared, and what comes of it.
#[derive(Clone, Debug, Args)]
pub(crate) struct DiffHow {
    /// Compare the cost per operation: how many (requests, iterations, items) each run did, before and after
    #[arg(long, value_name = "N,M", value_parser = per_op)]
    pub(crate) per_op: Option<[f64; 2]>,

    /// Smallest change to report: points of a share [default: 0.5], or with --per-op percent of the function's cost
    /// [default: 2]
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) threshold: Option<f64>,

    /// False discovery rate: the part of the reported changes that may be chance
    #[arg(long, value_name = "Q", default_value_t = 0.05, value_parser = rate)]
    pub(crate) q: f64,

    /// Compare self or total values
    #[arg(long, value_enum, default_value_t = By::SelfValue)]
    pub(crate) by: By,

    /// Test only functions whose name matches: the fewer are tested, the smaller the changes that are found
    #[arg(long, value_name = "REGEX")]
    pub(crate) only: Vec<Regex>,

    /// Also write the difference: .svg (flame graph), .folded (two counts), .md, .csv, .json
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,

    /// What makes the widths of the flame graph; what is gone is as wide as it was
    #[arg(long, value_enum, default_value_t = WidthChoice::After)]
    pub(crate) widths: WidthChoice,

    /// Title of the flame graph
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,

    /// Print which functions were matched under different names, instead of the table
    #[arg(long)]
    pub(crate) show_renames: bool,

    /// Print the table as Markdown
    #[arg(long, group = "diff_form")]
    pub(crate) md: bool,

    /// Print the table as CSV, all functions
    #[arg(long, group = "diff_form")]
    pub(crate) csv: bool,

    /// Print the table as JSON, all functions (schema burnmark.diff/1)
    #[arg(long, group = "diff_form")]
    pub(crate) json: bool,

    /// Rows at most: changed functions, then a few undecided ones; 0 for all functions
    #[arg(long, value_name = "ROWS", default_value_t = DEFAULT_ROWS)]
    pub(crate) limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WidthChoice {
    /// What frames take after the change
    After,
    /// What they took before
    Before,
    /// The larger of the two
    Larger,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "burnmark compare [OPTIONS] -- BEFORE [ARGS…] --vs AFTER [ARGS…]\n       burnmark compare [OPTIONS] --pid-before PID --pid-after PID -d SECONDS"
)]
#[command(after_help = "Examples:
  burnmark compare -- ./old input.txt --vs ./new input.txt           five runs each, in random order within pairs
  burnmark compare --runs 10 --prepare 'rm -rf out' -- make A --vs make B
  burnmark compare --pid-before 4711 --pid-after 4712 -d 10          two services in turn, ten seconds a run

Commands: every run is one operation, so costs per run are compared; with PIDs shares are, unless --per-op says how many
operations a run does. A run that fails stops it. The recordings are kept; `burnmark diff` reads them again.")]
pub(crate) struct CompareArgs {
    /// Runs of each side, after the warm-up; 3 at least for a verdict, 5 or more advised
    #[arg(long, value_name = "RUNS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) runs: u32,

    /// Runs of each side before those that count
    #[arg(long, value_name = "RUNS", default_value_t = 1)]
    pub(crate) warmup: u32,

    /// Shell command to run before every run, not recorded
    #[arg(long, value_name = "COMMAND")]
    pub(crate) prepare: Option<String>,

    /// Process of the service before the change
    #[arg(long, value_name = "PID", requires = "pid_after", requires = "duration")]
    pub(crate) pid_before: Option<u32>,

    /// Process of the service after the change
    #[arg(long, value_name = "PID", requires = "pid_before")]
    pub(crate) pid_after: Option<u32>,

    /// Seconds of each run [default: until the command ends]
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) duration: Option<std::time::Duration>,

    /// Samples per second and CPU [default: as record]
    #[arg(short = 'F', long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) frequency: Option<u32>,

    /// Folder for the recordings: before-1.pb.gz, after-1.pb.gz, …
    #[arg(long, value_name = "FOLDER", default_value = "burnmark-compare")]
    pub(crate) keep: PathBuf,

    /// Seed of the random order
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,

    #[command(flatten)]
    pub(crate) how: DiffHow,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// The two commands: BEFORE [ARGS…] --vs AFTER [ARGS…]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMANDS", conflicts_with = "pid_before")]
    pub(crate) commands: Vec<OsString>,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate < 1.0 => Ok(rate),
        _ => Err("a number between 0 and 1, such as 0.05".to_owned()),
    }
}

/// Two numbers over 0: `1000,1200`; one stands for both.
pub(super) fn per_op(text: &str) -> Result<[f64; 2], String> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|count| count.is_finite() && *count > 0.0);
    let (before, after) = text.split_once(',').unwrap_or((text, text));
    match (number(before), number(after)) {
        (Some(before), Some(after)) => Ok([before, after]),
        _ => Err("operations before and after, such as 1000,1200".to_owned()),
    }
}
