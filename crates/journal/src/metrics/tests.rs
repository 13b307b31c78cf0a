//! Every reader on what its tool really wrote, and on what no tool should write.

use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::Direction;

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/metrics").join(name);
    std::fs::read(path).expect("the fixture is there")
}

fn measured(name: &str) -> Measured {
    read(&fixture(name)[..]).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&fixture(name)).expect("JSON")
}

impl Measured {
    #[track_caller]
    fn value(&self, name: &str) -> f64 {
        match self.find(name) {
            Lookup::Found(metric) => metric.value,
            other => panic!("{name}: {other:?} of {:?}", self.metrics.iter().map(|m| &m.name).collect::<Vec<_>>()),
        }
    }

    fn has(&self, name: &str) -> bool {
        matches!(self.find(name), Lookup::Found(_))
    }
}

#[track_caller]
fn close(ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0), "{ours} against {theirs}");
}

/// Statistics of k6 by our names.
const OURS: [(&str, &str); 7] = [
    ("mean", "avg"),
    ("min", "min"),
    ("p50", "med"),
    ("p90", "p(90)"),
    ("p95", "p(95)"),
    ("p99", "p(99)"),
    ("max", "max"),
];

/// `points.expected.json` has numpy's percentiles of the same values.
#[test]
fn k6_points_have_the_percentiles_of_numpy() {
    let (measured, expected) = (measured("k6/points.ndjson"), json("k6/points.expected.json"));
    assert_eq!((measured.source, &measured.warnings[..]), (Source::K6Points, &[][..]));
    for (ours, theirs) in OURS {
        let theirs = expected["latency_ms"][theirs].as_f64().expect("a number");
        close(measured.value(&format!("{ours}_latency_ms")), theirs);
    }
    close(measured.value("throughput_rps"), expected["rps"].as_f64().expect("a number"));
    close(measured.value("error_rate_pct"), expected["error_rate_pct"].as_f64().expect("a number"));
    close(measured.value("requests"), 500.0);
    close(measured.value("received_mb"), 0.1);
    let Lookup::Found(p95) = measured.find("p95_latency_ms") else { panic!("it is there") };
    let [low, high] = p95.ci.expect("thirty seconds make ten blocks");
    assert!(low < p95.value && p95.value < high && high - low < p95.value, "{p95:?}");
    assert_eq!((p95.n, p95.direction), (Some(500), Direction::Lower));
    assert!(measured.has("p95_rows_seen") && !measured.has("vus"));
}

#[test]
fn k6_summaries_agree_and_their_thresholds_are_not_mixed_up() {
    let [export, handled, machine] =
        ["summary-export", "handle-summary", "machine-summary"].map(|name| measured(&format!("k6/{name}.json")));
    assert_eq!(
        [export.source, handled.source, machine.source],
        [Source::K6SummaryExport, Source::K6HandleSummary, Source::K6Summary]
    );
    let expected = json("k6/points.expected.json");
    for measured in [&export, &handled, &machine] {
        for name in ["throughput_rps", "error_rate_pct", "requests", "received_mb", "p95_latency_ms"] {
            close(measured.value(name), self::measured("k6/points.ndjson").value(name));
        }
        close(measured.value("mean_latency_ms"), expected["latency_ms"]["avg"].as_f64().expect("a number"));
        assert_eq!(measured.warnings, []);
    }
    // In the export, `true` means failed; in the data for handleSummary, `ok` says it.
    for measured in [&export, &handled] {
        let passed =
            |limit: &str| measured.thresholds.iter().find(|known| known.limit == limit).map(|known| known.passed);
        assert_eq!((passed("p(95)<200"), passed("p(99)<150")), (Some(true), Some(false)), "{:?}", measured.source);
    }
    close(export.value("checks_passed_pct"), 90.0);
    close(machine.value("checks_passed_pct"), 90.0);
    assert!(export.has("p95_latency_ms{expected_response:true}"));
    close(export.value("p95_iteration_ms"), 180.0);
    // Zeros of a trend without values are none.
    assert!(!export.has("p95_ws_connecting_ms"));
    close(handled.value("p99_9_waiting_time_ms"), 20.25);
    // The machine-readable one has no p(99).
    assert!(!machine.has("p99_latency_ms") && export.has("p99_latency_ms"));
}

/// One run of k6 itself: its points, read here, come to the figures that k6 writes of them.
#[test]
fn k6_own_figures_of_a_real_run() {
    let [points, export, data] =
        ["run.ndjson", "run-export.json", "run-data.json"].map(|name| measured(&format!("k6/{name}")));
    assert_eq!(
        [points.source, export.source, data.source],
        [Source::K6Points, Source::K6SummaryExport, Source::K6HandleSummary]
    );
    let document = json("k6/run-data.json");
    let k6 = |metric: &str, key: &str| document["metrics"][metric]["values"][key].as_f64().expect("a number");
    let requests = k6("http_reqs", "count");
    for measured in [&points, &export, &data] {
        assert_eq!(measured.warnings, []);
        close(measured.value("requests"), requests);
        close(measured.value("errors"), k6("http_req_failed", "passes"));
        close(measured.value("own_items"), 3.0 * requests);
        for (ours, theirs) in OURS {
            close(measured.value(&format!("{ours}_latency_ms")), k6("http_req_duration", theirs));
            close(measured.value(&format!("{ours}_iteration_ms")), k6("iteration_duration", theirs));
        }
        close(measured.value("checks_passed_pct"), k6("checks", "rate") * 100.0);
        close(measured.value("sent_mb"), k6("data_sent", "count") / 1e6);
        let Lookup::Found(p95) = measured.find("p95_latency_ms") else { panic!("it is there") };
        assert_eq!(
            (p95.n, p95.ci),
            (Some(requests as u64), None),
            "so few values are too few for an interval: {p95:?}"
        );
        let Lookup::Found(p50) = measured.find("p50_iteration_ms") else { panic!("it is there") };
        assert_eq!(p50.n, Some(k6("iterations", "count") as u64));
        // k6 divides by the time of the test, the points begin and end a little later and earlier.
        assert!((measured.value("throughput_rps") / k6("http_reqs", "rate") - 1.0).abs() < 0.02);
    }
    let Lookup::Found(p50) = points.find("p50_latency_ms") else { panic!("it is there") };
    assert!(p50.ci.is_some_and(|[low, high]| low < p50.value && p50.value < high), "{p50:?}");
    for measured in [&export, &data] {
        let passed: Vec<_> = measured.thresholds.iter().map(|known| (known.limit.as_str(), known.passed)).collect();
        assert_eq!(passed, [("p(90)<1", false), ("p(95)<2000", true), ("rate<0.5", true)]);
    }
}

/// One run of oha itself, against its own list of figures in milliseconds.
#[test]
fn oha_of_a_real_run() {
    let (measured, document) = (measured("oha/run.json"), json("oha/run.json"));
    for (ours, theirs) in
        [("mean", "mean"), ("min", "min"), ("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("max", "max")]
    {
        let theirs = document["metrics"]["latency_ms"][theirs].as_f64().expect("a number");
        let ours = measured.value(&format!("{ours}_latency_ms"));
        assert!((ours - theirs).abs() < 0.001, "{ours} {theirs}");
    }
    close(measured.value("throughput_rps"), document["metrics"]["requests_per_sec"].as_f64().expect("a number"));
    close(measured.value("requests"), 200.0);
    close(measured.value("errors"), 0.0);
}

#[test]
fn artillery_1_and_2() {
    let (one, two) = (measured("artillery/v1.json"), measured("artillery/v2.json"));
    assert_eq!((one.source, two.source), (Source::Artillery1, Source::Artillery2));
    let (first, second) = (json("artillery/v1.json"), json("artillery/v2.json"));
    let of = |document: &Value, path: &str| document.pointer(path).and_then(Value::as_f64).expect("a number");
    close(one.value("p99_latency_ms"), of(&first, "/aggregate/latency/p99"));
    close(one.value("p50_latency_ms"), of(&first, "/aggregate/latency/median"));
    close(one.value("throughput_rps"), of(&first, "/aggregate/rps/mean"));
    close(two.value("p99_latency_ms"), of(&second, "/aggregate/summaries/http.response_time/p99"));
    close(two.value("p99_9_latency_ms"), of(&second, "/aggregate/summaries/http.response_time/p999"));
    close(two.value("throughput_rps"), of(&second, "/aggregate/rates/http.request_rate"));
    close(
        two.value("p95_latency_ms{/slow}"),
        of(&second, "/aggregate/summaries/plugins.metrics-by-endpoint.response_time.~1slow/p95"),
    );
    assert!(two.has("p95_latency_ms{2xx}") && two.has("p95_session_ms"));
    // A third of the requests goes to a page that is missing.
    for measured in [&one, &two] {
        close(measured.value("requests"), 360.0);
        close(measured.value("errors"), 120.0);
        close(measured.value("error_rate_pct"), 100.0 / 3.0);
    }
}

#[test]
fn locust_stats_and_history() {
    let (stats, history) = (measured("locust/run_stats.csv"), measured("locust/run_stats_history.csv"));
    assert_eq!((stats.source, history.source), (Source::LocustStats, Source::LocustHistory));
    let text = String::from_utf8(fixture("locust/run_stats.csv")).expect("text");
    let aggregated = text.lines().find(|line| line.starts_with(",Aggregated")).expect("a row");
    let cells: Vec<&str> = aggregated.split(',').collect();
    let cell = |at: usize| cells[at].parse::<f64>().expect("a number");
    close(stats.value("requests"), cell(2));
    close(stats.value("mean_latency_ms"), cell(5));
    close(stats.value("throughput_rps"), cell(9));
    close(stats.value("p95_latency_ms"), cell(16));
    close(stats.value("p99_latency_ms"), cell(18));
    close(stats.value("error_rate_pct"), cell(3) / cell(2) * 100.0);
    assert!(stats.has("p95_latency_ms{GET /slow, \"quoted\"}"));
    close(stats.value("error_rate_pct{GET /missing}"), 100.0);
    // The history ends with the same totals; its percentiles are of windows, and called so.
    close(history.value("requests"), cell(2));
    close(history.value("mean_latency_ms"), cell(5));
    assert!(!history.has("p95_latency_ms") && history.has("worst_window_p95_latency_ms"));
}

#[test]
fn autocannon_has_no_p95_and_zeros_without_answers_are_none() {
    let (home, refused) = (measured("autocannon/home.json"), measured("autocannon/refused.json"));
    let document = json("autocannon/home.json");
    close(home.value("p97_5_latency_ms"), document["latency"]["p97_5"].as_f64().expect("a number"));
    close(home.value("throughput_rps"), document["requests"]["mean"].as_f64().expect("a number"));
    assert!(matches!(home.find("p95_latency_ms"), Lookup::Missing(near) if !near.is_empty()));
    assert!(home.notes.iter().any(|note| note.contains("no p95")));
    assert!(!refused.has("p99_latency_ms") && !refused.has("throughput_rps"));
    close(refused.value("error_rate_pct"), 100.0);
}

#[test]
fn hyperfine_is_in_seconds_and_has_intervals() {
    let (one, two) = (measured("hyperfine/one.json"), measured("hyperfine/two.json"));
    let document = json("hyperfine/one.json");
    let result = &document["results"][0];
    close(one.value("mean_time_ms"), result["mean"].as_f64().expect("a number") * 1e3);
    close(one.value("mean_time_s"), result["mean"].as_f64().expect("a number"));
    close(one.value("p50_time_ms"), result["median"].as_f64().expect("a number") * 1e3);
    let Lookup::Found(mean) = one.find("mean_time_ms") else { panic!("it is there") };
    assert_eq!(mean.n, Some(12));
    // t(0.975; 11) = 2.20099 from a table; hyperfine's stddev is that of the sample.
    let half = 2.200_985 * result["stddev"].as_f64().expect("a number") * 1e3 / 12_f64.sqrt();
    assert!(mean.ci.is_some_and(|[low, high]| (high - low - 2.0 * half).abs() < 1e-5 * half), "{mean:?} {half}");
    assert!(
        matches!(two.find("mean_time_ms"), Lookup::Ambiguous(names) if names == ["mean_time_ms{sleep 0.02}", "mean_time_ms{sleep 0.03}"])
    );
    close(two.value("failed_runs{sleep 0.02}"), 0.0);
}

#[test]
fn memory_over_time_has_peaks_and_slopes() {
    let leak = measured("memory/leak.ndjson");
    assert_eq!(leak.source, Source::MemoryUsage);
    let text = String::from_utf8(fixture("memory/leak.ndjson")).expect("text");
    let rss = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["rss"].as_f64().expect("a number")
    });
    close(leak.value("memory_mb"), rss.fold(0.0, f64::max) / 1e6);
    let Lookup::Found(slope) = leak.find("heap_slope_mb_per_h") else { panic!("it is there") };
    assert!(slope.ci.is_some_and(|[low, _]| low > 0.0) && slope.unit == "MB/h");
    let inspect = measured("memory/inspect.log");
    assert!(inspect.has("heap_slope_mb_per_h") && inspect.warnings.is_empty(), "{:?}", inspect.warnings);
    let plain = measured("memory/plain.ndjson");
    assert!(!plain.has("heap_slope_mb_per_h") && plain.has("memory_mb"));
    assert_eq!(measured("mprof/grow.dat").source, Source::Mprof);
}

#[test]
fn columns_of_letters_are_no_memory() {
    for text in ["a,b\n1,2\n", "time,phase_b\n1,2\n", "plan_k,x\n1,2\n"] {
        let error = read(text.as_bytes()).expect_err(text).to_string();
        assert!(error.contains("no results that are known") || error.contains("begins"), "{error}");
    }
    for (text, name) in [
        ("time,MB\n1,2\n2,3\n", "max_memory_mb"),
        ("time,rss_k\n1,2\n2,3\n", "memory_mb"),
        ("time,footprint (B)\n1,2\n2,3\n", "max_footprint_mb"),
    ] {
        let measured = read(text.as_bytes()).expect(text);
        assert!(measured.has(name), "{name}: {:?}", measured.metrics);
    }
}

#[test]
fn points_without_what_declares_them_are_told() {
    let points = br#"{"metric":"http_reqs","type":"Point","data":{"time":"2026-01-01T00:00:00Z","value":1}}"#;
    let error = read(&points[..]).expect_err("nothing says what http_reqs is").to_string();
    assert!(error.contains("\"type\":\"Metric\"") && error.contains("whole file"), "{error}");
}

#[test]
fn own_json_is_read_back() {
    let document = br#"{"schema": "burnmark.metrics/1", "source": "x", "metrics": [
        {"name": "p95_latency_ms", "unit": "ms", "direction": "lower", "value": 12.5, "n": 3, "p99": 20}]}"#;
    let measured = read(&document[..]).expect("it is ours");
    assert_eq!((measured.source, measured.value("p95_latency_ms")), (Source::Burnmark, 12.5));
    let newer = br#"{"schema": "burnmark.metrics/2", "metrics": []}"#;
    assert!(read(&newer[..]).expect_err("it is newer").to_string().contains("a newer burnmark"));
}

#[test]
fn what_is_not_known_is_refused_with_what_was_seen() {
    for (input, part) in [
        (&b""[..], "it is empty"),
        (b" \n ", "it is empty"),
        (b"{\"a\": 1, \"b\": {}}", "an object with the keys \"a\", \"b\""),
        (b"[{\"x\": 1}, {\"x\": 2}]", "a list of 2 objects with the keys \"x\""),
        (b"{\"results\": []}", "an object with the keys \"results\""),
        (b"{\"aggregate\": {}}", "artillery"),
        (b"{\"a\": ", "begins like JSON, but is none"),
        (b"hello world\n", "\"hello world\""),
        (b"name,count\na,1\n", "\"name,count\""),
        (b"Type,Name,Requests/s\nGET,/,1\n", "no column \"Request Count\""),
        (b"{\"metrics\": {\"x\": {\"avg\": 1}}}", "an object with the keys"),
        (b"\xff\xfe\x00\xd8", "it begins"),
    ] {
        let error = read(input).expect_err("it is refused").to_string();
        assert!(error.contains(part), "{error:?} should say {part:?}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(deep.as_bytes()).is_err());
}

#[test]
fn null_is_not_zero_and_damage_is_a_warning() {
    let nulls =
        br#"{"aggregate": {"requestsCompleted": 5, "latency": {"min": null, "median": 2, "p95": null, "p99": "x"},
        "rps": {"mean": null}, "codes": {"200": 5}, "errors": {}}}"#;
    let measured = read(&nulls[..]).expect("it is artillery's");
    assert!(!measured.has("p95_latency_ms") && !measured.has("min_latency_ms") && !measured.has("throughput_rps"));
    close(measured.value("p50_latency_ms"), 2.0);

    let mut points = fixture("k6/points.ndjson");
    let end = points.iter().rposition(|byte| *byte == b'{').expect("a line");
    points.truncate(end);
    points.extend_from_slice(b"\nnonsense\n{\"type\":\"Point\",\"metric\":\"http_reqs\",\"data\":{\"value\":null}}\n");
    let measured = read(&points[..]).expect("the rest is whole");
    let texts: Vec<String> = measured.warnings.iter().map(ToString::to_string).collect();
    assert!(texts.iter().any(|text| text.contains("no point of k6's") && text.contains("line ")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("no value") && text.contains("line ")), "{texts:?}");
}

/// SplitMix64 (Steele, Lea & Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % limit as u64) as usize
    }
}

/// Cut, overwritten, doubled anywhere: an answer or an error, and figures that are finite.
#[test]
fn damaged_files_never_break_a_reader() {
    let mut random = Random(6);
    for name in [
        "k6/points.ndjson",
        "k6/run.ndjson",
        "oha/run.json",
        "k6/summary-export.json",
        "k6/handle-summary.json",
        "k6/machine-summary.json",
        "artillery/v1.json",
        "artillery/v2.json",
        "locust/run_stats.csv",
        "locust/run_stats_history.csv",
        "autocannon/home.json",
        "hyperfine/two.json",
        "memory/leak.ndjson",
        "memory/inspect.log",
        "mprof/grow.dat",
    ] {
        let mut whole = fixture(name);
        whole.truncate(12_000);
        for _ in 0..120 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
                match random.below(5) {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at, [b'{', b'}', b'"', b',', b'\n', 0, 0xff, b'9'][random.below(8)]),
                    2 => {
                        let end = (at + random.below(200)).min(bytes.len());
                        let part = bytes[at..end].to_vec();
                        bytes.splice(at..at, part);
                    }
                    3 => {
                        let end = (at + random.below(60)).min(bytes.len());
                        bytes.drain(at..end);
                    }
                    _ => {
                        let number = [&b"1e308"[..], b"-1", b"null", b"NaN", b"1e400", b"\"x\""][random.below(6)];
                        bytes.splice(at..at, number.iter().copied());
                    }
                }
                if bytes.is_empty() {
                    break;
                }
            }
            if let Ok(measured) = read(&bytes[..]) {
                assert!(measured.metrics.iter().all(|metric| metric.value.is_finite()), "{name}");
            }
        }
    }
}

#[test]
fn long_lines_and_odd_beginnings() {
    let mut text = b"\xef\xbb\xbf".to_vec();
    text.extend(fixture("locust/run_stats.csv"));
    assert_eq!(read(&text[..]).expect("a byte order mark").source, Source::LocustStats);
    let wide: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(fixture("hyperfine/one.json").iter().flat_map(|b| [*b, 0])).collect();
    assert_eq!(read(&wide[..]).expect("UTF-16").source, Source::Hyperfine);
    let mut points = fixture("k6/points.ndjson");
    points.splice(
        0..0,
        format!("{{\"type\":\"Metric\",\"metric\":\"x\",\"data\":{{\"y\":\"{}\"}}}}\n", "z".repeat(3 << 20))
            .into_bytes(),
    );
    let measured = read(&points[..]).expect("the rest is whole");
    assert!(measured.warnings.iter().any(|warning| warning.message.contains("more than a megabyte")));
    close(measured.value("requests"), 500.0);
}

/// In the shapes that their sources write: oha 1.x's `print_json`, criterion 0.5's `Estimates`.
#[test]
fn oha_and_criterion() {
    let oha = br#"{"summary": {"successRate": 0.9, "total": 2.0, "slowest": 0.3, "fastest": 0.001, "average": 0.02,
        "requestsPerSec": 500.0, "totalData": 1000, "sizePerRequest": 1, "sizePerSec": 500.0},
        "responseTimeHistogram": {}, "latencyPercentiles": {"p10": 0.01, "p50": 0.015, "p75": 0.02, "p90": 0.03,
        "p95": 0.04, "p99": null, "p99.9": 0.2}, "statusCodeDistribution": {"200": 900, "500": 90},
        "errorDistribution": {"connection refused": 10, "aborted due to deadline": 4}}"#;
    let measured = read(&oha[..]).expect("it is oha's");
    assert_eq!(measured.source, Source::Oha);
    close(measured.value("p95_latency_ms"), 40.0);
    close(measured.value("p99_9_latency_ms"), 200.0);
    assert!(!measured.has("p99_latency_ms"));
    close(measured.value("errors"), 100.0);
    close(measured.value("error_rate_pct"), 10.0);

    let interval = |value: f64| {
        format!(
            "{{\"confidence_interval\": {{\"confidence_level\": 0.95, \"lower_bound\": {}, \"upper_bound\": {}}}, \
             \"point_estimate\": {value}, \"standard_error\": 1.0}}",
            value * 0.9,
            value * 1.1
        )
    };
    let (mean, median, deviation) = (interval(2e6), interval(1.9e6), interval(1e5));
    let criterion = format!("{{\"mean\": {mean}, \"median\": {median}, \"std_dev\": {deviation}, \"slope\": null}}");
    let measured = read(criterion.as_bytes()).expect("it is criterion's");
    let Lookup::Found(mean) = measured.find("mean_time_ms") else { panic!("it is there") };
    assert!((mean.value - 2.0).abs() < 1e-12 && mean.ci.is_some_and(|[low, high]| low < 2.0 && 2.0 < high));
    assert!(!measured.has("slope_time_ms"));
}
