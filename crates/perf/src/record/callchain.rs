//! Call chains as the kernel writes them: addresses from the leaf on, with markers where the processor's mode changes.

use crate::cursor::Words;
use perf_event_open_sys::bindings as sys;

/// The part of the machine that code ran in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Not known, or a mode this version does not know.
    Unknown,
    /// The kernel.
    Kernel,
    /// A process.
    User,
    /// A hypervisor below this kernel.
    Hypervisor,
    /// The kernel of a virtual machine on this host.
    GuestKernel,
    /// A process of a virtual machine on this host.
    GuestUser,
}

impl Mode {
    /// The mode in a record header's `misc` bits.
    pub fn from_misc(misc: u16) -> Mode {
        match u32::from(misc) & sys::PERF_RECORD_MISC_CPUMODE_MASK {
            sys::PERF_RECORD_MISC_KERNEL => Mode::Kernel,
            sys::PERF_RECORD_MISC_USER => Mode::User,
            sys::PERF_RECORD_MISC_HYPERVISOR => Mode::Hypervisor,
            sys::PERF_RECORD_MISC_GUEST_KERNEL => Mode::GuestKernel,
            sys::PERF_RECORD_MISC_GUEST_USER => Mode::GuestUser,
            _ => Mode::Unknown,
        }
    }
}

/// `PERF_CONTEXT_USER_DEFERRED` (Linux 6.19): the user half follows in a record of its own.
const CONTEXT_USER_DEFERRED: u64 = -640_i64 as u64;

/// The call chain of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Callchain<'a> {
    /// Addresses and `PERF_CONTEXT_*` markers, leaf first.
    pub words: Words<'a>,
}

impl<'a> Callchain<'a> {
    /// The addresses, leaf first, each with the mode that the marker before it gave; `initial` is the mode of addresses
    /// before any marker (that of the sample). Markers are not handed out.
    ///
    /// All addresses but the first of each mode are return addresses: look callers up at `address - 1`.
    pub fn frames(&self, initial: Mode) -> impl Iterator<Item = (Mode, u64)> + use<'a> {
        let mut words = self.words.iter();
        let mut mode = initial;
        std::iter::from_fn(move || {
            loop {
                let word = words.next()?;
                if word == CONTEXT_USER_DEFERRED {
                    // Its cookie is no address.
                    words.next();
                    continue;
                }
                match marker(word) {
                    Some(next) => mode = next,
                    None => return Some((mode, word)),
                }
            }
        })
    }

    /// Whether a marker says that user addresses follow.
    pub(super) fn has_user_half(&self) -> bool {
        self.words.iter().any(|word| word == sys::PERF_CONTEXT_USER)
    }

    /// Whether a marker says that the user half follows in another record.
    pub(super) fn has_deferred_half(&self) -> bool {
        self.words.iter().any(|word| word == CONTEXT_USER_DEFERRED)
    }

    /// The number that joins this chain with the [`super::Record::CallchainDeferred`] that has its user half.
    pub fn deferred_cookie(&self) -> Option<u64> {
        let mut words = self.words.iter();
        words.find(|&word| word == CONTEXT_USER_DEFERRED)?;
        words.next()
    }
}

/// What a `PERF_CONTEXT_*` marker switches to; `None` for an address.
fn marker(word: u64) -> Option<Mode> {
    match word {
        sys::PERF_CONTEXT_KERNEL => Some(Mode::Kernel),
        sys::PERF_CONTEXT_USER => Some(Mode::User),
        sys::PERF_CONTEXT_HV => Some(Mode::Hypervisor),
        sys::PERF_CONTEXT_GUEST | sys::PERF_CONTEXT_GUEST_KERNEL => Some(Mode::GuestKernel),
        sys::PERF_CONTEXT_GUEST_USER => Some(Mode::GuestUser),
        // The last 4095 addresses are reserved for markers (`PERF_CONTEXT_MAX`).
        sys::PERF_CONTEXT_MAX.. => Some(Mode::Unknown),
        _ => None,
    }
}
