//! Samples processes and prints how many records of each type came:
//! `cargo run -p burnmark-perf --example dump -- -p PID -d 2` or `… --example dump -- -d 2 -- COMMAND ARGS…` or `-a`.
//!
//! More: `-F HZ`, `--task` / `--cpu` (what events are bound to), `--stack BYTES` (copies of user stacks), `-v` (every
//! record but samples), `--no-children`.

use burnmark_perf::live::{Binding, Error, Launched, Options, Session, Target, Until};
use burnmark_perf::record::{Header, Mode, Record};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// As `println!`, but a closed pipe is no error.
macro_rules! out {
    ($($part:tt)*) => {{
        let _ = writeln!(std::io::stdout(), $($part)*);
    }};
}

struct Arguments {
    options: Options,
    duration: Option<Duration>,
    command: Option<Command>,
    is_verbose: bool,
}

fn arguments() -> Option<Arguments> {
    let mut options = Options::new(Target::All);
    let (mut pids, mut duration, mut command, mut is_verbose) = (Vec::new(), None, None, false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-p" => pids.push(words.next()?.parse().ok()?),
            "-a" => {}
            "-d" => duration = Some(Duration::from_secs_f64(words.next()?.parse().ok()?)),
            "-F" => options.frequency = Some(words.next()?.parse().ok()?),
            "--stack" => options.user_stack_bytes = Some(words.next()?.parse().ok()?),
            "--ring" => options.ring_bytes = Some(words.next()?.parse().ok()?),
            "--task" => options.binding = Binding::Task,
            "--cpu" => options.binding = Binding::Cpu,
            "--no-children" => options.follows_children = false,
            "-v" => is_verbose = true,
            "--" => {
                let mut program = Command::new(words.next()?);
                program.args(words.by_ref());
                command = Some(program);
            }
            _ => return None,
        }
    }
    if !pids.is_empty() {
        options.target = Target::Pids(pids);
    }
    Some(Arguments { options, duration, command, is_verbose })
}

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("usage: dump [-F HZ] [-d SECONDS] [--task|--cpu] [--stack BYTES] (-a | -p PID | -- COMMAND…)");
        return ExitCode::from(2);
    };
    match dump(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dump: {error}");
            ExitCode::from(error.exec_exit_code().unwrap_or(1))
        }
    }
}

fn dump(arguments: Arguments) -> Result<(), Error> {
    let Arguments { mut options, duration, command, is_verbose } = arguments;
    let launched = command.map(Launched::spawn).transpose()?;
    if let Some(launched) = &launched {
        options.target = Target::Command(launched.pid());
    }
    let mut session = Session::open(&options)?;
    let setup = session.setup().clone();
    out!(
        "{} at {} Hz, bound to {:?}, {} CPUs, {} KiB rings, {} threads attached",
        setup.event.name(),
        setup.frequency,
        setup.binding,
        setup.cpus,
        setup.ring_bytes / 1024,
        setup.attached_threads
    );
    setup.notes.iter().for_each(|note| out!("note: {note}"));
    setup.event.blind_spot().iter().for_each(|note| out!("note: {note}"));
    let child = launched.map(|launched| launched.start(&mut session)).transpose()?;

    let layout = session.layout();
    let (mut kinds, mut processes) = (BTreeMap::new(), BTreeMap::new());
    let (mut frames, mut kernel, mut stack_bytes, mut last_time, mut inversions) = (0_u64, 0_u64, 0_u64, 0, 0_u64);
    let mut sink = |bytes: &[u8]| {
        let time = layout.peek_time(bytes).unwrap_or(0);
        inversions += u64::from(time < last_time);
        last_time = time;
        match Record::decode(bytes, &layout) {
            Ok(Record::Sample(sample)) => {
                *kinds.entry("SAMPLE".to_owned()).or_insert(0_u64) += 1;
                *processes.entry(sample.pid).or_insert(0_u64) += 1;
                frames += sample.frames().count() as u64;
                kernel += u64::from(sample.mode() == Mode::Kernel);
                stack_bytes += sample.stack_user.map_or(0, |stack| stack.len() as u64);
            }
            Ok(record) => {
                let text = format!("{record:?}");
                let name = text.split(['(', ' ']).next().unwrap_or_default().to_uppercase();
                *kinds.entry(name).or_insert(0) += 1;
                if is_verbose {
                    out!("{text}");
                }
            }
            Err(error) => out!("{:?}: {error}", Header::peek(bytes)),
        }
        Ok::<(), Error>(())
    };
    let ended = session.run(Until { duration, stop: None }, &mut sink, &mut |_| {})?;
    let stats = session.finish(&mut sink)?;
    out!("ended: {ended:?}");
    if let Some(mut child) = child {
        out!("command: {:?}", child.try_wait());
    }
    kinds.iter().for_each(|(kind, count)| out!("{count:>9} {kind}"));
    out!("{frames} frames, {kernel} samples in the kernel, {stack_bytes} bytes of stack, {inversions} out of order");
    out!("samples by process: {processes:?}");
    out!("{stats:?}");
    Ok(())
}
