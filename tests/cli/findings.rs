//! Findings on real profiles, against what is read from the same files here, and by Go's own tool.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{burnmark_in, folder};

fn findings(path: &str) -> Vec<Value> {
    let folder = folder();
    let json = burnmark_in(folder.path(), &["top", path, "--findings", "--json"]).ok().json();
    json["findings"].as_array().expect("findings").clone()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The finding has this share, and says so.
#[track_caller]
fn is(finding: &Value, share: f64, words: &str) {
    let found = finding["share"].as_f64().expect("a number");
    assert!((found - share).abs() < 1e-9, "{share} in {finding:#}");
    assert!(finding["evidence"].as_str().is_some_and(|evidence| evidence.contains(words)), "{words} in {finding:#}");
}

fn fixture(name: &str) -> String {
    format!("{}/fixtures/findings/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What V8 wrote: stacks of functions, root first, each with its time in microseconds. A sample lasts until the next, the
/// last as long as others do; the garbage collector works for what ran before it, as DevTools shows it.
fn v8(name: &str) -> Vec<(Vec<String>, f64)> {
    let text = std::fs::read_to_string(fixture(name)).expect("a fixture");
    let profile: Value = serde_json::from_str(&text).expect("JSON");
    let list = |key: &str| profile[key].as_array().expect("a list");
    let mut names: BTreeMap<u64, &str> = BTreeMap::new();
    let mut parents: BTreeMap<u64, u64> = BTreeMap::new();
    for node in list("nodes") {
        let id = node["id"].as_u64().expect("an id");
        names.insert(id, node["callFrame"]["functionName"].as_str().expect("a name"));
        for child in node["children"].as_array().into_iter().flatten() {
            parents.insert(child.as_u64().expect("an id"), id);
        }
    }
    let mut lasts: Vec<f64> = list("timeDeltas").iter().skip(1).map(|delta| delta.as_f64().expect("a time")).collect();
    lasts.push(lasts.iter().sum::<f64>() / lasts.len() as f64);
    let stack = |leaf: u64| {
        let mut stack: Vec<String> = std::iter::successors(Some(leaf), |id| parents.get(id).copied())
            .map(|id| names[&id].to_owned())
            .filter(|name| name != "(root)")
            .collect();
        stack.reverse();
        stack
    };
    let mut stacks: Vec<(Vec<String>, f64)> = Vec::new();
    for (leaf, time) in list("samples").iter().zip(lasts) {
        let mut stack = stack(leaf.as_u64().expect("an id"));
        if stack == ["(garbage collector)"] {
            let before = stacks.last().map(|(stack, _)| stack.iter().filter(|name| *name != "(garbage collector)"));
            stack = before.into_iter().flatten().cloned().chain(stack).collect();
        }
        stacks.push((stack, time));
    }
    stacks
}

/// The share of the time in stacks of which this holds.
fn share_of(stacks: &[(Vec<String>, f64)], holds: impl Fn(&[String]) -> bool) -> f64 {
    let sum = |holds: &dyn Fn(&[String]) -> bool| {
        stacks.iter().filter(|(stack, _)| holds(stack)).map(|(_, time)| time).sum::<f64>()
    };
    sum(&holds) / sum(&|_| true)
}

fn kinds(findings: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<&str> = findings.iter().map(|finding| finding["kind"].as_str().expect("a kind")).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[test]
fn a_wide_base_in_what_v8_wrote() {
    let (found, stacks) = (findings(&fixture("fan.cpuprofile")), v8("fan.cpuprofile"));
    assert_eq!(kinds(&found), ["plateau", "wide_base"]);
    let base = found.iter().find(|finding| finding["kind"] == "wide_base").expect("there");
    let through = share_of(&stacks, |stack| stack.iter().any(|name| name == "dispatch"));
    is(base, through, &format!("{} goes through `dispatch`", percent(through)));
    for name in ["taxes", "stock", "search"] {
        let of = share_of(&stacks, |stack| stack.windows(2).any(|pair| pair == ["dispatch", name]));
        is(base, through, &format!("`{name}` {}", percent(of)));
    }
}

#[test]
fn recursion_and_garbage_in_what_v8_wrote() {
    let (found, stacks) = (findings(&fixture("tree.cpuprofile")), v8("tree.cpuprofile"));
    assert_eq!(kinds(&found), ["gc", "plateau", "recursion"]);
    let of = |kind: &str| found.iter().find(|finding| finding["kind"] == kind).expect("there");
    let garbage = share_of(&stacks, |stack| stack.last().is_some_and(|name| name == "(garbage collector)"));
    assert!(garbage > 0.1);
    is(of("gc"), garbage, &percent(garbage));
    let name = of("recursion")["function"].as_str().expect("a name");
    let times = |stack: &[String]| stack.iter().filter(|it| *it == name).count();
    let deep = share_of(&stacks, |stack| times(stack) >= 10);
    let most = stacks.iter().map(|(stack, _)| times(stack)).max().expect("stacks");
    is(
        of("recursion"),
        deep,
        &format!("`{name}` is on {} of the stacks 10 times or more, {most} times", percent(deep)),
    );
}

#[test]
fn a_start_in_what_v8_wrote() {
    let (found, stacks) = (findings(&fixture("start.cpuprofile")), v8("start.cpuprofile"));
    let start = found.iter().find(|finding| finding["kind"] == "start_up").expect("there");
    // Compiling modules is most of it; the loader's own functions come on top.
    let compiled = share_of(&stacks, |stack| stack.last().is_some_and(|name| name == "wrapSafe"));
    let share = start["share"].as_f64().expect("a number");
    let loading = share_of(&stacks, |stack| {
        stack.iter().any(|name| {
            name == "requireBuiltin"
                || name == "Module._load"
                || name == "wrapModuleLoad"
                || name == "executeUserEntryPoint"
                || name == "compileForInternalLoader"
        })
    });
    assert!(share >= compiled && share <= loading.max(compiled) + 0.05, "{compiled} {loading}: {start:#}");
    is(start, share, &format!("`wrapSafe` {}", percent(compiled)));
    let whole: f64 = stacks.iter().map(|(_, time)| time / 1e6).sum();
    assert!(whole < 2.0, "a short run");
}

/// Three callees are a fork, calls nested nine deep no deep recursion, and a little JSON and garbage no finding.
#[test]
fn near_misses_are_none() {
    let (found, stacks) = (findings(&fixture("near.cpuprofile")), v8("near.cpuprofile"));
    assert_eq!(kinds(&found), ["plateau"]);
    // They are there, only less.
    let nested = stacks.iter().map(|(stack, _)| stack.iter().filter(|name| *name == "nested").count()).max();
    assert!((5..10).contains(&nested.expect("stacks")), "{nested:?}");
    let garbage = share_of(&stacks, |stack| stack.last().is_some_and(|name| name == "(garbage collector)"));
    assert!(garbage > 0.0 && garbage < 0.1, "{garbage}");
    assert!(share_of(&stacks, |stack| stack.iter().any(|name| name == "fork")) > 0.5);
}

#[test]
fn locks_logs_and_allocation_in_what_go_wrote() {
    let found = findings(&fixture("workers.pb.gz"));
    assert_eq!(kinds(&found), ["allocation", "gc", "locking", "logging", "plateau", "wide_base"]);
    let of = |kind: &str| found.iter().find(|finding| finding["kind"] == kind).expect("there");
    // Rows as `0.25s 14.45% 14.45%      0.81s 46.82%  runtime.mallocgc`: by itself, and with what it calls.
    let text = std::fs::read_to_string(fixture("workers.top.txt")).expect("a fixture");
    let rows: Vec<(f64, f64, &str)> = text
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let share = |word: &str| Some(word.strip_suffix('%')?.parse::<f64>().ok()? / 100.0);
            Some((share(words.get(1)?)?, share(words.get(4)?)?, *words.get(5)?))
        })
        .collect();
    let row = |name: &str| rows.iter().find(|row| row.2 == name).unwrap_or_else(|| panic!("{name} in {text}"));
    let share = |kind: &str| of(kind)["share"].as_f64().expect("a number");
    // Percentages of `pprof -top` have two digits.
    assert!((share("wide_base") - row("main.handle").1).abs() < 1e-4, "{}", of("wide_base"));
    for (kind, inner, outer) in [
        ("allocation", "runtime.mallocgc", Some("runtime.newobject")),
        ("logging", "log.(*Logger).Output", None),
        ("locking", "runtime.futex", None),
        ("gc", "runtime.gcmarknewobject", None),
    ] {
        assert!(share(kind) >= row(inner).0, "{kind}: at least {inner} by itself: {}", of(kind));
        assert!(outer.is_none_or(|outer| share(kind) > row(outer).1 / 2.0), "{kind}: {}", of(kind));
    }
    // Logging is no more than what goes through the log, but for what locks and garbage take in it.
    assert!(share("logging") <= row("log.(*Logger).Printf").1 + 1e-4 && share("logging") > 0.1, "{}", of("logging"));
    // What is called `…lock…` or waits, by itself: locking is about that.
    let locks = |name: &str| ["lock", "Lock", "futex", "osyield", "procyield"].iter().any(|word| name.contains(word));
    let named: f64 = rows
        .iter()
        .filter(|row| locks(row.2) && !row.2.contains("sweep") && !row.2.contains("mheap"))
        .map(|row| row.0)
        .sum();
    assert!(share("locking") >= 0.05 && (share("locking") - named).abs() < 0.05, "{named}: {}", of("locking"));
}

/// Stacks of a folded file, root first, with their counts: read here, not by burnmark.
fn stacks(text: &str) -> Vec<(Vec<&str>, f64)> {
    text.lines()
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(stack, count)| (stack.split(';').collect(), count.parse().expect("a count")))
        .collect()
}

#[test]
fn findings_on_a_real_recording_say_what_its_text_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/folded/py-spy.folded");
    let text = std::fs::read_to_string(path).expect("a fixture");
    let stacks = stacks(&text);
    let sum: f64 = stacks.iter().map(|(_, count)| count).sum();
    let share = |test: &dyn Fn(&[&str]) -> bool| {
        let found = stacks.iter().filter(|(stack, _)| test(stack));
        found.map(|(_, count)| count).sum::<f64>() / sum
    };
    let findings = findings(path);
    let of = |kind: &str| findings.iter().filter(|finding| finding["kind"] == kind).collect::<Vec<_>>();

    // Every function that has a tenth by itself, and no other.
    let mut own: std::collections::BTreeMap<&str, f64> = std::collections::BTreeMap::new();
    for (stack, count) in &stacks {
        *own.entry(stack.last().expect("a frame")).or_default() += count / sum;
    }
    own.retain(|_, share| *share >= 0.1);
    let plateaus = of("plateau");
    assert!(own.len() == 3 && plateaus.len() == own.len(), "{own:?} {plateaus:#?}");
    for finding in plateaus {
        let name = finding["function"].as_str().expect("a name");
        let total = share(&|stack| stack.contains(&name));
        is(finding, own[name], &format!("{} by itself, {} with what it calls", percent(own[name]), percent(total)));
    }
    // What is ten times on a stack.
    let times = |stack: &[&str], name: &str| stack.iter().filter(|frame| **frame == name).count();
    let recursion = of("recursion");
    let name = recursion[0]["function"].as_str().expect("a name");
    let most = stacks.iter().map(|(stack, _)| times(stack, name)).max().expect("stacks");
    let deep = share(&|stack| times(stack, name) >= 10);
    is(
        recursion[0],
        deep,
        &format!("`{name}` is on {} of the stacks 10 times or more, {most} times at most", percent(deep)),
    );
    // Whatever Python's json package is on the stack for.
    let serialization = share(&|stack| stack.iter().any(|frame| frame.contains("json/")));
    is(of("serialization")[0], serialization, &percent(serialization));
    assert!(serialization > 0.3 && deep > 0.2, "the fixture has both: {serialization} {deep}");
}
