//! A profile with everything that makes tables and pictures go wrong.

use burnmark_model::{
    Frame, FrameId, Function, Module, ModuleKind, Process, Profile, Sample, StackId, Thread, ThreadId, ValueType,
};

/// Builds stacks by name.
pub(crate) struct Builder {
    pub(crate) profile: Profile,
}

impl Builder {
    pub(crate) fn new(value_types: Vec<ValueType>) -> Self {
        Self { profile: Profile::new(value_types) }
    }

    /// A frame: function, module and its kind, inline depth.
    pub(crate) fn frame(&mut self, name: &str, module: Option<(&str, ModuleKind)>, inline_depth: u32) -> FrameId {
        let profile = &mut self.profile;
        let function = (!name.is_empty()).then(|| {
            let (name, file) = (profile.strings.intern(name), profile.strings.intern("src/lib.rs"));
            profile.functions.intern(Function { file: Some(file), start_line: 7, ..Function::named(name) })
        });
        let module = module.map(|(path, kind)| {
            let path = profile.strings.intern(path);
            profile.modules.intern(Module { kind, ..Module::at(path) })
        });
        profile.frames.intern(Frame { function, module, address: None, line: 9, column: 0, inline_depth })
    }

    /// A stack from root to leaf, of functions in no module.
    pub(crate) fn stack(&mut self, names: &[&str]) -> Option<StackId> {
        let frames: Vec<FrameId> = names.iter().map(|name| self.frame(name, None, 0)).collect();
        self.stack_of(&frames)
    }

    pub(crate) fn stack_of(&mut self, frames: &[FrameId]) -> Option<StackId> {
        frames.iter().fold(None, |parent, frame| Some(self.profile.push_frame(parent, *frame)))
    }

    pub(crate) fn thread(&mut self, pid: i64, tid: i64, name: &str) -> ThreadId {
        let name = self.profile.strings.intern(name);
        let process = self.profile.processes.intern(Process { pid: Some(pid), name: Some(name) });
        self.profile.threads.intern(Thread { process, tid: Some(tid), name: Some(name) })
    }

    pub(crate) fn sample(&mut self, stack: Option<StackId>, values: &[i64]) {
        self.profile.samples.push(Sample { stack, ..Sample::default() }, values).expect("small values");
    }
}

/// Names with markup, escapes, separators, direction marks, and of every length.
pub(crate) const NASTY: [&str; 16] = [
    "plain",
    "<script>alert('1')</script>",
    "a|b`c\\d",
    "=cmd|' /C calc'!A0",
    "\x1b[31mred\x1b[0m\x07",
    "two\nlines\r\n\ttab",
    "[u8; 16]::eq",
    "ends with a number 42",
    "# comment",
    "  spaces around  ",
    "evil\u{202e}txt.exe",
    "operator()(int) const (.cold)_[k]",
    "@user #1 https://example.com _x_ *y*",
    "函数名称很长很长很长很长很长很长很长很长很长很长很长",
    "\"quoted\", with; separators",
    "core::ops::function::FnOnce::call_once::<alloc::boxed::Box<dyn core::ops::function::FnMut() -> core::result::Result<(), std::io::Error>>>",
];

/// Every nasty name as a leaf below `main`, kernel, JIT and inlined frames, code without symbols, a sample without a
/// stack; two value types, threads, metadata.
pub(crate) fn nasty() -> Profile {
    let mut builder = Builder::new(vec![ValueType::samples(), ValueType::new("cpu", "nanoseconds")]);
    builder.profile.default_value = 1;
    let threads = [builder.thread(7, 7, "app"), builder.thread(7, 8, "worker <1>")];
    let program = Some(("/opt/app/bin/server-5a1c", ModuleKind::User));
    let main = builder.frame("main", program, 0);
    let mut stacks = Vec::new();
    for name in NASTY {
        let leaf = builder.frame(name, Some(("/usr/lib/lib|odd (deleted).so", ModuleKind::User)), 0);
        stacks.push(builder.stack_of(&[main, leaf]));
    }
    let inlined = builder.frame("Vec<T>::push", program, 1);
    let kernel = builder.frame("do_syscall_64", Some(("[kernel.kallsyms]", ModuleKind::Kernel)), 0);
    let jit = builder.frame("LazyCompile:*render app.js:10", Some(("/tmp/perf-7.map", ModuleKind::Jit)), 0);
    let unknown = builder.frame("", Some(("/usr/lib/libstripped.so.1", ModuleKind::User)), 0);
    let nowhere = builder.frame("", None, 0);
    stacks.push(builder.stack_of(&[main, inlined]));
    stacks.push(builder.stack_of(&[main, inlined, kernel]));
    stacks.push(builder.stack_of(&[main, jit, jit]));
    stacks.push(builder.stack_of(&[main, unknown]));
    stacks.push(builder.stack_of(&[nowhere]));
    stacks.push(None);
    for (index, stack) in stacks.into_iter().enumerate() {
        let count = 40 - index as i64;
        let sample = Sample {
            stack,
            thread: Some(threads[index % 2]),
            time_ns: Some(1_000 + index as i64 * 50_000_000),
            labels: None,
        };
        builder.profile.samples.push(sample, &[count, count * 10_010_000]).expect("small values");
    }
    let meta = &mut builder.profile.meta;
    meta.producer = Some("burnmark 0.1.0".to_owned());
    meta.command = Some("server\x1b[2J".to_owned());
    meta.event = Some("cpu-clock".to_owned());
    meta.duration_ns = Some(5_012_000_000);
    meta.lost = Some(3);
    meta.complete_stacks = Some(590);
    meta.notes = vec!["cpu-clock cannot fire while interrupts are off".to_owned()];
    meta.other.insert("odd|key".to_owned(), "value".to_owned());
    builder.profile
}

/// One chain of calls this deep, one sample at the end.
pub(crate) fn deep(depth: usize) -> Profile {
    let mut builder = Builder::new(vec![ValueType::samples()]);
    let mut stack = None;
    for level in 0..depth {
        let frame = builder.frame(&format!("f{level}"), None, 0);
        stack = Some(builder.profile.push_frame(stack, frame));
    }
    builder.sample(stack, &[1]);
    builder.profile
}
