//! A small table of texts, for people and for spreadsheets.

use crate::names::{cut_middle, printable, width};
use crate::top::csv::field;
use crate::top::markdown::escaped;

/// Columns and rows. Columns of numbers begin with `>`, and are aligned to the right.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grid {
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
    /// How many of the last columns stand below their row on a terminal, with their names: long texts.
    pub(crate) below: usize,
}

const GAP: &str = "  ";
/// Columns of the terminal that a text keeps.
const LEAST: usize = 12;
/// Lines of the terminal that a text below a row may take, or little more.
const LINES_BELOW: usize = 3;
const INDENT: usize = 3;

impl Grid {
    pub(crate) fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), ..Self::default() }
    }

    /// Takes out columns that have nothing in any row.
    pub(crate) fn without_empty(mut self) -> Self {
        for column in (0..self.columns.len()).rev() {
            if !self.rows.is_empty() && self.rows.iter().all(|row| row[column].is_empty()) {
                self.columns.remove(column);
                self.rows.iter_mut().for_each(|row| drop(row.remove(column)));
            }
        }
        self
    }

    fn name(&self, column: usize) -> &'static str {
        self.columns[column].trim_start_matches('>')
    }

    fn is_number(&self, column: usize) -> bool {
        self.columns[column].starts_with('>')
    }

    /// Aligned text; the widest texts are cut until a line has room. `paint` colours a cell that is filled up already.
    pub(crate) fn terminal(&self, room: usize, paint: impl Fn(usize, usize, String) -> String) -> String {
        let room = room.max(LEAST);
        let shown = |text: &str| if text.is_empty() { String::new() } else { printable(text).into_owned() };
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
        let widest = |column: usize| {
            let cells = rows.iter().map(|row| width(&row[column])).max().unwrap_or(0);
            cells.max(width(self.name(column)))
        };
        let beside = self.columns.len() - self.below;
        let mut widths: Vec<usize> = (0..beside).map(widest).collect();
        while widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1) > room {
            let texts = (0..beside).filter(|column| !self.is_number(*column) && widths[*column] > LEAST);
            let Some(longest) = texts.max_by_key(|column| widths[*column]) else { break };
            widths[longest] -= 1;
        }
        let fill = |column: usize, text: &str| {
            let text = cut_middle(text, widths[column]);
            let blanks = " ".repeat(widths[column] - width(&text).min(widths[column]));
            if self.is_number(column) { format!("{blanks}{text}") } else { format!("{text}{blanks}") }
        };
        let head: Vec<String> = (0..beside).map(|column| fill(column, self.name(column))).collect();
        let mut text = head.join(GAP).trim_end().to_owned() + "\n";
        for (at, row) in rows.iter().enumerate() {
            let last = row[..beside].iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
            let cells: Vec<String> = (0..last).map(|column| paint(at, column, fill(column, &row[column]))).collect();
            text.push_str(cells.join(GAP).trim_end());
            text.push('\n');
            for (column, cell) in row.iter().enumerate().skip(beside).filter(|(_, cell)| !cell.is_empty()) {
                text.push_str(&below(&format!("{}: {cell}", self.name(column)), room));
            }
        }
        text
    }

    /// The head of a GitHub table.
    pub(crate) fn markdown_head(&self) -> String {
        let columns = 0..self.columns.len();
        let names: String = columns.clone().map(|column| format!(" {} |", self.name(column))).collect();
        let lines: String = columns.map(|column| if self.is_number(column) { "--:|" } else { "---|" }).collect();
        format!("|{names}\n|{lines}\n")
    }

    /// A row of a GitHub table.
    pub(crate) fn markdown_row(&self, row: usize) -> String {
        let cells: String = self.rows[row].iter().map(|cell| format!(" {} |", cell_text(cell))).collect();
        format!("|{cells}\n")
    }

    /// A GitHub table.
    pub(crate) fn markdown(&self) -> String {
        let rows: String = (0..self.rows.len()).map(|row| self.markdown_row(row)).collect();
        self.markdown_head() + &rows
    }

    /// RFC 4180.
    pub(crate) fn csv(&self) -> String {
        let line = |cells: Vec<String>| cells.join(",") + "\r\n";
        let mut text = line((0..self.columns.len()).map(|column| field(self.name(column))).collect());
        for row in &self.rows {
            let cells = row.iter().enumerate();
            let cell = |(column, cell): (usize, &String)| match self.is_number(column) {
                true => cell.replace(',', ""),
                false if cell.is_empty() => String::new(),
                false => field(cell),
            };
            text.push_str(&line(cells.map(cell).collect()));
        }
        text
    }
}

/// A long text below its row: indented, in lines that end between words.
fn below(text: &str, room: usize) -> String {
    let indent = INDENT.min(room / 4);
    let text = cut_middle(text, (room - indent) * LINES_BELOW);
    let mut lines = String::new();
    let mut line = String::new();
    let end = |line: &mut String, lines: &mut String| {
        lines.push_str(&format!("{}{line}\n", " ".repeat(indent)));
        line.clear();
    };
    for word in text.split(' ') {
        if !line.is_empty() && width(&line) + 1 + width(word) > room - indent {
            end(&mut line, &mut lines);
            // The next lines stand a bit further in.
            line.push_str("  ");
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    end(&mut line, &mut lines);
    lines
}

fn cell_text(cell: &str) -> String {
    if cell.is_empty() { String::new() } else { escaped(cell) }
}

/// A number with as many decimals as its size deserves: three digits that count.
pub(crate) fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        size if size == 0.0 || size >= 1e5 => 0,
        size if size >= 1_000.0 => 1,
        size if size >= 10.0 => 2,
        size if size >= 0.1 => 3,
        size if size >= 1e-6 => ((-size.log10()).ceil() as usize + 2).min(9),
        _ => return format!("{value:e}"),
    };
    let text = crate::numbers::decimal(value, decimals);
    // 12.00 is 12.
    match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte == b'0') => whole.to_owned(),
        _ => text,
    }
}

/// An interval: `190 … 210`.
pub(crate) fn interval(ci: Option<[f64; 2]>) -> String {
    ci.map_or(String::new(), |[low, high]| format!("{} … {}", figure(low), figure(high)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_the_digits_that_count() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (12.0, "12"),
            (12.345, "12.35"),
            (1_234.56, "1,234.6"),
            (123_456.7, "123,457"),
            (0.5, "0.500"),
            (0.012_34, "0.0123"),
            (-3.25, "-3.250"),
            (1e-9, "1e-9"),
        ] {
            assert_eq!(figure(value), text);
        }
    }

    #[test]
    fn long_texts_break_between_words() {
        let text = below("held by: global → .cache Map → (internal) table", 24);
        assert_eq!(text, "   held by: global →\n     .cache Map →\n     (internal) table\n");
        assert!(below(&"word ".repeat(100), 40).lines().count() <= 4);
        assert_eq!(below(&"x".repeat(30), 20).lines().count(), 1);
    }

    #[test]
    fn cells_are_harmless_everywhere() {
        let mut grid = Grid::new(&["name", ">n", "empty"]);
        grid.rows.push(vec!["a|b`<x>\n\x1b[31m=1".to_owned(), "1,000".to_owned(), String::new()]);
        let grid = grid.without_empty();
        assert_eq!(grid.columns, ["name", ">n"]);
        let markdown = grid.markdown();
        assert_eq!(markdown.lines().count(), 3, "{markdown}");
        assert!(!markdown.contains("<x>") && !markdown.contains('\x1b'));
        assert!(!grid.terminal(80, |_, _, cell| cell).contains('\x1b'));
        assert!(grid.csv().ends_with(",1000\r\n"), "{}", grid.csv());
    }
}
