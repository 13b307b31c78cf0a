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
        ("time,rss\nx,1\n", "\"x\" in line 2 is no time that is understood"),
        (
            "time,rss\n01/02/2026 00:00:00,1\n",
            "\"01/02/2026 00:00:00\" in line 2 is no time that is understood: write seconds",
        ),
        ("time,rss\n0,\"100,000,000\"\n1,\"x\"\n", "\"100,000,000\" in line 2 is no number: it has separators"),
        ("time,rss\n0,many\n", "\"many\" in line 2 is no number;"),
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

/// Lines of CSV with a point a second.
fn csv(header: &str, rows: impl IntoIterator<Item = String>) -> String {
    std::iter::once(header.to_owned()).chain(rows).map(|row| row + "\n").collect()
}

#[test]
fn two_columns_of_one_name_stay_two() {
    let text = csv("time,rss,RSS (MB),rss_kb", (0..30).map(|at| format!("{at},{at},7,1")));
    let set = set(&text);
    let names: Vec<&str> = set.series.iter().map(|series| series.name.as_str()).collect();
    assert_eq!(names, ["rss", "rss_2", "rss_3"]);
    assert_eq!((points(&set, "rss").len(), points(&set, "rss_2")[3]), (30, (3.0, 7e6)));
    assert!(set.warnings.iter().any(|warning| warning.message.contains("several columns are called rss")));
}

#[test]
fn runs_behind_each_other_are_not_one_series() {
    let run = |from: u32, pid: u32| (from..from + 50).map(move |at| format!("{at},{pid},5"));
    let refused = |text: &str| read(text.as_bytes(), None).expect_err("two runs").to_string();
    let error = refused(&csv("time,x,rss", run(0, 1).chain(run(0, 1))));
    assert!(error.contains("at line 52 time goes back by 49 s") && error.contains("tail -n +52"), "{error}");
    // Another run that begins with a header of its own.
    let headed = csv("time,x,rss", run(0, 1)) + &csv("time,x,rss", run(0, 1));
    assert!(refused(&headed).contains("at line 53"));
    let error = refused(&csv("time,pid,rss", run(0, 11).chain(run(50, 12))));
    assert!(error.contains("line 52 is of process 12, the ones before are of 11"), "{error}");
    let lines =
        |pid: u32| (0..30).map(move |at| format!("{{\"time\":{at},\"pid\":{pid},\"rss\":5}}\n")).collect::<String>();
    assert!(refused(&(lines(7) + &lines(8))).contains("process 8"));
    assert_eq!(set(&lines(7)).series[0].points.len(), 30);
    // Lines of others between them have no memory.
    let among: String = lines(7).lines().map(|line| format!("{line}\n{{\"pid\":9,\"msg\":\"hello\"}}\n")).collect();
    assert_eq!(set(&among).series[0].points.len(), 30);
    // Lines that come a little late, and the newest first, are one run, which is said.
    for order in [[0, 2, 1, 3], [3, 2, 1, 0]] {
        let rows = (0..10).flat_map(|four| {
            order.map(|at| format!("{},5", if order[0] == 0 { four * 4 } else { 36 - four * 4 } + at))
        });
        let sorted = set(&csv("time,rss", rows));
        assert!(points(&sorted, "rss").is_sorted() && sorted.notes.iter().any(|note| note.contains("sorted")));
    }
}

#[test]
fn what_is_no_number_of_bytes_is_counted() {
    let odd = ["-5", "NaN", "inf", "1e308", "1e19", "9223372036854775808"];
    let text = csv("time,rss", (0..60).map(|at| format!("{at},{}", odd.get(at).copied().unwrap_or("5"))));
    let set = set(&text);
    assert_eq!(points(&set, "rss").len(), 54);
    let warning =
        set.warnings.iter().find(|warning| warning.message.contains("no number of bytes")).expect("it is told");
    assert_eq!((warning.count, warning.position), (6, Some(Position::Line(2))));
    let none = csv("time,rss", (0..60).map(|at| format!("{at},1e308")));
    assert!(read(none.as_bytes(), None).expect_err("no bytes").to_string().contains("no line has a number of bytes"));
    // Nor is this a time.
    assert_eq!(super::super::series::epoch("1e308", ""), None);
}
