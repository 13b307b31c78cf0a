//! A plot of points in characters: dots of Braille patterns, two by four in each.

use burnmark_journal::series::Series;
use burnmark_journal::trend::Trend;

use crate::grid::figure;

/// Lines of the plot.
const ROWS: usize = 8;

/// Room for the numbers at its left.
const MARGIN: usize = 10;

/// The bit of each dot of a Braille pattern, by column and row (Unicode, 15.10).
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// The points; the low points of the blocks are circles, the warm-up is marked below.
pub(super) fn plot(series: &Series, trend: &Trend, width: usize) -> String {
    let columns = width.saturating_sub(MARGIN + 2).clamp(10, 100);
    let (Some(first), Some(last)) = (series.points.first(), series.points.last()) else { return String::new() };
    let least = series.points.iter().map(|point| point.bytes).fold(f64::INFINITY, f64::min);
    let most = series.points.iter().map(|point| point.bytes).fold(f64::NEG_INFINITY, f64::max);
    let tall = if most > least { most - least } else { 1.0 };
    let long = if last.time > first.time { last.time - first.time } else { 1.0 };
    let across = |time: f64, cells: usize| (((time - first.time) / long * cells as f64) as usize).min(cells - 1);
    let down = |bytes: f64, cells: usize| (((most - bytes) / tall * cells as f64) as usize).min(cells - 1);
    let mut cells = vec![vec![0_u32; columns]; ROWS];
    for point in &series.points {
        let (x, y) = (across(point.time, columns * 2), down(point.bytes, ROWS * 4));
        cells[y / 4][x / 2] |= DOTS[x % 2][y % 4];
    }
    let dotted = |bits: &u32| if *bits == 0 { ' ' } else { char::from_u32(0x2800 + bits).unwrap_or(' ') };
    let mut rows: Vec<Vec<char>> = cells.iter().map(|row| row.iter().map(dotted).collect()).collect();
    for low in &trend.minima {
        rows[down(low.bytes, ROWS)][across(low.time, columns)] = 'o';
    }
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let label = match index {
            0 => format!("{} MB", figure(most / 1e6)),
            index if index == ROWS - 1 => format!("{} MB", figure(least / 1e6)),
            _ => String::new(),
        };
        let line: String = row.iter().collect();
        text.push_str(&format!("{label:>MARGIN$} ┤{}\n", line.trim_end()));
    }
    let begin = trend.part.map_or(0, |part| across(part.times[0], columns));
    let warm = if trend.warmup_dropped == 0 { begin..begin } else { begin..across(trend.from, columns) };
    let axis: String = (0..columns).map(|column| if warm.contains(&column) { '╌' } else { '─' }).collect();
    text.push_str(&format!("{:>MARGIN$} └{axis}\n", ""));
    let end = crate::numbers::duration((long * 1e9) as i64);
    let warm_up = if warm.len() >= 9 { " ".repeat(begin) + "warm-up" } else { String::new() };
    let blanks = columns.saturating_sub(warm_up.len() + end.chars().count());
    text.push_str(&format!("{:>MARGIN$}  {warm_up}{}{end}\n", "", " ".repeat(blanks)));
    text
}
