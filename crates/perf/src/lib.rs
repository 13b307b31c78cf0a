//! Perf records: their layout, and their sources, live ([`live`]) and recorded by perf ([`mod@file`]).
//!
//! [`record`] decodes `PERF_RECORD_*` bytes, whatever they come from. Sources hand out such bytes, owned and in time
//! order. This crate knows nothing of modules and symbols.

pub mod counters;
mod cursor;
pub mod file;
pub mod layout;
pub mod live;
pub mod record;
