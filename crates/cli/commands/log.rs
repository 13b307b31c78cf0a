//! `burnmark log`.

use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use burnmark_journal::log::{self, Draft, GitFacts, Read, git, texts};
use burnmark_report::{JournalOptions, TableForm};

use crate::args::{LogAddArgs, LogArgs, LogCommand, LogFolder, LogListArgs, LogRenderArgs, LogShowArgs, LogVerifyArgs};
use crate::commands::report::bytes;
use crate::commands::top::terminal_width;
use crate::evidence::{self, Keep};
use crate::{inputs, output};

/// Something that was checked is not as it should be.
const EXIT_CHECK_FAILED: u8 = 3;

/// What a new file begins with.
const NEW_FILE: &str = "# Optimization log\n";

/// Adds to the log, or shows it.
pub(crate) fn run(args: &LogArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        LogCommand::Add(args) => add(args),
        LogCommand::List(args) => list(args),
        LogCommand::Show(args) => show(args),
        LogCommand::Render(args) => render(args),
        LogCommand::Verify(args) => verify(args),
    }
}

fn add(args: &LogAddArgs) -> anyhow::Result<ExitCode> {
    if args.bottleneck.trim().is_empty() || args.change.trim().is_empty() {
        bail!("--bottleneck and --change need words: they are the entry's row");
    }
    let here = Path::new(".");
    let repository = git::find(here);
    let folder = folder_to_write(&args.folder, repository.as_ref());
    let base = args.base.as_deref().map(|named| git::resolve(repository.as_ref(), named)).transpose()?;
    let supersedes = match &args.supersedes {
        Some(wanted) => Some(log::find(&read(&folder)?.entries, wanted)?.entry.id),
        None => None,
    };
    let keep = Keep { flame: !args.no_flame, profiles: args.attach_profiles };
    let mut gathered = evidence::gather(&args.evidence, &args.bottleneck, keep)?;
    evidence::attach(&args.attach, &mut gathered)?;
    let supersedes_text = supersedes.map(|id| id.to_string()).unwrap_or_default();
    let mut key: Vec<(&str, &str)> =
        vec![("bottleneck", &args.bottleneck), ("change", &args.change), ("supersedes", &supersedes_text)];
    key.extend(gathered.key.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let key = texts::key(key);
    let facts = repository.as_ref().map(|repository| git::facts(repository, &folder));
    let draft = Draft {
        key,
        unix_ms: evidence::unix_ms(),
        git: facts
            .map(|facts| GitFacts { base: base.clone(), ..facts })
            .or(base.map(|base| GitFacts { base: Some(base), ..GitFacts::default() })),
        bottleneck: args.bottleneck.clone(),
        change: args.change.clone(),
        category: gathered.category,
        supersedes,
        evidence: gathered.evidence,
        attachments: gathered.attachments,
        inputs: gathered.inputs,
    };
    let added = log::add(&folder, &draft)?;
    let entry = &added.stored.entry;
    if added.existed {
        output::say("note: this entry is there already; nothing was added");
    } else {
        let attachments = match entry.attachments.len() {
            0 => String::new(),
            1 => " and an attachment".to_owned(),
            several => format!(" and {several} attachments"),
        };
        output::say(&format!("wrote {}{attachments}", shown(&added.stored.path).display()));
        let read = read(&folder)?;
        let rows = log::rows(&read.entries);
        let row = rows.iter().filter(|row| row.entry.id == entry.id).cloned().collect::<Vec<_>>();
        let form = TableForm::Terminal { width: terminal_width(), colours: output::colours(&std::io::stderr()) };
        output::say_table(burnmark_report::log_list(&row, &form).trim_end());
    }
    output::print(&format!("{}\n", entry.id))?;
    Ok(ExitCode::SUCCESS)
}

/// The path as seen from here, where that is shorter.
fn shown(path: &Path) -> &Path {
    let here = std::env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}

/// The log that is there, from here up to the top of the repository.
fn existing(repository: Option<&git::Repository>) -> Option<PathBuf> {
    let here = std::fs::canonicalize(".").ok()?;
    let top = repository.and_then(|repository| repository.top.clone());
    let folders = here.ancestors().map(|folder| folder.join(log::FOLDER));
    let folders = match top {
        Some(top) => folders.take_while(|folder| folder.starts_with(&top)).collect::<Vec<_>>(),
        None => folders.take(1).collect(),
    };
    folders.into_iter().find(|folder| folder.is_dir())
}

fn folder_to_write(named: &LogFolder, repository: Option<&git::Repository>) -> PathBuf {
    let top = || Some(repository?.top.as_ref()?.join(log::FOLDER));
    named.log.clone().or_else(|| existing(repository)).or_else(top).unwrap_or_else(|| PathBuf::from(log::FOLDER))
}

/// The log's folder, which must be there.
fn folder_to_read(named: &LogFolder) -> anyhow::Result<PathBuf> {
    if let Some(folder) = &named.log {
        if !log::is_log(folder) {
            bail!("there is no log at {}: `burnmark log add --log FOLDER` begins one", folder.display());
        }
        return Ok(folder.clone());
    }
    existing(git::find(Path::new(".")).as_ref())
        .context("there is no log here (.burnmark): `burnmark log add` begins one, --log FOLDER names another")
}

/// The entries; what can't be read is told.
fn read(folder: &Path) -> anyhow::Result<Read> {
    let read = log::read(folder)?;
    for error in &read.damaged {
        output::say(&format!("warning: {error}"));
    }
    for path in &read.altered {
        let path = shown(path).display();
        output::say(&format!("warning: {path} was changed since it was written: `burnmark log verify` says more"));
    }
    Ok(read)
}

fn list(args: &LogListArgs) -> anyhow::Result<ExitCode> {
    let read = read(&folder_to_read(&args.folder)?)?;
    let form = match (args.form.md, args.form.csv, args.form.json) {
        (true, _, _) => TableForm::Markdown,
        (_, true, _) => TableForm::Csv,
        (_, _, true) => TableForm::Json,
        _ => TableForm::Terminal { width: terminal_width(), colours: output::colours(&std::io::stdout()) },
    };
    output::print(&burnmark_report::log_list(&log::rows(&read.entries), &form))?;
    Ok(ExitCode::SUCCESS)
}

fn show(args: &LogShowArgs) -> anyhow::Result<ExitCode> {
    let folder = folder_to_read(&args.folder)?;
    let read = read(&folder)?;
    let stored = log::find(&read.entries, &args.entry)?;
    if args.json {
        let rows = log::rows(&read.entries);
        // An entry that was corrected has no row any more.
        let row = rows.into_iter().find(|row| row.entry.id == stored.entry.id).unwrap_or(log::Row {
            number: 0,
            entry: &stored.entry,
            replaces: Vec::new(),
        });
        output::print(&burnmark_report::log_json(&[row]))?;
    } else {
        let options = JournalOptions { bytes: None, log: Some(shown(&folder).display().to_string()) };
        output::print(&burnmark_report::report(&stored.entry, &options))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn render(args: &LogRenderArgs) -> anyhow::Result<ExitCode> {
    let folder = folder_to_read(&args.folder)?;
    let read = read(&folder)?;
    if !read.damaged.is_empty() && args.file.is_some() {
        bail!("an entry can't be read, so its row would be missing: `burnmark log verify` says what to do");
    }
    let rows = log::rows(&read.entries);
    let mut options = JournalOptions { bytes: bytes(&args.fit), log: None };
    let Some(file) = args.file.as_deref().filter(|file| !output::is_stdout(file)) else {
        output::print(&burnmark_report::log(&rows, &options))?;
        return Ok(ExitCode::SUCCESS);
    };
    options.log = way(file, &folder);
    let before = match inputs::text_file(file) {
        Ok(bytes) => Some(String::from_utf8(bytes).with_context(|| format!("{} is no text", file.display()))?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let document = before.as_deref().unwrap_or(NEW_FILE);
    let spliced = burnmark_report::splice(document, &burnmark_report::log(&rows, &options))
        .with_context(|| format!("{} is left as it is", file.display()))?;
    let same = before.as_deref() == Some(spliced.text.as_str());
    if args.check {
        if same && read.altered.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        if same {
            return Ok(ExitCode::from(EXIT_CHECK_FAILED));
        }
        output::say(&format!("{0} is not as the log's entries say: run `burnmark log render {0}`", file.display()));
        return Ok(ExitCode::from(EXIT_CHECK_FAILED));
    }
    if same {
        output::say(&format!("{} is up to date", file.display()));
        return Ok(ExitCode::SUCCESS);
    }
    output::write_file(file, |out| Ok(out.write_all(spliced.text.as_bytes())?))?;
    let end = if spliced.found || before.is_none() { "" } else { ": it had no marks, so the log stands at its end" };
    output::say(&format!("wrote {}{end}", file.display()));
    Ok(ExitCode::SUCCESS)
}

/// How links get from a file's folder to the log's: `../.burnmark`.
fn way(file: &Path, log: &Path) -> Option<String> {
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (from, to) = (std::fs::canonicalize(folder).ok()?, std::fs::canonicalize(log).ok()?);
    let common = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(common).map(|_| "..".to_owned());
    let down = to.components().skip(common).filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    let parts: Vec<String> = up.chain(down).collect();
    Some(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

fn verify(args: &LogVerifyArgs) -> anyhow::Result<ExitCode> {
    let folder = folder_to_read(&args.folder)?;
    let verified = if args.repair { log::repair(&folder)? } else { log::verify(&folder)? };
    if args.json {
        output::print(&burnmark_report::verify_json(&verified))?;
    } else {
        let mut text = String::new();
        for line in &verified.mended {
            text += &format!("{line}\n");
        }
        for problem in &verified.problems {
            text += &format!("{}: {}\n", problem.path, problem.what);
        }
        let mendable = verified.problems.iter().filter(|problem| problem.mendable).count();
        let next = match (args.repair, verified.problems.len()) {
            (_, 0) => String::new(),
            (true, _) => {
                "; --repair can't mend what is left: bring these files back from version control (`git log -- \
                          PATH` finds them) or a backup"
                    .to_owned()
            }
            (false, _) if mendable > 0 => format!("; `burnmark log verify --repair` mends {mendable} of them"),
            (false, _) => String::new(),
        };
        text += &format!(
            "{} entries, {} attachments, {} problems{next}\n",
            verified.entries,
            verified.attachments,
            verified.problems.len(),
        );
        output::print(&burnmark_report::message(&text))?;
    }
    Ok(if verified.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_CHECK_FAILED) })
}
