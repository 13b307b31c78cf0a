use burnmark_model::{Frame, Function, Module, Sample, StackId, ValueType};

use super::*;

/// A profile from stacks, root first, `module: function` or `function`; with values, and times in ms.
fn profile(stacks: &[(&[&str], i64, i64)]) -> Profile {
    let mut profile = Profile::new(vec![ValueType::samples()]);
    for (names, value, time) in stacks {
        let mut stack: Option<StackId> = None;
        for name in *names {
            let (module, name) = name.split_once(": ").map_or((None, *name), |(module, name)| (Some(module), name));
            let name = profile.strings.intern(name);
            let function = profile.functions.intern(Function::named(name));
            let module = module.map(|path| {
                let path = profile.strings.intern(path);
                profile.modules.intern(Module::at(path))
            });
            let frame = profile.frames.intern(Frame { module, ..Frame::of(function) });
            stack = Some(profile.push_frame(stack, frame));
        }
        let time_ns = Some(time * 1_000_000);
        profile.samples.push(Sample { stack, time_ns, ..Sample::default() }, &[*value]).expect("small values");
    }
    profile
}

fn found(stacks: &[(&[&str], i64, i64)]) -> Vec<Finding> {
    findings(&profile(stacks), 0, Rules::shipped()).expect("valid")
}

fn kinds(stacks: &[(&[&str], i64, i64)]) -> Vec<(FindingKind, f64)> {
    found(stacks).into_iter().map(|finding| (finding.kind, finding.share)).collect()
}

#[test]
fn a_plateau_is_one_function_with_a_tenth() {
    let hot = found(&[
        (&["main", "hash"], 30, 0),
        (&["main", "a"], 9, 1),
        (&["main", "b"], 61, 2),
        (&["main", "b", "c"], 0, 3),
    ]);
    let plateaus: Vec<_> = hot.iter().filter(|finding| finding.kind == FindingKind::Plateau).collect();
    assert_eq!(plateaus.iter().map(|it| it.function.as_deref()).collect::<Vec<_>>(), [Some("b"), Some("hash")]);
    assert_eq!((plateaus[1].share, plateaus[1].threshold, plateaus[1].priority()), (0.3, 0.1, Priority::High));
    assert_eq!(plateaus[1].evidence, "`hash`: 30.0 % by itself, 30.0 % with what it calls");
}

#[test]
fn a_wide_base_hands_out_to_many() {
    let stacks: Vec<(Vec<&str>, i64)> = vec![
        (vec!["main", "serve", "a"], 9),
        (vec!["main", "serve", "b"], 9),
        (vec!["main", "serve", "c"], 9),
        (vec!["main", "serve", "d"], 9),
        (vec!["main", "serve", "e"], 9),
        (vec!["main", "serve", "f", "g"], 9),
        (vec!["main", "idle", "x"], 9),
        (vec!["main", "idle", "y"], 9),
    ];
    let stacks: Vec<(&[&str], i64, i64)> = stacks.iter().map(|(names, value)| (&names[..], *value, 0)).collect();
    let found = found(&stacks);
    let base: Vec<_> = found.iter().filter(|finding| finding.kind == FindingKind::WideBase).collect();
    assert_eq!((base.len(), base[0].function.as_deref(), base[0].share), (1, Some("serve"), 0.75));
    assert_eq!(
        base[0].evidence,
        "75.0 % goes through `serve`, which hands it to `a` 12.5 %, `b` 12.5 %, `c` 12.5 % and 3 more of 5 % each"
    );
    // Handing it to one is no fan.
    assert!(
        kinds(&[(&["main", "serve", "a"], 60, 0), (&["main", "x"], 5, 0)])
            .iter()
            .all(|it| it.0 != FindingKind::WideBase)
    );
}

#[test]
fn recursion_is_a_function_ten_times_on_a_stack() {
    let deep: Vec<&str> = std::iter::once("main").chain(["visit", "child"].into_iter().cycle().take(40)).collect();
    let found =
        found(&[(&deep[..], 10, 0), (&["main", "visit", "child", "visit"], 10, 0), (&["main", "other"], 80, 0)]);
    let it: Vec<_> = found.iter().filter(|finding| finding.kind == FindingKind::Recursion).collect();
    assert_eq!((it.len(), it[0].function.as_deref(), it[0].share), (1, Some("visit"), 0.1));
    assert_eq!(it[0].evidence, "`visit` is on 10.0 % of the stacks 10 times or more, 20 times at most");
    let trampoline = ["node: Builtins_InterpreterEntryTrampoline"; 12];
    assert!(kinds(&[(&trampoline, 100, 0)]).iter().all(|it| it.0 != FindingKind::Recursion), "a runtime's own frames");
    assert!(kinds(&[(&deep[..19], 100, 0)]).iter().all(|it| it.0 != FindingKind::Recursion));
}

/// What a kind of work calls is part of it; what the program's own code calls is not.
#[test]
fn shares_of_kinds_of_work() {
    let stacks: &[(&[&str], i64, i64)] = &[
        (&["main", "handle", "app: spdlog::logger::log_it_", "libc.so.6: __vfprintf_internal"], 4, 0),
        (&["main", "handle", "libc.so.6: __vfprintf_internal"], 5, 0),
        (
            &["main", "handle", "libc.so.6: malloc", "libc.so.6: _int_malloc", "[kernel.kallsyms]: exc_page_fault"],
            12,
            0,
        ),
        (&["main", "alloc::boxed::Box::call_once", "work"], 40, 0),
        (&["main", "handle", "libc.so.6: ___pthread_mutex_lock", "[kernel.kallsyms]: try_to_wake_up"], 6, 0),
        (&["main", "libjvm.so: G1ParScanThreadState::trim_queue"], 15, 0),
        (&["main", "a"], 6, 0),
        (&["main", "b"], 6, 0),
        (&["main", "c"], 6, 0),
    ];
    let kinds = kinds(stacks);
    let share = |kind| kinds.iter().find(|it| it.0 == kind).map(|it| it.1);
    assert_eq!(share(FindingKind::Logging), Some(0.04));
    assert_eq!(share(FindingKind::Allocation), Some(0.12));
    assert_eq!(share(FindingKind::Locking), Some(0.06));
    assert_eq!(share(FindingKind::Gc), Some(0.15));
    // Under a tenth of its own: 12 % of page faults are malloc's too, and said twice.
    assert_eq!(share(FindingKind::KernelMemory), Some(0.12));
    assert_eq!(share(FindingKind::Regex), None);
}

#[test]
fn start_up_needs_times_and_the_start() {
    let load: &[&str] = &["main", "ld-linux-x86-64.so.2: do_lookup_x"];
    let work: &[&str] = &["main", "work"];
    let is = |stacks: &[(&[&str], i64, i64)]| kinds(stacks).iter().any(|it| it.0 == FindingKind::StartUp);
    assert!(is(&[(load, 20, 1), (work, 80, 9_000)]));
    assert!(!is(&[(work, 80, 1), (load, 20, 9_000)]), "it is at the end");
    assert!(is(&[(work, 80, 1), (load, 20, 900)]), "all of it is a start");
    let mut timeless = profile(&[(work, 80, 0)]);
    timeless.samples = burnmark_model::Samples::new(1);
    let stack = timeless.stacks.iter().last().map(|(id, _)| id);
    timeless.samples.push(Sample { stack, ..Sample::default() }, &[5]).expect("small");
    assert!(findings(&timeless, 0, Rules::shipped()).expect("valid").iter().all(|it| it.kind != FindingKind::StartUp));
}

#[test]
fn nothing_and_differences() {
    assert_eq!(found(&[]), []);
    let difference = profile(&[(&["main"], -3, 0), (&["other"], 5, 0)]);
    assert!(matches!(findings(&difference, 0, Rules::shipped()), Err(Error::NegativeValues { .. })));
    assert!(matches!(findings(&difference, 7, Rules::shipped()), Err(Error::NoSuchValue { .. })));
}
