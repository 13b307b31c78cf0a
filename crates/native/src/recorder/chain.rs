//! A stack's addresses, each with the mode it ran in, on their way to be interned.

use burnmark_perf::record::Mode;

/// A frame on its way to be interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChainFrame {
    pub(super) mode: Mode,
    pub(super) address: u64,
    pub(super) is_return: bool,
}

/// Appends a caller. The first address of each mode is where it was interrupted or left; all others are where calls
/// return to.
pub(super) fn push(chain: &mut Vec<ChainFrame>, mode: Mode, address: u64) {
    let mode = known_mode(mode, address);
    let is_return = chain.last().is_some_and(|callee| callee.mode == mode);
    chain.push(ChainFrame { mode, address, is_return });
}

/// Appends a whole stack, leaf first, to what other stacks are in.
pub(crate) fn push_chain(chain: &mut Vec<ChainFrame>, frames: impl Iterator<Item = (Mode, u64)>) {
    let mut callee = None;
    // Not a loop: what is chained goes faster by parts.
    frames.for_each(|(mode, address)| {
        let mode = known_mode(mode, address);
        chain.push(ChainFrame { mode, address, is_return: callee == Some(mode) });
        callee = Some(mode);
    });
}

/// Addresses of an unknown mode are told apart by their sign, as on every 64-bit Linux.
pub(super) fn known_mode(mode: Mode, address: u64) -> Mode {
    match mode {
        Mode::Unknown if (address as i64) < 0 => Mode::Kernel,
        Mode::Unknown => Mode::User,
        known => known,
    }
}
