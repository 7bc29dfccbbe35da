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
//! - `row`, `columns`: what goes from one to the other. `terminal`: text that is safe to show.

pub mod cli;
mod columns;
mod count;
mod order;
mod report;
mod row;
mod run;
mod source;
mod terminal;
mod walk;

pub use columns::{Column, Columns, Counts};
pub use count::{Counter, Whitespace, scalar};
pub use report::{FormatName, Listing, Printer};
pub use row::{By, Failure, Frequency, Operation, Outcome, Progress, Row, Summary, Total, Word};
pub use run::{CHUNK, Options, process};
pub use walk::Inputs;
pub use walk::filter::{Filter, FilterArgs};
