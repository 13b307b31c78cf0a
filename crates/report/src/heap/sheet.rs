//! A table of text cells, in every form.

use crate::names::{cut_middle, printable, width};
use crate::top::csv::field;
use crate::top::markdown::escaped;

/// A table with a title.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pub(super) title: &'static str,
    /// Names of columns; those of numbers begin with `>`, and are aligned to the right.
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// How many of the last columns stand below their row on a terminal: long texts.
    pub(super) below: usize,
    /// Below the table, one line each.
    pub(super) notes: Vec<String>,
}

const GAP: usize = 2;
const LEAST: usize = 12;
/// Lines of the terminal that a text below a row may take.
const LINES_BELOW: usize = 3;

impl Sheet {
    pub(super) fn new(title: &'static str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        Self { title, columns, ..Self::default() }
    }

    fn name(&self, column: usize) -> &str {
        self.columns[column].trim_start_matches('>')
    }

    fn is_number(&self, column: usize) -> bool {
        self.columns[column].starts_with('>')
    }

    /// Aligned text. Columns of text share what numbers leave.
    pub(super) fn terminal(&self, room: usize, colours: bool) -> String {
        let cells: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
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
                let cell = format!("   {}: {cell}", self.name(column));
                text.push_str(&cut_middle(&cell, room.max(LEAST) * LINES_BELOW));
                text.push('\n');
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
            row.iter().for_each(|cell| text.push_str(&format!(" {} |", escaped(cell))));
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
        (0..self.columns.len()).for_each(|column| text.push_str(&format!(",{}", field(self.name(column)))));
        text.push_str("\r\n");
        for row in &self.rows {
            text.push_str(&field(self.title));
            for (column, cell) in row.iter().enumerate() {
                let cell = if self.is_number(column) { cell.replace(',', "") } else { field(cell) };
                text.push_str(&format!(",{cell}"));
            }
            text.push_str("\r\n");
        }
        text
    }
}

fn shown(cell: &str) -> String {
    if cell.is_empty() { String::new() } else { printable(cell).into_owned() }
}
