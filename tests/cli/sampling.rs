//! Processes to sample, and recorders that sample them.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Run, burnmark_in, folder, program};

/// The demo's workload in a process of its own, ended when dropped.
pub(crate) struct Workload(Child);

impl Workload {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(program());
        command.args(["demo", "--workload"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("burnmark starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("it says its pid");
        assert_eq!(line.trim(), child.id().to_string());
        Self(child)
    }

    pub(crate) fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let status = self.0.wait().expect("it was started here");
        assert!(status.success(), "the target must not be harmed: {status}");
    }
}

/// Whether this machine lets us sample; says so loudly if not.
pub(crate) fn sampling_works() -> bool {
    let folder = folder();
    let run = burnmark_in(folder.path(), &["record", "--", "true"]);
    if run.code != 0 {
        assert!(run.stderr.contains("perf_event"), "a refusal names its reason:\n{}", run.stderr);
        eprintln!("SKIPPED: sampling is not permitted here: {}", run.stderr);
    }
    run.code == 0
}

/// Runs burnmark as this user, without capabilities; `wrapper` is a command that runs it. Tests that count what a user
/// has, such as locked memory, take one that nobody else has.
pub(crate) fn unprivileged(user: u32, folder: &Path, wrapper: &[&str], args: &[&str]) -> Run {
    let output = unprivileged_command(user, folder, wrapper, args).output().expect("setpriv is there");
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The same, to be started.
pub(crate) fn unprivileged_command(user: u32, folder: &Path, wrapper: &[&str], args: &[&str]) -> Command {
    let mut command = as_user(user);
    command.args(wrapper).arg(public_program()).args(args).current_dir(folder).stdin(Stdio::null());
    command
}

/// A command as this user, without capabilities; its program and arguments follow.
pub(crate) fn as_user(user: u32) -> Command {
    let mut command = Command::new("setpriv");
    let (user, group) = (format!("--reuid={user}"), format!("--regid={user}"));
    command.args([&user, &group]).args(["--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]);
    command
}

/// A copy of burnmark that every user may run: the build folder may not be theirs to enter.
fn public_program() -> &'static Path {
    static COPY: std::sync::OnceLock<std::path::PathBuf> = std::sync::OnceLock::new();
    COPY.get_or_init(|| {
        // As old as the program, so that tests in other processes use it too.
        let built = std::fs::metadata(program()).and_then(|meta| meta.modified()).expect("it was built");
        let age = built.duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_nanos());
        let copied = std::env::temp_dir().join(format!("burnmark-test-{age}"));
        if !copied.exists() {
            let own = copied.with_extension(std::process::id().to_string());
            std::fs::copy(program(), &own).expect("there is room for a copy");
            std::fs::rename(&own, &copied).expect("the folder is writable");
            remove_old_copies();
        }
        copied
    })
}

/// Copies of earlier builds; those of the last hour may be of tests that run at the same time.
fn remove_old_copies() {
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let is_copy = entry.file_name().to_string_lossy().starts_with("burnmark-test-");
        let age = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|made| made.elapsed().ok());
        if is_copy && age.is_some_and(|age| age > Duration::from_secs(3600)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether tests can run commands as other users here; says so loudly if not.
pub(crate) fn can_change_user() -> bool {
    let works = as_user(61_000).arg("true").status().is_ok_and(|status| status.success());
    if !works {
        eprintln!("SKIPPED: setpriv can't change the user here");
    }
    works
}

/// A folder that everybody may write into.
pub(crate) fn open_folder() -> tempfile::TempDir {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::set_permissions(folder.path(), permissions).expect("it is ours");
    folder
}

/// A process that is killed when dropped.
pub(crate) struct Target(pub(crate) Child);

impl Target {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"))
    }

    /// A shell that counts for ever.
    pub(crate) fn busy() -> Self {
        Self::start(Command::new("sh").args(["-c", "while :; do :; done"]))
    }

    pub(crate) fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn start_recorder(folder: &Path, pid: &str, output: &str) -> Child {
    let child = Command::new(program())
        .args(["record", "-p", pid, "-o", output])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("burnmark starts");
    let started = Instant::now();
    while !folder.join(format!("{output}.spool")).exists() {
        assert!(started.elapsed() < Duration::from_secs(20), "the recorder starts");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(status.expect("kill is there").success());
}
