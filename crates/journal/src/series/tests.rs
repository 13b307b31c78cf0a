//! Lines, columns and times of every kind.

use super::*;

fn set(text: &str) -> SeriesSet {
    read(text.as_bytes(), None).unwrap_or_else(|error| panic!("{error}"))
}

fn points(set: &SeriesSet, name: &str) -> Vec<(f64, f64)> {
    let series = set.choose(Some(name)).unwrap_or_else(|| panic!("no {name}"));
    series.points.iter().map(|point| (point.time, point.bytes)).collect()
}

#[test]
fn what_node_prints_in_every_shape() {
    let json = set(
        "{\"time\":\"2024-02-29T12:00:00Z\",\"rss\":50,\"heapUsed\":10}\n{\"time\":\"2024-02-29T12:00:01Z\",\"rss\":51,\"heapUsed\":11}\n",
    );
    assert_eq!(points(&json, "heapUsed"), [(1_709_208_000.0, 10.0), (1_709_208_001.0, 11.0)]);
    assert!(json.timed && json.choose(None).is_some_and(|series| series.name == "heap_used"));
    // console.log(Date.now(), process.memoryUsage())
    let inspect = set(
        "1700000000000 {\n  rss: 50,\n  heapTotal: 20,\n  heapUsed: 10\n}\n1700000001000 {\n  rss: 51,\n  heapUsed: 11\n}\n",
    );
    assert_eq!(points(&inspect, "rss"), [(1.7e9, 50.0), (1_700_000_001.0, 51.0)]);
    // The time on a line of its own; among other lines of a log.
    let log = set("hello\n{ rss: 1 }\n");
    assert!(!log.timed);
    let nested = set("{\"level\":\"info\",\"ts\":1700000000,\"mem\":{\"rss\":50,\"heapUsed\":10}}\n");
    assert_eq!(points(&nested, "heap_used"), [(1.7e9, 10.0)]);
    let units = set("2024-02-29T12:00:00Z rss=45.5 MB heapUsed='10 MiB'\n");
    assert_eq!(points(&units, "heapUsed"), [(1_709_208_000.0, 10.0 * 1_048_576.0)]);
    assert_eq!(points(&units, "rss"), [(1_709_208_000.0, 45.5e6)]);
    // Without times.
    let plain = read(&b"{ rss: 1 }\n{ rss: 2 }\n"[..], Some(5.0)).expect("it is read");
    assert_eq!((points(&plain, "rss"), plain.timed), (vec![(0.0, 1.0), (5.0, 2.0)], true));
    // The last one is cut off.
    let cut = set("1700000000 {\n  rss: 50,\n  heapUsed: 10\n}\n1700000001 {\n  rss: 5");
    assert!(cut.warnings.iter().any(|warning| warning.message.contains("not closed")), "{cut:?}");
}

#[test]
fn columns_with_units_and_times() {
    let csv =
        set("timestamp,RSS (MB),Heap Used (MB),cpu\n2024-02-29T12:00:00Z,50.5,10,3\n2024-02-29T12:01:00Z,51,11,4\n");
    assert_eq!(points(&csv, "rss"), [(1_709_208_000.0, 50.5e6), (1_709_208_060.0, 51e6)]);
    assert_eq!(points(&csv, "heap_used").len(), 2);
    let kilobytes = set("elapsed;rss_kb\n0;100\n10;200\nx;3\n20\n");
    assert_eq!(points(&kilobytes, "rss"), [(0.0, 102_400.0), (10.0, 204_800.0)]);
    assert!(kilobytes.notes.iter().any(|note| note.contains("1,024")) && kilobytes.warnings.len() == 2);
    let binary = set("time,RSS (MiB),heap KiB\n0,1,3\n1,2,4\n");
    assert_eq!(points(&binary, "rss"), [(0.0, 1_048_576.0), (1.0, 2_097_152.0)]);
    assert_eq!(points(&binary, "heap")[0], (0.0, 3_072.0));
    let camel = set("time,heapUsed\n1,5\n2,6\n");
    assert_eq!(points(&camel, "heapUsed"), [(1.0, 5.0), (2.0, 6.0)]);
    let ours = set("time_s,anon_bytes\r\n0,5\r\n1,6\r\n");
    assert_eq!(points(&ours, "anon"), [(0.0, 5.0), (1.0, 6.0)]);
    let unordered = set("time,rss\n2,6\n1,5\n");
    assert_eq!(points(&unordered, "rss"), [(1.0, 5.0), (2.0, 6.0)]);
}

#[test]
fn what_is_none_is_refused() {
    for (text, part) in [
        ("", "empty"),
        ("hello\n", "it begins \"hello\""),
        ("time,requests\n1,2\n", "it begins"),
        ("{\"rss\": null}\n", "no line has a number of bytes"),
        ("time,rss\nx,1\n", "no line has a number"),
    ] {
        let error = read(text.as_bytes(), None).expect_err(text).to_string();
        assert!(error.contains(part), "{text:?}: {error}");
    }
    let some = read(&b"1700000000 { rss: 1 }\n{ rss: 2 }\n"[..], None).expect_err("one has no time").to_string();
    assert!(some.contains("1 of 2 points have no time"), "{some}");
}

#[test]
fn a_million_points_and_more_stay_in_bounds() {
    let mut series = Series::new("rss");
    for at in 0..(MOST_POINTS * 2 + 10) {
        let bytes = if at == 77 { 1e9 } else { 100.0 + (at % 10) as f64 };
        series.push(Point { time: at as f64, bytes });
    }
    assert!(series.points.len() <= MOST_POINTS && series.most == 1e9);
    assert!(series.points.windows(2).all(|pair| pair[0].time < pair[1].time));
    // Low points stay.
    assert_eq!(series.points[..100].iter().map(|point| point.bytes).fold(f64::INFINITY, f64::min), 100.0);
}
