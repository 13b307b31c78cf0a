//! Markdown that fits a bound: rows are cut, never sections.

use crate::names::{cut_bytes, cut_end, cut_middle, printable, width};
use crate::numbers::counted;
use crate::top::markdown::{code, escaped, is_live, with_names};

/// Columns that a name or text may take, from the widest; the next is tried if a document does not fit.
const WIDTHS: [usize; 4] = [200, 100, 60, 32];

/// Columns of a name without a blank. GitHub breaks lines at blanks only: a table with longer ones is wider than its page,
/// and figures to their right are out of sight.
const UNBROKEN: usize = 56;

/// Bytes of a name or text that are looked at.
const MOST: usize = 4_000;

/// Rows that a table keeps before narrower cells are tried.
const FEW: usize = 8;

/// One cell of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// A name from a profile.
    Name(String),
    /// Words that somebody wrote.
    Text(String),
    /// Words with names between backticks.
    Sentence(String),
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

    /// What it says, as it is.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Name(text) | Self::Text(text) | Self::Sentence(text) | Self::Plain(text) => text,
        }
    }

    fn markdown(&self, columns: usize) -> String {
        match self {
            Self::Name(name) => code(&breakable(&cut_middle(&printable(&cut_bytes(name, MOST)), columns))),
            Self::Text(text) => words(text, columns),
            Self::Sentence(text) => sentence(text, columns),
            Self::Plain(text) => text.clone(),
        }
    }
}

/// The name with long parts cut in their middle.
fn breakable(name: &str) -> String {
    name.split(' ').map(|part| cut_middle(part, UNBROKEN)).collect::<Vec<_>>().join(" ")
}

/// Somebody's words in one line, cut at their end.
pub(super) fn words(text: &str, columns: usize) -> String {
    in_line(text, columns, escaped)
}

/// Likewise, with names between backticks, which are code.
pub(super) fn sentence(text: &str, columns: usize) -> String {
    let cut = |(index, part): (usize, &str)| if index % 2 == 1 { breakable(part) } else { part.to_owned() };
    in_line(text, columns, |text| with_names(&text.split('`').enumerate().map(cut).collect::<Vec<_>>().join("`")))
}

fn in_line(text: &str, columns: usize, markdown: impl Fn(&str) -> String) -> String {
    let line = cut_bytes(text, MOST).split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return String::new();
    }
    let line = printable(&line);
    // Cutting by columns is for what is long: two columns are left for the mark of the cut.
    if width(&line) > columns { markdown(&cut_end(&line, columns)) } else { markdown(&line) }
}

/// Somebody's words in one line of HTML, where Markdown's escapes mean nothing.
pub(super) fn in_html(text: &str, columns: usize) -> String {
    let line = cut_bytes(text, MOST).split_whitespace().collect::<Vec<_>>().join(" ");
    let line = if line.is_empty() { String::new() } else { printable(&line).into_owned() };
    let line = if width(&line) > columns { cut_end(&line, columns) } else { line };
    let mut html = String::with_capacity(line.len());
    for (index, word) in line.split(' ').enumerate() {
        // GitHub looks for people, issues and addresses in HTML too, but in code.
        let (open, close) = if is_live(word) { ("<code>", "</code>") } else { ("", "") };
        html.push_str(if index > 0 { " " } else { "" });
        html.push_str(open);
        html.push_str(&word.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
        html.push_str(close);
    }
    html
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
        let Some(bytes) = bytes else { return assemble(&self.pieces(WIDTHS[0]), usize::MAX) };
        let mut smallest = String::new();
        for (index, columns) in WIDTHS.iter().enumerate() {
            let pieces = self.pieces(*columns);
            let longest = pieces.iter().map(|piece| piece.rows.len()).max().unwrap_or(0).max(1);
            let least = if index + 1 < WIDTHS.len() { FEW.min(longest) } else { 1 };
            smallest = assemble(&pieces, least);
            if smallest.len() > bytes {
                continue;
            }
            // The most rows that fit: from `least` to all.
            let (mut fits, mut too_many) = (least, longest + 1);
            while too_many - fits > 1 {
                let middle = fits + (too_many - fits) / 2;
                let text = assemble(&pieces, middle);
                if text.len() <= bytes {
                    (fits, smallest) = (middle, text);
                } else {
                    too_many = middle;
                }
            }
            break;
        }
        smallest
    }

    /// Every part as Markdown, with this room for names and words.
    fn pieces(&self, columns: usize) -> Vec<Piece> {
        let hashes = "#".repeat(self.level);
        let piece = |part: &Part| match part {
            Part::Line(line) => Piece::head(format!("{line}\n")),
            Part::Heading(title) => Piece::head(format!("{hashes} {title}\n")),
            Part::Table(table) => table.piece(&hashes, columns),
            Part::Fold(summary) => Piece::head(format!("<details><summary>{}</summary>\n", in_html(summary, columns))),
            Part::Unfold => Piece::head("</details>\n".to_owned()),
        };
        self.parts.iter().map(piece).collect()
    }
}

/// A part as Markdown.
#[derive(Default)]
struct Piece {
    head: String,
    rows: Vec<String>,
    notes: Vec<String>,
}

impl Piece {
    fn head(head: String) -> Self {
        Self { head, ..Self::default() }
    }
}

/// Pieces with a blank line between them, but between items of a list; tables with at most so many rows.
fn assemble(pieces: &[Piece], rows: usize) -> String {
    let mut text = String::new();
    let mut after_item = false;
    for piece in pieces {
        let is_item = piece.head.starts_with("- ");
        let is_next_item = after_item && is_item;
        if !(text.is_empty() || is_next_item) {
            text.push('\n');
        }
        after_item = is_item;
        text.push_str(&piece.head);
        piece.rows.iter().take(rows).for_each(|row| text.push_str(row));
        let cut = piece.rows.len().saturating_sub(rows);
        if cut > 0 {
            text.push_str(&format!("\n… {}\n", counted(cut, "more row", "more rows")));
        }
        if !piece.notes.is_empty() {
            text.push('\n');
            piece.notes.iter().take(rows).for_each(|note| text.push_str(note));
        }
    }
    text
}

impl Table {
    fn piece(&self, hashes: &str, columns: usize) -> Piece {
        let mut head = String::new();
        if !self.title.is_empty() {
            head.push_str(&format!("{hashes}# {}\n\n", self.title));
        }
        let names: Vec<&str> = self.columns.iter().map(|name| name.trim_start_matches('>')).collect();
        head.push_str(&format!("| {} |\n|", names.join(" | ")));
        for name in self.columns {
            head.push_str(if name.starts_with('>') { "--:|" } else { "---|" });
        }
        head.push('\n');
        let row = |row: &Vec<Cell>| {
            let cells: Vec<String> = row.iter().map(|cell| cell.markdown(columns)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let notes = self.notes.iter().map(|note| format!("- {}\n", words(note, columns * 2)));
        Piece { head, rows: self.rows.iter().map(row).collect(), notes: notes.collect() }
    }
}
