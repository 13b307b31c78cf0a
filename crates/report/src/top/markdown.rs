//! The table for GitHub.

use burnmark_analysis::{Ranking, Summary};

use super::{has_category_column, has_module_column, hidden, measured, row_name, subject};
use crate::names::{cut_bytes, printable};
use crate::numbers::{Scale, percent};
use crate::summary;

/// Bytes of a name: GitHub shows no file with lines that are much longer.
const LONGEST_NAME: usize = 1_000;

pub(super) fn render(ranking: &Ranking<'_>, summary: &Summary<'_>) -> String {
    let scale = Scale::new(ranking.value_type, ranking.base);
    let with_module = has_module_column(ranking);
    let with_unit = |name: &str| if scale.unit.is_empty() { name.to_owned() } else { format!("{name} {}", scale.unit) };
    let with_category = has_category_column(ranking);
    let cell = |shown: bool, text: &str| if shown { format!(" {text} |") } else { String::new() };
    let mut text = format!(
        "| # | {} |{}{} self % | {} | total % | {} |\n|--:|---|{}{}--:|--:|--:|--:|\n",
        subject(ranking.merge_by),
        cell(with_module, "module"),
        cell(with_category, "category"),
        with_unit("self"),
        with_unit("total"),
        if with_module { "---|" } else { "" },
        if with_category { "---|" } else { "" },
    );
    for row in &ranking.rows {
        text.push_str(&format!(
            "| {} | {} |{}{} {} | {} | {} | {} |\n",
            row.rank,
            code(&row_name(row, ranking.merge_by)),
            cell(with_module, &row.place.module.map(code).unwrap_or_default()),
            cell(with_category, &row.category.map(|category| escaped(&category.name)).unwrap_or_default()),
            percent(row.self_share),
            scale.number(row.self_value),
            percent(row.total_share),
            scale.number(row.total_value),
        ));
    }
    let lines = std::iter::once(measured(ranking)).chain(hidden(ranking)).chain(summary::lines(summary));
    for line in lines {
        text.push_str("\n- ");
        text.push_str(&escaped(&line));
    }
    text.push('\n');
    text
}

/// A name as code, which GitHub shows as it is; as text, if it has what ends a code span or a cell.
pub(crate) fn code(name: &str) -> String {
    // A `$` beside a backtick may begin or end GitHub's formulas.
    if name.contains(['`', '|', '\\']) || name.starts_with('$') || name.ends_with('$') || printable(name) != name {
        return escaped(name);
    }
    format!("`{}`", cut_bytes(name, LONGEST_NAME))
}

/// Text that GitHub shows as it is: in one line, no cell ends, no markup, no HTML, no links, no mentions.
pub(crate) fn escaped(text: &str) -> String {
    let text = printable(text);
    let text = cut_bytes(&text, LONGEST_NAME);
    let mut result = String::with_capacity(text.len() + 16);
    for (index, char) in text.char_indices() {
        match char {
            '&' => result.push_str("&amp;"),
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            // GFM cuts a row at a `|`, escaped or not, before it looks at anything else; an entity is none.
            '|' => result.push_str("&#124;"),
            // Entities don't keep these from naming people and issues, and from linking; an empty comment between does.
            '@' | '#' => {
                result.push(char);
                result.push_str("<!-- -->");
            }
            ':' if text[index..].starts_with("://") => result.push_str("<!-- -->:"),
            ':' if begins_emoji(&text[index + 1..]) => result.push_str(":<!-- -->"),
            '-' if names_issue(&text[..index], &text[index + 1..]) => result.push_str("<!-- -->-"),
            '.' if text[..index].ends_with("www") || text[..index].ends_with("WWW") => result.push_str("<!-- -->."),
            '\\' | '`' | '*' | '_' | '~' | '[' | ']' | '$' | '!' => {
                result.push('\\');
                result.push(char);
            }
            _ => result.push(char),
        }
    }
    result
}

/// Whether this is the rest of a code such as `:smile:`, which GitHub shows as a picture.
fn begins_emoji(rest: &str) -> bool {
    let Some((name, _)) = rest.split_once(':') else { return false };
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte));
    // Without a letter there are these; `12:30:45` is none.
    is_name && (name.contains(|c: char| c.is_ascii_alphabetic()) || ["+1", "-1", "100", "1234"].contains(&name))
}

/// Whether a `-` is that of `GH-12`, which GitHub links.
fn names_issue(before: &str, after: &str) -> bool {
    let is_mark = before.get(before.len().saturating_sub(2)..).is_some_and(|mark| mark.eq_ignore_ascii_case("gh"));
    is_mark && after.starts_with(|c: char| c.is_ascii_digit())
}

/// A sentence with names between backticks: these as code, all else as text.
pub(crate) fn with_names(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    let mut result = String::new();
    for (index, part) in parts.iter().enumerate() {
        let (is_odd, is_last) = (index % 2 == 1, index + 1 == parts.len());
        match (is_odd, part.is_empty()) {
            (true, false) if !is_last => result.push_str(&code(part)),
            (true, true) if !is_last => result.push_str("\\`\\`"),
            (_, empty) => {
                result.push_str(if is_odd { "\\`" } else { "" });
                result.push_str(&if empty { String::new() } else { escaped(part) });
            }
        }
    }
    result
}
