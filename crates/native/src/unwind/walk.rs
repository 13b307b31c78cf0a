//! From frame to frame.

use super::expression::evaluate;
use super::module::Module;
use super::registers::{Machine, Registers};
use super::rule::{Cfa, Rule, Saved};
use super::stack::StackCopy;

/// A caller that was found: its registers are in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// It called.
    Called,
    /// It was interrupted by a signal.
    Interrupted,
}

/// Why a caller was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its return address lies here, which was not copied.
    NotCopied(u64),
    /// What the tables or the stack say can't be.
    Damaged,
}

/// What a signal handler returns to, by which debuggers know it, too: `mov $__NR_rt_sigreturn, %rax; syscall`.
const X86_TRAMPOLINE: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];

/// `mov x8, #__NR_rt_sigreturn; svc #0`.
const AARCH64_TRAMPOLINE: [u8; 8] = [0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4];

/// Whether this code is what signal handlers return to.
pub(super) fn is_trampoline(machine: Machine, code: &[u8]) -> bool {
    match machine {
        Machine::X86_64 => code.starts_with(&X86_TRAMPOLINE),
        Machine::Aarch64 => code.starts_with(&AARCH64_TRAMPOLINE),
    }
}

/// Goes to the caller by a rule: `registers` are those of the frame, as `old` are. `is_leaf`: the frame was interrupted,
/// so that its return address may be in a register.
pub(super) fn by_rule(
    registers: &mut Registers,
    old: &Registers,
    module: &Module,
    rule: &Rule,
    stack: StackCopy<'_>,
    is_leaf: bool,
) -> Result<Caller, Stop> {
    let cfa = cfa(old, module, rule.cfa, stack)?;
    let value = |saved: Saved| restore(old, module, saved, cfa, stack);
    let machine = old.machine;
    let return_address = match rule.return_address {
        Some(saved) => value(saved).map_err(Stop::NotCopied)?,
        None if is_leaf => old.get(machine.return_column()),
        None => None,
    };
    let return_address = machine.code_address(return_address.ok_or(Stop::Damaged)?);
    let sp = old.stack_pointer();
    let advances = cfa > sp || (is_leaf && machine.has_link_register() && cfa == sp && return_address != old.ip);
    // Only signals and code that switches stacks go elsewhere; within one copy that would be a circle.
    if !advances && !rule.is_signal && stack.contains(cfa) {
        return Err(Stop::Damaged);
    }
    registers.set(machine.stack_pointer(), Some(cfa));
    for (register, saved) in module.rules.saved(rule) {
        registers.set(*register, value(*saved).ok().flatten());
    }
    registers.ip = return_address;
    registers.ip_slot = rule.return_address.and_then(|saved| slot(old, saved, cfa));
    Ok(if rule.is_signal { Caller::Interrupted } else { Caller::Called })
}

fn cfa(registers: &Registers, module: &Module, cfa: Cfa, stack: StackCopy<'_>) -> Result<u64, Stop> {
    let plus = |register: u8, offset: i32| Some(registers.get(register)?.wrapping_add_signed(offset.into()));
    let value = match cfa {
        Cfa::Register { register, offset } => plus(register, offset),
        Cfa::Load { register, offset, add } => {
            let address = plus(register, offset).ok_or(Stop::Damaged)?;
            Some(stack.word(address).ok_or(Stop::NotCopied(address))?.wrapping_add_signed(add.into()))
        }
        Cfa::Plt { after } => {
            let pushed = registers.ip & 15 >= u64::from(after);
            Some(registers.stack_pointer().wrapping_add(8 + u64::from(pushed) * 8))
        }
        Cfa::Expression(index) => expression(registers, module, index, None, stack),
    };
    value.ok_or(Stop::Damaged)
}

/// Where a saved register lies in memory.
fn slot(old: &Registers, saved: Saved, cfa: u64) -> Option<u64> {
    match saved {
        Saved::AtCfa(offset) => Some(cfa.wrapping_add_signed(offset.into())),
        Saved::At { register, offset } => Some(old.get(register)?.wrapping_add_signed(offset.into())),
        _ => None,
    }
}

/// A register's value in the caller; `None` if it is not known, an error with the address if it was not copied.
fn restore(old: &Registers, module: &Module, saved: Saved, cfa: u64, stack: StackCopy<'_>) -> Result<Option<u64>, u64> {
    let load = |address: u64| stack.word(address).map(Some).ok_or(address);
    match saved {
        Saved::Undefined => Ok(None),
        Saved::AtCfa(offset) => load(cfa.wrapping_add_signed(offset.into())),
        Saved::Cfa(offset) => Ok(Some(cfa.wrapping_add_signed(offset.into()))),
        Saved::Register(register) => Ok(old.get(register)),
        Saved::At { register, offset } => match old.get(register) {
            Some(base) => load(base.wrapping_add_signed(offset.into())),
            None => Ok(None),
        },
        Saved::AtExpression(index) => match expression(old, module, index, Some(cfa), stack) {
            Some(address) => load(address),
            None => Ok(None),
        },
        Saved::Expression(index) => Ok(expression(old, module, index, Some(cfa), stack)),
    }
}

fn expression(
    registers: &Registers,
    module: &Module,
    index: u32,
    start: Option<u64>,
    stack: StackCopy<'_>,
) -> Option<u64> {
    let (bytes, encoding) = module.expression(index)?;
    evaluate(bytes, encoding, start, registers, |address| stack.word(address))
}

/// Goes to the caller by the frame pointer: the caller's lies where it points to, the return address after it.
pub(super) fn by_frame_pointer(registers: &mut Registers, stack: StackCopy<'_>) -> Result<Caller, Stop> {
    let fp = registers.frame_pointer().ok_or(Stop::Damaged)?;
    let slot = fp.checked_add(8).ok_or(Stop::Damaged)?;
    let after = fp.checked_add(16).ok_or(Stop::Damaged)?;
    // Another stack's may lie below.
    if !fp.is_multiple_of(8) || (fp < registers.stack_pointer() && stack.contains(fp)) {
        return Err(Stop::Damaged);
    }
    let (Some(next), Some(return_address)) = (stack.word(fp), stack.word(slot)) else {
        return Err(Stop::NotCopied(slot));
    };
    let machine = registers.machine;
    registers.set(machine.frame_pointer(), Some(next));
    registers.set(machine.stack_pointer(), Some(after));
    registers.ip = machine.code_address(return_address);
    registers.ip_slot = Some(slot);
    Ok(Caller::Called)
}

/// After a step by tables that tell of the stack pointer only: a frame pointer that pointed just below the return
/// address was set up by the callee, and points to the caller's.
pub(super) fn restore_frame_pointer(registers: &mut Registers, callee: &Registers, stack: StackCopy<'_>) {
    let (register, saved_at) = (registers.machine.frame_pointer(), registers.stack_pointer().wrapping_sub(16));
    if registers.machine == Machine::X86_64
        && registers.get(register) == Some(saved_at)
        && callee.get(register) == Some(saved_at)
    {
        registers.set(register, stack.word(saved_at));
    }
}

/// Goes to the caller of code that pushed nothing yet: its return address is the word at the stack pointer, or in the
/// link register.
pub(super) fn by_return_address(registers: &mut Registers, stack: StackCopy<'_>) -> Option<Caller> {
    let machine = registers.machine;
    let sp = registers.stack_pointer();
    let return_address = match machine.has_link_register() {
        true => registers.get(machine.return_column())?,
        false => {
            registers.set(machine.stack_pointer(), Some(sp.checked_add(8)?));
            stack.word(sp)?
        }
    };
    registers.ip = machine.code_address(return_address);
    registers.ip_slot = (!machine.has_link_register()).then_some(sp);
    Some(Caller::Called)
}

/// Where `struct rt_sigframe` has the registers of what was interrupted, in bytes from the stack pointer at the
/// trampoline, with their DWARF numbers (`arch/x86/include/uapi/asm/sigcontext.h`; the return address is popped).
const X86_SAVED: [(u64, u8); 16] = [
    (40, 8),
    (48, 9),
    (56, 10),
    (64, 11),
    (72, 12),
    (80, 13),
    (88, 14),
    (96, 15),
    (104, 5),
    (112, 4),
    (120, 6),
    (128, 3),
    (136, 1),
    (144, 0),
    (152, 2),
    (160, 7),
];
const X86_SAVED_IP: u64 = 168;

/// `struct sigcontext` of `arch/arm64/include/uapi/asm/sigcontext.h`: after `siginfo` (128 bytes), the head of
/// `ucontext` (176) and the fault's address come x0–x30, the stack pointer, the program counter.
const AARCH64_SAVED: u64 = 128 + 176 + 8;

/// Goes to what was interrupted, from a trampoline that no table tells of.
pub(super) fn by_signal_frame(registers: &mut Registers, stack: StackCopy<'_>) -> Result<Caller, Stop> {
    let sp = registers.stack_pointer();
    let word = |offset: u64| {
        let address = sp.checked_add(offset).ok_or(Stop::Damaged)?;
        stack.word(address).ok_or(Stop::NotCopied(address))
    };
    let machine = registers.machine;
    let mut caller = Registers::new(machine, 0);
    match machine {
        Machine::X86_64 => {
            for (offset, register) in X86_SAVED {
                caller.set(register, Some(word(offset)?));
            }
            caller.ip = word(X86_SAVED_IP)?;
            caller.ip_slot = Some(sp.wrapping_add(X86_SAVED_IP));
        }
        Machine::Aarch64 => {
            for register in 0..32 {
                caller.set(register, Some(word(AARCH64_SAVED + 8 * u64::from(register))?));
            }
            caller.ip = word(AARCH64_SAVED + 8 * 32)?;
            caller.ip_slot = Some(sp.wrapping_add(AARCH64_SAVED + 8 * 32));
        }
    }
    *registers = caller;
    Ok(Caller::Interrupted)
}

/// Whether the instruction before a return address is a call, as far as its last bytes tell (Intel's manual, volume 2,
/// CALL: `e8` with 4 bytes, `ff /2` with 2 to 7).
pub(super) fn ends_in_call(machine: Machine, before: &[u8]) -> bool {
    let back = |count: usize| before.len().checked_sub(count).map(|at| &before[at..]);
    match machine {
        Machine::X86_64 => {
            let direct = back(5).is_some_and(|bytes| bytes[0] == 0xe8);
            let indirect = |count: usize| {
                back(count).is_some_and(|bytes| bytes[0] == 0xff && bytes.get(1).is_some_and(|mode| mode >> 3 & 7 == 2))
            };
            direct || [2, 3, 4, 6, 7].into_iter().any(indirect)
        }
        // `bl`, `blr` (and its authenticating forms).
        Machine::Aarch64 => back(4).is_some_and(|bytes| {
            let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            word >> 26 == 0b10_0101 || word & 0xfe60_0000 == 0xd620_0000
        }),
    }
}
