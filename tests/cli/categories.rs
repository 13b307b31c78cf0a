//! Categories, hints and findings as a user asks for them.

use crate::support::{burnmark_in, burnmark_with, folder};

/// A small server as collapsed stacks: its own code, JSON, an allocator, a log.
const STACKS: &str = "\
main;shop::serve;serde_json::de::from_str;core::str::from_utf8 30
main;shop::serve;shop::price 25
main;shop::serve;malloc;_int_malloc 20
main;shop::serve;log::__private_api::log;core::fmt::write 10
main;shop::serve;do_syscall_64_[k];tcp_sendmsg_[k] 15
";

#[test]
fn rows_have_a_category_where_rules_know_the_function() {
    let folder = folder();
    let top = burnmark_with(folder.path(), &["top", "-", "--json"], STACKS.as_bytes()).ok().json();
    let category = |name: &str| {
        let row = top["rows"].as_array().expect("rows").iter().find(|row| row["function"] == name).expect("a row");
        row["category"].as_str().map(str::to_owned)
    };
    assert_eq!(category("_int_malloc").as_deref(), Some("allocation"));
    assert_eq!(category("serde_json::de::from_str").as_deref(), Some("serialization"));
    assert_eq!(category("shop::price"), None);
    let csv = burnmark_with(folder.path(), &["top", "-", "--csv"], STACKS.as_bytes()).ok().stdout;
    assert!(csv.lines().next().is_some_and(|header| header.ends_with(",category")), "{csv}");
    assert!(csv.lines().any(|line| line.starts_with("3,_int_malloc,") && line.ends_with(",allocation")), "{csv}");
    let markdown = burnmark_with(folder.path(), &["top", "-", "--md"], STACKS.as_bytes()).ok().stdout;
    assert!(markdown.contains("| 3 | `_int_malloc` |  | allocation | 20.00 |"), "{markdown}");
    let terminal = burnmark_with(folder.path(), &["top", "-"], STACKS.as_bytes()).ok().stdout;
    assert!(terminal.lines().any(|line| line.contains("_int_malloc") && line.contains("allocation")), "{terminal}");
}

#[test]
fn hints_and_findings_say_what_they_rest_on() {
    let folder = folder();
    let run = burnmark_with(folder.path(), &["top", "-", "--hints", "--findings"], STACKS.as_bytes()).ok().stdout;
    let lines: Vec<&str> = run.lines().map(str::trim).collect();
    assert!(lines.iter().any(|line| line.starts_with("20.00 % allocation: look for")), "{run}");
    assert!(lines.contains(&"25.00 % has no category"), "{run}");
    assert!(
        lines.contains(&"allocation (medium): 20.0 % is allocation, with what it calls: `_int_malloc` 20.0 %"),
        "{run}"
    );
    assert!(
        lines.contains(&"logging (medium): 10.0 % is logging, with what it calls: `log::__private_api::log` 10.0 %"),
        "{run}"
    );
    assert!(!run.contains("called"), "samples count no calls: {run}");

    let json = burnmark_with(folder.path(), &["top", "-", "--json", "--findings"], STACKS.as_bytes()).ok().json();
    let findings = json["findings"].as_array().expect("findings");
    let serialization = findings.iter().find(|finding| finding["kind"] == "serialization").expect("30 %");
    assert_eq!((&serialization["share"], &serialization["priority"]), (&0.3.into(), &"high".into()));
    let shares: Vec<f64> = findings.iter().map(|finding| finding["share"].as_f64().expect("a share")).collect();
    assert!(shares.is_sorted_by(|a, b| a >= b), "{shares:?}");
}

#[test]
fn rules_of_the_user_win_and_mistakes_in_them_are_told() {
    let folder = folder();
    let rules = folder.path().join("ours.toml");
    std::fs::write(&rules, "[[category]]\nname = \"pricing\"\naction = \"cache prices\"\n\n[[rule]]\ncategory = \"pricing\"\nfunction = [\"shop::*\"]\n")
        .expect("a file");
    let run = burnmark_with(folder.path(), &["top", "-", "--rules", "ours.toml", "--hints"], STACKS.as_bytes()).ok();
    assert!(run.stdout.contains("25.00 % pricing: cache prices"), "{}", run.stdout);
    std::fs::write(&rules, "[[rule]]\ncategory = \"speed\"\nfunction = [\"f\"]\n").expect("a file");
    std::fs::write(folder.path().join("in.folded"), STACKS).expect("a file");
    let run = burnmark_in(folder.path(), &["top", "in.folded", "--rules", "ours.toml"]);
    run.fails(1, &["ours.toml", "\"speed\"", "[[category]]"]);
    burnmark_in(folder.path(), &["top", "in.folded", "--rules", "none.toml"]).fails(1, &["cannot read none.toml"]);
}
