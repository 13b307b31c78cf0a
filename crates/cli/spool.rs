//! The spool of a recording that runs, and what becomes of one whose recorder was killed.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use burnmark_native::{FileFinder, Modules, Recording, Spool, read_spool};

use crate::output;
use crate::session::{symbolize, write};

/// How names of spools in the folder for temporary files begin.
const TEMPORARY: &str = "burnmark-";

/// A spool that is being written. The lock tells other commands that it is not abandoned.
pub(crate) struct Held {
    spool: Spool,
    _lock: File,
    failed: bool,
}

impl Held {
    pub(crate) fn create(output: &Path) -> anyhow::Result<Self> {
        let path = spool_of(output);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let cannot = || format!("cannot start the recording: cannot write {}", path.display());
        // Locked before it has its name: nobody ever sees it without, and takes it for an abandoned one.
        let file = tempfile::Builder::new().prefix(".burnmark-").suffix(".spool").tempfile_in(folder);
        let file = file.with_context(cannot)?;
        file.as_file().try_lock().with_context(|| format!("cannot lock {}", path.display()))?;
        let spool = Spool::begin(file.reopen().with_context(cannot)?, &path).context("cannot start the recording")?;
        match file.persist_noclobber(&path) {
            Ok(lock) => Ok(Self { spool, _lock: lock, failed: false }),
            // One that was abandoned has been finished before: see `finish_interrupted`.
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => bail!(
                "{} is being recorded by another burnmark right now ({} is there): let it end, or name another file with -o",
                output.display(),
                path.display()
            ),
            Err(error) => Err(error.error).with_context(cannot),
        }
    }

    /// Whether the last of what was sampled is not in the spool: the disk was full.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.failed
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.spool.path()
    }

    /// The recording is safe elsewhere, or there is none.
    pub(crate) fn remove(self) -> anyhow::Result<()> {
        Ok(self.spool.remove()?)
    }

    /// A disk that fills up is told once; sampling goes on in memory.
    pub(crate) fn follow(&mut self, recording: &Recording) {
        match self.spool.append(recording) {
            Ok(()) => self.failed = false,
            Err(error) if !self.failed => {
                self.failed = true;
                output::say(&format!("warning: {error}. Sampling goes on; make room before it ends"));
            }
            Err(_) => {}
        }
    }
}

/// The spool of a recording that is, or will be, at `path`.
pub(crate) fn spool_of(path: &Path) -> PathBuf {
    let is_file = std::fs::metadata(path).map_or(!output::is_stdout(path), |meta| meta.is_file());
    if !is_file {
        return std::env::temp_dir().join(format!("{TEMPORARY}{}.spool", std::process::id()));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".spool");
    path.with_file_name(name)
}

pub(crate) fn say_kept(spool: &Path) {
    let spool = spool.display();
    output::say(&format!(
        "note: what was sampled is kept in {spool}; once the error is put right, `burnmark info {spool}` makes a \
         recording of it"
    ));
}

/// If the recorder of `path` was killed, or `path` is a spool itself, makes a recording of the spool. Returns where
/// the recording is.
pub(crate) fn finish_interrupted(path: &Path) -> anyhow::Result<PathBuf> {
    let is_spool = path.extension().is_some_and(|extension| extension == "spool");
    let (spool, recording) =
        if is_spool { (path.to_owned(), path.with_extension("")) } else { (spool_of(path), path.to_owned()) };
    if output::is_stdout(path) || !spool.is_file() {
        mention_abandoned();
        return Ok(path.to_owned());
    }
    let lock = File::open(&spool).with_context(|| format!("cannot open {}", spool.display()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) if is_spool => bail!("{} is being recorded right now", recording.display()),
        Err(TryLockError::WouldBlock) => return Ok(recording),
        Err(TryLockError::Error(error)) => return Err(error).context(format!("cannot lock {}", spool.display())),
    }
    if !is_same_file(&lock, &spool) {
        // Another burnmark has finished it while we waited for the lock.
        return Ok(recording);
    }
    let (raw, warnings) = read_spool(&spool)?;
    let name = recording.display().to_string();
    output::print_warnings(&name, &warnings);
    let remove = || std::fs::remove_file(&spool).with_context(|| format!("cannot remove {}", spool.display()));
    // A recording that is there is worth more than an empty one.
    if raw.samples.is_empty() {
        remove()?;
        output::say(&format!("note: an interrupted recording of {name} had sampled nothing: it is dropped"));
        return Ok(recording);
    }
    let mut parsed = symbolize(raw, &Modules::new(FileFinder::ThisMachine), false);
    let note = "the recorder was interrupted: this is what it had sampled until then";
    parsed.profile.meta.notes.push(note.to_owned());
    output::print_warnings(&name, &parsed.warnings);
    write(&parsed.profile, &recording).inspect_err(|_| say_kept(&spool))?;
    remove()?;
    output::say(&format!(
        "finished the interrupted recording {name}: {} samples (an earlier recording is kept as .old)",
        parsed.profile.samples.len()
    ));
    Ok(recording)
}

fn is_same_file(file: &File, path: &Path) -> bool {
    let identity = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
    file.metadata().map(identity).ok() == std::fs::metadata(path).map(identity).ok()
}

/// Recordings into devices and pipes have no folder of their own: if the recorder was killed, their spools are in the
/// folder for temporary files, where nobody looks.
fn mention_abandoned() {
    let own = std::fs::metadata("/proc/self").map(|meta| meta.uid()).ok();
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(TEMPORARY)
            || !name.ends_with(".spool")
            || entry.metadata().map(|meta| meta.uid()).ok() != own
        {
            continue;
        }
        let path = entry.path();
        if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            let path = path.display();
            output::say(&format!(
                "note: an interrupted recording is in {path}: `burnmark info {path}` finishes it, or remove it"
            ));
        }
    }
}
