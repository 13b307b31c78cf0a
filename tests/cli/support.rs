//! Running burnmark.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a run of burnmark left behind.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program under test.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_burnmark")
}

/// Runs burnmark in `folder`.
pub(crate) fn burnmark_in(folder: &Path, args: &[&str]) -> Run {
    let output = Command::new(program()).args(args).current_dir(folder).stdin(Stdio::null()).output();
    finished(output.expect("burnmark starts"))
}

/// Runs burnmark in `folder` with `input` on its standard input.
pub(crate) fn burnmark_with(folder: &Path, args: &[&str], input: &[u8]) -> Run {
    let mut child = Command::new(program())
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("burnmark starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_vec();
    // burnmark may answer before it has read everything.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let run = finished(child.wait_with_output().expect("burnmark ends"));
    feeder.join().expect("the feeder does not panic");
    run
}

fn finished(output: Output) -> Run {
    let run = Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    assert!(!run.stderr.contains("panicked"), "burnmark panicked:\n{}", run.stderr);
    run
}

impl Run {
    /// The run must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "exit code\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The run must have failed with this code and an error that has all these parts; prints nothing as a result.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, code, "exit code\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "the error should say {part:?}:\n{}", self.stderr);
        }
        assert_eq!(self.stdout, "", "a failed run prints no result");
        self
    }

    /// The JSON that was printed.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in:\n{}", self.stdout))
    }
}

/// Files of a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut names =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect::<Vec<_>>();
    names.sort();
    names
}

/// An empty folder, removed when dropped.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}
