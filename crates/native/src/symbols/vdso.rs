//! The vdso's image: code that the kernel maps into every process, in no file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::FileFinder;
use crate::procfs::parse_maps;
use crate::recording::ModuleRow;

/// Largest image that is read; real ones have a few pages.
const LARGEST: u64 = 1 << 20;

/// The image that `module` is: our own process's if it has the same size (the kernel has one per kind of process), else
/// that of the recorded process if it still runs and may be read.
pub(crate) fn image(module: &ModuleRow, finder: &FileFinder) -> Option<Vec<u8>> {
    // Another machine's vdso may have the same size.
    if !finder.is_this_machine() {
        return None;
    }
    let size = module.end.checked_sub(module.start).filter(|size| (1..=LARGEST).contains(size))?;
    let maps = std::fs::read("/proc/self/maps").ok()?;
    let own = parse_maps(&maps).find(|map| map.path == b"[vdso]" && map.end - map.start == size);
    own.and_then(|map| read(Path::new("/proc/self/mem"), map.start, size)).or_else(|| {
        let process = Path::new("/proc").join(module.pid.to_string());
        let maps = std::fs::read(process.join("maps")).ok()?;
        let same = |map: &crate::recorder::Mapped<'_>| map.path == b"[vdso]" && map.end - map.start == size;
        let map = parse_maps(&maps).find(same)?;
        read(&process.join("mem"), map.start, size)
    })
}

fn read(memory: &Path, start: u64, size: u64) -> Option<Vec<u8>> {
    let mut image = vec![0; usize::try_from(size).ok()?];
    File::open(memory).ok()?.read_exact_at(&mut image, start).ok()?;
    Some(image)
}
