//! Placeholder until this format's reader lands: it fits nothing and reads nothing.

use burnmark_model::Parsed;

use crate::{Error, Input, ReadOptions};

pub(crate) fn sniff(_prefix: &[u8]) -> Result<(), String> {
    Err("its reader is not built yet".into())
}

pub(crate) fn read(_input: Input, _options: &ReadOptions) -> Result<Parsed, Error> {
    Err(Error::NotAProfile { what: "a format without a reader", advice: "wait for it" })
}

pub(crate) fn write(
    _profile: &burnmark_model::Profile,
    _options: &crate::WriteOptions,
    _out: &mut dyn std::io::Write,
) -> Result<(), Error> {
    Err(Error::CannotWrite { format: crate::Format::Pprof })
}
