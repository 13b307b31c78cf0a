//! What JIT compilers tell of their code: lines of `START SIZE NAME`, numbers in hexadecimal
//! (`tools/perf/Documentation/jit-interface.txt` of Linux).

use std::collections::BTreeMap;

use super::Named;
use super::demangle::Name;

/// Functions that are kept at most: each takes some 60 bytes besides its name.
const MOST: usize = 1 << 22;

/// The functions of one process.
#[derive(Debug, Default)]
pub(crate) struct JitMap {
    text: Vec<u8>,
    /// By first address: one past the last, and the name's place in the text.
    functions: BTreeMap<u64, (u64, usize, usize)>,
    skipped: u64,
}

impl JitMap {
    /// Where memory was used again, the later line counts. Lines that make no sense are counted; one that is being
    /// written, without its end, is left out.
    pub(crate) fn parse(text: Vec<u8>) -> Self {
        let mut map = Self::default();
        let mut at = 0;
        while let Some(length) = memchr::memchr(b'\n', &text[at..]) {
            match line(&text[at..at + length]) {
                Some((start, end, name)) if map.functions.len() < MOST => {
                    map.insert(start, (end, at + name, at + length));
                }
                _ => map.skipped += u64::from(length > 0),
            }
            at += length + 1;
        }
        map.text = text;
        map
    }

    /// What lay there is gone: a function of which a part is overwritten keeps the rest, as in perf.
    fn insert(&mut self, start: u64, new: (u64, usize, usize)) {
        let end = new.0;
        if let Some((_, before)) = self.functions.range_mut(..start).next_back()
            && before.0 > start
        {
            let old = *before;
            before.0 = start;
            if old.0 > end {
                self.functions.insert(end, old);
            }
        }
        let overlapped: Vec<u64> = self.functions.range(start..end).map(|(start, _)| *start).collect();
        for overlapped in overlapped {
            if let Some(old) = self.functions.remove(&overlapped)
                && old.0 > end
            {
                self.functions.insert(end, old);
            }
        }
        self.functions.insert(start, new);
    }

    /// How many lines were left out.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The function at an address.
    pub(crate) fn find(&self, address: u64) -> Option<Named> {
        let (_, (end, from, to)) = self.functions.range(..=address).next_back()?;
        (address < *end).then(|| named(&String::from_utf8_lossy(&self.text[*from..*to])))
    }
}

/// Start, end, and where in the line the name begins.
fn line(line: &[u8]) -> Option<(u64, u64, usize)> {
    let first = line.iter().position(|byte| *byte == b' ')?;
    let second = first + 1 + line[first + 1..].iter().position(|byte| *byte == b' ')?;
    let start = hex(&line[..first])?;
    let size = hex(&line[first + 1..second])?;
    let name = second + 1;
    (size > 0 && !line[name..].trim_ascii().is_empty()).then_some((start, start.checked_add(size)?, name))
}

fn hex(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    // `from_str_radix` takes a sign.
    if digits.starts_with('+') { None } else { u64::from_str_radix(digits, 16).ok() }
}

/// The function as people write it. V8 (`--perf-basic-prof`) puts a kind, a mark for the compiler that made the code,
/// and the place in: `JS:*fib /app/x.js:1:13`; one function is compiled several times, and is to be one function.
fn named(raw: &str) -> Named {
    let raw = raw.trim();
    let plain = |name: &str| Named {
        name: Name { shown: name.into(), system: None },
        file: None,
        line: 0,
        column: 0,
        start_line: 0,
    };
    let script =
        ["JS:", "LazyCompile:", "Function:", "Eval:", "Script:"].iter().find_map(|kind| raw.strip_prefix(kind));
    let Some(script) = script else { return plain(raw) };
    let script = script.strip_prefix(['~', '^', '+', '*']).unwrap_or(script);
    let (name, place) = script.split_once(' ').unwrap_or((script, ""));
    let mut parts = place.rsplitn(3, ':');
    let numbers = [parts.next(), parts.next()].map(|number| number.and_then(|number| number.parse::<u32>().ok()));
    let (file, start_line) = match (numbers, parts.next()) {
        ([Some(_), Some(line)], Some(file)) if !file.is_empty() => (Some(file.into()), line),
        _ if place.is_empty() => (None, 0),
        _ => (Some(place.into()), 0),
    };
    let name = match name {
        "" if raw.starts_with("Eval:") || raw.starts_with("Script:") => "(program)",
        "" => "(anonymous)",
        name => name,
    };
    Named { file, start_line, ..plain(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(map: &JitMap, address: u64) -> Option<String> {
        map.find(address).map(|named| named.name.shown.to_string())
    }

    #[test]
    fn later_lines_win_and_bad_ones_are_counted() {
        let text =
            b"100 80 old\n0x0000000000000140 0x20 int T.fib(int)\nrubbish\n1z0 10 x\n300 0 empty\n400 10\n\n500 10 \n\
            ffffffffffffffff 2 wraps\n200 10 a\n210 10 b\n220 10 c\n208 10 over\n600 10 cut";
        let map = JitMap::parse(text.to_vec());
        assert_eq!(map.skipped(), 6);
        for (address, expected) in [
            (0xff, None),
            (0x100, Some("old")),
            (0x13f, Some("old")),
            (0x140, Some("int T.fib(int)")),
            (0x15f, Some("int T.fib(int)")),
            (0x160, Some("old")),
            (0x17f, Some("old")),
            (0x180, None),
            (0x207, Some("a")),
            (0x208, Some("over")),
            (0x217, Some("over")),
            (0x218, Some("b")),
            (0x220, Some("c")),
            (0x600, None),
        ] {
            assert_eq!(name(&map, address).as_deref(), expected, "{address:#x}");
        }
    }

    /// Against a map that is painted address by address.
    #[test]
    fn overlaps_are_resolved_as_if_painted() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..300 {
            let mut painted = vec![None; 64];
            let mut text = String::new();
            for index in 0..random(12) {
                let (start, size) = (random(50), 1 + random(14));
                text += &format!("{start:x} {size:x} f{index}\n");
                painted[start as usize..(start + size) as usize].fill(Some(format!("f{index}")));
            }
            let map = JitMap::parse(text.clone().into_bytes());
            for (address, expected) in painted.iter().enumerate() {
                assert_eq!(&name(&map, address as u64), expected, "{address} of\n{text}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(text: Vec<u8>, lines in "([0-9a-fx+ ]{0,12} [0-9a-f]{0,17} [ -~]{0,9}\\n){0,20}", address: u64) {
            for text in [text, lines.into_bytes()] {
                let map = JitMap::parse(text);
                let _ = map.find(address);
                let _ = map.functions.keys().map(|start| map.find(*start)).collect::<Vec<_>>();
            }
        }
    }

    #[test]
    fn scripts_functions_are_one_whoever_compiled_them() {
        let check = |raw: &str, shown: &str, file: Option<&str>, start_line: u32| {
            let named = named(raw);
            assert_eq!(
                (&*named.name.shown, named.file.as_deref(), named.start_line),
                (shown, file, start_line),
                "{raw}"
            );
        };
        check("JS:*fib /app/x.js:1:13", "fib", Some("/app/x.js"), 1);
        check("LazyCompile:~fib /app/my x.js:1:13", "fib", Some("/app/my x.js"), 1);
        check("JS:^ file:///app/x.mjs:4:76", "(anonymous)", Some("file:///app/x.mjs"), 4);
        check("Eval:~ /app/x.js:1:1", "(program)", Some("/app/x.js"), 1);
        check("JS:~initialize node:internal/x:52:10", "initialize", Some("node:internal/x"), 52);
        check("JS:*fib", "fib", None, 0);
        check("Builtin:ArrayMap", "Builtin:ArrayMap", None, 0);
        check("py::f:/app/x.py", "py::f:/app/x.py", None, 0);
        check("int T.fib(int)", "int T.fib(int)", None, 0);
    }
}
