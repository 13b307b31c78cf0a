//! What makes the text hard to read, one trap at a time.

use super::*;

/// A sample with one frame.
fn framed(frame: &str) -> String {
    format!("app 12 [003] 1.000001: 250 cycles: \n\t{frame}\n\n")
}

/// The one frame of a sample.
fn frame_of(frame: &str) -> String {
    let samples = clean(&framed(frame));
    let stack = samples[0].strip_prefix("app -/12 1000001000 ").and_then(|rest| rest.strip_suffix(" 1,250"));
    stack.unwrap_or_else(|| panic!("{samples:?}")).to_owned()
}

#[test]
fn names_of_threads_may_hold_blanks_numbers_slashes_and_colons() {
    for name in [
        "thread 12 3",
        "a/b:1 (x) [2]",
        "kworker/u4:2-ev",
        "12/13 [001]",
        "4711",
        ":-1",
        "x: y",
        "cycles:",
        "Web Content",
        "(sd-pam)",
        "C2 CompilerThre",
        "#note",
        "deadbeef",
        "ffffffff8100000",
        "täsk",
        "[jit] 1",
        "1.5: x",
    ] {
        for (ids, expected) in [("  812", "-/812"), ("  810/812  ", "810/812")] {
            for cpu in ["", "[002] "] {
                let text = format!("{name} {ids} {cpu}  77.123456:     100 cpu-clock:u: \n\t  4f0 f (/bin/x)\n\n");
                assert_eq!(clean(&text), [format!("{name} {expected} 77123456000 f@/bin/x 1,100")], "{text}");
            }
        }
    }
}

#[test]
fn right_aligned_names_of_samples_without_stacks() {
    for name in ["sleep", "thread 12 3", "cafe", "a/b:1 (x) [2]"] {
        let text = format!("{name:>16}  4711  77.123456:     100 cpu-clock:u:      55f48db921f7 f+0x36 (/bin/x)\n");
        assert_eq!(clean(&text.repeat(2)), vec![format!("{name} -/4711 77123456000 f@/bin/x 1,100"); 2]);
        let text = format!("{name:>16}      55f48db921f7 f+0x36\n");
        assert_eq!(clean(&text.repeat(2)), vec![format!("{name} -/- - f 1"); 2]);
    }
}

#[test]
fn paths_of_modules_may_hold_blanks_and_parentheses() {
    for module in [
        "/usr/lib/libc.so.6",
        "/opt/my app/lib (new)/x.so",
        "/opt/my app/lib (new)/x.so (deleted)",
        "/opt/((a) b)/x",
        "/tmp/unbalanced) x/y",
        "/tmp/unbalanced( x/y",
        "/memfd:pulse (deleted)",
        "/SYSV00000000 (deleted)",
        "[kernel.kallsyms]",
        "[vdso]",
        "[JIT] tid 4711",
        "//anon",
        "/tmp/perf-4711.map",
        "linux-vdso.so.1",
        "anon_inode:[perf_event]",
    ] {
        for symbol in ["f", "ns::f(int, (lambda)) const", "a b", "operator()", "f<(x)1>"] {
            for offset in ["", "+0x1f"] {
                let frame = format!("    7f00001 {symbol}{offset} ({module})");
                assert_eq!(frame_of(&frame), format!("{symbol}@{module}"), "{frame}");
            }
        }
        assert_eq!(frame_of(&format!("    7f00001 [unknown] ({module})")), format!("?@{module}"));
    }
}

#[test]
fn symbols_may_hold_blanks_parentheses_and_what_looks_like_an_offset() {
    for symbol in [
        "std::vector<int, std::allocator<int> >::push_back(int const&)",
        "<alloc::vec::Vec<T> as core::ops::Drop>::drop",
        "(anonymous namespace)::run(char**)",
        "operator new(unsigned long)",
        "LazyCompile:*parse /srv/my (old) app/x.js:10:20",
        "Java_a_B_c(II)V",
        "foo@plt",
        "a+0x12b",
        "+0x10",
        "{closure#0}",
        "f ;; g",
        "ünicode",
        "\"quoted\"",
        "</script>",
        "cycles: f",
        "a\tb",
    ] {
        assert_eq!(frame_of(&format!("    7f00001 {symbol}+0x10 (/x)")), format!("{symbol}@/x"), "{symbol}");
    }
    // Without an offset of its own, an end that looks like one is taken for it.
    assert_eq!(frame_of("    7f00001 a+0x12b (/x)"), "a@/x");
    assert_eq!(frame_of("    7f00001 [unknown] ([unknown])"), "?");
    assert_eq!(frame_of("    7f00001 f ([unknown])"), "f");
    assert_eq!(frame_of("    7f00001 (/x)"), "?@/x");
    assert_eq!(frame_of("    7f00001 (anonymous)"), "(anonymous)");
    assert_eq!(frame_of("    7f00001"), "?");
    assert_eq!(frame_of("ffffffff81000000 f+0x1 ([kernel.kallsyms]+0x20)"), "f@[kernel.kallsyms]");
    assert_eq!(frame_of("0x7f00001 f (/x)"), "f@/x");
    assert_eq!(frame_of("func (/x)"), "func@/x");
}

#[test]
fn kernel_and_jit_modules_are_known_as_such() {
    let parsed = read_text(
        "a 1 1.000000: c: \n\t1 f ([kernel.kallsyms])\n\t2 g (/tmp/perf-12.map)\n\t3 h ([JIT] tid 12)\n\t4 i (/bin/a)\n\n",
    );
    let kinds: Vec<_> = parsed.profile.modules.iter().map(|(_, module)| module.kind).collect();
    use burnmark_model::ModuleKind::{Jit, Kernel, User};
    assert_eq!(kinds, [User, Jit, Jit, Kernel]);
}

#[test]
fn every_event_is_a_value_type() {
    let text = "\
a 1 1.000000:        3   context-switches: \n\t1 f (/x)\n\n\
a 1 2.000000: sched:sched_switch: prev_comm=a b prev_pid=1 prev_state=S ==> next_comm=swapper/0 next_pid=0\n\t1 f (/x)\n\n\
a 1 3.000000:    10 cpu-clock:u: \n\t2 g (/x)\n\n\
a 1 4.000000:    7 cpu/event=0x3c,umask=0x0/pp: \n\t2 g (/x)\n\n\
a 1 5.000000:    2 my event: \n\t2 g (/x)\n\n\
a 1 6.000000: syscalls:sys_enter_read: fd: 0x3, buf: 0x7ffd, count: 100\n\n";
    let parsed = read_text(text);
    assert_eq!(warnings(&parsed), [""; 0]);
    assert_eq!(
        value_types(&parsed.profile),
        [
            "context-switches/count 1",
            "context-switches/events 3",
            "sched:sched_switch/count 1",
            "cpu-clock:u/count 1",
            "cpu-clock:u/nanoseconds 10",
            "cpu/event=0x3c,umask=0x0/pp/count 1",
            "cpu/event=0x3c,umask=0x0/pp/events 7",
            "my event/count 1",
            "my event/events 2",
            "syscalls:sys_enter_read/count 1",
        ]
    );
    assert_eq!(parsed.profile.default_value, 1, "the first event's periods");
    assert_eq!(
        parsed.profile.meta.event.as_deref(),
        Some(
            "context-switches, sched:sched_switch, cpu-clock:u, cpu/event=0x3c,umask=0x0/pp, my event, syscalls:sys_enter_read"
        )
    );
    assert_eq!(samples(&parsed.profile)[2], "a -/1 3000000000 g@/x 0,0,0,1,10,0,0,0,0,0");
}

#[test]
fn more_events_than_memory_should_hold_columns_for_are_counted_together() {
    let mut text = String::new();
    for event in 0..1030 {
        text += &format!("a 1 1.000000: event{event}: \n\t1 f (/x)\n\n");
    }
    let parsed = read_text(&text);
    let types = value_types(&parsed.profile);
    assert_eq!(types.len(), 1024);
    assert_eq!(types[1023], "other events/count 7");
    assert_eq!(parsed.profile.samples.len(), 1030);
    assert_eq!(
        warnings(&parsed),
        ["there are too many events: samples of the last ones were taken together as `other events` (7 times)"]
    );
}

#[test]
fn inlined_frames_have_the_depth_and_module_of_where_they_are() {
    let text = "\
a 1 1.000000: c: \n\
\t            116f mix+0x1f (inlined)\n\
\t            116f round_of (inlined)\n\
\t            116f leaf+0x1f (/tmp/inl)\n\
\t            104d main+0xd (/tmp/inl)\n\
\t           27304 start_impl+0x84 (inlined)\n\
\t            1080 _start+0x20 (/tmp/other)\n\
\t            1090 root (inlined)\n\n";
    // perf says that `start_impl` is inlined, but it is at another address than the frame it would be in.
    let stack = "root;_start@/tmp/other;start_impl;main@/tmp/inl;leaf@/tmp/inl;round_of@/tmp/inl~1;mix@/tmp/inl~2";
    assert_eq!(clean(&text.repeat(2)), vec![format!("a -/1 1000000000 {stack} 1"); 2]);
}

#[test]
fn source_lines_belong_to_the_frame_above() {
    let text = "\
a 1 1.000000: c: \n\
\t            116f mix+0x1f\n  inl.c:6 (inlined)\n\
\t            116f leaf+0x1f (/tmp/inl)\n  my file.c:16 (discriminator 3)\n\
\t            104d main+0xd (/tmp/inl)\n  main+0xd\n\
\t            27249 start (/lib/c)\n  libc.so.6[27249]\n\
\t            27304 start_impl+0x84\n  libc-start.c:360 (inlined)\n\
\t            1080 _start+0x20 (/tmp/inl)\n\n";
    let stack = "_start@/tmp/inl;start_impl:libc-start.c:360;start@/lib/c;main@/tmp/inl;leaf@/tmp/inl:my file.c:16;\
        mix@/tmp/inl:inl.c:6~1";
    assert_eq!(clean(&text.repeat(2)), vec![format!("a -/1 1000000000 {stack} 1"); 2]);
    // Lines of one function are different frames of one function.
    let parsed = read_text("a 1 1.000000: c: \n\t1 f (/x)\n  a.c:1\n\na 1 1.000000: c: \n\t1 f (/x)\n  a.c:2\n\n");
    assert_eq!((parsed.profile.functions.len(), parsed.profile.frames.len()), (1, 2));
}

#[test]
fn frames_on_the_line_of_the_header() {
    let one = "a 12 1.000000: 5 c:      55f48db921f7 f+0x3 (/bin/x)\n  x.c:7\n";
    assert_eq!(clean(&one.repeat(2)), ["a -/12 1000000000 f@/bin/x:x.c:7 1,5"; 2]);
    let chain = "a 12 1.000000: 5 c:      55f48db921f7 f(int) add (/bin/x) <- 12 g (/bin/x (deleted)) <- ff h ([k])\n";
    assert_eq!(clean(chain), ["a -/12 1000000000 h@[k];g@/bin/x (deleted);f(int) add@/bin/x 1,5"]);
    let chain = "a 12 1.000000: 5 c:      55f48db921f7 f (/bin/x)      55f48db921f8 g (/x) ffffffff81000000 h ([k])\n";
    assert_eq!(clean(chain), ["a -/12 1000000000 h@[k];g@/x;f@/bin/x 1,5"]);
    // An address (`-F +addr`) is no frame: those follow.
    let address = "a 12 1.000000: 5 c:      55f48db921f7 data (/bin/x) \n\t1 f (/bin/x)\n\n";
    assert_eq!(clean(address), ["a -/12 1000000000 f@/bin/x 1,5"]);
    let hand_made = "a 12 1.000000: 5 c: 55f48 f (/bin/x)\n";
    assert_eq!(clean(hand_made), ["a -/12 1000000000 f@/bin/x 1,5"]);
    let traced = "a 12 1.000000: s:x: prev_comm=b prev_pid=1 ==> next_pid=2 ffffffff81000000 f ([k])\n";
    assert_eq!(clean(traced), ["a -/12 1000000000 f@[k] 1"]);
}

#[test]
fn tabs_as_simpleperf_prints_them() {
    let text = "com.example app\t811/812 [001] 4242.123456: 250000 cpu-cycles:u:\n\
        \t    7b01c23f44 art::Run(int) (/apex/com.android.art/lib64/libart.so)\n\
        \t    7b01c23f45 main (/data/app/base.apk!lib/x.so)\n\n";
    assert_eq!(
        clean(&text.repeat(2)),
        ["com.example app 811/812 4242123456000 main@/data/app/base.apk!lib/x.so;\
         art::Run(int)@/apex/com.android.art/lib64/libart.so 1,250000"; 2]
    );
}

#[test]
fn frames_may_be_indented_by_blanks() {
    let text = "a 12 1.000000: c: \n            1f f+0x3 (/bin/x)\n          55f48db921f7 main (/bin/x)\n \
        ffffffff81000000 root (/bin/x)\n\n";
    assert_eq!(clean(&text.repeat(2)), ["a -/12 1000000000 root@/bin/x;main@/bin/x;f@/bin/x 1"; 2]);
}

#[test]
fn line_ends_of_windows() {
    let unix = "# perf version : 6.1\na 1 1.000000:    10 c: \n\t1 f+0x1 (/x)\n  a.c:1\n\t2 g (/x)\n\n\
        b 2 2.000000:    10 c: \n\t2 g (/x)\n\n";
    let windows = unix.replace('\n', "\r\n");
    let parsed = read_text(&windows);
    assert_eq!(parsed, read_text(unix));
    assert_eq!(samples(&parsed.profile), ["a -/1 1000000000 g@/x;f@/x:a.c:1 1,10", "b -/2 2000000000 g@/x 1,10"]);
    assert_eq!(sniff(windows.as_bytes()), Ok(()));
}

#[test]
fn records_that_are_no_samples_are_passed_over_and_losses_are_counted() {
    let text = "\
swapper     0     0.000000: PERF_RECORD_MMAP -1/0: [0xffffffff81000000(0x1209988) @ 0]: x [kernel.kallsyms]_text\n\
a 1 1.000000: PERF_RECORD_COMM exec: a:1/1\n\
a 1 1.000000: PERF_RECORD_FORK(1:2):(1:1)\n\
a 1 1.000000:    10 c: \n\t1 f (/x)\n\n\
a 1 1.000001: PERF_RECORD_LOST lost 12\n\
a 1 1.000002: PERF_RECORD_LOST_SAMPLES lost 30\n\
a 1 1.000003: PERF_RECORD_SWITCH OUT preempt\n\
a     1 PERF_RECORD_EXIT(1:1):(1:1)\n\
a 1 2.000000:    10 c: \n\t1 f (/x)\n\n";
    let parsed = read_text(text);
    assert_eq!(warnings(&parsed), [""; 0]);
    assert_eq!(parsed.profile.samples.len(), 2);
    assert_eq!(parsed.profile.meta.lost, Some(42));
}

#[test]
fn odd_lines_are_counted_and_placed() {
    let text = "\
Warning: something\n\
a 1 1.000000:    10 c: \n\t1 f (/x)\n\n\
[ perf record: Woken up 1 times to write data ]\n\
a 1 2.000000:    10 c: \n\t1 f (/x)\n\tthis is no frame\n\t2 g (/x)\n\n\
  not.c:1\n";
    let parsed = read_text(text);
    assert_eq!(
        warnings(&parsed),
        ["lines that are no part of perf script's output were left out (4 times, first at line 1)"]
    );
    assert_eq!(samples(&parsed.profile), ["a -/1 1000000000 f@/x 1,10", "a -/1 2000000000 g@/x;f@/x 1,10"]);
}

#[test]
fn branch_stacks_and_registers_are_said_not_to_be_read() {
    let text = "\
a 1 1.000000:    10 c: \n\t1 f (/x)\n  0x4005/0x4010/P/-/-/3  0x4020/0x4005/M/-/-/1 \n\n\
a 1 2.000000:    10 c: \n\t1 f (/x)\n f+0x5/g+0x10/P/-/-/0 \n\n\
a 1 3.000000:    10 c: \n\t1 f (/x)\n ABI:2    AX:0x1    BX:0x2 \n\n";
    let parsed = read_text(text);
    let expected = "branch stacks, registers and other fields are not read (3 times, first at line 3)";
    assert_eq!(warnings(&parsed), [expected]);
    assert_eq!(parsed.profile.samples.len(), 3);
    assert!(samples(&parsed.profile).iter().all(|sample| sample.ends_with(" f@/x 1,10")));
}

#[test]
fn text_that_is_not_utf8_is_mended_and_counted() {
    let mut text = b"a\xff 1 1.000000: c\xfe: \n\t1 f\xfd (/x)\n\t2 g (/\xfc)\n  a\xfb.c:1\n\n".repeat(2);
    text.extend_from_slice(b"b 1 2.000000: c: \n\t1 g (/x)\n\n");
    let parsed = read_text(&text);
    let expected = "names that are not UTF-8 are shown with replacement characters (8 times, first at line 1)";
    assert_eq!(warnings(&parsed), [expected]);
    assert_eq!(samples(&parsed.profile)[1], "a\u{fffd} -/1 1000000000 g@/\u{fffd}:a\u{fffd}.c:1;f\u{fffd}@/x 1,0");
}

#[test]
fn periods_out_of_range_count_as_nothing() {
    let text = "\
a 1 1.000000:    -5 c: \n\t1 f (/x)\n\n\
a 1 2.000000: 18446744073709551615 c: \n\t1 f (/x)\n\n\
a 1 3.000000: 9223372036854775807 c: \n\t1 f (/x)\n\n\
a 1 4.000000: 1 c: \n\t1 f (/x)\n\n\
a 1 5.000000: 99999999999999999999999999999999 c: \n\t1 f (/x)\n\n";
    let parsed = read_text(text);
    let expected = "periods that are negative, or make a sum beyond 2^63, were taken as 0 (4 times, first at line 1)";
    assert_eq!(warnings(&parsed), [expected]);
    assert_eq!(value_types(&parsed.profile), ["c/count 5", "c/events 9223372036854775807"]);
}

#[test]
fn times_out_of_range_are_left_out() {
    let text = "a 1 99999999999.000000: c: \n\t1 f (/x)\n\na 1 9223372036.854775807: c: \n\t1 f (/x)\n\n\
        a 1 9223372036.854775808: c: \n\t1 f (/x)\n\n";
    let parsed = read_text(text);
    assert_eq!(warnings(&parsed), ["times beyond 2^63 nanoseconds were left out (2 times, first at line 1)"]);
    assert_eq!(samples(&parsed.profile)[..2], ["a -/1 - f@/x 1", "a -/1 9223372036854775807 f@/x 1"]);
}

#[test]
fn a_cut_start_or_end_costs_no_more_than_itself() {
    let whole =
        "a 1 1.000000:    10 c: \n\t1 f (/x)\n\t2 g (/x)\n\na 1 2.000000:    10 c: \n\t1 f (/x)\n\t2 g (/usr/x)\n\n";
    let start = read_text(&whole[whole.find("\t2").expect("it is there")..]);
    assert_eq!(samples(&start.profile), ["a -/1 2000000000 g@/usr/x;f@/x 1,10"]);
    assert_eq!(
        warnings(&start),
        ["frames without the header of their sample were left out: the text may have been cut at its start (line 1)"]
    );
    // Cut in the last frame.
    for cut in 5..13 {
        let end = read_text(&whole[..whole.len() - cut]);
        assert_eq!(samples(&end.profile)[1], "a -/1 2000000000 f@/x 1,10", "{cut}");
        assert!(warnings(&end)[0].starts_with("the text ends in the middle of a frame"), "{cut}: {:?}", end.warnings);
    }
    // Only the last line end, or that and the empty line, are missing.
    for cut in 0..3 {
        assert_eq!(read_text(&whole[..whole.len() - cut]), read_text(whole));
    }
    // Anywhere: no panic, and the first sample remains.
    for cut in 0..whole.len() {
        let parsed = read_text(&whole[..cut]);
        assert!(cut < 50 || samples(&parsed.profile)[0].starts_with("a -/1 1000000000 g@/x;f@/x 1,10"));
    }
}

#[test]
fn a_stack_may_be_100_000_deep() {
    let mut text = String::new();
    for sample in 0..3 {
        text += &format!("a 1 {sample}.000000: c: \n");
        for depth in 0..100_000 {
            text += &format!("\t{:16x} f{}+0x1 (/x)\n", depth, depth % (1000 + sample));
        }
        text += "\n";
    }
    let parsed = read_text(&text);
    assert_eq!(warnings(&parsed), [""; 0]);
    let depth = |index| parsed.profile.frames_leaf_first(parsed.profile.samples.get(index).stack).count();
    assert_eq!([0, 1, 2].map(depth), [100_000; 3]);
}

#[test]
fn a_line_is_bounded() {
    let long = [b"a 1 1.000000: c: \n\t1 ".as_slice(), &vec![b'x'; 64 << 20], b" (/x)\n\n"].concat();
    let reads = [Input::Bytes(long.clone()), Input::Stream(Box::new(std::io::Cursor::new(long)))];
    for input in reads {
        let Err(error) = read(input, &ReadOptions::default()) else { panic!("the line is too long") };
        assert!(error.to_string().starts_with("line 2 is longer than 67108864 bytes"), "{error}");
    }
}

#[test]
fn what_perf_says_of_the_recording_is_kept_without_names_of_places_and_people() {
    let text = "\
# ========\n# captured on    : Sat Nov 21 02:29:57 2026\n# hostname : secret\n# os release : 6.18.44\n\
# perf version : 6.1.187\n# arch : x86_64\n# nrcpus online : 2\n# nrcpus avail : 2\n# cpudesc : AMD EPYC\n\
# total memory : 24684092 kB\n# cmdline : /usr/bin/perf record -g -- /home/me/bin/app --password x \n\
# event : name = cycles, , id = { 1 }, { sample_period, sample_freq } = 999, disabled = 1, freq = 1\n\
# ========\n#\na 1 1.000000: c: \n\t1 f (/x)\n\n";
    let parsed = read_text(text);
    assert_eq!(warnings(&parsed), [""; 0]);
    let meta = &parsed.profile.meta;
    assert_eq!(meta.kernel.as_deref(), Some("6.18.44"));
    assert_eq!(meta.cpu.as_deref(), Some("AMD EPYC"));
    assert_eq!(meta.producer.as_deref(), Some("perf 6.1.187"));
    assert_eq!(meta.command.as_deref(), Some("app"));
    assert_eq!(meta.frequency_hz, Some(999));
    assert_eq!(meta.other["arch"], "x86_64");
    let all = format!("{meta:?}");
    assert!(!all.contains("secret") && !all.contains("/home") && !all.contains("password"));
}

#[test]
fn processes_are_named_after_their_main_thread() {
    let text = "\
worker 10/11 1.000000: c: \n\t1 f (/x)\n\n\
cargo  10/10 2.000000: c: \n\t1 f (/x)\n\n\
rustc  10/10 3.000000: c: \n\t1 f (/x)\n\n\
worker 10/12 4.000000: c: \n\t1 f (/x)\n\n\
other  20/21 5.000000: c: \n\t1 f (/x)\n\n";
    let profile = read_text(text).profile;
    let processes: Vec<_> = profile
        .processes
        .iter()
        .map(|(_, process)| (process.pid, process.name.map(|name| profile.strings.get(name).to_owned())))
        .collect();
    assert_eq!(processes, [(Some(10), Some("rustc".to_owned())), (Some(20), Some("other".to_owned()))]);
    assert_eq!(profile.threads.len(), 5);
}

#[test]
fn other_texts_are_told_apart() {
    for text in [
        "main;parse 3\nmain;parse;read 2\n",
        "{\"nodes\":[{\"id\":1,\"callFrame\":{\"functionName\":\"(root)\"}}]}",
        "Hello, this is some text.\nIt has lines: three of them.\n\nAnd 12 numbers\n",
        "PROFILE\0\0",
        "\n\n\n",
        "  10 blanks\n  11 blanks\n",
        "2026-11-21 10:00:00.123456 INFO started\n2026-11-21 10:00:00.223456 INFO done\n",
    ] {
        let reason = sniff(text.as_bytes()).expect_err(text);
        assert!(!reason.is_empty());
    }
    assert_eq!(sniff(b"# ========\n# captured on    : x\n# perf version : 6.1\n# event : long"), Ok(()));
}
