#![doc = include_str!("README.md")]
//!
//! # Layout
//!
//! Arrows run downwards: each line uses those below it.
//!
//! - [`cli`]: the flags.
//! - `run`: the threads and the channels between them; [`process`] is the entry.
//! - `report`: prints. `table`, `wc`, `json` and `csv` are its formats, `bar` the progress bar.
//! - `count`: the workers. `reassembly`: who counts which chunk of a large file. `partial`,
//!   `whitespace`, `kernel`: what is counted; [`scalar`] is the same in plain code. `frequency`: the
//!   most frequent words.
//! - `walk`: the producer of paths; `filter`: which ones.
//! - `source`: opening and reading, and waiting for pipes. `order`: rows in their order.
//! - `row`, `columns`: the values that pass between these modules.

pub mod cli;
mod columns;
mod count;
mod order;
mod report;
mod row;
mod run;
mod source;
mod walk;

pub use self::count::{Counter, Whitespace, scalar};
pub use columns::{Column, Columns, Counts};
pub use report::{FormatName, Listing, Printer, TotalWhen};
pub use row::{By, Failure, Frequency, Operation, Progress, Row, Status, Summary, Total, Word};
pub use run::{CHUNK, Options, Report, Rows, count, process};
pub use walk::Inputs;
pub use walk::filter::{Filter, FilterArgs, FilterError};
