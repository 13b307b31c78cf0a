//! Records built by hand from `perf_event_open(2)`, for what no fixture has. `tests/against_perf.rs` has the rest.

use super::*;
use crate::layout::*;
use proptest::prelude::*;

/// A record from its parts.
struct Build(Vec<u8>);

impl Build {
    fn new(kind: u32, misc: u16) -> Build {
        Build(Vec::new()).u32(kind).u16(misc).u16(0)
    }

    fn u8s(mut self, bytes: &[u8]) -> Build {
        self.0.extend(bytes);
        self
    }

    fn u16(self, value: u16) -> Build {
        self.u8s(&value.to_ne_bytes())
    }

    fn u32(self, value: u32) -> Build {
        self.u8s(&value.to_ne_bytes())
    }

    fn u64(self, value: u64) -> Build {
        self.u8s(&value.to_ne_bytes())
    }

    fn u64s(self, values: &[u64]) -> Build {
        values.iter().fold(self, |build, &value| build.u64(value))
    }

    fn text(self, text: &[u8]) -> Build {
        let mut build = self.u8s(text).u8s(&[0]);
        build.0.resize(build.0.len().next_multiple_of(8), 0);
        build
    }

    fn done(mut self) -> Vec<u8> {
        let size = (self.0.len() as u16).to_ne_bytes();
        self.0[6..8].copy_from_slice(&size);
        self.0
    }
}

const PLAIN: SampleLayout = SampleLayout {
    sample_type: 0,
    read_format: 0,
    branch_sample_type: 0,
    sample_regs_user: 0,
    sample_regs_intr: 0,
    sample_id_all: false,
};

/// All fields that a trailer can have.
const TRAILER: SampleLayout = SampleLayout {
    sample_type: SAMPLE_TID | SAMPLE_TIME | SAMPLE_ID | SAMPLE_STREAM_ID | SAMPLE_CPU | SAMPLE_IDENTIFIER,
    sample_id_all: true,
    ..PLAIN
};

fn trailer(build: Build) -> Vec<u8> {
    build.u32(11).u32(12).u64(13).u64(14).u64(15).u32(16).u32(0).u64(17).done()
}

/// With `PERF_SAMPLE_IDENTIFIER` that is the id; both are the same in the kernel.
const ID: SampleId =
    SampleId { pid: Some(11), tid: Some(12), time: Some(13), id: Some(17), stream_id: Some(15), cpu: Some(16) };

fn decode<'a>(bytes: &'a [u8], layout: &SampleLayout) -> Record<'a> {
    Record::decode(bytes, layout).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn losses_and_throttling() {
    let bytes = trailer(Build::new(2, 0).u64s(&[7, 3]));
    assert_eq!(decode(&bytes, &TRAILER), Record::Lost(Lost { event: Some(7), lost: 3, id: ID }));
    assert_eq!((TRAILER.peek_time(&bytes), TRAILER.peek_id(&bytes)), (Some(13), Some(17)));
    assert_eq!(TRAILER.peek_thread(&bytes), Some((11, 12)));
    let bytes = trailer(Build::new(13, 0).u64(4));
    assert_eq!(decode(&bytes, &TRAILER), Record::LostSamples(Lost { event: None, lost: 4, id: ID }));
    let throttle = Throttle { time: 1, event: 2, stream: 3, id: ID };
    assert_eq!(decode(&trailer(Build::new(5, 0).u64s(&[1, 2, 3])), &TRAILER), Record::Throttle(throttle));
    assert_eq!(decode(&trailer(Build::new(6, 0).u64s(&[1, 2, 3])), &TRAILER), Record::Unthrottle(throttle));
}

#[test]
fn switches() {
    let bytes = trailer(Build::new(14, 1 << 13));
    assert_eq!(
        decode(&bytes, &TRAILER),
        Record::Switch(Switch { is_out: true, is_preempted: false, other: None, id: ID })
    );
    let bytes = trailer(Build::new(15, 1 << 13 | 1 << 14).u32(5).u32(6));
    let switch = Switch { is_out: true, is_preempted: true, other: Some((5, 6)), id: ID };
    assert_eq!(decode(&bytes, &TRAILER), Record::SwitchCpuWide(switch));
}

#[test]
fn kernel_text() {
    let bytes = trailer(Build::new(17, 0).u64(0xffff_0000).u32(64).u16(1).u16(1).text(b"bpf_prog_x"));
    let Record::Ksymbol(symbol) = decode(&bytes, &TRAILER) else { panic!("not a KSYMBOL") };
    assert_eq!((symbol.address, symbol.len, symbol.symbol_type), (0xffff_0000, 64, 1));
    assert_eq!((symbol.is_unregister, symbol.name, symbol.id), (true, b"bpf_prog_x".as_slice(), ID));
    let bytes = trailer(Build::new(18, 0).u16(1).u16(0).u32(9).u8s(b"TAGTAGTA"));
    let Record::BpfEvent(event) = decode(&bytes, &TRAILER) else { panic!("not a BPF_EVENT") };
    assert_eq!((event.event_type, event.program, &event.tag, event.id), (1, 9, b"TAGTAGTA", ID));
    // Two bytes before, three after, padded to 8.
    let bytes = trailer(Build::new(20, 0).u64(0x1000).u16(2).u16(3).u8s(b"ABxyz").u8s(&[0; 7]));
    let Record::TextPoke(poke) = decode(&bytes, &TRAILER) else { panic!("not a TEXT_POKE") };
    assert_eq!((poke.address, poke.old, poke.new, poke.id), (0x1000, b"AB".as_slice(), b"xyz".as_slice(), ID));
}

#[test]
fn tracing_records() {
    let bytes = trailer(Build::new(11, 0).u64s(&[1, 2, 4]));
    assert_eq!(decode(&bytes, &TRAILER), Record::Aux(Aux { offset: 1, size: 2, flags: 4, id: ID }));
    let bytes = trailer(Build::new(12, 0).u32(1).u32(2));
    assert_eq!(decode(&bytes, &TRAILER), Record::ItraceStart(ItraceStart { pid: 1, tid: 2, id: ID }));
    let bytes = trailer(Build::new(21, 0).u64(5));
    assert_eq!(decode(&bytes, &TRAILER), Record::AuxOutputHwId(AuxOutputHwId { hw_id: 5, id: ID }));
}

#[test]
fn build_id_longer_than_its_room_is_refused() {
    let mmap = |size: u8| {
        let build = Build::new(10, 1 << 14 | 2).u32(1).u32(1).u64s(&[0x1000, 0x2000, 0]);
        build.u8s(&[size, 0, 0, 0]).u8s(&[0xab; 20]).u32(5).u32(2).text(b"/bin/x").done()
    };
    let bytes = mmap(20);
    let Record::Mmap2(map) = decode(&bytes, &PLAIN) else { panic!("not a MMAP2") };
    assert_eq!((map.file, map.path, map.mode), (FileId::BuildId(&[0xab; 20]), b"/bin/x".as_slice(), Mode::User));
    assert!(matches!(Record::decode(&mmap(21), &PLAIN), Err(DecodeError::Value { at: 40, value: 21, .. })));
}

#[test]
fn call_chains_switch_modes() {
    let layout = SampleLayout { sample_type: SAMPLE_IP | SAMPLE_CALLCHAIN, ..PLAIN };
    let minus = |value: i64| -value as u64;
    let chain = [minus(128), 0xffff1, 0xffff2, minus(512), 0x41, 0x42, minus(32), 0x51, minus(4000), 0x61];
    let bytes = Build::new(9, 1).u64(0xffff1).u64(chain.len() as u64).u64s(&chain).done();
    let Record::Sample(sample) = decode(&bytes, &layout) else { panic!("not a SAMPLE") };
    let expected = [
        (Mode::Kernel, 0xffff1),
        (Mode::Kernel, 0xffff2),
        (Mode::User, 0x41),
        (Mode::User, 0x42),
        (Mode::Hypervisor, 0x51),
        (Mode::Unknown, 0x61),
    ];
    assert_eq!(sample.frames().collect::<Vec<_>>(), expected);
    // No chain: the instruction pointer alone, in the sample's mode.
    let bytes = Build::new(9, 2).u64(0x41).u64(1).u64(minus(512)).done();
    let Record::Sample(sample) = decode(&bytes, &layout) else { panic!("not a SAMPLE") };
    assert_eq!(sample.frames().collect::<Vec<_>>(), [(Mode::User, 0x41)]);
    assert_eq!(sample.callchain.and_then(|chain| chain.deferred_cookie()), None);
}

#[test]
fn deferred_user_halves() {
    let layout = SampleLayout { sample_type: SAMPLE_IP | SAMPLE_CALLCHAIN, ..PLAIN };
    let (kernel, deferred) = (-128_i64 as u64, -640_i64 as u64);
    let bytes = Build::new(9, 1).u64(0xffff1).u64(4).u64s(&[kernel, 0xffff1, deferred, 77]).done();
    let Record::Sample(sample) = decode(&bytes, &layout) else { panic!("not a SAMPLE") };
    assert_eq!(sample.frames().collect::<Vec<_>>(), [(Mode::Kernel, 0xffff1)]);
    assert_eq!(sample.callchain.and_then(|chain| chain.deferred_cookie()), Some(77));
    let bytes = trailer(Build::new(22, 2).u64s(&[77, 2, 0x41, 0x42]));
    let Record::CallchainDeferred(half) = decode(&bytes, &TRAILER) else { panic!("not deferred") };
    assert_eq!((half.cookie, half.callchain.words.iter().collect::<Vec<_>>(), half.id), (77, vec![0x41, 0x42], ID));
}

#[test]
fn branches_with_all_that_surrounds_them() {
    let layout = SampleLayout {
        sample_type: SAMPLE_BRANCH_STACK | SAMPLE_REGS_USER | SAMPLE_STACK_USER | SAMPLE_AUX,
        branch_sample_type: BRANCH_HW_INDEX | BRANCH_COUNTERS,
        sample_regs_user: 1 << 7 | 1 << 8,
        ..PLAIN
    };
    let build = Build::new(9, 2).u64(2).u64(u64::MAX).u64s(&[1, 2, 3, 4, 5, 6]).u64s(&[90, 91]);
    let bytes = build.u64s(&[2, 0x70, 0x80]).u64(0).u64(8).u64(0xa).done();
    let Record::Sample(sample) = decode(&bytes, &layout) else { panic!("not a SAMPLE") };
    let branches = sample.branches.expect("are asked for");
    assert_eq!(branches.hw_index, Some(-1));
    let expected = [Branch { from: 1, to: 2, flags: 3 }, Branch { from: 4, to: 5, flags: 6 }];
    assert_eq!(branches.branches().collect::<Vec<_>>(), expected);
    let registers = sample.regs_user.expect("are asked for");
    assert_eq!(
        (registers.get(6), registers.get(7), registers.get(8), registers.get(64)),
        (None, Some(0x70), Some(0x80), None)
    );
    assert_eq!((sample.stack_user, sample.aux.map(<[u8]>::len)), (Some([].as_slice()), Some(8)));
}

#[test]
fn stacks_are_clipped_to_what_was_copied() {
    let layout = SampleLayout { sample_type: SAMPLE_STACK_USER, ..PLAIN };
    for (filled, expected) in [(0, 0), (5, 5), (16, 16), (u64::MAX, 16)] {
        let bytes = Build::new(9, 2).u64(16).u8s(&[7; 16]).u64(filled).done();
        let Record::Sample(sample) = decode(&bytes, &layout) else { panic!("not a SAMPLE") };
        assert_eq!(sample.stack_user.map(<[u8]>::len), Some(expected));
    }
}

#[test]
fn kernel_threads_have_no_user_registers() {
    let layout = SampleLayout { sample_type: SAMPLE_REGS_USER | SAMPLE_STACK_USER, sample_regs_user: 0xff, ..PLAIN };
    let bytes = Build::new(9, 1).u64(0).u64(0).done();
    let Record::Sample(sample) = decode(&bytes, &layout) else { panic!("not a SAMPLE") };
    let registers = sample.regs_user.expect("are asked for");
    assert_eq!((registers.abi, registers.get(0)), (RegisterAbi::None, None));
    let bytes = Build::new(9, 1).u64(9).u64(0).done();
    assert!(matches!(Record::decode(&bytes, &layout), Err(DecodeError::Value { field: "regs_user", value: 9, .. })));
}

#[test]
fn raw_data_is_padded() {
    let layout = SampleLayout { sample_type: SAMPLE_RAW | SAMPLE_DATA_SRC, ..PLAIN };
    let bytes = Build::new(9, 1).u32(5).u8s(b"hello").u8s(&[0; 7]).u64(42).done();
    let Record::Sample(sample) = decode(&bytes, &layout) else { panic!("not a SAMPLE") };
    assert_eq!((sample.raw, sample.data_src), (Some(b"hello".as_slice()), Some(42)));
}

#[test]
fn single_counter_values() {
    let layout = SampleLayout {
        sample_type: SAMPLE_READ,
        read_format: FORMAT_TIME_ENABLED | FORMAT_TIME_RUNNING | FORMAT_ID | FORMAT_LOST,
        ..PLAIN
    };
    let bytes = Build::new(9, 1).u64s(&[100, 10, 5, 7, 2]).done();
    let Record::Sample(sample) = decode(&bytes, &layout) else { panic!("not a SAMPLE") };
    let read = sample.read.expect("is asked for");
    assert_eq!((read.time_enabled, read.time_running), (Some(10), Some(5)));
    assert_eq!(read.values().collect::<Vec<_>>(), [ReadValue { value: 100, id: Some(7), lost: Some(2) }]);
}

#[test]
fn errors_name_the_field_and_the_byte() {
    let layout = SampleLayout { sample_type: SAMPLE_IP | SAMPLE_TIME | SAMPLE_CALLCHAIN, ..PLAIN };
    let error = |bytes: &[u8], layout: &SampleLayout| Record::decode(bytes, layout).expect_err("is damaged");
    let bytes = Build::new(9, 1).u64(1).u32(2).done();
    let short = DecodeError::Short { kind: 9, field: "time", at: 16, needed: 8, available: 4 };
    assert_eq!(error(&bytes, &layout), short);
    assert!(short.to_string().contains("field `time` at byte 16 needs 8 bytes"), "{short}");
    // A count whose bytes would overflow.
    for count in [2, u64::MAX, u64::MAX / 8, 1 << 61] {
        let bytes = Build::new(9, 1).u64s(&[1, 2, count, 3]).done();
        assert!(matches!(error(&bytes, &layout), DecodeError::Short { field: "callchain.ips", at: 32, .. }));
    }
    assert_eq!(error(&[1, 2, 3], &layout), DecodeError::Size { kind: 0, size: 8, available: 3 });
    for size in [0_u16, 7, 33] {
        let mut bytes = Build::new(9, 1).u64s(&[1, 2, 0]).done();
        bytes[6..8].copy_from_slice(&size.to_ne_bytes());
        assert_eq!(error(&bytes, &layout), DecodeError::Size { kind: 9, size: size.into(), available: 32 });
    }
    // Shorter than its trailer.
    let bytes = Build::new(3, 0).u32(1).u32(1).done();
    assert!(matches!(error(&bytes, &TRAILER), DecodeError::Short { field: "sample_id", .. }));
}

#[test]
fn what_is_not_known_is_kept() {
    for kind in [23, 64, 82, u32::MAX] {
        let bytes = Build::new(kind, 3).u64(5).done();
        let header = Header { kind, misc: 3, size: 16 };
        assert_eq!(decode(&bytes, &TRAILER), Record::Unknown { header, payload: &bytes[8..] });
    }
}

#[test]
fn attributes_of_old_kernels_are_short() {
    // PERF_ATTR_SIZE_VER0: no branch_sample_type yet.
    let mut attr = vec![0; 64];
    attr[24..32].copy_from_slice(&(SAMPLE_IP | SAMPLE_TIME).to_ne_bytes());
    attr[40..48].copy_from_slice(&(1_u64 << 18).to_ne_bytes());
    let expected = SampleLayout { sample_type: SAMPLE_IP | SAMPLE_TIME, sample_id_all: true, ..PLAIN };
    assert_eq!(SampleLayout::from_attr_bytes(&attr), Ok(expected));
    assert!(SampleLayout::from_attr_bytes(&attr[..47]).is_err());
}

/// `PERF_CONTEXT_USER_DEFERRED`, `PERF_CONTEXT_USER`, `PERF_CONTEXT_KERNEL`
const MARKERS: [u64; 3] = [-640_i64 as u64, -512_i64 as u64, -128_i64 as u64];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// What is read of a plain sample is what decoding it gives, whatever it is made of.
    #[test]
    fn plain_samples_are_what_decoding_gives(
        fields in any::<u64>(),
        others in prop_oneof![9 => Just(0_u64), 1 => any::<u64>()],
        misc in 0_u16..8,
        words in proptest::collection::vec(prop_oneof![0_u64..12, any::<u64>(), (0_usize..3).prop_map(|marker| MARKERS[marker])], 0..24),
        cut in prop_oneof![3 => Just(0_usize), 1 => 0_usize..16],
    ) {
        let words_only = SAMPLE_IDENTIFIER | SAMPLE_ADDR | SAMPLE_ID | SAMPLE_STREAM_ID | SAMPLE_CPU | SAMPLE_PERIOD;
        let needed = SAMPLE_IP | SAMPLE_TID | SAMPLE_TIME | SAMPLE_CALLCHAIN;
        let layout = SampleLayout { sample_type: needed | (fields & words_only) | others, ..PLAIN };
        let before = (layout.sample_type & (words_only | needed)).count_ones() as usize - 1;
        let mut body: Vec<u64> = (0..before as u64).map(|word| 0x1_0000_0005 + word).collect();
        body.push(words.len() as u64);
        body.extend(&words);
        let mut bytes = Build::new(9, misc).u64s(&body).done();
        bytes.truncate(bytes.len() - cut);
        let size = (bytes.len() as u16).to_ne_bytes();
        bytes[6..8].copy_from_slice(&size);
        let plain = PlainLayout::of(&layout);
        prop_assert_eq!(plain.is_some(), layout.sample_type & !(words_only | needed) == 0);
        let Some(plain) = plain else { return Ok(()) };
        match Record::decode(&bytes, &layout) {
            Ok(Record::Sample(sample)) if sample.callchain.is_some_and(|chain| chain.deferred_cookie().is_none()) => {
                let Some(read) = plain.read(&bytes) else {
                    // A marker at the very end has no cookie, and is left to the decoder.
                    prop_assert_eq!(words.last(), Some(&MARKERS[0]));
                    return Ok(());
                };
                prop_assert_eq!(Some(read.ip), sample.ip);
                prop_assert_eq!((Some(read.pid), Some(read.tid)), (sample.pid, sample.tid));
                prop_assert_eq!((Some(read.time), read.period), (sample.time, sample.period));
                prop_assert_eq!((read.misc, Some(read.callchain)), (sample.misc, sample.callchain));
                prop_assert_eq!(read.frames().collect::<Vec<_>>(), sample.frames().collect::<Vec<_>>());
            }
            _ => prop_assert_eq!(plain.read(&bytes), None),
        }
    }

    /// Any bytes under any layout: an error or a record that can be walked, never a panic.
    #[test]
    fn any_bytes_do_no_harm(
        kind in prop_oneof![Just(9_u32), 0_u32..24, any::<u32>()],
        misc in any::<u16>(),
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..400),
            // Small numbers: counts that nearly fit.
            proptest::collection::vec(0_u64..12, 0..60).prop_map(|words| words.iter().flat_map(|word| word.to_ne_bytes()).collect()),
        ],
        sample_type in any::<u64>(),
        read_format in 0_u64..64,
        branch_sample_type in any::<u64>(),
        registers in any::<u64>(),
        sample_id_all in any::<bool>(),
    ) {
        let layout = SampleLayout {
            sample_type, read_format, branch_sample_type, sample_id_all,
            sample_regs_user: registers, sample_regs_intr: registers.rotate_left(7),
        };
        let bytes = Build::new(kind, misc).u8s(&body).done();
        let _ = (layout.peek_time(&bytes), layout.peek_id(&bytes), layout.peek_thread(&bytes));
        if let Ok(record) = Record::decode(&bytes, &layout) {
            // What is peeked is what is decoded.
            if kind < 23 && kind > 0 && layout.has(SAMPLE_TIME) && (kind == 9 || sample_id_all) {
                prop_assert_eq!(layout.peek_time(&bytes), record.time());
            }
            if let Record::Sample(sample) = &record {
                prop_assert!(sample.frames().count() <= bytes.len() / 8 + 1);
                if layout.has(SAMPLE_TID) {
                    prop_assert_eq!(layout.peek_thread(&bytes), sample.pid.zip(sample.tid));
                }
                if layout.has(SAMPLE_ID) && !layout.has(SAMPLE_IDENTIFIER) {
                    prop_assert_eq!(layout.peek_id(&bytes), sample.id);
                }
            }
            let text = format!("{record:?}");
            prop_assert!(text.len() < 1 << 20);
        }
    }
}
