//! Programs that leak, and their twins that don't: every planted leak is named with its cause, and nothing on a twin.
//!
//! They run under the `node` of this machine; BURNMARK_NODE names another one.

use std::path::{Path, PathBuf};
use std::process::Command;

use burnmark_heap::{Cause, Growth, GrowthOptions, ReadOptions, Snapshot, Source, census, growth};

fn node() -> String {
    std::env::var("BURNMARK_NODE").unwrap_or_else(|_| "node".to_owned())
}

/// Runs a program of fixtures/heap/leaks, and what three snapshots of it tell; `None` without node.
fn run(program: &str, mode: &str, folder: &Path) -> Option<(Snapshot, Growth)> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/heap/leaks/run.js");
    let prefix = folder.join(mode);
    let mut command = Command::new(node());
    command.args(["--no-warnings", "--expose-gc"]).arg(script).args([program, mode]).arg(&prefix);
    let Ok(output) = command.output() else {
        println!("SKIP no node is here to run leaking programs with");
        return None;
    };
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Some(grown(|number| {
        let path = PathBuf::from(format!("{}-{number}.heapsnapshot", prefix.display()));
        Source::file(std::fs::File::open(path).expect("it was written")).expect("it is a file")
    }))
}

/// What three snapshots tell, after 60, 160 and 260 iterations.
fn grown(source: impl Fn(usize) -> Source) -> (Snapshot, Growth) {
    let read =
        |number: usize, options: &ReadOptions| Snapshot::read(source(number), options).expect("it is a snapshot");
    let last = read(3, &ReadOptions::default());
    let options = ReadOptions { shapes: Some(last.shapes()), ..ReadOptions::default() };
    let earlier: Vec<_> = (1..=2).map(|number| census(&read(number, &options))).collect();
    let options = GrowthOptions { iterations: Some(vec![60, 160, 260]), limit: 10 };
    let growth = growth(&earlier, &last, &options);
    (last, growth)
}

/// All causes, and no other, in any order: precision and recall are 1.
#[track_caller]
fn named(program: &str, causes: &[Cause]) {
    let folder = tempfile::tempdir().expect("a folder");
    let Some((_, leak)) = run(program, "leak", folder.path()) else { return };
    let mut found: Vec<Cause> = leak.suspects.iter().map(|suspect| suspect.cause).collect();
    found.sort_unstable();
    let mut wanted = causes.to_vec();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "{program}: {:#?}", leak.suspects);
    for suspect in &leak.suspects {
        assert_eq!(suspect.per_iteration, Some(1.0), "{program}: {suspect:?}");
        assert!(suspect.constant && suspect.share > 0.1 && !suspect.hint.is_empty(), "{program}: {suspect:?}");
    }
    let Some((_, clean)) = run(program, "clean", folder.path()) else { return };
    assert_eq!(clean.suspects, [], "{program}, the twin");
    assert!(leak.same_process && clean.same_process);
}

macro_rules! leaks {
    ($($program:ident: $($cause:ident),+;)*) => {$(
        #[test]
        fn $program() {
            named(stringify!($program), &[$(Cause::$cause),+]);
        }
    )*};
}

// Listeners, timers, caches, globals, WeakMaps and promises leak in `six`, all at once.
leaks! {
    eventtarget: Listener;
    dictionary: Cache;
    modules: ModuleCollection;
    closures: Closure;
    buffers: Buffers;
    strings: Strings;
    asynccontext: AsyncContext;
    six: Listener, Timer, Cache, GlobalCollection, WeakMap, Promise;
}

/// A library from npm, used in a way that is known to leak, and as its manual says: fixtures/heap/library.
#[test]
fn a_real_library_leaks_as_it_is_known_to() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/heap/library");
    let snapshots = |mode: &str| {
        grown(|number| {
            let file = std::fs::File::open(folder.join(format!("{mode}-{number}.heapsnapshot.zst")));
            let bytes = zstd::decode_all(file.expect("the fixture is there")).expect("it is whole");
            Source::memory(bytes).expect("not empty")
        })
    };
    let (_, leak) = snapshots("leak");
    let [suspect] = &leak.suspects[..] else { panic!("{:#?}", leak.suspects) };
    assert_eq!((suspect.what.as_str(), suspect.cause), ("Report", Cause::Cache), "{suspect:#?}");
    assert_eq!((suspect.per_iteration, suspect.constant), (Some(1.0), true), "{suspect:#?}");
    assert_eq!(suspect.born, [100, 100]);
    assert!(suspect.hint.contains("__data__.string.__data__"), "{}", suspect.hint);
    let (_, clean) = snapshots("clean");
    assert_eq!(clean.suspects, []);
}
