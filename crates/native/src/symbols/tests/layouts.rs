//! Programs of several linkers and layouts, asked where they really are: they print their own addresses and maps.

use super::*;
use crate::procfs::parse_maps;

/// Prints the addresses of functions in several sections, of a signal handler's return, and the maps.
const WITNESS: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((noinline)) int first(int x) { return x + rand(); }
__attribute__((noinline, section(".text.apart"))) int second(int x) { return x * rand(); }
__attribute__((noinline, section("farcode"))) int third(int x) { return x ^ rand(); }
static void *returns_to;
__attribute__((noinline)) void handler(int signal) { returns_to = __builtin_return_address(0); }
char padding[5000] = "so that segments end off a page";
int main(void) {
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
    printf("first %p\nsecond %p\nthird %p\nmain %p\ntrampoline %p\n", (void *)first, (void *)second, (void *)third,
           (void *)main, returns_to);
    printf("padding %d\n", first(second(third(padding[3]))) & 0);
    fflush(stdout);
    FILE *maps = fopen("/proc/self/maps", "r");
    for (int c; (c = getc(maps)) != EOF;) putchar(c);
}
"#;

const LAYOUTS: [(&str, &[&str]); 13] = [
    ("pie", &["-g", "-pie", "-fPIE"]),
    ("no-pie", &["-g", "-no-pie"]),
    ("static", &["-g", "-static"]),
    ("static-pie", &["-g", "-static-pie"]),
    ("noseparate", &["-g", "-Wl,-z,noseparate-code"]),
    ("separate", &["-g", "-Wl,-z,separate-code"]),
    ("big pages", &["-g", "-Wl,-z,max-page-size=0x200000"]),
    ("moved", &["-g", "-no-pie", "-Wl,-Ttext-segment=0x7000000"]),
    ("packed", &["-g", "-static", "-Wl,-N"]),
    ("gold", &["-g", "-fuse-ld=gold"]),
    ("lld", &["-g", "-fuse-ld=lld"]),
    ("lld noseparate", &["-g", "-fuse-ld=lld", "-Wl,-z,noseparate-code"]),
    ("mold", &["-g", "-fuse-ld=mold"]),
];

/// The names and addresses that the program prints, as offsets in its file, by its own maps.
fn witness(path: &Path) -> Vec<(String, u64)> {
    let output = Command::new(path).output().unwrap();
    assert!(output.status.success(), "{path:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (places, maps) = text.split_once("padding").unwrap();
    let file = path.canonicalize().unwrap();
    let maps: Vec<_> = parse_maps(maps.as_bytes()).filter(|map| map.path == file.as_os_str().as_bytes()).collect();
    let places = places.lines().filter_map(|line| {
        let (name, address) = line.split_once(" 0x")?;
        let address = u64::from_str_radix(address, 16).unwrap();
        let map = maps.iter().find(|map| (map.start..map.end).contains(&address))?;
        Some((name.to_owned(), address - map.start + map.offset))
    });
    places.collect()
}

#[test]
fn every_layout_is_located() {
    let folder = tempfile::tempdir().unwrap();
    let mut tried = 0;
    for (name, flags) in LAYOUTS {
        let file = name.replace(' ', "-");
        let flags: Vec<&str> = [&["-O1"], flags].concat();
        let Some(path) = build(folder.path(), &file, "gcc", WITNESS, &flags) else { continue };
        let symbols: HashMap<String, u64> = nm(&path).into_iter().map(|(address, _, name)| (name, address)).collect();
        let places = witness(&path);
        assert!(places.len() >= 4, "{name}: {places:?}");
        for (function, offset) in places {
            let is_return = function == "trampoline";
            let found = run(&row(&path), &[Request { address: offset, is_return }]);
            let located = &found.located[0];
            let shown = located.functions.first().map(|named| (&*named.name.shown, named.file.as_deref()));
            if is_return {
                assert_eq!(shown, Some(("__restore_rt", None)), "{name}");
                continue;
            }
            assert_eq!(located.address, symbols[&function], "{name}: {function}");
            let (shown, source) = shown.unwrap();
            assert_eq!(shown, function, "{name}");
            assert!(source.unwrap().ends_with(&format!("{file}.c")), "{name}: {source:?}");
        }
        tried += 1;
    }
    assert!(tried >= 8, "only {tried} layouts could be built");
}

#[test]
fn a_return_address_belongs_to_the_call_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = build(folder.path(), "c", "gcc", PROGRAM_C, &["-O2", "-g"]).unwrap();
    let headers = Headers::of(&path);
    let functions = nm(&path);
    let (start, size, _) = functions.iter().find(|(_, _, name)| name == "last_call_returns_nowhere").unwrap();
    let end = headers.offset(start + size);
    let found = run(&row(&path), &[true, false].map(|is_return| Request { address: end, is_return }));
    let name = |located: &Located| located.functions.first().map(|named| named.name.shown.to_string());
    assert_eq!(name(&found.located[0]).as_deref(), Some("last_call_returns_nowhere"));
    assert_ne!(name(&found.located[1]).as_deref(), Some("last_call_returns_nowhere"));
    // The line is that of the call; the address shown is the original.
    let line = PROGRAM_C.lines().position(|line| line.contains("leave(recurse")).unwrap() as u32 + 1;
    assert_eq!(found.located[0].functions[0].line, line);
    assert_eq!(found.located[0].address, start + size);
}

#[test]
fn stubs_of_the_linkage_table_agree_with_objdump() {
    let folder = tempfile::tempdir().unwrap();
    let mut stubs = 0;
    for (name, flags) in [
        ("plain", &["-O1"][..]),
        ("cet", &["-O1", "-fcf-protection=full", "-Wl,-z,ibtplt"]),
        ("now", &["-O1", "-Wl,-z,now"]),
        ("lazy", &["-O1", "-Wl,-z,lazy", "-no-pie"]),
    ] {
        let Some(path) = build(folder.path(), name, "g++", PROGRAM_CPP, flags) else { continue };
        let headers = Headers::of(&path);
        for line in output("objdump", &["-d", path.to_str().unwrap()]).lines() {
            let Some((address, stub)) = line.strip_suffix("@plt>:").and_then(|line| line.split_once(" <")) else {
                continue;
            };
            let address = u64::from_str_radix(address, 16).unwrap();
            // With landing pads, the entries of `.plt` itself only push a number: their names are made up there.
            let request = Request { address: headers.offset(address) + 1, is_return: false };
            let found = run(&row(&path), &[request]);
            let Some(named) = found.located[0].functions.first() else {
                assert_eq!(name, "cet", "{line}");
                continue;
            };
            let system = named.name.system.as_deref().unwrap_or(&named.name.shown);
            assert_eq!(system, format!("{stub}@plt"), "{name}");
            stubs += 1;
        }
    }
    assert!(stubs > 30, "{stubs}");
}

/// Runs a tool that must succeed.
pub(super) fn sh(tool: &str, arguments: &[&str]) {
    let output = Command::new(tool).args(arguments).output().unwrap();
    assert!(output.status.success(), "{tool} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn debug_files_are_found_by_link_and_by_build_id() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let bin = root.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let path = build(&bin, "prog", "gcc", PROGRAM_C, &["-O2", "-g", "-Wl,--build-id=sha1"]).unwrap();
    let headers = Headers::of(&path);
    let (start, _, _) = nm(&path).into_iter().find(|(_, _, name)| name == "outer").unwrap();
    let request = Request { address: headers.offset(start) + 4, is_return: false };
    let whole = run(&row(&path), &[request]);
    assert_eq!(whole.state, SymbolState::Full);
    let (debug, stripped) = (bin.join("prog.debug"), bin.join("prog.stripped"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    sh("objcopy", &["--only-keep-debug", &text(&path), &text(&debug)]);
    sh("objcopy", &["--strip-all", &text(&path), &text(&stripped)]);

    // Nothing to be found, and that it is stripped is told.
    let is_stripped = SymbolState::Stripped;
    let found = run(&row(&stripped), &[request]);
    assert_eq!((&found.state, found.located[0].functions.len()), (&is_stripped, 0));

    let linked = bin.join("prog.linked");
    let link = format!("--add-gnu-debuglink={}", text(&debug));
    sh("objcopy", &[&link, &text(&stripped), &text(&linked)]);
    assert_eq!(run(&row(&linked), &[request]).located, whole.located);
    // In `.debug` beside it, and not with other bytes.
    let hidden = bin.join(".debug");
    std::fs::create_dir(&hidden).unwrap();
    std::fs::rename(&debug, hidden.join("prog.debug")).unwrap();
    assert_eq!(run(&row(&linked), &[request]).located, whole.located);
    let mut bytes = std::fs::read(hidden.join("prog.debug")).unwrap();
    bytes.push(0);
    std::fs::write(hidden.join("prog.debug"), &bytes).unwrap();
    assert_eq!(run(&row(&linked), &[request]).state, is_stripped);

    // By build-id, below a root.
    bytes.pop();
    let id: String = whole.build_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let by_id = root.join("usr/lib/debug/.build-id").join(&id[..2]);
    std::fs::create_dir_all(&by_id).unwrap();
    std::fs::write(by_id.join(format!("{}.debug", &id[2..])), &bytes).unwrap();
    let progress = Progress::default();
    let finder = FileFinder::Root(root);
    let wanted = Wanted { modules: &Modules::new(finder), inlines: true, are_virtual: false, progress: &progress };
    let found = symbolize(0, &row(Path::new("/bin/prog.stripped")), &[request], wanted);
    assert_eq!((found.state, found.located), (SymbolState::Full, whole.located));
}

#[test]
fn a_file_that_is_not_the_mapped_one_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = build(folder.path(), "prog", "gcc", PROGRAM_C, &["-g", "-Wl,--build-id=sha1"]).unwrap();
    let request = Request { address: 0x1234, is_return: true };
    let reason = |module: &ModuleRow| {
        let found = run(module, &[request]);
        assert!(!found.is_virtual);
        assert_eq!(found.located, [Located { address: 0x1234, ..Located::default() }]);
        let SymbolState::NoFile(reason) = found.state else { panic!("{:?}", found.state) };
        reason.to_string()
    };
    let mut module = row(&path);
    module.build_id = vec![1; 20].into();
    assert!(reason(&module).contains("build-id"));
    let build_id = run(&row(&path), &[request]).build_id;
    assert_eq!(build_id.len(), 20);
    module.build_id = build_id.into();
    assert_eq!(run(&module, &[request]).state, SymbolState::Full);

    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(&path).unwrap();
    let device = (libc::major(metadata.dev()), libc::minor(metadata.dev()));
    let replaced = ModuleRow { device, inode: metadata.ino() + 1, ..row(&path) };
    assert!(reason(&replaced).contains("replaced"));
    let same = ModuleRow { inode: metadata.ino(), ..replaced };
    assert_eq!(run(&same, &[request]).state, SymbolState::Full);

    let mut deleted = row(&path);
    deleted.path = [&deleted.path, b" (deleted)".as_slice()].concat().into();
    assert!(reason(&deleted).contains("deleted"));
    assert_eq!(reason(&row(Path::new("/nowhere/x"))), "file not found");
    assert!(reason(&row(Path::new("/"))).contains("not a regular file"));
    assert!(reason(&row(Path::new("/dev/null"))).contains("not a regular file"));
    let text = folder.path().join("text");
    std::fs::write(&text, "#!/bin/sh\n").unwrap();
    assert_eq!(reason(&row(&text)), "not an ELF file");
    std::fs::write(&text, "").unwrap();
    assert_eq!(reason(&row(&text)), "not an ELF file");
}

#[test]
fn a_deleted_file_is_read_through_the_process_that_maps_it() {
    let folder = tempfile::tempdir().unwrap();
    let source = "#include <stdio.h>\n#include <unistd.h>\nint main(void) { puts(\"up\"); fflush(stdout); pause(); }\n";
    let path = build(folder.path(), "sleeper", "gcc", source, &["-g"]).unwrap();
    let mut child = Command::new(&path).stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 3]).unwrap();
    let headers = Headers::of(&path);
    let (start, _, _) = nm(&path).into_iter().find(|(_, _, name)| name == "main").unwrap();
    std::fs::remove_file(&path).unwrap();
    let maps = std::fs::read(format!("/proc/{}/maps", child.id())).unwrap();
    let map = parse_maps(&maps).find(|map| map.path.ends_with(b"sleeper (deleted)")).unwrap();
    let module = ModuleRow {
        path: map.path.into(),
        device: map.file.device,
        inode: map.file.inode,
        pid: child.id() as i32,
        start: map.start,
        end: map.end,
        ..row(&path)
    };
    let found = run(&module, &[Request { address: headers.offset(start), is_return: false }]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(&*found.located[0].functions[0].name.shown, "main");
}

#[test]
fn the_vdso_has_names() {
    let maps = std::fs::read("/proc/self/maps").unwrap();
    let map = parse_maps(&maps).find(|map| map.path == b"[vdso]").unwrap();
    let module = ModuleRow { kind: CodeKind::Vdso, start: map.start, end: map.end, ..row(Path::new("[vdso]")) };
    // What the C library finds in it is at the same place.
    let image = vdso::image(&module, &FileFinder::ThisMachine).unwrap();
    let elf = elf::Elf::parse(&image).unwrap();
    let symbol = elf.dynamic_symbols().into_iter().find(|symbol| symbol.name.ends_with(b"clock_gettime")).unwrap();
    let found = run(&module, &[Request { address: symbol.address + 1, is_return: false }]);
    assert!(found.located[0].functions[0].name.shown.ends_with("clock_gettime"));
    assert_eq!(found.build_id, elf.build_id().unwrap());
}

#[test]
fn threads_start_in_a_stripped_c_library() {
    let folder = tempfile::tempdir().unwrap();
    let source = r#"
        #include <pthread.h>
        #include <stdio.h>
        static void *body(void *p) { printf("thread %p\n", __builtin_return_address(0)); return p; }
        int main(void) {
            pthread_t thread;
            printf("main %p\nputs %p\n", __builtin_return_address(0), (void *)puts);
            pthread_create(&thread, 0, body, 0);
            pthread_join(thread, 0);
            fflush(stdout);
            FILE *maps = fopen("/proc/self/maps", "r");
            for (int c; (c = getc(maps)) != EOF;) putchar(c);
        }"#;
    let path = build(folder.path(), "threads", "gcc", source, &["-O1", "-pthread"]).unwrap();
    let text = output(path.to_str().unwrap(), &[]);
    let maps: Vec<_> = parse_maps(text.as_bytes()).filter(|map| map.path.ends_with(b"/libc.so.6")).collect();
    let found = text.lines().take(3).map(|line| {
        let (name, address) = line.split_once(" 0x").unwrap();
        let address = u64::from_str_radix(address, 16).unwrap();
        let map = maps.iter().find(|map| (map.start..map.end).contains(&address)).unwrap();
        let module = row(Path::new(std::str::from_utf8(map.path).unwrap()));
        let request = Request { address: address - map.start + map.offset, is_return: name != "puts" };
        let located = run(&module, &[request]).located.remove(0);
        let start = ["__libc_start_call_main", "start_thread"];
        let named = located.functions.first().is_some_and(|named| start.contains(&&*named.name.shown));
        (name, located.starts_thread || named)
    });
    assert_eq!(found.collect::<Vec<_>>(), [("main", true), ("puts", false), ("thread", true)]);
}

/// Of the names of one function, the one that perf shows, whether debug information is there or not.
#[test]
fn names_of_the_c_library_are_those_that_are_exported() {
    let maps = std::fs::read("/proc/self/maps").unwrap();
    let map = parse_maps(&maps).find(|map| map.path.ends_with(b"/libc.so.6")).expect("tests link glibc");
    let path = PathBuf::from(std::str::from_utf8(map.path).unwrap());
    let headers = Headers::of(&path);
    let symbols = output("nm", &["-D", "--defined-only", path.to_str().unwrap()]);
    for name in ["read", "fread", "malloc", "memmove"] {
        let versioned = format!(" {name}@@");
        let line = symbols.lines().find(|line| line.contains(&versioned)).unwrap();
        if line.contains(" i ") {
            // An indirect function: what it resolves to has names of its own.
            continue;
        }
        let address = u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap();
        let found = run(&row(&path), &[Request { address: headers.offset(address) + 1, is_return: false }]);
        let shown = found.located[0].functions.first().map(|named| named.name.shown.to_string()).unwrap();
        assert!(!shown.starts_with("__GI_") && shown.contains(name) && !shown.contains('@'), "{name}: {shown}");
    }
}
