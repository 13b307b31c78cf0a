//! Samples with registers and a copied stack: their user half is unwound, the kernel's half is kept.

use burnmark_perf::record::{Mode, RegisterAbi, Sample};

use super::{ChainFrame, Recorder, SampleEvent, known_mode, push};
use crate::modules::Task;
use crate::unwind::{CallGraph, CodeMap, StackEnds, UnwindOptions, Unwinder, UserFrame, UserHalf};

/// The unwinder and what it works in: nothing is allocated per sample.
#[derive(Debug)]
pub(super) struct Unwinding {
    unwinder: Unwinder,
    pub(super) options: UnwindOptions,
    chain: Vec<u64>,
    frames: Vec<UserFrame>,
}

impl Unwinding {
    pub(super) fn new(options: UnwindOptions) -> Self {
        Self { unwinder: Unwinder::new(options), options, chain: Vec::new(), frames: Vec::new() }
    }

    pub(super) fn ends(&self) -> &StackEnds {
        self.unwinder.ends()
    }
}

impl Recorder {
    /// From now on samples that have user registers and a copy of the user stack are unwound. Tables are read from the
    /// files of [`Recorder::set_modules`].
    pub fn set_unwinding(&mut self, options: UnwindOptions) {
        self.unwinding = Some(Box::new(Unwinding::new(options)));
        self.unwinders.clear();
    }

    /// How the stacks that were unwound so far ended. Stacks of frame pointers only are not in it.
    pub fn stack_ends(&self) -> StackEnds {
        let all = self.unwinding.iter().map(|unwinding| unwinding.ends());
        let all = all.chain(self.unwinders.iter().map(|unwinding| unwinding.ends()));
        all.fold(StackEnds::default(), |sum, ends| sum.plus(ends))
    }

    /// Takes in a sample that is to be unwound; `false` if it is not.
    pub(super) fn unwind(&mut self, event: &SampleEvent, sample: &Sample<'_>) -> bool {
        let Some(mut unwinding) = self.unwinding.take() else { return false };
        let is_done = self.unwind_with(&mut unwinding, event, sample);
        self.unwinding = Some(unwinding);
        is_done
    }

    fn unwind_with(&mut self, unwinding: &mut Unwinding, event: &SampleEvent, sample: &Sample<'_>) -> bool {
        let mut chain = std::mem::take(&mut self.chain);
        let files = self.modules.clone();
        let code = CodeMap { spaces: &self.spaces, rows: &self.recording.modules, files: files.as_deref() };
        let is_done = unwound(unwinding, event, sample, code, &mut chain);
        if is_done {
            self.intern_sample(event, &chain);
        }
        self.chain = chain;
        is_done
    }
}

/// Fills `chain` with the whole stack of a sample, leaf first; `false` if it is not to be unwound.
pub(super) fn unwound(
    unwinding: &mut Unwinding,
    event: &SampleEvent,
    sample: &Sample<'_>,
    code: CodeMap<'_>,
    chain: &mut Vec<ChainFrame>,
) -> bool {
    let (Some(registers), Some(stack)) = (sample.regs_user, sample.stack_user) else { return false };
    if unwinding.options.call_graph == CallGraph::FramePointers {
        return false;
    }
    chain.clear();
    unwinding.chain.clear();
    unwinding.frames.clear();
    for (mode, address) in sample.frames() {
        match known_mode(mode, address) {
            Mode::User => unwinding.chain.push(address),
            mode => push(chain, mode, address),
        }
    }
    let task = Task { pid: event.pid, tid: event.tid };
    let half = UserHalf { task, registers, stack, chain: &unwinding.chain };
    // A thread of the kernel has no user half.
    let is_done = registers.abi == RegisterAbi::None || unwinding.unwinder.unwind(&half, code, &mut unwinding.frames);
    let user = |frame: &UserFrame| ChainFrame { mode: Mode::User, address: frame.address, is_return: frame.is_return };
    chain.extend(unwinding.frames.iter().map(user));
    is_done
}
