//! `burnmark demo`.

use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::Context;

use crate::args::{By, DEFAULT_ROWS, DemoArgs, FilterArgs, MeaningArgs, TableArgs};
use crate::commands::{record, top};
use crate::save::{self, SaveOptions};
use crate::{demo, output};

/// How long the demo records for when nothing is said.
const DURATION: std::time::Duration = std::time::Duration::from_secs(5);

const RECORDING: &str = "burnmark-demo.pb.gz";
const FLAME: &str = "burnmark-demo.svg";

/// Starts the workload in a process of its own, attaches to it, and shows what comes of it.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    if args.workload {
        output::print(&format!("{}\n", std::process::id()))?;
        let sum = demo::run(args.duration)?;
        output::say(&format!("done (checksum {sum:x})"));
        return Ok(ExitCode::SUCCESS);
    }
    let duration = args.duration.unwrap_or(DURATION);
    let recording = args.output.join(RECORDING);
    let flame = args.output.join(FLAME);
    let mut workload = start_workload()?;
    output::say(&format!(
        "burnmark demo: compression, JSON, regex search and word counting on four threads, as process {}",
        workload.id()
    ));
    let recorded = record::record(record::attach(workload.id(), duration, recording.clone()));
    // Its standard input closes: it ends by itself.
    drop(workload.stdin.take());
    workload.wait().context("the demo's workload was lost")?;
    let profile = recorded?;

    let (table, filter) = (table(), FilterArgs::default());
    top::print(&profile, &table, &filter)?;
    save::save(&profile, &flame, &SaveOptions::plain(&profile, "burnmark demo"))?;
    say_next(&recording, &flame);
    Ok(ExitCode::SUCCESS)
}

fn start_workload() -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("cannot find burnmark's own program file")?;
    Command::new(program)
        .args(["demo", "--workload"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the demo's workload")
}

fn table() -> TableArgs {
    TableArgs {
        md: false,
        csv: false,
        json: false,
        by: By::SelfValue,
        limit: DEFAULT_ROWS,
        min_share: None,
        meaning: MeaningArgs::default(),
    }
}

fn say_next(recording: &Path, flame: &Path) {
    let program = std::env::args().next().unwrap_or_else(|| "burnmark".to_owned());
    let (recording, flame) = (recording.display(), flame.display());
    output::say(&format!(
        "
The recording is {recording}, the flame graph {flame} (open it in a browser). Next, try:
  {program} top {recording} --thread index --merge-by line    hot lines of one thread, inlined code included
  {program} top {recording} --by total --focus serde          what runs under JSON code
  {program} top {recording} --from 1s --to 2s                 one second of it
  {program} flame {recording} --reverse -o callers.svg        who calls the hot functions
  {program} record -p PID -d 5                                the same for a process of yours
  {program} record -- COMMAND ARGS…                           or for a command"
    ));
}
