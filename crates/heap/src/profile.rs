//! The dominator tree as a profile: frames are classes, a frame's total is what it retains.

use burnmark_model::{Frame, Function, Id, Profile, Sample, ValueType};

use crate::snapshot::Snapshot;

/// How deep the tree goes: what lies deeper counts for the frame at this depth.
const MAX_DEPTH: usize = 200;

/// The profile of a snapshot: `objects/count` and `space/bytes`. Objects of one class that dominate one another directly
/// are one frame, so that a list is no tower.
pub fn profile(snapshot: &Snapshot) -> Profile {
    let mut profile = Profile::new(vec![ValueType::new("objects", "count"), ValueType::new("space", "bytes")]);
    let mut frames = vec![None; snapshot.classes.keys.len()];
    let mut sums: Vec<(i64, i64)> = Vec::new();
    let mut stacks = Vec::new();
    // On the way down: where a node's part of the walk ends, its class, its stack.
    let mut above: Vec<(u32, u32, Option<_>)> = Vec::new();
    for (place, &[node, _]) in snapshot.tree.walk.iter().enumerate() {
        while above.last().is_some_and(|(end, ..)| *end as usize <= place) {
            above.pop();
        }
        let class = snapshot.class_of(node);
        let parent = above.last().copied();
        let (stack, is_new) = match parent {
            Some((_, above_class, stack)) if above_class == class || above.len() >= MAX_DEPTH => (stack, false),
            _ => {
                let frame = *frames[class as usize].get_or_insert_with(|| {
                    let name = if node == snapshot.root() { "(heap)".into() } else { snapshot.class_name(class) };
                    let function = Function::named(profile.strings.intern(&name));
                    let function = profile.functions.intern(function);
                    profile.frames.intern(Frame::of(function))
                });
                (Some(profile.push_frame(parent.and_then(|(.., stack)| stack), frame)), true)
            }
        };
        if is_new {
            above.push((snapshot.tree.end(place), class, stack));
        }
        let Some(stack) = stack else { continue };
        let size = snapshot.shallow(node);
        let at = stack.index();
        if sums.len() <= at {
            sums.resize(at + 1, (0, 0));
            stacks.resize(at + 1, None);
        }
        stacks[at] = Some(stack);
        sums[at].0 += 1;
        sums[at].1 = sums[at].1.saturating_add_unsigned(size);
    }
    for (stack, (count, size)) in stacks.into_iter().zip(sums) {
        if stack.is_some() && size > 0 {
            profile
                .samples
                .push(Sample { stack, ..Sample::default() }, &[count, size])
                .expect("two values for two types");
        }
    }
    profile.default_value = 1;
    profile.meta.producer = Some("V8 heap snapshot".to_owned());
    profile
}
