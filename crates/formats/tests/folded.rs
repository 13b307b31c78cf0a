//! Folded stacks made by real tools: compared with inferno's reading of them, and mutated.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burnmark_formats::{Error, Format, Input, ReadOptions, WriteOptions, read, write};
use burnmark_model::{Parsed, Profile};

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/folded");
    let entries = fs::read_dir(&folder).expect("fixtures/folded");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.to_string_lossy().contains(".folded"));
    files.sort();
    assert!(files.len() >= 7, "only {} fixtures in {}", files.len(), folder.display());
    files
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/folded").join(name)).expect("a fixture")
}

fn read_bytes(bytes: Vec<u8>) -> Result<(Format, Parsed), Error> {
    read(Input::Bytes(bytes), &ReadOptions::default())
}

fn written(profile: &Profile) -> String {
    let mut out = Vec::new();
    write(profile, Format::Folded, &WriteOptions::default(), &mut out).expect("writing to memory");
    String::from_utf8(out).expect("UTF-8")
}

/// The flame graph inferno draws of folded text. It sorts the lines itself.
fn drawn(text: &str) -> String {
    let mut options = inferno::flamegraph::Options::default();
    options.hash = true;
    let mut svg = Vec::new();
    inferno::flamegraph::from_lines(&mut options, text.lines(), &mut svg).expect("inferno draws it");
    String::from_utf8(svg).expect("UTF-8")
}

#[test]
fn every_fixture_is_recognized_and_read_without_warnings() {
    for file in fixtures() {
        let open = fs::File::open(&file).expect("a fixture");
        let input = Input::file(open).expect("a file");
        let (format, parsed) = read(input, &ReadOptions::default()).expect("folded text");
        assert_eq!(format, Format::Folded, "{}", file.display());
        assert_eq!(parsed.warnings, [], "{}", file.display());
        assert!(parsed.profile.samples.total(parsed.profile.default_value) > 100, "{}", file.display());
    }
}

#[test]
fn inferno_draws_the_same_of_what_we_write_as_of_the_original() {
    for name in
        ["py-spy.folded", "py-spy-threads.folded", "perf.folded", "perf-annotated.folded", "differential.folded"]
    {
        let original = String::from_utf8(fixture(name)).expect("UTF-8");
        let (_, parsed) = read_bytes(original.clone().into_bytes()).expect("folded text");
        let ours = drawn(&written(&parsed.profile));
        assert!(ours.contains("<title>"), "{name}: inferno drew no frames");
        assert!(ours == drawn(&original), "{name}: the pictures differ");
    }
}

#[test]
fn utf16_gzip_and_plain_text_read_the_same() {
    let profile = |name: &str| read_bytes(fixture(name)).expect("folded text").1.profile;
    assert_eq!(profile("py-spy-threads-utf16.folded"), profile("py-spy-threads.folded"));
    assert_eq!(profile("py-spy.folded.gz"), profile("py-spy.folded"));
    let big_endian: Vec<u8> = fixture("py-spy-threads-utf16.folded")
        .as_chunks::<2>()
        .0
        .iter()
        .flat_map(|[low, high]| [*high, *low])
        .collect();
    let (_, parsed) = read_bytes(big_endian).expect("folded text");
    assert_eq!(parsed.profile, profile("py-spy-threads.folded"));
    let marked = [b"\xef\xbb\xbf", &fixture("perf.folded")[..]].concat();
    assert_eq!(read_bytes(marked).expect("folded text").1.profile, profile("perf.folded"));
}

#[test]
fn differential_text_has_both_counts() {
    let text = String::from_utf8(fixture("differential.folded")).expect("UTF-8");
    let mut expected = BTreeMap::new();
    for line in text.lines() {
        let (rest, after) = line.rsplit_once(' ').expect("a count");
        let (stack, before) = rest.rsplit_once(' ').expect("two counts");
        expected.insert(stack.to_owned(), format!("{before} {after}"));
    }
    let (_, parsed) = read_bytes(text.clone().into_bytes()).expect("folded text");
    let profile = &parsed.profile;
    let read: BTreeMap<_, _> = (profile.samples.iter().enumerate())
        .map(|(index, sample)| {
            let mut names: Vec<_> = profile.frames_leaf_first(sample.stack).map(|id| profile.frame_name(id)).collect();
            names.reverse();
            (names.join(";"), format!("{} {}", profile.samples.values(0)[index], profile.samples.values(1)[index]))
        })
        .collect();
    assert_eq!(read, expected);
}

#[test]
fn threads_do_not_change_the_result() {
    // Long enough for several blocks; every seventh line has a stack of its own.
    let mut text = Vec::new();
    let lines: Vec<_> = fixture("py-spy.folded").split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    for round in 0..80 {
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
            if index % 7 == 0 {
                text.extend_from_slice(format!("root {round};").as_bytes());
            }
            text.extend_from_slice(line);
            text.push(b'\n');
        }
    }
    let read = |threads| {
        let options = ReadOptions { threads, ..ReadOptions::default() };
        read(Input::Bytes(text.clone()), &options).expect("folded text").1
    };
    let one = read(1);
    for threads in [2, 3, 8] {
        assert_eq!(read(threads), one, "{threads} threads");
    }
}

/// Numbers that are the same in every run (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// Damages bytes: flips, deletes, doubles, inserts what is special in one of the layers, cuts off.
fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    const SPECIAL: &[&[u8]] = &[
        b"\0",
        b";",
        b";;;;",
        b" ",
        b"\n",
        b"\r\n",
        b" -5\n",
        b" 9223372036854775807\n",
        b" 99999999999999999999\n",
        b" 1e400\n",
        b" 0.0000001\n",
        b"# ",
        b"_[i]",
        b"_[k];",
        b"\xff\xfe",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\x1f\x8b\x08\0",
        b"\x28\xb5\x2f\xfd",
        b"{\"",
        b" 1 2 3 4\n",
    ];
    for _ in 0..=numbers.below(6) {
        let at = numbers.below(bytes.len().max(1));
        let end = (at + numbers.below(200)).min(bytes.len());
        match numbers.below(6) {
            _ if bytes.is_empty() => return,
            0 => bytes[at] ^= 1 << numbers.below(8),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            3 | 4 => {
                let special = SPECIAL[numbers.below(SPECIAL.len())];
                bytes.splice(at..at, special.iter().copied());
            }
            _ => bytes.truncate(at),
        }
    }
}

#[test]
fn damaged_files_are_read_or_refused_but_never_panic() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut read, mut refused) = (0, 0);
    for file in fixtures() {
        let original = fs::read(&file).expect("a fixture");
        // Small, so that a few changes matter.
        let original =
            if original.starts_with(b"\x1f\x8b") { original } else { original[..original.len().min(8000)].to_vec() };
        for round in 0..150 {
            let mut bytes = original.clone();
            mutate(&mut bytes, &mut numbers);
            let forced = (round % 2 == 0).then_some(Format::Folded);
            let options =
                ReadOptions { format: forced, threads: 1 + round % 3, max_decompressed: 1 << 24, progress: None };
            match burnmark_formats::read(Input::Bytes(bytes.clone()), &options) {
                Ok((Format::Folded, parsed)) => {
                    read += 1;
                    // What could be read can be written, and reads as the same text.
                    let text = written(&parsed.profile);
                    let again = ReadOptions { format: Some(Format::Folded), ..ReadOptions::default() };
                    let (_, again) =
                        burnmark_formats::read(Input::Bytes(text.clone().into_bytes()), &again).expect("our text");
                    assert_eq!(written(&again.profile), text, "{} round {round}", file.display());
                }
                Ok(_) => {}
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
    assert!(read > 200 && refused > 50, "the mutations are too weak or too strong: {read} read, {refused} refused");
}
