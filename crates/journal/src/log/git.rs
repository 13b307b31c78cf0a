//! Which commit is checked out: read from git's own files, so that no `git` is needed; what only `git` knows (whether
//! files differ, what a short name means) is asked of it where it is there, and unknown where it is not.
//!
//! Works in worktrees and submodules (`.git` is a file), bare repositories, detached and shallow checkouts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;
use super::entry::GitFacts;

/// References that name references: no more than this are followed.
const LONGEST_CHAIN: usize = 10;

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// The folder of `HEAD`.
    pub git_folder: PathBuf,
    /// The top of the checked out files; none in a bare repository.
    pub top: Option<PathBuf>,
}

/// The repository that `folder` lies in.
pub fn find(folder: &Path) -> Option<Repository> {
    let folder = fs::canonicalize(folder).ok()?;
    for top in folder.ancestors() {
        let dot_git = top.join(".git");
        if is_git_folder(&dot_git) {
            return Some(Repository { git_folder: dot_git, top: Some(top.to_owned()) });
        }
        if let Some(named) = read_short(&dot_git).and_then(|text| Some(text.strip_prefix("gitdir:")?.trim().to_owned()))
        {
            let git_folder = top.join(named);
            if is_git_folder(&git_folder) {
                return Some(Repository { git_folder, top: Some(top.to_owned()) });
            }
        }
        if is_git_folder(top) {
            return Some(Repository { git_folder: top.to_owned(), top: None });
        }
    }
    None
}

/// As gitrepository-layout(5) has it. A worktree's folder has its objects elsewhere.
fn is_git_folder(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).exists();
    has("HEAD") && (has("commondir") || (has("objects") && has("refs")))
}

/// What is checked out. `own`: the log's folder, whose changes don't count.
pub fn facts(repository: &Repository, own: &Path) -> GitFacts {
    let (head, branch) = head(&repository.git_folder);
    let head =
        head.or_else(|| ask(repository, &["rev-parse", "--verify", "--quiet", "HEAD"]).filter(|text| is_hash(text)));
    GitFacts { base: None, head, branch, dirty: dirty(repository, own) }
}

/// The hash of a commit that somebody names.
///
/// # Errors
/// When it is no full hash and there is no `git` that knows it.
pub fn resolve(repository: Option<&Repository>, named: &str) -> Result<String, Error> {
    if is_hash(named) {
        return Ok(named.to_ascii_lowercase());
    }
    // What begins with a dash would be an option.
    let known = repository
        .filter(|_| !named.starts_with('-'))
        .and_then(|repository| ask(repository, &["rev-parse", "--verify", "--quiet", &format!("{named}^{{commit}}")]));
    known.filter(|text| is_hash(text)).ok_or_else(|| Error::Git {
        what: format!(
            "no commit {named} is known here: write its full hash (40 or 64 digits), or run where git knows it"
        ),
    })
}

fn head(git_folder: &Path) -> (Option<String>, Option<String>) {
    let Some(text) = read_short(&git_folder.join("HEAD")) else { return (None, None) };
    let text = text.trim();
    if is_hash(text) {
        return (Some(text.to_owned()), None);
    }
    // With another way to keep references (reftable), HEAD says refs/heads/.invalid.
    let Some(name) = text.strip_prefix("ref:").map(str::trim).filter(|name| !name.ends_with("/.invalid")) else {
        return (None, None);
    };
    let branch = name.strip_prefix("refs/heads/").map(str::to_owned);
    (reference(git_folder, name), branch)
}

/// What a reference points to.
fn reference(git_folder: &Path, name: &str) -> Option<String> {
    let common = common_folder(git_folder);
    let mut name = name.to_owned();
    for _ in 0..LONGEST_CHAIN {
        // A name from a file must not lead elsewhere.
        if !name.starts_with("refs/") || name.split('/').any(|part| part.is_empty() || part == "..") {
            return None;
        }
        let loose = [git_folder, &common].into_iter().find_map(|folder| read_short(&folder.join(&name)));
        match loose.as_deref().map(str::trim) {
            Some(text) if is_hash(text) => return Some(text.to_owned()),
            Some(text) => name = text.strip_prefix("ref:")?.trim().to_owned(),
            None => return packed(&common, &name),
        }
    }
    None
}

fn packed(common: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(common.join("packed-refs")).ok()?;
    let mut lines = text.lines().filter(|line| !line.starts_with(['#', '^']));
    let (hash, _) = lines.find_map(|line| line.split_once(' ').filter(|(_, of)| *of == name))?;
    is_hash(hash).then(|| hash.to_owned())
}

/// The folder that worktrees share.
fn common_folder(git_folder: &Path) -> PathBuf {
    read_short(&git_folder.join("commondir")).map_or_else(|| git_folder.to_owned(), |text| git_folder.join(text.trim()))
}

/// A small text file.
fn read_short(path: &Path) -> Option<String> {
    let small = fs::metadata(path).ok().filter(|meta| meta.is_file() && meta.len() < 64 << 10)?;
    let _ = small;
    fs::read_to_string(path).ok()
}

fn is_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether tracked files differ from the commit. Git asks for nothing, changes nothing, and runs no program of the
/// repository's configuration.
fn dirty(repository: &Repository, own: &Path) -> Option<bool> {
    let top = repository.top.as_ref()?;
    let own = fs::canonicalize(own).ok();
    let own = own.as_ref().and_then(|own| own.strip_prefix(top).ok()).filter(|own| !own.as_os_str().is_empty());
    let mut exclude = std::ffi::OsString::from(":(exclude,top,literal)");
    let mut arguments = ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules", "--", ":/"]
        .map(std::ffi::OsString::from)
        .to_vec();
    if let Some(own) = own {
        exclude.push(own);
        arguments.push(exclude);
    }
    run(repository, &arguments).map(|text| !text.trim().is_empty())
}

fn ask(repository: &Repository, arguments: &[&str]) -> Option<String> {
    let arguments: Vec<_> = arguments.iter().map(std::ffi::OsString::from).collect();
    run(repository, &arguments).map(|text| text.trim().to_owned())
}

/// What `git` says; `None` if there is none, or it fails.
fn run(repository: &Repository, arguments: &[std::ffi::OsString]) -> Option<String> {
    let folder = repository.top.as_ref().unwrap_or(&repository.git_folder);
    let output = Command::new("git")
        .args(["-c", "core.fsmonitor=false"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
