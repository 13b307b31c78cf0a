use std::collections::BTreeMap;
use std::io::Cursor;

use burnmark_model::{ModuleKind, Process, Profile, Sample, Thread, ValueType};
use proptest::prelude::*;

use super::*;
use crate::WriteOptions;

fn parse_in(text: &[u8], block: usize, threads: usize) -> Result<Parsed, Error> {
    read_blocks(LineBlocks::new(Box::new(Cursor::new(text.to_vec())), Format::Folded, block), threads, 8 << 30)
}

#[track_caller]
fn parse(text: &str) -> Parsed {
    parse_in(text.as_bytes(), BLOCK, 1).expect("folded text")
}

fn written(profile: &Profile) -> String {
    let mut out = Vec::new();
    write(profile, &WriteOptions::default(), &mut out).expect("writing to memory");
    String::from_utf8(out).expect("text is written as UTF-8")
}

/// Stacks as names joined by `;`, with the values of each sample.
fn stacks(profile: &Profile) -> Vec<(String, Vec<i64>)> {
    let samples = profile.samples.iter().enumerate().map(|(index, sample)| {
        let mut names: Vec<_> = profile.frames_leaf_first(sample.stack).map(|id| profile.frame_name(id)).collect();
        names.reverse();
        (names.join(";"), (0..profile.samples.columns()).map(|column| profile.samples.values(column)[index]).collect())
    });
    samples.collect()
}

#[track_caller]
fn check(text: &str, expected: &[(&str, &[i64])]) -> Parsed {
    let parsed = parse(text);
    let expected: Vec<_> = expected.iter().map(|(stack, values)| ((*stack).to_owned(), values.to_vec())).collect();
    assert_eq!(stacks(&parsed.profile), expected);
    parsed
}

fn warnings(parsed: &Parsed) -> Vec<String> {
    parsed.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn equal_stacks_are_one_sample() {
    let parsed = check("a;b 1\na;c 2\na;b 3\na 4\n", &[("a;b", &[4]), ("a;c", &[2]), ("a", &[4])]);
    assert_eq!(parsed.profile.value_types, [ValueType::samples()]);
    assert_eq!(parsed.warnings, []);
    assert_eq!(parsed.profile.stacks.len(), 3);
}

#[test]
fn windows_line_ends_and_a_missing_last_newline_change_nothing() {
    check("a;b 1\r\n\r\na;c 2", &[("a;b", &[1]), ("a;c", &[2])]);
}

#[test]
fn fractional_counts_are_exact() {
    let parsed = check("a 1.5\nb 2\na 0.25\n", &[("a", &[175]), ("b", &[200])]);
    assert_eq!(parsed.profile.value_types[0].denominator, 100);
    assert_eq!(written(&parsed.profile), "a 1.75\nb 2\n");
    check("a 1.0\nb 2.\n", &[("a", &[1]), ("b", &[2])]);
    let parsed = check("a 0.00000149\nb 1e-05\n", &[("a", &[1]), ("b", &[10])]);
    assert_eq!(parsed.profile.value_types[0].denominator, 1_000_000);
    assert_eq!(warnings(&parsed), ["a count has more than six decimals and was rounded (line 1)"]);
}

#[test]
fn two_counts_on_every_line_are_before_and_after() {
    let parsed = check(
        "a;b 1 2\na;c 0 5\na;b 1 2\na;b 10 0.5\n 3 4\na; 1 1\n",
        &[("a;b", &[120, 45]), ("a;c", &[0, 50]), ("", &[30, 40]), ("a", &[10, 10])],
    );
    let names: Vec<_> = parsed.profile.value_types.iter().map(|value| value.name.as_str()).collect();
    assert_eq!((names, parsed.profile.default_value), (vec!["before", "after"], 1));
    let text = written(&parsed.profile);
    assert_eq!(text, " 3 4\na 1 1\na;b 12 4.5\na;c 0 5\n");
    assert_eq!(written(&parse(&text).profile), text);
}

#[test]
fn a_number_before_the_count_is_a_name_unless_all_lines_have_one() {
    let parsed = check("worker 12 3\nworker 12;run 5\n", &[("worker 12", &[3]), ("worker 12;run", &[5])]);
    assert_eq!(parsed.warnings, []);
    let parsed = check("a 1 2\nb 3 4\nc 5\n", &[("a 1", &[2]), ("b 3", &[4]), ("c", &[5])]);
    let warning = "2 of 3 lines end in two numbers: if this is a differential file, correct the others; the first \
                   number was read as part of the name";
    assert_eq!(warnings(&parsed), [warning]);
}

#[test]
fn a_written_profile_never_looks_differential() {
    let mut profile = Profile::new(vec![ValueType::samples()]);
    for name in ["worker 12", "worker 13"] {
        let name = profile.strings.intern(name);
        let process = profile.processes.intern(Process { pid: None, name: None });
        let thread = profile.threads.intern(Thread { process, tid: None, name: Some(name) });
        profile.samples.push(Sample { thread: Some(thread), ..Sample::default() }, &[2]).expect("small values");
    }
    assert_eq!(written(&profile), "worker_12 2\nworker_13 2\n");
}

#[test]
fn lines_without_a_count_are_left_out_with_a_warning() {
    let parsed = check("a;b 1\ninvalid line\na;b\n5\na;b 2\na +5\n", &[("a;b", &[3])]);
    assert_eq!(warnings(&parsed), ["a line does not end in a count and was left out (4 times, first at line 2)"]);
}

#[test]
fn comments_are_no_stacks_and_austins_become_metadata() {
    let text = "# austin: 3.7.0\n# interval: 100\n#\n# just words 5\n#private;m 2\n";
    let parsed = check(text, &[("#private;m", &[2])]);
    let other: Vec<_> = parsed.profile.meta.other.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(other, ["austin=3.7.0", "interval=100"]);
    assert_eq!(parsed.warnings, []);
}

#[test]
fn odd_separators() {
    check(
        "a;b; 1\n;a 2\na;;b 3\n 4\n; 5\na;[unknown];b 6\na;b\t7\n",
        &[("a;b", &[8]), ("[unknown];a", &[2]), ("a;[unknown];b", &[9]), ("", &[9])],
    );
}

#[test]
fn negative_counts_are_kept_with_a_warning() {
    let parsed = check("a 5\nb -2\na -1.5\n", &[("a", &[35]), ("b", &[-20])]);
    assert_eq!(
        warnings(&parsed),
        ["a count is negative; it was kept, and lowers the sums it is part of (2 times, first at line 2)"]
    );
    assert_eq!(written(&parsed.profile), "a 3.5\nb -2\n");
}

#[test]
fn counts_that_do_not_fit_are_an_error() {
    let error = |text: &str| parse_in(text.as_bytes(), BLOCK, 1).map(|_| ()).map_err(|error| error.to_string());
    check("a 9223372036854775807\n", &[("a", &[i64::MAX])]);
    assert_eq!(
        error("b 1\na 9223372036854775808\n"),
        Err("not valid folded at line 2: the count is beyond 63 bits: correct the line or take it out".into())
    );
    let sum =
        "the values of samples/count add up to more than 2^63: split the input, or correct the value that is wrong";
    let sum = |line: u64| Err(format!("{sum} (the largest is at line {line})"));
    assert_eq!(error("a 1\na 9223372036854775807\n"), sum(2));
    assert_eq!(error("a 9223372036854775807\nb 1\n"), sum(1));
    assert_eq!(error("a 1\n\nb 0.5\na 9223372036854775807\n"), sum(4));
    assert_eq!(error("# x\n\n"), Err("not valid folded: no line has a stack and a count".into()));
}

#[test]
fn the_first_bad_line_is_reported_on_any_number_of_threads() {
    let mut text = "main;work;more 1\n".repeat(3000);
    text.insert_str(17 * 2000, "x 99999999999999999999\n");
    text.push_str("y 99999999999999999999\n");
    for threads in [1, 2, 5] {
        let error = parse_in(text.as_bytes(), 100, threads).expect_err("a number that is too large");
        assert!(error.to_string().contains("line 2001:"), "{error}");
    }
}

#[test]
fn invalid_utf8_is_kept_lossy_with_a_warning() {
    let parsed = parse_in(b"a;b\xff 1\na;c 2\na;b\xfe 3\n", BLOCK, 1).expect("folded text");
    assert_eq!(stacks(&parsed.profile), [("a;b\u{fffd}".into(), vec![4]), ("a;c".into(), vec![2])]);
    let warning = "a line is no valid UTF-8; what is wrong in it was replaced by \u{fffd} (2 times, first at line 1)";
    assert_eq!(warnings(&parsed), [warning]);
}

#[test]
fn suffixes_say_what_kind_a_frame_is_and_are_written_back() {
    let text = "java;Main.run_[0];Main.fast_[1];Main.hot_[j];Main.tiny_[i];Main.tinier_[i];read_[k] 3\n";
    let parsed = check(text, &[("java;Main.run;Main.fast;Main.hot;Main.tiny;Main.tinier;read", &[3])]);
    let profile = &parsed.profile;
    let frames: Vec<_> = profile
        .frames_leaf_first(profile.samples.get(0).stack)
        .map(|frame| {
            let frame = profile.frames.get(frame);
            let module = frame.module.map(|id| profile.modules.get(id));
            (module.map(|module| (profile.strings.get(module.path), module.kind)), frame.inline_depth)
        })
        .collect();
    let jit = Some(("[jit]", ModuleKind::Jit));
    assert_eq!(
        frames,
        [
            (Some(("[kernel]", ModuleKind::Kernel)), 0),
            (jit, 2),
            (jit, 1),
            (jit, 0),
            (Some(("[c1]", ModuleKind::Jit)), 0),
            (Some(("[interpreted]", ModuleKind::Jit)), 0),
            (None, 0),
        ]
    );
    assert_eq!(written(profile), text);
    // A root can be inlined into nothing, and a name can be nothing but a suffix.
    for odd in ["a_[i] 1\n", "a_[i];_[k] 1\n", "_[j];b_[i] 1\n"] {
        let text = written(&parse(odd).profile);
        assert_eq!(written(&parse(&text).profile), text);
    }
}

#[test]
fn a_stack_may_be_100_000_frames_deep() {
    let deep: Vec<String> = (0..100_000).map(|depth| format!("f{}", depth % 7)).collect();
    let text = format!("{} 1\n{};leaf 2\n", deep.join(";"), deep.join(";"));
    let parsed = parse(&text);
    assert_eq!(parsed.profile.stacks.len(), 100_001);
    assert_eq!(written(&parsed.profile), text);
}

#[test]
fn a_line_may_not_be_longer_than_64_mib() {
    struct Endless;
    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            buffer.fill(b'x');
            Ok(buffer.len())
        }
    }
    let source = std::io::Read::chain(&b"a 1\nb 2\n"[..], Endless);
    let error =
        read_blocks(LineBlocks::new(Box::new(source), Format::Folded, BLOCK), 1, 8 << 30).expect_err("an endless line");
    assert_eq!(
        error.to_string(),
        "line 3 is longer than 67108864 bytes: this is no folded text, or it is damaged there"
    );
}

#[test]
fn what_is_held_is_bounded() {
    let deep = format!("{} 1\n", "a;".repeat(MAX_DEPTH) + "a");
    let error = parse_in(deep.as_bytes(), BLOCK, 1).expect_err("too deep");
    assert_eq!(error.to_string(), "not valid folded at line 1: the stack has more than 1048576 frames");
    let wide: String = (0..20_000).map(|n| format!("main;f{n} 1\n")).collect();
    let read = |limit| {
        let blocks = LineBlocks::new(Box::new(Cursor::new(wide.clone().into_bytes())), Format::Folded, BLOCK);
        read_blocks(blocks, 1, limit)
    };
    assert!(read(64 << 20).is_ok());
    let error = read(4 << 20).expect_err("half a megabyte for 20,000 names");
    assert!(error.to_string().contains("--max-decompressed"), "{error}");
}

#[test]
fn siblings_stay_together_where_sorted_text_splits_them() {
    let text = "foo;y 1\nfoo.bar 2\nfoo 3\n";
    assert_eq!(written(&parse(text).profile), "foo 3\nfoo;y 1\nfoo.bar 2\n");
}

#[test]
fn the_thread_is_the_root_and_names_are_made_safe() {
    let mut profile = Profile::new(vec![ValueType::samples(), ValueType::new("cpu", "nanoseconds")]);
    let comm = profile.strings.intern("my;comm");
    let process = profile.processes.intern(Process { pid: Some(1), name: Some(comm) });
    let named = profile.strings.intern("io\n1");
    let thread = profile.threads.intern(Thread { process, tid: Some(2), name: Some(named) });
    let unnamed = profile.threads.intern(Thread { process, tid: Some(3), name: None });
    let stack = ["Ljava/lang/String;.equals", "", "a\u{1b}[31m\u{feff}b"].iter().fold(None, |parent, name| {
        let function = burnmark_model::Function::named(profile.strings.intern(name));
        let function = profile.functions.intern(function);
        let frame = profile.frames.intern(burnmark_model::Frame::of(function));
        Some(profile.push_frame(parent, frame))
    });
    let mut push = |thread, stack, values: [i64; 2]| {
        let sample = Sample { stack, thread, ..Sample::default() };
        profile.samples.push(sample, &values).expect("small values");
    };
    push(Some(thread), stack, [1, 10]);
    push(Some(thread), None, [2, 20]);
    push(Some(unnamed), None, [4, 40]);
    push(None, None, [8, 80]);
    push(None, stack, [0, 5]);
    let text = |value| {
        let mut out = Vec::new();
        let options = WriteOptions { value: Some(value), ..WriteOptions::default() };
        write(&profile, &options, &mut out).map(|()| String::from_utf8_lossy(&out).into_owned())
    };
    let frames = "Ljava/lang/String:.equals;[unknown];a\\u{1b}[31m\\u{feff}b";
    assert_eq!(
        text(0).expect("the first value"),
        format!(" 8\nio\\n1 2\nio\\n1;{frames} 1\nmy:comm 4\n"),
        "a stack that only another value type knows is left out"
    );
    assert_eq!(
        text(1).expect("the second value"),
        format!(" 80\n{frames} 5\nio\\n1 20\nio\\n1;{frames} 10\nmy:comm 40\n")
    );
    assert!(matches!(text(2), Err(Error::NoSuchValue { index: 2, count: 2 })));
}

#[test]
fn what_is_not_folded_is_told_why() {
    #[track_caller]
    fn no(text: &[u8], reason: &str) {
        assert_eq!(sniff(text), Err(reason.to_owned()));
    }
    no(b"a;b 1\0", "it is binary (a zero byte at 5)");
    no(b"\n# x\n", "it has no lines but blank ones and comments");
    no(b"{\"nodes\": []}", "line 1 is no stack with a count: {\\\"nodes\\\": []}");
    no(b"Chapter 1\nIt was a dark night.\n", "line 2 is no stack with a count: It was a dark night.");
    no("é".repeat(50).as_bytes(), &format!("line 1 is no stack with a count: {}", "é".repeat(20)));
    for text in ["main 5\n", "a;b 5", "a;b 1\na;c 2\ninvalid\n", "# x\na;b 1 2\n", &"frame;".repeat(11_000)] {
        assert_eq!(sniff(text.as_bytes()), Ok(()), "{}", &text[..text.len().min(40)]);
    }
    let cut_off = "main;work;more 12\n".repeat(4000);
    assert_eq!(sniff(&cut_off.as_bytes()[..64 << 10]), Ok(()));
}

/// An independent reading of well-formed text: nothing but a map from stack to sum.
fn simply(text: &str) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for line in text.lines() {
        let (stack, count) = line.rsplit_once(' ').expect("a count");
        *sums.entry(stack.to_owned()).or_default() += count.parse::<i64>().expect("a whole count");
    }
    sums
}

/// Names that folded text can hold as they are.
fn name() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        3 => "[a-c]{1,2}",
        1 => "[a-zA-Z0-9_:<>()., *&~\\[\\]/#é\u{4e16}]{1,12}",
    ];
    name.prop_filter("no kind suffix", |name| !name.ends_with(']') && name.trim() == name && name != "#")
}

fn text() -> impl Strategy<Value = String> {
    let line = (prop::collection::vec(name(), 1..8), 0..1000i64)
        .prop_map(|(names, count)| format!("{} {count}\n", names.join(";")));
    prop::collection::vec(line, 1..60)
        .prop_map(|lines| lines.concat() + "plain;end 1\n")
        .prop_filter("no comment", |text| !text.starts_with("# ") && !text.contains("\n# "))
}

proptest! {
    #[test]
    fn reading_agrees_with_a_simple_reader(text in text()) {
        let parsed = parse(&text);
        let read: BTreeMap<_, _> = stacks(&parsed.profile).into_iter().map(|(stack, values)| (stack, values[0])).collect();
        prop_assert_eq!(&read, &simply(&text));
        prop_assert_eq!(&simply(&written(&parsed.profile)), &read);
    }

    #[test]
    fn any_number_of_threads_and_any_blocks_read_the_same(text in text(), block in 1usize..200, threads in 2usize..5) {
        let parsed = parse(&text);
        let parallel = parse_in(text.as_bytes(), block, threads).expect("folded text");
        prop_assert_eq!(&parallel, &parsed);
    }

    #[test]
    fn any_bytes_read_the_same_after_writing(text in any::<Vec<u8>>(), glue in "[a; 0-9\n#.\r\t-]{0,60}", two: bool) {
        let mut text = text;
        text.extend_from_slice(glue.as_bytes());
        text.extend_from_slice(if two { b"\nplain;end 1 2\n" } else { b"\nplain;end 1\n" });
        let Ok(parsed) = parse_in(&text, BLOCK, 1) else { return Ok(()) };
        let once = written(&parsed.profile);
        let again = parse_in(once.as_bytes(), 7, 3).expect("what was written");
        prop_assert_eq!(&written(&again.profile), &once);
        prop_assert_eq!(again.profile.samples.len(), once.lines().count());
        for column in 0..parsed.profile.samples.columns() {
            let real = |profile: &Profile| {
                let denominator = i128::from(profile.value_types[column].denominator);
                i128::from(profile.samples.total(column)) * (1_000_000 / denominator)
            };
            prop_assert_eq!(real(&parsed.profile), real(&again.profile));
        }
    }
}
