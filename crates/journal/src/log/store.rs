//! Entries on disk: added, read, found, numbered.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use super::Error;
use super::attach::{self, NewAttachment, keep, make_folder, temporary_in};
use super::entry::{Entry, Evidence, GitFacts, InputFile, SCHEMA};
use super::texts::{sha256, slug, utc};
use super::ulid::Ulid;

/// The folder of the entries below the log's.
pub(crate) const ENTRIES: &str = "iterations";

/// Bytes of an entry's file: larger ones are none.
const LARGEST: u64 = 16 << 20;

/// An entry to add.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// See [`super::texts::key`].
    pub key: String,
    /// Now, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Where in the history.
    pub git: Option<GitFacts>,
    /// What was slow.
    pub bottleneck: String,
    /// What was changed.
    pub change: String,
    /// What kind of work the bottleneck is.
    pub category: Option<String>,
    /// The entry that this one corrects; it must be there.
    pub supersedes: Option<Ulid>,
    /// What was measured.
    pub evidence: Evidence,
    /// Files to keep.
    pub attachments: Vec<NewAttachment>,
    /// Files that the evidence was made from.
    pub inputs: Vec<InputFile>,
}

/// What adding did.
#[derive(Clone, Debug)]
pub struct Added {
    /// The entry: the new one, or the one that was there.
    pub stored: Stored,
    /// Whether one with the same key was there.
    pub existed: bool,
}

/// An entry and its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The entry.
    pub entry: Entry,
    /// Its file.
    pub path: PathBuf,
}

/// What is in a log.
#[derive(Debug, Default)]
pub struct Read {
    /// Those that can be read, by id.
    pub entries: Vec<Stored>,
    /// Those that can't.
    pub damaged: Vec<Error>,
    /// Files of entries that are no longer as they were written.
    pub altered: Vec<PathBuf>,
}

/// An entry as a row of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'a> {
    /// From 1, in the order in which entries were added. A correction stands where what it corrects stood.
    pub number: usize,
    /// The entry.
    pub entry: &'a Entry,
    /// The entries that it replaces, the earliest first.
    pub replaces: Vec<Ulid>,
}

/// Adds an entry to the log at `folder`, which is made if it is not there. One with the same key is not added again.
///
/// # Errors
/// When a file can't be written, the entry to be corrected is not there, or the folder's parts are links.
pub fn add(folder: &Path, draft: &Draft) -> Result<Added, Error> {
    let entries = folder.join(ENTRIES);
    fs::create_dir_all(folder).map_err(Error::io("make", folder))?;
    make_folder(&entries)?;
    let _lock = lock(&entries)?;
    let read = read(folder)?;
    if let Some(known) = read.entries.iter().find(|stored| stored.entry.key == draft.key) {
        return Ok(Added { stored: known.clone(), existed: true });
    }
    if let Some(wanted) = draft.supersedes
        && !read.entries.iter().any(|stored| stored.entry.id == wanted)
    {
        return Err(Error::NoSuchEntry { wanted: wanted.to_string() });
    }
    keep_bytes_as_they_are(folder)?;
    let attachments = draft.attachments.iter().map(|new| keep(folder, new)).collect::<Result<_, _>>()?;
    let last = ids_of_files(&entries)?.into_iter().chain(read.entries.iter().map(|stored| stored.entry.id)).max();
    let entry = Entry {
        schema: SCHEMA.to_owned(),
        id: Ulid::after(last, draft.unix_ms),
        key: draft.key.clone(),
        time: utc(draft.unix_ms),
        git: draft.git.clone(),
        bottleneck: draft.bottleneck.clone(),
        change: draft.change.clone(),
        category: draft.category.clone(),
        supersedes: draft.supersedes,
        evidence: draft.evidence.clone(),
        attachments,
        inputs: draft.inputs.clone(),
        seal: String::new(),
    };
    let path = entries.join(file_name(&entry));
    let stored = write(entry, path, &entries)?;
    Ok(Added { stored, existed: false })
}

/// The name of an entry's file.
pub(crate) fn file_name(entry: &Entry) -> String {
    format!("{}-{}.json", entry.id, slug(&entry.bottleneck))
}

/// Seals an entry and writes it.
fn write(mut entry: Entry, path: PathBuf, folder: &Path) -> Result<Stored, Error> {
    let text = text(&entry)?;
    entry.seal = sha256(text.as_bytes());
    let text = with_seal(&text, &entry.seal).unwrap_or(text);
    let mut temporary = temporary_in(folder)?;
    let file = temporary.as_file_mut();
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(Error::io("write", &path))?;
    temporary.persist_noclobber(&path).map_err(|error| error.error).map_err(Error::io("write", &path))?;
    // The name lasts when the folder is written; where that can't be asked for, it lasts a little later.
    _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(Stored { entry, path })
}

fn text(entry: &Entry) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(entry)
        .map_err(|error| Error::BadEntry { path: PathBuf::from(entry.id.to_string()), why: error.to_string() })?;
    Ok(text + "\n")
}

/// The start of the seal in a file: the last key.
const SEAL: &str = "\"seal\": \"";

/// The file's text with another seal.
fn with_seal(text: &str, seal: &str) -> Option<String> {
    let start = text.rfind(SEAL)? + SEAL.len();
    let end = start + text[start..].find('"')?;
    Some(format!("{}{seal}{}", &text[..start], &text[end..]))
}

/// Whether a file is as it was written. Line ends don't count: git may change them.
pub(crate) fn seal_holds(text: &str, seal: &str) -> bool {
    let text = text.replace("\r\n", "\n");
    with_seal(&text, "").is_some_and(|text| sha256(text.as_bytes()) == seal)
}

/// While it is held, nobody else adds to the log or repairs it. A file system without locks does without.
pub(crate) fn lock(entries: &Path) -> Result<File, Error> {
    let folder = File::open(entries).map_err(Error::io("open", entries))?;
    match folder.lock() {
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(Error::io("lock", entries)(error)),
        _ => Ok(folder),
    }
}

/// Git must not change line ends of what is hashed.
fn keep_bytes_as_they_are(folder: &Path) -> Result<(), Error> {
    let path = folder.join(".gitattributes");
    if fs::symlink_metadata(&path).is_ok() {
        return Ok(());
    }
    let mut temporary = temporary_in(folder)?;
    let file = temporary.as_file_mut();
    file.write_all(b"# Entries and attachments are hashed: their bytes must stay.\n* -text\n")
        .map_err(Error::io("write", &path))?;
    match temporary.persist_noclobber(&path) {
        Err(error) if error.error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::io("write", &path)(error.error))
        }
        _ => Ok(()),
    }
}

/// Files that may be entries, sorted by name. Those of a log that is not there are none.
pub(crate) fn files(entries: &Path) -> Result<Vec<PathBuf>, Error> {
    let listed = match fs::read_dir(entries) {
        Ok(listed) => listed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read", entries)(error)),
    };
    let mut paths = Vec::new();
    for file in listed {
        let path = file.map_err(Error::io("read", entries))?.path();
        if is_entry(&path) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether a file may be an entry, by its name.
pub(crate) fn is_entry(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".json") && !name.starts_with('.')
}

/// Ids that names of files begin with, whatever is in the files.
fn ids_of_files(entries: &Path) -> Result<BTreeSet<Ulid>, Error> {
    let id = |path: &PathBuf| path.file_name()?.to_str()?.get(..26)?.parse().ok();
    Ok(files(entries)?.iter().filter_map(id).collect())
}

/// Reads all entries of the log at `folder`; a log that is not there has none.
///
/// # Errors
/// When the folder can't be read. What is wrong with single entries is in the result.
pub fn read(folder: &Path) -> Result<Read, Error> {
    let mut read = Read::default();
    for path in files(&folder.join(ENTRIES))? {
        match parse(&path) {
            Ok((entry, text)) => {
                if let Some(error) = entry.attachments.iter().find_map(|kept| attach::place(&kept.path).err()) {
                    read.damaged.push(error);
                    continue;
                }
                if !seal_holds(&text, &entry.seal) {
                    read.altered.push(path.clone());
                }
                read.entries.push(Stored { entry, path });
            }
            Err(error) => read.damaged.push(error),
        }
    }
    read.entries.sort_by_key(|stored| stored.entry.id);
    read.entries.dedup_by_key(|stored| stored.entry.id);
    Ok(read)
}

/// Whether the folder is one that a log was begun in.
pub fn is_log(folder: &Path) -> bool {
    folder.join(ENTRIES).is_dir()
}

/// An entry with its file's text.
pub(crate) fn parse(path: &Path) -> Result<(Entry, String), Error> {
    let bad = |why: String| Error::BadEntry { path: path.to_owned(), why };
    let meta = fs::symlink_metadata(path).map_err(Error::io("read", path))?;
    if !meta.is_file() {
        return Err(bad("it is no file".to_owned()));
    }
    if meta.len() > LARGEST {
        return Err(bad(format!("it has {} bytes", meta.len())));
    }
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text)).map_err(Error::io("read", path))?;
    if text.lines().any(|line| line.starts_with("<<<<<<< ")) {
        return Err(bad("it has conflict marks of a merge".to_owned()));
    }
    #[derive(serde::Deserialize)]
    struct Version {
        schema: String,
    }
    let why = |error: serde_json::Error| match error.to_string() {
        deep if deep.starts_with("recursion limit") => "it is nested deeper than any entry".to_owned(),
        why => why,
    };
    let version: Version = serde_json::from_str(&text).map_err(|error| bad(why(error)))?;
    if version.schema != SCHEMA {
        let schema: String = version.schema.chars().take(60).collect();
        return Err(bad(format!("its schema is {schema:?}, not {SCHEMA:?}: a newer burnmark may read it")));
    }
    let entry = serde_json::from_str(&text).map_err(|error| bad(why(error)))?;
    Ok((entry, text))
}

/// The entries as the log shows them: corrected ones are left out, and of equal ones, which two branches may both have
/// added, the first stays.
pub fn rows(entries: &[Stored]) -> Vec<Row<'_>> {
    let by_id: BTreeMap<Ulid, &Entry> = entries.iter().map(|stored| (stored.entry.id, &stored.entry)).collect();
    // What is corrected was there before: so no chain has an end at its beginning.
    let corrects =
        |entry: &Entry| entry.supersedes.filter(|earlier| *earlier < entry.id && by_id.contains_key(earlier));
    let replaced: BTreeSet<Ulid> = by_id.values().filter_map(|entry| corrects(entry)).collect();
    let mut keys = BTreeSet::new();
    let mut rows: Vec<(Ulid, Row<'_>)> = Vec::new();
    for entry in by_id.values().filter(|entry| !replaced.contains(&entry.id)) {
        if !keys.insert(&entry.key) {
            continue;
        }
        let chain = std::iter::successors(corrects(entry), |id| by_id.get(id).and_then(|entry| corrects(entry)));
        let mut replaces: Vec<Ulid> = chain.collect();
        replaces.reverse();
        let place = replaces.first().copied().unwrap_or(entry.id);
        rows.push((place, Row { number: 0, entry, replaces }));
    }
    rows.sort_by_key(|(place, row)| (*place, row.entry.id));
    let numbered = rows.into_iter().enumerate();
    numbered.map(|(index, (_, row))| Row { number: index + 1, ..row }).collect()
}

/// The entry that is meant by an id, the beginning of one, a row's number (`3`, `#3`), or `last`.
///
/// # Errors
/// When there is none, or more than one; no text is no beginning.
pub fn find<'a>(entries: &'a [Stored], wanted: &str) -> Result<&'a Stored, Error> {
    let none = || Error::NoSuchEntry { wanted: wanted.chars().take(60).collect() };
    let rows = rows(entries);
    let by_id = |id: Ulid| entries.iter().find(|stored| stored.entry.id == id);
    if wanted == "last" {
        return rows.iter().map(|row| row.entry.id).max().and_then(by_id).ok_or_else(none);
    }
    let number = wanted.strip_prefix('#').unwrap_or(wanted);
    if number.len() < 6
        && !number.starts_with('0')
        && let Ok(number) = number.parse::<usize>()
    {
        return rows.get(number.wrapping_sub(1)).and_then(|row| by_id(row.entry.id)).ok_or_else(none);
    }
    let wanted = wanted.to_ascii_uppercase();
    if wanted.is_empty() {
        return Err(none());
    }
    let begins = entries.iter().filter(|stored| stored.entry.id.to_string().starts_with(&wanted)).collect::<Vec<_>>();
    match begins[..] {
        [one] => Ok(one),
        [] => Err(none()),
        _ => {
            let ids = begins.iter().take(5).map(|stored| stored.entry.id.to_string()).collect();
            Err(Error::Ambiguous { wanted, ids })
        }
    }
}

/// Folders of the log below its own.
pub(crate) fn parts(folder: &Path) -> [PathBuf; 2] {
    [folder.join(ENTRIES), folder.join(attach::FOLDER)]
}
