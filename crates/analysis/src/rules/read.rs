//! Rules from TOML.

use serde::Deserialize;

use super::pattern::Pattern;
use super::{Category, Rule, Rules};

/// The shipped files, in the order in which they are tried: what is surest first.
const SHIPPED: [(&str, &str); 9] = [
    ("categories.toml", include_str!("../../rules/categories.toml")),
    ("kernel.toml", include_str!("../../rules/kernel.toml")),
    ("scripts.toml", include_str!("../../rules/scripts.toml")),
    ("java.toml", include_str!("../../rules/java.toml")),
    ("go.toml", include_str!("../../rules/go.toml")),
    ("rust.toml", include_str!("../../rules/rust.toml")),
    ("runtimes.toml", include_str!("../../rules/runtimes.toml")),
    ("native.toml", include_str!("../../rules/native.toml")),
    ("modules.toml", include_str!("../../rules/modules.toml")),
];

/// Why rules could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// Not TOML, or not of this shape. The text says line and column.
    #[error("{file}: {message}")]
    Syntax {
        /// `rules`, or a shipped file.
        file: String,
        /// What the parser says.
        message: String,
    },
    /// A rule for a category that nobody describes.
    #[error(
        "rule {number} is for the category {category:?}, which there is none of: add a [[category]] with this name \
         and an action, or use one of {known}"
    )]
    NoSuchCategory {
        /// Which rule, from 1.
        number: usize,
        /// What it names.
        category: String,
        /// The names there are.
        known: String,
    },
    /// A rule that says nothing, or a pattern of stars alone.
    #[error(
        "rule {number} ({category}) {problem}: give `function`, `module` or `file` patterns such as \"parse_*\", where \
         * stands for any text"
    )]
    NeverTold {
        /// Which rule, from 1.
        number: usize,
        /// Its category.
        category: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// More patterns than can be looked for.
    #[error("these are too many rules: {0}")]
    TooMany(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    category: Vec<CategoryToml>,
    #[serde(default)]
    rule: Vec<RuleToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CategoryToml {
    name: String,
    action: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleToml {
    category: String,
    #[serde(default)]
    function: Vec<String>,
    #[serde(default)]
    module: Vec<String>,
    #[serde(default)]
    file: Vec<String>,
    #[serde(default)]
    examples: Vec<String>,
}

/// The user's rules, if there are some, then the shipped ones.
pub(super) fn read(user: Option<&str>) -> Result<Rules, RulesError> {
    let mut files = Vec::with_capacity(SHIPPED.len() + 1);
    for (name, text) in user.map(|text| ("rules", text)).into_iter().chain(SHIPPED) {
        let syntax = |error: toml::de::Error| RulesError::Syntax { file: name.to_owned(), message: error.to_string() };
        files.push(toml::from_str::<File>(text).map_err(syntax)?);
    }
    let mut categories: Vec<Category> = Vec::new();
    for CategoryToml { name, action } in files.iter_mut().flat_map(|file| std::mem::take(&mut file.category)) {
        // The first is the user's.
        if !categories.iter().any(|known| known.name == name) {
            categories.push(Category { name, action });
        }
    }
    let mut rules = Vec::new();
    for file in files {
        for (index, rule) in file.rule.into_iter().enumerate() {
            rules.push(convert(rule, index + 1, &categories)?);
        }
    }
    Rules::new(categories, rules)
}

fn convert(rule: RuleToml, number: usize, categories: &[Category]) -> Result<Rule, RulesError> {
    let Some(category) = categories.iter().position(|category| category.name == rule.category) else {
        let known = categories.iter().map(|category| category.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(RulesError::NoSuchCategory { number, category: rule.category, known });
    };
    let wrong = |problem| RulesError::NeverTold { number, category: rule.category.clone(), problem };
    let patterns = |texts: &[String]| -> Result<Vec<Pattern>, RulesError> {
        texts.iter().map(|text| Pattern::new(text).ok_or_else(|| wrong("has an empty pattern"))).collect()
    };
    let (function, module, file) = (patterns(&rule.function)?, patterns(&rule.module)?, patterns(&rule.file)?);
    if function.is_empty() && module.is_empty() && file.is_empty() {
        return Err(wrong("has no patterns"));
    }
    Ok(Rule { category, function, module, file, examples: rule.examples })
}
