//! What people see: tables for the terminal, Markdown, CSV and JSON, and flame graphs as SVG.
//!
//! It computes no statistics: numbers come from `burnmark_analysis`. It opens no file and prints nothing.
//!
//! Names are data. They may hold control characters, escape sequences, markup or megabytes of text; each writer makes
//! them harmless for its own medium.
//!
//! ```
//! use burnmark_analysis::{RankOptions, rank, summarize};
//! use burnmark_model::{Frame, Function, Profile, Sample, ValueType};
//! use burnmark_report::{TableForm, top};
//!
//! let mut profile = Profile::new(vec![ValueType::samples()]);
//! let function = Function::named(profile.strings.intern("main"));
//! let function = profile.functions.intern(function);
//! let frame = profile.frames.intern(Frame::of(function));
//! let stack = Some(profile.push_frame(None, frame));
//! profile.samples.push(Sample { stack, ..Sample::default() }, &[3]).unwrap();
//!
//! let ranking = rank(&profile, &RankOptions::default()).unwrap();
//! let summary = summarize(&profile, 0).unwrap();
//! assert!(top(&profile, &ranking, &summary, &TableForm::Markdown).contains("| 1 | `main` |"));
//! ```

mod diff;
mod error;
mod findings;
mod flame;
mod gate;
mod grid;
mod heap;
mod info;
mod journal;
mod metrics;
mod names;
mod numbers;
mod summary;
mod top;
mod trend;

#[cfg(test)]
mod testing;

pub use diff::{DiffReport, RunTimes, diff, hint, renames};
pub use error::Error;
pub use findings::{categories, findings, findings_json};
pub use flame::{DiffFlameOptions, Drawn, FlameOptions, Widths, diff_flame, flame};
pub use gate::{gate, gate_within};
pub use heap::{HeapInput, HeapObject, HeapSize, HeapView, heap, heap_nodes};
pub use info::{info, info_json};
pub use journal::{
    BEGIN, COMMENT_BYTES, END, JournalOptions, REPORT_MARK, SUMMARY_BYTES, Spliced, log, log_json, log_list, report,
    report_json, splice, verify_json,
};
pub use metrics::metrics;
pub use names::message;
pub use top::{TableForm, top, top_json};
pub use trend::{TrendReport, points_csv, trend_svg, trends};
