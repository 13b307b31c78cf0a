//! The command line's grammar and help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use regex::Regex;

mod diff;
mod gate;
mod heap;
mod journal;
mod record;
mod values;

pub(crate) use diff::{CompareArgs, DiffArgs, DiffHow, WidthChoice};
pub(crate) use gate::{DEFAULT_BUDGET, FormArgs, GateArgs, MetricsArgs, TrendArgs};
pub(crate) use heap::HeapArgs;
pub(crate) use journal::{
    EvidenceArgs, Figures, FitArgs, GithubPlace, LogAddArgs, LogArgs, LogCommand, LogFolder, LogListArgs,
    LogRenderArgs, LogShowArgs, LogVerifyArgs, ReportArgs,
};
pub(crate) use record::{BindingChoice, CallGraphChoice, EventChoice, RecordArgs};
use values::{format_name, percent, seconds, size, time_ns};

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
  burnmark gate --budget budget.json k6.json are results and profiles within their limits?
  burnmark trend --pid 1234 -d 10m           does its memory grow?
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
    /// Write what changed between two sides as a whole report, in Markdown
    Report(Box<ReportArgs>),
    /// Keep the log of optimizations: what was slow, what was changed, what came of it
    Log(LogArgs),
    /// Say what a load test or benchmark measured
    Metrics(MetricsArgs),
    /// Hold results, profiles and heap snapshots against a budget; the exit code says whether they keep it
    Gate(GateArgs),
    /// Say whether memory grows over time, and how sure that is
    Trend(TrendArgs),
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

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  burnmark top                                   the last recording
  burnmark top app.cpuprofile --limit 50         more rows
  burnmark top --by total --focus 'serde|json'   only stacks through JSON code, by total time
  burnmark top --merge-by line                   hot lines
  burnmark top --findings --hints                what stands out, and where to look
  burnmark top --rules ours.toml                 categories of your own
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

    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

/// How profiles are read. The same wherever they come from.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReadArgs {
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

    #[command(flatten)]
    pub(crate) meaning: MeaningArgs,
}

/// What functions do, and what that says.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Categories and findings")]
pub(crate) struct MeaningArgs {
    /// More rules for the category column, tried before those that come with burnmark (TOML: `[[rule]]` with category and
    /// function, module or file patterns; `[[category]]` with name and action)
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,

    /// Print what each category has of the whole, and where to look
    #[arg(long)]
    pub(crate) hints: bool,

    /// Print patterns that are worth a look, with their evidence: plateaus, wide bases, deep recursion, the shares of
    /// logging, allocation, garbage collection, locks and more (also with --json)
    #[arg(long)]
    pub(crate) findings: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_holds_together() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
