//! The table of the top consumers.

pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod markdown;
mod terminal;

use burnmark_analysis::{Finding, FrameKind, MergeBy, RankBy, Ranking, Row, Summary};
use burnmark_model::Profile;

use crate::numbers::{counted, percent};

/// What the table looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableForm {
    /// Aligned text.
    Terminal {
        /// Columns of the terminal.
        width: usize,
        /// Whether to use colours.
        colours: bool,
    },
    /// A GitHub table.
    #[default]
    Markdown,
    /// RFC 4180, with a header.
    Csv,
    /// `burnmark.top/1`.
    Json,
}

/// The table, with a line end after its last line. The two forms for people carry the summary below it.
pub fn top(profile: &Profile, ranking: &Ranking<'_>, summary: &Summary<'_>, form: &TableForm) -> String {
    match *form {
        TableForm::Terminal { width, colours } => terminal::render(ranking, summary, width, colours),
        TableForm::Markdown => markdown::render(ranking, summary),
        TableForm::Csv => csv::render(ranking),
        TableForm::Json => json::render(profile, ranking, summary, None),
    }
}

/// The table as JSON, with its findings.
pub fn top_json(profile: &Profile, ranking: &Ranking<'_>, summary: &Summary<'_>, findings: &[Finding]) -> String {
    json::render(profile, ranking, summary, Some(crate::findings::findings_json(findings)))
}

/// What stands in the first column of names.
fn subject(merge_by: MergeBy) -> &'static str {
    match merge_by {
        MergeBy::Function => "function",
        MergeBy::Line => "line",
        MergeBy::Module => "module",
    }
}

/// The row's name; with file and line where rows are lines.
fn row_name(row: &Row<'_>, merge_by: MergeBy) -> String {
    let place = &row.place;
    match (merge_by, place.file, place.line) {
        (MergeBy::Line, Some(file), 1..) => format!("{} {}:{}", place.name, file_name(file), place.line),
        (MergeBy::Line, None, 1..) => format!("{}:{}", place.name, place.line),
        _ => place.name.clone().into_owned(),
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(path)
}

/// Where rows are modules, there is nothing to add to the name.
fn has_module_column(ranking: &Ranking<'_>) -> bool {
    ranking.merge_by != MergeBy::Module && ranking.rows.iter().any(|row| row.place.module.is_some())
}

/// Whether any row has a category: none has unless the ranking was categorized.
fn has_category_column(ranking: &Ranking<'_>) -> bool {
    ranking.rows.iter().any(|row| row.category.is_some())
}

/// What the limits left out, if anything.
fn hidden(ranking: &Ranking<'_>) -> Option<String> {
    let hidden = &ranking.hidden;
    let (one, many) = match ranking.merge_by {
        MergeBy::Function => ("more function", "more functions"),
        MergeBy::Line => ("more line", "more lines"),
        MergeBy::Module => ("more module", "more modules"),
    };
    (hidden.rows > 0).then(|| {
        let more = counted(hidden.rows, one, many);
        format!("… {more} with {} % self (--limit 0 shows all)", percent(hidden.self_share))
    })
}

/// What is measured, and in which order.
fn measured(ranking: &Ranking<'_>) -> String {
    let value = ranking.value_type;
    let by = match ranking.by {
        RankBy::SelfValue => "self",
        RankBy::Total => "total",
    };
    let unit = if value.unit == "count" { String::new() } else { format!(" in {}", value.unit) };
    format!("{}{unit}, by {by}", value.name)
}

/// The kind in JSON.
fn kind(kind: FrameKind) -> &'static str {
    match kind {
        FrameKind::Native => "native",
        FrameKind::Kernel => "kernel",
        FrameKind::Jit => "jit",
        FrameKind::Group => "group",
    }
}

#[cfg(test)]
mod tests;
