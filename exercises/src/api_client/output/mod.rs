//! What goes out: outcomes, bodies, the journal, the summary.

mod journal;
mod outcome;
mod print;
mod store;
mod summary;

pub use journal::{Journal, JournalError};
pub use outcome::Outcome;
pub(super) use print::{Format, Printer};
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use store::file_name;
pub(super) use store::{Download, Store};
pub use summary::{Latency, Report, Summary};
