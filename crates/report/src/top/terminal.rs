//! The table as aligned text. On a narrow terminal shares are shown without the values that they are of.

use burnmark_analysis::{Ranking, Row, Summary};
use tabled::Table;
use tabled::builder::Builder;
use tabled::settings::object::{Cell, Columns, Object, Rows};
use tabled::settings::{Alignment, Color, Padding, Style};

use super::{has_category_column, has_module_column, hidden, row_name, subject};
use crate::names::{cut_middle, printable, width};
use crate::numbers::{Scale, percent};
use crate::summary;

/// A name is never cut to fewer columns, however narrow the terminal.
const LEAST_NAME: usize = 16;

/// Nor is a module's.
const LEAST_MODULE: usize = 8;

/// A name's and a module's columns without which the category, and the values beside the shares, are left out.
const READABLE: usize = 40;

/// Columns between two columns of the table.
const GAP: usize = 2;

/// Columns of numbers: all of them, and the shares alone.
const ALL: [usize; 4] = [0, 1, 2, 3];
const SHARES: [usize; 2] = [0, 2];

/// Shares from which on a row is shown as hot, and as warm.
const HOT: f64 = 0.10;
const WARM: f64 = 0.02;

pub(super) fn render(ranking: &Ranking<'_>, summary: &Summary<'_>, columns: usize, colours: bool) -> String {
    let mut text = String::new();
    if ranking.rows.is_empty() {
        text.push_str("nothing to show\n");
    } else {
        let (mut table, self_column) = table(ranking, columns);
        if colours {
            colour(&mut table, ranking, self_column);
        }
        for line in table.to_string().lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    let hidden = hidden(ranking);
    for line in hidden.into_iter().chain(summary::lines(summary)) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The table, and the number of the column of self shares.
fn table(ranking: &Ranking<'_>, columns: usize) -> (Table, usize) {
    let scale = Scale::new(ranking.value_type, ranking.base);
    let with_module = has_module_column(ranking);
    let names: Vec<String> =
        ranking.rows.iter().map(|row| printable(&row_name(row, ranking.merge_by)).into()).collect();
    let modules: Vec<String> =
        ranking.rows.iter().map(|row| row.place.module.map(printable).unwrap_or_default().into()).collect();
    let numbers: Vec<[String; 4]> = ranking.rows.iter().map(|row| numbers(row, &scale)).collect();
    let header = header(&scale);

    let rank_width = ranking.rows.len().to_string().len();
    let categories: Vec<String> = ranking.rows.iter().map(category).collect();
    let category_width = categories.iter().map(|name| width(name)).max().unwrap_or(0).max("category".len()) + GAP;
    let room_beside = |shown: &[usize], with_category: bool| {
        let number = |&column: &usize| widest(header[column].chars().count(), &numbers, column) + GAP;
        let category = if with_category { category_width } else { 0 };
        columns.saturating_sub(rank_width + GAP + category + shown.iter().map(number).sum::<usize>())
    };
    let least = LEAST_NAME + if with_module { GAP + LEAST_MODULE } else { 0 };
    let (shown, with_category) = match has_category_column(ranking) {
        true if room_beside(&ALL, true) >= READABLE => (&ALL[..], true),
        true if room_beside(&SHARES, true) >= READABLE => (&SHARES[..], true),
        _ if room_beside(&ALL, false) >= least => (&ALL[..], false),
        _ => (&SHARES[..], false),
    };
    let room = room_beside(shown, with_category);
    let (name_room, module_room) = rooms(room, &names, if with_module { &modules } else { &[] });

    let mut builder = Builder::with_capacity(ranking.rows.len() + 1, 8);
    let mut first = vec!["#", subject(ranking.merge_by)];
    first.extend(with_module.then_some("module"));
    first.extend(with_category.then_some("category"));
    first.extend(shown.iter().map(|&column| header[column].as_str()));
    builder.push_record(first);
    for (index, numbers) in numbers.iter().enumerate() {
        let mut record = vec![ranking.rows[index].rank.to_string(), cut_middle(&names[index], name_room).into_owned()];
        record.extend(with_module.then(|| cut_middle(&modules[index], module_room).into_owned()));
        record.extend(with_category.then(|| categories[index].clone()));
        record.extend(shown.iter().map(|&column| numbers[column].clone()));
        builder.push_record(record);
    }
    let mut table = builder.build();
    let names_end = 2 + usize::from(with_module) + usize::from(with_category);
    table.with(Style::blank().remove_vertical().remove_horizontals());
    table.with(Padding::new(0, GAP, 0, 0));
    table.modify(Columns::last(), Padding::zero());
    table.modify(Columns::first(), Alignment::right());
    table.modify(Columns::new(names_end..), Alignment::right());
    (table, names_end)
}

/// The row's category; nothing where there is none.
fn category(row: &Row<'_>) -> String {
    row.category.map(|category| printable(&category.name).into_owned()).unwrap_or_default()
}

fn header(scale: &Scale) -> [String; 4] {
    let with_unit = |name: &str| if scale.unit.is_empty() { name.to_owned() } else { format!("{name} {}", scale.unit) };
    ["self %".to_owned(), with_unit("self"), "total %".to_owned(), with_unit("total")]
}

fn numbers(row: &Row<'_>, scale: &Scale) -> [String; 4] {
    [percent(row.self_share), scale.number(row.self_value), percent(row.total_share), scale.number(row.total_value)]
}

fn widest(header: usize, numbers: &[[String; 4]], column: usize) -> usize {
    numbers.iter().map(|row| row[column].len()).max().unwrap_or(0).max(header)
}

/// Columns for names and modules: as wide as needed if that fits; else modules get up to a quarter, names the rest.
fn rooms(room: usize, names: &[String], modules: &[String]) -> (usize, usize) {
    let widest = |texts: &[String], header| texts.iter().map(|text| width(text)).max().unwrap_or(0).max(header);
    let name = widest(names, "function".len());
    if modules.is_empty() {
        return (name.min(room.max(LEAST_NAME)), 0);
    }
    let module = widest(modules, "module".len());
    let room = room.saturating_sub(GAP);
    let module = module.min((room / 4).max(LEAST_MODULE).max(room.saturating_sub(name)));
    (name.min(room.saturating_sub(module).max(LEAST_NAME)), module)
}

fn colour(table: &mut Table, ranking: &Ranking<'_>, self_column: usize) {
    table.modify(Rows::first(), Color::BOLD);
    for column in 2..self_column {
        table.modify(Columns::one(column).not(Rows::first()), Color::new("\x1b[2m", "\x1b[22m"));
    }
    for (index, row) in ranking.rows.iter().enumerate() {
        let colour = match row.self_share.abs() {
            HOT.. => Color::FG_RED | Color::BOLD,
            WARM.. => Color::FG_YELLOW,
            _ => continue,
        };
        table.modify(Cell::new(index + 1, self_column), colour);
    }
}
