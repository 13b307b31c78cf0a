//! Files kept with the log, in a folder named by their content: the same file is kept once, two branches never conflict.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::Error;
use super::entry::Attachment;
use super::texts::hex;

/// The folder below the log's.
pub(crate) const FOLDER: &str = "attachments";

/// Digits of the hash that name a file's folder.
const DIGITS: usize = 16;

/// Letters of a file's name.
const LONGEST_NAME: usize = 100;

/// How the names of files begin that are not whole yet.
pub(crate) const TEMPORARY: &str = ".burnmark-";

/// What to keep.
#[derive(Clone, Debug)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A copy of this file.
    File(PathBuf),
}

/// A file to keep.
#[derive(Clone, Debug)]
pub struct NewAttachment {
    /// What it is, in a word or two.
    pub role: String,
    /// Its name; what a file name can't have is replaced.
    pub name: String,
    /// What is in it.
    pub content: Content,
}

/// Keeps a file in the log at `log`; one that is there already is left alone if it is whole.
pub(crate) fn keep(log: &Path, new: &NewAttachment) -> Result<Attachment, Error> {
    let folder = log.join(FOLDER);
    make_folder(&folder)?;
    let mut temporary = temporary_in(&folder)?;
    let (sha256, bytes) = match &new.content {
        Content::Bytes(bytes) => copy(&mut bytes.as_slice(), temporary.as_file_mut(), &folder, &folder)?,
        Content::File(path) => {
            let mut file = File::open(path).map_err(Error::io("read", path))?;
            copy(&mut file, temporary.as_file_mut(), path, &folder)?
        }
    };
    temporary.as_file().sync_all().map_err(Error::io("write", &folder))?;
    let path = format!("{FOLDER}/{}/{}", &sha256[..DIGITS], file_name(&new.name));
    let attachment = Attachment { role: new.role.clone(), path, sha256, bytes };
    make_folder(&folder.join(&attachment.sha256[..DIGITS]))?;
    let target = resolve(log, &attachment.path)?;
    if state(log, &attachment) != State::Whole {
        temporary.persist(&target).map_err(|error| error.error).map_err(Error::io("write", &target))?;
    }
    Ok(attachment)
}

/// Whether a kept file is what its entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is.
    Whole,
    /// It is not there.
    Missing,
    /// It has another content.
    Damaged,
    /// It can't be read, or its path is refused.
    Unreadable(String),
}

/// Looks at a kept file.
pub(crate) fn state(log: &Path, attachment: &Attachment) -> State {
    let path = match resolve(log, &attachment.path) {
        Ok(path) => path,
        Err(error) => return State::Unreadable(error.to_string()),
    };
    match hash_file(&path) {
        Ok((sha256, bytes)) if sha256 == attachment.sha256 && bytes == attachment.bytes => State::Whole,
        Ok(_) => State::Damaged,
        Err(error) if error.kind() == io::ErrorKind::NotFound => State::Missing,
        Err(error) => State::Unreadable(format!("cannot read {}: {error}", path.display())),
    }
}

/// The file that an entry's path names, which lies in the log's folder whatever the entry says.
///
/// # Errors
/// When the path is not `attachments/<16 digits>/<name>`, or a part of it is a link.
pub fn resolve(log: &Path, path: &str) -> Result<PathBuf, Error> {
    let refuse = |why| Error::OutsideLog { path: path.to_owned(), why };
    let parts = place(path)?;
    let mut found = log.to_owned();
    for part in parts {
        found.push(part);
        if fs::symlink_metadata(&found).is_ok_and(|meta| meta.is_symlink()) {
            return Err(refuse("a part of it is a link"));
        }
    }
    Ok(found)
}

/// SHA-256 and length of a file.
pub fn hash_file(path: &Path) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    hashed(&mut file, |_| Ok(()))
}

fn copy(from: &mut dyn Read, to: &mut File, source: &Path, folder: &Path) -> Result<(String, u64), Error> {
    let mut failed = None;
    let copied = hashed(from, |bytes| to.write_all(bytes).inspect_err(|_| failed = Some(())));
    copied.map_err(|error| match failed {
        Some(()) => Error::io("write", folder)(error),
        None => Error::io("read", source)(error),
    })
}

fn hashed(from: &mut dyn Read, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(String, u64)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    let mut length = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((hex(&hash.finalize()), length)),
            Ok(read) => {
                hash.update(&buffer[..read]);
                each(&buffer[..read])?;
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A name that every system takes, that shows as it is in Markdown, and leads nowhere.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = name.rsplit('/').next().unwrap_or(name).chars().map(plain).collect();
    let name = name.trim_start_matches('.');
    // The end of a name says what it is.
    let name = &name[name.len().saturating_sub(LONGEST_NAME)..];
    let name = name.trim_start_matches('.');
    if name.is_empty() { "attachment".to_owned() } else { name.to_owned() }
}

/// Makes a folder of the log, which must be none of somebody else's.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Error> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made.map_err(Error::io("make", folder)),
    }
    if fs::symlink_metadata(folder).map_err(Error::io("read", folder))?.is_symlink() {
        return Err(Error::OutsideLog { path: folder.display().to_string(), why: "it is a link" });
    }
    Ok(())
}

/// A file that becomes one of the log when it is whole.
pub(crate) fn temporary_in(folder: &Path) -> Result<NamedTempFile, Error> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix(TEMPORARY)
        .suffix(".tmp")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
        // The library's error names the file that there would have been for a moment.
        .map_err(|error| error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error))
        .map_err(Error::io("write into", folder))
}

/// The parts of an attachment's path, if it is `attachments/<16 digits>/<name>`.
pub(crate) fn place(path: &str) -> Result<[&str; 3], Error> {
    let refuse = |why| Error::OutsideLog { path: path.to_owned(), why };
    let parts: Vec<&str> = path.split('/').collect();
    let [FOLDER, digits, name] = parts[..] else {
        return Err(refuse("attachments are at attachments/<16 digits>/<name>"));
    };
    if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refuse("its folder is not named by 16 digits of a hash"));
    }
    if name.is_empty() || name != file_name(name) {
        return Err(refuse("its name has what names of attachments don't have"));
    }
    Ok([FOLDER, digits, name])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_harmless() {
        for (name, kept) in [
            ("flame.svg", "flame.svg"),
            ("../../etc/passwd", "passwd"),
            ("..", "attachment"),
            (".bashrc", "bashrc"),
            ("a b\n|<é>.md", "a_b_____.md"),
            ("", "attachment"),
        ] {
            assert_eq!(file_name(name), kept, "{name}");
        }
        assert!(file_name(&"x".repeat(300)).len() <= LONGEST_NAME);
        assert_eq!(file_name(&format!("{}.svg", "é".repeat(300))).len(), LONGEST_NAME);
    }

    #[test]
    fn paths_stay_in_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        fs::create_dir(&log).expect("room");
        for path in [
            "/etc/passwd",
            "attachments/../../secret",
            "attachments/0123456789abcdef/../../x",
            "attachments/0123456789abcdef/..",
            "attachments/0123456789abcdef/",
            "attachments/0123456789abcde/x",
            "attachments/0123456789abcdef/a/b",
            "iterations/0123456789abcdef/x",
            "attachments//x",
            "attachments/0123456789abcdef/a b",
            "",
        ] {
            assert!(resolve(&log, path).is_err(), "{path}");
        }
        assert!(resolve(&log, "attachments/0123456789abcdef/x.svg").is_ok());
        // A link in the middle leads out.
        fs::create_dir(folder.path().join("elsewhere")).expect("room");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), log.join(FOLDER)).expect("a link");
        assert!(resolve(&log, "attachments/0123456789abcdef/x.svg").is_err());
        let new = NewAttachment { role: "x".into(), name: "x".into(), content: Content::Bytes(vec![1]) };
        assert!(matches!(keep(&log, &new), Err(Error::OutsideLog { .. })));
        assert_eq!(fs::read_dir(folder.path().join("elsewhere")).expect("there").count(), 0);
    }

    #[test]
    fn the_same_content_is_kept_once_and_damage_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let new = |name: &str| NewAttachment {
            role: "flame graph".into(),
            name: name.into(),
            content: Content::Bytes(b"<svg/>".to_vec()),
        };
        let kept = keep(folder.path(), &new("a.svg")).expect("kept");
        assert_eq!(kept.bytes, 6);
        assert_eq!(kept, keep(folder.path(), &new("a.svg")).expect("kept"));
        assert_eq!(state(folder.path(), &kept), State::Whole);
        let path = resolve(folder.path(), &kept.path).expect("a path");
        fs::write(&path, "<svg").expect("room");
        assert_eq!(state(folder.path(), &kept), State::Damaged);
        keep(folder.path(), &new("a.svg")).expect("kept");
        assert_eq!(state(folder.path(), &kept), State::Whole);
        fs::remove_file(&path).expect("there");
        assert_eq!(state(folder.path(), &kept), State::Missing);
    }
}
