//! The log on disk: what is written reads back, what breaks is told and mended.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::attach::TEMPORARY;
use super::*;
use crate::{Direction, Metric};

fn draft(bottleneck: &str) -> Draft {
    Draft {
        key: texts::key([("bottleneck", bottleneck)]),
        unix_ms: 1_700_000_000_000,
        bottleneck: bottleneck.to_owned(),
        change: "cached".to_owned(),
        ..Draft::default()
    }
}

fn with_file(bottleneck: &str, name: &str, bytes: &[u8]) -> Draft {
    let content = Content::Bytes(bytes.to_vec());
    let attachment = NewAttachment { role: "attached".to_owned(), name: name.to_owned(), content };
    Draft { attachments: vec![attachment], ..draft(bottleneck) }
}

/// Everything that an entry can hold.
fn full() -> Draft {
    let metric = |value: f64| vec![Metric::new("p95_ms", "ms", Direction::Lower, value)];
    let before: Vec<Vec<Metric>> = [500.0, 510.0, 490.0, 505.0].map(metric).to_vec();
    let after: Vec<Vec<Metric>> = [50.0, 51.0, 49.0, 50.5].map(metric).to_vec();
    let consumer = Consumer {
        function: "f".into(),
        module: Some("m".into()),
        self_share: 0.5,
        total_share: 1.0,
        category: Some("regex".into()),
        action: Some("compile it once".into()),
    };
    let mut evidence = Evidence {
        env: Env {
            cpu: Some("x".into()),
            kernel: Some("6".into()),
            runtime: Some("node 24".into()),
            changed: vec!["the CPU changed".into()],
        },
        metrics: metrics(&before, &after),
        profile: Some(ProfileComparison {
            value: "cpu/nanoseconds".into(),
            evidence: "runs".into(),
            compared: "share".into(),
            runs: [4, 4],
            samples: [10, 20],
            regressed: 1,
            improved: 1,
            unchanged: 0,
            inconclusive: 3,
        }),
        top_before: vec![consumer.clone()],
        top_after: vec![consumer],
        functions: vec![FunctionChange {
            function: "f".into(),
            module: None,
            before: 0.5,
            after: 0.1,
            delta: -0.4,
            ci: [-0.5, -0.3],
            q: Some(0.001),
            verdict: Verdict::Improved,
        }],
        targets: vec![Target {
            metric: "p95_ms".into(),
            unit: "ms".into(),
            baseline: Some(500.0),
            current: Some(50.0),
            ci: Some([45.0, 55.0]),
            change_pct: Some(-90.0),
            target: "≤ 200 ms".into(),
            status: Status::Pass,
            severity: Some("minor".into()),
            why: Some("one run each".into()),
            runs: 1,
        }],
        unexpected: vec![Finding { finding: "g grew".into(), evidence: Some("q 0.01".into()) }],
        priorities: vec![Priority { what: "f".into(), share: 0.1, category: None, action: None, priority: Rank::High }],
        opportunities: vec![Opportunity {
            opportunity: "less".into(),
            gain: Some("10 %".into()),
            effort: Some("a day".into()),
            priority: Some("high".into()),
            evidence: Known::Projected,
        }],
        heap: Some(HeapEvidence {
            snapshots: vec![HeapSize { snapshot: "1.heapsnapshot".into(), seconds: Some(0), size: 1_000 }],
            retained: vec![RetainedObject {
                object: "Promise".into(),
                count: 3,
                size: -5,
                cause: "pending promises".into(),
                tier: "probable".into(),
            }],
        }),
        notes: vec!["no times".into()],
        ..Evidence::default()
    };
    conclude(&mut evidence);
    let hash = "a".repeat(40);
    Draft {
        git: Some(GitFacts {
            base: Some(hash.clone()),
            head: Some(hash),
            branch: Some("main".into()),
            dirty: Some(true),
        }),
        category: Some("regex".into()),
        evidence,
        inputs: vec![InputFile { role: "before".into(), name: "old.pb.gz".into(), sha256: Some(texts::sha256(b"x")) }],
        ..with_file("everything", "flame.svg", b"<svg/>")
    }
}

fn schema() -> jsonschema::Validator {
    let schema = include_str!("../../schema/entry-1.json");
    let schema: serde_json::Value = serde_json::from_str(schema).expect("the schema is JSON");
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is a schema");
    jsonschema::validator_for(&schema).expect("the schema is a schema")
}

#[track_caller]
fn assert_valid(path: &Path) {
    let value = serde_json::from_slice(&fs::read(path).expect("there")).expect("JSON");
    let schema = schema();
    let errors: Vec<String> =
        schema.iter_errors(&value).map(|error| format!("{error} at {}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:?} in {value:#}");
}

#[test]
fn what_is_written_reads_back_and_follows_the_schema() {
    let folder = tempfile::tempdir().expect("a folder");
    for draft in [draft("a"), full()] {
        let added = add(folder.path(), &draft).expect("added");
        assert_valid(&added.stored.path);
        let read = read(folder.path()).expect("read");
        assert!(read.damaged.is_empty());
        assert!(read.entries.contains(&added.stored));
        assert_eq!(added.stored.entry.evidence, draft.evidence);
    }
    assert_eq!(verify(folder.path()).expect("looked").problems, []);
    let metric = &read(folder.path()).expect("read").entries[1].entry.evidence.metrics[0];
    assert_eq!((metric.before, metric.after, metric.verdict), (Some(502.5), Some(50.25), Verdict::Improved));
    assert_eq!((metric.n, metric.improvement_pct), ([4, 4], Some(90.0)));
}

#[test]
fn the_schema_refuses_other_things() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = add(folder.path(), &full()).expect("added").stored.path;
    let value: serde_json::Value = serde_json::from_slice(&fs::read(path).expect("there")).expect("JSON");
    let schema = schema();
    for (pointer, wrong) in [
        ("/id", serde_json::json!("x")),
        ("/verdict", "better".into()),
        ("/metrics/0/before", "500".into()),
        ("/attachments/0/path", "attachments/../../etc/passwd".into()),
        ("/git/head", "HEAD".into()),
        ("/seal", "".into()),
        ("/profile/runs", serde_json::json!([1])),
        ("/targets/0/status", "ok".into()),
    ] {
        let mut value = value.clone();
        *value.pointer_mut(pointer).expect(pointer) = wrong;
        assert!(!schema.is_valid(&value), "{pointer}");
    }
}

#[test]
fn the_same_is_not_added_twice_and_numbers_follow_the_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = add(folder.path(), &draft("a")).expect("added");
    let again = add(folder.path(), &Draft { unix_ms: 1_800_000_000_000, ..draft("a") }).expect("added");
    assert!(!first.existed && again.existed);
    assert_eq!(first.stored, again.stored);
    // A clock that went back changes no order.
    let second = add(folder.path(), &Draft { unix_ms: 1_000, ..draft("b") }).expect("added").stored.entry;
    assert!(second.id > first.stored.entry.id);
    assert_eq!(second.time, "1970-01-01T00:00:01Z");
    let read = read(folder.path()).expect("read");
    let numbers: Vec<(usize, &str)> =
        rows(&read.entries).iter().map(|row| (row.number, row.entry.bottleneck.as_str())).collect();
    assert_eq!(numbers, [(1, "a"), (2, "b")]);
}

#[test]
fn a_correction_takes_the_place_of_what_it_corrects() {
    let folder = tempfile::tempdir().expect("a folder");
    let id = |draft: &Draft| add(folder.path(), draft).expect("added").stored.entry.id;
    let (a, b) = (id(&draft("a")), id(&draft("b")));
    let corrected = id(&Draft { supersedes: Some(a), ..draft("a, corrected") });
    let twice = id(&Draft { supersedes: Some(corrected), ..draft("a, corrected twice") });
    let read = read(folder.path()).expect("read");
    let rows = rows(&read.entries);
    let shown: Vec<_> = rows.iter().map(|row| (row.number, row.entry.id, row.replaces.clone())).collect();
    assert_eq!(shown, [(1, twice, vec![a, corrected]), (2, b, vec![])]);
    for (wanted, found) in
        [("1", twice), ("#2", b), ("last", twice), (&a.to_string(), a), (&b.to_string().to_lowercase(), b)]
    {
        assert_eq!(find(&read.entries, wanted).expect(wanted).entry.id, found, "{wanted}");
    }
    for wanted in ["0", "3", "x", "99999", ""] {
        assert!(find(&read.entries, wanted).is_err(), "{wanted}");
    }
    assert!(matches!(find(&read.entries, &a.to_string()[..3]), Err(Error::Ambiguous { .. })));
    assert_eq!(verify(folder.path()).expect("looked").problems, []);
    let unknown = Draft { supersedes: Some(Ulid::after(None, 1)), ..draft("c") };
    assert!(matches!(add(folder.path(), &unknown), Err(Error::NoSuchEntry { .. })));
}

#[test]
fn two_corrections_of_one_entry_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let id = |draft: &Draft| add(folder.path(), draft).expect("added").stored.entry.id;
    let a = id(&draft("a"));
    id(&Draft { supersedes: Some(a), ..draft("b") });
    id(&Draft { supersedes: Some(a), ..draft("c") });
    assert_eq!(rows(&read(folder.path()).expect("read").entries).len(), 2);
    let problems = verify(folder.path()).expect("looked").problems;
    assert!(problems.len() == 1 && problems[0].what.contains("as well"), "{problems:?}");
}

/// The only problem, mended, with nothing left.
#[track_caller]
fn mends(folder: &Path, what: &str) {
    let found = verify(folder).expect("looked").problems;
    assert!(found.len() == 1 && found[0].mendable && found[0].what.contains(what), "{found:?}");
    let repaired = repair(folder).expect("repaired");
    assert_eq!((repaired.problems, repaired.mended.len()), (vec![], 1));
}

#[test]
fn what_an_interrupted_add_leaves_is_told_and_mended() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let added = add(folder, &with_file("a", "x.svg", b"kept")).expect("added").stored;
    // Killed between the attachment and its entry.
    let lost = add(folder, &with_file("b", "y.svg", b"lost")).expect("added").stored;
    fs::remove_file(&lost.path).expect("there");
    mends(folder, "interrupted");
    assert!(!folder.join(&lost.entry.attachments[0].path).exists());
    assert_eq!(fs::read_dir(folder.join("attachments")).expect("there").count(), 1, "no empty folder is left");
    // Killed while a file was written.
    for part in ["", "iterations", "attachments"] {
        fs::write(folder.join(part).join(format!("{TEMPORARY}x.tmp")), "half").expect("room");
        mends(folder, "beginning of a file");
    }
    assert!(folder.join(&added.entry.attachments[0].path).exists());
    assert!(add(folder, &with_file("b", "y.svg", b"lost")).is_ok_and(|added| !added.existed), "it can be added again");
}

#[test]
fn renamed_entries_get_their_names_back_and_lost_attachments_their_copies() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let added = add(folder, &with_file("a", "x.svg", b"same")).expect("added").stored;
    add(folder, &with_file("b", "y.svg", b"same")).expect("added");
    let renamed = added.path.with_file_name("old.json");
    fs::rename(&added.path, &renamed).expect("there");
    mends(folder, "name");
    assert!(added.path.exists());
    let file = folder.join(&added.entry.attachments[0].path);
    fs::remove_file(&file).expect("there");
    mends(folder, "missing");
    fs::write(&file, "changed").expect("room");
    mends(folder, "was changed");
    assert_eq!(fs::read(&file).expect("there"), b"same");
}

#[test]
fn what_cannot_be_mended_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let added = add(folder, &with_file("a", "x.svg", b"x")).expect("added").stored;
    let text = fs::read_to_string(&added.path).expect("there");
    let problem = |needle: &str| {
        let problems = repair(folder).expect("looked").problems;
        assert!(problems.iter().any(|problem| problem.what.contains(needle)), "{needle}: {problems:?}");
    };
    fs::write(&added.path, text.replace("cached", "cached well")).expect("room");
    problem("changed after it was written");
    fs::write(&added.path, text.replace('\n', "\r\n")).expect("room");
    assert_eq!(verify(folder).expect("looked").problems, [], "line ends are git's business");
    fs::write(&added.path, &text[..100]).expect("room");
    problem("no entry can be read");
    assert!(folder.join(&added.entry.attachments[0].path).exists(), "nobody knows what the damaged entry names");
    fs::write(&added.path, format!("<<<<<<< HEAD\n{text}")).expect("room");
    problem("conflict marks");
    fs::write(&added.path, text.replace("burnmark.entry/1", "burnmark.entry/2")).expect("room");
    problem("newer burnmark");
    fs::write(&added.path, &text).expect("room");
    fs::remove_file(folder.join(&added.entry.attachments[0].path)).expect("there");
    problem("git checkout");
    fs::write(&added.path, text.replace(&added.entry.attachments[0].path, "../../secret")).expect("room");
    problem("refused");
}

#[test]
fn what_does_not_belong_to_a_log_is_told_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, elsewhere) = (folder.path().join("log"), folder.path().join("elsewhere"));
    add(&log, &with_file("a", "x.svg", b"x")).expect("added");
    for (path, what) in [
        ("attachments/notes.txt", "no file of the log"),
        ("iterations/01-old.json.orig", "entries end in .json"),
        ("iterations/deep.json", "nested deeper"),
    ] {
        let nested = format!(r#"{{"schema": "{SCHEMA}", "x": {}{}}}"#, "[".repeat(200), "]".repeat(200));
        fs::write(log.join(path), nested).expect("room");
        let problems = repair(&log).expect("looked").problems;
        assert!(problems.len() == 1 && problems[0].what.contains(what), "{path}: {problems:?}");
        assert_eq!(problems[0].path, path);
        fs::remove_file(log.join(path)).expect("it is still there");
    }
    for hidden in ["attachments/.DS_Store", "iterations/.gitkeep"] {
        fs::write(log.join(hidden), "").expect("room");
    }
    assert_eq!(verify(&log).expect("looked").problems, []);
    // Folders that are links: nothing behind them is removed.
    for part in ["iterations", "attachments"] {
        fs::rename(log.join(part), &elsewhere).expect("there");
        std::os::unix::fs::symlink(&elsewhere, log.join(part)).expect("a link");
        fs::create_dir_all(elsewhere.join("0123456789abcdef")).expect("room");
        fs::write(elsewhere.join("0123456789abcdef/mine.txt"), "mine").expect("room");
        let problems = repair(&log).expect("looked").problems;
        assert!(problems.iter().any(|it| it.path == part && it.what.contains("is a link")), "{part}: {problems:?}");
        assert!(elsewhere.join("0123456789abcdef/mine.txt").exists(), "{part}");
        fs::remove_file(log.join(part)).expect("a link");
        fs::remove_dir_all(elsewhere.join("0123456789abcdef")).expect("there");
        fs::rename(&elsewhere, log.join(part)).expect("there");
    }
    assert_eq!(verify(&log).expect("looked").problems, []);
}

#[test]
fn errors_name_what_was_to_be_written() {
    // A folder that nobody can write into, root neither.
    let error = super::attach::temporary_in(Path::new("/proc/self")).expect_err("no room").to_string();
    assert!(error.starts_with("cannot write into /proc/self: ") && !error.contains(TEMPORARY), "{error}");
    assert!(find(&[], "").is_err_and(|error| error.to_string().contains("no entry \"\"")));
    let folder = tempfile::tempdir().expect("a folder");
    add(folder.path(), &draft("a")).expect("added");
    let read = read(folder.path()).expect("read");
    assert!(matches!(find(&read.entries, ""), Err(Error::NoSuchEntry { .. })), "the only one is not meant by nothing");
}

#[test]
fn unknown_keys_are_left_to_newer_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let added = add(folder.path(), &full()).expect("added").stored;
    let text = fs::read_to_string(&added.path).expect("there");
    fs::write(&added.path, text.replacen('{', "{\"invented\": [1],", 1)).expect("room");
    assert_eq!(read(folder.path()).expect("read").entries[0].entry, added.entry);
}

#[test]
fn a_log_that_is_not_there_has_no_entries() {
    let nowhere = PathBuf::from("/proc/nonexistent/log");
    assert!(read(&nowhere).expect("read").entries.is_empty());
    assert_eq!(verify(&nowhere).expect("looked"), Verified::default());
    assert_eq!(repair(&nowhere).expect("looked"), Verified::default());
    assert!(matches!(add(&nowhere, &draft("a")), Err(Error::Io { .. })));
}

#[test]
fn figures_of_one_side_are_not_zero() {
    let one = |value| vec![vec![Metric::new("x", "", Direction::Lower, value)]];
    let changes = metrics(&one(5.0), &[]);
    assert_eq!((changes[0].before, changes[0].after, changes[0].improvement_pct), (Some(5.0), None, None));
    assert_eq!(metrics(&one(0.0), &one(5.0))[0].improvement_pct, None);
    assert_eq!(metrics(&one(5.0), &one(4.0))[0].verdict, Verdict::NotTested, "one run each tests nothing");
    assert!(metrics(&one(f64::NAN), &[]).is_empty());
}

#[test]
fn a_verdict_does_not_hide_a_figure_that_went_the_other_way() {
    let one = |value| vec![vec![Metric::new("x", "", Direction::Lower, value)]];
    let tested = MetricChange { verdict: Verdict::Improved, ..metrics(&one(2.0), &one(1.0)).remove(0) };
    for (after, verdict) in [(1.0, Verdict::Improved), (3.0, Verdict::Inconclusive)] {
        let mut evidence = Evidence {
            metrics: vec![metrics(&one(2.0), &one(after)).remove(0), tested.clone()],
            ..Evidence::default()
        };
        conclude(&mut evidence);
        assert_eq!(evidence.verdict, verdict);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever the texts are, the entry reads back, its file has a plain name in its folder, and the schema holds.
    #[test]
    fn any_text_is_kept(bottleneck in "\\PC{1,60}|.{1,60}", change in ".{1,60}", name in ".{0,60}") {
        let folder = tempfile::tempdir().expect("a folder");
        let draft = Draft { change: change.clone(), ..with_file(&bottleneck, &name, b"x") };
        let added = add(folder.path(), &draft).expect("added").stored;
        let entries = folder.path().join("iterations");
        prop_assert_eq!(added.path.parent(), Some(entries.as_path()));
        let kept = read(folder.path()).expect("read").entries;
        prop_assert_eq!(kept.as_slice(), std::slice::from_ref(&added));
        prop_assert_eq!(verify(folder.path()).expect("looked").problems, vec![]);
        prop_assert_eq!(&added.entry.change, &change);
        assert_valid(&added.path);
    }

    /// Damage of any kind in an entry's file makes a problem, never a panic.
    #[test]
    fn any_damage_is_told(at in 0_usize..2_000, byte in any::<u8>()) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = add(folder.path(), &full()).expect("added").stored.path;
        let mut bytes = fs::read(&path).expect("there");
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        fs::write(&path, bytes).expect("room");
        _ = read(folder.path()).expect("read");
        prop_assert!(!verify(folder.path()).expect("looked").problems.is_empty());
    }
}
