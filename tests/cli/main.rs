//! The command line as a user meets it: what goes in, what comes out, what a mistake is answered with.

mod bad_input;
mod categories;
mod diff;
mod ends;
mod evidence;
mod findings;
mod flow;
mod formats;
mod gate;
mod heap;
mod inert;
mod log;
mod metrics;
mod perfdata;
mod permissions;
mod recording;
mod report;
mod sampling;
mod support;
mod symbols;
mod targets;
mod trend;
