//! Code that threads start in, where there is no symbol to tell: in stripped C libraries and programs.
//!
//! `.eh_frame` tells functions' bounds even there. A function whose return address is undefined has no caller (`_start`
//! and `clone3` are marked so, see the x86-64 psABI on the outermost frame). In glibc the function just before the exported
//! `__libc_start_main` is `__libc_start_call_main`, which calls `main`, and the one just before `pthread_create` is
//! `start_thread`: they are compiled from one file, in this order, static ones first.

use gimli::{BaseAddresses, EhFrame, EhFrameHdr, EndianSlice, RunTimeEndian, UnwindSection};
use object::{Object, ObjectSection};

use super::debug::guarded;
use super::elf::Elf;
use super::table::SymbolTable;

/// Functions are aligned to 16 bytes: no more than that lies between two of them.
const PADDING: u64 = 16;

type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

/// What is needed to tell.
pub(super) struct Starts<'a> {
    table: gimli::ParsedEhFrameHdr<Slice<'a>>,
    frames: EhFrame<Slice<'a>>,
    bases: BaseAddresses,
    return_address: gimli::Register,
    /// Addresses of `__libc_start_main` and `pthread_create`.
    after: [Option<u64>; 2],
}

impl<'a> Starts<'a> {
    pub(super) fn of(elf: &Elf<'a>, symbols: &SymbolTable<'_>) -> Option<Self> {
        let return_address = match elf.file.architecture() {
            object::Architecture::X86_64 => gimli::X86_64::RA,
            object::Architecture::Aarch64 => gimli::AArch64::X30,
            _ => return None,
        };
        let endian = if elf.file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let section = |name: &str| {
            let section = elf.file.section_by_name(name)?;
            Some((section.address(), EndianSlice::new(section.data().ok()?, endian)))
        };
        let (header_address, header) = section(".eh_frame_hdr")?;
        let (frames_address, frames) = section(".eh_frame")?;
        let bases = BaseAddresses::default().set_eh_frame_hdr(header_address).set_eh_frame(frames_address);
        let size = if elf.file.is_64() { 8 } else { 4 };
        let table = EhFrameHdr::from(header).parse(&bases, size).ok()?;
        let is_glibc = symbols.address_of(b"gnu_get_libc_version").is_some();
        let exported = |name: &str| symbols.address_of(name.as_bytes()).filter(|_| is_glibc);
        let after = ["__libc_start_main", "pthread_create"].map(exported);
        Some(Self { table, frames: frames.into(), bases, return_address, after })
    }

    /// Whether threads start in the function that holds this address.
    pub(super) fn contain(&self, address: u64) -> bool {
        guarded(|| self.look(address)).unwrap_or(false)
    }

    fn look(&self, address: u64) -> Option<bool> {
        let table = self.table.table()?;
        let function = table.fde_for_address(&self.frames, &self.bases, address, EhFrame::cie_from_offset).ok()?;
        let end = function.end_address();
        let is_before = |next: &u64| next.checked_sub(end).is_some_and(|padding| padding < PADDING);
        if self.after.iter().flatten().any(is_before) {
            return Some(true);
        }
        let mut context = gimli::UnwindContext::new();
        let row = function.unwind_info_for_address(&self.frames, &self.bases, &mut context, address).ok()?;
        Some(row.register(self.return_address) == Some(gimli::RegisterRule::Undefined))
    }
}
