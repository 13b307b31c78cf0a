//! The small target programs of fixtures/programs, built into target/fixtures; and fixtures made anew.

use std::path::Path;

use anyhow::Result;
use clap::Args;

use crate::shell;

#[derive(Args)]
pub(crate) struct FixtureOptions {
    /// Make the heap snapshots of fixtures/heap anew, with eight versions of Node and with Chromium (npm, several minutes)
    #[arg(long)]
    heap: bool,

    /// Make the results of load tests and benchmarks in fixtures/metrics anew (npm, PyPI, hyperfine; a few minutes)
    #[arg(long)]
    metrics: bool,

    /// Make the profiles of fixtures/findings anew (npm, go; half a minute)
    #[arg(long)]
    findings: bool,
}

/// Builds every program and says where it is; false when one does not build.
pub(crate) fn report(root: &Path, options: &FixtureOptions) -> Result<bool> {
    if options.heap {
        return shell::succeeds(shell::command(root, "fixtures/heap/make.sh", &["target/fixtures/heap"]));
    }
    if options.metrics {
        return shell::succeeds(shell::command(root, "fixtures/metrics/make.sh", &["target/fixtures/metrics"]));
    }
    if options.findings {
        return shell::succeeds(shell::command(root, "fixtures/findings/make.sh", &["target/fixtures/findings"]));
    }
    shell::succeeds(shell::command(root, "fixtures/programs/build", &["target/fixtures"]))
}
