//! Perf records: their layout, and the live source of them.
//!
//! [`record`] decodes `PERF_RECORD_*` bytes, whatever they come from. Sources hand out such bytes, owned and in time
//! order. This crate knows nothing of modules and symbols.

pub mod counters;
mod cursor;
pub mod layout;
pub mod live;
pub mod record;
