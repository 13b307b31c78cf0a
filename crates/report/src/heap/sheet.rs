//! A table, in every form.

use super::cell::Cell;
use crate::names::{cut_middle, printable, width};
use crate::top::csv::field;
use crate::top::markdown::escaped;

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    /// For people.
    name: &'static str,
    /// In CSV, with the unit.
    csv: &'static str,
    /// Numbers are aligned to the right.
    is_number: bool,
}

/// A column of texts.
pub(super) const fn text(name: &'static str, csv: &'static str) -> Column {
    Column { name, csv, is_number: false }
}

/// A column of numbers.
pub(super) const fn number(name: &'static str, csv: &'static str) -> Column {
    Column { name, csv, is_number: true }
}

/// A table with a title.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pub(super) title: &'static str,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// How many of the last columns stand below their row on a terminal: long texts.
    pub(super) below: usize,
    /// Below the table, one line each.
    pub(super) notes: Vec<String>,
}

const GAP: usize = 2;
const LEAST: usize = 12;
/// Lines of the terminal that a text below a row may take, or little more.
const LINES_BELOW: usize = 3;
const INDENT: usize = 3;

impl Sheet {
    pub(super) fn new(title: &'static str, columns: impl Into<Vec<Column>>) -> Self {
        Self { title, columns: columns.into(), ..Self::default() }
    }

    fn name(&self, column: usize) -> &str {
        self.columns[column].name
    }

    fn is_number(&self, column: usize) -> bool {
        self.columns[column].is_number
    }

    /// Aligned text. Columns of text share what numbers leave.
    pub(super) fn terminal(&self, room: usize, colours: bool) -> String {
        let cells: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(shown).collect()).collect();
        let widest = |column: usize| {
            let cells = cells.iter().map(|row| width(&row[column]));
            cells.max().unwrap_or(0).max(width(self.name(column)))
        };
        let beside = self.columns.len() - self.below;
        let mut widths: Vec<usize> = (0..beside).map(widest).collect();
        let total = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * (widths.len().max(1) - 1);
        while total(&widths) > room.max(LEAST) {
            let texts = (0..widths.len()).filter(|column| !self.is_number(*column) && widths[*column] > LEAST);
            let Some(longest) = texts.max_by_key(|column| widths[*column]) else { break };
            widths[longest] -= 1;
        }
        let line = |cells: &dyn Fn(usize) -> String| {
            let mut line = String::new();
            for (column, room) in widths.iter().enumerate() {
                let cell = cells(column);
                let cell = cut_middle(&cell, *room);
                let blanks = " ".repeat(room - width(&cell).min(*room));
                if self.is_number(column) {
                    line.push_str(&blanks);
                    line.push_str(&cell);
                } else {
                    line.push_str(&cell);
                    line.push_str(&blanks);
                }
                line.push_str(&" ".repeat(GAP));
            }
            line.trim_end().to_owned() + "\n"
        };
        let bold = |text: &str| if colours { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() };
        let mut text = bold(self.title) + "\n";
        if !cells.is_empty() {
            text.push_str(&line(&|column| self.name(column).to_owned()));
        }
        for row in &cells {
            text.push_str(&line(&|column| row[column].clone()));
            for (column, cell) in row.iter().enumerate().skip(beside).filter(|(_, cell)| !cell.is_empty()) {
                text.push_str(&below(&format!("{}: {cell}", self.name(column)), room.max(LEAST)));
            }
        }
        self.notes.iter().for_each(|note| text.push_str(&(note.clone() + "\n")));
        text
    }

    /// A heading and a GitHub table.
    pub(super) fn markdown(&self) -> String {
        let columns = 0..self.columns.len();
        let mut text = format!("### {}\n", self.title);
        if self.rows.is_empty() {
            self.notes.iter().for_each(|note| text.push_str(&format!("\n{}\n", escaped(note))));
            return text;
        }
        text.push_str("\n|");
        columns.clone().for_each(|column| text.push_str(&format!(" {} |", self.name(column))));
        text.push_str("\n|");
        columns.for_each(|column| text.push_str(if self.is_number(column) { "--:|" } else { "---|" }));
        text.push('\n');
        for row in &self.rows {
            text.push('|');
            row.iter().for_each(|cell| text.push_str(&format!(" {} |", escaped(&cell.shown()))));
            text.push('\n');
        }
        if !self.notes.is_empty() {
            text.push('\n');
            self.notes.iter().for_each(|note| text.push_str(&format!("- {}\n", escaped(note))));
        }
        text
    }

    /// RFC 4180, with the title as the first column.
    pub(super) fn csv(&self) -> String {
        let mut text = String::from("table");
        self.columns.iter().for_each(|column| text.push_str(&format!(",{}", column.csv)));
        text.push_str("\r\n");
        for row in &self.rows {
            text.push_str(&field(self.title));
            row.iter().for_each(|cell| text.push_str(&format!(",{}", cell.plain())));
            text.push_str("\r\n");
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

fn shown(cell: &Cell) -> String {
    let text = cell.shown();
    if text.is_empty() { text } else { printable(&text).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_break_between_words() {
        let text = below("held by: global → .cache Map → (internal) table", 24);
        assert_eq!(text, "   held by: global →\n     .cache Map →\n     (internal) table\n");
        assert!(below(&"word ".repeat(100), 40).lines().count() <= 4);
        assert_eq!(below(&"x".repeat(30), 20).lines().count(), 1);
    }
}
