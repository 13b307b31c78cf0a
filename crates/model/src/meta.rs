//! What is known of how a profile was made.

use std::collections::BTreeMap;

/// Where a profile comes from and what it lacks. Everything is optional: most formats say little.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Tool that made it.
    pub producer: Option<String>,
    /// Command that was recorded; arguments are there only if the user asked to keep them.
    pub command: Option<String>,
    /// Kernel or operating system release.
    pub kernel: Option<String>,
    /// The processor's name.
    pub cpu: Option<String>,
    /// Event that was sampled: `cycles`, `cpu-clock`, …
    pub event: Option<String>,
    /// What the default value is measured per: the sampling period in the default value's unit.
    pub period: Option<i64>,
    /// Samples asked for per second.
    pub frequency_hz: Option<u64>,
    /// Wall-clock start, in nanoseconds since 1970.
    pub start_unix_ns: Option<i64>,
    /// How long it was recorded for.
    pub duration_ns: Option<i64>,
    /// Records the recorder lost, where known.
    pub lost: Option<u64>,
    /// Samples whose stack reaches its thread's start, where known.
    pub complete_stacks: Option<u64>,
    /// What a reader should know: what the event can't see, what was not permitted.
    pub notes: Vec<String>,
    /// Anything else, under the input's own names.
    pub other: BTreeMap<String, String>,
}
