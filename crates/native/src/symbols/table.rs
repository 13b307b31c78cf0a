//! A table of symbols, and which of several at one address is the one to name.

/// A symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbol<'a> {
    pub(crate) address: u64,
    /// 0 if not known.
    pub(crate) size: u64,
    pub(crate) name: &'a [u8],
    pub(crate) binding: Binding,
    /// Appended to the name: symbols of the procedure linkage table are those of what it jumps to.
    pub(crate) is_plt: bool,
}

/// How a symbol binds, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Binding {
    Weak,
    Local,
    Global,
}

/// Symbols sorted by address, one per address.
#[derive(Debug, Default)]
pub(crate) struct SymbolTable<'a> {
    symbols: Vec<Symbol<'a>>,
    /// Addresses and names of those that weren't chosen, sorted by address.
    aliases: Vec<(u64, &'a [u8])>,
    /// For each symbol the highest end of it and those before: how far back one may reach.
    highest_end: Vec<u64>,
}

impl<'a> SymbolTable<'a> {
    /// `limit` is where code ends: the end of a last symbol without size.
    pub(crate) fn new(mut symbols: Vec<Symbol<'a>>, limit: u64) -> Self {
        symbols.sort_unstable_by(|a, b| a.address.cmp(&b.address).then_with(|| rank(b).cmp(&rank(a))));
        let mut aliases = Vec::new();
        symbols.dedup_by(|later, best| {
            let is_alias = later.address == best.address;
            if is_alias {
                aliases.push((later.address, later.name));
            }
            is_alias
        });
        for index in 0..symbols.len() {
            if symbols[index].size == 0 {
                let end = symbols.get(index + 1).map_or(limit, |next| next.address);
                symbols[index].size = end.saturating_sub(symbols[index].address);
            }
        }
        let mut highest = 0;
        let highest_end = symbols.iter().map(|symbol| {
            highest = symbol.address.saturating_add(symbol.size).max(highest);
            highest
        });
        let highest_end = highest_end.collect();
        Self { symbols, aliases, highest_end }
    }

    /// The innermost symbol that covers the address.
    pub(crate) fn find(&self, address: u64) -> Option<&Symbol<'a>> {
        let mut index = self.symbols.partition_point(|symbol| symbol.address <= address);
        // Symbols within symbols are few; the bound is for hostile tables.
        for _ in 0..64 {
            index = index.checked_sub(1)?;
            let symbol = &self.symbols[index];
            if address - symbol.address < symbol.size {
                return Some(symbol);
            }
            if self.highest_end[index] <= address {
                return None;
            }
        }
        None
    }

    /// Whether `name` is another name for the code that starts at `address`.
    pub(crate) fn is_alias(&self, address: u64, name: &[u8]) -> bool {
        let first = self.aliases.partition_point(|alias| alias.0 < address);
        self.aliases[first..].iter().take_while(|alias| alias.0 == address).any(|alias| alias.1 == name)
    }

    /// The address of a symbol with this name.
    pub(crate) fn address_of(&self, name: &[u8]) -> Option<u64> {
        let chosen = self.symbols.iter().map(|symbol| (symbol.address, symbol.name));
        chosen.chain(self.aliases.iter().copied()).find(|symbol| symbol.1 == name).map(|symbol| symbol.0)
    }
}

/// perf's choice (`choose_best_symbol` in `tools/perf/util/symbol.c`): one with a size, not weak, global, with fewer
/// leading underscores, longer. The names themselves break ties, so that the result doesn't depend on the order.
fn rank<'a>(symbol: &Symbol<'a>) -> (bool, Binding, std::cmp::Reverse<usize>, usize, &'a [u8]) {
    let underscores = symbol.name.iter().take_while(|byte| **byte == b'_').count();
    (symbol.size > 0, symbol.binding, std::cmp::Reverse(underscores), symbol.name.len(), symbol.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(address: u64, size: u64, name: &str, binding: Binding) -> Symbol<'_> {
        Symbol { address, size, name: name.as_bytes(), binding, is_plt: false }
    }

    #[test]
    fn the_better_symbol_of_an_address_is_named() {
        let table = SymbolTable::new(
            vec![
                symbol(0x100, 0x10, "weak", Binding::Weak),
                symbol(0x100, 0x10, "__global", Binding::Global),
                symbol(0x100, 0x10, "global", Binding::Global),
                symbol(0x100, 0x10, "static", Binding::Local),
                symbol(0x100, 0, "global_label", Binding::Global),
            ],
            0x200,
        );
        assert_eq!(table.find(0x10f).unwrap().name, b"global");
        assert_eq!(table.find(0x110), None);
        assert_eq!(table.find(0xff), None);
        assert!(table.is_alias(0x100, b"weak") && !table.is_alias(0x100, b"global") && !table.is_alias(0x101, b"weak"));
        assert_eq!((table.address_of(b"weak"), table.address_of(b"none")), (Some(0x100), None));
    }

    #[test]
    fn symbols_in_symbols_and_without_size() {
        let table = SymbolTable::new(
            vec![
                symbol(0x100, 0x100, "outer", Binding::Global),
                symbol(0x140, 0x10, "inner", Binding::Local),
                symbol(0x160, 0x8, "inner2", Binding::Local),
                symbol(0x300, 0, "label", Binding::Local),
                symbol(0x340, 0, "last", Binding::Local),
            ],
            0x380,
        );
        let name = |address| table.find(address).map(|symbol| std::str::from_utf8(symbol.name).unwrap());
        assert_eq!(name(0x148), Some("inner"));
        assert_eq!(name(0x158), Some("outer"));
        assert_eq!(name(0x1ff), Some("outer"));
        assert_eq!(name(0x200), None);
        assert_eq!(name(0x33f), Some("label"));
        assert_eq!(name(0x37f), Some("last"));
        assert_eq!(name(0x380), None);
    }

    #[test]
    fn ends_past_the_address_space_do_no_harm() {
        let table = SymbolTable::new(vec![symbol(u64::MAX - 1, u64::MAX, "end", Binding::Global)], 0);
        assert_eq!(table.find(u64::MAX).unwrap().name, b"end");
    }
}
