//! Progress on standard error for work that takes over a second. On anything but a terminal nothing is shown.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shorter work shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// A bar that follows a counter on a thread of its own until it is dropped.
pub(crate) struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread only draws: if it panicked there is nothing to save.
            let _ = thread.join();
        }
    }
}

/// Shows how many of `total` bytes were read; without a total (a pipe), how many and how fast.
pub(crate) fn bytes(what: String, total: Option<u64>, counter: Arc<AtomicU64>) -> Follower {
    let template = match total {
        Some(_) => "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        None => "{spinner} {msg} {bytes} {bytes_per_sec}",
    };
    follow(what, total, counter, template)
}

/// Shows `done` of `total`, as `state` tells, while `work` goes on.
pub(crate) fn during<T>(what: &'static str, state: impl Fn() -> (usize, usize) + Send, work: impl FnOnce() -> T) -> T {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    let (finished, waiting) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let is_over = |time| waiting.recv_timeout(time) != Err(RecvTimeoutError::Timeout);
            if is_over(PATIENCE) {
                return;
            }
            // Until the total is known, something else is being shown.
            while state().1 == 0 {
                if is_over(TICK) {
                    return;
                }
            }
            let bar = new_bar(Some(0), "{msg} {wide_bar} {pos}/{len}");
            bar.set_message(what);
            while !is_over(TICK) {
                let (done, total) = state();
                bar.set_length(total as u64);
                bar.set_position(done as u64);
            }
            bar.finish_and_clear();
        });
        // Dropped at the end of the work, or when it panics: the other thread sees the channel's end.
        let _finished = finished;
        work()
    })
}

fn follow(what: String, total: Option<u64>, counter: Arc<AtomicU64>, template: &'static str) -> Follower {
    let stop = Arc::new(AtomicBool::new(false));
    if !std::io::stderr().is_terminal() {
        return Follower { stop, thread: None };
    }
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let started = std::time::Instant::now();
        while !stopped.load(Ordering::Relaxed) && started.elapsed() < PATIENCE {
            std::thread::park_timeout(PATIENCE - started.elapsed().min(PATIENCE));
        }
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        let bar = new_bar(total, template);
        bar.set_message(burnmark_report::message(&what).into_owned());
        while !stopped.load(Ordering::Relaxed) {
            bar.set_position(counter.load(Ordering::Relaxed));
            std::thread::park_timeout(TICK);
        }
        bar.finish_and_clear();
    });
    Follower { stop, thread: Some(thread) }
}

fn new_bar(total: Option<u64>, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(template).expect("templates are constants");
    bar.set_style(style);
    bar
}

/// The line under a running recording: elapsed time (of how long, if that is known) and what was sampled.
pub(crate) struct Recording {
    bar: ProgressBar,
    started: std::time::Instant,
}

impl Recording {
    /// Nothing is drawn before the first second is over.
    pub(crate) fn start(duration: Option<Duration>) -> Self {
        let bar = match duration {
            Some(duration) => new_bar(Some(duration.as_millis() as u64), "{msg} {wide_bar} {elapsed}"),
            None => new_bar(None, "{spinner} {msg} {elapsed} (Ctrl-C ends it)"),
        };
        if !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { bar, started: std::time::Instant::now() }
    }

    /// Draws the state of the recording.
    pub(crate) fn update(&self, samples: u64, threads: usize, lost: u64) {
        let lost = if lost == 0 { String::new() } else { format!(", {lost} lost") };
        self.say(format!("{samples} samples, {threads} threads{lost}"));
    }

    /// Draws a text beside the time.
    pub(crate) fn say(&self, text: String) {
        if self.started.elapsed() < PATIENCE {
            return;
        }
        self.bar.set_position(self.started.elapsed().as_millis() as u64);
        self.bar.set_message(text);
        self.bar.tick();
    }

    /// Clears the line.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
