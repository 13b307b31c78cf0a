//! The profile's prefix tree with links downwards, to walk it from the roots without recursion.

use burnmark_model::{Id, Profile, StackId};

/// Stands for no stack.
const NONE: u32 = u32::MAX;

/// A step of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Down into a stack.
    Enter(StackId),
    /// Back out of it, after everything below it.
    Leave(StackId),
}

/// First child and next sibling of every stack: 8 bytes a stack.
pub(crate) struct Links {
    first_root: u32,
    first_child: Vec<u32>,
    next_sibling: Vec<u32>,
}

impl Links {
    /// Links all stacks.
    pub(crate) fn new(profile: &Profile) -> Self {
        let stacks = profile.stacks.len();
        let mut links = Self { first_root: NONE, first_child: vec![NONE; stacks], next_sibling: vec![NONE; stacks] };
        for (id, stack) in profile.stacks.iter().rev() {
            let head = match stack.parent {
                Some(parent) => &mut links.first_child[parent.index()],
                None => &mut links.first_root,
            };
            links.next_sibling[id.index()] = *head;
            *head = id.index() as u32;
        }
        links
    }

    /// Walks all stacks depth first.
    pub(crate) fn walk(&self, profile: &Profile, mut visit: impl FnMut(Step)) {
        let mut next = self.first_root;
        let mut open: Option<StackId> = None;
        loop {
            while next != NONE {
                let id = StackId::from_index(next as usize);
                visit(Step::Enter(id));
                open = Some(id);
                next = self.first_child[id.index()];
            }
            let Some(id) = open else { return };
            visit(Step::Leave(id));
            next = self.next_sibling[id.index()];
            open = profile.stacks.get(id).parent;
        }
    }
}
