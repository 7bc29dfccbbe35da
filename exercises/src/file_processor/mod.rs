//! Counts lines, words and bytes of many files, in parallel.
//!
//! Threads, not tasks: reading what is in the page cache is work for the CPU, and no waiting that
//! tasks could fill.

mod bar;
pub mod cli;
mod columns;
mod csv;
mod failures;
mod frequency;
mod grid;
mod json;
mod kernel;
mod order;
mod permits;
mod piece;
mod report;
mod row;
mod run;
pub mod scalar;
mod source;
mod stretches;
mod table;
mod walk;
mod wc;
mod whitespace;
mod worker;

pub use columns::{Column, Columns, Counts};
pub use frequency::Frequency;
pub use piece::Counter;
pub use report::{FormatName, Listing, Report};
pub use row::{By, Failure, Operation, Outcome, Row, Summary, Total};
use run::WINDOW_STEP;
pub use run::{CHUNK, Options, Progress, process};
pub use walk::{Filter, FilterArgs, Inputs};
pub use whitespace::Whitespace;
