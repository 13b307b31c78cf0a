//! A perf.data file to interned stacks, and nothing more: records decoded, sorted, unwound, no symbol looked up. It is
//! what `samply import --save-only` does, and `cargo xtask bench perfdata` times both.
//!
//! ```sh
//! cargo run --release -p burnmark-native --example stacks -- perf.data [FOLDER_OF_BUILD_IDS…]
//! ```

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use burnmark_native::{FileFinder, Modules, PerfDataOptions, Places, read_perf_data};
use burnmark_perf::file::{Input, Map, Reader};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("usage: stacks FILE [FOLDER_OF_BUILD_IDS…]")?);
    let places = Places { build_id_caches: arguments.map(PathBuf::from).collect(), ..Places::default() };
    let started = Instant::now();
    let file = File::open(&path)?;
    let bytes = file.metadata()?.len();
    let map = Map::of(&file)?;
    let modules = Some(Arc::new(Modules::new(FileFinder::Places(places))));
    let options = PerfDataOptions { modules, ..PerfDataOptions::default() };
    let (recording, warnings) = read_perf_data(Reader::open(Input::Bytes(&map))?, &options)?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} samples, {} stacks, {} frames, {} warnings; {seconds:.3} s, {:.0} MB/s",
        recording.samples.len(),
        recording.stacks.len(),
        recording.frames.len(),
        warnings.len(),
        bytes as f64 / seconds / 1e6
    );
    Ok(())
}
