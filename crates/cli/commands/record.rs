//! `burnmark record`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use burnmark_model::Profile;
use burnmark_native::CallGraph;
use burnmark_perf::live;

use crate::args::{BindingChoice, CallGraphChoice, EventChoice, RecordArgs};
use crate::commands::top;
use crate::save;
use crate::session::{self, Options, What};
use crate::{machine, notes, open, output};

/// The most processes that are listed when a name was asked for.
const NAMES_SHOWN: usize = 8;

/// Records, writes the recording, prints the table.
pub(crate) fn run(args: RecordArgs) -> anyhow::Result<ExitCode> {
    check_output(&args.output)?;
    // Rules that can't be read are told before anything is sampled.
    top::rules(&args.table.meaning)?;
    let what = match args.command.split_first() {
        Some((program, rest)) => What::Command(command(program, rest)),
        None => attached(&args)?,
    };
    let profile = record(Options {
        what,
        duration: args.duration,
        frequency: args.frequency.map(u64::from),
        event: match args.event {
            EventChoice::Auto => None,
            EventChoice::Cycles => Some(live::Event::Cycles),
            EventChoice::CpuClock => Some(live::Event::CpuClock),
        },
        binding: match args.bind {
            BindingChoice::Auto => live::Binding::Auto,
            BindingChoice::Cpu => live::Binding::Cpu,
            BindingChoice::Task => live::Binding::Task,
        },
        call_graph: match args.call_graph {
            CallGraphChoice::Auto => CallGraph::Auto,
            CallGraphChoice::Fp => CallGraph::FramePointers,
            CallGraphChoice::Dwarf => CallGraph::Dwarf,
        },
        children: !args.no_children,
        keep_args: args.keep_args,
        output: args.output.clone(),
    })?;
    let profile = open::filtered(profile, &args.filter, &[], None)?;
    top::print(&profile, &args.table, &args.filter)?;
    Ok(ExitCode::SUCCESS)
}

/// What to attach to.
fn attached(args: &RecordArgs) -> anyhow::Result<What> {
    if args.all {
        return Ok(What::All);
    }
    if !args.tid.is_empty() {
        return Ok(What::Threads(args.tid.clone()));
    }
    let Some(name) = &args.name else { return Ok(What::Pids(args.pid.clone())) };
    let found = machine::processes_named(name);
    if found.is_empty() {
        bail!("no process has a name or command line that matches `{name}`: `ps -eo pid,args` lists what runs");
    }
    let shown = found.iter().take(NAMES_SHOWN).map(|(pid, name)| format!("{pid} ({name})")).collect::<Vec<_>>();
    let more = found.len().saturating_sub(NAMES_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let processes = if found.len() == 1 { "process" } else { "processes" };
    output::say(&format!("{} {processes} match `{name}`: {}{more}", found.len(), shown.join(", ")));
    Ok(What::Found(found.into_iter().map(|(pid, _)| pid).collect()))
}

/// Finds out before anything is sampled that the recording could not be written.
fn check_output(path: &Path) -> anyhow::Result<()> {
    if output::is_stdout(path) {
        bail!(
            "the table goes to standard output, the recording to a file: name it with -o FILE.pb.gz; then \
             `burnmark convert FILE.pb.gz -o - --as pprof` prints it"
        );
    }
    if path.is_dir() {
        bail!("cannot write {}: it is a directory; name a file in it", path.display());
    }
    save::check_recording(path)
}

fn command(program: &OsString, arguments: &[OsString]) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command.args(arguments);
    command
}

/// Attaches to one process for a while.
pub(crate) fn attach(pid: u32, duration: Duration, output: PathBuf) -> Options {
    Options {
        what: What::Pids(vec![pid]),
        duration: Some(duration),
        frequency: None,
        event: None,
        binding: live::Binding::Auto,
        call_graph: CallGraph::Auto,
        children: true,
        keep_args: false,
        output,
    }
}

/// Records and writes the recording where the options say.
pub(crate) fn record(options: Options) -> anyhow::Result<Profile> {
    session::finish_interrupted(&options.output)?;
    let path = options.output.clone();
    let recorded = session::record(options)?;
    let name = path.display().to_string();
    output::print_warnings(&name, &recorded.parsed.warnings);
    let profile = &recorded.parsed.profile;
    session::write(profile, &path).inspect_err(|_| recorded.rescue())?;
    match recorded.command {
        Some((_, Some(exit))) if !exit.success() => output::say(&format!("note: the command ended with {exit}")),
        Some((pid, None)) => output::say(&format!("note: the command goes on as process {pid}")),
        _ => {}
    }
    if let Some(note) = notes::left_behind(&recorded.left_behind) {
        output::say(&format!("note: {note}"));
    }
    output::say(&format!("wrote {name} ({} samples)", profile.samples.len()));
    recorded.discard_spool()
}
