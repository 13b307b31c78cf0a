//! `burnmark symbolize`.

use std::process::ExitCode;

use anyhow::bail;
use burnmark_native::{Finished, Modules, SymbolOptions, resymbolize};

use crate::args::SymbolizeArgs;
use crate::save::{self, SaveOptions};
use crate::{open, output, perfdata, progress};

/// Looks names up for a profile that lacks them, and writes it.
pub(crate) fn run(args: &SymbolizeArgs) -> anyhow::Result<ExitCode> {
    save::check_name(&args.output, None)?;
    let given = &args.input.read.recorded;
    for folder in given.debug_dir.iter().chain(&given.symfs).chain(&given.buildid_dir) {
        if !folder.is_dir() {
            bail!("{} is no folder: name one that holds files with symbols", folder.display());
        }
    }
    let opened = open::open(&args.input.profile, &args.input.read)?;
    let profile = open::filtered(opened.profile, &Default::default(), &args.input.read.pid, None)?;
    let homes = std::env::var("HOME").into_iter().collect();
    let modules = Modules::new(perfdata::finder(&args.input.read));
    let options = SymbolOptions { homes, keep_paths: given.keep_args, ..SymbolOptions::default() };
    let state = burnmark_native::Progress::default();
    let looking = || resymbolize(&profile, &modules, &options, &state);
    let Finished { parsed, modules } = progress::during("looking up symbols", || state.get(), looking);
    let before = named(&profile);
    let after = named(&parsed.profile);
    save::save(&parsed.profile, &args.output, &SaveOptions::plain(&parsed.profile, &opened.name))?;
    perfdata::tell_missing(&modules);
    output::say(&format!(
        "wrote {} ({} samples): {after} frames have names now, {before} had before",
        args.output.display(),
        parsed.profile.samples.len()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Frames with a function.
fn named(profile: &burnmark_model::Profile) -> usize {
    profile.frames.iter().filter(|(_, frame)| frame.function.is_some()).count()
}
