//! Debug information that is compressed, in several files, or small.

use super::layouts::sh;
use super::*;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn functions_of_the_program(path: &Path) -> Vec<u64> {
    addresses_in(path, 1, |name| ["outer", "recurse", "leave", "last_call_returns_nowhere", "main"].contains(&name))
}

#[test]
fn compressed_sections_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for compression in ["zlib", "zstd"] {
        let flag = format!("-gz={compression}");
        let Some(path) = build(folder.path(), compression, "gcc", PROGRAM_C, &["-O2", "-g", &flag]) else { continue };
        assert!(output("readelf", &["-tW", text(&path)]).contains("COMPRESSED"), "{compression}");
        let addresses = functions_of_the_program(&path);
        let (agreed, all) = compare(&path, &addresses);
        assert!(all > 100 && agreed * 1000 >= all * 990, "{compression}: {agreed} of {all}");
    }
}

/// Two units, so that there are two files.
const SECOND: &str =
    "__attribute__((noinline)) int elsewhere(int x) { for (int i = 0; i < x; i++) x ^= i * 7; return x; }\n";

#[test]
fn split_units_are_read_where_they_were_written_and_beside_the_module() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        for extra in ["-gz=none", "-gz=zlib"] {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
            std::fs::write(at("one.c"), PROGRAM_C).unwrap();
            std::fs::write(at("two.c"), SECOND).unwrap();
            for unit in ["one", "two"] {
                let (source, object) = (at(&format!("{unit}.c")), at(&format!("{unit}.o")));
                sh("gcc", &["-O2", "-gsplit-dwarf", version, extra, "-c", text(&source), "-o", text(&object)]);
            }
            let path = at("split");
            sh("gcc", &[text(&at("one.o")), text(&at("two.o")), "-o", text(&path)]);
            assert!(at("one.dwo").exists() && at("two.dwo").exists());
            let mut addresses = functions_of_the_program(&path);
            addresses.extend(addresses_in(&path, 1, |name| name == "elsewhere"));
            // `addr2line` of binutils 2.40 doesn't know them all; LLVM's does.
            let (agreed, all) = compare(&path, &addresses);
            assert!(all > 150 && agreed * 1000 >= all * 990, "{version} {extra}: {agreed} of {all}");

            // Moved together, with the files beside the program.
            let moved = at("moved");
            std::fs::create_dir(&moved).unwrap();
            for name in ["split", "one.dwo", "two.dwo"] {
                std::fs::rename(at(name), moved.join(name)).unwrap();
            }
            let headers = Headers::of(&moved.join("split"));
            let requests: Vec<Request> =
                addresses.iter().map(|at| Request { address: headers.offset(*at), is_return: false }).collect();
            let inlined =
                |found: &Symbolized| found.located.iter().filter(|located| located.functions.len() > 1).count();
            let whole = run(&row(&moved.join("split")), &requests);
            assert!(inlined(&whole) > 20, "{version} {extra}: {} of {all}, {whole:?}", inlined(&whole));
            // Files of other programs are not used: names come from the symbols.
            std::fs::rename(moved.join("two.dwo"), moved.join("one.dwo")).unwrap();
            let found = run(&row(&moved.join("split")), &requests);
            assert_eq!(inlined(&found), 0);
            assert!(found.located.iter().all(|located| !located.functions.is_empty()));
        }
    }
}

/// As Fedora makes it: the symbols that are not exported, in a file that is packed with xz.
#[test]
fn small_debug_information_names_what_is_not_exported() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let path = build(folder.path(), "prog", "gcc", PROGRAM_C, &["-O2", "-g", "-rdynamic"]).unwrap();
    let exported = build(folder.path(), "hidden", "gcc", PROGRAM_C, &["-O2", "-g"]).unwrap();
    for path in [&path, &exported] {
        let (debug, mini, stripped) = (at("debug"), at("mini"), at("stripped"));
        sh("objcopy", &["--only-keep-debug", text(path), text(&debug)]);
        let keep = if path == &exported { "--keep-symbol=outer" } else { "--strip-symbol=outer" };
        sh("objcopy", &["-S", "--remove-section=.comment", "--keep-symbol=recurse", keep, text(&debug), text(&mini)]);
        let _ = std::fs::remove_file(at("mini.xz"));
        sh("xz", &["-9e", text(&mini)]);
        let section = format!(".gnu_debugdata={}", text(&at("mini.xz")));
        sh("objcopy", &["-S", "--add-section", &section, text(path), text(&stripped)]);
        let headers = Headers::of(path);
        let addresses = addresses_in(path, 1, |name| name == "recurse" || name == "outer");
        let requests: Vec<Request> =
            addresses.iter().map(|at| Request { address: headers.offset(*at), is_return: false }).collect();
        let found = run(&row(&stripped), &requests);
        assert_eq!(found.state, SymbolState::Full);
        let whole = run(&row(path), &requests);
        for (found, whole) in found.located.iter().zip(&whole.located) {
            assert_eq!(found.functions[0].name, whole.functions[0].name);
        }

        // Damaged, cut, or asking for too much memory: what is exported is left.
        let packed = std::fs::read(at("mini.xz")).unwrap();
        for (index, damage) in [packed[..packed.len() / 2].to_vec(), vec![0xff; 100], Vec::new()].iter().enumerate() {
            let (bad, file) = (at(&format!("bad{index}")), at("packed"));
            std::fs::write(&file, damage).unwrap();
            let section = format!(".gnu_debugdata={}", text(&file));
            sh("objcopy", &["-S", "--add-section", &section, text(path), text(&bad)]);
            assert_ne!(run(&row(&bad), &requests).state, SymbolState::Full);
        }
    }
}
