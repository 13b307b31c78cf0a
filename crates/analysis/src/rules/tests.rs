use super::*;

/// `module: function @ file`, of which only the function must be there.
fn example(text: &str) -> (&str, Option<&str>, Option<&str>) {
    let (text, file) = text.split_once(" @ ").map_or((text, None), |(head, file)| (head, Some(file)));
    match text.split_once(": ") {
        Some((module, function)) => (function, Some(module), file),
        None => (text, None, file),
    }
}

#[test]
fn every_shipped_rule_has_an_example_that_it_matches() {
    let rules = Rules::shipped();
    let mut wrong = Vec::new();
    for (number, rule) in rules.rules.iter().enumerate() {
        let category = &rules.categories[rule.category].name;
        if rule.examples.is_empty() {
            wrong.push(format!("{category}, rule {number}: no example"));
        }
        for text in &rule.examples {
            let (function, module, file) = example(text);
            let found = rules.first(function, module, file);
            if found != Some(number) {
                let other = found.map(|other| &rules.categories[rules.rules[other].category].name);
                wrong.push(format!("{category}, rule {number}: {text:?} goes to {found:?} {other:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each pattern has a text of its own that reaches its rule, or one of the same category: none is there for nothing.
#[test]
fn no_shipped_pattern_is_dead() {
    let rules = Rules::shipped();
    let instance = |patterns: &[Pattern]| patterns.first().map(Pattern::instance);
    let mut dead = Vec::new();
    for rule in &rules.rules {
        let (function, module, file) = (instance(&rule.function), instance(&rule.module), instance(&rule.file));
        let mut check = |function: Option<&str>, module: Option<&str>, file: Option<&str>, pattern: &str| {
            let found = rules.of(function.unwrap_or("it"), module, file);
            let category = &rules.categories[rule.category];
            if found != Some(category) {
                dead.push(format!("{}: {pattern} is {:?}", category.name, found.map(|found| &found.name)));
            }
        };
        for pattern in rule.function.iter().map(Pattern::instance) {
            check(Some(&pattern), module.as_deref(), file.as_deref(), &pattern);
        }
        for pattern in rule.module.iter().map(Pattern::instance) {
            check(function.as_deref(), Some(&pattern), file.as_deref(), &pattern);
        }
        for pattern in rule.file.iter().map(Pattern::instance) {
            check(function.as_deref(), module.as_deref(), Some(&pattern), &pattern);
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn categories_have_short_names_hints_and_rules() {
    let rules = Rules::shipped();
    for (index, category) in rules.categories.iter().enumerate() {
        assert!(category.name.len() <= 13, "{}", category.name);
        assert!(!category.action.ends_with('.') && category.action.len() > 20, "{}", category.action);
        assert!(!category.action.contains("called"), "samples can't count calls: {}", category.action);
        assert!(rules.rules.iter().any(|rule| rule.category == index), "{} has no rule", category.name);
    }
}

/// A program's own functions have no category, and plain words are the C library's only there.
#[test]
fn own_code_has_no_category() {
    let rules = Rules::shipped();
    for (function, module, file) in [
        ("main", Some("shop"), None),
        ("checkout", Some("shop"), Some("src/checkout.rs")),
        ("shop::cart::total", Some("shop"), None),
        ("read", Some("[anon]"), Some("/srv/app/reader.js")),
        ("log", None, Some("app.py")),
        ("(anonymous) server.js:7", Some("[anon]"), Some("/srv/server.js")),
        ("int Main.round(int)", Some("[anon]"), None),
        ("main.handle", Some("x"), Some("/srv/main.go")),
        ("", None, None),
        ("*", Some("*"), Some("*")),
    ] {
        assert_eq!(rules.of(function, module, file), None, "{function}");
    }
}

#[test]
fn the_users_rules_come_first() {
    let text = "[[category]]\nname = 'GC'\naction = 'ask Anna'\n[[category]]\nname = 'pricing'\naction = 'cache'\n\
                [[rule]]\ncategory = 'pricing'\nfunction = ['malloc']\nmodule = ['shop']\n";
    let rules = Rules::with_user(text).expect("valid");
    let name = |function, module| rules.of(function, Some(module), None).map(|category| category.name.as_str());
    assert_eq!(name("malloc", "shop"), Some("pricing"));
    assert_eq!(name("malloc", "libc.so.6"), Some("allocation"));
    assert_eq!(rules.category("GC").map(|category| category.action.as_str()), Some("ask Anna"));
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let message = |text: &str| Rules::with_user(text).expect_err("wrong").to_string();
    insta::assert_snapshot!(
        [
            message("[[rule]]\ncategory = 'speed'\nfunction = ['f']"),
            message("[[rule]]\ncategory = 'GC'"),
            message("[[rule]]\ncategory = 'GC'\nfunction = ['**']"),
            message("[[rule]]\ncategory = 'GC'\nfunctions = ['f']"),
            message("rules: 3"),
        ]
        .join("\n---\n")
    );
}

proptest::proptest! {
    /// The index finds what trying every rule in turn finds.
    #[test]
    fn the_index_leaves_nothing_out(function in "[a-zA-Z_:<>(*/. ]{0,24}|(runtime|v8::internal|java.util|tcp_|serde)[a-z._:]{0,12}") {
        let rules = Rules::shipped();
        let (module, file) = (Some("[kernel.kallsyms]"), Some("lib/json/encoder.py"));
        for (module, file) in [(None, None), (module, None), (None, file)] {
            let subject = subject(&function, module, file);
            let slow = rules.rules.iter().position(|rule| rule.matches(&subject));
            proptest::prop_assert_eq!(rules.first(&function, module, file), slow);
        }
    }
}
