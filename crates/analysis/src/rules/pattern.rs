//! Patterns: text with `*` for any run of characters, matched against the whole.

/// A pattern such as `ZSTD_*`, cut at its stars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// The pieces between the stars: the first must begin the text, the last must end it.
    pieces: Vec<String>,
}

impl Pattern {
    /// Reads a pattern. `None` if it holds nothing but stars, for that says nothing.
    pub(super) fn new(text: &str) -> Option<Self> {
        let pieces: Vec<String> = text.split('*').map(str::to_owned).collect();
        pieces.iter().any(|piece| !piece.is_empty()).then_some(Self { pieces })
    }

    /// The longest text that whatever matches contains.
    pub(super) fn literal(&self) -> &str {
        self.pieces.iter().max_by_key(|piece| piece.len()).map_or("", String::as_str)
    }

    /// Whether all of `text` matches. Linear in the text: each middle piece is taken where it first occurs, which
    /// leaves the most for the others.
    pub(super) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &self.pieces[..] else { return self.pieces[0] == text };
        let Some(mut rest) = text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str())) else {
            return false;
        };
        for piece in middle {
            match rest.find(piece.as_str()) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        true
    }

    /// A text that matches, for tests: `x` in place of every star.
    #[cfg(test)]
    pub(super) fn instance(&self) -> String {
        self.pieces.join("x")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        let matches = |pattern: &str, text: &str| Pattern::new(pattern).is_some_and(|pattern| pattern.matches(text));
        assert!(matches("free", "free") && !matches("free", "freed") && !matches("free", "kfree"));
        assert!(matches("ZSTD_*", "ZSTD_") && matches("ZSTD_*", "ZSTD_count") && !matches("ZSTD_*", "XZSTD_"));
        assert!(matches("*malloc*", "je_malloc_usable") && matches("a*b*c", "aXbXbc") && !matches("a*b*c", "acb"));
        // The pieces at both ends may not overlap.
        assert!(!matches("ab*ba", "aba") && matches("ab*ba", "abba"));
        assert!(Pattern::new("**").is_none() && Pattern::new("").is_none());
        assert!(matches("ü*", "über"));
    }

    proptest! {
        /// The same as a regular expression says.
        #[test]
        fn agrees_with_regular_expressions(pattern in "[ab*]{1,8}", text in "[ab]{0,10}") {
            let regex = regex::Regex::new(&format!("^{}$", pattern.replace('*', ".*"))).expect("valid");
            if let Some(ours) = Pattern::new(&pattern) {
                prop_assert_eq!(ours.matches(&text), regex.is_match(&text));
                prop_assert!(ours.matches(&ours.instance()));
            }
        }
    }
}
