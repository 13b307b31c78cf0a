//! `burnmark symbolize`.

use std::process::ExitCode;

use anyhow::bail;
use burnmark_native::{FileFinder, Finished, ModuleReport, Modules, OwnFiles, Places, SymbolOptions, resymbolize};

use crate::args::SymbolizeArgs;
use crate::save::{self, SaveOptions};
use crate::{open, output, progress};

/// Modules that are listed when names are still missing.
const LISTED: usize = 12;

/// Looks names up for a profile that lacks them, and writes it.
pub(crate) fn run(args: &SymbolizeArgs) -> anyhow::Result<ExitCode> {
    save::check_name(&args.output, None)?;
    for folder in args.debug_dir.iter().chain(&args.symfs) {
        if !folder.is_dir() {
            bail!("{} is no folder: name one that holds files with symbols", folder.display());
        }
    }
    let opened = open::open(&args.input)?;
    let profile = open::filtered(opened.profile, &Default::default(), &args.input.pid, None)?;
    let homes: Vec<String> = std::env::var("HOME").into_iter().collect();
    let modules = Modules::new(FileFinder::Places(Places {
        build_id_caches: homes.iter().map(|home| std::path::Path::new(home).join(".debug")).collect(),
        debug_folders: args.debug_dir.clone(),
        roots: args.symfs.clone(),
        own: OwnFiles::Files,
        ..Places::default()
    }));
    let options = SymbolOptions { homes, keep_paths: args.keep_paths, ..SymbolOptions::default() };
    let state = burnmark_native::Progress::default();
    let looking = || resymbolize(&profile, &modules, &options, &state);
    let Finished { parsed, modules } = progress::during("looking up symbols", || state.get(), looking);
    let before = named(&profile);
    let after = named(&parsed.profile);
    save::save(&parsed.profile, &args.output, &SaveOptions::plain(&parsed.profile, &opened.name))?;
    list_missing(&modules);
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

/// A line per module that samples met without a name: why, and the build-id to look for.
fn list_missing(modules: &[ModuleReport]) {
    let missing: Vec<&ModuleReport> = modules.iter().filter(|module| module.nameless > 0).collect();
    for module in missing.iter().take(LISTED) {
        let id = if module.build_id.is_empty() { "not known" } else { &module.build_id };
        output::say(&format!(
            "no names for {} ({} samples): {}; build-id {id}",
            module.path, module.nameless, module.symbols
        ));
    }
    if missing.len() > LISTED {
        output::say(&format!("… and {} other modules", missing.len() - LISTED));
    }
}
