//! `burnmark diff`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use burnmark_analysis::diff::{Diff, DiffOptions, Reduced, align_roots, common_value, differential, reduce};
use burnmark_analysis::{MergeBy, RankBy};
use burnmark_formats::{Format, WriteOptions};
use burnmark_model::Profile;
use burnmark_report::{DiffFlameOptions, DiffReport, RunTimes, TableForm, Widths};

use crate::args::{By, DiffArgs, DiffHow, FilterArgs, WidthChoice};
use crate::commands::top::terminal_width;
use crate::{inputs, open, output, save, snapshots};

/// Reads both sides and prints what changed.
pub(crate) fn run(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    check_outputs(&args.how)?;
    let sides = match (&args.before, &args.after) {
        (Some(before), Some(after)) => [vec![before.clone()], vec![after.clone()]],
        _ => [paths("--before", &args.befores)?, paths("--after", &args.afters)?],
    };
    if sides.iter().flatten().filter(|path| output::is_stdout(path)).count() > 1 {
        bail!("standard input can be one of the profiles only");
    }
    for side in &sides {
        inputs::are_different(side)?;
    }
    for path in sides.iter().flatten() {
        refuse_heap_snapshot(path)?;
    }
    let read = |path: &Path| -> anyhow::Result<Profile> {
        open::filtered(open::open(path, &args.read)?.profile, &args.filter, &args.read.pid, None)
    };
    let reduced = read_sides(&sides, &read, &args.filter, &mut |_| Ok(()))?;
    let names = sides.each_ref().map(|paths| name(paths));
    let next = next_command(&reduced);
    let warnings = inputs::warn_of_same([&sides[0], &sides[1]]).map(str::to_owned).into_iter().collect();
    let operations = operations(&reduced, args.how.per_op);
    let compared = Compared { reduced, operations, names, times: Vec::new(), next, warnings };
    show(compared, &args.how)?;
    Ok(ExitCode::SUCCESS)
}

/// Two sides, ready to be compared.
pub(crate) struct Compared {
    pub(crate) reduced: [Vec<Reduced>; 2],
    /// Operations of each run, if costs are to be compared.
    pub(crate) operations: Option<[Vec<f64>; 2]>,
    pub(crate) names: [String; 2],
    pub(crate) times: Vec<RunTimes>,
    pub(crate) next: Option<String>,
    /// What a reader must know of the inputs.
    pub(crate) warnings: Vec<String>,
}

/// The same number of operations for every run of a side.
pub(crate) fn operations(reduced: &[Vec<Reduced>; 2], per_op: Option<[f64; 2]>) -> Option<[Vec<f64>; 2]> {
    per_op.map(|counts| [0, 1].map(|side| vec![counts[side]; reduced[side].len()]))
}

/// Compares, prints, writes files.
pub(crate) fn show(mut compared: Compared, how: &DiffHow) -> anyhow::Result<()> {
    let [before, after] = &mut compared.reduced;
    let aligned = align_roots(before, after);
    let options = DiffOptions {
        by: match how.by {
            By::SelfValue => RankBy::SelfValue,
            By::Total => RankBy::Total,
        },
        operations: compared.operations,
        threshold: how.threshold,
        q: how.q,
        only: how.only.clone(),
        tree: needs_tree(how)?,
    };
    let [before, after] = &compared.reduced;
    let mut diff = burnmark_analysis::diff::diff(before, after, &options)?;
    diff.warnings.extend(aligned);
    diff.warnings.append(&mut compared.warnings);
    let report = DiffReport {
        names: compared.names,
        limit: save::table_rows(Some(how.limit)),
        times: compared.times,
        next: burnmark_report::hint(&diff).and(compared.next),
    };
    let text = match how.show_renames {
        true => burnmark_report::renames(&diff),
        false => burnmark_report::diff(&diff, &report, &form(how)),
    };
    output::print(&text)?;
    for path in &how.output {
        write(&diff, &report, how, path)?;
        if !output::is_stdout(path) {
            output::say(&format!("wrote {}", path.display()));
        }
    }
    Ok(())
}

/// One run, as it was read.
pub(crate) struct Run<'a> {
    /// 0 before, 1 after.
    pub(crate) side: usize,
    pub(crate) path: &'a Path,
    pub(crate) is_first: bool,
    pub(crate) profile: &'a Profile,
    /// The value of it that is compared.
    pub(crate) value: usize,
}

/// Sees every run.
pub(crate) type Look<'a> = dyn FnMut(Run<'_>) -> anyhow::Result<()> + 'a;

/// Reads and reduces all runs, the first two at the same time; `look` sees each.
pub(crate) fn read_sides(
    sides: &[Vec<PathBuf>; 2],
    read: &(impl Fn(&Path) -> anyhow::Result<Profile> + Sync),
    filter: &FilterArgs,
    look: &mut Look<'_>,
) -> anyhow::Result<[Vec<Reduced>; 2]> {
    let [Some(before), Some(after)] = sides.each_ref().map(|paths| paths.first()) else {
        bail!("a profile is needed on both sides");
    };
    let (before, after) = rayon::join(|| read(before), || read(after));
    let first = [before?, after?];
    let values = values(&first, filter)?;
    let merge_by = filter.merge_by.map_or(MergeBy::Function, open::merge_choice);
    let (before, after) =
        rayon::join(|| reduce(&first[0], values[0], merge_by), || reduce(&first[1], values[1], merge_by));
    let mut reduced = [vec![before?], vec![after?]];
    let types = [0, 1].map(|side| first[side].value_types[values[side]].clone());
    for (side, profile) in first.iter().enumerate() {
        look(Run { side, path: &sides[side][0], is_first: true, profile, value: values[side] })?;
    }
    drop(first);
    for side in 0..2 {
        for path in &sides[side][1..] {
            let profile = read(path)?;
            let wanted = format!("{}/{}", types[side].name, types[side].unit);
            let value = profile.find_value(&wanted).with_context(|| {
                format!("{} has no {wanted}, which the first profile of its side has", path.display())
            })?;
            look(Run { side, path, is_first: false, profile: &profile, value })?;
            reduced[side].push(reduce(&profile, value, merge_by)?);
        }
    }
    Ok(reduced)
}

/// The value types to compare.
pub(crate) fn values(first: &[Profile; 2], filter: &FilterArgs) -> anyhow::Result<[usize; 2]> {
    let wanted = filter.value.as_deref();
    let preferred = [open::value(&first[0], wanted)?, open::value(&first[1], wanted)?];
    Ok(common_value(&first[0], &first[1], preferred, wanted.is_some())?)
}

/// Files that a pattern or name stands for, in order.
pub(crate) fn paths(flag: &str, patterns: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for pattern in patterns {
        if output::is_stdout(Path::new(pattern)) || Path::new(pattern).exists() {
            paths.push(PathBuf::from(pattern));
            continue;
        }
        let found = glob::glob(pattern).with_context(|| format!("{flag} {pattern} is no pattern of file names"))?;
        let before = paths.len();
        for path in found {
            paths.push(path.with_context(|| format!("{flag} {pattern}: cannot look there"))?);
        }
        if paths.len() == before {
            bail!("{flag} {pattern}: there is no such file");
        }
    }
    Ok(paths)
}

fn name(paths: &[PathBuf]) -> String {
    match paths {
        [path] if output::is_stdout(path) => "standard input".to_owned(),
        [path] => path.display().to_string(),
        _ => format!("{} runs", paths.len()),
    }
}

/// A heap snapshot has no samples: another command compares two.
pub(crate) fn refuse_heap_snapshot(path: &Path) -> anyhow::Result<()> {
    let name = path.to_string_lossy();
    let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
    if name.ends_with(".heapsnapshot") || snapshots::is_snapshot(path)? {
        bail!("{} is a heap snapshot: `burnmark heap` compares two of them", path.display());
    }
    Ok(())
}

/// The command that would settle what one run against one can't: known only as far as the recordings tell.
fn next_command(reduced: &[Vec<Reduced>; 2]) -> Option<String> {
    let known = |side: usize| reduced[side].first().and_then(|run| run.facts.command.clone());
    let command = |side: usize, else_: &str| known(side).unwrap_or_else(|| else_.to_owned());
    let arguments = if known(0).is_some() || known(1).is_some() { " ARGS…" } else { "" };
    Some(format!(
        "burnmark compare --runs 5 -- {}{arguments} --vs {}{arguments}",
        command(0, "BEFORE…"),
        command(1, "AFTER…")
    ))
}

fn form(how: &DiffHow) -> TableForm {
    match (how.md, how.csv, how.json) {
        (true, _, _) => TableForm::Markdown,
        (_, true, _) => TableForm::Csv,
        (_, _, true) => TableForm::Json,
        _ => TableForm::Terminal { width: terminal_width(), colours: output::colours(&std::io::stdout()) },
    }
}

/// What a file's name asks for.
enum Written {
    Svg,
    Folded,
    Table(TableForm),
}

fn by_name(path: &Path) -> anyhow::Result<Written> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    Ok(match extension {
        "svg" => Written::Svg,
        "folded" | "collapsed" | "txt" => Written::Folded,
        "md" => Written::Table(TableForm::Markdown),
        "csv" => Written::Table(TableForm::Csv),
        "json" => Written::Table(TableForm::Json),
        _ => bail!(
            "{}: the extension says nothing that can be written: use .svg, .folded, .md, .csv or .json",
            path.display()
        ),
    })
}

/// Finds out before anything is read that a file's name says no format.
pub(crate) fn check_outputs(how: &DiffHow) -> anyhow::Result<()> {
    how.output.iter().try_for_each(|path| by_name(path).map(drop))
}

/// Whether a file is to be written that shows stacks.
fn needs_tree(how: &DiffHow) -> anyhow::Result<bool> {
    let written = how.output.iter().map(|path| by_name(path)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(written.iter().any(|written| matches!(written, Written::Svg | Written::Folded)))
}

/// The sides' names, of files without their folders where that tells them apart.
fn title(names: &[String; 2]) -> String {
    let [before, after] = names.each_ref().map(|name| match Path::new(name).file_name() {
        Some(file) if Path::new(name).is_file() => file.to_string_lossy().into_owned(),
        _ => name.clone(),
    });
    if before == after { format!("{} → {}", names[0], names[1]) } else { format!("{before} → {after}") }
}

fn write(diff: &Diff, report: &DiffReport, how: &DiffHow, path: &Path) -> anyhow::Result<()> {
    let written = by_name(path)?;
    output::write_file(path, |out: &mut dyn Write| {
        match written {
            Written::Svg => {
                let options = DiffFlameOptions {
                    widths: match how.widths {
                        WidthChoice::After => Widths::After,
                        WidthChoice::Before => Widths::Before,
                        WidthChoice::Larger => Widths::Larger,
                    },
                    title: how.title.clone().unwrap_or_else(|| title(&report.names)),
                    ..DiffFlameOptions::default()
                };
                for warning in burnmark_report::diff_flame(diff, &options, out)?.warnings {
                    output::say(&format!("note: {warning}"));
                }
            }
            Written::Folded => {
                burnmark_formats::write(&differential(diff), Format::Folded, &WriteOptions::default(), out)?;
            }
            Written::Table(form) => out.write_all(burnmark_report::diff(diff, report, &form).as_bytes())?,
        }
        Ok(())
    })
    .with_context(|| format!("nothing was written to {}", path.display()))
}
