//! `burnmark flame`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use burnmark_analysis::{MergeBy, Roots};
use burnmark_model::Profile;
use burnmark_report::FlameOptions;

use crate::args::{FlameArgs, OutputFormat};
use crate::save::{self, SaveOptions};
use crate::{open, output};

/// Reads a profile and draws it.
pub(crate) fn run(args: &FlameArgs) -> anyhow::Result<ExitCode> {
    if is_same_file(&args.input.profile, &args.output) {
        bail!(
            "the picture would take the place of the profile {}: name another file with -o, such as flame.svg",
            args.output.display()
        );
    }
    let opened = open::open(&args.input.profile, &args.input.read)?;
    let profile = open::filtered(opened.profile, &args.filter, &args.input.read.pid, None)?;
    let value = open::value(&profile, args.filter.value.as_deref())?;
    let options = SaveOptions {
        format: Some(OutputFormat::Svg),
        value,
        value_chosen: args.filter.value.is_some(),
        look: args.look.clone(),
        min_share: args.min_share,
        max_depth: args.limit,
        merge_by: args.filter.merge_by.map(open::merge_choice),
        ..SaveOptions::plain(&profile, &opened.name)
    };
    save::save(&profile, &args.output, &options)?;
    if !output::is_stdout(&args.output) {
        output::say(&format!("wrote {} (open it in a browser)", args.output.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn is_same_file(input: &Path, output: &Path) -> bool {
    let is_standard = output::is_stdout(input) || output::is_stdout(output);
    let real = |path: &Path| std::fs::canonicalize(path).ok().filter(|path| path.is_file());
    !is_standard && real(input).is_some_and(|input| Some(input) == real(output))
}

/// Draws a profile that was filtered.
pub(crate) fn draw(profile: &Profile, options: &SaveOptions, out: &mut dyn Write) -> anyhow::Result<()> {
    let defaults = FlameOptions::default();
    let drawn = burnmark_report::flame(
        profile,
        &FlameOptions {
            value: options.value,
            merge_by: options.merge_by.unwrap_or(MergeBy::Function),
            roots: roots(profile, options.look.reverse),
            reverse: options.look.reverse,
            icicle: options.look.icicle,
            title: options.look.title.clone().unwrap_or_else(|| options.name.clone()),
            subtitle: None,
            min_share: options.min_share.unwrap_or(defaults.min_share),
            max_depth: options.max_depth.map_or(defaults.max_depth, |limit| u32::try_from(limit).unwrap_or(u32::MAX)),
        },
        out,
    )?;
    for warning in drawn.warnings {
        output::say(&format!("note: {warning}"));
    }
    Ok(())
}

/// As perf's tools do, the thread's name is the first frame where it is known. In an inverted graph it would part what
/// the graph is to put together.
fn roots(profile: &Profile, reverse: bool) -> Roots {
    let has_threads = profile.samples.iter().any(|sample| sample.thread.is_some());
    if has_threads && !reverse { Roots::Threads } else { Roots::Stacks }
}
