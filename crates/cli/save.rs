//! Writing a profile in the form that a file's name asks for.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use burnmark_analysis::{MergeBy, RankOptions, rank, summarize};
use burnmark_formats::{Format, WriteOptions};
use burnmark_model::Profile;

use crate::args::{DEFAULT_ROWS, FlameLook, OutputFormat};
use crate::output;

/// Where a recording goes, and what is read, when nothing else is said.
pub(crate) const DEFAULT_RECORDING: &str = "burnmark.pb.gz";

/// Samples above which a pprof file holds one entry per stack, thread and 100 ms instead of one per sample.
const MERGE_ABOVE: usize = 4_000_000;

/// What to write, beyond the profile.
pub(crate) struct SaveOptions {
    /// Format; taken from the file's name if not given.
    pub(crate) format: Option<OutputFormat>,
    /// Value type to write, for formats that hold one.
    pub(crate) value: usize,
    /// Whether the user chose the value type.
    pub(crate) value_chosen: bool,
    /// Ranking, for tables; its `value` is taken from here.
    pub(crate) rank: RankOptions,
    /// What one frame of a flame graph is.
    pub(crate) merge_by: Option<MergeBy>,
    /// For flame graphs.
    pub(crate) look: FlameLook,
    /// Smallest share of a frame in a flame graph, as a fraction.
    pub(crate) min_share: Option<f64>,
    /// Deepest level of a flame graph.
    pub(crate) max_depth: Option<usize>,
    /// What the profile is of, for titles.
    pub(crate) name: String,
}

impl SaveOptions {
    /// Everything as it is when nothing is asked for.
    pub(crate) fn plain(profile: &Profile, name: &str) -> Self {
        Self {
            format: None,
            value: profile.default_value,
            value_chosen: false,
            rank: RankOptions { limit: table_rows(None), ..RankOptions::default() },
            merge_by: None,
            look: FlameLook::default(),
            min_share: None,
            max_depth: None,
            name: name.to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

/// The format and compression that a file's name asks for.
fn by_name(path: &Path, format: Option<OutputFormat>) -> anyhow::Result<(OutputFormat, Compression)> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let (stem, compression) = match (name.strip_suffix(".gz"), name.strip_suffix(".zst")) {
        (Some(stem), _) => (stem, Compression::Gzip),
        (_, Some(stem)) => (stem, Compression::Zstd),
        _ => (name.as_str(), Compression::None),
    };
    if let Some(format) = format {
        return Ok((format, compression));
    }
    let extension = stem.rsplit_once('.').map_or("", |(_, extension)| extension);
    let format = match extension {
        "pb" | "pprof" => OutputFormat::Pprof,
        "folded" | "collapsed" | "txt" => OutputFormat::Folded,
        "svg" => OutputFormat::Svg,
        "md" => OutputFormat::Md,
        "csv" => OutputFormat::Csv,
        "json" => OutputFormat::Json,
        _ if output::is_stdout(path) => bail!("standard output has no extension: say the format with --as"),
        _ => bail!(
            "{}: the extension says no format that can be written: use .pb.gz, .folded, .svg, .md, .csv or .json, or --as",
            path.display()
        ),
    };
    Ok((format, compression))
}

/// Checks that [`save`] will understand the file's name, before any work is done.
pub(crate) fn check_name(path: &Path, format: Option<OutputFormat>) -> anyhow::Result<()> {
    by_name(path, format).map(drop)
}

/// Checks that [`recording`] will know what to write there.
pub(crate) fn check_recording(path: &Path) -> anyhow::Result<()> {
    let is_device = std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    match by_name(path, None) {
        Err(_) if !is_device => bail!(
            "{}: the extension says no format that can be written: use .pb.gz, .folded, .svg, .md, .csv or .json",
            path.display()
        ),
        _ => Ok(()),
    }
}

/// Writes a recording to `path` in the format that its name asks for, pprof where the name says nothing.
pub(crate) fn recording(profile: &Profile, path: &Path) -> anyhow::Result<()> {
    let format = by_name(path, None).is_err().then_some(OutputFormat::Pprof);
    save(profile, path, &SaveOptions { format, ..SaveOptions::plain(profile, &path.display().to_string()) })
}

/// Writes `profile` to `path`, whole or not at all.
pub(crate) fn save(profile: &Profile, path: &Path, options: &SaveOptions) -> anyhow::Result<()> {
    let (format, compression) = by_name(path, options.format)?;
    if matches!(format, OutputFormat::Folded | OutputFormat::Svg) {
        say_what_is_left_out(profile, options);
    }
    output::write_file(path, |out| match compression {
        Compression::None => write(profile, format, options, out),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
            write(profile, format, options, &mut encoder)?;
            encoder.finish()?;
            Ok(())
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(out, 0)?;
            write(profile, format, options, &mut encoder)?;
            encoder.finish()?;
            Ok(())
        }
    })
    .with_context(|| format!("nothing was written to {}", path.display()))
}

/// Says which events are not in a format that holds one value type. A count and a measure of one event are no loss.
fn say_what_is_left_out(profile: &Profile, options: &SaveOptions) {
    let Some(shown) = profile.value_types.get(options.value) else { return };
    let names = profile.value_types.iter().map(|value| value.name.as_str());
    let mut others = names.filter(|name| *name != "samples" && *name != shown.name).collect::<Vec<_>>();
    others.dedup();
    if shown.name != "samples" && !others.is_empty() && !options.value_chosen {
        output::say(&format!(
            "note: this format holds one value type, here {}/{}; --value chooses another: {}",
            shown.name,
            shown.unit,
            others.join(", ")
        ));
    }
}

fn write(profile: &Profile, format: OutputFormat, options: &SaveOptions, out: &mut dyn Write) -> anyhow::Result<()> {
    match format {
        OutputFormat::Pprof => {
            burnmark_formats::write(profile, Format::Pprof, &write_options(options), out)?;
        }
        OutputFormat::Folded => {
            burnmark_formats::write(profile, Format::Folded, &write_options(options), out)?;
        }
        OutputFormat::Svg => crate::commands::flame::draw(profile, options, out)?,
        OutputFormat::Md | OutputFormat::Csv | OutputFormat::Json => {
            let rank_options = RankOptions { value: options.value, ..options.rank.clone() };
            let mut ranking = rank(profile, &rank_options)?;
            ranking.categorize(burnmark_analysis::Rules::shipped());
            let summary = summarize(profile, options.value)?;
            let form = match format {
                OutputFormat::Md => burnmark_report::TableForm::Markdown,
                OutputFormat::Csv => burnmark_report::TableForm::Csv,
                _ => burnmark_report::TableForm::Json,
            };
            out.write_all(burnmark_report::top(profile, &ranking, &summary, &form).as_bytes())?;
        }
    }
    Ok(())
}

fn write_options(options: &SaveOptions) -> WriteOptions {
    WriteOptions { value: Some(options.value), merge_above: Some(MERGE_ABOVE), ..WriteOptions::default() }
}

/// Moves a file that is in the way of a new recording to `NAME.old.EXT`, as perf does; one that is there already goes.
pub(crate) fn keep_old(path: &Path) -> anyhow::Result<()> {
    if output::is_stdout(path) || !path.is_file() {
        return Ok(());
    }
    let old = old_name(path);
    std::fs::rename(path, &old)
        .with_context(|| format!("cannot keep the earlier {} as {}", path.display(), old.display()))
}

fn old_name(path: &Path) -> PathBuf {
    // Names are bytes: one that is no UTF-8 must not become another.
    let name = path.file_name().unwrap_or_default().as_bytes();
    let stem = name.iter().position(|&byte| byte == b'.').filter(|&at| at > 0).unwrap_or(name.len());
    let old = [&name[..stem], b".old", &name[stem..]].concat();
    path.with_file_name(OsStr::from_bytes(&old))
}

/// The ranking of a table written to a file.
pub(crate) fn table_rows(limit: Option<usize>) -> Option<usize> {
    match limit {
        Some(0) => None,
        Some(limit) => Some(limit),
        None => Some(DEFAULT_ROWS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_formats() {
        let of = |name: &str| by_name(Path::new(name), None).ok();
        assert_eq!(of("a.pb.gz"), Some((OutputFormat::Pprof, Compression::Gzip)));
        assert_eq!(of("x.y/a.FOLDED"), Some((OutputFormat::Folded, Compression::None)));
        assert_eq!(of("a.svg.zst"), Some((OutputFormat::Svg, Compression::Zstd)));
        assert_eq!(of("a"), None);
        assert_eq!(of("-"), None);
        assert_eq!(of(".gz"), None);
    }

    #[test]
    fn old_recordings_keep_their_extensions() {
        assert_eq!(old_name(Path::new("d/burnmark.pb.gz")), Path::new("d/burnmark.old.pb.gz"));
        assert_eq!(old_name(Path::new("plain")), Path::new("plain.old"));
        assert_eq!(old_name(Path::new(".hidden")), Path::new(".hidden.old"));
        let [odd, old] = [b"\xff.pb", &b"\xff.old.pb"[..]].map(|name| Path::new(OsStr::from_bytes(name)));
        assert_eq!(old_name(odd), old);
    }
}
