//! A table with a title, in every form.

use super::cell::Cell;
use crate::grid::Grid;
use crate::top::markdown::escaped;

/// A column: its name for people, and in CSV, with the unit. Those of numbers begin with `>`.
#[derive(Debug)]
pub(super) struct Column(pub(super) &'static str, pub(super) &'static str);

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

impl Sheet {
    pub(super) fn new(title: &'static str, columns: impl Into<Vec<Column>>) -> Self {
        Self { title, columns: columns.into(), ..Self::default() }
    }

    /// As people see it.
    fn grid(&self) -> Grid {
        let columns = self.columns.iter().map(|column| column.0).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(Cell::shown).collect()).collect();
        Grid { columns, rows, below: self.below }
    }

    /// Aligned text under its title.
    pub(super) fn terminal(&self, room: usize, colours: bool) -> String {
        let mut text = if colours { format!("\x1b[1m{}\x1b[0m\n", self.title) } else { format!("{}\n", self.title) };
        if !self.rows.is_empty() {
            text.push_str(&self.grid().terminal(room, |_, _, cell| cell));
        }
        self.notes.iter().for_each(|note| text.push_str(&(note.clone() + "\n")));
        text
    }

    /// A heading and a GitHub table.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("### {}\n", self.title);
        if self.rows.is_empty() {
            self.notes.iter().for_each(|note| text.push_str(&format!("\n{}\n", escaped(note))));
            return text;
        }
        text.push('\n');
        text.push_str(&self.grid().markdown());
        if !self.notes.is_empty() {
            text.push('\n');
            self.notes.iter().for_each(|note| text.push_str(&format!("- {}\n", escaped(note))));
        }
        text
    }

    /// RFC 4180, with the title as the first column.
    pub(super) fn csv(&self) -> String {
        let columns = std::iter::once("table").chain(self.columns.iter().map(|column| column.1)).collect();
        let row = |row: &Vec<Cell>| {
            let title = std::iter::once(self.title.to_owned());
            title.chain(row.iter().map(Cell::plain)).collect()
        };
        Grid { columns, rows: self.rows.iter().map(row).collect(), ..Grid::default() }.csv()
    }
}
