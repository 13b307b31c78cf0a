//! Both sides on one set of functions and one tree.

use std::collections::HashMap;

use burnmark_model::Zeroed;
use foldhash::fast::RandomState;

use super::reduce::{Node, Reduced};
use crate::matching::{Identity, Matched, Side, match_sides};

/// All runs on common functions and nodes.
pub(super) struct Joint {
    /// Per function, what it is before and after.
    pub(super) functions: Vec<[Option<Identity>; 2]>,
    /// The common tree, parents first; `function` indexes `functions`.
    pub(super) nodes: Vec<Node>,
    /// Whether a node is the first of its function on the way from the root.
    pub(super) first: Vec<bool>,
    /// Runs before, runs after.
    pub(super) runs: [Vec<Run>; 2],
    pub(super) matched: Matched,
    pub(super) sides: [Side; 2],
}

/// The numbers of one run on the common nodes.
pub(super) struct Run {
    pub(super) blocks: usize,
    /// Per node and block, what ends there.
    pub(super) own: Zeroed<f64>,
    /// Per node and block, what ends there or deeper.
    pub(super) total: Zeroed<f64>,
    /// Per node, samples that end there.
    pub(super) own_hits: Vec<f64>,
    /// Per node, samples that end there or deeper.
    pub(super) total_hits: Vec<f64>,
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

    let mut nodes: Vec<Node> = Vec::new();
    let mut known: HashMap<(Option<u32>, u32), u32, RandomState> = HashMap::default();
    let mut maps: [Vec<Vec<u32>>; 2] = Default::default();
    for side in 0..2 {
        for (run, of_function) in inputs[side].iter().zip(&of_run[side]) {
            let mut map: Vec<u32> = Vec::with_capacity(run.nodes.len());
            for node in &run.nodes {
                let parent = node.parent.map(|parent| map[parent as usize]);
                let function = matched.joint[side][of_function[node.function as usize] as usize] as u32;
                let next = nodes.len() as u32;
                let at = *known.entry((parent, function)).or_insert(next);
                if at == next {
                    nodes.push(Node { parent, function });
                }
                map.push(at);
            }
            maps[side].push(map);
        }
    }
    let runs = [0, 1].map(|side| {
        inputs[side].iter().zip(&maps[side]).map(|(run, map)| numbers(run, map, &nodes)).collect::<Vec<Run>>()
    });
    let first = first_of_function(&nodes, matched.functions.len());
    Joint { functions, nodes, first, runs, matched, sides }
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
        for (own, node) in run.own.chunks(run.blocks).zip(&run.nodes).filter(|_| all > 0.0) {
            let own: f64 = own.iter().sum();
            side[map[node.function as usize] as usize].1 += own / all;
        }
        of_run.push(map);
    }
    (side, of_run)
}

fn numbers(run: &Reduced, map: &[u32], nodes: &[Node]) -> Run {
    let blocks = run.blocks;
    let mut own = Zeroed::new(nodes.len() * blocks);
    let mut own_hits = vec![0.0; nodes.len()];
    let (of_run, sums) = (&*run.own, &mut *own);
    for (index, at) in map.iter().enumerate() {
        let at = *at as usize;
        own_hits[at] += run.hits[index];
        for block in 0..blocks {
            sums[at * blocks + block] += of_run[index * blocks + block];
        }
    }
    let (mut total, mut total_hits) = (own.clone(), own_hits.clone());
    let sums = &mut *total;
    for (index, node) in nodes.iter().enumerate().rev() {
        let Some(parent) = node.parent.map(|parent| parent as usize) else { continue };
        total_hits[parent] += total_hits[index];
        for block in 0..blocks {
            sums[parent * blocks + block] += sums[index * blocks + block];
        }
    }
    Run { blocks, own, total, own_hits, total_hits, totals: run.totals.clone(), effective: run.effective }
}

/// Walks the tree depth first, counting how often each function is open.
fn first_of_function(nodes: &[Node], functions: usize) -> Vec<bool> {
    const NONE: u32 = u32::MAX;
    let (mut first_child, mut next_sibling, mut root) = (vec![NONE; nodes.len()], vec![NONE; nodes.len()], NONE);
    for (index, node) in nodes.iter().enumerate().rev() {
        let head = match node.parent {
            Some(parent) => &mut first_child[parent as usize],
            None => &mut root,
        };
        next_sibling[index] = *head;
        *head = index as u32;
    }
    let mut open = vec![0_u32; functions];
    let mut first = vec![false; nodes.len()];
    let (mut next, mut inside) = (root, None::<u32>);
    loop {
        while next != NONE {
            let function = nodes[next as usize].function as usize;
            first[next as usize] = open[function] == 0;
            open[function] += 1;
            inside = Some(next);
            next = first_child[next as usize];
        }
        let Some(at) = inside else { return first };
        open[nodes[at as usize].function as usize] -= 1;
        next = next_sibling[at as usize];
        inside = nodes[at as usize].parent;
    }
}
