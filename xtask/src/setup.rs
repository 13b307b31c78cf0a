//! What the tests need of the machine: Debian packages and cargo-nextest, brought in where that is possible, named
//! where it is not.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::shell;

/// A program that tests run, and how a Debian machine gets it.
struct Tool {
    /// Any of these on the PATH will do.
    programs: &'static [&'static str],
    package: &'static str,
    used_for: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { programs: &["perf"], package: "linux-perf", used_for: "the recorder to compare ours with" },
    Tool {
        programs: &["chromium", "chromium-browser", "google-chrome"],
        package: "chromium",
        used_for: "opening flame graphs as a reader would",
    },
    Tool { programs: &["gcc"], package: "gcc", used_for: "building the target programs of fixtures/programs" },
    Tool { programs: &["g++"], package: "g++", used_for: "building the target programs of fixtures/programs" },
    Tool { programs: &["readelf"], package: "binutils", used_for: "second opinions on ELF and DWARF" },
    Tool { programs: &["ld.lld"], package: "lld", used_for: "programs laid out by another linker" },
    Tool { programs: &["mold"], package: "mold", used_for: "programs laid out by another linker" },
    Tool { programs: &["node"], package: "nodejs", used_for: "running leaking programs, and their twins that don't" },
    Tool { programs: &["kill"], package: "procps", used_for: "interrupting recordings" },
    Tool { programs: &["xz"], package: "xz-utils", used_for: "a program to sample that is not ours" },
    Tool { programs: &["node"], package: "nodejs", used_for: "sampling JavaScript" },
];

/// How the tests are run.
pub(crate) enum Runner {
    /// This cargo-nextest, from the PATH or installed into target/tools.
    Nextest(PathBuf),
    /// `cargo test`, where nextest can't be had.
    CargoTest,
}

/// Brings in what is missing, and returns a line for each thing that stays missing.
pub(crate) fn packages(root: &Path) -> Result<Vec<String>> {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| !works(tool)).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    if is_root() && shell::on_path("apt-get") {
        install(root, &names)?;
    }
    let still: Vec<&Tool> = missing.into_iter().filter(|tool| !works(tool)).collect();
    let mut lines: Vec<String> = still
        .iter()
        .map(|tool| format!("{} is missing ({}): tests that need it can't run", tool.programs[0], tool.used_for))
        .collect();
    if !lines.is_empty() {
        let names: Vec<&str> = still.iter().map(|tool| tool.package).collect();
        lines.push(format!("to get it: sudo apt-get install --no-install-recommends {}", names.join(" ")));
        shell::loud("MISSING on this machine", &lines);
    }
    Ok(lines)
}

/// Finds cargo-nextest or installs it; `cargo test` is the way out, and says so.
pub(crate) fn runner(root: &Path) -> Result<Runner> {
    let tools = root.join("target/tools");
    let installed = tools.join("bin/cargo-nextest");
    if shell::on_path("cargo-nextest") {
        return Ok(Runner::Nextest("cargo-nextest".into()));
    }
    if !installed.is_file() {
        eprintln!("cargo-nextest is not installed: building it into target/tools (once, some minutes)");
        let place = tools.to_string_lossy().into_owned();
        let arguments = ["install", "cargo-nextest", "--locked", "--debug", "--root", &place];
        if !shell::succeeds(shell::cargo(root, &arguments))? {
            let instead = "the tests run with `cargo test`: one binary after the other, without a limit on their time";
            shell::loud("cargo-nextest could not be installed", &[instead.to_owned()]);
            return Ok(Runner::CargoTest);
        }
    }
    Ok(Runner::Nextest(installed))
}

fn install(root: &Path, names: &[&str]) -> Result<()> {
    let apt = |arguments: &[&str]| {
        let mut command = shell::command(root, "apt-get", arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        shell::succeeds(command)
    };
    let install = [&["install", "--yes", "--no-install-recommends"], names].concat();
    // A fresh machine has no package lists, an old one has stale ones; most have good ones.
    if !apt(&install)? {
        apt(&["update"])?;
        apt(&install)?;
    }
    Ok(())
}

/// Whether one of the tool's programs is there; Debian's `perf` may be a wrapper around nothing, so it must answer.
fn works(tool: &Tool) -> bool {
    tool.programs.iter().any(|program| {
        shell::on_path(program) && {
            let mut command = Command::new(program);
            command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        }
    })
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
