//! The table as RFC 4180.

use burnmark_analysis::Ranking;

use super::json::number;
use crate::names::printable;

const HEADER: &str = "rank,function,module,file,line,self,total,self_share,total_share,category";

/// Lines end in CRLF, as the RFC has it.
pub(super) fn render(ranking: &Ranking<'_>) -> String {
    let mut text = format!("{HEADER}\r\n");
    let denominator = ranking.value_type.denominator;
    for row in &ranking.rows {
        let place = &row.place;
        text.push_str(&format!(
            "{},{},{},{},{},{},{},{},{},{}\r\n",
            row.rank,
            field(&place.name),
            field(place.module.unwrap_or_default()),
            field(place.file.unwrap_or_default()),
            if place.line > 0 { place.line.to_string() } else { String::new() },
            number(row.self_value, denominator),
            number(row.total_value, denominator),
            row.self_share,
            row.total_share,
            row.category.map(|category| field(&category.name)).unwrap_or_default(),
        ));
    }
    text
}

/// A text field, in one line. Spreadsheets take what begins with these characters for a formula, which can call
/// programs and send data away; an apostrophe in front makes it text (OWASP, "CSV Injection"). GitHub's runner takes lines
/// that begin with `::` for commands: not behind a quote.
pub(crate) fn field(text: &str) -> String {
    let text = if text.is_empty() { text.into() } else { printable(text) };
    let guarded = text.trim_start().starts_with(['=', '+', '-', '@']);
    let guard = if guarded { "'" } else { "" };
    if guarded || text.contains([',', '"', ';']) || text.starts_with("::") {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        text.into_owned()
    }
}
