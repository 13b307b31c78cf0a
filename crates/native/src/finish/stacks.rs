//! The profile's stacks.
//!
//! A recording has each stack once, and there are millions of them: to look each up in the profile's table would take a
//! fifth of the time that reading takes. Nearly all can be added unseen. A recorded frame becomes a frame of the depth 0
//! and those inlined into it, so two stacks that are called from the same become the same only if their frames begin
//! with the same frame (an address as a leaf and as a return address, kernel frames without names). Only where that may
//! be, and for what several of them call, are stacks looked up.

use std::collections::HashMap;

use burnmark_model::{FrameId, Id, Stack, StackId};
use foldhash::fast::RandomState;
use rayon::prelude::*;

use super::Builder;
use crate::recording::StackRow;

/// Whether a recorded stack may be the same in the profile as another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meeting {
    /// It isn't.
    None,
    /// It may be, and of those only one calls others: they meet nobody by that.
    One,
    /// It may be, and so may what is called from there.
    Many,
}

impl Builder<'_> {
    /// All stacks, callers first.
    pub(super) fn stacks(&mut self) {
        let recording = self.recording;
        for row in &recording.stacks {
            if !self.is_collapsed(row.parent, row.frame) {
                self.find_frames(row.frame as usize);
            }
        }
        let (starts, frames) = self.flat_frames();
        let mut meetings = self.meetings(&starts, &frames);
        let mut met: HashMap<Stack, StackId, RandomState> = HashMap::default();
        self.profile.stacks.reserve_new(recording.stacks.len());
        for (index, row) in recording.stacks.iter().enumerate() {
            let above = row.parent as usize;
            let mut at = self.stacks.get(above).copied().flatten();
            if meetings.get(above) == Some(&Meeting::Many) {
                meetings[index] = Meeting::Many;
            }
            let meets = meetings[index] != Meeting::None;
            if !self.is_collapsed(row.parent, row.frame) {
                let frame = row.frame as usize;
                for frame in &frames[starts[frame] as usize..starts[frame + 1] as usize] {
                    let (stack, stacks) = (Stack { parent: at, frame: *frame }, &mut self.profile.stacks);
                    at = Some(if meets {
                        *met.entry(stack).or_insert_with(|| stacks.push_new(stack))
                    } else {
                        stacks.push_new(stack)
                    });
                }
            }
            self.stacks[index] = at;
        }
    }

    /// The frames of all recorded ones after each other, and where those of each begin.
    fn flat_frames(&self) -> (Vec<u32>, Vec<FrameId>) {
        let mut starts = Vec::with_capacity(self.frames.len() + 1);
        let mut all: Vec<FrameId> = Vec::with_capacity(self.frames.len());
        for frames in &self.frames {
            starts.push(all.len() as u32);
            all.extend(frames.iter().flatten());
        }
        starts.push(all.len() as u32);
        (starts, all)
    }

    /// Which stacks begin with the same frame as another that is called from the same.
    fn meetings(&self, starts: &[u32], frames: &[FrameId]) -> Vec<Meeting> {
        let stacks = &self.recording.stacks;
        let first = |frame: u32| frames.get(starts[frame as usize] as usize).map_or(usize::MAX, |first| first.index());
        // How many recorded frames begin with each frame: most stacks can be told by that.
        let mut owners = vec![0_u32; self.profile.frames.len()];
        for frame in 0..self.frames.len() as u32 {
            if let Some(owners) = owners.get_mut(first(frame)) {
                *owners += 1;
            }
        }
        let has_others = |row: &StackRow| owners.get(first(row.frame)).is_none_or(|owners| *owners > 1);
        let key = |row: &StackRow| u64::from(row.parent) << 32 | first(row.frame) as u64;
        let mut keys: Vec<u64> = stacks.iter().filter(|row| has_others(row)).map(key).collect();
        keys.par_sort_unstable();
        // Those that meet, and how many of them call others.
        let twice = keys.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| (pair[0], 0));
        let mut callers: HashMap<u64, u32, RandomState> = twice.collect();
        let mut are_callers = vec![false; stacks.len()];
        for row in stacks {
            if let Some(is_caller) = are_callers.get_mut(row.parent as usize) {
                *is_caller = true;
            }
        }
        for (row, _) in stacks.iter().zip(are_callers).filter(|(row, is_caller)| *is_caller && has_others(row)) {
            callers.entry(key(row)).and_modify(|callers| *callers += 1);
        }
        let meeting = |row: &StackRow| {
            if self.is_nameless_kernel(row.frame) {
                return Meeting::Many;
            }
            match has_others(row).then(|| callers.get(&key(row))).flatten() {
                Some(2..) => Meeting::Many,
                Some(_) => Meeting::One,
                None => Meeting::None,
            }
        };
        stacks.iter().map(meeting).collect()
    }

    /// Kernel frames without symbols are all the same: one will do.
    fn is_collapsed(&self, parent: u32, frame: u32) -> bool {
        let above = || self.recording.stacks.get(parent as usize);
        self.is_nameless_kernel(frame) && above().is_some_and(|above| self.is_kernel(above.frame))
    }

    fn is_nameless_kernel(&self, frame: u32) -> bool {
        self.looked.no_kernel.is_some() && self.is_kernel(frame)
    }
}
