//! What functions take, self and total, in every block of a run.

use rayon::prelude::*;

use super::join::{Joint, Run};
use super::judge::Quantity;
use super::reduce::{Node, Reduced};

/// Self and total, each per function.
type Sums<T> = [Vec<T>; 2];

/// Per common function, what it takes in every run: self and total.
pub(super) fn of_functions(inputs: [&[Reduced]; 2], joint: &Joint) -> Sums<Quantity> {
    let functions = joint.functions.len();
    let of_side = |side: usize| -> Vec<_> {
        let runs = inputs[side].par_iter().zip(&joint.runs[side]);
        runs.map(|(input, run)| of_run(input, run, functions).map(Vec::into_iter)).collect()
    };
    let (before, after) = rayon::join(|| of_side(0), || of_side(1));
    let mut sides = [before, after];
    [0, 1].map(|by| {
        let mut of_side =
            |side: usize| sides[side].iter_mut().map(|run| run[by].next().expect("one for each function")).collect();
        (0..functions).map(|_| [of_side(0), of_side(1)]).collect()
    })
}

/// Per function, its weights per block and its samples.
fn of_run(input: &Reduced, run: &Run, functions: usize) -> Sums<(Vec<f64>, f64)> {
    let of_node: Vec<u32> = input.nodes.iter().map(|node| run.of_function[node.function as usize]).collect();
    let first = first_of_function(&input.nodes, &of_node, functions);
    let sums = |own: &[f64]| -> Sums<f64> {
        let mut total = own.to_vec();
        for (index, node) in input.nodes.iter().enumerate().rev() {
            if let Some(parent) = node.parent {
                total[parent as usize] += total[index];
            }
        }
        let mut sums = [0, 1].map(|_| vec![0.0; functions]);
        for (index, function) in of_node.iter().map(|function| *function as usize).enumerate() {
            sums[0][function] += own[index];
            if first[index] {
                sums[1][function] += total[index];
            }
        }
        sums
    };
    let blocks: Vec<_> = (0..run.blocks).map(|block| sums(input.own_in(block))).collect();
    let hits = sums(&input.hits);
    [0, 1].map(|by| {
        let of_function = |function: usize| blocks.iter().map(|block| block[by][function]).collect();
        (0..functions).map(|function| (of_function(function), hits[by][function])).collect()
    })
}

/// Whether a node is the first of its function on the way from the root. Walks the tree depth first, counting how often
/// each function is open.
fn first_of_function(nodes: &[Node], of_node: &[u32], functions: usize) -> Vec<bool> {
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
            let function = of_node[next as usize] as usize;
            first[next as usize] = open[function] == 0;
            open[function] += 1;
            inside = Some(next);
            next = first_child[next as usize];
        }
        let Some(at) = inside else { return first };
        open[of_node[at as usize] as usize] -= 1;
        next = next_sibling[at as usize];
        inside = nodes[at as usize].parent;
    }
}
