//! Figures, budgets, memory over time.

use std::path::PathBuf;

use clap::Args;

use super::{FilterArgs, ReadArgs, percent, seconds};

/// What a table of these commands looks like.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct FormArgs {
    /// Print the table as Markdown
    #[arg(long, group = "result_form")]
    pub(crate) md: bool,

    /// Print the table as CSV
    #[arg(long, group = "result_form")]
    pub(crate) csv: bool,

    /// Print JSON
    #[arg(long, group = "result_form")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  burnmark metrics results.json                      what a k6 or artillery run measured
  burnmark metrics run_stats.csv --md >> notes.md    locust's, for an optimization log
  burnmark metrics before.json after.json            two runs beside each other
  burnmark metrics results.json --json > base.json   kept as a baseline for `burnmark gate`
  autocannon -j http://localhost:8080 | burnmark metrics -

What is read: k6 (--out json, --summary-export, handleSummary data), artillery 1 and 2, locust (_stats.csv,
_stats_history.csv), autocannon --json, hyperfine --export-json, oha --output-format json, criterion's estimates.json,
process.memoryUsage() lines, CSV of memory over time, mprof's .dat; each also as .gz or .zst. Times are milliseconds,
memory is megabytes of 1,000,000 bytes. What a tool did not measure is not there: it is never 0.")]
pub(crate) struct MetricsArgs {
    /// Results of load tests or benchmarks, memory over time; - is standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) form: FormArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  burnmark gate --budget budget.json results.json               figures against limits
  burnmark gate --budget budget.json results.json app.pb.gz     and shares of functions in a profile
  burnmark gate -b budget.json after*.json --baseline before*.json
                                                                regressions: 4 runs a side and more tell how sure
  burnmark gate -b budget.json 1.heapsnapshot 2.heapsnapshot 3.heapsnapshot
  burnmark gate -b budget.json results.json --md -o verdict.md --github

A budget (JSON, comments allowed; unknown keys are errors):
  {\"metrics\": {\"p95_latency_ms\": {\"max\": 200, \"warn\": 150}, \"throughput_rps\": {\"min\": 100},
               \"p99_latency_ms\": {\"max\": 500, \"max_regression_pct\": 10}, \"heap_slope_mb_per_h\": {\"max\": 5}},
   \"functions\": {\"match\": [{\"name\": \"JSON.parse\", \"max_share_pct\": 15}]},
   \"policy\": {\"missing\": \"fail\", \"inconclusive\": \"warn\", \"severity_pct\": [5, 10, 20]}}

`burnmark metrics FILE` lists the names of figures. Of heap snapshots there are heap_mb, heap_growth_mb, heap_growth_pct,
heap_growth_mb_per_snapshot and heap_leak_suspects. Several files of one tool are runs: their mean counts.

Exit codes: 0 kept or worth a warning, 3 broken (or evidence missing), 4 with --strict where evidence is missing or
inconclusive and the budget's policy makes that a warning.")]
pub(crate) struct GateArgs {
    /// The budget
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_BUDGET)]
    pub(crate) budget: PathBuf,

    /// Results of load tests or benchmarks, memory over time, profiles, heap snapshots; - is standard input (results)
    #[arg(value_name = "INPUT", required = true)]
    pub(crate) inputs: Vec<PathBuf>,

    /// The same before the change; `burnmark metrics --json` keeps results for this
    #[arg(long, value_name = "INPUT", num_args = 1..)]
    pub(crate) baseline: Vec<PathBuf>,

    /// Fail with exit code 4 where evidence is missing or inconclusive
    #[arg(long)]
    pub(crate) strict: bool,

    /// Also write the verdict: .md, .csv, .json
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,

    /// Append the verdict to the summary of a step of GitHub Actions (the file that $GITHUB_STEP_SUMMARY names)
    #[arg(long)]
    pub(crate) github: bool,

    #[command(flatten)]
    pub(crate) form: FormArgs,

    #[command(flatten)]
    pub(crate) read: ReadArgs,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// Where the budget of a project is.
pub(crate) const DEFAULT_BUDGET: &str = ".burnmark/budget.json";

#[derive(Debug, Args)]
#[command(override_usage = "burnmark trend [OPTIONS] SERIES…\n       burnmark trend [OPTIONS] --pid PID [-d SECONDS]")]
#[command(group = clap::ArgGroup::new("from").args(["files", "pid"]).required(true))]
#[command(after_help = "Examples:
  burnmark trend memory.ndjson                 does the heap grow? lines of process.memoryUsage()
  burnmark trend memory.csv --series rss       a column of CSV
  burnmark trend plain.log --every 5s          lines without times, five seconds apart
  burnmark trend --pid 4711 -d 10m             watch a process
  burnmark trend --pid 4711 -d 10m -o mem.csv -o mem.svg
  burnmark trend memory.ndjson --max-slope 5   allowed: 5 MB an hour

The first half is dropped as a warm-up. Through the low points of ten blocks of the rest goes a line, with a 95 %
interval that reckons with neighbouring points being alike. It is a leak if all of the interval lies above what is
allowed, it still rises in the last third and does not level off there, and it grew by 5 % or more. Without such certainty
it is stable or inconclusive.
Of a process, what is watched is its private memory (anonymous pages and swap), which a leak is made of.

A program in Node writes such lines by: setInterval(() => console.log(JSON.stringify({time: Date.now(),
...process.memoryUsage()})), 1000)")]
pub(crate) struct TrendArgs {
    /// Memory over time: process.memoryUsage() lines, CSV with a column of times, mprof's .dat; - is standard input
    #[arg(value_name = "SERIES")]
    pub(crate) files: Vec<PathBuf>,

    /// Watch this process, until -d is over, it ends, or Ctrl-C
    #[arg(short, long, value_name = "PID")]
    pub(crate) pid: Option<u32>,

    /// Watch for this long
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds, requires = "pid", conflicts_with = "files")]
    pub(crate) duration: Option<std::time::Duration>,

    /// Time between points: when watching [default: 1s], or of lines that have no times
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) every: Option<std::time::Duration>,

    /// Which series [default: the heap in use, else private memory, else resident memory]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) series: Option<String>,

    /// What is dropped at the beginning: a share, such as 50%, or a time, such as 5m
    #[arg(long, value_name = "SHARE|TIME", default_value = "50%", value_parser = warmup)]
    pub(crate) warmup: burnmark_journal::trend::Warmup,

    /// Growth that is allowed, in MB per hour
    #[arg(long, value_name = "MB", default_value_t = 0.0, value_parser = slope)]
    pub(crate) max_slope: f64,

    /// Also write: .svg (the plot), .csv (the points), .md, .json
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) form: FormArgs,
}

fn warmup(text: &str) -> Result<burnmark_journal::trend::Warmup, String> {
    use burnmark_journal::trend::Warmup;
    if text.ends_with('%') {
        let share = percent(text)?;
        return if share <= 0.9 { Ok(Warmup::Share(share)) } else { Err("at most 90%".to_owned()) };
    }
    if text == "0" {
        return Ok(Warmup::Share(0.0));
    }
    seconds(text)
        .map(|time| Warmup::Seconds(time.as_secs_f64()))
        .map_err(|_| "a share such as 50%, or a time such as 5m".to_owned())
}

fn slope(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(slope) if slope.is_finite() && slope >= 0.0 => Ok(slope),
        _ => Err("MB per hour, from 0".to_owned()),
    }
}
