//! The tree of both sides.

use std::collections::HashMap;

use burnmark_model::Zeroed;
use foldhash::fast::RandomState;

use super::join::{Joint, Run};
use super::judge::Quantity;
use super::reduce::{Node, Reduced};

/// All runs on common nodes.
pub(super) struct JointTree {
    /// The common tree, parents first; `function` indexes [`Joint::functions`].
    pub(super) nodes: Vec<Node>,
    /// Runs before, runs after.
    runs: [Vec<Numbers>; 2],
}

/// The numbers of one run on the common nodes.
struct Numbers {
    blocks: usize,
    /// Per node and block, what ends there.
    own: Zeroed<f64>,
    /// Per node and block, what ends there or deeper.
    total: Zeroed<f64>,
    /// Per node, samples that end there.
    own_hits: Vec<f64>,
    /// Per node, samples that end there or deeper.
    total_hits: Vec<f64>,
}

impl JointTree {
    /// The tree of all runs.
    pub(super) fn new(inputs: [&[Reduced]; 2], joint: &Joint) -> Self {
        let mut nodes: Vec<Node> = Vec::new();
        let mut known: HashMap<(Option<u32>, u32), u32, RandomState> = HashMap::default();
        let mut place = |input: &Reduced, run: &Run| {
            let mut map: Vec<u32> = Vec::with_capacity(input.nodes.len());
            for node in &input.nodes {
                let parent = node.parent.map(|parent| map[parent as usize]);
                let function = run.of_function[node.function as usize];
                let next = nodes.len() as u32;
                let at = *known.entry((parent, function)).or_insert(next);
                if at == next {
                    nodes.push(Node { parent, function });
                }
                map.push(at);
            }
            map
        };
        let maps = [0, 1].map(|side| {
            let runs = inputs[side].iter().zip(&joint.runs[side]);
            runs.map(|(input, run)| place(input, run)).collect::<Vec<_>>()
        });
        let runs = [0, 1].map(|side| {
            let runs = inputs[side].iter().zip(&maps[side]);
            runs.map(|(input, map)| Numbers::new(input, map, &nodes)).collect()
        });
        Self { nodes, runs }
    }

    /// What a node takes in every run: what ends there, or all that goes through it.
    pub(super) fn quantity(&self, index: usize, total: bool) -> Quantity {
        self.runs.each_ref().map(|runs| {
            let of = |run: &Numbers| {
                let (weights, hits) = if total { (&run.total, &run.total_hits) } else { (&run.own, &run.own_hits) };
                (weights[index * run.blocks..(index + 1) * run.blocks].to_vec(), hits[index])
            };
            runs.iter().map(of).collect()
        })
    }
}

impl Numbers {
    fn new(input: &Reduced, map: &[u32], nodes: &[Node]) -> Self {
        let blocks = input.blocks;
        let mut own = Zeroed::new(nodes.len() * blocks);
        let mut own_hits = vec![0.0; nodes.len()];
        map.iter().zip(&input.hits).for_each(|(at, hits)| own_hits[*at as usize] += hits);
        let sums = &mut *own;
        for block in 0..blocks {
            let of_nodes = map.iter().zip(input.own_in(block));
            of_nodes.for_each(|(at, weight)| sums[*at as usize * blocks + block] += weight);
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
        Self { blocks, own, total, own_hits, total_hits }
    }
}
