//! `burnmark trend`.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use burnmark_journal::metrics::Source;
use burnmark_journal::series::{Point, Series, SeriesSet};
use burnmark_journal::trend::{TrendOptions, trend};
use burnmark_report::{TableForm, TrendReport};

use super::metrics::{by_name, form};
use crate::args::TrendArgs;
use crate::{output, progress, results, signals};

/// Reads series, or watches a process, and says whether memory grows.
pub(crate) fn run(args: &TrendArgs) -> anyhow::Result<ExitCode> {
    for path in &args.output {
        if by_name(path).is_none() && !is_svg(path) {
            bail!("{}: the extension says nothing that can be written: use .svg, .csv, .md or .json", path.display());
        }
    }
    if args.output.len() > 1 && args.files.len() > 1 {
        bail!("-o writes one series: name one file");
    }
    let mut sets = Vec::new();
    if let Some(pid) = args.pid {
        sets.push((format!("process {pid}"), watch(pid, args)?));
    }
    for path in &args.files {
        sets.push((results::name(path), results::read_series(path, args.every.map(|every| every.as_secs_f64()))?));
    }
    let options = TrendOptions { warmup: args.warmup, allowed_per_hour: args.max_slope * 1e6 };
    let mut reports = Vec::new();
    for (name, set) in &sets {
        let series = chosen(name, set, args.series.as_deref())?;
        if !set.timed {
            bail!(
                "{name} has no times, so there is no slope: say how far apart its lines are, as in --every 5s, or write \
                 the time into each line"
            );
        }
        let trend = trend(series, &options);
        // What was watched is not thrown away because it was too little.
        if let (Err(_), true) = (&trend, args.pid.is_some()) {
            write_points(series, args)?;
        }
        let trend = trend.with_context(|| name.clone())?;
        let others =
            set.series.iter().map(|series| series.name.clone()).filter(|other| *other != series.name).collect();
        let notes = set.notes.iter().cloned().chain(trend.part.map(|part| part.note())).collect();
        reports.push(TrendReport {
            name: name.clone(),
            series,
            trend,
            allowed_mb_per_h: args.max_slope,
            others,
            notes,
        });
    }
    output::print(&burnmark_report::trends(&reports, &form(&args.form)))?;
    for path in &args.output {
        for report in &reports {
            write(report, path)?;
        }
        if !output::is_stdout(path) {
            output::say(&format!("wrote {}", path.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn is_svg(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"))
}

fn chosen<'s>(name: &str, set: &'s SeriesSet, wanted: Option<&str>) -> anyhow::Result<&'s Series> {
    set.choose(wanted).with_context(|| {
        let names: Vec<&str> = set.series.iter().map(|series| series.name.as_str()).collect();
        format!("{name} has no series {}: there are {}", wanted.unwrap_or_default(), names.join(", "))
    })
}

fn write(report: &TrendReport<'_>, path: &Path) -> anyhow::Result<()> {
    let text = match by_name(path) {
        Some(TableForm::Csv) => burnmark_report::points_csv(report.series),
        Some(form) => burnmark_report::trends(std::slice::from_ref(report), &form),
        None => burnmark_report::trend_svg(report),
    };
    output::write_file(path, |out| Ok(out.write_all(text.as_bytes())?))
}

/// Keeps the points of a process that was watched for too short a time.
fn write_points(series: &Series, args: &TrendArgs) -> anyhow::Result<()> {
    for path in args.output.iter().filter(|path| by_name(path) == Some(TableForm::Csv)) {
        output::write_file(path, |out| Ok(out.write_all(burnmark_report::points_csv(series).as_bytes())?))?;
        output::say(&format!("wrote {}", path.display()));
    }
    Ok(())
}

/// Reads a process's memory every so often.
fn watch(pid: u32, args: &TrendArgs) -> anyhow::Result<SeriesSet> {
    let every = args.every.unwrap_or(Duration::from_secs(1));
    let stop = signals::stop_flag()?;
    let mut anon = Series::new("anon");
    let mut rss = Series::new("rss");
    let begun = Instant::now();
    let end = args.duration.map(|duration| begun + duration);
    memory(pid).with_context(|| {
        format!("cannot watch process {pid}: it is not there, or is another user's (`ps -p {pid}` says)")
    })?;
    let shown = progress::Recording::start(args.duration);
    let mut next = begun;
    loop {
        let Ok([private, resident]) = memory(pid) else {
            output::say(&format!("process {pid} has ended"));
            break;
        };
        let time = begun.elapsed().as_secs_f64();
        anon.push(Point { time, bytes: private });
        rss.push(Point { time, bytes: resident });
        shown.say(format!("{:.1} MB private, {:.1} MB resident", private / 1e6, resident / 1e6));
        next += every;
        let until = end.map_or(next, |end| next.min(end));
        if !wait(until, &stop) || end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
    }
    shown.finish();
    Ok(SeriesSet {
        source: Source::Process,
        series: vec![anon, rss],
        timed: true,
        notes: Vec::new(),
        warnings: Vec::new(),
    })
}

/// Sleeps; false if it is to stop.
fn wait(until: Instant, stop: &std::sync::atomic::AtomicBool) -> bool {
    const STEP: Duration = Duration::from_millis(50);
    loop {
        if stop.load(std::sync::atomic::Ordering::Relaxed) {
            return false;
        }
        let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
            return true;
        };
        std::thread::sleep(left.min(STEP));
    }
}

/// Private (anonymous and swapped) and resident memory of a process, in bytes: proc_pid_status(5).
fn memory(pid: u32) -> anyhow::Result<[f64; 2]> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let of = |key: &str| -> Option<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
    };
    let (anon, rss) = (of("RssAnon"), of("VmRSS"));
    let (Some(anon), Some(rss)) = (anon, rss) else {
        bail!("process {pid} has no memory of its own: it is a kernel thread, or has ended");
    };
    Ok([anon + of("VmSwap").unwrap_or(0.0), rss])
}
