//! Names that V8 gives to code in perf maps and logs.
//!
//! Source: V8's `CodeEventLogger` (`src/logging/log.cc`) and `src/objects/code-kind.cc`: a tag, a colon, a mark of the
//! tier (`~` interpreted, `^` baseline, `+` Maglev, `*` TurboFan), name, and place.

const TAGS: [&str; 9] = [
    "LazyCompile:",
    "Function:",
    "JS:",
    "Script:",
    "Eval:",
    "Callback:",
    "InterpretedFunction:",
    "RegExp:",
    "Handler:",
];

/// The name and file, without tier and line: `render app.js`. Functions without a name keep their line, which is all
/// that tells them apart: `(anonymous) app.js:12`. `None` if the name is not V8's.
pub(super) fn canonical(name: &str) -> Option<String> {
    let (tag, rest) = TAGS.iter().find_map(|tag| Some((*tag, name.strip_prefix(tag)?)))?;
    let rest = rest.strip_prefix(['*', '~', '^', '+']).unwrap_or(rest);
    if matches!(tag, "RegExp:" | "Handler:") {
        return Some(format!("{tag}{rest}"));
    }
    let (function, place) = match rest.rsplit_once(' ') {
        Some((function, place)) => (function.trim(), place),
        None if rest.contains(['/', ':']) => ("", rest),
        None => (rest, ""),
    };
    let (path, line) = split_place(place);
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let is_anonymous = function.is_empty() || matches!(function, "(anonymous)" | "<anonymous>" | "anonymous");
    Some(match (is_anonymous, file.is_empty()) {
        (true, true) => "(anonymous)".to_owned(),
        (true, false) if tag == "Script:" || line.is_empty() => format!("(script) {file}"),
        (true, false) => format!("(anonymous) {file}:{line}"),
        (false, true) => function.to_owned(),
        (false, false) => format!("{function} {file}"),
    })
}

/// File and line of a name such as `LazyCompile:*render /srv/app.js:10:2`.
pub(super) fn place(name: &str) -> Option<(&str, u32)> {
    let rest = TAGS.iter().find_map(|tag| name.strip_prefix(tag))?;
    let (path, line) = split_place(rest.rsplit_once(' ').map_or(rest, |(_, place)| place));
    Some((path.rsplit(['/', '\\']).next().unwrap_or(path), line.parse().ok()?))
}

/// Path and line of `path`, `path:line` or `path:line:column`.
fn split_place(place: &str) -> (&str, &str) {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match place.rsplit_once(':') {
        Some((head, last)) if number(last) => match head.rsplit_once(':') {
            Some((path, line)) if number(line) => (path, line),
            _ => (head, last),
        },
        _ => (place, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::{canonical, place};

    #[test]
    fn places() {
        assert_eq!(place("LazyCompile:*render /srv/app.js:10:2"), Some(("app.js", 10)));
        assert_eq!(place("JS:~ app.js:7"), Some(("app.js", 7)));
        assert_eq!((place("JS:*f"), place("render /srv/app.js:10:2")), (None, None));
    }

    #[test]
    fn tiers_and_lines_go_places_of_the_nameless_stay() {
        for (name, expected) in [
            ("LazyCompile:*render /srv/app.js:10:2", "render app.js"),
            ("Function:~render file:///srv/app.js:12:5", "render app.js"),
            ("JS:^render app.js:10:2", "render app.js"),
            ("JS:+Parser.parse node:internal/x:10:2", "Parser.parse x"),
            ("LazyCompile:* /srv/app.js:10:2", "(anonymous) app.js:10"),
            ("LazyCompile:*<anonymous> /srv/app.js:10:2", "(anonymous) app.js:10"),
            ("LazyCompile:~ /srv/app.js:11", "(anonymous) app.js:11"),
            ("Script:~ /srv/app.js:1:1", "(script) app.js"),
            ("JS:*f", "f"),
            ("RegExp:^a b$", "RegExp:a b$"),
        ] {
            assert_eq!(canonical(name).as_deref(), Some(expected), "{name}");
        }
        for name in ["render", "std::function", "Builtin:ArrayMap", "Stub:CEntry"] {
            assert_eq!(canonical(name), None, "{name}");
        }
    }
}
