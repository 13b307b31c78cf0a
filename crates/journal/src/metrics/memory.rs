//! Figures of memory over time: peaks, and slopes with their intervals.

use std::io::BufRead;

use super::collect::Collect;
use super::{Lines, Measured};
use crate::series::{self, SeriesSet};
use crate::trend::{TrendOptions, trend};
use crate::{Direction, Error, Metric};

/// Reads a series and takes its figures.
pub(super) fn read<R: BufRead>(lines: Lines<R>) -> Result<Measured, Error> {
    match series::read_lines(lines, None) {
        Ok(set) => Ok(measured(&set)),
        Err(Error::UnknownSeries { seen }) => Err(Error::UnknownResults { seen }),
        Err(error) => Err(error),
    }
}

/// The figures of series: the peak of each in MB, and where times are known its slope in MB per hour.
pub fn measured(set: &SeriesSet) -> Measured {
    let mut collect = Collect::new(set.source);
    for series in &set.series {
        let n = Some(series.points.len() as u64);
        let name = if series.name == "rss" { "memory_mb".to_owned() } else { format!("max_{}_mb", series.name) };
        collect.push(Metric { n, ..Metric::new(name, "MB", Direction::Lower, series.most / 1e6) });
        let last = series.points.last().map(|point| point.bytes / 1e6);
        collect.add(&format!("last_{}_mb", series.name), "MB", Direction::Lower, last);
    }
    for series in set.series.iter().filter(|_| set.timed) {
        let name = if series.name == "heap_used" { "heap" } else { &series.name };
        match trend(series, &TrendOptions::default()) {
            Ok(trend) => {
                if let Some(part) = trend.part {
                    // Of a part there is no saying that a limit was kept.
                    collect.warn(format!("{}: {}", series.name, part.note()), None);
                }
                let slope = trend.slope_per_hour / 1e6;
                collect.push(Metric {
                    ci: Some(trend.ci.map(|bound| bound / 1e6)),
                    n: Some(trend.points as u64),
                    ..Metric::new(format!("{name}_slope_mb_per_h"), "MB/h", Direction::Lower, slope)
                });
            }
            Err(error) => collect.note(format!("{}: {error}", series.name)),
        }
    }
    if !set.timed {
        collect
            .note("the lines have no times: there is no slope per hour (`burnmark trend --every SECONDS` says them)");
    }
    set.notes.iter().for_each(|note| collect.note(note.clone()));
    let mut measured = collect.finish();
    measured.warnings.extend(set.warnings.iter().cloned());
    measured
}
