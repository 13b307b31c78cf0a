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

/// Puts `body` between the marks of `document`. Marks stand on lines of their own; what is in fenced code is none. Line
/// ends are the document's.
///
/// # Errors
/// When one mark is there without the other, or more than one pair.
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

/// The bytes from the first mark's line to the end of the second's.
fn marks(document: &str) -> Result<Option<(usize, usize)>, Error> {
    let bad = |line: usize, why| Error::Marks { line: line + 1, why };
    let (mut begin, mut found) = (None, None);
    let mut fence: Option<String> = None;
    let mut at = 0;
    for (number, line) in document.split_inclusive('\n').enumerate() {
        let start = at;
        at += line.len();
        let text = line.trim_end();
        if let Some(open) = &fence {
            let bare = text.trim_start();
            // A fence ends with at least as many of its own marks, and nothing else.
            if bare.starts_with(open.as_str()) && bare.chars().all(|c| open.starts_with(c)) {
                fence = None;
            }
            continue;
        }
        if begin.is_none() {
            fence = opened_fence(text);
        }
        match (text, begin) {
            (BEGIN, None) if found.is_none() => begin = Some((number, start)),
            (BEGIN, None) => return Err(bad(number, "there is a second part between marks: take one of them out")),
            (BEGIN, Some(_)) => {
                return Err(bad(number, "the part before it has no end: add the line <!-- /burnmark:log -->"));
            }
            (END, Some((_, start))) => (begin, found) = (None, Some((start, at))),
            (END, None) => {
                return Err(bad(number, "nothing begins that it could end: add the line <!-- burnmark:log -->"));
            }
            _ => {}
        }
    }
    match begin {
        Some((number, _)) => Err(bad(number, "it has no end: add the line <!-- /burnmark:log --> below it")),
        None => Ok(found),
    }
}

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
