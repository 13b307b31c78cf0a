//! What a session is asked for, and what it became.

use super::attr::Event;
use super::open::Note;
use super::target::Target;

/// Bytes of ring per CPU if nothing else is asked for: with its control page what the kernel lets everybody lock.
pub const DEFAULT_RING_BYTES: usize = 512 << 10;

/// The same with copies of user stacks, which need far more room: at 999 samples a second of 32 KiB it takes half a second
/// to fill, enough for what the reader may have to do first. On machines of many CPUs it is a quarter of that.
pub const DEFAULT_STACK_RING_BYTES: usize = 16 << 20;

/// Bytes of all rings together, from where on each is smaller.
const ALL_RINGS_BYTES: usize = 64 << 20;

/// Bytes of ring per CPU that should be had.
pub(super) fn wanted_ring_bytes(options: &Options, cpus: usize) -> usize {
    let default = match options.user_stack_bytes {
        Some(_) => (ALL_RINGS_BYTES / cpus.max(1)).clamp(DEFAULT_STACK_RING_BYTES / 4, DEFAULT_STACK_RING_BYTES),
        None => DEFAULT_RING_BYTES,
    };
    options.ring_bytes.unwrap_or(default)
}

/// What events are bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Binding {
    /// CPUs where that is permitted, else tasks.
    #[default]
    Auto,
    /// One event per CPU, whoever runs there; records of others are dropped on reading.
    Cpu,
    /// One event per thread and CPU, inherited by new threads and children.
    Task,
}

/// What to sample, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to sample.
    pub target: Target,
    /// Targets that have exited already are left out as long as there are others.
    pub skips_missing: bool,
    /// Child processes of the target too, those that are there already included.
    pub follows_children: bool,
    /// The event; `None`: cycles where the machine has them, else cpu-clock.
    pub event: Option<Event>,
    /// Samples per second and CPU; `None`: [`super::DEFAULT_FREQUENCY`], or less where a timer is bound to tasks.
    pub frequency: Option<u64>,
    /// What events are bound to.
    pub binding: Binding,
    /// Copy that many bytes of the user stack, and the user registers, with each sample (for unwinding by DWARF); at
    /// most [`super::MAX_USER_STACK_BYTES`].
    pub user_stack_bytes: Option<u32>,
    /// The length of the copies follows the need ([`super::Session::adapt_stack_copy`]), between 2 and 32 KiB and as the
    /// rings have room; the one given only says that copies are wanted.
    pub adapts_user_stack: bool,
    /// Bytes of ring per CPU, rounded up to a power of two; `None`: [`DEFAULT_RING_BYTES`] or [`DEFAULT_STACK_RING_BYTES`].
    pub ring_bytes: Option<usize>,
}

impl Options {
    /// Samples `target` and its children, everything else chosen automatically.
    pub fn new(target: Target) -> Options {
        Options {
            target,
            skips_missing: false,
            follows_children: true,
            event: None,
            frequency: None,
            binding: Binding::Auto,
            user_stack_bytes: None,
            adapts_user_stack: false,
            ring_bytes: None,
        }
    }
}

/// What was chosen, and what was given up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The event.
    pub event: Event,
    /// [`Binding::Cpu`] or [`Binding::Task`].
    pub binding: Binding,
    /// Samples per second and CPU.
    pub frequency: u64,
    /// Whether the kernel's half is sampled.
    pub has_kernel: bool,
    /// CPUs sampled.
    pub cpus: usize,
    /// Bytes of ring per CPU.
    pub ring_bytes: usize,
    /// Bytes of user stack in a sample.
    pub user_stack_bytes: Option<u32>,
    /// Threads with events of their own; 0 with events bound to CPUs.
    pub attached_threads: usize,
    /// Nanoseconds on CLOCK_MONOTONIC when events were enabled: no record is older.
    pub start_ns: u64,
    /// What the user should know.
    pub notes: Vec<Note>,
}
