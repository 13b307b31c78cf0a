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
            ':' if is_emoji(&text[index + 1..]) => result.push_str(":<!-- -->"),
            '-' if text[..index].ends_with("GH") || text[..index].ends_with("gh") => result.push_str("<!-- -->-"),
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

/// Whether what stands behind a `:` may be read as the code of an emoji: `rocket:`, `+1:`.
fn is_emoji(rest: &str) -> bool {
    let end = rest.find(|char: char| !(char.is_ascii_alphanumeric() || matches!(char, '_' | '+' | '-')));
    end.is_some_and(|end| end > 0 && rest[end..].starts_with(':'))
}
