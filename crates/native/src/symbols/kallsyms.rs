//! The kernel's own symbols, from `/proc/kallsyms`.

use std::path::Path;

use super::elf::Elf;
use super::table::Binding;

/// The kernel's symbols, sorted by address.
#[derive(Debug, Default)]
pub(crate) struct Kallsyms {
    text: Vec<u8>,
    symbols: Vec<KernelSymbol>,
    modules: Vec<Box<str>>,
    start: Option<u64>,
}

/// Why there are no kernel symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoKernelSymbols {
    /// The file can't be read.
    Unreadable,
    /// All addresses are zero.
    Restricted,
}

#[derive(Clone, Copy, Debug)]
struct KernelSymbol {
    address: u64,
    end: u64,
    /// The name's place in the text.
    name: (u32, u32),
    /// Index of the module; 0 is the kernel itself.
    module: u32,
    binding: Binding,
}

/// A kernel function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) name: &'a [u8],
    /// `[kernel.kallsyms]`, or the module's name in brackets.
    pub(crate) module: &'a str,
}

impl Kallsyms {
    pub(crate) fn read(path: &Path) -> Result<Self, NoKernelSymbols> {
        Self::parse(std::fs::read(path).map_err(|_| NoKernelSymbols::Unreadable)?)
    }

    /// The symbols of a `vmlinux`.
    pub(crate) fn of_elf(elf: &Elf<'_>) -> Result<Self, NoKernelSymbols> {
        let mut text = Vec::new();
        for symbol in elf.symbols() {
            let kind = match symbol.binding {
                Binding::Weak => 'w',
                Binding::Local => 't',
                Binding::Global => 'T',
            };
            text.extend(format!("{:x} {kind} ", symbol.address).into_bytes());
            text.extend(symbol.name);
            text.push(b'\n');
        }
        Self::parse(text)
    }

    /// Where the kernel begins (`_text`), from which its other addresses keep their distance.
    pub(crate) fn start(&self) -> Option<u64> {
        self.start
    }

    /// Lines are `address type name`, with a tab and `[module]` for those of modules. Only code is kept: types `t`, `T`,
    /// `w` and `W` as in `nm`.
    pub(crate) fn parse(text: Vec<u8>) -> Result<Self, NoKernelSymbols> {
        // Places in the text are 32 bits wide; a real one has 10 MB.
        if u32::try_from(text.len()).is_err() {
            return Err(NoKernelSymbols::Unreadable);
        }
        let mut kallsyms = Self { modules: vec!["[kernel.kallsyms]".into()], ..Self::default() };
        let mut at = 0;
        while at < text.len() {
            let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |length| at + length);
            kallsyms.line(&text, at, end);
            at = end + 1;
        }
        if kallsyms.symbols.is_empty() {
            return Err(NoKernelSymbols::Unreadable);
        }
        if kallsyms.symbols.iter().all(|symbol| symbol.address == 0) {
            return Err(NoKernelSymbols::Restricted);
        }
        kallsyms.text = text;
        kallsyms.settle();
        Ok(kallsyms)
    }

    fn line(&mut self, text: &[u8], start: usize, end: usize) {
        let line = &text[start..end];
        let Some(space) = line.iter().position(|byte| *byte == b' ') else { return };
        let Some(address) = hex(&line[..space]) else { return };
        let binding = match line.get(space + 1) {
            Some(b'T') => Binding::Global,
            Some(b't') => Binding::Local,
            Some(b'w' | b'W') => Binding::Weak,
            _ => return,
        };
        let Some(name) = line.get(space + 3..) else { return };
        let length = name.iter().position(|byte| *byte == b'\t').unwrap_or(name.len());
        let module = match name.get(length + 1..) {
            Some(module) => self.module(module),
            None => 0,
        };
        if &name[..length] == b"_text" && module == 0 {
            self.start = Some(address);
        }
        let from = start + space + 3;
        self.symbols.push(KernelSymbol {
            address,
            end: 0,
            name: (from as u32, (from + length) as u32),
            module,
            binding,
        });
    }

    fn module(&mut self, name: &[u8]) -> u32 {
        let name = String::from_utf8_lossy(name);
        // Symbols of a module follow each other.
        if self.modules.last().is_none_or(|last| **last != *name) {
            self.modules.push((&*name).into());
        }
        (self.modules.len() - 1) as u32
    }

    /// Sorts, keeps the best symbol of each address, and finds where each ends: at the next, or within a page before a
    /// gap or another module (as perf has it), for there is no size.
    fn settle(&mut self) {
        let Self { text, symbols, .. } = self;
        let name = |symbol: &KernelSymbol| &text[symbol.name.0 as usize..symbol.name.1 as usize];
        let rank = |symbol: &KernelSymbol| {
            let name = name(symbol);
            let underscores = name.iter().take_while(|byte| **byte == b'_').count();
            // Position-independent code of early boot has a second name.
            let is_alias = name.starts_with(b"__pi_");
            (!is_alias, symbol.binding, std::cmp::Reverse(underscores), name.len())
        };
        symbols.sort_by(|a, b| a.address.cmp(&b.address).then_with(|| rank(b).cmp(&rank(a))));
        symbols.dedup_by_key(|symbol| symbol.address);
        for index in 0..symbols.len() {
            let symbol = symbols[index];
            let page_after = (symbol.address | 0xfff).saturating_add(0x1001);
            symbols[index].end = match symbols.get(index + 1) {
                Some(next) if next.module == symbol.module && next.address - symbol.address < 1 << 20 => next.address,
                Some(next) => page_after.min(next.address),
                None => page_after,
            };
        }
    }

    /// The function at an address, also for where a call returns to: just at a start, the address is that of a first
    /// instruction which an interrupt hit (it is among the callers when the unwinder passes the interrupt), as kernel
    /// functions are padded and no call returns to the next one.
    pub(crate) fn find(&self, address: u64) -> Option<Found<'_>> {
        let index = self.symbols.partition_point(|symbol| symbol.address <= address).checked_sub(1)?;
        let symbol = self.symbols[index];
        if address >= symbol.end {
            return None;
        }
        let name = &self.text[symbol.name.0 as usize..symbol.name.1 as usize];
        Some(Found { name, module: &self.modules[symbol.module as usize] })
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.symbols.len()
    }
}

fn hex(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16);
    digits.iter().try_fold(0, |number, byte| Some(number << 4 | u64::from(digit(*byte)?)))
}
