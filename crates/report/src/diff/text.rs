//! For people: the terminal, and Markdown.

use burnmark_analysis::RankBy;
use burnmark_analysis::diff::{Diff, DiffRow, Verdict};
use tabled::builder::Builder;
use tabled::settings::object::{Cell, Columns, Object, Rows};
use tabled::settings::{Alignment, Color, Padding, Style};

use super::{DiffReport, cost_before, headline, relative, remarks};
use crate::names::{cut_middle, printable, width};
use crate::numbers::{Scale, counted, decimal, percent};
use crate::top::markdown::{code, escaped};

/// Undecided rows that are shown: those whose change would count.
const UNDECIDED: usize = 5;

/// A name is never cut to fewer columns.
const LEAST_NAME: usize = 12;

/// For names of fewer columns than this, other columns are left out.
const NARROW_NAME: usize = 16;

/// Columns between two columns of the table.
const GAP: usize = 2;

/// The rows worth showing: changed ones, then a few undecided ones whose change would count.
fn shown<'d>(diff: &'d Diff, report: &DiffReport) -> Vec<&'d DiffRow> {
    let Some(limit) = report.limit else { return diff.rows.iter().collect() };
    let changed = diff.rows.iter().filter(|row| matches!(row.verdict, Verdict::Regressed | Verdict::Improved));
    let mut rows: Vec<&DiffRow> = changed.take(limit).collect();
    let undecided = |row: &&DiffRow| {
        row.verdict == Verdict::Inconclusive && relative(diff, row).abs() >= diff.threshold && row.q.is_some()
    };
    let room = limit.saturating_sub(rows.len()).min(UNDECIDED);
    rows.extend(diff.rows.iter().filter(undecided).take(room));
    rows
}

/// What is folded away.
fn folded(diff: &Diff, shown: usize) -> Option<String> {
    let hidden = diff.rows.len() - shown;
    (hidden > 0).then(|| format!("… {} (--limit 0 shows all)", counted(hidden, "more function", "more functions")))
}

struct Cells {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Cells {
    /// Columns of the terminal that the numbers take, with a gap before each.
    fn width(&self) -> usize {
        let widest = |column: usize| self.rows.iter().map(|row| width(&row[column])).max().unwrap_or(0);
        let columns = self.headers.iter().enumerate();
        columns.map(|(column, header)| widest(column).max(width(header)) + GAP).sum()
    }

    /// Leaves out two columns.
    fn drop_pair(&mut self, from: usize) {
        for texts in self.rows.iter_mut().chain([&mut self.headers]) {
            texts.drain(from..from + 2);
        }
    }
}

/// Numbers of the rows: everything but function and module.
fn cells(diff: &Diff, rows: &[&DiffRow]) -> Cells {
    let scale = cost_scale(diff);
    let mut headers = ["self %", "after", "total %", "after"].map(str::to_owned).to_vec();
    if let Some(scale) = &scale {
        headers = vec![format!("{} {}", by(diff), scale.unit).trim_end().to_owned(), "after".to_owned()];
    }
    headers.push(if diff.per_op { "change %" } else { "change" }.to_owned());
    headers.extend(["95 % interval", "q", "verdict"].map(str::to_owned));
    let rows = rows.iter().map(|row| {
        let mut cells = match &scale {
            Some(scale) => [row.before, row.after].map(|values| scale.cost(values.cost.unwrap_or(0.0))).to_vec(),
            None => vec![
                percent(row.before.self_share),
                percent(row.after.self_share),
                percent(row.before.total_share),
                percent(row.after.total_share),
            ],
        };
        cells.push(change(diff, row, row.delta));
        // What was nothing before has no change in percent, and so no interval of it.
        cells.push(match diff.per_op && cost_before(row).is_none() {
            true => "–".to_owned(),
            false => format!("{} … {}", change(diff, row, row.interval[0]), change(diff, row, row.interval[1])),
        });
        cells.push(row.q.map_or("–".to_owned(), q));
        cells.push(verdict(row));
        cells
    });
    Cells { headers, rows: rows.collect() }
}

fn by(diff: &Diff) -> &'static str {
    match diff.by {
        RankBy::SelfValue => "self",
        RankBy::Total => "total",
    }
}

/// In points; of costs in percent of the cost before.
fn change(diff: &Diff, row: &DiffRow, delta: f64) -> String {
    let share = match (diff.per_op, cost_before(row)) {
        (false, _) => delta,
        (true, Some(before)) => delta / before,
        (true, None) => return if delta > 0.0 { "new".to_owned() } else { "–".to_owned() },
    };
    let text = decimal(share * 100.0, 2);
    match text.strip_prefix('-') {
        Some(digits) => format!("−{digits}"),
        None if share > 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) => format!("+{text}"),
        None => text,
    }
}

fn q(q: f64) -> String {
    if q < 0.001 { "<0.001".to_owned() } else { decimal(q, 3) }
}

/// The verdict, with appeared and vanished functions told.
fn verdict(row: &DiffRow) -> String {
    let mark = match row.verdict {
        Verdict::Regressed => "▲ ",
        Verdict::Improved => "▼ ",
        Verdict::Unchanged | Verdict::Inconclusive => "",
    };
    let kind = match (row.before.total_share > 0.0, row.after.total_share > 0.0) {
        (false, true) => ", new",
        (true, false) => ", gone",
        _ => "",
    };
    format!("{mark}{}{kind}", row.verdict.word())
}

/// How costs are shown.
struct CostScale {
    scale: Scale,
    unit: &'static str,
    /// Costs are multiplied by this before they become whole numbers.
    fine: f64,
}

impl CostScale {
    fn cost(&self, cost: f64) -> String {
        if self.unit.is_empty() {
            return decimal(cost, 3);
        }
        self.scale.number((cost * self.fine) as i64)
    }
}

fn cost_scale(diff: &Diff) -> Option<CostScale> {
    let whole = diff.whole.as_ref()?;
    let value = &diff.facts[1].first()?.value_type;
    let largest = whole.before.cost.unwrap_or(0.0).max(whole.after.cost.unwrap_or(0.0));
    // Facts' values are real ones: the denominator is used up.
    let value = burnmark_model::ValueType { denominator: 1, ..value.clone() };
    let scale = Scale::new(&value, largest as i64);
    Some(CostScale { unit: scale.unit, scale, fine: 1.0 })
}

/// Costs of everything in one line.
fn whole(diff: &Diff) -> Option<String> {
    let (row, scale) = (diff.whole.as_ref()?, cost_scale(diff)?);
    let unit = if scale.unit.is_empty() { String::new() } else { format!(" {}", scale.unit) };
    Some(format!(
        "per operation: {}{unit} before, {}{unit} after, change {} % [{} … {}]: {}",
        scale.cost(row.before.cost?),
        scale.cost(row.after.cost?),
        change(diff, row, row.delta),
        change(diff, row, row.interval[0]),
        change(diff, row, row.interval[1]),
        verdict(row)
    ))
}

pub(super) fn terminal(diff: &Diff, report: &DiffReport, columns: usize, colours: bool) -> String {
    let rows = shown(diff, report);
    let mut text = headline(diff) + "\n";
    if let Some(whole) = whole(diff) {
        text += &format!("{whole}\n");
    }
    if !rows.is_empty() {
        let mut table = table(diff, &rows, columns);
        if colours {
            colour(&mut table, &rows);
        }
        for line in table.to_string().lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    for line in folded(diff, rows.len()).into_iter().chain(remarks(diff, report)) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn table(diff: &Diff, rows: &[&DiffRow], columns: usize) -> tabled::Table {
    let mut cells = cells(diff, rows);
    let names: Vec<String> = rows.iter().map(|row| printable(&row.identity.name).into_owned()).collect();
    let modules: Vec<String> =
        rows.iter().map(|row| printable(row.identity.module.as_deref().unwrap_or("-")).into_owned()).collect();
    let widest = |texts: &[String], least: usize| texts.iter().map(|text| width(text)).max().unwrap_or(0).max(least);
    let mut with_module = rows.iter().any(|row| row.identity.module.is_some());
    let module_room = widest(&modules, 6).min(20);
    let room = |cells: &Cells, with_module: bool| {
        columns.saturating_sub(cells.width() + if with_module { module_room + GAP } else { 0 })
    };
    let wanted = widest(&names, 8).min(NARROW_NAME);
    // On a narrow terminal what is not compared goes first, then the module.
    if room(&cells, with_module) < wanted && !diff.per_op {
        cells.drop_pair(if diff.by == RankBy::SelfValue { 2 } else { 0 });
    }
    with_module &= room(&cells, with_module) >= wanted;
    let name_room = widest(&names, 8).min(room(&cells, with_module).max(LEAST_NAME));

    let mut builder = Builder::default();
    let mut header = vec!["function".to_owned()];
    header.extend(with_module.then(|| "module".to_owned()));
    header.extend(cells.headers.iter().cloned());
    builder.push_record(header);
    for (index, numbers) in cells.rows.into_iter().enumerate() {
        let mut record = vec![cut_middle(&names[index], name_room).into_owned()];
        record.extend(with_module.then(|| cut_middle(&modules[index], module_room).into_owned()));
        record.extend(numbers);
        builder.push_record(record);
    }
    let mut table = builder.build();
    table.with(Style::blank().remove_vertical().remove_horizontals());
    table.with(Padding::new(0, GAP, 0, 0));
    table.modify(Columns::new(1 + usize::from(with_module)..), Alignment::right());
    table.modify(Columns::last(), (Alignment::left(), Padding::zero()));
    table
}

fn colour(table: &mut tabled::Table, rows: &[&DiffRow]) {
    table.modify(Rows::first(), Color::BOLD);
    let last = table.count_columns() - 1;
    table.modify(Columns::new(..1).not(Rows::first()), Color::new("", ""));
    for (index, row) in rows.iter().enumerate() {
        let colour = match row.verdict {
            Verdict::Regressed => Color::FG_RED | Color::BOLD,
            Verdict::Improved => Color::FG_GREEN | Color::BOLD,
            Verdict::Unchanged | Verdict::Inconclusive => continue,
        };
        table.modify(Cell::new(index + 1, last), colour);
    }
}

pub(super) fn markdown(diff: &Diff, report: &DiffReport) -> String {
    let rows = shown(diff, report);
    let cells = cells(diff, &rows);
    let mut text = format!("**{}**\n\n", escaped(&headline(diff)));
    if let Some(whole) = whole(diff) {
        text += &format!("{}\n\n", escaped(&whole));
    }
    if !rows.is_empty() {
        text += &format!("| function | module | {} |\n|---|---|", cells.headers.join(" | "));
        text += &"--:|".repeat(cells.headers.len() - 1);
        text += "---|\n";
    }
    for (row, numbers) in rows.iter().zip(&cells.rows) {
        let module = row.identity.module.as_deref().map(code).unwrap_or_default();
        text += &format!("| {} | {module} | {} |\n", code(&row.identity.name), numbers.join(" | "));
    }
    for line in folded(diff, rows.len()).into_iter().chain(remarks(diff, report)) {
        text.push_str("\n- ");
        text.push_str(&escaped(&line.replace("\n  ", " ")));
    }
    text.push('\n');
    text
}
