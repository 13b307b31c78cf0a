//! `burnmark convert`.

use std::process::ExitCode;

use burnmark_analysis::{MergeBy, RankBy, RankOptions};

use crate::args::ConvertArgs;
use crate::save::{self, SaveOptions};
use crate::{open, output};

/// Reads a profile and writes it in another format.
pub(crate) fn run(args: &ConvertArgs) -> anyhow::Result<ExitCode> {
    save::check_name(&args.output, args.format_out)?;
    let opened = open::open(&args.input.profile, &args.input.read)?;
    let profile = open::filtered(opened.profile, &args.filter, &args.input.read.pid, None)?;
    let value = open::value(&profile, args.filter.value.as_deref())?;
    let options = SaveOptions {
        format: args.format_out,
        value,
        value_chosen: args.filter.value.is_some(),
        rank: RankOptions {
            value,
            merge_by: args.filter.merge_by.map_or(MergeBy::Function, open::merge_choice),
            by: RankBy::SelfValue,
            limit: save::table_rows(args.limit),
            min_share: args.min_share.unwrap_or_default(),
        },
        merge_by: args.filter.merge_by.map(open::merge_choice),
        look: args.look.clone(),
        min_share: args.min_share,
        ..SaveOptions::plain(&profile, &opened.name)
    };
    save::save(&profile, &args.output, &options)?;
    if !output::is_stdout(&args.output) {
        output::say(&format!("wrote {} ({} samples)", args.output.display(), profile.samples.len()));
    }
    Ok(ExitCode::SUCCESS)
}
