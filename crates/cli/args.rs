//! The command line's grammar and help texts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use regex::Regex;

mod diff;

pub(crate) use diff::{CompareArgs, DiffArgs, DiffHow, WidthChoice};

/// Where does the time go, what leaks, did my change help?
///
/// Sample a running process or a command, or read what other profilers wrote; see what takes the time as a table or a
/// flame graph.
#[derive(Debug, Parser)]
#[command(name = "burnmark", version, arg_required_else_help = true, propagate_version = true)]
#[command(after_help = "Examples:
  burnmark demo                              try it: a small workload, recorded, table and flame graph
  burnmark record -p 1234 -d 5               sample process 1234 for five seconds
  burnmark record -- ./server --port 8080    launch a command and sample it
  burnmark top                               the table of the last recording again
  burnmark flame -o flame.svg                its flame graph
  burnmark diff old.pb.gz new.pb.gz          what changed, and how sure that is
  burnmark compare -- ./old --vs ./new       record both several times, then diff
  perf script | burnmark top -               the table of what perf recorded")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sample the CPU stacks of a running process or of a command
    Record(RecordArgs),
    /// Rank functions by the time spent in them
    Top(TopArgs),
    /// Draw a flame graph
    Flame(FlameArgs),
    /// Say what changed between two profiles, and how sure that is
    Diff(DiffArgs),
    /// Run and record two commands in turn, then say what changed
    Compare(CompareArgs),
    /// Say what retains memory in a heap snapshot, what leaks between several, and why
    Heap(HeapArgs),
    /// Turn a profile of any format into any other
    Convert(ConvertArgs),
    /// Say what is in a profile
    Info(InfoArgs),
    /// Look up names for a profile whose modules had no symbols where it was recorded
    Symbolize(SymbolizeArgs),
    /// Record a small workload of burnmark's own, to see what you get
    Demo(DemoArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write one page per command into a folder
    Man(ManArgs),
}

/// What to sample and how.
#[derive(Debug, Args)]
#[command(
    override_usage = "burnmark record [OPTIONS] -p PID[,PID…] | -t TID[,TID…] | --name REGEX | -a\n       burnmark record [OPTIONS] [--] COMMAND [ARGS…]"
)]
#[command(group = clap::ArgGroup::new("target").args(["pid", "tid", "name", "all", "command"]).required(true))]
#[command(after_help = "Examples:
  burnmark record -p 1234 -d 5                    five seconds of process 1234, its threads and children
  burnmark record --name '^postgres' -d 10        all processes of that name
  burnmark record -t 1240 -d 5                    one thread of it, alone
  burnmark record -a -d 5                         everything that runs on the machine
  burnmark record -o build.pb.gz -- cargo build   a command, from its start to its end
  burnmark record -p 1234 -d 5 --json > top.json  the table for a script

Ends after -d seconds, on Ctrl-C, or when the target is gone; with a command when that has ended, even if processes that
it started go on. The recording is written to burnmark.pb.gz (pprof's
format); one that is there is kept as burnmark.old.pb.gz.")]
pub(crate) struct RecordArgs {
    /// Processes to sample, with their threads and children, and those they start later
    #[arg(short, long, value_name = "PID", value_delimiter = ',')]
    pub(crate) pid: Vec<u32>,

    /// Threads to sample, each alone
    #[arg(short, long, value_name = "TID", value_delimiter = ',')]
    pub(crate) tid: Vec<u32>,

    /// Sample the processes whose name or command line matches, with their threads and children
    #[arg(long, value_name = "REGEX")]
    pub(crate) name: Option<Regex>,

    /// Sample all processes (needs root or CAP_PERFMON)
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Seconds to sample for [default: until the target ends or Ctrl-C]
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) duration: Option<std::time::Duration>,

    /// Samples per second and CPU [default: 999; 199 where a timer must be bound to threads, as that slows them down]
    #[arg(short = 'F', long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) frequency: Option<u32>,

    /// Event to sample on
    #[arg(short, long, value_enum, default_value_t = EventChoice::Auto)]
    pub(crate) event: EventChoice,

    /// Leave out the target's child processes
    #[arg(long)]
    pub(crate) no_children: bool,

    /// Whether events are bound to CPUs (cheapest for the target, needs privileges) or to its threads
    #[arg(long, value_enum, default_value_t = BindingChoice::Auto)]
    pub(crate) bind: BindingChoice,

    /// Where to write the recording; the extension decides the format as in `convert`
    #[arg(short, long, value_name = "FILE", default_value = crate::save::DEFAULT_RECORDING)]
    pub(crate) output: PathBuf,

    /// How user stacks are made
    #[arg(long, value_enum, default_value_t = CallGraphChoice::Auto)]
    pub(crate) call_graph: CallGraphChoice,

    /// Keep the command's arguments and full home paths in the recording (they end up where you share it)
    #[arg(long)]
    pub(crate) keep_args: bool,

    #[command(flatten)]
    pub(crate) table: TableArgs,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Command to launch and sample, with its arguments
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventChoice {
    /// cycles where the machine has them, else cpu-clock
    Auto,
    /// CPU cycles (a hardware event)
    Cycles,
    /// A timer (a software event)
    CpuClock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CallGraphChoice {
    /// By unwind tables where there are any, by frame pointers where not (code of a JIT)
    Auto,
    /// By frame pointers only: cheapest, and whole where all code keeps them
    Fp,
    /// By unwind tables only
    Dwarf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BindingChoice {
    /// CPUs where that is permitted, else threads
    Auto,
    /// One event per CPU, samples of other processes dropped
    Cpu,
    /// One event per thread and CPU, inherited by new ones
    Task,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  burnmark top                                   the last recording
  burnmark top app.cpuprofile --limit 50         more rows
  burnmark top --by total --focus 'serde|json'   only stacks through JSON code, by total time
  burnmark top --merge-by line                   hot lines
  perf script | burnmark top - --md >> notes.md  a table for an optimization log")]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  burnmark flame -o flame.svg                      the last recording
  burnmark flame app.cpuprofile --icicle -o a.svg  roots on top
  burnmark flame --reverse -o callers.svg          who calls the hot functions
  perf script | burnmark flame - -o out.svg")]
pub(crate) struct FlameArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Where to write the SVG
    #[arg(short, long, value_name = "FILE", default_value = "flame.svg")]
    pub(crate) output: PathBuf,

    #[command(flatten)]
    pub(crate) look: FlameLook,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Leave out frames with a smaller share, in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) min_share: Option<f64>,

    /// Draw no deeper than this many frames
    #[arg(long, value_name = "FRAMES")]
    pub(crate) limit: Option<usize>,
}

/// How a flame graph is drawn.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FlameLook {
    /// Roots on top, leaves at the bottom
    #[arg(long)]
    pub(crate) icicle: bool,

    /// Start from the leaves: callers stand on the functions they call
    #[arg(long)]
    pub(crate) reverse: bool,

    /// Title of the picture
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "The extension of OUT decides the format: .pb .pb.gz (pprof), .folded .txt (collapsed stacks),
.svg (flame graph), .md .csv .json (the table), each also with .gz or .zst behind it.

Examples:
  burnmark convert out.perf-script -o out.pb.gz
  burnmark convert burnmark.pb.gz -o - --as folded | sort
  burnmark convert app.cpuprofile -o app.folded.gz --focus parse")]
pub(crate) struct ConvertArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Where to write; - is standard output
    #[arg(short, long, value_name = "OUT", required = true)]
    pub(crate) output: PathBuf,

    /// Output format, when OUT's extension does not say it
    #[arg(long = "as", value_name = "FORMAT", value_enum)]
    pub(crate) format_out: Option<OutputFormat>,

    #[command(flatten)]
    pub(crate) look: FlameLook,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// For tables: rows at most, 0 for all [default: 30]
    #[arg(long, value_name = "ROWS")]
    pub(crate) limit: Option<usize>,

    /// Leave out rows and frames with a smaller share, in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) min_share: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// pprof protobuf, gzipped where the name says so
    Pprof,
    /// Collapsed stacks
    Folded,
    /// Flame graph
    Svg,
    /// Table as Markdown
    Md,
    /// Table as CSV
    Csv,
    /// Table as JSON
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  burnmark heap app.heapsnapshot                        what retains the memory
  burnmark heap 1.heapsnapshot 2.heapsnapshot 3.heapsnapshot --iterations 0,100,200
                                                        what leaks, where it is held, and the likely cause
  burnmark heap app.heapsnapshot --path 48213           why this object is still there
  burnmark heap app.heapsnapshot --focus '^Session$'    what sessions retain, by class
  burnmark heap 1.heapsnapshot 2.heapsnapshot --md >> notes.md
  burnmark heap app.heapsnapshot --nodes nodes.csv      every object, as CSV
  burnmark flame app.heapsnapshot -o heap.svg           retained memory as a flame graph

Snapshots are written by `v8.writeHeapSnapshot()`, `node --heapsnapshot-signal=SIGUSR2`, or Chrome DevTools (Memory).
Several must be of one process, in the order in which they were taken; run the same work between them.")]
pub(crate) struct HeapArgs {
    /// Heap snapshots (.heapsnapshot, also .gz or .zst), the earliest first; - is standard input
    #[arg(value_name = "SNAPSHOT", required = true)]
    pub(crate) snapshots: Vec<PathBuf>,

    /// Print the tables as Markdown
    #[arg(long, group = "form")]
    pub(crate) md: bool,

    /// Print the tables as CSV
    #[arg(long, group = "form")]
    pub(crate) csv: bool,

    /// Print JSON (schema burnmark.heap/1)
    #[arg(long, group = "form")]
    pub(crate) json: bool,

    /// Rows per table at most, 0 for all
    #[arg(long, value_name = "ROWS", default_value_t = 15)]
    pub(crate) limit: usize,

    /// Only classes whose name matches
    #[arg(long, value_name = "REGEX")]
    pub(crate) class: Option<Regex>,

    /// Only what objects of matching classes retain
    #[arg(long, value_name = "REGEX")]
    pub(crate) focus: Option<Regex>,

    /// One object: what it holds and who holds it
    #[arg(long, value_name = "ID")]
    pub(crate) id: Vec<u32>,

    /// Why an object is still there: the path that holds it
    #[arg(long, value_name = "ID")]
    pub(crate) path: Vec<u32>,

    /// Write every object as CSV: id, type, name, shallow, retained, distance, dominator_id
    #[arg(long, value_name = "FILE")]
    pub(crate) nodes: Option<PathBuf>,

    /// How often the program had done its repeated work at each snapshot, such as 0,100,200
    #[arg(long, value_name = "COUNTS", value_delimiter = ',')]
    pub(crate) iterations: Option<Vec<u64>>,

    /// Most bytes to decompress a snapshot to, such as 16G
    #[arg(long, value_name = "BYTES", default_value = "64G", value_parser = size)]
    pub(crate) max_decompressed: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  burnmark info
  burnmark info profile.pb.gz --json")]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Print JSON (schema burnmark.info/1)
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Files are looked for in perf's cache (~/.debug), below --debug-dir and --symfs, and on this machine;
they are used if their build-id is the recorded one. Without a recorded build-id the first file of the name is used.

Examples:
  burnmark symbolize burnmark.pb.gz -o new.pb.gz                   with installed debug symbols
  burnmark symbolize prod.pb.gz --debug-dir ./build -o new.pb.gz   unstripped programs
  burnmark symbolize prod.pb.gz --symfs /srv/image -o new.pb.gz    a copy of its files"
)]
pub(crate) struct SymbolizeArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Where to write; the extension decides the format as in `convert`
    #[arg(short, long, value_name = "OUT", required = true)]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Seconds to record for [default: 5]
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) duration: Option<std::time::Duration>,

    /// Folder for the recording and the flame graph
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    pub(crate) output: PathBuf,

    /// Run the workload alone, to be sampled by something else: prints its PID, ends after -d seconds or when its
    /// standard input ends
    #[arg(long)]
    pub(crate) workload: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell to complete for
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write burnmark.1, burnmark-record.1, … into this folder instead of printing burnmark.1
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
}

/// Where a profile comes from.
#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// Profile to read: a recording, perf.data, perf script text, collapsed stacks, pprof, V8 .cpuprofile; - is standard
    /// input
    #[arg(value_name = "PROFILE", default_value = crate::save::DEFAULT_RECORDING)]
    pub(crate) profile: PathBuf,

    /// Format of the input [default: found by content]
    #[arg(long, value_name = "FORMAT", value_parser = format_name)]
    pub(crate) format: Option<burnmark_formats::Format>,

    /// Most bytes to decompress an input to, such as 16G
    #[arg(long, value_name = "BYTES", default_value = "8G", value_parser = size)]
    pub(crate) max_decompressed: u64,

    /// Only processes with this pid
    #[arg(long, value_name = "PID", value_delimiter = ',', help_heading = "Filters")]
    pub(crate) pid: Vec<i64>,

    #[command(flatten)]
    pub(crate) recorded: RecordedArgs,
}

/// Where the files are that a profile was recorded from, and what of it to show.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Symbols (of perf.data files, and for `symbolize`)")]
pub(crate) struct RecordedArgs {
    /// Folder that stands for the recorded machine's /, such as a container's root; may be given several times
    #[arg(long, value_name = "DIR")]
    pub(crate) symfs: Vec<PathBuf>,

    /// Folder with debug files, like /usr/lib/debug, or with the programs themselves; may be given several times
    #[arg(long, value_name = "DIR")]
    pub(crate) debug_dir: Vec<PathBuf>,

    /// Folder that perf keeps files in by build-id [default: ~/.debug]
    #[arg(long, value_name = "DIR")]
    pub(crate) buildid_dir: Vec<PathBuf>,

    /// Keep perf's command line and home paths as they are (they may tell more than you want to share)
    #[arg(long)]
    pub(crate) keep_args: bool,
}

/// What table to print.
#[derive(Clone, Debug, Args)]
pub(crate) struct TableArgs {
    /// Print the table as Markdown
    #[arg(long, group = "form")]
    pub(crate) md: bool,

    /// Print the table as CSV
    #[arg(long, group = "form")]
    pub(crate) csv: bool,

    /// Print the table as JSON (schema burnmark.top/1)
    #[arg(long, group = "form")]
    pub(crate) json: bool,

    /// Rank by self or by total
    #[arg(long, value_enum, default_value_t = By::SelfValue)]
    pub(crate) by: By,

    /// Rows at most, 0 for all
    #[arg(long, value_name = "ROWS", default_value_t = DEFAULT_ROWS)]
    pub(crate) limit: usize,

    /// Leave out rows with a smaller share, in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) min_share: Option<f64>,
}

/// Rows of a table when nothing else is asked for.
pub(crate) const DEFAULT_ROWS: usize = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Time in the function itself
    #[value(name = "self")]
    SelfValue,
    /// Time in the function and what it calls
    Total,
}

/// Which part of a profile to look at. The same on every command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// Value to show: NAME or NAME/UNIT (`burnmark info` lists them)
    #[arg(long, value_name = "TYPE")]
    pub(crate) value: Option<String>,

    /// Only stacks with a function, file or module that matches
    #[arg(long, value_name = "REGEX")]
    pub(crate) focus: Vec<Regex>,

    /// Without stacks that have a function, file or module that matches
    #[arg(long, value_name = "REGEX")]
    pub(crate) ignore: Vec<Regex>,

    /// Take matching frames out of their stacks; callers keep the time
    #[arg(long, value_name = "REGEX")]
    pub(crate) hide: Vec<Regex>,

    /// Only threads with this tid, or a name that matches
    #[arg(long, value_name = "TID|REGEX")]
    pub(crate) thread: Vec<String>,

    /// From this many seconds after the first sample (also 250ms, 2m)
    #[arg(long, value_name = "TIME", value_parser = time_ns)]
    pub(crate) from: Option<i64>,

    /// To this many seconds after the first sample
    #[arg(long, value_name = "TIME", value_parser = time_ns)]
    pub(crate) to: Option<i64>,

    /// Take inlined frames out; the functions they were inlined into keep the time
    #[arg(long)]
    pub(crate) no_inline: bool,

    /// What counts as the same frame
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) merge_by: Option<MergeChoice>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MergeChoice {
    /// The same function of the same module
    Function,
    /// The same source line
    Line,
    /// The same module
    Module,
}

fn format_name(text: &str) -> Result<burnmark_formats::Format, String> {
    burnmark_formats::Format::from_name(text).ok_or_else(|| {
        let names = burnmark_formats::FORMATS.iter().map(|format| format.name()).collect::<Vec<_>>();
        format!("no such format; there are {}", names.join(", "))
    })
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("a number from 0 to 100".to_owned()),
    }
}

/// A time in seconds, or with a unit: `1.5`, `250ms`, `2m`.
fn parse_seconds(text: &str) -> Option<f64> {
    let units = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let (number, scale) =
        units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale))).unwrap_or((text, 1.0));
    number.trim().parse::<f64>().ok().map(|number| number * scale).filter(|seconds| seconds.is_finite())
}

fn seconds(text: &str) -> Result<std::time::Duration, String> {
    parse_seconds(text)
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a time over 0, such as 5, 0.5, 250ms or 2m".to_owned())
}

fn time_ns(text: &str) -> Result<i64, String> {
    match parse_seconds(text) {
        Some(seconds) if (0.0..9e9).contains(&seconds) => Ok((seconds * 1e9).round() as i64),
        _ => Err("a time from 0, such as 1.5, 250ms or 2m".to_owned()),
    }
}

/// A size in bytes, with an optional K, M, G or T (powers of 1024).
fn size(text: &str) -> Result<u64, String> {
    let bad = || "a number of bytes, such as 500M or 16G".to_owned();
    let text = text.trim_end_matches(['B', 'b']).trim_end_matches('i');
    let (digits, shift) = match text.chars().last() {
        Some('K' | 'k') => (&text[..text.len() - 1], 10),
        Some('M' | 'm') => (&text[..text.len() - 1], 20),
        Some('G' | 'g') => (&text[..text.len() - 1], 30),
        Some('T' | 't') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_holds_together() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn times_and_sizes() {
        assert_eq!(time_ns("1.5"), Ok(1_500_000_000));
        assert_eq!(time_ns("250ms"), Ok(250_000_000));
        assert_eq!(time_ns("2m"), Ok(120_000_000_000));
        assert!(time_ns("-1").is_err() && time_ns("inf").is_err() && time_ns("x").is_err());
        assert!(seconds("0").is_err() && seconds("nan").is_err() && seconds("1e300").is_err());
        assert_eq!(size("16G"), Ok(16 << 30));
        assert_eq!(size("12"), Ok(12));
        assert!(size("999999999999G").is_err() && size("").is_err() && size("G").is_err());
        assert_eq!(percent("2.5%"), Ok(0.025));
        assert!(percent("101").is_err());
    }
}
