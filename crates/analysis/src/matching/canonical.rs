//! Names without what differs from build to build.

use std::borrow::Cow;
use std::fmt::Write;

use super::v8;

/// Longest name that is looked at; longer ones are taken as they are.
const LONGEST: usize = 1 << 16;

/// Nesting that the C++ demangler, which recurses, may follow.
const CPP_RECURSION: u32 = 192;

/// The function's name without hashes, numbers of closures and clones, versions of namespaces. Equal canonical names
/// are taken for one function.
///
/// - Mangled names are demangled (Rust legacy and v0: RFC 2603; C++: the Itanium ABI).
/// - Rust: `::h0123456789abcdef`, v0 crate disambiguators `[0123456789abcdef]`, `{closure#1}` and `{{closure}}`.
/// - C++: `[clone .isra.0]`, `.part.1`, `.constprop.2`, `.cold`, `.llvm.123`, `.lto_priv.4`; `{lambda(int)#2}`, clang's
///   `$_3` and `'lambda1'(int)`; `[abi:cxx11]`, `std::__1::`, `std::__cxx11::`.
/// - V8: `LazyCompile:*f app.js:10:2` and its tiers `~ ^ + *`.
/// - Java's lambdas: `Lambda$12/0x0000000800c1`.
pub fn canonical(name: &str) -> Cow<'_, str> {
    if name.len() > LONGEST {
        return name.into();
    }
    if let Some(script) = v8::canonical(name) {
        return script.into();
    }
    let plain = without_clones(name);
    let demangled = demangle(plain).map_or(Cow::Borrowed(plain), Cow::Owned);
    let demangled = match demangled {
        Cow::Borrowed(text) => Cow::Borrowed(without_clones(text)),
        Cow::Owned(text) => Cow::Owned(without_clones(&text).to_owned()),
    };
    let text = without_rust_hash(&demangled);
    if text.len() == demangled.len() && !text.contains(['[', '{', '\'', '$', '_']) {
        return if text.len() == name.len() { name.into() } else { demangled };
    }
    without_numbers(&rust_escapes(text)).into()
}

fn demangle(name: &str) -> Option<String> {
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return Some(format!("{rust:#}"));
    }
    if !name.starts_with("_Z") {
        return None;
    }
    let options = cpp_demangle::ParseOptions::default().recursion_limit(CPP_RECURSION);
    let symbol = cpp_demangle::Symbol::new_with_options(name, &options).ok()?;
    let mut bounded = Bounded(String::new());
    let options = cpp_demangle::DemangleOptions::new().recursion_limit(CPP_RECURSION);
    write!(bounded, "{}", symbol.demangle_with_options(&options).ok()?).ok()?;
    Some(bounded.0)
}

/// Demangling can multiply a name: what is longer than any real one stays mangled.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len() + text.len() > LONGEST {
            return Err(std::fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// What compilers append to the names of functions they split or specialize.
const CLONES: [&str; 12] = [
    "cold",
    "isra",
    "part",
    "constprop",
    "llvm",
    "lto_priv",
    "localalias",
    "clone",
    "__uniq",
    "warm",
    "split",
    "specialized",
];

fn without_clones(mut name: &str) -> &str {
    loop {
        let shorter = without_clone(name);
        if shorter.len() == name.len() || shorter.is_empty() {
            return name;
        }
        name = shorter;
    }
}

/// Without one suffix: `.isra.0`, `.cold`, ` [clone .isra.0]`, ` (.cold)`, ` [.cold]`.
fn without_clone(name: &str) -> &str {
    let bracketed = [(" [clone ", ']'), (" (.", ')'), (" [.", ']')];
    for (open, close) in bracketed {
        if let Some((head, tail)) = name.strip_suffix(close).and_then(|inner| inner.rsplit_once(open))
            && !tail.contains(['(', ' '])
        {
            return head;
        }
    }
    let numberless = match name.rsplit_once('.') {
        Some((head, digits)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => head,
        _ => name,
    };
    match numberless.rsplit_once('.') {
        Some((head, word)) if CLONES.contains(&word) => head,
        _ => name,
    }
}

/// Without the `::h` and sixteen hexadecimal digits at the end of legacy names.
fn without_rust_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((head, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => head,
        _ => name,
    }
}

/// Undoes the escapes of legacy names that were not demangled whole: `_$LT$T$u20$as$u20$U$GT$`, `..` for `::`.
fn rust_escapes(name: &str) -> Cow<'_, str> {
    if !name.contains('$') {
        return name.into();
    }
    let known = [
        ("$LT$", "<"),
        ("$GT$", ">"),
        ("$RF$", "&"),
        ("$BP$", "*"),
        ("$LP$", "("),
        ("$RP$", ")"),
        ("$C$", ","),
        ("$SP$", "@"),
        ("$u20$", " "),
        ("$u27$", "'"),
        ("$u5b$", "["),
        ("$u5d$", "]"),
        ("$u7b$", "{"),
        ("$u7d$", "}"),
        ("$u7e$", "~"),
        ("$u3b$", ";"),
        ("$u2b$", "+"),
        ("$u22$", "\""),
    ];
    if !known.iter().any(|(escape, _)| name.contains(escape)) {
        return name.into();
    }
    let mut text = known.iter().fold(name.to_owned(), |text, (escape, plain)| text.replace(escape, plain));
    text = text.replace("..", "::").replace("_<", "<");
    text.into()
}

/// Drops what is numbered: see [`canonical`].
fn without_numbers(name: &str) -> String {
    let mut result = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(char) = rest.chars().next() {
        if let Some((written, read)) = special(rest, &result) {
            result.push_str(written);
            rest = &rest[read..];
        } else {
            result.push(char);
            rest = &rest[char.len_utf8()..];
        }
    }
    result
}

/// If `rest` begins with something numbered: what is written for it, and how many bytes it takes.
fn special<'a>(rest: &'a str, before: &str) -> Option<(&'a str, usize)> {
    match rest.as_bytes()[0] {
        b'[' => {
            let inner = &rest[1..rest.find(']')?];
            let hex = (8..=16).contains(&inner.len()) && inner.bytes().all(|byte| byte.is_ascii_hexdigit());
            let after_name = before.ends_with(|char: char| char.is_alphanumeric() || char == '_');
            // In C++ `[` follows a name in `[abi:cxx11]` alone.
            let dropped = after_name && (hex || inner.starts_with("abi:"));
            dropped.then_some(("", inner.len() + 2))
        }
        // `{{closure}}` of legacy names, `{closure#0}` of v0's, `{lambda(int)#1}`: the braces stay, the number goes.
        b'{' if rest.starts_with("{{") => {
            let inner = &rest[2..rest.find("}}")?];
            inner
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
                .then(|| (&rest[1..inner.len() + 3], inner.len() + 4))
        }
        b'#' => {
            let digits = leading_digits(&rest[1..]);
            (digits > 0 && rest[1 + digits..].starts_with('}')).then_some(("", 1 + digits))
        }
        b'\'' => {
            let digits = leading_digits(rest.strip_prefix("'lambda")?);
            rest["'lambda".len() + digits..].starts_with('\'').then_some(("'lambda'", "'lambda'".len() + digits))
        }
        b'$' if rest.starts_with("$_") => {
            let digits = leading_digits(&rest[2..]);
            (digits > 0).then_some(("$_", 2 + digits))
        }
        // Java: `Foo$$Lambda$12/0x0000000800c1.run`, `Foo$$Lambda/0x00…`.
        b'$' if rest.starts_with("$$Lambda") => {
            let name = "$$Lambda".len();
            let number =
                rest[name..].bytes().take_while(|byte| byte.is_ascii_hexdigit() || b"$/x".contains(byte)).count();
            (number > 0).then_some(("$$Lambda", name + number))
        }
        // Versions of the standard libraries' namespaces: std::__1::, std::__cxx11::, std::__ndk1::.
        b'_' if before.ends_with("std::") => {
            let end = rest.find("::")? + 2;
            let version = rest[..end].strip_prefix("__")?.strip_suffix("::")?;
            let is_version = !version.is_empty()
                && version
                    .trim_start_matches("cxx")
                    .trim_start_matches("ndk")
                    .bytes()
                    .all(|byte| byte.is_ascii_digit());
            is_version.then_some(("", end))
        }
        _ => None,
    }
}

fn leading_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// A canonical name without template and generic arguments and parameter lists, closures told by their function alone:
/// what two schemes of mangling, or two versions of a library, agree on.
pub(crate) fn loose(canonical: &str) -> String {
    let mut result = String::with_capacity(canonical.len());
    let mut depth = 0_usize;
    let bytes = canonical.as_bytes();
    let is_operator = canonical.contains("operator");
    for (at, char) in canonical.char_indices() {
        match char {
            // `<T as U>::f` begins with a bracket that says what the function is of; `operator<` is a name, `->` none.
            '<' if at > 0 && !is_operator && !result.is_empty() && !result.ends_with([' ', '&']) => depth += 1,
            '>' if depth > 0 && bytes[at - 1] != b'-' => depth -= 1,
            '(' if at > 0 && !is_operator && result.ends_with(|c: char| c.is_alphanumeric() || c == '_') => depth += 1,
            ')' if depth > 0 => depth -= 1,
            _ if depth == 0 => result.push(char),
            _ => {}
        }
    }
    while let Some(at) = result.find("::::") {
        result.replace_range(at..at + 2, "");
    }
    let trimmed = result.trim_end_matches("::").trim_end();
    go_closures(trimmed)
}

/// Go numbers its closures: `main.f.func2.1`.
fn go_closures(name: &str) -> String {
    let Some(at) = name.find(".func") else { return name.to_owned() };
    let tail = &name[at + ".func".len()..];
    if !tail.is_empty() && tail.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return format!("{}.func", &name[..at]);
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names on the left were made by real compilers; see the fixtures for whole programs.
    #[test]
    fn what_differs_from_build_to_build_goes() {
        for (name, expected) in [
            ("core::ptr::drop_in_place::h0123456789abcdef", "core::ptr::drop_in_place"),
            ("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad"),
            ("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE.llvm.1234567890", "core::fmt::Formatter::pad"),
            ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"),
            ("mycrate[8787f43e282added]::foo::{closure#3}", "mycrate::foo::{closure}"),
            ("mycrate::foo::{{closure}}::h0123456789abcdef", "mycrate::foo::{closure}"),
            ("<alloc::vec::Vec<[u8; 16]> as Drop>::drop", "<alloc::vec::Vec<[u8; 16]> as Drop>::drop"),
            (
                "_$LT$alloc..string..String$u20$as$u20$core..fmt..Write$GT$::write_str",
                "<alloc::string::String as core::fmt::Write>::write_str",
            ),
            ("memcpy.isra.0.constprop.1", "memcpy"),
            ("do_work.part.12.cold", "do_work"),
            ("do_work [clone .isra.0] [clone .cold]", "do_work"),
            ("do_work(int) (.cold)", "do_work(int)"),
            ("_ZN3foo3barEv.isra.0", "foo::bar()"),
            ("run(int)::{lambda(int)#2}::operator()(int) const", "run(int)::{lambda(int)}::operator()(int) const"),
            ("run()::$_1::operator()() const", "run()::$_::operator()() const"),
            ("run()::'lambda0'(int)::operator()(int) const", "run()::'lambda'(int)::operator()(int) const"),
            ("std::__cxx11::basic_string<char>::append(char const*)", "std::basic_string<char>::append(char const*)"),
            ("std::__1::vector<int>::push_back[abi:v160006](int&&)", "std::vector<int>::push_back(int&&)"),
            ("LazyCompile:*render app.js:10:3", "render app.js"),
            ("com.example.Main$$Lambda$14/0x0000000800c0b440.run", "com.example.Main$$Lambda.run"),
            ("std::__detail::_Executor::run()", "std::__detail::_Executor::run()"),
        ] {
            assert_eq!(canonical(name), expected, "{name}");
        }
    }

    #[test]
    fn names_that_say_something_stay() {
        for name in [
            "",
            ".",
            "main",
            "a.b",
            "x.1",
            "file.rs",
            "operator[]",
            "T[0]",
            "__libc_start_main",
            "[unknown]",
            "{",
            "#1}",
            "'lambda",
            "$_",
            "f::habcdef",
            "version.2",
            "cold",
            ".cold",
            "日本[01]x{{",
            "main.main",
            "f.func1.2",
        ] {
            assert_eq!(canonical(name), name);
        }
    }

    #[test]
    fn loosely_the_same() {
        for (name, expected) in [
            ("alloc::vec::Vec<T>::push", "alloc::vec::Vec::push"),
            ("alloc::vec::Vec::<u8>::push", "alloc::vec::Vec::push"),
            ("mycrate::sort::<u32, f64>", "mycrate::sort"),
            (
                "<alloc::string::String as core::fmt::Write>::write_str",
                "<alloc::string::String as core::fmt::Write>::write_str",
            ),
            ("foo::bar(int, char const*)", "foo::bar"),
            ("main.f.func2.1", "main.f.func"),
            ("std::operator<(A const&)", "std::operator<(A const&)"),
        ] {
            assert_eq!(loose(name), expected, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_a_canonical_name(name in "[a-z_:<>\\[\\]{}#'$.0-9 ()*é]{0,40}") {
            let once = canonical(&name).into_owned();
            loose(&once);
            proptest::prop_assert!(once.len() <= name.len() + 2);
        }
    }
}
