//! The log of optimizations, and reports.

use std::path::PathBuf;

use burnmark_journal::Direction;
use clap::{Args, Subcommand, ValueEnum};

use super::diff::per_op;
use super::{By, FilterArgs, ReadArgs, percent};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  burnmark log add --bottleneck 'JSON.parse of every request' --change 'parse once, keep the result' \\
      --before old.pb.gz --after new.pb.gz --metrics k6-old.json,k6-new.json
  burnmark log list                      the rows, newest last
  burnmark log show last                 one entry with all its tables
  burnmark log render LOG.md             the tables, between the marks of a Markdown file
  burnmark log render LOG.md --check     in CI: is the file as the entries say? (exit code 3 if not)
  burnmark log verify                    is every file there and as it was written? (exit code 3 if not)

The log is the folder .burnmark at the top of the repository (without git, in the current folder): one file an entry,
never edited, so that branches merge without conflict; flame graphs and other evidence beside it. Commit it.")]
pub(crate) struct LogArgs {
    #[command(subcommand)]
    pub(crate) command: LogCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Add an entry with its evidence; the same entry is not added twice
    Add(Box<LogAddArgs>),
    /// List the entries, a row each
    List(LogListArgs),
    /// Show one entry with all its tables
    Show(LogShowArgs),
    /// Write the log's tables between the marks of a Markdown file
    Render(LogRenderArgs),
    /// Check that every file of the log is there and as it was written
    Verify(LogVerifyArgs),
}

/// Where the log is.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct LogFolder {
    /// The log's folder [default: .burnmark, here or at the top of the repository]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) log: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  burnmark log add --bottleneck 'sort in render()' --change 'keep it sorted' --before old.pb.gz --after new.pb.gz
  burnmark log add --bottleneck 'p95 of /search' --change 'index on name' --metrics before.json,after.json
  burnmark log add … --before 'b*.pb.gz' --after 'a*.pb.gz' --per-op 1,1      several runs: verdicts that hold
  burnmark log add … --heap 1.heapsnapshot 2.heapsnapshot 3.heapsnapshot      sizes, and what is retained
  burnmark log add … --attach screenshot.png --attach-profiles                more evidence
  burnmark log add … --supersedes 01KAJ7                                      a correction of an earlier entry

Prints the entry's id. What was added already, with the same texts and inputs, is not added again: its id is printed.
The name of a function in --bottleneck makes its share the figure of the row, if no metric is given.")]
pub(crate) struct LogAddArgs {
    /// What was slow
    #[arg(long, value_name = "TEXT", required = true)]
    pub(crate) bottleneck: String,

    /// What was changed
    #[arg(long, value_name = "TEXT", required = true)]
    pub(crate) change: String,

    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,

    /// Keep a copy of this file with the entry
    #[arg(long, value_name = "FILE")]
    pub(crate) attach: Vec<PathBuf>,

    /// Keep copies of the profiles too (as pprof; home folders and commands cut unless --keep-args)
    #[arg(long)]
    pub(crate) attach_profiles: bool,

    /// Keep no flame graphs
    #[arg(long)]
    pub(crate) no_flame: bool,

    /// The entry that this one corrects: its id, the beginning of it, or its number
    #[arg(long, value_name = "ID")]
    pub(crate) supersedes: Option<String>,

    /// The commit before the change
    #[arg(long, value_name = "COMMIT")]
    pub(crate) base: Option<String>,

    #[command(flatten)]
    pub(crate) folder: LogFolder,
}

/// What was measured.
#[derive(Debug, Args)]
pub(crate) struct EvidenceArgs {
    /// Profiles before the change, one or several runs; patterns such as 'b*.pb.gz' are understood
    #[arg(long, value_name = "RUNS", num_args = 1.., requires = "after")]
    pub(crate) before: Vec<String>,

    /// Profiles after the change
    #[arg(long, value_name = "RUNS", num_args = 1.., requires = "before")]
    pub(crate) after: Vec<String>,

    /// Results of a load test or benchmark before and after the change: k6, artillery, locust, autocannon, hyperfine, oha,
    /// criterion, memory over time. Several pairs are several runs: from four on they are tested
    #[arg(long, value_name = "BEFORE,AFTER", value_parser = pair)]
    pub(crate) metrics: Vec<[PathBuf; 2]>,

    /// The metric that stands in the log's row, such as wall_ms_per_op [default: one that --bottleneck names, the 95th
    /// percentile of latency, or the first]
    #[arg(long, value_name = "NAME")]
    pub(crate) row: Option<String>,

    /// A figure that was measured before and after, such as p95_latency_ms=500,50; the unit is the name's end. More is
    /// better of rates and throughputs, less of all else; :higher or :lower behind it says otherwise
    #[arg(long, value_name = "NAME=BEFORE,AFTER", value_parser = figures)]
    pub(crate) metric: Vec<Figures>,

    /// Likewise a figure whose second number is expected, not measured
    #[arg(long, value_name = "NAME=BEFORE,AFTER", value_parser = figures)]
    pub(crate) projected: Vec<Figures>,

    /// The budget (as for `gate`) that the figures and profiles are held against; both sides as `gate --baseline` has them
    #[arg(long, value_name = "FILE")]
    pub(crate) budget: Option<PathBuf>,

    /// More rules for categories and actions, tried before those that come with burnmark (as for `top`)
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,

    /// Heap snapshots of one process, the earliest first
    #[arg(long, value_name = "SNAPSHOTS", num_args = 1..)]
    pub(crate) heap: Vec<PathBuf>,

    /// How often the program had done its repeated work at each snapshot, such as 0,100,200
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', requires = "heap")]
    pub(crate) iterations: Option<Vec<u64>>,

    /// Something unexpected that was found
    #[arg(long, value_name = "TEXT")]
    pub(crate) finding: Vec<String>,

    /// What could still be gained: 'TEXT; GAIN; EFFORT; PRIORITY', all but the first as far as known
    #[arg(long, value_name = "TEXT")]
    pub(crate) opportunity: Vec<String>,

    /// What kind of work the bottleneck is [default: as the rules say of its function]
    #[arg(long, value_name = "NAME")]
    pub(crate) category: Option<String>,

    /// The language runtime it was measured with, such as 'node 24.1'
    #[arg(long, value_name = "TEXT")]
    pub(crate) runtime: Option<String>,

    /// Compare the cost per operation: how many (requests, iterations) each run did, before and after
    #[arg(long, value_name = "N,M", value_parser = per_op)]
    pub(crate) per_op: Option<[f64; 2]>,

    /// Smallest change to report, as for `diff`
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) threshold: Option<f64>,

    /// Compare self or total values
    #[arg(long, value_enum, default_value_t = By::SelfValue)]
    pub(crate) by: By,

    #[command(flatten)]
    pub(crate) read: ReadArgs,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// A figure given on the command line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figures {
    /// As it was given.
    pub(crate) text: String,
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) direction: Direction,
    pub(crate) values: [f64; 2],
}

#[derive(Debug, Args)]
pub(crate) struct LogListArgs {
    #[command(flatten)]
    pub(crate) form: FormArgs,

    #[command(flatten)]
    pub(crate) folder: LogFolder,
}

/// What a list is printed as.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FormArgs {
    /// Print the table as Markdown
    #[arg(long, group = "list_form")]
    pub(crate) md: bool,

    /// Print the table as CSV
    #[arg(long, group = "list_form")]
    pub(crate) csv: bool,

    /// Print JSON (schema burnmark.log/1): the entries with everything they hold
    #[arg(long, group = "list_form")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogShowArgs {
    /// Its id, the beginning of it, its number, or last
    #[arg(value_name = "ENTRY", default_value = "last")]
    pub(crate) entry: String,

    /// Print JSON (schema burnmark.log/1)
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) folder: LogFolder,
}

#[derive(Debug, Args)]
#[command(after_help = "The tables stand between two lines of the file:
  <!-- burnmark:log -->
  <!-- /burnmark:log -->
What is around them is yours and stays. A file without them gets them at its end.

Examples:
  burnmark log render                           print the tables
  burnmark log render docs/LOG.md               write them into a file, with links to the evidence
  burnmark log render docs/LOG.md --check       change nothing; exit code 3 if the file is not as the entries say
  burnmark log render --github summary >> \"$GITHUB_STEP_SUMMARY\"")]
pub(crate) struct LogRenderArgs {
    /// The Markdown file; without it the tables are printed
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Only say whether the file is up to date
    #[arg(long, requires = "file")]
    pub(crate) check: bool,

    #[command(flatten)]
    pub(crate) fit: FitArgs,

    #[command(flatten)]
    pub(crate) folder: LogFolder,
}

/// How much room there is.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FitArgs {
    /// Cut rows until it fits a comment (60,000 bytes) or a step's summary (900 KiB)
    #[arg(long, value_enum, value_name = "WHERE")]
    pub(crate) github: Option<GithubPlace>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GithubPlace {
    /// A comment on an issue or pull request
    Comment,
    /// A step's summary
    Summary,
}

#[derive(Debug, Args)]
pub(crate) struct LogVerifyArgs {
    /// Mend what can be mended: remove what an interrupted `log add` left, bring back attachments from equal ones
    #[arg(long)]
    pub(crate) repair: bool,

    /// Print JSON (schema burnmark.log/1)
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) folder: LogFolder,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  burnmark report --before old.pb.gz --after new.pb.gz -o report.md
  burnmark report --before 'b*.pb.gz' --after 'a*.pb.gz' --metrics k6-old.json,k6-new.json -o report.md
  burnmark report --before old.pb.gz --after new.pb.gz --github comment > comment.md
  burnmark report --before old.pb.gz --after new.pb.gz --json

Verdict, figures, flame graphs in words, functions that changed, top consumers, findings, what to try next. Nothing is
kept: `burnmark log add` takes the same options and does.")]
pub(crate) struct ReportArgs {
    /// What was slow [default: the function with the most time before]
    #[arg(long, value_name = "TEXT")]
    pub(crate) bottleneck: Option<String>,

    /// What was changed
    #[arg(long, value_name = "TEXT")]
    pub(crate) change: Option<String>,

    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,

    /// Where to write: .md or .json; - is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,

    /// Write JSON (schema burnmark.report/1)
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) fit: FitArgs,
}

/// Two files.
fn pair(text: &str) -> Result<[PathBuf; 2], String> {
    match text.split_once(',') {
        Some((before, after)) if !before.is_empty() && !after.is_empty() && !after.contains(',') => {
            Ok([before.into(), after.into()])
        }
        _ => Err("two files, such as before.json,after.json".to_owned()),
    }
}

/// `NAME=BEFORE,AFTER`, with `:higher` or `:lower` behind it.
fn figures(text: &str) -> Result<Figures, String> {
    let bad = || "a name and two numbers, such as p95_latency_ms=500,50".to_owned();
    let (rest, direction) = match text.rsplit_once(':') {
        Some((rest, "higher")) => (rest, Some(Direction::Higher)),
        Some((rest, "lower")) => (rest, Some(Direction::Lower)),
        _ => (text, None),
    };
    let (name, values) = rest.rsplit_once('=').filter(|(name, _)| !name.trim().is_empty()).ok_or_else(bad)?;
    let (before, after) = values.split_once(',').ok_or_else(bad)?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(bad);
    // The direction is understood behind the name, too.
    let (name, direction) = match (name.trim().rsplit_once(':'), direction) {
        (Some((name, "higher")), None | Some(Direction::Higher)) => (name, Some(Direction::Higher)),
        (Some((name, "lower")), None | Some(Direction::Lower)) => (name, Some(Direction::Lower)),
        (Some((_, "higher" | "lower")), _) => return Err("it is said to be better both higher and lower".to_owned()),
        _ => (name.trim(), direction),
    };
    let name = name.trim();
    if name.is_empty() {
        return Err(bad());
    }
    Ok(Figures {
        text: text.to_owned(),
        name: name.to_owned(),
        unit: unit(name).to_owned(),
        direction: direction.unwrap_or_else(|| direction_of(name)),
        values: [number(before)?, number(after)?],
    })
}

/// The unit that a name ends in.
fn unit(name: &str) -> &'static str {
    let end = name.rsplit('_').next().unwrap_or_default();
    let units = [
        ("ms", "ms"),
        ("s", "s"),
        ("us", "µs"),
        ("ns", "ns"),
        ("rps", "rps"),
        ("mb", "MB"),
        ("kb", "kB"),
        ("gb", "GB"),
        ("mib", "MiB"),
        ("kib", "KiB"),
        ("gib", "GiB"),
        ("bytes", "B"),
        ("pct", "%"),
    ];
    units.iter().find(|(known, _)| *known == end).map_or("", |(_, unit)| unit)
}

fn direction_of(name: &str) -> Direction {
    let higher = ["rps", "throughput", "per_s", "per_sec", "per_second", "ops", "qps", "tps"];
    if higher.iter().any(|word| name.ends_with(word) || name.starts_with(word)) {
        Direction::Higher
    } else {
        Direction::Lower
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_with_unit_and_direction() {
        let figure = figures("p95_latency_ms=500, 50.5").expect("a figure");
        assert_eq!(
            (figure.name.as_str(), figure.unit.as_str(), figure.values),
            ("p95_latency_ms", "ms", [500.0, 50.5])
        );
        assert_eq!(figure.direction, Direction::Lower);
        assert_eq!(figures("throughput_rps=1,2").expect("a figure").direction, Direction::Higher);
        assert_eq!(figures("hits=1,2:higher").expect("a figure").direction, Direction::Higher);
        for text in ["hits:higher=1,2", "hits:higher=1,2:higher"] {
            let hits = figures(text).expect("a figure");
            assert_eq!((hits.name.as_str(), hits.direction), ("hits", Direction::Higher), "{text}");
        }
        let rps = figures("idle_rps:lower=1,2").expect("a figure");
        assert_eq!((rps.name.as_str(), rps.unit.as_str(), rps.direction), ("idle_rps", "rps", Direction::Lower));
        assert_eq!(figures("p95{a:b}=1,2").expect("a figure").name, "p95{a:b}");
        for bad in [":higher=1,2", "x:higher=1,2:lower", "", "x", "x=1", "=1,2", "x=1,inf", "x=a,b", "x=1,2:up"] {
            assert!(figures(bad).is_err(), "{bad}");
        }
    }
}
