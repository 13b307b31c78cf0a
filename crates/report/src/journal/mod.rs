//! The log of optimizations as Markdown for GitHub, as a table for the terminal, and as JSON.

mod document;
mod json;
mod list;
mod markers;
mod tables;

#[cfg(test)]
mod tests;

use burnmark_journal::Direction;
use burnmark_journal::log::{Attachment, Entry, Evidence, Known, MetricChange, Row, Verdict};

use crate::numbers::counted;
use document::{Document, Part, sentence, words};
pub use json::{log_json, report_json, verify_json};
pub use list::log_list;
pub use markers::{BEGIN, END, Spliced, splice};

/// Bytes that GitHub shows of a comment: 65,536 characters, with room for what is put around it.
pub const COMMENT_BYTES: usize = 60_000;

/// Bytes that GitHub takes as a step's summary: 1 MiB, with room for what others write there.
pub const SUMMARY_BYTES: usize = 900 << 10;

/// The hidden first line of a report, by which it is found again and replaced.
pub const REPORT_MARK: &str = "<!-- burnmark:report -->";

/// Columns of somebody's words in running text.
const LINE: usize = 500;

/// A figure of one run that is worse by less than this is not told as a loss.
const LOSS_PERCENT: f64 = 1.0;

/// Entries whose evidence is rendered below the table.
const DETAILED: usize = 30;

/// How to render.
#[derive(Clone, Debug, Default)]
pub struct JournalOptions {
    /// Bytes at most.
    pub bytes: Option<usize>,
    /// The path from the Markdown file's folder to the log's; without it attachments are named, not linked.
    pub log: Option<String>,
}

/// The report on one entry: verdict first, then every table that it has something for.
pub fn report(entry: &Entry, options: &JournalOptions) -> String {
    let mut document = Document::new(1);
    document.line(REPORT_MARK);
    head(&mut document, entry);
    body(&mut document, entry, options);
    document.markdown(options.bytes)
}

/// The whole log: the table, the last entry's evidence, that of earlier ones folded away.
pub fn log(rows: &[Row<'_>], options: &JournalOptions) -> String {
    let mut document = Document::new(2);
    if rows.is_empty() {
        document.line("The log has no entries yet: `burnmark log add` adds one.");
        return document.markdown(options.bytes);
    }
    document.parts.push(Part::Heading("Iteration Log".to_owned()));
    document.table(tables::iterations(rows));
    let replaced: usize = rows.iter().map(|row| row.replaces.len()).sum();
    if replaced > 0 {
        document.line(format!("{} not shown: later ones correct them.", counted(replaced, "entry is", "entries are")));
    }
    let last = rows.iter().max_by_key(|row| row.entry.id);
    if let Some(row) = last {
        let title = sentence(&row.entry.bottleneck, LINE);
        document.parts.push(Part::Heading(format!("The last iteration: {title}")));
        head(&mut document, row.entry);
        body(&mut document, row.entry, options);
    }
    let earlier = rows.iter().rev().filter(|row| last.is_none_or(|last| last.entry.id != row.entry.id));
    for row in earlier.clone().take(DETAILED) {
        document.parts.push(Part::Fold(format!("Iteration {}: {}", row.number, row.entry.bottleneck)));
        head(&mut document, row.entry);
        let mut untitled = |table: document::Table| document.table(document::Table { title: String::new(), ..table });
        untitled(tables::metrics(&row.entry.evidence));
        untitled(tables::functions(&row.entry.evidence, true));
        attachments(&mut document, row.entry, options, false);
        document.parts.push(Part::Unfold);
    }
    let more = earlier.count().saturating_sub(DETAILED);
    if more > 0 {
        document.line(format!("`burnmark log show` tells of {}.", counted(more, "earlier entry", "earlier entries")));
    }
    document.markdown(options.bytes)
}

/// The verdict and the facts.
fn head(document: &mut Document, entry: &Entry) {
    let evidence = &entry.evidence;
    // The figure that the verdict is on; where none was tested, the row's.
    let tested = evidence.metrics.iter().find(|metric| metric.verdict != Verdict::NotTested);
    let figures = tested.or(evidence.metrics.first()).map(|metric| {
        let of = |value: Option<f64>| match value {
            Some(value) => format!("{} {}", tables::figure(value), metric.unit).trim_end().to_owned(),
            None => "not measured".to_owned(),
        };
        let change = format!("{}: {} → {}", metric.name, of(metric.before), of(metric.after));
        format!(", {} ({})", words(&change, LINE), tables::improvement(metric))
    });
    let figures = figures.unwrap_or_default();
    document.line(format!("**Verdict: {}**{figures}{}", evidence.verdict.word(), losses(evidence)));
    let mut item = |name: &str, text: String| {
        if !text.is_empty() {
            document.line(format!("- {name}: {text}"));
        }
    };
    if !evidence.env.changed.is_empty() {
        item("**environment changed**", words(&evidence.env.changed.join("; "), LINE));
    }
    item("targets", tables::met(evidence));
    item("bottleneck", sentence(&entry.bottleneck, LINE));
    item("change", sentence(&entry.change, LINE));
    item("category", entry.category.as_deref().map(|text| words(text, LINE)).unwrap_or_default());
    item("measured", tables::basis(evidence).unwrap_or_default());
    item("where", place(entry));
    item("commit", commit(entry));
    if !entry.seal.is_empty() {
        item("entry", format!("`{}`, {}", entry.id, words(&entry.time, LINE)));
    }
    for note in evidence.notes.iter().filter(|note| !evidence.env.changed.contains(note)) {
        item("note", sentence(note, LINE));
    }
}

/// What an improvement came with: measured figures that went the other way, surely or by more than a single run's noise.
fn losses(evidence: &Evidence) -> String {
    if evidence.verdict != Verdict::Improved {
        return String::new();
    }
    let is_worse = |metric: &&MetricChange| match (metric.verdict, metric.improvement_pct, metric.before, metric.after)
    {
        (Verdict::Regressed, ..) => true,
        // A share that was not tested grows where others shrink.
        (Verdict::NotTested, ..) if metric.name.starts_with("share of ") => false,
        (Verdict::NotTested, Some(percent), ..) => percent <= -LOSS_PERCENT,
        // From 0 there is no percentage.
        (Verdict::NotTested, None, Some(before), Some(after)) => {
            after != before && (after < before) == (metric.direction == Direction::Higher)
        }
        _ => false,
    };
    let measured = evidence.metrics.iter().filter(|metric| metric.evidence == Known::Measured);
    let names: Vec<&str> = measured.filter(is_worse).map(|metric| metric.name.as_str()).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("; {} went the other way", words(one, LINE)),
        [one, other] => format!("; {} went the other way", words(&format!("{one} and {other}"), LINE)),
        [one, other, rest @ ..] => {
            format!("; {} and {} more went the other way", words(&format!("{one}, {other}"), LINE), rest.len())
        }
    }
}

fn place(entry: &Entry) -> String {
    let env = &entry.evidence.env;
    let kernel = env.kernel.as_ref().map(|kernel| format!("kernel {kernel}"));
    let parts: Vec<String> = [env.runtime.clone(), env.cpu.clone(), kernel].into_iter().flatten().collect();
    words(&parts.join(", "), LINE)
}

fn commit(entry: &Entry) -> String {
    let Some(git) = &entry.git else { return String::new() };
    let short = |hash: &String| format!("`{}`", words(&hash.chars().take(12).collect::<String>(), LINE));
    let mut text = match (&git.base, &git.head) {
        (Some(base), Some(head)) if base != head => format!("{} → {}", short(base), short(head)),
        (_, Some(head)) => short(head),
        (Some(base), None) => format!("after {}", short(base)),
        (None, None) => return String::new(),
    };
    if let Some(branch) = &git.branch {
        text += &format!(" on {}", words(branch, LINE));
    }
    if git.dirty == Some(true) {
        text += ", with changes not committed";
    }
    text
}

/// Every table.
fn body(document: &mut Document, entry: &Entry, options: &JournalOptions) {
    let evidence = &entry.evidence;
    document.table(tables::targets(evidence));
    document.table(tables::metrics(evidence));
    document.table(tables::flame(entry));
    document.table(tables::functions(evidence, true));
    let undecided = tables::functions(evidence, false);
    if !undecided.rows.is_empty() {
        document.parts.push(Part::Fold("Functions that did not change, or of which it can't be told".to_owned()));
        document.table(undecided);
        document.parts.push(Part::Unfold);
    }
    document.table(tables::consumers("Top Time Consumers", &evidence.top_after));
    if !evidence.top_before.is_empty() {
        document.parts.push(Part::Fold("Top time consumers before the change".to_owned()));
        document.table(tables::consumers("", &evidence.top_before));
        document.parts.push(Part::Unfold);
    }
    document.table(tables::unexpected(evidence));
    document.table(tables::priorities(evidence));
    document.table(tables::heap_sizes(evidence));
    document.table(tables::retained(evidence));
    document.table(tables::opportunities(evidence));
    attachments(document, entry, options, true);
}

/// What is kept with the entry, with links where they lead somewhere.
fn attachments(document: &mut Document, entry: &Entry, options: &JournalOptions, heading: bool) {
    if entry.attachments.is_empty() {
        return;
    }
    if heading {
        document.line(format!("{} Evidence", "#".repeat(document.level + 1)));
    }
    for attachment in &entry.attachments {
        document.line(format!("- {}", link(attachment, options)));
    }
}

fn link(attachment: &Attachment, options: &JournalOptions) -> String {
    let name = attachment.path.rsplit('/').next().unwrap_or_default();
    let name = words(name, LINE);
    let name = match &options.log {
        Some(log) => format!("[{name}](<{}>)", encoded(&format!("{}/{}", log.trim_end_matches('/'), attachment.path))),
        None => name,
    };
    format!("{name}: {} ({})", words(&attachment.role, LINE), crate::heap::bytes(attachment.bytes.into()))
}

/// A path as a link has it: whatever could end it is percent-encoded.
fn encoded(path: &str) -> String {
    let mut text = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
