//! perf and burnmark sample the same process at the same time: the ten hottest functions have the same shares.
//!
//! Shares agree within max(2 points, 4 standard errors of their difference), see `counts`. `cargo xtask proof` runs
//! these at full length, with the tables shown.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::counts::{Counts, compare, table};
use crate::machine::{Recorder, Target, high_frequency, perf_works, sampling_works};
use crate::support::folder;
use crate::{burnmark, perf};

/// Fewer samples prove nothing.
const SAMPLES: u64 = 10_000;

/// How much CPU time to sample at the high frequency: enough for the samples, more for the proof.
fn seconds(quick: u32) -> u32 {
    if std::env::var("BURNMARK_PROOF").is_ok_and(|value| value == "full") { 5 * quick } else { quick }
}

/// Attaches perf and burnmark to a stopped process, lets it run until `end` returns, and compares.
fn agree(title: &str, target: Target, end: impl FnOnce(Target)) {
    let folder = folder();
    let data = folder.path().join("perf.data");
    let pid = target.pid().to_string();
    let frequency = high_frequency();
    let ours = Recorder::attach(burnmark::record(folder.path(), "ours.pb.gz", frequency).args(["-p", &pid]));
    let theirs = Recorder::attach(perf::record(&data, frequency).args(["-p", &pid]));
    target.go_on();
    end(target);
    theirs.finish();
    ours.finish();
    check(title, &burnmark::recorded_counts(folder.path(), "ours.pb.gz", &[]), &perf::self_counts(&data));
}

fn check(title: &str, ours: &Counts, theirs: &Counts) {
    let rows = compare(ours, theirs);
    let table = table(title, ours, theirs, &rows);
    println!("{table}");
    assert!(ours.total() >= SAMPLES && theirs.total() >= SAMPLES, "too few samples\n{table}");
    assert!(rows.iter().all(|row| row.agrees()), "{table}");
}

#[test]
fn the_demo() {
    if !perf_works() || !sampling_works() {
        return;
    }
    agree("demo", Target::demo(), |target| {
        target.wait_for_cpu(f64::from(seconds(4)));
        drop(target.finish());
    });
}

/// Work of many kinds in an interpreter whose functions are exported, so that it has symbols though it is stripped.
const SCRIPT: &str = r#"
    $| = 1; print "ready $$\n"; my $seconds = shift; my $until = $seconds + (times)[0]; my (%seen, @words);
    while ((times)[0] < $until) {
        for my $i (1 .. 20_000) {
            my $word = sprintf "w%05d", ($i * 7919) % 20011;
            push @words, $word if $word =~ /^w0*(\d+)[1357]$/;
            $seen{substr $word, 2} += length(join "-", $word, $i);
        }
        @words = (sort { $b cmp $a } @words)[0 .. 99];
    }
"#;

#[test]
fn perl() {
    if !perf_works() || !sampling_works() {
        return;
    }
    let mut command = Command::new("perl");
    command.args(["-e", SCRIPT, &seconds(4).to_string()]);
    agree("perl", Target::stopped(&mut command), |target| drop(target.finish()));
}

#[test]
fn xz() {
    if !perf_works() || !sampling_works() {
        return;
    }
    if Command::new("xz").arg("--version").stdout(Stdio::null()).status().is_err() {
        crate::machine::skipped("xz is not installed");
        return;
    }
    // The shell says its pid, and becomes xz when it goes on: the exec is sampled too.
    let folder = folder();
    let input = folder.path().join("input");
    write_text(&input, 3_000_000 * seconds(1) as usize);
    let script = format!("echo $$; read -r line; exec xz -9e -c -k -T1 {} >/dev/null", input.display());
    let target = Target::stopped(Command::new("sh").args(["-c", &script]));
    agree("xz", target, |target| drop(target.finish()));
}

/// Text that compresses neither well nor badly: numbers and a few words, the same every time.
fn write_text(path: &Path, bytes: usize) {
    let words = ["alpha", "beta", "gamma", "delta", "stack", "frame", "sample", "thread"];
    let mut text = String::with_capacity(bytes + 64);
    let mut state = 1u64;
    while text.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(words[(state >> 61) as usize]);
        text.push_str(&format!(" {} ", (state >> 33) % 1000));
    }
    std::fs::write(path, text).expect("there is room for the input");
}
