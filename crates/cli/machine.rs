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
