//! Memory over time: verdict, slope and a plot.

mod plot;
mod svg;

use burnmark_journal::series::Series;
use burnmark_journal::trend::{Trend, TrendVerdict};
use serde::Serialize;

use crate::TableForm;
use crate::grid::{Grid, figure};
use crate::names::printable;
use crate::numbers::{count, duration};
use crate::top::json::to_text;
use crate::top::markdown::escaped;

/// The trend of one series.
#[derive(Clone, Debug)]
pub struct TrendReport<'a> {
    /// The file, or the process.
    pub name: String,
    /// The points.
    pub series: &'a Series,
    /// What came of them.
    pub trend: Trend,
    /// Growth that was allowed.
    pub allowed_mb_per_h: f64,
    /// Other series of the same source.
    pub others: Vec<String>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    name: &'a str,
    series: &'a str,
    unit: &'static str,
    verdict: &'static str,
    why: &'a str,
    slope_per_hour: f64,
    ci: [f64; 2],
    allowed_per_hour: f64,
    points: usize,
    warmup_dropped: usize,
    gaps: usize,
    seconds: f64,
    growth: Option<f64>,
    first_third_per_hour: f64,
    last_third_per_hour: f64,
    minima: Vec<[f64; 2]>,
    most: f64,
    others: &'a [String],
    notes: &'a [String],
}

/// The trends, with a line end after the last line. JSON of several is a list of documents.
pub fn trends(reports: &[TrendReport<'_>], form: &TableForm) -> String {
    match *form {
        TableForm::Json => match reports {
            [one] => to_text(&document(one)),
            _ => to_text(&reports.iter().map(document).collect::<Vec<_>>()),
        },
        TableForm::Csv => grid(reports, true).csv(),
        TableForm::Markdown => markdown(reports),
        TableForm::Terminal { width, colours } => {
            let texts: Vec<String> = reports.iter().map(|report| terminal(report, width, colours)).collect();
            texts.join("\n")
        }
    }
}

fn document<'a>(report: &'a TrendReport<'_>) -> Document<'a> {
    let trend = &report.trend;
    Document {
        schema: "burnmark.trend/1",
        name: &report.name,
        series: &report.series.name,
        unit: "bytes",
        verdict: trend.verdict.word(),
        why: &trend.why,
        slope_per_hour: trend.slope_per_hour,
        ci: trend.ci,
        allowed_per_hour: report.allowed_mb_per_h * 1e6,
        points: trend.points,
        warmup_dropped: trend.warmup_dropped,
        gaps: trend.part.map_or(0, |part| part.gaps),
        seconds: trend.line[1].time - trend.line[0].time,
        growth: trend.growth,
        first_third_per_hour: trend.thirds[0],
        last_third_per_hour: trend.thirds[1],
        minima: trend.minima.iter().map(|point| [point.time, point.bytes]).collect(),
        most: report.series.most,
        others: &report.others,
        notes: &report.notes,
    }
}

/// `+3.6 MB/h`
fn slope(bytes_per_hour: f64) -> String {
    let sign = if bytes_per_hour > 0.0 { "+" } else { "" };
    format!("{sign}{}", figure(bytes_per_hour / 1e6))
}

/// The slope and its interval in a sentence.
fn sentence(report: &TrendReport<'_>) -> String {
    let trend = &report.trend;
    let [low, high] = trend.ci;
    let looked_at = duration(((trend.line[1].time - trend.line[0].time) * 1e9) as i64);
    format!(
        "{} {} MB/h [{} … {}], over {looked_at} after the warm-up",
        report.series.name,
        slope(trend.slope_per_hour),
        slope(low),
        slope(high),
    )
}

fn mark(verdict: TrendVerdict) -> &'static str {
    match verdict {
        TrendVerdict::Leak => "▲ leak",
        TrendVerdict::Stable => "✓ stable",
        TrendVerdict::Inconclusive => "? inconclusive",
    }
}

fn facts(report: &TrendReport<'_>) -> Vec<String> {
    let trend = &report.trend;
    let mut facts = vec![format!(
        "{} points, {} dropped as warm-up; low points of {} blocks; {:.1} MB at the beginning, {:.1} MB at the end of the line",
        count(trend.points),
        count(trend.warmup_dropped),
        trend.minima.len(),
        trend.line[0].bytes / 1e6,
        trend.line[1].bytes / 1e6,
    )];
    if report.allowed_mb_per_h > 0.0 {
        facts.push(format!("allowed: {} MB/h", figure(report.allowed_mb_per_h)));
    }
    if !report.others.is_empty() {
        facts.push(format!("also there: {} (--series)", report.others.join(", ")));
    }
    facts.extend(report.notes.iter().cloned());
    facts
}

fn terminal(report: &TrendReport<'_>, width: usize, colours: bool) -> String {
    let colour = match report.trend.verdict {
        TrendVerdict::Leak => "1;31",
        TrendVerdict::Stable => "1;32",
        TrendVerdict::Inconclusive => "1;33",
    };
    let verdict = mark(report.trend.verdict);
    let verdict = if colours { format!("\x1b[{colour}m{verdict}\x1b[0m") } else { verdict.to_owned() };
    let mut text = format!("{}: {verdict}: {}\n", printable(&report.name), report.trend.why);
    text.push_str(&format!("{}\n", sentence(report)));
    text.push_str(&plot::plot(report.series, &report.trend, width));
    facts(report).iter().for_each(|fact| text.push_str(&format!("{}\n", printable(fact))));
    text
}

fn grid(reports: &[TrendReport<'_>], raw: bool) -> Grid {
    let mut grid = Grid::new(&[
        "source",
        "series",
        ">MB/h",
        ">low",
        ">high",
        ">growth %",
        ">points",
        ">seconds",
        "verdict",
        "why",
    ]);
    let number = |value: f64| if raw { value.to_string() } else { figure(value) };
    for report in reports {
        let trend = &report.trend;
        grid.rows.push(vec![
            report.name.clone(),
            report.series.name.clone(),
            number(trend.slope_per_hour / 1e6),
            number(trend.ci[0] / 1e6),
            number(trend.ci[1] / 1e6),
            trend.growth.map(|growth| number(growth * 100.0)).unwrap_or_default(),
            trend.points.to_string(),
            number(trend.line[1].time - trend.line[0].time),
            trend.verdict.word().to_owned(),
            trend.why.clone(),
        ]);
    }
    grid
}

fn markdown(reports: &[TrendReport<'_>]) -> String {
    let mut text = grid(reports, false).markdown();
    let notes: Vec<&String> = reports.iter().flat_map(|report| &report.notes).collect();
    if !notes.is_empty() {
        text.push('\n');
        notes.iter().for_each(|note| text.push_str(&format!("- {}\n", escaped(note))));
    }
    text
}

/// The points as CSV: `time_s,NAME_bytes`. What `burnmark trend` reads again.
pub fn points_csv(series: &Series) -> String {
    let mut text = format!("time_s,{}_bytes\r\n", series.name);
    for point in &series.points {
        text.push_str(&format!("{},{}\r\n", point.time, point.bytes));
    }
    text
}

/// The plot as a picture.
pub fn trend_svg(report: &TrendReport<'_>) -> String {
    svg::draw(report, &format!("{}: {}", report.name, mark(report.trend.verdict)), &sentence(report))
}

#[cfg(test)]
mod tests {
    use burnmark_journal::series::Point;
    use burnmark_journal::trend::{TrendOptions, trend};

    use super::*;

    fn series() -> Series {
        let mut series = Series::new("heap_used");
        for second in 0..600_u32 {
            let bytes = 50e6 + 1e5 * f64::from(second) + 4e6 * f64::from(second % 30) / 30.0;
            series.push(Point { time: 1_000.0 + f64::from(second), bytes });
        }
        series
    }

    fn report(series: &Series) -> TrendReport<'_> {
        let trend = trend(series, &TrendOptions::default()).expect("enough points");
        let name = "a<b>&\"c\u{1b}".to_owned();
        TrendReport { name, series, trend, allowed_mb_per_h: 0.0, others: vec!["rss".to_owned()], notes: Vec::new() }
    }

    #[test]
    fn every_form_says_the_verdict() {
        let series = series();
        let reports = [report(&series)];
        let terminal = trends(&reports, &TableForm::Terminal { width: 80, colours: false });
        assert!(terminal.contains("▲ leak") && terminal.contains("+360"), "{terminal}");
        assert!(!terminal.contains('\x1b'));
        assert!(terminal.lines().all(|line| line.chars().count() < 200));
        let json: serde_json::Value = serde_json::from_str(&trends(&reports, &TableForm::Json)).expect("JSON");
        assert_eq!((&json["schema"], &json["verdict"]), (&"burnmark.trend/1".into(), &"leak".into()));
        assert!((json["slope_per_hour"].as_f64().expect("a number") / 3.6e8 - 1.0).abs() < 0.05);
        assert_eq!(trends(&reports, &TableForm::Markdown).lines().count(), 3);
        assert_eq!(points_csv(&series).lines().count(), 601);
    }

    #[test]
    fn the_picture_is_well_formed_and_holds_its_line() {
        let series = series();
        let svg = trend_svg(&report(&series));
        let mut reader = quick_xml::Reader::from_str(&svg);
        let mut circles = 0;
        loop {
            match reader.read_event().expect("well formed") {
                quick_xml::events::Event::Eof => break,
                quick_xml::events::Event::Empty(tag) if tag.name().as_ref() == b"circle" => circles += 1,
                _ => {}
            }
        }
        assert_eq!(circles, 10);
        assert!(svg.contains("a&lt;b&gt;&amp;") && !svg.contains('\x1b') && !svg.contains("NaN"));
    }

    #[test]
    fn flat_and_odd_series_are_drawn() {
        for bytes in [0.0, 5e6, 1e15] {
            let mut series = Series::new("x");
            (0..60).for_each(|second| series.push(Point { time: f64::from(second) * 1e-3, bytes }));
            let report = report(&series);
            let text = trends(std::slice::from_ref(&report), &TableForm::Terminal { width: 20, colours: true });
            assert!(text.contains("stable"), "{text}");
            assert!(!trend_svg(&report).contains("NaN"));
        }
    }
}
