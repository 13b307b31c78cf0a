//! Any bytes as a perf.data file, mapped and as a stream, down to the recording: no panic, no hang, and every index in
//! the recording names something.

#![no_main]

use burnmark_native::{NONE, PerfDataOptions, read_perf_data};
use burnmark_perf::file::{Input, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let read = |input| {
        let mut reader = Reader::open(input).ok()?;
        // A few bytes may be told to become gigabytes: time is bounded here, memory by the reader.
        reader.limit_decompressed(16 << 20);
        let (recording, _) = read_perf_data(reader, &PerfDataOptions::default()).expect("memory can be read");
        for sample in recording.samples.iter() {
            assert!(sample.stack == NONE || (sample.stack as usize) < recording.stacks.len());
            assert!((sample.thread as usize) < recording.threads.len());
        }
        Some(recording.samples.len())
    };
    read(Input::Bytes(data));
    read(Input::Stream(Box::new(data)));
});
