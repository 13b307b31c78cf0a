//! burnmark: where does the time go, what leaks, did my change help?
//!
//! This crate is the command line: arguments become options, libraries do the work. It is the one place that opens the
//! user's files, prints, and ends the process. It holds no analysis and knows no file format's bytes.

mod args;
mod commands;
mod demo;
mod evidence;
mod inputs;
mod machine;
mod notes;
mod open;
mod output;
mod perfdata;
mod progress;
mod results;
mod save;
mod session;
mod signals;
mod snapshots;
mod spool;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

/// Input or runtime error.
const EXIT_ERROR: u8 = 1;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Record(args) => commands::record::run(args),
        Command::Top(args) => commands::top::run(&args),
        Command::Flame(args) => commands::flame::run(&args),
        Command::Diff(args) => commands::diff::run(&args),
        Command::Compare(args) => commands::compare::run(&args),
        Command::Heap(args) => commands::heap::run(&args),
        Command::Report(args) => commands::report::run(&args),
        Command::Log(args) => commands::log::run(&args),
        Command::Metrics(args) => commands::metrics::run(&args),
        Command::Gate(args) => commands::gate::run(&args),
        Command::Trend(args) => commands::trend::run(&args),
        Command::Convert(args) => commands::convert::run(&args),
        Command::Info(args) => commands::info::run(&args),
        Command::Symbolize(args) => commands::symbolize::run(&args),
        Command::Demo(args) => commands::demo::run(&args),
        Command::Completions(args) => commands::shell::completions(&args),
        Command::Man(args) => commands::shell::man(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error(&error);
            ExitCode::from(EXIT_ERROR)
        }
    }
}
