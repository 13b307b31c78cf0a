use std::io::Read;

use burnmark_model::{Parsed, Profile, Sample, ValueType};
use pprof::protos;
use prost::Message;

use super::{Line, Location};
use crate::again::Again;
use crate::{Error, Format, Input, ReadOptions, WriteOptions};

mod files;
mod order;

/// What the writer makes of a profile.
pub(super) fn written(profile: &Profile, options: &WriteOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    super::write(profile, options, &mut bytes).expect("a Vec takes anything");
    bytes
}

/// Reads bytes as a file's would be, detection included.
pub(super) fn read_bytes(bytes: Vec<u8>) -> Result<Parsed, Error> {
    if bytes.is_empty() {
        // An empty profile is an empty file: nothing to detect.
        return super::read(Again::Bytes(bytes), &ReadOptions::default());
    }
    let (format, parsed) = crate::read(Input::Bytes(bytes), &ReadOptions::default())?;
    assert_eq!(format, Format::Pprof);
    Ok(parsed)
}

/// A file under construction: the crate's own types, encoded by prost as a whole, so that it does not share code with
/// the writer.
#[derive(Default)]
struct File {
    profile: protos::Profile,
    locations: Vec<Location>,
}

impl File {
    /// A file with one value type, `samples/count`.
    fn new() -> Self {
        let mut file = Self::default();
        file.text("");
        file.value_type("samples", "count");
        file
    }

    fn text(&mut self, text: &str) -> i64 {
        let table = &mut self.profile.string_table;
        let index = table.iter().position(|known| known == text).unwrap_or_else(|| {
            table.push(text.to_owned());
            table.len() - 1
        });
        index as i64
    }

    fn value_type(&mut self, name: &str, unit: &str) {
        let value = protos::ValueType { ty: self.text(name), unit: self.text(unit) };
        self.profile.sample_type.push(value);
    }

    fn function(&mut self, id: u64, name: &str) {
        let name = self.text(name);
        self.profile.function.push(protos::Function { id, name, ..Default::default() });
    }

    /// A location whose lines are these functions, innermost first.
    fn location(&mut self, id: u64, functions: &[u64]) {
        let line = functions.iter().map(|id| Line { function_id: *id, line: 7, column: 0 }).collect();
        self.locations.push(Location { id, mapping_id: 0, address: 0x1000 + id, line });
    }

    /// A function and a location of the same id.
    fn frame(&mut self, id: u64, name: &str) {
        self.function(id, name);
        self.location(id, &[id]);
    }

    fn sample(&mut self, locations: &[u64], values: &[i64]) -> &mut protos::Sample {
        self.profile.sample.push(protos::Sample {
            location_id: locations.to_vec(),
            value: values.to_vec(),
            label: Vec::new(),
        });
        self.profile.sample.last_mut().expect("just added")
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.profile.encode_to_vec();
        for location in &self.locations {
            prost::encoding::message::encode(4, location, &mut bytes);
        }
        bytes
    }

    fn read(&self) -> Parsed {
        read_bytes(self.bytes()).expect("readable")
    }
}

/// Every sample as `leaf<…<root value`.
fn stacks(parsed: &Parsed) -> Vec<String> {
    let profile = &parsed.profile;
    let column = profile.default_value;
    let line = |index: usize| {
        let names: Vec<_> = profile
            .frames_leaf_first(profile.samples.get(index).stack)
            .map(|frame| profile.frame_name(frame).into_owned())
            .collect();
        format!("{} {}", names.join("<"), profile.samples.values(column)[index])
    };
    (0..profile.samples.len()).map(line).collect()
}

fn warnings(parsed: &Parsed) -> Vec<String> {
    parsed.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn the_leaf_comes_first_and_inlines_innermost_first() {
    let mut file = File::new();
    for (id, name) in [(1, "main"), (2, "run"), (3, "inlined")] {
        file.function(id, name);
    }
    file.location(10, &[3, 2]);
    file.location(11, &[1]);
    file.sample(&[10, 11], &[5]);
    let parsed = file.read();
    assert_eq!(stacks(&parsed), ["inlined<run<main 5"]);
    let profile = &parsed.profile;
    let depths: Vec<_> = profile
        .frames_leaf_first(profile.samples.get(0).stack)
        .map(|frame| (profile.frames.get(frame).inline_depth, profile.frames.get(frame).address))
        .collect();
    assert_eq!(depths, [(1, Some(0x100a)), (0, Some(0x100a)), (0, Some(0x100b))]);
}

#[test]
fn the_last_value_type_is_the_default_unless_one_is_named() {
    let mut file = File::new();
    file.value_type("cpu", "nanoseconds");
    file.frame(1, "main");
    file.sample(&[1], &[2, 30]);
    assert_eq!(stacks(&file.read()), ["main 30"]);
    file.profile.default_sample_type = file.text("samples");
    assert_eq!(stacks(&file.read()), ["main 2"]);
    file.profile.default_sample_type = file.text("wall");
    let parsed = file.read();
    assert_eq!(stacks(&parsed), ["main 30"]);
    assert_eq!(warnings(&parsed), ["default_sample_type names no value type: the last one is taken"]);
}

#[test]
fn gzip_and_zstd_are_seen_through() {
    let mut file = File::new();
    file.frame(1, "main");
    file.sample(&[1], &[2]);
    let raw = file.bytes();
    let mut gzip = Vec::new();
    flate2::read::GzEncoder::new(raw.as_slice(), flate2::Compression::fast()).read_to_end(&mut gzip).unwrap();
    let zstd = zstd::encode_all(raw.as_slice(), 3).unwrap();
    for bytes in [raw, gzip, zstd] {
        assert_eq!(stacks(&read_bytes(bytes).unwrap()), ["main 2"]);
    }
}

#[test]
fn dropped_frames_go_with_what_they_call() {
    let mut file = File::new();
    for (id, name) in [(1, "main"), (2, "malloc"), (3, "detail"), (4, "malloc_hook(int)"), (5, "inlined"), (6, "user")]
    {
        file.frame(id, name);
    }
    // detail is inlined into malloc, which is inlined into user.
    file.location(10, &[3, 2, 6]);
    file.profile.drop_frames = file.text("malloc.*");
    file.profile.keep_frames = file.text("malloc_hook");
    for locations in [&[3, 2, 1][..], &[3, 4, 1], &[3, 10, 1], &[5, 2], &[2], &[3, 2, 5, 2]] {
        file.sample(locations, &[1]);
    }
    let parsed = file.read();
    assert_eq!(
        stacks(&parsed),
        [
            "main 1",
            "detail<malloc_hook(int)<main 1",
            "user<main 1",
            // Nothing is dropped above the first user frame, lest whole stacks go.
            "inlined<malloc 1",
            "malloc 1",
            "inlined<malloc 1",
        ]
    );
    assert_eq!(parsed.profile.meta.other["drop_frames"], "malloc.*");

    file.profile.drop_frames = file.text("(");
    let parsed = file.read();
    assert_eq!(stacks(&parsed)[0], "detail<malloc<main 1");
    assert_eq!(parsed.warnings.len(), 1);
}

#[test]
fn labels_become_columns_or_stay_labels() {
    let mut file = File::new();
    file.frame(1, "main");
    let [thread, worker, tid, pid, comm, nginx, time, ns, bytes, kib, route, home] = [
        "thread name",
        "worker",
        "tid",
        "pid",
        "comm",
        "nginx",
        "end_timestamp_ns",
        "nanoseconds",
        "bytes",
        "kilobytes",
        "route",
        "/home",
    ]
    .map(|text| file.text(text));
    let text = |key, str| protos::Label { key, str, num: 0, num_unit: 0 };
    let number = |key, num, num_unit| protos::Label { key, str: 0, num, num_unit };
    file.sample(&[1], &[1]).label = vec![
        text(thread, worker),
        number(tid, 12, 0),
        number(pid, 0, 0),
        text(comm, nginx),
        number(time, 99, ns),
        number(bytes, 4, kib),
        text(route, home),
        // A text where a number belongs is no column.
        text(tid, home),
    ];
    let parsed = file.read();
    let profile = &parsed.profile;
    let sample = profile.samples.get(0);
    assert_eq!(sample.time_ns, Some(99));
    let thread = profile.threads.get(sample.thread.unwrap());
    let process = profile.processes.get(thread.process);
    assert_eq!((thread.tid, process.pid), (Some(12), Some(0)));
    assert_eq!(profile.strings.get(thread.name.unwrap()), "worker");
    assert_eq!(profile.strings.get(process.name.unwrap()), "nginx");
    let labels: Vec<_> = profile
        .label_sets
        .get(sample.labels.unwrap())
        .iter()
        .map(|label| match label.value {
            burnmark_model::LabelValue::Text(text) => {
                format!("{}={}", profile.strings.get(label.key), profile.strings.get(text))
            }
            burnmark_model::LabelValue::Number(number, unit) => {
                let unit = unit.map_or("", |unit| profile.strings.get(unit));
                format!("{}={number} {unit}", profile.strings.get(label.key))
            }
        })
        .collect();
    assert_eq!(labels, ["bytes=4 kilobytes", "route=/home", "tid=/home"]);
}

#[test]
fn a_mapping_without_symbols_gives_module_and_address() {
    let mut file = File::new();
    let filename = file.text("/usr/lib/libx.so");
    let build_id = file.text("abcdef");
    file.profile.mapping.push(protos::Mapping {
        id: u64::MAX,
        memory_start: 0x1000,
        memory_limit: 0x9000,
        file_offset: 0x200,
        filename,
        build_id,
        ..Default::default()
    });
    file.locations.push(Location { id: u64::MAX - 1, mapping_id: u64::MAX, address: 0x1234, line: vec![] });
    file.sample(&[u64::MAX - 1], &[1]);
    let parsed = file.read();
    assert_eq!(stacks(&parsed), ["libx.so+0x1234 1"]);
    let (_, module) = parsed.profile.modules.iter().next().unwrap();
    assert_eq!(module.memory, [0x1000, 0x9000, 0x200]);
    assert_eq!(parsed.profile.strings.get(module.build_id.unwrap()), "abcdef");
    assert_eq!(warnings(&parsed), [""; 0]);
}

#[test]
fn what_is_missing_or_wrong_is_said_with_its_place() {
    let mut file = File::new();
    file.frame(1, "main");
    file.frame(1, "twice");
    file.locations.push(Location {
        id: 2,
        mapping_id: 77,
        address: 1,
        line: vec![Line { function_id: 99, line: -4, column: i64::MAX }],
    });
    file.profile.function.push(protos::Function { id: 3, name: 1000, ..Default::default() });
    file.location(4, &[3]);
    file.sample(&[5, 1], &[1]);
    file.sample(&[2, 1], &[1]);
    file.sample(&[4, 1], &[1]);
    file.sample(&[1], &[1, 2]);
    file.sample(&[1], &[]);
    file.sample(&[1], &[-7]);
    let parsed = file.read();
    assert_eq!(stacks(&parsed), ["[unknown]<main 1", "0x1<main 1", "0x1004<main 1", "main -7"]);
    let warnings = warnings(&parsed);
    for (warning, expected) in warnings.iter().zip([
        "a function has the id of another one: the first is taken (byte ",
        "a location has the id of another one: the first is taken (byte ",
        "a sample names a location that is not there: the frame is not known (byte ",
        "a location names a mapping that is not there: its module is not known (byte ",
        "a location names a function that is not there: it is shown without a name (byte ",
        "an index into the string table is out of range: the text is taken as missing (byte ",
        "a sample has more or fewer values than there are value types: it is left out (2 times, first at byte ",
    ]) {
        assert!(warning.starts_with(expected), "{warning}");
    }
    assert_eq!(warnings.len(), 7);
}

#[test]
fn values_that_do_not_fit_are_an_error() {
    let mut file = File::new();
    file.frame(1, "main");
    file.sample(&[1], &[i64::MAX]);
    file.sample(&[1], &[1]);
    let error = read_bytes(file.bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the values of samples/count add up to more than 2^63: split the input, or correct the value that is wrong"
    );
}

#[test]
fn samples_without_value_types_are_an_error() {
    let mut file = File::default();
    file.text("");
    file.sample(&[], &[1]);
    assert!(read_bytes(file.bytes()).unwrap_err().to_string().contains("no sample_type"));
}

#[test]
fn a_file_cut_short_says_where() {
    let mut file = File::new();
    file.frame(1, "main");
    file.sample(&[1], &[1]);
    let mut bytes = file.bytes();
    bytes.truncate(bytes.len() - 1);
    let text = read_bytes(bytes).unwrap_err().to_string();
    assert!(text.starts_with("not valid pprof at byte ") && text.contains("middle of a field"), "{text}");
}

#[test]
fn stacks_may_be_very_deep() {
    let mut file = File::new();
    file.frame(1, "main");
    file.frame(2, "recurse");
    let mut locations = vec![2; 100_000];
    locations.push(1);
    file.sample(&locations, &[1]);
    let parsed = file.read();
    assert_eq!(parsed.profile.stacks.len(), 100_001);
    let again = read_bytes(written(&parsed.profile, &WriteOptions::default())).unwrap();
    assert_eq!(stacks(&again), stacks(&parsed));
    // Too deep to mean anything.
    file.sample(&vec![2; 2 << 20], &[1]);
    let parsed = file.read();
    assert_eq!((parsed.profile.samples.len(), parsed.warnings.len()), (1, 1));
}

#[test]
fn few_bytes_that_mean_endless_stacks_are_refused() {
    let mut file = File::new();
    file.function(1, "f");
    file.location(1, &[1; 1 << 14]);
    for id in 2..2000 {
        file.location(id, &[1]);
        file.sample(&[id, 1], &[1]);
    }
    let error = read_bytes(file.bytes()).unwrap_err().to_string();
    assert!(error.contains("more frames than a file of this size can mean"), "{error}");
}

#[test]
fn a_zip_bomb_is_stopped_before_it_fills_the_memory() {
    let mut file = File::new();
    file.frame(1, "main");
    file.sample(&[1], &[1]);
    let mut bytes = file.bytes();
    let sample = [0x12, 0x06, 0x0a, 0x01, 0x01, 0x12, 0x01, 0x01];
    bytes.extend(sample.repeat(1 << 20));
    let gzip = zstd::encode_all(bytes.as_slice(), 3).unwrap();
    assert!(gzip.len() < 4096);
    let options = ReadOptions { max_decompressed: 64 << 20, ..ReadOptions::default() };
    let error = crate::read(Input::Bytes(gzip), &options).unwrap_err().to_string();
    assert!(error.contains("8388608 bytes of memory: raise the bound with --max-decompressed"), "{error}");
}

#[test]
fn above_a_bound_samples_are_merged_per_stack_thread_and_100_ms() {
    let mut file = File::new();
    file.frame(1, "main");
    file.frame(2, "other");
    let (time, tid) = (file.text("end_timestamp_ns"), file.text("tid"));
    for (location, at, thread) in [(1, 0, 1), (1, 99_999_999, 1), (2, 5, 1), (1, 7, 2), (1, 100_000_000, 1), (1, -1, 1)]
    {
        let number = |key, num| protos::Label { key, str: 0, num, num_unit: 0 };
        file.sample(&[location], &[2]).label = vec![number(time, at), number(tid, thread)];
    }
    let profile = file.read().profile;
    let merge = |above| {
        let options = WriteOptions { merge_above: Some(above), ..WriteOptions::default() };
        read_bytes(written(&profile, &options)).unwrap()
    };
    assert_eq!(merge(6).profile.samples.len(), 6);
    let merged = merge(5);
    let times: Vec<_> = merged.profile.samples.iter().map(|sample| sample.time_ns).collect();
    assert_eq!(times, [Some(99_999_999), Some(5), Some(7), Some(100_000_000), Some(-1)]);
    assert_eq!(merged.profile.samples.values(0), [4, 2, 2, 2, 2]);
    assert_eq!(merged.profile.meta.notes, ["6 samples were merged into 5: one per stack, thread and 100 ms"]);
}

#[test]
fn the_file_is_valid_by_pprofs_rules() {
    let mut profile = Profile::new(vec![ValueType::samples(), ValueType::new("cpu", "nanoseconds")]);
    profile.default_value = 1;
    profile.meta.period = Some(1_001_001);
    profile.samples.push(Sample::default(), &[1, 1_001_001]).unwrap();
    let file = protos::Profile::decode(written(&profile, &WriteOptions::default()).as_slice()).unwrap();
    assert_eq!(file.string_table[0], "");
    let text = |index: i64| file.string_table[index as usize].as_str();
    let period_type = file.period_type.as_ref().unwrap();
    assert_eq!((text(period_type.ty), text(period_type.unit), file.period), ("cpu", "nanoseconds", 1_001_001));
    assert_eq!(text(file.default_sample_type), "cpu");
}

#[test]
fn the_program_is_the_first_mapping() {
    let mut profile = Profile::new(vec![ValueType::samples()]);
    let mut stack = None;
    for path in ["/usr/bin/server", "/usr/lib/libc.so.6", "[kernel.kallsyms]"] {
        let path = profile.strings.intern(path);
        let module = Some(profile.modules.intern(burnmark_model::Module::at(path)));
        let function = burnmark_model::Function::named(path);
        let function = profile.functions.intern(function);
        let frame = profile.frames.intern(burnmark_model::Frame { module, ..burnmark_model::Frame::of(function) });
        stack = Some(profile.push_frame(stack, frame));
    }
    profile.samples.push(Sample { stack, ..Sample::default() }, &[1]).unwrap();
    let file = protos::Profile::decode(written(&profile, &WriteOptions::default()).as_slice()).unwrap();
    let names: Vec<_> = file.mapping.iter().map(|mapping| &*file.string_table[mapping.filename as usize]).collect();
    assert_eq!(names, ["/usr/bin/server", "[kernel.kallsyms]", "/usr/lib/libc.so.6"]);
}

#[test]
fn legacy_formats_are_named_with_a_way_out() {
    let words =
        |size: usize| [0u64, 3, 0, 10_000, 0].iter().flat_map(|word| word.to_le_bytes()[..size].to_vec()).collect();
    let inputs: [(Vec<u8>, &str); 4] = [
        (b"heap profile:      1:      256 [     1:      256] @ heapz/1048576\n".to_vec(), "a legacy heap profile"),
        (b"--- contention:\ncycles/second = 3201000000\n".to_vec(), "a legacy contention profile"),
        (words(8), "a legacy CPU profile"),
        (words(4), "a legacy CPU profile"),
    ];
    for (bytes, what) in inputs {
        let reason = super::sniff(&bytes).unwrap_err();
        assert!(reason.contains(what) && reason.contains("go tool pprof -proto"), "{reason}");
    }
}

#[test]
fn texts_are_not_taken_for_pprof() {
    for text in [
        "main;run 3\n",
        "\n\nperf 1 [000] 1.0: cycles:\n",
        "2015;x 1\n",
        "\"a\" 1\n",
        "{\"nodes\":[]}",
        "HHHHHHHHHHHH",
        "\n",
    ] {
        assert!(super::sniff(text.as_bytes()).is_err(), "{text:?}");
    }
}
