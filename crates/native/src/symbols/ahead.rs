//! Names looked up while samples still come in: reading a large file leaves a processor idle now and then, and where
//! its frames are is known long before its end.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use foldhash::fast::RandomState;

use super::module::symbolize_coming;
use super::{Request, Symbolized, Wanted};
use crate::finish::kernel::{self, Kernel};
use crate::recording::{CodeKind, ModuleRow, Recording};

/// Modules that are looked at, and bytes of their files: what is read of them, and a stack, stays in memory until the end.
const MOST_MODULES: usize = 4;
const MOST_BYTES: usize = 256 << 20;

/// Stack of each symbolizing thread in bytes: demanglers and readers of debug information recurse, within bounds.
pub(crate) const STACK: usize = 16 << 20;

/// Threads that each look up one module's addresses as they come.
pub(crate) struct Ahead<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    wanted: Wanted<'scope>,
    /// Frames that were told of.
    told: usize,
    bytes: usize,
    /// Per module; `None` for those that are left for later.
    modules: HashMap<u32, Option<Running<'scope>>, RandomState>,
    /// Reads the names of the kernel.
    kernel: Option<ScopedJoinHandle<'scope, Kernel>>,
}

/// A module that is being looked at.
struct Running<'scope> {
    row: ModuleRow,
    requests: Sender<Vec<Request>>,
    thread: ScopedJoinHandle<'scope, Option<Symbolized>>,
}

impl<'scope, 'env> Ahead<'scope, 'env> {
    /// Nothing is looked at yet.
    pub(crate) fn new(scope: &'scope Scope<'scope, 'env>, wanted: Wanted<'scope>) -> Self {
        Self { scope, wanted, told: 0, bytes: 0, modules: HashMap::default(), kernel: None }
    }

    /// Has the frames looked up that came since it was last told.
    pub(crate) fn tell(&mut self, recording: &Recording) {
        let mut batches: HashMap<u32, Vec<Request>, RandomState> = HashMap::default();
        for frame in &recording.frames[self.told..] {
            let request = Request { address: frame.address, is_return: frame.is_return };
            batches.entry(frame.module).or_default().push(request);
        }
        self.told = recording.frames.len();
        // There may be more modules than are looked at: those with the most addresses come first.
        let mut batches: Vec<(u32, Vec<Request>)> = batches.into_iter().collect();
        batches.sort_unstable_by_key(|(index, batch)| (std::cmp::Reverse(batch.len()), *index));
        for (index, batch) in batches {
            let Some(row) = recording.modules.get(index as usize) else { continue };
            if row.kind == CodeKind::Kernel && self.kernel.is_none() {
                self.kernel = self.start_kernel(row, recording);
            }
            if !self.modules.contains_key(&index) {
                let running = self.start(index, row);
                self.modules.insert(index, running);
            }
            if let Some(Some(running)) = self.modules.get(&index) {
                // A thread that has given up takes no more.
                let _ = running.requests.send(batch);
            }
        }
    }

    fn start(&mut self, index: u32, row: &ModuleRow) -> Option<Running<'scope>> {
        let running = self.modules.values().flatten().count();
        if row.kind != CodeKind::File || running >= MOST_MODULES {
            return None;
        }
        let file = self.wanted.modules.open(index, row, None).ok()?;
        self.bytes = self.bytes.checked_add(file.bytes().len()).filter(|bytes| *bytes <= MOST_BYTES)?;
        let (requests, coming): (_, Receiver<Vec<Request>>) = channel();
        let (own, wanted) = (row.clone(), self.wanted);
        let work = move || symbolize_coming(&own, &file, &coming, wanted);
        let thread = Builder::new().name("symbols".to_owned()).stack_size(STACK);
        Some(Running { row: row.clone(), requests, thread: thread.spawn_scoped(self.scope, work).ok()? })
    }

    fn start_kernel(&self, row: &ModuleRow, recording: &Recording) -> Option<ScopedJoinHandle<'scope, Kernel>> {
        let (build_id, boot_id) = (row.build_id.clone(), recording.boot_id.clone());
        let finder = self.wanted.modules.finder();
        let read = move || kernel::read(&build_id, &boot_id, finder);
        Builder::new().name("kernel".to_owned()).spawn_scoped(self.scope, read).ok()
    }

    /// All frames are known: waits for the names of those that were looked at.
    pub(crate) fn last(mut self, recording: &Recording) -> Names {
        self.tell(recording);
        let running = self.modules.into_iter().filter_map(|(index, running)| Some((index, running?)));
        // No more requests come. Records that came later may have told more of a module: then it is looked at anew.
        let same = running.filter(|(index, running)| recording.modules[*index as usize] == running.row);
        let threads: Vec<_> = same.map(|(index, running)| (index, running.thread)).collect();
        let names = threads.into_iter().filter_map(|(index, thread)| Some((index, thread.join().ok()??)));
        let modules = names.collect();
        Names { modules, kernel: self.kernel.and_then(|kernel| kernel.join().ok()) }
    }
}

/// Names that were looked up.
#[derive(Default)]
pub(crate) struct Names {
    modules: HashMap<u32, Symbolized, RandomState>,
    kernel: Option<Kernel>,
}

impl Names {
    /// Those of a module, one per request; `None` if it has to be looked at still.
    pub(crate) fn take(&mut self, module: usize, requests: usize) -> Option<Symbolized> {
        self.modules.remove(&(module as u32)).filter(|found| found.located.len() == requests)
    }

    /// Those of the kernel.
    pub(crate) fn take_kernel(&mut self) -> Option<Kernel> {
        self.kernel.take()
    }
}
