//! What a perf.data file's header says, as metadata.

use burnmark_perf::file::Head;

use crate::recorder::Recorder;

/// Completes the metadata of a recording whose samples are all in.
pub(super) fn fill(recorder: &mut Recorder, head: &Head, keep_args: bool) {
    let features = &head.features;
    let samples = &recorder.recording().samples;
    let times = || samples.times.iter().copied().filter(|time| *time > 0);
    let met = times().min().zip(times().max());
    let span = features.sample_time.filter(|(first, last)| *first > 0 && first <= last).or(met);
    let names: Vec<&str> = head.events.iter().filter(|event| !event.is_dummy).map(|event| &*event.name).collect();
    let names = names.join(", ");
    let frequency = head.events.iter().find_map(|event| event.frequency);
    let meta = recorder.meta_mut();
    meta.producer = Some(match &features.perf_version {
        Some(version) => format!("perf {version}"),
        None => "perf".to_owned(),
    });
    meta.kernel = features.os_release.clone();
    meta.cpu = features.cpu.clone();
    meta.command = command(&features.command_line, keep_args);
    meta.event = (!names.is_empty()).then_some(names);
    meta.frequency_hz = frequency;
    meta.duration_ns = span.and_then(|(first, last)| i64::try_from(last - first).ok());
    meta.start_unix_ns = features.clock.zip(span).and_then(|(clock, (first, _))| {
        i64::try_from(i128::from(clock.wall_ns) + i128::from(first) - i128::from(clock.sample_ns)).ok()
    });
    // Without a wall clock it tells at least when after boot, mostly.
    if let Some((first, _)) = span.filter(|_| meta.start_unix_ns.is_none()) {
        let (seconds, micros) = (first / 1_000_000_000, first / 1000 % 1_000_000);
        meta.other.insert("first_sample".to_owned(), format!("{seconds}.{micros:06} s on the recorder's clock"));
    }
    if let Some(arch) = &features.arch {
        meta.other.insert("machine".to_owned(), arch.clone());
    }
}

/// perf's command line, or of it the names of the programs only.
fn command(words: &[String], keep_args: bool) -> Option<String> {
    if words.is_empty() || keep_args {
        return (!words.is_empty()).then(|| words.join(" "));
    }
    let name = |path: &String| path.rsplit('/').next().unwrap_or(path).to_owned();
    let mut shown: Vec<String> = words.first().map(name).into_iter().collect();
    shown.extend(words.get(1).filter(|word| !word.starts_with('-')).cloned());
    if let Some(program) = words.iter().position(|word| word == "--").and_then(|at| words.get(at + 1)) {
        shown.extend(["--".to_owned(), name(program)]);
    }
    Some(shown.join(" "))
}

#[cfg(test)]
mod tests {
    #[test]
    fn arguments_are_private() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (line, shown) in [
            ("/usr/bin/perf record -g -- /home/ann/bin/server --token 7", "perf record -- server"),
            ("perf record -p 77", "perf record"),
            ("perf -vv", "perf"),
        ] {
            assert_eq!(super::command(&words(line), false).as_deref(), Some(shown));
            assert_eq!(super::command(&words(line), true).as_deref(), Some(line));
        }
        assert_eq!(super::command(&[], true), None);
    }
}
