//! Recording.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use regex::Regex;

use super::{FilterArgs, TableArgs, seconds};

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
