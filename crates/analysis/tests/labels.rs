//! The shipped rules against what two readers said of the heaviest functions of real programs (`fixtures/labels`).

use std::path::Path;

use burnmark_analysis::Rules;

/// The programs whose labels were written after the rules, and before the rules were run on them; no rule was changed for
/// them.
const HELD_OUT: [&str; 8] = ["go-build", "gxx", "memcached", "nginx", "oha", "redis", "ruby", "sqlite"];

/// The programs that only a reader who had not seen the rules labelled, before the rules were run on them.
const ONE_READER: [&str; 11] =
    ["apache", "brotli", "clang", "mariadb", "memcached", "oha", "redis", "rollup", "ruby", "sqlite", "tsc"];

/// The labels' weight that the rules must agree with, program by program.
const AGREEMENT: f64 = 0.80;

/// Ruby is none of the languages that the rules are for: of its functions with a name they know fewer.
const AGREEMENT_OF_RUBY: f64 = 0.75;

struct Line {
    share: f64,
    function: String,
    module: Option<String>,
    file: Option<String>,
    /// What the first reader, who wrote the rules, and the second, who had not seen them, said.
    labels: [Option<String>; 2],
}

const READERS: [&str; 2] = ["who wrote the rules", "second"];

fn lines(program: &str) -> Vec<Line> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/labels/{program}.tsv"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let known = |text: &str| (!text.is_empty() && text != "-").then(|| text.to_owned());
    let line = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [share, function, module, file, first, second] = fields[..] else { panic!("{program}: {line}") };
        Line {
            share: share.parse().expect("a number"),
            function: function.to_owned(),
            module: known(module),
            file: known(file),
            labels: [first, second].map(known),
        }
    };
    text.lines().skip(1).map(line).collect()
}

fn programs() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/labels");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("there are labels")
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".tsv")?.to_owned()))
        .collect();
    names.sort();
    names
}

/// How far the rules agree with the labels of a program, as fractions of the weight.
struct Agreement {
    /// Of all that is labelled.
    all: f64,
    /// Of what has a category by the reader or by the rules.
    categorized: f64,
    /// Of functions that have a name: a module without symbols is one row, which can weigh much.
    named: f64,
    wrong: String,
}

fn agreement(program: &str, reader: usize) -> Agreement {
    let rules = Rules::shipped();
    // Per measure, what agrees and the whole.
    let mut sums = [[0.0, 0.0]; 3];
    let mut wrong = String::new();
    for line in lines(program) {
        let said = &line.labels[reader];
        if let Some(label) = said {
            assert!(rules.category(label).is_some(), "{program}: no category is named {label}");
        }
        let found = rules.of(&line.function, line.module.as_deref(), line.file.as_deref());
        let found = found.map(|category| category.name.as_str());
        let right = found == said.as_deref();
        let counts = [true, found.is_some() || said.is_some(), !line.function.starts_with('[')];
        for (sum, counts) in sums.iter_mut().zip(counts) {
            let share = if counts { line.share } else { 0.0 };
            *sum = [sum[0] + if right { share } else { 0.0 }, sum[1] + share];
        }
        if !right {
            let label = said.as_deref().unwrap_or("-");
            wrong += &format!("  {:.4} {label} ≠ {}: {}\n", line.share, found.unwrap_or("-"), line.function);
        }
    }
    let [all, categorized, named] = sums.map(|[agreed, whole]| agreed / whole);
    Agreement { all, categorized, named, wrong }
}

#[test]
fn rules_agree_with_both_readers() {
    let programs = programs();
    assert!(programs.len() >= 23 && HELD_OUT.iter().all(|name| programs.iter().any(|known| known == name)));
    let mut low = Vec::new();
    let all = programs.iter().flat_map(|program| [0, 1].map(|reader| (program, reader)));
    let all = all.filter(|(program, reader)| *reader == 1 || !ONE_READER.contains(&program.as_str()));
    for (program, reader) in all {
        let Agreement { all, categorized, named, wrong } = agreement(program, reader);
        let held_out = if HELD_OUT.contains(&program.as_str()) { ", held out" } else { "" };
        let [of_all, of_categorized, of_named] = [all, categorized, named].map(|share| share * 100.0);
        println!(
            "{program}{held_out}, reader {}: {of_all:.1} % of the labelled weight, {of_categorized:.1} % of what has a category, \
             {of_named:.1} % of functions with a name",
            READERS[reader]
        );
        print!("{wrong}");
        let least_named = if program == "ruby" { AGREEMENT_OF_RUBY } else { AGREEMENT };
        if all.min(categorized) < AGREEMENT || named < least_named {
            low.push(format!("{program}, reader {}", READERS[reader]));
        }
    }
    assert!(low.is_empty(), "under {AGREEMENT}: {}", low.join(", "));
}
