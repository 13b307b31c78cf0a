//! From perf records to resolved stacks.
