//! Perf records: their layout, and the live source of them.
