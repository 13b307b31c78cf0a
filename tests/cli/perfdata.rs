//! perf.data files on the command line: packed, through a pipe, cut, and what `info` says of them.

use std::io::Write;

use crate::support::{Run, burnmark_in, burnmark_with, folder};

fn fixture(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/perfdata").join(name);
    std::fs::read(path).expect("the fixture is there")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory takes it")
}

/// Everything that `info` says, but for what the input is called.
fn said(run: &Run) -> serde_json::Value {
    run.json()
}

#[test]
fn packed_files_are_read_from_disk_and_through_a_pipe() {
    let folder = folder();
    for name in ["events.data", "pipe-zstd.data"] {
        let plain = fixture(name);
        std::fs::write(folder.path().join("plain"), &plain).unwrap();
        let expected = said(&burnmark_in(folder.path(), &["info", "--json", "plain"]).ok());
        assert!(expected["samples"].as_u64() > Some(5), "{expected}");
        for packed in [plain.clone(), gzip(&plain), zstd(&plain)] {
            std::fs::write(folder.path().join("packed"), &packed).unwrap();
            assert_eq!(said(&burnmark_in(folder.path(), &["info", "--json", "packed"]).ok()), expected, "{name}");
            let piped = burnmark_with(folder.path(), &["info", "--json", "-"], &packed).ok();
            assert_eq!(said(&piped), expected, "{name} through a pipe");
        }
    }
}

/// What comes before the cut is read, and a warning says that more is missing.
#[test]
fn a_packed_file_that_is_cut_keeps_what_is_before() {
    let folder = folder();
    let plain = fixture("callchains.data");
    let whole = burnmark_with(folder.path(), &["info", "--json", "-"], &plain).ok().json()["samples"].clone();
    for packed in [gzip(&plain), zstd(&plain)] {
        // zstd packs it into one block.
        let cut = &packed[..packed.len() - packed.len() / 3];
        let run = burnmark_with(folder.path(), &["info", "--json", "-"], cut);
        if packed.starts_with(&[0x1f, 0x8b]) {
            let run = run.ok();
            let kept = run.json()["samples"].as_u64();
            assert!(kept > Some(10) && kept < whole.as_u64(), "{kept:?} of {whole}");
            assert!(run.stderr.contains("can't be read to its end"), "{}", run.stderr);
        } else {
            assert_ne!(run.code, 101, "{}", run.stderr);
        }
    }
}

#[test]
fn info_says_what_the_header_does() {
    let folder = folder();
    std::fs::write(folder.path().join("perf.data"), fixture("events.data")).unwrap();
    let shown = burnmark_in(folder.path(), &["info", "perf.data"]).ok().stdout;
    for part in ["kernel: ", "processor: ", "made by: perf ", "command: perf record -- xz\n", "machine: x86_64"] {
        assert!(shown.contains(part), "{part:?} is missing:\n{shown}");
    }
    let kept = burnmark_in(folder.path(), &["info", "--keep-args", "perf.data"]).ok().stdout;
    let command = kept.lines().find(|line| line.starts_with("command: ")).expect("it has a command line");
    assert!(command.contains(" -e ") && command.len() > "command: perf record -- xz".len(), "{command}");
}

/// A file that has the time of day (`perf record -k mono`) begins on a date; others on the recorder's clock.
#[test]
fn info_says_when_it_began() {
    let folder = folder();
    let shown = burnmark_with(folder.path(), &["info", "-"], &fixture("events.data")).ok().stdout;
    assert!(shown.contains("first_sample: ") && shown.contains(" s on the recorder's clock"), "{shown}");
    let shown = burnmark_with(folder.path(), &["info", "-"], &fixture("clock.data")).ok().stdout;
    let began = shown.lines().find_map(|line| line.strip_prefix("began: ")).expect("it says when");
    assert!(began.starts_with("20") && began.ends_with('Z') && began.len() == "2026-11-21T08:16:40Z".len());
}
