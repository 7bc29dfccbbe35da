//! What goes out: outcomes, bodies, the journal, the summary.

mod journal;
mod numbers;
mod outcome;
mod print;
mod store;
mod summary;

pub(super) use journal::Lines;
pub use journal::{Journal, JournalError};
pub use outcome::Outcome;
pub(super) use outcome::millis;
pub use print::Progress;
pub(super) use print::{Format, Printer, plain};
pub use store::Naming;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use store::file_name;
pub(super) use store::{Part, Store};
pub use summary::{Latency, Report, Summary};
