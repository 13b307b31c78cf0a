//! What rules are matched against: the names of a function without what differs from call to call and from tool to tool.

use std::borrow::Cow;

/// Longest name that is taken apart; of longer ones only the raw text is matched.
const LONGEST: usize = 1 << 14;

/// A function as rules see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject<'a> {
    /// The name as it is, but for signatures; its path without return type, parameters and type arguments; for a Rust method of a trait
    /// also the trait's path. Without repetitions.
    pub(super) names: Vec<Cow<'a, str>>,
    /// The module's last path component, or what the name's suffix says.
    pub(super) module: Option<&'a str>,
    /// The source file, or the one that the name ends in.
    pub(super) file: Option<&'a str>,
}

/// Takes a function apart.
///
/// Suffixes of tools: `_[k]` of collapsed stacks marks the kernel, ` (file.py:12)` (py-spy) and `py::name:file`
/// (CPython's perf support) name a file.
pub(super) fn subject<'a>(function: &'a str, module: Option<&'a str>, file: Option<&'a str>) -> Subject<'a> {
    let mut subject = Subject { names: Vec::with_capacity(3), module, file };
    let mut name = function;
    if let Some((inner, kind)) = name.strip_suffix(']').and_then(|head| head.rsplit_once("_["))
        && matches!(kind, "k" | "j" | "i" | "0" | "1")
    {
        name = inner;
        if kind == "k" && module.is_none() {
            subject.module = Some("[kernel.kallsyms]");
        }
    }
    if let Some((head, path)) = name.strip_prefix("py::").and_then(|rest| rest.split_once(':')) {
        (name, subject.file) = (head, Some(path));
    } else if let Some((head, path)) = file_in_parentheses(name) {
        (name, subject.file) = (head, Some(path));
    }
    // Of a signature only the path counts: it begins with what it returns.
    if name.len() > LONGEST || !is_signature(name) {
        subject.names.push(name.into());
    }
    if name.len() <= LONGEST {
        let mut add = |name: Cow<'a, str>| {
            if !name.is_empty() && !subject.names.contains(&name) {
                subject.names.push(name);
            }
        };
        match impl_block(name) {
            Some((of, trait_, rest)) => {
                add(format!("{}{rest}", path(of)).into());
                if let Some(trait_) = trait_ {
                    add(format!("{}{rest}", path(trait_)).into());
                }
            }
            None => add(path(name)),
        }
    }
    subject
}

/// Whether a name has parameters: `f(int)`, but not `(idle)`, `GC (minor)`, Go's `pkg.(*T).method`.
fn is_signature(name: &str) -> bool {
    name.match_indices('(').any(|(at, _)| {
        let before = name[..at].chars().next_back();
        at > 0 && before.is_some_and(|char| char != ' ' && char != '.' && char != ':') && name[at..].contains(')')
    })
}

/// `encode (json/encoder.py:219)` → name and file.
fn file_in_parentheses(name: &str) -> Option<(&str, &str)> {
    let (head, inner) = name.strip_suffix(')')?.rsplit_once(" (")?;
    let (file, line) = inner.rsplit_once(':').unwrap_or((inner, "0"));
    let is_file = file.contains('.') && !file.contains(' ') && line.bytes().all(|byte| byte.is_ascii_digit());
    is_file.then_some((head, file))
}

/// `<Type as Trait>::rest` → type, trait, `::rest`.
fn impl_block(name: &str) -> Option<(&str, Option<&str>, &str)> {
    let inner = name.strip_prefix('<')?;
    let mut depth = 1_usize;
    let mut as_at = None;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            // The arrow of a function type closes nothing.
            b'>' if at > 0 && inner.as_bytes()[at - 1] == b'-' => {}
            b'>' => depth -= 1,
            b' ' if depth == 1 && as_at.is_none() && inner[at..].starts_with(" as ") => as_at = Some(at),
            _ => {}
        }
        if depth == 0 {
            let rest = &inner[at + 1..];
            let rest = &rest[..rest.find('<').unwrap_or(rest.len())];
            let (of, trait_) = match as_at {
                Some(split) => (&inner[..split], Some(&inner[split + 4..at])),
                None => (&inner[..at], None),
            };
            return rest.starts_with("::").then_some((of, trait_, rest.trim_end_matches(':')));
        }
    }
    None
}

/// The path of a function or type: no return type, parameters, type arguments, references, anonymous namespaces, parts
/// of clones; Java's internal form with dots.
fn path(name: &str) -> Cow<'_, str> {
    let name = name.split_once(" [clone ").map_or(name, |(head, _)| head);
    if let Some((class, method)) = name.strip_prefix('L').and_then(|rest| rest.split_once(";::")) {
        return format!("{}.{method}", class.replace('/', ".")).into();
    }
    if let Some((class, _)) = name.split_once('.')
        && ["java/", "javax/", "jdk/", "sun/", "com/", "org/", "net/", "io/", "kotlin/", "scala/"]
            .iter()
            .any(|root| class.starts_with(root))
    {
        return name.replace('/', ".").into();
    }
    if !name.contains(['<', '(', ' ', '&', '@']) {
        return suffixes(name).into();
    }
    let plain = without_arguments(name);
    // What stands before the last blank is a return type, but for operators that are words.
    let last = match plain.find("operator ") {
        Some(at) => plain[..at].rfind(' ').map_or(0, |blank| blank + 1),
        None => plain.trim_end().rfind(' ').map_or(0, |blank| blank + 1),
    };
    suffixes(plain[last..].trim().trim_start_matches(['&', '*'])).to_owned().into()
}

/// Drops what stands in angle brackets and everything from the parameters on.
fn without_arguments(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut depth = 0_usize;
    let mut rest = name;
    let mut last = ' ';
    while let Some(char) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("(anonymous namespace)::") {
            rest = after;
            continue;
        }
        match char {
            // Names like `operator<` and `operator->` are rare, and lose no more than their end.
            '<' => depth += 1,
            '>' if last == '-' => {}
            '>' => depth = depth.saturating_sub(1),
            // Go's receivers, `(*T).method`, are part of the path.
            '(' if depth == 0 && !rest.starts_with("(*") && !plain.is_empty() => break,
            _ if depth == 0 => plain.push(char),
            _ => {}
        }
        last = char;
        rest = &rest[char.len_utf8()..];
    }
    plain.replace(".()", "").replace("::::", "::")
}

/// Without `@plt`, versions, and what compilers append to clones.
fn suffixes(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(head, _)| if head.is_empty() { name } else { head });
    let name = [".isra.", ".part.", ".constprop.", ".cold", ".llvm.", ".lto_priv.", ".localalias"]
        .iter()
        .filter_map(|suffix| name.find(suffix))
        .filter(|at| *at > 0)
        .min()
        .map_or(name, |at| &name[..at]);
    name.trim_end_matches([':', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(function: &str) -> Vec<String> {
        subject(function, None, None).names.into_iter().map(Cow::into_owned).collect()
    }

    fn last(function: &str) -> String {
        names(function).pop().expect("there is always the raw name")
    }

    #[test]
    fn paths_without_types() {
        for (name, path) in [
            ("free", "free"),
            ("finish_task_switch.isra.0", "finish_task_switch"),
            ("memcmp@plt", "memcmp"),
            ("__memcpy_avx@@GLIBC_2.14", "__memcpy_avx"),
            (
                "llvm::InstCombinePass::run(llvm::Function&, llvm::AnalysisManager<llvm::Function, >&)",
                "llvm::InstCombinePass::run",
            ),
            ("(anonymous namespace)::EarlyCSE::run() [clone .llvm] [clone .9]", "EarlyCSE::run"),
            (
                "void llvm::MemorySSA::buildMemorySSA<llvm::iterator_range<int> >(int)",
                "llvm::MemorySSA::buildMemorySSA",
            ),
            (
                "v8::internal::JsonStringifier::Result v8::internal::JsonStringifier::Serialize_<true>(v8::X)",
                "v8::internal::JsonStringifier::Serialize_",
            ),
            ("operator new(unsigned long)", "operator new"),
            ("encoding/json.(*decodeState).object", "encoding/json.(*decodeState).object"),
            ("void java.util.regex.Matcher.<init>(java.util.regex.Pattern)", "java.util.regex.Matcher"),
            ("Ljava/util/regex/Matcher;::match", "java.util.regex.Matcher.match"),
            ("java/util/regex/Pattern$Node.match_[j]", "java.util.regex.Pattern$Node.match"),
            (
                "<rustc_middle::ty::context::CtxtInterners>::intern_ty",
                "rustc_middle::ty::context::CtxtInterners::intern_ty",
            ),
            ("serde_json::de::from_str::<shop::Order>", "serde_json::de::from_str"),
            ("alloc::vec::Vec<T,A>::push", "alloc::vec::Vec::push"),
        ] {
            assert_eq!(last(name), path, "{name}");
        }
    }

    #[test]
    fn traits_are_names_too() {
        assert_eq!(names("java.lang.String Main.json(java.util.List)"), ["Main.json"]);
        let all = names("<&mut alloc::vec::Vec<fn() -> u8> as serde::ser::Serialize>::serialize::<W>");
        assert_eq!(all[all.len() - 2..], ["alloc::vec::Vec::serialize", "serde::ser::Serialize::serialize"]);
    }

    #[test]
    fn tools_hide_files_and_the_kernel_in_names() {
        let python = subject("iterencode (json/encoder.py:219)", None, None);
        assert_eq!((&*python.names[0], python.file), ("iterencode", Some("json/encoder.py")));
        let python = subject("py::iterencode:/usr/lib/python3.12/json/encoder.py", None, None);
        assert_eq!((&*python.names[0], python.file), ("iterencode", Some("/usr/lib/python3.12/json/encoder.py")));
        let kernel = subject("do_syscall_64_[k]", None, None);
        assert_eq!((&*kernel.names[0], kernel.module), ("do_syscall_64", Some("[kernel.kallsyms]")));
        assert_eq!(subject("f (int)", None, Some("a.c")).file, Some("a.c"));
    }

    proptest::proptest! {
        /// Any name is taken apart.
        #[test]
        fn any_name(name in "[a-c<>()&@ :.*ü/\\[\\]-]{0,40}") {
            let subject = subject(&name, None, None);
            proptest::prop_assert!(subject.names.len() <= 3);
        }
    }
}
