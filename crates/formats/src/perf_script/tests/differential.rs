//! The fast reader against the plain one on random mixtures of lines, and its tables at their bounds.

use proptest::prelude::*;

use super::*;

/// Lines of all kinds, sound and not.
const LINES: &[&str] = &[
    "",
    "",
    "",
    " ",
    "\t",
    "a 1 1.000000:    10 c: ",
    "a 1 1.000000:    10 c: ",
    "b 2/3 [001] 2.000000:    20 cpu-clock:u: ",
    "thread 12 3  4 3.000000: sched:sched_switch: prev_comm=x ==> next_comm=y",
    "            cafe  4711  4.000000:     100 c:      55f48db921f7 f+0x36 (/bin/x)",
    "            cafe      55f48db921f7 f+0x36 (/bin/x)",
    "     55f48db921f7 leaf (/tmp/fx/spin)",
    " ffffffff81000000 leaf ([k])",
    "a    12 c: ",
    "a 12 ",
    "comm ",
    "c: ",
    "\t            11f7 leaf+0x36 (/bin/x)",
    "\t            11f8 leaf+0x37 (/bin/x)",
    "\t            11f8 leaf+0x37 (/bin/x)\r",
    "\t            11f9 leaf (/bin/x)",
    "\t            1226 middle+0x9 (/bin/x)",
    "\t            1277 main+0x3d (/opt/my (dir) x/y)",
    "\t            1277 [unknown] ([unknown])",
    "\t            1277 in+0x1 (inlined)",
    "\t            1278 in+0x1 (inlined)",
    "\t            1277 real (/bin/x)",
    "\t            1277 in2",
    "\t            1277 foo (int)+0x12",
    "\t            1277 foo (int)",
    "\t            1277 foo+0x1+0x2 (/x)",
    "\t            1277 foo+0x1 (/x)",
    "\tsym (/x)",
    "        1f blank+0x1 (/x)",
    "        1f blank+0x1 (inlined)",
    "  a.c:12",
    "  a.c:12 (inlined)",
    "  main+0x12",
    "   0x1/0x2/P/-/-/1",
    "# comment : x",
    "#",
    "odd",
    "odd line: with colon",
    "a 1 5.000000: PERF_RECORD_LOST lost 7",
    "a 1 99999999999.000000: -7 c: ",
    "a 1 6.000000: 9223372036854775807 c: ",
];

/// Lines that are no UTF-8.
const BYTES: &[&[u8]] =
    &[b"a\xff 1 1.000000: 5 c\xfe: ", b"\t 12 f\xff+0x1 (/x)", b"  x\xff.c:1", b"\xff", b"\t12 g (/x\xff)"];

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        20 => proptest::sample::select(LINES).prop_map(|line| line.as_bytes().to_vec()),
        1 => proptest::sample::select(BYTES).prop_map(<[u8]>::to_vec),
        1 => "[ \ta-f0-9:/().+x\\[\\]#]{0,40}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>().prop_filter("line ends", |byte| *byte != b'\n'), 0..20),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    (proptest::collection::vec(line(), 0..60), any::<bool>(), any::<bool>()).prop_map(|(lines, windows, ended)| {
        let end: &[u8] = if windows { b"\r\n" } else { b"\n" };
        let mut text = lines.join(end);
        if ended {
            text.extend_from_slice(end);
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn fast_and_plain_agree(text in text()) {
        let parsed = read_text(&text);
        let _ = sniff(&text);
        prop_assert!(parsed.profile.samples.len() <= text.len());
    }

    /// Real text, damaged: bytes changed, or pieces taken out.
    #[test]
    fn fast_and_plain_agree_on_damaged_text(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 0usize..40), 1..8)
    ) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/perf-script/events.perf");
        let mut text = std::fs::read(path).expect("the fixture is there");
        text.truncate(6000);
        for (at, byte, cut) in changes {
            let at = at.index(text.len());
            text[at] = byte;
            text.drain(at..(at + cut).min(text.len()));
        }
        read_text(&text);
    }
}

#[test]
fn every_segment_length_gives_the_same() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/perf-script/no-stacks-srcline.perf");
    let mut text = std::fs::read(path).expect("the fixture is there");
    text.extend_from_slice(b"\n\r\n\r\na 1 1.000000: c: \r\n\t1 f (/x)\r\n\r\n\n\na 1 1.000000: c: \n\t1 f (/x)\n");
    let plain = read_plainly(&text);
    for segment in 1..300 {
        let cut = Cut { threads: 1, segment, block: 64 };
        let folded = fold_text(Text::Bytes(&text), cut, None).expect("lines are short");
        assert_same(&assemble(folded), &plain, &cut);
    }
}

#[test]
fn threads_and_progress_on_a_file() {
    let mut text = Vec::new();
    for sample in 0..20_000 {
        let line = format!("app {} {}.000000: {} c: \n", sample % 7, sample, sample % 1000);
        text.extend_from_slice(line.as_bytes());
        for depth in 0..sample % 20 {
            let line = format!("\t{:16x} f{}+0x{:x} (/bin/x)\n", depth * 7919, depth * (sample % 11), sample);
            text.extend_from_slice(line.as_bytes());
        }
        text.push(b'\n');
    }
    let plain = read_plainly(&text);
    let path = std::env::temp_dir().join(format!("burnmark-perf-script-{}", std::process::id()));
    std::fs::write(&path, &text).expect("there is room for temporary files");
    for threads in 1..5 {
        let file = std::fs::File::open(&path).expect("the file was just written");
        let progress = std::sync::atomic::AtomicU64::new(0);
        let cut = Cut { threads, segment: 100_000, block: 10_000 };
        let folded =
            fold_text(Text::File(&file, text.len() as u64), cut, Some(&progress)).expect("the file can be read");
        assert_same(&assemble(folded), &plain, &cut);
        assert_eq!(progress.into_inner(), text.len() as u64);
    }
    std::fs::remove_file(&path).expect("the file was just written");
}

#[test]
fn the_profile_is_numbered_as_samples_come() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/perf-script/events.perf");
    let parsed = read_text(std::fs::read(path).expect("the fixture is there"));
    let compacted = parsed.profile.compacted().expect("the same sums");
    assert_eq!(compacted.stacks, parsed.profile.stacks);
    assert_eq!(compacted.samples, parsed.profile.samples);
}
