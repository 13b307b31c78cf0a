//! A long recording of two busy cores with little memory: it comes to its end, and loses next to nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::shell;

#[derive(Parser)]
#[command(name = "cargo xtask bench long", about = "A long recording of two busy cores under a limit of memory")]
struct Options {
    /// Minutes to record for
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Samples per second and CPU
    #[arg(long, default_value_t = 999)]
    frequency: u32,
    /// The most data the recorder may have, in bytes
    #[arg(long, default_value_t = 300_000_000)]
    data: u64,
    /// The share of samples that may be lost
    #[arg(long, default_value_t = 0.001)]
    lost: f64,
    /// This burnmark instead of the one built from the checkout
    #[arg(long)]
    burnmark: Option<PathBuf>,
}

/// Ended when dropped.
struct Busy(Child);

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Records, and prints what came of it; false when more was lost than may be.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<bool> {
    let options = Options::parse_from(std::iter::once("long".to_owned()).chain(arguments.iter().cloned()));
    let burnmark = shell::burnmark(root, options.burnmark.as_deref())?;
    let programs = ["target/fixtures", "frames"];
    ensure!(shell::succeeds(shell::command(root, "fixtures/programs/build", &programs))?, "the target does not build");
    let seconds = options.minutes * 60.0;
    // Stacks 400 calls deep; on a busy machine a second of CPU time takes longer than a second.
    let start = || {
        let mut command = Command::new(root.join("target/fixtures/frames"));
        command.args(["deep", &seconds.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().map(Busy).context("cannot start the target")
    };
    let busy = [start()?, start()?];
    let folder = std::env::temp_dir().join(format!("burnmark-long-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let file = folder.join("long.pb.gz");
    let pids = busy.each_ref().map(|busy| busy.0.id().to_string()).join(",");
    let mut command = shell::command(&folder, "prlimit", &[&format!("--data={}", options.data)]);
    command.arg(&burnmark).args(["record", "--limit", "3", "-p", &pids, "-d", &seconds.to_string()]);
    command.args(["-F", &options.frequency.to_string(), "-o"]).arg(&file);
    let mut recorder = command.spawn().context("cannot start prlimit")?;
    let mut peak_kb = 0;
    let status = loop {
        peak_kb = peak_kb.max(data_kb(&recorder));
        match recorder.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    ensure!(status.success(), "the recording failed: {status}");
    let mut info = shell::command(&folder, &burnmark, &["info", "--json"]);
    info.arg(&file);
    let info: serde_json::Value = serde_json::from_slice(&shell::output(info)?)?;
    let (samples, lost) = (info["samples"].as_f64().unwrap_or(0.0), info["lost"].as_f64().unwrap_or(0.0));
    let share = lost / (samples + lost);
    let bytes = fs::metadata(&file)?.len();
    println!(
        "{samples} samples, {lost} lost ({:.3} %), {} MB of data at most, a file of {:.1} MB",
        share * 100.0,
        peak_kb / 1000,
        bytes as f64 / 1e6
    );
    fs::remove_dir_all(&folder)?;
    Ok(share <= options.lost)
}

/// What counts against the limit: private memory that can be written.
fn data_kb(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse().ok()).unwrap_or(0)
}
