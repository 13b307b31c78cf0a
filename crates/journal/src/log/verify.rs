//! Is the log whole? What interrupted writing, merging and editing by hand leave behind, told and mended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::Error;
use super::attach::{self, State, TEMPORARY, hash_file, state};
use super::entry::{Attachment, Entry};
use super::store::{ENTRIES, file_name, files, is_entry, lock, parse, parts, seal_holds};
use super::ulid::Ulid;

/// Something that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, below the log's folder.
    pub path: String,
    /// What is wrong, and what to do.
    pub what: String,
    /// Whether `repair` mends it.
    pub mendable: bool,
}

/// What looking at a log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Entries that can be read.
    pub entries: usize,
    /// Attachments that are whole.
    pub attachments: usize,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What was mended, in sentences.
    pub mended: Vec<String>,
}

/// How a problem is mended.
enum Mend {
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
    Copy(PathBuf, PathBuf),
}

/// Looks at every file of the log at `folder`.
///
/// # Errors
/// When a folder can't be read.
pub fn verify(folder: &Path) -> Result<Verified, Error> {
    Ok(look(folder)?.0)
}

/// Mends what can be mended: removes what an interrupted `add` left, names files by their entries, brings back
/// attachments from copies with the same content. Then looks again.
///
/// # Errors
/// When a folder can't be read, or a file can't be changed.
pub fn repair(folder: &Path) -> Result<Verified, Error> {
    let entries = folder.join(ENTRIES);
    if !entries.is_dir() {
        return verify(folder);
    }
    let _lock = lock(&entries)?;
    let (_, mends) = look(folder)?;
    let mut mended = Vec::new();
    let shown = |path: &Path| path.strip_prefix(folder).unwrap_or(path).display().to_string();
    for mend in mends {
        match mend {
            Mend::Remove(path) => {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                // Its folder too, if nothing else is in it.
                _ = path
                    .parent()
                    .filter(|parent| parent.parent() == Some(&folder.join(attach::FOLDER)))
                    .map(fs::remove_dir);
                mended.push(format!("removed {}", shown(&path)));
            }
            Mend::Rename(from, to) => {
                fs::rename(&from, &to).map_err(Error::io("rename", &from))?;
                mended.push(format!("renamed {} to {}", shown(&from), shown(&to)));
            }
            Mend::Copy(from, to) => {
                copy(&from, &to)?;
                mended.push(format!("brought back {} from {}", shown(&to), shown(&from)));
            }
        }
    }
    Ok(Verified { mended, ..verify(folder)? })
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let folder = to.parent().unwrap_or(to);
    attach::make_folder(folder)?;
    let mut temporary = attach::temporary_in(folder)?;
    let mut file = fs::File::open(from).map_err(Error::io("read", from))?;
    std::io::copy(&mut file, temporary.as_file_mut()).map_err(Error::io("write", to))?;
    temporary.as_file().sync_all().map_err(Error::io("write", to))?;
    temporary.persist(to).map_err(|error| error.error).map_err(Error::io("write", to))?;
    Ok(())
}

const IS_LINK: &str = "it is a link: what belongs to the log lies in its folder";

/// Names with a dot are other tools' business, but for our own unfinished files, which are told elsewhere.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// What is found, and how to mend it.
struct Look<'a> {
    folder: &'a Path,
    verified: Verified,
    mends: Vec<Mend>,
}

impl Look<'_> {
    fn problem(&mut self, path: &Path, what: String, mend: Option<Mend>) {
        let path = path.strip_prefix(self.folder).unwrap_or(path).display().to_string();
        self.verified.problems.push(Problem { path, what, mendable: mend.is_some() });
        self.mends.extend(mend);
    }
}

fn look(folder: &Path) -> Result<(Verified, Vec<Mend>), Error> {
    let mut look = Look { folder, verified: Verified::default(), mends: Vec::new() };
    let [entries_folder, attachments_folder] = parts(folder);
    let mut entries: BTreeMap<Ulid, (Entry, PathBuf)> = BTreeMap::new();
    for part in [&entries_folder, &attachments_folder] {
        if fs::symlink_metadata(part).is_ok_and(|meta| meta.is_symlink()) {
            look.problem(part, IS_LINK.to_owned(), None);
        }
    }
    for path in listed(&entries_folder)?.into_iter().filter(|path| !is_entry(path) && !is_hidden(path)) {
        look.problem(&path, "it is no entry, by its name: entries end in .json".to_owned(), None);
    }
    for path in files(&entries_folder)? {
        match parse(&path) {
            Ok((entry, text)) => one_entry(&mut look, entry, &text, path, &mut entries),
            Err(error) => {
                let what =
                    format!("{}; if git has it, `git checkout -- {}` brings it back", cause(&error), path.display());
                look.problem(&path, what, None);
            }
        }
    }
    look.verified.entries = entries.len();
    between_entries(&mut look, &entries);
    let all = attached_files(&mut look, &attachments_folder)?;
    let mut named = BTreeSet::new();
    for (entry, path) in entries.values() {
        for attachment in &entry.attachments {
            if named.insert(attachment.path.clone()) {
                one_attachment(&mut look, entry, path, attachment, &all);
            }
        }
    }
    // With entries that can't be read, nobody knows what they name.
    let readable = look.verified.problems.iter().all(|problem| !problem.path.starts_with(ENTRIES) || problem.mendable)
        || files(&entries_folder)?.len() == entries.len();
    let orphaned = !all.is_empty() && !entries_folder.is_dir();
    if orphaned {
        let what = format!(
            "it is missing, with all entries: if git has it, `git checkout -- {}` brings it back",
            entries_folder.display()
        );
        look.problem(&entries_folder, what, None);
    }
    let readable = readable && !orphaned;
    for path in all {
        let relative = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        if !named.contains(&relative) {
            let what = "no entry names it: an interrupted `log add` leaves such files".to_owned();
            look.problem(&path, what, readable.then(|| Mend::Remove(path.clone())));
        }
    }
    for part in [folder, &entries_folder, &attachments_folder] {
        temporaries(&mut look, part)?;
    }
    Ok((look.verified, look.mends))
}

/// An error's text without the path, which stands beside it.
fn cause(error: &Error) -> String {
    match error {
        Error::BadEntry { why, .. } => format!("no entry can be read from it: {why}"),
        error => error.to_string(),
    }
}

fn one_entry(
    look: &mut Look<'_>,
    entry: Entry,
    text: &str,
    path: PathBuf,
    entries: &mut BTreeMap<Ulid, (Entry, PathBuf)>,
) {
    if !seal_holds(text, &entry.seal) {
        let what = "it was changed after it was written: entries are never edited; a correction is a new entry (`log add \
                    --supersedes ID`)";
        look.problem(&path, what.to_owned(), None);
    }
    let right = path.with_file_name(file_name(&entry));
    let begins = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&entry.id.to_string()));
    if let Some((_, other)) = entries.get(&entry.id) {
        let what = format!("it has the id of {}: one of them is a copy", other.display());
        look.problem(&path, what, None);
        return;
    }
    if !begins {
        let mend = (!right.exists()).then(|| Mend::Rename(path.clone(), right));
        look.problem(&path, format!("its name does not begin with its id, {}", entry.id), mend);
    }
    entries.insert(entry.id, (entry, path));
}

/// What entries say of each other.
fn between_entries(look: &mut Look<'_>, entries: &BTreeMap<Ulid, (Entry, PathBuf)>) {
    let mut corrected: BTreeMap<Ulid, Ulid> = BTreeMap::new();
    for (id, (entry, path)) in entries {
        let Some(earlier) = entry.supersedes else { continue };
        if !entries.contains_key(&earlier) || earlier >= *id {
            look.problem(path, format!("it corrects {earlier}, which is no earlier entry of this log"), None);
        } else if let Some(other) = corrected.insert(earlier, *id) {
            let what = format!(
                "{other} corrects {earlier} as well: correct one of them by the other (`log add --supersedes`)"
            );
            look.problem(path, what, None);
        }
    }
}

fn one_attachment(look: &mut Look<'_>, entry: &Entry, path: &Path, attachment: &Attachment, all: &[PathBuf]) {
    let what = match state(look.folder, attachment) {
        State::Whole => {
            look.verified.attachments += 1;
            return;
        }
        State::Unreadable(why) => return look.problem(path, format!("an attachment of it: {why}"), None),
        State::Missing => "is missing",
        State::Damaged => "was changed",
    };
    let target = look.folder.join(&attachment.path);
    let same =
        |other: &&PathBuf| **other != target && hash_file(other).is_ok_and(|(sha256, _)| sha256 == attachment.sha256);
    let mend = all.iter().find(same).map(|other| Mend::Copy(other.clone(), target.clone()));
    let next = match mend {
        Some(_) => "another file has its content".to_owned(),
        None => format!("if git has it, `git checkout -- {}` brings it back", target.display()),
    };
    look.problem(&target, format!("the {} of entry {} {what}: {next}", attachment.role, entry.id), mend);
}

/// All files in folders of attachments; what else is there is told.
fn attached_files(look: &mut Look<'_>, attachments: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    if fs::symlink_metadata(attachments).is_ok_and(|meta| meta.is_symlink()) {
        return Ok(found);
    }
    for folder in listed(attachments)? {
        let meta = fs::symlink_metadata(&folder).map_err(Error::io("read", &folder))?;
        if meta.is_symlink() {
            look.problem(&folder, IS_LINK.to_owned(), None);
        } else if !meta.is_dir() && !is_hidden(&folder) {
            let what = "it is no file of the log: attachments lie in folders named by their hash (`log add --attach`)";
            look.problem(&folder, what.to_owned(), None);
        } else if meta.is_dir() {
            for path in listed(&folder)? {
                let is_file = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file());
                if is_file && !is_temporary(&path) {
                    found.push(path);
                } else if !is_file {
                    look.problem(&path, "it is no file of the log".to_owned(), None);
                }
            }
            temporaries(look, &folder)?;
        }
    }
    Ok(found)
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(Error::io("read", folder))?,
    };
    let paths: Result<Vec<PathBuf>, _> = listed.map(|file| file.map(|file| file.path())).collect();
    let mut paths = paths.map_err(Error::io("read", folder))?;
    paths.sort();
    Ok(paths)
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TEMPORARY))
}

/// Files that did not become whole.
fn temporaries(look: &mut Look<'_>, folder: &Path) -> Result<(), Error> {
    for path in listed(folder)?.into_iter().filter(|path| is_temporary(path)) {
        let what = "it is the beginning of a file: `log add` was interrupted while it wrote it".to_owned();
        look.problem(&path, what, Some(Mend::Remove(path.clone())));
    }
    Ok(())
}
