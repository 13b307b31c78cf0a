//! From (module, offset) to names: every distinct address once, modules in parallel.

mod ahead;
mod debug;
mod demangle;
mod elf;
mod files;
mod jit;
mod kallsyms;
mod mini;
mod module;
mod plt;
mod split;
mod starts;
mod table;
mod units;
mod vdso;

use std::sync::Arc;

pub(crate) use ahead::{Ahead, Names, STACK};
pub(crate) use debug::guarded;
pub(crate) use demangle::demangle;
pub(crate) use elf::{Elf, Segments};
pub(crate) use files::{Candidate, KALLSYMS, bare, below};
pub use files::{FileFinder, OwnFiles, Places};
pub(crate) use jit::JitMap;
pub(crate) use kallsyms::{Kallsyms, NoKernelSymbols};
pub use module::SymbolState;
pub(crate) use module::{Symbolized, Wanted, symbolize};
pub(crate) use vdso::image as vdso_image;

/// One function at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: demangle::Name,
    pub(crate) file: Option<Arc<str>>,
    /// From 1; 0 if not known.
    pub(crate) line: u32,
    /// From 1; 0 if not known.
    pub(crate) column: u32,
    /// Where the function starts, from 1; 0 if not known.
    pub(crate) start_line: u32,
}

/// What is known of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Located {
    /// The module's own virtual address, or what was given if the module's file isn't known.
    pub(crate) address: u64,
    /// The function the code belongs to, then those inlined into it, each into the one before. Empty if there is no
    /// symbol.
    pub(crate) functions: Vec<Named>,
    /// Nothing calls the code here: threads start in it.
    pub(crate) starts_thread: bool,
}

/// An address to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// As in the recording's frame.
    pub(crate) address: u64,
    pub(crate) is_return: bool,
}

impl Request {
    /// Within the instruction that was running: a call is just before what it returns to.
    pub(crate) fn address_in_code(self) -> u64 {
        self.address.wrapping_sub(self.is_return.into())
    }
}

#[cfg(test)]
mod tests;
