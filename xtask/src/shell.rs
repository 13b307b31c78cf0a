//! Running other programs, and how what they did is told.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

/// The top of the checkout this xtask was built from.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies in the checkout").to_path_buf()
}

/// The cargo that runs us, so that a toolchain chosen with `cargo +x` stays chosen.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    command(root, program, arguments)
}

/// `program arguments…`, to be run in `directory` without a stdin.
pub(crate) fn command(directory: &Path, program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    command
}

/// Runs to the end, output shown as it comes, and says how long it took; false when it exits with an error.
pub(crate) fn succeeds(mut command: Command) -> Result<bool> {
    let line = shown(&command);
    eprintln!("\n$ {line}");
    let started = Instant::now();
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    eprintln!("  ({:.1} s, {status})", started.elapsed().as_secs_f64());
    Ok(status.success())
}

/// The burnmark to measure: the one given, or this checkout's, built for release.
pub(crate) fn burnmark(root: &Path, given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    ensure!(succeeds(cargo(root, &["build", "--release", "--bin", "burnmark"]))?, "burnmark does not build");
    Ok(root.join("target/release/burnmark"))
}

/// Runs to the end and returns what it wrote to stdout.
pub(crate) fn output(mut command: Command) -> Result<Vec<u8>> {
    let line = shown(&command);
    let output = command.output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` failed ({}): {}", output.status, said.trim_end());
    }
    Ok(output.stdout)
}

/// Whether `program` is found on the PATH.
pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A few lines that nobody scrolls past.
pub(crate) fn loud(title: &str, lines: &[String]) {
    let bar = "!".repeat(100);
    eprintln!("\n{bar}\n!! {title}");
    for line in lines {
        eprintln!("!!   {line}");
    }
    eprintln!("{bar}");
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}
