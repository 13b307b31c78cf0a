//! The attributes of the events we open.

use crate::layout::*;
use perf_event_open_sys::bindings::{self as sys, perf_event_attr};

/// What a sample is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Processor cycles, by a hardware counter.
    Cycles,
    /// A timer of the kernel, for machines without hardware counters.
    CpuClock,
}

impl Event {
    /// The name perf uses.
    pub fn name(self) -> &'static str {
        match self {
            Event::Cycles => "cycles",
            Event::CpuClock => "cpu-clock",
        }
    }

    /// The unit of a sample's period.
    pub fn unit(self) -> &'static str {
        match self {
            Event::Cycles => "cycles",
            Event::CpuClock => "nanoseconds",
        }
    }

    /// What this event cannot see.
    pub fn blind_spot(self) -> Option<&'static str> {
        match self {
            Event::Cycles => None,
            Event::CpuClock => Some(
                "cpu-clock cannot fire while the kernel has interrupts off: kernel time piles up on the functions that \
                 turn them on again",
            ),
        }
    }
}

/// Everything that decides an attribute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) event: Event,
    /// Samples per second and CPU.
    pub(super) frequency: u64,
    pub(super) has_kernel: bool,
    pub(super) user_stack_bytes: Option<u32>,
    /// New threads, and new processes unless `threads_only`, inherit the event.
    pub(super) inherits: bool,
    pub(super) threads_only: bool,
    /// Ask for the number of lost samples (Linux 6.0).
    pub(super) counts_lost: bool,
    /// Write what happens to processes too: maps, names, forks, exits.
    pub(super) has_sideband: bool,
}

/// The longest stack copy the kernel takes: below 64 KiB, as the whole record has to be, and a multiple of 8.
pub const MAX_USER_STACK_BYTES: u32 = 65_528 - 512;

pub(super) fn sampling(wish: &Wish) -> perf_event_attr {
    let mut attr = empty();
    let (kind, config) = match wish.event {
        Event::Cycles => (sys::PERF_TYPE_HARDWARE, sys::PERF_COUNT_HW_CPU_CYCLES.into()),
        Event::CpuClock => (sys::PERF_TYPE_SOFTWARE, sys::PERF_COUNT_SW_CPU_CLOCK.into()),
    };
    attr.type_ = kind;
    attr.config = config;
    attr.set_freq(1);
    attr.__bindgen_anon_1.sample_freq = wish.frequency;
    attr.sample_type =
        SAMPLE_IDENTIFIER | SAMPLE_IP | SAMPLE_TID | SAMPLE_TIME | SAMPLE_CPU | SAMPLE_PERIOD | SAMPLE_CALLCHAIN;
    if let Some(bytes) = wish.user_stack_bytes {
        attr.sample_type |= SAMPLE_REGS_USER | SAMPLE_STACK_USER;
        attr.sample_regs_user = USER_REGISTERS;
        attr.sample_stack_user = bytes.clamp(8, MAX_USER_STACK_BYTES) & !7;
    }
    attr.read_format = FORMAT_TIME_ENABLED | FORMAT_TIME_RUNNING;
    if wish.counts_lost {
        attr.read_format |= FORMAT_LOST;
    }
    attr.set_disabled(1);
    attr.set_inherit(wish.inherits.into());
    attr.set_inherit_thread((wish.inherits && wish.threads_only).into());
    attr.set_exclude_kernel((!wish.has_kernel).into());
    attr.set_exclude_callchain_kernel((!wish.has_kernel).into());
    attr.set_exclude_hv(1);
    attr.set_exclude_idle(1);
    attr.set_exclude_guest(1);
    if wish.has_sideband {
        add_sideband(&mut attr);
    }
    attr.set_sample_id_all(1);
    attr
}

fn add_sideband(attr: &mut perf_event_attr) {
    attr.set_mmap(1);
    attr.set_mmap2(1);
    attr.set_comm(1);
    attr.set_comm_exec(1);
    attr.set_task(1);
}

/// An event that takes no samples and writes all other records, in the layout of those of `sampling`.
pub(super) fn sideband(sampling: &perf_event_attr) -> perf_event_attr {
    let mut attr = empty();
    attr.type_ = sys::PERF_TYPE_SOFTWARE;
    attr.config = sys::PERF_COUNT_SW_DUMMY.into();
    attr.sample_type = sampling.sample_type;
    attr.sample_regs_user = sampling.sample_regs_user;
    attr.sample_stack_user = sampling.sample_stack_user;
    attr.read_format = sampling.read_format;
    attr.set_disabled(1);
    attr.set_exclude_kernel(sampling.exclude_kernel());
    attr.set_exclude_hv(1);
    attr.set_sample_id_all(1);
    add_sideband(&mut attr);
    attr
}

/// The same event, woken when a ring of that many bytes has filled to a quarter.
pub(super) fn with_wakeup(attr: &perf_event_attr, ring_bytes: usize) -> perf_event_attr {
    let mut attr = *attr;
    attr.set_watermark(1);
    // There is time to come before the ring is full.
    attr.__bindgen_anon_2.wakeup_watermark = u32::try_from(ring_bytes / 4).unwrap_or(u32::MAX);
    attr
}

/// The event that owns a ring: it counts nothing and writes nothing.
pub(super) fn ring_owner(ring_bytes: usize) -> perf_event_attr {
    let mut attr = empty();
    attr.type_ = sys::PERF_TYPE_SOFTWARE;
    attr.config = sys::PERF_COUNT_SW_DUMMY.into();
    attr.set_exclude_kernel(1);
    attr.set_exclude_hv(1);
    with_wakeup(&attr, ring_bytes)
}

/// All events that share a ring have to use the same clock.
fn empty() -> perf_event_attr {
    let mut attr = perf_event_attr::default();
    attr.size = size_of::<perf_event_attr>() as u32;
    attr.set_use_clockid(1);
    attr.clockid = libc::CLOCK_MONOTONIC;
    attr
}

/// The layout of the records of an event with this attribute.
pub(super) fn layout(attr: &perf_event_attr) -> SampleLayout {
    SampleLayout {
        sample_type: attr.sample_type,
        read_format: attr.read_format,
        branch_sample_type: attr.branch_sample_type,
        sample_regs_user: attr.sample_regs_user,
        sample_regs_intr: attr.sample_regs_intr,
        sample_id_all: attr.sample_id_all() != 0,
    }
}

/// General registers, instruction and stack pointer, flags, code and stack segment: what unwinding may need.
#[cfg(target_arch = "x86_64")]
const USER_REGISTERS: u64 = {
    let general_low = (1 << (sys::PERF_REG_X86_SS + 1)) - 1;
    let general_high = ((1 << (sys::PERF_REG_X86_R15 + 1)) - 1) & !((1 << sys::PERF_REG_X86_R8) - 1);
    general_low | general_high
};

/// x0–x30, the stack pointer and the program counter.
#[cfg(target_arch = "aarch64")]
const USER_REGISTERS: u64 = (1 << 33) - 1;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the live recorder knows the registers of x86-64 and aarch64 only");
