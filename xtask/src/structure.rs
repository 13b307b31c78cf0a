//! What holds the house together and no compiler checks: which crate may use which, where `unsafe` may stand, one
//! fixture folder per format, nothing of the machine it was written on in the files.
//!
//! Long files and functions are only printed: they are a hint that the design asks for something, not an error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{shell, source};

/// Which crates of the workspace each one may depend on. The arrows point one way, and the readers (`formats`,
/// `native`, `heap`) never know each other: what they share is the vocabulary of `model`.
const MAY_USE: &[(&str, &[&str])] = &[
    ("burnmark-model", &[]),
    ("burnmark-perf", &[]),
    ("burnmark-formats", &["burnmark-model"]),
    ("burnmark-native", &["burnmark-model", "burnmark-perf"]),
    ("burnmark-heap", &["burnmark-model"]),
    ("burnmark-analysis", &["burnmark-model"]),
    ("burnmark-journal", &["burnmark-analysis", "burnmark-heap", "burnmark-model"]),
    ("burnmark-report", &["burnmark-analysis", "burnmark-heap", "burnmark-journal", "burnmark-model"]),
    (
        "burnmark",
        &[
            "burnmark-analysis",
            "burnmark-formats",
            "burnmark-heap",
            "burnmark-journal",
            "burnmark-model",
            "burnmark-native",
            "burnmark-perf",
            "burnmark-report",
        ],
    ),
    ("xtask", &[]),
];

/// The one file that may hold any `unsafe`: the system calls and the memory shared with the kernel.
const SYSTEM_CALLS: &str = "crates/perf/src/live/sys.rs";

/// Files that may hold `unsafe` to map a file into memory and for nothing else, and what they map.
const MEMORY_MAPS: &[(&str, &str)] = &[
    ("crates/native/src/modules.rs", "modules and their debug information, larger than what is read of them"),
    ("crates/heap/src/source.rs", "heap snapshots: their strings, few of which are looked at"),
    ("crates/perf/src/file/map.rs", "recordings of gigabytes"),
];

/// The file that may call, in `unsafe` of one line, functions of this module of its own: they are compiled for newer
/// processors, and the processor is asked first.
const NEWER_PROCESSORS: (&str, &str) = ("crates/heap/src/ints.rs", "unsafe { avx2::");

const LINES_PER_FILE: usize = 600;
const LINES_PER_FUNCTION: usize = 70;

/// The only registry that Cargo.lock may name.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Folders that every Linux machine has; any other folder the checkout lies in is this machine's own business.
const EVERYWHERE: &[&str] = &[
    "bin", "boot", "build", "builds", "dev", "etc", "home", "lib", "media", "mnt", "opt", "proc", "root", "run",
    "sbin", "src", "srv", "sys", "tmp", "usr", "var",
];

/// Names that examples use for somebody's home, and the bare `/home/`.
const ANYBODY: &[&str] = &["", "alice", "ann", "bob", "me", "user"];

/// Files whose business home folders are: they name root's as what it is.
const ABOUT_HOMES: &[&str] = &["crates/journal/src/log/texts.rs", "crates/native/src/finish/paths.rs"];

/// Written so that this file does not name it.
const ROOTS_HOME: &str = concat!("/", "root/");

/// What the checks found: `wrong` fails them, `long` is told and no more.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) wrong: Vec<String>,
    pub(crate) long: Vec<String>,
}

/// Checks the checkout at `root` and prints what was found; false when something is wrong.
pub(crate) fn report(root: &Path) -> Result<bool> {
    let findings = check(root)?;
    for hint in &findings.long {
        println!("long: {hint}");
    }
    for wrong in &findings.wrong {
        println!("WRONG: {wrong}");
    }
    println!("structure: {} wrong, {} long", findings.wrong.len(), findings.long.len());
    Ok(findings.wrong.is_empty())
}

/// Checks the checkout at `root`.
pub(crate) fn check(root: &Path) -> Result<Findings> {
    let mut findings = Findings::default();
    let metadata = shell::output(shell::cargo(root, &["metadata", "--no-deps", "--offline", "--format-version", "1"]))?;
    dependencies(&serde_json::from_slice(&metadata)?, &mut findings.wrong);

    for path in tracked_files(root)? {
        // A file that is tracked but deleted in the working tree is on its way out.
        let Ok(bytes) = std::fs::read(root.join(&path)) else { continue };
        let bytes = unpacked(root, &path, bytes)?;
        machine_names(root, &path, &bytes, &mut findings.wrong);
        let text = String::from_utf8_lossy(&bytes);
        if path.ends_with(".rs") {
            rust_file(&path, &text, &mut findings);
        } else if path.ends_with("Cargo.toml") {
            manifest(&path, &text, &mut findings.wrong)?;
        } else if path.ends_with("Cargo.lock") {
            lock_file(&path, &text, &mut findings.wrong);
        }
    }
    formats_have_fixtures(root, &mut findings.wrong)?;
    Ok(findings)
}

/// Every file of the repository, those not added yet included, those ignored left out.
fn tracked_files(root: &Path) -> Result<Vec<String>> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = shell::output(shell::command(root, "git", &arguments))?;
    let names = listed.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}

/// The content of a gzip file, other files as they are: a path must not hide in a compressed fixture.
fn unpacked(root: &Path, path: &str, bytes: Vec<u8>) -> Result<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    // Fixtures may be damaged on purpose: what comes out before the damage is what there is to look at.
    let output = shell::command(root, "gzip", &["-dc", path]).output().context("cannot start gzip")?;
    Ok(output.stdout)
}

/// Each dependency between crates of the workspace, of any kind, is one that `MAY_USE` allows.
fn dependencies(metadata: &Value, wrong: &mut Vec<String>) {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let members: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    if members.is_empty() {
        wrong.push("cargo metadata lists no packages".to_owned());
    }
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("crate {name} is not in the table of dependencies (MAY_USE in xtask/src/structure.rs)"));
            continue;
        };
        let used = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
        let used: BTreeSet<&str> = used.iter().filter_map(|dependency| dependency["name"].as_str()).collect();
        for other in used.intersection(&members).filter(|other| !allowed.contains(other)) {
            wrong.push(format!("{name} must not depend on {other}; it may use: {}", allowed.join(", ")));
        }
    }
}

/// `unsafe` only where it is allowed, and how long the file and its functions are.
fn rust_file(path: &str, text: &str, findings: &mut Findings) {
    let code = source::code_only(text);
    if path != SYSTEM_CALLS {
        unsafe_code(path, &code, &mut findings.wrong);
    }
    let lines = text.lines().count();
    if lines > LINES_PER_FILE {
        findings.long.push(format!("{path} has {lines} lines (over {LINES_PER_FILE})"));
    }
    for function in source::functions(&code).iter().filter(|function| function.lines > LINES_PER_FUNCTION) {
        let source::Function { name, line, lines } = function;
        findings.long.push(format!("{path}:{line} fn {name} has {lines} lines (over {LINES_PER_FUNCTION})"));
    }
}

fn unsafe_code(path: &str, code: &str, wrong: &mut Vec<String>) {
    let maps = MEMORY_MAPS.iter().any(|(file, _)| *file == path);
    let calls = path == NEWER_PROCESSORS.0;
    for at in source::words(code, "unsafe") {
        let block = source::block_end(code, at).map(|end| &code[at..end]);
        let of_map = |block: &str| block.contains("Mmap") || block.contains("memmap2::UncheckedAdvice");
        let is_map = block.is_some_and(|block| of_map(block) && block.lines().count() <= 3);
        let is_call = block.is_some_and(|block| block.starts_with(NEWER_PROCESSORS.1) && block.lines().count() == 1);
        if !(maps && is_map || calls && is_call) {
            let line = source::line_of(code, at);
            wrong.push(format!(
                "{path}:{line} `unsafe` stands only in {SYSTEM_CALLS}, for memory maps in the files of MEMORY_MAPS, and \
                 as NEWER_PROCESSORS says (xtask/src/structure.rs)"
            ));
        }
    }
    for at in source::words(code, "unsafe_code").filter(|_| !maps && !calls) {
        let attribute = code[..at].rsplit_once('(').map(|(before, _)| before.trim_end()).unwrap_or_default();
        if attribute.ends_with("allow") || attribute.ends_with("expect") {
            let line = source::line_of(code, at);
            wrong.push(format!("{path}:{line} the lint `unsafe_code` is switched off only where `unsafe` may stand"));
        }
    }
}

/// Each crate takes the workspace's lints, and the workspace denies `unsafe`.
fn manifest(path: &str, text: &str, wrong: &mut Vec<String>) -> Result<()> {
    let manifest: toml::Table = text.parse().with_context(|| format!("{path} is no TOML"))?;
    let lints = |table: &toml::Table, key: &str| table.get("lints").and_then(|lints| lints.get(key)).cloned();
    if manifest.contains_key("package") && lints(&manifest, "workspace") != Some(toml::Value::Boolean(true)) {
        wrong.push(format!("{path} does not take the workspace's lints ([lints] workspace = true)"));
    }
    if let Some(workspace) = manifest.get("workspace").and_then(toml::Value::as_table) {
        let level = lints(workspace, "rust").and_then(|rust| rust.get("unsafe_code").cloned());
        if level.as_ref().and_then(toml::Value::as_str) != Some("deny") {
            wrong.push(format!("{path} must deny `unsafe_code` for the workspace"));
        }
    }
    Ok(())
}

/// Every locked package comes from crates.io under its public name, never from a mirror.
fn lock_file(path: &str, text: &str, wrong: &mut Vec<String>) {
    for (number, line) in text.lines().enumerate() {
        if let Some(source) = line.strip_prefix("source = ")
            && source.trim_matches('"') != REGISTRY
        {
            wrong.push(format!("{path}:{} comes from {source}, not from {REGISTRY}", number + 1));
        }
    }
}

/// Paths of the machine the file was written on: the checkout, the folders it lies in, somebody's home.
fn machine_names(root: &Path, path: &str, bytes: &[u8], wrong: &mut Vec<String>) {
    let text = String::from_utf8_lossy(bytes);
    let mut hits: BTreeMap<usize, String> = BTreeMap::new();
    let mut search = |folder: &str, anybody: &[&str]| {
        for (at, _) in text.match_indices(folder).filter(|&(at, _)| starts_a_path(&text, at)) {
            let rest = &text[at + folder.len()..];
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || "_-.".contains(*c)).collect();
            if !anybody.contains(&name.as_str()) {
                hits.insert(source::line_of(&text, at), format!("{folder}{name}"));
            }
        }
    };
    search("/home/", ANYBODY);
    search("/Users/", ANYBODY);
    if !ABOUT_HOMES.contains(&path) {
        search(ROOTS_HOME, &[]);
    }
    for folder in own_folders(root) {
        search(&folder, &[]);
    }
    wrong.extend(hits.iter().map(|(line, hit)| format!("{path}:{line} names a place on one machine: {hit}")));
}

/// The folders the checkout lies in, innermost last, without those that every machine has.
fn own_folders(root: &Path) -> Vec<String> {
    let mut folder = String::new();
    let mut own = Vec::new();
    for component in root.components() {
        if let Component::Normal(name) = component {
            let name = name.to_string_lossy();
            folder = format!("{folder}/{name}");
            if !(own.is_empty() && EVERYWHERE.contains(&&*name)) {
                own.push(format!("{folder}/"));
            }
        }
    }
    // The home of whoever works here is found as a home.
    own.retain(|folder| folder.matches('/').count() > 3 || !folder.starts_with("/home/"));
    own
}

/// Whether the `/` at `at` is the first of its path: `/proc/1/root/etc` and `{pid}/root/` name nobody's home.
fn starts_a_path(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    !before.is_some_and(|c| c.is_alphanumeric() || "_-.}*>~$".contains(c))
}

/// Each format that `crates/formats` names has a folder of fixtures that says how they were made.
fn formats_have_fixtures(root: &Path, wrong: &mut Vec<String>) -> Result<()> {
    let mut sources = Vec::new();
    for path in tracked_files(root)?.iter().filter(|path| path.starts_with("crates/formats/src/")) {
        sources.push(std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))?);
    }
    let names = format_names(&sources);
    for name in &names {
        let readme = format!("fixtures/{name}/README.md");
        if !root.join(&readme).is_file() {
            wrong.push(format!("format {name} has no {readme} (with a line on how each fixture was made)"));
        }
    }
    if names.is_empty() {
        wrong.push("no format found in crates/formats (looked for `name: \"…\"` in `impl Format`)".to_owned());
    }
    Ok(())
}

/// The names in the body of `impl Format`: the string of each `name: "…"` of its entries.
fn format_names(sources: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    for text in sources {
        let Some(at) = text.find("impl Format {") else { continue };
        let body = &text[at..];
        let body = &body[..body.find("\n}").unwrap_or(body.len())];
        let entries = body.split("name: \"").skip(1).filter_map(|entry| entry.split_once('"'));
        names.extend(entries.map(|(name, _)| name.to_owned()));
    }
    names
}

#[cfg(test)]
#[path = "structure_tests.rs"]
mod tests;
