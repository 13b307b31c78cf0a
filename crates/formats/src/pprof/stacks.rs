//! Lists of locations become stacks.

use std::collections::HashMap;

use burnmark_model::{FrameId, StackId};
use foldhash::fast::RandomState;

use super::build::{Builder, Place};
use super::paths::{self, Paths};
use super::prune::kept;
use super::wire::{malformed, parse_varint};
use crate::Error;

/// Deepest stack that is taken; deeper ones come from damage, or want to do some.
pub(super) const MAX_DEPTH: usize = 1 << 20;

/// How many frames all stacks may have per byte of the file, beyond [`FREE_STEPS`]: a location of a million inlined
/// lines can be named by a byte, again and again.
const STEPS_PER_BYTE: u64 = 16;
const FREE_STEPS: u64 = 1_000_000;

/// Paths of so many frames or bytes are remembered once, not for each kind: each takes memory.
const DEEP: usize = 1 << 14;

/// For how many stacks there is room from the start at most.
const MOST_ROOM: usize = 3 << 20;

/// How many lists are remembered.
const REMEMBERED: usize = 32;

/// Makes stacks of lists.
#[derive(Default)]
pub(super) struct Stacks {
    /// The last list of each of some kinds of samples.
    last: [LastPath; REMEMBERED],
    /// The last one that was long.
    last_long: LastPath,
    /// How much memory these take, and how much they took at most.
    held: u64,
    most_held: u64,
    /// Lists that stand for many more frames than they have bytes: so that not much can be asked for by little, again and
    /// again.
    dense: HashMap<Box<[u8]>, Option<StackId>, RandomState>,
    paths: Paths,
    /// How many frames the stacks have.
    steps: u64,
    /// The ids that the list begins with, up to what it shares with the last one.
    ids: Vec<u64>,
}

/// A list that became a stack: the next one of its thread mostly has the same callers.
#[derive(Default)]
struct LastPath {
    /// The list's bytes. None, with no steps, after one that can't be continued.
    list: Vec<u8>,
    /// Its locations, from the root.
    steps: Vec<Step>,
    /// The stack at each frame, from the root; pruned ones are not there.
    stacks: Vec<paths::Step>,
    stack: Option<StackId>,
    /// The frames that it has and the list before it had not.
    added: Vec<FrameId>,
}

/// A location of a list.
#[derive(Clone, Copy)]
struct Step {
    place: Place,
    /// How many frames there are from the root to here.
    depth: usize,
}

/// What became of a list of locations.
#[derive(Clone, Copy)]
pub(super) enum Built {
    Stack(Option<StackId>),
    TooDeep,
}

impl Stacks {
    /// Makes room for about so many stacks; for fewer if what was read so far is too short for that to be believed.
    pub(super) fn reserve(&mut self, builder: &mut Builder, stacks: usize) {
        let stacks = stacks.min(MOST_ROOM).min(builder.tables.length as usize);
        self.paths.reserve(stacks);
        builder.profile.stacks.reserve_new(stacks);
    }

    /// The stack of a list of location ids, leaf first, as they are encoded. Samples of a `kind` are alike.
    pub(super) fn stack(
        &mut self,
        builder: &mut Builder,
        list: &[u8],
        kind: usize,
        position: u64,
    ) -> Result<Built, Error> {
        let last = if list.len() > DEEP { &mut self.last_long } else { &mut self.last[kind % REMEMBERED] };
        if !list.is_empty() && last.list == list {
            return Ok(Built::Stack(last.stack));
        }
        if let Some(known) = self.dense.get(list) {
            return Ok(Built::Stack(*known));
        }
        let held = last.held();
        let Some(shared) = last.go_on(builder, list, &mut self.ids, position)? else {
            self.held -= held;
            *last = LastPath::default();
            return Ok(Built::TooDeep);
        };
        builder.warn_of_unknown(shared.unknown, position);
        let (depth, stacks) = (depth(&last.steps), builder.profile.stacks.len());
        last.make_stacks(&mut self.paths, builder, shared.steps);
        let (built, new) = (last.stack, builder.profile.stacks.len() - stacks);
        let is_dense = depth - shared.depth > STEPS_PER_BYTE as usize * list.len();
        if is_dense {
            builder.budget.take(list.len() as u64 + 64, position)?;
            self.dense.insert(list.into(), built);
        }
        if is_dense || new > 0 {
            self.steps += depth as u64;
        }
        if self.steps > FREE_STEPS + STEPS_PER_BYTE * builder.tables.length.max(position) {
            return Err(malformed(position, "its stacks have more frames than a file of this size can mean: damaged"));
        }
        if list.len() <= DEEP && depth > DEEP {
            *last = LastPath::default();
        } else if shared.unknown == 0 {
            last.list.clear();
            last.list.extend_from_slice(list);
        } else {
            // What is not known is told of each time.
            last.forget();
        }
        self.held = self.held + last.held() - held;
        let more = self.held.saturating_sub(self.most_held);
        self.most_held += more;
        builder.budget.take(48 * new as u64 + more, position)?;
        Ok(Built::Stack(built))
    }
}

/// What a list has of the one before.
struct Shared {
    /// How many locations.
    steps: usize,
    /// How many frames.
    depth: usize,
    /// How many of the other locations the file has not.
    unknown: u64,
}

impl LastPath {
    /// About how much memory it takes.
    fn held(&self) -> u64 {
        let Self { list, steps, stacks, added, .. } = self;
        let bytes = list.capacity()
            + size_of::<Step>() * steps.capacity()
            + size_of::<paths::Step>() * stacks.capacity()
            + size_of::<FrameId>() * added.capacity();
        bytes as u64
    }

    /// Has nothing in common with what comes next.
    fn forget(&mut self) {
        self.list.clear();
        self.steps.clear();
        self.stacks.clear();
    }

    /// Takes the steps of another list; `None` if these are too many.
    fn go_on(
        &mut self,
        builder: &mut Builder,
        list: &[u8],
        ids: &mut Vec<u64>,
        position: u64,
    ) -> Result<Option<Shared>, Error> {
        let same = shared_end(&self.list, list);
        let gone = self.list[..self.list.len() - same].iter().filter(|byte| **byte < 0x80).count();
        self.steps.truncate(self.steps.len() - gone);
        let mut depth = depth(&self.steps);
        self.stacks.truncate(depth);
        let mut shared = Shared { steps: self.steps.len(), depth, unknown: 0 };
        read_ids(&list[..list.len() - same], ids, position)?;
        for id in ids.iter().rev() {
            let place = match builder.location(*id) {
                Some(location) => builder.place(location)?,
                None => {
                    shared.unknown += 1;
                    builder.unknown_place()
                }
            };
            depth += place.frames();
            if depth > MAX_DEPTH {
                return Ok(None);
            }
            self.steps.push(Step { place, depth });
        }
        Ok(Some(shared))
    }

    /// Makes the stacks of its steps, of which those of the first `shared` are made.
    fn make_stacks(&mut self, paths: &mut Paths, builder: &mut Builder, shared: usize) {
        let kept = match builder.prunes() {
            false => self.steps.len(),
            true => kept(self.steps.iter().map(|step| step.place.pruned)),
        };
        self.added.clear();
        for Step { place, .. } in self.steps[..kept].iter().skip(shared) {
            builder.add_frames(*place, &mut self.added);
        }
        self.stack = paths.extend(&mut builder.profile, &mut self.stacks, &self.added);
    }
}

/// The numbers of a list as they are encoded.
fn read_ids(mut list: &[u8], ids: &mut Vec<u64>, position: u64) -> Result<(), Error> {
    ids.clear();
    while !list.is_empty() {
        let Some((id, length)) = parse_varint(list) else {
            return Err(malformed(
                position,
                "a sample's list of locations is damaged: copy the file again, or make it anew",
            ));
        };
        ids.push(id);
        list = &list[length..];
    }
    Ok(())
}

/// How many frames a path has.
fn depth(steps: &[Step]) -> usize {
    steps.last().map_or(0, |step| step.depth)
}

/// How many bytes two lists of numbers have in common at their ends, as whole numbers.
fn shared_end(one: &[u8], other: &[u8]) -> usize {
    let same = shared_bytes(one, other);
    let begins = |list: &[u8]| list.len() == same || list[list.len() - same - 1] < 0x80;
    if begins(one) && begins(other) {
        return same;
    }
    // A number begins after the next one's last byte.
    let end = &one[one.len() - same..];
    end.iter().position(|byte| *byte < 0x80).map_or(0, |last| same - last - 1)
}

/// How many bytes are the same at the ends.
fn shared_bytes(one: &[u8], other: &[u8]) -> usize {
    let (wide_one, wide_other) = (one.as_rchunks::<8>().1, other.as_rchunks::<8>().1);
    let mut same = 0;
    for (one, other) in wide_one.iter().rev().zip(wide_other.iter().rev()) {
        let differing = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differing != 0 {
            return same + differing.leading_zeros() as usize / 8;
        }
        same += 8;
    }
    let rest = one[..one.len() - same].iter().rev().zip(other[..other.len() - same].iter().rev());
    same + rest.take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::super::wire::push_varint;
    use super::*;

    #[test]
    fn lists_share_whole_numbers_at_their_ends() {
        let mut random = 1u64;
        let mut list = |of: u64| {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let numbers = (0..random >> 59).map(|at| (random >> (at % 32)) % of * 0x81).collect::<Vec<_>>();
            let mut bytes = Vec::new();
            numbers.iter().for_each(|number| push_varint(&mut bytes, *number));
            (numbers, bytes)
        };
        let mut found = 0;
        for round in 0..20_000 {
            let (one, other) = (list(1 + round % 3), list(1 + round % 5));
            let same = one.0.iter().rev().zip(other.0.iter().rev()).take_while(|(one, other)| one == other).count();
            let mut bytes = Vec::new();
            one.0[one.0.len() - same..].iter().for_each(|number| push_varint(&mut bytes, *number));
            assert_eq!(shared_end(&one.1, &other.1), bytes.len(), "{one:?} {other:?}");
            found += same;
        }
        assert!(found > 20_000);
        // The end of a number is another number.
        assert_eq!(shared_end(&[1, 0xac, 2], &[1, 2]), 0);
        assert_eq!(shared_end(&[0xac, 2], &[2]), 0);
        assert_eq!(shared_end(&[0xac, 2, 3], &[2, 3]), 1);
        assert_eq!(shared_end(&[], &[2, 3]), 0);
    }
}
