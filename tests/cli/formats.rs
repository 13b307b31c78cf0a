//! One input through every way in and out.

use std::io::Write;

use crate::support::{burnmark_in, burnmark_with, files, folder};

/// Two threads of one process, two events, as `perf script` prints them.
const SCRIPT: &str = "\
app  100/101  [000]     1.000000:     100000 cycles:u: 
\t          401000 leaf+0x10 (/usr/bin/app)
\t          402000 main+0x20 (/usr/bin/app)

app  100/102  [001]     1.500000:     200000 cycles:u: 
\t    7f0000001000 memcpy+0x1 (/usr/lib/libc.so.6)
\t          402000 main+0x20 (/usr/bin/app)

app  100/101  [000]     2.000000:          1 page-faults: 
\t          402100 main+0x120 (/usr/bin/app)

";

#[test]
fn several_events_are_value_types_and_none_is_dropped() {
    let folder = folder();
    let info = burnmark_with(folder.path(), &["info", "-", "--json"], SCRIPT.as_bytes()).ok().json();
    assert_eq!(info["schema"], "burnmark.info/1");
    assert_eq!((&info["format"], &info["samples"], &info["threads"]), (&"perf-script".into(), &3.into(), &2.into()));
    let totals = info["value_types"].as_array().unwrap().iter();
    let totals =
        totals.map(|value| (value["type"].as_str().unwrap(), value["total"].as_i64().unwrap())).collect::<Vec<_>>();
    assert!(totals.contains(&("cycles:u", 2)) && totals.contains(&("cycles:u", 300_000)), "{totals:?}");
    assert!(totals.contains(&("page-faults", 1)), "{totals:?}");

    let top =
        |value: &str| burnmark_with(folder.path(), &["top", "-", "--json", "--value", value], SCRIPT.as_bytes()).ok();
    let cycles = top("cycles:u/events").json();
    assert_eq!(cycles["rows"][0]["function"], "memcpy");
    assert_eq!(cycles["rows"][0]["self"], 200_000);
    let faults = top("page-faults").json();
    assert_eq!((&faults["total"], &faults["rows"][0]["function"]), (&1.into(), &"main".into()));
}

#[test]
fn a_profile_that_measures_nothing_is_no_reason_to_fail_badly() {
    let folder = folder();
    // A string table and nothing else is a whole pprof file.
    std::fs::write(folder.path().join("nothing.pb"), b"\x32\x00\x32\x01a").unwrap();
    for args in [&["convert", "nothing.pb", "-o", "out.folded"][..], &["top", "nothing.pb"]] {
        let run = burnmark_in(folder.path(), args);
        assert_eq!(run.code, 1, "{args:?}");
        assert!(run.stderr.contains("no value type"), "{args:?}: {}", run.stderr);
    }
    assert_eq!(files(folder.path()), ["nothing.pb"]);
    burnmark_in(folder.path(), &["convert", "nothing.pb", "-o", "out.pb.gz"]).ok();
}

#[test]
fn every_way_out_and_back_in_tells_the_same() {
    let folder = folder();
    std::fs::write(folder.path().join("in.txt"), SCRIPT).unwrap();
    let run = |args: &[&str]| burnmark_in(folder.path(), args).ok();
    let rows = |file: &str| run(&["top", file, "--json", "--value", "cycles:u/count"]).json()["rows"].clone();
    let expected = rows("in.txt");
    assert_eq!(expected.as_array().unwrap().len(), 3);
    for name in ["out.pb", "out.pb.gz", "out.pb.zst"] {
        run(&["convert", "in.txt", "-o", name]);
        assert_eq!(rows(name), expected, "{name}");
        let info = run(&["info", name, "--json"]).json();
        assert_eq!((&info["format"], &info["threads"]), (&"pprof".into(), &2.into()));
    }
    let folded = run(&["convert", "in.txt", "-o", "-", "--as", "folded"]).stdout;
    assert_eq!(folded, "app;main;leaf 100000\napp;main;memcpy 200000\n", "weighed by period, as inferno does");
    for name in ["out.folded", "out.folded.gz", "out.folded.zst"] {
        run(&["convert", "out.pb.gz", "-o", name]);
        run(&["convert", name, "-o", "again.folded"]);
        assert_eq!(std::fs::read_to_string(folder.path().join("again.folded")).unwrap(), folded, "{name}");
    }
    for (name, start) in [("t.md", "|"), ("t.csv", "rank,"), ("t.json", "{"), ("f.svg", "<?xml")] {
        run(&["convert", "in.txt", "-o", name]);
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(text.starts_with(start) && text.contains("memcpy"), "{name}: {text}");
    }
}

#[test]
fn filters_mean_the_same_on_every_command() {
    let folder = folder();
    std::fs::write(folder.path().join("in.txt"), SCRIPT).unwrap();
    for (filter, expected) in [
        (&["--focus", "leaf"][..], "app;main;leaf 1\n"),
        (&["--ignore", "leaf"], "app;main;memcpy 1\n"),
        (&["--hide", "main"], "app;leaf 1\napp;memcpy 1\n"),
        (&["--thread", "102"], "app;main;memcpy 1\n"),
        (&["--pid", "100", "--to", "0.4"], "app;main;leaf 1\n"),
        (&["--from", "400ms"], "app;main;memcpy 1\n"),
        (&["--merge-by", "module"], "app;app 1\napp;app;libc.so.6 1\n"),
    ] {
        let mut args = vec!["convert", "in.txt", "-o", "-", "--as", "folded", "--value", "cycles:u/count"];
        args.extend(filter);
        assert_eq!(burnmark_in(folder.path(), &args).ok().stdout, expected, "{filter:?}");
        let total = expected.lines().count();
        let mut args = vec!["top", "in.txt", "--json", "--value", "cycles:u/count"];
        args.extend(filter);
        assert_eq!(burnmark_in(folder.path(), &args).ok().json()["total"], total, "{filter:?}");
    }
}

#[test]
fn compressed_input_is_seen_through_and_named_by_nothing_but_content() {
    let folder = folder();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(SCRIPT.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let twice = zstd::encode_all(&packed[..], 0).unwrap();
    for input in [packed, twice] {
        std::fs::write(folder.path().join("data"), &input).unwrap();
        assert_eq!(burnmark_in(folder.path(), &["top", "data", "--json"]).ok().json()["samples"], 3);
        assert_eq!(burnmark_with(folder.path(), &["top", "-", "--json"], &input).ok().json()["samples"], 3);
    }
}

#[test]
fn completions_and_man_pages() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish"] {
        assert!(burnmark_in(folder.path(), &["completions", shell]).ok().stdout.contains("flame"), "{shell}");
    }
    assert!(burnmark_in(folder.path(), &["man"]).ok().stdout.starts_with(".ie"));
    std::fs::create_dir(folder.path().join("man")).unwrap();
    burnmark_in(folder.path(), &["man", "--folder", "man"]).ok();
    let pages = files(&folder.path().join("man"));
    assert!(pages.contains(&"burnmark.1".to_owned()) && pages.contains(&"burnmark-record.1".to_owned()), "{pages:?}");
}
