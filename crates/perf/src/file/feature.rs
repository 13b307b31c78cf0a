//! What the header's feature sections say of the machine and the recording (`HEADER_*` of perf's `header.h`).

use crate::cursor::{Cursor, DecodeError, u64_at};

/// Feature numbers, as bits of the header and ids of `HEADER_FEATURE` records.
pub(super) mod id {
    pub(crate) const BUILD_ID: u64 = 2;
    pub(crate) const OS_RELEASE: u64 = 4;
    pub(crate) const VERSION: u64 = 5;
    pub(crate) const ARCH: u64 = 6;
    pub(crate) const CPU_DESC: u64 = 8;
    pub(crate) const COMMAND_LINE: u64 = 11;
    pub(crate) const EVENT_DESC: u64 = 12;
    pub(crate) const SAMPLE_TIME: u64 = 21;
    pub(crate) const CLOCK_DATA: u64 = 29;
}

/// Most texts of a command line, and most events, that are read.
const MAX_TEXTS: u32 = 4096;

/// The build-id of a file that was mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildId {
    /// The path as in MMAP records; `[kernel.kallsyms]` and `[vdso]` too.
    pub path: Vec<u8>,
    /// The build-id, up to 20 bytes.
    pub build_id: Vec<u8>,
    /// It is of the kernel or one of its modules.
    pub is_kernel: bool,
}

/// A moment on two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Nanoseconds since 1970.
    pub wall_ns: u64,
    /// Nanoseconds on the samples' clock.
    pub sample_ns: u64,
}

/// What is known of the machine and the recording. The host's name is left where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    /// Kernel release (`uname -r`).
    pub os_release: Option<String>,
    /// Version of perf.
    pub perf_version: Option<String>,
    /// Machine (`uname -m`).
    pub arch: Option<String>,
    /// The processor's name.
    pub cpu: Option<String>,
    /// perf's command line, a text per argument.
    pub command_line: Vec<String>,
    /// Build-ids of the modules that samples met.
    pub build_ids: Vec<BuildId>,
    /// Times of the first and the last sample, in nanoseconds on the samples' clock.
    pub sample_time: Option<(u64, u64)>,
    /// The same moment on the wall clock and on the samples' clock.
    pub clock: Option<Clock>,
}

impl Features {
    /// Takes in a feature section, or the payload of a `HEADER_FEATURE` record. Of a damaged one nothing is taken.
    /// Event descriptions are not among them: see [`event_descriptions`].
    pub(super) fn take(&mut self, feature: u64, bytes: &[u8]) -> Result<(), DecodeError> {
        let cursor = &mut Cursor::new(bytes, 0, 0);
        match feature {
            id::OS_RELEASE => self.os_release = text(cursor)?,
            id::VERSION => self.perf_version = text(cursor)?,
            id::ARCH => self.arch = text(cursor)?,
            id::CPU_DESC => self.cpu = text(cursor)?,
            id::COMMAND_LINE => {
                let count = cursor.u32("nr")?;
                let texts = (0..count.min(MAX_TEXTS)).map(|_| Ok(text(cursor)?.unwrap_or_default()));
                self.command_line = texts.collect::<Result<_, DecodeError>>()?;
            }
            id::SAMPLE_TIME => self.sample_time = Some((cursor.u64("first")?, cursor.u64("last")?)),
            id::CLOCK_DATA => {
                // Version and clock number, which is the events' own.
                cursor.u64("version")?;
                let (wall_ns, sample_ns) = (cursor.u64("wall_clock_ns")?, cursor.u64("clockid_time_ns")?);
                self.clock = Some(Clock { wall_ns, sample_ns });
            }
            id::BUILD_ID => self.build_ids.extend(build_ids(bytes)),
            _ => {}
        }
        Ok(())
    }
}

/// A text of `struct perf_header_string`: its room in bytes, then itself, padded with NULs. `None` if it is empty.
fn text(cursor: &mut Cursor<'_>) -> Result<Option<String>, DecodeError> {
    let bytes = raw_text(cursor)?;
    Ok((!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned()))
}

fn raw_text<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], DecodeError> {
    let len = cursor.u32("len")?;
    Ok(Cursor::new(cursor.take(len.into(), "string")?, 0, 0).string())
}

/// The build-ids in a section: records like those of pipe mode, one after the other.
fn build_ids(mut bytes: &[u8]) -> Vec<BuildId> {
    let mut found = Vec::new();
    while let Some(size) = u64_at(bytes, 0).map(|header| (header >> 48) as usize).filter(|size| *size > 0) {
        let Some(record) = bytes.get(..size) else { break };
        found.extend(build_id(record));
        bytes = &bytes[size..];
    }
    found
}

/// `struct perf_record_header_build_id`: header, pid, 20 bytes of build-id, its length (since 5.12, marked by a bit of
/// `misc`), path.
pub(super) fn build_id(record: &[u8]) -> Option<BuildId> {
    const HAS_SIZE: u64 = 1 << 15;
    const KERNEL: u64 = 1;
    const MODE: u64 = 7;
    let misc = u64_at(record, 0)? >> 32 & 0xffff;
    let field = record.get(12..36)?;
    let size = if misc & HAS_SIZE != 0 { usize::from(field[20]) } else { 20 };
    let build_id = field.get(..size.min(20))?.to_vec();
    let path = Cursor::new(record, 36, 0).string().to_vec();
    let nothing = path.is_empty() || build_id.iter().all(|byte| *byte == 0);
    (!nothing).then_some(BuildId { path, build_id, is_kernel: misc & MODE == KERNEL })
}

/// An entry of `HEADER_EVENT_DESC`: a name, and the ids of the events that have it.
pub(super) struct EventDescription<'a> {
    pub(super) name: &'a [u8],
    pub(super) attr: &'a [u8],
    pub(super) ids: Vec<u64>,
}

/// The entries of `HEADER_EVENT_DESC`, as far as they are whole. Each id takes the eight bytes it came from.
pub(super) fn event_descriptions(bytes: &[u8]) -> Vec<EventDescription<'_>> {
    let mut cursor = Cursor::new(bytes, 0, 0);
    let (Ok(count), Ok(attr_len)) = (cursor.u32("nr"), cursor.u32("attr_size")) else { return Vec::new() };
    let mut next = || -> Result<EventDescription<'_>, DecodeError> {
        let attr = cursor.take(attr_len.into(), "attr")?;
        let ids = cursor.u32("nr_ids")?;
        let name = raw_text(&mut cursor)?;
        let ids = cursor.words(ids.into(), "ids")?.iter().collect();
        Ok(EventDescription { name, attr, ids })
    };
    (0..count.min(u16::MAX.into())).map_while(|_| next().ok()).collect()
}
