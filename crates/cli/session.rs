//! A recording from its first sample to the file it ends up in: live records go into the recorder, the spool follows,
//! at the end everything is symbolized and written.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use burnmark_model::{Meta, Parsed, Profile};
use burnmark_native::{CallGraph, FileFinder, Modules, Recorder, Recording, SymbolOptions, UnwindOptions, finish};
use burnmark_perf::counters::{Count, Counters, ProcCounters};
use burnmark_perf::live::{self, Launched, Session, Targets};
use burnmark_perf::record::Record;

use crate::spool::{Held, say_kept};
use crate::{machine, notes, output, progress, save, signals};

pub(crate) use crate::spool::finish_interrupted;

/// How often the spool is brought up to date.
const SPOOL_EVERY: Duration = Duration::from_millis(500);

/// After Ctrl-C a command has this long to end by itself: it got the signal too, and its end belongs to the recording.
const GRACE: Duration = Duration::from_secs(2);

/// Counting processes by `/proc` takes at most one part in so many of the time: there may be thousands of threads.
const COUNTING_PART: u32 = 100;

/// How soon to look again while handlers run on stacks of their own, and for how long after the last one was seen.
const SOON: Duration = Duration::from_millis(4);
const SOON_FOR: Duration = Duration::from_millis(500);

/// Bytes of user stack copied with each sample at most; it begins with fewer where the rings are small.
const USER_STACK_BYTES: u32 = 32 << 10;

/// What to record.
pub(crate) enum What {
    /// Running processes.
    Pids(Vec<u32>),
    /// Processes that were found; some may have exited since.
    Found(Vec<u32>),
    /// Single threads.
    Threads(Vec<u32>),
    /// All processes.
    All,
    /// A command, launched here.
    Command(std::process::Command),
}

/// How to record.
pub(crate) struct Options {
    pub(crate) what: What,
    pub(crate) duration: Option<Duration>,
    /// Samples per second and CPU; the library chooses if it is not given.
    pub(crate) frequency: Option<u64>,
    pub(crate) event: Option<live::Event>,
    pub(crate) binding: live::Binding,
    pub(crate) call_graph: CallGraph,
    pub(crate) children: bool,
    pub(crate) keep_args: bool,
    /// Where the recording will be: its spool is beside it.
    pub(crate) output: PathBuf,
}

/// What was recorded, symbolized and with its spool still there.
pub(crate) struct Recorded {
    pub(crate) parsed: Parsed,
    /// The command's process, if one was launched, and how it ended, if it has.
    pub(crate) command: Option<(u32, Option<ExitStatus>)>,
    /// Processes that the command started and that go on after its end.
    pub(crate) left_behind: Vec<i32>,
    spool: Held,
}

impl Recorded {
    /// The recording can't be written: says where what was sampled still is, or brings it to safety.
    pub(crate) fn rescue(&self) {
        if !self.spool.is_incomplete() {
            return say_kept(self.spool.path());
        }
        // The same disk is full for the spool too.
        let refuge = std::env::temp_dir().join(format!("burnmark-{}.pb.gz", std::process::id()));
        match save::recording(&self.parsed.profile, &refuge) {
            Ok(()) => output::say(&format!("note: the recording is in {} instead", refuge.display())),
            Err(_) => {
                output::say("note: its last part is lost, there was no room for it anywhere");
                say_kept(self.spool.path());
            }
        }
    }

    /// The recording is safe elsewhere: the spool goes.
    pub(crate) fn discard_spool(self) -> anyhow::Result<Profile> {
        self.spool.remove()?;
        Ok(self.parsed.profile)
    }
}

/// What is counted beside the samples.
enum Counting {
    Launched(Counters),
    Running(ProcCounters),
    /// Nothing: of a whole machine `/proc` says too much.
    Off,
}

impl Counting {
    fn update(&mut self) {
        if let Self::Running(counters) = self {
            counters.update();
        }
    }

    fn read(&mut self) -> Vec<Count> {
        self.update();
        match self {
            Self::Launched(counters) => counters.read(),
            Self::Running(counters) => counters.read(),
            Self::Off => Vec::new(),
        }
    }
}

/// Samples until the duration is over, the target is gone, or a signal asks to end; then symbolizes.
pub(crate) fn record(options: Options) -> anyhow::Result<Recorded> {
    let stop = signals::stop_flag()?;
    let mut meta = machine::meta();
    meta.command = Some(command_name(&options.what, options.keep_args));
    let asked = asked(&options.what);
    let skips_missing = matches!(options.what, What::Found(_));
    let (launched, target, mut counting) = begin(options.what, options.children)?;
    let mut session = Session::open(&live::Options {
        follows_children: options.children,
        skips_missing,
        event: options.event,
        frequency: options.frequency,
        binding: options.binding,
        user_stack_bytes: (options.call_graph != CallGraph::FramePointers).then_some(USER_STACK_BYTES),
        adapts_user_stack: true,
        ..live::Options::new(target)
    })?;
    describe(&session, &mut meta);
    let modules = Arc::new(Modules::new(FileFinder::ThisMachine));
    let mut recorder = Recorder::new(meta);
    recorder.set_modules(modules.clone());
    recorder.set_unwinding(UnwindOptions::here(options.call_graph));
    recorder.set_boot_id(&machine::boot_id());
    let mut spool = Held::create(&options.output)?;
    let started = match launched {
        Some(launched) => launched.start(&mut session).map(Some),
        None => Ok(None),
    };
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            spool.remove()?;
            return Err(error.into());
        }
    };
    let began = Instant::now();
    // To be pushed aside costs the target's threads far more than the time it takes.
    let waiting = live::wait_for_turn();
    sample(&mut session, &mut recorder, &mut spool, &mut counting, options.duration, &stop)?;
    drop(waiting);
    let command = child.as_mut().map(|child| (child.id(), child.try_wait().ok().flatten()));
    let (layout, setup) = (session.layout(), session.setup().clone());
    let stats = session.finish(&mut |bytes| take(&mut recorder, bytes, &layout))?;
    let meta = recorder.meta_mut();
    meta.duration_ns = i64::try_from(began.elapsed().as_nanos()).ok();
    meta.lost = Some(stats.lost);
    meta.notes.extend(notes::losses(&stats));
    let counts = counting.read();
    meta.other.extend(counts.iter().map(machine::counter));
    let note = notes::under_sampled(&setup, &stats, recorder.recording(), &counts);
    recorder.meta_mut().notes.extend(note);
    let note = notes::cut_stacks(&recorder.stack_ends(), setup.user_stack_bytes);
    recorder.meta_mut().notes.extend(note);
    if recorder.recording().samples.is_empty() {
        let pids = command.map_or(asked, |(pid, _)| vec![pid]);
        let note = notes::nothing_sampled(&pids, began.elapsed(), setup.frequency, &counts);
        recorder.meta_mut().notes.extend(note);
    }
    spool.follow(recorder.recording());
    let parsed = symbolize(recorder.into_recording(), &modules, options.keep_args);
    let has_ended = command.is_some_and(|(_, exit)| exit.is_some());
    let left_behind = if has_ended { stats.living } else { Vec::new() };
    Ok(Recorded { parsed, command, left_behind, spool })
}

/// What is sampled and counted: a command is launched, and held back until it is sampled.
fn begin(what: What, follows_children: bool) -> anyhow::Result<(Option<Launched>, live::Target, Counting)> {
    Ok(match what {
        What::Pids(pids) | What::Found(pids) => {
            let counting = Counting::Running(ProcCounters::start(&pids, follows_children));
            (None, live::Target::Pids(pids), counting)
        }
        What::Threads(tids) => {
            let counting = Counting::Running(ProcCounters::of_threads(&tids));
            (None, live::Target::Threads(tids), counting)
        }
        What::All => (None, live::Target::All, Counting::Off),
        What::Command(command) => {
            let launched = Launched::spawn(command)?;
            let pid = launched.pid();
            (Some(launched), live::Target::Command(pid), Counting::Launched(Counters::open(pid)))
        }
    })
}

/// Rounds of waiting and draining.
fn sample(
    session: &mut Session,
    recorder: &mut Recorder,
    spool: &mut Held,
    counting: &mut Counting,
    duration: Option<Duration>,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let line = progress::Recording::start(duration);
    let layout = session.layout();
    let began = Instant::now();
    let mut deadline = duration.map(|duration| began + duration);
    let mut spooled = Instant::now();
    let mut count_at = Instant::now() + SPOOL_EVERY;
    let mut told_to_stop = false;
    let mut pace = Pace::default();
    spool.follow(recorder.recording());
    loop {
        let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        let targets = session.wait(left.min(pace.next(recorder.stack_ends().left_stack)))?;
        session.drain(&mut |bytes| take(recorder, bytes, &layout))?;
        session.adapt_stack_copy(&recorder.stack_ends().lengths())?;
        if spooled.elapsed() >= SPOOL_EVERY {
            spool.follow(recorder.recording());
            spooled = Instant::now();
        }
        if Instant::now() >= count_at {
            let began = Instant::now();
            counting.update();
            count_at = Instant::now() + SPOOL_EVERY.max(began.elapsed() * COUNTING_PART);
        }
        line.update(session.stats().samples, recorder.recording().threads.len(), session.stats().lost);
        if stop.load(Ordering::Relaxed) && !told_to_stop {
            told_to_stop = true;
            let grace = if matches!(counting, Counting::Launched(_)) { GRACE } else { Duration::ZERO };
            let end = Instant::now() + grace;
            deadline = Some(deadline.map_or(end, |deadline| deadline.min(end)));
        }
        if targets == Targets::Gone || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            line.finish();
            return Ok(());
        }
    }
}

/// How long to wait for samples. The frames that a signal handler on a stack of its own has interrupted are read from the
/// process, and are gone when it returns: while there are such the rounds follow closely.
#[derive(Default)]
struct Pace {
    left_stack: u64,
    soon_until: Option<Instant>,
}

impl Pace {
    fn next(&mut self, left_stack: u64) -> Duration {
        if left_stack > self.left_stack {
            self.left_stack = left_stack;
            self.soon_until = Some(Instant::now() + SOON_FOR);
        }
        let is_soon = self.soon_until.is_some_and(|until| Instant::now() < until);
        if is_soon { SOON } else { Duration::MAX }
    }
}

fn take(recorder: &mut Recorder, bytes: &[u8], layout: &burnmark_perf::layout::SampleLayout) -> anyhow::Result<()> {
    // A record that can't be decoded is the kernel's doing: nothing of the user's input is in it.
    let record = Record::decode(bytes, layout).context("the kernel wrote a record that is not understood")?;
    recorder.apply(&record, 0);
    Ok(())
}

fn describe(session: &Session, meta: &mut Meta) {
    let setup = session.setup();
    meta.event = Some(setup.event.name().to_owned());
    meta.frequency_hz = Some(setup.frequency);
    meta.notes.extend(setup.notes.iter().map(ToString::to_string));
    meta.notes.extend(setup.event.blind_spot().map(str::to_owned));
}

/// The processes or threads that were asked for.
fn asked(what: &What) -> Vec<u32> {
    match what {
        What::Pids(ids) | What::Found(ids) | What::Threads(ids) => ids.clone(),
        What::All | What::Command(_) => Vec::new(),
    }
}

fn command_name(what: &What, keep_args: bool) -> String {
    match what {
        What::All => "all processes".to_owned(),
        What::Pids(pids) | What::Found(pids) | What::Threads(pids) => {
            let mut names = pids.iter().map(|pid| machine::process_name(*pid, keep_args)).collect::<Vec<_>>();
            names.dedup();
            names.join(", ")
        }
        What::Command(command) => {
            let program = command.get_program().to_string_lossy().into_owned();
            if !keep_args {
                return Path::new(&program).file_name().map_or(program.clone(), |name| name.to_string_lossy().into());
            }
            let words = std::iter::once(program.into()).chain(command.get_args().map(|word| word.to_string_lossy()));
            words.collect::<Vec<_>>().join(" ")
        }
    }
}

pub(crate) fn symbolize(recording: Recording, modules: &Modules, keep_paths: bool) -> Parsed {
    let homes = std::env::var("HOME").into_iter().collect();
    let options = SymbolOptions { keep_paths, homes, ..SymbolOptions::default() };
    let state = burnmark_native::Progress::default();
    progress::during("looking up symbols", || state.get(), || finish(recording, modules, &options, &state)).parsed
}

/// Writes a recording in the form its name asks for; one that is in its place is kept as `.old`.
pub(crate) fn write(profile: &Profile, path: &Path) -> anyhow::Result<()> {
    // A link stays where it is: what it points to is kept beside itself, and replaced.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    save::keep_old(path)?;
    save::recording(profile, path)
}
