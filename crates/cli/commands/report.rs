//! `burnmark report`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use burnmark_journal::log::{Entry, SCHEMA, Ulid};
use burnmark_report::{COMMENT_BYTES, JournalOptions, SUMMARY_BYTES};

use crate::args::{FitArgs, GithubPlace, ReportArgs};
use crate::evidence::{self, Gathered, Keep};
use crate::output;

/// Reads both sides and writes the report.
pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let named = by_name(&args.output)?;
    if args.json && named == Some(false) {
        bail!(
            "{} is Markdown by its name, and --json asks for JSON: name it .json, or leave --json out",
            args.output.display()
        );
    }
    let json = args.json || named == Some(true);
    let mut gathered =
        evidence::gather(&args.evidence, args.bottleneck.as_deref().unwrap_or_default(), Keep::default())?;
    let function = gathered.function.take();
    let bottleneck = args.bottleneck.clone().or(function).unwrap_or_default();
    let entry = unkept(gathered, bottleneck, args);
    let text = match json {
        true => burnmark_report::report_json(&entry),
        false => burnmark_report::report(&entry, &JournalOptions { bytes: bytes(&args.fit), log: None }),
    };
    if output::is_stdout(&args.output) {
        output::print(&text)?;
    } else {
        output::write_file(&args.output, |out| Ok(out.write_all(text.as_bytes())?))?;
        output::say(&format!("wrote {}", args.output.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// An entry that is not added to a log.
fn unkept(gathered: Gathered, bottleneck: String, args: &ReportArgs) -> Entry {
    Entry {
        schema: SCHEMA.to_owned(),
        id: Ulid::after(None, 0),
        key: String::new(),
        time: String::new(),
        git: None,
        bottleneck,
        change: args.change.clone().unwrap_or_default(),
        category: gathered.category,
        supersedes: None,
        evidence: gathered.evidence,
        attachments: Vec::new(),
        inputs: gathered.inputs,
        seal: String::new(),
    }
}

/// Whether a file's name asks for JSON (or else Markdown), if it says.
fn by_name(path: &Path) -> anyhow::Result<Option<bool>> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json") => Ok(Some(true)),
        Some("md" | "markdown") => Ok(Some(false)),
        // A pipe or device takes Markdown, and so does standard output.
        _ if output::is_stdout(path) || (path.exists() && !path.is_file() && !path.is_dir()) => Ok(None),
        _ => bail!("{}: the extension says nothing that can be written: use .md or .json", path.display()),
    }
}

/// How many bytes there is room for.
pub(crate) fn bytes(fit: &FitArgs) -> Option<usize> {
    fit.github.map(|place| match place {
        GithubPlace::Comment => COMMENT_BYTES,
        GithubPlace::Summary => SUMMARY_BYTES,
    })
}
