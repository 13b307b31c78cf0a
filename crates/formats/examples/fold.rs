//! Reads a profile in any format and writes it folded: `fold INPUT [VALUE] > OUTPUT`.
//!
//! VALUE is a value type such as `cpu-clock/nanoseconds`; the profile's default is taken otherwise. Times go to standard
//! error.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::time::Instant;

use burnmark_formats::{Format, Input, ReadOptions, WriteOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("name a profile")?;
    let value = arguments.next();
    let threads = arguments.next().map_or(Ok(0), |threads| threads.parse())?;

    let start = Instant::now();
    let options = ReadOptions { threads, ..ReadOptions::default() };
    let (format, parsed) = burnmark_formats::read(Input::file(File::open(path)?)?, &options)?;
    let read = start.elapsed();
    for warning in &parsed.warnings {
        eprintln!("{warning}");
    }
    let value = value.map(|value| parsed.profile.find_value(&value).ok_or("no such value type")).transpose()?;

    let start = Instant::now();
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let options = WriteOptions { value, ..WriteOptions::default() };
    burnmark_formats::write(&parsed.profile, Format::Folded, &options, &mut out)?;
    out.flush()?;
    eprintln!("{format}: read in {read:.3?}, written in {:.3?}", start.elapsed());
    // As the command does: the profile's tables need not be taken apart.
    std::process::exit(0)
}
