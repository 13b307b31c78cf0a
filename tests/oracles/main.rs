//! burnmark's answers against somebody else's: what perf says of the same process or file, what a program knows about
//! itself, what a browser draws.

mod accuracy;
mod burnmark;
mod counts;
mod diff;
mod flame;
mod machine;
mod matching;
mod perf;
mod perfdata;
mod same_file;
#[allow(dead_code, reason = "shared with tests/cli, which uses the rest")]
#[path = "../cli/support.rs"]
mod support;
mod truth;
mod unwind;
