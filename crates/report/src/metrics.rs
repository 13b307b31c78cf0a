//! What results of load tests and benchmarks say, one file or several beside each other.

use burnmark_journal::metrics::Measured;
use burnmark_journal::{Direction, Metric};
use serde::Serialize;

use crate::TableForm;
use crate::grid::{Grid, figure, interval};
use crate::top::json::to_text;
use crate::top::markdown::escaped;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    source: &'static str,
    file: &'a str,
    metrics: &'a [Metric],
    thresholds: Vec<ThresholdJson<'a>>,
    notes: &'a [String],
    warnings: Vec<WarningJson<'a>>,
}

#[derive(Serialize)]
struct ThresholdJson<'a> {
    metric: &'a str,
    limit: &'a str,
    passed: bool,
}

#[derive(Serialize)]
struct WarningJson<'a> {
    message: &'a str,
    position: Option<String>,
    count: u64,
}

/// What the files say, each with its name. JSON of several files is a list of documents.
pub fn metrics(files: &[(String, Measured)], form: &TableForm) -> String {
    match *form {
        TableForm::Json => match files {
            [(name, measured)] => to_text(&document(name, measured)),
            _ => to_text(&files.iter().map(|(name, measured)| document(name, measured)).collect::<Vec<_>>()),
        },
        TableForm::Csv => csv(files),
        TableForm::Markdown => {
            let texts: Vec<String> = files.iter().map(|(name, measured)| markdown(name, measured)).collect();
            texts.join("\n")
        }
        TableForm::Terminal { width, .. } => {
            let texts: Vec<String> = files.iter().map(|(name, measured)| terminal(name, measured, width)).collect();
            texts.join("\n")
        }
    }
}

fn document<'a>(file: &'a str, measured: &'a Measured) -> Document<'a> {
    let thresholds = measured.thresholds.iter();
    let warnings = measured.warnings.iter();
    Document {
        schema: "burnmark.metrics/1",
        source: measured.source.name(),
        file,
        metrics: &measured.metrics,
        thresholds: thresholds
            .map(|known| ThresholdJson { metric: &known.metric, limit: &known.limit, passed: known.passed })
            .collect(),
        notes: &measured.notes,
        warnings: warnings
            .map(|warning| WarningJson {
                message: &warning.message,
                position: warning.position.map(|position| position.to_string()),
                count: warning.count,
            })
            .collect(),
    }
}

fn grid(measured: &Measured) -> Grid {
    let mut grid = Grid::new(&["metric", ">value", "unit", "better", ">n", "95 % interval"]);
    for metric in &measured.metrics {
        grid.rows.push(vec![
            metric.name.clone(),
            figure(metric.value),
            metric.unit.clone(),
            better(metric.direction).to_owned(),
            metric.n.map(crate::numbers::count).unwrap_or_default(),
            interval(metric.ci),
        ]);
    }
    grid.without_empty()
}

fn better(direction: Direction) -> &'static str {
    match direction {
        Direction::Lower => "lower",
        Direction::Higher => "higher",
    }
}

/// What stands below the table.
fn below(measured: &Measured) -> Vec<String> {
    let thresholds = measured.thresholds.iter().map(|known| {
        let kept = if known.passed { "kept" } else { "crossed" };
        format!("threshold {} {}: {kept}", known.metric, known.limit)
    });
    thresholds.chain(measured.notes.iter().cloned()).collect()
}

fn terminal(name: &str, measured: &Measured, width: usize) -> String {
    let mut text = format!("{}: {}\n", crate::names::printable(name), measured.source.name());
    text.push_str(&grid(measured).terminal(width, |_, _, cell| cell));
    for line in below(measured) {
        text.push_str(&crate::names::printable(&line));
        text.push('\n');
    }
    text
}

fn markdown(name: &str, measured: &Measured) -> String {
    let mut text = format!("### {} ({})\n\n{}", escaped(name), measured.source.name(), grid(measured).markdown());
    let lines: String = below(measured).iter().map(|line| format!("- {}\n", escaped(line))).collect();
    if !lines.is_empty() {
        text.push('\n');
        text.push_str(&lines);
    }
    text
}

fn csv(files: &[(String, Measured)]) -> String {
    let mut grid = Grid::new(&["file", "source", "metric", ">value", "unit", "better", ">n", ">ci_low", ">ci_high"]);
    for (name, measured) in files {
        for metric in &measured.metrics {
            let bound = |at: usize| metric.ci.map(|ci| ci[at].to_string()).unwrap_or_default();
            grid.rows.push(vec![
                name.clone(),
                measured.source.name().to_owned(),
                metric.name.clone(),
                metric.value.to_string(),
                metric.unit.clone(),
                better(metric.direction).to_owned(),
                metric.n.map(|n| n.to_string()).unwrap_or_default(),
                bound(0),
                bound(1),
            ]);
        }
    }
    grid.csv()
}
