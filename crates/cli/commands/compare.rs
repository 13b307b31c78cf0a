//! `burnmark compare`.

use std::process::ExitCode;

use crate::args::CompareArgs;

/// Runs both sides in turn.
pub(crate) fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let _ = args;
    anyhow::bail!("not there yet")
}
