//! `.gnu_debugdata`: a small ELF file, packed with xz, that keeps the symbols of functions which a stripped file doesn't
//! export. Fedora's and its relatives' files have it.

use std::io::Read;

use object::{Object, ObjectSection};

use super::elf::Elf;

/// Largest file that is unpacked. Chromium's symbols would have 200 MB; distributions' have up to 10.
const LARGEST: u64 = 256 << 20;

/// Memory the decoder may take for its dictionary, in KiB: that of `xz -9`, which is the most that tools choose.
const DICTIONARY_KIB: u32 = 70 << 10;

/// The file that is packed in this one, if there is one.
pub(super) fn unpack(elf: &Elf<'_>) -> Option<Vec<u8>> {
    let packed = elf.file.section_by_name(".gnu_debugdata")?.data().ok()?;
    let mut unpacked = Vec::new();
    let mut reader = lzma_rust2::XzReader::new_mem_limit(packed, false, DICTIONARY_KIB).take(LARGEST + 1);
    reader.read_to_end(&mut unpacked).ok()?;
    (unpacked.len() as u64 <= LARGEST).then_some(unpacked)
}
