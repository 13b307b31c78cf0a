//! How to get from a frame to its caller, in a form that is executed without looking at the unwind tables again.
//!
//! Almost all rules are additions and loads. The expressions that compilers and the C library write by the thousand have
//! forms of their own ([`Cfa::Load`]: realigned functions and signal frames; [`Cfa::Plt`]: the procedure linkage table);
//! all others are kept for [`super::expression`].

use std::collections::HashMap;

use foldhash::fast::RandomState;
use gimli::{CfaRule, EndianSlice, Expression, LittleEndian, Operation, Register, RegisterRule, UnwindExpression};

use super::registers::Machine;

pub(super) type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// How the canonical frame address (the caller's stack pointer) is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cfa {
    /// A register's value and a number.
    Register { register: u8, offset: i32 },
    /// The word at a register's value and an offset, and a number.
    Load { register: u8, offset: i32, add: i32 },
    /// Entries of the procedure linkage table are 16 bytes, and push a word 11 bytes (or `after`) in.
    Plt { after: u8 },
    /// An expression's value.
    Expression(u32),
}

/// Where the caller's value of a register is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Saved {
    /// It is lost.
    Undefined,
    /// In memory, that far from the CFA.
    AtCfa(i32),
    /// It is the CFA and that much.
    Cfa(i32),
    /// In another register.
    Register(u8),
    /// In memory, that far from where a register points.
    At { register: u8, offset: i32 },
    /// In memory, where an expression says.
    AtExpression(u32),
    /// It is an expression's value.
    Expression(u32),
}

/// How to get to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) cfa: Cfa,
    /// Where the return address is; `None`: where it was (in the link register).
    pub(super) return_address: Option<Saved>,
    /// The caller was interrupted, it did not call.
    pub(super) is_signal: bool,
    first: u32,
    count: u8,
}

/// What is known of a place in a module's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Its caller is found by this rule.
    Rule(Rule),
    /// It has no caller: threads start here.
    Start,
    /// Signal handlers return to it, and its module's tables don't tell how it goes on.
    Trampoline,
    /// Its module's tables don't tell.
    Unknown,
}

/// The rules of one module: what does not fit into a [`Rule`].
#[derive(Debug, Default)]
pub(super) struct Rules {
    saved: Vec<(u8, Saved)>,
    /// Where a list of saved registers lies in `saved`: there are few different ones.
    lists: HashMap<Box<[(u8, Saved)]>, u32, RandomState>,
    expressions: Vec<KeptExpression>,
    scratch: Vec<(u8, Saved)>,
}

/// An expression, by where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeptExpression {
    pub(super) expression: UnwindExpression<usize>,
    pub(super) section: Section,
    pub(super) encoding: gimli::Encoding,
}

/// Where unwind tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// `.eh_frame`.
    EhFrame,
    /// `.debug_frame`.
    DebugFrame,
}

/// What a row of unwind tables was read from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) machine: Machine,
    pub(super) section: Section,
    pub(super) bytes: &'a [u8],
    pub(super) encoding: gimli::Encoding,
    pub(super) return_column: Register,
    pub(super) is_signal: bool,
}

impl Rules {
    /// The registers that a rule restores, without the return address.
    pub(super) fn saved(&self, rule: &Rule) -> &[(u8, Saved)] {
        let first = rule.first as usize;
        self.saved.get(first..first + usize::from(rule.count)).unwrap_or_default()
    }

    pub(super) fn expression(&self, index: u32) -> Option<KeptExpression> {
        self.expressions.get(index as usize).copied()
    }

    /// Translates a row.
    pub(super) fn translate(&mut self, row: &gimli::UnwindTableRow<usize>, source: Source<'_>) -> Way {
        self.try_translate(row, source).unwrap_or(Way::Unknown)
    }

    fn try_translate(&mut self, row: &gimli::UnwindTableRow<usize>, source: Source<'_>) -> Option<Way> {
        let return_address = match row.register(source.return_column) {
            Some(RegisterRule::Undefined) => return Some(Way::Start),
            // Where calls push the return address, tables that say nothing of it are no good.
            None | Some(RegisterRule::SameValue) if source.machine.has_link_register() => None,
            None | Some(RegisterRule::SameValue) => return None,
            Some(rule) => Some(self.saved_by(&rule, source)?),
        };
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                Cfa::Register { register: number(*register)?, offset: i32::try_from(*offset).ok()? }
            }
            CfaRule::Expression(expression) => match load(*expression, source).or_else(|| plt(*expression, source)) {
                Some(cfa) => cfa,
                None => Cfa::Expression(self.keep(*expression, source)?),
            },
        };
        let mut list = std::mem::take(&mut self.scratch);
        list.clear();
        for (register, rule) in row.registers() {
            let Some(register) = number(*register).filter(|register| *register < source.machine.count()) else {
                continue;
            };
            if matches!(rule, RegisterRule::SameValue) {
                continue;
            }
            // A register that can't be restored is no reason not to find the caller.
            list.push((register, self.saved_by(rule, source).unwrap_or(Saved::Undefined)));
        }
        let (first, count) = self.intern(&list)?;
        self.scratch = list;
        Some(Way::Rule(Rule { cfa, return_address, is_signal: source.is_signal, first, count }))
    }

    fn intern(&mut self, list: &[(u8, Saved)]) -> Option<(u32, u8)> {
        let count = u8::try_from(list.len()).ok()?;
        if let Some(first) = self.lists.get(list) {
            return Some((*first, count));
        }
        let first = u32::try_from(self.saved.len()).ok()?;
        self.saved.extend_from_slice(list);
        self.lists.insert(list.into(), first);
        Some((first, count))
    }

    fn saved_by(&mut self, rule: &RegisterRule<usize>, source: Source<'_>) -> Option<Saved> {
        let narrow = |offset: &i64| i32::try_from(*offset).ok();
        Some(match rule {
            RegisterRule::Undefined => Saved::Undefined,
            RegisterRule::Offset(offset) => Saved::AtCfa(narrow(offset)?),
            RegisterRule::ValOffset(offset) => Saved::Cfa(narrow(offset)?),
            RegisterRule::Register(register) => Saved::Register(number(*register)?),
            RegisterRule::Expression(expression) => match sum(*expression, source) {
                Some((register, offset)) => Saved::At { register, offset },
                None => Saved::AtExpression(self.keep(*expression, source)?),
            },
            RegisterRule::ValExpression(expression) => Saved::Expression(self.keep(*expression, source)?),
            // Constants are pseudo-registers of ARM; nothing else is known to be written.
            _ => return None,
        })
    }

    fn keep(&mut self, expression: UnwindExpression<usize>, source: Source<'_>) -> Option<u32> {
        let entry = KeptExpression { expression, section: source.section, encoding: source.encoding };
        let index = u32::try_from(self.expressions.len()).ok()?;
        // The same one holds for all rows of a function.
        let recent = (0..index).rev().take(32);
        if let Some(known) = recent.into_iter().find(|known| self.expression(*known) == Some(entry)) {
            return Some(known);
        }
        self.expressions.push(entry);
        Some(index)
    }
}

fn number(register: Register) -> Option<u8> {
    u8::try_from(register.0).ok()
}

/// The bytes of an expression.
pub(super) fn bytes_of(expression: UnwindExpression<usize>, section: &[u8]) -> Option<&[u8]> {
    section.get(expression.offset..expression.offset.checked_add(expression.length)?)
}

type Operations<'a> = gimli::OperationIter<Slice<'a>>;

fn operations<'a>(expression: UnwindExpression<usize>, source: Source<'a>) -> Option<Operations<'a>> {
    let bytes = bytes_of(expression, source.bytes)?;
    Some(Expression(EndianSlice::new(bytes, LittleEndian)).operations(source.encoding))
}

fn register_and_offset(operations: &mut Operations<'_>) -> Option<(u8, i32)> {
    match operations.next().ok()?? {
        Operation::RegisterOffset { register, offset, .. } => Some((number(register)?, i32::try_from(offset).ok()?)),
        _ => None,
    }
}

/// `DW_OP_breg R, offset` and nothing more.
fn sum(expression: UnwindExpression<usize>, source: Source<'_>) -> Option<(u8, i32)> {
    let mut operations = operations(expression, source)?;
    let sum = register_and_offset(&mut operations)?;
    operations.next().ok()?.is_none().then_some(sum)
}

/// `DW_OP_breg R, offset; DW_OP_deref`, perhaps with `DW_OP_plus_uconst`.
fn load(expression: UnwindExpression<usize>, source: Source<'_>) -> Option<Cfa> {
    let mut operations = operations(expression, source)?;
    let (register, offset) = register_and_offset(&mut operations)?;
    let Operation::Deref { size: 8, space: false, .. } = operations.next().ok()?? else { return None };
    let add = match operations.next().ok()? {
        None => 0,
        Some(Operation::PlusConstant { value }) => i32::try_from(value).ok()?,
        Some(_) => return None,
    };
    operations.next().ok()?.is_none().then_some(Cfa::Load { register, offset, add })
}

/// What linkers write for the procedure linkage table of x86-64 (binutils, `elf64-x86-64.c`):
/// `rsp + 8 + ((rip & 15) >= 11) * 8`, with 11 being the end of the entry's push.
fn plt(expression: UnwindExpression<usize>, source: Source<'_>) -> Option<Cfa> {
    let bytes = bytes_of(expression, source.bytes)?;
    // breg7 8; breg16 0; lit15; and; lit AFTER; ge; lit3; shl; plus
    let [0x77, 8, 0x80, 0, 0x3f, 0x1a, after @ 0x30..=0x3f, 0x2a, 0x33, 0x24, 0x22] = bytes else { return None };
    (source.machine == Machine::X86_64).then_some(Cfa::Plt { after: after - 0x30 })
}
