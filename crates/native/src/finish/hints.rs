//! What would give more names: interpreters and JIT compilers that can tell of their code, debug symbols.

use std::collections::{BTreeMap, HashMap, HashSet};

use foldhash::fast::RandomState;

use super::{Looked, ModuleReport};
use crate::recording::{CodeKind, NONE, Recording, SampleRows};
use crate::symbols::SymbolState;

/// Less of the samples than one in so many is not worth a word.
const WORTH: u64 = 100;

/// Programs that run other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Runtime {
    Python,
    Ruby,
    Node,
    Java,
    DotNet,
}

impl Runtime {
    const ALL: [Self; 5] = [Self::Python, Self::Ruby, Self::Node, Self::Java, Self::DotNet];

    /// By the file name of its program or library.
    fn of(path: &[u8]) -> Option<Self> {
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        let name = path.rsplit(|byte| *byte == b'/').next()?;
        let any = |starts: &[&[u8]]| starts.iter().any(|start| name.starts_with(start));
        // Versions follow (`python3.11`), other programs don't (`python-config`).
        let program = |stem: &[u8]| {
            name.strip_prefix(stem).is_some_and(|rest| rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'))
        };
        if program(b"python") || any(&[b"libpython"]) {
            Some(Self::Python)
        } else if program(b"ruby") || any(&[b"libruby"]) {
            Some(Self::Ruby)
        } else if program(b"node") || program(b"nodejs") || any(&[b"libnode.so"]) {
            Some(Self::Node)
        } else if name == b"libjvm.so" {
            Some(Self::Java)
        } else if name == b"libcoreclr.so" {
            Some(Self::DotNet)
        } else {
            None
        }
    }

    /// Whether it interprets, so that its functions are not to be seen as code at all.
    fn interprets(self) -> bool {
        matches!(self, Self::Python | Self::Ruby)
    }

    fn hint(self, percent: u64) -> String {
        match self {
            Self::Python => format!(
                "{percent} % is in Python: the frames are the interpreter's own; `python3 -X perf` (from Python 3.12) \
                 names the program's functions"
            ),
            Self::Ruby => format!(
                "{percent} % is in Ruby: the frames are the interpreter's own; `ruby --yjit-perf` (from Ruby 3.3) names \
                 the methods that it compiles"
            ),
            Self::Node => format!(
                "{percent} % is in JavaScript without names: start it with `node --perf-basic-prof`, or let \
                 `node --cpu-prof` record it and open the .cpuprofile"
            ),
            Self::Java => format!(
                "{percent} % is in Java code without names: run `jcmd PID Compiler.perfmap` (from Java 17) before the \
                 recording ends; -XX:+PreserveFramePointer keeps its stacks whole"
            ),
            Self::DotNet => {
                format!("{percent} % is in .NET code without names: start it with DOTNET_PerfMapEnabled=1")
            }
        }
    }
}

/// What is known of a process's samples.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// With code made at run time that has no name.
    nameless: u64,
    /// With such code that has one.
    named: u64,
    /// With a frame of an interpreter.
    interpreted: [u64; Runtime::ALL.len()],
}

const NAMELESS: u8 = 1 << 6;
const NAMED: u8 = 1 << 7;

/// Notes, most important first.
pub(super) fn hints(
    recording: &Recording,
    samples: &SampleRows,
    looked: &Looked<'_>,
    reports: &[ModuleReport],
) -> Vec<String> {
    let all = samples.len() as u64;
    let of_module: Vec<u8> = recording.modules.iter().map(|module| mask(Runtime::of(&module.path))).collect();
    let (processes, runtimes) = processes(recording, samples, looked, &of_module);
    let mut interpreted = BTreeMap::new();
    let mut nameless = BTreeMap::new();
    let mut unknown = 0;
    for (pid, seen) in &processes {
        let runs = |runtime: &Runtime| runtimes.contains(&(*pid, *runtime));
        for (runtime, samples) in Runtime::ALL.iter().zip(seen.interpreted) {
            // Named code of its own means that it tells of it.
            if runtime.interprets() && seen.named == 0 {
                *interpreted.entry(*runtime).or_insert(0) += samples;
            }
        }
        match Runtime::ALL.iter().filter(|runtime| !runtime.interprets()).find(|runtime| runs(runtime)) {
            Some(runtime) if seen.named == 0 => *nameless.entry(*runtime).or_insert(0) += seen.nameless,
            Some(_) => {}
            None if seen.named == 0 => unknown += seen.nameless,
            None => {}
        }
    }
    let is_worth = |samples: u64| samples > 0 && samples.saturating_mul(WORTH) >= all;
    let percent = |samples: u64| samples * 100 / all.max(1);
    let worth = interpreted.into_iter().chain(nameless).filter(|(_, samples)| is_worth(*samples));
    let mut notes: Vec<String> = worth.map(|(runtime, samples)| runtime.hint(percent(samples))).collect();
    if is_worth(unknown) {
        notes.push(format!(
            "{} % is in code made at run time, without names: its compiler may have an option to write /tmp/perf-PID.map",
            percent(unknown)
        ));
    }
    let is_stripped = |report: &&ModuleReport| matches!(report.symbols, SymbolState::Exported | SymbolState::Stripped);
    let stripped = reports.iter().filter(is_stripped).map(|report| report.nameless).max().unwrap_or(0);
    if is_worth(stripped) {
        notes.push(
            "names for stripped files: install their debug symbols (PACKAGE-dbgsym or -dbg on Debian and Ubuntu, \
             `dnf debuginfo-install PACKAGE` on Fedora), then run `burnmark symbolize`"
                .to_owned(),
        );
    }
    let skipped: u64 = reports
        .iter()
        .map(|report| if let SymbolState::JitMap { skipped } = report.symbols { skipped } else { 0 })
        .sum();
    if skipped > 0 {
        notes.push(format!("{skipped} lines of perf-PID.map files make no sense and were left out"));
    }
    notes
}

fn mask(runtime: Option<Runtime>) -> u8 {
    runtime.map_or(0, |runtime| 1 << runtime as u8)
}

/// Per process what its samples met, and the runtimes that any of them met.
fn processes(
    recording: &Recording,
    samples: &SampleRows,
    looked: &Looked<'_>,
    of_module: &[u8],
) -> (BTreeMap<i32, Seen>, HashSet<(i32, Runtime), RandomState>) {
    // What a stack meets is what its callers meet, and its leaf.
    let mut met: Vec<u8> = Vec::with_capacity(recording.stacks.len());
    for stack in &recording.stacks {
        let above = met.get(stack.parent as usize).copied().unwrap_or(0);
        let frame = recording.frames[stack.frame as usize];
        let module = recording.modules.get(frame.module as usize).filter(|_| frame.module != NONE);
        let made_at_run_time = module.is_some_and(|module| module.kind == CodeKind::Anonymous);
        let own = match (made_at_run_time, looked.located[stack.frame as usize].functions.is_empty()) {
            (true, true) => NAMELESS,
            (true, false) => NAMED,
            (false, _) => of_module.get(frame.module as usize).copied().unwrap_or(0),
        };
        met.push(above | own);
    }
    // Mostly there is nothing to tell, and there are millions of samples: those that met something are counted first.
    let mut counts: HashMap<(u32, u8), u64, RandomState> = HashMap::default();
    for (thread, stack) in samples.threads.iter().zip(&samples.stacks) {
        let met = met.get(*stack as usize).copied().unwrap_or(0);
        if met != 0 {
            *counts.entry((*thread, met)).or_default() += 1;
        }
    }
    let mut processes: BTreeMap<i32, Seen> = BTreeMap::new();
    let mut runtimes = HashSet::default();
    for ((thread, met), samples) in counts {
        let pid = recording.processes[recording.threads[thread as usize].process as usize].pid;
        let seen = processes.entry(pid).or_default();
        seen.nameless += if met & NAMELESS != 0 { samples } else { 0 };
        seen.named += if met & NAMED != 0 { samples } else { 0 };
        for (runtime, count) in Runtime::ALL.iter().zip(&mut seen.interpreted) {
            if met & mask(Some(*runtime)) != 0 {
                *count += samples;
                runtimes.insert((pid, *runtime));
            }
        }
    }
    (processes, runtimes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_known_by_their_files() {
        for (path, runtime) in [
            ("/usr/bin/python3.11", Some(Runtime::Python)),
            ("/usr/lib/x86_64-linux-gnu/libpython3.12.so.1.0", Some(Runtime::Python)),
            ("/usr/bin/python-config", None),
            ("/usr/bin/ruby3.1", Some(Runtime::Ruby)),
            ("/usr/lib/libruby-3.1.so.3.1.2 (deleted)", Some(Runtime::Ruby)),
            ("/usr/bin/node", Some(Runtime::Node)),
            ("/usr/bin/nodejs (deleted)", Some(Runtime::Node)),
            ("/usr/bin/node_exporter", None),
            ("/usr/lib/jvm/java-17/lib/server/libjvm.so", Some(Runtime::Java)),
            ("/usr/share/dotnet/shared/x/libcoreclr.so", Some(Runtime::DotNet)),
            ("/usr/lib/x86_64-linux-gnu/libc.so.6", None),
            ("[anon]", None),
        ] {
            assert_eq!(Runtime::of(path.as_bytes()), runtime, "{path}");
        }
    }
}
