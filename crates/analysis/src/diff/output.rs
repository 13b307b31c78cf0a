//! The comparison as a profile.

use burnmark_model::{Frame, Function, Module, ModuleKind, Profile, Sample, ValueType};

use super::Diff;
use crate::place::FrameKind;

/// Shares become whole numbers of this many parts.
const PARTS: f64 = 1e9;

/// A profile with the value types `before` and `after`: what folded text with two counts holds, and the picture of a
/// difference needs. Values are samples' weights as given, scaled only if they are no whole numbers: nothing is cut off
/// as normalizing to the other side's total would.
pub fn differential(diff: &Diff) -> Profile {
    let mut profile = Profile::new(vec![ValueType::new("before", "count"), ValueType::new("after", "count")]);
    profile.default_value = 1;
    profile.meta.producer = Some(concat!("burnmark ", env!("CARGO_PKG_VERSION")).to_owned());
    let scale = [0, 1].map(|side| {
        let facts = &diff.facts[side];
        let total: f64 = facts.iter().map(|facts| facts.total).sum();
        // One run by shares: back to its own numbers. Else parts of a whole.
        match &diff.whole {
            Some(whole) => {
                PARTS / whole.before.cost.unwrap_or(0.0).max(whole.after.cost.unwrap_or(0.0)).max(f64::MIN_POSITIVE)
            }
            None if facts.len() > 1 || !(1.0..1e15).contains(&total) => PARTS,
            None => total,
        }
    });
    let mut frames = Vec::with_capacity(diff.identities.len());
    for identity in &diff.identities {
        let name = profile.strings.intern(&identity.name);
        let file = identity.file.as_deref().map(|file| profile.strings.intern(file));
        let function = profile.functions.intern(Function { file, start_line: identity.line, ..Function::named(name) });
        let module = identity.module.as_deref().map(|module| {
            let kind = match identity.kind {
                FrameKind::Kernel => ModuleKind::Kernel,
                FrameKind::Jit => ModuleKind::Jit,
                FrameKind::Native | FrameKind::Group => ModuleKind::User,
            };
            let path = profile.strings.intern(module);
            profile.modules.intern(Module { kind, ..Module::at(path) })
        });
        frames.push(profile.frames.intern(Frame { module, ..Frame::of(function) }));
    }
    let mut stacks = Vec::with_capacity(diff.nodes.len());
    for node in &diff.nodes {
        let parent = node.parent.map(|parent| stacks[parent as usize]);
        let stack = profile.push_frame(parent, frames[node.function as usize]);
        stacks.push(stack);
        let values = [0, 1].map(|side| (node.own[side] * scale[side]).round().clamp(0.0, 1e15) as i64);
        if values != [0, 0] {
            let sample = Sample { stack: Some(stack), ..Sample::default() };
            // Fewer than 2³² nodes of at most 10⁹, or one run's own sum: far below 2⁶³.
            profile.samples.push(sample, &values).expect("parts of a whole");
        }
    }
    profile
}
