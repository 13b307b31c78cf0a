//! From perf records to resolved stacks.
//!
//! Records go into a [`Recorder`], which follows every process's address space and turns each sample into an interned
//! stack at once: a [`Recording`] holds distinct (module, file offset) frames, distinct stacks and 24 bytes a sample.
//! A [`Spool`] keeps it on disk meanwhile, in frames that survive a kill at any byte. At the end [`finish`] opens the
//! modules through a [`FileFinder`], symbolizes each distinct address once and builds the `Profile`.
//! [`perf_data_profile`] does all of it for a perf.data file, and looks names up while it is being read.
//!
//! It is not a source of records (it opens no perf event) and prints nothing.
//!
//! Invariants:
//! - A user address is resolved to (module, file offset) when its sample is met, with the mappings of that moment. What
//!   is mapped later, or another process, never changes it.
//! - Modules are opened only through the finder handed in.
//! - Symbolization fails per frame, never as a whole: the frame falls back to its symbol, then to `module+0xoffset`,
//!   and the module is listed with the reason.
//! - The profile depends on the records and the files only, not on the number of threads.
//! - No input makes it panic: neither records, nor a spool, nor a module's debug information.
//!
//! ```
//! use burnmark_native::{Event, FileFinder, Mapped, Mode, Modules, Progress, Recorder, SampleEvent, SymbolOptions};
//!
//! let mut recorder = Recorder::new(burnmark_model::Meta::default());
//! let path = b"/usr/bin/true".as_slice();
//! let mapping = Mapped { start: 0x1000, end: 0x2000, offset: 0x3000, path, ..Mapped::default() };
//! recorder.event(&Event::Map { pid: 7, mapping, executable: true, time: 10 });
//! let sample = SampleEvent { pid: 7, tid: 7, time: 20, period: 1, event: 0 };
//! recorder.sample(&sample, [(Mode::User, 0x1234)]);
//!
//! let recording = recorder.into_recording();
//! assert_eq!(recording.frames[0].address, 0x3234);
//! let modules = Modules::new(FileFinder::Only(Default::default()));
//! let finished = burnmark_native::finish(recording, &modules, &SymbolOptions::default(), &Progress::default());
//! assert_eq!(finished.parsed.profile.samples.len(), 1);
//! ```

mod error;
mod finish;
mod modules;
mod perfdata;
mod procfs;
mod recorder;
mod recording;
mod spaces;
mod spool;
mod symbols;
mod unwind;

pub use burnmark_perf::record::Mode;
pub use error::Error;
pub use finish::{Finished, ModuleReport, Progress, SymbolOptions, finish, resymbolize};
pub use modules::{Modules, NoFile};
pub use perfdata::{PerfDataOptions, perf_data_profile, read_perf_data};
pub use procfs::{ProcessMaps, parse_maps};
pub use recorder::{Event, FileId, Mapped, Recorder, SampleEvent};
pub use recording::{
    CodeKind, EventRow, FrameRow, LostRow, ModuleRow, NONE, ProcessRow, Recording, SampleRow, SampleRows, StackRow,
    ThreadRow,
};
pub use spaces::{Found, Spaces};
pub use spool::{Spool, read_spool};
pub use symbols::{FileFinder, OwnFiles, Places, SymbolState};
pub use unwind::{CallGraph, Machine, StackEnds, UnwindOptions};
