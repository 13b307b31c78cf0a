//! Names of events where the file has none, as perf spells them.

const HARDWARE: [&str; 10] = [
    "cycles",
    "instructions",
    "cache-references",
    "cache-misses",
    "branches",
    "branch-misses",
    "bus-cycles",
    "stalled-cycles-frontend",
    "stalled-cycles-backend",
    "ref-cycles",
];
const SOFTWARE: [&str; 12] = [
    "cpu-clock",
    "task-clock",
    "page-faults",
    "context-switches",
    "cpu-migrations",
    "minor-faults",
    "major-faults",
    "alignment-faults",
    "emulation-faults",
    "dummy",
    "bpf-output",
    "cgroup-switches",
];
const CACHES: [&str; 7] = ["L1-dcache", "L1-icache", "LLC", "dTLB", "iTLB", "branch", "node"];
const OPERATIONS: [[&str; 2]; 3] =
    [["loads", "load-misses"], ["stores", "store-misses"], ["prefetches", "prefetch-misses"]];

/// The name of an event by `perf_event_attr`'s type and config (`enum perf_type_id` and the enums below it in the
/// kernel's `perf_event.h`).
pub(super) fn of(kind: u32, config: u64, excludes_user: bool, excludes_kernel: bool) -> String {
    let at = |names: &[&str]| names.get(usize::try_from(config).ok()?).map(|name| (*name).to_owned());
    let name = match kind {
        0 => at(&HARDWARE),
        1 => at(&SOFTWARE),
        2 => Some(format!("tracepoint:{config}")),
        3 => cache(config),
        4 => Some(format!("r{config:x}")),
        5 => Some("mem".to_owned()),
        _ => None,
    };
    let name = name.unwrap_or_else(|| format!("event-{kind}/config={config:#x}/"));
    let modifier = match (excludes_user, excludes_kernel) {
        (false, true) => ":u",
        (true, false) => ":k",
        _ => "",
    };
    name + modifier
}

/// Byte by byte: which cache, what is done, and how it ends.
fn cache(config: u64) -> Option<String> {
    let [which, operation, result, ..] = config.to_le_bytes();
    let which = CACHES.get(usize::from(which))?;
    let operation = OPERATIONS.get(usize::from(operation))?.get(usize::from(result))?;
    Some(format!("{which}-{operation}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_perfs() {
        for (kind, config, name) in [
            (0, 0, "cycles"),
            (1, 1, "task-clock"),
            (3, 0x1_0000, "L1-dcache-load-misses"),
            (3, 3, "dTLB-loads"),
            (4, 0x1a8, "r1a8"),
            (0, 99, "event-0/config=0x63/"),
            (11, 7, "event-11/config=0x7/"),
        ] {
            assert_eq!(super::of(kind, config, false, false), name);
        }
        assert_eq!(super::of(0, 0, false, true), "cycles:u");
        assert_eq!(super::of(0, 0, true, false), "cycles:k");
    }
}
