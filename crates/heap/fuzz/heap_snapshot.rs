//! Any bytes as a heap snapshot, and everything that can be asked of it: no panic, no hang, and sums that hold.

#![no_main]

#[allow(dead_code, reason = "shared with the tests, which use the rest")]
#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Once;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

static ONE_THREAD: Once = Once::new();

fuzz_target!(|data: &[u8]| {
    // All on the fuzzer's own thread: waking others takes longer than a small snapshot.
    ONE_THREAD.call_once(|| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
        pool.build_global().expect("it is the first");
    });
    if let Ok(snapshot) = common::read(data) {
        common::use_all(&snapshot);
    }
});

// Every other time a number is changed: bytes that are changed anyhow are seldom a snapshot any more.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 2 == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let mut random = u64::from(seed) | 1 << 32;
    let mut below = |limit: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % limit.max(1)
    };
    let mut text = data[..size].to_vec();
    for _ in 0..=below(3) {
        let starts: Vec<usize> =
            (1..text.len()).filter(|at| text[*at].is_ascii_digit() && !text[at - 1].is_ascii_digit()).collect();
        let Some(&start) = starts.get(below(starts.len())) else { break };
        let length = text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let old = std::str::from_utf8(&text[start..start + length]).ok().and_then(|text| text.parse().ok());
        let old: u64 = old.unwrap_or(0);
        let new = match below(6) {
            0 => old.wrapping_add(1),
            1 => old.saturating_sub(1),
            2 => below(40) as u64,
            // What a record of nodes is multiplied by.
            3 => below(40) as u64 * [5, 6, 7][below(3)],
            4 => 1 << below(63),
            _ => match starts.get(below(starts.len())) {
                // Another number of the same snapshot.
                Some(&other) => {
                    let digits = text[other..].iter().take_while(|byte| byte.is_ascii_digit()).take(18);
                    digits.fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))
                }
                None => u64::from(u32::MAX),
            },
        };
        text.splice(start..start + length, new.to_string().into_bytes());
    }
    let size = text.len().min(max_size);
    data[..size].copy_from_slice(&text[..size]);
    size
});
