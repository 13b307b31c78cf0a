//! Categories: what kind of work a function does, by rules on its name, its module and its source file, and a hint for
//! each category of what to look at.
//!
//! The shipped rules are data (`crates/analysis/rules/*.toml`); a file of the user's is tried first. A category is what
//! a function's own name says, whoever called it; a hint is where to look, never a claim about the program.
//!
//! ```
//! use burnmark_analysis::Rules;
//!
//! let rules = Rules::shipped();
//! let category = rules.of("inflate_fast", Some("libz.so.1.2.13"), None).expect("zlib is known");
//! assert_eq!(category.name, "compression");
//! assert!(rules.of("checkout_total", Some("shop"), None).is_none());
//!
//! let own = Rules::with_user("[[category]]\nname = 'pricing'\naction = 'cache prices'\n\
//!                             [[rule]]\ncategory = 'pricing'\nfunction = ['checkout_*']\n").unwrap();
//! assert_eq!(own.of("checkout_total", Some("shop"), None).unwrap().action, "cache prices");
//! ```

mod names;
mod pattern;
mod read;
mod shares;

use std::collections::HashMap;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use foldhash::fast::RandomState;

use crate::place::{FrameKind, MergeBy, Place};
use crate::rank::Ranking;
use names::{Subject, subject};
use pattern::Pattern;
pub use read::RulesError;
pub(crate) use shares::Categories;
pub use shares::CategoryShare;

/// A kind of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// Its name: `database`, `GC`, `kernel memory`, …
    pub name: String,
    /// What to look at first where much time is in it.
    pub action: String,
}

/// What functions of a category look like: every field that is given must match, by any of its patterns.
#[derive(Clone, Debug, Default)]
struct Rule {
    /// Index into [`Rules::categories`].
    category: usize,
    function: Vec<Pattern>,
    module: Vec<Pattern>,
    file: Vec<Pattern>,
    /// Functions it is for, as `function`, `module: function` or `module: function @ file`.
    #[cfg_attr(not(test), expect(dead_code, reason = "examples are for readers and for tests"))]
    examples: Vec<String>,
}

impl Rule {
    fn matches(&self, subject: &Subject<'_>) -> bool {
        let any = |patterns: &[Pattern], text: Option<&str>| {
            patterns.is_empty() || text.is_some_and(|text| patterns.iter().any(|pattern| pattern.matches(text)))
        };
        any(&self.module, subject.module)
            && any(&self.file, subject.file)
            && (self.function.is_empty() || subject.names.iter().any(|name| any(&self.function, Some(name))))
    }
}

/// Rules, the first that matches wins: the user's, then the shipped ones in their order.
#[derive(Debug)]
pub struct Rules {
    categories: Vec<Category>,
    rules: Vec<Rule>,
    by_function: Index,
    by_module: Index,
    by_file: Index,
}

/// Finds the rules whose pattern may match a text: each needs a piece of text, and one automaton looks for all pieces.
#[derive(Debug)]
struct Index {
    automaton: AhoCorasick,
    /// Per piece, the rules that need it.
    rules: Vec<Vec<u32>>,
}

impl Index {
    fn new<'r>(patterns: impl Iterator<Item = (usize, &'r Pattern)>) -> Result<Self, RulesError> {
        let mut numbers: HashMap<&str, usize, RandomState> = HashMap::default();
        let mut rules: Vec<Vec<u32>> = Vec::new();
        let mut pieces = Vec::new();
        for (rule, pattern) in patterns {
            let number = *numbers.entry(pattern.literal()).or_insert_with(|| {
                pieces.push(pattern.literal());
                rules.push(Vec::new());
                rules.len() - 1
            });
            rules[number].push(rule as u32);
        }
        let automaton = AhoCorasick::new(&pieces).map_err(|error| RulesError::TooMany(error.to_string()))?;
        Ok(Self { automaton, rules })
    }

    /// Calls `candidate` for every rule that has a pattern whose piece occurs in the text.
    fn search(&self, text: &str, mut candidate: impl FnMut(u32)) {
        for found in self.automaton.find_overlapping_iter(text) {
            self.rules[found.pattern().as_usize()].iter().copied().for_each(&mut candidate);
        }
    }
}

impl Rules {
    /// The rules that come with burnmark.
    ///
    /// # Panics
    /// Never: tests read them.
    pub fn shipped() -> &'static Self {
        static SHIPPED: LazyLock<Rules> =
            LazyLock::new(|| read::read(None).expect("the shipped rules are read by tests"));
        &SHIPPED
    }

    /// The shipped rules after those of a user's file, TOML in the shipped files' format: `[[category]]` with `name`
    /// and `action` (for a known name: another action), `[[rule]]` with `category` and at least one of `function`,
    /// `module` and `file`, each a list of patterns in which `*` stands for any run of characters.
    ///
    /// # Errors
    /// When the text is not such TOML, with line and column; when a rule can never match or names no category.
    pub fn with_user(text: &str) -> Result<Self, RulesError> {
        read::read(Some(text))
    }

    fn new(categories: Vec<Category>, rules: Vec<Rule>) -> Result<Self, RulesError> {
        let leading = |of: fn(&Rule) -> Option<&Vec<Pattern>>| {
            let rules = rules.iter().enumerate();
            Index::new(rules.flat_map(move |(at, rule)| of(rule).into_iter().flatten().map(move |p| (at, p))))
        };
        // Each rule is found by one of its fields, the one that tells most.
        let by_function = leading(|rule| (!rule.function.is_empty()).then_some(&rule.function))?;
        let by_file = leading(|rule| (rule.function.is_empty() && !rule.file.is_empty()).then_some(&rule.file))?;
        let by_module = leading(|rule| (rule.function.is_empty() && rule.file.is_empty()).then_some(&rule.module))?;
        Ok(Self { categories, rules, by_function, by_module, by_file })
    }

    /// All categories, in the files' order.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// The category of this name.
    pub fn category(&self, name: &str) -> Option<&Category> {
        self.categories.iter().find(|category| category.name == name)
    }

    /// The category of a function by its name (demangled), its module's last path component, and its source file.
    /// `None` if no rule knows it, as for most of a program's own code. Takes about a microsecond.
    pub fn of(&self, function: &str, module: Option<&str>, file: Option<&str>) -> Option<&Category> {
        self.first(function, module, file).map(|rule| &self.categories[self.rules[rule].category])
    }

    /// The category of a place. Threads and processes have none.
    pub fn of_place(&self, place: &Place<'_>, merge_by: MergeBy) -> Option<&Category> {
        self.number_of_place(place, merge_by).map(|number| &self.categories[number])
    }

    fn number_of_place(&self, place: &Place<'_>, merge_by: MergeBy) -> Option<usize> {
        let rule = match (place.kind, merge_by) {
            (FrameKind::Group, _) => None,
            // The name is the module's.
            (_, MergeBy::Module) => self.first("", place.module, None),
            _ => self.first(&place.name, place.module, place.file),
        };
        rule.map(|rule| self.rules[rule].category)
    }

    /// The number of the first rule that matches.
    fn first(&self, function: &str, module: Option<&str>, file: Option<&str>) -> Option<usize> {
        let subject = subject(function, module, file);
        let mut first = u32::MAX;
        let mut candidate = |rule: u32| {
            if rule < first && self.rules[rule as usize].matches(&subject) {
                first = rule;
            }
        };
        for name in &subject.names {
            self.by_function.search(name, &mut candidate);
        }
        if let Some(module) = subject.module {
            self.by_module.search(module, &mut candidate);
        }
        if let Some(file) = subject.file {
            self.by_file.search(file, &mut candidate);
        }
        (first != u32::MAX).then_some(first as usize)
    }
}

impl<'p> Ranking<'p> {
    /// Gives each row the category that the rules say.
    pub fn categorize(&mut self, rules: &'p Rules) {
        for row in &mut self.rows {
            row.category = rules.of_place(&row.place, self.merge_by);
        }
    }
}

#[cfg(test)]
mod tests;
