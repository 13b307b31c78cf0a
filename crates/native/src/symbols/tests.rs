//! Names, files and lines against binutils and LLVM, of programs built here.

mod hostile;
mod kernel;
mod layouts;
mod packed;
mod places;

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::finish::Progress;
use crate::modules::Modules;
use crate::recording::{CodeKind, ModuleRow};

const PROGRAM_C: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static inline __attribute__((always_inline)) int inner(int x) { return x * 3 + rand(); }
static inline __attribute__((always_inline)) int middle(int x) {
    int sum = 0;
    for (int i = 0; i < x; i++) sum += inner(i);
    return sum;
}
__attribute__((noinline)) int outer(int x) { return middle(x) + middle(x + 1); }
__attribute__((noinline)) int recurse(int n) { return n < 2 ? outer(n) : recurse(n - 1) + recurse(n - 2); }
__attribute__((noinline, noreturn)) void leave(int code) { exit(code); }
__attribute__((noinline)) void last_call_returns_nowhere(void) { leave(recurse(9) == 7); }
int main(int argc, char **argv) {
    char text[64];
    snprintf(text, sizeof text, "%d %zu", outer(argc), strlen(argv[0]));
    puts(text);
    last_call_returns_nowhere();
}
"#;

const PROGRAM_CPP: &str = r#"
#include <algorithm>
#include <map>
#include <string>
#include <vector>
#include <cstdio>
namespace shop {
template <typename T> struct Shelf {
    std::vector<T> items;
    void add(const T &item) { items.push_back(item); std::sort(items.begin(), items.end()); }
    size_t count() const { return items.size(); }
};
namespace { struct Hidden { std::map<std::string, int> counts; int note(const std::string &name) { return ++counts[name]; } }; }
__attribute__((noinline)) int work(int n) {
    Shelf<std::string> shelf;
    Hidden hidden;
    for (int i = 0; i < n; i++) shelf.add(std::to_string(i * 7919 % 101));
    int sum = 0;
    for (auto &item : shelf.items) sum += hidden.note(item.substr(0, 1));
    return sum + [&](int k) { return k * int(shelf.count()); }(n);
}
}
int main(int argc, char **) { std::printf("%d\n", shop::work(argc * 50)); }
"#;

/// Builds a program, or `None` (said loudly) if the tool lacks what it needs.
fn build(folder: &Path, name: &str, tool: &str, source: &str, flags: &[&str]) -> Option<PathBuf> {
    let extension = if tool == "g++" { "cc" } else { "c" };
    let source_path = folder.join(format!("{name}.{extension}"));
    std::fs::write(&source_path, source).unwrap();
    let out = folder.join(name);
    let output = Command::new(tool).args(flags).arg("-o").arg(&out).arg(&source_path).output().unwrap();
    if !output.status.success() {
        eprintln!("SKIPPED {name}: {tool} {flags:?} fails: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(out)
}

fn row(path: &Path) -> ModuleRow {
    ModuleRow {
        path: path.as_os_str().as_bytes().into(),
        kind: CodeKind::File,
        device: (0, 0),
        inode: 0,
        build_id: Box::default(),
        pid: std::process::id() as i32,
        start: 0,
        end: 0,
    }
}

fn run(module: &ModuleRow, requests: &[Request]) -> Symbolized {
    let progress = Progress::default();
    let wanted = Wanted {
        modules: &Modules::new(FileFinder::ThisMachine),
        inlines: true,
        are_virtual: false,
        progress: &progress,
    };
    symbolize(0, module, requests, wanted)
}

/// File offsets of virtual addresses, by the program headers as readelf prints them: not by the code under test.
struct Headers(Vec<(u64, u64, u64)>);

impl Headers {
    fn of(path: &Path) -> Self {
        let text = output("readelf", &["-lW", path.to_str().unwrap()]);
        let loads = text.lines().filter_map(|line| {
            let mut fields = line.split_whitespace();
            (fields.next()? == "LOAD").then_some(())?;
            let mut hex = || u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok();
            let (offset, address, _, size) = (hex()?, hex()?, hex()?, hex()?);
            Some((offset, address, size))
        });
        Self(loads.collect())
    }

    fn offset(&self, address: u64) -> u64 {
        let inside = |(_, start, size): &&(u64, u64, u64)| (*start..start + size).contains(&address);
        let (offset, start, _) = self.0.iter().find(inside).expect("code lies in a segment");
        address - start + offset
    }
}

fn output(tool: &str, arguments: &[&str]) -> String {
    let output = Command::new(tool).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Functions of `.symtab` as nm prints them: address, size, name.
fn nm(path: &Path) -> Vec<(u64, u64, String)> {
    let text = output("nm", &["-S", "--defined-only", path.to_str().unwrap()]);
    let functions = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [address, size, kind, name] = fields[..] else { return None };
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        "tTwWi".contains(kind).then(|| (number(address), number(size), name.to_owned()))
    });
    functions.collect()
}

type Frames = Vec<(String, String, u32)>;

/// What an addr2line says, innermost first, with the linker's names.
fn addr2line(tool: &str, path: &Path, addresses: &[u64]) -> HashMap<u64, Frames> {
    let mut answers: HashMap<u64, Frames> = HashMap::new();
    for chunk in addresses.chunks(1000) {
        let mut command = Command::new(tool);
        command.args(["-f", "-i", "-a", "-e"]).arg(path);
        command.args(chunk.iter().map(|address| format!("{address:#x}")));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let address = u64::from_str_radix(line.strip_prefix("0x").unwrap(), 16).unwrap();
            let frames = answers.entry(address).or_default();
            while let Some(function) = lines.next_if(|line| !line.starts_with("0x")) {
                let place = lines.next().unwrap().split(" (discriminator").next().unwrap();
                let (file, line) = place.rsplit_once(':').unwrap();
                frames.push((function.to_owned(), file.to_owned(), line.parse().unwrap_or(0)));
            }
        }
    }
    answers
}

/// Ours in the same form.
fn ours(located: &Located) -> Frames {
    let frames = located.functions.iter().rev().map(|named| {
        let name = named.name.system.as_deref().unwrap_or(&named.name.shown).to_owned();
        (name, named.file.as_deref().unwrap_or("??").to_owned(), named.line)
    });
    frames.collect()
}

/// Counts addresses at which we agree with binutils, or else with LLVM; prints some where with neither.
fn compare(path: &Path, addresses: &[u64]) -> (usize, usize) {
    let headers = Headers::of(path);
    let request = |address: &u64| Request { address: headers.offset(*address), is_return: false };
    let requests: Vec<Request> = addresses.iter().map(request).collect();
    let found = run(&row(path), &requests);
    assert!(found.is_virtual);
    let binutils = addr2line("addr2line", path, addresses);
    let llvm = addr2line("llvm-addr2line", path, addresses);
    let mut agreed = 0;
    for (located, address) in found.located.iter().zip(addresses) {
        assert_eq!(located.address, *address);
        let ours = ours(located);
        let same = |theirs: Option<&Frames>| theirs.is_some_and(|theirs| same_frames(&ours, theirs));
        if same(binutils.get(address)) || same(llvm.get(address)) {
            agreed += 1;
        } else if agreed + 12 > addresses.len() || address % 16 == 0 {
            eprintln!(
                "{address:#x}\n ours {ours:?}\n binutils {:?}\n llvm {:?}",
                binutils.get(address),
                llvm.get(address)
            );
        }
    }
    (agreed, addresses.len())
}

/// Equal names, files (by their last components: relative folders are joined differently) and lines.
fn same_frames(ours: &Frames, theirs: &Frames) -> bool {
    let last = |file: &str| file.rsplit('/').next().unwrap_or_default().to_owned();
    ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|(a, b)| a.0 == b.0 && last(&a.1) == last(&b.1) && a.2 == b.2)
}

/// Addresses within functions that come with debug information.
fn addresses_in(path: &Path, step: u64, wanted: impl Fn(&str) -> bool) -> Vec<u64> {
    let mut addresses: Vec<u64> = nm(path)
        .into_iter()
        .filter(|(_, _, name)| wanted(name))
        .flat_map(|(start, size, _)| (start..start + size).step_by(step as usize))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

#[test]
fn c_and_cpp_agree_with_addr2line() {
    let folder = tempfile::tempdir().unwrap();
    for (name, tool, source, flags) in [
        ("c", "gcc", PROGRAM_C, &["-O2", "-g"][..]),
        ("c4", "gcc", PROGRAM_C, &["-O2", "-gdwarf-4", "-gz=zlib"]),
        ("cpp", "g++", PROGRAM_CPP, &["-O2", "-g"]),
        ("cpp1", "g++", PROGRAM_CPP, &["-O1", "-g", "-ffunction-sections", "-no-pie"]),
    ] {
        let path = build(folder.path(), name, tool, source, flags).unwrap();
        let own = |name: &str| !name.starts_with('_') || name.starts_with("_ZN4shop") || name.starts_with("_ZNSt");
        let named =
            |name: &str| own(name) && !["deregister_tm_clones", "register_tm_clones", "frame_dummy"].contains(&name);
        let addresses = addresses_in(&path, 1, named);
        assert!(addresses.len() > 100, "{}", addresses.len());
        let (agreed, all) = compare(&path, &addresses);
        eprintln!("{name}: {agreed} of {all}");
        assert!(agreed * 1000 >= all * 990, "{name}: {agreed} of {all}");
    }
}

#[test]
fn our_own_test_binary_agrees_with_addr2line() {
    let path = std::env::current_exe().unwrap();
    let own = addresses_in(&path, 64, |name| name.contains("burnmark_native"));
    let step = own.len().div_ceil(1500).max(1);
    let addresses: Vec<u64> = own.into_iter().step_by(step).collect();
    assert!(addresses.len() > 500);
    let (agreed, all) = compare(&path, &addresses);
    eprintln!("own binary: {agreed} of {all}");
    assert!(agreed * 1000 >= all * 980, "{agreed} of {all}");
}
