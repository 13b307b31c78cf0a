//! `burnmark metrics`.

use std::process::ExitCode;

use burnmark_report::{TableForm, metrics};

use crate::args::{FormArgs, MetricsArgs};
use crate::{output, results};

/// Reads results and prints what was understood.
pub(crate) fn run(args: &MetricsArgs) -> anyhow::Result<ExitCode> {
    let mut read = Vec::new();
    for path in &args.files {
        read.extend(results::read(path)?);
    }
    output::print(&metrics(&read, &form(&args.form)))?;
    Ok(ExitCode::SUCCESS)
}

/// The form that the flags ask for.
pub(crate) fn form(form: &FormArgs) -> TableForm {
    match (form.md, form.csv, form.json) {
        (true, _, _) => TableForm::Markdown,
        (_, true, _) => TableForm::Csv,
        (_, _, true) => TableForm::Json,
        _ => TableForm::Terminal { width: super::top::terminal_width(), colours: output::colours(&std::io::stdout()) },
    }
}

/// The form that a file's name asks for.
pub(crate) fn by_name(path: &std::path::Path) -> Option<TableForm> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    match name.rsplit_once('.')?.1 {
        "md" | "markdown" => Some(TableForm::Markdown),
        "csv" => Some(TableForm::Csv),
        "json" => Some(TableForm::Json),
        _ => None,
    }
}
