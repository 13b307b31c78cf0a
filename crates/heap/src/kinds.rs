//! What nodes and edges are.

/// What a node is (V8's `HeapEntry::Type`). Names differ between versions; what is not known here is `Other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum NodeKind {
    /// Hidden from users by default.
    Hidden,
    /// A backing store of elements or properties.
    Array,
    /// A string.
    String,
    /// A JavaScript object.
    Object,
    /// Compiled code and what belongs to it.
    Code,
    /// A function with its context.
    Closure,
    /// A regular expression.
    RegExp,
    /// A number on the heap.
    Number,
    /// An object of the embedder: DOM nodes, buffers' memory.
    Native,
    /// Made for the snapshot: roots and groups.
    Synthetic,
    /// A string of two others.
    ConsString,
    /// A part of another string.
    SlicedString,
    /// A symbol.
    Symbol,
    /// A big integer.
    BigInt,
    /// A map (hidden class) of objects.
    ObjectShape,
    /// A WebAssembly object.
    WasmObject,
    /// Not known here.
    Other,
}

const NODE_KINDS: [(NodeKind, &str); 17] = [
    (NodeKind::Hidden, "hidden"),
    (NodeKind::Array, "array"),
    (NodeKind::String, "string"),
    (NodeKind::Object, "object"),
    (NodeKind::Code, "code"),
    (NodeKind::Closure, "closure"),
    (NodeKind::RegExp, "regexp"),
    (NodeKind::Number, "number"),
    (NodeKind::Native, "native"),
    (NodeKind::Synthetic, "synthetic"),
    (NodeKind::ConsString, "concatenated string"),
    (NodeKind::SlicedString, "sliced string"),
    (NodeKind::Symbol, "symbol"),
    (NodeKind::BigInt, "bigint"),
    (NodeKind::ObjectShape, "object shape"),
    (NodeKind::WasmObject, "wasm object"),
    (NodeKind::Other, "other"),
];

impl NodeKind {
    pub(crate) fn from_name(name: &str) -> Self {
        NODE_KINDS.iter().find(|(_, known)| *known == name).map_or(Self::Other, |(kind, _)| *kind)
    }

    /// V8's name for it.
    pub fn name(self) -> &'static str {
        NODE_KINDS[self as usize].1
    }

    pub(crate) fn from_bits(bits: u8) -> Self {
        NODE_KINDS.get(usize::from(bits)).map_or(Self::Other, |(kind, _)| *kind)
    }

    /// Strings of any form.
    pub fn is_string(self) -> bool {
        matches!(self, Self::String | Self::ConsString | Self::SlicedString)
    }
}

/// How one node refers to another (V8's `HeapGraphEdge::Type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum EdgeKind {
    /// A variable of a function's context.
    Context,
    /// An element, by index.
    Element,
    /// A property, by name.
    Property,
    /// The virtual machine's own, by name.
    Internal,
    /// The virtual machine's own, by index.
    Hidden,
    /// A short cut over other edges.
    Shortcut,
    /// Does not hold its target.
    Weak,
    /// Not known here, or never shown.
    Other,
}

const EDGE_KINDS: [(EdgeKind, &str); 8] = [
    (EdgeKind::Context, "context"),
    (EdgeKind::Element, "element"),
    (EdgeKind::Property, "property"),
    (EdgeKind::Internal, "internal"),
    (EdgeKind::Hidden, "hidden"),
    (EdgeKind::Shortcut, "shortcut"),
    (EdgeKind::Weak, "weak"),
    (EdgeKind::Other, "other"),
];

impl EdgeKind {
    pub(crate) fn from_name(name: &str) -> Self {
        EDGE_KINDS.iter().find(|(_, known)| *known == name).map_or(Self::Other, |(kind, _)| *kind)
    }

    /// V8's name for it.
    pub fn name(self) -> &'static str {
        EDGE_KINDS[self as usize].1
    }

    pub(crate) fn from_bits(bits: u8) -> Self {
        EDGE_KINDS[usize::from(bits & 7)].0
    }

    /// Whether the edge's name is a number and no string.
    pub fn is_indexed(self) -> bool {
        matches!(self, Self::Element | Self::Hidden)
    }
}

/// Whether an object of the embedder (a DOM node) is in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Detachedness {
    /// Not said.
    Unknown,
    /// In the document.
    Attached,
    /// Not in the document any more.
    Detached,
}
