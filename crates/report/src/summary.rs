//! What a profile holds, worded for a person.

use burnmark_analysis::Summary;

use crate::names::printable;
use crate::numbers::{count, counted, duration, percent};

/// Modules without symbols that are named.
const MODULES_NAMED: usize = 4;

/// Modules whose unnamed code has less than this share are not worth a line.
const LEAST_SHARE: f64 = 0.005;

/// The lines under a table: what was sampled, then what a reader should know of it.
pub(crate) fn lines(summary: &Summary<'_>) -> Vec<String> {
    let mut lines = vec![sampled(summary)];
    lines.extend(remarks(summary));
    lines
}

/// What a reader should know: how complete stacks are, what has no names, what the recorder noted.
pub(crate) fn remarks(summary: &Summary<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(share) = summary.complete_share {
        lines.push(format!("{} % of the stacks reach the thread's start", percent(share)));
    }
    lines.extend(without_symbols(summary));
    lines.extend(summary.notes.iter().map(|note| printable(note).into_owned()));
    lines
}

/// What was sampled, in one line.
pub(crate) fn sampled(summary: &Summary<'_>) -> String {
    let mut parts = vec![counted(summary.samples, "sample", "samples")];
    if let Some(event) = summary.event {
        parts[0] += &format!(" of {}", printable(event));
    }
    if let Some(ns) = summary.duration_ns {
        parts.push(duration(ns));
    }
    if let Some(threads) = summary.threads {
        parts.push(counted(threads, "thread", "threads"));
    }
    if let Some(processes) = summary.processes.filter(|processes| *processes > 1) {
        parts.push(counted(processes, "process", "processes"));
    }
    if let Some(lost) = summary.lost {
        parts.push(match lost {
            0 => "none lost".to_owned(),
            lost => format!("{} lost", count(lost)),
        });
    }
    parts.join(", ")
}

/// Unnamed code by module, with what helps.
fn without_symbols(summary: &Summary<'_>) -> Option<String> {
    let modules = &summary.unsymbolized;
    let all: f64 = modules.iter().map(|module| module.share).sum();
    if all.abs() < LEAST_SHARE {
        return None;
    }
    let mut named: Vec<String> = modules
        .iter()
        .take(MODULES_NAMED)
        .map(|module| {
            let name = module.name.map_or("code in no module".into(), printable);
            format!("{name} ({} %)", percent(module.share))
        })
        .collect();
    if modules.len() > MODULES_NAMED {
        named.push(counted(modules.len() - MODULES_NAMED, "other module", "other modules"));
    }
    Some(format!("{} % is in code without symbols: {}", percent(all), named.join(", ")))
}
