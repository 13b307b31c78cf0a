//! Self time per function under the linker's names, as folded stacks of one frame: how the fixtures in fixtures/matching
//! were made of recordings.
//!
//! ```text
//! linker_names RECORDING.pb.gz > NAME.folded
//! ```

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burnmark_formats::{Input, ReadOptions};
use burnmark_model::{Frame, ModuleKind};

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("usage: linker_names RECORDING.pb.gz")?;
    let file = std::fs::File::open(&path).with_context(|| format!("cannot open {path}"))?;
    let len = file.metadata()?.len();
    let profile = burnmark_formats::read(Input::File { file, len }, &ReadOptions::default())?.1.profile;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for sample in profile.samples.iter() {
        // The program's function the machine code belongs to: inlined ones have no linker's name, the kernel's are the
        // same in all builds.
        let is_kernel =
            |frame: &Frame| frame.module.is_some_and(|module| profile.modules.get(module).kind == ModuleKind::Kernel);
        let mut frames = profile.frames_leaf_first(sample.stack).map(|frame| profile.frames.get(frame));
        let Some(leaf) = frames.find(|frame| frame.inline_depth == 0 && !is_kernel(frame)) else { continue };
        let name = leaf.function.map(|function| {
            let function = profile.functions.get(function);
            profile.strings.get(function.system_name.unwrap_or(function.name))
        });
        *counts.entry(name.unwrap_or("[unknown]").replace(';', ":")).or_default() += 1;
    }
    for (name, count) in counts {
        println!("{name} {count}");
    }
    Ok(())
}
