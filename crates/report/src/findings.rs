//! Findings and the shares of categories, for people and for scripts.

use burnmark_analysis::{CategoryShare, Finding, FindingKind, Priority};
use serde_json::{Value, json};

use crate::TableForm;
use crate::names::printable;
use crate::numbers::percent;
use crate::top::markdown::{code, escaped, with_names};

/// Findings as a list: what, with which evidence, and where to look. Says so if there are none. JSON and CSV carry
/// none: [`findings_json`] has them.
pub fn findings(findings: &[Finding], form: &TableForm) -> String {
    let markdown = match form {
        TableForm::Markdown => true,
        TableForm::Terminal { .. } => false,
        TableForm::Csv | TableForm::Json => return String::new(),
    };
    let mut text = String::from(if markdown { "\n**Findings**\n\n" } else { "findings:\n" });
    if findings.is_empty() {
        text.push_str(if markdown { "None.\n" } else { "  none: no pattern reaches its threshold\n" });
    }
    for finding in findings {
        let priority = priority(finding.priority());
        if markdown {
            text.push_str(&format!(
                "- **{}** ({priority}): {}. Look at: {}.\n",
                escaped(&finding.title),
                evidence_markdown(finding),
                escaped(&finding.action)
            ));
        } else {
            text.push_str(&format!(
                "  {} ({priority}): {}\n    hint: {}\n",
                finding.title,
                printable(&finding.evidence),
                printable(&finding.action)
            ));
        }
    }
    text
}

/// Names stand between backticks, and may have some: the function's own is known.
fn evidence_markdown(finding: &Finding) -> String {
    let function = finding.function.as_ref().filter(|function| !function.is_empty());
    let parts = function.and_then(|name| Some((finding.evidence.split_once(&format!("`{name}`"))?, name)));
    match parts {
        Some(((before, after), name)) => with_names(before) + &code(name) + &with_names(after),
        None => with_names(&finding.evidence),
    }
}

/// The categories of a profile, with what each has by itself and where to look: one line each.
pub fn categories(shares: &[CategoryShare<'_>], form: &TableForm) -> String {
    let markdown = match form {
        TableForm::Markdown => true,
        TableForm::Terminal { .. } => false,
        TableForm::Csv | TableForm::Json => return String::new(),
    };
    let mut text = String::from(if markdown { "\n**By category**\n\n" } else { "by category:\n" });
    let (mut rest, mut others) = (0.0, 0);
    for share in shares {
        let Some(category) = share.category else {
            rest += share.self_share;
            continue;
        };
        // What rounds to nothing has no hint to follow.
        if share.self_share < 0.01 {
            others += 1;
            rest += share.self_share;
            continue;
        }
        let part = percent(share.self_share);
        text.push_str(&match markdown {
            true => format!("- {part} % {}: {}\n", escaped(&category.name), escaped(&category.action)),
            false => format!("  {part:>5} % {}: {}\n", printable(&category.name), printable(&category.action)),
        });
    }
    let rest = percent(rest);
    let rest = match others {
        0 => format!("{rest} % has no category"),
        _ => format!("{rest} % has no category, or one of {others} with less than 1 %"),
    };
    text.push_str(&if markdown { format!("- {rest}\n") } else { format!("  {rest}\n") });
    text
}

/// Findings for scripts: `[{kind, title, function, module, share, threshold, priority, evidence, action}]`.
pub fn findings_json(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        json!({
            "kind": kind(finding.kind),
            "title": finding.title,
            "function": finding.function,
            "module": finding.module,
            "share": finding.share,
            "threshold": finding.threshold,
            "priority": priority(finding.priority()),
            "evidence": finding.evidence,
            "action": finding.action,
        })
    };
    findings.iter().map(one).collect()
}

/// The kind in JSON.
fn kind(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Plateau => "plateau",
        FindingKind::WideBase => "wide_base",
        FindingKind::Recursion => "recursion",
        FindingKind::Logging => "logging",
        FindingKind::Allocation => "allocation",
        FindingKind::Gc => "gc",
        FindingKind::Locking => "locking",
        FindingKind::Serialization => "serialization",
        FindingKind::Regex => "regex",
        FindingKind::Exceptions => "exceptions",
        FindingKind::KernelMemory => "kernel_memory",
        FindingKind::Jit => "jit",
        FindingKind::StartUp => "start_up",
        _ => "other",
    }
}

/// In a word.
fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Medium => "medium",
        Priority::High => "high",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> Finding {
        Finding {
            kind: FindingKind::Plateau,
            title: "one function does much of the work itself".to_owned(),
            function: Some("a|b`<x>".to_owned()),
            module: None,
            share: 0.3,
            threshold: 0.1,
            evidence: "`a|b`<x>`: 30.0 % by itself".to_owned(),
            action: "look".to_owned(),
        }
    }

    #[test]
    fn evidence_is_no_markup() {
        let text = findings(&[finding()], &TableForm::Markdown);
        assert!(text.contains("(high): a&#124;b\\`&lt;x&gt;: 30.0 % by itself. Look at: look."), "{text}");
        let plain = Finding { evidence: "`a::b<c>`, regex: 30.0 % by itself".to_owned(), ..finding() };
        let text = findings(&[plain], &TableForm::Markdown);
        assert!(text.contains("(high): `a::b<c>`, regex: 30.0 % by itself."), "{text}");
        assert!(findings(&[], &TableForm::Markdown).contains("None."));
        assert_eq!(findings_json(&[finding()])[0]["kind"], "plateau");
        assert_eq!(findings_json(&[finding()])[0]["priority"], "high");
    }
}
