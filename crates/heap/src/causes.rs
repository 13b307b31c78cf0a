//! Likely causes, read from the edges that hold what grows.

use crate::kinds::{Detachedness, EdgeKind, NodeKind};
use crate::paths::Step;
use crate::snapshot::Snapshot;

/// Why objects are still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Event listeners that were added and not removed.
    Listener,
    /// Timers and immediates that were not cleared.
    Timer,
    /// DOM nodes out of the document that scripts hold.
    DetachedDom,
    /// Stores of `AsyncLocalStorage`.
    AsyncContext,
    /// Values of a WeakMap whose keys live.
    WeakMap,
    /// Promises that are never settled.
    Promise,
    /// A Map, a Set or a dictionary to which is added and from which nothing is taken.
    Cache,
    /// An array or object of the global object.
    GlobalCollection,
    /// An array or object that a module or a function's variable holds.
    ModuleCollection,
    /// Functions that hold their variables.
    Closure,
    /// Buffers and typed arrays.
    Buffers,
    /// Strings.
    Strings,
    /// Not recognized.
    Unknown,
}

impl Cause {
    /// A few words for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listener => "event listener not removed",
            Self::Timer => "timer holds references",
            Self::DetachedDom => "detached DOM",
            Self::AsyncContext => "AsyncLocalStorage context",
            Self::WeakMap => "WeakMap with live keys",
            Self::Promise => "pending promises",
            Self::Cache => "cache without eviction",
            Self::GlobalCollection => "global collection grows",
            Self::ModuleCollection => "module-level collection grows",
            Self::Closure => "closure holds references",
            Self::Buffers => "growing buffers",
            Self::Strings => "growing strings",
            Self::Unknown => "unknown",
        }
    }
}

/// How many steps before the end of a path say something about its end.
const NEAR: usize = 14;

/// The likely cause: `owner` is under which objects pile up, `example` one of them, `path` how it is held.
pub(crate) fn cause(snapshot: &Snapshot, owner: u32, example: u32, path: &[Step]) -> Cause {
    let near = &path[path.len().saturating_sub(NEAR)..];
    let label = |step: &Step| snapshot.label(step.node);
    let edge_is = |names: &[&str]| near.iter().any(|step| names.contains(&step.edge.as_str()));
    let label_is = |names: &[&str]| near.iter().any(|step| names.contains(&label(step).as_str()));
    if snapshot.detachedness(example) == Detachedness::Detached && snapshot.kind(example) == NodeKind::Native
        || holds_detached(snapshot, example)
    {
        return Cause::DetachedDom;
    }
    if edge_is(&["._onTimeout", "._onImmediate", "._timerArgs"])
        || label_is(&["Timeout", "Immediate", "TimersList", "ImmediateList"])
    {
        return Cause::Timer;
    }
    if edge_is(&["._events"]) || label_is(&["Listener", "EventListener", "V8EventListener"]) {
        return Cause::Listener;
    }
    let mentions = |text: &str| near.iter().any(|step| step.edge.contains(text) || label(step).contains(text));
    let is_store = |edge: &str, to: u32| {
        edge.contains("kResourceStore") || snapshot.class_name(snapshot.class_of(to)).contains("AsyncContextFrame")
    };
    if mentions("kResourceStore")
        || mentions("AsyncContextFrame")
        || mentions("AsyncLocalStorage")
        || holds_by(snapshot, example, is_store)
    {
        return Cause::AsyncContext;
    }
    if snapshot.class_name(snapshot.class_of(owner)) == "WeakMap"
        || near.iter().any(|step| step.edge.starts_with("(weak map)"))
        || holds_by(snapshot, example, |edge, _| edge.contains(" / part of key ("))
    {
        return Cause::WeakMap;
    }
    let example_class = snapshot.class_name(snapshot.class_of(example)).into_owned();
    if example_class == "Promise" || mentions("PromiseReaction") || holds_promise(snapshot, example) {
        return Cause::Promise;
    }
    if is_buffer(&example_class) || holds_buffer(snapshot, example) {
        return Cause::Buffers;
    }
    by_owner(snapshot, owner, example, path)
}

/// What the owner and the example are, where the path has no signature.
fn by_owner(snapshot: &Snapshot, owner: u32, example: u32, path: &[Step]) -> Cause {
    let kind = snapshot.kind(example);
    if kind == NodeKind::Closure || snapshot.name_begins(example, "system / Context") {
        return Cause::Closure;
    }
    let owner_class = snapshot.class_name(snapshot.class_of(owner)).into_owned();
    if matches!(owner_class.as_str(), "Map" | "Set") {
        return Cause::Cache;
    }
    if kind.is_string() || snapshot.kind(owner).is_string() {
        return Cause::Strings;
    }
    let is_plain = owner_class == "Object" || owner_class.starts_with('{');
    if is_plain && snapshot.kind(owner) == NodeKind::Object && owner != example {
        return Cause::Cache;
    }
    match holder(snapshot, owner, path) {
        Holder::Global => Cause::GlobalCollection,
        Holder::Variable => Cause::ModuleCollection,
        Holder::Function => Cause::Closure,
        Holder::Other => Cause::Unknown,
    }
}

enum Holder {
    Global,
    Variable,
    Function,
    Other,
}

/// Who holds the owner: the global object, or a function's variable.
fn holder(snapshot: &Snapshot, owner: u32, path: &[Step]) -> Holder {
    let end = path.iter().position(|step| step.node == owner).map_or(path.len(), |at| at + 1);
    for (at, step) in path[..end].iter().enumerate().rev() {
        if matches!(step.kind, Some(EdgeKind::Context)) {
            return Holder::Variable;
        }
        if let Some(before) = at.checked_sub(1).map(|before| &path[before])
            && step.kind == Some(EdgeKind::Property)
            && is_global(&snapshot.name(before.node))
        {
            return Holder::Global;
        }
        if snapshot.kind(step.node) == NodeKind::Closure && step.node == owner {
            return Holder::Function;
        }
    }
    let through_module = path[..end].iter().any(|step| step.edge == ".exports" || step.edge == "._cache");
    if through_module { Holder::Variable } else { Holder::Other }
}

fn is_global(name: &str) -> bool {
    name == "global"
        || name.starts_with("global ")
        || name.starts_with("Object [global]")
        || name.starts_with("Object / ")
        || name.starts_with("Window")
        || name.contains("JSGlobalObject")
        || name.contains("JSGlobalProxy")
}

fn is_buffer(class: &str) -> bool {
    matches!(
        class,
        "Buffer" | "FastBuffer" | "ArrayBuffer" | "SharedArrayBuffer" | "DataView" | "system / JSArrayBufferData"
    ) || class.ends_with("Array") && class != "Array"
}

/// The targets of an object's own edges that hold a good part of what it retains.
fn heavy(snapshot: &Snapshot, node: u32) -> impl Iterator<Item = u32> + '_ {
    let least = snapshot.retained(node) / 3;
    let range = snapshot.edge_range(node);
    let targets = range.take(1_000).map(|edge| snapshot.edges.to(edge));
    targets.filter(move |to| *to != node && snapshot.retained(*to) >= least && snapshot.dominator(*to) == node)
}

fn holds_detached(snapshot: &Snapshot, node: u32) -> bool {
    snapshot.kind(node) == NodeKind::Object
        && heavy(snapshot, node).any(|to| snapshot.detachedness(to) == Detachedness::Detached)
}

fn holds_buffer(snapshot: &Snapshot, node: u32) -> bool {
    let buffer = |node: u32| is_buffer(&snapshot.class_name(snapshot.class_of(node)));
    heavy(snapshot, node).any(|to| buffer(to) || heavy(snapshot, to).any(buffer))
}

fn holds_promise(snapshot: &Snapshot, node: u32) -> bool {
    let pending = |node: u32| snapshot.class_name(snapshot.class_of(node)) == "Promise";
    snapshot.kind(node) == NodeKind::Object && heavy(snapshot, node).any(pending)
}

/// Whether a good part of what a node retains hangs on it by an edge like this.
fn holds_by(snapshot: &Snapshot, node: u32, is: impl Fn(&str, u32) -> bool) -> bool {
    let heavy: Vec<u32> = heavy(snapshot, node).collect();
    !heavy.is_empty()
        && snapshot.edge_range(node).len() < 1_000
        && snapshot.edges(node).iter().any(|edge| heavy.contains(&edge.to) && is(&snapshot.edge_text(edge), edge.to))
}

/// What to look at.
pub(crate) fn hint(snapshot: &Snapshot, cause: Cause, owner: u32, what: &str, path: &[Step]) -> String {
    let name = variable(owner, path).unwrap_or_else(|| snapshot.label(owner));
    let event = path.iter().position(|step| step.edge == "._events").and_then(|at| path.get(at + 1));
    match cause {
        Cause::Listener => {
            let event = event.map_or(String::new(), |step| format!(" of `{}`", step.edge.trim_start_matches('.')));
            format!("listeners{event} pile up: call `off`/`removeEventListener` where their user ends, or use `once`")
        }
        Cause::Timer => {
            "timers that are never cleared: keep what `setInterval`/`setTimeout` returns, and clear it".into()
        }
        Cause::DetachedDom => format!("DOM nodes are out of the document, but `{name}` holds them: drop the reference"),
        Cause::AsyncContext => "stores of AsyncLocalStorage live as long as what was started in them: look for work \
                                that never ends"
            .into(),
        Cause::WeakMap => {
            format!("values of a WeakMap live as long as their keys: see who keeps the {what} keys (`{name}`)")
        }
        Cause::Promise => format!("promises that nobody settles, held by `{name}`: settle or time out, and drop them"),
        Cause::Cache => format!("`{name}` is only added to: bound it (LRU, TTL), or delete entries when done"),
        Cause::GlobalCollection => {
            format!("the global `{name}` is only added to: clear it, or give it an owner that ends")
        }
        Cause::ModuleCollection => format!("`{name}` lives as long as its module and is only added to: clear it"),
        Cause::Closure => {
            format!("functions kept in `{name}` hold all variables they use: drop them, or use less in them")
        }
        Cause::Buffers => {
            format!("buffers kept by `{name}`: a small slice keeps the whole buffer; copy it, or drop it")
        }
        Cause::Strings => format!("strings kept by `{name}`: a slice keeps the whole string it was cut from"),
        Cause::Unknown => format!("look at what adds {what} to `{name}`"),
    }
}

/// How many names of a variable's properties are written out.
const NAMES: usize = 5;

/// How the owner is reached from the closest variable: `users.byName`; or the closest property that holds it.
fn variable(owner: u32, path: &[Step]) -> Option<String> {
    let end = path.iter().position(|step| step.node == owner).map_or(path.len(), |at| at + 1);
    let is_named = |step: &&Step| {
        matches!(step.kind, Some(EdgeKind::Property | EdgeKind::Context)) && !step.edge.starts_with("[\"<symbol")
    };
    let name = |step: &Step| step.edge.trim_start_matches("(variable) ").trim_start_matches('.').to_owned();
    let path = &path[..end];
    let first = path.iter().rposition(|step| step.kind == Some(EdgeKind::Context));
    // Without a variable: the properties that lead to it.
    let first = first.or_else(|| Some(path.iter().rposition(|step| step.kind != Some(EdgeKind::Property))? + 1))?;
    let first = if first < path.len() { first } else { path.iter().rposition(|step| is_named(&step))? };
    let mut names: Vec<String> = path[first..].iter().filter(is_named).map(name).collect();
    if names.len() > NAMES {
        names.splice(NAMES / 2..names.len() - NAMES / 2, ["…".to_owned()]);
    }
    (!names.is_empty()).then(|| names.join("."))
}
