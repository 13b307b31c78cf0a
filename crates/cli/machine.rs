//! What the recording says about the machine and the target.

use burnmark_model::Meta;
use burnmark_perf::counters::{Count, CounterValue};

/// Counters stand in a recording's metadata under this prefix.
pub(crate) const COUNTER: &str = "counter.";

/// Metadata of a recording that is made here and now.
pub(crate) fn meta() -> Meta {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Meta {
        producer: Some(format!("burnmark {}", env!("CARGO_PKG_VERSION"))),
        kernel: read("/proc/sys/kernel/osrelease"),
        cpu: cpu_model(),
        start_unix_ns: now.ok().and_then(|now| i64::try_from(now.as_nanos()).ok()),
        ..Meta::default()
    }
}

/// Which boot of the machine this is; empty if it does not tell.
pub(crate) fn boot_id() -> String {
    read("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// A process's program, with its arguments if they are to be kept.
pub(crate) fn process_name(pid: u32, keep_args: bool) -> String {
    if keep_args && let Some(line) = read(&format!("/proc/{pid}/cmdline")).filter(|line| !line.is_empty()) {
        return line.trim_end_matches('\0').replace('\0', " ");
    }
    read(&format!("/proc/{pid}/comm")).unwrap_or_else(|| format!("process {pid}"))
}

/// The processes whose name or command line matches, with their names; without ourselves and those that started us,
/// whose command lines have the pattern in them.
pub(crate) fn processes_named(pattern: &regex::Regex) -> Vec<(u32, String)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    let mut ours = vec![std::process::id()];
    while let Some(parent) = ours.last().and_then(|&pid| parent(pid)).filter(|parent| !ours.contains(parent)) {
        ours.push(parent);
    }
    let matching = pids.into_iter().filter(|pid| !ours.contains(pid)).filter_map(|pid| {
        let name = read(&format!("/proc/{pid}/comm"))?;
        let line = read(&format!("/proc/{pid}/cmdline"))?.trim_end_matches('\0').replace('\0', " ");
        let matches = pattern.is_match(&name) || (!line.is_empty() && pattern.is_match(&line));
        // A zombie runs nothing any more.
        (matches && !matches!(status_letter(pid), None | Some('Z' | 'X'))).then_some((pid, name))
    });
    matching.collect()
}

/// What a process or thread does at the moment, in a word.
pub(crate) fn state_word(pid: u32) -> &'static str {
    match status_letter(pid) {
        None | Some('Z' | 'X') => "ended",
        Some('R') => "running (R)",
        Some('S') => "asleep (S)",
        Some('D') => "waiting for a disk or the like (D)",
        Some('T') => "stopped (T)",
        Some('t') => "stopped by a debugger (t)",
        Some(_) => "idle",
    }
}

/// The same in a sentence.
pub(crate) fn state(pid: u32) -> String {
    let what = match (status_letter(pid), state_word(pid)) {
        (None, _) => return format!("Process {pid} has ended"),
        (Some('T'), word) => &format!("{word}: `kill -CONT {pid}` lets it go on"),
        (Some('S'), word) => &format!("{word}: it waits for something"),
        (_, word) => word,
    };
    format!("Process {pid} ({}) is {what}", process_name(pid, false))
}

/// State and parent from `/proc/PID/stat`; the name before them, in parentheses, may have any character in it.
fn stat_fields(pid: u32) -> Option<(char, u32)> {
    let text = read(&format!("/proc/{pid}/stat"))?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn status_letter(pid: u32) -> Option<char> {
    stat_fields(pid).map(|(state, _)| state)
}

fn parent(pid: u32) -> Option<u32> {
    stat_fields(pid).map(|(_, parent)| parent).filter(|&parent| parent != 0)
}

fn cpu_model() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn read(path: &str) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// A counter as the recording keeps it.
pub(crate) fn counter(count: &Count) -> (String, String) {
    let value = match (&count.value, count.unit) {
        (CounterValue::Value(ns), "nanoseconds") => format!("{:.3} s", *ns as f64 / 1e9),
        (value, _) => value.to_string(),
    };
    let remark = count.remark().map_or(String::new(), |remark| format!(" ({remark})"));
    (format!("{COUNTER}{}", count.name), value + &remark)
}

/// All counters of a recording, a line each.
pub(crate) fn counters(meta: &Meta) -> Vec<String> {
    let named = meta.other.iter().filter_map(|(key, value)| Some((key.strip_prefix(COUNTER)?, value)));
    named.map(|(name, value)| format!("{name}: {value}")).collect()
}
