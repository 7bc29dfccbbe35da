#![doc = include_str!("README.md")]

// Each module uses only those above it.
pub mod input;
pub mod transport;

pub mod output;

mod config;

mod attempt;
mod run;

mod client;

pub mod cli;

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;

pub use client::{Client, Unusable};
pub use config::{Config, KeepHeaders, Limits};
pub use input::{Id, Request};
pub use output::{Journal, JournalError, Latency, Naming, Outcome, Progress, Report, Summary};
pub use run::{Outcomes, READ_AHEAD};
pub use transport::{Body, Error, ErrorKind, Failure, Transport, Web};
