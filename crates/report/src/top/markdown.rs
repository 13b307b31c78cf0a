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
    if fits_code(name) { format!("`{}`", cut_bytes(name, LONGEST_NAME)) } else { escaped(name) }
}

/// Whether a code span shows the name as it is. A `$` beside a backtick may begin or end GitHub's formulas.
fn fits_code(name: &str) -> bool {
    !(name.contains(['`', '|', '\\']) || name.starts_with('$') || name.ends_with('$') || printable(name) != name)
}

/// Text that GitHub shows as it is: in one line, no cell ends, no markup, no HTML, no links, no mentions. Words that
/// GitHub would make more of than letters, such as `a::b::c` or `@me`, are code.
pub(crate) fn escaped(text: &str) -> String {
    part(text, true, true)
}

/// Like [`escaped`]. Only if it `starts` and `ends` with nothing beside it, the first and the last word may be code.
fn part(text: &str, starts: bool, ends: bool) -> String {
    let text = printable(text);
    let text = cut_bytes(&text, LONGEST_NAME);
    let mut result = String::with_capacity(text.len() + 16);
    let last = text.split(' ').count() - 1;
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            result.push(' ');
        }
        let is_alone = (index > 0 || starts) && (index < last || ends);
        match is_alone && is_live(word) && fits_code(word) {
            true => result.push_str(&format!("`{word}`")),
            false => {
                // At its begin a line may be an item of a list, or a rule.
                if index == 0 && begins_block(word) {
                    result.push('\\');
                }
                push_escaped(&mut result, word);
            }
        }
    }
    result
}

/// Whether a line that begins with this word is no paragraph: a bullet or a rule. (Numbers of lists see `push_escaped`.)
fn begins_block(word: &str) -> bool {
    word == "+" || !word.is_empty() && word.bytes().all(|byte| byte == b'-')
}

/// Whether the point or parenthesis after `before` makes a number of a list of it.
fn numbers_item(before: &str, after: &str) -> bool {
    after.is_empty() && !before.is_empty() && before.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether GitHub makes a picture, a mention or a link of some of the word.
pub(crate) fn is_live(word: &str) -> bool {
    word.char_indices().any(|(index, char)| live(word, index, char).is_some())
}

/// What begins at `index` of `word`, that GitHub would make something of: the same with an empty comment in it. That keeps
/// it from being found; entities and escapes don't.
fn live(word: &str, index: usize, char: char) -> Option<&'static str> {
    let (before, after) = (&word[..index], &word[index + char.len_utf8()..]);
    match char {
        '@' if after.starts_with(|c: char| c.is_ascii_alphanumeric()) => Some("@<!-- -->"),
        '#' if after.starts_with(|c: char| c.is_ascii_digit()) => Some("#<!-- -->"),
        ':' if after.starts_with("//") => Some("<!-- -->:"),
        ':' if begins_emoji(after) => Some(":<!-- -->"),
        '-' if names_issue(before, after) => Some("<!-- -->-"),
        '.' if before.ends_with("www") || before.ends_with("WWW") => Some("<!-- -->."),
        _ => None,
    }
}

fn push_escaped(result: &mut String, word: &str) {
    for (index, char) in word.char_indices() {
        match char {
            '&' => result.push_str("&amp;"),
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            // GFM cuts a row at a `|`, escaped or not, before it looks at anything else; an entity is none.
            '|' => result.push_str("&#124;"),
            // Within a word it is no emphasis.
            '_' if is_within(&word[..index], &word[index + 1..]) => result.push('_'),
            // Alone it is no picture.
            '!' if !word[index + 1..].starts_with('[') => result.push('!'),
            '\\' | '`' | '*' | '_' | '~' | '[' | ']' | '$' | '!' => {
                result.push('\\');
                result.push(char);
            }
            '.' | ')' if numbers_item(&word[..index], &word[index + 1..]) => {
                result.push('\\');
                result.push(char);
            }
            _ => match live(word, index, char) {
                Some(inert) => result.push_str(inert),
                // A heading, at a line's begin.
                None if char == '#' => result.push_str("\\#"),
                None => result.push(char),
            },
        }
    }
}

/// Whether there are letters or digits on both sides.
fn is_within(before: &str, after: &str) -> bool {
    before.ends_with(|c: char| c.is_ascii_alphanumeric()) && after.starts_with(|c: char| c.is_ascii_alphanumeric())
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
    for (index, text) in parts.iter().enumerate() {
        let (is_odd, is_last) = (index % 2 == 1, index + 1 == parts.len());
        match (is_odd, text.is_empty()) {
            (true, false) if !is_last && fits_code(text) => result.push_str(&code(text)),
            // Beside text it must not become a part of what GitHub makes more of.
            (true, false) if !is_last => result.push_str(&format!("<!-- -->{}<!-- -->", escaped(text))),
            (true, true) if !is_last => result.push_str("\\`\\`"),
            (_, empty) => {
                result.push_str(if is_odd { "\\`" } else { "" });
                result.push_str(&if empty { String::new() } else { part(text, index == 0, is_last && !is_odd) });
            }
        }
    }
    result
}
