//! Names for the stubs of the procedure linkage table: `foo@plt`.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use object::{Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, RelocationTarget};

use super::table::{Binding, Symbol};

/// Length in bytes of a stub on x86-64, which linkers align them to.
const STUB: usize = 16;

/// The stubs of an x86-64 file. Each jumps through a slot that a relocation fills with a function's address: the slot
/// tells the name, whatever the order of stubs. Other machines have none for now.
pub(super) fn symbols<'a>(file: &object::File<'a>) -> Vec<Symbol<'a>> {
    if file.architecture() != object::Architecture::X86_64 {
        return Vec::new();
    }
    let (Some(relocations), Some(table)) = (file.dynamic_relocations(), file.dynamic_symbol_table()) else {
        return Vec::new();
    };
    let mut slots: HashMap<u64, &'a [u8], RandomState> = HashMap::default();
    for (slot, relocation) in relocations {
        let RelocationTarget::Symbol(index) = relocation.target() else { continue };
        let name = table.symbol_by_index(index).and_then(|symbol| symbol.name_bytes());
        if let Some(name) = name.ok().filter(|name| !name.is_empty()) {
            slots.insert(slot, name);
        }
    }
    let mut stubs = Vec::new();
    for section in [".plt", ".plt.sec", ".plt.got"] {
        let Some(section) = file.section_by_name(section) else { continue };
        let Ok(code) = section.data() else { continue };
        // Stubs of `.plt.got` are half as long where they need no landing pad.
        for (at, stub) in
            code.chunks(STUB / 2).enumerate().map(|(index, _)| (index * STUB / 2, &code[index * STUB / 2..]))
        {
            let address = section.address().wrapping_add(at as u64);
            let Some(slot) = jump_slot(stub, address) else { continue };
            if let Some(name) = slots.get(&slot) {
                let size = (STUB - at % STUB).min(stub.len()) as u64;
                stubs.push(Symbol { address, size, name, binding: Binding::Weak, is_plt: true });
            }
        }
    }
    stubs
}

/// The slot that the stub at `address` jumps through: `[endbr64] [bnd] jmp *disp32(%rip)`.
fn jump_slot(stub: &[u8], address: u64) -> Option<u64> {
    let landing = if stub.starts_with(&[0xf3, 0x0f, 0x1e, 0xfa]) { 4 } else { 0 };
    let bound = usize::from(stub.get(landing) == Some(&0xf2));
    let jump = stub.get(landing + bound..landing + bound + 6)?;
    let displacement = jump.strip_prefix(&[0xff, 0x25])?.try_into().ok().map(i32::from_le_bytes)?;
    let next = address.wrapping_add((landing + bound + 6) as u64);
    Some(next.wrapping_add_signed(displacement.into()))
}
