//! Against scipy, and on series of known shape.

use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::series;

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/metrics/memory").join(name);
    std::fs::read(path).expect("the fixture is there")
}

#[track_caller]
fn close(ours: f64, theirs: &Value) {
    let theirs = theirs.as_f64().expect("a number");
    // Times are read with a microsecond's rounding on both sides.
    assert!((ours - theirs).abs() <= 3e-6 * theirs.abs(), "{ours} against {theirs}");
}

/// `trend.expected.json` is `oracle.py`'s: scipy.stats.theilslopes on the minima that numpy takes.
#[test]
fn agrees_with_scipy() {
    let expected: Value = serde_json::from_slice(&fixture("trend.expected.json")).expect("JSON");
    for name in ["leak", "steady", "warmup"] {
        let set = series::read(&fixture(&format!("{name}.ndjson"))[..], None).expect("it is read");
        for (ours, theirs) in [("heap_used", "heapUsed"), ("rss", "rss")] {
            let expected = &expected[format!("{name} {theirs}")];
            let series = set.choose(Some(ours)).expect("node tells it");
            let trend = trend(series, &TrendOptions::default()).expect("enough points");
            close(trend.slope_per_hour, &expected["slope_per_hour"]);
            close(trend.inflation, &expected["inflation"]);
            close(trend.bent, &expected["bent_per_hour"]);
            assert_eq!(trend.points as u64, expected["kept"].as_u64().expect("a number"));
            for at in 0..2 {
                close(trend.ci[at], &expected["interval_per_hour"][at]);
            }
            // Without the correction for neighbours: scipy's own interval.
            let slopes = slope::slopes(&trend.minima);
            let mut values: Vec<f64> = trend.minima.iter().map(|point| point.bytes).collect();
            values.sort_by(f64::total_cmp);
            let plain = slope::interval(&slopes, &values, 1.0);
            for at in 0..2 {
                close(plain[at] * 3_600.0, &expected["scipy_interval_per_hour"][at]);
            }
        }
    }
}

/// Real programs: one that keeps a little of each turn, one that makes garbage only, one that fills a cache.
#[test]
fn real_programs_are_told_apart() {
    let verdict = |name: &str| {
        let set = series::read(&fixture(&format!("{name}.ndjson"))[..], None).expect("it is read");
        trend(set.choose(None).expect("a series"), &TrendOptions::default()).expect("enough points")
    };
    assert_eq!(verdict("leak").verdict, TrendVerdict::Leak, "{:?}", verdict("leak"));
    for name in ["steady", "warmup"] {
        assert_ne!(verdict(name).verdict, TrendVerdict::Leak, "{name}: {:?}", verdict(name));
    }
}

fn line(points: impl IntoIterator<Item = (f64, f64)>) -> Series {
    let mut series = Series::new("heap_used");
    points.into_iter().for_each(|(time, bytes)| series.push(Point { time, bytes }));
    series
}

#[test]
fn series_of_known_shape() {
    let judged = |series: &Series, allowed: f64| {
        let options = TrendOptions { allowed_per_hour: allowed, ..TrendOptions::default() };
        trend(series, &options).expect("enough points")
    };
    let straight = line((0..7_200).map(|second| (f64::from(second), 10e6 + 1e3 * f64::from(second))));
    let found = judged(&straight, 0.0);
    assert_eq!(found.verdict, TrendVerdict::Leak);
    assert!((found.slope_per_hour - 3.6e6).abs() < 1.0 && (found.ci[0] - 3.6e6).abs() < 1.0, "{found:?}");
    assert_eq!((found.points, found.warmup_dropped, found.minima.len()), (3_600, 3_600, BLOCKS));
    // As much as is allowed is no leak.
    assert_eq!(judged(&straight, 4e6).verdict, TrendVerdict::Stable);
    assert_eq!(judged(&straight, 3e6).verdict, TrendVerdict::Leak);
    // A sawtooth of garbage: 30 MB come and go every minute.
    let sawtooth = line((0..7_200).map(|second| (f64::from(second), 50e6 + 5e5 * f64::from(second % 60))));
    assert_eq!(judged(&sawtooth, 0.0).verdict, TrendVerdict::Stable);
    // Less than 5 % in the time looked at.
    let slow = line((0..7_200).map(|second| (f64::from(second), 1e9 + 1e3 * f64::from(second))));
    let found = judged(&slow, 0.0);
    assert_eq!(found.verdict, TrendVerdict::Inconclusive);
    assert!(found.why.contains("only by 0.4 %"), "{}", found.why);
    // A warm-up that reaches into what is looked at and levels off.
    for time_constant in [600.0, 1_200.0, 1_800.0] {
        let saturating = |second: f64| 50e6 + 100e6 * (1.0 - (-second / time_constant).exp());
        let found = judged(&line((0..7_200).map(|second| (f64::from(second), saturating(f64::from(second))))), 0.0);
        assert_ne!(found.verdict, TrendVerdict::Leak, "{time_constant}: {found:?}");
    }
    // A step, then flat.
    let step = line((0..7_200).map(|second| (f64::from(second), if second < 4_500 { 50e6 } else { 90e6 })));
    assert_ne!(judged(&step, 0.0).verdict, TrendVerdict::Leak);
    let shrinking = line((0..7_200).map(|second| (f64::from(second), 90e6 - 1e3 * f64::from(second))));
    assert_eq!(judged(&shrinking, 0.0).verdict, TrendVerdict::Stable);
    let flat = line((0..100).map(|second| (f64::from(second), 0.0)));
    assert_eq!(judged(&flat, 0.0).verdict, TrendVerdict::Stable);
}

#[test]
fn too_little_is_said() {
    let few = line((0..30).map(|second| (f64::from(second), 1e6)));
    let error = trend(&few, &TrendOptions::default()).expect_err("15 are left").to_string();
    assert!(error.contains("15 points") && error.contains("measure for longer"), "{error}");
    let warmup = Warmup::Share(0.0);
    assert!(trend(&few, &TrendOptions { warmup, ..TrendOptions::default() }).is_ok());
    assert!(trend(&line([]), &TrendOptions::default()).is_err());
    let at_once = line((0..100).map(|_| (5.0, 1e6)));
    assert!(trend(&at_once, &TrendOptions::default()).is_err());
    let all_dropped = TrendOptions { warmup: Warmup::Seconds(1e9), ..TrendOptions::default() };
    assert!(trend(&few, &all_dropped).is_err());
}

/// Points of a second each at these times, with a noise of 1 % whose seed is the time, and a level for each time.
fn with_gaps(times: impl Iterator<Item = u32>, level: impl Fn(f64) -> f64) -> Series {
    let noise = |second: u32| f64::from(second.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
    line(times.map(|second| (f64::from(second), level(f64::from(second)) * (1.0 + 0.01 * noise(second)))))
}

#[test]
fn levels_on_both_sides_of_a_gap_are_no_leak() {
    // Half an hour, an hour without points, half an hour on a higher level; likewise with other lengths.
    for (before, pause, after) in [(1_800, 3_600, 1_800), (600, 3_600, 3_000), (3_000, 600, 600), (2_000, 250, 1_700)] {
        let times = (0..before).chain(before + pause..before + pause + after);
        let level = |second: f64| if second < f64::from(before) { 50e6 } else { 80e6 };
        for warmup in [0.0, 0.5] {
            let options = TrendOptions { warmup: Warmup::Share(warmup), ..TrendOptions::default() };
            let found = trend(&with_gaps(times.clone(), level), &options).expect("enough points");
            assert_eq!(found.verdict, TrendVerdict::Stable, "{before} {pause} {after} {warmup}: {found:?}");
            let part = found.part.expect("there is a gap");
            assert_eq!((part.gaps, part.longest, part.left_out as u32), (1, f64::from(pause + 1), before.min(after)));
            assert!(
                found.line.iter().all(|point| (point.bytes / 1e6).round() == if before > after { 50.0 } else { 80.0 })
            );
        }
    }
}

#[test]
fn a_leak_beside_a_gap_is_found_with_numbers_that_make_sense() {
    // Eleven days pass within four minutes of points.
    let times = (0..150).chain(1_000_150..1_000_200);
    let found = trend(&with_gaps(times, |second| 1e8 + 1e6 * (second % 1e6)), &TrendOptions::default());
    let found = found.expect("enough points");
    assert_eq!((found.verdict, found.points), (TrendVerdict::Leak, 75));
    assert!((found.slope_per_hour / 3.6e9 - 1.0).abs() < 0.1 && found.line[0].bytes > 1e8, "{found:?}");
    assert!(
        found.why.contains("grew by 4") && found.part.is_some_and(|part| part.note().contains("for up to 1000001 s"))
    );
    // From nothing: no percentage without an end.
    let from_nothing = line((0..100).map(|second| (f64::from(second), 1e6 * f64::from(second.max(50) - 50))));
    let found = trend(&from_nothing, &TrendOptions::default()).expect("enough points");
    assert!(!found.why.contains("inf") && !found.why.contains("NaN"), "{}", found.why);
}

#[test]
fn bursts_and_late_points_are_no_gaps() {
    // A minute of every hour of a day; a point a second of which some are late; a pause shorter than a block.
    let bursts = line((0..24).flat_map(|hour| (0..60).map(move |second| (f64::from(hour * 3_600 + second), 5e7))));
    let late = line((0..3_600).filter(|second| second % 40 > 15).map(|second| (f64::from(second), 5e7)));
    let pause = line((0..3_000).chain(3_170..3_600).map(|second| (f64::from(second), 5e7)));
    for series in [bursts, late, pause] {
        let found = trend(&series, &TrendOptions::default()).expect("enough points");
        assert_eq!((found.part, found.verdict), (None, TrendVerdict::Stable));
    }
    // What is left between gaps may be too little.
    let few = line((0..10).flat_map(|hour| (0..8).map(move |second| (f64::from(hour * 36_000 + second), 5e7))));
    let error = trend(&few, &TrendOptions::default()).expect_err("eight points").to_string();
    assert!(error.contains("largest part without a gap"), "{error}");
}

/// Ten low points don't know of a rise in the last tenth.
#[test]
fn a_rise_at_the_end_is_not_stable() {
    let judged = |series: &Series, allowed: f64| {
        let options = TrendOptions { allowed_per_hour: allowed, ..TrendOptions::default() };
        trend(series, &options).expect("enough points")
    };
    // Flat at 100 MB, then 10 MB a second: from within the last two tenths, the last one, its half.
    for begin in [180, 185, 190, 193] {
        let late = line((0..200).map(|second| (f64::from(second), 1e8 + 1e7 * f64::from((second - begin).max(0)))));
        let found = judged(&late, 0.0);
        assert_eq!(found.verdict, TrendVerdict::Inconclusive, "{begin}: {found:?}");
        assert!(found.why.contains(&format!("the last {} s rise", 199 - begin)), "{}", found.why);
        // What it grew by, in the 99 s that are looked at.
        let grown = 1e7 * f64::from(197 - begin - 1) / 99.0 * 3_600.0;
        assert!(found.ci[1] >= grown, "{begin}: {found:?}");
        // If that much is allowed, it is.
        assert_eq!(judged(&late, 2e10).verdict, TrendVerdict::Stable);
    }
    // Teeth of garbage, of any length and cut anywhere, are no rise; nor is a last point alone, nor less than 5 %.
    for (length, points) in
        (7..200).flat_map(|length| [(length, 3_600), (length, 3_600 + length / 2), (length, 3_599 + length)])
    {
        let teeth = line(
            (0..points).map(|second| (f64::from(second), 50e6 + 3e7 * f64::from(second % length) / f64::from(length))),
        );
        let found = judged(&teeth, 0.0);
        assert!(!found.why.contains("rise,"), "{length} {points}: {found:?}");
    }
    let spike = line((0..200).map(|second| (f64::from(second), if second < 198 { 1e8 } else { 2e8 })));
    assert_eq!(judged(&spike, 0.0).verdict, TrendVerdict::Stable);
    let little = line((0..200).map(|second| (f64::from(second), if second < 190 { 1e8 } else { 1.04e8 })));
    assert_eq!(judged(&little, 0.0).verdict, TrendVerdict::Stable);
}
