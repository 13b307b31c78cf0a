//! `burnmark info`.

use std::process::ExitCode;

use burnmark_analysis::summarize;

use crate::args::InfoArgs;
use crate::{open, output};

/// Reads a profile and says what is in it.
pub(crate) fn run(args: &InfoArgs) -> anyhow::Result<ExitCode> {
    let opened = open::open(&args.input.profile, &args.input.read)?;
    let profile = open::filtered(opened.profile, &args.filter, &args.input.read.pid, None)?;
    let value = open::value(&profile, args.filter.value.as_deref())?;
    let summary = summarize(&profile, value)?;
    let format = opened.format;
    output::print(&if args.json {
        burnmark_report::info_json(&profile, &summary, format, &opened.warnings)
    } else {
        burnmark_report::info(&profile, &summary, format, &opened.warnings)
    })?;
    Ok(ExitCode::SUCCESS)
}
