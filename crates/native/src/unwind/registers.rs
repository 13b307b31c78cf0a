//! Registers of a thread, by their DWARF numbers.

use burnmark_perf::record::{RegisterAbi, Registers as Recorded};

/// The machines whose stacks can be unwound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Machine {
    /// x86-64 (registers as in the psABI, §3.6.2).
    X86_64,
    /// 64-bit ARM (registers as in the AADWARF64, §4.1).
    Aarch64,
}

impl Machine {
    /// The machine burnmark runs on; `None` if it is another one.
    pub const fn host() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else {
            None
        }
    }

    /// By the name that `uname -m` and the header of perf.data have.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "x86_64" | "amd64" => Some(Self::X86_64),
            "aarch64" | "arm64" => Some(Self::Aarch64),
            _ => None,
        }
    }

    pub(super) const fn stack_pointer(self) -> u8 {
        match self {
            Self::X86_64 => 7,
            Self::Aarch64 => 31,
        }
    }

    pub(super) const fn frame_pointer(self) -> u8 {
        match self {
            Self::X86_64 => 6,
            Self::Aarch64 => 29,
        }
    }

    /// The column of a table of unwind rules that tells the return address.
    pub(super) const fn return_column(self) -> u8 {
        match self {
            Self::X86_64 => 16,
            Self::Aarch64 => 30,
        }
    }

    /// The number that stands for the program counter in expressions.
    const fn program_counter(self) -> u8 {
        match self {
            Self::X86_64 => 16,
            Self::Aarch64 => 32,
        }
    }

    /// Registers that rules can speak of, and that are kept. Vector registers hold no addresses.
    pub(super) const fn count(self) -> u8 {
        match self {
            Self::X86_64 => 16,
            Self::Aarch64 => 32,
        }
    }

    /// The address in a word that may be signed (pointer authentication keeps its code above bit 48).
    pub(super) const fn code_address(self, word: u64) -> u64 {
        match self {
            Self::X86_64 => word,
            Self::Aarch64 => word & 0x0000_ffff_ffff_ffff,
        }
    }

    /// Whether a call can leave its return address in a register: then the leaf's CFA may be its stack pointer.
    pub(super) const fn has_link_register(self) -> bool {
        matches!(self, Self::Aarch64)
    }
}

/// DWARF numbers of the registers in the order of `enum perf_event_x86_regs` (AX, BX, CX, …, R8–R15).
const X86_FROM_PERF: [(u32, u8); 16] = [
    (0, 0),
    (1, 3),
    (2, 2),
    (3, 1),
    (4, 4),
    (5, 5),
    (6, 6),
    (7, 7),
    (16, 8),
    (17, 9),
    (18, 10),
    (19, 11),
    (20, 12),
    (21, 13),
    (22, 14),
    (23, 15),
];

/// What is known of a frame's registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    pub(super) machine: Machine,
    /// Where the frame executes.
    pub(super) ip: u64,
    /// Where in memory that was read from, if it was.
    pub(super) ip_slot: Option<u64>,
    known: u64,
    values: [u64; 32],
}

impl Registers {
    pub(super) fn new(machine: Machine, ip: u64) -> Self {
        Self { machine, ip, ip_slot: None, known: 0, values: [0; 32] }
    }

    /// Those of a sample; `None` if it has no 64-bit user half, or if instruction or stack pointer are missing.
    pub(super) fn recorded(machine: Machine, sample: &Recorded<'_>) -> Option<Self> {
        if sample.abi != RegisterAbi::Bits64 {
            return None;
        }
        let (ip, sp) = match machine {
            Machine::X86_64 => (sample.get(8)?, sample.get(7)?),
            Machine::Aarch64 => (sample.get(32)?, sample.get(31)?),
        };
        let mut registers = Self::new(machine, ip);
        match machine {
            Machine::X86_64 => {
                for (perf, dwarf) in X86_FROM_PERF {
                    registers.set(dwarf, sample.get(perf));
                }
            }
            Machine::Aarch64 => (0..31).for_each(|number| registers.set(number, sample.get(number.into()))),
        }
        registers.set(machine.stack_pointer(), Some(sp));
        Some(registers)
    }

    pub(super) fn get(&self, register: u8) -> Option<u64> {
        if register < self.machine.count() {
            return (self.known >> register & 1 != 0).then(|| self.values[usize::from(register)]);
        }
        (register == self.machine.program_counter()).then_some(self.ip)
    }

    pub(super) fn set(&mut self, register: u8, value: Option<u64>) {
        if register >= self.machine.count() {
            return;
        }
        match value {
            Some(value) => {
                self.values[usize::from(register)] = value;
                self.known |= 1 << register;
            }
            None => self.known &= !(1 << register),
        }
    }

    pub(super) fn stack_pointer(&self) -> u64 {
        self.values[usize::from(self.machine.stack_pointer())]
    }

    pub(super) fn frame_pointer(&self) -> Option<u64> {
        self.get(self.machine.frame_pointer())
    }
}
