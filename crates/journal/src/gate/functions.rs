//! Limits of functions in profiles.

use burnmark_analysis::stats::runs::{RunValue, logit, share_of, welch};
use burnmark_analysis::stats::student;

use super::{Check, Evidence, LimitKind, Status, severity};
use crate::budget::{FunctionLimit, IfAbsent, Policy};

/// What a profile says of the functions that an entry means.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionShare {
    /// The profile's name.
    pub file: String,
    /// Share of the samples, as a fraction.
    pub share: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
    /// Whether samples have times: if not, the interval is a lower bound.
    pub timed: bool,
    /// Samples that vary as much.
    pub effective: f64,
    /// Functions that were meant; none if the profile has no such function.
    pub functions: Vec<String>,
}

/// Whether a function is meant: it has this name, or the name is a part of it that begins and ends with a word.
///
/// ```
/// use burnmark_journal::gate::is_meant;
///
/// assert!(is_meant("JSON.parse", "JSON.parse"));
/// assert!(is_meant("serde_json", "serde_json::de::from_str"));
/// assert!(!is_meant("parse", "parse_url"));
/// ```
pub fn is_meant(wanted: &str, function: &str) -> bool {
    let is_word = |char: char| char.is_alphanumeric() || char == '_' || char == '$';
    let (starts, ends) = (wanted.chars().next().is_some_and(is_word), wanted.chars().next_back().is_some_and(is_word));
    function.match_indices(wanted).any(|(at, found)| {
        let before = function[..at].chars().next_back().is_some_and(is_word);
        let after = function[at + found.len()..].chars().next().is_some_and(is_word);
        !(starts && before || ends && after)
    })
}

/// A share over runs.
struct Combined {
    share: f64,
    interval: [f64; 2],
    logits: Vec<RunValue>,
}

pub(super) fn check(index: usize, limit: &FunctionLimit, evidence: &Evidence, policy: &Policy) -> Vec<Check> {
    let none = Vec::new();
    let after = evidence.functions.get(index).unwrap_or(&none);
    let before = evidence.functions_before.get(index).unwrap_or(&none);
    let mut checks = Vec::new();
    if limit.max_share_pct.is_some() || limit.warn_share_pct.is_some() {
        checks.push(share(limit, after, before, policy));
    }
    if limit.max_regression_pct.is_some() {
        checks.push(regression(limit, after, before, evidence.has_baseline, policy));
    }
    checks
}

/// Why the profiles can't be held against the limit, if so. `before`: profiles that show that the function is called so.
fn missing(limit: &FunctionLimit, profiles: &[FunctionShare], before: &[FunctionShare]) -> Option<String> {
    if profiles.is_empty() {
        return Some("no profile was given".to_owned());
    }
    let is_known = profiles.iter().chain(before).any(|profile| !profile.functions.is_empty());
    (!is_known && limit.if_absent == IfAbsent::Missing).then(|| {
        "no function of the profile is called so: the name may be wrong (\"if_absent\": \"pass\" says that it is not)"
            .to_owned()
    })
}

/// One profile with its own interval; several with that of their logits, which covers what differs between runs.
fn combine(profiles: &[FunctionShare]) -> Combined {
    let logits: Vec<RunValue> = profiles.iter().map(|profile| logit(profile.share, profile.effective)).collect();
    let n = profiles.len() as f64;
    let share = profiles.iter().map(|profile| profile.share).sum::<f64>() / n.max(1.0);
    let interval = match profiles {
        [one] => one.interval,
        _ => {
            let mean = logits.iter().map(|run| run.value).sum::<f64>() / n;
            let between = logits.iter().map(|run| (run.value - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let within = logits.iter().map(|run| run.variance).sum::<f64>() / n;
            let half = student::quantile(0.975, n - 1.0) * (between.max(within) / n).sqrt();
            let [low, high] = [mean - half, mean + half].map(share_of);
            [low.min(share), high.max(share)]
        }
    };
    Combined { share, interval, logits }
}

fn share(limit: &FunctionLimit, after: &[FunctionShare], before: &[FunctionShare], policy: &Policy) -> Check {
    let most = limit.max_share_pct.or(limit.warn_share_pct);
    let mut check = Check::new(&limit.name, LimitKind::MaxShare, most);
    check.unit = "%".to_owned();
    if let Some(why) = missing(limit, after, before) {
        check.why = Some(why);
        return check;
    }
    let combined = combine(after);
    let (share, [low, high]) = (combined.share * 100.0, combined.interval.map(|bound| bound * 100.0));
    check.value = Some(share);
    check.ci = Some([low, high]);
    check.runs = after.len();
    if !before.is_empty() {
        check.baseline = Some(combine(before).share * 100.0);
    }
    let mut names: Vec<&str> = after.iter().flat_map(|profile| &profile.functions).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let several = (names.len() > 1).then(|| {
        let shown: Vec<&str> = names.iter().take(3).copied().collect();
        let more = if names.len() > 3 { format!(" and {} more", names.len() - 3) } else { String::new() };
        format!("{} functions together: {}{more}", names.len(), shown.join(", "))
    });
    let untimed = after.iter().any(|profile| !profile.timed) && after.len() == 1;
    check.status = match limit.max_share_pct {
        Some(most) if share > most => {
            check.severity = severity((share - most) / most.max(f64::MIN_POSITIVE) * 100.0, &policy.severity_pct);
            Status::Fail
        }
        Some(most) if high > most => Status::Inconclusive,
        _ if limit.warn_share_pct.is_some_and(|warn| share > warn) => Status::Warn,
        _ => Status::Pass,
    };
    let notes = [
        several,
        (check.status == Status::Inconclusive)
            .then(|| "the share lies within, but its interval reaches beyond: more samples narrow it".to_owned()),
        untimed.then(|| "samples have no times: the interval is a lower bound".to_owned()),
    ];
    let notes: Vec<String> = notes.into_iter().flatten().collect();
    check.why = (!notes.is_empty()).then(|| notes.join("; "));
    check
}

fn regression(
    limit: &FunctionLimit,
    after: &[FunctionShare],
    before: &[FunctionShare],
    has_baseline: bool,
    policy: &Policy,
) -> Check {
    let mut check = Check::new(&limit.name, LimitKind::MaxRegression, limit.max_regression_pct);
    check.unit = "%".to_owned();
    let why = match (has_baseline, before.is_empty()) {
        (false, _) => Some("there is no baseline to compare with: name one by --baseline".to_owned()),
        (true, true) => Some("the baseline has no profile".to_owned()),
        (true, false) => missing(limit, after, before),
    };
    if let Some(why) = why {
        check.why = Some(why);
        return check;
    }
    let sides = [combine(before), combine(after)];
    let [was, is] = [sides[0].share, sides[1].share];
    (check.value, check.baseline, check.runs) = (Some(is * 100.0), Some(was * 100.0), after.len());
    if was == 0.0 {
        check.status = if is == 0.0 { Status::Pass } else { Status::Inconclusive };
        check.why = (is > 0.0).then(|| "the baseline does not have it: limit it by max_share_pct".to_owned());
        return check;
    }
    let percent = |share: f64| (share - was) / was * 100.0;
    check.change_pct = Some(percent(is));
    let several = sides.iter().all(|side| side.logits.len() >= 3);
    let test = if several { welch(&sides[0].logits, &sides[1].logits) } else { None };
    check.ci = Some(match test {
        Some(test) => test.interval.map(|delta| {
            let base = share_of(test.means[0]);
            (share_of(test.means[0] + delta) - base) / base * 100.0
        }),
        None => {
            let half = |side: &Combined| (side.interval[1] - side.interval[0]) / 2.0;
            let half = half(&sides[0]).hypot(half(&sides[1])) / was * 100.0;
            [percent(is) - half, percent(is) + half]
        }
    });
    if !several {
        check.why = Some("fewer than 3 runs a side: what differs from run to run is not in the interval".to_owned());
    }
    check.severity = severity(percent(is), &policy.severity_pct);
    let most = limit.max_regression_pct.unwrap_or(f64::INFINITY);
    check.status = if percent(is) > most {
        Status::Fail
    } else if check.ci.is_some_and(|[_, high]| high > most) {
        Status::Inconclusive
    } else {
        Status::Pass
    };
    check
}
