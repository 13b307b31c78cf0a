//! Rust source text without its comments and literals, so that a word found in it is code.

/// `text` with every comment, string and character literal blanked; lines keep their numbers.
pub(crate) fn code_only(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = match literal_end(&characters, at) {
            Some(end) => end.min(characters.len()),
            None => {
                code.push(characters[at]);
                at += 1;
                continue;
            }
        };
        code.extend(characters[at..end].iter().map(|&character| if character == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    code
}

/// Where the comment or literal that starts at `at` ends; None when none starts there.
fn literal_end(text: &[char], at: usize) -> Option<usize> {
    let next = text.get(at + 1).copied();
    match text[at] {
        '/' if next == Some('/') => Some(find(text, at, &['\n'])),
        '/' if next == Some('*') => Some(block_comment_end(text, at)),
        '"' => Some(string_end(text, at)),
        '\'' if next == Some('\\') => Some(find(text, at + 3, &['\'']) + 1),
        '\'' if text.get(at + 2) == Some(&'\'') => Some(at + 3),
        'r' if !continues_word(text, at) => raw_string_end(text, at),
        _ => None,
    }
}

fn block_comment_end(text: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut here = at;
    while here < text.len() {
        if text[here..].starts_with(&['/', '*']) {
            depth += 1;
            here += 2;
        } else if text[here..].starts_with(&['*', '/']) {
            depth -= 1;
            here += 2;
            if depth == 0 {
                break;
            }
        } else {
            here += 1;
        }
    }
    here
}

fn string_end(text: &[char], at: usize) -> usize {
    let mut here = at + 1;
    while here < text.len() && text[here] != '"' {
        here += if text[here] == '\\' { 2 } else { 1 };
    }
    here + 1
}

fn raw_string_end(text: &[char], at: usize) -> Option<usize> {
    let hashes = text[at + 1..].iter().take_while(|&&character| character == '#').count();
    if text.get(at + 1 + hashes) != Some(&'"') {
        return None;
    }
    let closing: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    Some(find(text, at + 2 + hashes, &closing) + closing.len())
}

fn find(text: &[char], from: usize, wanted: &[char]) -> usize {
    (from..text.len()).find(|&here| text[here..].starts_with(wanted)).unwrap_or(text.len())
}

/// Whether the character at `at` goes on an identifier; the prefix of `br"…"` and `cr"…"` is none.
fn continues_word(text: &[char], at: usize) -> bool {
    let word = |at: usize| text[at].is_alphanumeric() || text[at] == '_';
    let start = if at > 0 && matches!(text[at - 1], 'b' | 'c') { at - 1 } else { at };
    start > 0 && word(start - 1)
}

/// Where `word` stands in `code` as a whole word, as byte offsets.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        !code[..at].chars().next_back().is_some_and(part) && !code[at + word.len()..].chars().next().is_some_and(part)
    })
}

/// The line of a byte offset, from 1.
pub(crate) fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The end (exclusive) of the block whose `{` comes first after `from`; None when a `;` comes before it.
pub(crate) fn block_end(code: &str, from: usize) -> Option<usize> {
    let mut braces = 0;
    let mut brackets = 0;
    for (at, character) in code[from..].char_indices() {
        match character {
            '{' => braces += 1,
            '}' if braces == 1 => return Some(from + at + 1),
            '}' => braces -= 1,
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if braces == 0 && brackets == 0 => return None,
            _ => {}
        }
    }
    None
}

/// A function with a body: its name, its first line, and how many lines it has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// Every function with a body in `code` (as `code_only` leaves it).
pub(crate) fn functions(code: &str) -> Vec<Function> {
    words(code, "fn")
        .filter_map(|at| {
            let rest = code[at + 2..].trim_start();
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let end = if name.is_empty() { None } else { block_end(code, at) }?;
            let line = line_of(code, at);
            Some(Function { name, line, lines: line_of(code, end - 1) - line + 1 })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let text = "a // unsafe\nb /* x /* unsafe */ y */ c \"unsafe \\\" \" d r#\"unsafe \" \"# e br\"unsafe\" f";
        let code = code_only(text);
        assert_eq!(words(&code, "unsafe").count(), 0);
        assert_eq!(code.split_whitespace().collect::<String>(), "abcdebf");
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn character_literals_are_not_lifetimes() {
        let code = code_only("f::<'a>('\"', '\\'', '{', b'x') + unsafe { g::<'_>() }");
        assert_eq!(words(&code, "unsafe").count(), 1);
        assert!(code.contains("<'a>") && code.contains("<'_>"));
        assert!(!code.contains('"'));
    }

    #[test]
    fn a_string_without_an_end_ends_with_the_text() {
        for text in ["\"abc\\", "r##\"abc", "/* abc", "'\\", "'", "r", "br"] {
            assert_eq!(code_only(text).chars().count(), text.chars().count(), "{text}");
        }
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(words("unsafe_code unsafe not_unsafe (unsafe)", "unsafe").collect::<Vec<_>>(), [12, 31]);
    }

    #[test]
    fn functions_are_counted_from_signature_to_brace() {
        let text = "trait T {\n    fn a(&self) -> [u8; 4];\n    fn b(f: fn(u8)) {\n        c();\n    }\n}\nfn d() {}\n";
        let found = functions(&code_only(text));
        let expected = [("b", 3, 3), ("d", 7, 1)];
        assert_eq!(found.len(), expected.len());
        for (function, (name, line, lines)) in found.iter().zip(expected) {
            assert_eq!((function.name.as_str(), function.line, function.lines), (name, line, lines));
        }
    }
}
