//! What is kept of a measurement after the terminal is closed: metrics of load tests, memory trends, budgets and gates,
//! the log of optimizations ([`log`]).
//!
//! It takes bytes and the folders it is given, prints nothing. A value that was not measured is absent: never 0.
pub mod budget;
mod error;
pub mod gate;
pub mod log;
mod metric;
pub mod metrics;
pub mod series;
pub mod trend;

pub use error::Error;
pub use metric::{Direction, Metric};
