//! The licence of every dependency against the allow list in deny.toml, from what cargo knows without a network; known
//! vulnerabilities by cargo-deny, where it is installed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell;

/// What deny.toml allows: for every crate, and for single ones.
struct Allowed {
    everywhere: Vec<String>,
    exceptions: BTreeMap<String, Vec<String>>,
}

/// Checks licences, then advisories, and prints what was found; false when something is not allowed.
pub(crate) fn report(root: &Path) -> Result<bool> {
    let path = root.join("deny.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let allowed = Allowed::from_toml(&text)?;
    let packages = packages(root)?;
    let wrong = check(&packages, &allowed);
    for line in &wrong {
        println!("WRONG: {line}");
    }
    println!("licences: {} packages, {} not allowed", packages.len(), wrong.len());
    Ok(advisories(root)? && wrong.is_empty())
}

/// All packages that Cargo.lock can bring in, on any platform; without the network when they are all here already.
fn packages(root: &Path) -> Result<Vec<Value>> {
    let arguments = ["metadata", "--format-version", "1", "--locked"];
    let offline = shell::output(shell::cargo(root, &[&arguments[..], &["--offline"]].concat()));
    let json = match offline {
        Ok(json) => json,
        Err(_) => shell::output(shell::cargo(root, &arguments))?,
    };
    let metadata: Value = serde_json::from_slice(&json).context("cargo metadata wrote no JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    Ok(packages.clone())
}

fn check(packages: &[Value], allowed: &Allowed) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let version = package["version"].as_str().unwrap_or_default();
        let Some(expression) = package["license"].as_str() else {
            wrong.push(format!("{name} {version} names no licence"));
            continue;
        };
        match satisfied(expression, &|licence| allowed.allows(name, licence)) {
            Ok(true) => {}
            Ok(false) => wrong.push(format!("{name} {version} is under {expression}, which deny.toml does not allow")),
            Err(error) => wrong.push(format!("{name} {version}: cannot read its licence `{expression}`: {error}")),
        }
    }
    wrong
}

impl Allowed {
    fn from_toml(text: &str) -> Result<Self> {
        let file: toml::Table = text.parse().context("deny.toml is no TOML")?;
        let licences = file.get("licenses").and_then(toml::Value::as_table).context("deny.toml has no [licenses]")?;
        let everywhere = strings(licences.get("allow")).context("deny.toml has no licenses.allow")?;
        let mut exceptions = BTreeMap::new();
        for exception in licences.get("exceptions").and_then(toml::Value::as_array).into_iter().flatten() {
            let name = exception.get("crate").and_then(toml::Value::as_str).context("an exception names no crate")?;
            let allow = strings(exception.get("allow")).context("an exception allows nothing")?;
            exceptions.insert(name.to_owned(), allow);
        }
        Ok(Self { everywhere, exceptions })
    }

    fn allows(&self, name: &str, licence: &str) -> bool {
        let exceptions = self.exceptions.get(name).into_iter().flatten();
        self.everywhere.iter().chain(exceptions).any(|allowed| allowed == licence)
    }
}

fn strings(value: Option<&toml::Value>) -> Option<Vec<String>> {
    value?.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

/// Whether a licence expression (SPDX 2.3, annex D; `/` for `OR` as crates once wrote it) is satisfied by the licences
/// that `allows` accepts.
fn satisfied(expression: &str, allows: &dyn Fn(&str) -> bool) -> Result<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let satisfied = any_of(&mut words, allows)?;
    match words.next() {
        None => Ok(satisfied),
        Some(word) => bail!("`{word}` is out of place"),
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, allows: &dyn Fn(&str) -> bool) -> Result<bool> {
    let mut satisfied = all_of(words, allows)?;
    while words.next_if_eq(&"OR").is_some() {
        satisfied |= all_of(words, allows)?;
    }
    Ok(satisfied)
}

fn all_of(words: &mut Words<'_>, allows: &dyn Fn(&str) -> bool) -> Result<bool> {
    let mut satisfied = one(words, allows)?;
    while words.next_if_eq(&"AND").is_some() {
        satisfied &= one(words, allows)?;
    }
    Ok(satisfied)
}

fn one(words: &mut Words<'_>, allows: &dyn Fn(&str) -> bool) -> Result<bool> {
    match words.next().context("it ends too early")? {
        "(" => {
            let satisfied = any_of(words, allows)?;
            words.next_if_eq(&")").context("a parenthesis is not closed")?;
            Ok(satisfied)
        }
        word @ (")" | "OR" | "AND" | "WITH") => bail!("`{word}` is out of place"),
        licence => {
            // `X WITH exception` grants more than X does, so X decides.
            if words.next_if_eq(&"WITH").is_some() {
                words.next().context("nothing follows `WITH`")?;
            }
            Ok(allows(licence.trim_end_matches('+')))
        }
    }
}

/// Known vulnerabilities, withdrawn versions and sources, by cargo-deny and the database it has; a loud skip otherwise.
fn advisories(root: &Path) -> Result<bool> {
    if !shell::on_path("cargo-deny") {
        let how = "`cargo install cargo-deny --locked` and `cargo deny fetch` bring it";
        shell::loud("SKIPPED: advisories (cargo-deny is not installed)", &[how.to_owned()]);
        return Ok(true);
    }
    let home =
        std::env::var_os("CARGO_HOME").map(Into::into).or_else(|| std::env::home_dir().map(|h| h.join(".cargo")));
    let database = home.map(|home| home.join("advisory-dbs"));
    if !database.is_some_and(|database| database.is_dir()) {
        shell::loud("SKIPPED: advisories (no database is here)", &["`cargo deny fetch` brings it".to_owned()]);
        return shell::succeeds(shell::cargo(root, &["deny", "--offline", "check", "bans", "licenses", "sources"]));
    }
    shell::succeeds(shell::cargo(root, &["deny", "--offline", "check"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allows = |licence: &str| ["MIT", "Apache-2.0", "Unicode-3.0"].contains(&licence);
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("MIT AND GPL-3.0", false),
            ("MIT AND GPL-3.0 OR Apache-2.0", true),
            ("GPL-3.0 OR MIT AND GPL-3.0", false),
            ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND (GPL-3.0 OR LGPL-3.0)", false),
            ("GPL-3.0 AND (MIT OR Apache-2.0)", false),
            ("((GPL-3.0 AND MIT) OR (MIT))", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("GPL-2.0 WITH Classpath-exception-2.0 OR MIT", true),
        ] {
            assert_eq!(satisfied(expression, &allows).unwrap(), expected, "{expression}");
        }
    }

    #[test]
    fn broken_expressions_are_told() {
        for expression in ["", "MIT OR", "OR MIT", "(MIT", "MIT)", "MIT GPL-3.0", "()", "MIT WITH", "AND", "MIT (ISC)"]
        {
            assert!(satisfied(expression, &|_| true).is_err(), "{expression}");
        }
    }

    #[test]
    fn an_exception_is_for_its_crate_only() {
        let text = "[licenses]\nallow = [\"MIT\"]\n[[licenses.exceptions]]\ncrate = \"a\"\nallow = [\"CDDL-1.0\"]\n";
        let allowed = Allowed::from_toml(text).unwrap();
        let package = |name: &str, licence: Option<&str>| serde_json::json!({ "name": name, "version": "1.0.0", "license": licence });
        assert!(check(&[package("a", Some("CDDL-1.0")), package("b", Some("MIT"))], &allowed).is_empty());
        assert_eq!(check(&[package("b", Some("CDDL-1.0")), package("c", None)], &allowed).len(), 2);
    }
}
