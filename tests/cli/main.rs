//! The command line as a user meets it: what goes in, what comes out, what a mistake is answered with.

mod bad_input;
mod formats;
mod recording;
mod support;
