//! Both sides on one set of functions.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::reduce::Reduced;
use crate::matching::{Identity, Matched, Side, match_sides};

/// All runs on common functions.
pub(super) struct Joint {
    /// Per function, what it is before and after.
    pub(super) functions: Vec<[Option<Identity>; 2]>,
    /// Runs before, runs after.
    pub(super) runs: [Vec<Run>; 2],
    pub(super) matched: Matched,
    pub(super) sides: [Side; 2],
}

/// What is known of one run as a whole.
pub(super) struct Run {
    /// Which of the common functions each of its own is.
    pub(super) of_function: Vec<u32>,
    pub(super) blocks: usize,
    /// Per block, all samples.
    pub(super) totals: Vec<f64>,
    pub(super) effective: f64,
}

impl Run {
    /// The weight of all samples.
    pub(super) fn sum(&self) -> f64 {
        self.totals.iter().sum()
    }

    /// The mean weight of a sample.
    pub(super) fn weight(&self) -> f64 {
        if self.effective > 0.0 { self.sum() / self.effective } else { 0.0 }
    }
}

pub(super) fn join(before: &[Reduced], after: &[Reduced]) -> Joint {
    let inputs = [before, after];
    let (mut sides, mut of_run): ([Side; 2], [Vec<Vec<u32>>; 2]) = Default::default();
    for side in 0..2 {
        (sides[side], of_run[side]) = one_side(inputs[side]);
    }
    let matched = match_sides(&sides[0], &sides[1]);
    let functions = matched.functions.iter().map(|at| [0, 1].map(|side| at[side].map(|at| sides[side][at].0.clone())));
    let functions = functions.collect();
    let runs = [0, 1].map(|side| {
        let of_run = inputs[side].iter().zip(&of_run[side]);
        let of_run = of_run.map(|(run, of_side)| Run {
            of_function: of_side.iter().map(|function| matched.joint[side][*function as usize] as u32).collect(),
            blocks: run.blocks,
            totals: run.totals.clone(),
            effective: run.effective,
        });
        of_run.collect()
    });
    Joint { functions, runs, matched, sides }
}

/// The functions of all runs of a side with their mean self shares, and per run and function which of them it is.
fn one_side(runs: &[Reduced]) -> (Side, Vec<Vec<u32>>) {
    let mut side: Side = Vec::new();
    let mut known: HashMap<(&str, &str), u32, RandomState> = HashMap::default();
    let mut of_run = Vec::with_capacity(runs.len());
    for run in runs {
        let mut map = Vec::with_capacity(run.functions.len());
        for identity in &run.functions {
            let next = side.len() as u32;
            let at = *known.entry((&identity.canonical, &identity.module_key)).or_insert(next);
            if at == next {
                side.push((identity.clone(), 0.0));
            }
            map.push(at);
        }
        let all: f64 = run.totals.iter().sum::<f64>() * runs.len() as f64;
        for block in (0..run.blocks).filter(|_| all > 0.0) {
            for (own, node) in run.own_in(block).iter().zip(&run.nodes) {
                side[map[node.function as usize] as usize].1 += own / all;
            }
        }
        of_run.push(map);
    }
    (side, of_run)
}
