//! The table as RFC 4180: every row, shares as fractions of 1.

use burnmark_analysis::diff::Diff;

use crate::top::csv::field;

const HEADER: &str = "function,module,file,line,self_before,self_after,total_before,total_after,cost_before,cost_after,\
                      delta,ci_low,ci_high,q,verdict";

pub(super) fn render(diff: &Diff) -> String {
    let mut text = format!("{HEADER}\r\n");
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    for row in &diff.rows {
        let identity = &row.identity;
        text += &format!(
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\r\n",
            field(&identity.name),
            field(identity.module.as_deref().unwrap_or_default()),
            field(identity.file.as_deref().unwrap_or_default()),
            if identity.line > 0 { identity.line.to_string() } else { String::new() },
            row.before.self_share,
            row.after.self_share,
            row.before.total_share,
            row.after.total_share,
            number(row.before.cost),
            number(row.after.cost),
            row.delta,
            row.interval[0],
            row.interval[1],
            number(row.q),
            row.verdict.word(),
        );
    }
    text
}
