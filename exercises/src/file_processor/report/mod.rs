//! Printing: what a run found, in the format that was asked for.

mod bar;
mod csv;
mod failures;
mod format;
mod grid;
mod json;
mod object;
mod printer;
mod table;
mod wc;

pub(crate) use bar::Bar;
pub use format::Listing;
pub use printer::{FormatName, Printer};
