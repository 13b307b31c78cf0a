//! Finding stacks by their whole paths.

use burnmark_model::{FrameId, Id, Path, Profile, Stack, StackId};

/// Steps of a path from the leaf on that are looked up at once.
const FETCHED: usize = 4;

/// Where each stack of a profile is.
#[derive(Default)]
pub(super) struct Paths(burnmark_model::Paths);

/// A step of a path from the root: which path leads to it, and its stack if that was looked up.
#[derive(Clone, Copy)]
pub(super) struct Step {
    path: Path,
    stack: Option<StackId>,
}

impl Paths {
    /// Makes room for so many stacks.
    pub(super) fn reserve(&mut self, stacks: usize) {
        self.0.reserve(stacks);
    }

    /// Continues a path, from its root, by these frames, and returns its stack. All stacks of the profile must come from
    /// here.
    pub(super) fn extend(
        &mut self,
        profile: &mut Profile,
        steps: &mut Vec<Step>,
        frames: &[FrameId],
    ) -> Option<StackId> {
        let shared = steps.len();
        let mut path = steps.last().map_or_else(|| self.0.root(), |step| step.path);
        steps.extend(frames.iter().map(|frame| {
            path = self.0.step(path, frame.index() as u64);
            Step { path, stack: None }
        }));
        self.0.fetch(steps[shared..].iter().rev().take(FETCHED).map(|step| step.path));
        // Callers are there if what they call is.
        let known =
            steps[shared..].iter_mut().rposition(|step| self.find(step)).map_or(shared, |last| shared + last + 1);
        if known == shared && shared > 0 {
            let is_there = self.find(&mut steps[shared - 1]);
            debug_assert!(is_there, "what a path begins with is in the profile");
        }
        let mut parent = known.checked_sub(1).and_then(|last| steps[last].stack);
        for (step, frame) in steps[known..].iter_mut().zip(&frames[known - shared..]) {
            let place = self.0.add(step.path);
            let stack = profile.stacks.push_new(Stack { parent, frame: *frame });
            debug_assert_eq!(place, Some(stack.index()), "all stacks come from here");
            (step.stack, parent) = (Some(stack), Some(stack));
        }
        parent
    }

    /// Looks a step's stack up, unless it is known, and tells whether there is one.
    fn find(&self, step: &mut Step) -> bool {
        step.stack = step.stack.or_else(|| self.0.find(step.path).map(StackId::from_index));
        step.stack.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burnmark_model::Frame;

    #[test]
    fn stacks_are_those_that_frame_by_frame_are_found() {
        let (mut profile, mut plain) = (Profile::default(), Profile::default());
        let frame = |line| Frame { function: None, module: None, address: None, line, column: 0, inline_depth: 0 };
        let frames: Vec<_> = (0..3).map(|line| profile.frames.intern(frame(line))).collect();
        let mut paths = Paths::default();
        let mut random = 1u64;
        for _ in 0..5000 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let list: Vec<_> = (0..random >> 60).map(|at| frames[(random >> (30 + 2 * at)) as usize % 3]).collect();
            let (callers, rest) = list.split_at(list.len() / 2);
            let mut steps = Vec::new();
            let found = [callers, rest].map(|frames| paths.extend(&mut profile, &mut steps, frames));
            let mut stack = None;
            let mut expected: Vec<_> = list
                .iter()
                .map(|frame| {
                    stack = Some(plain.push_frame(stack, *frame));
                    stack
                })
                .collect();
            expected.insert(0, None);
            assert_eq!(found, [expected[callers.len()], expected[list.len()]]);
            // Callers of what was found need not be.
            assert!(steps.iter().zip(&expected[1..]).all(|(step, stack)| step.stack.is_none() || step.stack == *stack));
        }
        assert!(plain.stacks.len() > 2000 && profile.stacks == plain.stacks);
    }
}
