//! Budgets: what figures and functions may cost. JSON, comments and trailing commas allowed.
//!
//! ```json
//! {"metrics": {"p95_latency_ms": {"max": 200, "warn": 150}, "throughput_rps": {"min": 100},
//!              "p99_latency_ms": {"max": 500, "max_regression_pct": 10}},
//!  "functions": {"match": [{"name": "JSON.parse", "max_share_pct": 15}]},
//!  "policy": {"missing": "fail", "inconclusive": "warn", "severity_pct": [5, 10, 20]}}
//! ```

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::Error;

/// Limits, and what to do where evidence is missing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    #[serde(rename = "$schema", default)]
    _schema: Option<String>,
    /// Limits of figures, in the file's order.
    #[serde(default, deserialize_with = "in_order")]
    pub metrics: Vec<(String, MetricLimit)>,
    /// Limits of functions in profiles.
    #[serde(default)]
    pub functions: Functions,
    /// What to do in doubt.
    #[serde(default)]
    pub policy: Policy,
}

/// The limits of one figure; at least one of them is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricLimit {
    /// More than this fails.
    #[serde(default)]
    pub max: Option<f64>,
    /// Less than this fails.
    #[serde(default)]
    pub min: Option<f64>,
    /// More than this, or where only `min` is given less, is worth a warning.
    #[serde(default)]
    pub warn: Option<f64>,
    /// How much worse than the baseline it may be, in percent of the baseline.
    #[serde(default)]
    pub max_regression_pct: Option<f64>,
}

/// Limits of functions.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Functions {
    /// Each function, or group of functions, by name.
    #[serde(rename = "match", default)]
    pub matching: Vec<FunctionLimit>,
}

/// The limit of the functions that one name stands for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionLimit {
    /// The function's name, or a part of it that begins and ends with a word: `JSON.parse`, `serde_json`.
    pub name: String,
    /// More than this share of the samples, in percent, fails.
    #[serde(default)]
    pub max_share_pct: Option<f64>,
    /// More than this is worth a warning.
    #[serde(default)]
    pub warn_share_pct: Option<f64>,
    /// How much larger than the baseline's its share may be, in percent of the baseline's.
    #[serde(default)]
    pub max_regression_pct: Option<f64>,
    /// Which samples count.
    #[serde(default)]
    pub by: ShareOf,
    /// What it means that a profile has no such function.
    #[serde(default)]
    pub if_absent: IfAbsent,
}

/// Which samples count as a function's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShareOf {
    /// Those that have it on their stack: it and what it calls.
    #[default]
    Total,
    /// Those that end in it.
    #[serde(rename = "self")]
    SelfValue,
}

/// What a function that is not in the profile means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IfAbsent {
    /// Missing evidence: the name may be wrong. A baseline that has it proves the contrary.
    #[default]
    Missing,
    /// It costs nothing.
    Pass,
}

/// What to do in doubt.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// When a figure was not measured.
    #[serde(default)]
    pub missing: Then,
    /// When the interval of a figure reaches beyond its limit.
    #[serde(default = "warn")]
    pub inconclusive: Then,
    /// Steps of severity, in percent: how far beyond a limit, how much worse than a baseline.
    #[serde(default = "steps")]
    pub severity_pct: Vec<f64>,
}

/// What a doubt leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// The gate fails.
    #[default]
    Fail,
    /// The gate warns.
    Warn,
}

fn warn() -> Then {
    Then::Warn
}

fn steps() -> Vec<f64> {
    vec![5.0, 10.0, 20.0]
}

impl Default for Policy {
    fn default() -> Self {
        Self { missing: Then::Fail, inconclusive: Then::Warn, severity_pct: steps() }
    }
}

impl Budget {
    /// Reads a budget.
    ///
    /// ```
    /// use burnmark_journal::budget::Budget;
    ///
    /// let budget = Budget::parse(br#"{
    ///     // what users feel
    ///     "metrics": {"p95_latency_ms": {"max": 200, "warn": 150}},
    /// }"#).unwrap();
    /// assert_eq!(budget.metrics[0].1.max, Some(200.0));
    /// let error = Budget::parse(br#"{"metrics": {"p95_latency_ms": {"maximum": 200}}}"#).unwrap_err();
    /// assert!(error.to_string().contains("unknown field `maximum`"));
    /// ```
    ///
    /// # Errors
    /// When it is no JSON, has unknown keys, contradicts itself or limits nothing; with line and column.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let bad = |what: String| Error::BadBudget { what };
        let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
        let text = text.map_err(|error| bad(format!("it is no text in UTF-8 (byte {})", error.valid_up_to())))?;
        let plain = without_comments(text).map_err(bad)?;
        if !plain.trim_start().starts_with('{') {
            return Err(bad("it is no object: it begins with {\"metrics\": …".to_owned()));
        }
        let budget: Self = serde_json::from_str(&plain).map_err(|error| bad(error.to_string()))?;
        budget.check().map_err(bad)?;
        Ok(budget)
    }

    fn check(&self) -> Result<(), String> {
        if self.metrics.is_empty() && self.functions.matching.is_empty() {
            return Err("it limits nothing: give \"metrics\" or \"functions\"".to_owned());
        }
        for (name, limit) in &self.metrics {
            let MetricLimit { max, min, warn, max_regression_pct } = *limit;
            if max.is_none() && min.is_none() && warn.is_none() && max_regression_pct.is_none() {
                return Err(format!("{name} has no limit: give it max, min, warn or max_regression_pct"));
            }
            if let (Some(min), Some(max)) = (min, max)
                && min > max
            {
                return Err(format!("{name} can't be at least {min} and at most {max}"));
            }
            if let (Some(warn), Some(max)) = (warn, max)
                && warn > max
            {
                return Err(format!("{name} would fail over {max} before it warns over {warn}"));
            }
            if let (Some(warn), Some(min), None) = (warn, min, max)
                && warn < min
            {
                return Err(format!("{name} would fail under {min} before it warns under {warn}"));
            }
            not_negative(name, max_regression_pct)?;
        }
        for (at, function) in self.functions.matching.iter().enumerate() {
            let same = |other: &FunctionLimit| other.name == function.name && other.by == function.by;
            if self.functions.matching[..at].iter().any(same) {
                return Err(format!("{} is limited twice", function.name));
            }
            if function.name.trim().is_empty() {
                return Err("a function to match has no name".to_owned());
            }
            let FunctionLimit { name, max_share_pct, warn_share_pct, max_regression_pct, .. } = function;
            if max_share_pct.is_none() && warn_share_pct.is_none() && max_regression_pct.is_none() {
                return Err(format!(
                    "{name} has no limit: give it max_share_pct, warn_share_pct or max_regression_pct"
                ));
            }
            for share in [max_share_pct, warn_share_pct].into_iter().flatten() {
                if !(0.0..=100.0).contains(share) {
                    return Err(format!("{name}: {share} is no share in percent: from 0 to 100"));
                }
            }
            not_negative(name, *max_regression_pct)?;
        }
        let steps = &self.policy.severity_pct;
        if steps.iter().any(|step| *step < 0.0) || steps.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err("severity_pct are steps in percent, each larger than the one before".to_owned());
        }
        Ok(())
    }
}

fn not_negative(name: &str, percent: Option<f64>) -> Result<(), String> {
    match percent {
        Some(percent) if percent < 0.0 => Err(format!("{name}: max_regression_pct is {percent}: it can't be negative")),
        _ => Ok(()),
    }
}

/// A map in its order; the same key twice is an error.
fn in_order<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, MetricLimit)>, D::Error> {
    struct InOrder;
    impl<'de> Visitor<'de> for InOrder {
        type Value = Vec<(String, MetricLimit)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("figures and their limits")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries: Vec<(String, MetricLimit)> = Vec::new();
            while let Some((key, value)) = map.next_entry::<String, MetricLimit>()? {
                if entries.iter().any(|(known, _)| *known == key) {
                    return Err(A::Error::custom(format!("{key} is limited twice")));
                }
                entries.push((key, value));
            }
            Ok(entries)
        }
    }
    deserializer.deserialize_map(InOrder)
}

/// JSON with its comments (`//`, `#`, `/* */`) and trailing commas blanked out, so that places stay what they were.
fn without_comments(text: &str) -> Result<String, String> {
    let mut plain: Vec<char> = text.chars().collect();
    let mut at = 0;
    let mut comma = None;
    while at < plain.len() {
        let next = plain.get(at + 1).copied();
        match plain[at] {
            '"' => {
                at += 1;
                while at < plain.len() && plain[at] != '"' {
                    at += if plain[at] == '\\' { 2 } else { 1 };
                }
                comma = None;
            }
            '/' if next == Some('/') => at = blank(&mut plain, at, |_, char| char == '\n').0,
            '#' => at = blank(&mut plain, at, |_, char| char == '\n').0,
            '/' if next == Some('*') => {
                let (end, before) = blank(&mut plain, at, |before, _| before == ['*', '/']);
                if before != ['*', '/'] {
                    let line = 1 + plain[..at].iter().filter(|char| **char == '\n').count();
                    return Err(format!("the comment that begins with /* in line {line} has no end: close it with */"));
                }
                at = end.saturating_sub(1);
            }
            ',' => comma = Some(at),
            '}' | ']' => {
                if let Some(comma) = comma.take() {
                    plain[comma] = ' ';
                }
            }
            char if char.is_whitespace() => {}
            _ => comma = None,
        }
        at += 1;
    }
    Ok(plain.into_iter().collect())
}

/// Blanks from `at` to where `ends` says, of the two characters before and the one that would be next; returns where
/// that is, and the two. Line ends stay.
fn blank(text: &mut [char], at: usize, ends: impl Fn([char; 2], char) -> bool) -> (usize, [char; 2]) {
    let mut before = [' ', ' '];
    let mut end = at;
    while end < text.len() && !ends(before, text[end]) {
        // The two characters that open a block comment don't close it.
        before = if end < at + 2 { [' ', ' '] } else { [before[1], text[end]] };
        if text[end] != '\n' {
            text[end] = ' ';
        }
        end += 1;
    }
    (end, before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_that_teams_have() {
        let budget = Budget::parse(
            br#"{"metrics": {"p95_latency_ms": {"max": 200, "warn": 150}, "throughput_rps": {"min": 100}, "memory_mb": {"max": 512},
             "p99_latency_ms": {"max": 500, "max_regression_pct": 10}, "heap_slope_mb_per_h": {"max": 5}},
 "functions": {"match": [{"name": "JSON.parse", "max_share_pct": 15}]},
 "policy": {"missing": "fail", "inconclusive": "warn", "severity_pct": [5, 10, 20]}}"#,
        )
        .expect("the design's own example");
        let names: Vec<&str> = budget.metrics.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["p95_latency_ms", "throughput_rps", "memory_mb", "p99_latency_ms", "heap_slope_mb_per_h"]);
        assert_eq!(budget.policy, Policy::default());
        assert_eq!(budget.functions.matching[0].max_share_pct, Some(15.0));
        assert_eq!(budget.functions.matching[0].by, ShareOf::Total);
    }

    #[test]
    fn comments_are_allowed_and_places_stay() {
        let text = "{ // \"a\": {\n /* \"b\" ** / \n */ \"metrics\": { # c\n \"url//x\": {\"max\": 1,}, },\n}";
        let budget = Budget::parse(text.as_bytes()).expect("only comments and commas");
        assert_eq!(budget.metrics[0].0, "url//x");
        let error =
            Budget::parse(b"{ // c\n /* x\n */\n \"metrics\": {\"a\": {\"maxx\": 1}}}").expect_err("unknown key");
        let error = error.to_string();
        assert!(error.contains("unknown field `maxx`") && error.contains("line 4"), "{error}");
        let open = Budget::parse(b"{\"metrics\": {\"a\": {\"max\": 1}}}\n/* \"b\"").expect_err("no end").to_string();
        assert!(open.contains("line 2 has no end"), "{open}");
        for open in ["{ /* ", "{ // ", "{ \"a\\", "/*/", "{,}", "/**/"] {
            assert!(Budget::parse(open.as_bytes()).is_err(), "{open}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, part) in [
            ("{}", "limits nothing"),
            (r#"{"metrics": {"a": {}}}"#, "a has no limit"),
            (r#"{"metrics": {"a": {"max": 1}, "a": {"max": 2}}}"#, "a is limited twice"),
            (r#"{"metrics": {"a": {"max": 1, "min": 2}}}"#, "at least 2 and at most 1"),
            (r#"{"metrics": {"a": {"max": 1, "warn": 2}}}"#, "before it warns"),
            (r#"{"metrics": {"a": {"min": 2, "warn": 1}}}"#, "before it warns"),
            (r#"{"metrics": {"a": {"max": "1"}}}"#, "line 1 column"),
            (r#"{"metrics": {"a": {"max_regression_pct": -1}}}"#, "can't be negative"),
            (r#"{"functions": {"match": [{"name": " ", "max_share_pct": 1}]}}"#, "no name"),
            (r#"{"functions": {"match": [{"name": "f"}]}}"#, "f has no limit"),
            (r#"{"functions": {"match": [{"name": "f", "max_share_pct": 101}]}}"#, "no share in percent"),
            (
                r#"{"functions": {"match": [{"name": "f", "max_share_pct": 1}, {"name": "f", "max_share_pct": 9}]}}"#,
                "f is limited twice",
            ),
            (r#"{"metrics": {"a": {"max": 1, "max": 2}}}"#, "duplicate field `max`"),
            (r#"{"metrics": {"a": {"max": 1}}, "metrics": {}}"#, "duplicate field `metrics`"),
            (r#"{"metrics": {"a": {"max": 1e999}}}"#, "out of range"),
            (r#"{"metrics": {"a": {"max": NaN}}}"#, "line 1 column"),
            (r#"{"functions": {"match": [{"name": "f", "max_share_pct": 1, "unit": "%"}]}}"#, "unknown field `unit`"),
            (r#"{"functions": [{"name": "f"}]}"#, "line 1 column"),
            (r#"{"policy": {"missing": "pass"}, "metrics": {"a": {"max": 1}}}"#, "unknown variant `pass`"),
            (r#"{"policy": {"severity_pct": [10, 5]}, "metrics": {"a": {"max": 1}}}"#, "each larger"),
            (r#"{"metric": {"a": {"max": 1}}}"#, "unknown field `metric`"),
            ("[]", "no object"),
        ] {
            let error = Budget::parse(text.as_bytes()).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error:?} should say {part:?}");
        }
        assert!(Budget::parse(&[0xff]).is_err());
    }
}
