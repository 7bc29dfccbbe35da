//! Printing: what a run found, in the format that was asked for.

mod bar;
mod csv;
mod error_log;
mod failures;
mod format;
mod grid;
mod json;
mod object;
mod printer;
mod table;
mod wc;

pub(crate) use bar::Bar;
pub(crate) use error_log::ErrorLog;
pub use format::{Listing, TotalWhen};
pub use printer::{FormatName, Printer};
pub(crate) use table::long_words;
