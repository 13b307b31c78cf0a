//! Names as people write them.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use cpp_demangle::{DemangleOptions, ParseOptions};
use foldhash::fast::RandomState;

/// Longest name that is demangled or shown. Longer ones are cut; real ones of 20,000 bytes have been seen.
const LONGEST: usize = 1 << 16;

/// Nesting that the C++ demangler follows, which recurses. Real names stay below 100.
const CPP_RECURSION: u32 = 192;

/// A function's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// To show.
    pub(crate) shown: Arc<str>,
    /// The linker's, where it differs.
    pub(crate) system: Option<Arc<str>>,
}

/// Demangles each distinct name once.
#[derive(Default)]
pub(crate) struct Demangler {
    names: HashMap<Box<[u8]>, Name, RandomState>,
}

impl Demangler {
    pub(crate) fn name(&mut self, raw: &[u8]) -> Name {
        if let Some(name) = self.names.get(raw) {
            return name.clone();
        }
        let name = demangle(raw);
        self.names.insert(raw.into(), name.clone());
        name
    }
}

/// The name with its mangling undone, if it is that of Rust (either scheme; the hash is left out) or C++.
pub(crate) fn demangle(raw: &[u8]) -> Name {
    let raw = &raw[..raw.len().min(LONGEST)];
    let text = String::from_utf8_lossy(raw);
    match rust(&text).or_else(|| cpp(&text)) {
        Some(shown) => Name { shown: shown.into(), system: Some((&*text).into()) },
        None => Name { shown: (&*text).into(), system: None },
    }
}

/// Whether a linker's name holds more than the plain name, as those of Rust and C++ do.
pub(crate) fn is_mangled(raw: &[u8]) -> bool {
    raw.starts_with(b"_Z") || raw.starts_with(b"_R")
}

fn rust(text: &str) -> Option<String> {
    let demangled = rustc_demangle::try_demangle(text).ok()?;
    bounded(|out| write!(out, "{demangled:#}"))
}

fn cpp(text: &str) -> Option<String> {
    // `_GLOBAL__sub_I_…` and the like are known to the demangler too; plain C names must not be taken for types.
    if !(text.starts_with("_Z") || text.starts_with("__Z") || text.starts_with("_GLOBAL_")) {
        return None;
    }
    let options = ParseOptions::default().recursion_limit(CPP_RECURSION);
    let symbol = cpp_demangle::Symbol::new_with_options(text, &options).ok()?;
    let options = DemangleOptions::new().recursion_limit(CPP_RECURSION);
    bounded(|out| symbol.structured_demangle(out, &options))
}

/// What `write` writes, if it ends in time: substitutions let a short name grow without end.
fn bounded(write: impl FnOnce(&mut Bounded) -> fmt::Result) -> Option<String> {
    let mut out = Bounded(String::new());
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| write(&mut out)));
    matches!(done, Ok(Ok(()))).then_some(out.0).filter(|shown| !shown.is_empty())
}

struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > LONGEST {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_each_language() {
        let shown = |raw: &str| demangle(raw.as_bytes()).shown.to_string();
        assert_eq!(shown("_ZN4core3fmt5write17h0123456789abcdefE"), "core::fmt::write");
        assert_eq!(shown("_RNvCskwGfYPst2Cb_3foo16example_function"), "foo::example_function");
        assert_eq!(
            shown("_ZNSt6vectorIiSaIiEE9push_backERKi"),
            "std::vector<int, std::allocator<int> >::push_back(int const&)"
        );
        assert_eq!(shown("_ZN3foo3barEv.part.0"), "foo::bar() [clone .part.0]");
        for plain in ["main", "f", "_start", "__libc_start_main", "x", "_Zebra", "_R", "_Z"] {
            assert_eq!(demangle(plain.as_bytes()), Name { shown: plain.into(), system: None });
        }
    }

    #[test]
    fn hostile_names_end_in_time_and_space() {
        let mut bomb = String::from("_ZN1aI1bE1cI");
        for _ in 0..20_000 {
            bomb.push_str("S_S0_");
        }
        let nested = format!("_Z1f{}i", "P".repeat(100_000));
        let rust = format!("_RI{}", "B_".repeat(50_000));
        let bytes = [0xff; 100];
        for raw in [bomb.as_bytes(), nested.as_bytes(), rust.as_bytes(), &bytes] {
            assert!(demangle(raw).shown.len() <= 3 * LONGEST);
        }
    }
}
