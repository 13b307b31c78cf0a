//! `burnmark log`: the log of optimizations.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{burnmark_in, files, folder};

/// `perf script` text: 1,000 samples over a second, `hot` of every ten in `hot`, the others in `steady`; the program lies
/// in somebody's home.
pub(crate) fn perf_script(hot: usize) -> String {
    let mut text = String::new();
    for index in 0..1_000 {
        let leaf = if index * 3 % 10 < hot { "hot" } else { "steady" };
        let seconds = 100.0 + index as f64 / 1_000.0;
        text += &format!(
            "app 7/7 {seconds:.6}: 1000000 cpu-clock: \n\t401000 {leaf}+0x1 (/home/ann/app)\n\t402000 main /home/ann/main.js:7+0x2 (/home/ann/app)\n\n"
        );
    }
    text
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("there is room");
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Both sides of a change that took half of `hot` away.
fn profiles(folder: &Path) {
    write(folder, "old.perf", &perf_script(6));
    write(folder, "new.perf", &perf_script(3));
}

const ADD: [&str; 10] = [
    "log",
    "add",
    "--bottleneck",
    "hot in the loop",
    "--change",
    "halved it",
    "--before",
    "old.perf",
    "--after",
    "new.perf",
];

/// Adds an entry with a figure, and gives its id.
#[track_caller]
fn add(folder: &Path, bottleneck: &str, more: &[&str]) -> String {
    let arguments = ["log", "add", "--bottleneck", bottleneck, "--change", "c", "--metric", "p95_latency_ms=500,50"];
    let run = burnmark_in(folder, &[&arguments[..], more].concat()).ok();
    run.stdout.trim().to_owned()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.join(".burnmark/iterations");
    files(&entries).iter().map(|name| entries.join(name)).collect()
}

#[test]
fn an_entry_is_kept_with_its_evidence_and_once() {
    let folder = folder();
    let folder = folder.path();
    profiles(folder);
    let first = burnmark_in(folder, &ADD).ok();
    let id = first.stdout.trim();
    assert_eq!(id.len(), 26);
    assert!(first.stderr.contains("3 attachments") && first.stderr.contains("improved"), "{}", first.stderr);
    let again = burnmark_in(folder, &ADD).ok();
    assert_eq!((again.stdout.trim(), entries(folder).len()), (id, 1));
    assert!(again.stderr.contains("already"), "{}", again.stderr);
    assert_eq!(files(&folder.join(".burnmark")), [".gitattributes", "attachments", "iterations"]);

    let json = burnmark_in(folder, &["log", "show", id, "--json"]).ok().json();
    assert_eq!(json["schema"], "burnmark.log/1");
    let entry = &json["entries"][0];
    assert_eq!(
        (&entry["number"], &entry["bottleneck"], &entry["verdict"]),
        (&1.into(), &"hot in the loop".into(), &"improved".into())
    );
    let metric = &entry["metrics"][0];
    assert_eq!(
        (&metric["name"], &metric["before"], &metric["after"]),
        (&"share of hot".into(), &60.0.into(), &30.0.into())
    );
    assert_eq!((&metric["improvement_pct"], &metric["evidence"]), (&50.0.into(), &"measured".into()));
    let roles: Vec<&str> = entry["attachments"]
        .as_array()
        .expect("attachments")
        .iter()
        .map(|a| a["role"].as_str().expect("a role"))
        .collect();
    assert_eq!(roles, ["flame graph before", "flame graph after", "flame graph of the difference"]);
    for attachment in entry["attachments"].as_array().expect("attachments") {
        let svg = read(&folder.join(".burnmark"), attachment["path"].as_str().expect("a path"));
        assert!(svg.contains("<svg"));
    }
    // Costs make the row where operations were counted, unless words name a function; its share stands below.
    let words = ["log", "add", "--bottleneck", "main.js is slow", "--change", "c", "--per-op", "1,1"];
    let run = burnmark_in(folder, &[&words[..], &ADD[6..]].concat()).ok();
    let other = burnmark_in(folder, &["log", "show", run.stdout.trim(), "--json"]).ok().json();
    let names: Vec<&str> = other["entries"][0]["metrics"]
        .as_array()
        .expect("figures")
        .iter()
        .map(|m| m["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names[0], "cpu-clock_ms_per_op", "{other:#}");
    let found = other["entries"][0]["unexpected"].to_string();
    assert!(found.contains("`steady` takes more than before") && !found.contains("it is about"), "{found}");
    std::fs::remove_file(&entries(folder)[1]).expect("there");
    burnmark_in(folder, &["log", "verify", "--repair"]).ok();
    let list = burnmark_in(folder, &["log", "list"]).ok().stdout;
    assert!(list.contains("share of hot    60 %   30 %") && list.lines().count() == 2, "{list}");
    let whole = burnmark_in(folder, &["log", "list", "--json"]).ok().json();
    assert_eq!(whole["entries"][0], *entry);
    assert!(burnmark_in(folder, &["log", "list", "--csv"]).ok().stdout.starts_with("#,id,day,bottleneck"));
    assert!(burnmark_in(folder, &["log", "list", "--md"]).ok().stdout.starts_with("| # | Bottleneck | Change |"));
}

#[test]
fn homes_and_arguments_stay_out() {
    let folder = folder();
    let folder = folder.path();
    profiles(folder);
    burnmark_in(folder, &[&ADD[..], &["--attach-profiles"]].concat()).ok();
    // A name may be a path itself.
    write(folder, "old.folded", "main;/home/ann/secret/app.js:f 70\nmain;c 30\n");
    write(folder, "new.folded", "main;/home/ann/secret/app.js:f 20\nmain;c 30\n");
    let named = ["log", "add", "--bottleneck", "f", "--change", "c", "--before", "old.folded", "--after", "new.folded"];
    burnmark_in(folder, &named).ok();
    let everything = |folder: &Path| {
        let mut all = String::new();
        for top in ["iterations", "attachments"] {
            for path in walk(&folder.join(".burnmark").join(top)) {
                let bytes = std::fs::read(&path).expect("there");
                let profile = path.to_string_lossy().ends_with(".pb.gz");
                all += &if profile {
                    burnmark_in(folder, &["info", path.to_str().expect("a plain path"), "--json"]).ok().stdout
                        + &burnmark_in(
                            folder,
                            &["convert", path.to_str().expect("a plain path"), "-o", "-", "--as", "csv"],
                        )
                        .ok()
                        .stdout
                } else {
                    String::from_utf8_lossy(&bytes).into_owned()
                };
            }
        }
        all
    };
    let kept = everything(folder);
    assert!(kept.contains("~/main.js:7") && kept.contains("~/secret/app.js") && !kept.contains("/home/ann"));
    let other = crate::support::folder();
    let other = other.path();
    profiles(other);
    burnmark_in(other, &[&ADD[..], &["--attach-profiles", "--keep-args"]].concat()).ok();
    assert!(everything(other).contains("/home/ann/main.js:7"));
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in files(folder) {
        let path = folder.join(name);
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn the_log_is_rendered_between_marks() {
    let folder = folder();
    let folder = folder.path();
    add(folder, "first", &[]);
    burnmark_in(folder, &["log", "render", "docs/LOG.md"]).fails(1, &["docs"]);
    std::fs::create_dir(folder.join("docs")).expect("room");
    write(
        folder,
        "docs/LOG.md",
        "# Ours\n\nwords above\n\n<!-- burnmark:log -->\nold\n<!-- /burnmark:log -->\n\nwords below\n",
    );
    burnmark_in(folder, &["log", "render", "docs/LOG.md", "--check"]).fails(3, &["burnmark log render docs/LOG.md"]);
    assert!(read(folder, "docs/LOG.md").contains("\nold\n"), "--check changes nothing");
    burnmark_in(folder, &["log", "render", "docs/LOG.md"]).ok();
    let text = read(folder, "docs/LOG.md");
    assert!(text.starts_with("# Ours\n\nwords above\n\n<!-- burnmark:log -->\n"), "{text}");
    assert!(text.ends_with("<!-- /burnmark:log -->\n\nwords below\n") && !text.contains("old"), "{text}");
    assert!(text.contains("| 1 | first | c | p95_latency_ms: 500 ms | 50 ms | 90.0 % |"), "{text}");
    burnmark_in(folder, &["log", "render", "docs/LOG.md", "--check"]).ok();
    assert!(burnmark_in(folder, &["log", "render", "docs/LOG.md"]).ok().stderr.contains("up to date"));

    write(folder, "shot.png", "pixels");
    add(folder, "second", &["--attach", "shot.png"]);
    burnmark_in(folder, &["log", "render", "docs/LOG.md", "--check"]).fails(3, &["not as"]);
    burnmark_in(folder, &["log", "render", "docs/LOG.md"]).ok();
    let text = read(folder, "docs/LOG.md");
    let link = text.split("(<").nth(1).and_then(|rest| rest.split(">)").next()).expect("a link");
    assert_eq!(std::fs::read(folder.join("docs").join(link)).expect("it leads there"), b"pixels");

    burnmark_in(folder, &["log", "render", "NEW.md"]).ok();
    assert!(read(folder, "NEW.md").starts_with("# Optimization log\n\n<!-- burnmark:log -->\n"));
    write(folder, "half.md", "<!-- burnmark:log -->\n");
    burnmark_in(folder, &["log", "render", "half.md"]).fails(1, &["half.md", "line 1", "<!-- /burnmark:log -->"]);
    let printed = burnmark_in(folder, &["log", "render"]).ok().stdout;
    assert!(printed.starts_with("## Iteration Log\n"), "{printed}");
}

#[test]
fn corrections_take_the_place_of_what_they_correct() {
    let folder = folder();
    let folder = folder.path();
    let first = add(folder, "first", &[]);
    add(folder, "second", &[]);
    add(folder, "first, corrected", &["--supersedes", &first[..20]]);
    let json = burnmark_in(folder, &["log", "list", "--json"]).ok().json();
    let rows: Vec<&str> = json["entries"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["bottleneck"].as_str().expect("words"))
        .collect();
    assert_eq!(rows, ["first, corrected", "second"]);
    assert_eq!(json["entries"][0]["replaces"][0], first.as_str());
    assert!(
        burnmark_in(folder, &["log", "show", &first]).ok().stdout.contains("bottleneck: first\n"),
        "it is still there"
    );
    let wanted = ["--metric", "x=1,2", "--supersedes", "99"];
    burnmark_in(folder, &[&["log", "add", "--bottleneck", "b", "--change", "c"][..], &wanted].concat())
        .fails(1, &["no entry \"99\"", "burnmark log list"]);
}

#[test]
fn verify_tells_and_repair_mends() {
    let folder = folder();
    let folder = folder.path();
    write(folder, "a.txt", "evidence");
    add(folder, "first", &["--attach", "a.txt"]);
    let whole = burnmark_in(folder, &["log", "verify"]).ok().stdout;
    assert_eq!(whole, "1 entries, 1 attachments, 0 problems\n");
    // Killed between an attachment and its entry.
    std::fs::create_dir(folder.join(".burnmark/attachments/0123456789abcdef")).expect("room");
    write(folder, ".burnmark/attachments/0123456789abcdef/x.svg", "lost");
    let run = burnmark_in(folder, &["log", "verify"]);
    assert_eq!(run.code, 3);
    assert!(run.stdout.contains("interrupted") && run.stdout.contains("--repair"), "{}", run.stdout);
    let json = burnmark_in(folder, &["log", "verify", "--json"]);
    assert_eq!((json.code, json.json()["problems"][0]["mendable"].clone()), (3, true.into()));
    let run = burnmark_in(folder, &["log", "verify", "--repair"]).ok();
    assert!(run.stdout.contains("removed attachments/0123456789abcdef/x.svg"), "{}", run.stdout);
    let entry = &entries(folder)[0];
    let text = std::fs::read_to_string(entry).expect("there");
    // Not to be read any more: its row must not vanish without a word.
    std::fs::write(entry, &text[..50]).expect("room");
    burnmark_in(folder, &["log", "render", "LOG.md"]).fails(1, &["is no log entry", "burnmark log verify"]);
    // What can't be mended is not promised, and attachments are not removed because their entries are lost.
    let run = burnmark_in(folder, &["log", "verify", "--repair"]);
    assert_eq!(run.code, 3);
    assert!(
        run.stdout.contains("--repair can't mend what is left") && run.stdout.contains("version control"),
        "{}",
        run.stdout
    );
    std::fs::remove_dir_all(folder.join(".burnmark/iterations")).expect("there");
    for repair in [&[][..], &["--repair"]] {
        let run = burnmark_in(folder, &[&["log", "verify"][..], repair].concat());
        assert_eq!(run.code, 3);
        assert!(run.stdout.contains("iterations: it is missing") && !run.stdout.contains("mends"), "{}", run.stdout);
    }
    assert_eq!(std::fs::read_dir(folder.join(".burnmark/attachments")).expect("there").count(), 1);
}

#[test]
fn heap_snapshots_are_evidence_too() {
    let folder = folder();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/heap/");
    let snapshots = ["node22-before", "node22"].map(|name| format!("{fixtures}{name}.heapsnapshot.zst"));
    let arguments = ["log", "add", "--bottleneck", "heap grows", "--change", "none yet", "--heap"];
    burnmark_in(folder.path(), &[&arguments[..], &snapshots.each_ref().map(String::as_str)].concat()).ok();
    let shown = burnmark_in(folder.path(), &["log", "show"]).ok().stdout;
    assert!(shown.contains("| Snapshot | Time | Heap Size | Delta |") && shown.contains("KiB"), "{shown}");
}

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let folder = folder();
    let folder = folder.path();
    burnmark_in(folder, &["log", "list"]).fails(1, &["no log here", "burnmark log add"]);
    burnmark_in(folder, &["log", "add", "--bottleneck", "b", "--change", "c"]).fails(1, &["no evidence", "--before"]);
    burnmark_in(folder, &["log", "add", "--bottleneck", "b"]).fails(2, &["--change"]);
    burnmark_in(folder, &["log", "add", "--bottleneck", " ", "--change", "c", "--metric", "x=1,2"])
        .fails(1, &["words"]);
    let some = ["log", "add", "--bottleneck", "b", "--change", "c", "--metric", "x=1,2"];
    burnmark_in(folder, &[&some[..], &["--attach", "none.png"]].concat()).fails(1, &["none.png"]);
    burnmark_in(folder, &[&some[..], &["--base", "main"]].concat()).fails(1, &["full hash"]);
    burnmark_in(folder, &[&some[..], &["--before", "a.perf"]].concat()).fails(2, &["--after"]);
    burnmark_in(folder, &["log", "add", "--bottleneck", "b", "--change", "c", "--metric", "x=1"])
        .fails(2, &["two numbers"]);
    burnmark_in(folder, &[&some[..], &["--opportunity", " ;;;"]].concat()).fails(1, &["--opportunity", "WHAT"]);
    assert!(!folder.join(".burnmark").exists(), "nothing is left of what failed");
    std::fs::create_dir_all(folder.join(".burnmark")).expect("room");
    std::fs::create_dir(folder.join("elsewhere")).expect("room");
    std::os::unix::fs::symlink(folder.join("elsewhere"), folder.join(".burnmark/attachments")).expect("a link");
    write(folder, "a.txt", "x");
    burnmark_in(folder, &[&some[..], &["--attach", "a.txt"]].concat()).fails(1, &["refused", "link"]);
    assert!(files(&folder.join("elsewhere")).is_empty());
}

/// Git, with nothing of the machine's or the user's configuration.
#[track_caller]
fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=n",
            "-c",
            "user.email=n@example.com",
            "-c",
            "init.defaultBranch=main",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .expect("git starts");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn repository(folder: &Path) {
    git(folder, &["init", "-q"]);
    write(folder, "code.c", "int main;\n");
    git(folder, &["add", "."]);
    git(folder, &["commit", "-qm", "start"]);
}

#[test]
fn two_branches_that_both_add_merge_without_conflict() {
    let folder = folder();
    let folder = folder.path();
    repository(folder);
    write(folder, "same.txt", "the same evidence on both");
    let commit = |message: &str| {
        git(folder, &["add", ".burnmark"]);
        git(folder, &["commit", "-qm", message]);
    };
    add(folder, "before both", &[]);
    commit("an entry");
    git(folder, &["checkout", "-qb", "other"]);
    add(folder, "on the other", &["--attach", "same.txt"]);
    add(folder, "on both", &[]);
    commit("other entries");
    git(folder, &["checkout", "-q", "main"]);
    add(folder, "on main", &["--attach", "same.txt"]);
    add(folder, "on both", &[]);
    commit("entries of main");
    git(folder, &["merge", "-q", "--no-edit", "other"]);
    let json = burnmark_in(folder, &["log", "list", "--json"]).ok().json();
    let mut rows: Vec<&str> = json["entries"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["bottleneck"].as_str().expect("words"))
        .collect();
    assert_eq!(rows[0], "before both");
    rows.sort_unstable();
    assert_eq!(rows, ["before both", "on both", "on main", "on the other"], "what both added is one row");
    burnmark_in(folder, &["log", "verify"]).ok();
    assert_eq!(git(folder, &["status", "--porcelain", "--untracked-files=no"]), "");
}

#[test]
fn git_facts_are_those_of_the_checkout() {
    let folder = folder();
    let top = folder.path().join("repository");
    std::fs::create_dir(&top).expect("room");
    repository(&top);
    let head = git(&top, &["rev-parse", "HEAD"]);
    let facts = |folder: &Path| {
        add(folder, "b", &[]);
        burnmark_in(folder, &["log", "show", "last", "--json"]).ok().json()["entries"][0]["git"].clone()
    };
    // From a folder below: the log is at the top.
    std::fs::create_dir(top.join("src")).expect("room");
    let found = facts(&top.join("src"));
    assert!(top.join(".burnmark").is_dir() && !top.join("src/.burnmark").exists());
    assert_eq!(
        (&found["head"], &found["branch"], &found["dirty"]),
        (&head.as_str().into(), &"main".into(), &false.into())
    );

    // Changes, and a commit's name.
    write(&top, "code.c", "int main, changed;\n");
    let id = add(&top, "with changes", &["--base", "main"]);
    let found = burnmark_in(&top, &["log", "show", &id, "--json"]).ok().json()["entries"][0]["git"].clone();
    assert_eq!((&found["dirty"], &found["base"]), (&true.into(), &head.as_str().into()));
    git(&top, &["checkout", "-q", "code.c"]);

    // References in one file, a worktree, whose .git is a file.
    git(&top, &["pack-refs", "--all"]);
    git(&top, &["worktree", "add", "-q", "-b", "side", "../side"]);
    let side = folder.path().join("side");
    let found = facts(&side);
    assert!(side.join(".git").is_file() && side.join(".burnmark").is_dir());
    assert_eq!((&found["head"], &found["branch"]), (&head.as_str().into(), &"side".into()));

    // As CI checks out: one commit, detached.
    let url = format!("file://{}", top.display());
    git(folder.path(), &["clone", "-q", "--depth", "1", &url, "ci"]);
    let ci = folder.path().join("ci");
    git(&ci, &["checkout", "-q", "--detach"]);
    let found = facts(&ci);
    assert_eq!((&found["head"], found.get("branch")), (&head.as_str().into(), None));

    // A bare repository has no files that could differ.
    git(folder.path(), &["clone", "-q", "--bare", &url, "bare.git"]);
    let bare = folder.path().join("bare.git");
    let found = facts(&bare);
    assert_eq!((&found["head"], found.get("dirty")), (&head.as_str().into(), None));
}

#[test]
fn without_git_nothing_is_said_of_commits() {
    let folder = folder();
    let run = Command::new(crate::support::program())
        .args(["log", "add", "--bottleneck", "b", "--change", "c", "--metric", "x=2,1"])
        .current_dir(folder.path())
        .env("PATH", "/nonexistent")
        .output()
        .expect("burnmark starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let json = burnmark_in(folder.path(), &["log", "show", "--json"]).ok().json();
    assert_eq!(json["entries"][0].get("git"), None);
    // In a repository, but without the program: what git's files say.
    repository(folder.path());
    let head = git(folder.path(), &["rev-parse", "HEAD"]);
    let run = Command::new(crate::support::program())
        .args(["log", "add", "--bottleneck", "b2", "--change", "c", "--metric", "x=2,1"])
        .current_dir(folder.path())
        .env("PATH", "/nonexistent")
        .output()
        .expect("burnmark starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let json = burnmark_in(folder.path(), &["log", "show", "--json"]).ok().json();
    let found = &json["entries"][0]["git"];
    assert_eq!((&found["head"], found.get("dirty")), (&head.as_str().into(), None));
}

#[test]
fn results_of_load_tests_make_the_row() {
    let folder = folder();
    let folder = folder.path();
    // As hyperfine --export-json writes it.
    let results = |mean: f64| {
        let times = [mean * 0.99, mean, mean * 1.01].map(|time| time.to_string()).join(", ");
        format!(
            r#"{{"results": [{{"command": "./app", "mean": {mean}, "stddev": 0.01, "median": {mean}, "user": 0.1, "system": 0.1, "min": {mean}, "max": {mean}, "times": [{times}]}}]}}"#
        )
    };
    for run in 0..4 {
        write(folder, &format!("old{run}.json"), &results(1.5 + f64::from(run) / 100.0));
        write(folder, &format!("new{run}.json"), &results(0.75 + f64::from(run) / 100.0));
    }
    let words = ["log", "add", "--bottleneck", "start", "--change", "less of it"];
    let one = [&words[..], &["--metrics", "old0.json,new0.json"]].concat();
    let id = burnmark_in(folder, &one).ok().stdout;
    let shown = burnmark_in(folder, &["log", "show", id.trim(), "--json"]).ok().json();
    let metric = &shown["entries"][0]["metrics"][0];
    assert_eq!(
        (&metric["before"], &metric["after"], &metric["verdict"]),
        (&1500.0.into(), &750.0.into(), &"not_tested".into())
    );
    assert_eq!(shown["entries"][0]["inputs"][1]["role"], "metrics after");
    let pairs: Vec<String> = (0..4).map(|run| format!("old{run}.json,new{run}.json")).collect();
    let several: Vec<&str> = pairs.iter().flat_map(|pair| ["--metrics", pair]).collect();
    let row = ["--row", "mean_time_ms"];
    let id = burnmark_in(folder, &[&words[..], &several, &row].concat()).ok().stdout;
    let shown = burnmark_in(folder, &["log", "show", id.trim(), "--json"]).ok().json();
    let metric = &shown["entries"][0]["metrics"][0];
    assert_eq!((&metric["verdict"], &metric["n"]), (&"improved".into(), &serde_json::json!([4, 4])));
    assert_eq!(shown["entries"][0]["verdict"], "improved");
    burnmark_in(folder, &[&one[..], &["--row", "p42"]].concat()).fails(1, &["p42", "mean_time_ms"]);
    burnmark_in(folder, &[&words[..], &["--metrics", "old0.json"]].concat()).fails(2, &["before.json,after.json"]);
    burnmark_in(folder, &[&words[..], &["--metrics", "old0.json,none.json"]].concat()).fails(1, &["none.json"]);
}

#[test]
fn a_folder_that_is_no_log_is_not_an_empty_one() {
    let folder = folder();
    let folder = folder.path();
    add(folder, "a", &[]);
    burnmark_in(folder, &["log", "render", "LOG.md"]).ok();
    let before = read(folder, "LOG.md");
    std::fs::create_dir(folder.join("else")).expect("there is room");
    for command in [&["verify"][..], &["list"], &["render", "LOG.md"]] {
        let run = burnmark_in(folder, &[&["log"], command, &["--log", "else"]].concat());
        assert!(run.code == 1 && run.stderr.contains("there is no log at else"), "{command:?}: {}", run.stderr);
    }
    assert_eq!(read(folder, "LOG.md"), before);
}

/// A function with few samples: the interval of its share reaches below 0, its improvement no further than 100 %.
#[test]
fn nothing_improves_by_more_than_all_of_it() {
    let folder = folder();
    let folder = folder.path();
    write(folder, "old.folded", "main;rare 5\nmain;other 95\n");
    write(folder, "new.folded", "main;rare 1\nmain;other 99\n");
    let words = ["log", "add", "--bottleneck", "rare", "--change", "c", "--no-flame"];
    burnmark_in(folder, &[&words[..], &["--before", "old.folded", "--after", "new.folded"]].concat()).ok();
    let json = burnmark_in(folder, &["log", "show", "--json"]).ok().json();
    let metric = &json["entries"][0]["metrics"][0];
    assert_eq!((&metric["name"], &metric["ci"][1]), (&"share of rare".into(), &100.0.into()), "{metric}");
}

#[test]
fn altered_entries_are_told_wherever_they_are_shown() {
    let folder = folder();
    let folder = folder.path();
    add(folder, "a", &[]);
    burnmark_in(folder, &["log", "render", "LOG.md"]).ok();
    let entry = &entries(folder)[0];
    let text = std::fs::read_to_string(entry).expect("an entry");
    std::fs::write(entry, text.replace("\"after\": 50.0", "\"after\": 1.0")).expect("there is room");
    for command in [&["list"][..], &["show"], &["render", "LOG.md"]] {
        let run = burnmark_in(folder, &[&["log"], command].concat()).ok();
        assert!(run.stderr.contains("was changed since it was written"), "{command:?}: {}", run.stderr);
    }
    assert_eq!(burnmark_in(folder, &["log", "render", "LOG.md", "--check"]).code, 3);
}

#[test]
fn an_entry_that_names_a_file_outside_is_not_shown() {
    let folder = folder();
    let folder = folder.path();
    profiles(folder);
    burnmark_in(folder, &ADD).ok();
    let entry = &entries(folder)[0];
    let text = std::fs::read_to_string(entry).expect("an entry");
    let from = text.find("attachments/").expect("an attachment");
    let to = from + text[from..].find('"').expect("its end");
    let hostile = format!("{}attachments/../../etc/passwd{}", &text[..from], &text[to..]);
    std::fs::write(entry, hostile).expect("there is room");
    let run = burnmark_in(folder, &["log", "render"]);
    assert!(!run.stdout.contains("passwd") && run.stderr.contains("warning"), "{}{}", run.stdout, run.stderr);
}
