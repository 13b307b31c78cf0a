use super::*;

#[test]
fn this_checkout_holds() {
    let findings = check(&shell::root()).unwrap();
    assert!(findings.wrong.is_empty(), "{}", findings.wrong.join("\n"));
}

fn package(name: &str, uses: &[&str]) -> Value {
    let uses: Vec<Value> = uses.iter().map(|name| serde_json::json!({ "name": name, "kind": "dev" })).collect();
    serde_json::json!({ "name": name, "dependencies": uses })
}

#[test]
fn readers_must_not_know_each_other() {
    let metadata = serde_json::json!({ "packages": [
        package("burnmark-model", &["serde"]),
        package("burnmark-perf", &[]),
        package("burnmark-formats", &["burnmark-model", "burnmark-native"]),
        package("burnmark-native", &["burnmark-model", "burnmark-perf"]),
    ]});
    let mut wrong = Vec::new();
    dependencies(&metadata, &mut wrong);
    assert_eq!(wrong, ["burnmark-formats must not depend on burnmark-native; it may use: burnmark-model"]);
}

#[test]
fn a_crate_must_be_in_the_table() {
    let mut wrong = Vec::new();
    dependencies(&serde_json::json!({ "packages": [package("burnmark-common", &[])] }), &mut wrong);
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].contains("burnmark-common"), "{wrong:?}");
}

#[test]
fn the_table_has_no_circle() {
    // Each crate may use only crates above it, `burnmark` and `xtask` (which none may use) apart.
    for (index, (name, allowed)) in MAY_USE.iter().enumerate() {
        for other in *allowed {
            assert!(MAY_USE[..index].iter().any(|(above, _)| above == other), "{name} uses {other}");
        }
    }
}

fn wrong_in(path: &str, text: &str) -> Vec<String> {
    let mut findings = Findings::default();
    rust_file(path, text, &mut findings);
    findings.wrong
}

#[test]
fn unsafe_stands_in_one_file() {
    let text = "#[allow(unsafe_code)]\nfn f() { unsafe { g() } } // unsafe\n";
    assert!(wrong_in(SYSTEM_CALLS, text).is_empty());
    let wrong = wrong_in("crates/model/src/lib.rs", text);
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].starts_with("crates/model/src/lib.rs:2 "), "{wrong:?}");
    assert!(wrong_in("crates/model/src/lib.rs", "// unsafe\nconst A: &str = \"unsafe { }\";\n").is_empty());
}

#[test]
fn a_map_is_the_only_unsafe_of_a_mapping_file() {
    for (path, _) in MEMORY_MAPS {
        assert!(wrong_in(path, "fn f() { let map = unsafe { Mmap::map(&file) }; }").is_empty());
        assert_eq!(wrong_in(path, "fn f() { unsafe { std::mem::zeroed() } }").len(), 1);
        assert!(shell::root().join(path).is_file(), "{path} is gone: take it off the list");
    }
}

#[test]
fn long_files_and_functions_are_told_but_not_wrong() {
    let mut findings = Findings::default();
    let text = format!("fn long() {{\n{}}}\n", "    f();\n".repeat(LINES_PER_FILE));
    rust_file("a.rs", &text, &mut findings);
    assert!(findings.wrong.is_empty());
    assert_eq!(findings.long.len(), 2, "{:?}", findings.long);
}

#[test]
fn manifests_take_the_lints() {
    let mut wrong = Vec::new();
    manifest("a/Cargo.toml", "[package]\nname = \"a\"\n[lints]\nworkspace = true\n", &mut wrong).unwrap();
    assert!(wrong.is_empty());
    manifest("a/Cargo.toml", "[package]\nname = \"a\"\n", &mut wrong).unwrap();
    manifest("Cargo.toml", "[workspace]\n[workspace.lints.rust]\nunsafe_code = \"warn\"\n", &mut wrong).unwrap();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
}

#[test]
fn a_mirror_in_the_lock_file_is_found() {
    let mut wrong = Vec::new();
    let text = format!("source = \"{REGISTRY}\"\nsource = \"registry+https://mirror.example/index\"\n");
    lock_file("Cargo.lock", &text, &mut wrong);
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].starts_with("Cargo.lock:2 "), "{wrong:?}");
}

#[test]
fn places_of_one_machine_are_found() {
    let root = Path::new("/projects/burnmark");
    let found = |text: &str| {
        let mut wrong = Vec::new();
        machine_names(root, "a", text.as_bytes(), &mut wrong);
        wrong.len()
    };
    assert_eq!(found("see /projects/burnmark/x"), 1);
    assert_eq!(found("see /projects/other"), 1);
    assert_eq!(found(&format!("a\nb /{}/jane/x\nc {ROOTS_HOME}.cargo/registry", "home")), 2);
    assert_eq!(found("/home/user/x, /proc/1/root/etc, /proc/{pid}/root/x, /tmp/x, crates/projects/x"), 0);
}

#[test]
fn folders_that_every_machine_has_are_nobodys_secret() {
    assert_eq!(own_folders(Path::new("/tmp/burnmark")), ["/tmp/burnmark/"]);
    assert_eq!(own_folders(Path::new("/a/b")), ["/a/", "/a/b/"]);
    assert_eq!(own_folders(Path::new("/home/user/burnmark")), ["/home/user/burnmark/"]);
}

#[test]
fn format_names_come_from_the_entries() {
    let text = "impl Format {\n    const fn entry(self) -> Entry {\n        match self {\n            \
                Self::A => Entry { name: \"a-b\", extensions: &[] },\n            Self::C => Entry {\n                \
                name: \"c\",\n            },\n        }\n    }\n}\nconst OTHER: X = X { name: \"no\" };\n";
    assert_eq!(format_names(&[text.to_owned()]), ["a-b", "c"]);
}
