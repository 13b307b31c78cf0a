//! What one reads off a flame graph, with its evidence: patterns that are worth a look, and how much they could give.
//!
//! A finding says what was measured and from which share on it is one. It is where to look, not a verdict: a database
//! may well spend its time in one function, and a compiler in allocation.

mod patterns;
mod shares;

use burnmark_model::Profile;

use crate::Error;
use crate::rules::{Categories, Rules};
use crate::weights::Weights;

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FindingKind {
    /// One function has much of the value by itself: a wide frame with nothing on it.
    Plateau,
    /// Most of the value goes through one function that hands it to many: a wide base with a comb on it.
    WideBase,
    /// A function is on the same stack many times.
    Recursion,
    /// Work on the way to a log.
    Logging,
    /// Getting and giving back memory.
    Allocation,
    /// Collecting garbage.
    Gc,
    /// Taking locks, and waiting for them on the CPU.
    Locking,
    /// Turning data into text or bytes, and back.
    Serialization,
    /// Matching regular expressions.
    Regex,
    /// Throwing, and unwinding stacks.
    Exceptions,
    /// Page faults and the kernel's bookkeeping of memory.
    KernelMemory,
    /// A runtime's compiler, still at work.
    Jit,
    /// Loading code, at the start.
    StartUp,
}

/// How much there is to gain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Up to a tenth of the whole.
    Low,
    /// Up to a quarter.
    Medium,
    /// A quarter and more.
    High,
}

/// A pattern that was found, with its evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What was seen.
    pub kind: FindingKind,
    /// In a few words, without numbers: `one function does much of the work itself`.
    pub title: String,
    /// The function it is about, if it is about one.
    pub function: Option<String>,
    /// That function's module.
    pub module: Option<String>,
    /// Fraction of the whole that it has: what could be gained at most, if all of it went away.
    pub share: f64,
    /// The fraction from which on it is a finding.
    pub threshold: f64,
    /// The measurements behind it, in a sentence.
    pub evidence: String,
    /// Where to look: a hint, not a claim.
    pub action: String,
}

impl Finding {
    /// How much there is to gain. From a quarter of the whole on, a program without it would be a third faster
    /// (Amdahl); below a tenth, no more than a ninth.
    pub fn priority(&self) -> Priority {
        match self.share {
            0.25.. => Priority::High,
            0.10.. => Priority::Medium,
            _ => Priority::Low,
        }
    }
}

/// What is worth a look in one value type of a profile, the largest share first.
///
/// # Errors
/// When there is no such value type, or it has negative values: a difference has no shares.
pub fn findings(profile: &Profile, value: usize, rules: &Rules) -> Result<Vec<Finding>, Error> {
    let weights = Weights::new(profile, value)?;
    if weights.sum != weights.base {
        let value_type = &profile.value_types[value];
        return Err(Error::NegativeValues { value_type: format!("{}/{}", value_type.name, value_type.unit) });
    }
    if weights.base == 0 {
        return Ok(Vec::new());
    }
    let categories = Categories::new(profile, rules);
    let mut found = Vec::new();
    patterns::find(profile, &weights, &categories, rules, &mut found);
    shares::find(profile, value, &weights, &categories, rules, &mut found);
    found.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| (a.kind, &a.function).cmp(&(b.kind, &b.function))));
    Ok(found)
}

/// A fraction in percent, for evidence.
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests;
