//! Files that are somewhere else: caches by build-id, folders of debug files, copies of a file tree.

use super::layouts::sh;
use super::*;
use crate::NoFile;
use crate::symbols::{OwnFiles, Places};

fn find(places: Places, module: &ModuleRow, request: Request) -> Symbolized {
    let progress = Progress::default();
    let modules = Modules::new(FileFinder::Places(places));
    symbolize(
        0,
        module,
        &[request],
        Wanted { modules: &modules, inlines: true, are_virtual: false, progress: &progress },
    )
}

#[test]
fn every_place_is_searched_and_only_the_right_build_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let path = build(folder.path(), "prog", "gcc", PROGRAM_C, &["-O2", "-g", "-Wl,--build-id=sha1"]).unwrap();
    let other = build(folder.path(), "other", "gcc", PROGRAM_C, &["-O1", "-g", "-Wl,--build-id=sha1"]).unwrap();
    let (start, _, _) = nm(&path).into_iter().find(|(_, _, name)| name == "outer").unwrap();
    let request = Request { address: Headers::of(&path).offset(start) + 4, is_return: false };
    let whole = run(&row(&path), &[request]);
    let id = &whole.build_id;
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let module = ModuleRow { build_id: id[..].into(), pid: 1, ..row(Path::new("/no/such/folder/prog")) };
    let copy = |from: &Path, to: PathBuf| {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    };
    let by_id = PathBuf::from(".build-id").join(&hex[..2]).join(&hex[2..]);
    copy(&path, at("cache").join(&by_id).join("elf"));
    copy(&path, at("oldcache").join(&by_id));
    copy(&path, at("root/no/such/folder/prog"));
    copy(&other, at("wrong/no/such/folder/prog"));
    copy(&path, at("flat/prog"));

    let none = find(Places::default(), &module, request);
    assert_eq!(none.state, SymbolState::NoFile(NoFile::NotFound));
    let wrong = vec![at("wrong")];
    let found = find(Places { roots: wrong.clone(), ..Places::default() }, &module, request);
    let SymbolState::NoFile(NoFile::OtherBuildId { path: refused, found }) = found.state else { panic!() };
    assert_eq!(refused, at("wrong/no/such/folder/prog"));
    assert!(found.len() == 20 && found[..] != id[..]);
    for places in [
        Places { build_id_caches: vec![at("nothing"), at("cache")], ..Places::default() },
        Places { build_id_caches: vec![at("oldcache")], ..Places::default() },
        Places { roots: vec![at("wrong"), at("root")], ..Places::default() },
        Places { roots: wrong, debug_folders: vec![at("flat")], ..Places::default() },
    ] {
        let found = find(places.clone(), &module, request);
        assert_eq!((found.state, &found.located), (SymbolState::Full, &whole.located), "{places:?}");
    }
    // This machine's own file, where that is allowed.
    let here = ModuleRow { build_id: id[..].into(), pid: 1, ..row(&path) };
    assert_eq!(find(Places::default(), &here, request).state, SymbolState::NoFile(NoFile::NotFound));
    let own = Places { own: OwnFiles::Files, ..Places::default() };
    assert_eq!(find(own.clone(), &here, request).located, whole.located);

    // A stripped program, its debug file by build-id, by its name, and below `usr/lib/debug` of a root.
    let (debug, stripped) = (at("prog.debug"), at("prog.stripped"));
    sh("objcopy", &["--only-keep-debug", &text(&path), &text(&debug)]);
    sh("objcopy", &["--strip-all", &text(&path), &text(&stripped)]);
    copy(&debug, at("debug1").join(by_id.with_extension("debug")));
    copy(&debug, at("debug2/prog.stripped.debug"));
    copy(&debug, at("root2/usr/lib/debug").join(by_id.with_extension("debug")));
    let here = ModuleRow { pid: 1, ..row(&stripped) };
    assert_eq!(find(own.clone(), &here, request).state, SymbolState::Stripped);
    for places in [
        Places { debug_folders: vec![at("debug1")], ..own.clone() },
        Places { debug_folders: vec![at("debug2")], ..own.clone() },
        Places { roots: vec![at("root2")], ..own.clone() },
    ] {
        let found = find(places.clone(), &here, request);
        assert_eq!((found.state, &found.located), (SymbolState::Full, &whole.located), "{places:?}");
    }
}
