//! Standard output, standard error and output files.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use burnmark_model::Warning;
use burnmark_report::message;

/// The most warnings of one input that are printed; the rest are counted.
const WARNINGS_SHOWN: usize = 10;

/// Whether the error is only that nobody reads our output any more (`burnmark top x | head`).
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}

/// Prints an error with its causes.
pub(crate) fn print_error(error: &anyhow::Error) {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // Libraries say the whole story in their own message: a cause that is already in it is not repeated.
        if !text.contains(&cause) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&cause);
        }
    }
    say_marked("error", "1;31", &text);
}

/// Prints what was wrong with an input.
pub(crate) fn print_warnings(name: &str, warnings: &[Warning]) {
    for warning in warnings.iter().take(WARNINGS_SHOWN) {
        say_marked("warning", "1;33", &format!("{name}: {warning}"));
    }
    if let Some(more) = warnings.len().checked_sub(WARNINGS_SHOWN).filter(|more| *more > 0) {
        say_marked("warning", "1;33", &format!("{name}: {more} more warnings (`burnmark info --json` lists all)"));
    }
}

/// Prints a line for the person at the terminal. Names of files and their contents may be part of it, and do nothing to
/// the terminal.
pub(crate) fn say(line: &str) {
    say_table(&message(line));
}

fn say_marked(mark: &str, code: &str, text: &str) {
    say_table(&format!("{}: {}", paint(mark, code), message(text)));
}

/// Prints text that may have colours, and in which names are escaped already. A closed standard error is nothing to fail
/// for.
pub(crate) fn say_table(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", inert(line));
}

/// Text of which no line is a command of GitHub's runner (`::error::…`, in logs of workflows): a line may begin with a
/// function's name, which is anybody's. The first colon is written as an escape then.
fn inert(text: &str) -> Cow<'_, str> {
    let is_command = |line: &str| line.trim_start().strip_prefix("::").is_some_and(|rest| rest.contains("::"));
    if !text.lines().any(is_command) {
        return text.into();
    }
    let line = |line: &str| match is_command(line) {
        true => line.replacen(':', "\\x3a", 1),
        false => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect::<String>().into()
}

fn paint(text: &str, code: &str) -> String {
    if colours(&io::stderr()) { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Whether to colour what goes to `stream`: only on a terminal, and not with `NO_COLOR` set.
pub(crate) fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes results to standard output.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(inert(text).as_bytes()).and_then(|()| stdout.flush()).context("cannot write to standard output")
}

/// Where output goes: `-` is standard output.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Writes a file whole or not at all: under a temporary name in the same folder, then renamed. A device or pipe is
/// written to directly; `-` is standard output.
pub(crate) fn write_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    if is_stdout(path) {
        let mut stdout = io::BufWriter::new(io::stdout().lock());
        write(&mut stdout)?;
        return Ok(stdout.flush()?);
    }
    let cannot = || format!("cannot write {}", path.display());
    if std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
        let mut file = io::BufWriter::new(std::fs::OpenOptions::new().write(true).open(path).with_context(cannot)?);
        write(&mut file)?;
        return file.flush().with_context(cannot);
    }
    anyhow::ensure!(!path.is_dir(), "cannot write {}: it is a directory; name a file in it", path.display());
    // A link is written through: what it points to is replaced, not the link.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut temporary = tempfile::Builder::new()
        .prefix(&prefix(&target))
        .suffix(".tmp")
        .tempfile_in(folder(&target))
        .with_context(cannot)?;
    let mut buffered = io::BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
    write(&mut buffered)?;
    buffered.flush().with_context(cannot)?;
    drop(buffered);
    set_mode(&temporary, &target).with_context(cannot)?;
    temporary.persist(&target).map_err(|error| error.error).with_context(cannot)?;
    Ok(())
}

/// Gives the file the mode it would have had if it had been created, or overwritten, in place.
fn set_mode(temporary: &tempfile::NamedTempFile, target: &Path) -> io::Result<()> {
    let permissions = match std::fs::metadata(target) {
        Ok(old) => old.permissions(),
        Err(_) => {
            use std::os::unix::fs::PermissionsExt;
            std::fs::Permissions::from_mode(0o666 & !umask())
        }
    };
    temporary.as_file().set_permissions(permissions)
}

/// The process's file mode creation mask (proc_pid_status(5)); the usual one where it can't be read.
fn umask() -> u32 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?.trim().to_owned();
            u32::from_str_radix(&mask, 8).ok()
        })
        .unwrap_or(0o022)
}

fn prefix(path: &Path) -> std::ffi::OsString {
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(path.file_name().unwrap_or(OsStr::new("burnmark")));
    prefix
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
