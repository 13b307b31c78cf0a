//! A recording from its first sample to the file it ends up in: live records go into the recorder, the spool follows,
//! at the end everything is symbolized and written.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use burnmark_model::{Meta, Parsed, Profile};
use burnmark_native::{
    CallGraph, FileFinder, Modules, Recorder, Recording, Spool, StackEnds, SymbolOptions, UnwindOptions, finish,
    read_spool,
};
use burnmark_perf::counters::{Count, CounterValue, Counters, ProcCounters};
use burnmark_perf::live::{self, Launched, Session, Targets};
use burnmark_perf::record::Record;

use crate::{machine, output, progress, save, signals};

/// How often the spool is brought up to date.
const SPOOL_EVERY: Duration = Duration::from_millis(500);

/// After Ctrl-C a command has this long to end by itself: it got the signal too, and its end belongs to the recording.
const GRACE: Duration = Duration::from_secs(2);

/// With less CPU time than this, few samples are no sign of anything.
const UNDER_SAMPLED_FROM_NS: u64 = 100_000_000;

/// Bytes of user stack copied with each sample.
const USER_STACK_BYTES: u32 = 32 << 10;

/// What to record.
pub(crate) enum What {
    /// Running processes.
    Pids(Vec<u32>),
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
    spool: Held,
}

impl Recorded {
    /// Says where what was sampled still is: the recording can't be written.
    pub(crate) fn say_kept(&self) {
        say_kept(self.spool.spool.path());
    }

    /// The recording is safe elsewhere: the spool goes.
    pub(crate) fn discard_spool(self) -> anyhow::Result<Profile> {
        self.spool.spool.remove()?;
        Ok(self.parsed.profile)
    }
}

/// A spool that is being written. The lock tells other commands that it is not abandoned.
struct Held {
    spool: Spool,
    _lock: File,
    failed: bool,
}

impl Held {
    fn create(output: &Path) -> anyhow::Result<Self> {
        let path = spool_of(output);
        // One that was abandoned has been finished before: see `finish_interrupted`.
        if path.exists() {
            bail!(
                "{} is being recorded by another burnmark right now ({} is there): let it end, or name another file with -o",
                output.display(),
                path.display()
            );
        }
        let spool = Spool::create(&path).context("cannot start the recording")?;
        let lock = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        lock.try_lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self { spool, _lock: lock, failed: false })
    }

    /// A disk that fills up is told once; sampling goes on in memory.
    fn follow(&mut self, recording: &Recording) {
        match self.spool.append(recording) {
            Ok(()) => self.failed = false,
            Err(error) if !self.failed => {
                self.failed = true;
                output::say(&format!("warning: {error}. Sampling goes on; make room before it ends"));
            }
            Err(_) => {}
        }
    }
}

/// The spool of a recording that is, or will be, at `path`.
pub(crate) fn spool_of(path: &Path) -> PathBuf {
    let is_file = std::fs::metadata(path).map_or(!output::is_stdout(path), |meta| meta.is_file());
    if !is_file {
        return std::env::temp_dir().join(format!("burnmark-{}.spool", std::process::id()));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".spool");
    path.with_file_name(name)
}

fn say_kept(spool: &Path) {
    let spool = spool.display();
    output::say(&format!(
        "note: what was sampled is kept in {spool}; once the error is put right, `burnmark info {spool}` makes a \
         recording of it"
    ));
}

/// What is counted beside the samples.
enum Counting {
    Launched(Counters),
    Running(ProcCounters),
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
        }
    }
}

/// Samples until the duration is over, the target is gone, or a signal asks to end; then symbolizes.
pub(crate) fn record(options: Options) -> anyhow::Result<Recorded> {
    let stop = signals::stop_flag()?;
    let mut meta = machine::meta();
    meta.command = Some(command_name(&options.what, options.keep_args));
    let (launched, target, mut counting) = match options.what {
        What::Pids(pids) => {
            let counting = Counting::Running(ProcCounters::start(&pids, options.children));
            (None, live::Target::Pids(pids), counting)
        }
        What::Command(command) => {
            let launched = Launched::spawn(command)?;
            let pid = launched.pid();
            (Some(launched), live::Target::Command(pid), Counting::Launched(Counters::open(pid)))
        }
    };
    let mut session = Session::open(&live::Options {
        follows_children: options.children,
        event: options.event,
        frequency: options.frequency,
        binding: options.binding,
        user_stack_bytes: (options.call_graph != CallGraph::FramePointers).then_some(USER_STACK_BYTES),
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
            spool.spool.remove()?;
            return Err(error.into());
        }
    };
    let began = Instant::now();
    sample(&mut session, &mut recorder, &mut spool, &mut counting, options.duration, &stop)?;
    let command = child.as_mut().map(|child| (child.id(), child.try_wait().ok().flatten()));
    let (layout, setup) = (session.layout(), session.setup().clone());
    let stats = session.finish(&mut |bytes| take(&mut recorder, bytes, &layout))?;
    let meta = recorder.meta_mut();
    meta.duration_ns = i64::try_from(began.elapsed().as_nanos()).ok();
    meta.lost = Some(stats.lost);
    meta.notes.extend(losses(&stats));
    let counts = counting.read();
    meta.other.extend(counts.iter().map(machine::counter));
    let note = under_sampled(&setup, &stats, recorder.recording(), &counts);
    recorder.meta_mut().notes.extend(note);
    let note = cut_stacks(&recorder.stack_ends(), setup.user_stack_bytes);
    recorder.meta_mut().notes.extend(note);
    spool.follow(recorder.recording());
    let parsed = symbolize(&recorder.into_recording(), &modules, options.keep_args);
    Ok(Recorded { parsed, command, spool })
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
    let mut told_to_stop = false;
    spool.follow(recorder.recording());
    loop {
        let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        let targets = session.wait(left)?;
        session.drain(&mut |bytes| take(recorder, bytes, &layout))?;
        if spooled.elapsed() >= SPOOL_EVERY {
            spool.follow(recorder.recording());
            counting.update();
            spooled = Instant::now();
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

/// What was lost and what to change.
fn losses(stats: &live::Stats) -> Vec<String> {
    let mut notes = Vec::new();
    if stats.lost > 0 {
        let worst = stats.losses.iter().max_by_key(|loss| loss.lost);
        let when = worst.map_or(String::new(), |worst| format!(", most ({}) in second {}", worst.lost, worst.second));
        notes.push(format!("{} records of any process were lost{when}: sample less often (-F)", stats.lost));
    }
    if stats.throttled > 0 {
        notes.push(format!(
            "the kernel paused sampling {} times as it took too long: sample less often (-F)",
            stats.throttled
        ));
    }
    if stats.damaged_bytes > 0 {
        notes.push(format!("{} bytes from the kernel were no records", stats.damaged_bytes));
    }
    notes
}

/// A timer bound to a thread starts anew with each one, so threads that run for a moment leave no sample. The counted
/// CPU time tells how much that is; without the kernel's half the two can't be compared.
fn under_sampled(setup: &live::Setup, stats: &live::Stats, recording: &Recording, counts: &[Count]) -> Option<String> {
    if setup.event != live::Event::CpuClock
        || setup.binding != live::Binding::Task
        || !setup.has_kernel
        || stats.lost > 0
    {
        return None;
    }
    let CounterValue::Value(counted) = counts.iter().find(|count| count.name == "task-clock")?.value else {
        return None;
    };
    let sampled = recording.samples.iter().fold(0_u64, |sum, sample| sum.saturating_add(sample.period));
    (counted >= UNDER_SAMPLED_FROM_NS && sampled < counted / 2).then(|| {
        format!(
            "only {} ms of {} ms of CPU time were sampled: timers bound to threads miss threads that run for a moment; \
             --bind cpu (root or CAP_PERFMON) does not",
            sampled / 1_000_000,
            counted / 1_000_000
        )
    })
}

/// Stacks that were longer than what was copied of them.
fn cut_stacks(ends: &StackEnds, copied: Option<u32>) -> Option<String> {
    let copied = copied.filter(|_| ends.truncated.saturating_mul(100) > ends.total())?;
    Some(format!("{} stacks are longer than the {} KB that were copied of them", ends.truncated, copied >> 10))
}

fn command_name(what: &What, keep_args: bool) -> String {
    match what {
        What::Pids(pids) => {
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

fn symbolize(recording: &Recording, modules: &Modules, keep_paths: bool) -> Parsed {
    let homes = std::env::var("HOME").into_iter().collect();
    let options = SymbolOptions { keep_paths, homes, ..SymbolOptions::default() };
    let state = burnmark_native::Progress::default();
    progress::during("looking up symbols", || state.get(), || finish(recording, modules, &options, &state)).parsed
}

/// Writes a recording in the form its name asks for; one that is in its place is kept as `.old`.
pub(crate) fn write(profile: &Profile, path: &Path) -> anyhow::Result<()> {
    save::keep_old(path)?;
    save::recording(profile, path)
}

/// If the recorder of `path` was killed, or `path` is a spool itself, makes a recording of the spool. Returns where
/// the recording is.
pub(crate) fn finish_interrupted(path: &Path) -> anyhow::Result<PathBuf> {
    let is_spool = path.extension().is_some_and(|extension| extension == "spool");
    let (spool, recording) =
        if is_spool { (path.to_owned(), path.with_extension("")) } else { (spool_of(path), path.to_owned()) };
    if output::is_stdout(path) || !spool.is_file() {
        return Ok(path.to_owned());
    }
    let lock = File::open(&spool).with_context(|| format!("cannot open {}", spool.display()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) if is_spool => bail!("{} is being recorded right now", recording.display()),
        Err(TryLockError::WouldBlock) => return Ok(recording),
        Err(TryLockError::Error(error)) => return Err(error).context(format!("cannot lock {}", spool.display())),
    }
    let (raw, warnings) = read_spool(&spool)?;
    let name = recording.display().to_string();
    output::print_warnings(&name, &warnings);
    let remove = || std::fs::remove_file(&spool).with_context(|| format!("cannot remove {}", spool.display()));
    // A recording that is there is worth more than an empty one.
    if raw.samples.is_empty() {
        remove()?;
        output::say(&format!("note: an interrupted recording of {name} had sampled nothing: it is dropped"));
        return Ok(recording);
    }
    let mut parsed = symbolize(&raw, &Modules::new(FileFinder::ThisMachine), false);
    let note = "the recorder was interrupted: this is what it had sampled until then";
    parsed.profile.meta.notes.push(note.to_owned());
    output::print_warnings(&name, &parsed.warnings);
    write(&parsed.profile, &recording).inspect_err(|_| say_kept(&spool))?;
    remove()?;
    output::say(&format!(
        "finished the interrupted recording {name}: {} samples (an earlier recording is kept as .old)",
        parsed.profile.samples.len()
    ));
    Ok(recording)
}
