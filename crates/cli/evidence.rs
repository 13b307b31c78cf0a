//! What an entry of the log, or a report, is made from: reads profiles, snapshots and figures, and keeps what matters.

mod heap;
mod results;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use burnmark_analysis::diff::{Diff, DiffOptions, align_roots};
use burnmark_analysis::matching::Identity;
use burnmark_analysis::{RankBy, Rules};
use burnmark_journal::budget::FunctionLimit;
use burnmark_journal::gate;
use burnmark_journal::log::{
    self, Content, Evidence, Finding, GatherOptions, InputFile, Known, NewAttachment, Opportunity, texts,
};
use burnmark_journal::metrics::Source;
use burnmark_model::Profile;
use burnmark_report::DiffFlameOptions;

use crate::args::{By, EvidenceArgs, FilterArgs};
use crate::commands::diff::{self, Run};
use crate::commands::{self, flame, top};
use crate::save::SaveOptions;
use crate::{inputs, open, output};

/// Patterns of a flame graph that are kept.
const PATTERNS: usize = 5;

/// Frames of flame graphs with less of the whole are not drawn: every clone of the repository holds the pictures.
const LEAST_SHARE: f64 = 0.003;

/// Attachments that are larger make a repository heavy; GitHub refuses files over 100 MB.
const LARGE: u64 = 20 << 20;

/// What to keep beside the evidence.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keep {
    /// Flame graphs of both sides and of their difference.
    pub(crate) flame: bool,
    /// The profiles.
    pub(crate) profiles: bool,
}

/// What was found.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) evidence: Evidence,
    pub(crate) inputs: Vec<InputFile>,
    pub(crate) attachments: Vec<NewAttachment>,
    /// What tells this evidence from another: names and values.
    pub(crate) key: Vec<(String, String)>,
    /// The function that the entry is about, where profiles tell.
    pub(crate) function: Option<String>,
    /// What kind of work it does.
    pub(crate) category: Option<String>,
    /// What a budget is held against.
    held: gate::Evidence,
}

impl Gathered {
    /// Notes a file that is read. What comes through a pipe has no hash and equals nothing.
    fn input(&mut self, role: &str, path: &Path) -> anyhow::Result<()> {
        let is_file = path.is_file();
        let sha256 = match is_file {
            true => Some(log::hash_file(path).with_context(|| format!("cannot read {}", path.display()))?.0),
            false => None,
        };
        let name = file_name(path);
        self.key
            .push((role.to_owned(), sha256.clone().unwrap_or_else(|| format!("at {}", crate::evidence::unix_ms()))));
        self.inputs.push(InputFile { role: role.to_owned(), name: texts::kept(&name, false), sha256 });
        Ok(())
    }

    fn option(&mut self, name: &str, value: impl Into<String>) {
        self.key.push((name.to_owned(), value.into()));
    }

    /// Notes what a reader must know, once.
    fn note(&mut self, note: &str) {
        let note = texts::kept(note, false);
        if !self.evidence.notes.contains(&note) {
            self.evidence.notes.push(note);
        }
    }
}

/// A file's name, without its folder.
fn file_name(path: &Path) -> String {
    match output::is_stdout(path) {
        true => "standard input".to_owned(),
        false => path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
    }
}

/// Now, in milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// Reads everything that the arguments name.
pub(crate) fn gather(args: &EvidenceArgs, bottleneck: &str, keep: Keep) -> anyhow::Result<Gathered> {
    let mut gathered = Gathered::default();
    let figures = args.metrics.len() + args.metric.len() + args.projected.len();
    if args.before.is_empty() && figures == 0 && args.heap.is_empty() {
        bail!(
            "there is no evidence: give profiles (--before, --after), results of load tests (--metrics), figures \
             (--metric) or heap snapshots (--heap)"
        );
    }
    let budget = args.budget.as_deref().map(commands::gate::budget).transpose()?;
    let own_rules = args.rules.as_deref().map(top::rules_of).transpose()?;
    for (role, path) in [("budget", &args.budget), ("rules", &args.rules)] {
        path.iter().try_for_each(|path| gathered.input(role, path))?;
    }
    results::typed(&args.metric, Known::Measured, &mut gathered)?;
    results::files(args, &mut gathered)?;
    if !args.before.is_empty() {
        let with = With {
            keep,
            limits: budget.as_ref().map_or(&[], |budget| &budget.functions.matching),
            rules: own_rules.as_ref().unwrap_or_else(|| Rules::shipped()),
        };
        profiles(args, bottleneck, &with, &mut gathered)?;
    }
    results::in_row(&mut gathered.evidence.metrics, args.row.as_deref(), bottleneck)?;
    if let Some(row) = &args.row {
        gathered.option("row", row);
    }
    results::typed(&args.projected, Known::Projected, &mut gathered)?;
    heap::read(args, &mut gathered)?;
    if let Some(budget) = &budget {
        results::targets(budget, &mut gathered);
    }
    gathered.category = gathered.category.or_else(|| args.category.clone());
    said(args, &mut gathered)?;
    log::conclude(&mut gathered.evidence);
    Ok(gathered)
}

/// What people say.
fn said(args: &EvidenceArgs, gathered: &mut Gathered) -> anyhow::Result<()> {
    for text in &args.finding {
        gathered.evidence.unexpected.push(Finding { finding: text.clone(), evidence: None });
        gathered.option("finding", text);
    }
    for text in &args.opportunity {
        let mut parts =
            text.splitn(4, ';').map(|part| part.trim().to_owned()).map(|part| (!part.is_empty()).then_some(part));
        let mut next = || parts.next().flatten();
        let Some(opportunity) = next() else {
            bail!("--opportunity {text:?} says nothing: WHAT;GAIN;EFFORT;PRIORITY, of which WHAT is needed");
        };
        gathered.evidence.opportunities.push(Opportunity {
            opportunity,
            gain: next(),
            effort: next(),
            priority: next(),
            evidence: Known::Projected,
        });
        gathered.option("opportunity", text);
    }
    gathered.evidence.env.runtime.clone_from(&args.runtime);
    for (name, value) in [("runtime", &args.runtime), ("category", &args.category)] {
        value.iter().for_each(|value| gathered.option(name, value));
    }
    Ok(())
}

/// Says it, in the report too, when both sides are the same files.
fn same(gathered: &mut Gathered, what: &str, sides: [&[PathBuf]; 2]) {
    if let Some(warning) = inputs::warn_of_same(sides) {
        let warning = format!("{what}: {warning}");
        output::say(&format!("warning: {warning}"));
        gathered.note(&warning);
    }
}

/// What to do with profiles beside comparing them.
struct With<'a> {
    keep: Keep,
    /// Limits of a budget.
    limits: &'a [FunctionLimit],
    rules: &'a Rules,
}

/// Compares the profiles.
fn profiles(args: &EvidenceArgs, bottleneck: &str, with: &With<'_>, gathered: &mut Gathered) -> anyhow::Result<()> {
    let sides = [diff::paths("--before", &args.before)?, diff::paths("--after", &args.after)?];
    if sides.iter().flatten().filter(|path| output::is_stdout(path)).count() > 1 {
        bail!("standard input can be one of the profiles only");
    }
    for (side, role) in sides.iter().zip(["before", "after"]) {
        inputs::are_different(side)?;
        for path in side {
            diff::refuse_heap_snapshot(path)?;
            gathered.input(role, path)?;
        }
    }
    same(gathered, "profiles", [&sides[0], &sides[1]]);
    let read = |path: &Path| -> anyhow::Result<Profile> {
        open::filtered(open::open(path, &args.read)?.profile, &args.filter, &args.read.pid, None)
    };
    let keep_args = args.read.recorded.keep_args;
    let mut attachments = Vec::new();
    let mut patterns = Vec::new();
    let mut shares = [0, 1].map(|_| vec![Vec::new(); with.limits.len()]);
    let mut look = |run: Run<'_>| -> anyhow::Result<()> {
        if run.is_first && run.side == 1 {
            patterns = left_to_find(run.profile, run.value, with.rules, keep_args);
        }
        if run.is_first && with.keep.flame {
            let side = ["before", "after"][run.side];
            attachments.push(flame_graph(run.profile, run.value, side, &args.filter, keep_args)?);
        }
        for (limit, shares) in with.limits.iter().zip(&mut shares[run.side]) {
            let file = file_name(run.path);
            shares.push(commands::gate::function(run.profile, run.value, &limit.name, limit.by, &file)?);
        }
        Ok(())
    };
    let mut reduced = diff::read_sides(&sides, &read, &args.filter, &mut look)?;
    let [before, after] = &mut reduced;
    let aligned = align_roots(before, after);
    let options = DiffOptions {
        by: match args.by {
            By::SelfValue => RankBy::SelfValue,
            By::Total => RankBy::Total,
        },
        operations: diff::operations(&reduced, args.per_op),
        threshold: args.threshold,
        tree: with.keep.flame,
        ..DiffOptions::default()
    };
    let [before, after] = &reduced;
    let mut diff = burnmark_analysis::diff::diff(before, after, &options)?;
    diff.warnings.extend(aligned);
    if with.keep.flame {
        attachments.push(difference(&diff, keep_args)?);
    }
    if with.keep.profiles {
        attach_profiles(&sides, args, &mut attachments)?;
    }
    gathered.attachments.extend(attachments);
    [gathered.held.functions_before, gathered.held.functions] = shares;
    for (side, runs) in args.per_op.map(|counts| log::of_runs(&diff, counts)).into_iter().flatten().enumerate() {
        runs.into_iter().for_each(|metrics| gathered.hold(side, Source::Profiles, metrics));
    }
    chosen(args, gathered);
    let label = |function: &Identity| label(with.rules, function);
    let subject = log::headline_of(&diff, bottleneck);
    gathered.function = subject.map(|row| texts::kept(&row.identity.name, keep_args));
    gathered.category = args.category.clone().or_else(|| subject.and_then(|row| label(&row.identity).0));
    let options = GatherOptions { bottleneck, keep_args, operations: args.per_op, label: &label };
    let mut found = log::profiles(&diff, &options);
    found.unexpected.extend(patterns);
    let earlier = std::mem::take(&mut gathered.evidence);
    let metrics = earlier.metrics.into_iter().chain(found.metrics.clone()).collect();
    let notes = earlier.notes.into_iter().chain(found.notes.clone()).collect();
    gathered.evidence = Evidence { metrics, notes, ..found };
    Ok(())
}

/// Patterns in the profile after the change that are worth a look, with their evidence; the largest first.
fn left_to_find(after: &Profile, value: usize, rules: &Rules, keep_args: bool) -> Vec<Finding> {
    // A profile that has negative values, of a difference, has no shares and so no such findings.
    let found = burnmark_analysis::findings(after, value, rules).unwrap_or_default();
    let finding = |finding: burnmark_analysis::Finding| Finding {
        finding: match &finding.function {
            Some(function) => format!("after the change, {}: `{}`", finding.title, texts::kept(function, keep_args)),
            None => format!("after the change, {}", finding.title),
        },
        evidence: Some(texts::kept(&finding.evidence, keep_args)),
    };
    found.into_iter().take(PATTERNS).map(finding).collect()
}

/// What kind of work a function does.
fn label(rules: &Rules, function: &Identity) -> log::Label {
    let category = rules.of(&function.name, function.module.as_deref(), function.file.as_deref());
    category.map(|category| (category.name.clone(), category.action.clone())).unzip()
}

/// Options that change what comes out.
fn chosen(args: &EvidenceArgs, gathered: &mut Gathered) {
    let filter = format!("{:?}", args.filter);
    if filter != format!("{:?}", FilterArgs::default()) {
        gathered.option("filter", filter);
    }
    if !args.read.pid.is_empty() {
        gathered.option("pid", format!("{:?}", args.read.pid));
    }
    if let Some([before, after]) = args.per_op {
        gathered.option("per-op", format!("{before},{after}"));
    }
    if let Some(threshold) = args.threshold {
        gathered.option("threshold", threshold.to_string());
    }
    if args.by == By::Total {
        gathered.option("by", "total");
    }
}

/// Text that is kept, without home folders unless they are to be kept.
fn shared(bytes: Vec<u8>, keep_args: bool) -> Vec<u8> {
    match String::from_utf8(bytes) {
        Ok(text) if !keep_args => texts::tidy(&text).into_bytes(),
        Ok(text) => text.into_bytes(),
        Err(error) => error.into_bytes(),
    }
}

fn flame_graph(
    profile: &Profile,
    value: usize,
    side: &str,
    filter: &FilterArgs,
    keep_args: bool,
) -> anyhow::Result<NewAttachment> {
    let options = SaveOptions {
        value,
        merge_by: filter.merge_by.map(open::merge_choice),
        min_share: Some(LEAST_SHARE),
        ..SaveOptions::plain(profile, side)
    };
    let mut svg = Vec::new();
    flame::draw(profile, &options, &mut svg)
        .with_context(|| format!("cannot draw the flame graph {side} the change"))?;
    Ok(NewAttachment {
        role: format!("flame graph {side}"),
        name: format!("{side}.svg"),
        content: Content::Bytes(shared(svg, keep_args)),
    })
}

fn difference(diff: &Diff, keep_args: bool) -> anyhow::Result<NewAttachment> {
    let options =
        DiffFlameOptions {
            title: "before → after".to_owned(), min_share: LEAST_SHARE, ..DiffFlameOptions::default()
        };
    let mut svg = Vec::new();
    burnmark_report::diff_flame(diff, &options, &mut svg)?;
    Ok(NewAttachment {
        role: "flame graph of the difference".to_owned(),
        name: "diff.svg".to_owned(),
        content: Content::Bytes(shared(svg, keep_args)),
    })
}

/// The profiles as pprof, as they were filtered.
fn attach_profiles(sides: &[Vec<PathBuf>; 2], args: &EvidenceArgs, to: &mut Vec<NewAttachment>) -> anyhow::Result<()> {
    for (paths, side) in sides.iter().zip(["before", "after"]) {
        for (index, path) in paths.iter().enumerate() {
            if output::is_stdout(path) {
                bail!("a profile from standard input is read once: write it to a file to attach it");
            }
            let profile = open::filtered(open::open(path, &args.read)?.profile, &args.filter, &args.read.pid, None)?;
            let profile =
                if args.read.recorded.keep_args { profile } else { profile.with_texts(&|text| texts::tidy(text))? };
            let mut bytes = Vec::new();
            let options = burnmark_formats::WriteOptions { merge_above: Some(100_000), ..Default::default() };
            burnmark_formats::write(&profile, burnmark_formats::Format::Pprof, &options, &mut bytes)?;
            let number = if paths.len() > 1 { format!("-{}", index + 1) } else { String::new() };
            to.push(NewAttachment {
                role: format!("profile {side}"),
                name: format!("{side}{number}.pb.gz"),
                content: Content::Bytes(bytes),
            });
        }
    }
    Ok(())
}

/// Files that somebody attaches.
pub(crate) fn attach(paths: &[PathBuf], gathered: &mut Gathered) -> anyhow::Result<()> {
    for path in paths {
        let cannot = || format!("cannot attach {}", path.display());
        let (sha256, bytes) = log::hash_file(path).with_context(cannot)?;
        if bytes > LARGE {
            let size = bytes >> 20;
            output::say(&format!(
                "note: {} has {size} MiB, which every clone of the repository will hold",
                path.display()
            ));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        gathered.option("attach", format!("{name} {sha256}"));
        gathered.attachments.push(NewAttachment {
            role: "attached".to_owned(),
            name,
            content: Content::File(path.clone()),
        });
    }
    Ok(())
}
