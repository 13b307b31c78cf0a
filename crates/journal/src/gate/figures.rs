//! Limits of figures.

use burnmark_analysis::stats::ranks::{self, mann_whitney};
use burnmark_analysis::stats::runs::{RunValue, welch};

use super::{Check, Evidence, LimitKind, Status, severity};
use crate::budget::{MetricLimit, Policy};
use crate::metrics::{Lookup, Measured, mean_interval};
use crate::{Direction, Metric};

/// One figure in all runs of the tool that has it.
struct Found {
    metrics: Vec<Metric>,
    value: f64,
    ci: Option<[f64; 2]>,
}

/// All limits of one figure.
pub(super) fn check(name: &str, limit: &MetricLimit, evidence: &Evidence, policy: &Policy) -> Vec<Check> {
    let found = find(name, &evidence.results);
    let mut checks = Vec::new();
    let only_regression = limit.max.is_none() && limit.min.is_none() && limit.warn.is_none();
    // `warn` alone warns over it; with a `min` alone, under it.
    if limit.max.is_some() || limit.warn.is_some() && limit.min.is_none() {
        let warn = limit.warn;
        checks.push(one_side(name, LimitKind::Max, limit.max, warn, &found, policy));
    }
    if limit.min.is_some() {
        let warn = limit.warn.filter(|_| limit.max.is_none());
        checks.push(one_side(name, LimitKind::Min, limit.min, warn, &found, policy));
    }
    if limit.max_regression_pct.is_some() || evidence.has_baseline && !only_regression {
        let direction = match (limit.max, limit.min, &found) {
            (Some(_), None, _) => Some(Direction::Lower),
            (None, Some(_), _) => Some(Direction::Higher),
            (_, _, Ok(found)) => found.metrics.first().map(|metric| metric.direction),
            _ => None,
        };
        let before = match evidence.has_baseline {
            true => find(name, &evidence.baseline).map_err(|why| format!("the baseline: {why}")),
            false => Err("there is no baseline to compare with: name one by --baseline".to_owned()),
        };
        let check = regression(name, limit.max_regression_pct, direction, [&before, &found], policy);
        // Without a limit, that the baseline lacks the figure is no missing evidence.
        checks.extend(Some(check).filter(|check| check.limit.is_some() || check.status != Status::Missing));
    }
    checks
}

/// The figure in the results that have it. Results of one tool are runs; of several tools it is not clear which is
/// meant.
fn find(name: &str, results: &[(String, Measured)]) -> Result<Found, String> {
    let mut metrics = Vec::new();
    let mut source = None;
    let (mut without, mut near) = (Vec::new(), Vec::new());
    for (file, measured) in results {
        match measured.find(name) {
            Lookup::Found(metric) => {
                if source.is_some_and(|source| source != measured.source) {
                    return Err(format!(
                        "files of several tools have it: name those of one ({})",
                        results.iter().map(|(file, _)| file.as_str()).collect::<Vec<_>>().join(", ")
                    ));
                }
                source = Some(measured.source);
                metrics.push(*metric);
            }
            Lookup::Ambiguous(names) => {
                let names: Vec<&str> = names.iter().take(4).map(String::as_str).collect();
                return Err(format!("{file} has several: name one, such as {}", names.join(", ")));
            }
            Lookup::Missing(names) => {
                without.push((file, measured));
                near.extend(names);
            }
        }
    }
    let Some(source) = source else {
        if results.is_empty() {
            return Err("no file with results was given".to_owned());
        }
        near.dedup();
        near.truncate(3);
        let near = if near.is_empty() { String::new() } else { format!("; there are {}", near.join(", ")) };
        // A tool that can't measure it says so itself.
        let notes = without.iter().flat_map(|(_, measured)| &measured.notes);
        let hint = notes.into_iter().find(|note| name.split('_').any(|word| word.len() > 2 && note.contains(word)));
        let hint = hint.map_or(String::new(), |note| format!(" ({note})"));
        return Err(format!("it was not measured{near}{hint}"));
    };
    // Of several runs all must have it: the ones without may be the bad ones.
    if let Some((file, _)) = without.iter().find(|(_, measured)| measured.source == source) {
        return Err(format!("{file} has no such figure, other runs have"));
    }
    let like = |metric: &&Metric| (metric.unit == metrics[0].unit) && metric.direction == metrics[0].direction;
    if let Some(other) = metrics.iter().find(|metric| !like(metric)) {
        return Err(format!("its unit or direction differs between files: {:?} and {:?}", metrics[0].unit, other.unit));
    }
    let values: Vec<f64> = metrics.iter().map(|metric| metric.value).collect();
    Ok(match metrics.as_slice() {
        [one] => Found { value: one.value, ci: one.ci, metrics },
        _ => Found { value: values.iter().sum::<f64>() / values.len() as f64, ci: mean_interval(&values), metrics },
    })
}

fn one_side(
    name: &str,
    kind: LimitKind,
    limit: Option<f64>,
    warn: Option<f64>,
    found: &Result<Found, String>,
    policy: &Policy,
) -> Check {
    let mut check = Check::new(name, kind, limit.or(warn));
    let found = match found {
        Ok(found) => found,
        Err(why) => {
            check.why = Some(why.clone());
            return check;
        }
    };
    check.value = Some(found.value);
    check.unit = found.metrics.first().map_or(String::new(), |metric| metric.unit.clone());
    check.ci = found.ci;
    check.runs = found.metrics.len();
    let sign = if kind == LimitKind::Min { -1.0 } else { 1.0 };
    let is_beyond = |value: f64, limit: f64| (value - limit) * sign > 0.0;
    let worst = found.ci.map(|[low, high]| if sign > 0.0 { high } else { low });
    check.status = match limit {
        Some(limit) if is_beyond(found.value, limit) => Status::Fail,
        Some(limit) if worst.is_some_and(|worst| is_beyond(worst, limit)) => {
            check.why = Some("the value lies within, but its interval reaches beyond".to_owned());
            Status::Inconclusive
        }
        _ if warn.is_some_and(|warn| is_beyond(found.value, warn)) => {
            let warn = warn.unwrap_or_default();
            check.why = Some(format!("beyond the warning at {warn}"));
            Status::Warn
        }
        _ => Status::Pass,
    };
    if let Some(limit) = limit.filter(|limit| check.status == Status::Fail && *limit != 0.0) {
        check.severity = severity((found.value - limit) * sign / limit.abs() * 100.0, &policy.severity_pct);
    }
    doubt(&mut check, &[found]);
    check
}

/// A percentile of so few observations that no bound can be given for it is no evidence that a limit is kept.
fn doubt(check: &mut Check, sides: &[&Found]) {
    if !matches!(check.status, Status::Pass | Status::Warn) {
        return;
    }
    let few = sides.iter().find_map(|found| {
        let at = percentile(&found.metrics.first()?.name)?;
        let observed: u64 = found.metrics.iter().map(|metric| metric.n).sum::<Option<u64>>()?;
        let needed = least_observations(at);
        ((observed as f64) < needed).then(|| {
            format!("a percentile of so few values ({observed}) has no upper bound: {needed} and more are needed")
        })
    });
    if let Some(few) = few {
        check.status = Status::Inconclusive;
        check.why = Some(few);
    }
}

/// The fraction that a name such as `p99_9_latency_ms` is of.
fn percentile(name: &str) -> Option<f64> {
    let mut words = name.strip_prefix('p')?.split(['_', '{']);
    let whole = words.next().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))?;
    let fraction = words.next().filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()));
    let percent: f64 = format!("{whole}.{}", fraction.unwrap_or("0")).parse().ok()?;
    (0.0 < percent && percent < 100.0).then_some(percent / 100.0)
}

/// The fewest observations of which the largest lies above a quantile with 97.5 %: `1 − pⁿ` (David & Nagaraja, "Order
/// Statistics", 7.1).
fn least_observations(at: f64) -> f64 {
    (0.025_f64.ln() / at.ln()).ceil()
}

/// How much worse than before, against what is allowed, or without a limit against the steps of severity.
fn regression(
    name: &str,
    limit: Option<f64>,
    direction: Option<Direction>,
    [before, after]: [&Result<Found, String>; 2],
    policy: &Policy,
) -> Check {
    let kind = if limit.is_some() { LimitKind::MaxRegression } else { LimitKind::Regression };
    let mut check = Check::new(name, kind, limit);
    let (before, after, direction) = match (before, after, direction) {
        (Ok(before), Ok(after), Some(direction)) => (before, after, direction),
        (_, Err(why), _) | (Err(why), ..) => {
            check.why = Some(why.clone());
            return check;
        }
        _ => return check,
    };
    if let (Some(was), Some(is)) = (before.metrics.first(), after.metrics.first())
        && was.unit != is.unit
    {
        check.why = Some(format!("its unit was {:?} in the baseline, and is {:?} now", was.unit, is.unit));
        return check;
    }
    check.value = Some(after.value);
    check.baseline = Some(before.value);
    check.unit = after.metrics.first().map_or(String::new(), |metric| metric.unit.clone());
    check.runs = after.metrics.len();
    let Some(change) = change(before, after) else {
        from_zero(&mut check, direction, after, policy);
        return check;
    };
    let worse = |ratio: f64| if direction == Direction::Lower { ratio * 100.0 } else { -ratio * 100.0 };
    let percent = worse(change.ratio);
    check.change_pct = Some(percent);
    check.ci = change.interval.map(|bounds| bounds.map(worse)).map(|[a, b]| [a.min(b), a.max(b)]);
    check.severity = severity(percent, &policy.severity_pct);
    check.why = Some(change.evidence);
    check.status = match limit {
        Some(limit) if percent > limit => Status::Fail,
        Some(limit) if check.ci.is_some_and(|[_, high]| high > limit) => Status::Inconclusive,
        _ if check.severity.is_some() => Status::Warn,
        _ => Status::Pass,
    };
    doubt(&mut check, &[before, after]);
    check
}

/// A baseline of 0 has no percentages; a figure that is to be low and rose from there is worse by more than any.
fn from_zero(check: &mut Check, direction: Direction, after: &Found, policy: &Policy) {
    if after.value == 0.0 {
        check.status = Status::Pass;
        return;
    }
    if direction == Direction::Higher {
        check.status = Status::Inconclusive;
        check.why = Some("the baseline is 0: there is no change in percent; limit it by max or min".to_owned());
        return;
    }
    if after.value < 0.0 {
        check.status = Status::Pass;
        check.why = Some("the baseline is 0, and it fell below".to_owned());
        return;
    }
    if after.ci.is_some_and(|[low, _]| low <= 0.0) {
        check.status = Status::Inconclusive;
        check.why =
            Some("the baseline is 0: any rise is beyond every percentage, but its interval reaches 0".to_owned());
        return;
    }
    check.status = if check.limit.is_some() { Status::Fail } else { Status::Warn };
    check.severity = severity(f64::INFINITY, &policy.severity_pct);
    check.why = Some("the baseline is 0: any rise is beyond every percentage".to_owned());
}

/// A change as a fraction of the value before.
struct Change {
    ratio: f64,
    interval: Option<[f64; 2]>,
    evidence: String,
}

/// `None` if the value before is 0.
fn change(before: &Found, after: &Found) -> Option<Change> {
    if before.value == 0.0 {
        return None;
    }
    let runs = [before, after].map(|found| found.metrics.iter().map(|metric| metric.value).collect::<Vec<_>>());
    let ratio = (after.value - before.value) / before.value.abs();
    let positive = runs.iter().flatten().all(|value| *value > 0.0);
    let logs = || runs.each_ref().map(|runs| runs.iter().map(|value| value.ln()).collect::<Vec<_>>());
    let fewest = runs[0].len().min(runs[1].len());
    // Ratios are compared as differences of logarithms.
    if positive && fewest >= ranks::LEAST_RUNS {
        let [before, after] = logs();
        let shift = mann_whitney(&before, &after)?;
        return Some(Change {
            ratio: shift.shift.exp() - 1.0,
            interval: Some(shift.interval.map(|bound| bound.exp() - 1.0)),
            evidence: format!("{} and {} runs (Hodges–Lehmann)", before.len(), after.len()),
        });
    }
    if positive && fewest >= 2 {
        let values =
            logs().map(|logs| logs.iter().map(|value| RunValue { value: *value, variance: 0.0 }).collect::<Vec<_>>());
        let test = welch(&values[0], &values[1])?;
        return Some(Change {
            ratio: test.delta.exp() - 1.0,
            interval: Some(test.interval.map(|bound| bound.exp() - 1.0)),
            evidence: format!("{} and {} runs (Welch)", runs[0].len(), runs[1].len()),
        });
    }
    let halves = [before.ci, after.ci].map(|ci| ci.map(|[low, high]| (high - low) / 2.0));
    let half = match halves {
        [Some(before), Some(after)] => Some(before.hypot(after)),
        _ => None,
    };
    let interval = half.map(|half| {
        let delta = after.value - before.value;
        [delta - half, delta + half].map(|bound| bound / before.value.abs())
    });
    let evidence = match interval {
        Some(_) => "one run each: what differs from run to run is not in the interval",
        None => "one run each, without an interval: 4 runs a side and more would tell how sure it is",
    };
    Some(Change { ratio, interval, evidence: evidence.to_owned() })
}
