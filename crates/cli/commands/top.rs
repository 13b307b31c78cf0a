//! `burnmark top`.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use burnmark_analysis::{MergeBy, RankBy, RankOptions, Rules, findings, rank, summarize};
use burnmark_model::Profile;
use burnmark_report::TableForm;

use crate::args::{By, FilterArgs, MeaningArgs, TableArgs, TopArgs};
use crate::{inputs, machine, open, output, save};

/// Width of a table that does not go to a terminal.
const WIDTH: usize = 120;

/// Reads a profile and prints its table.
pub(crate) fn run(args: &TopArgs) -> anyhow::Result<ExitCode> {
    // Reading the rules takes tens of milliseconds: it is done meanwhile.
    std::thread::spawn(Rules::shipped);
    let opened = open::open(&args.input.profile, &args.input.read)?;
    let profile = open::filtered(opened.profile, &args.filter, &args.input.read.pid, None)?;
    print(&profile, &args.table, &args.filter)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the table of a profile that was filtered.
pub(crate) fn print(profile: &Profile, table: &TableArgs, filter: &FilterArgs) -> anyhow::Result<()> {
    let value = open::value(profile, filter.value.as_deref())?;
    let own = rules(&table.meaning)?;
    let rules = own.as_ref().unwrap_or_else(|| Rules::shipped());
    let mut ranking = rank(profile, &rank_options(value, table, filter))?;
    ranking.categorize(rules);
    let summary = summarize(profile, value)?;
    let form = form(table);
    if form == TableForm::Json && table.meaning.findings {
        let found = findings(profile, value, rules)?;
        return output::print(&burnmark_report::top_json(profile, &ranking, &summary, &found));
    }
    let mut text = burnmark_report::top(profile, &ranking, &summary, &form);
    if matches!(form, TableForm::Terminal { .. } | TableForm::Markdown) {
        text.push_str(&counted(profile, &form));
    }
    text.push_str(&meaning(profile, value, rules, &table.meaning, &form)?);
    output::print(&text)
}

/// The rules of `--rules`, before the shipped ones.
pub(crate) fn rules(args: &MeaningArgs) -> anyhow::Result<Option<Rules>> {
    args.rules.as_deref().map(rules_of).transpose()
}

/// The rules of a file, before the shipped ones.
pub(crate) fn rules_of(path: &Path) -> anyhow::Result<Rules> {
    let cannot = || format!("cannot read {}", path.display());
    let text = String::from_utf8(inputs::text_file(path).with_context(cannot)?).with_context(cannot)?;
    Rules::with_user(&text).with_context(|| format!("cannot use the rules in {}", path.display()))
}

/// What was asked for beside the table.
fn meaning(
    profile: &Profile,
    value: usize,
    rules: &Rules,
    args: &MeaningArgs,
    form: &TableForm,
) -> anyhow::Result<String> {
    let mut text = String::new();
    if args.hints {
        text.push_str(&burnmark_report::categories(&rules.shares(profile, value)?, form));
    }
    if args.findings {
        text.push_str(&burnmark_report::findings(&findings(profile, value, rules)?, form));
    }
    Ok(text)
}

/// What was counted beside the samples; nothing for profiles without counters.
fn counted(profile: &Profile, form: &TableForm) -> String {
    let counters = machine::counters(&profile.meta);
    match (counters.is_empty(), form) {
        (true, _) => String::new(),
        (false, TableForm::Markdown) => format!("\nCounted: {}.\n", counters.join("; ")),
        (false, _) => format!("counted: {}\n", counters.join("; ")),
    }
}

/// How to rank, as the arguments say.
pub(crate) fn rank_options(value: usize, table: &TableArgs, filter: &FilterArgs) -> RankOptions {
    RankOptions {
        value,
        merge_by: filter.merge_by.map_or(MergeBy::Function, open::merge_choice),
        by: match table.by {
            By::SelfValue => RankBy::SelfValue,
            By::Total => RankBy::Total,
        },
        limit: save::table_rows(Some(table.limit)),
        min_share: table.min_share.unwrap_or_default(),
    }
}

fn form(table: &TableArgs) -> TableForm {
    let stdout = std::io::stdout();
    match (table.md, table.csv, table.json) {
        (true, _, _) => TableForm::Markdown,
        (_, true, _) => TableForm::Csv,
        (_, _, true) => TableForm::Json,
        _ => TableForm::Terminal { width: terminal_width(), colours: output::colours(&stdout) },
    }
}

/// Columns of the terminal on standard output; a fixed width where there is none.
pub(crate) fn terminal_width() -> usize {
    if !std::io::stdout().is_terminal() {
        return WIDTH;
    }
    match terminal_size::terminal_size() {
        Some((width, _)) if width.0 > 0 => usize::from(width.0),
        _ => WIDTH,
    }
}
