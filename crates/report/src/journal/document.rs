//! Markdown that fits a bound: rows are cut, never sections.

use crate::names::{cut_end, cut_middle, printable, width};
use crate::numbers::counted;
use crate::top::markdown::{code, escaped};

/// Columns that a name or text may take, from the widest; the next is tried if a document does not fit.
const WIDTHS: [usize; 4] = [200, 100, 60, 32];

/// Rows that a table keeps before narrower cells are tried.
const FEW: usize = 8;

/// One cell of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// A name from a profile.
    Name(String),
    /// Words that somebody wrote.
    Text(String),
    /// Our own words and numbers, which have nothing of Markdown.
    Plain(String),
}

impl Cell {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::Plain(text.into())
    }

    /// Words, or a dash where there are none.
    pub(super) fn text(text: Option<&str>) -> Self {
        match text {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::plain("–"),
        }
    }

    fn markdown(&self, columns: usize) -> String {
        match self {
            Self::Name(name) => code(&cut_middle(&printable(name), columns)),
            Self::Text(text) => words(text, columns),
            Self::Plain(text) => text.clone(),
        }
    }
}

/// Somebody's words in one line, cut at their end.
pub(super) fn words(text: &str, columns: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return String::new();
    }
    let line = printable(&line);
    // Cutting by columns is for what is long: two columns are left for the mark of the cut.
    if width(&line) > columns { escaped(&cut_end(&line, columns)) } else { escaped(&line) }
}

/// A table with its heading.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// The heading; none if it is empty.
    pub(super) title: String,
    /// Names of columns; those of numbers begin with `>`, and are aligned to the right.
    pub(super) columns: &'static [&'static str],
    /// The rows.
    pub(super) rows: Vec<Vec<Cell>>,
    /// Lines below the table.
    pub(super) notes: Vec<String>,
}

/// A piece of a document.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// A line of Markdown of ours, with somebody's words escaped in it.
    Line(String),
    /// A heading.
    Heading(String),
    /// A table; with `level` `#` before its heading.
    Table(Table),
    /// What follows is folded away under this summary, until [`Part::Unfold`].
    Fold(String),
    /// The end of what is folded away.
    Unfold,
}

/// Pieces in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    /// Depth of headings.
    pub(super) level: usize,
    pub(super) parts: Vec<Part>,
}

impl Document {
    pub(super) fn new(level: usize) -> Self {
        Self { level, parts: Vec::new() }
    }

    pub(super) fn line(&mut self, line: impl Into<String>) {
        self.parts.push(Part::Line(line.into()));
    }

    /// A table, if it has rows.
    pub(super) fn table(&mut self, table: Table) {
        if !table.rows.is_empty() {
            self.parts.push(Part::Table(table));
        }
    }

    /// The Markdown, in at most `bytes` bytes if it can be with one row in every table; with a line end after its last
    /// line.
    pub(super) fn markdown(&self, bytes: Option<usize>) -> String {
        let Some(bytes) = bytes else { return self.render(WIDTHS[0], usize::MAX) };
        let longest = self.longest_table();
        let mut smallest = String::new();
        for (index, columns) in WIDTHS.iter().enumerate() {
            let least = if index + 1 < WIDTHS.len() { FEW.min(longest) } else { 1 };
            // The most rows that fit: from `least`, which must fit, to all.
            smallest = self.render(*columns, least);
            if smallest.len() > bytes {
                continue;
            }
            let (mut fits, mut too_many) = (least, longest + 1);
            while too_many - fits > 1 {
                let middle = fits + (too_many - fits) / 2;
                let text = self.render(*columns, middle);
                if text.len() <= bytes {
                    (fits, smallest) = (middle, text);
                } else {
                    too_many = middle;
                }
            }
            return smallest;
        }
        smallest
    }

    fn longest_table(&self) -> usize {
        let rows = self.parts.iter().map(|part| if let Part::Table(table) = part { table.rows.len() } else { 0 });
        rows.max().unwrap_or(0).max(1)
    }

    fn render(&self, columns: usize, rows: usize) -> String {
        let mut text = String::new();
        let hashes = "#".repeat(self.level);
        let mut after_item = false;
        for part in &self.parts {
            let is_item = matches!(part, Part::Line(line) if line.starts_with("- "));
            if !text.is_empty() && !(after_item && is_item) {
                text.push('\n');
            }
            after_item = is_item;
            match part {
                Part::Line(line) => text.push_str(&format!("{line}\n")),
                Part::Heading(title) => text.push_str(&format!("{hashes} {title}\n")),
                Part::Table(table) => table.markdown(&hashes, columns, rows, &mut text),
                Part::Fold(summary) => {
                    text.push_str(&format!("<details><summary>{}</summary>\n", words(summary, columns)));
                }
                Part::Unfold => text.push_str("</details>\n"),
            }
        }
        text
    }
}

impl Table {
    fn markdown(&self, hashes: &str, columns: usize, rows: usize, text: &mut String) {
        if !self.title.is_empty() {
            text.push_str(&format!("{hashes}# {}\n\n", self.title));
        }
        let names: Vec<&str> = self.columns.iter().map(|name| name.trim_start_matches('>')).collect();
        text.push_str(&format!("| {} |\n|", names.join(" | ")));
        for name in self.columns {
            text.push_str(if name.starts_with('>') { "--:|" } else { "---|" });
        }
        text.push('\n');
        for row in self.rows.iter().take(rows) {
            let cells: Vec<String> = row.iter().map(|cell| cell.markdown(columns)).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        let cut = self.rows.len().saturating_sub(rows);
        if cut > 0 {
            text.push_str(&format!("\n… {}\n", counted(cut, "more row", "more rows")));
        }
        if !self.notes.is_empty() {
            text.push('\n');
            self.notes.iter().take(rows).for_each(|note| text.push_str(&format!("- {}\n", words(note, columns * 2))));
        }
    }
}
