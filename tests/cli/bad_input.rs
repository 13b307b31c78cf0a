//! Every kind of bad input gets a clear message with a position and a next step, and leaves no half file behind.

use std::io::Write;

use crate::support::{burnmark_in, burnmark_with, files, folder};

#[test]
fn an_empty_file() {
    let folder = folder();
    std::fs::write(folder.path().join("empty"), "").unwrap();
    burnmark_in(folder.path(), &["top", "empty"]).fails(1, &["empty", "the input is empty"]);
    burnmark_with(folder.path(), &["top", "-"], b"").fails(1, &["standard input", "the input is empty"]);
}

#[test]
fn a_directory_and_a_file_that_is_not_there() {
    let folder = folder();
    burnmark_in(folder.path(), &["top", "."]).fails(1, &["is a directory", "name a"]);
    burnmark_in(folder.path(), &["top", "nowhere.pb.gz"]).fails(1, &["nowhere.pb.gz", "No such file"]);
    burnmark_in(folder.path(), &["top"]).fails(1, &["there is no burnmark.pb.gz here", "burnmark record"]);
}

#[test]
fn an_unknown_format_lists_what_was_tried_and_why_it_did_not_fit() {
    let folder = folder();
    let noise = (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<_>>();
    std::fs::write(folder.path().join("noise.bin"), noise).unwrap();
    let run = burnmark_in(folder.path(), &["top", "noise.bin"])
        .fails(1, &["noise.bin", "not recognized", "not perf-script:", "not folded:", "not pprof:", "--format"]);
    assert!(run.stderr.contains("not cpuprofile:"), "{}", run.stderr);
}

#[test]
fn a_profile_of_another_kind_is_named() {
    let folder = folder();
    std::fs::write(folder.path().join("perf.data"), b"PERFILE2\x68\0\0\0\0\0\0\0 and more").unwrap();
    burnmark_in(folder.path(), &["top", "perf.data"]).fails(1, &["perf.data", "header", "byte 25"]);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

#[test]
fn a_truncated_gzip_file() {
    let folder = folder();
    let text =
        (0..20_000).map(|i| format!("main;f{};g{} {}\n", i % 97, i * 7919 % 1009, i % 13 + 1)).collect::<String>();
    let packed = gzip(text.as_bytes());
    std::fs::write(folder.path().join("cut.folded.gz"), &packed[..packed.len() / 2]).unwrap();
    burnmark_in(folder.path(), &["top", "cut.folded.gz"])
        .fails(1, &["cut.folded.gz", "cut off at byte", "copy it again"]);
}

#[test]
fn a_zip_bomb_is_bounded_in_bytes_and_in_memory() {
    let folder = folder();
    // 400 MB of one and the same line: 400 KB of gzip.
    let line = b"main;work;more 1\n".repeat(4096);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..400_000_000 / line.len() {
        encoder.write_all(&line).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 8_000_000);
    std::fs::write(folder.path().join("bomb.gz"), bomb).unwrap();
    burnmark_in(folder.path(), &["top", "bomb.gz", "--max-decompressed", "10M"])
        .fails(1, &["bomb.gz", "10485760 bytes", "--max-decompressed"]);

    // The same without an end of line: memory must not follow it.
    let zeros = vec![b'a'; 1 << 20];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..1500 {
        encoder.write_all(&zeros).unwrap();
    }
    std::fs::write(folder.path().join("line.gz"), encoder.finish().unwrap()).unwrap();
    let limited = std::process::Command::new("prlimit")
        .args(["--data=1000000000", crate::support::program(), "top", "line.gz", "--format", "folded"])
        .current_dir(folder.path())
        .output()
        .expect("prlimit is there");
    let stderr = String::from_utf8_lossy(&limited.stderr);
    assert_eq!(limited.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("longer than"), "{stderr}");
}

#[test]
fn invalid_utf8_is_kept_lossy_with_a_warning() {
    let folder = folder();
    let run = burnmark_with(folder.path(), &["top", "-", "--json"], b"main;caf\xe9 3\nmain;tea 2\n").ok();
    assert!(run.stderr.contains("warning") && run.stderr.contains("UTF-8"), "{}", run.stderr);
    assert_eq!(run.json()["rows"][0]["function"], "caf\u{fffd}");
    assert_eq!(run.json()["total"], 5);
}

#[test]
fn stacks_of_100_000_frames_go_through_everything() {
    let folder = folder();
    let mut deep = (0..100_000).map(|i| format!("f{i}")).collect::<Vec<_>>().join(";");
    deep.push_str(" 5\nmain;other 5\n");
    std::fs::write(folder.path().join("deep.folded"), deep).unwrap();
    let run = |args: &[&str]| burnmark_in(folder.path(), args).ok();
    let top = run(&["top", "deep.folded", "--json"]).json();
    assert_eq!(top["total"], 10);
    assert_eq!(top["rows"][0]["self"], 5);
    run(&["info", "deep.folded"]);
    run(&["flame", "deep.folded", "-o", "deep.svg"]);
    run(&["flame", "deep.folded", "--reverse", "-o", "reverse.svg"]);
    run(&["convert", "deep.folded", "-o", "deep.pb.gz"]);
    run(&["convert", "deep.pb.gz", "-o", "again.folded"]);
    assert_eq!(
        std::fs::read(folder.path().join("again.folded")).unwrap().len(),
        std::fs::read(folder.path().join("deep.folded")).unwrap().len()
    );
    run(&["top", "deep.folded", "--focus", "f99999", "--hide", "f1", "--merge-by", "line"]);
}

#[test]
fn negative_and_overflowing_counts() {
    let folder = folder();
    let run = burnmark_with(folder.path(), &["top", "-"], b"main;a 1\nmain;b 9223372036854775807\n");
    run.fails(1, &["line 2", "2^63"]);
    let run = burnmark_with(folder.path(), &["top", "-"], b"main;a 1\nmain;b 99999999999999999999999\n");
    run.fails(1, &["line 2"]);
}

#[test]
fn a_failed_run_leaves_no_half_file_and_keeps_the_old_one() {
    let folder = folder();
    std::fs::write(folder.path().join("good.folded"), "main;a 1\n").unwrap();
    std::fs::write(folder.path().join("out.pb.gz"), "precious").unwrap();
    std::fs::write(folder.path().join("bad.folded"), "main;a 1\nmain;b 9223372036854775807\n").unwrap();
    burnmark_in(folder.path(), &["convert", "bad.folded", "-o", "out.pb.gz"]).fails(1, &[]);
    assert_eq!(std::fs::read_to_string(folder.path().join("out.pb.gz")).unwrap(), "precious");
    burnmark_in(folder.path(), &["convert", "good.folded", "-o", "nowhere/out.folded"])
        .fails(1, &["nowhere/out.folded"]);
    burnmark_in(folder.path(), &["convert", "good.folded", "-o", "out.xyz"]).fails(1, &["out.xyz", ".folded", "--as"]);
    burnmark_in(folder.path(), &["convert", "good.folded", "-o", "."]).fails(1, &[]);
    assert_eq!(files(folder.path()), ["bad.folded", "good.folded", "out.pb.gz"]);
    // A full disk: the device takes nothing.
    burnmark_in(folder.path(), &["convert", "good.folded", "-o", "/dev/full", "--as", "folded"])
        .fails(1, &["/dev/full", "No space left"]);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let folder = folder();
    let text = (0..50_000).map(|i| format!("main;function_number_{i} 1\n")).collect::<String>();
    std::fs::write(folder.path().join("many.folded"), text).unwrap();
    let script = format!("{} top many.folded --limit 0 | head -1; exit ${{PIPESTATUS[0]}}", crate::support::program());
    let output = std::process::Command::new("bash").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn wrong_usage_exits_with_2() {
    let folder = folder();
    for args in [&["top", "--by", "nonsense"][..], &["record"], &["flame", "--focus", "("], &["nonsense"]] {
        assert_eq!(burnmark_in(folder.path(), args).code, 2, "{args:?}");
    }
}

#[test]
fn filters_that_the_input_can_not_serve_are_errors() {
    let folder = folder();
    std::fs::write(folder.path().join("a.folded"), "main;a 1\n").unwrap();
    burnmark_in(folder.path(), &["top", "a.folded", "--from", "1"]).fails(1, &["--from", "times"]);
    burnmark_in(folder.path(), &["top", "a.folded", "--from", "2", "--to", "1"])
        .fails(1, &["--from is not before --to"]);
    burnmark_in(folder.path(), &["top", "a.folded", "--thread", "1"]).fails(1, &["--thread"]);
    burnmark_in(folder.path(), &["top", "a.folded", "--pid", "1"]).fails(1, &["--pid"]);
    burnmark_in(folder.path(), &["top", "a.folded", "--value", "cycles"])
        .fails(1, &["--value cycles", "samples/count"]);
}

#[test]
fn a_recording_that_could_not_be_written_is_refused_before_sampling() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("d.svg")).unwrap();
    let record = |output: &str| burnmark_in(folder.path(), &["record", "-o", output, "--", "touch", "ran"]);
    record("-").fails(1, &["standard output", "-o FILE.pb.gz", "convert"]);
    record("d.svg").fails(1, &["d.svg", "is a directory"]);
    let run = record("x.unknown").fails(1, &["x.unknown", ".pb.gz"]);
    assert!(!run.stderr.contains("--as"), "record has no --as: {}", run.stderr);
    burnmark_in(folder.path(), &["record"]).fails(2, &["--pid", "COMMAND"]);
    assert_eq!(files(folder.path()), ["d.svg"]);
}

#[test]
fn a_spool_in_which_nothing_is_neither_blocks_nor_replaces_a_recording() {
    let folder = folder();
    let recording = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/pprof/go-cpu.pb.gz")).unwrap();
    // As a recorder leaves it that is killed, or finds the disk full, at its start.
    for spool in [&b""[..], b"bmsp", b"bmspool\x02"] {
        std::fs::write(folder.path().join("burnmark.pb.gz"), &recording).unwrap();
        std::fs::write(folder.path().join("burnmark.pb.gz.spool"), spool).unwrap();
        let run = burnmark_in(folder.path(), &["top"]).ok();
        assert!(run.stderr.contains("had sampled nothing"), "{}", run.stderr);
        assert_eq!(files(folder.path()), ["burnmark.pb.gz"]);
        assert_eq!(std::fs::read(folder.path().join("burnmark.pb.gz")).unwrap(), recording);
    }
}

#[test]
fn a_full_standard_output_is_named() {
    let folder = folder();
    std::fs::write(folder.path().join("a.folded"), "a;b 1\n").unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(crate::support::program());
    let run = command.args(["top", "a.folded"]).current_dir(folder.path()).stdout(full).output().unwrap();
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.code() == Some(1) && stderr.contains("standard output"), "{stderr}");
}

#[test]
fn a_picture_does_not_take_the_place_of_its_profile() {
    let folder = folder();
    std::fs::write(folder.path().join("a.folded"), "a;b 1\n").unwrap();
    burnmark_in(folder.path(), &["flame", "a.folded", "-o", "./a.folded"]).fails(1, &["a.folded", "-o", "flame.svg"]);
    assert_eq!(std::fs::read(folder.path().join("a.folded")).unwrap(), b"a;b 1\n");
    let twice = ["flame", "a.folded", "-o", "a.svg"];
    burnmark_in(folder.path(), &twice).ok();
    burnmark_in(folder.path(), &twice).ok();
}
