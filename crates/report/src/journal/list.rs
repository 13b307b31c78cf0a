//! The log's rows.

use burnmark_journal::log::Row;
use tabled::builder::Builder;
use tabled::settings::object::{Columns, Rows};
use tabled::settings::{Alignment, Color, Padding, Style};

use super::document::{Cell, Document};
use super::tables;
use crate::TableForm;
use crate::names::{cut_end, printable, width};
use crate::top::csv::field;

/// Columns between two columns of the table.
const GAP: usize = 2;

/// Letters of an id that tell entries apart, if they were not added within a moment.
const SHORT_ID: usize = 12;

/// Words are never cut to fewer columns.
const LEAST: usize = 12;

/// The rows as a table, with a line end after its last line. As JSON see [`super::log_json`].
pub fn log_list(rows: &[Row<'_>], form: &TableForm) -> String {
    match *form {
        TableForm::Markdown => {
            let mut document = Document::new(2);
            document.table(tables::iterations(rows));
            document.markdown(None)
        }
        TableForm::Json => super::log_json(rows),
        TableForm::Csv => csv(rows),
        TableForm::Terminal { width, colours } => terminal(rows, width, colours),
    }
}

/// Number, id, day, bottleneck, change, before, after, improvement.
fn cells(row: &Row<'_>) -> Vec<String> {
    let table = tables::iterations(std::slice::from_ref(row));
    let mut cells: Vec<String> = table.rows.into_iter().flatten().map(Cell::into_text).collect();
    let day = row.entry.time.split('T').next().unwrap_or_default().to_owned();
    cells.splice(1..1, [row.entry.id.to_string(), day]);
    cells
}

const COLUMNS: [&str; 8] = ["#", "id", "day", "bottleneck", "change", "before", "after", "improvement"];

fn csv(rows: &[Row<'_>]) -> String {
    let line = |cells: &[String]| cells.iter().map(|cell| field(cell)).collect::<Vec<_>>().join(",") + "\r\n";
    let mut text = line(&COLUMNS.map(str::to_owned));
    rows.iter().for_each(|row| text.push_str(&line(&cells(row))));
    text
}

fn terminal(rows: &[Row<'_>], columns: usize, colours: bool) -> String {
    let mut rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    rows.iter_mut().for_each(|row| row[1].truncate(SHORT_ID));
    let shown = |text: &String| {
        if text.is_empty() {
            String::new()
        } else {
            printable(&text.split_whitespace().collect::<Vec<_>>().join(" ")).into_owned()
        }
    };
    rows.iter_mut().for_each(|row| *row = row.iter().map(shown).collect());
    let widest = |column: usize| {
        let cells = rows.iter().map(|row| width(&row[column]));
        cells.max().unwrap_or(0).max(width(COLUMNS[column]))
    };
    let mut widths: Vec<usize> = (0..COLUMNS.len()).map(widest).collect();
    while widths.iter().sum::<usize>() + GAP * (COLUMNS.len() - 1) > columns {
        let words = [3, 4, 5, 6, 7].into_iter().filter(|column| widths[*column] > LEAST);
        let Some(longest) = words.max_by_key(|column| widths[*column]) else { break };
        widths[longest] -= 1;
    }
    let mut builder = Builder::default();
    builder.push_record(COLUMNS);
    for row in &rows {
        builder.push_record(row.iter().zip(&widths).map(|(cell, room)| cut(cell, *room)));
    }
    let mut table = builder.build();
    table.with(Style::blank().remove_vertical().remove_horizontals());
    table.with(Padding::new(0, GAP, 0, 0));
    table.modify(Columns::new(5..=6), Alignment::right());
    if colours {
        table.modify(Rows::first(), Color::BOLD);
    }
    table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn cut(cell: &str, room: usize) -> String {
    if width(cell) <= room { cell.to_owned() } else { cut_end(cell, room) }
}
