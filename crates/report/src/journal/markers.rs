//! Replacing what stands between two marks of a Markdown file: the prose around them is somebody's.

use crate::Error;

/// What the line above begins the rendered part.
pub const BEGIN: &str = "<!-- burnmark:log -->";

/// What the line below ends it.
pub const END: &str = "<!-- /burnmark:log -->";

/// A document with the rendered part in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// The whole document.
    pub text: String,
    /// Whether it had the marks; if not, they and the part stand at its end.
    pub found: bool,
}

/// Puts `body` between the marks of `document`. Marks stand on lines of their own, indented by three blanks at most;
/// what is in fenced code is none. Line ends are the document's.
///
/// # Errors
/// When one mark is there without the other, more than one pair, or where it can't be told whether what looks like a mark
/// is one: nothing is ever put in twice.
pub fn splice(document: &str, body: &str) -> Result<Spliced, Error> {
    let crlf = document.split_inclusive('\n').next().is_some_and(|line| line.ends_with("\r\n"));
    let part = format!("{BEGIN}\n\n{}\n\n{END}\n", body.trim_matches('\n'));
    let part = if crlf { part.replace('\n', "\r\n") } else { part };
    let Some((start, end)) = marks(document)? else {
        let gap = match document {
            "" => "",
            text if text.ends_with('\n') => "\n",
            _ => "\n\n",
        };
        let gap = if crlf { gap.replace('\n', "\r\n") } else { gap.to_owned() };
        return Ok(Spliced { text: format!("{document}{gap}{part}"), found: false });
    };
    Ok(Spliced { text: format!("{}{part}{}", &document[..start], &document[end..]), found: true })
}

/// What a line is to us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Begin,
    End,
    /// It has a mark, but not alone, or so far from the left that it is code.
    Unsure,
    Other,
}

/// Blanks in a mark don't count, nor does the case of its letters: an editor may have changed them.
fn line_is(line: &str) -> Line {
    let text = line.trim();
    let indent = line.len() - line.trim_start().len();
    let is_indented = indent > 3 || line[..indent].contains('\t');
    let name = text.strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
    let name = name.map(|name| name.split_whitespace().collect::<String>().to_ascii_lowercase());
    match name.as_deref() {
        Some("burnmark:log") if !is_indented => Line::Begin,
        Some("/burnmark:log") if !is_indented => Line::End,
        _ => {
            let plain = text.split_whitespace().collect::<String>().to_ascii_lowercase();
            let is_mark = ["<!--burnmark:log", "<!--/burnmark:log"].iter().any(|mark| plain.contains(mark));
            if is_mark { Line::Unsure } else { Line::Other }
        }
    }
}

/// The bytes from the first mark's line to the end of the second's.
fn marks(document: &str) -> Result<Option<(usize, usize)>, Error> {
    let bad = |line: usize, why| Error::Marks { line: line + 1, why };
    let (mut begin, mut found, mut unsure) = (None, None, None);
    let mut fence: Option<(usize, String)> = None;
    let mut is_mark_in_fence = false;
    let mut at = 0;
    for (number, line) in document.split_inclusive('\n').enumerate() {
        // A byte order mark stays where it is.
        let skipped = if number == 0 && line.starts_with(BYTE_ORDER) { BYTE_ORDER.len_utf8() } else { 0 };
        let start = at + skipped;
        at += line.len();
        let text = line[skipped..].trim_end();
        if let Some((_, open)) = &fence {
            let bare = text.trim_start();
            // A fence ends with at least as many of its own marks, and nothing else.
            if bare.starts_with(open.as_str()) && bare.chars().all(|c| open.starts_with(c)) {
                (fence, is_mark_in_fence) = (None, false);
            }
            is_mark_in_fence |= line_is(text) != Line::Other;
            continue;
        }
        if begin.is_none() {
            fence = opened_fence(text).map(|open| (number, open));
        }
        match (line_is(text), begin) {
            (Line::Begin, None) if found.is_none() => begin = Some((number, start)),
            (Line::Begin, None) => {
                return Err(bad(number, "there is a second part between marks: take one of them out"));
            }
            (Line::Begin, Some(_)) => {
                return Err(bad(number, "the part before it has no end: add the line <!-- /burnmark:log -->"));
            }
            (Line::End, Some((_, start))) => (begin, found) = (None, Some((start, at))),
            (Line::End, None) => {
                return Err(bad(number, "nothing begins that it could end: add the line <!-- burnmark:log -->"));
            }
            (Line::Unsure, _) => unsure = unsure.or(Some(number)),
            (Line::Other, _) => {}
        }
    }
    match (begin, found, fence, unsure) {
        (Some((number, _)), ..) => Err(bad(number, "it has no end: add the line <!-- /burnmark:log --> below it")),
        (_, None, Some((number, _)), _) if is_mark_in_fence => {
            Err(bad(number, "the fenced code that begins here has no end, so the marks below it are code: end it"))
        }
        (_, None, _, Some(number)) => {
            Err(bad(number, "a mark stands on a line of its own, at its beginning: move it there, or take it out"))
        }
        (_, found, ..) => Ok(found),
    }
}

/// What some editors begin files with.
const BYTE_ORDER: char = '\u{feff}';

/// The marks that a line opens fenced code with, as CommonMark 4.5 has it.
fn opened_fence(line: &str) -> Option<String> {
    let bare = line.trim_start_matches(' ');
    let mark = bare.chars().next().filter(|c| matches!(c, '`' | '~') && line.len() - bare.len() < 4)?;
    let count = bare.chars().take_while(|c| *c == mark).count();
    let info = &bare[count..];
    (count >= 3 && !(mark == '`' && info.contains('`'))).then(|| mark.to_string().repeat(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spliced(document: &str) -> String {
        splice(document, "new\n").expect("marks are right").text
    }

    #[test]
    fn prose_around_the_marks_stays() {
        let document = format!("# Log\n\nwords\n{BEGIN}\nold\n{END}\n\nmore words");
        let expected = format!("# Log\n\nwords\n{BEGIN}\n\nnew\n\n{END}\n\nmore words");
        assert_eq!(spliced(&document), expected);
        assert_eq!(spliced(&expected), expected, "again changes nothing");
    }

    #[test]
    fn without_marks_the_part_comes_last() {
        assert_eq!(spliced(""), format!("{BEGIN}\n\nnew\n\n{END}\n"));
        assert_eq!(spliced("# Log"), format!("# Log\n\n{BEGIN}\n\nnew\n\n{END}\n"));
        assert_eq!(splice("# Log\n", "x").map(|spliced| spliced.found).ok(), Some(false));
    }

    #[test]
    fn line_ends_are_the_documents() {
        let text = spliced(&format!("# Log\r\n{BEGIN}\r\n{END}\r\n"));
        assert_eq!(text, format!("# Log\r\n{BEGIN}\r\n\r\nnew\r\n\r\n{END}\r\n"));
    }

    #[test]
    fn marks_that_an_editor_changed_are_marks() {
        let part = format!("{BEGIN}\n\nnew\n\n{END}\n");
        for (begin, end) in [
            ("<!--burnmark:log-->", "<!--/burnmark:log-->"),
            ("<!--  Burnmark:log\t-->", "<!-- / burnmark:log -->"),
            ("   <!-- burnmark:log -->  ", "  <!-- /burnmark:log -->\t"),
        ] {
            assert_eq!(spliced(&format!("words\n{begin}\nold\n{end}\nmore")), format!("words\n{part}more"), "{begin}");
        }
        let bom = format!("\u{feff}{BEGIN}\r\nold\r\n{END}\r\n");
        let expected = format!("\u{feff}{}", part.replace('\n', "\r\n"));
        assert_eq!((spliced(&bom), spliced(&expected)), (expected.clone(), expected));
        // Line ends of both kinds: those of the first line.
        let mixed = format!("# Log\n{BEGIN}\r\nold\r\n{END}\r\n");
        assert_eq!(spliced(&mixed), format!("# Log\n{part}"));
    }

    #[test]
    fn nothing_is_put_in_twice() {
        for (document, line) in [
            (format!("a\n    {BEGIN}\n    {END}\n"), 2),
            (format!("a\n\t{BEGIN}\n\t{END}\n"), 2),
            (format!("> {BEGIN}\n> {END}\n"), 1),
            (format!("- {BEGIN}\n- {END}\n"), 1),
            (format!("words {BEGIN} words {END}\n"), 1),
            ("a\n<!-- burnmark:log\n-->\n".to_owned(), 2),
            (format!("a\n```\ncode\n\n{BEGIN}\n{END}\n"), 2),
        ] {
            let error = splice(&document, "x").expect_err("refused").to_string();
            assert!(error.starts_with(&format!("line {line}:")), "{document}: {error}");
        }
        // Beside real ones they are words about marks.
        let told = format!("a `{BEGIN}` begins it\n\n    {BEGIN}\n\n");
        assert_eq!(spliced(&format!("{told}{BEGIN}\n{END}\n")), format!("{told}{BEGIN}\n\nnew\n\n{END}\n"));
        // In code that ends they are code.
        let code = format!("```\n{BEGIN}\n```\n");
        let once = spliced(&code);
        assert_eq!(spliced(&once), once);
    }

    #[test]
    fn marks_in_code_are_no_marks() {
        let code = format!("```md\n{BEGIN}\n{END}\n```\n");
        assert_eq!(spliced(&code), format!("{code}\n{BEGIN}\n\nnew\n\n{END}\n"));
        let tilde = format!("~~~~\n~~~\n{BEGIN}\n~~~~\n{BEGIN}\n{END}\n");
        assert!(spliced(&tilde).starts_with(&format!("~~~~\n~~~\n{BEGIN}\n~~~~\n{BEGIN}\n\nnew")));
    }

    #[test]
    fn half_a_pair_is_refused_with_its_line() {
        for (document, line) in [
            (format!("a\n{BEGIN}\n"), 2),
            (format!("{END}\n"), 1),
            (format!("{BEGIN}\n{END}\n{BEGIN}\n{END}\n"), 3),
            (format!("{BEGIN}\n{BEGIN}\n{END}\n"), 2),
        ] {
            let error = splice(&document, "x").expect_err("refused");
            assert!(error.to_string().starts_with(&format!("line {line}:")), "{error}");
        }
    }
}
