//! Plain objects (`{}`, `Object`) grouped by their properties, as DevTools does: the most frequent lists of properties
//! become classes of their own, named `{a, b, c}`; an object belongs to the longest of which it has all properties.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use rayon::prelude::*;

use crate::bits::Bits;
use crate::flood::kind_of;
use crate::kinds::{EdgeKind, NodeKind};
use crate::read::{Edges, Nodes};
use crate::source::Source;
use crate::strings::{Strings, WellKnown};

/// How long a shape's name may be, in UTF-16 units; its first property always fits.
const MAX_NAME: usize = 120;
/// How many objects a shape needs.
const MIN_OBJECTS: u64 = 2;
/// One of so many plain objects must be of a shape.
const MIN_PROPORTION: f64 = 1_000.0;

/// Objects that are looked at together.
const CHUNK: usize = 1 << 16;

const NONE: u32 = u32::MAX;

/// A list of properties that makes a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// `{a, b}`
    pub(crate) name: String,
    pub(crate) properties: Vec<String>,
}

/// The classes of plain objects of one snapshot, for sorting another one's objects in the same way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shapes(pub(crate) std::sync::Arc<Vec<Shape>>);

/// The properties of the plain objects of a snapshot, by numbers that are the same for the same text.
pub(crate) struct PlainObjects {
    /// In order.
    nodes: Vec<u32>,
    /// By string: the number of its text, if a plain object has it as a property.
    number: Vec<u32>,
    /// By number: the text.
    texts: Vec<String>,
    /// By number: the text's length in UTF-16 units, as written in the shape's name.
    lengths: Vec<u32>,
}

/// Finds them.
pub(crate) fn plain_objects(nodes: &Nodes, edges: &Edges, strings: &Strings, source: &Source) -> PlainObjects {
    let count = nodes.kind.len() as u32;
    let is_plain = |node: &u32| {
        kind_of(nodes.kind[*node as usize]) == NodeKind::Object
            && strings.is(nodes.name[*node as usize], WellKnown::Object)
    };
    let plain: Vec<u32> = (0..count).into_par_iter().filter(is_plain).collect();
    let used = plain.par_chunks(CHUNK).map(|objects| {
        let mut used = Bits::new(strings.len());
        for node in objects {
            properties(nodes, edges, *node).for_each(|name| {
                used.insert(name);
            });
        }
        used
    });
    let used = used.reduce(
        || Bits::new(strings.len()),
        |mut used, other| {
            used.union(&other);
            used
        },
    );
    let mut found =
        PlainObjects { nodes: plain, number: vec![NONE; strings.len()], texts: Vec::new(), lengths: Vec::new() };
    let mut known: HashMap<String, u32, RandomState> = HashMap::default();
    for name in used.iter() {
        let text = strings.get(source, name);
        let number = match known.get(&*text) {
            Some(number) => *number,
            None => {
                let number = found.texts.len() as u32;
                found.texts.push(text.clone().into_owned());
                found.lengths.push(formatted(&text).encode_utf16().count() as u32);
                known.insert(text.into_owned(), number);
                number
            }
        };
        found.number[name as usize] = number;
    }
    found
}

fn properties<'a>(nodes: &Nodes, edges: &'a Edges, node: u32) -> impl Iterator<Item = u32> + 'a {
    nodes
        .edges(node)
        .filter(|edge| edges.kind[*edge] & crate::marks::KIND == EdgeKind::Property as u8)
        .map(|edge| edges.name[edge])
}

/// A property's name as it stands in a shape's name: quoted where it would be misread.
fn formatted(name: &str) -> std::borrow::Cow<'_, str> {
    if name.contains([',', '\'', '"', '{', '}']) {
        serde_json::to_string(name).map_or(name.into(), Into::into)
    } else {
        name.into()
    }
}

/// How often a list of properties occurs, and in which object first.
type Candidates = HashMap<Vec<u32>, (u64, u32), RandomState>;

/// The shapes that are frequent enough, the most frequent first.
pub(crate) fn infer(plain: &PlainObjects, nodes: &Nodes, edges: &Edges, strings: &Strings) -> Vec<Shape> {
    let chunks = plain.nodes.par_chunks(CHUNK).map(|objects| {
        let mut candidates = Candidates::default();
        let mut list = Vec::new();
        for node in objects {
            prefix(plain, strings, properties(nodes, edges, *node), &mut list);
            match candidates.get_mut(list.as_slice()) {
                Some((count, _)) => *count += 1,
                None if list.is_empty() => {}
                None => {
                    candidates.insert(list.clone(), (1, *node));
                }
            }
        }
        candidates
    });
    let candidates = chunks.reduce(Candidates::default, |mut all, more| {
        for (list, (count, first)) in more {
            let known = all.entry(list).or_insert((0, first));
            *known = (known.0 + count, known.1.min(first));
        }
        all
    });
    let mut candidates: Vec<(Vec<u32>, (u64, u32))> = candidates.into_iter().collect();
    candidates.sort_unstable_by_key(|(_, (_, first))| *first);
    merge_same_names(plain, &mut candidates);
    // Stable: of two that are equally frequent the first met is first.
    candidates.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let least = (plain.nodes.len() as f64 / MIN_PROPORTION).max(MIN_OBJECTS as f64);
    let frequent = candidates.into_iter().take_while(|(_, (count, _))| *count as f64 >= least);
    frequent
        .map(|(list, _)| Shape {
            name: shape_name(plain, &list),
            properties: list.iter().map(|number| plain.texts[*number as usize].clone()).collect(),
        })
        .collect()
}

/// The properties that a shape's name has room for.
fn prefix(plain: &PlainObjects, strings: &Strings, names: impl Iterator<Item = u32>, list: &mut Vec<u32>) {
    list.clear();
    let mut length = 1;
    for name in names {
        if strings.is(name, WellKnown::Proto) {
            continue;
        }
        let number = plain.number[name as usize];
        let more = plain.lengths[number as usize] as usize;
        if length > 1 && length + more > MAX_NAME {
            break;
        }
        length += more + if length == 1 { 0 } else { 2 };
        list.push(number);
    }
}

fn shape_name(plain: &PlainObjects, list: &[u32]) -> String {
    let mut name = "{".to_owned();
    for number in list {
        if name.len() != 1 {
            name.push_str(", ");
        }
        name.push_str(&formatted(&plain.texts[*number as usize]));
    }
    name + "}"
}

/// An empty property's name leaves no trace at the start of a shape's name: such lists count together.
fn merge_same_names(plain: &PlainObjects, candidates: &mut Vec<(Vec<u32>, (u64, u32))>) {
    if !plain.texts.iter().any(String::is_empty) {
        return;
    }
    let mut by_name: HashMap<String, usize> = HashMap::new();
    let mut merged: Vec<(Vec<u32>, (u64, u32))> = Vec::with_capacity(candidates.len());
    for (list, (count, first)) in candidates.drain(..) {
        let next = merged.len();
        let at = *by_name.entry(shape_name(plain, &list)).or_insert(next);
        match merged.get_mut(at) {
            Some((_, known)) => known.0 += count,
            None => merged.push((list, (count, first))),
        }
    }
    *candidates = merged;
}

/// How many steps of comparing may be taken for each property: what programs make takes a few. Objects beyond that, which
/// must have been made up for the purpose, belong to no shape.
const STEPS: usize = 1_000;

/// For each plain object, in order, the shape it belongs to.
pub(crate) fn apply(plain: &PlainObjects, shapes: &[Shape], nodes: &Nodes, edges: &Edges) -> Vec<(u32, Option<u32>)> {
    let by_text: HashMap<&str, u32, RandomState> =
        plain.texts.iter().enumerate().map(|(number, text)| (text.as_str(), number as u32)).collect();
    let matcher = Matcher::new(shapes, &by_text);
    // Only properties that a shape has decide.
    let mut matters = vec![false; plain.texts.len()];
    matcher.next.keys().for_each(|(_, number)| matters[*number as usize] = true);
    let chunks = plain.nodes.par_chunks(CHUNK).map(|objects| {
        let mut cache: HashMap<Vec<u32>, Option<u32>, RandomState> = HashMap::default();
        let mut list = Vec::new();
        let mut work = Work { active: Vec::new(), met: vec![0; matcher.states.len()], lists: 0, left: CHUNK * STEPS };
        let shape = |node: &u32| {
            list.clear();
            let numbers = properties(nodes, edges, *node).map(|name| plain.number[name as usize]);
            list.extend(numbers.filter(|number| matters[*number as usize]));
            list.sort_unstable();
            let shape = match cache.get(list.as_slice()) {
                Some(shape) => *shape,
                None => {
                    work.left = work.left.saturating_add(list.len() * STEPS);
                    let shape = matcher.best(&list, &mut work);
                    cache.insert(list.clone(), shape);
                    shape
                }
            };
            (*node, shape)
        };
        objects.iter().map(shape).collect::<Vec<_>>()
    });
    chunks.collect::<Vec<_>>().concat()
}

/// What comparing lists works with.
struct Work {
    active: Vec<u32>,
    /// By state: the last list that met it.
    met: Vec<u32>,
    lists: u32,
    /// Steps that may still be taken.
    left: usize,
}

/// A tree of sorted property lists.
struct Matcher {
    next: HashMap<(u32, u32), u32, RandomState>,
    /// By state: how many properties led there, and the shape that ends there.
    states: Vec<(u32, Option<u32>)>,
}

impl Matcher {
    fn new(shapes: &[Shape], by_text: &HashMap<&str, u32, RandomState>) -> Self {
        let mut matcher = Self { next: HashMap::default(), states: vec![(0, None)] };
        for (index, shape) in shapes.iter().enumerate() {
            let numbers: Option<Vec<u32>> =
                shape.properties.iter().map(|text| by_text.get(text.as_str()).copied()).collect();
            // Shapes of another snapshot may have properties that no object has here.
            let Some(mut numbers) = numbers else { continue };
            numbers.sort_unstable();
            let mut state = 0;
            for number in &numbers {
                let new = matcher.states.len() as u32;
                let depth = matcher.states[state as usize].0 + 1;
                state = *matcher.next.entry((state, *number)).or_insert(new);
                if state == new {
                    matcher.states.push((depth, None));
                }
            }
            // Of two orders of the same properties the more frequent has the name.
            matcher.states[state as usize].1.get_or_insert(index as u32);
        }
        matcher
    }

    /// The shape with the most properties among those whose properties are all in the sorted list; of equals the first.
    fn best(&self, list: &[u32], work: &mut Work) -> Option<u32> {
        let mut best: Option<(u32, u32)> = None;
        work.lists += 1;
        let Work { active, met, lists, left } = work;
        active.clear();
        active.push(0);
        for number in list {
            *left = left.checked_sub(active.len())?;
            for index in 0..active.len() {
                let Some(next) = self.next.get(&(active[index], *number)) else { continue };
                if std::mem::replace(&mut met[*next as usize], *lists) == *lists {
                    continue;
                }
                active.push(*next);
                let (depth, shape) = self.states[*next as usize];
                if let Some(shape) = shape
                    && best.is_none_or(|(most, first)| depth > most || depth == most && shape < first)
                {
                    best = Some((depth, shape));
                }
            }
        }
        best.map(|(_, shape)| shape)
    }
}
