//! What counts as the same frame.

use std::borrow::Cow;
use std::collections::HashMap;

use burnmark_model::{Frame, FrameId, Function, Id, ModuleId, ModuleKind, Profile, StringId};
use foldhash::fast::RandomState;

/// What makes two frames the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MergeBy {
    /// Name and module; for functions without a name, file and line of their definition as well.
    #[default]
    Function,
    /// Name, module, file and line.
    Line,
    /// The module; neighbours in one module become one frame.
    Module,
}

/// What kind of code a frame is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// Compiled code of a program or library, or not known.
    #[default]
    Native,
    /// The kernel.
    Kernel,
    /// Code made at run time.
    Jit,
    /// Not code: a process or a thread at the root of a tree.
    Group,
}

/// A row of a table, or what the nodes of a tree stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place<'p> {
    /// The function's name; `[module]` or `[unknown]` where there is none.
    pub name: Cow<'p, str>,
    /// The module's last path component.
    pub module: Option<&'p str>,
    /// The module's path.
    pub module_path: Option<&'p str>,
    /// The function's source file.
    pub file: Option<&'p str>,
    /// Line from 1, 0 if not known: the function's own, or that of the code for [`MergeBy::Line`].
    pub line: u32,
    /// What kind of code it is.
    pub kind: FrameKind,
}

impl<'p> Place<'p> {
    /// The order in which equal rows and the children of a node are shown.
    pub(crate) fn sort_key(&self) -> impl Ord + use<'p, '_> {
        (&*self.name, self.module_path, self.file, self.line)
    }

    /// A name that stands for no code.
    pub(crate) fn group(name: impl Into<Cow<'p, str>>) -> Self {
        Self { name: name.into(), kind: FrameKind::Group, ..Self::default() }
    }
}

/// The identity of a frame. Texts are interned, so equal ids are equal texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    name: Option<StringId>,
    module: Option<StringId>,
    file: Option<StringId>,
    line: u32,
}

/// The places of a profile, and which of them each frame is at.
pub(crate) struct Places<'p> {
    /// Every distinct place. Some may be used by no sample.
    pub(crate) places: Vec<Place<'p>>,
    /// A frame that is at the place, for what [`Place`] leaves out.
    pub(crate) frames: Vec<FrameId>,
    of_frame: Vec<u32>,
}

impl<'p> Places<'p> {
    /// Finds the places of all frames.
    pub(crate) fn new(profile: &'p Profile, merge_by: MergeBy) -> Self {
        let mut known: HashMap<Key, u32, RandomState> = HashMap::default();
        let mut result =
            Self { places: Vec::new(), frames: Vec::new(), of_frame: Vec::with_capacity(profile.frames.len()) };
        for (id, frame) in profile.frames.iter() {
            let next = result.places.len() as u32;
            let place = *known.entry(key(profile, frame, merge_by)).or_insert(next);
            if place == next {
                result.places.push(describe(profile, frame, merge_by));
                result.frames.push(id);
            } else {
                result.refine(profile, place as usize, id, merge_by);
            }
            result.of_frame.push(place);
        }
        result
    }

    /// Numbers the places in the order of their names.
    pub(crate) fn sorted(mut self) -> Self {
        let mut by_name: Vec<u32> = (0..self.places.len() as u32).collect();
        by_name.sort_by(|a, b| self.places[*a as usize].sort_key().cmp(&self.places[*b as usize].sort_key()));
        let mut position = vec![0; by_name.len()];
        for (index, place) in by_name.iter().enumerate() {
            position[*place as usize] = index as u32;
        }
        self.places = by_name.iter().map(|place| std::mem::take(&mut self.places[*place as usize])).collect();
        self.frames = by_name.iter().map(|place| self.frames[*place as usize]).collect();
        for place in &mut self.of_frame {
            *place = position[*place as usize];
        }
        self
    }

    /// The index of the place of a frame.
    pub(crate) fn of(&self, frame: FrameId) -> u32 {
        self.of_frame[frame.index()]
    }

    /// Functions of one name and module may differ in where they say they are defined; the first in order of text is
    /// shown, whatever the order of the tables.
    fn refine(&mut self, profile: &'p Profile, place: usize, id: FrameId, merge_by: MergeBy) {
        let other = describe(profile, profile.frames.get(id), merge_by);
        let known = &mut self.places[place];
        let rank = |place: &Place<'p>| (place.file.is_none(), place.file, place.line, place.kind as u8);
        if rank(&other) < rank(known) {
            *known = other;
            self.frames[place] = id;
        }
    }
}

fn key(profile: &Profile, frame: &Frame, merge_by: MergeBy) -> Key {
    let module = frame.module.map(|id| profile.modules.get(id).path);
    let function = frame.function.map(|id| profile.functions.get(id));
    let name = function.map(|function| function.name);
    match merge_by {
        MergeBy::Module => Key { name: None, module, file: None, line: 0 },
        MergeBy::Function => match function.filter(|function| is_anonymous(profile, function)) {
            Some(function) => Key { name, module, file: function.file, line: function.start_line },
            None => Key { name, module, file: None, line: 0 },
        },
        MergeBy::Line => Key { name, module, file: function.and_then(|function| function.file), line: frame.line },
    }
}

fn describe<'p>(profile: &'p Profile, frame: &Frame, merge_by: MergeBy) -> Place<'p> {
    let function = frame.function.map(|id| profile.functions.get(id)).filter(|_| merge_by != MergeBy::Module);
    let module = frame.module.map(|id| profile.module_name(id));
    let name = match (function, module) {
        (Some(function), _) if merge_by == MergeBy::Function && is_anonymous(profile, function) => {
            anonymous_at(profile, function)
        }
        (Some(function), _) => profile.strings.get(function.name).into(),
        (None, Some(module)) if merge_by == MergeBy::Module => module.into(),
        (None, Some(module)) => format!("[{}]", module.trim_matches(['[', ']'])).into(),
        (None, None) => "[unknown]".into(),
    };
    let line = match (merge_by, function) {
        (MergeBy::Line, _) => frame.line,
        (_, Some(function)) => function.start_line,
        (_, None) => 0,
    };
    Place {
        name,
        module,
        module_path: frame.module.map(|id| profile.strings.get(profile.modules.get(id).path)),
        file: function.and_then(|function| function.file).map(|id| profile.strings.get(id)),
        line,
        kind: frame.module.map_or(FrameKind::Native, |id| kind(profile, id)),
    }
}

/// Whether a function has no name but where it stands, as closures of scripts have none.
fn is_anonymous(profile: &Profile, function: &Function) -> bool {
    function.start_line > 0 && matches!(profile.strings.get(function.name), "(anonymous)" | "<anonymous>" | "anonymous")
}

/// Its name and place: `(anonymous) app.js:12`.
fn anonymous_at<'p>(profile: &'p Profile, function: &Function) -> Cow<'p, str> {
    let name = profile.strings.get(function.name);
    match function.file.map(|id| profile.strings.get(id)) {
        Some(file) => {
            let file = file.rsplit('/').next().unwrap_or(file);
            format!("{name} {file}:{}", function.start_line).into()
        }
        None => format!("{name} line {}", function.start_line).into(),
    }
}

fn kind(profile: &Profile, module: ModuleId) -> FrameKind {
    match profile.modules.get(module).kind {
        ModuleKind::User => FrameKind::Native,
        ModuleKind::Kernel => FrameKind::Kernel,
        ModuleKind::Jit => FrameKind::Jit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burnmark_model::{Sample, ValueType};

    #[test]
    fn functions_without_a_name_are_told_apart_by_their_place() {
        let mut profile = Profile::new(vec![ValueType::samples()]);
        let file = Some(profile.strings.intern("file:///srv/app.js"));
        for (name, start_line) in
            [("(anonymous)", 3), ("(anonymous)", 9), ("parse", 3), ("parse", 9), ("(anonymous)", 3)]
        {
            let name = profile.strings.intern(name);
            let function = profile.functions.intern(Function { file, start_line, ..Function::named(name) });
            let frame = profile.frames.intern(Frame::of(function));
            let stack = Some(profile.push_frame(None, frame));
            profile.samples.push(Sample { stack, ..Sample::default() }, &[1]).expect("small values");
        }
        let places = Places::new(&profile, MergeBy::Function).places;
        let names = places.iter().map(|place| &*place.name).collect::<Vec<_>>();
        assert_eq!(names, ["(anonymous) app.js:3", "(anonymous) app.js:9", "parse"]);
    }
}
