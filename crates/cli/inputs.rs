//! What holds for all inputs: runs that are counted must be different runs, and texts have an end.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The largest text that is read whole.
const MOST_TEXT: u64 = 64 << 20;

/// Refuses inputs of one side with the same bytes: a run that is counted twice looks surer than it is.
pub(crate) fn are_different(paths: &[PathBuf]) -> anyhow::Result<()> {
    let length = |path: &PathBuf| {
        let meta = std::fs::metadata(path).ok().filter(|meta| meta.is_file())?;
        Some(meta.len())
    };
    let lengths: Vec<Option<u64>> = paths.iter().map(length).collect();
    let mut hashes: Vec<Option<String>> = vec![None; paths.len()];
    for index in 0..paths.len() {
        let alike = (0..index).filter(|&earlier| lengths[index].is_some() && lengths[earlier] == lengths[index]);
        for earlier in alike.collect::<Vec<_>>() {
            for which in [index, earlier] {
                if hashes[which].is_none() {
                    let hash = burnmark_journal::log::hash_file(&paths[which]);
                    hashes[which] = Some(hash.with_context(|| format!("cannot read {}", paths[which].display()))?.0);
                }
            }
            if hashes[index] == hashes[earlier] {
                let [one, other] = [earlier, index].map(|which| paths[which].display());
                bail!("{one} and {other} are the same: a run counts once; name each once, or another run");
            }
        }
    }
    Ok(())
}

/// What to say when both sides are the same files by content; nothing if they are not, or if it can't be told.
pub(crate) fn warn_of_same(sides: [&[PathBuf]; 2]) -> Option<&'static str> {
    let lengths = sides.map(|side| {
        let length = |path: &PathBuf| std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
        let mut lengths: Vec<Option<u64>> = side.iter().map(length).collect();
        lengths.sort_unstable();
        lengths
    });
    if lengths[0].is_empty() || lengths[0] != lengths[1] || lengths[0].contains(&None) {
        return None;
    }
    let hashes = sides.map(|side| {
        let hash = |path: &PathBuf| burnmark_journal::log::hash_file(path).ok().map(|(sha256, _)| sha256);
        let mut hashes = side.iter().map(hash).collect::<Option<Vec<String>>>()?;
        hashes.sort_unstable();
        Some(hashes)
    });
    (hashes[0].is_some() && hashes[0] == hashes[1]).then_some(SAME)
}

const SAME: &str =
    "before and after are the same, byte for byte, so nothing can have changed: is one of them the wrong file?";

/// A text that somebody wrote; what is no file, or too large to be one, is refused.
pub(crate) fn text_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_TEXT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_TEXT {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "it has no end, or over 64 MB"));
    }
    Ok(bytes)
}
