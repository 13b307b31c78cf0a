//! From the path on the command line to a profile: opens the file, finishes a recording that was interrupted, reads,
//! filters.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, bail};
use burnmark_analysis::{Filter, MergeBy, ThreadSelector};
use burnmark_formats::{Input, ReadOptions};
use burnmark_model::{Parsed, Profile, Warning};

use crate::args::{FilterArgs, MergeChoice, ReadArgs};
use crate::perfdata::{self, Sniffed};
use crate::{output, progress, session, snapshots};

/// A profile that was read.
pub(crate) struct Opened {
    /// The profile, whole.
    pub(crate) profile: Profile,
    /// The name of its format.
    pub(crate) format: &'static str,
    /// What was wrong with the input. They have been printed.
    pub(crate) warnings: Vec<Warning>,
    /// What to call it in titles and messages.
    pub(crate) name: String,
}

/// Reads the profile at `path`, and prints warnings.
pub(crate) fn open(path: &Path, args: &ReadArgs) -> anyhow::Result<Opened> {
    let path = &session::finish_interrupted(path)?;
    let name = if output::is_stdout(path) { "standard input".to_owned() } else { path.display().to_string() };
    if args.format.is_none() && snapshots::is_snapshot(path)? {
        let snapshot = snapshots::open(path, args.max_decompressed, None)?;
        let (profile, warnings) = (burnmark_heap::profile(&snapshot), snapshot.warnings().to_vec());
        return Ok(Opened { profile, format: snapshots::NAME, warnings, name });
    }
    let counter = Arc::new(AtomicU64::new(0));
    let (input, total) = input(path)?;
    let sniffed =
        if args.format.is_none() { perfdata::sniff(input, args.max_decompressed)? } else { Sniffed::Other(input) };
    let following = progress::bytes(format!("reading {name}"), total, Arc::clone(&counter));
    let (format, parsed) = match sniffed {
        Sniffed::PerfData(source) => (perfdata::NAME, perfdata::read(source, args, &name, counter, following)?),
        Sniffed::Other(input) => {
            let read = other(input, args, counter);
            drop(following);
            read.with_context(|| format!("cannot read {name}"))?
        }
    };
    output::print_warnings(&name, &parsed.warnings);
    Ok(Opened { profile: parsed.profile, format, warnings: parsed.warnings, name })
}

/// Reads one of the formats that are all in the file.
fn other(
    input: Input,
    args: &ReadArgs,
    counter: Arc<AtomicU64>,
) -> Result<(&'static str, Parsed), burnmark_formats::Error> {
    let options = ReadOptions {
        format: args.format,
        max_decompressed: args.max_decompressed,
        progress: Some(counter),
        ..ReadOptions::default()
    };
    let (format, parsed) = burnmark_formats::read(input, &options)?;
    Ok((format.name(), parsed))
}

/// Opens the input; with its size, if it is a file.
fn input(path: &Path) -> anyhow::Result<(Input, Option<u64>)> {
    if output::is_stdout(path) {
        return Ok((Input::Stream(Box::new(std::io::stdin())), None));
    }
    let file = File::open(path).with_context(|| missing(path))?;
    let metadata = file.metadata().with_context(|| format!("cannot read {}", path.display()))?;
    if metadata.is_dir() {
        bail!("{} is a directory: name a profile in it", path.display());
    }
    // A FIFO or device is read as it comes: its length says nothing.
    if !metadata.is_file() {
        return Ok((Input::Stream(Box::new(file)), None));
    }
    Ok((Input::File { file, len: metadata.len() }, Some(metadata.len())))
}

fn missing(path: &Path) -> String {
    let default = Path::new(crate::save::DEFAULT_RECORDING);
    if path == default && !path.exists() {
        return format!("there is no {} here: `burnmark record` makes one, or name another profile", default.display());
    }
    format!("cannot open {}", path.display())
}

/// The part of a profile that the arguments ask for. `merge_by` is what counts as one frame unless they say.
pub(crate) fn filtered(
    profile: Profile,
    args: &FilterArgs,
    pids: &[i64],
    merge_by: Option<MergeBy>,
) -> anyhow::Result<Profile> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        bail!("--from is not before --to: nothing lies between them");
    }
    let filter = Filter {
        focus: args.focus.clone(),
        ignore: args.ignore.clone(),
        hide: args.hide.clone(),
        threads: args.thread.iter().map(|text| thread(text)).collect::<anyhow::Result<_>>()?,
        pids: pids.to_vec(),
        from_ns: args.from,
        to_ns: args.to,
        no_inline: args.no_inline,
        merge_by: args.merge_by.map(merge_choice).or(merge_by),
    };
    if filter.keeps_all() {
        return Ok(profile);
    }
    let before = profile.samples.len();
    let filtered = burnmark_analysis::filter(&profile, &filter)?;
    if filtered.samples.is_empty() && before > 0 {
        output::say(&format!("note: the filters leave none of {before} samples"));
    }
    Ok(filtered)
}

/// What counts as one frame in tables and flame graphs.
pub(crate) fn merge_choice(choice: MergeChoice) -> MergeBy {
    match choice {
        MergeChoice::Function => MergeBy::Function,
        MergeChoice::Line => MergeBy::Line,
        MergeChoice::Module => MergeBy::Module,
    }
}

fn thread(text: &str) -> anyhow::Result<ThreadSelector> {
    ThreadSelector::parse(text).with_context(|| format!("--thread {text}: neither a tid nor a regular expression"))
}

/// The index of the value type to show.
pub(crate) fn value(profile: &Profile, wanted: Option<&str>) -> anyhow::Result<usize> {
    let Some(wanted) = wanted else {
        return Ok(profile.default_value);
    };
    profile.find_value(wanted).with_context(|| {
        let types = profile.value_types.iter().map(|value| format!("{}/{}", value.name, value.unit));
        format!("--value {wanted}: the profile has {}", types.collect::<Vec<_>>().join(", "))
    })
}
