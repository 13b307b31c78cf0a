//! What this machine offers, and the programs that run on it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{burnmark_in, folder, program};

/// Says loudly what is not tested here: `cargo xtask test` collects these lines.
pub(crate) fn skipped(what: &str) {
    eprintln!("SKIPPED: {what}");
}

/// Whether burnmark can sample here. Where perf can and burnmark can't, that is a failure and not a skip.
pub(crate) fn sampling_works() -> bool {
    let folder = folder();
    let run = burnmark_in(folder.path(), &["record", "--", "true"]);
    if run.code == 0 {
        return true;
    }
    let data = folder.path().join("perf.data");
    let perf = Command::new("perf").arg("record").arg("-o").arg(&data).args(["--", "true"]).output();
    assert!(!perf.is_ok_and(|perf| perf.status.success()), "perf can sample here:\n{}", run.stderr);
    skipped(&format!("sampling is not permitted here: {}", run.stderr.trim()));
    false
}

/// Whether perf is here and can sample.
pub(crate) fn perf_works() -> bool {
    let folder = folder();
    let data = folder.path().join("perf.data");
    match Command::new("perf").args(["record", "-q", "-o"]).arg(&data).args(["--", "true"]).output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            skipped(&format!("perf can't sample here: {}", String::from_utf8_lossy(&output.stderr).trim()));
            false
        }
        Err(error) => {
            skipped(&format!("perf can't be started: {error}"));
            false
        }
    }
}

/// Samples per second and CPU that finish a proof in seconds: 4999, or what the kernel allows.
pub(crate) fn high_frequency() -> u32 {
    let limit = std::fs::read_to_string("/proc/sys/kernel/perf_event_max_sample_rate");
    limit.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(u32::MAX).min(4999)
}

/// A program of fixtures/programs, built if need be; the name is that of the file.
pub(crate) fn fixture_program(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recipe = match name {
        "execs-1" => "execs",
        name => name,
    };
    let folder = root.join("target/fixtures");
    let built = Command::new(root.join("fixtures/programs/build")).arg(&folder).arg(recipe).output();
    match built {
        Ok(output) if output.status.success() => Some(folder.join(name)),
        Ok(output) if output.status.code() == Some(127) => {
            skipped(&format!("no compiler for {name}: {}", String::from_utf8_lossy(&output.stderr).trim()));
            None
        }
        Ok(output) => panic!("{name} does not build: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => panic!("fixtures/programs/build does not run: {error}"),
    }
}

/// A process to sample. It is stopped until the recorders are attached, so that all of them see the same work, and
/// ended when dropped.
pub(crate) struct Target {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Target {
    /// Starts a program that says a line when it is ready, and stops it there.
    pub(crate) fn stopped(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("it starts");
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it says that it is ready");
        assert!(line.contains(&child.id().to_string()), "it says its pid: {line:?}");
        let target = Self { child, stdin, stdout };
        target.signal("STOP");
        target
    }

    /// The demo's workload.
    pub(crate) fn demo() -> Self {
        Self::stopped(Command::new(program()).args(["demo", "--workload"]))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has used this much CPU time.
    pub(crate) fn wait_for_cpu(&self, seconds: f64) {
        let stat = format!("/proc/{}/stat", self.pid());
        let started = Instant::now();
        loop {
            let text = std::fs::read_to_string(&stat).expect("it runs");
            // utime and stime, in ticks of a hundredth of a second; the name before them may hold anything.
            let fields = text.rsplit_once(')').expect("a stat line").1.split_ascii_whitespace().skip(11).take(2);
            let ticks: u64 = fields.map(|field| field.parse::<u64>().expect("a number")).sum();
            if ticks as f64 / 100.0 >= seconds {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(120), "it does not get the CPU");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.signal("CONT");
    }

    /// Closes its standard input, waits for its end, and returns what it printed after its first line.
    pub(crate) fn finish(mut self) -> String {
        drop(self.stdin.take());
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).expect("its output is text");
        let status = self.child.wait().expect("it was started here");
        assert!(status.success(), "the target must not be harmed: {status}");
        text
    }

    fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // After `finish` there is nothing left to kill; after a failed assertion there is.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a signal to a process started by a test.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(status.expect("kill is there").success(), "kill -s {name} {pid}");
}

/// A recorder that runs beside the test.
pub(crate) struct Recorder {
    child: Child,
    name: String,
}

impl Recorder {
    /// Starts one, and returns when it has attached: it has opened its events, and opens no more.
    pub(crate) fn attach(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut recorder = Self { child, name };
        let started = Instant::now();
        let mut before = 0;
        loop {
            let events = recorder.open_events();
            if events > 0 && events == before {
                break;
            }
            before = events;
            if let Some(status) = recorder.child.try_wait().expect("it was started here") {
                let errors = recorder.errors();
                panic!("{} ended at once ({status}): {errors}", recorder.name);
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{} does not attach", recorder.name);
            std::thread::sleep(Duration::from_millis(200));
        }
        recorder
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn finish(mut self) {
        let errors = self.errors();
        let status = self.child.wait().expect("it was started here");
        assert!(status.success(), "{} failed ({status}): {errors}", self.name);
    }

    fn open_events(&self) -> usize {
        let Ok(entries) = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())) else { return 0 };
        let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links.filter(|link| link.to_string_lossy().contains("perf_event")).count()
    }

    fn errors(&mut self) -> String {
        let mut text = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            stderr.read_to_string(&mut text).expect("its messages are text");
        }
        text
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
