//! `burnmark gate`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use burnmark_analysis::{RankBy, share};
use burnmark_heap::{GrowthOptions, census, growth, in_order};
use burnmark_journal::budget::{Budget, ShareOf};
use burnmark_journal::gate::{Evidence, FunctionShare, gate, is_meant};
use burnmark_journal::metrics::{Measured, of_growth};
use burnmark_model::Profile;

use super::metrics::{by_name, form};
use crate::args::{DEFAULT_BUDGET, GateArgs};
use crate::results::Kind;
use crate::{inputs, open, output, results, snapshots};

/// What the inputs of one side say.
#[derive(Default)]
struct Side {
    results: Vec<(String, Measured)>,
    /// Per entry of the budget.
    functions: Vec<Vec<FunctionShare>>,
}

/// Holds inputs against a budget, prints the verdict; the exit code says it too.
pub(crate) fn run(args: &GateArgs) -> anyhow::Result<ExitCode> {
    for path in &args.output {
        if by_name(path).is_none() {
            bail!("{}: the extension says no form of a table: use .md, .csv or .json", path.display());
        }
    }
    let summary = if args.github { Some(summary_file()?) } else { None };
    let budget = budget(&args.budget)?;
    let after = side(&args.inputs, &budget, args)?;
    let before = side(&args.baseline, &budget, args)?;
    let evidence = Evidence {
        results: after.results,
        baseline: before.results,
        functions: after.functions,
        functions_before: before.functions,
        has_baseline: !args.baseline.is_empty(),
    };
    let gate = gate(&budget, &evidence);
    output::print(&burnmark_report::gate(&gate, &form(&args.form)))?;
    for path in &args.output {
        let text = burnmark_report::gate(&gate, &by_name(path).unwrap_or_default());
        output::write_file(path, |out| Ok(out.write_all(text.as_bytes())?))?;
        if !output::is_stdout(path) {
            output::say(&format!("wrote {}", path.display()));
        }
    }
    if let Some(path) = summary {
        append(&path, &gate)?;
    }
    Ok(ExitCode::from(gate.exit_code(args.strict)))
}

/// Reads a budget.
pub(crate) fn budget(path: &Path) -> anyhow::Result<Budget> {
    let missing = || match path == Path::new(DEFAULT_BUDGET) && !path.exists() {
        true => {
            format!("there is no {DEFAULT_BUDGET} here: name a budget by --budget (`burnmark gate --help` shows one)")
        }
        false => format!("cannot read the budget {}", path.display()),
    };
    let bytes = inputs::text_file(path).with_context(missing)?;
    Budget::parse(&bytes).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads the inputs of one side.
fn side(paths: &[PathBuf], budget: &Budget, args: &GateArgs) -> anyhow::Result<Side> {
    let mut side = Side { functions: vec![Vec::new(); budget.functions.matching.len()], ..Side::default() };
    let mut heap = Vec::new();
    if paths.iter().filter(|path| output::is_stdout(path)).count() > 1 {
        bail!("standard input can be one of the inputs only");
    }
    inputs::are_different(paths)?;
    for path in paths {
        match results::kind(path)? {
            Kind::Snapshot => heap.push(path.as_path()),
            Kind::Results => side.results.extend(results::read(path)?),
            Kind::Profile => profile(path, budget, args, &mut side)?,
            Kind::Unsure => match results::read(path) {
                Ok(runs) => side.results.extend(runs),
                Err(_) => profile(path, budget, args, &mut side)?,
            },
        }
    }
    if let Some((last, earlier)) = heap.split_last() {
        let measured = snapshots_of(earlier, last, args)?;
        side.results.push((results::name(last), measured));
    }
    Ok(side)
}

fn profile(path: &Path, budget: &Budget, args: &GateArgs, side: &mut Side) -> anyhow::Result<()> {
    let opened = open::open(path, &args.read)?;
    let profile = open::filtered(opened.profile, &args.filter, &args.read.pid, None)?;
    let value = open::value(&profile, args.filter.value.as_deref())?;
    for (limit, shares) in budget.functions.matching.iter().zip(&mut side.functions) {
        shares.push(function(&profile, value, &limit.name, limit.by, &opened.name)?);
    }
    Ok(())
}

/// The share of the functions that a name stands for.
pub(crate) fn function(
    profile: &Profile,
    value: usize,
    name: &str,
    by: ShareOf,
    file: &str,
) -> anyhow::Result<FunctionShare> {
    let by = match by {
        ShareOf::Total => RankBy::Total,
        ShareOf::SelfValue => RankBy::SelfValue,
    };
    let found = share(profile, value, by, |function| is_meant(name, function))
        .with_context(|| format!("cannot tell shares of functions in {file}"))?;
    Ok(FunctionShare {
        file: file.to_owned(),
        share: found.share,
        interval: found.interval,
        timed: found.timed,
        effective: found.effective,
        functions: found.functions,
    })
}

/// Figures of heap snapshots: the last is read first, as what is alive now decides how plain objects are grouped.
fn snapshots_of(earlier: &[&Path], last: &Path, args: &GateArgs) -> anyhow::Result<Measured> {
    let last = snapshots::open(last, args.read.max_decompressed, None)?;
    let mut censuses = Vec::new();
    for path in earlier {
        let snapshot = snapshots::open(path, args.read.max_decompressed, Some(last.shapes()))?;
        censuses.push(census(&snapshot));
    }
    if !in_order(&censuses, &last) {
        bail!("{}", snapshots::OUT_OF_ORDER);
    }
    let grown = (!censuses.is_empty())
        .then(|| growth(&censuses, &last, &GrowthOptions { limit: usize::MAX, ..GrowthOptions::default() }));
    Ok(of_growth(last.total_size(), grown.as_ref()))
}

fn summary_file() -> anyhow::Result<PathBuf> {
    let name = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|name| !name.is_empty());
    name.map(PathBuf::from).context(
        "--github needs the variable GITHUB_STEP_SUMMARY, which GitHub Actions sets in every step; elsewhere use -o FILE.md",
    )
}

/// Appends the verdict to the summary of a step, cut to what GitHub takes.
fn append(path: &Path, gate: &burnmark_journal::gate::Gate) -> anyhow::Result<()> {
    let cannot = || format!("cannot write the step's summary to {}", path.display());
    let there = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let room = burnmark_report::SUMMARY_BYTES.saturating_sub(usize::try_from(there).unwrap_or(usize::MAX));
    let text = burnmark_report::gate_within(gate, room);
    if text.is_empty() {
        output::say("note: the step's summary is full: the verdict is not in it");
        return Ok(());
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).with_context(cannot)?;
    std::io::Write::write_all(&mut file, format!("{text}\n").as_bytes()).with_context(cannot)
}
