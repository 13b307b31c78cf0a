//! The first step: nodes and samples as they are in the file.

use std::io::Read;
use std::ops::Range;

use burnmark_model::{Profile, StackId, StringId};

use super::call_frames::{self, CallFrames};
use crate::budget::Budget;
use crate::ids::Ids;
use crate::json::{Json, Members, Next};
use crate::warnings::Warnings;
use crate::{Error, Format};

/// A node of the call tree.
pub(super) struct Node {
    pub(super) position: u64,
    /// Index of its function in [`Raw::places`].
    pub(super) place: u32,
    pub(super) hits: i64,
    /// Bytes allocated here, of heap profiles.
    pub(super) size: i64,
    /// `positionTicks`, in [`Raw::ticks`].
    pub(super) ticks: Range<usize>,
    /// Index of the caller's node.
    pub(super) parent: Option<u32>,
}

/// A function as nodes name it. Two may be equal.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) name: Option<StringId>,
    pub(super) url: Option<StringId>,
    /// As in the file: from 0 in call frames.
    pub(super) line: i64,
    pub(super) column: i64,
    /// Whether it comes from a `callFrame`.
    pub(super) in_call_frame: bool,
    /// Whether other nodes may have it, too.
    is_shared: bool,
}

/// The place of nodes that name none, at index 0.
const NOWHERE: Place = Place { name: None, url: None, line: -1, column: -1, in_call_frame: false, is_shared: true };

/// Lines of a function, from 1, and how often it was sampled there.
#[derive(Clone, Copy)]
pub(super) struct Tick {
    pub(super) line: u32,
    /// The stack of these samples, once it has been made.
    pub(super) stack: Option<StackId>,
    pub(super) left: i64,
}

/// A file's contents.
#[derive(Default)]
pub(super) struct Raw {
    /// Holds the texts already.
    pub(super) profile: Profile,
    pub(super) nodes: Vec<Node>,
    pub(super) places: Vec<Place>,
    pub(super) ids: Ids,
    /// A node's index and the id of a child of it.
    pub(super) children: Vec<(u32, i64)>,
    /// A node's index and the id of its parent.
    pub(super) parents: Vec<(u32, i64)>,
    pub(super) ticks: Vec<Tick>,
    pub(super) start: Option<f64>,
    pub(super) end: Option<f64>,
    /// Ids of the sampled nodes.
    pub(super) samples: Vec<i64>,
    /// Where the list of samples is.
    pub(super) samples_position: u64,
    /// Microseconds since the sample before.
    pub(super) deltas: Option<Vec<i64>>,
    /// Microseconds.
    pub(super) timestamps: Option<Vec<i64>>,
    /// Of heap profiles: the node of each object that was sampled.
    pub(super) allocated: Option<Vec<i64>>,
    /// Whether the nodes came as one nested `head`: start and end are in seconds then.
    pub(super) is_nested: bool,
    pub(super) thread_name: Option<String>,
    pub(super) warnings: Warnings,
}

/// Members of the document.
enum Key {
    Nodes,
    Head,
    Start,
    End,
    Samples,
    Deltas,
    Timestamps,
    /// Something that the profile is wrapped in.
    Wrapper,
    ThreadName,
    Title,
    Other,
}

/// Members of nodes and call frames.
enum NodeKey {
    Id,
    CallFrame,
    Name,
    Url,
    Line,
    Column,
    Hits,
    Size,
    Children,
    Parent,
    Ticks,
    Other,
}

struct Parser<'b, R> {
    json: Json<R>,
    raw: Raw,
    call_frames: CallFrames,
    /// Whether it is a heap profile, whose samples are objects.
    is_heap: bool,
    budget: &'b mut Budget,
}

/// Reads a whole file.
pub(super) fn parse(input: impl Read, format: Format, budget: &mut Budget) -> Result<Raw, Error> {
    let is_heap = format == Format::Heapprofile;
    let raw = Raw { places: vec![NOWHERE], ..Raw::default() };
    let call_frames = CallFrames::default();
    let mut parser = Parser { json: Json::new(input, format), raw, call_frames, is_heap, budget };
    parser.document()?;
    parser.json.end()?;
    let Parser { json, mut raw, .. } = parser;
    if let Some((position, count)) = json.lossy {
        let what = "a text is not proper UTF-8 or UTF-16: what can't be shown is replaced by U+FFFD";
        raw.warnings.add_many(what, Some(burnmark_model::Position::Byte(position)), count);
    }
    Ok(raw)
}

impl<R: Read> Parser<'_, R> {
    /// The document, and what it is wrapped in.
    fn document(&mut self) -> Result<(), Error> {
        let mut open = vec![self.json.object()?];
        while let Some(members) = open.last_mut() {
            let Some(key) = self.json.key(members, document_key)? else {
                open.pop();
                continue;
            };
            let next = self.json.next()?;
            match (key, next) {
                (Key::Nodes, Next::Array) => self.nodes()?,
                (Key::Head, Next::Object) => self.head()?,
                (Key::Start, Next::Number) => self.raw.start = Some(self.json.float()?),
                (Key::End, Next::Number) => self.raw.end = Some(self.json.float()?),
                (Key::Samples, Next::Array) if self.is_heap => {
                    self.raw.samples_position = self.json.position();
                    self.raw.allocated = Some(self.allocations()?);
                }
                (Key::Samples, Next::Array) => {
                    self.raw.samples_position = self.json.position();
                    self.raw.samples = self.numbers()?;
                }
                (Key::Deltas, Next::Array) => self.raw.deltas = Some(self.numbers()?),
                (Key::Timestamps, Next::Array) => self.raw.timestamps = Some(self.numbers()?),
                (Key::Wrapper, Next::Object) => {
                    if open.len() > 16 {
                        return Err(self.json.error("the profile is wrapped too many times over"));
                    }
                    open.push(self.json.object()?);
                }
                (Key::ThreadName, Next::Text) => self.raw.thread_name = Some(self.json.text(str::to_owned)?),
                (Key::Title, Next::Text) => {
                    let title = self.json.text(str::to_owned)?;
                    if !title.is_empty() {
                        self.raw.profile.meta.other.insert("title".into(), title);
                    }
                }
                _ => self.json.skip()?,
            }
        }
        Ok(())
    }

    fn numbers(&mut self) -> Result<Vec<i64>, Error> {
        let mut numbers = Vec::new();
        let mut items = self.json.array()?;
        while self.json.item(&mut items)? {
            numbers.push(self.json.integer()?);
            // The profile's columns for a sample, and room to sort.
            self.budget.take(32, self.json.position())?;
        }
        Ok(numbers)
    }

    /// The nodes of sampled objects.
    fn allocations(&mut self) -> Result<Vec<i64>, Error> {
        let mut nodes = Vec::new();
        let mut items = self.json.array()?;
        while self.json.item(&mut items)? {
            self.budget.take(8, self.json.position())?;
            let mut members = self.json.object()?;
            while let Some(is_node) = self.json.key(&mut members, |key| key == b"nodeId")? {
                match (is_node, self.json.next()?) {
                    (true, Next::Number) => nodes.push(self.json.integer()?),
                    _ => self.json.skip()?,
                }
            }
        }
        Ok(nodes)
    }

    /// The flat list of nodes.
    fn nodes(&mut self) -> Result<(), Error> {
        let mut items = self.json.array()?;
        while self.json.item(&mut items)? {
            let node = self.open_node(None)?;
            let mut members = self.json.object()?;
            while let Some(key) = self.json.key(&mut members, node_key)? {
                if matches!(key, NodeKey::Children) && self.json.next()? == Next::Array {
                    let mut children = self.json.array()?;
                    while self.json.item(&mut children)? {
                        self.budget.take(16, self.json.position())?;
                        let child = self.json.integer()?;
                        self.raw.children.push((node, child));
                    }
                } else {
                    self.member(node, key)?;
                }
            }
        }
        Ok(())
    }

    /// The nested tree, which may be deeper than any stack.
    fn head(&mut self) -> Result<(), Error> {
        self.raw.is_nested = true;
        /// A node whose object is open, and its list of children once that is open too.
        struct Open {
            node: u32,
            members: Members,
            children: Option<Members>,
        }
        let node = self.open_node(None)?;
        let mut open = vec![Open { node, members: self.json.object()?, children: None }];
        while let Some(top) = open.last_mut() {
            if let Some(children) = &mut top.children {
                if self.json.item(children)? {
                    let parent = top.node;
                    let node = self.open_node(Some(parent))?;
                    open.push(Open { node, members: self.json.object()?, children: None });
                } else {
                    top.children = None;
                }
                continue;
            }
            match self.json.key(&mut top.members, node_key)? {
                None => drop(open.pop()),
                Some(NodeKey::Children) if self.json.next()? == Next::Array => {
                    top.children = Some(self.json.array()?);
                }
                Some(key) => {
                    let node = top.node;
                    self.member(node, key)?;
                }
            }
        }
        Ok(())
    }

    fn open_node(&mut self, parent: Option<u32>) -> Result<u32, Error> {
        let position = self.json.position();
        self.budget.take(160, position)?;
        let index = self.raw.nodes.len() as u32;
        self.raw.nodes.push(Node { position, place: 0, hits: 0, size: 0, ticks: 0..0, parent });
        Ok(index)
    }

    /// A member of a node, other than a list of children.
    fn member(&mut self, index: u32, key: NodeKey) -> Result<(), Error> {
        let position = self.json.position();
        match (key, self.json.next()?) {
            (NodeKey::Id, Next::Number) => {
                let id = self.json.integer()?;
                if self.raw.ids.add(id as u64, index) != index {
                    let what = "a node has the id of another one: the first is taken";
                    self.raw.warnings.add(what, Some(burnmark_model::Position::Byte(position)));
                }
            }
            (NodeKey::Parent, Next::Number) => {
                let parent = self.json.integer()?;
                self.budget.take(16, position)?;
                self.raw.parents.push((index, parent));
            }
            (NodeKey::Hits, Next::Number) => self.raw.nodes[index as usize].hits = self.json.integer()?,
            (NodeKey::Size, Next::Number) => self.raw.nodes[index as usize].size = self.json.integer()?,
            (NodeKey::CallFrame, Next::Object) => self.call_frame(index)?,
            (NodeKey::Ticks, Next::Array) => self.ticks(index)?,
            (key, _) => self.place(index, key)?,
        }
        Ok(())
    }

    fn call_frame(&mut self, index: u32) -> Result<(), Error> {
        // What a text makes of a node depends on nothing else if the node has said nothing before.
        let is_first = self.raw.nodes[index as usize].place == 0;
        let text = self.json.up_to_brace(call_frames::MAX_LENGTH)?.filter(|_| is_first);
        let hash = text.map_or(0, |text| self.call_frames.hash(text));
        if let Some(text) = text
            && let Some(place) = self.call_frames.get(hash, text)
        {
            self.raw.nodes[index as usize].place = place;
            let length = text.len();
            self.json.pass(length);
            return Ok(());
        }
        // Reading on may move the buffer.
        let text = text.map(<[u8]>::to_vec);
        let (start, lossy) = (self.json.position(), self.json.lossy);
        let place = self.own_place(index)?;
        self.raw.places[place].in_call_frame = true;
        let mut members = self.json.object()?;
        while let Some(key) = self.json.key(&mut members, node_key)? {
            self.place(index, key)?;
        }
        let length = self.json.position() - start;
        if let Some(text) = text.filter(|text| text.len() as u64 == length && self.json.lossy == lossy) {
            self.call_frames.add(hash, &text, place as u32);
            self.raw.places[place].is_shared = true;
        }
        Ok(())
    }

    /// Index of a place that is the node's alone.
    fn own_place(&mut self, index: u32) -> Result<usize, Error> {
        let node = &mut self.raw.nodes[index as usize];
        let place = self.raw.places[node.place as usize];
        if place.is_shared {
            if node.place != 0 {
                // Only the first is counted with the node.
                self.budget.take(32, node.position)?;
            }
            node.place = self.raw.places.len() as u32;
            self.raw.places.push(Place { is_shared: false, ..place });
        }
        Ok(node.place as usize)
    }

    /// A member of a call frame, or of a node that is its own call frame.
    fn place(&mut self, index: u32, key: NodeKey) -> Result<(), Error> {
        let position = self.json.position();
        match (key, self.json.next()?) {
            (NodeKey::Name, Next::Text) => {
                let name = self.text(position)?;
                let place = self.own_place(index)?;
                self.raw.places[place].name = Some(name);
            }
            (NodeKey::Url, Next::Text) => {
                let url = self.text(position)?;
                let place = self.own_place(index)?;
                self.raw.places[place].url = Some(url);
            }
            (NodeKey::Line, Next::Number) => {
                let place = self.own_place(index)?;
                self.raw.places[place].line = self.json.integer()?;
            }
            (NodeKey::Column, Next::Number) => {
                let place = self.own_place(index)?;
                self.raw.places[place].column = self.json.integer()?;
            }
            _ => self.json.skip()?,
        }
        Ok(())
    }

    fn text(&mut self, position: u64) -> Result<StringId, Error> {
        let strings = &mut self.raw.profile.strings;
        let before = strings.len();
        let mut length = 0;
        let id = self.json.text(|text| {
            length = text.len() as u64;
            strings.intern(text)
        })?;
        if strings.len() > before {
            self.budget.take(48 + length, position)?;
        }
        Ok(id)
    }

    fn ticks(&mut self, index: u32) -> Result<(), Error> {
        let first = self.raw.ticks.len();
        let mut items = self.json.array()?;
        while self.json.item(&mut items)? {
            self.budget.take(16, self.json.position())?;
            let (mut line, mut ticks) = (0, 0);
            let mut members = self.json.object()?;
            while let Some(key) = self.json.key(&mut members, |key| (key == b"line", key == b"ticks"))? {
                match (key, self.json.next()?) {
                    ((true, _), Next::Number) => line = self.json.integer()?,
                    ((_, true), Next::Number) => ticks = self.json.integer()?,
                    _ => self.json.skip()?,
                }
            }
            if let (Ok(line @ 1..), left @ 1..) = (u32::try_from(line), ticks) {
                self.raw.ticks.push(Tick { line, stack: None, left });
            }
        }
        self.raw.nodes[index as usize].ticks = first..self.raw.ticks.len();
        Ok(())
    }
}

fn document_key(key: &[u8]) -> Key {
    match key {
        b"nodes" => Key::Nodes,
        b"head" => Key::Head,
        b"startTime" => Key::Start,
        b"endTime" => Key::End,
        b"samples" => Key::Samples,
        b"timeDeltas" => Key::Deltas,
        b"timestamps" => Key::Timestamps,
        b"profile" | b"cpuProfile" | b"result" => Key::Wrapper,
        b"threadName" => Key::ThreadName,
        b"title" => Key::Title,
        _ => Key::Other,
    }
}

fn node_key(key: &[u8]) -> NodeKey {
    match key {
        b"id" => NodeKey::Id,
        b"callFrame" => NodeKey::CallFrame,
        b"functionName" => NodeKey::Name,
        b"url" => NodeKey::Url,
        b"lineNumber" => NodeKey::Line,
        b"columnNumber" => NodeKey::Column,
        b"hitCount" => NodeKey::Hits,
        b"selfSize" => NodeKey::Size,
        b"children" => NodeKey::Children,
        b"parent" => NodeKey::Parent,
        b"positionTicks" => NodeKey::Ticks,
        _ => NodeKey::Other,
    }
}
