//! Figures: of load tests, of benchmarks, typed in; and the budget that they are held against.

use anyhow::{Context, bail};
use burnmark_journal::Metric;
use burnmark_journal::budget::Budget;
use burnmark_journal::gate;
use burnmark_journal::log::{self, Known, MetricChange, texts};
use burnmark_journal::metrics::{Measured, Source};

use super::Gathered;
use crate::args::{EvidenceArgs, Figures};
use crate::{inputs, results};

/// Figures from the command line.
pub(super) fn typed(figures: &[Figures], known: Known, gathered: &mut Gathered) -> anyhow::Result<()> {
    let option = if known == Known::Projected { "projected" } else { "metric" };
    let mut sides = [Vec::new(), Vec::new()];
    for (index, figure) in figures.iter().enumerate() {
        if figures[..index].iter().any(|earlier| earlier.name == figure.name) {
            bail!("--{option} {} is given twice: one of them, or two names", figure.name);
        }
        let one = |value: f64| Metric::new(figure.name.clone(), &figure.unit, figure.direction, value);
        let [before, after] = figure.values.map(one);
        let changes = log::metrics(&[vec![before.clone()]], &[vec![after.clone()]]).into_iter();
        gathered.evidence.metrics.extend(changes.map(|change| MetricChange { evidence: known, n: [0, 0], ..change }));
        sides[0].push(before);
        sides[1].push(after);
        gathered.option(option, &figure.text);
    }
    // What is expected is no evidence that a budget is kept.
    if known == Known::Measured && !figures.is_empty() {
        for (side, metrics) in sides.into_iter().enumerate() {
            gathered.hold(side, Source::Given, metrics);
        }
    }
    Ok(())
}

/// Results of load tests and benchmarks, of one run or several a side.
pub(super) fn files(args: &EvidenceArgs, gathered: &mut Gathered) -> anyhow::Result<()> {
    let mut sides = [Vec::new(), Vec::new()];
    let paths = [0, 1].map(|side| args.metrics.iter().filter_map(|pair| pair.get(side).cloned()).collect::<Vec<_>>());
    paths.iter().try_for_each(|side| inputs::are_different(side))?;
    super::same(gathered, "results", [&paths[0], &paths[1]]);
    for pair in &args.metrics {
        for ((path, side), name) in pair.iter().zip(&mut sides).zip(["before", "after"]) {
            gathered.input(&format!("metrics {name}"), path)?;
            for (_, measured) in results::read(path)? {
                for note in &measured.notes {
                    gathered.note(&format!("{}: {note}", measured.source.name()));
                }
                side.push((super::file_name(path), measured));
            }
        }
    }
    let [before, after] = sides.each_ref().map(|side| side.iter().map(|(_, run)| run.clone()).collect::<Vec<_>>());
    for note in log::differences(&before, &after) {
        gathered.note(&note);
    }
    let figures = |side: Vec<Measured>| side.into_iter().map(|run| run.metrics).collect::<Vec<_>>();
    for change in log::metrics(&figures(before), &figures(after)) {
        if gathered.evidence.metrics.iter().any(|typed| typed.name == change.name) {
            bail!("--metric {0}: the results have {0}, too: leave it out, or call it otherwise", change.name);
        }
        gathered.evidence.metrics.push(change);
    }
    let [before, after] = sides;
    gathered.held.baseline.extend(before);
    gathered.held.results.extend(after);
    Ok(())
}

impl Gathered {
    /// Figures of one run, before (0) or after (1), for the budget.
    pub(super) fn hold(&mut self, side: usize, source: Source, metrics: Vec<Metric>) {
        let run = Measured { source, metrics, thresholds: Vec::new(), notes: Vec::new(), warnings: Vec::new() };
        let runs = if side == 0 { &mut self.held.baseline } else { &mut self.held.results };
        runs.push((source.name().to_owned(), run));
    }
}

/// Puts the figure first that stands in the log's row: the one that is asked for, that the words name, a 95th percentile
/// of latency, or what is first already.
pub(super) fn in_row(metrics: &mut [MetricChange], wanted: Option<&str>, bottleneck: &str) -> anyhow::Result<()> {
    let position = |test: &dyn Fn(&str) -> bool| metrics.iter().position(|metric| test(&metric.name));
    let found = match wanted {
        Some(wanted) => Some(position(&|name| name == wanted).with_context(|| {
            let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
            format!("--row {wanted}: there is no such metric; there are: {}", names.join(", "))
        })?),
        None => position(&|name| bottleneck.contains(name))
            .or_else(|| position(&|name| name.starts_with("p95") && name.contains("latency"))),
    };
    if let Some(found) = found {
        metrics[..=found].rotate_right(1);
    }
    Ok(())
}

/// Holds what was measured against the budget, as `burnmark gate` does.
pub(super) fn targets(budget: &Budget, gathered: &mut Gathered) {
    let held = &mut gathered.held;
    held.has_baseline = !held.baseline.is_empty() || held.functions_before.iter().any(|shares| !shares.is_empty());
    let gate = gate::gate(budget, held);
    gathered.evidence.targets = log::targets(budget, &gate);
    for target in &mut gathered.evidence.targets {
        target.why = target.why.take().map(|why| texts::kept(&why, false));
    }
    for note in &gate.notes {
        gathered.note(note);
    }
}
