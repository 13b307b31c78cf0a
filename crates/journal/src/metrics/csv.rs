//! Rows of CSV (RFC 4180), one line each: quotes in cells are understood, line ends in cells are not.

/// The cells of a line. A quote that is not closed ends with the line.
pub(crate) fn cells(line: &str, separator: char) -> Vec<String> {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                cell.push('"');
                chars.next();
            }
            '"' if quoted => quoted = false,
            '"' if cell.trim().is_empty() => {
                cell.clear();
                quoted = true;
            }
            _ if char == separator && !quoted => cells.push(std::mem::take(&mut cell)),
            _ => cell.push(char),
        }
    }
    cells.push(cell);
    cells
}

/// The separator of a header line: the most frequent of comma, semicolon and tab.
pub(crate) fn separator(header: &str) -> char {
    let count = |separator: &char| header.matches(*separator).count();
    [',', '\t', ';'].into_iter().rev().max_by_key(count).unwrap_or(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_separators() {
        assert_eq!(cells(r#"GET,"/a, ""b""",3"#, ','), ["GET", r#"/a, "b""#, "3"]);
        assert_eq!(cells("", ','), [""]);
        assert_eq!(cells("a;;b", ';'), ["a", "", "b"]);
        assert_eq!(cells("\"open", ','), ["open"]);
        assert_eq!((separator("a,b;c,d"), separator("time\trss"), separator("one")), (',', '\t', ','));
    }
}
