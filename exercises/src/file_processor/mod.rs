#![doc = include_str!("README.md")]
//!
//! # Layout
//!
//! - `run`: the threads and the channels between them; [`process`] is the entry.
//! - `walk`: the producer of paths; `filter`: which ones. `source`: opening and reading, and waiting for pipes;
//!   `nearby`: opening what a walk found.
//! - `worker`: counts files. `stretches`: who counts which chunk of a large one.
//! - `piece`, `whitespace`, `kernel`: what is counted. [`scalar`]: the same in plain code.
//! - `frequency`: the most frequent words. `order`: rows in their order. `permits`: a limit.
//! - `report`: prints; `table`, `wc`, `json`, `csv` are its formats, `failures` what waits for its
//!   end. `bar`: the progress bar. [`cli`]: the flags.

mod bar;
pub mod cli;
mod columns;
mod csv;
mod failures;
mod filter;
mod frequency;
mod grid;
mod json;
mod kernel;
mod nearby;
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
pub use filter::{Filter, FilterArgs};
pub use frequency::{Frequency, Word};
pub use piece::Counter;
pub use report::{FormatName, Listing, Report};
pub use row::{By, Failure, Operation, Outcome, Row, Summary, Total};
use run::WINDOW_STEP;
pub use run::{CHUNK, Options, Progress, process};
pub use walk::Inputs;
pub use whitespace::Whitespace;
