//! One file per command.

pub(crate) mod compare;
pub(crate) mod convert;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod flame;
pub(crate) mod gate;
pub(crate) mod heap;
pub(crate) mod info;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod shell;
pub(crate) mod symbolize;
pub(crate) mod top;
pub(crate) mod trend;
