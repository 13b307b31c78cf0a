//! Heap snapshots.

use std::path::PathBuf;

use clap::Args;
use regex::Regex;

use super::size;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  burnmark heap app.heapsnapshot                        what retains the memory
  burnmark heap 1.heapsnapshot 2.heapsnapshot 3.heapsnapshot --iterations 0,100,200
                                                        what leaks, where it is held, and the likely cause
  burnmark heap app.heapsnapshot --path 48213           why this object is still there
  burnmark heap app.heapsnapshot --focus '^Session$'    what sessions retain, by class
  burnmark heap 1.heapsnapshot 2.heapsnapshot --md >> notes.md
  burnmark heap app.heapsnapshot --nodes nodes.csv      every object, as CSV
  burnmark flame app.heapsnapshot -o heap.svg           retained memory as a flame graph

Snapshots are written by `v8.writeHeapSnapshot()`, `node --heapsnapshot-signal=SIGUSR2`, or Chrome DevTools (Memory).
Several must be of one process, in the order in which they were taken; run the same work between them.")]
pub(crate) struct HeapArgs {
    /// Heap snapshots (.heapsnapshot, also .gz or .zst), the earliest first; - is standard input
    #[arg(value_name = "SNAPSHOT", required = true)]
    pub(crate) snapshots: Vec<PathBuf>,

    /// Print the tables as Markdown
    #[arg(long, group = "form")]
    pub(crate) md: bool,

    /// Print the tables as CSV
    #[arg(long, group = "form")]
    pub(crate) csv: bool,

    /// Print JSON (schema burnmark.heap/1)
    #[arg(long, group = "form")]
    pub(crate) json: bool,

    /// Rows per table at most, 0 for all
    #[arg(long, value_name = "ROWS", default_value_t = 15)]
    pub(crate) limit: usize,

    /// Only classes whose name matches
    #[arg(long, value_name = "REGEX")]
    pub(crate) class: Option<Regex>,

    /// Only what objects of matching classes retain
    #[arg(long, value_name = "REGEX")]
    pub(crate) focus: Option<Regex>,

    /// One object: what it holds and who holds it
    #[arg(long, value_name = "ID")]
    pub(crate) id: Vec<u32>,

    /// Why an object is still there: the path that holds it
    #[arg(long, value_name = "ID")]
    pub(crate) path: Vec<u32>,

    /// Write every object as CSV: id, type, name, shallow, retained, distance, dominator_id
    #[arg(long, value_name = "FILE")]
    pub(crate) nodes: Option<PathBuf>,

    /// How often the program had done its repeated work at each snapshot, such as 0,100,200
    #[arg(long, value_name = "COUNTS", value_delimiter = ',')]
    pub(crate) iterations: Option<Vec<u64>>,

    /// Most bytes to decompress a snapshot to, such as 16G
    #[arg(long, value_name = "BYTES", default_value = "64G", value_parser = size)]
    pub(crate) max_decompressed: u64,
}
