//! Inputs: compression, encodings, detection, and what is no profile.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burnmark_formats::{Compression, Damage, Error, FORMATS, Format, Input, ReadOptions, detect, read};
use burnmark_model::Profile;

const TEXT: &[u8] = b"main;parse 3\nmain;parse;read 2\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).expect("compressing in memory")
}

/// A long text with many distinct stacks, so that it is long compressed, too.
fn long_text() -> Vec<u8> {
    let mut text = Vec::new();
    for line in 0..12_000u32 {
        let name = line.wrapping_mul(2_654_435_761);
        text.extend_from_slice(format!("main;f{name:08x};g{:x} 1\n", name.rotate_left(7)).as_bytes());
    }
    text
}

fn profile_of(bytes: Vec<u8>) -> Profile {
    read(Input::Bytes(bytes), &ReadOptions::default()).expect("a profile").1.profile
}

fn error_of(bytes: Vec<u8>) -> Error {
    read(Input::Bytes(bytes), &ReadOptions::default()).expect_err("what can't be read")
}

#[test]
fn compressed_once_or_nested_reads_as_plain() {
    let plain = profile_of(TEXT.to_vec());
    assert_eq!(plain.samples.total(0), 5);
    for bytes in [gzip(TEXT), zstd(TEXT), gzip(&zstd(TEXT)), zstd(&gzip(&gzip(TEXT)))] {
        assert_eq!(profile_of(bytes), plain);
    }
    let error = error_of(gzip(&gzip(&gzip(&gzip(TEXT)))));
    assert_eq!(error.to_string(), "the input is compressed more than 3 times over: decompress it first");
}

#[test]
fn several_members_or_frames_are_one_input() {
    let text = long_text();
    let plain = profile_of(text.clone());
    // Cut anywhere, also within a line, with empty members between.
    let (start, rest) = text.split_at(text.len() / 3 + 5);
    for pack in [gzip, zstd] {
        assert_eq!(profile_of([pack(start), pack(b""), pack(b""), pack(rest), pack(b"")].concat()), plain);
    }
    let padded = [gzip(start), vec![0; 700], gzip(rest), vec![0; 200_000]].concat();
    assert_eq!(profile_of(padded), plain, "tapes pad members with zeros");
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9][..], &zstd(&text)].concat();
    assert_eq!(profile_of(skippable), plain, "zstd frames may be preceded by a frame to skip");
}

#[test]
fn truncated_data_is_an_error_that_says_where() {
    let text = long_text();
    for (compression, whole) in [(Compression::Gzip, gzip(&text)), (Compression::Zstd, zstd(&text))] {
        for length in [whole.len() / 2, whole.len() - 3] {
            match error_of(whole[..length].to_vec()) {
                Error::Compressed { compression: found, damage, position, produced } => {
                    assert_eq!((found, damage), (compression, Damage::Truncated));
                    assert_eq!(position, length as u64);
                    assert!(produced > 0 && produced <= text.len() as u64, "{produced} bytes came out");
                }
                other => panic!("{compression} cut at {length}: {other}"),
            }
        }
        // Nothing but the magic number.
        assert!(matches!(
            error_of(whole[..4].to_vec()),
            Error::Compressed { damage: Damage::Truncated, produced: 0, .. }
        ));
    }
    let error = error_of(gzip(&text)[..5000].to_vec()).to_string();
    assert!(error.starts_with("the gzip data is cut off at byte 5000 of it, after "), "{error}");
}

#[test]
fn damaged_data_is_an_error() {
    #[track_caller]
    fn corrupt(bytes: Vec<u8>) {
        let error = error_of(bytes);
        assert!(matches!(error, Error::Compressed { damage: Damage::Corrupt(_), .. }), "{error}");
    }
    let mut header = gzip(TEXT);
    // Right after the header: a block of the type that does not exist.
    header[10] |= 0b110;
    corrupt(header);
    let mut checksum = gzip(TEXT);
    let last = checksum.len() - 8;
    checksum[last] ^= 1;
    corrupt(checksum);
    corrupt([gzip(TEXT), b"garbage".to_vec()].concat());
    let mut header = zstd(TEXT);
    header[4..12].fill(0xff);
    corrupt(header);
    corrupt([zstd(TEXT), b"garbage".to_vec()].concat());
}

#[test]
fn what_comes_out_of_compression_is_bounded() {
    // Few stacks, many times over: what is held is bounded, too, and far less.
    let text = TEXT.repeat(20_000);
    let limit = text.len() as u64;
    for pack in [gzip, zstd] {
        let read_up_to = |max_decompressed| {
            let options = ReadOptions { max_decompressed, ..ReadOptions::default() };
            read(Input::Bytes(pack(&text)), &options)
        };
        assert!(read_up_to(limit).is_ok(), "the bound itself is allowed");
        let error = read_up_to(limit - 1).expect_err("one byte too many");
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        assert!(error.to_string().contains("--max-decompressed"), "{error}");
    }
    // A plain text may be of any length: it is not held in memory.
    let options = ReadOptions { max_decompressed: limit / 8, ..ReadOptions::default() };
    assert!(read(Input::Bytes(text), &options).is_ok());
}

#[test]
fn a_bomb_is_refused_without_the_memory_it_asks_for() {
    // 1 GiB of comments, in two frames that are one and the same.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("a compressor");
    encoder.write_all(b"main;parse 3\n").expect("writing to memory");
    let comment = [b"# ", &[b'x'; (1 << 20) - 3][..], b"\n"].concat();
    for _ in 0..1 << 9 {
        encoder.write_all(&comment).expect("writing to memory");
    }
    let frame = encoder.finish().expect("writing to memory");
    assert!(frame.len() < 1 << 20, "it is no bomb: {} bytes", frame.len());
    let options = ReadOptions { max_decompressed: 3 << 28, threads: 1, ..ReadOptions::default() };
    let error = read(Input::Bytes(frame.repeat(2)), &options).expect_err("more than the bound");
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    let peak = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak of resident memory");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 300_000, "{peak} kB were resident");
}

#[test]
fn files_streams_and_bytes_read_the_same_and_count_raw_bytes() {
    // Which is gone through once, and pprof with its samples first, which is gone through twice.
    let pprof = pprof_with_samples_first();
    assert!(pprof.len() > 17 << 20, "more than is kept of a stream in memory");
    for text in [long_text(), pprof] {
        read_in_all_ways(text);
    }
}

fn pprof_with_samples_first() -> Vec<u8> {
    use pprof::protos;
    use prost::Message;
    let text = |length: usize| "f".repeat(length);
    let sample = |id| protos::Sample { location_id: vec![id, 1], value: vec![id as i64], label: Vec::new() };
    let location =
        |id| protos::Location { id, line: vec![protos::Line { function_id: id, line: 0 }], ..Default::default() };
    let function = |id| protos::Function { id, name: id as i64 + 2, ..Default::default() };
    let profile = protos::Profile {
        sample_type: vec![protos::ValueType { ty: 1, unit: 2 }],
        sample: (1..=10_000).map(|id| sample(id % 4 + 1)).collect(),
        location: (1..=4).map(location).collect(),
        function: (1..=4).map(function).collect(),
        string_table: vec![
            String::new(),
            "samples".into(),
            "count".into(),
            text(10 << 20),
            text(7 << 20),
            text(1),
            text(2),
        ],
        ..Default::default()
    };
    profile.encode_to_vec()
}

fn read_in_all_ways(text: Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = profile_of(text.clone());
    for (name, bytes) in [("plain", text.clone()), ("gz", gzip(&text)), ("zst", zstd(&text))] {
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).expect("a file");
        let file = || Input::file(File::open(&path).expect("the file")).expect("a regular file");
        assert!(matches!(file(), Input::File { .. }));
        let stream = Input::Stream(Box::new(std::io::Cursor::new(bytes.clone())));
        for input in [file(), stream, Input::Bytes(bytes.clone())] {
            let progress = Arc::new(AtomicU64::new(0));
            let options = ReadOptions { progress: Some(progress.clone()), ..ReadOptions::default() };
            assert_eq!(read(input, &options).expect("a profile").1.profile, plain, "{name}");
            assert_eq!(progress.load(Ordering::Relaxed), bytes.len() as u64, "{name}");
        }
    }
}

#[test]
fn a_pipe_taken_for_a_file_is_read_as_a_stream() {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let sender = std::thread::spawn(move || {
        // In small pieces, as programs print.
        for piece in TEXT.chunks(5) {
            writer.write_all(piece).expect("a reader");
        }
    });
    let file = File::from(std::os::fd::OwnedFd::from(reader));
    let input = Input::File { file, len: 0 };
    let (_, parsed) = read(input, &ReadOptions::default()).expect("folded text");
    sender.join().expect("the sender");
    assert_eq!(parsed.profile, profile_of(TEXT.to_vec()));
}

#[test]
fn no_input_is_told_from_bad_input() {
    assert!(matches!(error_of(Vec::new()), Error::Empty));
    assert!(matches!(error_of(gzip(b"")), Error::Empty));
    assert!(matches!(error_of(zstd(b"")), Error::Empty));
    assert!(matches!(error_of(vec![0xff, 0xfe]), Error::Empty));
    assert!(matches!(error_of(vec![0xef, 0xbb, 0xbf]), Error::Empty));
    let forced = ReadOptions { format: Some(Format::Folded), ..ReadOptions::default() };
    assert!(matches!(read(Input::Bytes(Vec::new()), &forced), Err(Error::Empty)));
}

#[test]
fn a_directory_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || File::open(folder.path()).expect("Linux opens directories");
    let expected = "the input is a directory: name a file in it";
    assert_eq!(Input::file(open()).map(|_| ()).map_err(|error| error.to_string()), Err(expected.into()));
    for input in [Input::File { file: open(), len: 4096 }, Input::Stream(Box::new(open()))] {
        let error = read(input, &ReadOptions::default()).expect_err("a directory");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn errors_of_the_source_come_through_as_they_are() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the wire was cut"))
        }
    }
    let long = gzip(&long_text());
    let start = std::io::Cursor::new(long[..long.len() / 2].to_vec());
    for source in [Box::new(Broken) as Box<dyn Read + Send>, Box::new(std::io::Cursor::new(TEXT).chain(Broken))] {
        let error = read(Input::Stream(source), &ReadOptions::default()).expect_err("a broken source");
        assert!(matches!(error, Error::Io(_)), "{error}");
        assert_eq!(error.to_string(), "the wire was cut");
    }
    let error =
        read(Input::Stream(Box::new(start.chain(Broken))), &ReadOptions::default()).expect_err("a broken source");
    assert_eq!(error.to_string(), "the wire was cut", "a failing disk is no damaged gzip data");
}

#[test]
fn an_unknown_format_lists_what_was_tried_and_why_not() {
    let error = error_of(b"Dear reader,\nthis is a letter.\n".to_vec());
    let text = error.to_string();
    assert!(matches!(&error, Error::UnknownFormat { tried } if tried.len() == FORMATS.len()), "{text}");
    for format in FORMATS {
        assert!(text.contains(&format!("\n  not {format}: ")), "{text}");
    }
    assert!(text.contains("line 1 is no stack with a count: Dear reader,"), "{text}");
    assert!(text.contains("--format"), "{text}");
    let garbage: Vec<u8> = (0..5000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let text = error_of(garbage).to_string();
    assert!(text.contains("not folded: it is binary (a zero byte at "), "{text}");
    assert!(matches!(error_of(vec![0; 100_000]), Error::UnknownFormat { .. }));
}

#[test]
fn well_known_inputs_of_other_kinds_are_named() {
    #[track_caller]
    fn told(start: &[u8], what: &str) {
        let error = detect(start).expect_err("no profile");
        assert!(matches!(error, Error::NotAProfile { .. }) && error.to_string().contains(what), "{error}");
    }
    told(b"PERFILE2\x68\0\0\0\0\0\0\0", "perf script -i FILE | burnmark top -");
    told(b"\x7fELF\x02\x01\x01\0", "an ELF program");
    told(b"PK\x03\x04\x14\0", "a zip archive");
    told(b"{\"snapshot\":{\"meta\":{\"node_fields\":[\"type\"", "a V8 heap snapshot");
    told(b"{\"$schema\": \"https://www.speedscope.app/file-format-schema.json\"", "a speedscope file");
    told(b"{\"meta\":{\"interval\":1,\"preprocessedProfileVersion\":44", "a Firefox Profiler file");
    told(b"{\"traceEvents\":[{\"pid\":1", "a Chrome trace");
    told(b"<?xml version=\"1.0\"?>\n<svg version=\"1.1\">", "an SVG picture");
}

#[test]
fn names_and_output_names() {
    for format in FORMATS {
        assert_eq!(Format::from_name(format.name()), Some(*format));
        assert_eq!(Format::for_output_name(format!("dir.d/x.{}", format.extension())), Some(*format));
    }
    assert_eq!(Format::from_name("nonsense"), None);
    assert_eq!(Format::for_output_name("a.b/X.PB.gz"), Some(Format::Pprof));
    assert_eq!(Format::for_output_name("x.folded.zst"), Some(Format::Folded));
    assert_eq!(Format::for_output_name("x.svg"), None);
    assert_eq!(Format::for_output_name("folded"), None);
}
