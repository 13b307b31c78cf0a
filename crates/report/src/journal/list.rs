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

/// Words are cut to no fewer columns for figures beside them; then figures stand on a line of their own.
const LEAST: usize = 12;

/// Columns of a figure with its unit.
const WIDEST_FIGURE: usize = 30;

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

/// Number, id, day, bottleneck, change, metric, before, after, improvement.
fn cells(row: &Row<'_>) -> Vec<String> {
    let day = row.entry.time.split('T').next().unwrap_or_default().to_owned();
    let words =
        [row.number.to_string(), row.entry.id.to_string(), day, row.entry.bottleneck.clone(), row.entry.change.clone()];
    words.into_iter().chain(tables::row_figures(row.entry).map(Cell::into_text)).collect()
}

const COLUMNS: [&str; 9] = ["#", "id", "day", "bottleneck", "change", "metric", "before", "after", "improvement"];

/// Columns that are words: they may be cut.
const WORDS: [usize; 3] = [3, 4, 5];

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
    // Units come from files, and can have any length.
    rows.iter_mut().for_each(|row| row[6..=7].iter_mut().for_each(|figure| *figure = cut(figure, WIDEST_FIGURE)));
    match fitted(&rows, COLUMNS.len(), columns) {
        Some(widths) => table(&rows, &widths, colours),
        // No figure is ever cut: they get lines of their own.
        None => {
            let widths = fitted(&rows, 5, columns).unwrap_or_else(|| vec![1, SHORT_ID, 10, LEAST, LEAST]);
            let head = table(&rows, &widths, colours);
            let mut lines = head.lines();
            let mut text = lines.next().map_or(String::new(), |line| format!("{line}\n"));
            for (line, row) in lines.zip(&rows) {
                let [metric, before, after, improvement] = [&row[5], &row[6], &row[7], &row[8]];
                let figures = format!("{before} → {after}, {improvement}");
                let room = columns.saturating_sub(width(&figures) + 5).max(LEAST);
                text.push_str(&format!("{line}\n   {}: {figures}\n", cut(metric, room)));
            }
            text
        }
    }
}

/// The widths of the first columns, with words cut as far as needed; `None` if they don't fit even so.
fn fitted(rows: &[Vec<String>], count: usize, columns: usize) -> Option<Vec<usize>> {
    let widest = |column: usize| {
        let cells = rows.iter().map(|row| width(&row[column]));
        cells.max().unwrap_or(0).max(width(COLUMNS[column]))
    };
    let mut widths: Vec<usize> = (0..count).map(widest).collect();
    while widths.iter().sum::<usize>() + GAP * (count - 1) > columns {
        let words = WORDS.into_iter().filter(|column| *column < count && widths[*column] > LEAST);
        let longest = words.max_by_key(|column| widths[*column])?;
        widths[longest] -= 1;
    }
    Some(widths)
}

/// The first columns of the rows, as many as there are widths.
fn table(rows: &[Vec<String>], widths: &[usize], colours: bool) -> String {
    let mut builder = Builder::default();
    builder.push_record(COLUMNS.into_iter().take(widths.len()));
    for row in rows {
        builder.push_record(row.iter().zip(widths).map(|(cell, room)| cut(cell, *room)));
    }
    let mut table = builder.build();
    table.with(Style::blank().remove_vertical().remove_horizontals());
    table.with(Padding::new(0, GAP, 0, 0));
    if widths.len() == COLUMNS.len() {
        table.modify(Columns::new(6..=7), Alignment::right());
    }
    if colours {
        table.modify(Rows::first(), Color::BOLD);
    }
    table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn cut(cell: &str, room: usize) -> String {
    if width(cell) <= room { cell.to_owned() } else { cut_end(cell, room) }
}
