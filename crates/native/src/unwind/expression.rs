//! DWARF expressions that [`super::rule`] has no form for, evaluated by gimli.

use gimli::{EndianSlice, EvaluationResult, Expression, LittleEndian, Location, Value};

use super::registers::Registers;

/// Operations that one expression may take: real ones have a few.
const MOST_OPERATIONS: u32 = 1000;

/// What an expression says: an address or a value.
///
/// `start` is what lies on its stack at the beginning (the CFA, for registers; nothing, for the CFA itself). Memory is
/// read by `read`, 8 bytes at a time.
pub(super) fn evaluate(
    bytes: &[u8],
    encoding: gimli::Encoding,
    start: Option<u64>,
    registers: &Registers,
    read: impl Fn(u64) -> Option<u64>,
) -> Option<u64> {
    let mut evaluation = Expression(EndianSlice::new(bytes, LittleEndian)).evaluation(encoding);
    evaluation.set_max_iterations(MOST_OPERATIONS);
    if let Some(start) = start {
        evaluation.set_initial_value(start);
    }
    let mut result = evaluation.evaluate().ok()?;
    // Each turn is one operation at least.
    for _ in 0..MOST_OPERATIONS {
        result = match result {
            EvaluationResult::Complete => return value_of(&evaluation.result()),
            EvaluationResult::RequiresMemory { address, size, space: None, .. } => {
                let word = read(address)?;
                let unused = 64_u32.checked_sub(u32::from(size).checked_mul(8)?)?;
                let value = word.checked_shl(unused)?.checked_shr(unused)?;
                evaluation.resume_with_memory(Value::Generic(value)).ok()?
            }
            EvaluationResult::RequiresRegister { register, .. } => {
                let value = registers.get(u8::try_from(register.0).ok()?)?;
                evaluation.resume_with_register(Value::Generic(value)).ok()?
            }
            EvaluationResult::RequiresCallFrameCfa => evaluation.resume_with_call_frame_cfa(start?).ok()?,
            _ => return None,
        };
    }
    None
}

fn value_of(pieces: &[gimli::Piece<EndianSlice<'_, LittleEndian>>]) -> Option<u64> {
    match pieces {
        [gimli::Piece { location: Location::Address { address }, .. }] => Some(*address),
        [gimli::Piece { location: Location::Value { value: Value::Generic(value) }, .. }] => Some(*value),
        _ => None,
    }
}
