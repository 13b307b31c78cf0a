//! Any bytes as a heap snapshot, and everything that can be asked of it: no panic, no hang, and sums that hold.

#![no_main]

#[allow(dead_code, reason = "shared with the tests, which use the rest")]
#[path = "../tests/common/mod.rs"]
mod common;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(snapshot) = common::read(data) {
        common::use_all(&snapshot);
    }
});
